"""Listeners that change under load: nobody else's request is lost.

Open connections of other listeners stay, too; on a port of many listeners they end in good order.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY, backend_key, request
from tests.envoy.test_tls import certificate, trust

from gatewright.envoy import ports as envoy_ports
from gatewright.envoy.listeners import Binding
from gatewright.topology import ClientValidation, HostKey, ListenerKey

pytestmark = pytest.mark.usefixtures("few_or_many")


@asynccontextmanager
async def load(ask: Callable[[], Awaitable[Any]], right: Any, clients: int = 3) -> AsyncIterator[Counter[Any]]:
    """Clients that ask one after the other; counts the answers, and at the end there is none but `right`."""
    answers: Counter[Any] = Counter()
    done = asyncio.Event()

    async def client() -> None:
        while not done.is_set():
            try:
                answers[await asyncio.wait_for(ask(), 60)] += 1
            except (OSError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError) as error:
                answers[repr(error)] += 1

    tasks = [asyncio.create_task(client()) for _ in range(clients)]
    try:
        yield answers
    finally:
        done.set()
        await asyncio.gather(*tasks)
    assert set(answers) == {right}


class Kept:
    """Asks over one connection, and over another one after an answer that ends it (RFC 9112, 9.6)."""

    def __init__(self, binding: Binding, host: str, tls: ssl.SSLContext) -> None:
        self.connections = 0
        self._host = host
        self._open = partial(asyncio.open_connection, binding.host, binding.ports[443], ssl=tls, server_hostname=host)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> int:
        if self._streams is None:
            self._streams = await self._open()
            self.connections += 1
        reader, writer = self._streams
        writer.write(f"GET / HTTP/1.1\r\nhost: {self._host}\r\n\r\n".encode())
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(status.split()[1])

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
            self._streams = None


async def first(ask: Callable[[], Awaitable[int]]) -> int:
    """The first answer of a new listener: Envoy's workers have it a moment after Envoy has acknowledged it."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await ask()
            except (ConnectionError, ssl.SSLEOFError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)


async def more(answers: Counter[Any], count: int = 20) -> None:
    """Wait until as many more answers have come."""
    wanted = answers.total() + count
    async with asyncio.timeout(60):
        while answers.total() < wanted:  # noqa: ASYNC110 - every answer moves it
            await asyncio.sleep(0.005)


async def test_listeners_come_change_and_go_beside_a_busy_one(world: Any, echo: Any, edge: Any) -> None:
    world.backend("one", await echo("one"))
    busy = certificate("busy.example.com", "busy")
    world.certificates.set(busy.key, busy)
    key = world.listener("busy", 443, "HTTPS", "busy.example.com", (busy.key,))
    world.rule("busy", "/", "one", host=HostKey(key, "busy.example.com"))
    await edge.settled()
    binding, trusted = world.bindings[GATEWAY], trust(busy)

    async def ask(name: str = "busy.example.com", tls: ssl.SSLContext = trusted) -> int:
        return (await request(binding.host, binding.ports[443], host=name, tls=tls)).status

    kept = Kept(binding, "busy.example.com", trusted)
    async with load(ask, 200) as answers, load(kept.ask, 200, clients=1):
        for number in range(4):
            name = f"l{number}.example.com"
            cert = certificate(name, f"l{number}")
            with world.flow.batch():
                world.certificates.set(cert.key, cert)
                added = world.listener(f"l{number}", 443, "HTTPS", name, (cert.key,))
                world.rule(f"r{number}", "/", "one", host=HostKey(added, name))
            await edge.settled()
            assert await first(partial(ask, name, trust(cert))) == 200
            world.listener(f"l{number}", 443, "HTTPS", f"*.{name}", (cert.key,))
            await edge.settled()
            with world.flow.batch():
                world.listeners.delete(added)
                for host in (name, f"*.{name}"):
                    world.hosts.delete(HostKey(added, host))
                world.remove(f"r{number}", HostKey(added, name))
            await edge.settled()
            await more(answers)
    kept.close()
    if envoy_ports.CROWD > 0:
        assert kept.connections == 1


async def test_certificates_and_authorities_are_rotated_under_load(
    world: Any, echo: Any, edge: Any, tmp_path: Path
) -> None:
    world.backend("one", await echo("one", delay=0.01))
    pairs = [certificate("one.example.com", "server", str(version)) for version in range(3)]
    client, other = certificate("alice", "alice"), certificate("mallory", "mallory")
    (tmp_path / "pair").write_bytes(client.chain + client.private_key)
    trusted = trust(*pairs)
    trusted.load_cert_chain(tmp_path / "pair")

    def serve(authorities: bytes) -> None:
        with world.flow.batch():
            validation = ClientValidation(authorities, required=True)
            key = world.listener("one", 443, "HTTPS", "*", (pairs[0].key,), client_validation=validation)
            world.rule("one", "/", "one", host=HostKey(key, "*"))

    world.certificates.set(pairs[0].key, pairs[0])
    serve(client.chain)
    await edge.settled()
    binding = world.bindings[GATEWAY]

    async def ask() -> int:
        return (await request(binding.host, binding.ports[443], host="one.example.com", tls=trusted)).status

    async with load(ask, 200) as answers:
        for number, pair in enumerate(pairs):
            world.certificates.set(pair.key, pair)
            serve(client.chain + other.chain if number % 2 else client.chain)
            await edge.settled()
            await more(answers)


async def test_a_stream_that_is_edited_beside_a_busy_one(world: Any, echo: Any, edge: Any) -> None:
    world.backend("one", await echo("one"))
    world.backend("two", await echo("two"))
    tcp = HostKey(world.listener("tcp", 80, "TCP"), "*")
    beside = HostKey(world.listener("beside", 8080, "TCP"), "*")
    world.stream("busy", tcp, backend_key("one"))
    await edge.settled()
    binding = world.bindings[GATEWAY]

    async def ask() -> int:
        return (await request(binding.host, binding.ports[80])).status

    async with load(ask, 200) as answers:
        for number in range(4):
            world.stream("busy", tcp, (backend_key("one"), number), backend_key("two"), version=str(number))
            world.stream(f"beside-{number}", beside, backend_key("two"), precedence=10 - number)
            await edge.settled()
            await more(answers)


async def test_a_port_becomes_crowded_and_empties_again(
    world: Any, echo: Any, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envoy_ports, "CROWD", 2)
    world.backend("one", await echo("one"))
    certs = [certificate(f"l{number}.example.com", f"l{number}") for number in range(4)]
    trusted = trust(*certs)
    binding = world.bindings[GATEWAY]

    def name(number: int) -> str:
        return f"l{number}.example.com"

    async def ask(number: int = 0) -> int:
        return (await request(binding.host, binding.ports[443], host=name(number), tls=trusted)).status

    def add(number: int) -> None:
        with world.flow.batch():
            world.certificates.set(certs[number].key, certs[number])
            key = world.listener(f"l{number}", 443, "HTTPS", name(number), (certs[number].key,))
            world.rule(f"r{number}", "/", "one", host=HostKey(key, name(number)))

    def remove(number: int) -> None:
        key = ListenerKey(GATEWAY, f"l{number}")
        with world.flow.batch():
            world.listeners.delete(key)
            world.hosts.delete(HostKey(key, name(number)))
            world.remove(f"r{number}", HostKey(key, name(number)))
            world.certificates.delete(certs[number].key)

    add(0)
    await edge.settled()
    async with load(ask, 200) as answers:
        for _ in range(2):
            for number in range(1, 4):
                add(number)
                await asyncio.wait_for(edge.settled(), 60)
                assert await first(partial(ask, number)) == 200
                await more(answers)
            for number in range(1, 4):
                remove(number)
                await asyncio.wait_for(edge.settled(), 60)
                await more(answers)
