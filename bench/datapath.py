"""Runs inside `gatewright up --exec`: what a request costs Envoy, beside an Envoy that does no more than forward.

python -m bench.datapath ROUNDS REQUESTS    prints one JSON line a kind of host

Both have the same backend, one worker thread and the same client; they take turns, so that both see the same machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import structlog

from bench.processes import envoy_of
from bench.routes import attached, route
from gatewright.cluster import Client
from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.model.discovery import EndpointSlice

_CONNECTIONS = 8
_EXTENSION = "type.googleapis.com/envoy.extensions.filters"
_HOSTS = {"exact": ("exact.example.com", "exact.example.com"), "wildcard": ("*.wild.test", "any.wild.test")}


def minimal(directory: Path, port: int, backend: tuple[str, int]) -> dict[str, Any]:
    """An Envoy of one listener, one route and one cluster."""
    router = {"name": "router", "typed_config": {"@type": f"{_EXTENSION}.http.router.v3.Router"}}
    manager = {
        "@type": f"{_EXTENSION}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "http",
        "http_filters": [router],
        "route_config": {
            "virtual_hosts": [
                {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}
            ]
        },
    }
    endpoint = {"endpoint": {"address": _address(*backend)}}
    return {
        "admin": {"address": {"pipe": {"path": str(directory / "admin.sock"), "mode": 0o600}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "http",
                    "address": _address("127.0.0.1", port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [
                {
                    "name": "app",
                    "load_assignment": {"cluster_name": "app", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        },
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


class Target:
    """An Envoy with keep-alive connections to it, which are used side by side."""

    def __init__(self, pid: int, host: str, port: int) -> None:
        self._pid = pid
        self._connections = [socket.create_connection((host, port), timeout=10) for _ in range(_CONNECTIONS)]

    def cost(self, host: str, requests: int) -> float:
        """CPU seconds of Envoy for one request to a host."""
        self._ask(host, _CONNECTIONS)
        before = self._cpu()
        self._ask(host, requests)
        return (self._cpu() - before) / requests

    def _cpu(self) -> float:
        """CPU seconds of all its threads, finer than the ticks of /proc/PID/stat."""
        tasks = Path(f"/proc/{self._pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def _ask(self, host: str, requests: int) -> None:
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        for _ in range(requests // _CONNECTIONS):
            for connection in self._connections:
                connection.sendall(request)
            for connection in self._connections:
                answer = connection.recv(65536)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"http://{host}/: found {answer[:40]!r}, expected a 200")


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def main(rounds: int, requests: int) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the rows go to the output
    edge = urlsplit(os.environ["EDGE_URL"])
    async with Client.connect(os.environ["KUBECONFIG"]) as client:
        for name, (hostname, _) in _HOSTS.items():
            made = route("hosts", name)
            made["spec"]["hostnames"] = [hostname]
            await client.create(made)
        await attached(client, len(_HOSTS))
        (members,) = await client.list(EndpointSlice, "bench")
    backend = (members.endpoints[0].addresses[0], int(members.ports[0].port or 0))
    port = free_port()
    with private_directory() as directory:
        async with EnvoyProcess(directory, minimal(directory, port, backend), concurrency=1) as process:
            await asyncio.sleep(2)
            ours = Target(envoy_of(os.getppid()), edge.hostname or "", edge.port or 80)
            least = Target(process.pid or 0, "127.0.0.1", port)
            for name, (_, host) in _HOSTS.items():
                pairs = [(ours.cost(host, requests), least.cost(host, requests)) for _ in range(rounds)]
                row = {
                    "host": name,
                    "edge": statistics.median(pair[0] for pair in pairs),
                    "least": statistics.median(pair[1] for pair in pairs),
                    "ratio": statistics.median(pair[0] / pair[1] for pair in pairs),
                }
                print(json.dumps(row), flush=True)


def table(rows: Iterable[dict[str, Any]]) -> None:
    """Print what `main` found."""
    print("data path: requests that one CPU second of Envoy serves, beside an Envoy that does no more than forward")
    print(f"{'host':10}{'edge':>9}{'least':>9}{'CPU, times the least':>23}")
    for row in rows:
        print(f"{row['host']:10}{1 / row['edge']:>9.0f}{1 / row['least']:>9.0f}{row['ratio']:>23.2f}", flush=True)
    print()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
