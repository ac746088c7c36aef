"""What goes wrong around an EdgeBinding: it is said, it heals, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from tests.edge.binding_world import (
    SHORT,
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
from tests.edge.service_world import spent

from gatewright.aws import Aws
from gatewright.cluster import Client
from gatewright.edge.binding.bindings import EdgeBindings
from gatewright.edge.binding.groups import Pace
from gatewright.local.block import Block
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import HTTPRoute


@pytest.fixture
async def world(block: Block) -> AsyncIterator[BindingWorld]:
    async with binding_world(block) as world:
        await world.apply(gateway(), *backend(), route())
        yield world


async def bound_pod(world: BindingWorld, **spec: Any) -> Proxy:
    """A pod of the Gateway, and a binding of it by its endpoints."""
    proxy = await world.proxy()
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port}),
        binding(via="Endpoints", **spec),
    )
    return proxy


async def fault(world: BindingWorld, **what: Any) -> None:
    async with aiohttp.ClientSession() as session:
        answer = await session.post(f"{world.cloud.url}/_gatewright/faults", json=what)
        assert answer.status < 300, await answer.text()


async def mend(world: BindingWorld) -> None:
    async with aiohttp.ClientSession() as session:
        await session.delete(f"{world.cloud.url}/_gatewright/faults")


async def test_a_missing_health_route_is_told_with_its_fix_and_heals(world: BindingWorld) -> None:
    await world.delete(HTTPRoute, "health")
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    proxy = await bound_pod(world)
    proxy.answers = {}
    async with world.controller():
        healthy = await world.condition("Healthy", "False", "Unhealthy")
        assert "Target.ResponseCodeMismatch (Health checks failed with these codes: [404])" in healthy.message
        routable = await world.condition("HealthCheckRoutable", "False", "RouteMissing")
        assert routable.message.startswith(
            "no HTTPRoute on listener http matches GET /healthz/ready; target group front expects 200"
        )
        (target,) = await world.bound_targets()
        assert (target.health, target.reason) == ("unhealthy", "Target.ResponseCodeMismatch")
        await world.apply(route())
        await world.condition("HealthCheckRoutable", "True")
        proxy.answers = {"/healthz/ready": 200}
        await world.condition("Healthy", "True")


async def test_a_target_group_that_expects_https_of_an_http_port(world: BindingWorld) -> None:
    group = await world.target_group(Protocol="HTTPS", HealthCheckProtocol="HTTPS")
    await world.balancer("alb", "application", group)
    await bound_pod(world)
    async with world.controller():
        bound = await world.condition("Bound", "False", "ProtocolMismatch")
        assert "target group front sends HTTPS, and listener http on port 80 speaks plain HTTP" in bound.message
        routable = await world.condition("HealthCheckRoutable", "False", "ProtocolMismatch")
        assert "checks by HTTPS, and listener http on port 80 speaks plain HTTP" in routable.message
        await world.condition("Healthy", "False", "Unhealthy")


@pytest.mark.parametrize(
    ("reference", "reason", "words"),
    [
        ({"name": "lost"}, "TargetGroupNotFound", "target group lost doesn't exist in this account and region"),
        ({"tags": {"edge": "no"}}, "TargetGroupNotFound", "has the tags edge=no"),
        ({"tags": {"edge": "yes"}}, "TargetGroupAmbiguous", "2 target groups have the tags edge=yes (one, two)"),
        ({"name": "instances"}, "WrongTargetType", "of type instance, expected ip or alb"),
    ],
)
async def test_a_reference_that_leads_to_no_usable_target_group(
    world: BindingWorld, reference: dict[str, Any], reason: str, words: str
) -> None:
    for name in ("one", "two"):
        await world.target_group(name, Tags=[{"Key": "edge", "Value": "yes"}])
    await world.target_group("instances", TargetType="instance")
    await bound_pod(world, aws={"targetGroup": reference})
    async with world.controller():
        bound = await world.condition("Bound", "False", reason)
        assert words in bound.message


async def test_a_target_group_that_comes_later_is_found_by_its_tags(world: BindingWorld) -> None:
    proxy = await bound_pod(world, aws={"targetGroup": {"tags": {"edge": "yes"}}})
    async with world.controller():
        await world.condition("Bound", "False", "TargetGroupNotFound")
        group = await world.target_group(Tags=[{"Key": "edge", "Value": "yes"}, {"Key": "a", "Value": "b"}])
        await world.until_registered(group, {(proxy.address, proxy.port)})
        not_in_use = await world.condition("Healthy", "False", "NotInUse")
        assert "forward to target group front" in not_in_use.message


async def test_a_deleted_target_group_is_bound_anew_when_it_is_made_again(world: BindingWorld) -> None:
    group = await world.target_group()
    proxy = await bound_pod(world)
    async with world.controller():
        await world.until_registered(group, {(proxy.address, proxy.port)})
        await world.cloud.call("elbv2", "delete_target_group", TargetGroupArn=group)
        await world.condition("Bound", "False", "TargetGroupNotFound")
        again = await world.target_group()
        await world.until_registered(again, {(proxy.address, proxy.port)})


async def test_a_gateway_of_another_namespace_has_to_permit_it(world: BindingWorld) -> None:
    group = await world.target_group()
    proxy = await bound_pod(world)
    await world.delete(EdgeBinding, "front")
    elsewhere = binding("front", via="Endpoints", gatewayRef={"name": "shared", "namespace": "infra"})
    elsewhere["metadata"]["namespace"] = "default"
    await world.apply(elsewhere)
    grant = obj(
        "gateway.networking.k8s.io/v1",
        "ReferenceGrant",
        "edge",
        spec={
            "from": [{"group": "gatewright.dev", "kind": "EdgeBinding", "namespace": "default"}],
            "to": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shared"}],
        },
    )

    async def reason() -> str:
        found = await world.client.list(EdgeBinding)
        return next(c.reason for c in found[0].status.conditions if c.type == "Bound")

    async def refused() -> bool:
        return await reason() == "RefNotPermitted"

    async with world.controller():
        await until(refused)
        await world.apply(grant)
        await world.until_registered(group, {(proxy.address, proxy.port)})
        await world.client.request("DELETE", "/apis/gateway.networking.k8s.io/v1/namespaces/infra/referencegrants/edge")
        await world.until_registered(group, set())
        await until(refused)


async def test_an_address_that_is_no_load_balancers_is_told(world: BindingWorld) -> None:
    await world.target_group()
    await world.apply(binding())
    async with world.controller():
        no_address = await world.condition("Bound", "False", "NoAddress")
        assert "Gateway infra/shared has no address in its status yet" in no_address.message
        await world.gateway_at("shared.example.com")
        unknown = await world.condition("Bound", "False", "AddressNotFound")
        assert "no load balancer of this account and region has the DNS name shared.example.com" in unknown.message


async def test_an_alb_is_a_target_by_its_arn(world: BindingWorld) -> None:
    pods = await world.target_group("pods")
    alb = await world.balancer("alb", "application", pods)
    group = await world.target_group(TargetType="alb", Protocol="TCP", HealthCheckProtocol="HTTP")
    await world.apply(binding())
    async with world.controller():
        await world.gateway_at(alb.dns_name)
        await world.until_registered(group, {(alb.arn, 80)})


@pytest.mark.parametrize("kind", ["throttle", "internal-error", "reset"])
async def test_aws_has_a_bad_time(world: BindingWorld, kind: str) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    await fault(world, kind=kind, service="elbv2")
    proxy = await bound_pod(world)
    async with world.controller():
        told = await world.told("Bound", lambda c: c.status == "Unknown" and c.reason != "Pending")
        assert told.reason in ("Throttled", "Unavailable")
        await mend(world)
        await world.until_registered(group, {(proxy.address, proxy.port)}, "healthy")
        await world.condition("Bound", "True")
        await fault(world, kind=kind, service="elbv2", operation="DescribeTargetHealth")
        await world.told("Healthy", lambda c: c.status == "Unknown" and c.reason in ("Throttled", "Unavailable"))
        await mend(world)
        await world.condition("Healthy", "True")
        await fault(world, kind=kind, service="elbv2", operation="DeregisterTargets", count=3, after=kind == "reset")
        await world.delete(EdgeBinding, "front")

        async def gone() -> bool:
            return await world.binding() is None

        await until(gone)
        assert await world.registered(group) == set()


async def test_in_steady_state_only_the_health_is_asked_for_and_routes_cost_no_call(world: BindingWorld) -> None:
    group = await world.target_group()
    await world.balancer("alb", "application", group)
    proxy = await bound_pod(world)
    async with world.controller(pace=Pace(interval=3600.0, fast=0.05, resync=3600.0)) as controller:
        await world.until_registered(group, {(proxy.address, proxy.port)}, "healthy")
        for type_ in ("Bound", "HealthCheckRoutable", "Healthy"):
            await world.condition(type_, "True")
        await controller.idle()
        aws = Aws(region="us-east-1", endpoint_url=world.cloud.url, credentials=("test", "test"))
        before = world.aws.calls.copy()
        for number in range(30):
            await world.apply(route(f"more-{number}", f"/more/{number}"))
        await world.delete(HTTPRoute, "health")
        await world.condition("HealthCheckRoutable", "False", "RouteMissing")
        assert set(spent(before, world.aws.calls)) <= {"describe_target_health"}
        await aws.close()


class Stopping:
    """Stands for a process that dies: before or after its n-th write everything stops for ever."""

    def __init__(self, point: int, *, after: bool) -> None:
        self.reached = asyncio.Event()
        self._left = point
        self._after = after

    async def run(self, write: Any) -> Any:
        self._left -= 1
        if self._left < 0 and not self._after:
            write.close()
            await self._stop()
        answer = await write
        if self._left < 0:
            await self._stop()
        return answer

    async def _stop(self) -> None:
        self.reached.set()
        await asyncio.Event().wait()


class StoppingAws(Aws):
    stopping: Stopping

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        call = super().call(service, operation, **parameters)
        found: dict[str, Any] = await (self.stopping.run(call) if "register" in operation else call)
        return found


class StoppingClient(Client):
    stopping: Stopping

    async def request(self, method: str, path: str, *further: Any, **options: Any) -> bytes:
        call = super().request(method, path, *further, **options)
        found: bytes = await (self.stopping.run(call) if "edgebindings" in path and method == "PATCH" else call)
        return found


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_controller_that_dies_at_any_point_leaves_nothing_behind(world: BindingWorld, after: bool) -> None:
    """Bind one pod, change to another and delete the binding; die at each write, go on with a new controller."""
    group = await world.target_group()
    one, two, foreign = await bound_pod(world), await world.proxy(), (f"{world._prefix}.200.251", 80)
    await world.register(group, foreign)
    await world.delete(EdgeBinding, "front")
    steps = 0
    for point in range(20):
        stopping = Stopping(point, after=after)
        aws = StoppingAws(region="us-east-1", endpoint_url=world.cloud.url, credentials=("test", "test"))
        client = StoppingClient(world.client._transport)
        aws.stopping = client.stopping = stopping
        await world.apply(endpoints("shared-istio", {one.address: True}, {"http": one.port}), binding(via="Endpoints"))

        async def work(aws: Aws, client: Client) -> None:
            async with EdgeBindings(client, aws, world.inputs, world.resolution, pace=SHORT):
                await world.until_registered(group, {(one.address, one.port), foreign})
                await world.apply(endpoints("shared-istio", {two.address: True}, {"http": two.port}))
                await world.until_registered(group, {(two.address, two.port), foreign})
                await world.delete(EdgeBinding, "front")
                await until(gone)

        async def gone() -> bool:
            return await world.binding() is None

        running = asyncio.create_task(work(aws, client))
        stopped = asyncio.create_task(stopping.reached.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        died = stopped.done()
        for task in (running, stopped):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await aws.close()
        if await world.binding() is not None:
            await world.apply(endpoints("shared-istio", {two.address: True}, {"http": two.port}))
            async with world.controller():
                await world.delete(EdgeBinding, "front")
                await until(gone)
        assert await world.registered(group) == {foreign}, f"died at write {point}"
        steps = point
        if not died:
            break
    assert steps >= 6


async def test_a_listener_without_its_secret_is_told_by_the_secrets_name(world: BindingWorld) -> None:
    await world.target_group(Protocol="HTTPS", HealthCheckProtocol="HTTPS")
    tls = {"certificateRefs": [{"name": "lost"}]}
    await world.apply(
        gateway({"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls}), binding(port=443, via="Endpoints")
    )
    async with world.controller():
        routable = await world.condition("HealthCheckRoutable", "False", "ListenerNotServed")
        assert "listener https on port 443 is not served: " in routable.message
        assert "Secret infra/lost does not exist" in routable.message


async def test_who_may_read_no_secrets_takes_certificates_to_be_there(block: Block) -> None:
    """What a proxy shows is that proxy's to check; a controller that only binds it has no business with its keys."""
    tls = {"certificateRefs": [{"name": "unread"}]}
    listener = {"name": "https", "port": 443, "protocol": "HTTPS", "hostname": "www.example.com", "tls": tls}
    async with binding_world(block, secrets=False) as world:
        await world.apply(gateway({**listener, "hostname": None}), *backend(), route(), binding(port=443))
        await world.target_group(Protocol="HTTPS", HealthCheckProtocol="HTTPS")
        async with world.controller():
            await world.condition("HealthCheckRoutable", "True", "Routable")
            await world.apply(gateway(listener))
            limited = await world.condition("HealthCheckRoutable", "False", "HostnameLimited")
            assert "a load balancer names no server in the TLS handshake" in limited.message
