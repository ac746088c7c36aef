"""HTTPRoute: HTTP requests to backends."""

from __future__ import annotations

from typing import Annotated, Literal

from gatewright.model.constraints import NO_DEFAULT, integer, items, text
from gatewright.model.gateway.headers import HTTPHeaderFilter, HTTPRequestMirrorFilter
from gatewright.model.gateway.shared import (
    API_VERSION,
    BackendObjectReference,
    BackendRef,
    DefaultScope,
    Duration,
    HeaderName,
    HeaderValue,
    Hostnames,
    LocalObjectReference,
    ParentReferences,
    PortNumber,
    PreciseHostname,
    RouteStatus,
    SectionName,
    SessionPersistence,
)
from gatewright.model.meta import Model, Object, always

HTTPMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


class HTTPPathMatch(Model):
    """Matches a request's path."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, text(max_length=1024)] = "/"


class HTTPHeaderMatch(Model):
    """Matches a request's header; the name without case."""

    name: HeaderName
    value: HeaderValue
    type: Literal["Exact", "RegularExpression"] = "Exact"


class HTTPQueryParamMatch(Model):
    """Matches a query parameter; the name exactly."""

    name: HeaderName
    value: Annotated[str, text(min_length=1, max_length=1024)]
    type: Literal["Exact", "RegularExpression"] = "Exact"


class HTTPRouteMatch(Model):
    """Matches a request when every part does."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: Annotated[tuple[HTTPHeaderMatch, ...], items(at_most=16, keys=("name",))] = ()
    query_params: Annotated[tuple[HTTPQueryParamMatch, ...], items(at_most=16, keys=("name",))] = ()
    method: HTTPMethod | None = None


class HTTPPathModifier(Model):
    """Replaces a path, or the prefix that matched."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Annotated[str, text(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, text(max_length=1024)] | None = None


class HTTPRequestRedirectFilter(Model):
    """Answers with a redirect. What is None stays as in the request."""

    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None
    port: PortNumber | None = None
    status_code: Annotated[Literal[301, 302, 303, 307, 308], integer(None)] = 302


class HTTPURLRewriteFilter(Model):
    """Changes the host or path of the request that the backend gets."""

    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None


_CORSOrigin = Annotated[
    str,
    text(
        pattern=r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)",
        min_length=1,
        max_length=253,
    ),
]


class HTTPCORSFilter(Model):
    """Answers cross-origin requests (GEP-1767). `max_age` is in seconds."""

    allow_origins: Annotated[tuple[_CORSOrigin, ...], items(at_most=64, kind="set")] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[tuple[HTTPMethod | Literal["*"], ...], items(at_most=9, kind="set")] = ()
    allow_headers: Annotated[tuple[HeaderName, ...], items(at_most=64, kind="set")] = ()
    expose_headers: Annotated[tuple[HeaderName, ...], items(at_most=64, kind="set")] = ()
    max_age: Annotated[int, integer(ge=1)] = 5


_HeaderNames = Annotated[tuple[str, ...], items(at_most=64, kind="set")]


class GRPCAuthConfig(Model):
    """What an external authorization service gets over gRPC."""

    allowed_headers: _HeaderNames = ()


class HTTPAuthConfig(Model):
    """What an external authorization service gets over HTTP, and what of its answer goes on."""

    path: (
        Annotated[str, text(pattern=r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$", max_length=1024)] | None
    ) = None
    allowed_headers: _HeaderNames = ()
    allowed_response_headers: _HeaderNames = ()


class ForwardBodyConfig(Model):
    """How much of the body, in bytes, the authorization service gets."""

    max_size: int | None = None


class HTTPExternalAuthFilter(Model):
    """Asks an external service whether a request may pass (GEP-1494)."""

    protocol: Literal["HTTP", "GRPC"]
    backend_ref: BackendObjectReference
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBodyConfig | None = None


class HTTPRouteFilter(Model):
    """One filter; the field named by `type` holds its settings."""

    type: Literal[
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
        "CORS",
        "ExternalAuth",
    ]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: HTTPExternalAuthFilter | None = None
    extension_ref: LocalObjectReference | None = None


HTTPRouteFilters = Annotated[tuple[HTTPRouteFilter, ...], items(at_most=16, kind="atomic")]


class HTTPBackendRef(BackendRef):
    """A backend with its weight and the filters for its requests only."""

    filters: HTTPRouteFilters = ()


class HTTPRouteTimeouts(Model):
    """How long a request, and each try at a backend, may take. `0s` disables."""

    request: Duration | None = None
    backend_request: Duration | None = None


class HTTPRouteRetry(Model):
    """Which answers are tried again, how often, and how far apart (GEP-1731)."""

    codes: Annotated[tuple[Annotated[int, integer(None, ge=400, le=599)], ...], items(kind="set")] = ()
    attempts: Annotated[int, integer(None, ge=1)] | None = None
    backoff: Duration | None = None


class HTTPRouteRule(Model):
    """Requests that one of `matches` matches go through `filters` to `backend_refs`."""

    name: SectionName | None = None
    matches: Annotated[tuple[HTTPRouteMatch, ...], items(at_most=64, kind="atomic")] = (HTTPRouteMatch(),)
    filters: HTTPRouteFilters = ()
    backend_refs: Annotated[tuple[HTTPBackendRef, ...], items(at_most=16, kind="atomic")] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(Model):
    """An HTTPRoute's desired state. No host names means all that its listeners accept."""

    parent_refs: ParentReferences = ()
    use_default_gateways: DefaultScope | None = None
    hostnames: Hostnames = ()
    rules: Annotated[tuple[HTTPRouteRule, ...], items(at_least=1, at_most=16, kind="atomic")] = (HTTPRouteRule(),)


class HTTPRoute(Object):
    """An HTTPRoute."""

    api_version: str = always(API_VERSION)
    kind: str = always("HTTPRoute")
    spec: HTTPRouteSpec
    status: Annotated[RouteStatus, NO_DEFAULT] = RouteStatus()
