"""Filters of one of several backendRefs (Gateway API, HTTPBackendRef)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.envoy.edge_world import backend_key

from gatewright.topology import HeaderModifier, Mirror, PathModifier, Redirect, Rewrite, WeightedBackend


@pytest.fixture(params=["*", "test.example.com"])
async def served(request: Any, world: Any, echo: Any) -> Any:
    world.listener()
    world.backend("one", await echo("one"))
    world.backend("two", await echo("two"))
    where = world.host(request.param)

    def rule(*args: Any, **more: Any) -> Any:
        return world.rule(*args, host=where, **more)

    return rule


async def test_each_share_has_its_own_filters(served: Any, world: Any, script: Any, get: Any) -> None:
    shadow = await script()
    world.backend("shadow", shadow.endpoint)
    path = PathModifier("ReplacePrefixMatch", "/new")
    shares = (
        WeightedBackend(backend_key("one"), 2, (Rewrite("inner.test", path), Mirror(backend_key("shadow")))),
        WeightedBackend(backend_key("two"), 1, (Redirect(302, hostname="other.test"),)),
        WeightedBackend(backend_key("two"), 0, (Redirect(303, hostname="never.test"),)),
        WeightedBackend(None, 1, (HeaderModifier("response", set=(("x-lost", "1"),)),)),
        WeightedBackend(backend_key("two"), 4),
    )
    served("it", "/old", *shares, filters=(HeaderModifier("request", set=(("x-rule", "1"),)),))
    seen: Counter[str] = Counter()
    for _ in range(240):
        answer = await get("/old/x")
        if answer.status == 200:
            assert answer.echo["x-rule"] == "1"
            name = answer.echo["name"]
            assert answer.echo["line"].split()[1] == ("/new/x" if name == "one" else "/old/x")
            assert answer.echo["host"] == ("inner.test" if name == "one" else "test.example.com")
            seen[name] += 1
        elif answer.status == 302:
            assert answer.location == "http://other.test/old/x"
            seen["moved"] += 1
        else:
            assert answer.status == 500
            seen["lost"] += 1
    # Further off than that by chance: once in a billion runs.
    assert 22 < seen["one"] < 106
    assert 3 < seen["moved"] < 70
    assert 3 < seen["lost"] < 70
    assert 69 < seen["two"] < 171
    await shadow.wait(seen["one"])


async def test_a_share_is_the_same_fraction_as_without_filters(served: Any, get: Any) -> None:
    own = (HeaderModifier("response", set=(("x-own", "1"),)),)
    served("it", "/", WeightedBackend(backend_key("one"), 90, own), WeightedBackend(backend_key("two"), 10))
    names = Counter([(await get("/")).echo["name"] for _ in range(400)])
    assert 310 < names["one"] < 396
