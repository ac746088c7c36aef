"""A Topology is served by a real Envoy."""

from __future__ import annotations

from typing import Any


async def test_a_request_reaches_the_backend_of_its_rule(world: Any, echo: Any, get: Any) -> None:
    world.listener()
    world.backend("one", await echo("one"))
    world.rule("one", "/", "one")
    response = await get("/hello?x=1")
    assert response.status == 200
    assert response.echo["name"] == "one"
    assert response.echo["line"] == "GET /hello?x=1 HTTP/1.1"
    assert response.echo["host"] == "test.example.com"


async def test_what_no_rule_matches_is_not_found(world: Any, echo: Any, get: Any) -> None:
    world.listener()
    world.backend("one", await echo("one"))
    world.rule("one", "/one", "one")
    assert (await get("/one")).status == 200
    assert (await get("/two")).status == 404
