"""Whatever a target sends, a check of it has a status or fails; nothing that it sends breaks the checks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any, cast

import h2.config
import h2.connection
import hpack
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.aws.health import http1, http2
from gatewright.local.aws.health.connection import Malformed

Ask = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, int]]


class Unread:
    """A writer whose bytes nobody reads."""

    def write(self, data: bytes) -> None:
        """Forget it."""


def answered(ask: Ask, pieces: list[bytes]) -> int | None:
    """The status that comes of these bytes and the end of the connection; None where the check fails."""

    async def run() -> int | None:
        reader = asyncio.StreamReader()
        writer = cast("asyncio.StreamWriter", Unread())
        asking = asyncio.create_task(ask(reader, writer))
        for piece in pieces:
            reader.feed_data(piece)
            await asyncio.sleep(0)
        reader.feed_eof()
        try:
            return await asking
        except Malformed:
            return None

    return asyncio.run(run())


async def get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    return await http1.status(reader, writer, "10.0.0.7:80", "/")


async def get2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    return await http2.status(reader, writer, "10.0.0.7:80", "/", "http", grpc=False)


async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    return await http2.status(reader, writer, "10.0.0.7:80", "/app.Health/healthcheck", "http", grpc=True)


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in at)})
    return [data[first:last] for first, last in pairwise(places)]


bodies = st.binary(max_size=200)
lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"\r\n",
        b"Upgrade: x\r\n",
        b"Connection: upgrade\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"HTTP/1.1 999 ?\r\n",
        b"abc",
        b"\x16\x03\x01",
        b"PRI * HTTP/2.0\r\n\r\n",
    ]
)


@given(st.lists(st.one_of(lines, bodies), max_size=12))
def test_any_bytes_over_http1(pieces: list[bytes]) -> None:
    status = answered(get, pieces)
    assert status is None or status == 101 or 200 <= status <= 999


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags))
    return head + stream.to_bytes(4, "big") + payload


headers = st.lists(
    st.tuples(st.sampled_from([":status", "grpc-status", "x", "Content-Length"]), st.sampled_from(["200", "12", "x"])),
    max_size=4,
)
blocks = st.one_of(bodies, headers.map(lambda found: hpack.Encoder().encode(found)))
frames = st.builds(frame, st.integers(0, 10), st.integers(0, 255), st.sampled_from([0, 1, 1, 1, 2, 3]), blocks)


@given(st.lists(st.one_of(frames, bodies), max_size=8))
def test_any_frames_over_http2(pieces: list[bytes]) -> None:
    settings = frame(4, 0, 0, b"")
    for ask in (get2, call):
        answered(ask, [settings, *pieces])
        answered(ask, pieces)


@given(st.integers(200, 599), bodies, st.booleans(), st.lists(st.integers(0, 500), max_size=5))
def test_a_whole_answer_over_http1_in_any_pieces(status: int, body: bytes, chunked: bool, at: list[int]) -> None:
    body = b"" if status in (204, 304) else body
    if chunked and body:
        sent = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        sent = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    assert answered(get, cut(b"HTTP/1.1 %d Any\r\n%s" % (status, sent), at)) == status


@given(st.integers(0, 99), bodies, st.booleans(), st.lists(st.integers(0, 500), max_size=5))
def test_a_whole_answer_over_grpc_in_any_pieces(code: int, body: bytes, trailers: bool, at: list[int]) -> None:
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server.initiate_connection()
    client.initiate_connection()
    client.send_headers(
        1, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "x")], end_stream=True
    )
    server.receive_data(client.data_to_send())
    status = ("grpc-status", str(code))
    head = [(":status", "200"), ("content-type", "application/grpc")]
    if trailers:
        server.send_headers(1, head)
        server.send_data(1, body)
        server.send_headers(1, [status], end_stream=True)
    else:
        server.send_headers(1, [*head, status], end_stream=True)
    assert answered(call, cut(server.data_to_send(), at)) == code
