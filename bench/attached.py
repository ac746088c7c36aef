"""Runs inside `gatewright up --exec`: creates and deletes routes and follows the Gateway's `attachedRoutes`.

python -m bench.attached ROUTES RUNS    prints one JSON line a run

As in gateway-api-bench's "attached routes": the time until the count is right, and how often the status is written.
That measures from the last creation on; here the time from the first one on is shown as well.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import msgspec

from bench.processes import cpu_seconds, quiet
from bench.routes import route
from gatewright.cluster import Client
from gatewright.cluster.client import path_of
from gatewright.model.gateway import Gateway, HTTPRoute
from gatewright.model.kinds import kind_of
from gatewright.model.meta import Key

_CONCURRENCY = 16


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class Follower:
    """The Gateway as a watch tells of it: the newest count of routes, when it came, and how many writes there were."""

    def __init__(self) -> None:
        self.count = -1
        self.writes = 0
        self.changed = asyncio.Event()

    async def follow(self, client: Client) -> None:
        """Watch until cancelled."""
        path = path_of(kind_of(Gateway), Key("bench", ""))
        rest = b""
        async with client.stream(path, {"watch": "true"}) as chunks:
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = msgspec.json.decode(line, type=_Event)
                    gateway = msgspec.json.decode(event.object, type=Gateway)
                    self.writes += event.type == "MODIFIED"
                    self.count = sum(listener.attached_routes for listener in gateway.status.listeners)
                    self.changed.set()

    async def until(self, count: int) -> float:
        """The time at which the Gateway was seen to count so many."""
        async with asyncio.timeout(120):
            while self.count != count:
                self.changed.clear()
                await self.changed.wait()
        return time.perf_counter()


async def _each(routes: int, one: Any) -> None:
    slots = asyncio.Semaphore(_CONCURRENCY)

    async def bounded(number: int) -> None:
        async with slots:
            await one(number)

    await asyncio.gather(*(bounded(number) for number in range(routes)))


async def main(routes: int, runs: int) -> None:
    control_plane = os.getppid()
    async with Client.connect(os.environ["KUBECONFIG"]) as client:
        follower = Follower()
        following = asyncio.create_task(follower.follow(client))
        await follower.until(0)
        for _ in range(runs):
            await quiet(control_plane)
            row: dict[str, Any] = {"routes": routes}
            follower.writes = 0
            for phase, one, count in (
                ("setup", lambda number: client.create(route("hosts", f"route-{number}")), routes),
                ("teardown", lambda number: client.delete(HTTPRoute, Key("bench", f"route-{number}")), 0),
            ):
                before, start = cpu_seconds(control_plane), time.perf_counter()
                await _each(routes, one)
                done = time.perf_counter()
                right = await follower.until(count)
                spent = cpu_seconds(control_plane) - before
                await quiet(control_plane)
                row[phase] = {
                    "requests": done - start,
                    "after": max(0.0, right - done),
                    "all": right - start,
                    "cpu": spent,
                    "cpu_all": cpu_seconds(control_plane) - before,
                }
                if follower.count != count:
                    raise ValueError(f"attachedRoutes: found {follower.count}, expected {count} to stay")
            row["writes"] = follower.writes
            print(json.dumps(row), flush=True)
        following.cancel()


if __name__ == "__main__":
    _, routes, runs = sys.argv
    asyncio.run(main(int(routes), int(runs)))
