"""AWS on a bad day, a controller that is stopped anywhere: it arrives all the same, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.edge.service_world import World, endpoint_slice, service, service_world, spent, until

from gatewright.aws import Aws, views
from gatewright.edge.nlb.services import ServiceLoadBalancers
from gatewright.local.aws.faults import Fault
from gatewright.local.block import Block
from gatewright.model.core import Event, Service
from gatewright.model.meta import Key


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    async with service_world(block) as world:
        yield world


class Mortal(Aws):
    """AWS for a controller whose process ends as soon as AWS has changed anything for it, before it hears of that."""

    def __init__(self, aws: Aws) -> None:
        self.calls = aws.calls
        self.dead = asyncio.Event()
        self._aws = aws

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if self.dead.is_set():
            await asyncio.Event().wait()
        answer = await self._aws.call(service, operation, **parameters)
        if not operation.startswith("describe"):
            self.dead.set()
            await asyncio.Event().wait()
        return answer

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self._aws.pages(service, operation, items, **parameters)


async def gone(world: World) -> bool:
    return await world.service() is None


TWO_PORTS = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443}]


async def test_it_may_be_stopped_between_any_two_calls(world: World) -> None:
    """Made, changed in all ways, and deleted: by controllers of which none lives to see what it has done."""
    steps = [
        service(ports=TWO_PORTS),
        service(ports=TWO_PORTS[:1], scheme="internet-facing", additional_resource_tags="a=b"),
        None,
    ]
    await world.apply(endpoint_slice("web", {"10.1.0.1": True}))
    for step in steps:
        if step:
            await world.apply(step)
        else:
            await world.client.delete(Service, Key("default", "web"))
        lives = 0
        while not await _lived_to_the_end(world):
            lives += 1
            assert lives < 40
        assert lives > 1
        if step:
            assert len(await world.left()) == 1 + len(step["spec"]["ports"])
            made = await world.load_balancer()
            assert {each.port for each in await views.listeners(world.aws, made.arn)} == {
                port["port"] for port in step["spec"]["ports"]
            }
            assert await world.targets() == {("10.1.0.1", 8080)}
    assert await world.left() == []
    assert await world.service() is None


async def _lived_to_the_end(world: World) -> bool:
    aws = Mortal(world.aws)
    async with world.controller(aws=aws) as controller, asyncio.timeout(60):
        finished = asyncio.create_task(_finished(controller))
        dead = asyncio.create_task(aws.dead.wait())
        await asyncio.wait({finished, dead}, return_when=asyncio.FIRST_COMPLETED)
        finished.cancel()
        dead.cancel()
    return not aws.dead.is_set()


async def _finished(controller: ServiceLoadBalancers) -> None:
    """Nothing is left to do, not even after what has been done is known everywhere."""
    while True:
        await controller.idle()
        await controller.caught_up()
        if controller.settled:
            return
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("kind", "after"),
    [("throttle", False), ("internal-error", True), ("reset", False), ("reset", True)],
    ids=["throttled", "done but answered 500", "cut off before", "cut off after"],
)
async def test_calls_that_fail_are_made_again_and_nothing_is_made_twice(world: World, kind: Any, after: bool) -> None:
    """Every second call fails, some of them only in the answer."""
    fault = world.cloud.server.faults.inject(Fault(kind, service="elbv2", probability=0.5, after=after))
    await world.apply(service(ports=TWO_PORTS), endpoint_slice("web", {"10.1.0.1": True}))
    async with world.controller() as controller:
        await asyncio.sleep(0.5)
        world.cloud.server.faults.clear(fault)
        made = await world.load_balancer()
        await controller.idle()
        assert len(await world.left()) == 3
        assert {each.port for each in await views.listeners(world.aws, made.arn)} == {80, 443}
        assert await world.targets() == {("10.1.0.1", 8080)}
        fault = world.cloud.server.faults.inject(Fault(kind, service="elbv2", probability=0.5, after=after))
        await world.client.delete(Service, Key("default", "web"))
        await asyncio.sleep(0.3)
        world.cloud.server.faults.clear(fault)
        await until(lambda: gone(world))
        assert await world.left() == []


async def test_in_steady_state_aws_is_not_called(world: World) -> None:
    for each in ("a", "b", "c"):
        await world.apply(service(each), endpoint_slice(each, {"10.1.0.1": True}))
    async with world.controller() as controller:
        for each in ("a", "b", "c"):
            await world.hostname(each)
        await controller.caught_up()
        await controller.idle()
        before = world.aws.calls.copy()
        # What has nothing to do with load balancers, and what is written by ourselves.
        await world.apply({**service("d"), "spec": {"type": "ClusterIP", "ports": [{"port": 80}]}})
        await world.client.patch(Service, Key("default", "a"), {"metadata": {"labels": {"seen": "yes"}}})
        await controller.caught_up()
        await controller.idle()
        assert spent(before, world.aws.calls) == {}


async def test_two_clusters_in_one_account_leave_each_other_alone(world: World) -> None:
    await world.apply(service())
    async with world.controller():
        ours = await world.load_balancer()
    other = await world.aws.call(
        "elbv2",
        "create_load_balancer",
        Name="theirs",
        Type="network",
        Scheme="internal",
        Subnets=[zone.subnet for zone in ours.zones],
        Tags=[
            {"Key": "elbv2.k8s.aws/cluster", "Value": "other"},
            {"Key": "service.k8s.aws/stack", "Value": "default/web"},
            {"Key": "service.k8s.aws/resource", "Value": "LoadBalancer"},
        ],
    )
    theirs = other["LoadBalancers"][0]["LoadBalancerArn"]
    async with world.controller() as controller:
        await world.client.delete(Service, Key("default", "web"))
        await until(lambda: gone(world))
        await controller.idle()
    assert [each.arn for each in await views.load_balancers(world.aws)] == [theirs]


async def test_a_name_that_somebody_else_has_is_not_taken_over(world: World) -> None:
    await world.apply(service("probe"))
    async with world.controller() as controller:
        zones = (await world.load_balancer("probe")).zones
        subnets = [zone.subnet for zone in zones]
        given = {"Type": "network", "Scheme": "internal", "Subnets": subnets}
        await world.aws.call("elbv2", "create_load_balancer", Name="front", **given)
        await world.apply(service(name="web", name_="") if False else _named("front"))
        await until(lambda: _told(world, "FailedDeployModel"))
        controller.look_again()
        await controller.idle()
        [told] = await world.warnings()
        assert "front exists: it is not this Service's" in told
        assert await world.service("web") is not None
        await controller.caught_up()
        assert [each for each in (await world.left()) if each == "front"] == ["front"]


def _named(name: str) -> dict[str, Any]:
    made = service()
    made["metadata"]["annotations"]["service.beta.kubernetes.io/aws-load-balancer-name"] = name
    return made


async def _told(world: World, reason: str) -> bool:
    return any(each.startswith(reason) for each in await world.warnings())


async def test_what_is_wrong_is_told_on_the_service(world: World) -> None:
    await world.apply(service(scheme="public", shceme="internal"))
    async with world.controller() as controller:
        await until(lambda: _told(world, "FailedBuildModel"))
        await until(lambda: _told(world, "IgnoredSetting"))
        assert await world.left() == []
        await world.apply(service())
        await world.hostname()
        await controller.idle()
        assert len(await world.left()) == 2


async def test_a_service_that_is_no_longer_ours_gives_up_what_it_had(world: World) -> None:
    await world.apply(service())
    async with world.controller() as controller:
        await world.hostname()
        await world.client.patch(
            Service, Key("default", "web"), {"spec": {"type": "ClusterIP", "ports": [{"port": 80}]}}
        )

        async def released() -> bool:
            seen = await world.service()
            return seen is not None and not seen.metadata.finalizers

        await until(released)
        await controller.idle()
        assert await world.left() == []


async def test_deletion_protection_that_is_asked_for_holds(world: World) -> None:
    await world.apply(service(attributes="deletion_protection.enabled=true"))
    async with world.controller():
        await world.hostname()
        await world.client.delete(Service, Key("default", "web"))
        await until(lambda: _told(world, "FailedBuildModel"))
        assert len(await world.left()) == 2
        await world.client.patch(
            Service,
            Key("default", "web"),
            {"metadata": {"annotations": {"service.beta.kubernetes.io/aws-load-balancer-attributes": None}}},
        )
        await until(lambda: gone(world))
        assert await world.left() == []


async def test_a_subnet_that_gets_its_tag_is_seen_soon_and_costs_nothing_afterwards(world: World) -> None:
    """The next look at everything is ten minutes away."""
    role = "kubernetes.io/role/internal-elb"
    found = await world.cloud.call("ec2", "describe_subnets", Filters=[{"Name": "tag-key", "Values": [role]}])
    tagged = [each["SubnetId"] for each in found["Subnets"]]
    await world.cloud.call("ec2", "delete_tags", Resources=tagged, Tags=[{"Key": role}])
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    async with world.controller(resync=600.0) as controller:

        async def told() -> bool:
            return any(each.reason == "FailedBuildModel" for each in await world.client.list(Event))

        await until(told)
        await world.cloud.call("ec2", "create_tags", Resources=tagged, Tags=[{"Key": role, "Value": "1"}])
        assert await world.hostname()
        await until(lambda: _idle(controller))
        before = world.aws.calls.copy()
        await world.apply(service(additional_resource_tags="team=web"))
        await controller.caught_up()
        await controller.idle()
        assert "describe_subnets" not in spent(before, world.aws.calls)


async def _idle(controller: ServiceLoadBalancers) -> bool:
    return controller.settled
