"""The rules of HTTPRoutes and GRPCRoutes: one topology rule a match (Gateway API, HTTPRouteRule and GRPCRouteRule)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gatewright.flow import Context
from gatewright.model.gateway import (
    GRPCBackendRef,
    GRPCRoute,
    GRPCRouteMatch,
    GRPCRouteRule,
    HTTPBackendRef,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRetry,
    HTTPRouteRule,
    HTTPRouteTimeouts,
)
from gatewright.resolve.backends import References
from gatewright.resolve.dialects import PROXY, Dialect
from gatewright.resolve.durations import seconds
from gatewright.resolve.filters import Closed, idle_mirrors, refuse_unknown_filters, replaces_prefix, translate_filters
from gatewright.resolve.inputs import Inputs, origin
from gatewright.resolve.matches import grpc_precedence, http_precedence, translate_grpc_match, translate_http_match
from gatewright.resolve.outcomes import Outcome, Problem, Unsupported
from gatewright.resolve.sessions import translate_session, unserved
from gatewright.topology import (
    Filter,
    Match,
    PathMatch,
    Redirect,
    Retry,
    Rule,
    RuleKey,
    Session,
    Use,
    WeightedBackend,
)


class Traffic(Struct, frozen=True):
    """What happens to the requests that a rule gets. Without filters and backends they are answered with 500."""

    filters: tuple[Filter, ...] = ()
    backends: tuple[WeightedBackend, ...] = ()
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


def resolve_http_rule(ctx: Context, inputs: Inputs, route: HTTPRoute, index: int, dialect: Dialect = PROXY) -> Outcome:
    """What becomes of the rule number `index` of an HTTPRoute."""
    spec = route.spec.rules[index]
    field = f"spec.rules[{index}]"
    references = References(ctx, inputs, "HTTPRoute", route.namespace, dialect)
    traffic = _traffic(references, spec, field, "http")
    refused, notes, problem = tuple(references.refused), traffic.notes, traffic.problem
    written = spec.matches or (HTTPRouteMatch(),)
    try:
        matches = [translate_http_match(match, f"{field}.matches[{number}]") for number, match in enumerate(written)]
    except Unsupported as error:
        return Outcome(refused=refused, problem=Problem.of(error), notes=notes)
    try:
        _check_prefixes(matches, (traffic.filters, *(share.filters for share in traffic.backends)), field)
        request, backend_request = _timeouts(spec.timeouts, f"{field}.timeouts")
        sessions = [_session(route, index, spec, match.path, field) for match in matches]
    except Unsupported as error:
        traffic, problem = Traffic(), Problem.of(error)
        request, backend_request, sessions = None, None, [None for _ in matches]
    rules = tuple(
        Rule(
            key=RuleKey("HTTPRoute", route.key, index, number),
            precedence=http_precedence(route, match, index, number),
            match=match,
            filters=traffic.filters,
            backends=traffic.backends,
            origin=origin(route, f"{field}.matches[{number}]"),
            request_timeout=request,
            backend_request_timeout=backend_request,
            retry=_retry(spec.retry),
            session=sessions[number],
            name=spec.name or "",
        )
        for number, match in enumerate(matches)
    )
    return Outcome(rules, refused=refused, problem=problem, notes=notes)


def resolve_grpc_rule(ctx: Context, inputs: Inputs, route: GRPCRoute, index: int, dialect: Dialect = PROXY) -> Outcome:
    """What becomes of the rule number `index` of a GRPCRoute.

    Its calls go to the backends over HTTP/2, whatever the Service's appProtocol says of the version.
    """
    spec = route.spec.rules[index]
    field = f"spec.rules[{index}]"
    references = References(ctx, inputs, "GRPCRoute", route.namespace, dialect)
    traffic = _traffic(references, spec, field, "grpc")
    refused, notes, problem = tuple(references.refused), traffic.notes, traffic.problem
    written = spec.matches or (GRPCRouteMatch(),)
    try:
        matches = [translate_grpc_match(match, f"{field}.matches[{number}]") for number, match in enumerate(written)]
    except Unsupported as error:
        return Outcome(refused=refused, problem=Problem.of(error), notes=notes)
    try:
        # A service's methods are one application, so its cookie isn't limited to the path of one of them.
        kept = _session(route, index, spec, PathMatch("PathPrefix", "/"), field)
    except Unsupported as error:
        traffic, problem, kept = Traffic(), Problem.of(error), None
    rules = tuple(
        Rule(
            key=RuleKey("GRPCRoute", route.key, index, number),
            precedence=grpc_precedence(route, written[number], index, number),
            match=match,
            filters=traffic.filters,
            backends=traffic.backends,
            origin=origin(route, f"{field}.matches[{number}]"),
            session=kept,
            name=spec.name or "",
        )
        for number, match in enumerate(matches)
    )
    return Outcome(rules, refused=refused, problem=problem, notes=notes)


# --- what both have --------------------------------------------------------------------------------------------------


def _traffic(references: References, spec: HTTPRouteRule | GRPCRouteRule, field: str, use: Use) -> Traffic:
    """The filters and backends of the rule at `field`, which sends `use` to its backends."""
    refs: Sequence[HTTPBackendRef | GRPCBackendRef] = spec.backend_refs
    backends = references.backends(refs, field, use)
    own_fields = [f"{field}.backendRefs[{number}].filters" for number in range(len(refs))]
    refuse_unknown_filters(references, spec.filters, f"{field}.filters")
    for ref, at in zip(refs, own_fields, strict=True):
        refuse_unknown_filters(references, ref.filters, at)
    persistence = spec.session_persistence
    notes = unserved(persistence, f"{field}.sessionPersistence") if persistence else ()
    try:
        filters = translate_filters(references, spec.filters, f"{field}.filters", use)
        shares = []
        for ref, backend, at in zip(refs, backends, own_fields, strict=True):
            try:
                own = translate_filters(references, ref.filters, at, use, before=spec.filters)
                shares.append(WeightedBackend(backend, ref.weight, own))
            except Closed:
                shares.append(WeightedBackend(None, ref.weight))
    except Closed:
        return Traffic(notes=notes)
    except Unsupported as error:
        # Served without the filter, or left to a less specific rule, a request could get where it was to be stopped.
        return Traffic(problem=Problem.of(error), notes=notes)
    for share, ref, at in zip(shares, refs, own_fields, strict=True):
        if any(isinstance(item, Redirect) for item in share.filters):
            notes += idle_mirrors(ref.filters, at)
    if any(isinstance(item, Redirect) for item in filters):
        shares = []
    if not shares:
        notes += idle_mirrors(spec.filters, f"{field}.filters")
    return Traffic(filters, tuple(shares), notes=notes)


def _session(
    route: HTTPRoute | GRPCRoute, index: int, spec: HTTPRouteRule | GRPCRouteRule, path: PathMatch, field: str
) -> Session | None:
    """The session of a match on `path` of the rule at `field`; raises `Unsupported` for what can't be kept."""
    if spec.session_persistence is None:
        return None
    rule = spec.name or str(index)
    return translate_session(spec.session_persistence, route.kind, route.key, rule, path, f"{field}.sessionPersistence")


# --- HTTPRoutes alone ------------------------------------------------------------------------------------------------


def _check_prefixes(matches: Iterable[Match], filters: Iterable[tuple[Filter, ...]], field: str) -> None:
    types = {match.path.type for match in matches} - {"PathPrefix"}
    if types and any(replaces_prefix(group) for group in filters):
        found = ", ".join(sorted(types))
        raise Unsupported(f"{field}: ReplacePrefixMatch with a path match of type {found}, expected PathPrefix")


def _timeouts(spec: HTTPRouteTimeouts | None, field: str) -> tuple[float | None, float | None]:
    """The time for the whole request and for each try, in seconds."""
    if spec is None:
        return None, None
    request, backend_request = seconds(spec.request), seconds(spec.backend_request)
    if request and backend_request and backend_request > request:
        limit = f"expected no more than the request's {spec.request}"
        raise Unsupported(f"{field}.backendRequest: found {spec.backend_request}, {limit}")
    return request, backend_request


def _retry(spec: HTTPRouteRetry | None) -> Retry | None:
    return Retry(tuple(sorted(set(spec.codes))), spec.attempts, seconds(spec.backoff)) if spec else None
