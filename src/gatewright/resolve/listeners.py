"""Listeners: which are valid, what each accepts, and what of it is served (Gateway API, Listener and ListenerEntry).

One collection over the listeners of Gateways and of ListenerSets, each resolved by itself.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import Listener as ListenerSpec
from gatewright.model.gateway.listeners import RouteGroupKind
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Condition, Key
from gatewright.resolve.admission import GatewayTerms
from gatewright.resolve.certificates import KeyPair, misnamed, usable_secret
from gatewright.resolve.conditions import Reason, condition, together
from gatewright.resolve.conflicts import Claims, conflict, overlap
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.entries import Entry, Seat
from gatewright.resolve.frontends import Frontend, Frontends
from gatewright.resolve.hostnames import is_address
from gatewright.resolve.inputs import Inputs
from gatewright.topology import Listener, ListenerKey, Protocol

ROUTE_KINDS: dict[str, tuple[str, ...]] = {
    "HTTP": ("HTTPRoute", "GRPCRoute"),
    "HTTPS": ("HTTPRoute", "GRPCRoute"),
    "TLS": ("TLSRoute",),
    "TCP": ("TCPRoute",),
    "UDP": ("UDPRoute",),
}
"""The route kinds that each listener protocol carries."""


class ResolvedListener(Struct, frozen=True):
    """A listener of a Gateway of ours. `served` is what reaches the topology: None where it can't carry traffic.

    `conditions` are those that don't depend on the data plane: Accepted, Conflicted, ResolvedRefs, and
    OverlappingTLSConfig where it holds.
    """

    entry: Entry
    kinds: tuple[RouteGroupKind, ...]
    conditions: tuple[Condition, ...]
    served: Listener | None

    @property
    def key(self) -> ListenerKey:
        """Its Gateway, its ListenerSet if it comes from one, and its name."""
        return self.entry.key

    @property
    def name(self) -> str:
        """Its name in the object that has it."""
        return self.entry.key.name

    def holds(self, type_: str) -> bool:
        """Whether the condition `type_` is True."""
        return any(c.type == type_ and c.status == "True" for c in self.conditions)

    @property
    def seat(self) -> Seat | None:
        """What no other served listener of its Gateway has; None where it isn't served."""
        return self.entry.seat if self.served else None


RESOLVED = "every reference is resolved"
"""How the message of a listener's ResolvedRefs begins where it is True; what is said after it is worth a look."""


class _Sources(NamedTuple):
    """What a listener is resolved from."""

    inputs: Inputs
    terms: Collection[Key, GatewayTerms]
    claims: Claims
    key_pairs: Collection[Key, KeyPair]
    out_of_date: Collection[Key, str]
    frontends: Frontends
    dialect: Dialect


def resolve_listeners(
    inputs: Inputs,
    entries: Collection[ListenerKey, Entry],
    terms: Collection[Key, GatewayTerms],
    claims: Claims,
    key_pairs: Collection[Key, KeyPair],
    out_of_date: Collection[Key, str],
    frontends: Frontends,
    dialect: Dialect,
) -> Collection[ListenerKey, ResolvedListener]:
    """Every listener of our Gateways."""
    sources = _Sources(inputs, terms, claims, key_pairs, out_of_date, frontends, dialect)
    return inputs.flow.derive("resolved listeners", entries, lambda ctx, _, entry: _resolve(ctx, sources, entry))


def _resolve(ctx: Context, sources: _Sources, entry: Entry) -> ResolvedListener:
    spec, gateway = entry.spec, entry.key.gateway
    served_protocols = sources.dialect.protocols
    carried = ROUTE_KINDS.get(spec.protocol, ()) if spec.protocol in served_protocols else ()
    kinds, bad_kinds = _kinds(spec, carried)
    terms = ctx.get(sources.terms, gateway)
    certificates, bad_certificates = _certificates(ctx, sources, entry)
    elsewhere = sources.dialect.certificates_elsewhere
    https = spec.protocol == "HTTPS"
    frontend = sources.frontends.of(ctx, gateway, spec.port) if https else Frontend()
    conflicted = conflict(ctx, sources.claims, entry)
    overlapping = overlap(ctx, sources.claims, entry)

    if conflicted:
        accepted = conflicted
    elif not carried:
        known = ", ".join(sorted(served_protocols))
        accepted = ("UnsupportedProtocol", f"found protocol {spec.protocol}, expected one of {known}")
    elif is_address(entry.hostname):
        accepted = ("UnsupportedValue", f"hostname: found {entry.hostname}, an IP address; expected a name, or none")
    elif https and spec.tls and spec.tls.mode == "Passthrough":
        accepted = ("UnsupportedValue", "tls.mode: found Passthrough, expected Terminate on protocol HTTPS")
    elif frontend.closed:
        accepted = ("NoValidCACertificate", frontend.closed)
    else:
        accepted = ("Accepted", _served_without(spec))
    valid = accepted[0] == "Accepted"
    problems = [problem for problem in (bad_certificates, frontend.problem, bad_kinds) if problem]
    dates = [text for key in certificates if (text := ctx.get(sources.out_of_date, key))]
    names = misnamed(ctx, sources.key_pairs, certificates, entry.hostname)
    remarks = [*dates, *([names] if names else [])]
    resolved = together(problems) or ("ResolvedRefs", "; ".join([RESOLVED, *remarks]))
    # A listener that terminates TLS serves with those of its certificates that are usable.
    usable = valid and bool(kinds) and terms is not None and not terms.problem
    usable = usable and (not entry.terminates or bool(certificates) or (elsewhere and not bad_certificates))
    generation = entry.generation
    return ResolvedListener(
        entry=entry,
        kinds=kinds,
        conditions=(
            condition("Accepted", valid, *accepted, generation),
            condition("Conflicted", conflicted is not None, *(conflicted or ("NoConflicts", "")), generation),
            condition("ResolvedRefs", not problems, *resolved, generation),
            # It must not be set where it would be False.
            *([condition("OverlappingTLSConfig", True, *overlapping, generation)] if overlapping else []),
        ),
        served=Listener(
            key=entry.key,
            port=spec.port,
            protocol=cast("Protocol", spec.protocol),
            hostname=entry.hostname,
            certificates=certificates,
            origin=entry.origin,
            client_validation=frontend.validation,
            terminates=entry.terminates,
        )
        if usable
        else None,
    )


def _served_without(spec: ListenerSpec) -> str:
    """What is said of a valid listener; names the settings that it is served without."""
    if spec.tls and spec.tls.options:
        return f"the listener is valid; served without tls.options {', '.join(sorted(spec.tls.options))}: none is known"
    return "the listener is valid"


def _kinds(spec: ListenerSpec, carried: tuple[str, ...]) -> tuple[tuple[RouteGroupKind, ...], Reason | None]:
    """The route kinds that the listener supports, and what is wrong with those that it names."""
    asked = spec.allowed_routes.kinds
    if not asked:
        return tuple(RouteGroupKind(kind=kind) for kind in carried), None
    good = tuple(kind for kind in asked if kind.group == GROUP and kind.kind in carried)
    bad = [f"{kind.kind}.{kind.group}" for kind in asked if kind not in good]
    if not bad:
        return good, None
    expected = " or ".join(carried) or "none"
    message = f"allowedRoutes.kinds: found {', '.join(bad)}, expected {expected} on protocol {spec.protocol}"
    return good, ("InvalidRouteKinds", message)


def _certificates(ctx: Context, sources: _Sources, entry: Entry) -> tuple[tuple[Key, ...], Reason | None]:
    """The Secrets to serve, and what is wrong with the other references: the first one's reason, every message."""
    if not entry.terminates:
        return (), None
    good: list[Key] = []
    problems: list[Reason] = []
    refs = entry.spec.tls.certificate_refs if entry.spec.tls else ()
    if not refs and not sources.dialect.certificates_elsewhere:
        problems.append(("InvalidCertificateRef", "tls.certificateRefs: found none, expected a Secret"))
    for index, ref in enumerate(refs):
        field = f"tls.certificateRefs[{index}]"
        found = usable_secret(ctx, sources.inputs, sources.key_pairs, entry.parent, ref, field, "InvalidCertificateRef")
        if isinstance(found, Key):
            good.append(found)
        else:
            problems.append(found)
    return tuple(good), together(problems)
