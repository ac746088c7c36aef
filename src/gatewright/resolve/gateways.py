"""Gateways and ListenerSets as wholes, put together from their listeners (Gateway API, GatewaySpec; GEP-1713)."""

from __future__ import annotations

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import Gateway, ListenerSet
from gatewright.model.meta import Key
from gatewright.resolve.admission import Admission, GatewayTerms
from gatewright.resolve.certificates import KeyPair, usable_secret
from gatewright.resolve.conditions import Reason
from gatewright.resolve.inputs import Inputs
from gatewright.resolve.listeners import ResolvedListener
from gatewright.topology import ListenerKey


class ResolvedGateway(Struct, frozen=True):
    """A Gateway of one of our classes, with its own listeners.

    `problem` is a condition reason and a message where all of it is refused.
    `client_certificate` is the Secret that it shows to backends, `bad_reference` why one that it names can't be shown.
    `insecure` are the fields that let clients in whose certificates are not valid. `default` is whether routes that use
    default Gateways attach to it. `parameters` is the ConfigMap that its infrastructure names, of which no setting is
    known.
    """

    key: Key
    controller: str
    generation: int
    listeners: tuple[ResolvedListener, ...]
    problem: Reason | None = None
    client_certificate: Key | None = None
    bad_reference: Reason | None = None
    insecure: tuple[str, ...] = ()
    default: bool = False
    parameters: str = ""


class ResolvedListenerSet(Struct, frozen=True):
    """A ListenerSet that names a Gateway of ours. `problem` says why it isn't admitted; then it has no listeners."""

    key: Key
    gateway: Key
    controller: str
    generation: int
    listeners: tuple[ResolvedListener, ...]
    problem: Reason | None = None

    @property
    def accepted(self) -> bool:
        """Whether it adds anything to the Gateway: a listener that can be served."""
        return any(listener.served for listener in self.listeners)


def resolve_gateways(
    inputs: Inputs,
    terms: Collection[Key, GatewayTerms],
    listeners: Collection[ListenerKey, ResolvedListener],
    key_pairs: Collection[Key, KeyPair],
) -> Collection[Key, ResolvedGateway]:
    """Every Gateway whose class is ours."""

    def resolve(ctx: Context, key: Key, gateway: Gateway) -> ResolvedGateway | None:
        found = ctx.get(terms, key)
        if found is None:
            return None
        certificate, bad_reference = _client_certificate(ctx, inputs, key_pairs, gateway)
        own = (ctx.get(listeners, ListenerKey(key, spec.name)) for spec in gateway.spec.listeners)
        return ResolvedGateway(
            key=key,
            controller=found.controller,
            generation=gateway.metadata.generation,
            listeners=tuple(listener for listener in own if listener),
            problem=found.problem,
            client_certificate=None if found.problem else certificate,
            bad_reference=bad_reference,
            insecure=_insecure(gateway),
            default=gateway.spec.default_scope == "All",
            parameters=_parameters(gateway),
        )

    return inputs.flow.derive("resolved gateways", inputs.written(inputs.gateways), resolve)


def resolve_listener_sets(
    inputs: Inputs, admissions: Collection[Key, Admission], listeners: Collection[ListenerKey, ResolvedListener]
) -> Collection[Key, ResolvedListenerSet]:
    """Every ListenerSet that names a Gateway of ours."""

    def resolve(ctx: Context, key: Key, listener_set: ListenerSet) -> ResolvedListenerSet | None:
        admission = ctx.get(admissions, key)
        if admission is None:
            return None
        own = (ctx.get(listeners, ListenerKey(admission.gateway, s.name, key)) for s in listener_set.spec.listeners)
        return ResolvedListenerSet(
            key=key,
            gateway=admission.gateway,
            controller=admission.controller,
            generation=listener_set.metadata.generation,
            listeners=tuple(listener for listener in own if listener),
            problem=admission.problem,
        )

    return inputs.flow.derive("resolved listener sets", inputs.written(inputs.listener_sets), resolve)


def _client_certificate(
    ctx: Context, inputs: Inputs, key_pairs: Collection[Key, KeyPair], gateway: Gateway
) -> tuple[Key | None, Reason | None]:
    """The Secret that spec.tls.backend.clientCertificateRef names, or why it can't be used (GEP-3155)."""
    ref = gateway.spec.tls and gateway.spec.tls.backend and gateway.spec.tls.backend.client_certificate_ref
    if not ref:
        return None, None
    field = "spec.tls.backend.clientCertificateRef"
    found = usable_secret(ctx, inputs, key_pairs, ("Gateway", gateway.key), ref, field, "InvalidClientCertificateRef")
    return (found, None) if isinstance(found, Key) else (None, found)


def _parameters(gateway: Gateway) -> str:
    ref = gateway.spec.infrastructure and gateway.spec.infrastructure.parameters_ref
    return ref.name if ref and ref.kind == "ConfigMap" else ""


def _insecure(gateway: Gateway) -> tuple[str, ...]:
    frontend = gateway.spec.tls and gateway.spec.tls.frontend
    if not frontend:
        return ()
    validations = {"default": frontend.default.validation} | {
        f"perPort[{index}].tls": item.tls.validation for index, item in enumerate(frontend.per_port)
    }
    return tuple(
        f"spec.tls.frontend.{field}.validation.mode"
        for field, validation in validations.items()
        if validation and validation.mode == "AllowInsecureFallback"
    )
