"""A load balancer that can't be what is asked for stays as it is; the pods behind it come and go all the same."""

from __future__ import annotations

from tests.edge_gateways.gateway_world import CONFIG, World, app, endpoints, gateway, obj, route

PARAMETERS = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "edge"}


async def test_a_gateway_with_a_bad_configuration_follows_its_pods(world: World) -> None:
    await world.apply(
        obj(CONFIG, "LoadBalancerConfiguration", "edge", spec={}),
        gateway(infrastructure={"parametersRef": PARAMETERS}),
        route(),
        *app(),
    )
    async with world.controller() as controller:
        await world.settled(controller)
        before = await world.load_balancer()
        subnets = [{"identifier": "subnet-of-nobody"}]
        await world.apply(obj(CONFIG, "LoadBalancerConfiguration", "edge", spec={"loadBalancerSubnets": subnets}))
        await world.settled(controller)
        assert "what AWS has stays as it was" in (await world.conditions())["Programmed"].message
        await world.apply(endpoints("10.9.9.10"))
        await world.settled(controller)
        found = await world.targets()
        assert found.pop("10.9.9.9:8080", "draining") == "draining"
        assert [*found] == ["10.9.9.10:8080"]
        assert await world.load_balancer() == before
        calls = world.aws.calls.copy()
        await world.settled(controller)
        assert not world.writes(calls)
    async with world.controller() as controller:  # which knows of it only what AWS has
        await world.apply(endpoints("10.9.9.11"))
        await world.settled(controller)
        assert "10.9.9.11:8080" in await world.targets()
