"""Names, paths and times of sessions (GEP-1619), and durations (GEP-2257)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.model.gateway import CookieConfig, SessionPersistence
from gatewright.model.meta import Key
from gatewright.resolve.durations import seconds
from gatewright.resolve.outcomes import Unsupported
from gatewright.resolve.sessions import cookie_path, default_name, translate_session
from gatewright.topology import PathMatch, Session

ROUTE = Key("apps", "one")
SHOP = PathMatch("PathPrefix", "/shop")


def session(spec: SessionPersistence) -> Session:
    return translate_session(spec, "HTTPRoute", ROUTE, "0", SHOP, "spec.rules[0].sessionPersistence")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PathMatch("PathPrefix", "/"), "/"),
        (PathMatch("PathPrefix", "/a/b/"), "/a/b"),
        (PathMatch("Exact", "/a/b"), "/a/b"),
        (PathMatch("RegularExpression", "/p1/p2/[^/]*/p3"), "/p1/p2"),
        (PathMatch("RegularExpression", "^/p1/p2.*"), "/p1"),
        (PathMatch("RegularExpression", "/p1|/p2"), "/"),
        (PathMatch("RegularExpression", "/p1/x|/p2"), "/"),
        (PathMatch("RegularExpression", "(?i)/p1/x"), "/"),
        (PathMatch("RegularExpression", "/p1/x?y"), "/p1"),
        (PathMatch("RegularExpression", "/p1/?x"), "/"),
        (PathMatch("RegularExpression", ".*"), "/"),
    ],
)
def test_a_cookie_is_limited_to_what_the_match_matches(path: PathMatch, expected: str) -> None:
    assert cookie_path(path) == expected


def test_a_default_name_is_the_rules_own() -> None:
    names = {
        default_name(kind, route, rule)
        for kind in ("HTTPRoute", "GRPCRoute")
        for route in (ROUTE, Key("apps", "two"), Key("web", "one"))
        for rule in ("0", "1", "cart")
    }
    assert len(names) == 18
    assert session(SessionPersistence()) == Session("Cookie", default_name("HTTPRoute", ROUTE, "0"), None, "/shop")


def test_a_permanent_cookie_lives_for_the_absolute_timeout() -> None:
    permanent = CookieConfig(lifetime_type="Permanent")
    found = session(SessionPersistence(session_name="s", absolute_timeout="1m30s", cookie_config=permanent))
    assert found == Session("Cookie", "s", 90.0, "/shop")
    with pytest.raises(Unsupported, match="absoluteTimeout: found none"):
        session(SessionPersistence(cookie_config=permanent))


def test_a_header_has_neither_time_nor_path() -> None:
    assert session(SessionPersistence(session_name="s", type="Header", absolute_timeout="1h")) == Session("Header", "s")


@pytest.mark.parametrize("name", ["a b", "a;b", ":path", "a=b", "é"])
def test_a_name_that_no_header_can_carry_is_refused(name: str) -> None:
    with pytest.raises(Unsupported, match=r"sessionPersistence\.sessionName"):
        session(SessionPersistence(session_name=name))


def test_a_session_that_ends_at_once_is_refused() -> None:
    with pytest.raises(Unsupported, match="more than 0s"):
        session(SessionPersistence(absolute_timeout="0s"))


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, rest: int, milliseconds: int) -> None:
    expected = hours * 3600 + minutes * 60 + rest + milliseconds / 1000
    assert seconds(f"{hours}h{minutes}m{rest}s{milliseconds}ms") == pytest.approx(expected)
    assert seconds(None) is None
