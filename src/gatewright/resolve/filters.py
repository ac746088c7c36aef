"""HTTPRoute filters, in the order of the route (Gateway API, HTTPRouteFilter)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from gatewright.model.gateway import HTTPHeaderFilter, HTTPPathModifier, HTTPRouteFilter
from gatewright.model.gateway.shared import LocalObjectReference
from gatewright.topology import Filter, HeaderModifier, PathModifier, Redirect, Rewrite

_WELL_KNOWN = {"http": 80, "https": 443}
_REPEATABLE = {"RequestMirror", "ExtensionRef"}


class Unsupported(Exception):
    """A part of a rule that can't be served as it says; the text names the field, `reason` is of the condition."""

    def __init__(self, message: str, reason: str = "UnsupportedValue") -> None:
        super().__init__(message)
        self.reason = reason


def translate_filters(filters: Collection[HTTPRouteFilter], field: str) -> tuple[Filter, ...]:
    """The filters at `field`; raises `Unsupported` for one that isn't served, or that another excludes."""
    counts = Counter(item.type for item in filters)
    repeated = [type_ for type_, count in counts.items() if count > 1 and type_ not in _REPEATABLE]
    if repeated:
        raise Unsupported(f"{field}: found {repeated[0]} more than once, expected it once", "IncompatibleFilters")
    if counts["RequestRedirect"] and counts["URLRewrite"]:
        raise Unsupported(f"{field}: found RequestRedirect and URLRewrite, expected only one", "IncompatibleFilters")
    return tuple(_translate(item, f"{field}[{index}]") for index, item in enumerate(filters))


def unknown_filters(filters: Iterable[HTTPRouteFilter], field: str) -> list[str]:
    """What is wrong with the references to filters of other kinds; none is known."""
    refs = ((index, item.extension_ref) for index, item in enumerate(filters) if item.type == "ExtensionRef")
    return [_unknown(ref, f"{field}[{index}]") for index, ref in refs if ref]


def _unknown(ref: LocalObjectReference, field: str) -> str:
    return f"{field}.extensionRef: {ref.kind}.{ref.group or 'core'} {ref.name} is not a known kind of filter"


def replaces_prefix(filters: Collection[Filter]) -> bool:
    """Whether a filter replaces the prefix that the rule's match matched; it needs a PathPrefix match."""
    paths = (item.path for item in filters if isinstance(item, Redirect | Rewrite))
    return any(path is not None and path.type == "ReplacePrefixMatch" for path in paths)


def _translate(item: HTTPRouteFilter, field: str) -> Filter:
    if item.type == "RequestHeaderModifier" and item.request_header_modifier:
        return _headers(item.request_header_modifier, request=True)
    if item.type == "ResponseHeaderModifier" and item.response_header_modifier:
        return _headers(item.response_header_modifier, request=False)
    if item.type == "RequestRedirect" and item.request_redirect:
        redirect = item.request_redirect
        port = redirect.port or (_WELL_KNOWN[redirect.scheme] if redirect.scheme else None)
        return Redirect(redirect.status_code, redirect.scheme, redirect.hostname, port, _path(redirect.path))
    if item.type == "URLRewrite" and item.url_rewrite:
        return Rewrite(item.url_rewrite.hostname, _path(item.url_rewrite.path))
    if item.type == "ExtensionRef" and item.extension_ref:
        raise Unsupported(_unknown(item.extension_ref, field))
    if item.type in ("RequestMirror", "CORS", "ExternalAuth"):
        raise Unsupported(f"{field}.type: {item.type} is not implemented")
    raise Unsupported(f"{field}: found type {item.type} without its settings")


def _headers(modifier: HTTPHeaderFilter, *, request: bool) -> HeaderModifier:
    return HeaderModifier(
        on="request" if request else "response",
        set=tuple((header.name, header.value) for header in modifier.set),
        add=tuple((header.name, header.value) for header in modifier.add),
        remove=modifier.remove,
    )


def _path(modifier: HTTPPathModifier | None) -> PathModifier | None:
    if modifier is None:
        return None
    if modifier.type == "ReplaceFullPath":
        return PathModifier("ReplaceFullPath", modifier.replace_full_path or "")
    return PathModifier("ReplacePrefixMatch", modifier.replace_prefix_match or "")
