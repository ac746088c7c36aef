"""What clients of the API see of health: registering by boto3, checks of real servers, DescribeTargetHealth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.aws.conftest import PACE
from tests.aws.health_world import Backend, backend, ok

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.health import HealthChecks
from gatewright.local.block import Block

HTTP = {
    "Protocol": "HTTP",
    "Port": 80,
    "TargetType": "ip",
    "HealthCheckPath": "/healthz/ready",
    "HealthCheckIntervalSeconds": 15,
    "HealthCheckTimeoutSeconds": 14,
    "HealthyThresholdCount": 2,
}


class Account:
    """An emulated AWS whose targets are checked, without load balancers that carry traffic."""

    def __init__(self, aws: EmulatedAws) -> None:
        self.aws = aws

    async def call(self, operation: str, **parameters: Any) -> Any:
        return await self.aws.call("elbv2", operation, **parameters)

    async def balancer(self, kind: str = "application") -> str:
        answer = await self.call(
            "create_load_balancer", Name=kind, Type=kind, Scheme="internal", Subnets=self.aws.seeded.private
        )
        return str(answer["LoadBalancers"][0]["LoadBalancerArn"])

    async def group(self, **settings: Any) -> str:
        answer = await self.call("create_target_group", Name="targets", VpcId=self.aws.seeded.vpc, **settings)
        return str(answer["TargetGroups"][0]["TargetGroupArn"])

    async def listener(self, balancer: str, group: str, protocol: str = "HTTP") -> str:
        action = {"Type": "forward", "TargetGroupArn": group}
        answer = await self.call(
            "create_listener", LoadBalancerArn=balancer, Protocol=protocol, Port=80, DefaultActions=[action]
        )
        return str(answer["Listeners"][0]["ListenerArn"])

    async def register(self, group: str, server: Backend) -> None:
        await self.call("register_targets", TargetGroupArn=group, Targets=[target(server)])

    async def health(self, group: str) -> dict[str, str]:
        [one] = (await self.call("describe_target_health", TargetGroupArn=group))["TargetHealthDescriptions"]
        return dict(one["TargetHealth"])

    async def until(self, group: str, state: str) -> dict[str, str]:
        """The health once the API says this state."""
        changed = asyncio.Event()
        self.aws.state.health.subscribe(lambda _changes: changed.set())
        async with asyncio.timeout(60):
            while (health := await self.health(group))["State"] != state:
                await changed.wait()
                changed.clear()
        return health


def target(server: Backend) -> dict[str, Any]:
    """The server as a target; its address is in no subnet."""
    return {"Id": "127.0.0.1", "Port": server.port, "AvailabilityZone": "all"}


@pytest.fixture
async def account(block: Block) -> AsyncIterator[Account]:
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=PACE, traffic=False) as aws,
        HealthChecks(aws.state, PACE, aws.network),
    ):
        yield Account(aws)


async def test_a_target_gets_healthy(account: Account) -> None:
    group = await account.group(**HTTP)
    await account.listener(await account.balancer(), group)
    async with backend() as server:
        await account.register(group, server)
        assert await account.until(group, "healthy") == {"State": "healthy"}
        waiter = account.aws.client("elbv2").get_waiter("target_in_service")
        await asyncio.to_thread(waiter.wait, TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": server.port}])
    assert server.heard[0].startswith(b"GET /healthz/ready HTTP/1.1\r\n")


async def test_the_missing_health_route_is_told_and_another_path_heals_it(account: Account) -> None:
    group = await account.group(**HTTP)
    await account.listener(await account.balancer(), group)
    async with backend() as server:
        server.answer = ok("404 Not Found")
        await account.register(group, server)
        assert await account.until(group, "unhealthy") == {
            "State": "unhealthy",
            "Reason": "Target.ResponseCodeMismatch",
            "Description": "Health checks failed with these codes: [404]",
        }
        await account.call("modify_target_group", TargetGroupArn=group, Matcher={"HttpCode": "200-499"})
        await account.until(group, "healthy")


async def test_a_group_is_checked_as_soon_as_a_listener_uses_it(account: Account) -> None:
    group = await account.group(**HTTP)
    async with backend() as server:
        await account.register(group, server)
        assert (await account.health(group))["Reason"] == "Target.NotInUse"
        listener = await account.listener(await account.balancer(), group)
        await account.until(group, "healthy")
        await account.call("delete_listener", ListenerArn=listener)
        assert (await account.health(group))["Reason"] == "Target.NotInUse"


async def test_a_deregistered_target_drains_and_may_come_back(account: Account) -> None:
    group = await account.group(**HTTP)
    await account.listener(await account.balancer(), group)
    async with backend() as server:
        await account.register(group, server)
        await account.until(group, "healthy")
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": "3600"}]
        await account.call("modify_target_group_attributes", TargetGroupArn=group, Attributes=delay)
        await account.call("deregister_targets", TargetGroupArn=group, Targets=[target(server)])
        assert await account.health(group) == {
            "State": "draining",
            "Reason": "Target.DeregistrationInProgress",
            "Description": "Target deregistration is in progress",
        }
        await account.register(group, server)
        await account.until(group, "healthy")


async def test_an_nlb_says_only_that_checks_failed(account: Account) -> None:
    group = await account.group(
        Protocol="TCP",
        Port=80,
        TargetType="ip",
        HealthCheckProtocol="HTTP",
        HealthCheckIntervalSeconds=15,
        HealthCheckTimeoutSeconds=14,
    )
    await account.listener(await account.balancer("network"), group, "TCP")
    async with backend() as server:
        server.answer = ok("404 Not Found")
        await account.register(group, server)
        assert await account.until(group, "unhealthy") == {
            "State": "unhealthy",
            "Reason": "Target.FailedHealthChecks",
            "Description": "Health checks failed",
        }
