"""A cluster's API, an emulated AWS, and the controller that makes load balancers of Ingresses between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import yaml

from gatewright.aws import Aws, views
from gatewright.cluster import Client
from gatewright.cluster import NotFound as Missing
from gatewright.controller.watches import Watches
from gatewright.edge.binding.groups import Pace
from gatewright.edge.gateways import GatewayLoadBalancers
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.state import Socket
from gatewright.local.block import Block
from gatewright.model.core import Event
from gatewright.model.meta import Key
from gatewright.model.networking import Ingress
from gatewright.resolve import Inputs

CLUSTER = "gatewright"
CLASS = "kind: IngressClass\nmetadata: {name: alb}\nspec: {controller: ingress.k8s.aws/alb}"
_VERSIONS = {"Ingress": "networking.k8s.io/v1", "IngressClass": "networking.k8s.io/v1"}


class Cluster:
    """What a test does and sees."""

    def __init__(self, client: Client, cloud: EmulatedAws, aws: Aws) -> None:
        self.client = client
        self.cloud = cloud
        self.aws = aws

    @asynccontextmanager
    async def running(self) -> AsyncIterator[GatewayLoadBalancers]:
        inputs = Inputs(Flow())
        pace = Pace(interval=0.5, fast=0.05)
        controller = GatewayLoadBalancers(self.client, self.aws, inputs, cluster=CLUSTER, pace=pace, linger=0.1)
        async with Watches(self.client, inputs), controller:
            yield controller

    async def apply(self, *manifests: str) -> None:
        for manifest in manifests:
            for document in yaml.safe_load_all(manifest):
                versioned = {"apiVersion": _VERSIONS.get(document["kind"], "v1")} | document
                await self.client.apply(versioned, field_manager="test")

    async def ingress(self, name: str = "web") -> Ingress | None:
        try:
            return await self.client.get(Ingress, Key("shop", name))
        except Missing:
            return None

    async def delete(self, name: str = "web") -> None:
        await self.client.delete(Ingress, Key("shop", name))

    async def hostname(self, name: str = "web") -> str:
        """The hostname that the Ingress has got; waits for it."""
        found: list[str] = []

        async def there() -> bool:
            each = await self.ingress(name)
            found[:] = [entry.hostname for entry in each.status.load_balancer.ingress] if each else []
            return bool(found)

        await until(there)
        return found[0]

    async def events(self, name: str = "web") -> list[str]:
        found = await self.client.list(Event, "shop")
        return [f"{each.reason}: {each.message}" for each in found if each.involved_object.name == name]

    async def left(self) -> list[str]:
        """Names of everything of ELBv2's that there is."""
        balancers, groups = await views.load_balancers(self.aws), await views.target_groups(self.aws)
        return sorted([*(each.name for each in balancers), *(each.name for each in groups)])

    async def get(self, path: str, *, host: str, port: int = 80) -> tuple[int, str]:
        """The status and body of the answer to a client of the only load balancer that listens at the port."""
        for balancer in await views.load_balancers(self.aws):
            for interface in await views.network_interfaces(self.aws, balancer):
                bound = self.cloud.state.sockets.get(Socket(interface.address, port, "TCP"))
                if bound is None:
                    continue
                with contextlib.suppress(OSError):
                    reader, writer = await asyncio.open_connection(bound.address, bound.port)
                    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
                    writer.close()
                    if head:
                        return int(head.split()[1]), body
        return 0, ""


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Wait until `check` holds; AWS has nothing to watch, so it is asked again and again."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def endpoints(name: str, port: int) -> str:
    """A ready endpoint of a Service at 127.0.0.1."""
    return yaml.dump(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }
    )


@asynccontextmanager
async def ingress_cluster(block: Block, *, traffic: bool = False) -> AsyncIterator[Cluster]:
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=50.0, traffic=traffic) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        cluster = Cluster(client, cloud, aws)
        await cluster.apply("kind: Namespace\nmetadata: {name: shop}", CLASS)
        yield cluster


__all__ = ["Any", "Cluster", "endpoints", "ingress_cluster", "until"]
