"""Ports on which bytes or datagrams go to and fro without requests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast

from gatewright.local.workloads.listener import Listener
from gatewright.local.workloads.program import Session
from gatewright.local.workloads.tls import TlsState, tls_state

OpenSession = Callable[[TlsState | None], Session]
Reply = Callable[[bytes, tuple[str, int]], bytes | Awaitable[bytes | None] | None]


class SessionListener(Listener):
    """A port on which bytes go to and fro without requests: one `Session` a connection."""

    def __init__(self, open_session: OpenSession, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.open_session = open_session

    def connect(self) -> asyncio.Protocol:
        """A session's connection."""
        return _SessionProtocol(self)


class _SessionProtocol(asyncio.Protocol):
    """Carries one session."""

    def __init__(self, listener: SessionListener) -> None:
        self._listener = listener
        self._session: Session | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._listener.opened(self)
        self._session = self._listener.open_session(tls_state(transport))
        self._transport.write(self._session.greeting)

    def data_received(self, data: bytes) -> None:
        assert self._session is not None
        assert self._transport is not None
        out = self._session.receive(data)
        if out is None:
            self._transport.close()
        elif out:
            self._transport.write(out)

    def connection_lost(self, exc: Exception | None) -> None:
        self._listener.lost(self)

    def drain(self) -> None:
        # What was received has been answered; the peer is told by the end of the stream.
        if self._transport:
            self._transport.close()

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()


class DatagramListener:
    """A UDP port. `reply` is given a datagram and its sender, and returns what to send back, now or later."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.address = ""
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int) -> None:
        """Listen on `address`; port 0 picks a free one. Raises OSError when the port can't be had."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _DatagramProtocol(self), local_addr=(address, port)
        )
        self.address, self.port = address, self._transport.get_extra_info("sockname")[1]

    def received(self, data: bytes, peer: tuple[str, int]) -> None:
        """Answer one datagram."""
        answer = self.reply(data, peer)
        if isinstance(answer, bytes):
            self._send(answer, peer)
        elif answer is not None:
            task = asyncio.get_running_loop().create_task(self._later(answer, peer))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def drain(self, seconds: float) -> None:
        """Send the answers that are being made, for up to `seconds`, then close."""
        if self._answering:
            await asyncio.wait(self._answering, timeout=seconds)
        self.close()

    def close(self) -> None:
        """Close now."""
        for task in self._answering:
            task.cancel()
        if self._transport:
            self._transport.close()

    async def _later(self, answer: Awaitable[bytes | None], peer: tuple[str, int]) -> None:
        data = await answer
        if data is not None:
            self._send(data, peer)

    def _send(self, data: bytes, peer: tuple[str, int]) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.sendto(data, peer)


class _DatagramProtocol(asyncio.DatagramProtocol):
    def __init__(self, listener: DatagramListener) -> None:
        self._listener = listener

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._listener.received(data, addr)
