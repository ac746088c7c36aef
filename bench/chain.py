"""Runs inside `gatewright up examples/eks --exec`: what the chain ALB, NLB, Gateway costs, in time and in calls of AWS.

python -m bench.chain rebind RUNS          seconds from a deleted NLB to a healthy bound target of the next one
python -m bench.chain calls SIZE...        calls of AWS at rest and a change, beside so many routes
python -m bench.chain throughput SECONDS   requests a second through the chain, the Gateway alone, and an Envoy alone

Each prints one JSON line a row.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import structlog

from bench.datapath import free_port, minimal
from gatewright.aws import Aws, views
from gatewright.cluster import Client
from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.model.core import Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key

_SERVICE = Key("istio-ingress", "shared-gateway-istio")
_GROUP = "shared-gateway"
_POLL = 0.01  # seconds
_CONNECTIONS = 16


async def _bound(aws: Aws) -> tuple[set[str], set[str]]:
    """The target group's targets, and those of them that are healthy."""
    (group,) = await views.target_groups(aws, names=[_GROUP])
    found = await views.target_health(aws, group.arn)
    return {each.target.id for each in found}, {each.target.id for each in found if each.state == "healthy"}


async def _replaced(client: Client, aws: Aws) -> float:
    """Delete the Gateway's Service, and with it its NLB. Seconds until a target of the next one is healthy."""
    before, _ = await _bound(aws)
    start = time.perf_counter()
    await client.delete(Service, _SERVICE)
    while True:
        _, healthy = await _bound(aws)
        if healthy - before:
            seconds = time.perf_counter() - start
            break
        await asyncio.sleep(_POLL)
    while True:  # until what was there before has gone as well
        there, healthy = await _bound(aws)
        if there == healthy and not there & before:
            return seconds
        await asyncio.sleep(_POLL)


async def rebind(runs: int) -> None:
    """One row a run."""
    async with Client.connect(os.environ["KUBECONFIG"]) as client, Aws() as aws:
        for _ in range(runs):
            print(json.dumps({"seconds": await _replaced(client, aws)}), flush=True)


def _calls() -> Counter[str]:
    """All calls that the emulated AWS has answered, by operation."""
    with urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/_gatewright/calls", timeout=10) as answer:
        found = json.loads(answer.read())
    return Counter(
        {f"{service}:{name}": count for service, calls in found["calls"].items() for name, count in calls.items()}
    )


async def calls(sizes: list[int]) -> None:
    """One row a number of routes."""
    made = 0
    async with Client.connect(os.environ["KUBECONFIG"]) as client, Aws() as aws:
        for size in sizes:
            await asyncio.gather(*(client.create(_route(number)) for number in range(made, size)))
            made = size
            await asyncio.sleep(15)  # until nothing is polled faster than it is at rest
            before = _calls()
            await asyncio.sleep(60)
            rest = _calls() - before
            before = _calls()
            await client.create(_route(size + 1_000_000))
            await client.delete(HTTPRoute, Key("tenant-a", f"route-{size + 1_000_000}"))
            await asyncio.sleep(2)
            route = _calls() - before
            before, own = _calls(), aws.calls.total()
            await _replaced(client, aws)
            mine = aws.calls.total() - own
            change = _calls() - before
            row: dict[str, Any] = {"routes": size, "rest": dict(rest), "route": dict(route), "change": dict(change)}
            print(json.dumps({**row, "mine": mine}), flush=True)


def _route(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{number}", "namespace": "tenant-a"},
        "spec": {
            "parentRefs": [{"name": "shared-gateway", "namespace": "istio-ingress"}],
            "hostnames": [f"host-{number}.example.com"],
            "rules": [{"backendRefs": [{"name": "app1", "port": 8080}]}],
        },
    }


async def throughput(seconds: float) -> None:
    """One row a way to the pod; they take turns, so that all see the same machine."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the rows go to the output
    async with Client.connect(os.environ["KUBECONFIG"]) as client:
        slices = await client.list(EndpointSlice, "tenant-a", "kubernetes.io/service-name=app1")
    backend = (slices[0].endpoints[0].addresses[0], int(slices[0].ports[0].port or 0))
    port = free_port()
    with private_directory() as directory:
        async with EnvoyProcess(directory, minimal(directory, port, backend), name="alone", concurrency=1):
            ways = {
                "Envoy alone, in the clear": f"http://127.0.0.1:{port}",
                "the Gateway, TLS": os.environ["GATEWAY_HTTPS_URL"],
                "the chain, TLS twice": os.environ["EDGE_HTTPS_URL"],
            }
            await _listening(port)
            rates: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(3):
                for name, url in ways.items():
                    rates[name].append(await _rate(url, seconds))
    for name, found in rates.items():
        print(json.dumps({"way": name, "rates": found}), flush=True)


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def _rate(url: str, seconds: float) -> float:
    """Requests a second over connections that are kept open."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cafile=os.environ["EDGE_CA"]) if parts.scheme == "https" else None
    port = parts.port or (443 if context else 80)
    answered = 0
    end = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
        request = f"GET /app1 HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        while time.perf_counter() < end:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{url}: found {head[:40]!r}, expected a 200")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            answered += 1
        writer.close()

    start = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(_CONNECTIONS)))
    return answered / (time.perf_counter() - start)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "rebind":
        asyncio.run(rebind(int(arguments[0])))
    elif what == "calls":
        asyncio.run(calls([int(each) for each in arguments]))
    else:
        asyncio.run(throughput(float(arguments[0])))
