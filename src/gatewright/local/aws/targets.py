"""Which targets of load balancers get traffic: the endpoints (EDS) of their target groups' clusters.

A change of a target or of its health changes endpoints only: one EDS resource for each cluster of its target group.
Those that get traffic (Elastic Load Balancing, "Target group health", "Health checks for your target groups"):

- healthy ones; where fewer are than the group's `unhealthy_state_routing` attributes ask for (1 if they don't say),
  all that are registered and not draining (*fail open*);
- never one that drains: it ends what it has begun. Nor one that is unused or has no address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Network, ip_address
from typing import NamedTuple

from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_pb2

from gatewright.envoy.resources import CLUSTER, Ref, Resource, resource
from gatewright.flow import Collection, Context
from gatewright.local.aws.pools import (
    CLIENT,
    Pool,
    PoolKey,
    alpns,
    cluster,
    cluster_name,
    crosses_zones,
    number,
    preserves_client,
    settings_of,
    transports,
)
from gatewright.local.aws.state import (
    Bound,
    CloudState,
    Forward,
    Listener,
    LoadBalancer,
    Node,
    Rule,
    Socket,
    Target,
    TargetGroup,
    Transport,
)
from gatewright.local.block import is_loopback

_ROUTING = "target_group_health.unhealthy_state_routing"
_UNUSABLE = frozenset({"unused", "draining"})


class Member(NamedTuple):
    """A target that may get traffic. `address` and `port` are where it really is, `target` how it is registered."""

    target: str
    address: str
    port: int
    zone: str
    healthy: bool


class Targets:
    """The clusters and endpoints of all load balancers of a state.

    `reset` is the address of something that resets each connection: where TCP goes that has no target. `pace` is how
    many times faster than the real one the clock of the emulated cloud runs. `pools` says what there is.
    """

    def __init__(
        self, state: CloudState, *, pace: float = 1.0, reset: Bound | None = None, network: IPv4Network | None = None
    ) -> None:
        """`network` is the VPC's. Where it isn't of loopback addresses, only load balancers answer in it: on the real
        network such an address may be somebody else's.
        """
        flow = state.flow
        self._unreal = network if network and not network.is_loopback else None
        self._state = state
        self._pace = pace
        self._reset = reset
        self._targets_by_group = state.targets.index(lambda key, _: [key.group], name="targets by group")
        self._listeners_by_balancer = state.listeners.index(
            lambda _, listener: [listener.load_balancer], name="listeners by load balancer"
        )
        self._modern: Collection[str, bool] = flow.derive(
            "load balancers with TLS 1.3", state.load_balancers, self._is_modern
        )
        self._targets_by_address = state.targets.index(lambda _, target: target.addresses, name="targets by address")
        forwards = flow.merge(
            "forwards",
            flow.derive_many("forwards by listeners", state.listeners, self._forwards_of_listener),
            flow.derive_many("forwards by rules", state.rules, self._forwards_of_rule),
        )
        self._balancers_by_group = forwards.index(lambda key, _: [key[0]], name="load balancers by group")
        self._uses = flow.merge(
            "uses of target groups",
            flow.derive_many("uses by listeners", state.listeners, self._uses_of_listener),
            flow.derive_many("uses by rules", state.rules, self._uses_of_rule),
        )
        self._members: dict[Transport, Collection[str, tuple[Member, ...]]] = {
            "TCP": flow.derive("members over TCP", state.target_groups, self._members_of("TCP")),
            "UDP": flow.derive("members over UDP", state.target_groups, self._members_of("UDP")),
        }
        self._local: Collection[str, bool] = flow.derive("groups on loopback", state.target_groups, self._is_local)
        self.pools: Collection[PoolKey, Pool] = flow.derive("pools", self._uses, self._pool)
        self.clusters: Collection[str, Resource] = flow.derive_many(
            "clusters of target groups", self.pools, lambda _, __, pool: {pool.name: cluster(pool)}
        )
        self.endpoints: Collection[str, Resource] = flow.derive_many(
            "endpoints of target groups", self.pools, self._endpoints
        )

        self._pools_by_group = self.pools.index(lambda key, _: [key.group], name="pools by group")

    def pools_of(self, group: str) -> tuple[Pool, ...]:
        """The pools that a target group has now, by its ARN."""
        return self._pools_by_group.lookup(group)

    def used(self, pool: Pool) -> frozenset[Bound]:
        """Where the targets are that get traffic from a pool now."""
        members, group = (
            self._members[pool.key.transport].get(pool.key.group),
            self._state.target_groups.get(pool.key.group),
        )
        found = usable(members, group.attributes, pool.zone) if members and group else ()
        return frozenset(Bound(member.address, member.port) for member in found)

    def places(self, target: Target, transport: Transport = "TCP") -> frozenset[Bound]:
        """Where a target really is."""
        port, sockets = target.key.port, self._state.sockets
        return frozenset(
            sockets.get(Socket(address, port, transport)) or Bound(address, port) for address in target.addresses
        )

    def ref(self, ctx: Context, load_balancer: str, group: str) -> Ref | None:
        """Names the cluster of an ALB's target group; None where there is no such group (any more)."""
        return self.cluster(ctx, PoolKey(load_balancer, group))

    def cluster(self, ctx: Context, key: PoolKey) -> Ref | None:
        """Names the cluster of a pool; None where there is no such pool."""
        pool = ctx.get(self.pools, key)
        return Ref(CLUSTER, pool.name) if pool else None

    def sources(self, ctx: Context, group: TargetGroup, node: Node) -> tuple[str, ...]:
        """Addresses of clients that an NLB's node tells apart to preserve them; `CLIENT` is for all others.

        Empty where the group doesn't preserve clients' addresses. Only an address that is ours can be connected from,
        so these are nodes of the load balancers that have this node as a target.
        """
        if not preserves_client(group) or not is_loopback(node.address):
            return ()
        found: set[str] = set()
        for target in ctx.lookup(self._targets_by_address, node.address):
            for arn in ctx.lookup(self._balancers_by_group, target.key.group):
                balancer = ctx.get(self._state.load_balancers, arn)
                nodes = balancer.nodes if balancer else ()
                found.update(each.address for each in nodes if is_loopback(each.address))
        return (*sorted(found), CLIENT)

    # --- what is used -------------------------------------------------------------------------------------------------

    def _forwards_of_listener(self, _: Context, __: str, listener: Listener) -> Mapping[tuple[str, str], str]:
        groups = listener.action.groups if isinstance(listener.action, Forward) else ()
        return {(arn, listener.load_balancer): listener.load_balancer for arn, _ in groups}

    def _forwards_of_rule(self, ctx: Context, _: str, rule: Rule) -> Mapping[tuple[str, str], str]:
        listener = ctx.get(self._state.listeners, rule.listener)
        groups = rule.action.groups if listener and isinstance(rule.action, Forward) else ()
        return {(arn, listener.load_balancer): listener.load_balancer for arn, _ in groups} if listener else {}

    def _uses_of_listener(self, ctx: Context, _: str, listener: Listener) -> Mapping[PoolKey, PoolKey]:
        load_balancer = ctx.get(self._state.load_balancers, listener.load_balancer)
        if load_balancer is None or not isinstance(listener.action, Forward):
            return {}
        return dict(self._keys(ctx, load_balancer, listener, listener.action))

    def _uses_of_rule(self, ctx: Context, _: str, rule: Rule) -> Mapping[PoolKey, PoolKey]:
        listener = ctx.get(self._state.listeners, rule.listener)
        load_balancer = ctx.get(self._state.load_balancers, listener.load_balancer) if listener else None
        if listener is None or load_balancer is None or not isinstance(rule.action, Forward):
            return {}
        return dict(self._keys(ctx, load_balancer, listener, rule.action))

    def _keys(
        self, ctx: Context, load_balancer: LoadBalancer, listener: Listener, action: Forward
    ) -> Iterator[tuple[PoolKey, PoolKey]]:
        for arn, _ in action.groups:
            if load_balancer.type == "application":
                key = PoolKey(load_balancer.arn, arn)
                yield key, key
                continue
            group = ctx.get(self._state.target_groups, arn)
            if group is None:
                continue
            for transport in transports(listener.protocol):
                for node in load_balancer.nodes:
                    sources = self.sources(ctx, group, node) if transport == "TCP" else ()
                    for source in sources or ("",):
                        for alpn in alpns(listener, group):
                            key = PoolKey(load_balancer.arn, arn, transport, node.address, source, alpn)
                            yield key, key

    def _pool(self, ctx: Context, key: PoolKey, _: PoolKey) -> Pool | None:
        load_balancer = ctx.get(self._state.load_balancers, key.load_balancer)
        group = ctx.get(self._state.target_groups, key.group)
        if load_balancer is None or group is None:
            return None
        local, modern = ctx.get(self._local, key.group), ctx.get(self._modern, key.load_balancer)
        settings = settings_of(load_balancer, group, key, pace=self._pace, local=bool(local), modern=bool(modern))
        zones = [node.zone for node in load_balancer.nodes if node.address == key.node]
        zone = zones[0] if zones and not crosses_zones(load_balancer, group) else ""
        return Pool(key, cluster_name(load_balancer, group, key, settings), zone, settings)

    def _is_modern(self, ctx: Context, arn: str, _: LoadBalancer) -> bool:
        return any("TLS13" in listener.ssl_policy for listener in ctx.lookup(self._listeners_by_balancer, arn))

    # --- their targets ------------------------------------------------------------------------------------------------

    def _is_local(self, ctx: Context, group: str, _: TargetGroup) -> bool:
        targets = ctx.lookup(self._targets_by_group, group)
        return all(is_loopback(address) for target in targets for address in target.addresses)

    def _members_of(self, transport: Transport) -> Callable[[Context, str, TargetGroup], tuple[Member, ...]]:
        def members(ctx: Context, arn: str, _: TargetGroup) -> tuple[Member, ...]:
            found: dict[tuple[str, int], Member] = {}
            for target in ctx.lookup(self._targets_by_group, arn):
                for member in self._places(ctx, target, transport):
                    found.setdefault((member.address, member.port), member)
            return tuple(found.values())

        return members

    def _places(self, ctx: Context, target: Target, transport: Transport) -> Iterator[Member]:
        if target.draining_until is not None:
            return
        health = ctx.get(self._state.health, target.key)
        state = health.state if health else "initial"
        if state in _UNUSABLE:
            return
        for address in target.addresses:
            place = ctx.get(self._state.sockets, Socket(address, target.key.port, transport))
            if place is None and self._unreal and ip_address(address) in self._unreal:
                continue
            real = place or Bound(address, target.key.port)
            name = f"{address}:{target.key.port}"
            yield Member(name, real.address, real.port, target.zone, state in ("healthy", "unavailable"))

    def _endpoints(self, ctx: Context, _: PoolKey, pool: Pool) -> Mapping[str, Resource]:
        members = ctx.get(self._members[pool.key.transport], pool.key.group)
        group = ctx.get(self._state.target_groups, pool.key.group)
        if members is None or group is None:
            return {}
        found = usable(members, group.attributes, pool.zone)
        if not found and self._reset and pool.key.node and pool.key.transport == "TCP":
            found = (Member("", self._reset.address, self._reset.port, "", True),)
        return {pool.name: endpoints(pool.name, found)}


def usable(members: Sequence[Member], attributes: Mapping[str, str], zone: str = "") -> tuple[Member, ...]:
    """Those that get traffic from a node that chooses among the targets of `zone`, or among all of them.

    `attributes` are the target group's. A target outside of the VPC has no zone, and belongs to each.
    """
    here = [member for member in members if not zone or member.zone in ("", zone)]
    healthy = [member for member in here if member.healthy]
    enough = max(number(attributes, f"{_ROUTING}.minimum_healthy_targets.count", 1), 1)
    share = number(attributes, f"{_ROUTING}.minimum_healthy_targets.percentage", 0) / 100
    if len(healthy) < enough or len(healthy) < share * len(here):
        return tuple(here)
    return tuple(healthy)


def endpoints(name: str, members: Iterable[Member]) -> Resource:
    """The endpoints of a cluster; the host name of each is its target as registered, for access logs."""
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    locality = None
    for member in members:
        if locality is None:
            locality = message.endpoints.add()
            locality.load_balancing_weight.value = 1
        endpoint = locality.lb_endpoints.add().endpoint
        endpoint.hostname = member.target
        address = endpoint.address.socket_address
        address.protocol = address_pb2.SocketAddress.TCP
        address.address, address.port_value = member.address, member.port
    return resource(name, message.SerializeToString(), within=(Ref(CLUSTER, name),))
