"""Markers are those of external-dns, by whatever release."""

from __future__ import annotations

import pytest

from gatewright.aws.records.names import is_record_name, matches, plain
from gatewright.aws.records.ownership import Affix, Claim, claim_text, marker_name, marker_names, read_claim


@pytest.mark.parametrize(
    ("name", "type_", "affix", "expected"),
    [
        ("www.example.com", "A", Affix(), "a-www.example.com"),
        ("www.example.com", "AAAA", Affix(), "aaaa-www.example.com"),
        ("www.example.com", "CNAME", Affix(), "cname-www.example.com"),
        ("*.example.com", "A", Affix(), "a-*.example.com"),
        ("www.example.com", "A", Affix("edns-"), "edns-a-www.example.com"),
        ("www.example.com", "A", Affix(suffix="-edns"), "a-www-edns.example.com"),
        ("ex.com", "CNAME", Affix("%{record_type}-abc-."), "cname-abc-.ex.com"),
        ("www.ex.com", "CNAME", Affix("%{record_type}-abc-."), "cname-abc-.www.ex.com"),
    ],
)
def test_the_name_of_a_marker(name: str, type_: str, affix: Affix, expected: str) -> None:
    assert marker_name(name, type_, affix) == expected


def test_markers_of_older_releases_count() -> None:
    assert marker_names("www.example.com", "A", alias=True) == (
        "a-www.example.com",
        "cname-www.example.com",
        "www.example.com",
    )
    assert marker_names("www.example.com", "AAAA", alias=True) == ("aaaa-www.example.com",)


def test_what_a_marker_says() -> None:
    claim = Claim("cluster-a", "httproute/apps/shop")
    text = claim_text(claim)
    assert text == '"heritage=external-dns,external-dns/owner=cluster-a,external-dns/resource=httproute/apps/shop"'
    assert read_claim(text) == claim
    assert read_claim('"heritage=external-dns,external-dns/owner=default"') == Claim("default")
    assert read_claim('"heritage=somebody-else,external-dns/owner=x"') is None
    assert read_claim('"v=spf1 -all"') is None


def test_names_as_route_53_writes_them() -> None:
    assert plain("\\052.Example.com.") == "*.example.com"
    assert is_record_name("_acme.shop.example.com")
    assert not any(map(is_record_name, ("localhost", "a b.example.com", "x" * 64 + ".com", "", "*", "a..b")))


def test_domain_filters() -> None:
    assert matches("shop.example.com", ())
    assert matches("example.com", ("example.com.",))
    assert matches("*.shop.example.com", ("Example.com",))
    assert not matches("notexample.com", ("example.com",))
    assert not matches("example.com", (".example.com",))
