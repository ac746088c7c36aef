"""The last lines of a container's log, and readers that wait for more."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

CAPACITY = 2000
"""How many lines of a container are kept."""


class LogQuery(Protocol):
    """What a reader asks for. `tail` is a number of last lines (None: all), `since` a number of seconds back."""

    @property
    def namespace(self) -> str:
        """The pod's namespace."""

    @property
    def pod(self) -> str:
        """The pod's name."""

    @property
    def container(self) -> str:
        """The container's name; empty for the pod's first."""

    @property
    def follow(self) -> bool:
        """Whether to go on with lines as they are written, until the container ends."""

    @property
    def previous(self) -> bool:
        """Whether the container's former run is asked for; none is kept."""

    @property
    def timestamps(self) -> bool:
        """Whether each line begins with its time."""

    @property
    def tail(self) -> int | None:
        """How many last lines; None for all."""

    @property
    def since(self) -> float | None:
        """How many seconds back; None for all."""


class Line(NamedTuple):
    """One line of a log, without its line ending, and when it was written (seconds since the epoch)."""

    number: int
    at: float
    text: str


class ContainerLog:
    """A ring of lines. Writing costs the same whether or not someone follows."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._lines: deque[Line] = deque(maxlen=capacity)
        self._written = 0
        self._closed = False
        self._followers: set[asyncio.Event] = set()

    def write(self, text: str) -> None:
        """Add one line; a line ending within becomes lines of its own."""
        now = time.time()
        for part in text.splitlines() or ("",):
            self._lines.append(Line(self._written, now, part))
            self._written += 1
        for follower in self._followers:
            follower.set()

    def close(self) -> None:
        """End the readers that follow; the lines stay readable."""
        self._closed = True
        for follower in self._followers:
            follower.set()

    async def read(self, query: LogQuery) -> AsyncIterator[bytes]:
        """The lines that `query` asks for, each with its line ending."""
        after = 0.0 if query.since is None else time.time() - query.since
        lines = [line for line in self._lines if line.at >= after]
        if query.tail is not None:
            lines = lines[max(0, len(lines) - query.tail) :]
        reached = self._written
        if lines:
            yield _render(lines, query.timestamps)
        if not query.follow:
            return
        more = asyncio.Event()
        self._followers.add(more)
        try:
            while True:
                lines = [line for line in self._lines if line.number >= reached]
                reached = self._written
                if lines:
                    yield _render(lines, query.timestamps)
                elif self._closed:
                    return
                else:
                    await more.wait()
                more.clear()
        finally:
            self._followers.discard(more)


def _render(lines: list[Line], timestamps: bool) -> bytes:
    if not timestamps:
        return "".join(f"{line.text}\n" for line in lines).encode("utf-8", "replace")
    return "".join(f"{_time(line.at)} {line.text}\n" for line in lines).encode("utf-8", "replace")


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
