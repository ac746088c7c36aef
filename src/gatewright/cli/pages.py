"""What `gatewright up` shows: progress, problems, the table, and news as it happens."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gatewright.local.manifests import Problem
from gatewright.local.news import News
from gatewright.local.state import ConditionState, EdgeState, Trial

_STYLES = {"good": "green", "bad": "red", "info": "cyan"}


class Screen:
    """Prints to one console; colour and spinners on a terminal only. `quiet` leaves out what isn't a problem."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet

    @contextmanager
    def progress(self, what: str) -> Iterator[None]:
        """Show that something is going on."""
        if not self._console.is_terminal:
            if not self._quiet:
                self._line(f"{what} ...")
            yield
            return
        with self._console.status(what):
            yield

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
        """What has not become ready in time."""
        for text in late:
            self._line(f"[yellow]not ready:[/] {escape(text)}")

    def standing(self, problems: Iterable[News]) -> None:
        """What is wrong as things stand."""
        for item in problems:
            self._line(f"[yellow]warning:[/] {escape(str(item))}")

    def news(self, item: News) -> None:
        """One thing that happened."""
        if self._quiet and item.level != "bad":
            return
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        self._line(f"[dim]{now}[/] [{_STYLES[item.level]}]{escape(item.subject)}[/]: {escape(item.text)}")

    def edits(self, done: Iterable[str]) -> None:
        """What an edit of the files did."""
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        for text in done:
            self._line(f"[dim]{now}[/] {escape(text)}")

    def overview(self, state: EdgeState, trials: Sequence[Trial]) -> None:
        """The Gateways with their listeners, what to try, and how to reach the API."""
        self._line("")
        self._console.print(_gateways(state))
        shifted = [
            f"port {listener.port} is open as {listener.bound_port}"
            for gateway in state.gateways
            for listener in gateway.listeners
            if listener.bound_port not in (None, listener.port)
        ]
        for text in dict.fromkeys(shifted):
            self._line(f"[yellow]note:[/] {text}: this system doesn't let us bind it")
        if trials:
            self._line("\nTry:")
            for trial in trials:
                self._line(f"  {escape(trial.command)}  [dim]# {escape(trial.leads_to)}[/]")
        self._line("\nThe cluster:")
        self._line(f"  export KUBECONFIG={shlex.quote(state.kubeconfig)}")
        if state.https_url:
            self._line(f"  export EDGE_CA={shlex.quote(state.ca)}")
        self._line("\nCtrl-C takes it all down.\n")

    def _line(self, text: str) -> None:
        # Long lines are for the terminal to wrap, so that what is copied from it stays whole.
        self._console.print(text, soft_wrap=True, highlight=False)


def _gateways(state: EdgeState) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("GATEWAY", "CLASS", "LISTENER", "ADDRESS", "HOSTNAME", "ROUTES", "CONDITIONS"):
        table.add_column(column, overflow="fold", justify="right" if column == "ROUTES" else "left")
    for gateway in state.gateways:
        name = f"{gateway.namespace}/{gateway.name}"
        table.add_row(name, gateway.class_name, "", gateway.address or "none", "", "", _conditions(gateway.conditions))
        for listener in gateway.listeners:
            table.add_row(
                "",
                "",
                f"{listener.name} {listener.protocol} {listener.port}",
                listener.url or "not served",
                listener.hostname,
                str(listener.attached_routes),
                _conditions(listener.conditions),
            )
    return table


def _conditions(conditions: Iterable[ConditionState]) -> str:
    words = []
    for condition in conditions:
        if condition.type == "Conflicted" and condition.status != "True":
            continue
        good = (condition.status == "True") != (condition.type == "Conflicted")
        words.append(f"[green]{condition.type}[/]" if good else f"[red]{condition.type}={condition.reason}[/]")
    return " ".join(words)
