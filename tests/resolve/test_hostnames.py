"""Hostnames: which names one covers, what two have in common, and which listener takes a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.resolve.hostnames import (
    ANY,
    ancestors,
    covers,
    intersection,
    intersections,
    is_address,
    specificity,
    takers,
)

labels = st.sampled_from(["a", "b", "com"])
names = st.lists(labels, min_size=1, max_size=4).map(".".join)
hostnames = st.one_of(st.just(ANY), names, names.map(lambda name: f"*.{name}"))


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("*", "example.com", True),
        ("*", "*.example.com", True),
        ("*.example.com", "test.example.com", True),
        ("*.example.com", "foo.test.example.com", True),
        ("*.example.com", "*.test.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "test.example.net", False),
        ("*.example.com", "testexample.com", False),
        ("*.example.com", "*.com", False),
        ("*.example.com", "*", False),
        ("example.com", "example.com", True),
        ("example.com", "*.example.com", False),
    ],
)
def test_covers(wide: str, narrow: str, *, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@given(hostnames, hostnames, names)
def test_covers_means_what_it_says(wide: str, narrow: str, name: str) -> None:
    if covers(wide, narrow) and covers(narrow, name):
        assert covers(wide, name)


@given(hostnames, hostnames, hostnames)
def test_covers_is_a_partial_order(a: str, b: str, c: str) -> None:
    assert covers(a, a)
    assert a == b or not (covers(a, b) and covers(b, a))
    assert covers(a, c) or not (covers(a, b) and covers(b, c))


@given(hostnames, hostnames)
def test_intersection_commutes(a: str, b: str) -> None:
    assert intersection(a, b) == intersection(b, a)
    assert intersection(a, a) == a
    assert intersection(a, ANY) == a


@given(hostnames, hostnames, names)
def test_intersection_stands_for_the_names_of_both(a: str, b: str, name: str) -> None:
    common = intersection(a, b)
    assert (covers(a, name) and covers(b, name)) == (common is not None and covers(common, name))


@given(hostnames, st.lists(hostnames, max_size=4))
def test_intersections_are_limited_to_both_sides(listener: str, route: list[str]) -> None:
    found = intersections(listener, route)
    assert len(set(found)) == len(found)
    assert all(covers(listener, name) for name in found)
    assert all(any(covers(limit, name) for limit in route or [ANY]) for name in found)


@given(hostnames, hostnames)
def test_what_is_covered_is_more_specific(a: str, b: str) -> None:
    assert a == b or not covers(a, b) or specificity(a) < specificity(b)


@given(hostnames, hostnames)
def test_the_ancestors_of_a_hostname_are_what_covers_it(a: str, b: str) -> None:
    found = ancestors(a)
    assert (b in found) == (covers(b, a) and b != a)
    assert [specificity(name) for name in found] == sorted({specificity(name) for name in found}, reverse=True)


@given(st.lists(hostnames, min_size=1, max_size=4, unique=True), st.lists(hostnames, max_size=4))
def test_a_name_is_served_by_one_listener_of_a_port(listeners: list[str], route: list[str]) -> None:
    served = [
        name
        for listener in listeners
        for name in intersections(listener, route)
        if not set(takers(name, listener)) & set(listeners)
    ]
    assert len(set(served)) == len(served)
    wanted = {name for listener in listeners for name in intersections(listener, route)}
    assert set(served) == wanted, "and by one at all"


@pytest.mark.parametrize("hostname", ["127.0.0.1", "*.0.0.1", "*.1", "a.1", "10"])
def test_an_ip_address_is_no_hostname(hostname: str) -> None:
    assert is_address(hostname)
    assert intersections(ANY, [hostname, "a.com"]) == ("a.com",)
    assert intersections(ANY, [hostname]) == ()


@pytest.mark.parametrize("hostname", [ANY, "1.com", "*.1.com", "10.0.0.1.example", "a1"])
def test_a_number_that_is_not_the_last_label_makes_no_address(hostname: str) -> None:
    assert not is_address(hostname)
