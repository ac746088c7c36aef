"""HTTP/2, TLS and WebSocket of the conformance images, met by real clients over real connections."""

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.workloads.certificates import self_signed
from tests.workloads.program_pods import CLIENT, ECHO, Pod, client_tls, http1, https, running
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.events import Request as Handshake

from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.program import Port, Program

DATA, PING, GOAWAY = 0, 6, 7  # frame types, RFC 9113 section 6


class Http2Client:
    """A client of HTTP/2 over one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.events: list[h2.events.Event] = []
        self.bodies: dict[int, bytes] = {}
        self.closed = False

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None, name: str | None = None) -> "Http2Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name))
        client.h2.initiate_connection()
        client.flush()
        return client

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    def ask(self, path: str, *headers: tuple[str, str], method: str = "GET", body: bytes = b"") -> int:
        number = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "example.com"), (":path", path), *headers]
        self.h2.send_headers(number, head, end_stream=not body)
        if body:
            self.h2.send_data(number, body, end_stream=True)
        self.flush()
        return number

    async def read(self) -> bool:
        data = await asyncio.wait_for(self.reader.read(65536), 60)
        if not data:
            self.closed = True
            return False
        for event in self.h2.receive_data(data):
            self.events.append(event)
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return True

    def found(self, kind: type[h2.events.Event], number: int | None = None) -> list[Any]:
        return [
            event
            for event in self.events
            if isinstance(event, kind) and (number is None or getattr(event, "stream_id", None) == number)
        ]

    async def answer(self, number: int) -> tuple[int, dict[str, str], bytes]:
        while not self.found(h2.events.StreamEnded, number):
            assert await self.read()
        headers = dict(self.found(h2.events.ResponseReceived, number)[0].headers)
        return int(headers[":status"]), headers, self.bodies.get(number, b"")

    def close(self) -> None:
        self.writer.close()


class TestHttps:
    async def test_the_echo_tells_the_connections_tls(self) -> None:
        async with https() as pod:
            _, body = await http1(pod.port(8443), "/x", client_tls())
            echo = json.loads(body)
            assert echo["proto"] == "HTTP/1.1"
            assert echo["tls"]["version"] == "TLSv1.3"
            assert echo["tls"]["serverName"] == "abc.example.com"
            assert echo["tls"]["cipherSuite"].startswith("TLS_")
            assert "peerCertificates" not in echo["tls"]
            assert "negotiatedProtocol" not in echo["tls"]

    async def test_tls_1_2_suites_have_gos_names(self) -> None:
        async with https() as pod:
            context = client_tls()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            _, body = await http1(pod.port(8443), "/x", context)
            tls = json.loads(body)["tls"]
            assert tls["version"] == "TLSv1.2"
            assert tls["cipherSuite"].startswith("TLS_ECDHE_ECDSA_WITH_")

    async def test_http_2_is_chosen_by_alpn(self) -> None:
        async with https() as pod:
            client = await Http2Client.connect(pod.port(8443), client_tls("h2", "http/1.1"), "abc.example.com")
            status, _, body = await client.answer(client.ask("/x"))
            echo = json.loads(body)
            assert status == 200
            assert (echo["proto"], echo["tls"]["negotiatedProtocol"]) == ("HTTP/2.0", "h2")
            client.close()

    async def test_a_client_may_show_a_certificate(self, tmp_path: Path) -> None:
        (tmp_path / "pair").write_bytes(CLIENT.certificate + CLIENT.key)
        async with https(TLS_CLIENT_CACERTS="/tls/ca") as pod:
            _, body = await http1(pod.port(8443), "/", client_tls(certificate=tmp_path / "pair"))
            assert json.loads(body)["tls"]["peerCertificates"] == [CLIENT.certificate.decode()]
            _, body = await http1(pod.port(8443), "/", client_tls())
            assert "peerCertificates" not in json.loads(body)["tls"]

    async def test_a_client_certificate_of_another_issuer_is_refused(self, tmp_path: Path) -> None:
        other = self_signed("other.example.com")
        (tmp_path / "pair").write_bytes(other.certificate + other.key)
        async with https(TLS_CLIENT_CACERTS="/tls/ca") as pod:
            with pytest.raises((ssl.SSLError, ConnectionError, ValueError)):
                await http1(pod.port(8443), "/", client_tls(certificate=tmp_path / "pair"))

    @pytest.mark.parametrize("path", ["/gone", "/bad"])
    def test_a_certificate_that_cannot_be_used_ends_the_program(self, path: str) -> None:
        end = Pod(TLS_SERVER_CERT=path, TLS_SERVER_PRIVKEY="/tls/key").behaviour.exit
        assert end is not None
        assert end.code == 2
        assert "Failed to start listening" in end.lines[-1]


class TestHttp2:
    async def test_h2c_with_prior_knowledge(self) -> None:
        async with running() as pod:
            client = await Http2Client.connect(pod.port(3001))
            numbers = [client.ask(f"/{i}", ("x-a", "1"), ("cookie", "a=1"), ("cookie", "b=2")) for i in range(20)]
            for i, number in enumerate(numbers):
                status, headers, body = await client.answer(number)
                echo = json.loads(body)
                assert (status, echo["path"], echo["host"], echo["proto"]) == (200, f"/{i}", "example.com", "HTTP/2.0")
                assert echo["headers"] == {"Cookie": ["a=1; b=2"], "X-A": ["1"]}
                assert headers["content-type"] == "application/json"
            client.close()
        assert sum("Echoing back request made to" in line for line in pod.log) == 20

    async def test_h2c_by_upgrade(self) -> None:
        async with running() as pod:
            reader, writer = await asyncio.open_connection("127.0.0.1", pod.port(3001))
            client = Http2Client(reader, writer)
            settings = client.h2.initiate_upgrade_connection()
            assert settings is not None
            writer.write(
                b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                b"HTTP2-Settings: " + settings + b"\r\n\r\n"
            )
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            assert head.startswith(b"HTTP/1.1 101 ")
            client.flush()
            _, _, body = await client.answer(1)
            assert json.loads(body)["path"] == "/up"
            _, _, body = await client.answer(client.ask("/next"))
            assert json.loads(body)["path"] == "/next"
            client.close()

    async def test_http_1_on_the_h2c_port_is_told_what_is_expected(self) -> None:
        async with running() as pod:
            assert await http1(pod.port(3001), "/") == (400, b"Expected h2c request")

    async def test_a_large_answer_waits_for_the_clients_window(self) -> None:
        async with running() as pod:
            client = await Http2Client.connect(pod.port(3001))
            big = [(f"x-{i}", "v" * 8000) for i in range(12)]
            _, _, body = await client.answer(client.ask("/", *big))
            assert len(body) > 90_000
            assert json.loads(body)["headers"]["X-11"] == ["v" * 8000]
            client.close()

    async def test_a_delayed_answer_holds_nobody_up(self) -> None:
        async with running() as pod:
            client = await Http2Client.connect(pod.port(3001))
            slow, fast = client.ask("/?delay=100ms"), client.ask("/fast")
            await client.answer(fast)
            assert not client.found(h2.events.ResponseReceived, slow)
            assert (await client.answer(slow))[0] == 200
            client.close()

    async def test_draining_names_the_last_stream_and_finishes_what_is_in_flight(self) -> None:
        async with running() as pod:
            client = await Http2Client.connect(pod.port(3001))
            await client.answer(client.ask("/first"))
            slow = client.ask("/?delay=100ms")
            await client.answer(client.ask("/second"))  # so that the slow one has arrived, too
            ending = asyncio.create_task(pod.drain())
            # By hand: the library hears nothing after a GOAWAY.
            seen: list[tuple[int, int, bytes]] = []
            try:
                while True:
                    head = await asyncio.wait_for(client.reader.readexactly(9), 60)
                    kind, number = head[3], int.from_bytes(head[5:9], "big")
                    payload = await client.reader.readexactly(int.from_bytes(head[:3], "big"))
                    seen.append((kind, number, payload))
                    if kind == PING and not head[4]:
                        client.writer.write(head[:4] + b"\x01" + head[5:] + payload)
            except asyncio.IncompleteReadError:
                pass
            last_streams = [int.from_bytes(payload[:4], "big") for kind, _, payload in seen if kind == GOAWAY]
            assert last_streams == [2**31 - 1, slow + 2]
            body = b"".join(payload for kind, number, payload in seen if kind == DATA and number == slow)
            assert json.loads(body)["path"] == "/?delay=100ms"
            await asyncio.wait_for(ending, 60)
            client.close()

    @given(st.binary(max_size=300))
    def test_no_input_breaks_the_server(self, data: bytes) -> None:
        async def run() -> None:
            async with running() as pod:
                for start in (b"", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"):
                    reader, writer = await asyncio.open_connection("127.0.0.1", pod.port(3001))
                    writer.write(start + data)
                    writer.write_eof()
                    with_answer = await asyncio.wait_for(reader.read(), 60)
                    assert isinstance(with_answer, bytes)
                    writer.close()
                client = await Http2Client.connect(pod.port(3001))
                assert (await client.answer(client.ask("/")))[0] == 200
                client.close()

        asyncio.run(run())


class WebSocketClient:
    """A client of one WebSocket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.ws = WSConnection(ConnectionType.CLIENT)

    @classmethod
    async def connect(cls, port: int, context: ssl.SSLContext | None = None) -> "WebSocketClient":
        name = "abc.example.com" if context else None
        client = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name))
        handshake = Handshake(host="example.com", target="/ws", extra_headers=[(b"Origin", b"ws://gateway/test")])
        client.writer.write(client.ws.send(handshake))
        assert isinstance(await client.next(), AcceptConnection)
        return client

    async def next(self) -> Any:
        while True:
            for event in self.ws.events():
                return event
            data = await asyncio.wait_for(self.reader.read(65536), 60)
            self.ws.receive_data(data or None)

    async def roundtrip(self, message: TextMessage | BytesMessage | Ping) -> Any:
        self.writer.write(self.ws.send(message))
        return await self.next()


class TestWebSocket:
    async def test_messages_come_back_as_they_were(self) -> None:
        async with running() as pod:
            client = await WebSocketClient.connect(pod.port(3000))
            assert (await client.roundtrip(TextMessage("Websocket Support!"))).data == "Websocket Support!"
            assert bytes((await client.roundtrip(BytesMessage(b"\x01\x02"))).data) == b"\x01\x02"
            assert isinstance(await client.roundtrip(Ping(b"p")), Pong)
            client.writer.write(client.ws.send(CloseConnection(1000)))
            assert isinstance(await client.next(), CloseConnection)
            assert await asyncio.wait_for(client.reader.read(), 60) == b""
            client.writer.close()
        assert any("established websocket connection" in line for line in pod.log)

    async def test_over_tls(self) -> None:
        async with https() as pod:
            client = await WebSocketClient.connect(pod.port(8443), client_tls())
            assert (await client.roundtrip(TextMessage("hi"))).data == "hi"
            client.writer.close()

    async def test_a_large_message(self) -> None:
        async with running() as pod:
            client = await WebSocketClient.connect(pod.port(3000))
            client.writer.write(client.ws.send(BytesMessage(b"x" * 200_000)))
            got = b""
            while len(got) < 200_000:
                got += bytes((await client.next()).data)
            assert got == b"x" * 200_000
            client.writer.close()

    async def test_draining_says_goodbye(self) -> None:
        async with running() as pod:
            client = await WebSocketClient.connect(pod.port(3000))
            ending = asyncio.create_task(pod.drain())
            event = await client.next()
            assert isinstance(event, CloseConnection)
            assert event.code == 1001
            client.writer.write(client.ws.send(event.response()))
            await asyncio.wait_for(ending, 60)
            client.writer.close()

    @pytest.mark.parametrize(
        ("lines", "status"),
        [
            ((), 400),
            (("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"), 400),
            (("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: k", "Sec-WebSocket-Version: 8"), 400),
            (("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: k", "Sec-WebSocket-Version: 13"), 403),
        ],
    )
    def test_a_handshake_that_lacks_something_is_refused(self, lines: tuple[str, ...], status: int) -> None:
        headers = [(b"Host", b"a"), *(tuple(line.encode().split(b": ")) for line in lines)]
        echo = behaviour(Program(ECHO))
        request = Request(b"GET", b"/ws", "1.1", headers)  # type: ignore[arg-type]
        assert echo.answer(request, Port(3000)).status == status


def test_over_http_2_a_reset_is_refused_as_gos_server_does() -> None:
    request = Request(b"GET", b"/retry/x?uuid=v&succeedAfter=1", "2.0", [(b"host", b"a")])
    answer = behaviour(Program(ECHO)).answer(request, Port(8443))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.abort) == (500, "")
