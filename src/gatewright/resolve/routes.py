"""Routes of every kind: attachment, rules and conditions of each, computed together from what it refers to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from msgspec import Struct, structs

from gatewright.flow import Collection, Context
from gatewright.model.gateway import GRPCRoute, HTTPRoute, TCPRoute, TLSRoute, UDPRoute
from gatewright.model.gateway.shared import RouteParentStatus
from gatewright.model.meta import Key
from gatewright.resolve.attachment import Attachment, attach
from gatewright.resolve.contests import Claim, Contest, Kind, shrink
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.inputs import Inputs, Route, seniority
from gatewright.resolve.outcomes import Outcome, heed_refusals, heed_rejection, noted, parent_status
from gatewright.resolve.parents import Parents
from gatewright.resolve.rules import resolve_grpc_rule, resolve_http_rule
from gatewright.resolve.streams import resolve_stream, waiting
from gatewright.topology import (
    BackendKey,
    HostKey,
    ListenerKey,
    Placement,
    Rule,
    Stream,
)

L7 = TypeVar("L7", HTTPRoute, GRPCRoute)
L4 = TypeVar("L4", TLSRoute, TCPRoute, UDPRoute)


class ResolvedRoute(Struct, frozen=True):
    """A route that names at least one of our Gateways."""

    kind: str
    key: Key
    attachments: tuple[Attachment, ...]
    rules: tuple[Rule, ...]
    streams: tuple[Stream, ...]
    valid: bool
    """Whether any rule can be served as it says."""
    parents: tuple[RouteParentStatus, ...]
    """What its status says, one entry a parentRef to a Gateway of ours."""

    @property
    def hosts(self) -> list[HostKey]:
        """Every virtual host that serves the route."""
        return list({host: None for attachment in self.attachments for host in attachment.hosts})

    @property
    def targets(self) -> set[BackendKey]:
        """Every backend that the route's rules can send a request to, of themselves or in a filter."""
        if not self.hosts:
            return set()
        return {backend for rule in self.rules for backend in rule.targets}

    @property
    def listeners(self) -> set[ListenerKey]:
        """Every listener that the route is accepted by: attached there, and valid in itself."""
        return {key for attachment in self.attachments for key in attachment.listeners} if self.valid else set()

    @property
    def placements(self) -> list[Placement]:
        """Each rule in each virtual host that serves it."""
        return [Placement(host, rule) for host in self.hosts for rule in self.rules]


@dataclass(frozen=True)
class Routes:
    """The routes of each kind, by their keys."""

    http: Collection[Key, ResolvedRoute]
    grpc: Collection[Key, ResolvedRoute]
    tls: Collection[Key, ResolvedRoute]
    tcp: Collection[Key, ResolvedRoute]
    udp: Collection[Key, ResolvedRoute]

    @property
    def of_requests(self) -> dict[str, Collection[Key, ResolvedRoute]]:
        """Those of HTTP, by the first word of their kinds."""
        return {"http": self.http, "grpc": self.grpc}

    @property
    def of_connections(self) -> dict[str, Collection[Key, ResolvedRoute]]:
        """Those of layer 4."""
        return {"tls": self.tls, "tcp": self.tcp, "udp": self.udp}

    @property
    def every_kind(self) -> dict[str, Collection[Key, ResolvedRoute]]:
        """All of them."""
        return self.of_requests | self.of_connections


def resolve_routes(inputs: Inputs, parents: Parents, dialect: Dialect) -> Routes:
    """Every route that names one of the `parents`, which `attach` reads."""
    flow = inputs.flow

    def claim(kind: Kind) -> Callable[[Context, Key, L7], Claim | None]:
        def attached(ctx: Context, key: Key, route: L7) -> Claim | None:
            attachments = attach(ctx, inputs, parents, route, route.spec.hostnames)
            if not attachments:
                return None
            hosts = tuple({host: None for attachment in attachments for host in attachment.hosts})
            return Claim(kind, key, seniority(route), attachments, hosts)

        return attached

    http_claims = flow.derive("http claims", inputs.written(inputs.http_routes), claim("HTTPRoute"))
    grpc_claims = flow.derive("grpc claims", inputs.written(inputs.grpc_routes), claim("GRPCRoute"))
    contest = Contest(inputs, http_claims, grpc_claims)

    def requests(
        claims: Collection[Key, Claim], resolve_rule: Callable[[Context, Inputs, L7, int, Dialect], Outcome]
    ) -> Callable[[Context, Key, L7], ResolvedRoute | None]:
        def resolve(ctx: Context, key: Key, route: L7) -> ResolvedRoute | None:
            found = ctx.get(claims, key)
            if found is None:
                return None
            attachments = shrink(found.attachments, contest.losses(ctx, found))
            outcomes = [resolve_rule(ctx, inputs, route, index, dialect) for index in range(len(route.spec.rules))]
            return _resolved(ctx, inputs, route, attachments, outcomes, dialect)

        return resolve

    def connections(ctx: Context, key: Key, route: L4) -> ResolvedRoute | None:
        server_names = route.spec.hostnames if isinstance(route, TLSRoute) else ()
        attachments = attach(ctx, inputs, parents, route, server_names)
        if not attachments:
            return None
        outcomes = [resolve_stream(ctx, inputs, route, index) for index in range(len(route.spec.rules))]
        return _resolved(ctx, inputs, route, attachments, outcomes, dialect)

    return Routes(
        http=flow.derive(
            "resolved http routes", inputs.written(inputs.http_routes), requests(http_claims, resolve_http_rule)
        ),
        grpc=flow.derive(
            "resolved grpc routes", inputs.written(inputs.grpc_routes), requests(grpc_claims, resolve_grpc_rule)
        ),
        tls=flow.derive("resolved tls routes", inputs.written(inputs.tls_routes), connections),
        tcp=flow.derive("resolved tcp routes", inputs.written(inputs.tcp_routes), connections),
        udp=flow.derive("resolved udp routes", inputs.written(inputs.udp_routes), connections),
    )


def tell_waiting(
    inputs: Inputs, kind: str, routes: Collection[Key, ResolvedRoute], holders: Collection[HostKey, Key]
) -> Collection[Key, ResolvedRoute]:
    """The routes of layer 4 whose statuses say which others they wait for."""

    def resolve(ctx: Context, key: Key, route: ResolvedRoute) -> ResolvedRoute:
        notes = [waiting(ctx, holders, route.kind, key, attachment.hosts) for attachment in route.attachments]
        if not route.valid or not any(notes):
            return route
        parents = (noted(status, found) for status, found in zip(route.parents, notes, strict=True))
        return structs.replace(route, parents=tuple(parents))

    return inputs.flow.derive(f"{kind} routes with those that wait", routes, resolve)


def _resolved(
    ctx: Context,
    inputs: Inputs,
    route: Route,
    attachments: tuple[Attachment, ...],
    outcomes: Sequence[Outcome],
    dialect: Dialect,
) -> ResolvedRoute:
    outcomes = heed_rejection(ctx, inputs, route, outcomes, dialect)
    return ResolvedRoute(
        kind=route.kind,
        key=route.key,
        attachments=attachments,
        rules=tuple(rule for outcome in outcomes for rule in outcome.rules),
        streams=tuple(stream for outcome in outcomes for stream in outcome.streams),
        valid=not outcomes or any(outcome.problem is None for outcome in outcomes),
        parents=tuple(
            parent_status(route, attachment, heed_refusals(ctx, inputs, route, attachment, outcomes))
            for attachment in attachments
        ),
    )
