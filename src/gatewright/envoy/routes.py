"""Rules as Envoy routes, and virtual hosts put together from them.

A rule's route is serialized once, as a record of the `routes` field of a virtual host. Serialized records of a repeated
field can be joined as they are; so a virtual host of thousands of rules, of which one changed, is one join of bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import string_pb2
from msgspec import Struct

from gatewright.envoy.filters import Entry, UntranslatableError, modify_headers, redirect, rewrite
from gatewright.envoy.resources import ROUTES, Ref, Resource, resource
from gatewright.topology import (
    BackendKey,
    Filter,
    HeaderModifier,
    HostKey,
    Match,
    PathMatch,
    Redirect,
    Rewrite,
    Rule,
    RuleKey,
    ValueMatch,
    WeightedBackend,
)

_RouteAction = route_components_pb2.RouteAction

NOWHERE = "nowhere"
"""The cluster of a share of traffic without a backend. It never exists; Envoy answers 500 for it."""

_STREAM_IDLE = 300


class Route(Struct, frozen=True):
    """A rule in one virtual host as a record of its `routes`; `problem` says why the rule can't be served as it is."""

    host: HostKey
    rule: Rule
    record: bytes
    needs: frozenset[Ref]
    problem: str = ""


def route(host: HostKey, rule: Rule, entry: Entry, cluster_of: Callable[[BackendKey], Ref | None]) -> Route:
    """The route of a rule; `cluster_of` names the cluster of a backend, None where there is no such backend.

    A rule that Envoy has no configuration for becomes a route that answers 500.
    """
    needs: set[Ref] = set()

    def cluster(backend: BackendKey | None) -> str:
        ref = cluster_of(backend) if backend else None
        if ref is None:
            return NOWHERE
        needs.add(ref)
        return ref.name

    try:
        message, problem = _route(rule, entry, cluster), ""
    except UntranslatableError as error:
        message, problem = _new(rule), str(error)
        message.direct_response.status = 500
        needs.clear()
    record = route_components_pb2.VirtualHost(routes=[message]).SerializeToString()
    return Route(host, rule, record, frozenset(needs), problem)


def virtual_host(host: HostKey, table: str, routes: Sequence[Route]) -> Resource:
    """A virtual host of routes in order of precedence; without any it answers 404."""
    name = f"{table}/{host.hostname}"
    message = route_components_pb2.VirtualHost(name=name, domains=[host.hostname])
    body = message.SerializeToString() + b"".join([route.record for route in routes])
    needs = frozenset[Ref]().union(*[route.needs for route in routes])
    return resource(name, body, needs=needs, within=(Ref(ROUTES, table),), parts=tuple(routes))


def route_name(key: RuleKey) -> str:
    """`kind/namespace/name/rule/match`, as Envoy's access log shows it."""
    return f"{key.kind}/{key.route}/{key.rule}/{key.match}"


def _new(rule: Rule) -> route_components_pb2.Route:
    message = route_components_pb2.Route(name=route_name(rule.key))
    _match(rule.match, message.match)
    return message


def _route(rule: Rule, entry: Entry, cluster: Callable[[BackendKey | None], str]) -> route_components_pb2.Route:
    message = _new(rule)
    backends = [backend for backend in rule.backends if backend.weight > 0]
    filters: tuple[Filter, ...] = rule.filters
    if len(backends) == 1:
        filters += backends[0].filters
    # Envoy applies a share's modifiers before the route's; here the rule's come first, so that a backend's own prevail.
    by_share = len(backends) > 1 and any(backend.filters for backend in backends)
    host = None if by_share else modify_headers(filters, message)
    for filter_ in filters:
        if isinstance(filter_, Redirect):
            redirect(filter_, rule.match.path, entry, message.redirect)
            return message
    if not backends or all(backend.backend is None for backend in backends):
        message.direct_response.status = 500
        return message
    action = message.route
    if host is not None:
        action.host_rewrite_literal = host
    for filter_ in filters:
        if isinstance(filter_, Rewrite):
            rewrite(filter_, rule.match.path, action)
    if len(backends) == 1:
        action.cluster = cluster(backends[0].backend)
    else:
        for backend in backends:
            _share(backend, cluster(backend.backend), rule.filters if by_share else (), action)
    if action.cluster == NOWHERE or any(share.name == NOWHERE for share in action.weighted_clusters.clusters):
        action.cluster_not_found_response_code = _RouteAction.INTERNAL_SERVER_ERROR
    _timeouts(rule, action)
    return message


def _share(
    backend: WeightedBackend, cluster: str, first: tuple[Filter, ...], action: route_components_pb2.RouteAction
) -> None:
    share = action.weighted_clusters.clusters.add(name=cluster)
    share.weight.value = backend.weight
    host = modify_headers((*first, *backend.filters), share)
    if host is not None:
        share.host_rewrite_literal = host
    for filter_ in backend.filters:
        if isinstance(filter_, Rewrite) and filter_.path is None:
            share.host_rewrite_literal = filter_.hostname or ""
        elif not isinstance(filter_, HeaderModifier):
            what = "redirect" if isinstance(filter_, Redirect) else "path rewrite"
            raise UntranslatableError(f"a {what} for one of several backendRefs can't be served; put it into a rule")


def _timeouts(rule: Rule, action: route_components_pb2.RouteAction) -> None:
    """Without retries of requests that were begun, both time-outs limit the same: the shorter one holds."""
    limits = [limit for limit in (rule.request_timeout, rule.backend_request_timeout) if limit]
    limit = min(limits, default=0.0)
    action.timeout.FromNanoseconds(round(limit * 1e9))
    if limit > _STREAM_IDLE:
        action.idle_timeout.CopyFrom(action.timeout)
    elif rule.request_timeout == 0 and not limit:
        action.idle_timeout.SetInParent()  # no time-out was asked for: not even one for idling


def _match(match: Match, message: route_components_pb2.RouteMatch) -> None:
    _match_path(match.path, message)
    if match.method is not None:
        message.headers.add(name=":method").string_match.exact = match.method
    for header in match.headers:
        _match_value(header, message.headers.add(name=header.name).string_match)
    for parameter in match.query_params:
        _match_value(parameter, message.query_parameters.add(name=parameter.name).string_match)


def _match_path(path: PathMatch, message: route_components_pb2.RouteMatch) -> None:
    if path.type == "Exact":
        message.path = path.value
    elif path.type == "RegularExpression":
        message.safe_regex.regex = path.value
    elif prefix := path.value.rstrip("/"):
        message.path_separated_prefix = prefix
    else:
        message.prefix = "/"


def _match_value(match: ValueMatch, message: string_pb2.StringMatcher) -> None:
    if match.type == "Exact":
        message.exact = match.value
    else:
        message.safe_regex.regex = match.value
