"""HTTP/1.1 for the stand-ins: one asyncio protocol over httptools."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections import deque
from email.utils import formatdate
from typing import cast

import httptools
import structlog

from gatewright.local.workloads.endpoint import Endpoint
from gatewright.local.workloads.exchange import Answer, Request, Upgrade, status_line
from gatewright.local.workloads.tls import TlsState

_log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 1 << 20
"""The limit on a request's target and headers, as Go's server has it."""
MAX_QUEUED = 64
"""How many requests of one connection may wait for their answer before reading pauses."""


class HttpProtocol(asyncio.Protocol):
    """One connection. Requests are answered in the order in which they came, one at a time."""

    __slots__ = (
        "_closing",
        "_endpoint",
        "_expect",
        "_head_bytes",
        "_hosts",
        "_loop",
        "_parser",
        "_peer",
        "_queue",
        "_reading",
        "_request",
        "_target",
        "_timer",
        "_tls",
        "_transport",
        "_upgraded",
        "_writable",
    )

    def __init__(self, endpoint: Endpoint, tls: TlsState | None = None) -> None:
        self._endpoint = endpoint
        self._tls = tls
        self._upgraded: asyncio.Protocol | None = None
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._peer = ""
        self._queue: deque[tuple[Request | None, Answer | None, bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._reading = True
        self._writable = True
        self._start()

    def _start(self) -> None:
        self._request = Request(b"", b"")
        self._target = b""
        self._expect = b""
        self._hosts = 0
        self._head_bytes = 0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if peer else ""
        self._endpoint.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._closing = True
        self._queue.clear()
        if self._timer:
            self._timer.cancel()
        self._endpoint.lost(self)

    def data_received(self, data: bytes) -> None:
        """Parse; answers are written from the parser's callbacks."""
        while data and not self._closing:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                # Where the offer of another protocol was not taken, it is declined by answering in this one (RFC 9110
                # section 7.8). The parser has given up the connection, so that a new one reads on.
                data = data[upgrade.args[0] :]
                if self._upgraded:
                    if data:
                        self._upgraded.data_received(data)
                    return
                self._parser = httptools.HttpRequestParser(self)
                continue
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                self._refuse(*(cause.args if isinstance(cause, _Refused) else (400, b"")))
            except httptools.HttpParserError:
                self._refuse(400, b"")
            return

    def eof_received(self) -> bool:
        """Keep the connection half open while answers are due; TLS has no half open connections."""
        self._closing = True
        if self._tls:
            return False
        return bool(self._queue)

    def pause_writing(self) -> None:
        """Hold answers back from a client that doesn't read."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._advance()

    # httptools

    def on_message_begin(self) -> None:
        """A request starts."""
        self._start()

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._target += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value) + 4)
        self._request.headers.append((name, value))
        if len(name) == 4 and name.lower() == b"host":
            self._hosts += 1
        elif len(name) == 6 and name.lower() == b"expect":
            self._expect = value.lower()

    def on_headers_complete(self) -> None:
        """The head is read."""
        request, parser = self._request, self._parser
        request.method = parser.get_method()
        request.target = self._target
        request.version = parser.get_http_version()
        request.peer = self._peer
        request.received = self._loop.time()
        if self._tls is not None:
            request.tls = self._tls
        if request.version not in ("1.0", "1.1"):
            raise _Refused(505, b": unsupported protocol version")
        if request.version == "1.1" and self._hosts != 1:
            raise _Refused(400, b": missing required Host header" if not self._hosts else b": too many Host headers")
        if self._expect == b"100-continue":
            if request.version == "1.1":
                self._put((None, Answer(100, []), True))
        elif self._expect:
            raise _Refused(417, b"")

    def on_message_complete(self) -> None:
        """The body is read, too: the request is due."""
        self._put((self._request, None, self._parser.should_keep_alive() and self._request.method != b"CONNECT"))

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _Refused(431, b"")

    # answers

    def _put(self, item: tuple[Request | None, Answer | None, bool]) -> None:
        if self._closing:
            return
        self._queue.append(item)
        if len(self._queue) == 1:
            self._advance()
        if len(self._queue) > MAX_QUEUED and self._reading and self._transport:
            self._reading = False
            self._transport.pause_reading()

    def _refuse(self, status: int, detail: bytes) -> None:
        """Answer a malformed request and close, as Go's server does."""
        phrase = status_line(status)[9:].strip()
        answer = Answer(status, [("Content-Type", "text/plain; charset=utf-8")], phrase + detail)
        self._put((None, answer, False))
        self._closing = True

    def _advance(self) -> None:
        """Write the answers that are due, until one has to wait."""
        while self._queue and self._timer is None and self._writable:
            request, answer, keep_alive = self._queue[0]
            if answer is None:
                assert request is not None
                answer = self._answer(request)
                self._queue[0] = (request, answer, keep_alive)
            if answer.delay > 0 and request is not None:
                due = request.received + answer.delay - self._loop.time()
                if due > 0:
                    self._timer = self._loop.call_later(due, self._delayed)
                    return
            self._queue.popleft()
            self._write(request, answer, keep_alive and not self._endpoint.draining)
        if not self._reading and len(self._queue) <= MAX_QUEUED // 2 and self._transport and not self._closing:
            self._reading = True
            self._transport.resume_reading()
        if not self._queue and (self._closing or self._endpoint.draining) and self._transport and self._idle():
            self._transport.close()

    def _idle(self) -> bool:
        return self._closing or not self._target

    def _delayed(self) -> None:
        self._timer = None
        self._advance()

    def _answer(self, request: Request) -> Answer:
        if request.method == b"CONNECT":
            return Answer(405, [("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE")])
        try:
            return self._endpoint.answer(request)
        except Exception:  # noqa: BLE001 - one request's failure is that request's answer
            _log.exception("a stand-in failed", target=request.uri)
            return Answer(500, [])

    def _write(self, request: Request | None, answer: Answer, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if answer.status < 200:
            if answer.upgrade and request is not None:
                self._upgrade(request, answer, answer.upgrade)
            else:
                transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        if answer.abort:
            if answer.abort == "reset":
                sock = transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._closing = True
            self._queue.clear()
            transport.abort()
            return
        parts = [answer.head, _date()]
        if answer.interim:
            parts.insert(0, status_line(answer.interim) + b"\r\n")
        if not keep_alive:
            parts.append(b"Connection: close\r\n\r\n")
        elif request is not None and request.version == "1.0":
            parts.append(b"Connection: keep-alive\r\n\r\n")
        else:
            parts.append(b"\r\n")
        if request is None or request.method != b"HEAD":
            parts.append(answer.body)
        transport.write(b"".join(parts))
        if request is not None:
            if request is self._request:
                self._target = b""
            if self._endpoint.answered:
                self._endpoint.answered(request, answer, self._loop.time() - request.received)
        if not keep_alive:
            self._closing = True
            self._queue.clear()
            transport.close()

    def _upgrade(self, request: Request, answer: Answer, upgrade: Upgrade) -> None:
        """Write the 101, and let what `upgrade` makes speak from here on."""
        assert self._transport is not None
        self._transport.write(answer.head + b"\r\n")
        if self._endpoint.answered:
            self._endpoint.answered(request, answer, self._loop.time() - request.received)
        self._queue.clear()
        self._upgraded = upgrade(self._endpoint)
        self._transport.set_protocol(self._upgraded)
        self._upgraded.connection_made(self._transport)
        self._endpoint.lost(self)

    # the endpoint's end

    def drain(self) -> None:
        """Close after the request in flight; at once when there is none."""
        if not self._queue and self._idle() and self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        self._closing = True
        self._queue.clear()
        if self._transport:
            self._transport.abort()


class _Refused(Exception):
    """Ends a malformed request: the status, and what follows the phrase in the body."""


_dated = (0, b"")


def _date() -> bytes:
    """The Date header, rendered once a second."""
    global _dated
    now = int(time.time())
    if _dated[0] != now:
        _dated = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _dated[1]
