"""Which Gateways are ours, and which ListenerSets they admit (Gateway API, GatewaySpec.allowedListeners; GEP-1713)."""

from __future__ import annotations

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import Gateway, ListenerSet
from gatewright.model.gateway.gateway import AllowedListeners
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Key, LabelSelector
from gatewright.resolve.classes import ResolvedClass, parameters_problem
from gatewright.resolve.conditions import Reason
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.inputs import Inputs


class GatewayTerms(Struct, frozen=True):
    """What a Gateway of ours means for listeners; it stays equal while only its own listeners change.

    `problem` is a condition reason and a message where all of it is refused.
    """

    controller: str
    allowed: AllowedListeners
    problem: Reason | None = None


class Admission(Struct, frozen=True):
    """Whether a ListenerSet may add listeners to a Gateway of ours. `problem` is the reason and message why not."""

    gateway: Key
    controller: str
    problem: Reason | None = None


def gateway_terms(
    inputs: Inputs, classes: Collection[Key, ResolvedClass], dialect: Dialect
) -> Collection[Key, GatewayTerms]:
    """The terms of every Gateway whose class is ours."""

    def resolve(ctx: Context, _: Key, gateway: Gateway) -> GatewayTerms | None:
        gateway_class = ctx.get(classes, Key("", gateway.spec.gateway_class_name))
        if gateway_class is None:
            return None
        allowed = gateway.spec.allowed_listeners or AllowedListeners()
        return GatewayTerms(gateway_class.controller, allowed, _problem(ctx, inputs, gateway, gateway_class, dialect))

    return inputs.flow.derive("gateway terms", inputs.written(inputs.gateways), resolve)


def _problem(
    ctx: Context, inputs: Inputs, gateway: Gateway, gateway_class: ResolvedClass, dialect: Dialect
) -> Reason | None:
    if not gateway_class.accepted:
        return "Invalid", f"GatewayClass {gateway_class.name} is not accepted"
    ref = gateway.spec.infrastructure and gateway.spec.infrastructure.parameters_ref
    if ref:
        problem = parameters_problem(ctx, inputs, ref, gateway.namespace, dialect.gateway_parameters)
        if problem:
            return "InvalidParameters", f"spec.infrastructure.parametersRef: {problem}"
    unsupported = [address.type for address in gateway.spec.addresses if address.type not in dialect.addresses]
    if unsupported:
        expected = " or ".join(dialect.addresses) or "none: the addresses are the load balancer's own"
        return "UnsupportedAddress", f"spec.addresses: found type {unsupported[0]}, expected {expected}"
    return None


def admissions(inputs: Inputs, terms: Collection[Key, GatewayTerms]) -> Collection[Key, Admission]:
    """The admission of every ListenerSet that names a Gateway of ours."""

    def resolve(ctx: Context, key: Key, listener_set: ListenerSet) -> Admission | None:
        ref = listener_set.spec.parent_ref
        if ref.group != GROUP or ref.kind != "Gateway":
            return None
        gateway = Key(ref.namespace or key.namespace, ref.name)
        found = ctx.get(terms, gateway)
        if found is None:
            return None
        refusal = _refusal(ctx, inputs, found.allowed, gateway, key.namespace)
        if refusal:
            return Admission(gateway, found.controller, ("NotAllowed", refusal))
        if found.problem:
            return Admission(gateway, found.controller, ("ParentNotAccepted", f"Gateway {gateway} is not accepted"))
        return Admission(gateway, found.controller)

    return inputs.flow.derive("admissions", inputs.written(inputs.listener_sets), resolve)


def _refusal(ctx: Context, inputs: Inputs, allowed: AllowedListeners, gateway: Key, namespace: str) -> str:
    """Why a Gateway takes no ListenerSets of a namespace, or nothing."""
    rule = allowed.namespaces
    field = f"spec.allowedListeners of Gateway {gateway}"
    if selects(ctx, inputs, rule.from_, rule.selector, gateway.namespace, namespace):
        return ""
    if rule.from_ == "Selector":
        return f"{field} selects namespaces by labels that {namespace} doesn't have"
    if rule.from_ == "Same":
        return f"{field} takes ListenerSets of namespace {gateway.namespace}, not of {namespace}"
    return f"{field} takes no ListenerSets; its owner has to set namespaces.from"


def selects(ctx: Context, inputs: Inputs, from_: str, selector: LabelSelector | None, own: str, namespace: str) -> bool:
    """Whether an object of namespace `own` takes what is in `namespace` (RouteNamespaces, ListenerNamespaces)."""
    if from_ == "Selector":
        found = ctx.get(inputs.namespaces, Key("", namespace))
        return bool(found and selector and selector.matches(found.metadata.labels))
    return from_ == "All" or (from_ == "Same" and namespace == own)
