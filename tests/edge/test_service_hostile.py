"""Services of tenants who mean no good: nobody else waits, and AWS isn't asked more for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.edge.service_world import ANNOTATION, World, endpoint_slice, service, service_world, spent, until

from gatewright.aws import views
from gatewright.local.block import Block
from gatewright.model.core import Event, Service
from gatewright.model.meta import Key


@pytest.fixture(scope="module")
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    async with service_world(block) as world:
        yield world


def asking(name_: str, ports: list[dict[str, Any]] | None = None, **annotations: str) -> dict[str, Any]:
    """A Service with annotations, `name` among them."""
    made = service(name_, ports=ports)
    made["metadata"]["annotations"] |= {f"{ANNOTATION}{k.replace('_', '-')}": v for k, v in annotations.items()}
    return made


HUGE = "9" * 5000
HOSTILE: dict[str, dict[str, Any]] = {
    "digits": {"healthcheck_interval": HUGE, "healthcheck_port": HUGE, "healthcheck_success_codes": HUGE},
    "other-digits": {"healthcheck_interval": "\u0661\u0660", "healthcheck_port": "\u0663"},
    "control": {"attributes": "a=\x07", "additional_resource_tags": "a=\x07,b=\x1b[31m", "subnets": "\x00"},
    "tag-control": {"additional_resource_tags": "owner=\x07"},
    "tag-comma": {"additional_resource_tags": "owner=platform;x"},
    "group-attribute": {"target_group_attributes": "deregistration_delay.timeout_seconds=\x07"},
    "path": {"healthcheck_protocol": "HTTP", "healthcheck_path": "/\x07\u202e"},
    "many-tags": {"additional_resource_tags": ",".join(f"k{number}=v" for number in range(5000))},
    "fake-owner": {"additional_resource_tags": "service.k8s.aws/stack=default/good,elbv2.k8s.aws/cluster=other"},
    "reserved": {"additional_resource_tags": "aws:cloudformation:stack-name=x"},
    "names": {"name": "x" * 300},
    "policy": {"ssl_cert": "arn:aws:acm:us-east-1:123456789012:certificate/none", "ssl_negotiation_policy": "\x07"},
    "groups": {"security_groups": ",".join(f"sg-{number}" for number in range(20_000))},
    "subnets": {"subnets": ",".join(f"subnet-{number}" for number in range(20_000))},
    "fixed": {"private_ipv4_addresses": "127.0.0.1,169.254.169.254"},
}


async def test_whatever_tenants_ask_for_others_get_their_load_balancers(world: World) -> None:
    many = [{"name": f"p{number}", "port": number} for number in range(1, 301)]
    unknown: dict[str, Any] = {f"no-such-setting-{number}": "x" for number in range(3000)}
    with capture_logs() as logs:
        async with world.controller() as controller:
            for name, annotations in HOSTILE.items():
                await world.apply(asking(f"bad-{name}", **annotations))
            await world.apply(asking("bad-ports", ports=many), asking("bad-unknown", **unknown))
            await world.apply(asking("good"), endpoint_slice("good", {"127.0.0.9": True}))
            good = await world.load_balancer("good")
            await controller.idle()
            told = {event.involved_object.name for event in await world.client.list(Event) if event.type == "Warning"}
    assert not [line for line in logs if "exception" in line or line["event"] == "reconciliation failed"]
    silent = {f"bad-{name}" for name in HOSTILE} - told
    assert not silent, "each hears what is wrong"
    tags = await views.tags_of(world.aws, [each.arn for each in await views.load_balancers(world.aws)])
    owners = [marks["service.k8s.aws/stack"] for marks in tags.values()]
    assert owners.count("default/good") == 1
    assert tags[good.arn]["elbv2.k8s.aws/cluster"] == "gatewright"


async def test_a_service_with_thousands_of_wrong_annotations_makes_few_events(world: World) -> None:
    unknown: dict[str, Any] = {f"no-such-setting-{number}": "x" for number in range(3000)}
    async with world.controller() as controller:
        await world.apply(asking("web", **unknown))
        await world.hostname("web")
        await controller.idle()
        events = [each for each in await world.client.list(Event) if each.involved_object.name == "web"]
        assert len(events) < 30
        assert any("2980 more annotations" in each.message for each in events)


async def test_a_refused_service_that_is_edited_again_and_again_costs_aws_little(world: World) -> None:
    await world.cloud.call(
        "elbv2", "create_load_balancer", Name="taken", Type="network", Subnets=world.cloud.seeded.private
    )
    async with world.controller() as controller:
        await world.apply(asking("web", name="taken"))

        async def told() -> bool:
            return any("choose another name" in each.message for each in await world.client.list(Event))

        await until(told)
        await controller.idle()
        before, began = world.aws.calls.copy(), time.monotonic()
        for number in range(40):
            await world.apply(asking("web", name="taken", additional_resource_tags=f"edit={number}"))
            await asyncio.sleep(0.02)
        # It rests for two seconds at the least before it looks again.
        assert spent(before, world.aws.calls).get("describe_subnets", 0) <= 1 + (time.monotonic() - began) / 2
        # Put right, it is made.
        await world.apply(asking("web", name="free"))
        assert (await world.load_balancer("web")).name == "free"


async def test_a_platforms_load_balancer_is_not_taken_by_its_name(world: World) -> None:
    """Nor is anything of another Service changed or removed by one that claims its name."""
    async with world.controller() as controller:
        await world.apply(asking("platform", name="shared"))
        shared = await world.load_balancer("platform")
        await world.apply(asking("tenant", name="shared", attributes="deletion_protection.enabled=false"))

        async def told() -> bool:
            events = await world.client.list(Event)
            return any(
                each.involved_object.name == "tenant" and "is not this Service's" in each.message for each in events
            )

        await until(told)
        await world.client.delete(Service, Key("default", "tenant"))

        async def gone() -> bool:
            return await world.service("tenant") is None

        await until(gone)
        await controller.idle()
        assert [each.arn for each in await views.load_balancers(world.aws)] == [shared.arn]
        assert f"{ANNOTATION}name" in (await world.client.get(Service, Key("default", "platform"))).metadata.annotations
