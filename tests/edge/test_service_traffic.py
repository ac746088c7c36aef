"""What the load balancer of a Service carries: connections to its endpoints, while all of this changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from tests.edge.service_world import World, endpoint_slice, service, service_world, until

from gatewright.aws import views
from gatewright.local.aws.state import Socket
from gatewright.local.block import Block

PORT = 18080


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    async with service_world(block, traffic=True) as world:
        yield world


@pytest.fixture
async def endpoint() -> AsyncIterator[int]:
    """The port of a pod at 127.0.0.1 that says its name."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):  # a health check says nothing
            writer.write(b"web")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


PORTS = [{"name": "http", "port": PORT, "targetPort": 8080}]


async def ask(world: World) -> bytes:
    """What a client gets that knows the Service's hostname as it is now; it tries its addresses in turn."""
    made = await world.load_balancer()
    for interface in await views.network_interfaces(world.aws, made):
        bound = world.cloud.state.sockets.get(Socket(interface.address, PORT, "TCP"))
        if bound is None:
            continue
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(bound.address, bound.port)
            writer.write(b"?")
            answer = await reader.read()
            writer.close()
            if answer:
                return answer
    return b""


async def test_it_leads_to_the_ready_endpoints(world: World, endpoint: int) -> None:
    await world.apply(service(ports=PORTS), endpoint_slice("web", {"127.0.0.1": True}, endpoint))
    async with world.controller():

        async def answers() -> bool:
            return await ask(world) == b"web"

        await until(answers)
        [group] = await world.target_groups()

        async def healthy() -> bool:
            return [each.state for each in await views.target_health(world.aws, group.arn)] == ["healthy"]

        await until(healthy)


async def test_who_follows_the_hostname_loses_nothing_when_it_is_replaced(world: World, endpoint: int) -> None:
    await world.apply(service(ports=PORTS), endpoint_slice("web", {"127.0.0.1": True}, endpoint))
    # A client that has read the hostname connects within `linger`, however slow it is.
    async with world.controller(patience=3600.0, linger=3600.0):

        async def answers() -> bool:
            return await ask(world) == b"web"

        await until(answers)
        old = await world.load_balancer()
        replaced, lost = 0, 0
        await world.apply(service(ports=PORTS, scheme="internet-facing"))
        async with asyncio.timeout(60):
            while replaced < 5:
                lost += await ask(world) != b"web"
                replaced += (await world.load_balancer()).arn != old.arn
        assert lost == 0
    async with world.controller(linger=0.0):

        async def gone() -> bool:
            return old.arn not in {each.arn for each in await views.load_balancers(world.aws)}

        await until(gone)
