"""Cross-origin requests as per-route configuration of Envoy's CORS filter (Gateway API, HTTPCORSFilter).

Envoy's filter answers preflight requests and marks the answers of backends. Where "*" stands for all methods or headers
it names those that are asked for. What it leaves to us:

- A preflight request has a method of its own, so a rule that wants another needs a second route.
- Where headers are "*" and none is asked for, Envoy would answer with an empty list of them, which must not be there.
- It passes over routes that answer by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2

from gatewright.envoy.filters import escape_re2
from gatewright.envoy.syntax import token
from gatewright.topology import Cors

_ORIGIN, _METHOD, _HEADERS = "origin", "access-control-request-method", "access-control-request-headers"
_ANY_HOST = r"(?:[^/:]+|\[[0-9A-Fa-f:.]+\])"
_NO_ORIGIN = r"\x00"  # in no header
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def cors_policy(cors: Cors) -> cors_pb2.CorsPolicy:
    """The policy of a route."""
    policy = cors_pb2.CorsPolicy(
        allow_methods=_list(cors.allow_methods, "cors.allowMethods"),
        allow_headers=_list(cors.allow_headers, "cors.allowHeaders"),
        expose_headers=_exposed(cors),
        max_age=str(cors.max_age),
    )
    policy.allow_credentials.value = cors.allow_credentials
    policy.forward_not_matching_preflights.value = False
    policy.allow_origin_string_match.add().safe_regex.regex = _origins(cors)
    return policy


def preflights(
    route: route_components_pb2.Route, cors: Cors, name: str, method: str | None, *, is_own: bool
) -> Iterator[route_components_pb2.Route]:
    """The routes that must go before a rule's own for preflight requests that it wouldn't serve as it should.

    `route` is like the rule's own, but forwards; `name` is the filter's; `method` is the one that the rule wants.
    `is_own` says that `route` is the rule's own.
    """
    asks_nothing = "*" in cors.allow_headers and cors.allow_credentials
    if asks_nothing:
        bare = _preflight(route, method)
        bare.match.headers.add(name=_HEADERS, invert_match=True).present_match = True
        policy = cors_policy(cors)
        policy.allow_headers = ""
        bare.typed_per_filter_config[name].Pack(policy)
        yield bare
    if method not in (None, "OPTIONS") or not is_own:
        yield _preflight(route, method)


def marked(route: route_components_pb2.Route, cors: Cors) -> route_components_pb2.Route:
    """A route that answers by itself, for requests from allowed origins: the answer says that they are."""
    twin = route_components_pb2.Route()
    twin.CopyFrom(route)
    twin.match.headers.add(name=_ORIGIN).string_match.safe_regex.regex = _origins(cors)
    headers = {"access-control-allow-origin": f"%REQ({_ORIGIN})%", "access-control-expose-headers": _exposed(cors)}
    if cors.allow_credentials:
        headers["access-control-allow-credentials"] = "true"
    for key, value in headers.items():
        option = twin.response_headers_to_add.add(append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key, option.header.value = key, value
    return twin


def _preflight(route: route_components_pb2.Route, method: str | None) -> route_components_pb2.Route:
    """The same route for preflight requests that ask whether `method` may be used, in place of the method itself."""
    twin = route_components_pb2.Route()
    twin.CopyFrom(route)
    others = [header for header in route.match.headers if header.name != ":method"]
    del twin.match.headers[:]
    twin.match.headers.extend(others)
    twin.match.headers.add(name=":method").string_match.exact = "OPTIONS"
    twin.match.headers.add(name=_ORIGIN).present_match = True
    asked = twin.match.headers.add(name=_METHOD)
    if method in (None, "OPTIONS"):
        asked.present_match = True
    else:
        asked.string_match.exact = method
    return twin


def _exposed(cors: Cors) -> str:
    names = [name for name in cors.expose_headers if name != "*" or not cors.allow_credentials]
    return _list(names, "cors.exposeHeaders")


def _list(names: Iterable[str], what: str) -> str:
    return ",".join(token(name, what) for name in names)


def _origins(cors: Cors) -> str:
    """RE2 for all allowed origins."""
    return "|".join(_origin(origin) for origin in cors.allow_origins) or _NO_ORIGIN


def _origin(origin: str) -> str:
    """RE2 for an allowed origin; a default port may be written or left out."""
    if origin == "*":
        return ".*"
    scheme, _, rest = origin.partition("://")
    host, port = _split_port(rest)
    pattern = _ANY_HOST if host == "*" else _wildcards(host)
    default = _DEFAULT_PORTS.get(scheme.lower(), "")
    suffix = f"(?::{default})?" if port in ("", default) else f":{port}"
    return f"(?i:{escape_re2(scheme)}://{pattern}){suffix}"


def _split_port(authority: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    return (host, port) if colon and port.isdigit() else (authority, "")


def _wildcards(host: str) -> str:
    return "[^/:]+".join(escape_re2(part) for part in host.split("*"))
