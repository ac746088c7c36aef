"""The health of the targets of our target groups, as AWS sees it: asked for often while it changes, rarely else."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable

import structlog
from msgspec import Struct

from gatewright.aws import Aws, AwsError, views
from gatewright.aws.errors import NotFound
from gatewright.aws.views import HealthCheck, Target, TargetHealth
from gatewright.cluster import end
from gatewright.edge.binding.groups import Pace
from gatewright.flow import Change, Collection, Flow, Source
from gatewright.model.meta import Key

_GROUPS_AN_INTERVAL = 20
"""How many target groups are asked about in one interval: with more of them each is asked about less often, since AWS
allows an account only so many calls."""
_NAMED = 5
"""How many targets a sentence names."""
_UNSETTLED = ("initial", "draining")

_log = structlog.get_logger(__name__)


class WatchedGroup(Struct, frozen=True):
    """A target group of ours. `backend` is what its targets are of, in words: `Service team/app:80`."""

    arn: str
    name: str
    owner: Key
    backend: str
    health_check: HealthCheck
    targets: frozenset[Target] = frozenset()
    """Those that are registered, as far as we know."""


class TargetsHealth:
    """Asks for the health of the targets of `groups`, by ARN, while it runs (`async with`): `health` is what it found.

    A group is asked for every `pace.fast` seconds while a target of it was just registered, or somebody `waits` for it,
    every `pace.interval` seconds else. Errors are logged, and what is known stays.
    """

    def __init__(self, aws: Aws, flow: Flow, groups: Collection[str, WatchedGroup], pace: Pace) -> None:
        self.health: Source[str, tuple[TargetHealth, ...]] = flow.source("health of targets")
        self.waited_for: frozenset[str] = frozenset()
        """ARNs of the groups whose targets somebody waits for."""
        self._aws = aws
        self._groups = groups
        self._pace = pace
        self._due: dict[str, float] = {}  # by ARN, in the loop's time
        self._queue: list[tuple[float, str]] = []
        self._stirred = asyncio.Event()
        self._running = False
        self._task: asyncio.Task[None] | None = None
        groups.subscribe(self._changed)

    async def __aenter__(self) -> TargetsHealth:
        self._running = True
        for arn in self._groups:
            self._schedule(arn, 0.0)
        self._task = asyncio.create_task(self._run(), name="health of targets")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        if self._task:
            await end(self._task)

    def settled(self, arn: str) -> bool:
        """Whether the targets that are registered have been checked, as far as AWS does."""
        group, found = self._groups.get(arn), self.health.get(arn)
        if group is None or not group.targets:
            return True
        if found is None:
            return False
        states = {(each.target.id, each.target.port): each.state for each in found}
        return all(states.get((target.id, target.port)) not in (None, *_UNSETTLED) for target in group.targets)

    def wait_for(self, arns: Iterable[str]) -> None:
        """Somebody waits for the targets of these groups, and of no others."""
        before, self.waited_for = self.waited_for, frozenset(arns)
        for arn in self.waited_for - before:
            self._schedule(arn, 0.0)

    def _changed(self, changes: Iterable[Change[str, WatchedGroup]]) -> None:
        for arn, old, new in changes:
            if new is None:
                self._due.pop(arn, None)
                self.health.delete(arn)
            elif old is None or old.targets != new.targets or old.health_check != new.health_check:
                self._schedule(arn, self._pace.fast)

    def _schedule(self, arn: str, seconds: float) -> None:
        if not self._running:
            return
        due = asyncio.get_running_loop().time() + seconds
        if due < self._due.get(arn, float("inf")):
            self._due[arn] = due
            heapq.heappush(self._queue, (due, arn))
            self._stirred.set()

    async def _run(self) -> None:
        while True:
            now = asyncio.get_running_loop().time()
            due = []
            while self._queue and self._queue[0][0] <= now:
                when, arn = heapq.heappop(self._queue)
                if self._due.get(arn) == when:
                    del self._due[arn]
                    due.append(arn)
            await asyncio.gather(*map(self._look, due))
            self._stirred.clear()
            pause = self._queue[0][0] - asyncio.get_running_loop().time() if self._queue else None
            try:
                async with asyncio.timeout(pause):
                    await self._stirred.wait()
            except TimeoutError:
                continue

    async def _look(self, arn: str) -> None:
        pause = max(self._pace.interval, len(self._groups) * self._pace.interval / _GROUPS_AN_INTERVAL)
        try:
            found = tuple(sorted(await views.target_health(self._aws, arn), key=lambda each: each.target))
        except NotFound:
            self.health.delete(arn)
        except AwsError as error:
            _log.warning("the health of targets could not be asked for", target_group=arn, error=str(error))
        else:
            if arn in self._groups:
                self.health.set(arn, found)
        if arn in self._groups:
            soon = arn in self.waited_for or not self.settled(arn)
            self._schedule(arn, self._pace.fast if soon else pause)


def troubles(group: WatchedGroup, health: Iterable[TargetHealth]) -> tuple[str, ...]:
    """What is wrong with targets, in words: one sentence for each reason, which names the targets and the check."""
    found: dict[str, list[str]] = {}
    for each in health:
        if each.state == "unhealthy":
            words = f"{each.reason}: {each.description}" if each.description else each.reason
            found.setdefault(words, []).append(f"{each.target.id}:{each.target.port}")
    return tuple(
        f"{group.backend}: unhealthy target{'s' if len(targets) > 1 else ''} {_listed(targets)}: {words}; "
        f"{_check(group.health_check)}"
        for words, targets in found.items()
    )


def _listed(targets: list[str]) -> str:
    more = len(targets) - _NAMED
    return ", ".join(targets[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check(check: HealthCheck) -> str:
    port = "" if check.port == "traffic-port" else f" on port {check.port}"
    expected = f", which has to be answered {check.matcher}" if check.matcher else ""
    if not check.path:
        return f"the health check is a {check.protocol} connection{port}"
    return f"the health check is {check.protocol} GET {check.path}{port}{expected}"
