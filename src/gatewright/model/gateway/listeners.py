"""Listeners: what a Gateway and a ListenerSet share."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from gatewright.model.constraints import integer, items, text
from gatewright.model.gateway.shared import (
    GROUP,
    Group,
    Hostname,
    KindName,
    PortNumber,
    SecretObjectReference,
    SectionName,
    TLSOptions,
)
from gatewright.model.meta import Conditions, LabelSelector, Model

Selector = Annotated[LabelSelector, msgspec.Meta(extra_json_schema={"x-kubernetes-map-type": "atomic"})]

_PROTOCOL: Final = (
    r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
    r"|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$"
)

ProtocolType = Annotated[str, text(pattern=_PROTOCOL, min_length=1, max_length=255)]
"""`HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`, or an implementation's own `example.com/bar`."""


class RouteGroupKind(Model):
    """A kind of route."""

    kind: KindName
    group: Group = GROUP


class RouteNamespaces(Model):
    """The namespaces whose routes may attach."""

    from_: Literal["All", "Selector", "Same"] = msgspec.field(default="Same", name="from")
    selector: Selector | None = None


class AllowedRoutes(Model):
    """Which routes may attach to a listener. No kinds means those that its protocol implies."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: Annotated[tuple[RouteGroupKind, ...], items(at_most=8, kind="atomic")] = ()


class ListenerTLSConfig(Model):
    """How a listener treats TLS."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[tuple[SecretObjectReference, ...], items(at_most=64, kind="atomic")] = ()
    options: TLSOptions = msgspec.field(default_factory=dict)


class Listener(Model):
    """One port, protocol and host name that a Gateway or ListenerSet accepts connections on."""

    name: SectionName
    port: PortNumber
    protocol: ProtocolType
    hostname: Hostname | None = None
    tls: ListenerTLSConfig | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()


Listeners = Annotated[tuple[Listener, ...], items(at_least=1, at_most=64, keys=("name",))]


class ListenerStatus(Model):
    """A listener's observed state."""

    name: SectionName
    attached_routes: Annotated[int, integer()]
    conditions: Conditions
    supported_kinds: Annotated[tuple[RouteGroupKind, ...], items(at_most=8, kind="atomic")] = ()


ListenerStatuses = Annotated[tuple[ListenerStatus, ...], items(at_most=64, keys=("name",))]
