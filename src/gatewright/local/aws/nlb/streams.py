"""One socket of an NLB's node as a listener of Envoy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from envoy.config.core.v3 import address_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from msgspec import Struct
from xds.type.matcher.v3 import matcher_pb2

from gatewright.envoy.resources import Ref, Resource, resource
from gatewright.envoy.routes import NOWHERE
from gatewright.local.aws.pools import number
from gatewright.local.aws.state import Bound, Listener, Node, Transport
from gatewright.local.aws.tls import server_context

_IDLE = "tcp.idle_timeout.seconds"
_TCP_IDLE = 350
_UDP_IDLE = 120
"""Seconds; "Network Load Balancer sets the idle timeout value to 120 seconds for UDP flows"."""


class Offer(NamedTuple):
    """What a TLS listener negotiates by ALPN with clients that ask for any of `asked`, or with all others if empty.

    `protocols` are those that it takes, the preferred one first; `spoken` is what it then asks of targets.
    """

    asked: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    spoken: str = ""


_HTTP1 = ("http/1.1", "http/1.0")
_OFFERS = {
    "HTTP1Only": (Offer((), _HTTP1, "http/1.1"),),
    "HTTP2Only": (Offer((), ("h2",), "h2"),),
    "HTTP2Optional": (Offer(_HTTP1, _HTTP1, "http/1.1"), Offer((), ("h2",), "h2")),
    "HTTP2Preferred": (Offer(("h2",), ("h2",), "h2"), Offer((), _HTTP1, "http/1.1")),
}


def offers_of(listener: Listener | None) -> tuple[Offer, ...]:
    """What a listener's ALPN policy has it negotiate; the last one is for clients that no other is for."""
    if listener is None or listener.protocol != "TLS":
        return (Offer(),)
    return _OFFERS.get(listener.alpn_policy, (Offer(),))


class Route(NamedTuple):
    """Where the connections of clients at the address `source` go ("" is all others): clusters with their weights.

    `sticky`: a client stays with its target.
    """

    source: str
    offer: Offer
    shares: tuple[tuple[Ref, int], ...]
    sticky: bool


class NodeSocket(Struct, frozen=True):
    """A listener's socket on one node. The last route is for clients that no other is for."""

    listener: Listener
    node: Node
    transport: Transport
    bound: Bound
    routes: tuple[Route, ...]

    @property
    def name(self) -> str:
        """Of the Envoy listener."""
        return f"{self.listener.arn}@{self.node.address}/{self.transport}"


def listener_resource(socket: NodeSocket, certificates: Sequence[str] = ()) -> Resource:
    """The Envoy listener of a socket; it follows the convention of `served`. TLS ends with these certificates' ARNs."""
    message = listener_pb2.Listener(name=socket.name)
    address = message.address.socket_address
    address.address, address.port_value = socket.bound
    awaited: tuple[Ref, ...] = ()
    if socket.transport == "UDP":
        address.protocol = address_pb2.SocketAddress.UDP
        _pass_datagrams(message, socket.routes[-1])
    else:
        message.enable_reuse_port.value = False
        if any(route.offer.asked for route in socket.routes):
            inspector = message.listener_filters.add(name="tls inspector")
            inspector.typed_config.Pack(tls_inspector_pb2.TlsInspector())
        for route in socket.routes:
            chain = _chain(message, route)
            _pass_connections(chain, route, socket.listener)
            if certificates:
                context, awaited = server_context(certificates, socket.listener.ssl_policy, route.offer.protocols)
                chain.transport_socket.name = "tls"
                chain.transport_socket.typed_config.Pack(context)
    needs = {ref for route in socket.routes for ref, _ in route.shares}
    return resource(socket.name, message.SerializeToString(), needs=needs, parts=(socket.listener.arn, *awaited))


def _chain(message: listener_pb2.Listener, route: Route) -> listener_components_pb2.FilterChain:
    """The filter chain of the connections that a route is for. Envoy tries protocols first, then addresses."""
    if not route.source and not route.offer.asked:
        return message.default_filter_chain
    chain = message.filter_chains.add(name="/".join((route.source, *route.offer.asked)))
    chain.filter_chain_match.application_protocols.extend(route.offer.asked)
    if route.source:
        source = chain.filter_chain_match.source_prefix_ranges.add(address_prefix=route.source)
        source.prefix_len.value = 32
    return chain


def _pass_connections(chain: listener_components_pb2.FilterChain, route: Route, listener: Listener) -> None:
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix="nlb")
    proxy.idle_timeout.seconds = _idle_timeout(listener)
    if len(route.shares) > 1:
        for ref, weight in route.shares:
            proxy.weighted_clusters.clusters.add(name=ref.name, weight=weight)
    else:
        proxy.cluster = _first(route.shares)
    if route.sticky:
        proxy.hash_policy.add().source_ip.SetInParent()
    chain.filters.add(name="tcp").typed_config.Pack(proxy)


def _pass_datagrams(message: listener_pb2.Listener, route: Route) -> None:
    """Each client address and port is a flow of its own. Envoy has one cluster for all: the one of most weight."""
    message.enable_reuse_port.value = True  # Envoy takes UDP on several threads only so
    message.udp_listener_config.downstream_socket_config.SetInParent()
    proxy = udp_proxy_pb2.UdpProxyConfig(stat_prefix="nlb")
    proxy.idle_timeout.seconds = _UDP_IDLE
    if route.sticky:
        proxy.hash_policies.add(source_ip=True)
    action = matcher_pb2.Matcher.OnMatch()
    action.action.name = "route"
    action.action.typed_config.Pack(route_pb2.Route(cluster=_first(sorted(route.shares, key=lambda share: -share[1]))))
    proxy.matcher.on_no_match.CopyFrom(action)
    message.listener_filters.add(name="udp").typed_config.Pack(proxy)


def _first(shares: Iterable[tuple[Ref, int]]) -> str:
    return next((ref.name for ref, _ in shares), NOWHERE)


def _idle_timeout(listener: Listener) -> int:
    """Seconds; of a TLS listener it can't be changed."""
    if listener.protocol == "TLS":
        return _TCP_IDLE
    return int(number(listener.attributes, _IDLE, _TCP_IDLE))
