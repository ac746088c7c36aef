"""Moments at which a key has to be looked at again without anything having changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Timers(Generic[K]):
    """One timer a key; the earliest moment that was asked for counts."""

    def __init__(self, due: Callable[[K], None]) -> None:
        self._due = due
        self._timers: dict[K, asyncio.TimerHandle] = {}

    def set(self, key: K, seconds: float) -> None:
        """Have `due(key)` called in `seconds`, or sooner when an earlier moment is set."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(max(0.0, seconds), self._fire, key)

    def close(self) -> None:
        """Forget all."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self._due(key)
