"""Ports before which somebody looks at who comes: what has changed while a client shook hands counts."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import pytest

from gatewright.local.workloads.exchange import Answer
from gatewright.local.workloads.server import Server
from gatewright.local.workloads.tls import self_signed_context

HOST = "127.0.0.1"


class Doorkeeper:
    """Lets everybody in, or nobody."""

    def __init__(self) -> None:
        self.open = True
        self.asked = asyncio.Event()
        self.tell: list[Callable[[], None]] = []

    def admits(self, peer: str, address: str, port: int) -> bool:
        self.asked.set()
        return self.open

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        self.tell.append(changed)
        return lambda: self.tell.remove(changed)

    def close(self) -> None:
        """Let nobody in from now on."""
        self.open = False
        for changed in self.tell:
            changed()


@pytest.mark.parametrize(("closes", "expected"), [(False, b"HTTP/1.1 200 OK\r\n"), (True, b"")])
async def test_who_shakes_hands_is_looked_at_again(closes: bool, expected: bytes) -> None:
    keeper = Doorkeeper()
    server = Server(lambda _: Answer(200, [], b"in"), tls=self_signed_context("pod", ["http/1.1"]))
    await server.start(HOST, 0, keeper)
    client = socket.create_connection((HOST, server.port))
    await keeper.asked.wait()
    if closes:
        keeper.close()
    assert await first_line(client) == expected
    server.close()


async def first_line(connection: socket.socket) -> bytes:
    """What a request over TLS is answered with; empty where the connection is cut."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection(sock=connection, ssl=trusting, server_hostname=HOST)
        writer.write(b"GET / HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")
        line = await reader.readline()
        writer.close()
    except ConnectionError:
        return b""
    return line
