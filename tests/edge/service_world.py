"""A cluster's API, an emulated AWS, and the controller that makes load balancers of Services between them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from gatewright.aws import Aws, views
from gatewright.cluster import Client
from gatewright.cluster import NotFound as Missing
from gatewright.edge.nlb.services import ServiceLoadBalancers
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.block import Block
from gatewright.model.core import Event, Service
from gatewright.model.meta import Key

CLUSTER = "gatewright"
ANNOTATION = "service.beta.kubernetes.io/aws-load-balancer-"
PACE = 50.0


def service(name: str = "web", *, ports: list[dict[str, Any]] | None = None, **annotations: Any) -> dict[str, Any]:
    """A Service of type LoadBalancer with IP targets; `annotations` by what comes after the common prefix."""
    given = {"type": "external", "nlb-target-type": "ip", **{k.replace("_", "-"): v for k, v in annotations.items()}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "default",
            "annotations": {f"{ANNOTATION}{key}": value for key, value in given.items()},
        },
        "spec": {
            "type": "LoadBalancer",
            "selector": {"app": name},
            "ports": ports or [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }


def endpoint_slice(name: str, addresses: dict[str, bool], port: int = 8080, port_name: str = "http") -> dict[str, Any]:
    """The endpoints of a Service: addresses, and whether each is ready."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": ready}} for address, ready in addresses.items()],
        "ports": [{"name": port_name, "port": port, "protocol": "TCP"}],
    }


class World:
    """What a test does and sees."""

    def __init__(self, client: Client, cloud: EmulatedAws, aws: Aws) -> None:
        self.client = client
        self.cloud = cloud
        self.aws = aws

    def controller(self, **options: Any) -> ServiceLoadBalancers:
        given = {"resync": 600.0, "linger": 0.0, "patience": 0.5, "poll": 0.02, **options}
        return ServiceLoadBalancers(self.client, given.pop("aws", self.aws), **{"cluster": CLUSTER, **given})

    async def apply(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            await self.client.apply(obj, field_manager="test")

    async def service(self, name: str = "web") -> Service | None:
        try:
            return await self.client.get(Service, Key("default", name))
        except Missing:
            return None

    async def hostname(self, name: str = "web") -> str:
        """The hostname that the Service has got; waits for it."""
        found: list[str] = []

        async def there() -> bool:
            each = await self.service(name)
            found[:] = [entry.hostname for entry in each.status.load_balancer.ingress] if each else []
            return bool(found)

        await until(there)
        return found[0]

    async def load_balancer(self, name: str = "web") -> views.LoadBalancer:
        """The one that the Service names; while it is replaced, the name may be that of one that has gone."""
        found: list[views.LoadBalancer] = []

        async def there() -> bool:
            hostname = await self.hostname(name)
            found[:] = [each for each in await views.load_balancers(self.aws) if each.dns_name == hostname]
            return bool(found)

        await until(there)
        return found[0]

    async def target_groups(self, name: str = "web") -> list[views.TargetGroup]:
        found = await views.target_groups(self.aws, load_balancer=(await self.load_balancer(name)).arn)
        return sorted(found, key=lambda group: group.port)

    async def targets(self, name: str = "web") -> set[tuple[str, int]]:
        return {
            (health.target.id, health.target.port)
            for group in await self.target_groups(name)
            for health in await views.target_health(self.aws, group.arn)
            if health.state != "draining"
        }

    async def warnings(self, name: str = "web") -> list[str]:
        events = await self.client.list(Event, "default")
        return [
            f"{event.reason}: {event.message}"
            for event in events
            if event.type == "Warning" and event.involved_object.name == name
        ]

    async def left(self) -> list[str]:
        """Names of everything of ELBv2's that there is."""
        balancers, groups = await views.load_balancers(self.aws), await views.target_groups(self.aws)
        return sorted([*(each.name for each in balancers), *(each.name for each in groups)])


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait until `check` holds; AWS has nothing to watch, so it is asked again and again."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def spent(before: Counter[Any], after: Counter[Any]) -> dict[str, int]:
    """The calls between two counts, by operation."""
    calls: Counter[str] = Counter()
    for call, count in (after - before).items():
        calls[call.operation] += count
    return dict(calls)


@asynccontextmanager
async def service_world(block: Block, *, traffic: bool = False) -> AsyncIterator[World]:
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=PACE, traffic=traffic) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        yield World(client, cloud, aws)
