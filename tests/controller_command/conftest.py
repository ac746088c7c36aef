"""A cluster's API and an emulated AWS, for controllers that are processes of their own."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.controller_command.replica_world import World, replica_world

from gatewright.local.block import Block


@pytest.fixture(scope="session")
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def world(block: Block, tmp_path: Path) -> AsyncIterator[World]:
    async with replica_world(block, tmp_path) as world:
        yield world


@pytest.fixture
def black_hole() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
