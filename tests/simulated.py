"""Time that passes only while somebody sleeps: what a test sees of it is the same on every machine."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, cast

P = ParamSpec("P")


class _Jumping(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing to do instead of waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self._jumped = 0.0
        selector = cast("Any", self)._selector
        select = selector.select

        def jump(timeout: float | None = None) -> Any:
            self._jumped += timeout or 0.0
            return select(0)

        selector.select = jump

    def time(self) -> float:
        return self._jumped


def simulated(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run it in simulated time; it must do no I/O, for which no time passes."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_Jumping) as runner:
            runner.run(test(*args, **kwargs))

    return run
