"""Retries and timeouts, alone and together (GEP-1731, GEP-1742)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import time
from typing import Any

import pytest
from tests.envoy.edge_world import loopback
from tests.envoy.scripted import Answer

from gatewright.topology import Endpoint, HeaderModifier, Retry


@pytest.fixture(params=["*", "test.example.com"])
async def served(request: Any, world: Any) -> Any:
    """One HTTP listener; rules for a wildcard host and for an exact one."""
    world.listener()
    where = world.host(request.param)

    def rule(*args: Any, **more: Any) -> Any:
        return world.rule(*args, host=where, **more)

    return rule


@pytest.fixture
def failing(world: Any, script: Any) -> Any:
    """The backend `it`, whose first answers are as given, and then 200."""

    async def make(*answers: Answer) -> Any:
        made: Any = await script()
        made.answer = lambda _: answers[len(made.asked) - 1] if len(made.asked) <= len(answers) else Answer()
        world.backend("it", made.endpoint)
        return made

    return make


@pytest.mark.parametrize(
    ("retry", "failures", "status", "tries"),
    [
        (Retry((500,), 3), [500, 500], 200, 3),
        (Retry((500,), 3), [500] * 4, 500, 4),
        (Retry((500,), 3), [503] * 3, 503, 1),
        (Retry((500, 503), 1), [500, 503], 503, 2),
        (Retry((500,)), [500, 500], 200, 3),
        (Retry(()), [500], 500, 1),
        (None, [503], 503, 1),
    ],
)
async def test_codes_and_attempts(
    served: Any, failing: Any, get: Any, retry: Retry | None, failures: list[int], status: int, tries: int
) -> None:
    it = await failing(*map(Answer, failures))
    served("it", "/", "it", retry=retry)
    assert (await get("/")).status == status
    assert len(it.asked) == tries
    assert not [name for name in it.asked[0].headers if "retry" in name or "retries" in name]


async def test_a_client_cannot_ask_for_retries(served: Any, failing: Any, get: Any) -> None:
    it = await failing(Answer(500), Answer(500))
    served("it", "/", "it")
    asked = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "9", "x-envoy-retriable-status-codes": "500"}
    assert (await get("/", headers=asked)).status == 500
    assert len(it.asked) == 1


async def test_a_backend_that_cannot_be_reached_is_tried_again(served: Any, world: Any, failing: Any, get: Any) -> None:
    it = await failing()
    world.backend("it", it.endpoint, Endpoint(loopback(), 9))
    served("it", "/", "it", retry=Retry((), 40))
    served("plain", "/plain", "it")
    assert {(await get("/")).status for _ in range(10)} == {200}


async def test_a_try_that_takes_too_long_is_repeated_within_the_whole_time(served: Any, failing: Any, get: Any) -> None:
    it = await failing(Answer(delay=3600), Answer(delay=3600))
    served("it", "/", "it", retry=Retry((), 100), backend_request_timeout=0.3, request_timeout=60.0)
    assert (await get("/")).status == 200
    assert len(it.asked) >= 3


async def test_the_whole_time_ends_the_retries(served: Any, failing: Any, get: Any) -> None:
    await failing(*[Answer(delay=3600)] * 1001)
    served("it", "/", "it", retry=Retry((), 1000, 0.01), backend_request_timeout=0.1, request_timeout=0.5)
    began = time.monotonic()
    assert (await get("/")).status == 504
    assert 0.4 < time.monotonic() - began < 90  # all tries together would take 100 seconds and more


async def test_other_headers_of_the_rule_stay(served: Any, failing: Any, get: Any) -> None:
    it = await failing(Answer(500))
    served("it", "/", "it", retry=Retry((500,), 1), filters=(HeaderModifier("request", set=(("x-a", "1"),)),))
    assert (await get("/")).status == 200
    assert it.asked[1].headers["x-a"] == "1"
