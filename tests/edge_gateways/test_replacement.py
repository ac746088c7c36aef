"""A load balancer that can't become what is asked for: another one is made, and the old one serves until it does."""

from __future__ import annotations

from tests.edge_gateways.gateway_world import CONFIG, GATEWAY, World, app, gateway, obj, route, until

from gatewright.aws import views
from gatewright.model.gateway import Gateway

_CONFIGURED = {"parametersRef": {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "settings"}}


def _settings(scheme: str) -> dict[str, object]:
    return obj(CONFIG, "LoadBalancerConfiguration", "settings", spec={"scheme": scheme})


async def test_the_new_one_is_published_before_the_old_one_goes(world: World) -> None:
    await world.apply(_settings("internal"), gateway(infrastructure=_CONFIGURED), route("web", "/a"), *app())
    async with world.controller(linger=3600.0) as controller:
        await world.settled(controller)
        old = await world.load_balancer()
        assert old.scheme == "internal"
        await world.apply(_settings("internet-facing"))
        await world.settled(controller)
        both = {each.scheme: each for each in await views.load_balancers(world.aws)}
        assert both.keys() == {"internal", "internet-facing"}
        new = both["internet-facing"]

        async def published() -> bool:
            found = await world.client.get(Gateway, GATEWAY)
            return [each.value for each in found.status.addresses] == [new.dns_name]

        await until(published)
    async with world.controller(linger=0.0) as controller:

        async def alone() -> bool:
            return [each.arn for each in await views.load_balancers(world.aws)] == [new.arn]

        await until(alone)
        await world.settled(controller)
        assert await world.paths() == [("/a", "/a/*")]
        assert len(await views.target_groups(world.aws)) == 1
