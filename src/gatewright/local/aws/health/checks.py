"""When which target is checked; the verdicts become `CloudState.health`."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from ipaddress import IPv4Network
from typing import Self

import structlog

from gatewright.flow import Change
from gatewright.local.aws.health import thresholds
from gatewright.local.aws.health.plan import Check, plan
from gatewright.local.aws.health.probes import probe
from gatewright.local.aws.health.thresholds import INTERNAL_ERROR, Progress, Verdict
from gatewright.local.aws.state import CloudState, TargetHealth, TargetKey

_log = structlog.get_logger(__name__)

LEAST_INTERVAL = 0.02
"""Seconds between two checks of a target, at the least."""
AT_ONCE = 100
"""How many checks may be under way at once; further ones wait for their turn."""


class HealthChecks:
    """Checks targets for as long as it is entered, and writes the health of every target.

    `pace`: intervals are so many times shorter than the API says; timeouts are not, since real targets don't get faster
    with the clocks. A target is checked at once when it is registered, when its group gets into use, when the check
    itself is changed, and when something begins to listen.
    `network` is the VPC's: only where it is of loopback addresses anything but load balancers answers in it.
    """

    def __init__(self, state: CloudState, pace: float = 1.0, network: IPv4Network | None = None) -> None:
        self._state = state
        self._pace = pace
        self._plan = plan(state, network)
        self._checked: dict[TargetKey, _Checked] = {}
        self._waiting: deque[_Checked] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: dict[TargetKey, TargetHealth] = {}
        self._open = False
        self._plan.subscribe(self._planned)

    async def __aenter__(self) -> Self:
        self._open = True
        self._planned([Change(key, None, value) for key, value in self._plan.items()])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open = False
        for checked in self._checked.values():
            checked.stop()
        self._checked.clear()
        self._waiting.clear()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _planned(self, changes: list[Change[TargetKey, Check | TargetHealth]]) -> None:
        if not self._open:
            return
        with self._state.flow.batch():
            for key, _old, new in changes:
                if isinstance(new, Check):
                    self._check(key, new)
                    continue
                checked = self._checked.pop(key, None)
                if checked:
                    checked.stop()
                self._news.pop(key, None)
                if new is None:
                    self._state.health.delete(key)
                else:
                    self._state.health.set(key, new)

    def _check(self, key: TargetKey, check: Check) -> None:
        before = self._checked.get(key)
        progress = Progress()
        if before:
            before.stop()
            if before.check.registered_at == check.registered_at:
                progress = thresholds.reset(before.progress)
        self._checked[key] = checked = _Checked(key, check, progress)
        self._news.pop(key, None)
        self._state.health.set(key, progress.health)
        self._due(checked)

    def _due(self, checked: _Checked) -> None:
        if len(self._tasks) >= AT_ONCE:
            self._waiting.append(checked)
            return
        task = asyncio.create_task(self._once(checked))
        checked.task = task
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        while self._waiting and len(self._tasks) < AT_ONCE:
            checked = self._waiting.popleft()
            if not checked.stopped:
                self._due(checked)

    async def _once(self, checked: _Checked) -> None:
        check = checked.check
        loop = asyncio.get_running_loop()
        began = loop.time()
        self._progressed(checked, thresholds.begun(checked.progress))
        try:
            verdict: Verdict = await probe(check, check.timeout)
        except Exception:  # noqa: BLE001 - a defect here must not end the checks of the target
            _log.exception("a health check broke", group=checked.key.group, target=checked.key.id)
            verdict = INTERNAL_ERROR
        if checked.stopped:
            return
        before = checked.progress
        after = thresholds.after(before, verdict, check.healthy_threshold, check.unhealthy_threshold)
        self._progressed(checked, after)
        if after.state != before.state:
            _log.info(
                "target health",
                group=checked.key.group,
                target=f"{checked.key.id}:{checked.key.port}",
                state=after.state,
                description=after.health.description,
            )
        # What a target takes to answer doesn't move its next check, unless it takes longer than the interval.
        pause = max(check.interval / self._pace * checked.share(), LEAST_INTERVAL) - (loop.time() - began)
        checked.timer = loop.call_later(max(0.0, pause), self._due, checked)

    def _progressed(self, checked: _Checked, progress: Progress) -> None:
        changed = progress.health != checked.progress.health
        checked.progress = progress
        if not changed:
            return
        if not self._news:
            asyncio.get_running_loop().call_soon(self._tell)
        self._news[checked.key] = progress.health

    def _tell(self) -> None:
        """Write what changed in one batch: verdicts of many targets come together."""
        news, self._news = self._news, {}
        if not self._open:
            return
        with self._state.flow.batch():
            for key, health in news.items():
                self._state.health.set(key, health)


class _Checked:
    """A target that is checked."""

    __slots__ = ("_staggered", "check", "key", "progress", "stopped", "task", "timer")

    def __init__(self, key: TargetKey, check: Check, progress: Progress) -> None:
        self.key = key
        self.check = check
        self.progress = progress
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.stopped = False
        self._staggered = False

    def share(self) -> float:
        """How much of the interval the next check waits: the first time less, by target.

        So what was registered together isn't checked together for ever.
        """
        if self._staggered:
            return 1.0
        self._staggered = True
        return 0.5 + zlib.crc32(repr(self.key).encode()) / (1 << 33)

    def stop(self) -> None:
        """No further check, and no word of the one under way."""
        self.stopped = True
        if self.timer:
            self.timer.cancel()
        if self.task:
            self.task.cancel()
