"""An embedded API with a client, for tests of the workloads as its clients."""

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.cluster import Client, Reflector
from gatewright.flow import Flow, Source
from gatewright.local.apiserver.server import ApiServer
from gatewright.local.workloads import PodAddresses
from gatewright.model import apps, core, discovery
from gatewright.model.meta import Key

ECHO_BASIC = "registry.k8s.io/gateway-api/echo-basic:v1.5.1"
KUBECTL = shutil.which("kubectl")


@dataclass
class Edge:
    """A running embedded API, a client, and what a test waits for."""

    server: ApiServer
    client: Client
    kubeconfig: Path
    pods: Source[Key, core.Pod]
    slices: Source[Key, discovery.EndpointSlice]
    deployments: Source[Key, apps.Deployment]
    changed: asyncio.Event
    addresses: PodAddresses

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Return what `holds` returns, once that is true."""
        async with asyncio.timeout(60):
            while not (found := holds()):
                self.changed.clear()
                await self.changed.wait()
            return found

    def endpoints(self, service: str) -> list[tuple[str, int]]:
        """The ready endpoints of a Service."""
        return sorted(
            (endpoint.addresses[0], port.port or 0)
            for slice_ in self.slices.values()
            if slice_.service_name == service
            for endpoint in slice_.endpoints
            for port in slice_.ports
            if endpoint.conditions.ready
        )

    async def events(self) -> set[tuple[str, str]]:
        """The events so far, by reason and message."""
        seen: Source[Key, core.Event] = Flow().source("events")
        reflector = Reflector(self.client, core.Event, seen)
        task = asyncio.create_task(reflector.run())
        await reflector.synced()
        task.cancel()
        return {(event.reason, event.message) for event in seen.values()}

    async def kubectl(self, *args: str) -> str:
        """Run kubectl; its output. Fails the test when it fails."""
        assert KUBECTL
        process = await asyncio.create_subprocess_exec(
            KUBECTL,
            *args,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode()
        return output.decode()


async def start_edge(server: ApiServer, folder: Path) -> tuple[Edge, list[asyncio.Task[None]]]:
    kubeconfig = server.write_kubeconfig(folder / "kubeconfig")
    client = Client.connect(kubeconfig)
    flow, changed = Flow(), asyncio.Event()
    # A network of its own, so that tests may run side by side.
    third, second = divmod(os.getpid() % (187 * 256), 187)
    addresses = PodAddresses(f"127.{64 + second}.{third}.0/24")
    edge = Edge(
        server,
        client,
        kubeconfig,
        flow.source("pods"),
        flow.source("slices"),
        flow.source("deployments"),
        changed,
        addresses,
    )
    for source in (edge.pods, edge.slices, edge.deployments):
        source.subscribe(lambda _: changed.set())
    reflectors = (
        Reflector(client, core.Pod, edge.pods).run(),
        Reflector(client, discovery.EndpointSlice, edge.slices).run(),
        Reflector(client, apps.Deployment, edge.deployments).run(),
    )
    return edge, [asyncio.create_task(run) for run in reflectors]


async def stop_edge(edge: Edge, tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await edge.client.close()


def deployment(
    name: str, replicas: int, *args: str, image: str = "hashicorp/http-echo:1.0", **pod: Any
) -> dict[str, Any]:
    container = {"name": "echo", "image": image, "args": list(args), **pod.pop("container", {})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **pod},
            },
        },
    }


def service(name: str, target: int | str, port: int = 80, selector: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "selector": {"app": selector or name},
            "ports": [{"port": port, "targetPort": target, "protocol": "TCP", "name": "http"}],
        },
    }


async def get(address: tuple[str, int], path: str = "/") -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head[9:12]), body
