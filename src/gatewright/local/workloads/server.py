"""The HTTP server behind every stand-in: its port, and which version of HTTP a connection speaks."""

from __future__ import annotations

import asyncio
from typing import cast

from gatewright.local.workloads.endpoint import Endpoint
from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.http1 import HttpProtocol
from gatewright.local.workloads.http2 import PREFACE, Http2Protocol, http2_upgrade
from gatewright.local.workloads.tls import tls_state


class Server(Endpoint):
    """An HTTP port whose connections speak the versions that `protocol` names."""

    def connect(self) -> asyncio.Protocol:
        """What speaks on a new connection: known at once, or once the client has shown its version."""
        if self.protocol == "http" and self.tls is None:
            return HttpProtocol(self)
        return Negotiation(self)

    def answer(self, request: Request) -> Answer:
        """The answer; a request over HTTP/1.1 that offers to go on in HTTP/2 is taken at its word."""
        if self.protocol != "h2c" or request.version != "1.1" or request.header(b"http2-settings") is None:
            return super().answer(request)
        try:
            return http2_upgrade(request)
        except ValueError:
            return Answer(400, [])


class Negotiation(asyncio.Protocol):
    """Waits until it is known which version of HTTP the client speaks, then lets that take over.

    With TLS the handshake has said it (ALPN); without, the first bytes do (RFC 9113 section 3.3).
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._transport: asyncio.Transport | None = None
        self._first = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._endpoint.opened(self)
        tls = tls_state(transport)
        if self._endpoint.protocol == "http2" or (tls and tls.protocol == "h2"):
            self._become(Http2Protocol(self._endpoint, tls))
        elif self._endpoint.protocol == "http" or tls:
            self._become(HttpProtocol(self._endpoint, tls))

    def data_received(self, data: bytes) -> None:
        """Look for the preface of HTTP/2."""
        self._first += data
        if self._first.startswith(PREFACE):
            self._become(Http2Protocol(self._endpoint))
        elif not PREFACE.startswith(self._first):
            self._become(HttpProtocol(self._endpoint))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left before it said anything."""
        self._endpoint.lost(self)

    def drain(self) -> None:
        """Close: nothing has been asked."""
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport:
            self._transport.abort()

    def _become(self, protocol: asyncio.Protocol) -> None:
        assert self._transport is not None
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        self._endpoint.lost(self)
        if self._first:
            protocol.data_received(self._first)
