"""Listeners of an ALB as Envoy's listeners (LDS): one for each node, all with the routes of one RouteConfiguration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import structlog
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.core.v3 import base_pb2
from envoy.config.listener.v3 import listener_components_pb2, listener_pb2
from envoy.config.route.v3 import route_pb2
from envoy.extensions.filters.http.header_to_metadata.v3 import header_to_metadata_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2
from envoy.extensions.filters.listener.tls_inspector.v3 import tls_inspector_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2

from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import ROUTES, Ref, Resource, resource
from gatewright.envoy.streams import listen
from gatewright.local.aws.alb.actions import MATCHES, SCRIPT, SESSION, TRANSFORM
from gatewright.local.aws.alb.answers import local_replies, page
from gatewright.local.aws.alb.conditions import PATH_HEADER, SOURCE_HEADER
from gatewright.local.aws.alb.scripts import actions, append_port, trace, transforms
from gatewright.local.aws.pools import number
from gatewright.local.aws.state import Bound, Listener, LoadBalancer, Node
from gatewright.local.aws.tls import ClientValidation, server_context

_log = structlog.get_logger(__name__)

_Manager: TypeAlias = http_connection_manager_pb2.HttpConnectionManager

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_HEADERS_KIB = 64
_MAX_STREAMS = 128
_STREAM_WINDOW = 256 * 1024
_CONNECTION_WINDOW = 1024 * 1024
_CONNECTION_BUFFER = 256 * 1024
_DRAIN = 1
_DEFAULT_IDLE, _DEFAULT_KEEP_ALIVE = 60, 3600
"""Seconds."""
_DEFAULT_PORTS = frozenset({80, 443})
_COPIED = ((PATH_HEADER, "%PATH(NQ)%"), (SOURCE_HEADER, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"))
_PLAIN_TO_TLS = "The plain HTTP request was sent to HTTPS port"


class Surroundings(NamedTuple):
    """What a node's listener has besides itself: the filters of its web ACL, and where requests are logged."""

    filters: tuple[HttpFilter, ...] = ()
    access_logs: tuple[AccessLog, ...] = ()


def table_name(listener: Listener) -> str:
    """The name of a listener's routes, and the prefix of its listeners': `app/name/id/listener id`."""
    return listener.arn.partition(":listener/")[2] or listener.arn


def listener_name(listener: Listener, node: Node) -> str:
    """The name of Envoy's listener for a node."""
    return f"{table_name(listener)}/{node.address}"


def node_listener(
    balancer: LoadBalancer,
    listener: Listener,
    node: Node,
    bound: Bound,
    certificates: Sequence[str],
    surroundings: Surroundings,
) -> Resource:
    """A node's listener. `certificates` are the ARNs of those that can be used: at least one where it is HTTPS.

    `parts` are the listener's ARN, its routes and its secrets.
    """
    message = listener_pb2.Listener(name=listener_name(listener, node))
    listen(message, [(bound.address, bound.port)], "TCP")
    message.enable_reuse_port.value = False  # with it, whoever else listens there would get part of the connections
    message.per_connection_buffer_limit_bytes.value = _CONNECTION_BUFFER
    unverifiable = listener.mutual_tls == "verify" and not listener.authorities
    awaited = [] if unverifiable else [Ref(ROUTES, table_name(listener))]
    if listener.protocol == "HTTPS":
        message.listener_filters.add(name="tls").typed_config.Pack(tls_inspector_pb2.TlsInspector(), deterministic=True)
        chain = message.filter_chains.add(name="https")
        chain.filter_chain_match.transport_protocol = "tls"
        http2 = balancer.attributes.get("routing.http2.enabled", "true") == "true"
        context, secrets = server_context(
            certificates,
            listener.ssl_policy,
            ("h2", "http/1.1") if http2 else ("http/1.1",),
            client_validation=_client_validation(listener),
        )
        chain.transport_socket.name = "tls"
        chain.transport_socket.typed_config.Pack(context, deterministic=True)
        awaited += secrets
        _answer_all(message.filter_chains.add(name="http"), listener, 400, page(400, _PLAIN_TO_TLS), surroundings)
    else:
        chain = message.filter_chains.add(name="http")
    if unverifiable:
        _log.warning("client certificates can't be verified; all requests are answered 500", listener=listener.arn)
        _answer_all(chain, listener, 500, page(500), surroundings)
        return resource(message.name, message.SerializeToString(deterministic=True), parts=(listener.arn, *awaited))
    chain.filters.add(name="http").typed_config.Pack(manager(balancer, listener, surroundings), deterministic=True)
    return resource(message.name, message.SerializeToString(deterministic=True), parts=(listener.arn, *awaited))


def _client_validation(listener: Listener) -> ClientValidation | None:
    if listener.mutual_tls == "off":
        return None
    return ClientValidation(listener.authorities, listener.takes_expired)


def manager(balancer: LoadBalancer, listener: Listener, surroundings: Surroundings) -> _Manager:
    """The HTTP settings of a listener, with its load balancer's attributes."""
    attributes = balancer.attributes
    message = _new_manager(listener)
    message.rds.route_config_name = table_name(listener)
    message.rds.config_source.CopyFrom(ADS)
    is_default_port = listener.port in _DEFAULT_PORTS
    preserves_host = attributes.get("routing.http.preserve_host_header.enabled") == "true"
    message.strip_any_host_port = is_default_port and not preserves_host
    message.upgrade_configs.add(upgrade_type="websocket")
    common = message.common_http_protocol_options
    common.max_connection_duration.seconds = int(number(attributes, "client_keep_alive.seconds", _DEFAULT_KEEP_ALIVE))
    message.http1_safe_max_connection_duration = True  # the last request's answer says that the connection is closed
    idle = int(number(attributes, "idle_timeout.timeout_seconds", _DEFAULT_IDLE))
    common.idle_timeout.seconds = idle
    message.stream_idle_timeout.seconds = idle
    message.request_headers_timeout.seconds = idle
    if attributes.get("routing.http.drop_invalid_header_fields.enabled") == "true":
        _drop_invalid_headers(message)
    _add_filters(message, None if is_default_port or preserves_host else listener.port, surroundings)
    message.access_log.extend(surroundings.access_logs)
    return message


def _new_manager(listener: Listener) -> _Manager:
    """What all listeners have in common."""
    message = _Manager(stat_prefix="alb", server_header_transformation=_Manager.PASS_THROUGH)
    message.codec_type = _Manager.AUTO if listener.protocol == "HTTPS" else _Manager.HTTP1
    message.use_remote_address.value = True
    message.skip_xff_append = True  # for a loopback client Envoy would append an address of this machine; see `tables`
    message.generate_request_id.value = False
    message.normalize_path.value = False
    message.max_request_headers_kb.value = _HEADERS_KIB
    message.drain_timeout.seconds = _DRAIN
    message.http_protocol_options.allow_custom_methods = True
    message.http_protocol_options.accept_http_10 = True
    message.http_protocol_options.default_host_for_http_10 = "localhost"
    message.http2_protocol_options.max_concurrent_streams.value = _MAX_STREAMS
    message.http2_protocol_options.initial_stream_window_size.value = _STREAM_WINDOW
    message.http2_protocol_options.initial_connection_window_size.value = _CONNECTION_WINDOW
    shows_server = listener.attributes.get("routing.http.response.server.enabled", "true") != "false"
    message.local_reply_config.CopyFrom(local_replies(shows_server=shows_server))
    early = header_mutation_pb2.HeaderMutation()
    for name, value in _COPIED:
        early.mutations.add(remove=name)  # a client's own would stay where there is nothing to copy
        copied = early.mutations.add().append
        copied.append_action = _OVERWRITE
        copied.header.key, copied.header.value = name, value
    message.early_header_mutation_extensions.add(name="copies").typed_config.Pack(early, deterministic=True)
    return message


def _drop_invalid_headers(message: _Manager) -> None:
    """Leave only headers whose names are letters, digits and hyphens."""
    early = header_mutation_pb2.HeaderMutation()
    early.mutations.add().remove_on_match.key_matcher.safe_regex.regex = "[^:].*[^-A-Za-z0-9].*|[^-A-Za-z0-9:].*"
    message.early_header_mutation_extensions.add(name="names").typed_config.Pack(early, deterministic=True)


def _add_filters(message: _Manager, added_port: int | None, surroundings: Surroundings) -> None:
    """The filters in the order in which requests pass them. `added_port` is appended to a Host without a port."""
    _add(message, "trace", _script(trace()))
    message.http_filters.extend(surroundings.filters)
    _add(message, MATCHES, header_to_metadata_pb2.Config())
    _add(message, TRANSFORM, _scripts(transforms()))
    if added_port is not None:
        _add(message, "host", _script(append_port(added_port)))
    _add(message, SCRIPT, _scripts(actions()))
    _add(message, SESSION, stateful_session_pb2.StatefulSession())
    _add(message, "router", router_pb2.Router(suppress_envoy_headers=True))


def _script(code: str) -> lua_pb2.Lua:
    """A script for all requests. A rule stays chosen, whatever a script changes in the request."""
    message = lua_pb2.Lua(stat_prefix="alb")
    message.default_source_code.inline_string = code
    message.clear_route_cache.value = False
    return message


def _scripts(codes: Mapping[str, str]) -> lua_pb2.Lua:
    """Scripts for requests to routes that name one. Envoy gives each a state in each of its threads."""
    message = lua_pb2.Lua(stat_prefix="alb")
    message.clear_route_cache.value = False
    for name, code in codes.items():
        message.source_codes[name].inline_string = code
    return message


def _add(message: _Manager, name: str, config: Any) -> None:
    message.http_filters.add(name=name).typed_config.Pack(config, deterministic=True)


def _answer_all(
    chain: listener_components_pb2.FilterChain, listener: Listener, status: int, body: str, surroundings: Surroundings
) -> None:
    """Give all requests of a filter chain the same answer, and end their connections."""
    message = _new_manager(listener)
    table = route_pb2.RouteConfiguration(name="all")
    answer = table.virtual_hosts.add(name="all", domains=["*"]).routes.add()
    answer.match.prefix = ""
    answer.direct_response.status = status
    answer.direct_response.body.inline_string = body
    for name, value in (("content-type", "text/html"), ("connection", "close")):
        option = answer.response_headers_to_add.add(append_action=_OVERWRITE)
        option.header.key, option.header.value = name, value
    message.route_config.CopyFrom(table)
    message.access_log.extend(surroundings.access_logs)
    _add(message, "router", router_pb2.Router())
    chain.filters.add(name="http").typed_config.Pack(message, deterministic=True)
