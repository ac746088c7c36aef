"""A controller that dies at any moment: whoever comes after brings about the same, nothing twice, nothing left."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.edge_gateways.gateway_world import GATEWAY, World, app, gateway, route, until
from tests.edge_gateways.objecting import Objecting

from gatewright.aws import views
from gatewright.model.gateway import Gateway

READS = ("describe", "list", "get")


async def _dies_at(world: World, number: int) -> bool:
    """Run a controller until its write call of that number, which isn't made; whether it came to that."""
    died = asyncio.Event()
    made = 0

    def objection(call: str, _: Mapping[str, Any]) -> Exception | None:
        nonlocal made
        if call.partition(":")[2].startswith(READS):
            return None
        made += 1
        if made >= number:
            died.set()
            raise asyncio.CancelledError
        return None

    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        waits = [asyncio.create_task(died.wait()), asyncio.create_task(world.settled(controller))]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
    return died.is_set()


@pytest.mark.parametrize("number", [1, 3, 5, 7, 9])
async def test_what_was_begun_is_finished(world: World, number: int) -> None:
    await world.apply(gateway(), route("web", "/a", "/b"), route("more", "/c"), *app(), *app(name="more"))
    assert await _dies_at(world, number)
    async with world.controller() as controller:
        await world.settled(controller)
        assert sorted(await world.paths()) == [("/a", "/a/*"), ("/b", "/b/*"), ("/c", "/c/*")]
        assert len(await views.load_balancers(world.aws)) == 1
        assert len(await views.target_groups(world.aws)) == 2
        assert (await world.conditions())["Programmed"].status == "True"


@pytest.mark.parametrize("number", [1, 2, 3, 4])
async def test_what_was_being_removed_is_removed(world: World, number: int) -> None:
    before = await world.left()
    await world.apply(gateway(), route("web", "/a"), route("more", "/c"), *app(), *app(name="more"))
    async with world.controller() as controller:
        await world.settled(controller)
    await world.delete(Gateway, GATEWAY)
    assert await _dies_at(world, number)
    assert not await world.gone(Gateway, GATEWAY)
    async with world.controller() as controller:
        await until(lambda: world.gone(Gateway, GATEWAY))
        await world.settled(controller)
        assert await world.left() == before
