"""The loopback addresses that the emulated clouds of these tests stand on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gatewright.local.block import Block


@pytest.fixture(scope="session")
def block() -> Iterator[Block]:
    """The loopback addresses of this test process."""
    block = Block()
    yield block
    block.close()
