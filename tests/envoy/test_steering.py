"""Clients can't steer the proxy: not its retries and timeouts, not which scope they are in, not other backends."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.envoy.scripted import Answer

from gatewright.topology import Session

STEERING = {
    "x-envoy-retry-on": "5xx,retriable-status-codes",
    "x-envoy-max-retries": "9",
    "x-envoy-retriable-status-codes": "503",
    "x-envoy-upstream-rq-timeout-ms": "1",
    "x-envoy-upstream-rq-per-try-timeout-ms": "1",
    "x-envoy-hedge-on-per-try-timeout": "true",
    "x-envoy-decorator-operation": "x",
    "x-envoy-original-path": "/evil",
    "x-gatewright-host": "other.example.com",
}


@pytest.mark.parametrize("host", ["*", "test.example.com"])
async def test_headers_of_clients(world: Any, echo: Any, script: Any, get: Any, host: str) -> None:
    world.listener()
    failing = await script(lambda _: Answer(503, delay=0.05))
    world.backend("failing", failing.endpoint)
    world.backend("other", await echo("other"))
    world.rule("it", "/", "failing", host=world.host(host))
    world.rule("other", "/", "other", host=world.host("other.example.com"))
    for name, value in {"x-plain": "1", **STEERING}.items():
        before = len(failing.asked)
        assert (await get("/", headers={name: value})).status == 503, name
        assert len(failing.asked) == before + 1, name
        assert name == "x-plain" or name not in failing.asked[-1].headers
        assert failing.asked[-1].path == "/"


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("type_", ["Header", "Cookie"])
async def test_a_forged_session_reaches_no_other_backend(world: Any, echo: Any, get: Any, type_: Any) -> None:
    world.listener()
    other = await echo("other")
    world.backend("own", await echo("own"))
    world.backend("other", other)
    world.rule("it", "/", "own", session=Session(type_, "who"))
    world.rule("other", "/other", "other", precedence=1)
    assert (await get("/other")).echo["name"] == "other"
    address = f"127.0.0.1:{other.port}".encode()
    forged = [address, b"\n" + bytes([len(address)]) + address, b"\n\xff\xff\xff", b"", b"unix:/x", b"\x00" * 100]
    for content in forged:
        sent = {"who": encoded(content)} if type_ == "Header" else {"cookie": f"who={encoded(content)}"}
        assert (await get("/", headers=sent)).echo["name"] == "own"
