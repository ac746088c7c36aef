"""The controllers do their work with nothing but the permissions of config/iam."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.edge.service_world import World, endpoint_slice, service, service_world, until
from tests.iam.enforced import Enforced, moto_enforces, user_with
from tests.iam.test_policy import policy

from gatewright.aws import views
from gatewright.aws.errors import AccessDenied
from gatewright.local.block import Block
from gatewright.model.core import Service
from gatewright.model.meta import Key

CLUSTER = "gatewright"


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    async with service_world(block) as world:
        yield world


@pytest.fixture(params=["conditions", "moto"])
async def aws(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Enforced]:
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {}
        if request.param == "moto":
            options["credentials"] = user_with(world.cloud.url, policy(CLUSTER))
        aws = await stack.enter_async_context(Enforced(world.cloud.url, policy(CLUSTER), **options))
        if request.param == "moto":
            aws._policy = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
            stack.enter_context(moto_enforces())
        yield aws


async def test_a_load_balancer_of_a_service_comes_changes_and_goes(world: World, aws: Enforced) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True, "10.1.0.2": True}))
    async with world.controller(aws=aws, resync=0.5) as controller:
        name = await world.hostname()
        await world.apply(
            service(healthcheck_path="/ready", healthcheck_protocol="http", additional_resource_tags="team=web"),
            endpoint_slice("web", {"10.1.0.2": True}),
        )
        await controller.caught_up()
        await controller.idle()
        made = await views.load_balancers(aws)
        assert [each.dns_name for each in made] == [name]
        await world.client.delete(Service, Key("default", "web"))

        async def gone() -> bool:
            return not await views.load_balancers(aws)

        await until(gone, 60)
        await controller.idle()
    assert aws.denied == []
    # Who looks while something goes may not find it.
    assert not [call for call in aws.calls if call.result != "ok" and not call.result.endswith("NotFound")]


async def test_what_the_policy_does_not_allow_is_denied(aws: Enforced) -> None:
    with pytest.raises(AccessDenied, match="allow the operation in the IAM policy"):
        await aws.call("ec2", "terminate_instances", InstanceIds=["i-0123456789abcdef0"])


async def test_what_is_not_this_cluster_s_is_out_of_reach(world: World) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    async with world.controller() as controller, Enforced(world.cloud.url, policy("other")) as aws:
        made = await world.load_balancer()
        await controller.idle()
        for operation in ("delete_load_balancer", "modify_load_balancer_attributes"):
            with pytest.raises(AccessDenied):
                await aws.call("elbv2", operation, LoadBalancerArn=made.arn)
        tags = [{"Key": "elbv2.k8s.aws/cluster", "Value": "other"}]
        with pytest.raises(AccessDenied):
            await aws.call("elbv2", "add_tags", ResourceArns=[made.arn], Tags=tags)
