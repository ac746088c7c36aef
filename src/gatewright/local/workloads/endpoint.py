"""A listening port: its socket, its connections, its end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from gatewright.local.workloads.program import Session
from gatewright.local.workloads.tls import TlsState, tls_state

OpenSession = Callable[[TlsState | None], Session]
Reply = Callable[[bytes, tuple[str, int]], bytes | Awaitable[bytes | None] | None]

_HANDSHAKE_SECONDS = 10.0


class Connection(Protocol):
    """One connection of a port."""

    def drain(self) -> None:
        """Take no further work, finish what is under way, then close."""

    def abort(self) -> None:
        """Close now."""


class Listener:
    """One listening address and port, and its connections. What is spoken is in the classes that derive from it."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.address = ""
        self.port = 0
        """The port that it listens on, once it has started."""
        self.draining = False
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def connect(self) -> asyncio.Protocol:
        """What speaks on a new connection."""
        raise NotImplementedError

    async def start(self, address: str, port: int) -> None:
        """Listen on `address`; port 0 picks a free one. Raises OSError when the port can't be had."""
        loop = asyncio.get_running_loop()
        timeout = _HANDSHAKE_SECONDS if self.tls else None
        self._server = await loop.create_server(
            self.connect, address, port, backlog=1024, ssl=self.tls, ssl_handshake_timeout=timeout
        )
        self.address, self.port = address, self._server.sockets[0].getsockname()[1]

    async def drain(self, seconds: float) -> None:
        """Take no new connections, finish what is under way for up to `seconds`, close everything."""
        self.draining = True
        if self._server:
            self._server.close()
        for connection in tuple(self._connections):
            connection.drain()
        try:
            async with asyncio.timeout(seconds):
                await self._quiet.wait()
        except TimeoutError:
            pass
        self.close()

    def close(self) -> None:
        """Close the port and every connection now."""
        self.draining = True
        if self._server:
            self._server.close()
        for connection in tuple(self._connections):
            connection.abort()

    def opened(self, connection: Connection) -> None:
        """Count a connection in."""
        self._connections.add(connection)
        self._quiet.clear()

    def lost(self, connection: Connection) -> None:
        """Count a connection out."""
        self._connections.discard(connection)
        if not self._connections:
            self._quiet.set()


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
