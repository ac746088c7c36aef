"""Gateways and their listeners: which are valid, which conflict, what each accepts (Gateway API, GatewaySpec)."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import Gateway
from gatewright.model.gateway import Listener as ListenerSpec
from gatewright.model.gateway.listeners import RouteGroupKind, RouteNamespaces
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Condition, Key
from gatewright.resolve import hostnames
from gatewright.resolve.certificates import KeyPair, secret_key
from gatewright.resolve.classes import ResolvedClass
from gatewright.resolve.conditions import condition
from gatewright.resolve.grants import missing_grant, permitted
from gatewright.resolve.inputs import Inputs, origin
from gatewright.topology import Listener, ListenerKey

ROUTE_KINDS = {"HTTP": ("HTTPRoute",), "HTTPS": ("HTTPRoute",)}
"""The route kinds that each listener protocol carries."""


Reason: TypeAlias = tuple[str, str]
"""A condition's reason and message."""


class ResolvedListener(Struct, frozen=True):
    """A listener as routes see it. `served` is what reaches the topology: None where it can't carry traffic.

    `conditions` are those that don't depend on the data plane: Accepted, Conflicted, ResolvedRefs, and
    OverlappingTLSConfig where it holds.
    """

    name: str
    port: int
    protocol: str
    hostname: str
    kinds: tuple[RouteGroupKind, ...]
    namespaces: RouteNamespaces
    conditions: tuple[Condition, ...]
    served: Listener | None

    def holds(self, type_: str) -> bool:
        """Whether the condition `type_` is True."""
        return any(c.type == type_ and c.status == "True" for c in self.conditions)


class ResolvedGateway(Struct, frozen=True):
    """A Gateway of one of our classes.

    `problem` is a condition reason and a message where all of it is refused; `notes` name what it is served without.
    """

    key: Key
    controller: str
    generation: int
    listeners: tuple[ResolvedListener, ...]
    notes: tuple[str, ...] = ()
    problem: Reason | None = None


def resolve_gateways(
    inputs: Inputs, classes: Collection[Key, ResolvedClass], key_pairs: Collection[Key, KeyPair]
) -> Collection[Key, ResolvedGateway]:
    """Every Gateway whose class is ours."""

    def resolve(ctx: Context, key: Key, gateway: Gateway) -> ResolvedGateway | None:
        gateway_class = ctx.get(classes, Key("", gateway.spec.gateway_class_name))
        if gateway_class is None:
            return None
        problem = _problem(ctx, inputs, gateway, gateway_class)
        conflicts = _conflicts(gateway.spec.listeners)
        listeners = tuple(
            _listener(ctx, inputs, key_pairs, gateway, index, conflicts.get(spec.name), refused=problem is not None)
            for index, spec in enumerate(gateway.spec.listeners)
        )
        return ResolvedGateway(
            key=key,
            controller=gateway_class.controller,
            generation=gateway.metadata.generation,
            listeners=listeners,
            notes=_unserved_fields(gateway),
            problem=problem,
        )

    return inputs.flow.derive("resolved gateways", inputs.gateways, resolve)


def _problem(ctx: Context, inputs: Inputs, gateway: Gateway, gateway_class: ResolvedClass) -> Reason | None:
    if not gateway_class.accepted:
        return "Invalid", f"GatewayClass {gateway_class.name} is not accepted"
    ref = gateway.spec.infrastructure and gateway.spec.infrastructure.parameters_ref
    if ref:
        field = "spec.infrastructure.parametersRef"
        if ref.group or ref.kind != "ConfigMap":
            return "InvalidParameters", f"{field}: found {ref.kind}.{ref.group or 'core'}, expected a ConfigMap"
        if ctx.get(inputs.config_maps, Key(gateway.namespace, ref.name)) is None:
            return "InvalidParameters", f"{field}: ConfigMap {gateway.namespace}/{ref.name} does not exist"
    unsupported = [address.type for address in gateway.spec.addresses if address.type != "IPAddress"]
    if unsupported:
        return "UnsupportedAddress", f"spec.addresses: found type {unsupported[0]}, expected IPAddress"
    return None


def _unserved_fields(gateway: Gateway) -> tuple[str, ...]:
    """Names the settings that the Gateway is served without."""
    spec = gateway.spec
    notes = []
    if spec.tls and spec.tls.backend:
        notes.append("spec.tls.backend: backends are shown no client certificate")
    if spec.allowed_listeners and spec.allowed_listeners.namespaces.from_ != "None":
        notes.append("spec.allowedListeners: ListenerSets are not served")
    notes += [
        f"spec.listeners[{index}].tls.options: no option is known"
        for index, listener in enumerate(spec.listeners)
        if listener.tls and listener.tls.options
    ]
    return tuple(notes)


def _conflicts(listeners: tuple[ListenerSpec, ...]) -> dict[str, Reason]:
    """By listener name: why it is not distinct. All listeners of a conflict lose (GatewaySpec.listeners).

    A listener whose protocol isn't served takes no port, so it conflicts with none.
    """
    carried = [listener for listener in listeners if listener.protocol in ROUTE_KINDS]
    protocols: dict[int, set[str]] = {}
    for listener in carried:
        protocols.setdefault(listener.port, set()).add(listener.protocol)
    same = Counter((listener.port, listener.hostname) for listener in carried)
    conflicts = {}
    for listener in carried:
        if len(protocols[listener.port]) > 1:
            found = ", ".join(sorted(protocols[listener.port]))
            conflicts[listener.name] = ("ProtocolConflict", f"listeners of port {listener.port} differ: {found}")
        elif same[listener.port, listener.hostname] > 1:
            names = [
                other.name
                for other in carried
                if (other.port, other.hostname) == (listener.port, listener.hostname) and other is not listener
            ]
            host = f"hostname {listener.hostname}" if listener.hostname else "no hostname"
            message = f"port {listener.port} with {host} is also listener {', '.join(names)}"
            conflicts[listener.name] = ("HostnameConflict", message)
    return conflicts


def _overlapping(gateway: Gateway, spec: ListenerSpec) -> Reason | None:
    """The HTTPS listeners of the port that share host names with this one.

    A client may reuse a connection for a name that another listener terminates (ListenerConditionOverlappingTLSConfig).
    """
    if spec.protocol != "HTTPS":
        return None
    own = spec.hostname or hostnames.ANY
    names = [
        other.name
        for other in gateway.spec.listeners
        if (other.port, other.protocol) == (spec.port, "HTTPS")
        and other.hostname != spec.hostname
        and hostnames.intersection(own, other.hostname or hostnames.ANY)
    ]
    if not names:
        return None
    return "OverlappingHostnames", f"hostname {own} overlaps with that of listener {', '.join(names)}"


def _listener(
    ctx: Context,
    inputs: Inputs,
    key_pairs: Collection[Key, KeyPair],
    gateway: Gateway,
    index: int,
    conflict: Reason | None,
    *,
    refused: bool,
) -> ResolvedListener:
    spec = gateway.spec.listeners[index]
    generation = gateway.metadata.generation
    carried = ROUTE_KINDS.get(spec.protocol, ())
    kinds, bad_kinds = _kinds(spec, carried)
    certificates, bad_reference = _certificates(ctx, inputs, key_pairs, gateway, spec)
    unsupported = _unsupported(gateway, spec)
    bad_reference = bad_reference or bad_kinds
    overlap = _overlapping(gateway, spec)

    if not carried:
        known = ", ".join(sorted(ROUTE_KINDS))
        accepted = ("UnsupportedProtocol", f"found protocol {spec.protocol}, expected one of {known}")
    elif conflict:
        accepted = conflict
    elif unsupported:
        accepted = ("UnsupportedValue", unsupported)
    else:
        accepted = ("Accepted", "the listener is valid")
    valid = accepted[0] == "Accepted"
    # A TLS listener serves with those of its certificates that are usable.
    usable = valid and bool(kinds) and not refused and (spec.protocol != "HTTPS" or bool(certificates))
    resolved = bad_reference or ("ResolvedRefs", "every reference is resolved")
    hostname = spec.hostname or hostnames.ANY
    return ResolvedListener(
        name=spec.name,
        port=spec.port,
        protocol=spec.protocol,
        hostname=hostname,
        kinds=kinds,
        namespaces=spec.allowed_routes.namespaces,
        conditions=(
            condition("Accepted", valid, *accepted, generation),
            condition("Conflicted", conflict is not None, *(conflict or ("NoConflicts", "")), generation),
            condition("ResolvedRefs", bad_reference is None, *resolved, generation),
            # It must not be set where it would be False.
            *([condition("OverlappingTLSConfig", True, *overlap, generation)] if overlap else []),
        ),
        served=Listener(
            key=ListenerKey(gateway.key, spec.name),
            port=spec.port,
            protocol="HTTPS" if spec.protocol == "HTTPS" else "HTTP",
            hostname=hostname,
            certificates=certificates,
            origin=origin(gateway, f"spec.listeners[{index}]"),
        )
        if usable
        else None,
    )


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


def _certificates(
    ctx: Context, inputs: Inputs, key_pairs: Collection[Key, KeyPair], gateway: Gateway, spec: ListenerSpec
) -> tuple[tuple[Key, ...], Reason | None]:
    """The Secrets to serve, and what is wrong with the other references: the first one's reason, every message."""
    good: list[Key] = []
    problems: list[Reason] = []
    if spec.protocol != "HTTPS":
        return (), None
    refs = spec.tls.certificate_refs if spec.tls else ()
    if not refs:
        problems.append(("InvalidCertificateRef", "tls.certificateRefs: found none, expected a Secret"))
    for index, ref in enumerate(refs):
        field = f"tls.certificateRefs[{index}]"
        key = secret_key(gateway.key, ref)
        if key is None:
            found = f"{ref.kind}.{ref.group or 'core'}"
            problems.append(("InvalidCertificateRef", f"{field}: found {found}, expected a Secret"))
        elif not permitted(ctx, inputs, "Gateway", gateway.namespace, "", "Secret", key):
            message = missing_grant("Gateway", gateway.namespace, "", "Secret", key)
            problems.append(("RefNotPermitted", f"{field}: {message}"))
        else:
            pair = ctx.get(key_pairs, key)
            if pair and pair.certificate:
                good.append(key)
            else:
                message = pair.problem if pair else f"Secret {key} can't be read"
                problems.append(("InvalidCertificateRef", f"{field}: {message}"))
    return tuple(good), (problems[0][0], "; ".join(message for _, message in problems)) if problems else None


def _unsupported(gateway: Gateway, spec: ListenerSpec) -> str:
    """Names a setting that this listener would need and that isn't served yet; empty where there is none.

    Leaving out a check of client certificates silently would open what its owner closed, so it is refused.
    """
    if spec.protocol == "HTTPS":
        if spec.tls and spec.tls.mode == "Passthrough":
            return "tls.mode: found Passthrough, expected Terminate on protocol HTTPS"
        if gateway.spec.tls and gateway.spec.tls.frontend:
            return "spec.tls.frontend: checking client certificates is not implemented"
    return ""
