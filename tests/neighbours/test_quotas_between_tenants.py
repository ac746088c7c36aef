"""Who is left out where tenants ask for more than a load balancer can have: whoever asks for most, and nobody else."""

from __future__ import annotations

import msgspec
from tests.edge_gateways.gateway_world import API, GATEWAY, World, app, endpoints, gateway, obj, route, service

from gatewright.aws import views
from gatewright.model.gateway import Gateway


async def test_one_tenants_300_rules_push_out_no_rule_of_another(world: World) -> None:
    await world.apply(obj("v1", "Namespace", "greedy", ""), gateway(), *app())
    for name in ("web", "web-too"):
        mine = route("web", *[f"/{name}-{i}" for i in range(15)])
        mine["metadata"]["name"] = name
        await world.apply(mine)
    await world.apply(service("many", "greedy"), endpoints("10.9.9.8", name="many", namespace="greedy"))
    async with world.controller() as controller:
        await world.settled(controller)
        before = {path for paths in await world.paths() for path in paths}
        for number in range(20):
            paths = [f"/a-long-path-that-goes-first/{number}/{i}" for i in range(15)]
            rules = [
                {
                    "matches": [{"path": {"type": "Exact", "value": path}}],
                    "backendRefs": [{"name": "many", "port": 80}],
                    "filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": f"h{number}-{at}.example.com"}}],
                }
                for at, path in enumerate(paths)
            ]
            await world.apply(route(f"r{number}", namespace="greedy", rules=rules))
        await world.settled(controller)
        found = {path for paths in await world.paths() for path in paths}
        assert before <= found
        assert len(await world.rules()) == 100
        assert (await world.route_conditions())["Accepted"].status == "True"
        assert "PartiallyInvalid" not in await world.route_conditions()
        last = await world.route_conditions("r9", "greedy")
        assert "quota rules-per-application-load-balancer" in msgspec.json.encode(last).decode()


async def test_more_ports_than_a_security_group_has_room_for_close_none_of_the_others(world: World) -> None:
    everyone = {"namespaces": {"from": "All"}}
    await world.apply(gateway(allowedListeners=everyone), route(), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        ports = [{"name": f"p{i}", "port": 22 + 2 * i, "protocol": "HTTP"} for i in range(28)]
        for name in ("one", "two", "three"):
            at = {"one": 0, "two": 100, "three": 200}[name]
            listeners = [{**each, "port": int(str(each["port"])) + at} for each in ports]
            spec = {"parentRef": {"name": "shared"}, "listeners": listeners}
            await world.apply(obj(API, "ListenerSet", name, spec=spec))
        await world.settled(controller)
        balancer = await world.load_balancer()
        listening = {each.port for each in await views.listeners(world.aws, balancer.arn)}
        groups = await world.aws.call("ec2", "describe_security_groups", GroupIds=list(balancer.security_groups))
        let_in = {
            rule["FromPort"]
            for group in groups["SecurityGroups"]
            if "Managed" in group["Description"]
            for rule in group["IpPermissions"]
        }
        assert listening == let_in
        assert 80 in listening
        assert len(listening) == 50
        told = (await world.conditions())["Programmed"].message
        assert "quota listeners-per-application-load-balancer" in told
        gateway_found = await world.client.get(Gateway, GATEWAY)
        assert {each.name for each in gateway_found.status.listeners} == {"http"}
