"""One server for all tests of a process, and a fresh account for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from tests.aws_stack.stack_world import Account

from gatewright.aws import Aws
from gatewright.local.aws.backends import forget
from gatewright.local.aws.server import ApiServer


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    server = ApiServer(lambda service: None)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def aws(api: ApiServer) -> Aws:
    """One client: making one takes longer than a test."""
    return Aws(region="us-east-1", endpoint_url=api.url, credentials=("test", "test"))


@pytest.fixture
async def account(api: ApiServer, aws: Aws) -> AsyncIterator[Account]:
    yield Account(api, aws)
    forget()
