"""Names of routes in Route 53: written, followed, told about, taken away; and resolved by a real resolver."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec import structs
from tests.edge_records.records_world import OPTIONS, RecordsWorld, gateway, records_world, route, until

from gatewright.aws import Aws
from gatewright.aws.errors import AccessDenied
from gatewright.flow import Source
from gatewright.local.aws.faults import Fault
from gatewright.local.block import Block
from gatewright.model.codec import decode
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key


@pytest.fixture
async def world(block: Block) -> AsyncIterator[RecordsWorld]:
    async with records_world(block) as world:
        yield world


async def test_a_name_comes_leads_to_its_load_balancer_and_goes(world: RecordsWorld) -> None:
    zone = await world.zone()
    name = await world.balancer()
    async with world.dns() as dns:
        world.cluster.apply(gateway(), route("shop.example.com", "*.shop.example.com"))
        await dns.idle()
        owner = '"heritage=external-dns,external-dns/owner=cluster-a,external-dns/resource=httproute/apps/shop"'
        assert await world.records(zone) == {
            "A shop.example.com": name,
            "TXT a-shop.example.com": owner,
            "A *.shop.example.com": name,
            "TXT a-*.shop.example.com": owner,
        }
        addresses = await world.resolve(name)
        assert len(addresses) == 2
        assert await world.resolve("shop.example.com") == addresses
        assert await world.resolve("any.shop.example.com") == addresses
        assert await world.events("Normal") == {("DnsRecordsWritten", "HTTPRoute apps/shop")}
        world.cluster.inputs.http_routes.delete(Key("apps", "shop"))
        await dns.idle()
        assert await world.records(zone) == {}
        assert await world.resolve("shop.example.com") == []


async def test_a_second_look_writes_nothing_and_reads_a_page_a_zone(world: RecordsWorld) -> None:
    await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
    before = world.aws.calls.copy()
    async with world.dns() as dns:
        await dns.idle()
    spent = world.aws.calls - before
    assert {call.operation: count for call, count in spent.items()} == {
        "list_hosted_zones": 1,
        "list_resource_record_sets": 1,
        "describe_load_balancers": 1,
    }


async def test_a_load_balancer_that_comes_later_is_found(world: RecordsWorld) -> None:
    zone = await world.zone()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
        assert await world.records(zone) == {}
        name = await world.balancer()

        async def written() -> bool:
            return (await world.records(zone)).get("A shop.example.com") == name

        await until(written)


async def test_records_follow_a_load_balancer_that_was_replaced(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
        other = await world.balancer("other", listed=False)
        world.address(other)

        async def moved() -> bool:
            return (await world.records(zone))["A shop.example.com"] == other

        await until(moved)


async def test_foreign_records_stay_and_who_asks_is_told(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    foreign = {"Name": "shop.example.com.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    await world.change(zone, "CREATE", **foreign)
    world.cluster.apply(gateway(), route("shop.example.com", "api.example.com"))
    async with world.dns() as dns:
        await dns.idle()
        found = await world.records(zone)
        assert found["A shop.example.com"] == "192.0.2.1"
        assert "A api.example.com" in found
        assert await world.events() == {("ForeignRecord", "HTTPRoute apps/shop")}
        await world.change(zone, "DELETE", **foreign)
        dns.look_again()
        await dns.idle()
        assert (await world.records(zone))["A shop.example.com"] != "192.0.2.1"


async def test_two_clusters_in_one_zone_never_touch_each_other(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
    before = await world.records(zone)
    world.cluster.inputs.http_routes.delete(Key("apps", "shop"))
    world.cluster.apply(route("api.example.com", name="api"))
    async with world.dns(structs.replace(OPTIONS, owner="cluster-b")) as dns:
        await dns.idle()
        world.cluster.inputs.http_routes.delete(Key("apps", "api"))
        await dns.idle()
    assert await world.records(zone) == before


async def test_upsert_only_leaves_what_is_no_longer_asked_for(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns(structs.replace(OPTIONS, policy="upsert-only")) as dns:
        await dns.idle()
        world.cluster.inputs.http_routes.delete(Key("apps", "shop"))
        await dns.idle()
    assert "A shop.example.com" in await world.records(zone)


async def test_an_internal_load_balancer_is_named_in_the_private_zone(world: RecordsWorld) -> None:
    public, private = await world.zone(), await world.private_zone()
    await world.balancer(scheme="internal")
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
    assert await world.records(public) == {}
    assert "A shop.example.com" in await world.records(private)


async def test_drift_is_mended(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
        wanted = await world.records(zone)
        txt = {"Name": "a-shop.example.com.", "Type": "TXT", "TTL": 300}
        await world.change(zone, "DELETE", **txt, ResourceRecords=[{"Value": wanted["TXT a-shop.example.com"]}])
        dns.look_again()
        await dns.idle()
        assert await world.events() == {("ForeignRecord", "HTTPRoute apps/shop")}, "without its marker it isn't ours"
        alias = {"Name": "shop.example.com.", "Type": "A"}
        target = {"DNSName": wanted["A shop.example.com"], "HostedZoneId": "Z35SXDOTRQ7X7K"}
        await world.change(zone, "DELETE", **alias, AliasTarget={**target, "EvaluateTargetHealth": True})
        dns.look_again()
        await dns.idle()
        assert await world.records(zone) == wanted


async def test_without_a_zone_nothing_is_said_or_done(world: RecordsWorld) -> None:
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns() as dns:
        await dns.idle()
    assert await world.events() == set()


async def test_a_name_outside_of_all_zones_is_told(world: RecordsWorld) -> None:
    await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.org"))
    async with world.dns() as dns:
        await dns.idle()
    assert await world.events() == {("NoHostedZone", "HTTPRoute apps/shop")}


async def test_a_dry_run_says_what_it_would_do(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    async with world.dns(dry_run=True) as dns:
        await dns.idle()
        assert [step.name for step in dns.planned.steps] == ["shop.example.com"]
    assert await world.records(zone) == {}


async def test_what_route_53_refuses_keeps_nothing_else_from_being_written(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route(*(f"n{number}.example.com" for number in range(6))))
    async with world.dns() as dns:
        await dns.idle()
        # Somebody writes a record in the meantime, which our batch can't create.
        foreign = {"Name": "m3.example.com.", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
        await world.change(zone, "CREATE", **foreign)
        world.cluster.apply(route(*(f"m{number}.example.com" for number in range(6)), name="more"))
        await dns.idle()

        async def told() -> bool:
            return ("ForeignRecord", "HTTPRoute apps/more") in await world.events()

        await until(told)
        found = await world.records(zone)
    assert found["A m3.example.com"] == "192.0.2.1"
    assert {f"A {letter}{number}.example.com" for letter in "nm" for number in range(6)} <= found.keys()


async def test_any_call_may_fail_once(world: RecordsWorld) -> None:
    zone = await world.zone()
    name = await world.balancer()
    world.cluster.apply(gateway())
    calls = ("ListHostedZones", "ListResourceRecordSets", "ChangeResourceRecordSets", "DescribeLoadBalancers")
    faults: list[dict[str, Any]] = [
        {"kind": "throttle"},
        {"kind": "internal-error"},
        {"kind": "reset", "after": True},
        {"kind": "reset"},
    ]
    async with world.dns() as dns:
        await dns.idle()
        for number, (operation, fault) in enumerate(itertools.product(calls, faults)):
            world.cloud.server.faults.inject(Fault(operation=operation, count=1, **fault))
            world.cluster.apply(route(f"n{number}.example.com", f"{number}.example.com", name=f"r{number % 3}"))
            dns.look_again()
            await dns.idle()
            assert not world.cloud.server.faults.in_force(), f"{operation} {fault} was never met"
            found = await world.records(zone)
            assert found[f"A n{number}.example.com"] == name
            kept = {
                f"{each}.example.com" for last in range(max(0, number - 2), number + 1) for each in (f"n{last}", last)
            }
            assert set(found) == {*(f"A {each}" for each in kept), *(f"TXT a-{each}" for each in kept)}
            assert await world.events() == set()


async def test_who_is_stopped_at_any_moment_leaves_nothing_half_done(world: RecordsWorld) -> None:
    zones = [await world.zone(), await world.zone("example.net")]
    name = await world.balancer()
    hosts = [f"n{number}.{domain}" for number in range(8) for domain in ("example.com", "example.net")]
    world.cluster.apply(gateway(), *(route(host, name=host.replace(".", "-")) for host in hosts))
    for moment in range(12):
        async with world.dns():
            await asyncio.sleep(moment * 0.02)  # whenever it is, there is no event to wait for
        for zone in zones:
            found = await world.records(zone)
            named = {key.split()[1] for key in found if key.startswith("A ")}
            assert {key.split()[1] for key in found if key.startswith("TXT")} == {f"a-{each}" for each in named}
    async with world.dns() as dns:
        await dns.idle()
        made = {key: value for zone in zones for key, value in (await world.records(zone)).items()}
        assert {key: value for key, value in made.items() if key.startswith("A ")} == {
            f"A {each}": name for each in hosts
        }


async def test_access_denied_is_told_in_plain_words(world: RecordsWorld) -> None:
    zone = await world.zone()
    await world.balancer()
    world.cluster.apply(gateway(), route("shop.example.com"))
    denied = [True]

    def permit(_: str, operation: str) -> None:
        if denied and operation == "change_resource_record_sets":
            raise AccessDenied("AccessDenied", "User is not authorized", f"route53:{operation}")

    limited = Aws(region="us-east-1", endpoint_url=world.cloud.url, credentials=("test", "test"), permit=permit)
    async with limited, world.dns(aws=limited) as dns:
        await dns.idle()
        assert await world.events() == {("DnsRecordsFailed", "HTTPRoute apps/shop")}
        denied.clear()

        async def written() -> bool:
            return bool(await world.records(zone))

        await until(written)


async def test_a_gateway_that_a_binding_puts_behind_an_alb_leads_there(world: RecordsWorld) -> None:
    zone = await world.zone()
    name = await world.balancer("front", listed=False)
    group = await world.cloud.call(
        "elbv2",
        "create_target_group",
        Name="edge",
        Protocol="HTTP",
        Port=80,
        VpcId=world.cloud.seeded.vpc,
        TargetType="ip",
    )
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    balancer = (await world.cloud.call("elbv2", "describe_load_balancers"))["LoadBalancers"][0]["LoadBalancerArn"]
    forward = [{"Type": "forward", "TargetGroupArn": arn}]
    await world.cloud.call(
        "elbv2", "create_listener", LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=forward
    )
    world.cluster.apply(gateway(class_="proxy"), route("shop.example.com"))
    bindings: Source[Key, EdgeBinding] = world.cluster.flow.source("bindings")
    bound = {"type": "Bound", "status": "True", "reason": "Bound", "message": ""}
    bindings.set(
        Key("infra", "edge"),
        decode(
            EdgeBinding,
            {
                "apiVersion": "gatewright.dev/v1alpha1",
                "kind": "EdgeBinding",
                "metadata": {"name": "edge", "namespace": "infra"},
                "spec": {"gatewayRef": {"name": "edge"}, "port": 80, "aws": {"targetGroup": {"arn": arn}}},
                "status": {"targetGroupArn": arn, "conditions": [bound]},
            },
        ),
    )
    async with world.dns(bindings=bindings, fronted=world.cluster.proxies) as dns:
        await dns.idle()
        assert (await world.records(zone))["A shop.example.com"] == name
