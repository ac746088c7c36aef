"""A listening port: its socket, its connections, its end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol

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
