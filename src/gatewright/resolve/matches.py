"""HTTPRoute matches and their precedence (Gateway API, HTTPRouteRule.matches)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import re2

from gatewright.model.gateway import HTTPRoute, HTTPRouteMatch
from gatewright.model.gateway.httproute import HTTPHeaderMatch, HTTPQueryParamMatch
from gatewright.resolve.filters import Unsupported
from gatewright.topology import Match, PathMatch, ValueMatch

_RANK = {"Exact": 0, "PathPrefix": 1, "RegularExpression": 2}
_CATCH_ALL = 3


def translate_match(match: HTTPRouteMatch, field: str) -> Match:
    """The match at `field`; raises `Unsupported` for a regular expression that RE2 doesn't take."""
    path = match.path
    if path.type == "RegularExpression":
        _check(f"{field}.path.value", path.value)
    return Match(
        path=PathMatch(path.type, path.value),
        method=match.method,
        headers=_values(match.headers, f"{field}.headers", fold=True),
        query_params=_values(match.query_params, f"{field}.queryParams", fold=False),
    )


def precedence(route: HTTPRoute, match: Match, rule: int, index: int) -> tuple[int | str, ...]:
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
        route.metadata.creation_timestamp,
        str(route.key),
        rule,
        index,
    )


def _values(
    matches: Iterable[HTTPHeaderMatch | HTTPQueryParamMatch], field: str, *, fold: bool
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


def _check(field: str, pattern: str) -> None:
    if problem := _problem(pattern):
        raise Unsupported(f"{field}: {pattern!r} is not an RE2 regular expression: {problem}")


@lru_cache(maxsize=4096)
def _problem(pattern: str) -> str:
    try:
        re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0]
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return ""
