"""The routes of a listener as one RouteConfiguration (RDS): its rules by priority, and what is done to all requests.

A rule's part is serialized once, as a record of the matcher's list; a listener's rules are joined as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from msgspec import Struct
from xds.type.matcher.v3 import matcher_pb2

from gatewright.envoy.resources import Ref, Resource, resource
from gatewright.local.aws.alb.actions import Entry, Group, answering, routes
from gatewright.local.aws.alb.conditions import PATH_HEADER, SOURCE_HEADER, predicate
from gatewright.local.aws.alb.listeners import table_name
from gatewright.local.aws.alb.scripts import TARGET_HEADER
from gatewright.local.aws.state import Condition, Listener, LoadBalancer, Rule

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
_OWN_HEADERS = (PATH_HEADER, SOURCE_HEADER, TARGET_HEADER, "x-envoy-external-address", "x-envoy-internal")

_RESPONSE_HEADERS = {
    "routing.http.response.strict_transport_security.header_value": "strict-transport-security",
    "routing.http.response.access_control_allow_origin.header_value": "access-control-allow-origin",
    "routing.http.response.access_control_allow_methods.header_value": "access-control-allow-methods",
    "routing.http.response.access_control_allow_headers.header_value": "access-control-allow-headers",
    "routing.http.response.access_control_allow_credentials.header_value": "access-control-allow-credentials",
    "routing.http.response.access_control_expose_headers.header_value": "access-control-expose-headers",
    "routing.http.response.access_control_max_age.header_value": "access-control-max-age",
    "routing.http.response.content_security_policy.header_value": "content-security-policy",
    "routing.http.response.x_content_type_options.header_value": "x-content-type-options",
    "routing.http.response.x_frame_options.header_value": "x-frame-options",
}
_CLIENT = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
_CLIENT_AND_PORT = "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%"
_DATE = "%Y-%m-%dT%H:%M:%SZ"
_MTLS_HEADERS = {
    "passthrough": {"clientcert": "%DOWNSTREAM_PEER_CERT%"},
    "verify": {
        "clientcert_serial_number": "%DOWNSTREAM_PEER_SERIAL%",
        "clientcert_issuer": "%DOWNSTREAM_PEER_ISSUER%",
        "clientcert_subject": "%DOWNSTREAM_PEER_SUBJECT%",
        "clientcert_validity": (
            f"NotBefore=%DOWNSTREAM_PEER_CERT_V_START({_DATE})%;NotAfter=%DOWNSTREAM_PEER_CERT_V_END({_DATE})%"
        ),
        "clientcert_leaf": "%DOWNSTREAM_PEER_CERT%",
    },
}
"""By mode, what targets are told of a client's certificate ("HTTP headers and mutual TLS")."""
_TLS_VERSION = "routing.http.request.x_amzn_tls_version.header_name"
_TLS_CIPHER = "routing.http.request.x_amzn_tls_cipher_suite.header_name"


class RuleRoutes(Struct, frozen=True):
    """A rule as Envoy's matcher has it. `record` is its entry in the list; of a default rule, what is done otherwise.

    `needs` are the clusters that it forwards to.
    """

    listener: str
    priority: int | None
    record: bytes
    needs: frozenset[Ref]


def rule_routes(rule: Rule, entry: Entry, groups: Sequence[Group]) -> RuleRoutes:
    """What becomes of a rule."""
    then = matcher_pb2.Matcher.OnMatch()
    then.action.name = "routes"
    found = routes(rule, entry, groups)
    if len(found) == 1:
        then.action.typed_config.Pack(found[0], deterministic=True)
    else:
        then.action.typed_config.Pack(route_components_pb2.RouteList(routes=found), deterministic=True)
    needs = frozenset(group.cluster for group in groups)
    if rule.priority is None:
        return RuleRoutes(rule.listener, None, then.SerializeToString(deterministic=True), needs)
    matcher = matcher_pb2.Matcher.MatcherList.FieldMatcher(predicate=predicate(rule.conditions), on_match=then)
    record = matcher_pb2.Matcher.MatcherList(matchers=[matcher]).SerializeToString(deterministic=True)
    return RuleRoutes(rule.listener, rule.priority, record, needs)


def order(rule: RuleRoutes) -> tuple[bool, int]:
    """Sorts rules by priority, the default one last."""
    return (rule.priority is None, rule.priority or 0)


def table(balancer: LoadBalancer, listener: Listener, rules: Sequence[RuleRoutes], within: Iterable[Ref]) -> Resource:
    """The routes of a listener. `rules` are in their order; `within` are Envoy's listeners that use it."""
    message = route_pb2.RouteConfiguration(name=table_name(listener))
    host = message.virtual_hosts.add(name="alb", domains=["*"])
    host.matcher.matcher_list.matchers.append(_no_trace())
    listed = b"".join(rule.record for rule in rules if rule.priority is not None)
    host.matcher.matcher_list.MergeFromString(listed)
    for rule in rules:
        if rule.priority is None:
            host.matcher.on_no_match.MergeFromString(rule.record)
    _request_headers(balancer, listener, message)
    _response_headers(listener, message)
    needs = frozenset[Ref]().union(*[rule.needs for rule in rules])
    return resource(
        message.name,
        message.SerializeToString(deterministic=True),
        needs=needs,
        within=tuple(within),
        parts=(listener.arn,),
    )


def _no_trace() -> Any:
    """The method TRACE is answered 405, whatever the rules say."""
    message = matcher_pb2.Matcher.MatcherList.FieldMatcher(
        predicate=predicate([Condition("http-request-method", ("TRACE",))])
    )
    message.on_match.action.name = "routes"
    message.on_match.action.typed_config.Pack(answering(405), deterministic=True)
    return message


def _request_headers(balancer: LoadBalancer, listener: Listener, message: route_pb2.RouteConfiguration) -> None:
    """What targets are told ("HTTP headers and Application Load Balancers")."""
    attributes = balancer.attributes
    message.request_headers_to_remove.extend(_OWN_HEADERS)
    add = message.request_headers_to_add
    _set(add, "x-forwarded-port", str(listener.port))
    mode = attributes.get("routing.http.xff_header_processing.mode", "append")
    if mode == "remove":
        message.request_headers_to_remove.append("x-forwarded-for")
    elif mode == "append":
        with_port = attributes.get("routing.http.xff_client_port.enabled") == "true"
        _set(add, "x-forwarded-for", _CLIENT_AND_PORT if with_port else _CLIENT, _APPEND)
    if listener.protocol != "HTTPS":
        return
    own = listener.attributes
    if attributes.get("routing.http.x_amzn_tls_version_and_cipher_suite.enabled") == "true":
        _set(add, own.get(_TLS_VERSION, "") or "x-amzn-tls-version", "%DOWNSTREAM_TLS_VERSION%")
        _set(add, own.get(_TLS_CIPHER, "") or "x-amzn-tls-cipher-suite", "%DOWNSTREAM_TLS_CIPHER%")
    for part, value in _MTLS_HEADERS.get(listener.mutual_tls, {}).items():
        name = own.get(f"routing.http.request.x_amzn_mtls_{part}.header_name", "") or _mtls_header(part)
        message.request_headers_to_remove.append(name)
        option = add.add(append_action=_OVERWRITE)
        option.header.key, option.header.value = name, value


def _mtls_header(part: str) -> str:
    return f"x-amzn-mtls-{part.replace('_', '-')}"


def _response_headers(listener: Listener, message: route_pb2.RouteConfiguration) -> None:
    """What clients are told ("Header modification")."""
    attributes = listener.attributes
    if attributes.get("routing.http.response.server.enabled") == "false":
        message.response_headers_to_remove.append("server")
    for attribute, header in _RESPONSE_HEADERS.items():
        value = attributes.get(attribute, "")
        if value:
            _set(message.response_headers_to_add, header, value.replace("%", "%%"))


def _set(options: Any, name: str, value: str, action: Any = _OVERWRITE) -> None:
    option = options.add(append_action=action)
    option.header.key, option.header.value = name, value
