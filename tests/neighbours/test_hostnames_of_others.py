"""DNS names between tenants: nobody takes one from who has it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.edge_records.records_world import RecordsWorld, gateway, records_world, route

from gatewright.local.block import Block
from gatewright.model.meta import Key


@pytest.fixture
async def zones(block: Block) -> AsyncIterator[RecordsWorld]:
    async with records_world(block) as world:
        yield world


async def test_an_older_gateway_doesnt_take_a_name_that_a_younger_one_has(zones: RecordsWorld) -> None:
    zone = await zones.zone()
    older, younger = await zones.balancer(), await zones.balancer("young")
    async with zones.dns() as dns:
        zones.cluster.apply(
            gateway(creationTimestamp="2026-01-01T00:00:00Z"),
            gateway(name="young", creationTimestamp="2026-02-01T00:00:00Z"),
            route("shop.example.com", parent="young"),
        )
        await dns.idle()
        zones.cluster.apply(route("shop.example.com", name="thief"))
        await dns.idle()
        assert (await zones.records(zone))["A shop.example.com"] == younger
        assert ("HostnameTaken", "Gateway infra/edge") in await zones.events()
    async with zones.dns() as dns:  # all of it is known from the markers
        await dns.idle()
        assert (await zones.records(zone))["A shop.example.com"] == younger
        zones.cluster.inputs.http_routes.delete(Key("apps", "shop"))
        await dns.idle()
        assert (await zones.records(zone))["A shop.example.com"] == older
