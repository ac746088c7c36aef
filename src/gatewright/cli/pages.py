"""What `gatewright up` shows: progress, problems, the table, and news as it happens."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from gatewright.edge.chain import Hop
    from gatewright.local.manifests import Problem
    from gatewright.local.news import News
    from gatewright.local.state import ConditionState, EdgeState, GatewayState, Trial
from gatewright.model.gateway.shared import NEGATIVE

_STYLES = {"good": "green", "bad": "red", "info": "cyan"}
_HEALTH = {"good": "green", "bad": "red", "unknown": "default"}
_PATIENCE = 3.0  # seconds after which even a quiet run says what it does
_COLUMNS = ("GATEWAY", "CLASS", "ADDRESS", "HOSTNAME", "ROUTES", "CONDITIONS")
_GAP = "  "


class Screen:
    """Prints to one console; colour and spinners on a terminal only. `quiet` leaves out what isn't a problem."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._table_width = console.width if console.is_terminal else None

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Show that something is going on."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            with self._console.status(escape(what)):
                yield
            return
        if not self._quiet:
            self._line(f"{escape(what)} ...")
            yield
            return
        late = _later(_PATIENCE, lambda: self._line(f"{escape(what)} ..."))
        try:
            yield
        finally:
            late()

    def error(self, text: str) -> None:
        """Something ends the run."""
        self._line(f"[red]error:[/] {escape(text)}")

    def problems(self, problems: Sequence[Problem]) -> None:
        """Every object that was refused, with its file and line."""
        for problem in problems:
            self._line(f"[red]error:[/] {escape(str(problem))}")
        count = len(problems)
        self._line(f"[red]{count} problem{'' if count == 1 else 's'}[/]")

    def pending(self, late: Iterable[str]) -> None:
        """What is not ready yet."""
        for text in late:
            self._line(f"[yellow]not ready:[/] {escape(text)}")

    def standing(self, item: News, where: str) -> None:
        """Something that is wrong as things stand; `where` may be empty."""
        prefix = f"{escape(where)}: " if where else ""
        self._line(f"[yellow]warning:[/] {prefix}{escape(str(item))}")

    def news(self, item: News) -> None:
        """One thing that happened."""
        if self._quiet and item.level != "bad":
            return
        self._line(f"[dim]{_now()}[/] [{_STYLES[item.level]}]{escape(item.subject)}[/]: {escape(item.text)}")

    def edits(self, done: Iterable[str]) -> None:
        """What an edit of the files did."""
        for text in done:
            self._line(f"[dim]{_now()}[/] {escape(text)}")

    def overview(self, state: EdgeState, trials: Sequence[Trial]) -> None:
        """The Gateways with their listeners, what to try, and how to reach the API."""
        self._line("")
        if not state.gateways:
            urls = " and ".join(url for url in (state.url, state.https_url) if url)
            nothing = "No Gateway of a class that is served here is there, so nothing is served."
            self._line(f"The load balancer takes requests at {urls}." if urls else nothing)
        for line in table(state.gateways, self._table_width):
            self._line(line)
        shifted = [
            _shift(listener.port, listener.bound_port)
            for gateway in state.gateways
            for listener in gateway.listeners
            if listener.bound_port not in (None, listener.port)
        ]
        shifted += _shifted(state)
        for text in dict.fromkeys(shifted):
            self._line(f"[yellow]note:[/] {text}")
        if state.aws:
            self._line("")
            self.chain(state.chain)
        if trials:
            self._line("\nTry:")
            width = max(len(trial.command) for trial in trials)
            width = width if width <= 60 else 0
            for trial in trials:
                self._line(f"  {escape(trial.command.ljust(width))}  [dim]# {escape(trial.leads_to)}[/]")
        self._line("\nIn another terminal:")
        self._line(f"  export KUBECONFIG={shlex.quote(state.kubeconfig)}")
        if state.https_url:
            self._line(f"  export EDGE_CA={shlex.quote(state.ca)}")
        if state.aws:
            self._line("  unset AWS_PROFILE AWS_SESSION_TOKEN")  # those of a real account would win
        for name, value in state.aws.environment.items() if state.aws else ():
            self._line(f"  export {name}={shlex.quote(value)}")
        if state.aws and state.aws.dns:
            self._line(f"  export EDGE_DNS={shlex.quote(state.aws.dns)}")
        self._line("\nCtrl-C takes it all down.\n")

    def chain(self, hops: Sequence[Hop]) -> None:
        """The way of a request as a tree."""
        if not hops:
            self._line("Nothing is there that a client could reach: no load balancer and no Gateway.")
            return
        from gatewright.edge.chain import lines  # here, since this module is to be quick to import

        for line in lines(hops, lambda hop, text: f"[{_HEALTH[hop.health]}]{escape(text)}[/]"):
            self._line(line)

    def _line(self, text: str) -> None:
        # Long lines are for the terminal to wrap, so that what is copied from it stays whole.
        self._console.print(text, soft_wrap=True, highlight=False)


def _shifted(state: EdgeState) -> Iterator[str]:
    """Where the front-most load balancers are really open, where that isn't where AWS says."""
    in_front = {address: f"{hop.kind} {hop.name}" for hop in state.chain for address in hop.address.split(", ")}
    for told, real in state.aws.open_at.items() if state.aws else ():
        (address, _, port), (real_address, _, real_port) = told.rpartition(":"), real.rpartition(":")
        if told == real or address not in in_front:
            continue
        if address == real_address:
            yield _shift(port, real_port)
        else:
            yield f"{told} of {in_front[address]} is open at {real}: this system has no address {address}"


def _shift(port: int | str, bound: int | str | None) -> str:
    return f"port {port} is open as {bound}: {port} is in use, or not ours to bind"


def table(gateways: Sequence[GatewayState], width: int | None = None) -> list[str]:
    """The Gateways with their listeners as lines of rich markup.

    Where the conditions don't fit into `width` columns they get lines of their own; nothing is cut or broken.
    """
    rows: list[tuple[list[str], tuple[ConditionState, ...]]] = []
    for gateway in gateways:
        name, address = f"{gateway.namespace}/{gateway.name}", ", ".join(gateway.addresses) or gateway.address or "none"
        rows.append(([name, gateway.class_name, address, "", ""], gateway.conditions))
        for listener in gateway.listeners:
            port = f"{listener.protocol} {listener.port}"
            name = f"{listener.listener_set}/{listener.name}" if listener.listener_set else listener.name
            cells = [f"  {name}", port, listener.url or "not served", listener.hostname or "*"]
            rows.append(([*cells, str(listener.attached_routes)], listener.conditions))
    if not rows:
        return []
    *titles, last = _COLUMNS
    widths = [max(len(cells[column]) for cells in (titles, *(cells for cells, _ in rows))) for column in range(5)]
    plain = [" ".join(_words(conditions)) for _, conditions in rows]
    whole = sum(widths) + len(_GAP) * len(widths) + max(map(len, plain))
    beside = width is None or whole <= width
    lines = [f"[bold]{_row(titles, widths)}{_GAP + last if beside else ''}[/]"]
    for cells, conditions in rows:
        text = escape(_row(cells, widths))
        words = " ".join(_words(conditions, colour=True))
        indent = "      " if cells[0].startswith(" ") else "    "
        lines += [text + _GAP + words] if beside else [text.rstrip(), indent + words]
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    last = len(cells) - 1
    return _GAP.join(
        cell.rjust(size) if number == last else cell.ljust(size)
        for number, (cell, size) in enumerate(zip(cells, widths, strict=True))
    )


def _words(conditions: Iterable[ConditionState], *, colour: bool = False) -> Iterator[str]:
    """A word a condition: its type where it is as it should be, with the reason where it isn't."""
    for condition in conditions:
        negative = condition.type in NEGATIVE
        if negative and condition.status != "True":
            continue
        good = (condition.status == "True") != negative
        word = condition.type if good else f"{condition.type}={condition.reason}"
        yield f"[{'green' if good else 'red'}]{escape(word)}[/]" if colour else word


def _now() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")


def _later(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """Call something later, where an event loop runs; returns what calls it off."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return lambda: None
    return loop.call_later(seconds, call).cancel
