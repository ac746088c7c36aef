"""Gateways of class nlb: connections, by listener."""

from __future__ import annotations

from tests.edge_gateways.gateway_world import API, GATEWAY, World, app, gateway, obj, service

from gatewright.aws import views
from gatewright.model.gateway import Gateway


def _route(kind: str, listener: str, name: str = "web", port: int = 80) -> dict[str, object]:
    parent = {"name": "shared", "sectionName": listener}
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": [{"name": name, "port": port}]}]}
    return obj(API, kind, f"{name}-{listener}", spec=spec)


async def test_connections_and_datagrams(world: World) -> None:
    listeners = (
        {"name": "tcp", "port": 9000, "protocol": "TCP"},
        {"name": "udp", "port": 9001, "protocol": "UDP"},
    )
    datagrams = service("dns", ports=[{"name": "http", "port": 53, "targetPort": 8053, "protocol": "UDP"}])
    await world.apply(
        gateway(*listeners, class_name="nlb"),
        *app(),
        datagrams,
        _route("TCPRoute", "tcp"),
        _route("UDPRoute", "udp", "dns", 53),
    )
    async with world.controller() as controller:
        await world.settled(controller)
        balancer = await world.load_balancer()
        assert balancer.type == "network"
        found = {each.port: each.protocol for each in await views.listeners(world.aws, balancer.arn)}
        assert found == {9000: "TCP", 9001: "UDP"}
        status = (await world.client.get(Gateway, GATEWAY)).status
        assert [each.value for each in status.addresses] == [balancer.dns_name]
        assert [each.attached_routes for each in status.listeners] == [1, 1]
        assert (await world.conditions())["Programmed"].status == "True"
