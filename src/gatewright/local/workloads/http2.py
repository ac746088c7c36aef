"""HTTP/2 for the stand-ins (RFC 9113): requests answered as over HTTP/1.1, and conversations for gRPC."""

from __future__ import annotations

import asyncio
import contextlib
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import structlog
from h2.errors import ErrorCodes
from hyperframe.frame import GoAwayFrame

from gatewright.local.workloads.endpoint import Endpoint
from gatewright.local.workloads.exchange import Answer, Conversation, Ended, Headers, Request
from gatewright.local.workloads.listener import Listener
from gatewright.local.workloads.tls import TlsState

_log = structlog.get_logger(__name__)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_STREAMS = 250
"""How many requests of one connection may be under way, as Go's server has it."""
MAX_HEAD_BYTES = 1 << 20
_LAST_STREAM = 2**31 - 1
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_CONFIG = h2.config.H2Configuration(client_side=False, header_encoding=None)


@dataclass(slots=True)
class _Stream:
    """One exchange."""

    request: Request
    conversation: Conversation | None = None
    pending: bytearray = field(default_factory=bytearray)
    """What the client's window has no room for yet."""
    trailers: Headers | None = None
    finished: bool = False
    """Whether nothing more will be added to `pending`."""
    started: bool = False
    """Whether the head has been written."""
    heard: bool = False
    """Whether the client has ended its side."""
    timer: asyncio.TimerHandle | None = None


class Http2Protocol(asyncio.Protocol):
    """One connection. Streams are answered as they come; a client that doesn't read holds back its own data only."""

    def __init__(
        self,
        endpoint: Endpoint,
        tls: TlsState | None = None,
        upgraded: tuple[Request, bytes] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._upgraded = upgraded
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._h2 = h2.connection.H2Connection(config=_CONFIG)
        self._h2.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20,
            },
        )
        self._h2.decoder.max_header_list_size = MAX_HEAD_BYTES
        self._streams: dict[int, _Stream] = {}
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._writable = True
        self._going = False
        self._last_said = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with the settings; a request that came over HTTP/1.1 is stream 1."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if peer else ""
        self._endpoint.opened(self)
        if self._upgraded:
            request, settings = self._upgraded
            self._h2.initiate_upgrade_connection(settings)
            stream = self._streams[1] = _Stream(request, heard=True)
            self._answer(1, stream)
        else:
            self._h2.initiate_connection()
        self._flush()
        if self._endpoint.draining:
            self.drain()

    def data_received(self, data: bytes) -> None:
        """Act on the frames."""
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()
            self._close()
            return
        for event in events:
            try:
                self._act(event)
            except h2.exceptions.StreamClosedError as error:
                self._drop(error.stream_id)  # the client gave it up in the same breath
            except h2.exceptions.ProtocolError:
                self._close()
                return
        self._flush()
        self._end_when_done()

    def eof_received(self) -> bool:
        """Without the client there is nobody to answer."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        for stream in self._streams.values():
            if stream.timer:
                stream.timer.cancel()
        self._streams.clear()
        self._endpoint.lost(self)

    def pause_writing(self) -> None:
        """Hold data back from a client that doesn't read."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._send_all()
        self._flush()

    # the endpoint's end

    def drain(self) -> None:
        """Say that no further stream is wanted; close when those that are under way have ended.

        The client may have begun streams that haven't arrived yet. The answer to a ping shows that they all have
        (RFC 9113 section 6.8), and the last stream can be named.
        """
        if self._going or not self._transport:
            return
        self._going = True
        # Written past the library, which after a GOAWAY of its own sends nothing more.
        self._transport.write(GoAwayFrame(0, last_stream_id=_LAST_STREAM).serialize())
        self._h2.ping(b"draining")
        self._flush()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport:
            self._transport.abort()

    # requests

    def _act(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._begin(event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self._hear(event)
        elif isinstance(event, h2.events.StreamEnded):
            self._heard(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._drop(event.stream_id)
        elif isinstance(event, h2.events.WindowUpdated | h2.events.RemoteSettingsChanged):
            self._send_all()
        elif isinstance(event, h2.events.PingAckReceived):
            if self._going and not self._last_said:
                self._last_said = True
                last = self._h2.highest_inbound_stream_id
                assert self._transport is not None
                self._transport.write(GoAwayFrame(0, last_stream_id=last).serialize())
        elif isinstance(event, h2.events.ConnectionTerminated):
            # The library sends nothing more after it.
            self._streams.clear()
            self._going = self._last_said = True

    def _begin(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        request = _request(headers, self._peer, self._tls)
        request.received = self._loop.time()
        stream = self._streams[number] = _Stream(request)
        try:
            found = self._endpoint.converse(request)
        except Exception:  # noqa: BLE001 - one request's failure is that request's answer
            _log.exception("a stand-in failed", target=request.uri)
            found = Answer(500, [])
        if isinstance(found, Answer):
            self._write_answer(number, stream, found)
        else:
            stream.conversation = found

    def _hear(self, event: h2.events.DataReceived) -> None:
        number = event.stream_id
        self._h2.acknowledge_received_data(event.flow_controlled_length, number)
        stream = self._streams.get(number)
        if stream is None or stream.conversation is None or stream.finished:
            return
        try:
            out = stream.conversation.receive(event.data)
        except Ended as ended:
            self._finish(number, stream, b"", ended.trailers)
            return
        if out:
            self._start(number, stream)
            stream.pending += out
            self._send(number, stream)

    def _heard(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is None:
            return
        stream.heard = True
        if stream.finished:
            return
        if stream.conversation is None:
            self._answer(number, stream)
            return
        try:
            last, trailers = stream.conversation.end()
        except Ended as ended:
            last, trailers = b"", ended.trailers
        except Exception:  # noqa: BLE001 - one request's failure is that request's answer
            _log.exception("a stand-in failed", target=stream.request.uri)
            self._reset(number)
            return
        self._finish(number, stream, last, trailers)

    def _answer(self, number: int, stream: _Stream) -> None:
        try:
            answer = self._endpoint.answer(stream.request)
        except Exception:  # noqa: BLE001 - one request's failure is that request's answer
            _log.exception("a stand-in failed", target=stream.request.uri)
            answer = Answer(500, [])
        if answer.delay > 0:
            stream.timer = self._loop.call_later(answer.delay, self._delayed, number, answer)
        else:
            self._write_answer(number, stream, answer)

    def _delayed(self, number: int, answer: Answer) -> None:
        stream = self._streams.get(number)
        if stream:
            with contextlib.suppress(h2.exceptions.ProtocolError):  # the client has closed
                self._write_answer(number, stream, answer)
            self._flush()
            self._end_when_done()

    def _write_answer(self, number: int, stream: _Stream, answer: Answer) -> None:
        if answer.abort:
            self._reset(number)
            return
        if answer.interim:
            self._h2.send_headers(number, [(":status", str(answer.interim))])
        stream.started = stream.finished = True
        body = b"" if stream.request.method == b"HEAD" else answer.body
        head = [(":status", str(answer.status)), *_lower(answer.headers)]
        if answer.body:
            head.append(("content-length", str(len(answer.body))))
        self._h2.send_headers(number, head, end_stream=not body)
        if self._endpoint.answered:
            self._endpoint.answered(stream.request, answer, self._loop.time() - stream.request.received)
        if body:
            stream.pending += body
            self._send(number, stream)
        else:
            self._done(number, stream)

    # what goes out

    def _start(self, number: int, stream: _Stream) -> None:
        if not stream.started and stream.conversation:
            stream.started = True
            self._h2.send_headers(number, [(":status", "200"), *_lower(stream.conversation.headers)])

    def _finish(self, number: int, stream: _Stream, last: bytes, trailers: Headers) -> None:
        """The end of a conversation; one that has said nothing is its trailers alone."""
        assert stream.conversation is not None
        stream.finished = True
        if not stream.started and not last:
            stream.started = True
            head = [(":status", "200"), *_lower(stream.conversation.headers), *_lower(trailers)]
            self._h2.send_headers(number, head, end_stream=True)
            self._done(number, stream)
            return
        self._start(number, stream)
        stream.pending += last
        stream.trailers = trailers
        self._send(number, stream)

    def _send_all(self) -> None:
        for number, stream in tuple(self._streams.items()):
            if stream.pending or (stream.finished and stream.started):
                self._send(number, stream)

    def _send(self, number: int, stream: _Stream) -> None:
        """Send what the windows have room for, and the end after the last of it."""
        while stream.pending and self._writable:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                return
            piece = bytes(stream.pending[:room])
            del stream.pending[:room]
            over = stream.finished and not stream.pending and stream.trailers is None
            self._h2.send_data(number, piece, end_stream=over)
            if over:
                self._done(number, stream)
                return
        if not stream.pending and stream.finished and stream.trailers is not None:
            self._h2.send_headers(number, _lower(stream.trailers), end_stream=True)
            self._done(number, stream)

    def _done(self, number: int, stream: _Stream) -> None:
        if not stream.heard:
            # The answer doesn't need the rest of the request (RFC 9113 section 8.1).
            with contextlib.suppress(h2.exceptions.StreamClosedError):  # the rest has just come
                self._h2.reset_stream(number, ErrorCodes.NO_ERROR)
        self._drop(number)

    def _reset(self, number: int) -> None:
        self._h2.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
        self._drop(number)

    def _drop(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream and stream.timer:
            stream.timer.cancel()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data and self._transport and not self._transport.is_closing():
            self._transport.write(data)

    def _end_when_done(self) -> None:
        if self._last_said and not self._streams:
            self._close()

    def _close(self) -> None:
        if self._transport:
            self._transport.close()


def http2_upgrade(request: Request) -> Answer:
    """The answer to a request that offers to go on in HTTP/2 (RFC 7540 section 3.2).

    Raises ValueError for settings that can't be read.
    """
    settings = request.header(b"http2-settings") or b""
    if len(urlsafe_b64decode(settings + b"=" * (-len(settings) % 4))) % 6:
        raise ValueError("HTTP2-Settings: expected settings of 6 bytes each")
    request.version = "2.0"

    def upgrade(listener: Listener) -> asyncio.Protocol:
        return Http2Protocol(cast("Endpoint", listener), upgraded=(request, settings))

    return Answer(101, [("Connection", "Upgrade"), ("Upgrade", "h2c")], upgrade=upgrade)


def _request(headers: list[tuple[bytes, bytes]], peer: str, tls: TlsState | None) -> Request:
    """The request as one over HTTP/1.1 would be: the authority as Host, the pieces of a cookie joined."""
    pseudo = {name: value for name, value in headers if name.startswith(b":")}
    plain = [(name, value) for name, value in headers if not name.startswith(b":") and name != b"cookie"]
    authority = pseudo.get(b":authority")
    if authority is not None:
        plain = [(b"host", authority), *((name, value) for name, value in plain if name != b"host")]
    cookies = [value for name, value in headers if name == b"cookie"]
    if cookies:
        plain.append((b"cookie", b"; ".join(cookies)))
    return Request(
        method=pseudo.get(b":method", b""),
        target=pseudo.get(b":path", authority or b""),
        version="2.0",
        headers=plain,
        peer=peer,
        tls=tls,
    )


def _lower(headers: Headers) -> Headers:
    return [(name.lower(), value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
