"""The controllers of what stands in front, ended and begun again in the middle of what breaks a chain."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from gatewright.aws import AwsError, views
from gatewright.cluster import ClusterError
from gatewright.edge.binding.bindings import EdgeBindings
from gatewright.edge.nlb.services import ServiceLoadBalancers
from gatewright.local.ahead import CLUSTER
from gatewright.local.edge import LocalEdge
from gatewright.local.manifests import load
from gatewright.model.core import Service
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("chain restarts"),
    pytest.mark.asyncio(loop_scope="module"),  # every test leaves the world whole for the next
]

EXAMPLE = Path(__file__).parents[2] / "examples/eks"
BINDING = Key("istio-ingress", "shared-gateway")
SERVICE = Key("istio-ingress", "shared-gateway-istio")
HEALTH_ROUTE = Key("gateway-health", "health-responder")
RESTARTS = 8
PACE = 20.0


class World:
    """The reference example in this process."""

    def __init__(self, edge: LocalEdge, stack: AsyncExitStack) -> None:
        assert edge._cloud
        self.edge, self.cloud, self._stack = edge, edge._cloud, stack

    async def restart(self) -> None:
        """End both controllers, whatever they are doing, and begin new ones that know nothing."""
        cloud, edge = self.cloud, self.edge
        await cloud._services.__aexit__()
        await cloud._edge_bindings.__aexit__()
        cloud._services = await self._stack.enter_async_context(
            ServiceLoadBalancers(edge.client, cloud.aws, edge.inputs, cluster=CLUSTER, resync=3.0)
        )
        cloud._edge_bindings = await self._stack.enter_async_context(
            EdgeBindings(edge.client, cloud.aws, edge.inputs, edge.resolution, pace=cloud._edge_bindings._pace)
        )

    async def answers(self) -> bool:
        """Whether a request comes through the chain."""
        await self.edge.look()
        url = f"{self.edge.state().https_url}/app1"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False) as answer:
            return answer.status == 200

    async def whole(self) -> bool:
        """Whether everything is as it was in the beginning, and nothing besides."""
        try:
            binding = await self.edge.client.get(EdgeBinding, BINDING)
            (group,) = await views.target_groups(self.cloud.aws, names=["shared-gateway"])
            health = await views.target_health(self.cloud.aws, group.arn)
            groups = await views.target_groups(self.cloud.aws)
            balancers = await views.load_balancers(self.cloud.aws)
            fine = [condition.status for condition in binding.status.conditions] == ["True"] * 3
            both = len(health) == 2 and all(each.state == "healthy" for each in health)
            none_left = all(each.load_balancers for each in groups) and len(balancers) == 2
            return fine and both and none_left and await self.answers()
        except (AwsError, ClusterError, aiohttp.ClientError):
            return False

    async def converges(self) -> None:
        async with asyncio.timeout(60):
            while not await self.whole():  # noqa: ASYNC110 - AWS tells nobody when it changes
                await asyncio.sleep(0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with LocalEdge(lambda _: None, aws=True, pace=PACE) as edge, AsyncExitStack() as stack:
        problems, _ = await edge.update(load([EXAMPLE]))
        assert problems == []
        assert await edge.ready(60) == []
        world = World(edge, stack)
        await world.converges()
        yield world


async def replaced(world: World) -> None:
    await world.edge.client.delete(Service, SERVICE)


async def deleted_by_hand(world: World) -> None:
    (balancer,) = [each for each in await views.load_balancers(world.cloud.aws) if each.type == "network"]
    await world.cloud.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=balancer.arn)


async def health_route_comes_back(world: World) -> None:
    (manifest,) = [each for each in load([EXAMPLE]).objects if (each.kind, each.key) == ("HTTPRoute", HEALTH_ROUTE)]
    await world.edge.client.delete(HTTPRoute, HEALTH_ROUTE)
    await asyncio.sleep(0.5)
    await world.edge.client.apply(manifest.content, field_manager="test")


async def bound_to_another_port_and_back(world: World) -> None:
    patch: dict[str, Any] = {"spec": {"port": 80}}
    await world.edge.client.patch(EdgeBinding, BINDING, patch)
    await asyncio.sleep(0.5)
    await world.edge.client.patch(EdgeBinding, BINDING, {"spec": {"port": 443}})


async def all_targets_removed(world: World) -> None:
    (group,) = await views.target_groups(world.cloud.aws, names=["shared-gateway"])
    targets = [
        {"Id": each.target.id, "Port": each.target.port}
        for each in await views.target_health(world.cloud.aws, group.arn)
    ]
    await world.cloud.aws.call("elbv2", "deregister_targets", TargetGroupArn=group.arn, Targets=targets)


async def throttled(world: World) -> None:
    fault = {"kind": "throttle", "probability": 0.6, "seconds": 3}
    url = f"{world.cloud.environment['AWS_ENDPOINT_URL']}/_gatewright/faults"
    async with aiohttp.ClientSession() as session, session.post(url, json=fault) as answer:
        assert answer.status < 300
    await replaced(world)


@pytest.mark.parametrize(
    "breaks",
    [
        replaced,
        deleted_by_hand,
        health_route_comes_back,
        bound_to_another_port_and_back,
        all_targets_removed,
        throttled,
    ],
)
async def test_what_is_begun_by_one_controller_is_finished_by_the_next(
    world: World, breaks: Callable[[World], Awaitable[None]]
) -> None:
    moments = random.Random(breaks.__name__)
    breaking = asyncio.ensure_future(breaks(world))
    for _ in range(RESTARTS):
        await asyncio.sleep(moments.uniform(0.0, 0.4))
        await world.restart()
    await breaking
    await world.converges()


async def test_a_binding_that_goes_while_controllers_restart_leaves_nothing(world: World) -> None:
    await world.edge.client.delete(EdgeBinding, BINDING)
    for _ in range(RESTARTS):
        await asyncio.sleep(0.1)
        await world.restart()
    (group,) = await views.target_groups(world.cloud.aws, names=["shared-gateway"])
    async with asyncio.timeout(60):
        while await views.target_health(world.cloud.aws, group.arn) or BINDING in world.cloud.bindings:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    service = await world.edge.client.get(Service, SERVICE)
    assert "gatewright.dev/edge-binding" not in service.metadata.finalizers
    (manifest,) = [each for each in load([EXAMPLE]).objects if each.kind == "EdgeBinding"]
    await world.edge.client.apply(manifest.content, field_manager="test")
    await world.converges()
