"""From a Gateway to its load balancer and back to nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.edge_gateways.gateway_world import API, CONFIG, GATEWAY, World, app, endpoints, gateway, obj, route, until

from gatewright.edge.gateways.gateways import FINALIZERS
from gatewright.model.awsgateway import LoadBalancerConfiguration
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute
from gatewright.model.meta import Key


async def test_a_gateway_gets_a_load_balancer_and_says_so(world: World) -> None:
    await world.apply(gateway(), route("web", "/a", "/b"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        balancer = await world.load_balancer()
        found = await world.client.get(Gateway, GATEWAY)
        assert [(each.type, each.value) for each in found.status.addresses] == [("Hostname", balancer.dns_name)]
        programmed = (await world.conditions())["Programmed"]
        assert programmed.status == "True"
        assert balancer.arn in programmed.message
        assert balancer.name in programmed.message
        assert FINALIZERS["alb"] in found.metadata.finalizers
        assert [each.attached_routes for each in found.status.listeners] == [1]
        assert {each.status for each in (await world.route_conditions()).values()} == {"True"}
        assert await world.paths() == [("/a", "/a/*"), ("/b", "/b/*")]
        assert list(await world.targets()) == ["10.9.9.9:8080"]


async def test_deleting_it_leaves_nothing_but_what_is_somebody_elses(world: World) -> None:
    before = await world.left()
    other = await world.cloud.call(
        "elbv2", "create_target_group", Name="foreign", Protocol="HTTP", Port=80, VpcId=world.cloud.seeded.vpc
    )
    await world.apply(gateway(), route("web", "/a"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        assert len(await world.left()) > len(before) + 1
        await world.delete(Gateway, GATEWAY)
        await until(lambda: world.gone(Gateway, GATEWAY))
        await world.settled(controller)
        assert await world.left() == sorted([*before, "foreign"])
    assert other


def protected(*, enabled: bool) -> dict[str, Any]:
    attribute = {"key": "deletion_protection.enabled", "value": str(enabled).lower()}
    return obj(CONFIG, "LoadBalancerConfiguration", "settings", spec={"loadBalancerAttributes": [attribute]})


SETTINGS = {"parametersRef": {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "settings"}}


@pytest.mark.parametrize("how", ["changed", "deleted", "deleted first"])
async def test_deletion_protection_holds_as_long_as_a_configuration_asks_for_it(world: World, how: str) -> None:
    """Who deletes a Gateway with its configuration, as Argo CD does of an Application, isn't made to wait for ever."""
    before = await world.left()
    await world.apply(protected(enabled=True), gateway(infrastructure=SETTINGS), route("web", "/a"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        if how == "deleted first":
            await world.delete(LoadBalancerConfiguration, Key("infra", "settings"))
            await world.settled(controller)
        await world.delete(Gateway, GATEWAY)
        await world.settled(controller)
        if how != "deleted first":
            assert not await world.gone(Gateway, GATEWAY)
            assert await world.load_balancer()
        if how == "changed":
            await world.apply(protected(enabled=False))
        elif how == "deleted":
            await world.delete(LoadBalancerConfiguration, Key("infra", "settings"))
        await until(lambda: world.gone(Gateway, GATEWAY))
        await world.settled(controller)
        assert await world.left() == before


async def test_a_new_controller_changes_nothing(world: World) -> None:
    await world.apply(gateway(), route("web", "/a"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
    before = Counter(world.aws.calls)
    async with world.controller() as controller:
        await world.settled(controller)
        assert world.writes(before) == {}
        reads = Counter(world.aws.calls)
        await world.apply(
            obj(API, "HTTPRoute", "web", metadata={"labels": {"a": "b"}}, spec=route("web", "/a")["spec"])
        )
        await world.settled(controller)
        assert (world.writes(reads), world.reads(reads)) == ({}, 0)


async def test_what_a_gone_gateway_left_behind_is_removed_at_the_start(world: World) -> None:
    """As after a finalizer was taken away by hand; what another cluster made stays."""
    before = await world.left()
    await world.apply(gateway(), route("web", "/a"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
    tags = {"elbv2.k8s.aws/cluster": "another", "gateway.k8s.aws.alb/stack": "infra/shared"}
    await world.cloud.call(
        "elbv2",
        "create_target_group",
        Name="theirs",
        Protocol="HTTP",
        Port=80,
        VpcId=world.cloud.seeded.vpc,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    await world.delete(Gateway, GATEWAY)
    await world.client.patch(Gateway, GATEWAY, {"metadata": {"finalizers": None}})
    assert await world.gone(Gateway, GATEWAY)
    async with world.controller() as controller:
        await world.settled(controller)
        assert await world.left() == sorted([*before, "theirs"])


async def test_a_pod_that_gets_ready_costs_one_call(world: World) -> None:
    await world.apply(gateway(), route("web", "/a"), *app("10.9.9.1"))
    async with world.controller() as controller:
        await world.settled(controller)
        before = Counter(world.aws.calls)
        await world.apply(endpoints("10.9.9.1", "10.9.9.2"))
        await world.settled(controller)
        assert world.writes(before) == {"register_targets": 1}
        assert sorted(await world.targets()) == ["10.9.9.1:8080", "10.9.9.2:8080"]
        before = Counter(world.aws.calls)
        await world.apply(endpoints("10.9.9.2"))
        await world.settled(controller)
        assert world.writes(before) == {"deregister_targets": 1}


async def test_a_gateway_whose_class_is_gone_keeps_what_it_has(world: World) -> None:
    await world.apply(gateway(), route("web", "/a"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        there = await world.left()
        await world.delete(GatewayClass, Key("", "alb"))
        await world.settled(controller)
        assert await world.left() == there


async def test_a_gateway_of_another_class_gives_up_what_it_had(world: World) -> None:
    before = await world.left()
    await world.apply(gateway(), route("web", "/a"), *app())
    await world.apply(obj(API, "GatewayClass", "other", "", spec={"controllerName": "example.com/other"}))
    async with world.controller() as controller:
        await world.settled(controller)
        await world.apply(gateway(class_name="other"))
        await world.settled(controller)
        assert await world.left() == before
        found = await world.client.get(Gateway, GATEWAY)
        assert found.metadata.finalizers == ()


async def test_a_gateway_that_cannot_be_made_as_asked_keeps_what_it_has(world: World) -> None:
    await world.apply(gateway(), route("web", "/a"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        there = await world.left()
        missing = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "missing"}
        await world.apply(gateway(infrastructure={"parametersRef": missing}))
        await world.settled(controller)
        assert await world.left() == there
        accepted = (await world.conditions())["Accepted"]
        assert (accepted.status, accepted.reason) == ("False", "InvalidParameters")
        assert "LoadBalancerConfiguration infra/missing does not exist" in accepted.message
        await world.apply(gateway())
        await world.settled(controller)
        assert (await world.conditions())["Programmed"].status == "True"


async def test_a_route_that_goes_takes_its_rules_along(world: World) -> None:
    await world.apply(gateway(), route("web", "/a"), route("more", "/b"), *app(), *app(name="more"))
    async with world.controller() as controller:
        await world.settled(controller)
        await world.delete(HTTPRoute, Key("infra", "more"))
        await world.settled(controller)
        assert await world.paths() == [("/a", "/a/*")]
        assert list(await world.targets()) == ["10.9.9.9:8080"]
