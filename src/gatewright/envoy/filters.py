"""Filters as fields of Envoy's routes: header modifiers, redirects, rewrites (Gateway API, HTTPRouteFilter)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from string import ascii_letters, digits
from typing import Any, NamedTuple

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2

from gatewright.envoy.syntax import UntranslatableError, field_value, path, token
from gatewright.topology import Filter, HeaderModifier, PathMatch, PathModifier, Redirect, Rewrite

WELL_KNOWN_PORTS = {"http": 80, "https": 443}

_REDIRECT_CODES = {
    301: route_components_pb2.RedirectAction.MOVED_PERMANENTLY,
    302: route_components_pb2.RedirectAction.FOUND,
    303: route_components_pb2.RedirectAction.SEE_OTHER,
    307: route_components_pb2.RedirectAction.TEMPORARY_REDIRECT,
    308: route_components_pb2.RedirectAction.PERMANENT_REDIRECT,
}
_LITERAL = frozenset(f"{ascii_letters}{digits}_/-")
_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD


class Entry(NamedTuple):
    """Where a rule stands: what its redirects need to know.

    `scheme` and `port` are those of the listener; `hostname` is the virtual host's; `bound` gives the port that is
    really open for a port and hostname (None: the request's own) of the same Gateway.
    """

    scheme: str
    port: int
    hostname: str
    bound: Callable[[int, str | None], int]


def modify_headers(filters: Iterable[Filter], target: Any) -> str | None:
    """Apply header modifiers to a route or weighted cluster; returns the Host to set, which is no header to Envoy."""
    host = None
    for filter_ in filters:
        if not isinstance(filter_, HeaderModifier):
            continue
        to_request = filter_.on == "request"
        options = target.request_headers_to_add if to_request else target.response_headers_to_add
        removed = target.request_headers_to_remove if to_request else target.response_headers_to_remove
        for name, value in filter_.set:
            if to_request and name.lower() == "host":
                host = field_value(value, "header Host")
            else:
                _add_header(options, name, value, _OVERWRITE)
        for name, value in filter_.add:
            _add_header(options, name, value, _APPEND)
        removed.extend(token(name, "a header to remove") for name in filter_.remove)
    return host


def _add_header(options: Any, name: str, value: str, action: Any) -> None:
    option = options.add(append_action=action, keep_empty_value=True)
    option.header.key = token(name, "a header's name")
    option.header.value = field_value(value, f"header {name}").replace(
        "%", "%%"
    )  # a percent sign begins one of Envoy's format commands


def rewrite(filter_: Rewrite, match: PathMatch, action: route_components_pb2.RouteAction) -> None:
    """Put a URLRewrite into a route's action."""
    if filter_.hostname is not None:
        action.host_rewrite_literal = field_value(filter_.hostname, "the hostname of a rewrite")
    if filter_.path is None:
        return
    if filter_.path.type == "ReplaceFullPath":
        action.regex_rewrite.pattern.regex = "^.*$"
        action.regex_rewrite.substitution = _absolute(filter_.path.value).replace("\\", "\\\\")
    else:
        _replace_prefix(filter_.path, match, action)


def redirect(filter_: Redirect, match: PathMatch, entry: Entry, action: route_components_pb2.RedirectAction) -> None:
    """Put a RequestRedirect into a route's action.

    A port that the Gateway serves is shown as the port that is open for it, so that the URL works where ports are
    shifted. The well-known port of the scheme is not shown; where the virtual host is a wildcard, a port that the
    client itself put into the Host header may remain.
    """
    code = _REDIRECT_CODES.get(filter_.status_code)
    if code is None:
        known = ", ".join(map(str, _REDIRECT_CODES))
        raise UntranslatableError(f"a redirect's statusCode is {filter_.status_code}; Envoy knows {known}")
    action.response_code = code
    scheme = filter_.scheme or entry.scheme
    if filter_.scheme:
        action.scheme_redirect = filter_.scheme
    if filter_.port is not None:
        port = filter_.port
    elif filter_.scheme is not None:
        port = WELL_KNOWN_PORTS.get(scheme, entry.port)
    else:
        port = entry.port
    port = entry.bound(port, filter_.hostname)
    shows_port = port != WELL_KNOWN_PORTS.get(scheme)
    if shows_port:
        action.port_redirect = port
    if filter_.hostname is not None:
        action.host_redirect = field_value(filter_.hostname, "the hostname of a redirect")
    elif not shows_port and not entry.hostname.startswith("*"):
        action.host_redirect = entry.hostname  # without this Envoy repeats the Host header, with its port
    if filter_.path is None:
        return
    if filter_.path.type == "ReplaceFullPath":
        action.path_redirect = _absolute(filter_.path.value)
    else:
        _replace_prefix(filter_.path, match, action)


def _replace_prefix(modifier: PathModifier, match: PathMatch, action: Any) -> None:
    """Replace a matched prefix, element by element: never "//", never an empty path."""
    if match.type != "PathPrefix":
        raise UntranslatableError(f"ReplacePrefixMatch needs a PathPrefix match, found {match.type}")
    prefix = match.value.rstrip("/")
    value = modifier.value.rstrip("/")
    if value:
        value = _absolute(value)
        # The prefix "/" is matched with its slash, all others without.
        action.prefix_rewrite = value if prefix else f"{value}/"
    elif prefix:
        action.regex_rewrite.pattern.regex = f"^{escape_re2(prefix)}/*"
        action.regex_rewrite.substitution = "/"


def _absolute(value: str) -> str:
    return path(value if value.startswith("/") else f"/{value}", "the path to put in place")


def escape_re2(text: str) -> str:
    """`text` as an RE2 pattern that matches just it, byte by byte as Envoy does."""
    return "".join(chr(byte) if chr(byte) in _LITERAL else f"\\x{byte:02x}" for byte in text.encode())
