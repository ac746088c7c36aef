"""One check of a real server: what a load balancer sends, and what it makes of each answer."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from msgspec.structs import replace
from tests.aws.health_world import backend, closed_port, expired_certificate, ok

from gatewright.local.aws.health.plan import Check
from gatewright.local.aws.health.probes import probe
from gatewright.local.aws.health.thresholds import FAILED, PASSED, TIMED_OUT, mismatch
from gatewright.local.aws.state import Bound

CHECK = Check(
    registered_at=0,
    protocol="HTTP",
    version="HTTP1",
    to=None,
    source="127.0.0.1",
    authority="10.0.0.7:8080",
    path="/healthz/ready?full=1",
    matcher=((200, 200),),
    interval=30,
    timeout=5,
    healthy_threshold=5,
    unhealthy_threshold=2,
)


def check(port: int, **fields: object) -> Check:
    return replace(CHECK, to=Bound("127.0.0.1", port), **fields)


async def test_the_request_is_aws_s() -> None:
    async with backend() as server:
        assert await probe(check(server.port), 60) == PASSED
    (head,) = server.heard
    lines = head.decode().split("\r\n")
    assert lines[0] == "GET /healthz/ready?full=1 HTTP/1.1"
    assert {"Host: 10.0.0.7:8080", "User-Agent: ELB-HealthChecker/2.0", "Connection: close"} < set(lines)


async def test_it_comes_from_the_nodes_address() -> None:
    async with backend() as server:
        try:
            await asyncio.start_server(lambda *_: None, "127.0.64.254", 0)
        except OSError:
            pytest.skip("this system has one loopback address")
        await probe(check(server.port, source="127.0.64.254"), 60)
    assert server.peers == ["127.0.64.254"]


async def test_a_status_that_isnt_a_success_code_is_told() -> None:
    async with backend() as server:
        server.answer = ok("404 Not Found")
        assert await probe(check(server.port), 60) == mismatch(404)
        assert await probe(check(server.port, matcher=((200, 299), (404, 404))), 60) == PASSED


async def test_redirects_arent_followed() -> None:
    async with backend() as server:
        server.answer = b"HTTP/1.1 301 Moved Permanently\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
        assert await probe(check(server.port), 60) == mismatch(301)


async def test_silence_is_a_timeout() -> None:
    async with backend() as server:
        server.answer = None
        assert await probe(check(server.port), 0.05) == TIMED_OUT


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"", id="closed"),
        pytest.param(b"SSH-2.0-OpenSSH_9.9\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-", id="half a head"),
    ],
)
async def test_what_isnt_a_whole_answer_fails(answer: bytes) -> None:
    async with backend() as server:
        server.answer = answer
        assert await probe(check(server.port), 60) == FAILED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", id="until the connection's end"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\n", id="HTTP/1.0"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="chunks"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + ok(), id="after an interim one"),
    ],
)
async def test_answers_in_every_framing_pass(answer: bytes) -> None:
    async with backend() as server:
        server.answer = answer
        assert await probe(check(server.port), 60) == PASSED


async def test_a_refused_connection_fails() -> None:
    with closed_port() as port:
        assert await probe(check(port), 60) == FAILED
    assert await probe(CHECK, 60) == FAILED  # where nothing listens for sure


async def test_an_nlb_tells_no_reason() -> None:
    async with backend() as server:
        server.answer = ok("503 Service Unavailable")
        assert await probe(check(server.port, explains=False), 60) == FAILED
        server.answer = None
        assert await probe(check(server.port, explains=False), 0.05) == FAILED


async def test_tcp_connects_only() -> None:
    async with backend() as server:
        assert await probe(check(server.port, protocol="TCP"), 60) == PASSED
    assert server.heard == []
    with closed_port() as port:
        assert await probe(check(port, protocol="TCP"), 60) == FAILED


async def test_tls_has_no_server_name_and_takes_any_certificate(tmp_path: Path) -> None:
    async with backend(expired_certificate(tmp_path)) as server:
        assert await probe(check(server.port, protocol="HTTPS"), 60) == PASSED
        assert await probe(check(server.port, protocol="HTTPS", tls13=True), 60) == PASSED
    assert server.names == [None, None]
    assert server.versions == ["TLSv1.2", "TLSv1.3"]


async def test_a_target_that_speaks_only_tls_1_3_fails_unless_a_listener_speaks_it(tmp_path: Path) -> None:
    context = expired_certificate(tmp_path)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    async with backend(context) as server:
        assert await probe(check(server.port, protocol="HTTPS"), 60) == FAILED
        assert await probe(check(server.port, protocol="HTTPS", tls13=True), 60) == PASSED


@pytest.mark.skipif(not ssl.HAS_TLSv1, reason="this OpenSSL has no TLS 1.0")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_a_target_may_be_as_old_as_tls_1_0(tmp_path: Path) -> None:
    context = expired_certificate(tmp_path)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    async with backend(context) as server:
        assert await probe(check(server.port, protocol="HTTPS"), 60) == PASSED
    assert server.versions == ["TLSv1"]


async def test_tls_to_a_plain_port_fails() -> None:
    async with backend() as server:
        server.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        verdict = asyncio.create_task(probe(check(server.port, protocol="HTTPS"), 0.5))
        assert await verdict in (FAILED, TIMED_OUT)  # a server that waits for the end of a head never answers


async def test_plain_http_to_a_tls_port_fails(tmp_path: Path) -> None:
    async with backend(expired_certificate(tmp_path)) as server:
        assert await probe(check(server.port), 60) == FAILED


async def test_a_proxy_protocol_header_comes_first_where_the_group_has_it() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.extend(await reader.readuntil(b"\r\n\r\n\x00\r\nQUIT\n"))
        heard.extend(await reader.readexactly(4))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok())
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await probe(check(port, proxy_header=True, explains=False), 60) == PASSED
    assert heard == b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


Answer = Callable[[h2.connection.H2Connection, int], None]


@contextlib.asynccontextmanager
async def http2_server(answer: Answer, asked: dict[str, str], tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server of HTTP/2 that answers a request as `answer` does, once it is whole."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        connection.initiate_connection()
        try:
            writer.write(connection.data_to_send())
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        asked.update({str(name): str(value) for name, value in event.headers or ()})
                    elif isinstance(event, h2.events.StreamEnded):
                        answer(connection, event.stream_id or 0)
                writer.write(connection.data_to_send())
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_http2_is_spoken_with_prior_knowledge() -> None:
    def answer(connection: h2.connection.H2Connection, stream: int) -> None:
        connection.send_headers(stream, [(":status", "200")])
        connection.send_data(stream, b"ok", end_stream=True)

    asked: dict[str, str] = {}
    async with http2_server(answer, asked) as port:
        assert await probe(check(port, version="HTTP2"), 60) == PASSED
    assert (asked[":method"], asked[":authority"], asked[":path"]) == ("GET", CHECK.authority, CHECK.path)
    assert asked["user-agent"] == "ELB-HealthChecker/2.0"


async def test_http2_over_tls(tmp_path: Path) -> None:
    def answer(connection: h2.connection.H2Connection, stream: int) -> None:
        connection.send_headers(stream, [(":status", "503")], end_stream=True)

    context = expired_certificate(tmp_path)
    context.set_alpn_protocols(["http/1.1", "h2"])
    async with http2_server(answer, {}, context) as port:
        assert await probe(check(port, version="HTTP2", protocol="HTTPS"), 60) == mismatch(503)


async def test_a_reset_stream_fails() -> None:
    async with http2_server(lambda connection, stream: connection.reset_stream(stream), {}) as port:
        assert await probe(check(port, version="HTTP2"), 60) == FAILED


async def test_http2_to_an_http1_server_fails() -> None:
    async with backend() as server:
        server.answer = b"HTTP/1.1 400 Bad Request\r\n\r\n"
        assert await probe(check(server.port, version="HTTP2"), 60) == FAILED


Unary = Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]


@contextlib.asynccontextmanager
async def grpc_server(unary: Unary) -> AsyncIterator[int]:
    """A gRPC server with one method."""
    server = grpc.aio.server()
    methods = {"healthcheck": grpc.unary_unary_rpc_method_handler(unary)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("app.Health", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


async def test_grpc_is_judged_by_its_status_in_headers_or_trailers() -> None:
    async def serving(_request: bytes, _context: object) -> bytes:
        return b""

    codes = ((12, 12),)
    async with grpc_server(serving) as port:
        grpc_check = check(port, version="GRPC", matcher=codes, path="/AWS.ALB/healthcheck")
        assert await probe(grpc_check, 60) == PASSED  # nobody has that method: UNIMPLEMENTED
        assert await probe(replace(grpc_check, path="/app.Health/healthcheck"), 60) == mismatch(0)
        assert await probe(replace(grpc_check, path="/app.Health/healthcheck", matcher=((0, 0),)), 60) == PASSED


async def test_an_answer_that_isnt_grpc_fails_a_grpc_check() -> None:
    def answer(connection: h2.connection.H2Connection, stream: int) -> None:
        connection.send_headers(stream, [(":status", "404")], end_stream=True)

    async with http2_server(answer, {}) as port:
        assert await probe(check(port, version="GRPC", matcher=((0, 99),)), 60) == FAILED
