"""Target groups and load balancers as AWS has them, kept up to date with few calls."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from gatewright.aws import Aws, AwsError, Invalid, NotFound
from gatewright.aws.permission import is_somebodys
from gatewright.aws.views import (
    TargetGroup,
    TargetHealth,
    load_balancers,
    network_interfaces,
    tags_of,
    target_group_by_arn,
    target_group_by_name,
    target_groups_tagged,
    target_health,
)
from gatewright.cluster import end
from gatewright.edge.binding.targets import Balancer, TargetKey
from gatewright.model.edgebinding import TargetGroupReference

_LONGEST_PAUSE = 30.0  # seconds
_AT_ONCE = 100  # targets a call
_REMEMBERED = 1000  # references to target groups
_REFUSALS = 5  # targets that AWS refuses before no more are tried for now
_ELSEWHERE = "all"  # the zone of targets outside of the VPC
_SETTLED = ("healthy", "unused", "unavailable")

_log = structlog.get_logger(__name__)


class Pace(NamedTuple):
    """Seconds between two questions to AWS about the same.

    `interval` for health in steady state, `fast` while it is about to change, `resync` for everything else.
    """

    interval: float = 10.0
    fast: float = 1.0
    resync: float = 60.0


class Found(NamedTuple):
    """What a reference leads to; `reason` and `message` say why it leads nowhere."""

    group: TargetGroup | None
    reason: str = ""
    message: str = ""
    tags: Mapping[str, str] = {}


def _choose(reference: TargetGroupReference, groups: Iterable[tuple[TargetGroup, Mapping[str, str]]]) -> Found:
    """The one of `groups`, which come with their tags, that a reference names."""
    if not reference.tags:
        named = reference.arn or reference.name
        for group, tags in groups:
            if named == (group.arn if reference.arn else group.name):
                return Found(group, tags=tags)
        return Found(None, "TargetGroupNotFound", f"target group {named} doesn't exist in this account and region")
    # Whoever may write a Service chooses tags of its target groups: they must not make a reference ambiguous.
    several = [
        (group, tags) for group, tags in groups if reference.tags.items() <= tags.items() and not is_somebodys(tags)
    ]
    wanted = ", ".join(f"{key}={value}" for key, value in sorted(reference.tags.items()))
    if len(several) > 1:
        names = ", ".join(group.name for group, _ in several)
        message = f"{len(several)} target groups have the tags {wanted} ({names}); name tags that only one has"
        return Found(None, "TargetGroupAmbiguous", message)
    if several:
        return Found(several[0][0], tags=several[0][1])
    return Found(None, "TargetGroupNotFound", f"no target group of this account and region has the tags {wanted}")


class _Catalog:
    """All target groups with their tags, as they were a moment ago.

    A look costs a call for every 20 of them, so the more there are the rarer it is: `fast` seconds a call.
    """

    def __init__(self, aws: Aws, fast: float) -> None:
        self._aws = aws
        self._fast = fast
        self._groups: list[tuple[TargetGroup, dict[str, str]]] = []
        self._read: float | None = None
        self._reading = asyncio.Lock()

    async def read(self, age: float) -> list[tuple[TargetGroup, dict[str, str]]]:
        """As they were at most `age` seconds ago, or longer where there are many; by name. Raises AwsError."""
        async with self._reading:
            now = asyncio.get_running_loop().time()
            if self._read is None or now - self._read >= max(age, len(self._groups) / 20 * self._fast):
                self._groups = await target_groups_tagged(self._aws, {})
                self._read = now
            return self._groups

    def forget(self) -> None:
        """Read them anew the next time."""
        self._read = None


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
        self._catalog = _Catalog(aws, pace.fast)
        self._asked = -_LONGEST_PAUSE  # when a single group was last asked for
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
            # Of many references, or such as lead nowhere, one look at all groups serves all.
            alone = found is None or found.group is not None
            if reference.tags or not alone or now - self._asked < self._pace.fast:
                found = _choose(reference, await self._catalog.read(min(patience, self._pace.interval)))
            else:
                self._asked = now
                found = await self._ask(reference)
            self._drop_unused(now)
            self._found[key] = found, now, now if found.group else missing
        return found

    def _drop_unused(self, now: float) -> None:
        """References that nobody makes any more."""
        if len(self._found) >= _REMEMBERED:
            kept = {key: entry for key, entry in self._found.items() if now - entry[1] < 2 * self._pace.resync}
            self._found = kept

    async def _ask(self, reference: TargetGroupReference) -> Found:
        if reference.arn:
            group = await target_group_by_arn(self._aws, reference.arn)
        else:
            group = await target_group_by_name(self._aws, reference.name or "")
        if group:
            return Found(group, tags=(await tags_of(self._aws, [group.arn])).get(group.arn, {}))
        return _choose(reference, ())

    def forget(self) -> None:
        """Ask for every group anew the next time."""
        self._found.clear()
        self._catalog.forget()

    async def watch(self, arns: Iterable[str]) -> None:
        """Poll these groups, and no others."""
        wanted = set(arns)
        stopped = [self._polls.pop(arn) for arn in list(self._polls) if arn not in wanted]
        await end(*stopped)
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
        know which they are. One that is refused keeps no others from being registered, but many of them aren't tried.
        """
        refusals: list[Invalid] = []
        for arn, some in _batches(targets):
            try:
                await self._change("register_targets", arn, [_described(key) for key in some])
            except Invalid:
                for key in some:
                    refusal = await self._register_alone(arn, key)
                    refusals += [refusal] if refusal else []
                    if len(refusals) >= _REFUSALS:
                        raise refusals[0] from None
        if refusals:
            raise refusals[0]

    async def _register_alone(self, arn: str, key: TargetKey) -> Invalid | None:
        try:
            await self._change("register_targets", arn, [_described(key)])
        except Invalid as error:
            try:
                await self._change("register_targets", arn, [_described(key, _ELSEWHERE)])
            except Invalid:
                return error
        return None

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
        """Wait until the next poll, which is soon where targets are registered meanwhile: they are checked at once."""
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

    def forget(self, names: Iterable[str]) -> None:
        """Ask for these anew the next time: their load balancers are probably gone."""
        for name in names:
            self._found.pop(name, None)

    def _is_known(self, name: str, now: float, settled: bool) -> bool:
        if name not in self._found:
            return False
        found, read, missing = self._found[name]
        if found is None or not found.addresses:
            return now - read < min(self._pace.interval, max(self._pace.fast, (now - missing) / 10))
        return now - read < (self._pace.resync if settled else self._pace.interval)
