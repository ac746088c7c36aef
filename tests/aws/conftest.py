"""An emulated AWS for each test, in the test's own process, with its own network of loopback addresses."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.block import Block

PACE = 50.0
"""How many times faster than AWS's the clocks of an emulation in a test run."""


@pytest.fixture(scope="session")
def block() -> Iterator[Block]:
    """The loopback addresses of this test process."""
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def aws(block: Block) -> AsyncIterator[EmulatedAws]:
    """An emulated AWS: `aws.client("elbv2")`, `await aws.call("elbv2", "create_rule", ...)`, `aws.state`."""
    network = "10.0.0.0/16" if block.shared else block.network
    async with EmulatedAws(network, pace=PACE, traffic=False) as aws:
        yield aws


@pytest.fixture
async def busy_aws(block: Block) -> AsyncIterator[EmulatedAws]:
    """As `aws`, with load balancers that carry traffic and health checks."""
    network = "10.0.0.0/16" if block.shared else block.network
    async with EmulatedAws(network, pace=PACE) as aws:
        yield aws
