"""Gateway: listeners and addresses, served by the controller of its class."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from gatewright.model.constraints import entries, integer, items, text
from gatewright.model.gateway.listeners import Listeners, ListenerStatuses, Selector
from gatewright.model.gateway.shared import (
    API_VERSION,
    AnnotationValue,
    DefaultScope,
    LocalObjectReference,
    ObjectName,
    ObjectReference,
    PortNumber,
    SecretObjectReference,
    pending,
)
from gatewright.model.meta import Conditions, Model, Object, always

_ADDRESS_TYPE: Final = (
    r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    r"\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$"
)

# The CRD's own words: an IPAddress value is an address of either family.
_ADDRESS_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "properties": {
                "type": {"enum": ["IPAddress"]},
                "value": {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
            }
        },
        {"properties": {"type": {"not": {"enum": ["IPAddress"]}}}},
    ]
}

AddressType = Annotated[str, text(pattern=_ADDRESS_TYPE, min_length=1, max_length=253)]
"""`IPAddress`, `Hostname`, `NamedAddress`, or an implementation's own."""


class GatewaySpecAddress(Model):
    """An address that a Gateway asks for. No value means any address of the type."""

    type: AddressType = "IPAddress"
    value: Annotated[str, text(max_length=253)] | None = None


class GatewayStatusAddress(Model):
    """An address that a Gateway has."""

    value: Annotated[str, text(min_length=1, max_length=253)]
    type: AddressType = "IPAddress"


class ListenerNamespaces(Model):
    """The namespaces whose ListenerSets may attach."""

    from_: Literal["All", "Selector", "Same", "None"] = msgspec.field(default="None", name="from")
    selector: Selector | None = None


class AllowedListeners(Model):
    """Which ListenerSets may add listeners to a Gateway."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


_LABEL_VALUE = Annotated[
    str, text(pattern="^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$", min_length=0, max_length=63)
]


class GatewayInfrastructure(Model):
    """Labels, annotations and parameters for what the controller makes for a Gateway."""

    labels: Annotated[dict[str, _LABEL_VALUE], entries(at_most=8)] = msgspec.field(default_factory=dict)
    annotations: Annotated[dict[str, AnnotationValue], entries(at_most=16)] = msgspec.field(default_factory=dict)
    parameters_ref: LocalObjectReference | None = None


class FrontendTLSValidation(Model):
    """How client certificates are checked (GEP-91)."""

    ca_certificate_refs: Annotated[tuple[ObjectReference, ...], items(at_least=1, at_most=16, kind="atomic")]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTLS(Model):
    """TLS towards clients."""

    validation: FrontendTLSValidation | None = None


class TLSPortConfig(Model):
    """TLS towards clients on one port."""

    port: PortNumber
    tls: FrontendTLS


class FrontendTLSConfig(Model):
    """TLS towards clients: for all ports, and for single ones."""

    default: FrontendTLS
    per_port: Annotated[tuple[TLSPortConfig, ...], items(at_most=64, keys=("port",))] = ()


class GatewayBackendTLS(Model):
    """The client certificate that a Gateway shows its backends."""

    client_certificate_ref: SecretObjectReference | None = None


class GatewayTLSConfig(Model):
    """TLS of the whole Gateway."""

    frontend: FrontendTLSConfig | None = None
    backend: GatewayBackendTLS | None = None


class GatewaySpec(Model):
    """A Gateway's desired state."""

    gateway_class_name: ObjectName
    listeners: Listeners
    addresses: Annotated[
        tuple[Annotated[GatewaySpecAddress, msgspec.Meta(extra_json_schema=_ADDRESS_SCHEMA)], ...],
        items(at_most=16, kind="atomic"),
    ] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLSConfig | None = None
    default_scope: DefaultScope | None = None


class GatewayStatus(Model):
    """A Gateway's observed state."""

    addresses: Annotated[
        tuple[Annotated[GatewayStatusAddress, msgspec.Meta(extra_json_schema=_ADDRESS_SCHEMA)], ...],
        items(at_most=16, kind="atomic"),
    ] = ()
    conditions: Conditions = (pending("Accepted"), pending("Programmed"))
    listeners: ListenerStatuses = ()
    attached_listener_sets: Annotated[int, integer()] | None = None


class Gateway(Object):
    """A Gateway."""

    api_version: str = always(API_VERSION)
    kind: str = always("Gateway")
    spec: GatewaySpec
    status: GatewayStatus = GatewayStatus()
