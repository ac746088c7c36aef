"""Where redirects lead, and what rewrites make of a request (Gateway API, HTTPRouteFilter)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from gatewright.explain.request import Request
from gatewright.topology import Filter, HeaderModifier, HostKey, Listener, PathMatch, PathModifier, Redirect, Rewrite

_WELL_KNOWN = {"http": 80, "https": 443}
_PORT = re.compile(r":\d+$")


def location(
    redirect: Redirect,
    match: PathMatch,
    request: Request,
    listener: Listener,
    host: HostKey,
    opened: Callable[[int, str | None], int],
) -> str:
    """The URL of a redirect. A port is shown unless it is the scheme's well-known one; the query stays.

    `opened` gives the port that is really open for a port and hostname (None: the request's own).
    """
    own = "https" if listener.protocol == "HTTPS" else "http"
    scheme = redirect.scheme or own
    if redirect.port is not None:
        port = redirect.port
    elif redirect.scheme is not None:
        port = _WELL_KNOWN.get(scheme, listener.port)
    else:
        port = listener.port
    port = opened(port, redirect.hostname)
    shows_port = port != _WELL_KNOWN.get(scheme)
    if redirect.hostname is not None:
        authority = redirect.hostname
    elif not shows_port and not host.hostname.startswith("*"):
        authority = host.hostname
    else:
        authority = _host_of(request, own, scheme, drop_port=shows_port)
    path = _redirected_path(redirect.path, match, request) if redirect.path else request.target
    return f"{scheme}://{authority}{f':{port}' if shows_port else ''}{path}"


def _host_of(request: Request, own: str, scheme: str, *, drop_port: bool) -> str:
    """The Host header; a port in it goes where another one is shown, and where it was the old scheme's."""
    found = _PORT.search(request.host)
    if found is None:
        return request.host
    was_default = scheme != own and found[0] == f":{_WELL_KNOWN[own]}"
    return request.host[: found.start()] if drop_port or was_default else request.host


def _redirected_path(modifier: PathModifier, match: PathMatch, request: Request) -> str:
    _, mark, query = request.target.partition("?")
    if modifier.type == "ReplaceFullPath":
        value = _absolute(modifier.value)
        return value if "?" in value else value + mark + query
    return replace_prefix(modifier, match, request.target)


def replace_prefix(modifier: PathModifier, match: PathMatch, target: str) -> str:
    """A path and query with the matched prefix replaced, element by element: never "//", never an empty path."""
    prefix, value = match.value.rstrip("/"), modifier.value.rstrip("/")
    path, mark, query = target.partition("?")
    rest = path[len(prefix) :]
    if value:
        return _absolute(value) + rest + mark + query
    return "/" + (rest.lstrip("/") if prefix else rest[1:]) + mark + query


def rewritten(filters: Iterable[Filter], match: PathMatch, request: Request) -> tuple[str, str]:
    """The Host and the path (with query) that a backend gets; a URLRewrite goes before a Host that is set."""
    by_rewrite = by_header = None
    target = request.target
    for item in filters:
        if isinstance(item, HeaderModifier) and item.on == "request":
            by_header = next((value for name, value in item.set if name.lower() == "host"), by_header)
        elif isinstance(item, Rewrite):
            by_rewrite = item.hostname if item.hostname is not None else by_rewrite
            if item.path and item.path.type == "ReplaceFullPath":
                target = _absolute(item.path.value) + "".join(request.target.partition("?")[1:])
            elif item.path:
                target = replace_prefix(item.path, match, request.target)
    host = by_rewrite if by_rewrite is not None else by_header
    return (host if host is not None else request.host), target


def _absolute(value: str) -> str:
    return value if value.startswith("/") else f"/{value}"
