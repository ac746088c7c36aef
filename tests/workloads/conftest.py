from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.workloads.live_edge import Edge, start_edge, stop_edge

from gatewright.local.apiserver.server import ApiServer
from gatewright.local.apiserver.store import Store


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with ApiServer(Store.memory(), graceful_pods=True) as server:
        edge, tasks = await start_edge(server, tmp_path)
        try:
            yield edge
        finally:
            await stop_edge(edge, tasks)
