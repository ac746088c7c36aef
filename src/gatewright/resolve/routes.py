"""HTTPRoutes: attachment, rules and conditions of each, computed together from what it refers to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from gatewright.flow import Collection, Context
from gatewright.model.gateway import HTTPRoute, HTTPRouteMatch, HTTPRouteRule
from gatewright.model.gateway.shared import RouteParentStatus
from gatewright.model.meta import Key
from gatewright.resolve.attachment import Attachment, attach
from gatewright.resolve.backends import Refused, resolve_reference
from gatewright.resolve.conditions import condition
from gatewright.resolve.filters import Unsupported, replaces_prefix, translate_filters, unknown_filters
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.resolve.inputs import Inputs, origin
from gatewright.resolve.matches import precedence, translate_match
from gatewright.topology import (
    BackendKey,
    Filter,
    HostKey,
    ListenerKey,
    Match,
    Placement,
    Redirect,
    Rule,
    RuleKey,
    WeightedBackend,
)


class ResolvedRoute(Struct, frozen=True):
    """A route that names at least one of our Gateways."""

    kind: str
    key: Key
    attachments: tuple[Attachment, ...]
    rules: tuple[Rule, ...]
    valid: bool
    """Whether any rule can be served as it says."""
    parents: tuple[RouteParentStatus, ...]
    """What its status says, one entry a parentRef to a Gateway of ours."""

    @property
    def hosts(self) -> list[HostKey]:
        """Every virtual host that serves the route."""
        return list({host: None for attachment in self.attachments for host in attachment.hosts})

    @property
    def backends(self) -> set[BackendKey]:
        """Every backend that the route can send a request to."""
        rules = self.rules if self.hosts else ()
        return {share.backend for rule in rules for share in rule.backends if share.backend}

    @property
    def listeners(self) -> set[ListenerKey]:
        """Every listener that the route is accepted by: attached there, and valid in itself."""
        return {key for attachment in self.attachments for key in attachment.listeners} if self.valid else set()

    @property
    def placements(self) -> list[Placement]:
        """Each rule in each virtual host that serves it."""
        return [Placement(host, rule) for host in self.hosts for rule in self.rules]


def resolve_http_routes(inputs: Inputs, gateways: Collection[Key, ResolvedGateway]) -> Collection[Key, ResolvedRoute]:
    """Every HTTPRoute that names a Gateway of ours."""

    def resolve(ctx: Context, key: Key, route: HTTPRoute) -> ResolvedRoute | None:
        spec = route.spec
        attachments = attach(ctx, inputs, gateways, "HTTPRoute", key.namespace, spec.hostnames, spec.parent_refs)
        if not attachments:
            return None
        outcomes = [_resolve_rule(ctx, inputs, route, index, rule) for index, rule in enumerate(spec.rules)]
        rejection = ctx.get(inputs.rejections, ("HTTPRoute", key))
        if rejection and rejection.version == origin(route).version:
            problem = Unsupported(f"the proxy refused the route: {rejection.message}")
            outcomes = [structs.replace(outcome, rules=(), problem=problem) for outcome in outcomes]
        rules = tuple(rule for outcome in outcomes for rule in outcome.rules)
        valid = any(outcome.problem is None for outcome in outcomes)
        parents = tuple(_status(route, attachment, outcomes) for attachment in attachments)
        return ResolvedRoute("HTTPRoute", key, attachments, rules, valid, parents)

    return inputs.flow.derive("resolved http routes", inputs.http_routes, resolve)


class _Outcome(Struct, frozen=True):
    """What became of one rule of a route: a topology rule for each match.

    `refused` are the references that lead nowhere, `problem` is why the rule can't be served as it says, `notes` name
    what it is served without.
    """

    rules: tuple[Rule, ...] = ()
    refused: tuple[Refused, ...] = ()
    problem: Unsupported | None = None
    notes: tuple[str, ...] = ()


def _resolve_rule(ctx: Context, inputs: Inputs, route: HTTPRoute, index: int, spec: HTTPRouteRule) -> _Outcome:
    field = f"spec.rules[{index}]"
    backends, refused = _backends(ctx, inputs, route, spec, field)
    filters_by_field = {f"{field}.filters": spec.filters} | {
        f"{field}.backendRefs[{number}].filters": ref.filters for number, ref in enumerate(spec.backend_refs)
    }
    unknown = [problem for at, items in filters_by_field.items() for problem in unknown_filters(items, at)]
    refused = (*refused, *(Refused("InvalidKind", problem) for problem in unknown))
    notes = _unserved_fields(spec, field)
    try:
        matches = [
            translate_match(match, f"{field}.matches[{number}]")
            for number, match in enumerate(spec.matches or (HTTPRouteMatch(),))
        ]
    except Unsupported as error:
        return _Outcome(refused=refused, problem=error, notes=notes)
    problem = None
    try:
        filters, *own = [translate_filters(items, at) for at, items in filters_by_field.items()]
        shares = tuple(
            WeightedBackend(backend, ref.weight, items)
            for ref, backend, items in zip(spec.backend_refs, backends, own, strict=True)
        )
        _check_prefixes(matches, (filters, *own), field)
    except Unsupported as error:
        # Served without the filter, or left to a less specific rule, a request could get where it was to be stopped.
        filters, shares, problem = (), (), error
    if any(isinstance(item, Redirect) for item in filters):
        shares = ()
    timeouts = spec.timeouts
    rules = tuple(
        Rule(
            key=RuleKey("HTTPRoute", route.key, index, number),
            precedence=precedence(route, match, index, number),
            match=match,
            filters=filters,
            backends=shares,
            origin=origin(route, f"{field}.matches[{number}]"),
            request_timeout=_seconds(timeouts.request) if timeouts else None,
            backend_request_timeout=_seconds(timeouts.backend_request) if timeouts else None,
        )
        for number, match in enumerate(matches)
    )
    return _Outcome(rules, refused, problem, notes)


def _check_prefixes(matches: Iterable[Match], filters: Iterable[tuple[Filter, ...]], field: str) -> None:
    types = {match.path.type for match in matches} - {"PathPrefix"}
    if types and any(replaces_prefix(group) for group in filters):
        found = ", ".join(sorted(types))
        raise Unsupported(f"{field}: ReplacePrefixMatch with a path match of type {found}, expected PathPrefix")


def _backends(
    ctx: Context, inputs: Inputs, route: HTTPRoute, spec: HTTPRouteRule, field: str
) -> tuple[list[BackendKey | None], tuple[Refused, ...]]:
    """The backend of each backendRef, and why those without one have none."""
    backends: list[BackendKey | None] = []
    refused: list[Refused] = []
    for number, ref in enumerate(spec.backend_refs):
        found = resolve_reference(ctx, inputs, "HTTPRoute", route.namespace, ref)
        if isinstance(found, Refused):
            refused.append(Refused(found.reason, f"{field}.backendRefs[{number}]: {found.message}"))
            backends.append(None)
        else:
            backends.append(found)
    return backends, tuple(refused)


def _unserved_fields(spec: HTTPRouteRule, field: str) -> tuple[str, ...]:
    present = {"retry": spec.retry, "sessionPersistence": spec.session_persistence}
    return tuple(f"{field}.{name}, which is not implemented" for name, value in present.items() if value is not None)


def _status(route: HTTPRoute, attachment: Attachment, outcomes: Sequence[_Outcome]) -> RouteParentStatus:
    generation = route.metadata.generation
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    complaints = "; ".join(dict.fromkeys(str(problem) for problem in problems))
    if attachment.accepted and len(problems) == len(outcomes):
        accepted = condition("Accepted", False, problems[0].reason, complaints, generation)
        partial = []
    else:
        notes = [note for outcome in outcomes for note in outcome.notes] if attachment.accepted else []
        message = "; served without ".join([attachment.message, *notes])
        accepted = condition("Accepted", attachment.accepted, attachment.reason, message, generation)
        partial = problems if attachment.accepted else []
    refused = [refused for outcome in outcomes for refused in outcome.refused]
    reason = refused[0].reason if refused else "ResolvedRefs"
    message = "; ".join(item.message for item in refused) or "every reference is resolved"
    conditions = [accepted, condition("ResolvedRefs", not refused, reason, message, generation)]
    if partial:
        # The first words are the specification's (RouteConditionPartiallyInvalid).
        message = f"Dropped Rule: {complaints}"
        conditions.append(condition("PartiallyInvalid", True, "UnsupportedValue", message, generation))
    return RouteParentStatus(
        parent_ref=attachment.parent, controller_name=attachment.controller, conditions=tuple(conditions)
    )


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def _seconds(duration: str | None) -> float | None:
    """A GEP-2257 duration in seconds; None where none is given."""
    if duration is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(h|ms|m|s)", duration))
