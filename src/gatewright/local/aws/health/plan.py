"""Which targets are checked and how, and what is said of those that aren't: derived from the state of the API alone.

A target is checked if it is registered, its group is in an action of a listener or rule, and its zone is one of the
load balancer's ("Target health status" in the user guides of both kinds of load balancers).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, ip_address
from typing import Literal

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.local.aws.reasons import (
    DISABLED,
    DRAINING,
    IP_UNUSABLE,
    NOT_EMULATED,
    NOT_IN_USE,
    NOT_RUNNING,
    ZONE_NOT_ENABLED,
)
from gatewright.local.aws.state import (
    Action,
    Bound,
    CloudState,
    Forward,
    LoadBalancer,
    Node,
    Socket,
    Target,
    TargetGroup,
    TargetHealth,
    TargetKey,
)


class Check(Struct, frozen=True):
    """How one target is checked. Times are in seconds as in the API.

    `to` is where to connect, None where nothing listens (an address of a load balancer without such a listener).
    `source` is the address of the node that checks. `matcher` are ranges of success codes, both ends included.
    """

    registered_at: float
    protocol: Literal["HTTP", "HTTPS", "TCP"]
    version: Literal["HTTP1", "HTTP2", "GRPC"]
    to: Bound | None
    source: str
    authority: str
    path: str
    matcher: tuple[tuple[int, int], ...]
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    tls13: bool = False
    """Whether TLS 1.3 is spoken; otherwise 1.2 is the newest."""
    proxy_header: bool = False
    """Whether the connection begins with a header of the proxy protocol (v2, LOCAL)."""
    opened: bool = True
    """False where `to` is a load balancer's that doesn't serve it yet; when it does is the moment for a check."""
    explains: bool = True
    """Whether the API tells a wrong status from a timeout from any other failure, as it does of ALBs."""


def plan(state: CloudState, network: IPv4Network | None = None) -> Collection[TargetKey, Check | TargetHealth]:
    """For every target its check, or its health where it isn't checked.

    `network` is the VPC's. Where it isn't of loopback addresses, there is nothing at them but what is in
    `state.sockets`: on the real network they may be somebody else's.
    """
    planner = _Planner(state, network if network and not network.is_loopback else None)
    return state.flow.derive("health checks of targets", state.targets, planner.of)


def success_codes(matcher: str) -> tuple[tuple[int, int], ...]:
    """The ranges of a matcher, both ends included; empty where it can't be read. `200,202`, `200-299`."""
    ranges = []
    for part in matcher.split(","):
        first, _, last = part.strip().partition("-")
        try:
            ranges.append((int(first), int(last or first)))
        except ValueError:
            return ()
    return tuple(ranges)


class _Use(Struct, frozen=True):
    """A load balancer that forwards to a group, the port of a listener that does, and its TLS to targets."""

    balancer: LoadBalancer
    port: int
    tls13: bool


class _Planner:
    """What the plan of a target is derived from."""

    def __init__(self, state: CloudState, unreal: IPv4Network | None) -> None:
        self._state = state
        self._unreal = unreal
        self._listeners_by_group = state.listeners.index(lambda _key, listener: _groups(listener.action))
        self._rules_by_group = state.rules.index(lambda _key, rule: _groups(rule.action))
        self._listeners_by_balancer = state.listeners.index(lambda _key, listener: [listener.load_balancer])
        self._balancers_by_address = state.load_balancers.index(
            lambda _key, balancer: [node.address for node in balancer.nodes]
        )
        self._targets_by_group = state.targets.index(lambda key, _target: [key.group])
        self._uses = state.flow.derive("load balancers of target groups", state.target_groups, self._uses_of)

    def of(self, ctx: Context, key: TargetKey, target: Target) -> Check | TargetHealth | None:
        """The check of a target, or its health; None without a group, which is about to be read."""
        group = ctx.get(self._state.target_groups, key.group)
        if group is None:
            return None
        if target.draining_until is not None:
            return DRAINING
        uses = ctx.get(self._uses, key.group)
        if not uses:
            return NOT_IN_USE
        if not group.health_check.enabled:
            return DISABLED
        if group.target_type == "lambda":
            return NOT_EMULATED
        if not target.addresses:
            return NOT_RUNNING
        use, node = _checking(uses, target)
        if node is None:
            return ZONE_NOT_ENABLED
        address = target.addresses[0]
        owners = {balancer.arn for balancer in ctx.lookup(self._balancers_by_address, address)}
        if group.target_type == "ip" and not owners.isdisjoint(use.balancer.arn for use in uses):
            return IP_UNUSABLE
        if owners and self._circles(ctx, target):
            return IP_UNUSABLE
        port = target.key.port if group.health_check.port == "traffic-port" else int(group.health_check.port)
        # An address of ours answers where the data plane really opened it, and nowhere else.
        ours = bool(owners) or (self._unreal is not None and ip_address(address) in self._unreal)
        to = ctx.get(self._state.sockets, Socket(address, port, "TCP")) if ours else Bound(address, port)
        opened = all(self._is_open(ctx, balancer, port) for balancer in owners)
        return _check(group, target, use, node, f"{address}:{port}", to, opened=opened)

    def _is_open(self, ctx: Context, balancer: str, port: int) -> bool:
        """Whether a load balancer serves a port by now."""
        found = ctx.lookup(self._listeners_by_balancer, balancer)
        return any(ctx.get(self._state.served, each.arn) is True for each in found if each.port == port)

    def _circles(self, ctx: Context, target: Target) -> bool:
        """Whether a connection to a target would come to it again, over NLBs alone: it would never end.

        AWS lets it circle. Here the load balancers are one process, which has other connections to carry. What passes
        an ALB ends there (X-Forwarded-For of more than 30 addresses is answered 463).
        """
        seen: set[str] = set()
        left = [target]
        while left:
            found = left.pop()
            for group in self._groups_at(ctx, found):
                if group == target.key.group:
                    return True
                if group not in seen:
                    seen.add(group)
                    left += ctx.lookup(self._targets_by_group, group)
        return False

    def _groups_at(self, ctx: Context, target: Target) -> set[str]:
        """The target groups of the NLB's listeners that a target is."""
        return {
            group
            for address in target.addresses
            for balancer in ctx.lookup(self._balancers_by_address, address)
            if balancer.type == "network"
            for listener in ctx.lookup(self._listeners_by_balancer, balancer.arn)
            if listener.port == target.key.port
            for group in _groups(listener.action)
        }

    def _uses_of(self, ctx: Context, arn: str, _group: TargetGroup) -> tuple[_Use, ...]:
        listeners = list(ctx.lookup(self._listeners_by_group, arn))
        for rule in ctx.lookup(self._rules_by_group, arn):
            listener = ctx.get(self._state.listeners, rule.listener)
            if listener:
                listeners.append(listener)
        ports: dict[str, int] = {}
        for listener in listeners:
            ports[listener.load_balancer] = min(listener.port, ports.get(listener.load_balancer, listener.port))
        uses = []
        for name, port in sorted(ports.items()):
            balancer = ctx.get(self._state.load_balancers, name)
            if balancer:
                uses.append(_Use(balancer, port, self._speaks_tls13(ctx, balancer)))
        return tuple(uses)

    def _speaks_tls13(self, ctx: Context, balancer: LoadBalancer) -> bool:
        return balancer.type == "application" and any(
            listener.protocol == "HTTPS" and "TLS13" in listener.ssl_policy
            for listener in ctx.lookup(self._listeners_by_balancer, balancer.arn)
        )


def _groups(action: Action) -> Iterable[str]:
    return {arn for arn, _weight in action.groups} if isinstance(action, Forward) else ()


def _checking(uses: tuple[_Use, ...], target: Target) -> tuple[_Use, Node | None]:
    """The node that checks: the target's zone's, or any for a target outside of the VPC or for an ALB."""
    for use in uses:
        for node in use.balancer.nodes:
            if target.zone in ("", "all", node.zone):
                return use, node
    return uses[0], None


def _check(
    group: TargetGroup, target: Target, use: _Use, node: Node, place: str, to: Bound | None, *, opened: bool
) -> Check:
    check = group.health_check
    application = group.protocol in ("HTTP", "HTTPS")
    version: Literal["HTTP1", "HTTP2", "GRPC"] = group.protocol_version or "HTTP1"
    return Check(
        registered_at=target.registered_at,
        protocol="HTTP" if check.protocol == "HTTP" else "HTTPS" if check.protocol == "HTTPS" else "TCP",
        version=version,
        to=to,
        source=node.address,
        # NLB user guide: the Host of its checks is the node's address and the listener's port.
        authority=place if application else f"{node.address}:{use.port}",
        path=check.path or ("/AWS.ALB/healthcheck" if version == "GRPC" else "/"),
        matcher=success_codes(check.matcher) or _default_codes(version, application=application),
        interval=check.interval,
        timeout=check.timeout,
        healthy_threshold=check.healthy_threshold,
        unhealthy_threshold=check.unhealthy_threshold,
        tls13=use.tls13,
        opened=opened,
        proxy_header=group.attributes.get("proxy_protocol_v2.enabled") == "true",
        explains=application,
    )


def _default_codes(version: str, *, application: bool) -> tuple[tuple[int, int], ...]:
    if version == "GRPC":
        return ((12, 12),)
    return ((200, 200),) if application else ((200, 399),)
