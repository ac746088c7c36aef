"""The embedded API over HTTP/1.1: order, limits, streams, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gatewright.local.apiserver.exchange import Answer, Request
from gatewright.local.apiserver.serving import serve


class Served:
    """A server whose answers say what was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.streams_closed = asyncio.Event()
        self.runner = serve(lambda request: self.respond(request), body_limit=100, idle_seconds=600, drain_seconds=5)
        self.port = 0

    def respond(self, request: Request) -> Answer | Awaitable[Answer]:
        self.requests.append(request)
        self.asked.set()
        match request.parts():
            case ["later"]:
                return self.later()
            case ["stream"]:
                return Answer(self.stream())
            case ["endless"]:
                return Answer(self.endless())
            case ["silent"]:
                return Answer(self.silent())
            case ["large"]:
                return Answer(b"refused" if request.body is None else b"taken")
        return Answer(f"{request.method} {request.target}".encode(), media_type="text/plain")

    async def later(self) -> Answer:
        await self.go_on.wait()
        return Answer(b"later", headers=[("warning", "one"), ("warning", "two")])

    async def stream(self) -> AsyncGenerator[bytes]:
        yield b"one"
        await self.go_on.wait()
        yield b"two"

    async def endless(self) -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            self.streams_closed.set()

    async def silent(self) -> AsyncGenerator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b""
        finally:
            self.streams_closed.set()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(60):
                yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def serving() -> AsyncIterator[Served]:
    served = Served()
    await served.runner.setup()
    await web.TCPSite(served.runner, "127.0.0.1", 0).start()
    served.port = served.runner.addresses[0][1]
    yield served
    await served.runner.cleanup()


async def read(reader: asyncio.StreamReader, *, body: bool = True) -> tuple[bytes, bytes]:
    """One answer's head, and its body where it has a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"content-length:"), 0)
    return head, await reader.readexactly(length) if body else b""


async def test_requests_that_come_together_are_answered_in_order() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in (b"/a?b=c", b"/later", b"/d")))
        assert (await read(reader))[1] == b"GET /a?b=c"
        served.go_on.set()
        head, body = await read(reader)
        assert (body, head.count(b"warning: ")) == (b"later", 2)
        assert (await read(reader))[1] == b"GET /d"
        assert served.requests[0].query() == {"b": "c"}


async def test_many_requests_at_once_are_all_answered() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        await writer.drain()
        served.go_on.set()
        assert [(await read(reader))[1] for _ in range(51)] == [b"later", *[b"GET /x"] * 50]


async def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"HEAD /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _ = await read(reader, body=False)
        assert b"content-length: 7\r\n" in head
        assert (await read(reader))[1] == b"GET /b"


async def test_who_asks_first_whether_to_go_on_is_told_so() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await read(reader))[1] == b"taken"
        assert served.requests[0].body == b"abc"


async def test_a_body_over_the_limit_is_not_kept() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n" + b"x" * 101)
        assert (await read(reader))[1] == b"refused"


async def test_what_is_no_http_ends_the_connection() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert (await reader.read()).split()[1] == b"400"


async def test_a_stream_ends_and_the_connection_goes_on() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"transfer-encoding: chunked" in (await read(reader))[0]
        assert await reader.readexactly(8) == b"3\r\none\r\n"
        served.go_on.set()
        assert await reader.readexactly(13) == b"3\r\ntwo\r\n0\r\n\r\n"
        assert (await read(reader))[1] == b"GET /b"


async def test_a_stream_to_an_old_client_ends_with_the_connection() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        served.go_on.set()
        writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        head, _ = await read(reader)
        assert b"chunked" not in head
        assert await reader.read() == b"onetwo"


@pytest.mark.parametrize("path", [b"/endless", b"/silent"])
async def test_a_stream_is_closed_when_its_client_goes(path: bytes) -> None:
    async with serving() as served:
        async with served.connect() as (reader, writer):
            writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            await read(reader)
        await asyncio.wait_for(served.streams_closed.wait(), 60)


async def test_a_connection_that_closes_under_a_stream_is_no_error() -> None:
    async def cut_off() -> AsyncGenerator[bytes]:
        yield b"one"
        for connection in served.runner.server.connections:  # type: ignore[union-attr]
            connection.transport.close()  # type: ignore[union-attr]
        yield b"two"

    async with serving() as served:
        served.respond = lambda _: Answer(cut_off())  # type: ignore[method-assign, assignment]
        with capture_logs() as logs:
            async with served.connect() as (reader, writer):
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                await reader.read()
            await served.runner.cleanup()
    assert logs == []


async def test_a_stream_waits_for_a_client_that_does_not_read() -> None:
    sent = 0

    async def counted() -> AsyncGenerator[bytes]:
        nonlocal sent
        while True:
            yield b"x" * 65536
            sent += 1
            await asyncio.sleep(0)

    async with serving() as served:
        served.respond = lambda _: Answer(counted())  # type: ignore[method-assign, assignment]
        async with served.connect() as (_, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            before = -1
            while sent != before or not sent:
                before = sent
                await asyncio.sleep(0.05)
        assert sent < 1000


async def test_connection_close_is_heeded() -> None:
    async with serving() as served, served.connect() as (reader, writer):
        writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, body = await read(reader)
        assert (b"connection: close" in head, body, await reader.read()) == (True, b"GET /a", b"")


async def test_an_end_finishes_what_is_under_way() -> None:
    async with serving() as served, served.connect() as (reader, writer), served.connect() as (idle, _):
        writer.write(b"GET /later HTTP/1.1\r\nHost: x\r\n\r\n")
        await served.asked.wait()
        ending = asyncio.create_task(served.runner.cleanup())
        assert await idle.read() == b""
        served.go_on.set()
        assert (await read(reader))[1] == b"later"
        assert await reader.read() == b""
        await ending
