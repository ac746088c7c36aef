"""The listeners of NLBs, each with an Envoy listener a node: a node has targets and an address of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import structlog

from gatewright.envoy.resources import Resource
from gatewright.flow import Collection, Context
from gatewright.local.aws.nlb.streams import NodeSocket, Route, listener_resource, offers_of
from gatewright.local.aws.pools import CLIENT, PoolKey, alpns, transports
from gatewright.local.aws.state import (
    CloudState,
    Forward,
    Listener,
    LoadBalancer,
    Node,
    Socket,
    TargetGroup,
    Transport,
)
from gatewright.local.aws.targets import Targets
from gatewright.local.aws.tls import usable_certificates

_log = structlog.get_logger(__name__)

Weighted = tuple[TargetGroup, int]


def translate(state: CloudState, targets: Targets) -> Collection[str, Resource]:
    """Derive the LISTENER resources of NLBs. A listener that can't be emulated is logged, and has none."""
    translation = _Translation(state, targets)
    return state.flow.derive_many("listeners of NLBs", state.listeners, translation.listener)


class _Translation:
    def __init__(self, state: CloudState, targets: Targets) -> None:
        self._state = state
        self._targets = targets

    def listener(self, ctx: Context, _: str, listener: Listener) -> Mapping[str, Resource]:
        load_balancer = ctx.get(self._state.load_balancers, listener.load_balancer)
        if load_balancer is None or load_balancer.type != "network" or not isinstance(listener.action, Forward):
            return {}
        if listener.protocol in ("QUIC", "TCP_QUIC"):
            _log.warning("a listener can't be emulated", listener=listener.arn, protocol=listener.protocol)
            return {}
        certificates: tuple[str, ...] = ()
        if listener.protocol == "TLS":
            certificates = usable_certificates(ctx, self._state, listener.certificates)
            if not certificates:
                _log.warning("a TLS listener has no certificate to serve", listener=listener.arn)
                return {}
        sockets = self._sockets(ctx, load_balancer, listener, listener.action)
        made = [listener_resource(socket, certificates) for socket in sockets]
        return {each.name: each for each in made}

    def _sockets(
        self, ctx: Context, load_balancer: LoadBalancer, listener: Listener, action: Forward
    ) -> Iterator[NodeSocket]:
        groups = [(ctx.get(self._state.target_groups, arn), weight) for arn, weight in action.groups]
        known = [(group, weight) for group, weight in groups if group]
        for node in load_balancer.nodes:
            for transport in transports(listener.protocol):
                bound = ctx.get(self._state.sockets, Socket(node.address, listener.port, transport))
                if bound:
                    routes = tuple(self._routes(ctx, listener, known, node, transport))
                    yield NodeSocket(listener, node, transport, bound, routes)

    def _routes(
        self, ctx: Context, listener: Listener, groups: Sequence[Weighted], node: Node, transport: Transport
    ) -> Iterator[Route]:
        """Where connections go, by the client's address and its protocol; of both the last one is for all others."""
        preserved = {
            group.arn: self._targets.sources(ctx, group, node) if transport == "TCP" else () for group, _ in groups
        }
        sources = dict.fromkeys(each for found in preserved.values() for each in found if each != CLIENT)
        sticky = any(group.attributes.get("stickiness.enabled") == "true" for group, _ in groups)
        offers = offers_of(listener) if transport == "TCP" else offers_of(None)
        for source in (*sources, ""):
            for offer in offers:
                shares = []
                for group, weight in groups:
                    shown = (source or CLIENT) if preserved[group.arn] else ""
                    spoken = alpns(listener, group)
                    alpn = offer.spoken if offer.spoken in spoken else spoken[0]
                    key = PoolKey(listener.load_balancer, group.arn, transport, node.address, shown, alpn)
                    ref = self._targets.cluster(ctx, key)
                    if ref and weight:
                        shares.append((ref, weight))
                yield Route(source, offer, tuple(shares), sticky)
