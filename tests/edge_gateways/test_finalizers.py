"""Finalizers of objects that others write at the same time."""

from __future__ import annotations

import pytest
from tests.edge_gateways.gateway_world import GATEWAY, World, gateway

from gatewright.cluster import Conflict
from gatewright.edge.finalizers import add_finalizer, remove_finalizer
from gatewright.model.gateway import Gateway

NAME = "example.com/cleanup"
OTHER = "example.com/other"


async def written_by_somebody(world: World) -> Gateway:
    """The Gateway as it was before somebody else wrote it."""
    read = await world.client.get(Gateway, GATEWAY)
    finalizers = [*read.metadata.finalizers, OTHER]
    await world.client.patch(Gateway, GATEWAY, {"metadata": {"finalizers": finalizers, "labels": {"a": "b"}}})
    return read


async def finalizers(world: World) -> set[str]:
    return set((await world.client.get(Gateway, GATEWAY)).metadata.finalizers)


async def test_an_object_that_was_changed_meanwhile_is_kept_all_the_same(world: World) -> None:
    await world.apply(gateway())
    await add_finalizer(world.client, await written_by_somebody(world), NAME)
    assert await finalizers(world) == {NAME, OTHER}


async def test_an_object_that_was_changed_meanwhile_is_let_go_all_the_same(world: World) -> None:
    await world.apply(gateway(metadata={"finalizers": [NAME]}))
    await remove_finalizer(world.client, await written_by_somebody(world), NAME)
    assert await finalizers(world) == {OTHER}


async def test_what_is_being_deleted_is_not_kept(world: World) -> None:
    await world.apply(gateway(metadata={"finalizers": [OTHER]}))
    before = await world.client.get(Gateway, GATEWAY)
    await world.client.delete(Gateway, GATEWAY)
    with pytest.raises(Conflict):
        await add_finalizer(world.client, before, NAME)
    assert await finalizers(world) == {OTHER}


async def test_another_object_of_the_same_name_is_left_alone(world: World) -> None:
    await world.apply(gateway())
    before = await world.client.get(Gateway, GATEWAY)
    await world.client.delete(Gateway, GATEWAY)
    await world.apply(gateway())
    with pytest.raises(Conflict):
        await add_finalizer(world.client, before, NAME)
    assert await finalizers(world) == set()
