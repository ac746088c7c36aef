"""A listening port: its socket, its connections, its end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Protocol, cast

from gatewright.local.workloads.addresses import Doorkeeper

_HANDSHAKE_SECONDS = 10.0
_BACKLOG = 1024
_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing resets the connection."""


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
        self._server: asyncio.Server | _Door | None = None
        self._connections: set[Connection] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    def connect(self) -> asyncio.Protocol:
        """What speaks on a new connection."""
        raise NotImplementedError

    async def start(self, address: str, port: int, doorkeeper: Doorkeeper | None = None) -> None:
        """Listen on `address`; port 0 picks a free one. Raises OSError when the port can't be had.

        Connections of a client whom the doorkeeper doesn't let in are reset before a byte is read.
        """
        loop = asyncio.get_running_loop()
        timeout = _HANDSHAKE_SECONDS if self.tls else None
        if doorkeeper:
            door = self._server = _Door(self, doorkeeper)
            door.open(address, port)
        else:
            self._server = await loop.create_server(
                self.connect, address, port, backlog=_BACKLOG, ssl=self.tls, ssl_handshake_timeout=timeout
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


class _Door:
    """A listening socket that looks at who comes before it takes a connection, and again when that may have changed."""

    def __init__(self, listener: Listener, doorkeeper: Doorkeeper) -> None:
        self._listener = listener
        self._doorkeeper = doorkeeper
        self.sockets: list[socket.socket] = []
        self._taking: dict[asyncio.Task[None], str] = {}
        self._taken: dict[asyncio.WriteTransport, str] = {}
        self._unsubscribe = doorkeeper.subscribe(self._look_again)

    def open(self, address: str, port: int) -> None:
        """Listen. Raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.create_server((address, port), family=family, backlog=_BACKLOG)
        listening.setblocking(False)
        self.sockets = [listening]
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Listen no more; what is connected stays so."""
        if self.sockets:
            self._unsubscribe()
        for listening in self.sockets:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self.sockets = []

    def _accept(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):  # none is left, or it has gone already
            while True:
                connection, (peer, *_) = listening.accept()
                if self._admits(peer):
                    task = asyncio.get_running_loop().create_task(self._take(connection, peer))
                    self._taking[task] = peer
                    task.add_done_callback(self._taking.pop)
                else:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    connection.close()

    def _admits(self, peer: str) -> bool:
        return self._doorkeeper.admits(peer, self._listener.address, self._listener.port)

    async def _take(self, connection: socket.socket, peer: str) -> None:
        connection.setblocking(False)
        tls = self._listener.tls
        timeout = _HANDSHAKE_SECONDS if tls else None
        with contextlib.suppress(OSError):  # a handshake that fails
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                self._listener.connect, connection, ssl=tls, ssl_handshake_timeout=timeout
            )
            self._taken = {each: of for each, of in self._taken.items() if not each.is_closing()}
            self._taken[cast("asyncio.WriteTransport", transport)] = peer  # uvloop's is one in all but its bases

    def _look_again(self) -> None:
        admitted = {peer: self._admits(peer) for peer in {*self._taken.values(), *self._taking.values()}}
        for transport, peer in self._taken.items():
            if not admitted[peer]:
                transport.abort()
        for task, peer in self._taking.items():
            if not admitted[peer]:
                task.cancel()  # it shakes hands
