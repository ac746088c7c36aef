"""Ports as Envoy listeners (LDS).

All HTTP listeners of a port share one routing table, by which we mean a collection of scopes (see `scopes`); each HTTPS
listener has its own, behind a filter chain that is chosen by SNI.

Sockets are not opened with SO_REUSEPORT: with it, a second edge on the same port would silently get half of the
connections.
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Mapping, Sequence

from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from msgspec import Struct

from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import ROUTES, SECRET, Ref, Resource, resource
from gatewright.envoy.scopes import choose_scope
from gatewright.model.meta import Key
from gatewright.topology import Listener, PortKey

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
    """Where a Gateway's ports are really opened: an address, and for each port of the Gateway the one bound."""

    host: str
    ports: Mapping[int, int]


def listener_name(port: PortKey) -> str:
    """`namespace/gateway/port`."""
    return f"{port.gateway}/{port.port}"


def table_name(listener: Listener) -> str:
    """The routing table that the listener's virtual hosts are in."""
    name = listener_name(listener.port_key)
    return name if listener.protocol == "HTTP" else f"{name}/{listener.key.name}"


def listener(
    port: PortKey, members: Sequence[Listener], address: str, bound: int, certificates: Names[Key]
) -> Resource | None:
    """One socket with all listeners of the port. `certificates` are those at hand; a chain without any isn't served,
    nor a port without chains.

    `parts` are the references to the routing tables and secrets that Envoy waits for before it opens the socket.
    """
    message = listener_pb2.Listener(name=listener_name(port))
    message.address.socket_address.address = address
    message.address.socket_address.port_value = bound
    message.enable_reuse_port.value = False
    message.per_connection_buffer_limit_bytes.value = _CONNECTION_BUFFER
    awaited: dict[Ref, None] = {}
    for member in sorted(members, key=lambda member: member.key):
        if member.protocol == "HTTP":
            if message.filter_chains:
                continue
            chain = message.filter_chains.add(name="http")
        else:
            served = [key for key in member.certificates if key in certificates]
            if not served:
                continue
            chain = message.filter_chains.add(name=member.key.name)
            if member.hostname != "*":
                chain.filter_chain_match.server_names.append(member.hostname)
            _terminate_tls(chain, served)
            awaited.update(dict.fromkeys(Ref(SECRET, str(key)) for key in served))
        table = table_name(member)
        awaited[Ref(ROUTES, table)] = None
        chain.filters.add(name="http").typed_config.Pack(_connection_manager(table))
    if not message.filter_chains:
        return None
    if any(member.protocol == "HTTPS" for member in members):
        message.listener_filters.add(name="tls_inspector").typed_config.Pack(tls_inspector_pb2.TlsInspector())
    return resource(message.name, message.SerializeToString(), parts=tuple(awaited))


def _terminate_tls(chain: listener_components_pb2.FilterChain, certificates: Sequence[Key]) -> None:
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(["h2", "http/1.1"])
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    for key in certificates:
        common.tls_certificate_sds_secret_configs.add(name=str(key)).sds_config.CopyFrom(ADS)
    chain.transport_socket.name = "tls"
    chain.transport_socket.typed_config.Pack(context)


def _connection_manager(table: str) -> http_connection_manager_pb2.HttpConnectionManager:
    """Settings of an edge that doesn't trust its clients, after Envoy's "Configuring Envoy as an edge proxy".

    Paths are normalized as RFC 3986 says, and no further: slashes are neither merged nor unescaped.
    """
    message = _HttpConnectionManager(stat_prefix="http")
    choose_scope(message, table)
    message.http_filters.add(name="router").typed_config.Pack(router_pb2.Router())
    message.use_remote_address.value = True
    message.normalize_path.value = True
    message.path_with_escaped_slashes_action = _HttpConnectionManager.KEEP_UNCHANGED
    message.upgrade_configs.add(upgrade_type="websocket")
    message.common_http_protocol_options.idle_timeout.seconds = _CONNECTION_IDLE
    message.stream_idle_timeout.seconds = _STREAM_IDLE
    message.request_headers_timeout.seconds = _REQUEST_HEADERS
    message.drain_timeout.seconds = _DRAIN
    message.http2_protocol_options.max_concurrent_streams.value = _MAX_STREAMS
    message.http2_protocol_options.initial_stream_window_size.value = _STREAM_WINDOW
    message.http2_protocol_options.initial_connection_window_size.value = _CONNECTION_WINDOW
    return message
