"""GRPCRoute: gRPC calls to backends."""

from __future__ import annotations

from typing import Annotated, Literal

from gatewright.model.constraints import NO_DEFAULT, items, text
from gatewright.model.gateway.headers import HTTPHeaderFilter, HTTPRequestMirrorFilter
from gatewright.model.gateway.shared import (
    API_VERSION,
    BackendRef,
    DefaultScope,
    HeaderName,
    Hostnames,
    LocalObjectReference,
    ParentReferences,
    RouteStatus,
    SectionName,
    SessionPersistence,
)
from gatewright.model.meta import Model, Object, always


class GRPCMethodMatch(Model):
    """Matches a call's service, method, or both."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: Annotated[str, text(max_length=1024)] | None = None
    method: Annotated[str, text(max_length=1024)] | None = None


class GRPCHeaderMatch(Model):
    """Matches a call's header; the name without case."""

    name: HeaderName
    value: Annotated[str, text(min_length=1, max_length=4096)]
    type: Literal["Exact", "RegularExpression"] = "Exact"


class GRPCRouteMatch(Model):
    """Matches a call when every part does."""

    method: GRPCMethodMatch | None = None
    headers: Annotated[tuple[GRPCHeaderMatch, ...], items(at_most=16, keys=("name",))] = ()


class GRPCRouteFilter(Model):
    """One filter; the field named by `type` holds its settings."""

    type: Literal["ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


GRPCRouteFilters = Annotated[tuple[GRPCRouteFilter, ...], items(at_most=16, kind="atomic")]


class GRPCBackendRef(BackendRef):
    """A backend with its weight and the filters for its calls only."""

    filters: GRPCRouteFilters = ()


class GRPCRouteRule(Model):
    """Calls that one of `matches` matches (all, without any) go through `filters` to `backend_refs`."""

    name: SectionName | None = None
    matches: Annotated[tuple[GRPCRouteMatch, ...], items(at_most=64, kind="atomic")] = ()
    filters: GRPCRouteFilters = ()
    backend_refs: Annotated[tuple[GRPCBackendRef, ...], items(at_most=16, kind="atomic")] = ()
    session_persistence: SessionPersistence | None = None


class GRPCRouteSpec(Model):
    """A GRPCRoute's desired state."""

    parent_refs: ParentReferences = ()
    use_default_gateways: DefaultScope | None = None
    hostnames: Hostnames = ()
    rules: Annotated[tuple[GRPCRouteRule, ...], items(at_most=16, kind="atomic")] = ()


class GRPCRoute(Object):
    """A GRPCRoute."""

    api_version: str = always(API_VERSION)
    kind: str = always("GRPCRoute")
    spec: GRPCRouteSpec
    status: Annotated[RouteStatus, NO_DEFAULT] = RouteStatus()
