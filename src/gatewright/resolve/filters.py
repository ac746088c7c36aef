"""Filters of HTTPRoutes and GRPCRoutes, in the order of the route (Gateway API, HTTPRouteFilter, GRPCRouteFilter)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Literal, TypeAlias

from gatewright.model.gateway import (
    GRPCRouteFilter,
    HTTPCORSFilter,
    HTTPExternalAuthFilter,
    HTTPHeaderFilter,
    HTTPPathModifier,
    HTTPRequestMirrorFilter,
    HTTPRequestRedirectFilter,
    HTTPRouteFilter,
)
from gatewright.resolve.backends import References
from gatewright.resolve.headers import check_end_to_end, check_request_header, check_response_header
from gatewright.resolve.outcomes import Refused, Unsupported
from gatewright.topology import (
    Cors,
    Extension,
    ExternalAuth,
    Filter,
    HeaderModifier,
    Mirror,
    PathModifier,
    Redirect,
    Rewrite,
    Use,
)

RouteFilter: TypeAlias = HTTPRouteFilter | GRPCRouteFilter

_WELL_KNOWN = {"http": 80, "https": 443}
_REPEATABLE = {"RequestMirror", "ExtensionRef"}
_REPEATABLE_IN_BACKEND_REFS = _REPEATABLE | {"RequestHeaderModifier", "ResponseHeaderModifier"}
_ALWAYS_ALLOWED = {"content-length", "host"}  # the service gets its own (HTTPAuthConfig.allowedHeaders)


class Closed(Exception):
    """Nobody can be asked whether a request may pass, so none does."""


def translate_filters(
    references: References, filters: Collection[RouteFilter], field: str, use: Use, before: Collection[RouteFilter] = ()
) -> tuple[Filter, ...]:
    """The filters at `field` of a rule that sends `use` to its backends; `before` are a rule's, for a backendRef's own.

    Raises `Unsupported` for one that isn't served, or that another excludes, and `Closed` where requests must not pass.
    """
    if not filters:
        return ()
    counts = Counter(item.type for item in filters)
    repeated = [type_ for type_, count in counts.items() if count > 1 and type_ not in _REPEATABLE]
    if repeated:
        raise Unsupported(f"{field}: found {repeated[0]} more than once, expected it once", "IncompatibleFilters")
    types = {item.type for item in before}
    again = [type_ for type_ in counts if type_ in types and type_ not in _REPEATABLE_IN_BACKEND_REFS]
    if again:
        raise Unsupported(f"{field}: found {again[0]}, which the rule has as well, expected one", "IncompatibleFilters")
    types |= counts.keys()
    if {"RequestRedirect", "URLRewrite"} <= types:
        raise Unsupported(f"{field}: found RequestRedirect and URLRewrite, expected only one", "IncompatibleFilters")
    return tuple(_translate(references, item, f"{field}[{index}]", use) for index, item in enumerate(filters))


def refuse_unknown_filters(references: References, filters: Iterable[RouteFilter], field: str) -> None:
    """Refuse the references to filters of kinds that aren't known, and to those that can't be used."""
    for index, item in enumerate(filters):
        if item.type == "ExtensionRef" and item.extension_ref:
            problem = references.extension_problem(item.extension_ref)
            if problem:
                message = f"{field}[{index}].extensionRef: {problem.message}"
                references.refused.append(Refused(problem.reason, message))


def idle_mirrors(filters: Iterable[RouteFilter], field: str) -> tuple[str, ...]:
    """Names the mirrors at `field` that get no copies, where no request is forwarded."""
    mirrors = (index for index, item in enumerate(filters) if item.type == "RequestMirror")
    return tuple(f"{field}[{index}].requestMirror: nothing is forwarded that could be copied" for index in mirrors)


def replaces_prefix(filters: Collection[Filter]) -> bool:
    """Whether a filter replaces the prefix that the rule's match matched; it needs a PathPrefix match."""
    paths = (item.path for item in filters if isinstance(item, Redirect | Rewrite))
    return any(path is not None and path.type == "ReplacePrefixMatch" for path in paths)


def _translate(references: References, item: RouteFilter, field: str, use: Use) -> Filter:
    if item.type == "RequestHeaderModifier" and item.request_header_modifier:
        return _request_headers(item.request_header_modifier, f"{field}.requestHeaderModifier")
    if item.type == "ResponseHeaderModifier" and item.response_header_modifier:
        return _response_headers(item.response_header_modifier, f"{field}.responseHeaderModifier")
    if item.type == "RequestMirror" and item.request_mirror:
        return _mirror(references, item.request_mirror, f"{field}.requestMirror", use)
    if item.type == "ExtensionRef" and item.extension_ref:
        ref, problem = item.extension_ref, references.extension_problem(item.extension_ref)
        if problem:
            raise Unsupported(f"{field}.extensionRef: {problem.message}")
        return Extension(ref.kind, references.extension_key(ref), field)
    if isinstance(item, HTTPRouteFilter):
        if item.type == "RequestRedirect" and item.request_redirect:
            return _redirect(item.request_redirect)
        if item.type == "URLRewrite" and item.url_rewrite:
            return Rewrite(item.url_rewrite.hostname, _path(item.url_rewrite.path))
        if item.type == "CORS" and item.cors:
            return _cors(item.cors)
        if item.type == "ExternalAuth" and item.external_auth:
            return _external_auth(references, item.external_auth, f"{field}.externalAuth")
    raise Unsupported(f"{field}: found type {item.type} without its settings")


def _request_headers(modifier: HTTPHeaderFilter, field: str) -> HeaderModifier:
    for name, at in _names(modifier, field):
        # To set the Host is to rewrite the hostname.
        if not (name.lower() == "host" and at.startswith(f"{field}.set")):
            check_request_header(name, at)
    return _modifier("request", modifier)


def _response_headers(modifier: HTTPHeaderFilter, field: str) -> HeaderModifier:
    for name, at in _names(modifier, field):
        check_response_header(name, at)
    return _modifier("response", modifier)


def _names(modifier: HTTPHeaderFilter, field: str) -> Iterator[tuple[str, str]]:
    """Every header that is to be changed, with the field that says so."""
    yield from ((header.name, f"{field}.set[{index}].name") for index, header in enumerate(modifier.set))
    yield from ((header.name, f"{field}.add[{index}].name") for index, header in enumerate(modifier.add))
    yield from ((name, f"{field}.remove[{index}]") for index, name in enumerate(modifier.remove))


def _modifier(on: Literal["request", "response"], modifier: HTTPHeaderFilter) -> HeaderModifier:
    return HeaderModifier(
        on=on,
        set=tuple((header.name, header.value) for header in modifier.set),
        add=tuple((header.name, header.value) for header in modifier.add),
        remove=modifier.remove,
    )


def _redirect(redirect: HTTPRequestRedirectFilter) -> Redirect:
    port = redirect.port or (_WELL_KNOWN[redirect.scheme] if redirect.scheme else None)
    return Redirect(redirect.status_code, redirect.scheme, redirect.hostname, port, _path(redirect.path))


def _path(modifier: HTTPPathModifier | None) -> PathModifier | None:
    if modifier is None:
        return None
    if modifier.type == "ReplaceFullPath":
        return PathModifier("ReplaceFullPath", modifier.replace_full_path or "")
    return PathModifier("ReplacePrefixMatch", modifier.replace_prefix_match or "")


def _mirror(references: References, mirror: HTTPRequestMirrorFilter, field: str, use: Use) -> Mirror:
    """A bad reference sends no copies; the rule is served all the same."""
    if mirror.percent is not None and mirror.fraction is not None:
        raise Unsupported(f"{field}: found percent and fraction, expected only one")
    backend = references.backend(mirror.backend_ref, f"{field}.backendRef", use)
    if mirror.percent is not None:
        return Mirror(backend, mirror.percent, 100)
    if mirror.fraction is not None:
        if mirror.fraction.numerator > mirror.fraction.denominator:
            found = f"{mirror.fraction.numerator} of {mirror.fraction.denominator}"
            raise Unsupported(f"{field}.fraction: found {found}, expected no more than all")
        return Mirror(backend, mirror.fraction.numerator, mirror.fraction.denominator)
    return Mirror(backend)


def _cors(cors: HTTPCORSFilter) -> Cors:
    return Cors(
        allow_origins=cors.allow_origins,
        allow_methods=cors.allow_methods,
        allow_headers=cors.allow_headers,
        expose_headers=cors.expose_headers,
        allow_credentials=bool(cors.allow_credentials),
        max_age=cors.max_age,
    )


def _external_auth(references: References, auth: HTTPExternalAuthFilter, field: str) -> ExternalAuth:
    use: Use = "grpc" if auth.protocol == "GRPC" else "http"
    backend = references.backend(auth.backend_ref, f"{field}.backendRef", use)
    if backend is None:
        raise Closed
    max_body = (auth.forward_body.max_size or 0) if auth.forward_body else 0
    if max_body < 0:
        raise Unsupported(f"{field}.forwardBody.maxSize: found {max_body}, expected no less than 0")
    if auth.protocol == "GRPC":
        allowed = auth.grpc.allowed_headers if auth.grpc else ()
        return ExternalAuth("GRPC", backend, allowed_headers=_lower(allowed), max_body=max_body)
    if auth.http is None:
        return ExternalAuth("HTTP", backend, max_body=max_body)
    for index, name in enumerate(auth.http.allowed_headers):
        if name.lower() not in _ALWAYS_ALLOWED:
            check_end_to_end(name, f"{field}.http.allowedHeaders[{index}]")
    for index, name in enumerate(auth.http.allowed_response_headers):
        check_request_header(name, f"{field}.http.allowedResponseHeaders[{index}]")
    return ExternalAuth(
        protocol="HTTP",
        backend=backend,
        path=auth.http.path or "",
        allowed_headers=_lower(auth.http.allowed_headers),
        allowed_response_headers=_lower(auth.http.allowed_response_headers),
        max_body=max_body,
    )


def _lower(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.lower() for name in names))
