"""Gateways of the classes for ALBs and NLBs, brought about in AWS: everything that takes, put together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from gatewright.aws import Aws, AwsError
from gatewright.aws.stack.quotas import read_quotas
from gatewright.cluster import Client, Reflector, Reflectors, end
from gatewright.controller.statuses import StatusWriter
from gatewright.edge.binding.groups import Pace
from gatewright.edge.events import Events
from gatewright.edge.gateways.access import BackendAccess
from gatewright.edge.gateways.configurations import ConfigurationStatuses
from gatewright.edge.gateways.feedback import Feedback
from gatewright.edge.gateways.gateways import GatewayOwners
from gatewright.edge.gateways.health import TargetsHealth, WatchedGroup, troubles
from gatewright.edge.gateways.ingresses import IngressOwners, IngressStatuses, NameLookups
from gatewright.edge.gateways.ingresspipeline import IngressSide
from gatewright.edge.gateways.knowledge import Knowledge
from gatewright.edge.gateways.outcomes import Provisioned
from gatewright.edge.gateways.pipeline import Pipeline, Side
from gatewright.edge.gateways.provisioner import Provisioner
from gatewright.edge.gateways.readiness import ReadinessGates
from gatewright.edge.gateways.surroundings import SurroundingsWatch
from gatewright.flow import Change, Collection, Context
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key
from gatewright.resolve import Inputs

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Loop:
    """What runs for one side."""

    side: Side | IngressSide
    owners: GatewayOwners | IngressOwners
    provisioner: Provisioner
    statuses: StatusWriter | IngressStatuses


class GatewayLoadBalancers:
    """Gives every Gateway of class `gateway.k8s.aws/alb` or `nlb` its load balancer, while it runs (`async with`).

    `inputs` have to be kept equal to the cluster by somebody else (`controller.watches`); what only these Gateways need
    is watched here. Statuses of their objects are written here, too. AWS is read at the start, again every `resync`
    seconds, and what a failed call left in doubt.
    """

    def __init__(
        self,
        client: Client,
        aws: Aws,
        inputs: Inputs,
        *,
        cluster: str,
        vpc: str = "",
        resync: float = 300.0,
        pace: Pace = Pace(interval=60.0, fast=2.0),  # noqa: B008 - immutable
        linger: float = 60.0,
        tags: Mapping[str, str] | None = None,
        default_target_type: Literal["ip", "instance"] = "ip",
        gateways: bool = True,
        ingresses: bool = True,
        trust_store_bucket: str = "",
    ) -> None:
        """`pace`: seconds between two questions about targets' health. `linger`: seconds for which a load balancer that
        had to be replaced stays, until clients have learned the new one's name. Without the ID `vpc` tags tell it.
        `gateways`, `ingresses`: whether Gateways are served, and Ingresses of class alb. `trust_store_bucket` is one of
        S3 for the authorities of client certificates.
        """
        self._aws = aws
        self._inputs = inputs
        self._resync = resync
        self.pipeline = Pipeline(
            inputs,
            cluster=cluster,
            tags=tags,
            default_target_type=default_target_type,
            ingresses=ingresses,
            trust_store_bucket=trust_store_bucket,
        )
        self._events = Events(client, "gatewright")
        self._knowledge = Knowledge(aws, cluster, trust_store_bucket)
        ingress = self.pipeline.ingress
        sides = (*(self.pipeline.sides if gateways else ()), *([ingress] if ingress else ()))
        self._access = BackendAccess(
            aws, cluster, [side.balancers.access for side in sides], self._access_is_complete, self._access_told
        )
        self._surroundings = SurroundingsWatch(
            client,
            aws,
            self.pipeline.surroundings,
            cluster=cluster,
            vpc=vpc,
            resync=resync,
            missing=self._missing,
        )
        self._loops = [self._loop(client, aws, side, cluster, pace, linger) for side in sides]
        flow = inputs.flow
        self.groups: Collection[str, WatchedGroup] = flow.merge(
            "target groups of Gateways",
            *(flow.derive_many("target groups", loop.owners.provisioned, _groups) for loop in self._loops),
        )
        self.health = TargetsHealth(aws, flow, self.groups, pace)
        self.troubles = self._troubles()
        """By target group's ARN what is wrong with its targets, in words."""
        self._gates = ReadinessGates(client, self.pipeline.surroundings.pods, self.groups, self.health)
        self._configurations = ConfigurationStatuses(client, self.pipeline)
        self._names = NameLookups(aws, ingress) if ingress else None
        watched = self.pipeline.configurations.by_type | (ingress.sources.by_type if ingress else {})
        self._reflectors = Reflectors(*(Reflector(client, type_, source) for type_, source in watched.items()))
        self._stack = AsyncExitStack()
        inputs.gateways.subscribe(self._gateways_changed)
        inputs.gateway_classes.subscribe(self._classes_changed)
        self.troubles.subscribe(self._troubles_changed)
        self._telling: set[asyncio.Task[None]] = set()
        self._running = False

    def _loop(
        self, client: Client, aws: Aws, side: Side | IngressSide, cluster: str, pace: Pace, linger: float
    ) -> _Loop:
        inputs = self._inputs
        owners: GatewayOwners | IngressOwners
        statuses: StatusWriter | IngressStatuses
        if isinstance(side, IngressSide):
            owners = IngressOwners(client, self._events, inputs, side)
            statuses = IngressStatuses(client, self._events, inputs, side, owners.provisioned)
        else:
            owners = GatewayOwners(client, self._events, inputs, side.resolution, side.controller, side.kind)
            Feedback(inputs, side.resolution, side.balancers, owners.provisioned).write()
            statuses = StatusWriter(client, inputs, side.resolution, {side.controller})
        provisioner = Provisioner(
            aws,
            self._knowledge,
            self._access,
            side.balancers,
            owners,
            self.pipeline.surroundings.standing,
            cluster=cluster,
            kind=side.kind,
            poll=pace.fast,
            linger=linger,
        )
        for collection in (side.balancers.ports, side.balancers.blocked):
            collection.subscribe(self._stir)
        if isinstance(owners, IngressOwners):
            owners.watch(provisioner.enqueue)
        return _Loop(side, owners, provisioner, statuses)

    async def __aenter__(self) -> GatewayLoadBalancers:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reflectors)
            await stack.enter_async_context(self._surroundings)
            if self._names:
                await stack.enter_async_context(self._names)
            for loop in self._loops:
                await stack.enter_async_context(loop.statuses)
            await stack.enter_async_context(self._configurations)
            await stack.enter_async_context(self.health)
            await stack.enter_async_context(self._gates)
            stack.callback(self._stop)
            self._running = True
            await self._look()
            await stack.enter_async_context(self._access)
            for loop in self._loops:
                await stack.enter_async_context(loop.provisioner)
            task = asyncio.create_task(self._look_again(), name="load balancers of Gateways as AWS has them")
            stack.push_async_callback(end, task)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _stop(self) -> None:
        self._running = False
        for task in self._telling:
            task.cancel()

    @property
    def sides(self) -> tuple[Side, Side]:
        """The Gateways of either class, as they are resolved."""
        return self.pipeline.sides

    @property
    def provisioned(self) -> dict[Key, Provisioned]:
        """What AWS has, by Gateway."""
        return {key: found for loop in self._gateway_loops() for key, found in loop.owners.provisioned.items()}

    async def idle(self) -> None:
        """Return when everything that can be done for now is done and told."""
        while True:
            for loop in self._loops:
                await loop.provisioner.idle()
            await self._access.idle()
            await self._gates.idle()
            for loop in self._loops:
                await loop.statuses.idle()
                if isinstance(loop.owners, IngressOwners):
                    await loop.owners.idle()
            await self._configurations.idle()
            if not any(loop.provisioner.busy for loop in self._loops):
                return

    @property
    def settled(self) -> bool:
        """Whether there is nothing to do now, and nothing that waits for its time."""
        return not any(loop.provisioner.busy or loop.provisioner.waiting for loop in self._loops)

    async def caught_up(self) -> None:
        """Return once what only we watch is known as the cluster holds it at the time of the call."""
        await asyncio.gather(self._surroundings.caught_up(), self._reflectors.caught_up())

    def pending(self) -> Iterator[str]:
        """What is still on its way, in words."""
        waiting: dict[str, None] = {}
        for arn, group in self.groups.items():
            if not self.health.settled(arn):
                waiting[f"Gateway {group.owner}: the first health checks of {group.backend} are under way"] = None
        yield from waiting

    def look_for_certificates(self) -> None:
        """There is a new certificate in ACM, which may be the one that a listener waits for."""
        self._surroundings.look_for_certificates()

    async def look_again(self) -> None:
        """Take nothing of AWS for granted: read it anew, and put right what somebody changed."""
        await self._look()
        self._access.look_again()
        for loop in self._loops:
            loop.provisioner.look_again()

    # --- when there is something to do -------------------------------------------------------------------------------

    async def _look(self) -> None:
        try:
            quotas, _ = await asyncio.gather(read_quotas(self._aws), self._knowledge.look())
        except AwsError as error:
            _log.warning("AWS could not be read", error=str(error))
        else:
            for loop in self._loops:
                loop.provisioner.quotas = quotas

    async def _look_again(self) -> None:
        while True:
            await asyncio.sleep(self._resync)
            await self.look_again()

    def _gateways_changed(self, changes: Iterable[Change[Key, Gateway]]) -> None:
        for key, old, new in changes:
            if _standing(old) != _standing(new):
                for loop in self._gateway_loops():
                    loop.provisioner.enqueue(key)

    def _classes_changed(self, _: list[Change[Key, Any]]) -> None:
        for loop in self._gateway_loops():
            for key in loop.owners.all():
                loop.provisioner.enqueue(key)

    def _gateway_loops(self) -> list[_Loop]:
        return [loop for loop in self._loops if isinstance(loop.owners, GatewayOwners)]

    def _stir(self, _: list[Change[Any, Any]]) -> None:
        if self._running:
            self._surroundings.stir()

    def _access_is_complete(self) -> bool:
        """Whether every load balancer that AWS has says what it needs; one that stays as it is says nothing."""
        told = {(loop.side.kind, str(key)) for loop in self._loops for key in loop.side.balancers.access}
        return self._knowledge.looked and all((key.kind, key.id) in told for key in self._knowledge.stacks())

    def _access_told(self) -> None:
        """Those whose targets don't let their load balancers in are told."""
        for loop in self._loops:
            loop.provisioner.enqueue_all()

    def _missing(self) -> Iterator[str]:
        """What is said of ports and Gateways that something in AWS would put right."""
        for loop in self._loops:
            for key, told in loop.side.balancers.blocked.items():
                yield from (f"{key} {text}" for text in told)
            for port, problem in loop.side.balancers.ports.items():
                if problem:
                    yield f"{port} {problem}"

    # --- health ------------------------------------------------------------------------------------------------------

    def _troubles(self) -> Collection[str, tuple[str, ...]]:
        def of(ctx: Context, arn: str, group: WatchedGroup) -> tuple[str, ...] | None:
            found = ctx.get(self.health.health, arn)
            return (troubles(group, found) if found else ()) or None

        return self._inputs.flow.derive("unhealthy targets", self.groups, of)

    def _troubles_changed(self, changes: Iterable[Change[str, tuple[str, ...]]]) -> None:
        if not self._running:
            return
        for arn, _, told in changes:
            group = self.groups.get(arn)
            owners = next((loop.owners for loop in self._loops if group and _has(loop.owners, group)), None)
            if group is None or owners is None:
                continue
            words = {("UnhealthyTargets", text) for text in told or ()}
            task = asyncio.create_task(owners.tell(group.owner, f"health of {arn}", words))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)


def _standing(gateway: Gateway | None) -> object:
    """What decides whether a Gateway is to have a load balancer, besides what its stack says."""
    if gateway is None:
        return None
    return gateway.deleting, gateway.spec.gateway_class_name, gateway.metadata.annotations


def _has(owners: GatewayOwners | IngressOwners, group: WatchedGroup) -> bool:
    """Whether a target group is of one of these owners; a Gateway and an Ingress may have the same name."""
    found = owners.provisioned.get(group.owner)
    return found is not None and any(each.arn == group.arn for each in found.groups)


def _groups(_: Context, key: Key, found: Provisioned) -> dict[str, WatchedGroup]:
    return {group.arn: group for group in found.groups}
