"""EdgeBindings: a Gateway's addresses as targets of a target group, for as long as the binding exists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatewright.aws import AccessDenied, Aws, AwsError
from gatewright.aws.permission import refusal, untagged
from gatewright.aws.views import TargetGroup
from gatewright.cluster import Client, ClusterError, Reconciler, Reflector
from gatewright.edge.binding.claims import Claims
from gatewright.edge.binding.groups import Balancers, Found, Pace, TargetGroups
from gatewright.edge.binding.health import Verdict, health_check_routable, traffic_mismatch, unserved
from gatewright.edge.binding.holds import ServiceHolds, ingress_names
from gatewright.edge.binding.status import Observed, edge_binding_status, failed_status, recorded, status_patch
from gatewright.edge.binding.targets import (
    STATUS_PORT,
    Plan,
    TargetKey,
    Wanted,
    by_endpoints,
    by_load_balancer,
    gateway_of,
    hostnames,
    open_ports,
    plan,
)
from gatewright.edge.finalizers import add_finalizer, remove_finalizer
from gatewright.flow import Change, Source
from gatewright.model.core import Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.edgebinding import FINALIZER, GROUP, EdgeBinding, EdgeBindingStatus
from gatewright.model.gateway.shared import GROUP as GATEWAY_API
from gatewright.model.meta import Key, Object, timestamp
from gatewright.resolve import Inputs, Resolution


class EdgeBindings:
    """Brings every EdgeBinding about while it runs (`async with`).

    What it registers it writes into the binding's status first, so that whoever comes after knows whose it is. AWS is
    asked for the health of the targets (see `TargetGroups`), rarely for anything else; a change of routes is judged
    without asking. `inputs` has to be kept equal to the cluster by somebody else. `patience` is how many seconds old
    targets wait for as many new ones to be healthy as they are themselves; then a single healthy one is enough.
    """

    def __init__(
        self,
        client: Client,
        aws: Aws,
        inputs: Inputs,
        resolution: Resolution,
        *,
        pace: Pace = Pace(),  # noqa: B008 - immutable
        patience: float = 300.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._aws = aws
        self._inputs = inputs
        self._resolution = resolution
        self._topology = resolution.topology
        self._pace = pace
        self._patience = patience
        self._now = now
        self.bindings: Source[Key, EdgeBinding] = inputs.flow.source("edge bindings")
        self._reflector = Reflector(client, EdgeBinding, self.bindings)
        self._groups = TargetGroups(aws, pace, self._enqueue_all)
        self._balancers = Balancers(aws, pace)
        self._holds = ServiceHolds(client, inputs, self._balancers, self._groups.health)
        self._work: Reconciler[Key] = Reconciler(
            "edge binding", self._reconcile, settle=0.02, longest=0.2, transient=(ClusterError, AwsError)
        )
        self._locks: dict[str, asyncio.Lock] = {}
        self._written: dict[Key, EdgeBinding] = {}  # as the API answered our last write: newer than what is watched
        self._wants: dict[Key, frozenset[TargetKey]] = {}
        self._claims = Claims()
        self._current: dict[Key, EdgeBinding] = {}  # the newest that is known of each
        self._watched: dict[Key, set[str]] = {}  # target groups by binding
        self._waiting: dict[Key, float] = {}  # since when, in the loop's time, old targets wait for new ones
        self._running = False
        self._stack = AsyncExitStack()
        topology = resolution.topology
        watched: list[Any] = [self.bindings, inputs.gateways, inputs.services, inputs.endpoint_slices]
        watched += [
            inputs.reference_grants,
            resolution.listeners,
            topology.listeners,
            topology.hosts,
            topology.placements,
            topology.streams,
        ]
        watched += [topology.misdirected, topology.certificates, topology.backends, topology.endpoints]
        self.bindings.subscribe(self._bindings_changed)
        inputs.services.subscribe(self._services_changed)
        for collection in watched:
            collection.subscribe(self._changed)

    def _services_changed(self, changes: Iterable[Change[Key, Service]]) -> None:
        """The load balancer of a Service goes before it; the Gateway's status may name it for a while yet."""
        gone = (change.old for change in changes if change.new is None and change.old)
        self._balancers.forget(ingress_names(gone))

    async def __aenter__(self) -> EdgeBindings:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reflector)
            await self._reflector.synced()
            await stack.enter_async_context(self._groups)
            await stack.enter_async_context(self._work)
            stack.callback(self._stop)
            self._running = True
            self._enqueue_all()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _stop(self) -> None:
        self._running = False

    async def idle(self) -> None:
        """Return when everything that can be done for now is done."""
        await self._work.idle()

    async def caught_up(self) -> None:
        """Return once every EdgeBinding is known as the cluster holds it at the time of the call."""
        await self._reflector.caught_up()

    def _bindings_changed(self, changes: list[Change[Key, EdgeBinding]]) -> None:
        for key, _, _ in changes:
            self._claim(key)

    def _changed(self, _: list[Change[Any, Any]]) -> None:
        self._enqueue_all()

    def _enqueue_all(self) -> None:
        if self._running:
            for key in self.bindings.keys() | self._wants.keys():
                self._work.enqueue(key)

    # --- one binding --------------------------------------------------------------------------------------------------

    async def _reconcile(self, key: Key) -> None:
        binding = self._newest(key)
        if binding is None:
            await self._forget(key)
            return
        if not binding.deleting and FINALIZER not in binding.metadata.finalizers:
            self._keep(await add_finalizer(self._client, binding, FINALIZER))
            return
        found = Found(None)
        try:
            wanted, found = await self._aim(binding) if not binding.deleting else (Wanted(final=True), Found(None))
            await self._settle(binding, wanted, found.group)
        except AwsError as error:
            why = str(error)
            if found.group and isinstance(error, AccessDenied):
                why = "; ".join(filter(None, (why, untagged(found.group.name, found.tags, binding.namespace))))
            problem = Verdict("Unknown" if error.retryable else "False", type(error).__name__, why)
            binding = self._newest(key) or binding
            await self._patch(binding, failed_status(binding, problem, self._time()))
            raise

    async def _settle(self, binding: EdgeBinding, wanted: Wanted, group: TargetGroup | None) -> None:
        """Bring AWS to what is wanted, and say so."""
        key = binding.key
        ours = recorded(binding)
        self._wants[key] = frozenset(wanted.targets)
        self._claim(key)
        groups = {target.group for target in ours} | ({group.arn} if group else set())
        await self._watch(key, groups)
        for arn in groups - self._groups.health.keys():
            await self._groups.refresh(arn)
        if not binding.deleting and binding.spec.via == "LoadBalancer" and self._permitted(binding):
            await self._holds.hold(gateway_of(binding))
        async with AsyncExitStack() as stack:
            for arn in sorted(groups):
                await stack.enter_async_context(self._locks.setdefault(arn, asyncio.Lock()))
            todo = self._plan(key, wanted, ours)
            if todo.record - ours:
                binding = await self._write(binding, self._observed(binding, wanted, todo, group))
            await self._groups.register(todo.register)
            await self._groups.deregister(todo.deregister)
            for arn in sorted({target.group for target in (*todo.register, *todo.deregister)}):
                await self._groups.refresh(arn)
            left = self._plan(key, wanted, recorded(binding))
        observed = self._observed(binding, wanted, left, group)
        binding = await self._write(binding, observed)
        await self._holds.release(self._all(), self._claims.own, self._may_refer)
        if binding.deleting and not left.record:
            self._keep(await remove_finalizer(self._client, binding, FINALIZER))
            return
        self._work.enqueue_later(key, self._pause(wanted, left, observed))

    def _pause(self, wanted: Wanted, left: Plan, observed: Observed) -> float:
        if left.register or left.deregister:
            return self._pace.fast  # somebody took away what was just done
        if wanted.reason in ("AddressNotFound", "NoAddress", "TargetGroupNotFound"):
            return self._pace.fast
        routable = observed.routable is not None and observed.routable.status == "True"
        return self._pace.resync if routable and not left.waiting and not wanted.reason else self._pace.interval

    def _plan(self, key: Key, wanted: Wanted, ours: frozenset[TargetKey]) -> Plan:
        now = asyncio.get_running_loop().time()
        since = self._waiting.get(key, now)
        peers = self._claims.peers(key, (*wanted.targets, *ours))
        todo = plan(wanted, ours, self._groups.health, peers=peers, overdue=now - since >= self._patience)
        if todo.waiting:
            self._waiting[key] = since
        else:
            self._waiting.pop(key, None)
        return todo

    def _claim(self, key: Key) -> None:
        """Keep up with what a binding has and wants, since the others have to know."""
        binding = self._newest(key)
        if binding is None:
            self._current.pop(key, None)
            self._claims.drop(key)
            return
        self._current[key] = binding
        own = recorded(binding)
        # One that hasn't been looked at yet still wants what it had.
        want = frozenset[TargetKey]() if binding.deleting else self._wants.get(key, own)
        self._claims.set(key, own, want)

    async def _watch(self, key: Key, groups: set[str]) -> None:
        """Poll the target groups of this binding, besides those of the others."""
        self._watched[key] = groups
        if not groups:
            del self._watched[key]
        await self._groups.watch(set[str]().union(*self._watched.values()))

    async def _forget(self, key: Key) -> None:
        """The binding is gone."""
        for of in (self._written, self._wants, self._waiting):
            of.pop(key, None)
        self._claim(key)
        await self._watch(key, set())
        await self._holds.release(self._all(), self._claims.own, self._may_refer)

    # --- what is wanted -----------------------------------------------------------------------------------------------

    async def _aim(self, binding: EdgeBinding) -> tuple[Wanted, Found]:
        """What the binding wants, and its target group. Raises AwsError."""
        key, reference = gateway_of(binding), binding.spec.aws.target_group
        found = await self._groups.find(reference, settled=self._is_settled(binding))
        group, gateway = found.group, self._inputs.gateways.get(key)
        refused = refusal(group.name, found.tags, binding.namespace) if group else ""
        if refused:
            # Nor is anything told of its other targets.
            return Wanted(reason="NotPermitted", message=refused, final=True), Found(None)
        if not self._permitted(binding):
            message = (
                f"no ReferenceGrant in namespace {key.namespace} lets EdgeBindings of namespace {binding.namespace} "
                f"refer to Gateway {key.name}; add one from group {GROUP}, kind EdgeBinding"
            )
            return Wanted(reason="RefNotPermitted", message=message, final=True), found
        if gateway is None or gateway.deleting:
            what = "doesn't exist" if gateway is None else "is being deleted"
            return Wanted(reason="GatewayNotFound", message=f"Gateway {key} {what}", final=True), found
        if group is None:
            return Wanted(reason=found.reason, message=found.message), found
        if group.target_type not in ("ip", "alb"):
            message = f"the targets of target group {group.name} are of type {group.target_type}, expected ip or alb"
            return Wanted(reason="WrongTargetType", message=message), found
        services = self._holds.by_gateway.lookup(key)
        if binding.spec.via == "Endpoints":
            return by_endpoints(binding, group, services, self._slices_of), found
        names = {*hostnames(gateway), *ingress_names(service for service in services if service.deleting)}
        balancers = await self._balancers.find(names, settled=self._is_settled(binding)) if names else {}
        return by_load_balancer(binding, group, gateway, services, balancers), found

    def _is_settled(self, binding: EdgeBinding) -> bool:
        return all(condition.status == "True" for condition in binding.status.conditions)

    def _permitted(self, binding: EdgeBinding) -> bool:
        """Whether the binding may refer to its Gateway."""
        return self._may_refer(binding.namespace, gateway_of(binding))

    def _may_refer(self, namespace: str, gateway: Key) -> bool:
        """Whether bindings of a namespace may refer to a Gateway: of their own one, or granted (ReferenceGrant)."""
        if gateway.namespace == namespace:
            return True
        return any(
            any((f.group, f.kind, f.namespace) == (GROUP, "EdgeBinding", namespace) for f in grant.spec.from_)
            and any(
                (to.group, to.kind) == (GATEWAY_API, "Gateway") and to.name in (None, "", gateway.name)
                for to in grant.spec.to
            )
            for grant in self._inputs.grants_by_namespace.lookup(gateway.namespace)
        )

    def _slices_of(self, service: Key) -> Iterable[EndpointSlice]:
        return self._inputs.slices_by_service.lookup(service)

    # --- what is said -------------------------------------------------------------------------------------------------

    def _observed(
        self,
        binding: EdgeBinding,
        wanted: Wanted,
        todo: Plan,
        group: TargetGroup | None,
    ) -> Observed:
        error = self._groups.problems.get(group.arn) if group else None
        return Observed(
            wanted,
            todo,
            group,
            dict(self._groups.health),
            self._routable(binding, group, wanted) if group else None,
            traffic_mismatch(self._topology, gateway_of(binding), binding.spec.port, group) if group else "",
            Verdict("Unknown", type(error).__name__, str(error)) if error else None,
        )

    def _routable(self, binding: EdgeBinding, group: TargetGroup, wanted: Wanted) -> Verdict:
        key, target = gateway_of(binding), next(iter(wanted.targets), None)
        if key in self._inputs.gateways and key not in self._resolution.gateways:
            message = f"Gateway {key} is of a class that somebody else serves, whose routes are not looked at here"
            return Verdict("Unknown", "ForeignGateway", message)
        services = self._holds.by_gateway.lookup(key)
        ports: dict[int, int] | None = None
        if services:
            ports = {port.port: port.port for service in services for port in service.spec.ports}
            if binding.spec.via == "Endpoints":
                ports = open_ports(services, self._slices_of)
        verdict = health_check_routable(
            self._topology,
            key,
            binding.spec.port,
            group,
            address=target.id if target else "",
            traffic_port=target.port if target else None,
            ports=ports,
            status_port=next((p.port for s in services for p in s.spec.ports if p.name == STATUS_PORT), None),
        )
        if verdict.reason not in ("NoListener", "HostnameLimited"):
            return verdict
        why = unserved(self._resolution.listeners.values(), key, binding.spec.port)
        return Verdict("False", "ListenerNotServed", why) if why else verdict

    async def _write(self, binding: EdgeBinding, observed: Observed) -> EdgeBinding:
        """Write the status if it is another one; the binding as it is then."""
        return await self._patch(binding, edge_binding_status(binding, observed, self._time()))

    async def _patch(self, binding: EdgeBinding, status: EdgeBindingStatus) -> EdgeBinding:
        wanted = status_patch(binding, status)
        if wanted is None:
            return binding
        return self._keep(await self._client.patch(EdgeBinding, binding.key, wanted, subresource="status"))

    def _time(self) -> str:
        return timestamp(self._now())

    def _keep(self, answer: bytes) -> EdgeBinding:
        binding = msgspec.json.decode(answer, type=EdgeBinding)
        self._written[binding.key] = binding
        self._claim(binding.key)
        return binding

    def _all(self) -> list[EdgeBinding]:
        return list(self._current.values())

    def _newest(self, key: Key) -> EdgeBinding | None:
        """The binding as it is watched, or as we wrote it last if that is newer."""
        seen, written = self.bindings.get(key), self._written.get(key)
        if seen is None or written is None or seen.metadata.uid != written.metadata.uid:
            return seen
        return written if _version(written) > _version(seen) else seen


def _version(obj: Object) -> int:
    """Versions of one kind are numbers that grow (Kubernetes API concepts, "Resource versions")."""
    version = obj.metadata.resource_version
    return int(version) if version.isdecimal() else 0
