"""Streams: connections and UDP sessions that are passed on as they are.

Each stream has one cluster of its own, in which every backendRef is a locality with the ref's weight. So weights,
backends and endpoints change by EDS alone: no listener changes, and what is connected stays connected. (Envoy chooses
among weighted clusters for TCP only, and closes the connections of a filter chain whose configuration changed.)

A share that leads nowhere is a locality too, with an address that no system connects to: its part of the connections
is closed, and its part of the UDP sessions gets no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from envoy.config.core.v3 import address_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.network.tcp_proxy.v3 import tcp_proxy_pb2
from envoy.extensions.filters.udp.udp_proxy.v3 import route_pb2, udp_proxy_pb2
from msgspec import Struct
from xds.type.matcher.v3 import matcher_pb2

from gatewright.envoy.backendtls import digest, tls_socket
from gatewright.envoy.clusters import ADS, new_cluster
from gatewright.envoy.resources import CLUSTER, SECRET, Ref, Resource, resource
from gatewright.envoy.routes import NOWHERE
from gatewright.model.meta import Key
from gatewright.topology import BackendKey, BackendTLS, Endpoint, Endpoints, HostKey, Stream, Transport

_CONNECTION_IDLE = 3600
_SESSION_IDLE = 60
_SHARE = "share"
_HOLE = Endpoint("255.255.255.255", 1)
"""No ordinary socket may connect or send to the broadcast address, so it fails at once and reaches nobody."""


class Share(NamedTuple):
    """A part of a stream: `backend` is None where it leads nowhere. `client` is the Secret to show over TLS."""

    weight: int
    backend: BackendKey | None
    tls: BackendTLS | None = None
    client: Key | None = None


class Target(Struct, frozen=True):
    """Where a stream's connections go, in one cluster."""

    host: HostKey
    stream: Stream
    shares: tuple[Share, ...]

    @property
    def ref(self) -> Ref:
        """Names the cluster: `kind/namespace/name/rule/match`, the use of the backends, and what TLS depends on."""
        key = self.stream.key
        parts = [f"{key.kind}/{key.route}/{key.rule}/{key.match}"]
        parts += sorted({share.backend.use for share in self.shares if share.backend and share.backend.use == "stream"})
        secured = [(number, digest(share.tls), share.client) for number, share in enumerate(self.shares) if share.tls]
        if secured:
            parts.append(f"tls-{blake2b(repr(secured).encode(), digest_size=8).hexdigest()}")
        return Ref(CLUSTER, "/".join(parts))

    @property
    def clients(self) -> tuple[Key, ...]:
        """The Secrets of the certificates that are shown to backends."""
        return tuple(dict.fromkeys(share.client for share in self.shares if share.client))

    @property
    def needs(self) -> tuple[Ref, ...]:
        """What must be usable before connections go there."""
        return (self.ref, *(Ref(SECRET, str(client)) for client in self.clients))


def stream_cluster(target: Target) -> Resource:
    """The cluster of a stream; it never changes. `parts` is the object to blame where Envoy refuses it.

    That is the origin of its TLS settings. Where there are several it isn't known whose are bad, and others' policies
    must not suffer: it is the route, which brought them together.
    """
    message = new_cluster(target.ref.name)
    message.common_lb_config.locality_weighted_lb_config.SetInParent()
    for number, share in enumerate(target.shares):
        if share.tls:
            match = message.transport_socket_matches.add(name=str(number))
            match.match[_SHARE] = str(number)
            match.transport_socket.CopyFrom(tls_socket(share.tls, "", share.client, ADS))
    origins = tuple(dict.fromkeys(share.tls.origin for share in target.shares if share.tls))
    blamed = origins if len(origins) <= 1 else (target.stream.origin,)
    return resource(message.name, message.SerializeToString(), parts=blamed)


def stream_endpoints(target: Target, endpoints_of: Callable[[BackendKey], Endpoints | None]) -> Resource:
    """The weighted backends of a stream."""
    ref = target.ref
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=ref.name)
    weights: dict[tuple[tuple[Endpoint, ...], str], int] = {}
    for number, share in enumerate(target.shares):
        if share.weight > 0:
            found = endpoints_of(share.backend) if share.backend else None
            # Two backends with the same endpoints are one: Envoy keeps an address in one locality only.
            members = _current(found.endpoints if found else ()) or (_HOLE,)
            part = (members, str(number) if share.tls else "")
            weights[part] = weights.get(part, 0) + share.weight
    for number, ((members, share_name), weight) in enumerate(weights.items()):
        locality = message.endpoints.add()
        locality.locality.sub_zone = str(number)
        locality.load_balancing_weight.value = weight
        for member in members:
            endpoint = locality.lb_endpoints.add()
            address = endpoint.endpoint.address.socket_address
            address.address, address.port_value = member.address, member.port
            if share_name:
                endpoint.metadata.filter_metadata["envoy.transport_socket_match"][_SHARE] = share_name
    return resource(ref.name, message.SerializeToString(), within=(ref,))


def _current(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Those that may get something new. One that is left out keeps the connections that it has."""
    return tuple(endpoint for endpoint in endpoints if not endpoint.draining) or tuple(endpoints)


def pass_on(chain: listener_components_pb2.FilterChain, target: Target | None) -> None:
    """Let a filter chain pass its connections on; without a target they are closed."""
    proxy = tcp_proxy_pb2.TcpProxy(stat_prefix="tcp", cluster=target.ref.name if target else NOWHERE)
    proxy.idle_timeout.seconds = _CONNECTION_IDLE
    chain.filters.add(name="tcp").typed_config.Pack(proxy)


def listen(message: listener_pb2.Listener, sockets: Sequence[tuple[str, int]], transport: Transport) -> None:
    """Let a listener open these addresses and ports."""
    protocol = address_pb2.SocketAddress.UDP if transport == "UDP" else address_pb2.SocketAddress.TCP
    for number, (host, port) in enumerate(sockets):
        address = message.additional_addresses.add().address if number else message.address
        address.socket_address.protocol = protocol
        address.socket_address.address = host
        address.socket_address.port_value = port


def udp_listener(name: str, sockets: Sequence[tuple[str, int]], target: Target | None) -> Resource:
    """UDP sockets whose sessions (client address and port) go to a target; without one, datagrams are dropped.

    Envoy takes UDP on several threads only with SO_REUSEPORT.
    """
    message = listener_pb2.Listener(name=name)
    listen(message, sockets, "UDP")
    message.enable_reuse_port.value = True
    message.udp_listener_config.downstream_socket_config.SetInParent()
    proxy = udp_proxy_pb2.UdpProxyConfig(stat_prefix="udp")
    proxy.idle_timeout.seconds = _SESSION_IDLE
    action = matcher_pb2.Matcher.OnMatch()
    action.action.name = "route"
    action.action.typed_config.Pack(route_pb2.Route(cluster=target.ref.name if target else NOWHERE))
    proxy.matcher.on_no_match.CopyFrom(action)
    message.listener_filters.add(name="udp").typed_config.Pack(proxy)
    return resource(name, message.SerializeToString(), needs=target.needs if target else ())
