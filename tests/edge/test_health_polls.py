"""How often AWS is asked for the health of targets."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from gatewright.aws import Aws
from gatewright.edge.binding.groups import Pace, TargetGroups

GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/g/1"
PACE = Pace(interval=3600, fast=0.01, resync=3600)


class ScriptedAws:
    """Answers DescribeTargetHealth with `states`, one target each."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.asked = asyncio.Event()

    async def call(self, service: str, operation: str, **_: Any) -> dict[str, Any]:
        assert (service, operation) == ("elbv2", "describe_target_health")
        self.asked.set()
        return {
            "TargetHealthDescriptions": [
                {"Target": {"Id": f"10.0.0.{number}", "Port": 443}, "TargetHealth": {"State": state}}
                for number, state in enumerate(self.states)
            ]
        }


async def test_a_target_that_is_registered_is_asked_for_soon_although_there_was_none() -> None:
    aws, healthy = ScriptedAws(), asyncio.Event()

    def changed() -> None:
        found = groups.health.get(GROUP) or {}
        if found and all(each.state == "healthy" for each in found.values()):
            healthy.set()

    async with TargetGroups(cast("Aws", aws), PACE, changed) as groups:
        await groups.watch([GROUP])
        await aws.asked.wait()
        aws.states = ["initial"]
        await groups.refresh(GROUP)  # as the binding does after it registered it
        aws.states = ["healthy"]
        async with asyncio.timeout(60):
            await healthy.wait()
