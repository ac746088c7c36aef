"""Ports as Envoy listeners (LDS).

All HTTP listeners of a port share one routing table, by which we mean a collection of scopes (see `scopes`); each HTTPS
listener has its own, behind a filter chain that is chosen by SNI. A TLS listener has a filter chain for each of its
hostnames, a TCP listener just one.

A filter chain is serialized once, as a record of the `filter_chains` field of a listener; records are joined as they
are. So a port of thousands of listeners, of which one changed, is one join of bytes.

With each update of a listener Envoy validates and hashes all of its filter chains, which takes it most of a millisecond
each. So the chains of a crowded port are resources of their own (FCDS), and the listener says just which server name
leads to which. Envoy 1.40 doesn't ask for the secrets of such a chain, so its certificates are within it.

Sockets are not opened with SO_REUSEPORT: with it, a second edge on the same port would silently get half of the
connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from msgspec import Struct

from gatewright.envoy.chain import add_filters
from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import FILTER_CHAIN, LISTENER, ROUTES, SECRET, Ref, Resource, resource
from gatewright.envoy.scopes import choose_scope
from gatewright.envoy.servernames import choose_by_server_name
from gatewright.envoy.streams import Target, listen, pass_on
from gatewright.topology import NO_SET, Certificate, Listener, Origin, PortKey

_HttpConnectionManager = http_connection_manager_pb2.HttpConnectionManager

_CONNECTION_IDLE = 3600
_STREAM_IDLE = 300
_REQUEST_HEADERS = 60
_MAX_STREAMS = 250
_STREAM_WINDOW = 256 * 1024
_CONNECTION_WINDOW = 1024 * 1024
_CONNECTION_BUFFER = 256 * 1024
_DRAIN = 1


class Binding(Struct, frozen=True):
    """Where a Gateway's ports are really opened: an address, and for each port of the Gateway the one bound.

    `ports` are the TCP ports, `udp_ports` those of UDP. `others` are further addresses with the same ports.
    `status_port` is where the proxy says whether it is ready, None where it doesn't.
    """

    host: str
    ports: Mapping[int, int]
    udp_ports: Mapping[int, int] = {}
    others: tuple[Binding, ...] = ()
    status_port: int | None = None

    def bound(self, port: PortKey) -> int | None:
        """The port that is open for a port of the Gateway, None where there is none."""
        return (self.udp_ports if port.transport == "UDP" else self.ports).get(port.port)

    def sockets(self, port: PortKey) -> tuple[tuple[str, int], ...]:
        """Every address and port that is open for a port of the Gateway."""
        found = ((binding.host, binding.bound(port)) for binding in (self, *self.others))
        return tuple((host, bound) for host, bound in found if bound)


class Chain(Struct, frozen=True):
    """A filter chain of a port as a record of a listener's `filter_chains`.

    `server_name` is what it takes of TLS connections, "*" for all that no other chain takes. `awaited` are the routing
    table and secrets that Envoy waits for before it uses the chain. `origins` are of the certificates within it.
    """

    port: PortKey
    name: str
    server_name: str
    record: bytes
    awaited: tuple[Ref, ...] = ()
    needs: tuple[Ref, ...] = ()
    is_tls: bool = True
    origins: tuple[Origin, ...] = ()

    def __repr__(self) -> str:
        return f"Chain({self.ref.name!r}, {self.server_name!r})"  # a record may hold a private key

    @property
    def ref(self) -> Ref:
        """Names the chain where it is a resource of its own."""
        return chain_ref(self.port, self.name)


def listener_name(port: PortKey) -> str:
    """`namespace/gateway/port`, with `/udp` where it isn't TCP."""
    name = f"{port.gateway}/{port.port}"
    return f"{name}/udp" if port.transport == "UDP" else name


def table_name(listener: Listener) -> str:
    """The routing table that the listener's virtual hosts are in."""
    name = listener_name(listener.port_key)
    return name if listener.protocol == "HTTP" else f"{name}/{chain_name(listener)}"


def chain_name(listener: Listener) -> str:
    """The listener's name, within its ListenerSet if it is from one."""
    key = listener.key
    return key.name if key.listener_set == NO_SET else f"{key.listener_set}/{key.name}"


def chain_ref(port: PortKey, name: str) -> Ref:
    """Names a chain of a crowded port."""
    return Ref(FILTER_CHAIN, f"{listener_name(port)}/{name}")


def listener(
    port: PortKey, chains: Iterable[Chain], sockets: Sequence[tuple[str, int]], *, crowded: bool = False
) -> Resource | None:
    """The TCP sockets of a port with all its filter chains; None without any. A crowded port has Envoy ask for them.

    `parts` are the references to the routing tables, secrets and chains that Envoy waits for before it opens the
    socket.
    """
    by_name: dict[str, Chain] = {}
    for chain in chains:  # Envoy refuses the whole port where two have the same server name
        by_name.setdefault(chain.server_name, chain)
    if not by_name:
        return None
    message = listener_pb2.Listener(name=listener_name(port))
    listen(message, sockets, "TCP")
    message.enable_reuse_port.value = False
    message.per_connection_buffer_limit_bytes.value = _CONNECTION_BUFFER
    members = by_name.values()
    if any(chain.is_tls for chain in members):
        message.listener_filters.add(name="tls_inspector").typed_config.Pack(tls_inspector_pb2.TlsInspector())
    if crowded:
        message.fcds_config.config_source.CopyFrom(ADS)
        named = {name: f"{message.name}/{chain.name}" for name, chain in by_name.items()}
        parts = [
            *(Ref(FILTER_CHAIN, name) for name in named.values()),
            *(ref for each in members for ref in each.awaited),
        ]
        return resource(message.name, choose_by_server_name(message, named), parts=tuple(dict.fromkeys(parts)))
    return resource(
        message.name,
        b"".join([message.SerializeToString(), *[chain.record for chain in members]]),
        needs=[ref for chain in members for ref in chain.needs],
        parts=tuple(dict.fromkeys(ref for chain in members for ref in chain.awaited)),
    )


def discovered_chain(chain: Chain) -> Resource:
    """A filter chain of a crowded port. `parts` are the origins of its certificates."""
    (message,) = listener_pb2.Listener.FromString(chain.record).filter_chains
    message.name = chain.ref.name
    message.ClearField("filter_chain_match")
    within = (Ref(LISTENER, listener_name(chain.port)),)
    return resource(message.name, message.SerializeToString(), needs=chain.needs, within=within, parts=chain.origins)


def http_chain(port: PortKey) -> Chain:
    """What all HTTP listeners of a port share."""
    message, table = listener_components_pb2.FilterChain(name="http"), listener_name(port)
    message.filters.add(name="http").typed_config.Pack(_connection_manager(table))
    return Chain(port, message.name, "*", _record(message), (Ref(ROUTES, table),), is_tls=False)


def https_chain(member: Listener, certificates: Sequence[Certificate], *, inline: bool = False) -> Chain:
    """An HTTPS listener with those of its certificates that are at hand."""
    message, table = _tls_chain(chain_name(member), member.hostname), table_name(member)
    secrets = _terminate_tls(message, member, certificates, ("h2", "http/1.1"), inline)
    message.filters.add(name="http").typed_config.Pack(_connection_manager(table))
    origins = tuple(certificate.origin for certificate in certificates)
    awaited = (*secrets, Ref(ROUTES, table))
    return Chain(member.port_key, message.name, member.hostname, _record(message), awaited, origins=origins)


def tls_chain(
    member: Listener,
    hostname: str,
    certificates: Sequence[Certificate],
    target: Target | None,
    *,
    inline: bool = False,
) -> Chain:
    """One hostname of a TLS listener; without certificates the connection goes on as it is.

    Without a target its connections are closed.
    """
    message = _tls_chain(f"{chain_name(member)}/{hostname}", hostname)
    secrets: tuple[Ref, ...] = ()
    if certificates:
        secrets = _terminate_tls(message, member, certificates, (), inline)
    else:
        message.filter_chain_match.transport_protocol = "tls"
    pass_on(message, target)
    origins = tuple(certificate.origin for certificate in certificates)
    needs = target.needs if target else ()
    return Chain(member.port_key, message.name, hostname, _record(message), secrets, needs, origins=origins)


def tcp_chain(member: Listener, target: Target | None) -> Chain:
    """A TCP listener. Nothing is read of a connection before it goes on: in some protocols the server speaks first."""
    message = listener_components_pb2.FilterChain(name=chain_name(member))
    pass_on(message, target)
    needs = target.needs if target else ()
    return Chain(member.port_key, message.name, "*", _record(message), needs=needs, is_tls=False)


def _record(chain: listener_components_pb2.FilterChain) -> bytes:
    return bytes(listener_pb2.Listener(filter_chains=[chain]).SerializeToString())


def _tls_chain(name: str, hostname: str) -> listener_components_pb2.FilterChain:
    message = listener_components_pb2.FilterChain(name=name)
    if hostname != "*":
        message.filter_chain_match.server_names.append(hostname)
    return message


def _terminate_tls(
    chain: listener_components_pb2.FilterChain,
    member: Listener,
    certificates: Sequence[Certificate],
    protocols: Iterable[str],
    inline: bool,
) -> tuple[Ref, ...]:
    """Put TLS into a chain; returns the secrets that it waits for."""
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(protocols)
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    for certificate in certificates:
        if inline:
            pair = common.tls_certificates.add()
            pair.certificate_chain.inline_bytes = certificate.chain
            pair.private_key.inline_bytes = certificate.private_key
        else:
            common.tls_certificate_sds_secret_configs.add(name=str(certificate.key)).sds_config.CopyFrom(ADS)
    if member.client_validation:
        validation = common.validation_context
        validation.trusted_ca.inline_bytes = member.client_validation.authorities
        if member.client_validation.required:
            context.require_client_certificate.value = True
        else:
            validation.trust_chain_verification = common_pb2.CertificateValidationContext.ACCEPT_UNTRUSTED
    chain.transport_socket.name = "tls"
    chain.transport_socket.typed_config.Pack(context)
    return () if inline else tuple(Ref(SECRET, str(certificate.key)) for certificate in certificates)


def _connection_manager(table: str) -> http_connection_manager_pb2.HttpConnectionManager:
    """Settings of an edge that doesn't trust its clients, after Envoy's "Configuring Envoy as an edge proxy".

    Paths are normalized as RFC 3986 says, and no further: slashes are neither merged nor unescaped.
    """
    message = _HttpConnectionManager(stat_prefix="http")
    choose_scope(message, table)
    add_filters(message)
    message.use_remote_address.value = True
    message.normalize_path.value = True
    message.path_with_escaped_slashes_action = _HttpConnectionManager.KEEP_UNCHANGED
    message.upgrade_configs.add(upgrade_type="websocket")
    message.common_http_protocol_options.idle_timeout.seconds = _CONNECTION_IDLE
    message.stream_idle_timeout.seconds = _STREAM_IDLE
    message.request_headers_timeout.seconds = _REQUEST_HEADERS
    message.drain_timeout.seconds = _DRAIN
    message.http2_protocol_options.allow_connect = True  # WebSockets over HTTP/2 (RFC 8441)
    message.http2_protocol_options.max_concurrent_streams.value = _MAX_STREAMS
    message.http2_protocol_options.initial_stream_window_size.value = _STREAM_WINDOW
    message.http2_protocol_options.initial_connection_window_size.value = _CONNECTION_WINDOW
    return message
