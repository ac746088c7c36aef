"""The server under the stand-ins, over real connections."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.http1 import HttpProtocol
from gatewright.local.workloads.server import Server


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def respond(request: Request) -> Answer:
    if request.path == "/boom":
        raise RuntimeError("boom")
    status = 204 if request.path == "/empty" else 200
    return Answer(status, [], f"{request.method.decode()} {request.uri}".encode())


def exchange(stream: bytes, cuts: list[int] | None = None) -> tuple[list[tuple[int, bytes]], bool]:
    """Feed a stream of requests, cut into pieces; returns statuses with bodies, and whether the server closed."""

    async def run() -> tuple[bytes, bool]:
        protocol, wire = HttpProtocol(Server(respond)), Wire()
        protocol.connection_made(wire)
        edges = [0, *sorted({cut for cut in cuts or [] if cut < len(stream)}), len(stream)]
        for start, end in pairwise(edges):
            if not wire.closed:
                protocol.data_received(stream[start:end])
        return wire.written, wire.closed

    written, closed = asyncio.run(run())
    answers = []
    rest = written
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        status = int(head[9:12])
        length = re.search(rb"Content-Length: (\d+)", head)
        size = int(length[1]) if length else 0
        answers.append((status, rest[:size]))
        rest = rest[size:]
    return answers, closed


PIPELINE = (
    b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /two HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"PUT /three HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
    b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n"
    b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
)
ANSWERS = [
    (200, b"GET /one"),
    (200, b"POST /two"),
    (200, b"PUT /three"),
    (204, b""),
    (200, b"GET /up"),
    (200, b"GET /last"),
]


@given(st.lists(st.integers(1, len(PIPELINE) - 1), max_size=40))
def test_a_pipeline_is_answered_alike_however_it_is_cut(cuts: list[int]) -> None:
    assert exchange(PIPELINE, cuts) == (ANSWERS, True)


def test_a_pipeline_is_answered_alike_byte_by_byte() -> None:
    assert exchange(PIPELINE, list(range(1, len(PIPELINE)))) == (ANSWERS, True)


def test_a_program_that_fails_is_a_500_and_the_connection_goes_on() -> None:
    stream = b"GET /boom HTTP/1.1\r\nHost: a\r\n\r\nGET /on HTTP/1.1\r\nHost: a\r\n\r\n"
    assert exchange(stream) == ([(500, b""), (200, b"GET /on")], False)


@given(st.binary(max_size=200))
def test_no_input_breaks_the_server(data: bytes) -> None:
    exchange(data)
    exchange(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + data)


@pytest.mark.parametrize(
    ("stream", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (1 << 20) + b"\r\n\r\n", 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_and_the_connection_closed(stream: bytes, status: int) -> None:
    answers, closed = exchange(stream)
    assert [answer[0] for answer in answers] == [status]
    assert closed


@asynccontextmanager
async def serving(endpoint: Server) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    await endpoint.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", endpoint.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        endpoint.close()


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)


async def test_head_has_the_length_of_get_and_no_body() -> None:
    async with serving(Server(respond)) as (reader, writer):
        writer.write(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nGET /y HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Content-Length: 7\r\n" in await read_head(reader)
        assert b"200 OK" in await read_head(reader)


async def test_100_continue_is_sent_before_the_body_is_read() -> None:
    async with serving(Server(respond)) as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"ok")
        assert b"200 OK" in await read_head(reader)


async def test_http_1_0_is_closed_unless_kept_alive() -> None:
    async with serving(Server(respond)) as (reader, writer):
        writer.write(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: keep-alive" in await read_head(reader)
        writer.write(b"GET /y HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 60)).endswith(b"GET /y")


async def test_answers_stay_in_order_when_an_earlier_one_is_delayed() -> None:
    def slow_first(request: Request) -> Answer:
        return Answer(200, [], request.target, delay=0.05 if request.path == "/slow" else 0)

    async with serving(Server(slow_first)) as (reader, writer):
        writer.write(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        everything = await asyncio.wait_for(reader.read(), 60)
        assert everything.index(b"/slow") < everything.index(b"/fast")


async def test_a_reset_reaches_the_client_as_one() -> None:
    async with serving(Server(lambda _: Answer(500, [], abort="reset"))) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 60)


async def test_draining_finishes_what_is_in_flight_and_takes_nothing_new() -> None:
    asked = asyncio.Event()

    def answer(_: Request) -> Answer:
        asked.set()
        return Answer(200, [], b"done", delay=0.1)

    endpoint = Server(answer)
    async with serving(endpoint) as (reader, writer):
        _, idle = await asyncio.open_connection("127.0.0.1", endpoint.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(asked.wait(), 60)
        await endpoint.drain(60)
        received = await asyncio.wait_for(reader.read(), 60)
        assert b"Connection: close" in received
        assert received.endswith(b"done")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", endpoint.port)
        idle.close()


async def test_a_body_goes_unread_only_to_be_counted_and_answered_is_told() -> None:
    told: list[tuple[str, int]] = []
    endpoint = Server(respond, lambda request, answer, seconds: told.append((request.uri, answer.status)))
    async with serving(endpoint) as (reader, writer):
        writer.write(b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        await read_head(reader)
    assert told == [("/b", 200)]
