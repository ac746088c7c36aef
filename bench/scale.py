"""Runs inside `gatewright up --exec`: many namespaces of many applications, then changes here and there.

python -m bench.scale routes NAMESPACES APPLICATIONS SECONDS
python -m bench.scale listenersets NAMESPACES SETS ROUTES CHANGES    both print one JSON object

As in gateway-api-bench. "Route scale": every application has a Service, a pod and an HTTPRoute; then, for a while, one
of them gets or loses a pod every two seconds and one route is edited every second. "ListenerSet scale": every
application has a ListenerSet with an HTTPS listener and several HTTPRoutes on it. The pods are EndpointSlices of
addresses at which nobody listens, as that benchmark's pods are: what is measured is the control plane and the proxy.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from bench.probe import Probe
from bench.processes import Usage, envoy_of, quiet, usage
from gatewright.cluster import Client
from gatewright.local.certificates import Authority
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import Gateway, HTTPRoute, ListenerSet
from gatewright.model.meta import Key

Json = dict[str, Any]

_GATEWAY = "gateway.networking.k8s.io/v1"
_BENCH: Json = {"name": "bench", "namespace": "bench"}
_CONCURRENCY = 16
_SET: Json = {"group": "gateway.networking.k8s.io", "kind": "ListenerSet"}


def namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def application(where: str, name: str) -> list[Json]:
    """A Service and its one pod."""
    metadata: Json = {"name": name, "namespace": where}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}},
        endpoints(where, name, 1),
    ]


def endpoints(where: str, name: str, pods: int) -> Json:
    labels = {"kubernetes.io/service-name": name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": where, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 9}],
        "endpoints": [{"addresses": [f"127.9.0.{1 + pod}"], "conditions": {"ready": True}} for pod in range(pods)],
    }


def http_route(where: str, name: str, host: str, parent: Json, service: str, path: str = "/") -> Json:
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "backendRefs": [{"name": service, "port": 80}],
    }
    return {
        "apiVersion": _GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": where},
        "spec": {"hostnames": [host], "parentRefs": [parent], "rules": [rule]},
    }


_REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.example.com"}}


def secret(where: str, authority: Authority) -> Json:
    made = authority.issue(["*.example.com"])
    data = {"tls.crt": made.chain, "tls.key": made.private_key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "ns-cert", "namespace": where},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
    }


def listener_set(where: str, name: str, host: str) -> Json:
    listener = {
        "name": name,
        "hostname": host,
        "protocol": "HTTPS",
        "port": 443,
        "tls": {"mode": "Terminate", "certificateRefs": [{"name": "ns-cert"}]},
    }
    return {
        "apiVersion": _GATEWAY,
        "kind": "ListenerSet",
        "metadata": {"name": name, "namespace": where},
        "spec": {"parentRef": _BENCH, "listeners": [listener]},
    }


async def each(jobs: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Run all jobs, some at a time, begun in their order."""
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await job()

    await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))


async def create(client: Client, objects: Iterable[Json]) -> None:
    def job(obj: Json) -> Callable[[], Awaitable[object]]:
        return lambda: client.create(obj)

    await each(job(obj) for obj in objects)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Ask until something holds."""
    while not await true():  # noqa: ASYNC110 - another process is asked
        await asyncio.sleep(0.2)


async def gateway(client: Client) -> Gateway:
    return await client.get(Gateway, Key("bench", "bench"))


class Meter:
    """What the control plane and its Envoy use from one lap to the next."""

    def __init__(self) -> None:
        self.control_plane = os.getppid()
        self._pids = {"control plane": self.control_plane, "envoy": envoy_of(self.control_plane)}
        self._start = time.perf_counter()
        self._before = self._usages()

    def _usages(self) -> dict[str, Usage]:
        return {name: usage(pid) for name, pid in self._pids.items()}

    def lap(self) -> Json:
        """Seconds, CPU seconds and MiB since the last lap."""
        now, usages = time.perf_counter(), self._usages()
        row: Json = {"seconds": now - self._start}
        for name, used in usages.items():
            row[name] = {
                "cpu": used.cpu - self._before[name].cpu,
                "memory": used.memory,
                "grown": used.memory - self._before[name].memory,
            }
        self._start, self._before = now, usages
        return row


async def routes(client: Client, namespaces: int, applications: int, seconds: int) -> Json:
    edge = urlsplit(os.environ["EDGE_URL"])
    probe = await Probe.connect(edge.hostname or "", edge.port or 80)
    names = [(f"mesh-{n}", f"app-{a}") for n in range(namespaces) for a in range(applications)]
    meter = Meter()
    await quiet(meter.control_plane)
    meter.lap()
    await create(client, (namespace(f"mesh-{n}") for n in range(namespaces)))
    await create(client, (obj for where, name in names for obj in application(where, name)))
    result: Json = {"routes": len(names), "applications": meter.lap()}
    parent = {**_BENCH}
    await create(client, (http_route(w, n, f"{n}.{w}.example.com", parent, n) for w, n in names))

    async def counted() -> bool:
        listeners = (await gateway(client)).status.listeners
        return sum(listener.attached_routes for listener in listeners) == len(names)

    await until(counted)
    where, name = names[-1]
    await probe.until(f"{name}.{where}.example.com", "/", 503)
    result["created"] = meter.lap()
    await quiet(meter.control_plane)
    result["statuses"] = meter.lap()
    result["steady"] = await _steady(client, meter, names, seconds)
    return result


async def _steady(client: Client, meter: Meter, names: list[tuple[str, str]], seconds: int) -> Json:
    """A pod comes or goes every two seconds, and a route is edited every second."""
    chance = random.Random(7)
    two: set[tuple[str, str]] = set()
    end = time.perf_counter() + seconds
    tick = 0
    while time.perf_counter() < end:
        if tick % 2 == 0:
            where, name = chance.choice(names)
            two ^= {(where, name)}
            pods = endpoints(where, name, 1 + ((where, name) in two))["endpoints"]
            await client.patch(EndpointSlice, Key(where, name), {"endpoints": pods})
        where, name = chance.choice(names)
        rules = http_route(where, name, "", {}, name, f"/{chance.randrange(1 << 30)}")["spec"]["rules"]
        await client.patch(HTTPRoute, Key(where, name), {"spec": {"rules": rules}})
        tick += 1
        await asyncio.sleep(1)
    return {"changes": tick + (tick + 1) // 2, **meter.lap()}


async def listener_sets(client: Client, namespaces: int, sets: int, per_set: int, changes: int) -> Json:
    names = [(f"mesh-{n}", f"app-{n}-{s}") for n in range(namespaces) for s in range(sets)]
    meter = Meter()
    await quiet(meter.control_plane)
    meter.lap()
    authority = Authority.create("bench")
    await create(client, (namespace(f"mesh-{n}") for n in range(namespaces)))
    await create(client, [secret(f"mesh-{n}", authority) for n in range(namespaces)])
    await create(client, (obj for where, name in names for obj in application(where, name)))
    result: Json = {"sets": len(names), "routes": len(names) * per_set, "applications": meter.lap()}
    await create(client, (listener_set(where, name, f"{name}.example.com") for where, name in names))

    async def attached() -> bool:
        return (await gateway(client)).status.attached_listener_sets == len(names)

    await until(attached)
    result["listener sets"] = meter.lap()
    await create(
        client,
        (
            http_route(where, f"{name}-{r}", f"{name}.example.com", {**_SET, "name": name}, name, f"/{r}")
            for where, name in names
            for r in range(per_set)
        ),
    )
    where, name = names[-1]
    edge = urlsplit(os.environ.get("EDGE_HTTPS_URL") or "")
    host = f"{name}.example.com"
    async with asyncio.timeout(300):
        probe = await _secured(edge.hostname or "", edge.port or 443, host)
    await probe.until(host, f"/{per_set - 1}", 503, 300)
    result["created"] = meter.lap()
    await quiet(meter.control_plane)
    result["statuses"] = meter.lap()
    found = await client.get(ListenerSet, Key(where, name))
    result["attached"] = sum(listener.attached_routes for listener in found.status.listeners)
    delays = []
    for number in range(changes):
        key = Key(where, f"probe-{number}")
        # A redirect: where nobody listens, Envoy would try twice more, some 35 ms apart, before it answers.
        change = http_route(where, key.name, host, {**_SET, "name": name}, name, f"/p{number}")
        change["spec"]["rules"] = [{"matches": change["spec"]["rules"][0]["matches"], "filters": [_REDIRECT]}]
        await client.create(change)
        delays.append((await probe.until(host, f"/p{number}", 302))[0])
        await client.delete(HTTPRoute, key)
        await probe.until(host, f"/p{number}", 404)
    await quiet(meter.control_plane)
    delays.sort()
    result["changes"] = {"p50": delays[len(delays) // 2], "worst": delays[-1], "count": 2 * changes, **meter.lap()}
    return result


async def _secured(address: str, port: int, host: str) -> Probe:
    """A connection to a listener that may not be there yet."""
    while True:
        try:
            return await Probe.connect(address, port, host)
        except OSError:
            await asyncio.sleep(0.2)


async def main(scenario: str, *numbers: int) -> None:
    async with Client.connect(os.environ["KUBECONFIG"]) as client:
        run = routes if scenario == "routes" else listener_sets
        print(json.dumps(await run(client, *numbers)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
