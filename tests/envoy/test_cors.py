"""Cross-origin requests, as a browser behind a real Envoy sees them (Gateway API, HTTPCORSFilter)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest

from gatewright.topology import Cors, HeaderModifier, Redirect

ALLOW = "access-control-allow-"


def cors(*origins: str, **more: Any) -> Cors:
    defaults: dict[str, Any] = {
        "allow_methods": (),
        "allow_headers": (),
        "expose_headers": (),
        "allow_credentials": False,
        "max_age": 5,
    }
    return Cors(origins, **{**defaults, **more})


@pytest.fixture(params=["*", "test.example.com"])
async def served(request: Any, world: Any, echo: Any) -> Any:
    """One HTTP listener and the backend `one`, for a wildcard host and for an exact one."""
    world.listener()
    world.backend("one", await echo("one"))
    where = world.host(request.param)

    def rule(*args: Any, **more: Any) -> Any:
        return world.rule(*args, host=where, **more)

    return rule


def preflight(origin: str, method: str = "GET", *headers: str) -> dict[str, Any]:
    asked = {"origin": origin, "access-control-request-method": method}
    if headers:
        asked["access-control-request-headers"] = ", ".join(headers)
    return {"method": "OPTIONS", "headers": asked}


async def test_a_preflight_from_an_allowed_origin_is_answered(served: Any, get: Any) -> None:
    policy = cors(
        "https://www.foo.com",
        "https://*.bar.com",
        allow_methods=("GET", "OPTIONS"),
        allow_headers=("x-1", "x-2"),
        expose_headers=("x-3", "x-4"),
        allow_credentials=True,
        max_age=3600,
    )
    served("it", "/", "one", filters=(policy,))
    for origin in ("https://www.foo.com", "https://www.bar.com", "https://a.b.bar.com"):
        answer = await get("/", **preflight(origin, "GET", "x-1", "x-2"))
        assert (answer.status, answer.body) == (200, "")
        assert answer.headers[f"{ALLOW}origin"] == origin
        assert answer.headers[f"{ALLOW}methods"] == "GET,OPTIONS"
        assert answer.headers[f"{ALLOW}headers"] == "x-1,x-2"
        assert answer.headers["access-control-expose-headers"] == "x-3,x-4"
        assert answer.headers["access-control-max-age"] == "3600"
        assert answer.headers[f"{ALLOW}credentials"] == "true"
    for origin in ("https://bar.com", "http://www.foo.com", "https://www.foo.com.evil", "https://www.foo.com:8443"):
        answer = await get("/", **preflight(origin))
        assert (answer.status, answer.body) == (200, "")
        assert f"{ALLOW}origin" not in answer.headers


async def test_a_request_is_forwarded_and_its_answer_marked(served: Any, get: Any) -> None:
    served("it", "/", "one", filters=(cors("https://www.foo.com:8443", expose_headers=("x-3",)),))
    allowed = await get("/", headers={"origin": "https://www.foo.com:8443"})
    assert allowed.echo["name"] == "one"
    assert allowed.headers[f"{ALLOW}origin"] == "https://www.foo.com:8443"
    assert f"{ALLOW}credentials" not in allowed.headers
    other = await get("/", headers={"origin": "https://foobar.com"})
    assert other.status == 200
    assert f"{ALLOW}origin" not in other.headers


@pytest.mark.parametrize("credentials", [False, True])
async def test_wildcards(served: Any, get: Any, credentials: bool) -> None:
    every = ("*",)
    policy = cors("*", allow_methods=every, allow_headers=every, expose_headers=every, allow_credentials=credentials)
    served("it", "/", "one", filters=(policy,))
    origin = "https://foobar.com:12345"
    answer = await get("/", **preflight(origin, "PUT", "x-1", "x-2"))
    assert answer.headers[f"{ALLOW}origin"] in ([origin] if credentials else ["*", origin])
    assert answer.headers[f"{ALLOW}methods"] == "PUT"
    assert answer.headers[f"{ALLOW}headers"] == "x-1, x-2"
    assert (f"{ALLOW}credentials" in answer.headers) == credentials
    bare = await get("/", **preflight(origin, "PUT"))
    assert bare.headers.get(f"{ALLOW}headers") == (None if credentials else "")
    real = await get("/", headers={"origin": origin})
    assert real.headers.get("access-control-expose-headers") == (None if credentials else "*")
    assert f"{ALLOW}methods" not in real.headers


@pytest.mark.parametrize(
    ("allowed", "origin", "is_allowed"),
    [
        ("https://*", "https://any.example", True),
        ("https://*", "http://any.example", False),
        ("http://a.test:80", "http://a.test", True),
        ("https://a.test", "https://a.test:443", True),
        ("https://a.test", "https://aXtest", False),
        ("https://A.test", "https://a.test", True),
        ("https://*.a.test:8443", "https://b.a.test:8443", True),
        ("https://*.a.test:8443", "https://b.a.test", False),
    ],
)
async def test_origins(served: Any, get: Any, allowed: str, origin: str, is_allowed: bool) -> None:
    served("it", "/", "one", filters=(cors(allowed),))
    answer = await get("/", headers={"origin": origin})
    assert (f"{ALLOW}origin" in answer.headers) == is_allowed


async def test_without_origins_nothing_is_allowed(served: Any, get: Any) -> None:
    served("it", "/", "one", filters=(cors(),))
    answer = await get("/", headers={"origin": "https://a.test"})
    assert (answer.status, f"{ALLOW}origin" in answer.headers) == (200, False)


async def test_a_preflight_reaches_the_rule_of_the_method_that_it_asks_for(served: Any, get: Any) -> None:
    served("put", "/x", "one", index=0, method="PUT", filters=(cors("https://a.test", allow_methods=("PUT",)),))
    served("get", "/x", "one", index=1, method="GET", filters=(cors("https://b.test", allow_methods=("GET",)),))
    served("rest", "/", "one", precedence=900)
    put, got = await get("/x", **preflight("https://a.test", "PUT")), await get("/x", **preflight("https://b.test"))
    assert put.headers[f"{ALLOW}methods"] == "PUT"
    assert got.headers[f"{ALLOW}methods"] == "GET"
    assert f"{ALLOW}origin" not in (await get("/x", **preflight("https://b.test", "PUT"))).headers
    assert (await get("/x", method="OPTIONS")).echo["line"].startswith("OPTIONS")


async def test_other_filters_of_the_rule_and_errors_are_marked_as_well(served: Any, get: Any) -> None:
    policy = cors("https://a.test", allow_methods=("GET",))
    served("set", "/set", "one", filters=(policy, HeaderModifier("response", set=(("x-own", "1"),))))
    served("gone", "/gone", filters=(policy,))
    served("moved", "/moved", filters=(policy, Redirect(302, hostname="b.test")))
    for path, status in {"/set": 200, "/gone": 500, "/moved": 302}.items():
        answer = await get(path, headers={"origin": "https://a.test"})
        assert (answer.status, answer.headers.get(f"{ALLOW}origin")) == (status, "https://a.test"), path
        assert (await get(path, **preflight("https://a.test"))).status == 200, path
