"""The whole chain on a system that has 127.0.0.1 only, as macOS does."""

from __future__ import annotations

import ssl
from ipaddress import IPv4Network
from pathlib import Path

import aiohttp
import pytest

from gatewright.local.block import Block
from gatewright.local.edge import LocalEdge
from gatewright.local.manifests import load

EXAMPLE = Path(__file__).parents[2] / "examples/eks"


class OneAddress(Block):
    """What there is to claim."""

    def __init__(self) -> None:
        self._claim = None
        self.network = IPv4Network("127.0.0.1/32")


async def test_a_request_comes_through_the_chain_where_everything_shares_one_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gatewright.local.ahead.Block", OneAddress)
    async with LocalEdge(lambda _: None, aws=True, pace=20) as edge:
        problems, _ = await edge.update(load([EXAMPLE]))
        assert problems == []
        assert await edge.ready(60) == []
        await edge.look()
        edge.write_ca()
        state = edge.state()
        trusted = ssl.create_default_context(cafile=state.ca)
        assert state.aws
        async with aiohttp.ClientSession() as session:
            for url in (state.https_url, state.gateway_https_url, state.url):  # the last is redirected
                async with session.get(f"{url}/app1", ssl=trusted) as answer:
                    assert (answer.status, (await answer.text()).strip()) == (200, "Hello from App 1")
                    assert (answer.url.scheme, answer.url.host) == ("https", "127.0.0.1")
        (alb,) = state.chain
        first = alb.address.split(", ")[0]
        assert first.startswith("10.0.")
        assert state.https_url == f"https://{state.aws.open_at[f'{first}:443']}"
