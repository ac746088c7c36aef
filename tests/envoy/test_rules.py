"""Matching, precedence and filters, as a client of a real Envoy sees them (Gateway API, HTTPRouteRule)."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.envoy.listeners import Binding
from gatewright.model.meta import Key
from gatewright.topology import (
    BackendKey,
    HeaderModifier,
    PathModifier,
    Redirect,
    Rewrite,
    ValueMatch,
    WeightedBackend,
)

GATEWAY = Key("infra", "shared")


def prefix_to(value: str) -> PathModifier:
    return PathModifier("ReplacePrefixMatch", value)


def path_to(value: str) -> PathModifier:
    return PathModifier("ReplaceFullPath", value)


@pytest.fixture
async def served(world: Any, echo: Any) -> Any:
    """One HTTP listener and the backends `one` and `two`."""
    world.listener()
    world.backend("one", await echo("one"))
    world.backend("two", await echo("two"))
    return world


# --- matches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("=/app", ["/app", "/app?x=/y"], ["/app/", "/App", "/apple", "/app/x"]),
        ("/app", ["/app", "/app/", "/app/x", "/app?x"], ["/apple", "/App", "/"]),
        ("/app/", ["/app", "/app/", "/app/x"], ["/apple"]),
        ("/", ["/", "/anything", "/?q"], []),
        ("~/a(p+)/[0-9]+", ["/app/7", "/ap/12?x=1"], ["/app/7/x", "/x/app/7", "/app/"]),
        ("=/a%2Fb", ["/a%2Fb"], ["/a/b", "/a%2fb"]),
        ("/a//b", ["/a//b"], ["/a/b"]),
    ],
)
async def test_paths(served: Any, get: Any, pattern: str, matching: list[str], other: list[str]) -> None:
    served.rule("it", pattern, "one")
    assert {path: (await get(path)).status for path in matching} == dict.fromkeys(matching, 200)
    assert {path: (await get(path)).status for path in other} == dict.fromkeys(other, 404)


async def test_methods_headers_and_query_parameters_must_all_match(served: Any, get: Any) -> None:
    served.rule(
        "it",
        "/",
        "one",
        method="GET",
        headers=(ValueMatch("x-version", "Exact", "2"), ValueMatch("x-who", "RegularExpression", "a.*z")),
        query=(ValueMatch("color", "Exact", "blue"), ValueMatch("size", "RegularExpression", "[0-9]+")),
    )
    good = {"x-version": "2", "X-Who": "abcz"}
    assert (await get("/?color=blue&size=12", headers=good)).status == 200
    assert (await get("/?color=blue&size=12", headers=good, method="HEAD")).status == 404
    assert (await get("/?color=blue&size=12", headers={**good, "x-version": "22"})).status == 404
    assert (await get("/?color=blue&size=12", headers={**good, "X-Who": "abczz1"})).status == 404
    assert (await get("/?color=red&size=12", headers=good)).status == 404
    assert (await get("/?color=blue&size=1x", headers=good)).status == 404
    assert (await get("/?color=blue", headers=good)).status == 404


async def test_names_of_headers_have_no_case_and_those_of_query_parameters_do(served: Any, get: Any) -> None:
    served.rule("header", "/h", "one", headers=(ValueMatch("x-env", "Exact", "Prod"),))
    served.rule("parameter", "/q", "one", query=(ValueMatch("Color", "Exact", "blue"),))
    assert [(await get("/h", headers={name: "Prod"})).status for name in ("x-env", "X-ENV", "X-Env")] == [200] * 3
    assert (await get("/h", headers={"x-env": "prod"})).status == 404
    assert (await get("/q?Color=blue")).status == 200
    assert (await get("/q?color=blue")).status == 404


async def test_of_a_query_parameter_that_comes_twice_the_first_counts(served: Any, get: Any) -> None:
    served.rule("it", "/", "one", query=(ValueMatch("color", "Exact", "blue"),))
    assert (await get("/?color=blue&color=red")).status == 200
    assert (await get("/?color=red&color=blue")).status == 404


async def test_connect_reaches_no_rule(served: Any, get: Any) -> None:
    served.rule("it", "/", "one")
    assert (await get("example.com:443", method="CONNECT")).status == 404


async def test_the_smallest_precedence_wins(served: Any, get: Any) -> None:
    served.rule("general", "/", "one", precedence=200)
    served.rule("special", "/app", "two", precedence=100)
    assert (await get("/app")).echo["name"] == "two"
    served.rule("special", "/app", "two", precedence=300)
    assert (await get("/app")).echo["name"] == "one"


async def test_the_most_specific_hostname_wins_and_hides_the_others(served: Any, get: Any) -> None:
    wildcard, exact = served.host("*.example.com"), served.host("api.example.com")
    served.rule("any", "/", "one")
    served.rule("wild", "/wild", "two", host=wildcard)
    served.rule("exact", "/exact", "two", host=exact)
    assert (await get("/", host="other.test")).status == 200
    assert (await get("/wild", host="a.b.example.com")).status == 200
    assert (await get("/wild", host="A.Example.com:1234")).status == 200
    assert (await get("/wild", host="example.com")).echo["name"] == "one"
    assert (await get("/exact", host="api.example.com")).status == 200
    assert (await get("/wild", host="api.example.com")).status == 404
    assert (await get("/", host="api.example.com")).status == 404


# --- filters ---------------------------------------------------------------------------------------------------------


async def test_headers_are_set_added_and_removed(served: Any, get: Any) -> None:
    served.rule(
        "it",
        "/",
        "one",
        filters=(
            HeaderModifier("request", set=(("x-set", "100% %REQ(x)%"),), add=(("x-add", "b"),), remove=("x-gone",)),
            HeaderModifier("response", set=(("x-from", "edge"),), add=(("x-more", "1"),), remove=("x-none",)),
        ),
    )
    response = await get("/", headers={"x-set": "old", "x-add": "a", "x-gone": "here"})
    assert response.echo["x-set"] == "100% %REQ(x)%"
    assert response.echo["x-add"] in ("a,b", "b")  # a second header line is as good as a list
    assert "x-gone" not in response.echo
    assert response.headers["x-from"] == "edge"
    assert response.headers["x-more"] == "1"


@pytest.mark.parametrize(
    ("pattern", "change", "path", "seen"),
    [
        ("/foo", prefix_to("/xyz"), "/foo/bar", "/xyz/bar"),
        ("/foo", prefix_to("/xyz/"), "/foo/bar", "/xyz/bar"),
        ("/foo/", prefix_to("/xyz"), "/foo/bar", "/xyz/bar"),
        ("/foo/", prefix_to("/xyz/"), "/foo/bar?q=1", "/xyz/bar?q=1"),
        ("/foo", prefix_to("/xyz"), "/foo", "/xyz"),
        ("/foo", prefix_to("/xyz"), "/foo/", "/xyz/"),
        ("/foo", prefix_to(""), "/foo/bar", "/bar"),
        ("/foo", prefix_to(""), "/foo/", "/"),
        ("/foo", prefix_to(""), "/foo", "/"),
        ("/foo", prefix_to("/"), "/foo/", "/"),
        ("/foo", prefix_to("/"), "/foo?q=1", "/?q=1"),
        ("/foo", prefix_to("/"), "/foo/bar", "/bar"),
        ("/v1.0", prefix_to("/"), "/v1.0/x", "/x"),
        ("/", prefix_to("/xyz"), "/bar", "/xyz/bar"),
        ("/", prefix_to("/"), "/bar", "/bar"),
        ("/foo", path_to("/only"), "/foo/bar?q=1", "/only?q=1"),
        ("=/foo", path_to(r"/a\1b"), "/foo", r"/a\1b"),
        ("/foo", path_to(""), "/foo/bar", "/"),
    ],
)
async def test_paths_are_rewritten_and_redirected_alike(
    served: Any, get: Any, pattern: str, change: PathModifier, path: str, seen: str
) -> None:
    served.rule("rewrite", pattern, "one", filters=(Rewrite(path=change),))
    assert (await get(path)).echo["line"] == f"GET {seen} HTTP/1.1"
    served.rule("rewrite", pattern, filters=(Redirect(302, scheme="https", hostname="new.example.com", path=change),))
    response = await get(path)
    assert (response.status, response.location) == (302, f"https://new.example.com{seen}")


async def test_the_hostname_is_rewritten(served: Any, get: Any) -> None:
    served.rule("it", "/", "one", filters=(Rewrite(hostname="inner.example.com"),))
    assert (await get("/")).echo["host"] == "inner.example.com"
    served.rule("it", "/", "one", filters=(HeaderModifier("request", set=(("Host", "set.example.com"),)),))
    assert (await get("/")).echo["host"] == "set.example.com"


@pytest.mark.parametrize(
    ("filter_", "ports", "location"),
    [
        (Redirect(301, scheme="https"), {80: 80, 443: 443}, "https://test.example.com/x"),
        (Redirect(301, scheme="https"), {80: 8080, 443: 8443}, "https://test.example.com:8443/x"),
        (Redirect(301, scheme="https", port=8443), {80: 80}, "https://test.example.com:8443/x"),
        (Redirect(301, hostname="elsewhere.net"), {80: 80}, "http://elsewhere.net/x"),
        (Redirect(301, scheme="https", hostname="elsewhere.net"), {80: 8080, 443: 8443}, "https://elsewhere.net/x"),
        (Redirect(301, hostname="api.example.com"), {80: 8080}, "http://api.example.com:8080/x"),
        (Redirect(301, path=path_to("/y")), {80: 8080}, "http://test.example.com:8080/y"),
    ],
)
async def test_a_redirect_shows_the_port_that_is_open(
    world: Any, edge: Any, filter_: Redirect, ports: dict[int, int], location: str
) -> None:
    """Translation only: what the client would see is in the resource, whatever ports this machine allows."""
    from envoy.config.route.v3 import scoped_route_pb2

    from gatewright.envoy.resources import SCOPE
    from gatewright.envoy.scopes import scope_name

    listener = world.listener()
    world.bindings.set(GATEWAY, Binding("127.0.0.1", ports))
    world.host("*.example.com", listener)
    world.rule("it", "/", host=world.host("test.example.com", listener), filters=(filter_,))
    found = edge.target.resources[SCOPE][scope_name("infra/shared/80", "test.example.com")]
    table = scoped_route_pb2.ScopedRouteConfiguration.FromString(found.body).route_configuration
    action = table.virtual_hosts[0].routes[0].redirect
    scheme = action.scheme_redirect or "http"
    port = f":{action.port_redirect}" if action.port_redirect else ""
    path = action.path_redirect or "/x"
    assert f"{scheme}://{action.host_redirect or 'test.example.com'}{port}{path}" == location
    assert action.port_redirect or action.host_redirect, "else the port of the Host header would be repeated"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_status_codes(served: Any, get: Any, status: int) -> None:
    served.rule("it", "/", filters=(Redirect(status, hostname="new.test"),))
    assert (await get("/")).status == status


# --- backends --------------------------------------------------------------------------------------------------------


async def test_weights_share_the_traffic_and_a_missing_backend_answers_its_share_with_500(
    served: Any, get: Any
) -> None:
    served.rule("it", "/", ("one", 1), ("two", 0), (None, 1))
    answers = [await get("/") for _ in range(100)]
    assert {answer.status for answer in answers} == {200, 500}
    assert {answer.echo["name"] for answer in answers if answer.status == 200} == {"one"}
    assert 20 <= sum(answer.status == 500 for answer in answers) <= 80


@pytest.mark.parametrize("backends", [(), (("one", 0),), ((None, 1),), ((None, 1), (None, 2))])
async def test_a_rule_without_a_backend_answers_500(served: Any, get: Any, backends: Any) -> None:
    served.rule("it", "/", *backends)
    assert (await get("/")).status == 500


async def test_a_backend_without_endpoints_answers_503(served: Any, get: Any) -> None:
    served.backend("empty")
    served.rule("it", "/", "empty")
    assert (await get("/")).status == 503


@pytest.mark.parametrize("weights", [(1, 0), (1, 1)])
async def test_a_backends_own_filters_apply_to_it_alone_and_after_the_rules(
    served: Any, get: Any, weights: tuple[int, int]
) -> None:
    own = (HeaderModifier("request", set=(("x-who", "own"),)), HeaderModifier("response", set=(("x-own", "1"),)))
    one = WeightedBackend(BackendKey("apps", "one", 80), weights[0], own)
    two = WeightedBackend(BackendKey("apps", "two", 80), weights[1])
    served.rule("it", "/", one, two, filters=(HeaderModifier("request", set=(("x-who", "rule"),)),))
    for _ in range(12):
        answer = await get("/")
        first = answer.echo["name"] == "one"
        assert answer.echo["x-who"] == ("own" if first else "rule")
        assert ("x-own" in answer.headers) == first


async def test_timeouts(served: Any, echo: Any, get: Any) -> None:
    served.backend("slow", await echo("slow", delay=0.4))
    served.backend("never", await echo("never", delay=3600))
    served.rule("request", "/request", "never", request_timeout=0.1)
    served.rule("backend", "/backend", "never", request_timeout=3600.0, backend_request_timeout=0.1)
    served.rule("none", "/none", "slow", request_timeout=0.0)
    assert (await get("/request")).status == 504
    assert (await get("/backend")).status == 504
    assert (await get("/none")).status == 200
