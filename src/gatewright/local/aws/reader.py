"""Reads the API's state into `CloudState` whenever a call may have changed it, and where it changes with time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import structlog

from gatewright.local.aws import reading
from gatewright.local.aws.backends import LOCK
from gatewright.local.aws.state import CloudState, HostedZone

_log = structlog.get_logger(__name__)

_BALANCING = {"elbv2", "ec2"}
_NAMES = {"route53"}
_CERTIFICATES = {"acm", "iam", *_NAMES}
"""Records validate certificates."""
_FIREWALLS = {"wafv2", "elbv2"}
_AFTERWARDS = 0.001
"""Seconds: what is due at a moment has happened by then."""
_READ = _BALANCING | _CERTIFICATES | _FIREWALLS | _NAMES


class Reader:
    """Keeps `state` what the API says. All but `mark` belong to the loop's thread.

    Calls that come while it reads are read together, so a burst of them costs less than one read a call.
    """

    def __init__(self, state: CloudState) -> None:
        self._state = state
        self._lock = Lock()
        self._marked: set[str] = set()
        self._number = 0
        """How many marks there were."""
        self._read = 0
        """How many of them are in `state`."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._done = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "state-reader")  # its own: it never waits for anybody's calls
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self) -> None:
        """Begin to read."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop reading."""
        for timer in self._timers.values():
            timer.cancel()
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._loop = None
        self._thread.shutdown(wait=False)

    def mark(self, service: str) -> None:
        """Say that a call of `service`, by boto3's name, may have changed something; from any thread."""
        if service not in _READ:
            return
        with self._lock:
            self._marked.add(service)
            self._number += 1
        loop = self._loop
        if loop:
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._wake.set)

    async def settled(self) -> None:
        """Return when `state` has all that was marked."""
        number = self._number
        if self._read >= number:
            return
        async with self._done:
            await self._done.wait_for(lambda: self._read >= number)

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            with self._lock:
                marked, self._marked = self._marked, set()
                number = self._number
            if marked:
                try:
                    snapshot = loop.run_in_executor(self._thread, _snapshot, marked, time.monotonic())
                    self._write(*await snapshot)
                except Exception:  # noqa: BLE001 - whatever the API took, the next read may do better
                    _log.exception("the emulated AWS's state can't be read", services=sorted(marked))
            self._read = number
            async with self._done:
                self._done.notify_all()

    def _write(
        self,
        balancing: reading.Balancing | None,
        certificates: reading.Certificates | None,
        firewalls: reading.Firewalls | None,
        zones: dict[str, HostedZone] | None,
    ) -> None:
        state = self._state
        with state.flow.batch():
            if zones is not None:
                state.hosted_zones.replace(zones)
            if certificates is not None:
                state.certificates.replace(certificates.certificates)
            if firewalls is not None:
                state.web_acls.replace(firewalls.web_acls)
                state.associations.replace(firewalls.associations)
            if balancing is not None:
                state.target_groups.replace(balancing.target_groups)
                state.targets.replace(balancing.targets)
                state.rules.replace(balancing.rules)
                state.listeners.replace(balancing.listeners)
                state.load_balancers.replace(balancing.load_balancers)
        if balancing is not None:
            self._look_again("elbv2", balancing.drained_at)
        if certificates is not None:
            self._look_again("acm", certificates.issued_at)

    def _look_again(self, service: str, moment: float | None) -> None:
        """Something of `service` changes by itself then."""
        timer = self._timers.pop(service, None)
        if timer:
            timer.cancel()
        if moment is not None and self._loop:
            delay = max(0.0, moment - time.monotonic()) + _AFTERWARDS
            self._timers[service] = self._loop.call_later(delay, self.mark, service)


def _snapshot(
    services: set[str], now: float
) -> tuple[
    reading.Balancing | None, reading.Certificates | None, reading.Firewalls | None, dict[str, HostedZone] | None
]:
    with LOCK:
        return (
            reading.balancing(now) if services & _BALANCING else None,
            reading.certificates(now) if services & _CERTIFICATES else None,
            reading.firewalls() if services & _FIREWALLS else None,
            reading.hosted_zones() if services & _NAMES else None,
        )
