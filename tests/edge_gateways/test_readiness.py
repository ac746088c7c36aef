"""Readiness gates: a pod is registered while it waits for us, and counts as ready once AWS finds it healthy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.edge_gateways.gateway_world import World, endpoints, gateway, gateway_world, route, service, until

from gatewright.local.block import Block
from gatewright.model.core import Pod
from gatewright.model.meta import Key

GATE = "target-health.elbv2.k8s.aws/web"


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    """With health checks."""
    if block.shared:
        pytest.skip("this system has one loopback address only, so targets can't have their own")
    async with gateway_world(block, traffic=True) as made:
        yield made


async def _answers(address: str, status: list[int]) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status[0]} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, address, 8080)


async def test_a_gate_opens_when_aws_finds_the_pod_healthy(world: World) -> None:
    prefix = world.network.rpartition(".")[0].rpartition(".")[0]
    address, status = f"{prefix}.200.7", [503]
    server = await _answers(address, status)
    slice_ = endpoints(address)
    slice_["endpoints"][0] |= {"conditions": {"ready": False}, "targetRef": {"kind": "Pod", "name": "one"}}
    await world.apply(gateway(), route(), service(), slice_)
    await world.pod("one", address, gates=(GATE,))
    async with server, world.controller() as controller:
        await world.settled(controller)

        async def gate() -> tuple[str, str]:
            pod = await world.client.get(Pod, Key("infra", "one"))
            return next(((c.status, c.reason) for c in pod.status.conditions if c.type == GATE), ("", ""))

        async def closed() -> bool:
            return await gate() == ("False", "Target.ResponseCodeMismatch")

        async def opened() -> bool:
            return (await gate())[0] == "True"

        await until(closed)
        status[0] = 200
        await until(opened)
        pod = await world.client.get(Pod, Key("infra", "one"))
        assert {c.type for c in pod.status.conditions} >= {"ContainersReady", "Ready", GATE}


async def test_unhealthy_targets_are_told_in_words(world: World) -> None:
    prefix = world.network.rpartition(".")[0].rpartition(".")[0]
    address = f"{prefix}.200.8"
    server = await _answers(address, [404])
    await world.apply(gateway(), route(), service(), endpoints(address))
    async with server, world.controller() as controller:

        async def told() -> bool:
            return any(
                f"Service infra/web:80: unhealthy target {address}:8080: Target.ResponseCodeMismatch: "
                "Health checks failed with these codes: [404]; the health check is HTTP GET /" in event
                for event in await world.events()
            )

        await until(told)
        assert [text for told in controller.troubles.values() for text in told]
