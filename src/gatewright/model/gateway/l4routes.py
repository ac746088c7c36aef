"""TCPRoute, TLSRoute and UDPRoute: connections to backends."""

from __future__ import annotations

from typing import Annotated

from gatewright.model.constraints import NO_DEFAULT, items
from gatewright.model.gateway.shared import (
    API_VERSION,
    BackendRef,
    DefaultScope,
    Hostname,
    ParentReferences,
    RouteStatus,
    SectionName,
)
from gatewright.model.meta import Model, Object, always

BackendRefs = Annotated[tuple[BackendRef, ...], items(at_least=1, at_most=16, kind="atomic")]


class L4RouteRule(Model):
    """Connections that the listener gives the route go to `backend_refs`."""

    backend_refs: BackendRefs
    name: SectionName | None = None


class TCPRouteRule(L4RouteRule):
    """A rule of a TCPRoute."""


class TLSRouteRule(L4RouteRule):
    """A rule of a TLSRoute."""


class UDPRouteRule(L4RouteRule):
    """A rule of a UDPRoute."""


class TCPRouteSpec(Model):
    """A TCPRoute's desired state."""

    rules: Annotated[tuple[TCPRouteRule, ...], items(at_least=1, at_most=1, kind="atomic")]
    parent_refs: ParentReferences = ()
    use_default_gateways: DefaultScope | None = None


class TCPRoute(Object):
    """A TCPRoute."""

    api_version: str = always(API_VERSION)
    kind: str = always("TCPRoute")
    spec: TCPRouteSpec
    status: Annotated[RouteStatus, NO_DEFAULT] = RouteStatus()


class TLSRouteSpec(Model):
    """A TLSRoute's desired state. `hostnames` are compared with the SNI of the handshake."""

    hostnames: Annotated[tuple[Hostname, ...], items(at_least=1, at_most=1024, kind="atomic")]
    rules: Annotated[tuple[TLSRouteRule, ...], items(at_least=1, at_most=1, kind="atomic")]
    parent_refs: ParentReferences = ()
    use_default_gateways: DefaultScope | None = None


class TLSRoute(Object):
    """A TLSRoute."""

    api_version: str = always(API_VERSION)
    kind: str = always("TLSRoute")
    spec: TLSRouteSpec
    status: Annotated[RouteStatus, NO_DEFAULT] = RouteStatus()


class UDPRouteSpec(Model):
    """A UDPRoute's desired state."""

    rules: Annotated[tuple[UDPRouteRule, ...], items(at_least=1, at_most=1, kind="atomic")]
    parent_refs: ParentReferences = ()
    use_default_gateways: DefaultScope | None = None


class UDPRoute(Object):
    """A UDPRoute."""

    api_version: str = always(API_VERSION)
    kind: str = always("UDPRoute")
    spec: UDPRouteSpec
    status: Annotated[RouteStatus, NO_DEFAULT] = RouteStatus()
