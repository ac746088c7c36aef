"""A tenant that never rests, and one whose wishes AWS refuses for ever: neither slows the others."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.edge_gateways.gateway_world import World, app, gateway, route, until

from gatewright.aws import Aws
from gatewright.aws.errors import Invalid
from gatewright.model.meta import Key


class Slow(Aws):
    """AWS that takes its time with the rules of one Gateway: `pause` is waited for before each call about them."""

    def __init__(self, aws: Aws, name: str, pause: Callable[[], Awaitable[None]]) -> None:
        self.calls = aws.calls
        self.aws = aws
        self._name = name
        self._pause = pause

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation.endswith("_rule") and self._name in str(parameters):
            await self._pause()
        return await self.aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self.aws.pages(service, operation, items, **parameters)


class Refusing(Aws):
    """AWS that takes no load balancer of some names, and says so each time."""

    def __init__(self, aws: Aws) -> None:
        self.calls = aws.calls
        self.aws = aws
        self.refused = 0

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "create_load_balancer" and "bad" in parameters["Name"]:
            self.refused += 1
            raise Invalid("InvalidConfigurationRequest", "not that one", f"{service}:{operation}")
        return await self.aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self.aws.pages(service, operation, items, **parameters)


async def test_a_route_that_is_edited_without_end_costs_few_calls_and_nobodys_time(world: World) -> None:
    await world.apply(gateway(), gateway(name="calm"), route("web", "/"), *app())
    quiet = route("quiet", "/", parentRefs=[{"name": "calm"}])
    await world.apply(quiet, *app(name="quiet"))
    edits = 0
    resting = True

    async def ten_edits() -> None:
        most = edits + 10
        await until(_edited(lambda: most if resting else edits, most))

    async def never_rest() -> None:
        nonlocal edits
        while True:
            edits += 1
            await world.apply(route("web", f"/{edits}"))
            await asyncio.sleep(0.02)

    async with world.controller(aws=Slow(world.aws, "shared", ten_edits)) as controller:
        await world.settled(controller)
        before = world.aws.calls.copy()
        resting = False
        task = asyncio.create_task(never_rest())
        await until(_edited(lambda: edits, 20))
        await world.apply(gateway({"name": "more", "port": 81, "protocol": "HTTP"}, name="calm"))
        await until(lambda: _listens(world, "calm", 81))
        await until(_edited(lambda: edits, 100))
        task.cancel()
        resting = True
        await world.settled(controller)
        writes = world.writes(before)
        assert sum(writes.values()) < edits


def _edited(count: Any, most: int) -> Any:
    async def check() -> bool:
        return bool(count() >= most)

    return check


async def _listens(world: World, name: str, port: int) -> bool:
    found = await world.conditions(Key("infra", name))
    return found["Programmed"].status == "True" and port in {
        int(each["Port"])
        for lb in (await world.aws.pages("elbv2", "describe_load_balancers", "LoadBalancers"))
        if name in lb["LoadBalancerName"]
        for each in await world.aws.pages(
            "elbv2", "describe_listeners", "Listeners", LoadBalancerArn=lb["LoadBalancerArn"]
        )
    }


async def test_gateways_that_aws_refuses_for_ever_hold_up_no_other(world: World) -> None:
    refusing = Refusing(world.aws)
    await world.apply(*app(), *(gateway(name=f"bad{number}") for number in range(20)))
    bad = [{"name": f"bad{number}", "namespace": "infra"} for number in range(20)]
    await world.apply(route("web", "/", parentRefs=bad))
    began = time.monotonic()
    async with world.controller(aws=refusing) as controller:
        await until(_edited(lambda: refusing.refused, 20))
        await world.apply(gateway(name="good"), route("good", "/", parentRefs=[{"name": "good"}]), *app(name="good"))
        async with asyncio.timeout(60):
            await until(lambda: _listens(world, "good", 80))
        await world.settled(controller)
        assert "not that one" in (await world.conditions(Key("infra", "bad7")))["Programmed"].message
        # The first pause is two seconds, and each is twice as long as the one before it.
        assert refusing.refused <= 20 * (1 + math.log2(2 + time.monotonic() - began))
