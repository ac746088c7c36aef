"""After any sequence of edits each target's health is what it would be if the edits had been made at the beginning."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.aws.health_world import CHECK, GROUP, LISTENER, Cloud, listener

from gatewright.local.aws.health import HealthChecks, checks
from gatewright.local.aws.health.plan import Check, plan
from gatewright.local.aws.health.thresholds import FAILED, PASSED, Verdict
from gatewright.local.aws.state import TargetHealth, TargetKey

PORTS = (1, 2, 3)


class Edit(NamedTuple):
    """What is done to a port's target, or to all; then the loop runs so many turns."""

    what: str
    port: int
    turns: int


edits = st.lists(
    st.builds(
        Edit,
        st.sampled_from(["register", "drain", "remove", "attach", "detach", "path", "up", "down"]),
        st.sampled_from(PORTS),
        st.integers(0, 12),
    ),
    max_size=25,
)


async def perform(edits: list[Edit]) -> None:
    cloud = Cloud(replace(CHECK, healthy_threshold=2))
    up: set[int] = set()
    changed = asyncio.Event()
    cloud.state.health.subscribe(lambda _changes: changed.set())

    async def probe(check: Check, _timeout: float) -> Verdict:
        assert check.to
        before = check.to.port in up
        for _ in range(3):  # as long as a check takes there may be edits
            await asyncio.sleep(0)
        return PASSED if before else FAILED

    async def truth(expected: Mapping[TargetKey, str]) -> None:
        async with asyncio.timeout(60):
            while {key: health.state for key, health in cloud.state.health.items()} != expected:
                changed.clear()
                await changed.wait()

    with patch.object(checks, "probe", probe), patch.object(checks, "LEAST_INTERVAL", 0.0001):
        async with HealthChecks(cloud.state, 1e9):
            for number, edit in enumerate(edits):
                key = TargetKey(GROUP, "127.0.0.1", edit.port)
                target = cloud.state.targets.get(key)
                match edit.what:
                    case "register":
                        cloud.register(edit.port, registered_at=float(number))
                    case "drain" if target:
                        cloud.state.targets.set(key, replace(target, draining_until=1.0))
                    case "remove":
                        cloud.state.targets.delete(key)
                    case "attach":
                        cloud.state.listeners.set(LISTENER, listener())
                    case "detach":
                        cloud.state.listeners.delete(LISTENER)
                    case "path":
                        cloud.change(path=f"/{number}")
                    case "up":
                        up.add(edit.port)
                    case "down":
                        up.discard(edit.port)
                assert cloud.state.health.keys() == cloud.state.targets.keys()
                for _ in range(edit.turns):
                    await asyncio.sleep(0)
            expected = {
                key: planned.state
                if isinstance(planned, TargetHealth)
                else "healthy"
                if key.port in up
                else "unhealthy"
                for key, planned in plan(cloud.state).items()
            }
            await truth(expected)
            for _ in range(50):  # and stays so
                await asyncio.sleep(0)
            await truth(expected)


@settings(deadline=None, max_examples=60)
@given(edits)
def test_the_health_of_targets_follows_from_what_is_there_now(edits: list[Edit]) -> None:
    asyncio.run(perform(edits))
