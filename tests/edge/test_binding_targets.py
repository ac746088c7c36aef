"""EdgeBindings over a real API and an emulated AWS: what is registered, seen healthy, and taken away again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.edge.binding_world import (
    SHORT,
    BindingWorld,
    backend,
    binding,
    binding_world,
    endpoints,
    gateway,
    gateway_service,
    route,
    until,
)

from gatewright.cluster import Client
from gatewright.edge.binding.bindings import EdgeBindings
from gatewright.local.block import Block
from gatewright.model.core import Service
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import Gateway

FINALIZER = "gatewright.dev/edge-binding"
LOAD_BALANCER = "service.k8s.aws/resources"
"""The finalizer of whoever deletes a Service's load balancer."""


@pytest.fixture
async def world(block: Block) -> AsyncIterator[BindingWorld]:
    async with binding_world(block) as world:
        await world.apply(gateway(), *backend(), route())
        yield world


async def test_the_addresses_of_a_gateways_load_balancer_become_healthy_targets(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    nlb = await world.nlb("nlb", await world.proxy())
    await world.apply(binding())
    async with world.controller():
        await world.gateway_at(nlb.dns_name)
        wanted = {(address, 80) for address in await world.addresses(nlb)}
        assert len(wanted) == 2
        await world.until_registered(group, wanted, "healthy")
        bound = await world.condition("Bound", "True")
        assert bound.message == "2 of 2 addresses of Gateway shared are registered in target group front"
        await world.condition("Healthy", "True")
        routable = await world.condition("HealthCheckRoutable", "True")
        assert "GET /healthz/ready goes to Service infra/health:80 by HTTPRoute infra/health" in routable.message
        targets = await world.bound_targets()
        assert {(t.address, t.port, t.health, t.registered) for t in targets} == {
            (address, 80, "healthy", True) for address, _ in wanted
        }
        assert {target.zone for target in targets} == {"us-east-1a", "us-east-1b"}


async def test_a_replaced_load_balancer_is_bound_before_the_old_one_is_let_go(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    old = await world.nlb("old", await world.proxy())
    was = {(address, 80) for address in await world.addresses(old)}
    await world.apply(binding())
    async with world.controller():
        await world.gateway_at(old.dns_name)
        await world.until_registered(group, was, "healthy")
        slow = await world.proxy()
        slow.answers = {}
        new = await world.nlb("new", slow)
        wanted = {(address, 80) for address in await world.addresses(new)}
        await world.gateway_at(new.dns_name)
        await world.until_registered(group, was | wanted)
        bound = await world.told("Bound", lambda c: "stays until those are healthy" in c.message)
        assert all(address in bound.message for address, _ in was)
        assert await world.registered(group) == was | wanted
        slow.answers = {"/healthz/ready": 200}
        await world.until_registered(group, wanted, "healthy")

        async def drained() -> bool:
            return {(t.address, t.port) for t in await world.bound_targets()} == wanted

        await until(drained)


async def test_ready_endpoints_are_bound_at_the_ports_of_their_slices(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    one, two, three = await world.proxy(), await world.proxy(), await world.proxy()
    ready = {one.address: True, two.address: False}
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", ready, {"http": one.port, "other": 1}),
        endpoints("shared-istio", {three.address: True}, {"http": three.port}, "2"),
        binding(via="Endpoints"),
    )
    async with world.controller():
        await world.until_registered(group, {(one.address, one.port), (three.address, three.port)}, "healthy")
        await world.apply(endpoints("shared-istio", {one.address: True}, {"http": three.port}, "2"))
        await world.until_registered(group, {(one.address, one.port), (one.address, three.port)})
        await world.apply(
            endpoints("shared-istio", {}, {"http": one.port}),
            endpoints("shared-istio", {three.address: True}, {"http": three.port}, "2"),
        )
        await world.until_registered(group, {(three.address, three.port)}, "healthy")


async def test_a_target_that_somebody_else_removed_is_registered_again(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    proxy = await world.proxy()
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port}),
        binding(via="Endpoints"),
    )
    async with world.controller():
        await world.until_registered(group, {(proxy.address, proxy.port)}, "healthy")
        await world.deregister(group, (proxy.address, proxy.port))
        await world.until_registered(group, {(proxy.address, proxy.port)}, "healthy")


async def test_targets_of_others_are_shown_and_never_touched(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    proxy, foreign, same = await world.proxy(), await world.proxy(), await world.proxy()
    theirs = {(foreign.address, foreign.port), (same.address, proxy.port)}
    await world.register(group, *theirs)
    mine = {(proxy.address, proxy.port)}
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True, same.address: True}, {"http": proxy.port}),
        binding(via="Endpoints"),
    )
    async with world.controller():
        await world.until_registered(group, mine | theirs)
        bound = await world.told("Bound", lambda c: "somebody else registered" in c.message)
        assert f"{same.address}:{proxy.port} somebody else registered" in bound.message
        shown = {(t.address, t.port): t.registered for t in await world.bound_targets()}
        assert shown == {**dict.fromkeys(mine, True), **dict.fromkeys(theirs, False)}
        await world.delete(EdgeBinding, "front")
        await world.until_registered(group, theirs)

        async def gone() -> bool:
            return await world.binding() is None

        await until(gone)
        assert await world.registered(group) == theirs


async def test_two_bindings_of_one_target_share_it_and_the_last_one_deregisters_it(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    proxy = await world.proxy()
    target = {(proxy.address, proxy.port)}
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port}),
        binding("one", via="Endpoints"),
        binding("two", via="Endpoints"),
    )
    async with world.controller():
        await world.until_registered(group, target, "healthy")
        for name in ("one", "two"):
            await world.told("Bound", lambda c: "somebody" not in c.message and c.status == "True", name)
        await world.delete(EdgeBinding, "one")

        async def gone() -> bool:
            return await world.binding("one") is None

        await until(gone)
        assert await world.registered(group) == target
        await world.delete(EdgeBinding, "two")
        await world.until_registered(group, set())


async def test_another_target_group_is_moved_to(world: BindingWorld) -> None:
    first, second = await world.target_group(), await world.target_group("second")
    alb = await world.balancer("alb", "application", first)
    await world.listener(alb.arn, second, 81)
    proxy = await world.proxy()
    target = {(proxy.address, proxy.port)}
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port}),
        binding(via="Endpoints"),
    )
    async with world.controller():
        await world.until_registered(first, target, "healthy")
        await world.apply(binding(via="Endpoints", aws={"targetGroup": {"arn": second}}))
        await world.until_registered(second, target, "healthy")
        await world.until_registered(first, set())
        bound = await world.told("Bound", lambda c: "target group second" in c.message)
        assert bound.status == "True"


async def _deleted_under(world: BindingWorld, group: str, others: set[tuple[str, int]]) -> None:
    """Delete the Gateway's Service while its load balancer is bound, and wait until that may be deleted as well.

    Nobody does that here: its address would be bound again if the Service were gone.
    """
    await world.balancer("alb", "application", group)
    nlb = await world.nlb("nlb", await world.proxy())
    service = gateway_service()
    service["metadata"]["finalizers"] = [LOAD_BALANCER]
    await world.apply(service, binding())
    await world.load_balancer_of("shared-istio", nlb.dns_name)
    await world.gateway_at(nlb.dns_name)
    await world.until_registered(group, {(address, 80) for address in await world.addresses(nlb)} | others, "healthy")
    held = await world.service()
    assert held
    assert FINALIZER in held.metadata.finalizers
    await world.delete(Service, "shared-istio")

    async def let_go() -> bool:
        found = await world.service()
        return found is not None and found.metadata.finalizers == (LOAD_BALANCER,)

    await until(let_go)
    assert await world.registered(group) == others


async def test_the_gateways_load_balancer_is_held_until_its_addresses_are_drained(world: BindingWorld) -> None:
    group, other = await world.target_group(), await world.proxy()
    await world.register(group, (other.address, other.port))
    left: list[set[str]] = []

    class Watched(Client):
        """Sees the targets as they are when the Service's finalizers are written."""

        async def request(self, method: str, path: str, *further: Any, **options: Any) -> bytes:
            if (method, path.rpartition("/")[2]) == ("PATCH", "shared-istio"):
                left.append(set((await world.targets(group)).values()))
            return await super().request(method, path, *further, **options)

    async with EdgeBindings(Watched(world.client._transport), world.aws, world.inputs, world.resolution, pace=SHORT):
        await _deleted_under(world, group, {(other.address, other.port)})
    assert left[-1] == {"healthy"}


async def test_a_load_balancer_that_is_the_only_one_is_let_go_of_at_once(world: BindingWorld) -> None:
    group = await world.target_group(delay=3600)  # far longer than this test waits
    async with world.controller():
        await _deleted_under(world, group, set())


async def test_a_deleted_gateway_or_binding_leaves_nothing_behind(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    nlb = await world.nlb("nlb", await world.proxy())
    await world.apply(gateway_service(), binding())
    await world.load_balancer_of("shared-istio", nlb.dns_name)
    async with world.controller():
        await world.gateway_at(nlb.dns_name)
        await world.until_registered(group, {(address, 80) for address in await world.addresses(nlb)})
        await world.delete(Gateway, "shared")
        await world.until_registered(group, set())
        await world.condition("Bound", "False", "GatewayNotFound")
        await world.delete(EdgeBinding, "front")

        async def released() -> bool:
            service = await world.service()
            return await world.binding() is None and bool(service) and not (service and service.metadata.finalizers)

        await until(released)


async def test_an_address_outside_of_the_vpc_is_registered_too(world: BindingWorld) -> None:
    group = await world.target_group()
    proxy = await world.proxy()
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {"10.9.9.9": True, proxy.address: True}, {"http": proxy.port}),
        binding(via="Endpoints"),
    )
    async with world.controller():
        await world.until_registered(group, {("10.9.9.9", proxy.port), (proxy.address, proxy.port)})
        await world.delete(EdgeBinding, "front")
        await world.until_registered(group, set())
