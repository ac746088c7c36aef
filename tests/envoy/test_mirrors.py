"""Mirrored requests (Gateway API, HTTPRequestMirrorFilter)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from tests.envoy.edge_world import backend_key

from gatewright.topology import HeaderModifier, Mirror


@pytest.fixture
async def served(world: Any, echo: Any) -> Any:
    world.listener()
    world.backend("one", await echo("one"))
    return world


async def test_each_mirror_gets_a_copy(served: Any, script: Any, get: Any) -> None:
    shadows = [await script() for _ in range(2)]
    for number, shadow in enumerate(shadows):
        served.backend(f"shadow-{number}", shadow.endpoint)
    mirrors = tuple(Mirror(backend_key(f"shadow-{number}")) for number in range(2))
    served.rule("it", "/", "one", filters=(HeaderModifier("request", set=(("x-a", "1"),)), *mirrors))
    assert (await get("/path?q")).echo["name"] == "one"
    for shadow in shadows:
        await shadow.wait(1)
        assert (shadow.asked[0].path, shadow.asked[0].headers["host"]) == ("/path?q", "test.example.com")
        assert shadow.asked[0].headers["x-a"] == "1"


async def test_a_fraction(served: Any, script: Any, get: Any) -> None:
    some, none, lost = await script(), await script(), Mirror(None)
    served.backend("some", some.endpoint)
    served.backend("none", none.endpoint)
    mirrors = (Mirror(backend_key("some"), 1, 2), Mirror(backend_key("none"), 0, 100), lost)
    served.rule("it", "/", "one", filters=mirrors)
    for _ in range(100):
        assert (await get("/")).status == 200
    await some.wait(20)
    assert len(some.asked) < 80
    assert not none.asked


async def test_a_mirror_that_fails_is_nobodys_concern(served: Any, script: Any, get: Any) -> None:
    served.backend("dead")
    served.rule("it", "/", "one", filters=(Mirror(backend_key("dead")),))
    assert (await get("/")).status == 200
