"""Everything that the controller looks after comes, changes and goes with the permissions of config/iam alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.controller_command import everything
from tests.edge.service_world import until
from tests.iam.enforced import Enforced, moto_enforces, user_with
from tests.iam.test_policy import FILES, policy

from gatewright.aws import Aws, views
from gatewright.cli.controller import Feature
from gatewright.cli.controllers import Scope, controllers
from gatewright.cluster import Client
from gatewright.controller.watches import Watches
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.endpoint import Clients
from gatewright.local.block import Block
from gatewright.model.awsgateway import LoadBalancerConfiguration
from gatewright.model.core import Service
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key
from gatewright.model.networking import Ingress
from gatewright.resolve import Inputs

CLUSTER = "prod"
DENIED = ("AccessDenied", "AccessDeniedException", "AuthFailure", "UnauthorizedOperation", "HTTP403")
ANYTHING: dict[str, Any] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class World:
    def __init__(self, client: Client, cloud: EmulatedAws, aws: Aws) -> None:
        self.client, self.cloud, self.aws = client, cloud, aws


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=50.0, cluster=CLUSTER, traffic=False) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        await everything.make(client, aws)
        yield World(client, cloud, aws)


@pytest.mark.parametrize("by", ["conditions", "moto"])
async def test_it_comes_changes_and_goes(world: World, by: str) -> None:
    scope = Scope(CLUSTER, frozenset(Feature), "", 2.0, (), "sync", CLUSTER, {}, "ip", "")
    zone: Any = Clients(world.cloud.url).client("route53")
    zone_id = zone.create_hosted_zone(Name="example.com", CallerReference="1")["HostedZone"]["Id"]
    options: dict[str, Any] = {}
    if by == "moto":
        options["credentials"] = user_with(world.cloud.url, policy(CLUSTER, FILES))
    inputs = Inputs(Flow())
    async with AsyncExitStack() as stack:
        given = policy(CLUSTER, FILES) if by == "conditions" else ANYTHING
        aws = await stack.enter_async_context(Enforced(world.cloud.url, given, **options))
        if by == "moto":
            stack.enter_context(moto_enforces())
        parts = controllers(scope, world.client, aws, inputs)
        await stack.enter_async_context(Watches(world.client, inputs))
        for part in parts:
            await stack.enter_async_context(part)
        await everything.settled(world.client)

        patch = {"spec": {"tags": {"team": "shop"}, "loadBalancerAttributes": [], "scheme": "internet-facing"}}
        await world.client.patch(LoadBalancerConfiguration, Key("shop", "web"), patch)

        async def public() -> bool:
            found = await views.load_balancers(aws)
            return any(each.scheme == "internet-facing" for each in found)

        await until(public, 60)

        async def names() -> set[str]:
            found = await aws.call("route53", "list_resource_record_sets", HostedZoneId=zone_id)
            return {each["Name"] for each in found["ResourceRecordSets"] if each["Type"] == "A"}

        async def told() -> bool:
            return "www.example.com." in await names()

        await until(told, 60)
        for type_, name in (
            (EdgeBinding, "shared"),
            (Gateway, "web"),
            (Gateway, "streams"),
            (Ingress, "old"),
            (Service, "shared-istio"),
        ):
            await world.client.delete(type_, Key("shop", name))

        async def empty() -> bool:
            groups = [each.name for each in await views.target_groups(aws)]
            return not await views.load_balancers(aws) and groups == ["shared"]

        await until(empty, 90)

        async def no_group() -> bool:
            groups = await aws.pages("ec2", "describe_security_groups", "SecurityGroups")
            return not [each for each in groups if each["GroupName"].startswith("k8s-")]

        await until(no_group, 60)

        async def untold() -> bool:
            return not await names()

        await until(untold, 60)
    denied = {call for call in aws.calls if call.result in DENIED}
    assert (aws.denied, denied) == ([], set())
