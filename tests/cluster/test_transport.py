"""The transport to a server: requests, streams, lost connections, malformed answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from gatewright.cluster import ApiError, Client, NotFound, Unreachable
from gatewright.cluster.transport import CONNECTIONS, Transport

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[tuple[Transport, list[int]]]:
    """A transport to a server that hands every request to `serve`, and the number of connections it has had."""
    connections = [0]

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[0] += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0)
                await serve(head + await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    transport = Transport(f"http://127.0.0.1:{port}/prefix/", authorization="Bearer secret")
    try:
        yield transport, connections
    finally:
        await transport.close()
        listening.close()


def answer(body: bytes, code: int = 200, more: str = "") -> bytes:
    return f"HTTP/1.1 {code} X\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_a_request_has_its_token_its_body_and_a_quoted_path() -> None:
    seen: list[bytes] = []

    async def serve(request: bytes, writer: asyncio.StreamWriter) -> None:
        seen.append(request)
        writer.write(answer(b"done"))

    async with server(serve) as (transport, connections):
        assert await transport.request("POST", "/a b", {"x": "1,2"}, b"{}", "application/json") == b"done"
        assert await transport.request("GET", "/c", {}, None, "") == b"done"
    assert seen[0].startswith(b"POST /prefix/a%20b?x=1%2C2 HTTP/1.1\r\n")
    assert b"Authorization: Bearer secret\r\n" in seen[0]
    assert b"Content-Type: application/json\r\n" in seen[0]
    assert seen[0].endswith(b"\r\n\r\n{}")
    assert b"Content-Type" not in seen[1]
    assert connections == [1]


async def test_requests_at_once_have_connections_of_their_own_up_to_a_number() -> None:
    waiting: list[asyncio.StreamWriter] = []
    full = asyncio.Event()

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        waiting.append(writer)
        if len(waiting) == CONNECTIONS:
            full.set()
        if full.is_set():
            while waiting:
                waiting.pop().write(answer(b""))

    async with server(serve) as (transport, connections), asyncio.timeout(60):
        requests = [transport.request("GET", "/", {}, None, "") for _ in range(3 * CONNECTIONS)]
        assert await asyncio.gather(*requests) == [b""] * (3 * CONNECTIONS)
    assert connections == [CONNECTIONS]


async def test_a_refusal_is_an_error_and_the_connection_goes_on() -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b'{"reason":"NotFound","message":"no","code":404}', 404))

    async with server(serve) as (transport, connections):
        for _ in range(2):
            with pytest.raises(NotFound, match="no"):
                await transport.request("GET", "/", {}, None, "")
    assert connections == [1]


@pytest.mark.parametrize(
    "sent",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"no HTTP at all\r\n\r\n"],
    ids=["nothing", "a part", "nonsense"],
)
async def test_an_answer_that_breaks_off_is_no_answer(sent: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        writer.close()

    async with server(serve) as (transport, _), asyncio.timeout(60):
        with pytest.raises(Unreachable, match=r"GET http://127\.0\.0\.1:\d+/prefix/x: "):
            await transport.request("GET", "/x", {}, None, "")


async def test_a_connection_that_the_server_closes_is_not_used_again() -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(b"x", more="Connection: close\r\n"))
        writer.close()

    async with server(serve) as (transport, connections):
        for _ in range(3):
            assert await transport.request("GET", "/", {}, None, "") == b"x"
    assert connections == [3]


async def test_a_stream_comes_in_pieces_until_its_end() -> None:
    go_on = asyncio.Event()

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        await go_on.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with server(serve) as (transport, _), asyncio.timeout(60), transport.stream("/", {}) as chunks:
        assert await anext(chunks) == b"one"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"two"]


async def test_a_stream_that_breaks_off_or_is_refused_is_an_error() -> None:
    refuse = False

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        if refuse:
            writer.write(answer(b"{}", 500))
            return
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        writer.close()

    async with server(serve) as (transport, _), asyncio.timeout(60):
        with pytest.raises(Unreachable):
            async with transport.stream("/", {}) as chunks:
                assert [chunk async for chunk in chunks]
        refuse = True
        with pytest.raises(ApiError):
            async with transport.stream("/", {}):
                pass


async def test_a_slow_reader_of_a_stream_gets_all_of_it() -> None:
    whole = bytes(range(256)) * 4000

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole)
        await writer.drain()

    async with server(serve) as (transport, _), asyncio.timeout(60), transport.stream("/", {}) as chunks:
        read = b""
        async for chunk in chunks:
            read += chunk
            await asyncio.sleep(0)
    assert read == whole


async def test_nobody_listening_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    async with Client(Transport(f"http://127.0.0.1:{port}")) as client:
        with pytest.raises(Unreachable):
            await client.request("GET", "/")


@pytest.mark.parametrize("begun", [False, True])
async def test_a_request_has_a_time_and_a_stream_that_began_has_none(
    monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    monkeypatch.setattr("gatewright.cluster.transport.TIMEOUT", 0.05)
    go_on = asyncio.Event()

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        if begun:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        await go_on.wait()
        writer.write(b"end")

    async with server(serve) as (transport, _):
        with pytest.raises(Unreachable, match=r"GET .*: .*[Tt]imeout"):
            await transport.request("GET", "/", {}, None, "")
        if begun:
            monkeypatch.setattr("gatewright.cluster.transport.TIMEOUT", 60.0)
            loop, hour = asyncio.get_running_loop(), 3600.0
            async with asyncio.timeout(2 * hour), transport.stream("/", {}) as chunks:
                now = loop.time
                monkeypatch.setattr(loop, "time", lambda: now() + hour)
                loop.call_later(0.0, go_on.set)  # after all that was due within the hour
                assert [chunk async for chunk in chunks] == [b"end"]
        else:
            with pytest.raises(Unreachable, match="TimeoutError"):
                async with transport.stream("/", {}):
                    pass
        go_on.set()
