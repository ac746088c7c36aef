"""Matches and their precedence (Gateway API, HTTPRouteRule.matches, GRPCRouteRule.matches)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import re2

from gatewright.model.gateway import (
    GRPCHeaderMatch,
    GRPCMethodMatch,
    GRPCRoute,
    GRPCRouteMatch,
    HTTPHeaderMatch,
    HTTPQueryParamMatch,
    HTTPRoute,
    HTTPRouteMatch,
)
from gatewright.resolve.inputs import seniority
from gatewright.resolve.outcomes import Unsupported
from gatewright.topology import Match, PathMatch, ValueMatch

_RANK = {"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}
_CATCH_ALL = 3


def translate_http_match(match: HTTPRouteMatch, field: str) -> Match:
    """The match at `field`; raises `Unsupported` for what can't be matched."""
    path = match.path
    if match.method == "CONNECT":
        raise Unsupported(f"{field}.method: found CONNECT, which asks for a tunnel; none is served")
    if path.type == "RegularExpression":
        _check(f"{field}.path.value", path.value)
    return Match(
        path=PathMatch(path.type, path.value),
        method=match.method,
        headers=_values(match.headers, f"{field}.headers", fold=True),
        query_params=_values(match.query_params, f"{field}.queryParams", fold=False),
    )


def http_precedence(route: HTTPRoute, match: Match, rule: int, index: int) -> tuple[int | str, ...]:
    """Sorts matches of one virtual host, the winner first.

    Exact paths, then the longest prefix, then a method, then the most headers, then the most query parameters; between
    routes the oldest, then by namespace/name; within a route the order of rules and matches. Regular expressions, whose
    place the specification leaves open, come after prefixes but before a match that takes every request, as in Istio.
    """
    path = match.path
    value = path.value if path.type != "PathPrefix" else path.value.rstrip("/")
    catch_all = path.type == "PathPrefix" and not (value or match.method or match.headers or match.query_params)
    return (
        _CATCH_ALL if catch_all else _RANK[path.type],
        -len(value),
        0 if match.method else 1,
        -len(match.headers),
        -len(match.query_params),
        *seniority(route),
        rule,
        index,
    )


def translate_grpc_match(match: GRPCRouteMatch, field: str) -> Match:
    """The match at `field`, by the path that gRPC has for a service and method: /service/method.

    Raises `Unsupported` for a regular expression that RE2 doesn't take.
    """
    return Match(
        path=_grpc_path(match.method, f"{field}.method") if match.method else PathMatch("PathPrefix", "/"),
        headers=_values(match.headers, f"{field}.headers", fold=True),
    )


def _grpc_path(method: GRPCMethodMatch, field: str) -> PathMatch:
    service, name = method.service or "", method.method or ""
    if not service and not name:
        return PathMatch("PathPrefix", "/")
    if method.type == "Exact":
        if service and name:
            return PathMatch("Exact", f"/{service}/{name}")
        if service:
            return PathMatch("PathPrefix", f"/{service}")
        return PathMatch("RegularExpression", f"/[^/]+/{re2.escape(name)}")
    for part, pattern in (("service", service), ("method", name)):
        _check(f"{field}.{part}", pattern)
    path = f"/{_group(service)}/{_group(name)}"
    _check(field, path)
    return PathMatch("RegularExpression", path)


def _group(pattern: str) -> str:
    return f"(?:{pattern})" if pattern else "[^/]+"


def grpc_precedence(route: GRPCRoute, match: GRPCRouteMatch, rule: int, index: int) -> tuple[int | str, ...]:
    """Sorts matches of one virtual host, the winner first.

    The longest service, then the longest method, then the most headers; between routes the oldest, then by
    namespace/name; within a route the order of rules and matches. Regular expressions, whose length says nothing, come
    after exact names but before a match that takes every method.
    """
    method = match.method or GRPCMethodMatch()
    service, name = method.service or "", method.method or ""
    rank = _RANK[method.type] if service or name else _CATCH_ALL
    headers = {header.name.lower() for header in match.headers}
    return (rank, -len(service), -len(name), -len(headers), 0, *seniority(route), rule, index)


def _values(
    matches: Iterable[HTTPHeaderMatch | HTTPQueryParamMatch | GRPCHeaderMatch], field: str, *, fold: bool
) -> tuple[ValueMatch, ...]:
    found: dict[str, ValueMatch] = {}
    for index, match in enumerate(matches):
        if match.type == "RegularExpression":
            _check(f"{field}[{index}].value", match.value)
        name = match.name.lower() if fold else match.name
        # Of entries with the same name the first counts (HTTPHeaderMatch.name).
        found.setdefault(name, ValueMatch(name, match.type, match.value))
    return tuple(found.values())


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 16  # bytes: one route may have thousands of expressions, and proxies keep each of them
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # bytes as they are sent, as Envoy compares them


def _check(field: str, pattern: str) -> None:
    if problem := _problem(pattern):
        raise Unsupported(f"{field}: {pattern!r} is not an RE2 regular expression: {problem}")


@lru_cache(maxsize=4096)
def _problem(pattern: str) -> str:
    if not pattern.isascii():
        # Byte by byte such a character isn't one: [é] would match either half of it, and é? half of it or all.
        return "it is matched against bytes; found other characters than ASCII, expected %XX in paths, \\xXX elsewhere"
    try:
        re2.compile(pattern.encode(), _OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return ""
