"""GRPCRoute matches: which calls they match, and which of several wins (Gateway API, GRPCRouteRule.matches)."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from gatewright.model.gateway import GRPCHeaderMatch, GRPCMethodMatch, GRPCRoute, GRPCRouteMatch, GRPCRouteSpec
from gatewright.model.meta import ObjectMeta
from gatewright.resolve.matches import grpc_precedence, translate_grpc_match
from gatewright.resolve.outcomes import Unsupported
from gatewright.topology import Match


class Call(NamedTuple):
    service: str
    method: str
    headers: dict[str, str]


SERVICES = ["a", "a.B", "a.Bc", "aXB"]
METHODS = ["Get", "GetAll", "Put"]
HEADERS = ["h", "k"]

calls = st.builds(
    Call,
    st.sampled_from(SERVICES),
    st.sampled_from(METHODS),
    st.dictionaries(st.sampled_from(HEADERS), st.sampled_from("12")),
)
methods = st.builds(
    GRPCMethodMatch, service=st.none() | st.sampled_from(SERVICES), method=st.none() | st.sampled_from(METHODS)
)
headers = st.builds(GRPCHeaderMatch, name=st.sampled_from(["h", "H", "k"]), value=st.sampled_from("12"))
matches = st.builds(GRPCRouteMatch, method=st.none() | methods, headers=st.lists(headers, max_size=2).map(tuple))
ROUTE = GRPCRoute(metadata=ObjectMeta(name="r", namespace="a"), spec=GRPCRouteSpec())


def takes(match: Match, call: Call) -> bool:
    """Whether a topology's match matches a call, as topology.py words it."""
    path = f"/{call.service}/{call.method}"
    value = match.path.value
    by_path = {
        "Exact": path == value,
        "PathPrefix": value == "/" or path == value or path.startswith(f"{value}/"),
        "RegularExpression": re2.fullmatch(value, path) is not None,
    }
    return by_path[match.path.type] and all(call.headers.get(header.name) == header.value for header in match.headers)


def matched(match: GRPCRouteMatch, call: Call) -> bool:
    """Whether a GRPCRoute's match matches a call, as the specification words it."""
    method = match.method or GRPCMethodMatch()
    first: dict[str, str] = {}
    for header in match.headers:
        first.setdefault(header.name.lower(), header.value)
    return (
        method.service in (None, call.service)
        and method.method in (None, call.method)
        and all(call.headers.get(name) == value for name, value in first.items())
    )


def merit(match: GRPCRouteMatch) -> tuple[int, int, int]:
    """Characters of the service, characters of the method, headers: the most wins."""
    method = match.method or GRPCMethodMatch()
    names = {header.name.lower() for header in match.headers}
    return len(method.service or ""), len(method.method or ""), len(names)


@given(matches, calls)
def test_a_match_matches_what_it_says(match: GRPCRouteMatch, call: Call) -> None:
    assert takes(translate_grpc_match(match, "m"), call) == matched(match, call)


@given(st.lists(matches, min_size=1, max_size=6), calls)
def test_the_winner_has_the_most_merit_then_comes_first(found: list[GRPCRouteMatch], call: Call) -> None:
    ranked = sorted(
        (grpc_precedence(ROUTE, match, 0, index), translate_grpc_match(match, "m"), index)
        for index, match in enumerate(found)
    )
    winner = next((index for _, match, index in ranked if takes(match, call)), None)
    candidates = [index for index, match in enumerate(found) if matched(match, call)]
    expected = min(candidates, key=lambda index: ([-part for part in merit(found[index])], index), default=None)
    assert winner == expected


def test_names_are_no_patterns() -> None:
    match = translate_grpc_match(GRPCRouteMatch(method=GRPCMethodMatch(method="Get")), "m")
    assert takes(match, Call("any.Service", "Get", {}))
    assert not takes(match, Call("any.Service", "GetAll", {}))
    exact = translate_grpc_match(GRPCRouteMatch(method=GRPCMethodMatch(service="a.B")), "m")
    assert not takes(exact, Call("aXB", "Get", {}))


@pytest.mark.parametrize(
    ("service", "method", "path", "expected"),
    [
        ("a|b", "Get", "/b/Get", True),
        ("a|b", "Get", "/a", False),
        ("a.*", "", "/a.B/Get", True),
        ("", "Get|Put", "/x/Put", True),
        ("(?i)A", "get", "/a/get", True),
        ("(?i)A", "get", "/a/GET", False),
    ],
)
def test_each_pattern_is_of_its_own_part(service: str, method: str, path: str, expected: bool) -> None:
    spec = GRPCMethodMatch(type="RegularExpression", service=service or None, method=method or None)
    found = translate_grpc_match(GRPCRouteMatch(method=spec), "m").path
    assert found.type == "RegularExpression"
    assert (re2.fullmatch(found.value, path) is not None) == expected


@pytest.mark.parametrize("pattern", ["(", "a)|(b", "a(?!b)", "[", "\\"])
def test_a_pattern_that_re2_does_not_take_is_refused(pattern: str) -> None:
    for part in ("service", "method"):
        spec = GRPCMethodMatch(type="RegularExpression", **{part: pattern})
        with pytest.raises(Unsupported, match=f"m.method.{part}: .* is not an RE2 regular expression"):
            translate_grpc_match(GRPCRouteMatch(method=spec), "m")
