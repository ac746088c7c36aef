"""Whether a rule takes a request (Gateway API, HTTPRouteRule.matches, GRPCRouteRule.matches), and if not, why."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2

from gatewright.explain.request import Request
from gatewright.topology import Cors, Match, PathMatch, Rule, ValueMatch


def takes(rule: Rule, request: Request) -> bool:
    """Whether the rule's match holds; a preflight request is one for the method that it asks about (CORS)."""
    return path_matches(rule.match.path, request) and (
        not any(True for _ in mismatches(rule.match, request)) or answers_preflight(rule, request)
    )


def path_matches(match: PathMatch, request: Request) -> bool:
    """Whether the path matches, without the query."""
    path = request.bare_path
    if match.type == "Exact":
        return path == match.value
    if match.type == "RegularExpression":
        return _full_match(match.value, path)
    prefix = match.value.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def mismatches(match: Match, request: Request) -> Iterator[str]:
    """Why the rest of a match doesn't hold, each as `wants …, found …`; nothing where it does."""
    if match.method is not None and match.method != request.method:
        yield f"wants method {match.method}, found {request.method}"
    for header in match.headers:
        yield from _difference("header", header, request.header(header.name))
    for parameter in match.query_params:
        found = request.query.get(parameter.name)
        yield from _difference("query parameter", parameter, () if found is None else (found,))


def is_preflight(request: Request) -> bool:
    """Whether it asks for leave of another request (Fetch standard, CORS-preflight request)."""
    asked = request.header("access-control-request-method")
    return request.method == "OPTIONS" and bool(request.header("origin")) and any(asked)


def cors_of(rule: Rule) -> Cors | None:
    """The CORS filter of a rule, or of its backendRefs."""
    shares = [share for share in rule.backends if share.weight > 0]
    filters = [*rule.filters, *(item for share in shares for item in share.filters)]
    return next((item for item in filters if isinstance(item, Cors)), None)


def answers_preflight(rule: Rule, request: Request) -> bool:
    """Whether a rule with CORS takes a preflight request for the method that it wants."""
    if not is_preflight(request) or cors_of(rule) is None:
        return False
    match = rule.match
    if match.method not in (None, "OPTIONS", *request.header("access-control-request-method")):
        return False
    rest = Match(match.path, None, match.headers, match.query_params)
    return not any(True for _ in mismatches(rest, request))


def _difference(what: str, wanted: ValueMatch, found: tuple[str, ...]) -> Iterator[str]:
    """One value has to match; several of a header are not joined."""
    if not found:
        yield f"wants {what} {wanted.name}, which is not there"
    elif wanted.type == "Exact" and wanted.value not in found:
        yield f"wants {what} {wanted.name} to be {wanted.value!r}, found {', '.join(map(repr, found))}"
    elif wanted.type == "RegularExpression" and not any(_full_match(wanted.value, value) for value in found):
        yield f"wants {what} {wanted.name} to match {wanted.value!r}, found {', '.join(map(repr, found))}"


def _full_match(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)  # None for what RE2 doesn't take
    return compiled is not None and compiled.fullmatch(text.encode("latin-1", "replace")) is not None


_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # bytes as they are sent


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> Any:
    try:
        return re2.compile(pattern.encode("latin-1", "replace"), _OPTIONS)
    except re2.error:
        return None
