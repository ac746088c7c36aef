"""Runs inside `gatewright up --exec`: grows the number of routes and measures what one more costs.

python -m bench.routes LAYOUT CHANGES SIZE...    prints one JSON line a size
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit

from bench.probe import Probe
from bench.processes import cpu_seconds, quiet
from gatewright.cluster import Client
from gatewright.model.gateway import Gateway, HTTPRoute
from gatewright.model.meta import Key

_APART = 0.2


def route(layout: str, name: str) -> dict[str, Any]:
    """A route of its own host (`hosts`), or of a path of its own on the one host that all share (`paths`)."""
    spec: dict[str, Any] = {
        "parentRefs": [{"name": "bench"}],
        "rules": [{"backendRefs": [{"name": "app", "port": 8080}]}],
    }
    if layout == "hosts":
        spec["hostnames"] = [f"{name}.example.com"]
    else:
        spec["rules"][0]["matches"] = [{"path": {"type": "PathPrefix", "value": f"/{name}"}}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "bench"},
        "spec": spec,
    }


def request(layout: str, name: str) -> tuple[str, str]:
    """Host and path that the route answers."""
    return (f"{name}.example.com", "/") if layout == "hosts" else ("example.com", f"/{name}")


async def attached(client: Client, count: int) -> None:
    """Wait until the Gateway counts `count` routes."""
    while True:
        gateway = await client.get(Gateway, Key("bench", "bench"))
        if sum(listener.attached_routes for listener in gateway.status.listeners) == count:
            return
        await asyncio.sleep(0.2)


async def grow(client: Client, layout: str, start: int, size: int) -> None:
    slots = asyncio.Semaphore(8)

    async def create(number: int) -> None:
        async with slots:
            await client.create(route(layout, f"route-{number}"))

    await asyncio.gather(*(create(number) for number in range(start, size)))


async def cost(client: Client, pid: int, layout: str, changes: int) -> float:
    """CPU seconds of the control plane for one route's creation or deletion, with the statuses that follow from it.

    The changes are apart, so that none shares its status writes with another.
    """
    before = cpu_seconds(pid)
    for number in range(changes):
        await client.create(route(layout, f"cost-{number}"))
        await asyncio.sleep(_APART)
        await client.delete(HTTPRoute, Key("bench", f"cost-{number}"))
        await asyncio.sleep(_APART)
    await quiet(pid)
    return (cpu_seconds(pid) - before) / (2 * changes)


async def main(layout: str, changes: int, sizes: list[int]) -> None:
    edge = urlsplit(os.environ["EDGE_URL"])
    control_plane = os.getppid()
    probe = await Probe.connect(edge.hostname or "", edge.port or 80)
    async with Client.connect(os.environ["KUBECONFIG"]) as client:
        size = 0
        for target in sizes:
            await grow(client, layout, size, target)
            size = target
            await attached(client, size)
            await probe.until(*request(layout, f"route-{size - 1}"), 200)
            await quiet(control_plane)
            delays, others = [], set()
            for number in range(changes):
                name = f"probe-{number}"
                assert await probe.status(*request(layout, name)) == 404
                await client.create(route(layout, name))
                delay, seen = await probe.until(*request(layout, name), 200)
                delays.append(delay)
                others |= seen - {404}
                await client.delete(HTTPRoute, Key("bench", name))
                await probe.until(*request(layout, name), 404)
            await quiet(control_plane)
            cpu = await cost(client, control_plane, layout, changes)
            delays.sort()
            result = {
                "layout": layout,
                "routes": size,
                "p50": delays[len(delays) // 2],
                "p99": delays[min(len(delays) - 1, int(len(delays) * 0.99))],
                "worst": delays[-1],
                "cpu": cpu,
                "others": sorted(others),
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    _, layout, changes, *sizes = sys.argv
    asyncio.run(main(layout, int(changes), [int(size) for size in sizes]))
