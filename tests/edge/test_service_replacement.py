"""A load balancer that can't be changed in place: the new one takes over before the old one goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.edge.service_world import World, endpoint_slice, service, service_world, until

from gatewright.aws import views
from gatewright.local.block import Block
from gatewright.model.core import Service
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key

EDGE_BINDING = "gatewright.dev/edge-binding"


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    async with service_world(block) as world:
        yield world


def binding() -> dict[str, object]:
    return {
        "apiVersion": "gatewright.dev/v1alpha1",
        "kind": "EdgeBinding",
        "metadata": {"name": "front", "namespace": "default"},
        "spec": {"gatewayRef": {"name": "gw"}, "port": 80, "aws": {"targetGroup": {"name": "front"}}},
    }


async def bind(world: World, *addresses: str, health: str = "healthy") -> None:
    targets = [
        {
            "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/front/1",
            "address": address,
            "port": 80,
            "registered": True,
            "health": health,
        }
        for address in addresses
    ]
    await world.client.patch(
        EdgeBinding, Key("default", "front"), {"status": {"targets": targets}}, subresource="status"
    )


async def test_a_new_scheme_is_published_once_it_is_active_and_the_old_one_goes(world: World) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    async with world.controller() as controller:
        old = await world.load_balancer()
        await world.apply(service(scheme="internet-facing"))

        async def published() -> bool:
            return await world.hostname() != old.dns_name

        await until(published)
        new = await world.load_balancer()
        assert new.scheme == "internet-facing"
        assert new.state == "active"

        async def gone() -> bool:
            return old.arn not in {each.arn for each in await views.load_balancers(world.aws)}

        await until(gone)
        await controller.idle()
        assert len(await world.left()) == 2
        assert await world.targets() == {("10.1.0.1", 8080)}


async def test_the_old_one_stays_while_an_edge_binding_has_its_addresses_registered(world: World) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}), binding())
    async with world.controller() as controller:
        old = await world.load_balancer()
        addresses = [each.address for each in await views.network_interfaces(world.aws, old)]
        assert len(addresses) == 2
        await bind(world, *addresses)
        await controller.caught_up()
        await world.apply(service(scheme="internet-facing"))

        async def published() -> bool:
            return await world.hostname() != old.dns_name

        await until(published)
        controller.look_again()
        await controller.idle()
        assert len(await views.load_balancers(world.aws)) == 2
        await bind(world)

        async def gone() -> bool:
            return old.arn not in {each.arn for each in await views.load_balancers(world.aws)}

        await until(gone)


async def test_a_service_in_deletion_keeps_its_load_balancer_while_it_is_bound(world: World) -> None:
    await world.apply(service())
    async with world.controller() as controller:
        made = await world.load_balancer()
        seen = await world.service()
        assert seen
        finalizers = [*seen.metadata.finalizers, EDGE_BINDING]
        await world.client.patch(Service, seen.key, {"metadata": {"finalizers": finalizers}})
        await world.client.delete(Service, seen.key)
        await controller.caught_up()
        await controller.idle()
        assert [each.arn for each in await views.load_balancers(world.aws)] == [made.arn]
        await world.client.patch(Service, seen.key, {"metadata": {"finalizers": finalizers[:-1]}})

        async def gone() -> bool:
            return await world.service() is None

        await until(gone)
        assert await world.left() == []


async def test_fixed_addresses_are_what_the_network_interfaces_have(world: World) -> None:
    subnets = await world.aws.pages("ec2", "describe_subnets", "Subnets")
    names = {
        tag["Value"]: each["CidrBlock"] for each in subnets for tag in each.get("Tags", ()) if tag["Key"] == "Name"
    }
    privates = sorted((name, cidr) for name, cidr in names.items() if "private" in name)
    wanted = [cidr.rpartition(".")[0] + ".77" for _, cidr in privates]
    given: dict[str, Any] = {
        "subnets": ",".join(name for name, _ in privates),
        "private-ipv4-addresses": ",".join(wanted),
    }
    await world.apply(service(**given))
    async with world.controller() as controller:
        made = await world.load_balancer()
        found = {each.address for each in await views.network_interfaces(world.aws, made)}
        assert found == {*wanted}
        controller.look_again()
        await controller.idle()
        assert (await world.load_balancer()).arn == made.arn, "what AWS shows of the addresses is what was asked for"
        # The same address can't be had twice, so here the old one goes first.
        other = [wanted[0], wanted[1].removesuffix("77") + "78"]
        await world.apply(service(**{**given, "private-ipv4-addresses": ",".join(other)}))

        async def moved() -> bool:
            interfaces = await views.network_interfaces(world.aws, await world.load_balancer())
            return {each.address for each in interfaces} == {*other}

        await until(moved)
        await controller.idle()
        assert len(await views.load_balancers(world.aws)) == 1


async def test_a_load_balancer_that_somebody_deleted_is_made_anew(world: World) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    async with world.controller(resync=0.2):
        old = await world.load_balancer()
        await world.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=old.arn)

        async def anew() -> bool:
            found = await views.load_balancers(world.aws)
            return bool(found) and found[0].arn != old.arn and found[0].dns_name == await world.hostname()

        await until(anew)
        assert await world.targets() == {("10.1.0.1", 8080)}
        await asyncio.sleep(0)
        assert len(await world.left()) == 2


async def test_it_is_made_anew_at_once_when_an_edge_binding_sees_its_targets_fail(world: World) -> None:
    await world.apply(service(), binding())
    async with world.controller() as controller:
        old = await world.load_balancer()
        addresses = [each.address for each in await views.network_interfaces(world.aws, old)]
        await bind(world, *addresses)
        await controller.caught_up()
        await world.aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=old.arn)
        await bind(world, *addresses, health="unhealthy")

        async def anew() -> bool:
            return [each.arn for each in await views.load_balancers(world.aws)] not in ([], [old.arn])

        await until(anew)
        await controller.idle()
        assert (await world.load_balancer()).arn != old.arn
