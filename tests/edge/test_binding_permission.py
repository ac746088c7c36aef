"""Who may bind what: a tenant of a shared cluster gets at nobody else's target group, targets or load balancer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.edge.binding_world import (
    BindingWorld,
    Proxy,
    backend,
    binding,
    binding_world,
    endpoints,
    gateway,
    gateway_service,
    obj,
    route,
    until,
)
from tests.iam.enforced import Enforced
from tests.iam.test_policy import policy

from gatewright.aws.permission import NAMESPACES_TAG, refusal, untagged
from gatewright.local.block import Block
from gatewright.model.core import Service
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Condition, Key


@pytest.fixture(scope="module")
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def world(block: Block) -> AsyncIterator[BindingWorld]:
    async with binding_world(block) as world:
        await world.apply(gateway(), *backend(), route(), obj("v1", "Namespace", "tenant", ""))
        yield world


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key.replace("__", "/").replace("_", "."), "Value": value} for key, value in values.items()]


async def pod(world: BindingWorld, namespace: str) -> Proxy:
    """A namespace's own Gateway with a pod."""
    proxy = await world.proxy()
    made = [gateway_service("ClusterIP"), endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port})]
    if namespace != "infra":
        made.append(gateway(namespace=namespace))
    for each in made:
        each["metadata"]["namespace"] = namespace
    await world.apply(*made)
    return proxy


async def bound(world: BindingWorld, namespace: str, name: str = "front") -> Condition:
    found = await world.client.get(EdgeBinding, Key(namespace, name))
    return next(condition for condition in found.status.conditions if condition.type == "Bound")


async def until_refused(world: BindingWorld, namespace: str, name: str = "front") -> Condition:
    async def refused() -> bool:
        return (await bound(world, namespace, name)).reason == "NotPermitted"

    await until(refused)
    return await bound(world, namespace, name)


@pytest.mark.parametrize(
    ("marks", "namespace", "words"),
    [
        ({}, "tenant", ""),
        ({NAMESPACES_TAG: "tenant"}, "tenant", ""),
        ({NAMESPACES_TAG: " infra  tenant "}, "tenant", ""),
        (
            {NAMESPACES_TAG: "infra"},
            "tenant",
            "from the namespaces infra only, by its tag gatewright.dev/namespaces; add",
        ),
        ({NAMESPACES_TAG: "tenant-a"}, "tenant", "add tenant to the tag's value"),
        ({NAMESPACES_TAG: ""}, "tenant", "from the namespaces (none) only"),
        ({"service.k8s.aws/stack": "tenant/web"}, "tenant", "belongs to Service tenant/web"),
        ({"ingress.k8s.aws/stack": "shop"}, "tenant", "belongs to Ingress shop"),
        ({"gateway.k8s.aws/stack": ""}, "tenant", "belongs to Gateway (tag"),
        ({"gateway.k8s.aws.alb/stack": "infra/shared"}, "tenant", "belongs to Gateway infra/shared"),
        ({"gateway.k8s.aws.nlb/stack": "infra/shared"}, "tenant", "belongs to Gateway infra/shared"),
    ],
)
def test_the_tags_of_a_target_group_say_who_may_bind_it(marks: dict[str, str], namespace: str, words: str) -> None:
    found = refusal("front", marks, namespace)
    assert words in found
    assert bool(found) == bool(words)


def test_a_target_group_without_the_tag_is_one_that_the_policy_keeps_out_of_reach() -> None:
    assert "add the tag with the value tenant" in untagged("front", {"team": "shop"}, "tenant")
    assert untagged("front", {NAMESPACES_TAG: "tenant"}, "tenant") == ""


async def test_a_target_group_without_the_tag_can_not_be_bound_with_the_policy(world: BindingWorld) -> None:
    group = await world.target_group()
    ours = await pod(world, "infra")
    await world.apply(binding(via="Endpoints"))
    async with Enforced(world.cloud.url, policy()) as aws, world.controller(aws=aws):
        told = await world.told("Bound", lambda condition: condition.reason == "AccessDenied")
        assert "front has no tag gatewright.dev/namespaces" in told.message
        assert "add the tag with the value infra" in told.message
        await world.cloud.call("elbv2", "add_tags", ResourceArns=[group], Tags=tags(gatewright_dev__namespaces="infra"))
        await world.until_registered(group, {(ours.address, ours.port)})
        await world.condition("Bound", "True")
        await world.delete(EdgeBinding, "front")
        await world.until_registered(group, set())


@pytest.mark.parametrize("reference", ["name", "arn", "tags"])
async def test_only_named_namespaces_may_bind_a_tagged_target_group(world: BindingWorld, reference: str) -> None:
    group = await world.target_group(Tags=tags(gatewright_dev__namespaces="infra", edge="yes"))
    ours, theirs = await pod(world, "infra"), await pod(world, "tenant")
    references: dict[str, Any] = {"name": {"name": "front"}, "arn": {"arn": group}, "tags": {"tags": {"edge": "yes"}}}
    await world.apply(
        binding(via="Endpoints"),
        binding(namespace="tenant", via="Endpoints", aws={"targetGroup": references[reference]}),
    )
    async with world.controller() as controller:
        refused = await until_refused(world, "tenant")
        assert refused.status == "False"
        assert "may be used from the namespaces infra only" in refused.message
        assert "add tenant to the tag's value" in refused.message
        await world.until_registered(group, {(ours.address, ours.port)})
        found = await world.client.get(EdgeBinding, Key("tenant", "front"))
        assert found.status.targets == ()  # nor does it learn whose addresses are registered
        assert found.status.target_group_arn is None
        await controller.idle()
        await world.cloud.call(
            "elbv2", "add_tags", ResourceArns=[group], Tags=tags(gatewright_dev__namespaces="infra tenant")
        )
        await world.until_registered(group, {(ours.address, ours.port), (theirs.address, theirs.port)})


async def test_what_was_registered_before_it_was_forbidden_is_deregistered(world: BindingWorld) -> None:
    group = await world.target_group()
    ours, theirs = await pod(world, "infra"), await pod(world, "tenant")
    await world.apply(binding(via="Endpoints"), binding(namespace="tenant", via="Endpoints"))
    async with world.controller():
        await world.until_registered(group, {(ours.address, ours.port), (theirs.address, theirs.port)})
        await world.cloud.call("elbv2", "add_tags", ResourceArns=[group], Tags=tags(gatewright_dev__namespaces="infra"))
        await world.until_registered(group, {(ours.address, ours.port)})
        await until_refused(world, "tenant")


async def test_a_target_group_of_a_service_can_not_be_bound(world: BindingWorld) -> None:
    group = await world.target_group(Tags=tags(service_k8s_aws__stack="shop/web", edge="yes"))
    await pod(world, "tenant")
    await world.apply(binding(namespace="tenant", via="Endpoints"))
    async with world.controller():
        refused = await until_refused(world, "tenant")
        assert "belongs to Service shop/web" in refused.message
        assert await world.registered(group) == set()


async def test_tags_that_a_tenant_gives_its_services_load_balancer_spoil_no_reference(world: BindingWorld) -> None:
    group = await world.target_group(Tags=tags(edge="yes"))
    await world.target_group("theirs", Tags=tags(service_k8s_aws__stack="tenant/web", edge="yes"))
    ours = await pod(world, "infra")
    await world.apply(binding(via="Endpoints", aws={"targetGroup": {"tags": {"edge": "yes"}}}))
    async with world.controller():
        await world.until_registered(group, {(ours.address, ours.port)})
        await world.condition("Bound", "True")


async def test_a_tenant_that_names_the_addresses_of_others_takes_nothing_from_them(world: BindingWorld) -> None:
    """By slices of its own: while both bindings are there, when the tenant's goes, and when it never goes."""
    group = await world.target_group()
    ours = await pod(world, "infra")
    stolen = endpoints("shared-istio", {ours.address: True}, {"http": ours.port})
    await pod(world, "tenant")
    stolen["metadata"]["namespace"] = "tenant"
    hostile = binding(namespace="tenant", via="Endpoints")
    hostile["metadata"]["finalizers"] = ["example.com/for-ever"]
    await world.apply(stolen, binding(via="Endpoints"), hostile)
    async with world.controller() as controller:
        await world.until_registered(group, {(ours.address, ours.port)})
        await world.condition("Bound", "True")
        await world.client.delete(EdgeBinding, Key("tenant", "front"))
        await controller.caught_up()
        await controller.idle()
        assert await world.registered(group) == {(ours.address, ours.port)}
        await world.delete(EdgeBinding, "front")
        await world.until_registered(group, set())

        async def gone() -> bool:
            return await world.binding() is None

        await until(gone)


async def test_a_tenant_can_not_keep_anothers_load_balancer_from_going(world: BindingWorld) -> None:
    """It registers the load balancer's addresses in a target group of its own, as its pods'."""
    front, own = await world.target_group(), await world.target_group("own")
    nlb = await world.nlb("platform", await world.proxy())
    addresses = await world.addresses(nlb)
    await world.apply(gateway_service(), binding())
    await pod(world, "tenant")
    stolen = endpoints("shared-istio", dict.fromkeys(addresses, True), {"http": 80})
    stolen["metadata"]["namespace"] = "tenant"
    await world.apply(stolen, binding(namespace="tenant", via="Endpoints", aws={"targetGroup": {"name": "own"}}))
    async with world.controller():
        await world.load_balancer_of("shared-istio", nlb.dns_name)
        await world.gateway_at(nlb.dns_name)
        await world.until_registered(front, {(address, 80) for address in addresses})
        await world.until_registered(own, {(address, 80) for address in addresses})
        await world.delete(Service, "shared-istio")

        async def gone() -> bool:
            return await world.service() is None

        await until(gone)
