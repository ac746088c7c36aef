"""The chart in a cluster: its pods run the controller, with the rights that the chart gives them and no others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.deploy.chart import CLUSTER, NAMESPACE, rendered

from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.apiserver.authorization import Attributes, Decision, User
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.endpoint import environment
from gatewright.local.block import Block
from gatewright.local.workloads import PodAddresses, Programs, Workloads
from gatewright.model.apps import Deployment
from gatewright.model.core import Pod, Service
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key

pytestmark = pytest.mark.xdist_group("controller command")

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:gatewright"
DEPLOYMENT = Key(NAMESPACE, "gatewright")
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/gatewright"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gatewright-controller"

APP: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "hashicorp/http-echo:1.0"}]},
            },
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "annotations": {"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"},
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "service.k8s.aws/nlb",
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 5678}],
        },
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "alb"},
        "spec": {"controllerName": "gateway.k8s.aws/alb"},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"gatewayClassName": "alb", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "parentRefs": [{"name": "web"}],
            "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
        },
    },
]


class Cluster:
    """An embedded API whose pods run, with an emulated AWS beside it."""

    def __init__(self, server: ApiServer, client: Client) -> None:
        self.server, self.client = server, client
        self.denied: list[tuple[str, Attributes]] = []
        self.decided = asyncio.Event()
        server.api.audit = self._audit

    def _audit(self, user: User, asked: Attributes, decision: Decision) -> None:
        if not decision.allowed:
            self.denied.append((user.name, asked))
        self.decided.set()

    async def apply(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            await self.client.apply(obj, field_manager="test")

    async def read(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await self.client.request("GET", path))
        return found

    async def until(self, holds: Callable[[], Awaitable[Any]], seconds: float = 60) -> Any:
        """What `holds` returns, once that is true: whenever somebody has asked the API for something."""
        async with asyncio.timeout(seconds):
            while not (found := await holds()):
                self.decided.clear()
                await self.decided.wait()
            return found

    async def controllers(self) -> list[Pod]:
        return [pod for pod in await self.client.list(Pod, NAMESPACE) if not pod.deleting]

    async def log(self, pod: str) -> str:
        return (await self.client.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/log")).decode()


@asynccontextmanager
async def running_cluster(folder: Path) -> AsyncIterator[Cluster]:
    block = Block()
    try:
        network = "10.0.0.0/16" if block.shared else block.network
        async with (
            EmulatedAws(network, pace=50.0, cluster="prod", traffic=False) as cloud,
            ApiServer(Store.memory(), graceful_pods=True) as server,
            Client.with_token(server.url, server.token, server.ca_certificate) as client,
        ):
            programs = Programs(
                folder=folder / "programs",
                authority=server.ca_certificate,
                identity=lambda account: environment(cloud.url) if account == DEPLOYMENT else {},
            )
            addresses = PodAddresses(str(block.pods), own=not block.shared)
            async with Workloads(client, addresses=addresses, programs=programs) as workloads:
                server.logs.register(workloads.logs)
                yield Cluster(server, client)
    finally:
        block.close()


def processes(folder: Path) -> set[int]:
    """The processes that have their folder in `folder`."""
    found = set()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(each / "cwd")).is_relative_to(folder):
                found.add(int(each.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="processes are counted by /proc")
async def test_its_pods_are_controllers_with_the_rights_of_the_chart(tmp_path: Path) -> None:
    features = ["gateways", "ingresses", "services", "edge-bindings", "dns", "certificates"]
    objects = rendered(CLUSTER | {"region": "us-east-1", "features": features})
    async with running_cluster(tmp_path) as cluster:
        client = cluster.client
        await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *APP)
        await cluster.apply(*objects)

        async def available() -> bool:
            return (await client.get(Deployment, DEPLOYMENT)).status.available_replicas == 2

        await cluster.until(available)
        assert len(processes(tmp_path)) == 2

        async def made() -> bool:
            service = await client.get(Service, Key("shop", "web"))
            gateway = await client.get(Gateway, Key("shop", "web"))
            programmed = any(each.type == "Programmed" and each.status == "True" for each in gateway.status.conditions)
            return bool(service.status.load_balancer.ingress) and programmed

        await cluster.until(made)
        logs = {pod.name: await cluster.log(pod.name) for pod in await cluster.controllers()}
        assert cluster.denied == []
        assert not [line for log in logs.values() for line in log.splitlines() if '"error"' in line]
        (leader,) = [name for name, log in logs.items() if '"running"' in log]

        # The leader's end is orderly: it gives the lease back, and the other one goes on at once.
        await client.delete(Pod, Key(NAMESPACE, leader))
        (follower,) = set(logs) - {leader}

        async def taken_over() -> bool:
            return '"running"' in await cluster.log(follower)

        async def replaced() -> bool:
            return leader not in {pod.name for pod in await client.list(Pod, NAMESPACE)} and await available()

        await cluster.until(taken_over)
        await cluster.until(replaced)
        assert len(processes(tmp_path)) == 2

        # What the chart's rules don't give, nobody has.
        role = await cluster.read(ROLE)
        kept = [rule for rule in role["rules"] if rule["resources"] != ["services/status"]]
        assert len(kept) == len(role["rules"]) - 1
        await client.request("PUT", ROLE, body=msgspec.json.encode(role | {"rules": kept}))
        await cluster.apply({**APP[2], "metadata": {**APP[2]["metadata"], "name": "second"}})

        async def refused() -> bool:
            return bool(cluster.denied)

        await cluster.until(refused)
        assert set(cluster.denied) == {(ACCOUNT, Attributes("patch", "", "services", "status", "shop", "second"))}
        told = (
            f'services \\"second\\" is forbidden: User \\"{ACCOUNT}\\" cannot patch resource \\"services/status\\" '
            'in API group \\"\\" in the namespace \\"shop\\"'
        )

        async def logged() -> bool:
            return told in await cluster.log(follower)

        await cluster.until(logged)
    assert processes(tmp_path) == set()
    assert list((tmp_path / "programs").iterdir()) == []
