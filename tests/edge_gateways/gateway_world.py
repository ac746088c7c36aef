"""A cluster's API, an emulated AWS, and the controller that makes load balancers of Gateways between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from gatewright.aws import Aws, views
from gatewright.cluster import Client, NotFound
from gatewright.controller.watches import Watches
from gatewright.edge.binding.groups import Pace
from gatewright.edge.gateways import GatewayLoadBalancers
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.block import Block
from gatewright.model.core import Event, Pod
from gatewright.model.gateway import Gateway, HTTPRoute
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs

CLUSTER = "gatewright"
GATEWAY = Key("infra", "shared")
PACE = 50.0
SHORT = Pace(interval=0.5, fast=0.05, resync=600.0)
API = "gateway.networking.k8s.io/v1"
CONFIG = "gateway.k8s.aws/v1"


def obj(api: str, kind: str, name: str, namespace: str = "infra", **body: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **body.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def gateway(
    *listeners: dict[str, Any], name: str = "shared", class_name: str = "alb", metadata: Any = None, **spec: Any
) -> dict[str, Any]:
    """A Gateway; one HTTP listener on port 80 unless others are given."""
    given = listeners or ({"name": "http", "port": 80, "protocol": "HTTP"},)
    everyone = {"namespaces": {"from": "All"}}
    listed = [{"allowedRoutes": everyone, **one} for one in given]
    body = {"gatewayClassName": class_name, "listeners": listed, **spec}
    return obj(API, "Gateway", name, spec=body, metadata=metadata or {})


def route(name: str = "web", *paths: str, rules: Any = None, namespace: str = "infra", **spec: Any) -> dict[str, Any]:
    """An HTTPRoute to the Service of its name, one rule for each path prefix."""
    backend = [{"name": name, "port": 80}]
    written = [{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": backend} for path in paths]
    parents = [{"name": "shared", "namespace": "infra"}]
    body = {"parentRefs": parents, "rules": rules or written or [{"backendRefs": backend}], **spec}
    return obj(API, "HTTPRoute", name, namespace, spec=body)


def service(name: str = "web", namespace: str = "infra", **spec: Any) -> dict[str, Any]:
    """A Service on port 80, of port 8080."""
    body = {"ports": [{"name": "http", "port": 80, "targetPort": 8080}], **spec}
    return obj("v1", "Service", name, namespace, spec=body)


def endpoints(
    *addresses: str, name: str = "web", port: int = 8080, namespace: str = "infra", **conditions: bool
) -> dict[str, Any]:
    """The EndpointSlice of a Service; all of its endpoints are ready unless `conditions` say otherwise."""
    return obj(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        f"{name}-1",
        namespace,
        metadata={"labels": {"kubernetes.io/service-name": name}},
        addressType="IPv4",
        endpoints=[{"addresses": [each], "conditions": {"ready": True, **conditions}} for each in addresses],
        ports=[{"name": "http", "port": port, "protocol": "TCP"}],
    )


def app(*addresses: str, name: str = "web") -> list[dict[str, Any]]:
    """A Service with endpoints."""
    return [service(name), endpoints(*(addresses or ("10.9.9.9",)), name=name)]


class World:
    """What a test does and sees."""

    def __init__(self, client: Client, cloud: EmulatedAws, aws: Aws, network: str) -> None:
        self.client = client
        self.cloud = cloud
        self.aws = aws
        self.network = network

    @asynccontextmanager
    async def controller(self, **options: Any) -> AsyncIterator[GatewayLoadBalancers]:
        """A controller of its own, with a memory of its own, as after a restart."""
        async with AsyncExitStack() as stack:
            inputs = Inputs(Flow())
            given = {"cluster": CLUSTER, "resync": 600.0, "pace": SHORT, "linger": 0.0, "aws": self.aws, **options}
            made = GatewayLoadBalancers(self.client, given.pop("aws"), inputs, **given)
            self.watches = await stack.enter_async_context(Watches(self.client, inputs))
            await stack.enter_async_context(made)
            yield made

    async def settled(self, controller: GatewayLoadBalancers) -> None:
        """Return when all that the cluster holds now has come to where it leads."""
        for _ in range(2):
            await self.watches.caught_up()
            await controller.caught_up()
            await controller.idle()

    async def apply(self, *objects: dict[str, Any]) -> None:
        for each in objects:
            await self.client.apply(each, field_manager="test")

    async def delete(self, type_: Any, key: Key) -> None:
        await self.client.delete(type_, key)

    async def gone(self, type_: Any, key: Key) -> bool:
        try:
            await self.client.get(type_, key)
        except NotFound:
            return True
        return False

    # --- the cluster

    async def conditions(self, key: Key = GATEWAY) -> dict[str, Condition]:
        found = await self.client.get(Gateway, key)
        return {each.type: each for each in found.status.conditions}

    async def route_conditions(self, name: str = "web", namespace: str = "infra") -> dict[str, Condition]:
        """Of the only parent of a route."""
        found = await self.client.get(HTTPRoute, Key(namespace, name))
        (parent,) = found.status.parents
        return {each.type: each for each in parent.conditions}

    async def events(self, name: str = "shared") -> list[str]:
        found = await self.client.list(Event, "infra")
        return [f"{each.reason}: {each.message}" for each in found if each.involved_object.name == name]

    async def pod(self, name: str, address: str, *, gates: tuple[str, ...] = ()) -> Pod:
        """A pod at an address, all of whose containers are ready."""
        spec = {
            "containers": [{"name": "app", "image": "app"}],
            "readinessGates": [{"conditionType": gate} for gate in gates],
        }
        await self.apply(obj("v1", "Pod", name, spec=spec))
        ready = [{"type": "ContainersReady", "status": "True"}, {"type": "Ready", "status": "False"}]
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": ready}
        await self.client.patch(Pod, Key("infra", name), {"status": status}, subresource="status")
        return await self.client.get(Pod, Key("infra", name))

    # --- AWS

    async def load_balancer(self) -> views.LoadBalancer:
        """The only one."""
        (found,) = await views.load_balancers(self.aws)
        return found

    async def rules(self, port: int = 80) -> list[dict[str, Any]]:
        """The rules of a port in order, without the default one."""
        (listener,) = [
            each for each in await views.listeners(self.aws, (await self.load_balancer()).arn) if each.port == port
        ]
        found = await self.aws.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener.arn)
        return sorted((each for each in found if not each["IsDefault"]), key=lambda each: int(each["Priority"]))

    async def paths(self, port: int = 80) -> list[tuple[str, ...]]:
        """Of each rule its path patterns."""
        return [
            tuple(
                sorted(
                    value
                    for condition in each["Conditions"]
                    for value in (condition.get("PathPatternConfig") or {}).get("Values", ())
                )
            )
            for each in await self.rules(port)
        ]

    async def targets(self) -> dict[str, str]:
        """State by address, of all target groups."""
        groups = await views.target_groups(self.aws)
        found = [health for group in groups for health in await views.target_health(self.aws, group.arn)]
        return {f"{each.target.id}:{each.target.port}": each.state for each in found}

    async def left(self) -> list[str]:
        """Names of everything that is made for load balancers."""
        balancers, groups = await views.load_balancers(self.aws), await views.target_groups(self.aws)
        security = await self.aws.pages("ec2", "describe_security_groups", "SecurityGroups")
        certificates = await self.aws.pages("acm", "list_certificates", "CertificateSummaryList")
        tagged = [each["GroupName"] for each in security if each["GroupName"].startswith("k8s-")]
        return sorted(
            [
                *(each.name for each in balancers),
                *(each.name for each in groups),
                *tagged,
                *(each["DomainName"] for each in certificates),
            ]
        )

    def writes(self, before: Counter[Any]) -> dict[str, int]:
        """The calls that changed something since a count, by operation."""
        calls: Counter[str] = Counter()
        for call, count in (Counter(self.aws.calls) - before).items():
            if not call.operation.startswith(("describe", "list", "get")):
                calls[call.operation] += count
        return dict(calls)

    def reads(self, before: Counter[Any]) -> int:
        """How many other calls there were since, but for those that ask how targets are."""
        made = Counter(self.aws.calls) - before
        reading = ("describe", "list", "get")
        return sum(
            n
            for call, n in made.items()
            if call.operation.startswith(reading) and call.operation != "describe_target_health"
        )


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait until `check` holds; AWS has nothing to watch, so it is asked again and again."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@asynccontextmanager
async def gateway_world(block: Block, *, traffic: bool = False) -> AsyncIterator[World]:
    network = "10.0.0.0/16" if block.shared else str(block.network)
    async with (
        EmulatedAws(network, pace=PACE, traffic=traffic) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        world = World(client, cloud, aws, network)
        for name in ("alb", "nlb"):
            spec = {"controllerName": f"gateway.k8s.aws/{name}"}
            await world.apply(obj(API, "GatewayClass", name, "", spec=spec))
        await world.apply(obj("v1", "Namespace", "infra", ""))
        yield world
