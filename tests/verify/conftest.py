"""Fixtures: a cluster that is only told of, and an edge that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.verify.verified_cluster import Told

from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    """An API of its own with the kinds of Argo CD and Istio, and nothing in it."""
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        found = Told(client)
        await found.define()
        yield found
