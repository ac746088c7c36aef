"""Rules as Envoy routes, and virtual hosts put together from them.

A rule's routes are serialized once, as records of the `routes` field of a virtual host. Serialized records of a
repeated field can be joined as they are; so a virtual host of thousands of rules, of which one changed, is one join.

Mostly a rule is one route. Where backendRefs have filters of their own, each share is a route with everything that a
route can do, and takes its fraction of the requests; Envoy draws one number for a request, however often it compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple, TypeAlias

from envoy.config.route.v3 import route_components_pb2
from envoy.type.matcher.v3 import string_pb2
from envoy.type.v3 import percent_pb2
from msgspec import Struct

from gatewright.envoy.authorization import check
from gatewright.envoy.chain import CORS, MORE, more
from gatewright.envoy.clusters import Reach
from gatewright.envoy.cors import cors_policy, marked, preflights
from gatewright.envoy.filters import Entry, modify_headers, redirect, rewrite
from gatewright.envoy.pools import Pool
from gatewright.envoy.resources import ROUTES, Ref, Resource, resource
from gatewright.envoy.retries import limit
from gatewright.envoy.sessions import keep_session, without_session
from gatewright.envoy.syntax import UntranslatableError
from gatewright.topology import (
    BackendKey,
    Cors,
    ExternalAuth,
    Filter,
    HostKey,
    Match,
    Mirror,
    PathMatch,
    Redirect,
    Rewrite,
    Rule,
    RuleKey,
    ValueMatch,
    WeightedBackend,
)

_RouteAction = route_components_pb2.RouteAction
_Message: TypeAlias = route_components_pb2.Route

NOWHERE = "nowhere"
"""The cluster of a share of traffic without a backend. It never exists."""

_MILLION = 1_000_000


class Destination(NamedTuple):
    """A backend's cluster; `needs` are other resources that it can't do without."""

    cluster: Ref
    needs: tuple[Ref, ...]
    reach: Reach


class PooledDestination(NamedTuple):
    """The cluster of several backends."""

    cluster: Ref
    needs: tuple[Ref, ...]
    pool: Pool


ClusterOf: TypeAlias = Callable[[BackendKey], Destination | None]
"""The cluster of a backend, if it may be spoken to."""

PoolOf: TypeAlias = Callable[[tuple[tuple[BackendKey, int], ...]], PooledDestination]
"""The cluster of several backends with their weights, all of which may be spoken to."""


class Route(Struct, frozen=True):
    """A rule in one virtual host as records of its `routes`; `problem` says why the rule can't be served as it is.

    `reached` are the backends that it has clusters of, `pools` its clusters of several backends.
    """

    host: HostKey
    rule: Rule
    record: bytes
    needs: frozenset[Ref]
    problem: str = ""
    reached: frozenset[Reach] = frozenset()
    pools: frozenset[Pool] = frozenset()


class _Writer:
    """Writes one rule; collects what it needs."""

    def __init__(self, rule: Rule, entry: Entry, cluster_of: ClusterOf, pool_of: PoolOf) -> None:
        self.rule = rule
        self.entry = entry
        self.needs: set[Ref] = set()
        self.reached: set[Reach] = set()
        self.pools: set[Pool] = set()
        self._cluster_of = cluster_of
        self._pool_of = pool_of
        self._is_grpc = rule.key.kind == "GRPCRoute"
        # To a gRPC client these are UNAVAILABLE and UNKNOWN; the specification wants the first.
        self._no_backend = 503 if self._is_grpc else 500

    def routes(self) -> list[_Message]:
        """The routes of the rule, in order."""
        return list(self._pooled() if self.rule.session and len(self.rule.backends) > 1 else self._shares())

    def _shares(self) -> Iterator[_Message]:
        rule = self.rule
        shares = [share for share in rule.backends if share.weight > 0]
        if len(shares) == 1 or not any(share.filters for share in shares):
            filters = (*rule.filters, *(shares[0].filters if len(shares) == 1 else ()))
            yield from self._with_cors(filters, self._route(filters, shares))
            return
        total = sum(share.weight for share in shares)
        for share, reached in zip(shares, accumulate(share.weight for share in shares), strict=True):
            filters = (*rule.filters, *share.filters)
            message = self._route(filters, [share])
            if reached < total:
                _set_fraction(message.match.runtime_fraction.default_value, reached, total)
            yield from self._with_cors(filters, message)

    def _pooled(self) -> Iterator[_Message]:
        """Shares between which sessions don't move. What has no backend gets its part of the new sessions only."""
        rule, session = self.rule, self.rule.session
        if any(share.filters for share in rule.backends):
            raise UntranslatableError(
                "session persistence over several backendRefs with filters of their own can't be served; "
                "put the filters into the rule"
            )
        alive = [share for share in rule.backends if share.backend and self._cluster_of(share.backend)]
        total, reached = (sum(share.weight for share in shares) for shares in (rule.backends, alive))
        if session and 0 < reached < total:
            message = self._route(rule.filters, [])
            without_session(session, message.match)
            _set_fraction(message.match.runtime_fraction.default_value, total - reached, total)
            yield from self._with_cors(rule.filters, message)
        yield from self._with_cors(rule.filters, self._route(rule.filters, alive if reached else []))

    def _route(self, filters: Sequence[Filter], shares: Sequence[WeightedBackend]) -> _Message:
        message = new_route(self.rule)
        for filter_ in filters:
            if isinstance(filter_, Cors):
                self._configure(message, CORS, cors_policy(filter_))
        asked = [(filter_, self._cluster(filter_.backend)) for filter_ in filters if isinstance(filter_, ExternalAuth)]
        if len(asked) > 1:
            raise UntranslatableError("several ExternalAuth filters for one request can't be served; leave one")
        checks: list[Any] = [check(auth, cluster) for auth, cluster in asked if cluster]
        if checks:
            self._configure(message, MORE, more(checks))
        host = modify_headers(filters, message)
        if len(checks) < len(asked):
            message.direct_response.status = 500  # whoever decides can't be asked
            return message
        for filter_ in filters:
            if isinstance(filter_, Redirect):
                redirect(filter_, self.rule.match.path, self.entry, message.redirect)
                return message
        if not any(share.backend for share in shares):
            message.direct_response.status = self._no_backend
            return message
        action = message.route
        if host is not None:
            action.host_rewrite_literal = host
        for filter_ in filters:
            if isinstance(filter_, Rewrite):
                rewrite(filter_, self.rule.match.path, action)
            elif isinstance(filter_, Mirror):
                self._mirror(filter_, action)
        self._forward(shares, action)
        if self.rule.session:
            self._configure(message, MORE, more([keep_session(self.rule.session), *checks]))
        limit(self.rule, message)
        return message

    def _forward(self, shares: Sequence[WeightedBackend], action: route_components_pb2.RouteAction) -> None:
        if self.rule.session and len(shares) > 1:
            weights: dict[BackendKey, int] = {}
            for share in shares:
                if share.backend:
                    weights[share.backend] = weights.get(share.backend, 0) + share.weight
            for backend in weights:
                self._cluster(backend)  # where Envoy refuses one of them, it shows which
            found = self._pool_of(tuple(weights.items()))
            self.needs.update((found.cluster, *found.needs))
            self.pools.add(found.pool)
            action.cluster = found.cluster.name
            return
        names = [self._cluster(share.backend) or NOWHERE for share in shares]
        if len(shares) == 1:
            action.cluster = names[0]
        else:
            for name, share in zip(names, shares, strict=True):
                action.weighted_clusters.clusters.add(name=name).weight.value = share.weight
        if NOWHERE in names and not self._is_grpc:
            action.cluster_not_found_response_code = _RouteAction.INTERNAL_SERVER_ERROR

    def _cluster(self, backend: BackendKey | None) -> str | None:
        found = self._cluster_of(backend) if backend else None
        if found is None:
            return None
        self.needs.update((found.cluster, *found.needs))
        self.reached.add(found.reach)
        return found.cluster.name

    def _mirror(self, mirror: Mirror, action: route_components_pb2.RouteAction) -> None:
        cluster = self._cluster(mirror.backend)
        if cluster is None or not mirror.numerator:
            return
        policy = action.request_mirror_policies.add(cluster=cluster, disable_shadow_host_suffix_append=True)
        if mirror.numerator < mirror.denominator:
            _set_fraction(policy.runtime_fraction.default_value, mirror.numerator, mirror.denominator)

    @staticmethod
    def _configure(message: _Message, filter_name: str, config: Any) -> None:
        message.typed_per_filter_config[filter_name].Pack(config)

    def _with_cors(self, filters: Sequence[Filter], message: _Message) -> Iterator[_Message]:
        cors = next((filter_ for filter_ in filters if isinstance(filter_, Cors)), None)
        if cors:
            answering = _Message()
            answering.CopyFrom(message)
            is_own = message.HasField("route")
            if not is_own:
                answering.route.cluster = NOWHERE
            yield from preflights(answering, cors, CORS, self.rule.match.method, is_own=is_own)
            if not is_own:
                yield marked(message, cors)
        yield message


def route(host: HostKey, rule: Rule, entry: Entry, cluster_of: ClusterOf, pool_of: PoolOf) -> Route:
    """The routes of a rule. A rule that Envoy has no configuration for becomes a route that answers 500."""
    writer = _Writer(rule, entry, cluster_of, pool_of)
    try:
        messages, problem = writer.routes(), ""
    except UntranslatableError as error:
        refused = new_route(rule)
        refused.direct_response.status = 500
        return Route(host, rule, _record([refused]), frozenset(), str(error))
    return Route(
        host,
        rule,
        _record(messages),
        frozenset(writer.needs),
        problem,
        frozenset(writer.reached),
        frozenset(writer.pools),
    )


def virtual_host(host: HostKey, table: str, routes: Sequence[Route]) -> Resource:
    """A virtual host of routes in order of precedence; without any it answers 404."""
    body = b"".join([_new_host(host, table), *[route.record for route in routes]])
    needs = frozenset[Ref]().union(*[route.needs for route in routes])
    return resource(f"{table}/{host.hostname}", body, needs=needs, within=(Ref(ROUTES, table),), parts=tuple(routes))


def misdirected_host(host: HostKey, table: str) -> Resource:
    """A virtual host of which all requests belong to another listener: they get 421."""
    body = _new_host(host, table) + answer(421)
    return resource(f"{table}/{host.hostname}", body, within=(Ref(ROUTES, table),))


def answer(status: int) -> bytes:
    """As a record of a virtual host: the route that answers what no other matches."""
    message = route_components_pb2.Route(name="none")
    message.match.prefix = ""
    message.direct_response.status = status
    return _record([message])


def route_name(key: RuleKey) -> str:
    """`kind/namespace/name/rule/match`, as Envoy's access log shows it."""
    return f"{key.kind}/{key.route}/{key.rule}/{key.match}"


def new_route(rule: Rule) -> route_components_pb2.Route:
    """A route with a rule's name and match, and nothing to do yet."""
    message = route_components_pb2.Route(name=route_name(rule.key))
    _match(rule.match, message.match)
    return message


def _new_host(host: HostKey, table: str) -> bytes:
    message = route_components_pb2.VirtualHost(name=f"{table}/{host.hostname}", domains=[host.hostname])
    return bytes(message.SerializeToString())


def _record(messages: Iterable[_Message]) -> bytes:
    return bytes(route_components_pb2.VirtualHost(routes=messages).SerializeToString())


def _set_fraction(fraction: percent_pb2.FractionalPercent, part: int, whole: int) -> None:
    fraction.denominator = percent_pb2.FractionalPercent.MILLION
    fraction.numerator = round(part * _MILLION / whole)


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
