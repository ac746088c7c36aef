"""Ingress groups as owners of load balancers: finalizers, events and addresses, and names that are looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Final, Literal

import structlog

from gatewright.aws import Aws, AwsError, views
from gatewright.aws.errors import Invalid, NotFound
from gatewright.aws.ingress import IngressGroup
from gatewright.cluster import Client, ClusterError, Reconciler, end
from gatewright.edge.events import Events
from gatewright.edge.finalizers import add_finalizer, remove_finalizer
from gatewright.edge.gateways.gateways import DRIFT
from gatewright.edge.gateways.ingresspipeline import IngressOutcome, IngressSide, outcomes
from gatewright.edge.gateways.outcomes import Provisioned
from gatewright.edge.gateways.owners import Standing
from gatewright.flow import Change, Collection, Source
from gatewright.model.meta import Key
from gatewright.model.networking import CLASS_ANNOTATION, Ingress, IngressClass
from gatewright.resolve import Inputs

FINALIZER: Final = "ingress.k8s.aws/resources"
"""On an Ingress by itself while AWS holds something of it; the AWS controller's own."""

GROUP_FINALIZER: Final = "group.ingress.k8s.aws/"
"""On an Ingress of a group, with the group's name after it."""

_INTERVAL = 0.1  # seconds between two writes of one Ingress
_SETTLE = 0.05  # seconds without news after which they are written
_RETRY = 10.0  # seconds until a name that AWS didn't know is looked up again
_AGAIN = 300.0  # seconds until any name is

_log = structlog.get_logger(__name__)


def finalizer(group: Key) -> str:
    """That of the Ingresses of a group."""
    return FINALIZER if group.namespace else f"{GROUP_FINALIZER}{group.name}"


def held_by(ingress: Ingress) -> list[Key]:
    """The groups whose finalizers an Ingress has."""
    found = []
    for each in ingress.metadata.finalizers:
        if each == FINALIZER:
            found.append(ingress.key)
        elif each.startswith(GROUP_FINALIZER):
            found.append(Key("", each.removeprefix(GROUP_FINALIZER)))
    return found


class IngressOwners:
    """The groups of Ingresses. What came of them is `provisioned`.

    An Ingress that leaves a group which others stay in is let go once its rules are gone from the load balancer.
    """

    def __init__(self, client: Client, events: Events, inputs: Inputs, side: IngressSide) -> None:
        self.provisioned: Source[Key, Provisioned] = inputs.flow.source("load balancers of ingresses as they are")
        self._client = client
        self._events = events
        self._side = side
        self._ingresses = side.sources.ingresses
        self._held = self._ingresses.index(lambda _, each: held_by(each))
        self._provided_for: dict[Key, frozenset[Key]] = {}  # by group whom its load balancer is being made for
        self._letting_go: set[asyncio.Task[None]] = set()

    def all(self) -> list[Key]:
        """Those that have members, and those whose finalizer is on an Ingress."""
        return [*self._side.ingresses.groups, *self._held.keys()]

    def standing(self, key: Key) -> Standing:
        """A group that nobody can be said to have left stays as it is: a class may be gone by mistake."""
        if key in self._side.ingresses.groups:
            return "wanted"
        return "kept" if any(self._undecided(each) for each in self._held.lookup(key)) else "gone"

    def _undecided(self, ingress: Ingress) -> bool:
        """Whether an Ingress that isn't in its group any more can't be said to have left it."""
        if ingress.deleting:
            return False
        member = self._side.ingresses.members.get(ingress.key)
        if member is not None:
            return member.group is None
        name = ingress.spec.ingress_class_name
        unnamed = name is None or CLASS_ANNOTATION in ingress.metadata.annotations
        return not unnamed and Key("", name or "") not in self._side.sources.classes

    def _members(self, key: Key) -> list[Ingress]:
        group = self._side.ingresses.groups.get(key)
        found = (self._ingresses.get(member) for member in group.members) if group else ()
        return [each for each in found if each]

    async def hold(self, key: Key) -> None:
        """Put the group's finalizer on its Ingresses. Raises `ClusterError`."""
        members = self._members(key)
        self._provided_for[key] = frozenset(each.key for each in members)
        for each in members:
            if finalizer(key) not in each.metadata.finalizers:
                await add_finalizer(self._client, each, finalizer(key))

    async def release(self, key: Key) -> None:
        """Take the group's finalizer from all Ingresses that have it. Raises `ClusterError`."""
        self._provided_for.pop(key, None)
        await self._let_go(key, frozenset())

    async def _let_go(self, key: Key, staying: frozenset[Key]) -> None:
        for each in self._held.lookup(key):
            if each.key not in staying:
                await remove_finalizer(self._client, each, finalizer(key))
                self._events.forget(each)

    async def tell(
        self, key: Key, topic: str, told: set[tuple[str, str]], type_: Literal["Normal", "Warning"] = "Warning"
    ) -> None:
        """As events of the group's Ingresses, and of those that it still holds."""
        members = {each.key: each for each in (*self._members(key), *self._held.lookup(key))}
        for _, each in sorted(members.items()):
            await self._events.tell(each, topic, told, type_)

    def reports_drift(self, key: Key) -> bool:
        """Whether an Ingress of the group is annotated to say so."""
        return any(each.metadata.annotations.get(DRIFT) == "report" for each in self._members(key))

    def publish(self, key: Key, provisioned: Provisioned | None) -> None:
        """Write it to `provisioned`."""
        if provisioned is None:
            self.provisioned.delete(key)
            return
        self.provisioned.set(key, provisioned)
        staying = self._provided_for.get(key)
        if staying is None or provisioned.problem or self.standing(key) != "wanted":
            return
        if any(each.key not in staying for each in self._held.lookup(key)):
            task = asyncio.create_task(self._leave(key, staying))
            self._letting_go.add(task)
            task.add_done_callback(self._letting_go.discard)

    async def _leave(self, key: Key, staying: frozenset[Key]) -> None:
        try:
            await self._let_go(key, staying)
        except ClusterError as error:
            _log.warning("an Ingress was not let go", group=str(key), error=str(error))

    async def idle(self) -> None:
        """Return when nobody is being let go."""
        while self._letting_go:
            await asyncio.wait(set(self._letting_go))

    def watch(self, enqueue: Callable[[Key], None]) -> None:
        """Tell `enqueue` of each group to look at whose members came, went or were held, from now on."""

        def groups_changed(changes: list[Change[Key, IngressGroup]]) -> None:
            for change in changes:
                enqueue(change.key)

        def ingresses_changed(changes: list[Change[Key, Ingress]]) -> None:
            for _, old, new in changes:
                if _standing(old) != _standing(new):
                    for group in {group for each in (old, new) if each for group in held_by(each)}:
                        enqueue(group)

        def classes_changed(_: list[Change[Key, IngressClass]]) -> None:
            for key in self.all():
                enqueue(key)

        self._side.ingresses.groups.subscribe(groups_changed)
        self._ingresses.subscribe(ingresses_changed)
        self._side.sources.classes.subscribe(classes_changed)


def _standing(ingress: Ingress | None) -> object:
    """What decides to which group an Ingress belongs, and which hold it."""
    if ingress is None:
        return None
    metadata = ingress.metadata
    return ingress.deleting, ingress.spec.ingress_class_name, metadata.annotations, metadata.finalizers


class IngressStatuses:
    """Writes the addresses of Ingresses, and events that tell what came of them (`async with`)."""

    def __init__(
        self,
        client: Client,
        events: Events,
        inputs: Inputs,
        side: IngressSide,
        provisioned: Collection[Key, Provisioned],
    ) -> None:
        self._client = client
        self._events = events
        self._ingresses = side.sources.ingresses
        self.outcomes: Collection[Key, IngressOutcome] = outcomes(inputs, side, provisioned)
        self._work: Reconciler[Key] = Reconciler(
            "status of an Ingress", self._write, interval=_INTERVAL, settle=_SETTLE
        )
        self._running = False
        self.outcomes.subscribe(self._changed)
        self._ingresses.subscribe(self._changed)

    async def __aenter__(self) -> IngressStatuses:
        self._running = True
        for key in self.outcomes:
            self._work.enqueue(key)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._work.__aexit__()

    async def idle(self) -> None:
        """Return when everything that is known to be needed has been written."""
        await self._work.idle()

    def _changed(self, changes: Iterable[Change[Key, Ingress]] | Iterable[Change[Key, IngressOutcome]]) -> None:
        for change in changes:
            if self._running and change.key in self.outcomes:
                self._work.enqueue(change.key)

    async def _write(self, key: Key) -> None:
        ingress, outcome = self._ingresses.get(key), self.outcomes.get(key)
        if ingress is None or outcome is None:
            return
        there = [each.hostname or each.ip for each in ingress.status.load_balancer.ingress]
        if outcome.hostname and there != [outcome.hostname]:
            status = {"loadBalancer": {"ingress": [{"hostname": outcome.hostname}]}}
            await self._client.patch(Ingress, key, {"status": status}, subresource="status")
        await self._events.tell(ingress, "ingress", set(outcome.warnings))
        await self._events.tell(ingress, "ingress news", set(outcome.news), "Normal")


class NameLookups:
    """Looks up the ARNs of web ACLs and target groups that Ingresses name (`async with`).

    A name that AWS doesn't know is looked up again, since it may come to be.
    """

    def __init__(self, aws: Aws, side: IngressSide) -> None:
        self._aws = aws
        self._side = side
        self._stirred = asyncio.Event()
        self._stack = AsyncExitStack()
        for names in (side.ingresses.web_acl_names, side.ingresses.target_group_names):
            names.subscribe(self._changed)

    async def __aenter__(self) -> NameLookups:
        async with AsyncExitStack() as stack:
            await self._look()
            task = asyncio.create_task(self._run(), name="names that Ingresses use")
            stack.push_async_callback(end, task)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _changed(self, _: list[Change[str, str]]) -> None:
        self._stirred.set()

    async def _run(self) -> None:
        while True:
            unknown = any(not arn for source in self._sources() for arn in source.values())
            missing = unknown or self._missing()
            everything = False
            try:
                async with asyncio.timeout(_RETRY if missing else _AGAIN):
                    await self._stirred.wait()
            except TimeoutError:
                everything = not missing
            self._stirred.clear()
            await self._look(everything=everything)

    def _sources(self) -> tuple[Source[str, str], Source[str, str]]:
        return self._side.sources.web_acls, self._side.sources.target_groups

    def _missing(self) -> bool:
        wanted = (self._side.ingresses.web_acl_names, self._side.ingresses.target_group_names)
        return any(name not in source for names, source in zip(wanted, self._sources(), strict=True) for name in names)

    async def _look(self, *, everything: bool = False) -> None:
        web_acls, target_groups = self._sources()
        names = self._side.ingresses
        await self._fill(web_acls, names.web_acl_names, self._web_acls, everything=everything)
        await self._fill(target_groups, names.target_group_names, self._target_groups, everything=everything)

    async def _fill(
        self,
        source: Source[str, str],
        names: Collection[str, str],
        look_up: Callable[[list[str]], Awaitable[dict[str, str]]],
        *,
        everything: bool,
    ) -> None:
        wanted = sorted(name for name in names if everything or not source.get(name))
        try:
            found = await look_up(wanted) if wanted else {}
        except AwsError as error:
            _log.warning("names could not be looked up", names=wanted, error=str(error))
            return
        known = {name: arn for name, arn in source.items() if name in names}
        source.replace(known | {name: found.get(name, "") for name in wanted})

    async def _web_acls(self, _: list[str]) -> dict[str, str]:
        found = await self._aws.pages("wafv2", "list_web_acls", "WebACLs", Scope="REGIONAL")
        return {each["Name"]: each["ARN"] for each in found}

    async def _target_groups(self, names: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in names:  # one that there isn't makes the whole call fail
            by = "TargetGroupArns" if name.startswith("arn:") else "Names"
            try:
                for each in await self._aws.pages("elbv2", "describe_target_groups", "TargetGroups", **{by: [name]}):
                    found[name] = each["TargetGroupArn"]
            except (NotFound, Invalid):
                continue
        tags = await views.tags_of(self._aws, [*found.values()])
        known = {name: each for name, each in self._side.sources.target_group_tags.items() if name not in names}
        self._side.sources.target_group_tags.replace(known | {name: tags.get(arn, {}) for name, arn in found.items()})
        return found
