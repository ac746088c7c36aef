"""Actions and transforms of rules as Envoy's routes ("Action types for listener rules", "Transforms")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

import re2
import structlog
from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.header_to_metadata.v3 import header_to_metadata_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2
from envoy.extensions.http.stateful_session.header.v3 import header_pb2

from gatewright.envoy.resources import Ref
from gatewright.local.aws.alb.answers import NAMESPACE, page
from gatewright.local.aws.alb.conditions import is_regex
from gatewright.local.aws.alb.scripts import TARGET_HEADER
from gatewright.local.aws.state import (
    Action,
    FixedResponse,
    Forward,
    Redirect,
    Refused,
    Rule,
    TargetGroup,
    Transform,
)

_log = structlog.get_logger(__name__)

_Route: TypeAlias = route_components_pb2.Route

MATCHES, TRANSFORM, SCRIPT, SESSION = "matches", "transform", "script", "session"
"""Names of the HTTP filters that routes configure."""

_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_TRANSFORMED = {"host-header-rewrite": ":authority", "url-rewrite": ":path"}
_DEFAULT_DURATION = "86400"
_GROUP_COOKIE = "AWSALBTG"


class Group(NamedTuple):
    """A target group that a rule forwards to, with its cluster."""

    group: TargetGroup
    weight: int
    cluster: Ref


class Entry(NamedTuple):
    """What a redirect has to know of its listener.

    `shown` gives the port that is open for a port of the same load balancer, where that is another one.
    """

    protocol: str
    port: int
    shown: dict[int, int]


def routes(rule: Rule, entry: Entry, groups: Sequence[Group]) -> list[route_components_pb2.Route]:
    """The routes of a rule, of which the first one counts that matches; the last one always does.

    `groups` are those that its Forward names and that exist.
    """
    try:
        found = list(_routes(rule, entry, groups))
    except _UntransformableError as error:
        _log.warning("a rule's transform can't be applied; its requests are answered 500", rule=rule.arn, reason=error)
        found = [answering(500)]
    to_tls = bool(groups) and all(group.group.protocol == "HTTPS" for group in groups)
    for message in found:
        _describe(message, rule, to_tls=to_tls)
    return found


class _UntransformableError(Exception):
    """A transform whose regular expression or replacement RE2 doesn't take."""


def _routes(rule: Rule, entry: Entry, groups: Sequence[Group]) -> Iterator[_Route]:
    action = rule.action
    match action:
        case FixedResponse():
            yield _fixed(action)
        case Redirect():
            yield _redirect(action, entry, rule.transforms)
        case Refused():
            _log.warning("an action can't be emulated; its requests are answered 500", rule=rule.arn, type=action.type)
            yield answering(500)
        case Forward():
            yield from _forward(action, rule.transforms, groups)


# --- forward ----------------------------------------------------------------------------------------------------------


def _forward(action: Forward, transforms: Sequence[Transform], groups: Sequence[Group]) -> Iterator[_Route]:
    weighted = [group for group in groups if group.weight > 0]
    if not weighted:
        yield answering(503)
        return
    is_sticky = action.sticky_seconds is not None and len(groups) > 1
    if all(group.group.protocol_version in ("HTTP1", "") for group in groups):
        incompatible = answering(464)
        incompatible.match.grpc.SetInParent()
        yield incompatible
    if is_sticky:
        for group in groups:
            message = _to([group], transforms, action.sticky_seconds)
            cookie = message.match.headers.add(name="cookie").string_match
            cookie.safe_regex.regex = f"(?:.*;)? *{_GROUP_COOKIE}(?:CORS)?={group_id(group.group)}(?:;.*)?"
            yield message
    yield _to(weighted, transforms, action.sticky_seconds if is_sticky else None)


def _to(groups: Sequence[Group], transforms: Sequence[Transform], sticky_seconds: int | None) -> _Route:
    message = _new_route()
    action = message.route
    _transform(transforms, message)
    action.timeout.SetInParent()  # none: only the idle timeout ends a request
    # A connection that is closed before anything of a request was sent on it is no answer of the target's.
    action.retry_policy.retry_on = "reset-before-request"
    action.retry_policy.num_retries.value = 1
    if len(groups) == 1:
        action.cluster = groups[0].cluster.name
        _stick(groups[0].group, sticky_seconds, message.typed_per_filter_config)
        return message
    for group in groups:
        share = action.weighted_clusters.clusters.add(name=group.cluster.name)
        share.weight.value = group.weight
        _stick(group.group, sticky_seconds, share.typed_per_filter_config)
    return message


def group_id(group: TargetGroup) -> str:
    """What the cookie of group stickiness says of a target group."""
    return blake2b(group.arn.encode(), digest_size=24).hexdigest()


def _stick(group: TargetGroup, sticky_seconds: int | None, configuration: Any) -> None:
    """Configure sessions on the group and on its targets, and the check of what it speaks, where there is any."""
    attributes = group.attributes
    context: dict[str, str] = {}
    if sticky_seconds is not None:
        context |= {"group": group_id(group), "group_seconds": str(sticky_seconds)}
    kind = attributes.get("stickiness.type", "lb_cookie")
    if attributes.get("stickiness.enabled") == "true" and kind in ("lb_cookie", "app_cookie"):
        seconds = attributes.get(f"stickiness.{kind}.duration_seconds", _DEFAULT_DURATION)
        context |= {"stickiness": kind, "seconds": seconds}
        if kind == "app_cookie":
            context["cookie"] = attributes.get("stickiness.app_cookie.cookie_name", "")
        session = stateful_session_pb2.StatefulSessionPerRoute()
        state = session.stateful_session.session_state
        state.name = "envoy.http.stateful_session.header"
        state.typed_config.Pack(header_pb2.HeaderBasedSessionState(name=TARGET_HEADER), deterministic=True)
        configuration[SESSION].Pack(session, deterministic=True)
    if context or group.protocol_version in ("HTTP2", "GRPC"):
        _run("forward", context | {"version": group.protocol_version or "HTTP1"}, configuration)


# --- transforms -------------------------------------------------------------------------------------------------------


def _transform(transforms: Sequence[Transform], message: _Route) -> None:
    """Rewrite host and URL (path and query together, as AWS's examples do); what doesn't match stays as it is."""
    if not transforms:
        return
    matches = header_to_metadata_pb2.Config()
    for transform in transforms:
        header = _TRANSFORMED[transform.type]
        present = matches.request_rules.add(header=header).on_header_present
        present.metadata_namespace, present.key = NAMESPACE, transform.type
        present.regex_value_rewrite.pattern.regex = transform.regex
        present.regex_value_rewrite.substitution = _substitution(transform)
    message.typed_per_filter_config[MATCHES].Pack(matches, deterministic=True)
    _run("transform", {}, message.typed_per_filter_config, TRANSFORM)


def _substitution(transform: Transform) -> str:
    """The replacement in RE2's words: `\\1` for `$1`."""
    if not is_regex(transform.regex):
        raise _UntransformableError(f"{transform.type}: {transform.regex!r} is no regular expression of RE2's")
    groups = re2.compile(transform.regex).groups
    text = transform.replace.replace("\\", "\\\\")
    used = [int(number) for number in re.findall(r"\$([0-9])", text)]
    if any(number > groups for number in used):
        raise _UntransformableError(f"{transform.type}: {transform.replace!r} refers to a group that isn't there")
    return re.sub(r"\$([0-9])", r"\\\1", text)


# --- own answers ------------------------------------------------------------------------------------------------------


def _fixed(action: FixedResponse) -> _Route:
    message = _new_route()
    message.direct_response.status = action.status
    if action.body:
        message.direct_response.body.inline_string = action.body
    _set_header(message, "content-type", action.content_type or "text/plain")
    return message


def answering(status: int) -> _Route:
    """A route that answers with a status and its page."""
    message = _new_route()
    message.direct_response.status = status
    if status != 464:
        message.direct_response.body.inline_string = page(status)
    _set_header(message, "content-type", "text/html")
    return message


def _redirect(action: Redirect, entry: Entry, transforms: Sequence[Transform]) -> _Route:
    """A redirect. AWS shows the port always, as in `https://example.com:443/`.

    What its placeholders stand for is what the transforms have left of the request.
    """
    message = _new_route()
    _transform(transforms, message)
    message.direct_response.status = action.status  # the script answers first
    own_port = str(entry.shown.get(entry.port, entry.port))
    port = own_port if action.port == "#{port}" else action.port
    if port.isdigit() and action.host == "#{host}":
        port = str(entry.shown.get(int(port), int(port)))
    context = {
        "status": str(action.status),
        "body": page(action.status),
        "own_protocol": entry.protocol.lower(),
        "own_port": own_port,
        "protocol": (entry.protocol if action.protocol == "#{protocol}" else action.protocol).lower(),
        "host": action.host,
        "port": port,
        "path": action.path,
        "query": action.query,
    }
    _run("redirect", context, message.typed_per_filter_config)
    return message


# --- parts ------------------------------------------------------------------------------------------------------------


def _new_route() -> _Route:
    message = _Route()
    message.match.prefix = ""
    return message


def _run(script: str, context: dict[str, str], configuration: Any, filter_name: str = SCRIPT) -> None:
    message = lua_pb2.LuaPerRoute(name=script)
    message.filter_context.update(context)
    configuration[filter_name].Pack(message, deterministic=True)


def _set_header(message: _Route, name: str, value: str) -> None:
    option = message.response_headers_to_add.add(append_action=_OVERWRITE)
    option.header.key, option.header.value = name, value.replace("%", "%%")


def _describe(message: _Route, rule: Rule, *, to_tls: bool) -> None:
    """Say in the route's metadata, for access logs and errors, which rule it is of and what that does."""
    message.name = f"{rule.arn.rpartition('/')[2]}"
    fields = message.metadata.filter_metadata[NAMESPACE]
    fields["rule_priority"] = str(rule.priority or 0)
    fields["actions"] = name_of(rule.action)
    fields["target_tls"] = str(to_tls).lower()


def name_of(action: Action) -> str:
    """ELBv2's name of an action, as access logs have it: `forward`, `redirect`, `fixed-response`, …"""
    match action:
        case Forward():
            return "forward"
        case Redirect():
            return "redirect"
        case FixedResponse():
            return "fixed-response"
        case Refused():
            return action.type
