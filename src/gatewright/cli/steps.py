"""How the steps of a platform are shown: live on a terminal, and line by line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from gatewright.platform.terraformlog import Run

_TOLD_SECONDS = 15.0
"""How often a run without a terminal says what it waits for, at most."""
_ADDRESSES = 200


class StepScreen:
    """Prints steps as they go (`gatewright.platform.steps.Progress`)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = console.is_terminal and not console.is_dumb_terminal
        self._status: Status | None = None
        self._title, self._head = "", ""
        self._start = self._told = 0.0
        self._last = ""

    def begin(self, number: int, count: int, title: str) -> None:
        """A step begins."""
        self._title, self._head = title, f"[{number}/{count}]"
        self._start = self._told = time.monotonic()
        self._last = ""
        if self._live:
            self._status = self._console.status(escape(f"{self._head} {title}"))
            self._status.start()
        else:
            self._print(escape(f"{self._head} {title} ..."))

    def doing(self, text: str) -> None:
        """What goes on within the step."""
        now = time.monotonic()
        passed = duration(now - self._start)
        if self._status is not None:
            room = max(20, self._console.width - 8)
            shown = f"{self._head} {self._title} ({passed}): {' '.join(text.split())}"
            self._status.update(escape(shown if len(shown) <= room else f"{shown[: room - 1]}…"))
        elif not self._live and text != self._last and now - self._told >= _TOLD_SECONDS:
            self._told, self._last = now, text
            self._print(escape(f"  {passed}: {text}"))

    def end(self, text: str, seconds: float) -> None:
        """The step is done."""
        self._clear()
        self._print(f"[green]✓[/] {escape(self._title)} [dim]({duration(seconds)})[/]  {escape(text)}")

    def stood(self, title: str) -> None:
        """The step was done before."""
        self._print(f"[green]✓[/] {escape(title)} [dim](stands)[/]")

    def failed(self, seconds: float) -> None:
        """The step ended without being done."""
        self._clear()
        self._print(f"[red]✗[/] {escape(self._title)} [dim]({duration(seconds)})[/]")

    def error(self, text: str, remedy: str = "") -> None:
        """Why the run ends, and what to do."""
        self._clear()
        self._print(f"[red]error:[/] {escape(text)}")
        if remedy and remedy not in text:
            self._print(f"[yellow]what to do:[/] {escape(remedy)}")

    def plan(self, plan: Run) -> None:
        """What Terraform would change."""
        self._clear()
        changes: Sequence[tuple[str, str]] = plan.changes
        for action, address in changes[:_ADDRESSES]:
            self._print(f"  {escape(action)} {escape(address)}")
        if len(changes) > _ADDRESSES:
            self._print(f"  and {len(changes) - _ADDRESSES} more")
        self._print(f"Terraform's plan: {escape(plan.summary() or 'nothing to change')}.")

    def line(self, text: str) -> None:
        """A line of its own."""
        self._clear()
        self._print(escape(text))

    def _clear(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _print(self, text: str) -> None:
        # Long lines are for the terminal to wrap, so that what is copied from it stays whole.
        self._console.print(text, soft_wrap=True, highlight=False)


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
