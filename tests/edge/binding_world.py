"""A cluster's API, an emulated AWS with traffic and health checks, and the controller of EdgeBindings between them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from tests.edge.service_world import until

from gatewright.aws import Aws, views
from gatewright.cluster import Client, NotFound
from gatewright.controller import GatewayController
from gatewright.edge.binding.bindings import EdgeBindings
from gatewright.edge.binding.groups import Pace
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.block import Block
from gatewright.model.core import Service
from gatewright.model.edgebinding import BoundTarget, EdgeBinding
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Addresses, Inputs, resolve

__all__ = ["BindingWorld", "Proxy", "binding", "binding_world", "gateway", "route", "until"]

OURS = "example.com/ours"
PACE = 50.0
GATEWAY = Key("infra", "shared")
SHORT = Pace(interval=0.2, fast=0.05, resync=1.0)


def obj(api: str, kind: str, name: str, namespace: str = "infra", **body: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **body.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def gateway(*listeners: dict[str, Any], name: str = "shared", namespace: str = "infra") -> dict[str, Any]:
    """A Gateway; one HTTP listener on port 80 for all namespaces unless others are given."""
    everyone = {"namespaces": {"from": "All"}}
    given = listeners or ({"name": "http", "port": 80, "protocol": "HTTP"},)
    spec = {"gatewayClassName": "ours", "listeners": [{"allowedRoutes": everyone, **one} for one in given]}
    return obj("gateway.networking.k8s.io/v1", "Gateway", name, namespace, spec=spec)


def route(name: str = "health", path: str = "/healthz/ready", **spec: Any) -> dict[str, Any]:
    """A route that answers a path by a Service of the same name."""
    rule = {"matches": [{"path": {"type": "Exact", "value": path}}], "backendRefs": [{"name": name, "port": 80}]}
    given = {"parentRefs": [{"name": "shared"}], "rules": [rule], **spec}
    return obj("gateway.networking.k8s.io/v1", "HTTPRoute", name, spec=given)


def backend(name: str = "health", address: str = "10.9.9.9") -> list[dict[str, Any]]:
    """A Service with an endpoint."""
    return [
        obj("v1", "Service", name, spec={"ports": [{"port": 80}]}),
        endpoints(name, {address: True}, {"": 8080}),
    ]


def gateway_service(kind: str = "LoadBalancer", name: str = "shared-istio", port: int = 80) -> dict[str, Any]:
    """The Service of the Gateway."""
    labels = {"gateway.networking.k8s.io/gateway-name": "shared"}
    spec = {"type": kind, "ports": [{"name": "http", "port": port}]}
    return obj("v1", "Service", name, metadata={"labels": labels}, spec=spec)


def endpoints(service: str, addresses: dict[str, bool], ports: dict[str, int], slice_: str = "1") -> dict[str, Any]:
    """An EndpointSlice: addresses, and whether each is ready."""
    return obj(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        f"{service}-{slice_}",
        metadata={"labels": {"kubernetes.io/service-name": service}},
        addressType="IPv4",
        endpoints=[{"addresses": [address], "conditions": {"ready": ready}} for address, ready in addresses.items()],
        ports=[{"name": name, "port": port, "protocol": "TCP"} for name, port in ports.items()],
    )


def binding(name: str = "front", port: int = 80, namespace: str = "infra", **spec: Any) -> dict[str, Any]:
    """An EdgeBinding to target group `front`."""
    given = {"gatewayRef": {"name": "shared"}, "port": port, "aws": {"targetGroup": {"name": "front"}}, **spec}
    return obj("gatewright.dev/v1alpha1", "EdgeBinding", name, namespace, spec=given)


class Proxy:
    """A Gateway's pod, as health checks see it: `answers` by path, 404 for any other."""

    def __init__(self) -> None:
        self.answers = {"/healthz/ready": 200}
        self.asked: list[str] = []
        """Requests as `path host`."""
        self.address = ""
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, address: str, tls: ssl.SSLContext | None = None, port: int = 0) -> Proxy:
        self._server = await asyncio.start_server(self._serve, address, port, ssl=tls)
        self.address, self.port = self._server.sockets[0].getsockname()[:2]
        return self

    def stop(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                path = head.split(" ")[1]
                host = next((line[6:] for line in head.split("\r\n") if line.lower().startswith("host: ")), "")
                self.asked.append(f"{path} {host}")
                writer.write(f"HTTP/1.1 {self.answers.get(path, 404)} x\r\ncontent-length: 0\r\n\r\n".encode())
        writer.close()


class BindingWorld:
    """What a test does and sees."""

    def __init__(
        self, client: Client, cloud: EmulatedAws, aws: Aws, network: str, stack: AsyncExitStack, *, secrets: bool
    ) -> None:
        self.client = client
        self.cloud = cloud
        self.aws = aws
        self.inputs = Inputs(Flow(), secrets=secrets)
        self.resolution = resolve(self.inputs, frozenset({OURS}))
        self._stack = stack
        self._prefix = network.rpartition(".")[0].rpartition(".")[0]
        self._numbers = iter(range(1, 250))

    def controller(self, **options: Any) -> EdgeBindings:
        given = {"pace": SHORT, "aws": self.aws, **options}
        return EdgeBindings(self.client, given.pop("aws"), self.inputs, self.resolution, **given)

    # --- the cluster

    async def apply(self, *objects: dict[str, Any]) -> None:
        for each in objects:
            await self.client.apply(each, field_manager="test")

    async def delete(self, type_: Any, name: str) -> None:
        await self.client.delete(type_, Key("infra", name))

    async def gateway_at(self, *addresses: str) -> None:
        """Give the Gateway addresses: IP addresses or host names."""
        kinds = ("IPAddress", "Hostname")
        values = tuple(GatewayStatusAddress(type=kinds[any(map(str.isalpha, a))], value=a) for a in addresses)
        self.inputs.addresses.set(GATEWAY, Addresses(values))

        async def told() -> bool:
            found = await self.client.get(Gateway, GATEWAY)
            return [each.value for each in found.status.addresses] == list(addresses)

        await until(told)

    async def binding(self, name: str = "front") -> EdgeBinding | None:
        try:
            return await self.client.get(EdgeBinding, Key("infra", name))
        except NotFound:
            return None

    async def service(self, name: str = "shared-istio") -> Service | None:
        try:
            return await self.client.get(Service, Key("infra", name))
        except NotFound:
            return None

    async def load_balancer_of(self, service: str, hostname: str) -> None:
        status = {"status": {"loadBalancer": {"ingress": [{"hostname": hostname}]}}}
        await self.client.patch(Service, Key("infra", service), status, subresource="status")

    async def told(self, type_: str, check: Callable[[Condition], bool], name: str = "front") -> Condition:
        """A condition of a binding, once `check` holds for it."""
        found: list[Condition] = []

        async def holds() -> bool:
            each = await self.binding(name)
            found[:] = [one for one in each.status.conditions if one.type == type_] if each else []
            return bool(found) and check(found[0])

        try:
            await until(holds)
        except TimeoutError as error:
            raise AssertionError(f"{type_} stays {found}") from error
        return found[0]

    async def condition(self, type_: str, status: str, reason: str = "", name: str = "front") -> Condition:
        return await self.told(type_, lambda c: c.status == status and reason in ("", c.reason), name)

    async def bound_targets(self, name: str = "front") -> list[BoundTarget]:
        found = await self.binding(name)
        return list(found.status.targets) if found else []

    # --- AWS

    async def proxy(self, **how: Any) -> Proxy:
        """A new pod of the Gateway, on an address of the VPC."""
        proxy = await Proxy().start(f"{self._prefix}.200.{next(self._numbers)}", **how)
        self._stack.callback(proxy.stop)
        return proxy

    async def target_group(self, name: str = "front", *, delay: int = 10, **options: Any) -> str:
        """A target group of ip targets that drain for `delay` seconds; its ARN."""
        given = {
            "Name": name,
            "Protocol": "HTTP",
            "Port": 80,
            "VpcId": self.cloud.seeded.vpc,
            "TargetType": "ip",
            "HealthCheckPath": "/healthz/ready",
            "HealthCheckIntervalSeconds": 5,
            "HealthCheckTimeoutSeconds": 2,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 2,
            **options,
        }
        if given["Protocol"] == "TCP":
            for key in ("HealthCheckPath",):
                given.pop(key)
        made = await self.cloud.call("elbv2", "create_target_group", **given)
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
        drains = {"Key": "deregistration_delay.timeout_seconds", "Value": str(delay)}
        await self.cloud.call("elbv2", "modify_target_group_attributes", TargetGroupArn=arn, Attributes=[drains])
        return arn

    async def balancer(self, name: str, kind: str, group: str, port: int = 80) -> views.LoadBalancer:
        """A load balancer (application or network) with a listener that forwards to a target group."""
        made = await self.cloud.call(
            "elbv2",
            "create_load_balancer",
            Name=name,
            Type=kind,
            Scheme="internal",
            Subnets=self.cloud.seeded.private,
        )
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        protocol = "HTTP" if kind == "application" else "TCP"
        await self.listener(arn, group, port, protocol)
        return (await views.load_balancers(self.aws, arns=[arn]))[0]

    async def listener(self, arn: str, group: str, port: int = 80, protocol: str = "HTTP") -> None:
        await self.cloud.call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=arn,
            Protocol=protocol,
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )

    async def nlb(self, name: str, *proxies: Proxy) -> views.LoadBalancer:
        """An NLB in front of pods, on port 80."""
        group = await self.target_group(f"{name}-pods", Protocol="TCP", HealthCheckProtocol="TCP")
        made = await self.balancer(name, "network", group)
        cross_zone = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
        await self.cloud.call(
            "elbv2", "modify_load_balancer_attributes", LoadBalancerArn=made.arn, Attributes=[cross_zone]
        )
        await self.register(group, *((proxy.address, proxy.port) for proxy in proxies))
        return made

    async def register(self, group: str, *targets: tuple[str, int]) -> None:
        members = [{"Id": address, "Port": port} for address, port in targets]
        await self.cloud.call("elbv2", "register_targets", TargetGroupArn=group, Targets=members)

    async def deregister(self, group: str, *targets: tuple[str, int]) -> None:
        members = [{"Id": address, "Port": port} for address, port in targets]
        await self.cloud.call("elbv2", "deregister_targets", TargetGroupArn=group, Targets=members)

    async def addresses(self, balancer: views.LoadBalancer) -> set[str]:
        return {each.address for each in await views.network_interfaces(self.aws, balancer)}

    async def targets(self, group: str) -> dict[tuple[str, int], str]:
        """States of the targets of a group."""
        return {(h.target.id, h.target.port): h.state for h in await views.target_health(self.aws, group)}

    async def registered(self, group: str) -> set[tuple[str, int]]:
        return {key for key, state in (await self.targets(group)).items() if state != "draining"}

    async def until_registered(self, group: str, wanted: set[tuple[str, int]], state: str = "") -> None:
        async def holds() -> bool:
            found = {k: s for k, s in (await self.targets(group)).items() if s != "draining"}
            return found.keys() == wanted and (not state or set(found.values()) <= {state})

        try:
            await until(holds)
        except TimeoutError as error:
            told = msgspec.to_builtins(await self.client.list(EdgeBinding))
            raise AssertionError(f"registered: {await self.targets(group)}, wanted {wanted}; {told}") from error


@asynccontextmanager
async def binding_world(block: Block, *, secrets: bool = True) -> AsyncIterator[BindingWorld]:
    """The world; without `secrets` nobody in it reads those of the cluster."""
    network = "10.0.0.0/16" if block.shared else str(block.network)
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(EmulatedAws(network, pace=PACE))
        server = await stack.enter_async_context(ApiServer(Store.memory()))
        client = await stack.enter_async_context(Client.with_token(server.url, server.token, server.ca_certificate))
        aws = await stack.enter_async_context(
            Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test"))
        )
        world = BindingWorld(client, cloud, aws, network, stack, secrets=secrets)
        controller = GatewayController(client, world.inputs, world.resolution, [OURS])
        await stack.enter_async_context(controller)
        await world.apply(
            obj("gateway.networking.k8s.io/v1", "GatewayClass", "ours", "", spec={"controllerName": OURS}),
            obj("v1", "Namespace", "infra", ""),
        )
        yield world
