"""Target groups and load balancers as AWS has them, kept up to date with few calls."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from gatewright.aws import Aws, AwsError, Invalid, NotFound
from gatewright.aws.views import (
    TargetGroup,
    TargetHealth,
    load_balancers,
    network_interfaces,
    target_group_by_arn,
    target_group_by_name,
    target_groups_tagged,
    target_health,
)
from gatewright.edge.targets import Balancer, TargetKey
from gatewright.model.edgebinding import TargetGroupReference

_LONGEST_PAUSE = 30.0  # seconds
_AT_ONCE = 100  # targets a call
_ELSEWHERE = "all"  # the zone of targets outside of the VPC
_SETTLED = ("healthy", "unused", "unavailable")

_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """How often AWS is asked, in seconds: `interval` for health in steady state, `fast` while it is about to change,

    `resync` for everything else.
    """

    interval: float = 10.0
    fast: float = 1.0
    resync: float = 60.0


class Found(NamedTuple):
    """What a reference leads to; `reason` and `message` say why it leads nowhere."""

    group: TargetGroup | None
    reason: str = ""
    message: str = ""


class TargetGroups:
    """Finds target groups and polls the health of their targets while it runs (`async with`).

    One DescribeTargetHealth a group and interval: `pace.fast` after a change, and then slower and slower, down to
    `pace.interval`, which is kept where all is well. `changed` is called when a group's health, or the problem that
    keeps it from being read, is another one.
    """

    def __init__(self, aws: Aws, pace: Pace, changed: Callable[[], None]) -> None:
        self._aws = aws
        self._pace = pace
        self._changed = changed
        self.health: dict[str, dict[TargetKey, TargetHealth] | None] = {}
        """By ARN of each group that is watched and known; None for one that doesn't exist."""
        self.problems: dict[str, AwsError] = {}
        """Why the health of a group couldn't be read the last time."""
        self._since: dict[str, float] = {}  # when its health changed last
        self._found: dict[bytes, tuple[Found, float, float]] = {}  # read when, and missing since when
        self._polls: dict[str, asyncio.Task[None]] = {}
        self._news: dict[str, asyncio.Event] = {}  # by group: its health changed

    async def __aenter__(self) -> TargetGroups:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.watch(())

    async def find(self, reference: TargetGroupReference, *, settled: bool = True) -> Found:
        """The group that a reference names. It is asked for anew after a while, which is shorter unless `settled`.

        One that isn't there may be about to be made: that is looked at often in the beginning.
        """
        key = msgspec.json.encode(reference, order="sorted")
        now = asyncio.get_running_loop().time()
        found, read, missing = self._found.get(key, (None, 0.0, now))
        if found and found.group:
            patience = self._pace.resync if settled else self._pace.interval
        else:
            patience = min(self._pace.interval, max(self._pace.fast, (now - missing) / 10))
        if found is None or now - read >= patience:
            found = await self._find(reference)
            self._found[key] = found, now, now if found.group else missing
        return found

    async def _find(self, reference: TargetGroupReference) -> Found:
        if reference.tags:
            several = await target_groups_tagged(self._aws, reference.tags)
            tags = ", ".join(f"{key}={value}" for key, value in sorted(reference.tags.items()))
            if len(several) > 1:
                names = ", ".join(group.name for group in several)
                message = f"{len(several)} target groups have the tags {tags} ({names}); name tags that only one has"
                return Found(None, "TargetGroupAmbiguous", message)
            if several:
                return Found(several[0])
            return Found(None, "TargetGroupNotFound", f"no target group of this account and region has the tags {tags}")
        if reference.arn:
            group = await target_group_by_arn(self._aws, reference.arn)
        else:
            group = await target_group_by_name(self._aws, reference.name or "")
        if group:
            return Found(group)
        named = reference.arn or reference.name
        return Found(None, "TargetGroupNotFound", f"target group {named} doesn't exist in this account and region")

    def forget(self) -> None:
        """Ask for every group anew the next time."""
        self._found.clear()

    async def watch(self, arns: Iterable[str]) -> None:
        """Poll these groups, and no others."""
        wanted = set(arns)
        stopped = [self._polls.pop(arn) for arn in list(self._polls) if arn not in wanted]
        for task in stopped:
            task.cancel()
        for task in stopped:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for of in (self.health, self.problems, self._since, self._news):
            for arn in [arn for arn in of if arn not in wanted]:
                del of[arn]
        for arn in wanted - self._polls.keys():
            self._news[arn] = asyncio.Event()
            self._polls[arn] = asyncio.create_task(self._poll(arn), name=f"health of {arn}")

    async def refresh(self, arn: str) -> None:
        """Read a group's health now. Raises AwsError."""
        try:
            found: dict[TargetKey, TargetHealth] | None = {
                TargetKey(arn, each.target.id, each.target.port): each for each in await target_health(self._aws, arn)
            }
        except NotFound:
            found = None
            self.forget()
        except AwsError as error:
            known = self.problems.get(arn)
            self.problems[arn] = error
            if known is None or known.code != error.code:
                self._changed()
            raise
        told = self.problems.pop(arn, None)
        if arn not in self.health or self.health[arn] != found or told:
            self.health[arn] = found
            self._since[arn] = asyncio.get_running_loop().time()
            if arn in self._news:
                self._news[arn].set()
            self._changed()

    async def register(self, targets: Iterable[TargetKey]) -> None:
        """Register targets. One that AWS refuses by itself is tried as one outside of the VPC. Raises AwsError.

        For those AWS wants the zone `all` (ELBv2 API, TargetDescription), and who isn't told the VPC's networks can't
        know which they are.
        """
        for arn, some in _batches(targets):
            try:
                await self._change("register_targets", arn, [_described(key) for key in some])
            except Invalid:
                for key in some:
                    try:
                        await self._change("register_targets", arn, [_described(key)])
                    except Invalid as error:
                        try:
                            await self._change("register_targets", arn, [_described(key, _ELSEWHERE)])
                        except Invalid:
                            raise error from None

    async def deregister(self, targets: Iterable[TargetKey]) -> None:
        """Deregister targets. Raises AwsError."""
        for arn, some in _batches(targets):
            listed = self.health.get(arn) or {}
            elsewhere = {key for key, health in listed.items() if health.target.zone == _ELSEWHERE}
            members = [_described(key, _ELSEWHERE if key in elsewhere else "") for key in some]
            await self._change("deregister_targets", arn, members)

    async def _change(self, operation: str, arn: str, members: list[dict[str, Any]]) -> None:
        """Nothing where the target group is gone, which is known then."""
        _log.info(operation.replace("_", " "), target_group=arn, targets=members)
        try:
            await self._aws.call("elbv2", operation, TargetGroupArn=arn, Targets=members)
        except NotFound:
            self.forget()
            await self.refresh(arn)
            if self.health.get(arn) is not None:
                raise

    async def _poll(self, arn: str) -> None:
        failures = 0
        if arn in self.health:
            await self._wait(arn)
        while True:
            try:
                await self.refresh(arn)
            except AwsError as error:
                failures += 1
                _log.warning("the health of targets can't be read", target_group=arn, error=str(error))
                pause = min(_LONGEST_PAUSE, self._pace.fast * 2**failures) * random.uniform(0.5, 1.0)  # noqa: S311
                await asyncio.sleep(pause)
            else:
                failures = 0
                await self._wait(arn)

    async def _wait(self, arn: str) -> None:
        """Wait until the next poll, which is soon where targets are registered meanwhile: their checks begin at once."""
        news = self._news[arn]
        news.clear()
        try:
            async with asyncio.timeout(self._pause(arn)):
                await news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._pause(arn))

    def _pause(self, arn: str) -> float:
        targets = self.health.get(arn) or {}
        if all(health.state in _SETTLED for health in targets.values()):
            return self._pace.interval
        age = asyncio.get_running_loop().time() - self._since.get(arn, 0.0)
        return min(self._pace.interval, max(self._pace.fast, age / 10))


def _batches(targets: Iterable[TargetKey]) -> Iterator[tuple[str, list[TargetKey]]]:
    """Targets by group, as many as go into a call."""
    by_group: dict[str, list[TargetKey]] = {}
    for key in targets:
        by_group.setdefault(key.group, []).append(key)
    for arn, members in by_group.items():
        for start in range(0, len(members), _AT_ONCE):
            yield arn, members[start : start + _AT_ONCE]


def _described(key: TargetKey, zone: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"Id": key.id, "Port": key.port}
    return {**found, "AvailabilityZone": zone} if zone else found


class Balancers:
    """Load balancers by DNS name. One that is known is asked for again after a while, to see its addresses change."""

    def __init__(self, aws: Aws, pace: Pace) -> None:
        self._aws = aws
        self._pace = pace
        self._found: dict[str, tuple[Balancer | None, float, float]] = {}  # read when; without addresses since when

    async def find(self, names: Iterable[str], *, settled: bool = True) -> Mapping[str, Balancer | None]:
        """Those of `names`; None for a name that no load balancer has. Raises AwsError.

        elbv2:DescribeLoadBalancers once, ec2:DescribeNetworkInterfaces once for each that isn't known.
        """
        wanted = set(names)
        now = asyncio.get_running_loop().time()
        unknown = {name for name in wanted if not self._is_known(name, now, settled)}
        if unknown:
            by_name = {each.dns_name.lower(): each for each in await load_balancers(self._aws)}
            for name in sorted(unknown):
                _, _, missing = self._found.get(name, (None, 0.0, now))
                each = by_name.get(name.rstrip(".").lower().removeprefix("dualstack."))
                found = None
                if each is not None:
                    interfaces = await network_interfaces(self._aws, each)
                    addresses = tuple(interface.address for interface in interfaces if interface.address)
                    found = Balancer(each.arn, each.type, addresses)
                self._found[name] = found, now, missing if found is None or not found.addresses else now
        return {name: self._found[name][0] for name in wanted}

    def _is_known(self, name: str, now: float, settled: bool) -> bool:
        if name not in self._found:
            return False
        found, read, missing = self._found[name]
        if found is None or not found.addresses:
            return now - read < min(self._pace.interval, max(self._pace.fast, (now - missing) / 10))
        return now - read < (self._pace.resync if settled else self._pace.interval)
