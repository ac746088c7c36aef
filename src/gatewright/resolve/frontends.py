"""spec.tls.frontend: whose certificates the clients of a Gateway have to show (GEP-91)."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.gateway import FrontendTLSValidation
from gatewright.model.meta import Key
from gatewright.resolve.admission import GatewayTerms
from gatewright.resolve.authorities import read_authorities
from gatewright.resolve.conditions import Reason, together
from gatewright.resolve.inputs import Inputs
from gatewright.topology import ClientValidation

_EVERY_PORT = 0


class _Scope(NamedTuple):
    gateway: Key
    port: int


class Frontend(Struct, frozen=True):
    """What clients have to show. `problem` says which references lead nowhere.

    `closed` says so where there is no other: without anything to check certificates by, a listener can't be served.
    """

    validation: ClientValidation | None = None
    problem: Reason | None = None
    closed: str = ""


class Frontends(NamedTuple):
    """The settings of all Gateways."""

    scopes: Collection[_Scope, Frontend]

    def of(self, ctx: Context, gateway: Key, port: int) -> Frontend:
        """What holds for HTTPS listeners on a port: its own setting, or else the default."""
        found = ctx.get(self.scopes, _Scope(gateway, port)) or ctx.get(self.scopes, _Scope(gateway, _EVERY_PORT))
        return found or Frontend()


def resolve_frontends(inputs: Inputs, terms: Collection[Key, GatewayTerms]) -> Frontends:
    """The frontend settings of our Gateways."""

    def written(ctx: Context, key: Key, gateway: Gateway) -> dict[_Scope, tuple[str, FrontendTLSValidation | None]]:
        frontend = gateway.spec.tls and gateway.spec.tls.frontend
        if not frontend or ctx.get(terms, key) is None:
            return {}
        field = "spec.tls.frontend"
        return {_Scope(key, _EVERY_PORT): (f"{field}.default.validation", frontend.default.validation)} | {
            _Scope(key, item.port): (f"{field}.perPort[{index}].tls.validation", item.tls.validation)
            for index, item in enumerate(frontend.per_port)
        }

    def resolve(ctx: Context, scope: _Scope, found: tuple[str, FrontendTLSValidation | None]) -> Frontend:
        field, validation = found
        return _resolve(ctx, inputs, scope, field, validation) if validation else Frontend()

    flow = inputs.flow
    return Frontends(
        flow.derive(
            "frontends", flow.derive_many("frontend settings", inputs.written(inputs.gateways), written), resolve
        )
    )


def _resolve(ctx: Context, inputs: Inputs, scope: _Scope, where: str, validation: FrontendTLSValidation) -> Frontend:
    field = f"{where}.caCertificateRefs"
    refs = validation.ca_certificate_refs
    found = read_authorities(ctx, inputs, ("Gateway", scope.gateway), refs, field, "InvalidCACertificateKind")
    problem = together(found.problems)
    if not found.bundles:
        return Frontend(problem=problem, closed=problem[1] if problem else f"{field}: found none")
    required = validation.mode == "AllowValidOnly"
    return Frontend(ClientValidation(found.pem, required=required, field=where, port=scope.port), problem)
