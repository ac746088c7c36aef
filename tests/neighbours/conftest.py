"""The loopback addresses that the emulated clouds of these tests stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.edge_gateways.gateway_world import World, gateway_world

from gatewright.local.block import Block


@pytest.fixture(scope="session")
def block() -> Iterator[Block]:
    """The loopback addresses of this test process."""
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def world(block: Block) -> AsyncIterator[World]:
    """A cluster and an AWS without traffic."""
    async with gateway_world(block) as made:
        yield made
