"""HTTP/2 without TLS, and WebSockets over both versions of HTTP, on both sides."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from tests.envoy.edge_world import GATEWAY, HTTP, backend_key
from tests.envoy.test_backend_tls import Authority, server_side, tls

from gatewright.topology import Backend, Endpoint, HostKey


class Http2Client:
    """One stream at a time over a connection that is HTTP/2 from its first byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._h2.initiate_connection()
        self._events: list[Any] = []

    async def next(self, *kinds: type) -> Any:
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, kinds):
                    return event
            self._writer.write(self._h2.data_to_send())
            self._events += self._h2.receive_data(await asyncio.wait_for(self._reader.read(65536), 60))

    async def open(self, *headers: tuple[str, str], end: bool = False) -> int:
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, headers, end_stream=end)
        self._writer.write(self._h2.data_to_send())
        return int(stream)

    def send(self, stream: int, data: bytes) -> None:
        self._h2.send_data(stream, data)
        self._writer.write(self._h2.data_to_send())

    @property
    def may_connect(self) -> bool:
        return bool(self._h2.remote_settings.enable_connect_protocol)


@pytest.fixture
async def client(world: Any, edge: Any) -> AsyncIterator[Any]:
    writers = []

    async def connect() -> Http2Client:
        await asyncio.wait_for(edge.settled(), 60)
        binding = world.bindings[GATEWAY]
        reader, writer = await asyncio.open_connection(binding.host, binding.ports[80])
        writers.append(writer)
        return Http2Client(reader, writer)

    yield connect
    for writer in writers:
        writer.close()


@pytest.fixture
async def shouting() -> AsyncIterator[Any]:
    """An endpoint that upgrades, and then shouts what it hears."""
    servers = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if "upgrade: websocket" in head and head.startswith("get "):
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            while data := await reader.read(100):
                writer.write(data.upper())
        writer.close()

    async def start(tls: Any = None) -> Endpoint:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        return Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()


def head(path: str = "/", method: str = "GET", *more: tuple[str, str]) -> list[tuple[str, str]]:
    basic = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "test.example.com")]
    return [*basic, *more]


@pytest.mark.parametrize("hostname", ["*", "test.example.com"])
async def test_http2_with_prior_knowledge(world: Any, echo: Any, client: Any, hostname: str) -> None:
    world.listener()
    world.host(hostname)
    world.backend("one", await echo("one"))
    world.rule("it", "/", "one", host=HostKey(HTTP, hostname))
    connection = await client()
    await connection.open(*head(), end=True)
    answer = await connection.next(h2.events.ResponseReceived)
    assert dict(answer.headers)[":status"] == "200"


@pytest.mark.parametrize("protocol", ["http", "ws", "https"])
@pytest.mark.parametrize("hostname", ["*", "test.example.com"])
async def test_websockets_from_both_versions_to_any_backend(
    world: Any, shouting: Any, client: Any, edge: Any, hostname: str, protocol: str, tmp_path: Path
) -> None:
    world.listener()
    world.host(hostname)
    authority = Authority()
    how = tls(authority) if protocol == "https" else None
    world.backend("it", await shouting(server_side(tmp_path, authority.issue("abc.test")) if how else None))
    world.backends.set(backend_key("it"), Backend(backend_key("it"), "ws" if protocol == "ws" else "http", how))
    world.rule("it", "/", "it", host=HostKey(HTTP, hostname))

    connection = await client()
    await connection.next(h2.events.RemoteSettingsChanged)
    assert connection.may_connect
    stream = await connection.open(*head("/", "CONNECT", (":protocol", "websocket"), ("sec-websocket-version", "13")))
    answer = await connection.next(h2.events.ResponseReceived)
    assert dict(answer.headers)[":status"] == "200"
    connection.send(stream, b"ping")
    assert (await connection.next(h2.events.DataReceived)).data == b"PING"

    binding = world.bindings[GATEWAY]
    reader, writer = await asyncio.open_connection(binding.host, binding.ports[80])
    writer.write(b"GET / HTTP/1.1\r\nhost: test.example.com\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"PING"
    writer.close()
