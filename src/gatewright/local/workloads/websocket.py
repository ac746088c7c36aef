"""The WebSocket echo (RFC 6455): every message goes back as it came, text as text and binary as binary."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1
from typing import cast

from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from gatewright.local.workloads.exchange import Answer, Headers, Request
from gatewright.local.workloads.listener import Listener

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = "13"


def accept(request: Request, opened: Callable[[str], None]) -> Answer:
    """The answer to an opening handshake, as golang.org/x/net/websocket's server gives it.

    That wants an Origin. `opened` is told the peer of each connection that begins.
    """
    if request.method != b"GET":
        return _refusal(405, "bad method")
    upgrade, connection = _header(request, b"upgrade"), _header(request, b"connection")
    if request.version != "1.1" or upgrade.lower() != "websocket" or "upgrade" not in connection.lower():
        return _refusal(400, "not websocket protocol")
    key = _header(request, b"sec-websocket-key")
    if not key:
        return _refusal(400, "mismatch challenge/response")
    if _header(request, b"sec-websocket-version") != _VERSION:
        return _refusal(400, "missing or bad WebSocket Version", [("Sec-WebSocket-Version", _VERSION)])
    if "://" not in _header(request, b"origin"):
        return _refusal(403, "null origin")
    protocols = [word.strip() for word in _header(request, b"sec-websocket-protocol").split(",") if word.strip()]
    if len(protocols) > 1:
        return _refusal(400, "bad protocol")
    proof = b64encode(sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", proof)]
    headers += [("Sec-WebSocket-Protocol", protocol) for protocol in protocols]

    def upgraded(listener: Listener) -> asyncio.Protocol:
        opened(request.peer)
        return WebSocketEcho(listener)

    return Answer(101, headers, upgrade=upgraded)


class WebSocketEcho(asyncio.Protocol):
    """One connection after its handshake."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._frames = Frames(ConnectionType.SERVER)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._listener.opened(self)
        if self._listener.draining:
            self.drain()

    def data_received(self, data: bytes) -> None:
        """Answer the frames."""
        assert self._transport is not None
        try:
            self._frames.receive_data(data)
        except LocalProtocolError:
            return  # what comes after the end is nobody's
        for event in self._frames.events():
            if isinstance(event, CloseConnection):
                self._end(event)
                return
            if self._frames.state is not ConnectionState.OPEN:
                continue
            if isinstance(event, TextMessage | BytesMessage | Ping):
                echo = event.response() if isinstance(event, Ping) else event
                self._transport.write(self._frames.send(echo))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._listener.lost(self)

    def drain(self) -> None:
        """Tell the client that the server goes away; the connection ends with the client's answer."""
        if self._transport and self._frames.state is ConnectionState.OPEN:
            self._transport.write(self._frames.send(CloseConnection(code=CloseReason.GOING_AWAY)))

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport:
            self._transport.abort()

    def _end(self, event: CloseConnection) -> None:
        assert self._transport is not None
        if self._frames.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            self._transport.write(self._frames.send(event.response()))
        self._transport.close()


def _header(request: Request, name: bytes) -> str:
    return (request.header(name) or b"").decode("latin-1")


def _refusal(status: int, why: str, headers: Headers | None = None) -> Answer:
    return Answer(status, [*(headers or []), ("Content-Type", "text/plain; charset=utf-8")], why.encode())
