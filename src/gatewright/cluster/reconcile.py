"""Level-triggered work: a key that was touched is brought to where it should be, from the newest state."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import ContextVar
from typing import Any, Generic, Protocol, TypeVar

import structlog

from gatewright.cluster.errors import ClusterError, Conflict, NotFound

K = TypeVar("K", bound=Hashable)

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE = 30.0  # seconds


_CANCEL_AGAIN = 0.5  # seconds


class Runs(Protocol):
    """Hears of what reconcilers do, each under its name; times are in seconds."""

    def enqueued(self, name: str) -> None:
        """A key waits for its run."""

    def began(self, name: str, waited: float) -> None:
        """A key that was enqueued doesn't wait any more."""

    def ended(self, name: str, took: float, error: Exception | None) -> None:
        """A run has come to its end; `error` is what it failed with."""


RUNS: ContextVar[Runs | None] = ContextVar("runs", default=None)
"""Who hears of the runs of reconcilers that are made in this context."""


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, and return when they have ended.

    Again and again: where something failed just before, `asyncio.gather` raises that instead of the cancellation, and
    who tries again then goes on.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN)


class Reconciler(Generic[K]):
    """Runs `reconcile(key)` for every key that is enqueued; a key enqueued during its run runs again after it.

    A run that fails with one of `transient` is repeated with growing pauses; a conflict or a missing object is not,
    since the watch that tells of it enqueues the key again.

    A key that has to be looked at again without anything having changed is enqueued for later.

    A burst costs few runs: they begin when nothing was enqueued for `settle` seconds, or when their key has waited for
    `longest`; and after a run its key rests for `interval` seconds.
    """

    def __init__(
        self,
        name: str,
        reconcile: Callable[[K], Awaitable[None]],
        *,
        concurrency: int = 8,
        interval: float = 0.0,
        settle: float = 0.0,
        longest: float = 1.0,
        transient: tuple[type[Exception], ...] = (ClusterError,),
    ) -> None:
        self._transient = transient
        self._name = name
        self._reconcile = reconcile
        self._interval = interval
        self._settle = settle
        self._longest = longest
        self._due: dict[K, float] = {}  # waiting keys -> when they have waited long enough; the first one first
        self._newest = 0.0  # when a key was last enqueued
        self._timer: asyncio.TimerHandle | None = None
        self._later: dict[K, asyncio.TimerHandle] = {}
        self._slots = asyncio.Semaphore(concurrency)
        self._again: dict[K, bool] = {}  # running keys -> whether they were enqueued since
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._runs = RUNS.get()
        self._since: dict[K, float] = {}  # keys that wait -> since when; kept where somebody hears of it

    def enqueue(self, key: K) -> None:
        """Ask for a run of `key`."""
        if self._runs and key not in self._since:
            self._since[key] = asyncio.get_running_loop().time()
            self._runs.enqueued(self._name)
        if key in self._again:
            self._again[key] = True
            return
        self._idle.clear()
        if not self._settle:
            self._start(key)
            return
        loop = asyncio.get_running_loop()
        self._newest = loop.time()
        self._due.setdefault(key, self._newest + self._longest)
        if self._timer is None:
            self._timer = loop.call_later(min(self._settle, self._longest), self._release)

    def enqueue_later(self, key: K, seconds: float) -> None:
        """Ask for a run of `key` in `seconds`; of several such moments the earliest counts."""
        loop = asyncio.get_running_loop()
        timer = self._later.get(key)
        if timer:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._later[key] = loop.call_later(max(0.0, seconds), self._due_now, key)

    def _due_now(self, key: K) -> None:
        del self._later[key]
        self.enqueue(key)

    def _release(self) -> None:
        """Start what is due; come again for the rest."""
        self._timer = None
        loop = asyncio.get_running_loop()
        now, settled = loop.time(), self._newest + self._settle
        while self._due:
            key, deadline = next(iter(self._due.items()))
            if now < min(settled, deadline):
                self._timer = loop.call_at(min(settled, deadline), self._release)
                return
            del self._due[key]
            self._start(key)

    def _start(self, key: K) -> None:
        self._again[key] = False
        task = asyncio.get_running_loop().create_task(self._run(key))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        """Whether anything is left to do."""
        return not self._idle.is_set()

    @property
    def waiting(self) -> bool:
        """Whether a key is enqueued for later, which keeps nobody from being idle."""
        return bool(self._later)

    async def idle(self) -> None:
        """Return when nothing is left to do."""
        await self._idle.wait()

    async def __aenter__(self) -> Reconciler[K]:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await end(*self._tasks)
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()

    async def _told(self, key: K) -> None:
        """A run, of which somebody hears."""
        assert self._runs
        clock = asyncio.get_running_loop().time
        began, error = clock(), None
        since = self._since.pop(key, None)
        if since is not None:
            self._runs.began(self._name, began - since)
        try:
            await self._reconcile(key)
        except Exception as failed:
            error = failed
            raise
        finally:
            self._runs.ended(self._name, clock() - began, error)

    async def _run(self, key: K) -> None:
        failures = 0
        while True:
            self._again[key] = False
            try:
                async with self._slots:
                    await self._told(key) if self._runs else await self._reconcile(key)
                failures = 0
            except (Conflict, NotFound):
                failures = 0
            except self._transient as error:
                failures += 1
                _log.warning("will be tried again", task=self._name, key=str(key), error=str(error))
            except Exception:  # noqa: BLE001 - one key must not stop the others
                _log.exception("reconciliation failed", task=self._name, key=str(key))
            if failures:
                await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2**failures))
            elif self._interval:
                await asyncio.sleep(self._interval)
            if not failures and (self._settle or not self._again[key]):
                break
        again = self._again.pop(key)
        if again:
            self.enqueue(key)
        elif not self._again and not self._due:
            self._idle.set()
