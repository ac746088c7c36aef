"""A hand-written Topology served by a real Envoy."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY, Echo, Response, World, free_port, loopback, request
from tests.envoy.scripted import Scripts

from gatewright.envoy import ports as envoy_ports
from gatewright.envoy.edge import EnvoyEdge
from gatewright.envoy.listeners import Binding


@pytest.fixture
def address() -> str:
    """A loopback address of this test's own."""
    return loopback()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with AsyncExitStack() as stack:
        yield Echo(stack)


@pytest.fixture
async def script() -> AsyncIterator[Scripts]:
    async with AsyncExitStack() as stack:
        yield Scripts(stack)


@pytest.fixture
async def edge(world: World, address: str) -> AsyncIterator[EnvoyEdge]:
    """A running edge with ports 80, 8080 and 443 bound elsewhere; the world is empty."""
    ports = {80: free_port(address), 8080: free_port(address), 443: free_port(address)}
    world.bindings.set(GATEWAY, Binding(address, ports))
    async with EnvoyEdge(
        world.flow, world.topology, world.bindings, world.rejections, world.ports, concurrency=1
    ) as edge:
        yield edge


@pytest.fixture(params=["few listeners", "many listeners"])
def few_or_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port of many TLS listeners is served in another way; the test is run with both."""
    if request.param == "many listeners":
        monkeypatch.setattr(envoy_ports, "CROWD", 0)


Get = Callable[..., Any]


@pytest.fixture
def get(world: World, edge: EnvoyEdge) -> Get:
    """Ask the edge once it is settled: `await get("/path", host=..., port=80)`."""

    async def ask(path: str = "/", port: int = 80, **how: Any) -> Response:
        await asyncio.wait_for(edge.settled(), 60)
        binding = world.bindings[GATEWAY]
        return await request(binding.host, binding.ports[port], path, **how)

    return ask
