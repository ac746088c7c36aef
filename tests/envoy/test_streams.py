"""Connections and datagrams that are passed on: TCP, UDP and TLS listeners."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from msgspec import structs
from tests.envoy.edge_world import GATEWAY, free_port, loopback, origin
from tests.envoy.test_tls import certificate, trust

from gatewright.envoy.listeners import Binding
from gatewright.envoy.resources import ENDPOINTS
from gatewright.model.meta import Key
from gatewright.topology import (
    Backend,
    BackendKey,
    BackendTLS,
    Endpoint,
    Endpoints,
    HostKey,
    PortKey,
    SubjectName,
)

Served = Callable[..., Awaitable[BackendKey]]


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(f"{self._name}:{data.decode()}".encode(), addr)


class _Client(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def datagram(at: tuple[str, int], patience: float = 60) -> str:
    """What comes back for a datagram from a port of its own; "" for nothing."""
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(_Client, remote_addr=at)
    try:
        transport.sendto(b"hello")
        return (await asyncio.wait_for(client.answer, patience)).decode()
    except (TimeoutError, ConnectionRefusedError):
        return ""
    finally:
        transport.close()


class Connection:
    """A connection to a port; `say` returns the answer to a line, "" where it is closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, text: str = "hello") -> str:
        try:
            self._writer.write(f"{text}\n".encode())
            await self._writer.drain()
            return (await asyncio.wait_for(self._reader.readline(), 60)).decode().strip()
        except ConnectionError:
            return ""

    def close(self) -> None:
        self._writer.close()


async def connect(host: str, port: int, **how: Any) -> Connection:
    return Connection(*await asyncio.open_connection(host, port, **how))


async def said(host: str, port: int, **how: Any) -> str:
    """The answer on a connection of its own, "" where it is closed."""
    try:
        connection = await connect(host, port, **how)
    except (ConnectionError, ssl.SSLError):
        return ""
    try:
        return await connection.say()
    finally:
        connection.close()


@pytest.fixture
async def served(world: Any) -> AsyncIterator[Served]:
    """Make a backend: `await served("name", port)`; it answers each line (or datagram) with its name and that."""
    async with AsyncExitStack() as stack:

        async def serve(name: str, *, udp: bool = False, tls: ssl.SSLContext | None = None) -> BackendKey:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    while line := await reader.readline():
                        writer.write(f"{name}:{line.decode()}".encode())
                writer.close()

            key = BackendKey("apps", name, 90, "UDP" if udp else "TCP")
            if udp:
                loop = asyncio.get_running_loop()
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(name), local_addr=("127.0.0.1", 0)
                )
                stack.callback(transport.close)
                port = transport.get_extra_info("sockname")[1]
            else:
                server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
                stack.callback(server.close)
                port = server.sockets[0].getsockname()[1]
            with world.flow.batch():
                world.backends.set(key, Backend(key, "http"))
                world.endpoints.set(key, Endpoints(key, (Endpoint("127.0.0.1", port),)))
            return key

        yield serve


@pytest.fixture
def where(world: Any, edge: Any, address: str) -> Callable[..., Awaitable[tuple[str, int]]]:
    """The address and real port of a port, once the edge is settled."""
    binding = world.bindings[GATEWAY]
    ports = {**binding.ports, 9000: free_port(address)}
    world.bindings.set(GATEWAY, Binding(address, ports, {9000: free_port(address), 53: free_port(address)}))

    async def find(port: int, transport: Any = "TCP") -> tuple[str, int]:
        await asyncio.wait_for(edge.settled(), 60)
        bound = world.bindings[GATEWAY].bound(PortKey(GATEWAY, port, transport))
        return address, bound

    return find


def served_by(certs: Any, tmp_path: Any) -> ssl.SSLContext:
    """A server's context for a certificate."""
    (tmp_path / "chain").write_bytes(certs.chain)
    (tmp_path / "key").write_bytes(certs.private_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    return context


async def test_a_tcp_listener_passes_connections_on(world: Any, served: Served, where: Any) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    world.stream("it", host, await served("one"))
    assert await said(*await where(9000)) == "one:hello"
    assert world.ports[PortKey(GATEWAY, 9000)].serving


async def test_the_oldest_stream_gets_all(world: Any, served: Served, where: Any) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    world.stream("younger", host, await served("two"), precedence=2)
    world.stream("older", host, await served("one"), precedence=1)
    assert {await said(*await where(9000)) for _ in range(4)} == {"one:hello"}


async def test_a_port_without_a_stream_is_open_and_closes_connections(world: Any, where: Any) -> None:
    world.listener("tcp", 9000, "TCP")
    world.listener("udp", 53, "UDP")
    assert await said(*await where(9000)) == ""
    assert await datagram(await where(53, "UDP"), patience=0.2) == ""
    assert world.ports[PortKey(GATEWAY, 9000)].serving
    assert world.ports[PortKey(GATEWAY, 53, "UDP")].serving


async def test_weights_divide_connections(world: Any, served: Served, where: Any) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    one, two, three = [await served(name) for name in ("one", "two", "three")]
    world.stream("it", host, (one, 3), (two, 1), (three, 0))
    answers = Counter([await said(*await where(9000)) for _ in range(80)])
    assert set(answers) == {"one:hello", "two:hello"}
    assert 50 <= answers["one:hello"] <= 70


@pytest.mark.parametrize("missing", ["reference", "endpoints", "refused"])
async def test_a_share_that_leads_nowhere_is_closed(world: Any, served: Served, where: Any, missing: str) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    one, other = await served("one"), await served("other")
    if missing == "endpoints":
        world.endpoints.delete(other)
    elif missing == "refused":
        world.backends.set(other, Backend(other, "http", problem="its policy is invalid"))
    world.stream("it", host, one, (None if missing == "reference" else other, 1))
    answers = Counter([await said(*await where(9000)) for _ in range(40)])
    assert set(answers) == {"one:hello", ""}
    assert 14 <= answers[""] <= 26
    world.stream("it", host, (None, 1), version="2")
    assert {await said(*await where(9000)) for _ in range(4)} == {""}
    world.stream("it", host, (one, 0), version="3")
    assert {await said(*await where(9000)) for _ in range(4)} == {""}


async def test_backends_with_the_same_endpoints_have_both_their_shares(world: Any, served: Served, where: Any) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    one, two = await served("one"), await served("two")
    same = BackendKey("apps", "same", 90)
    world.backends.set(same, Backend(same, "http"))
    world.endpoints.set(same, Endpoints(same, world.endpoints[one].endpoints))
    world.stream("it", host, one, two, (same, 2))
    answers = Counter([await said(*await where(9000)) for _ in range(40)])
    assert 24 <= answers["one:hello"] <= 36


async def test_an_open_connection_outlives_every_edit_of_its_route(
    world: Any, served: Served, where: Any, edge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    one, two = await served("one"), await served("two")
    world.stream("it", host, one)
    connection = await connect(*await where(9000))
    assert await connection.say() == "one:hello"
    sent: list[str] = []
    monkeypatch.setattr(edge.target, "sent", lambda url, *_: sent.append(url))
    world.stream("it", host, (one, 0), two, version="2")
    assert await said(*await where(9000)) == "two:hello"
    world.endpoints.delete(two)
    assert await said(*await where(9000)) == ""
    assert await connection.say() == "one:hello"
    # A listener that changes closes the connections of its chains: nothing but endpoints may be sent.
    assert set(sent) == {ENDPOINTS}
    connection.close()


async def test_a_draining_endpoint_gets_no_new_connection(world: Any, served: Served, where: Any) -> None:
    host = HostKey(world.listener("tcp", 9000, "TCP"), "*")
    one, two = await served("one"), await served("two")
    ready, going = (world.endpoints[key].endpoints[0] for key in (one, two))
    draining = Endpoint(going.address, going.port, draining=True)
    world.stream("it", host, one)
    world.endpoints.set(one, Endpoints(one, (ready, draining)))
    assert {await said(*await where(9000)) for _ in range(6)} == {"one:hello"}
    world.endpoints.set(one, Endpoints(one, (draining,)))
    assert await said(*await where(9000)) == "two:hello"


async def test_a_udp_listener_answers(world: Any, served: Served, where: Any) -> None:
    tcp, udp = world.listener("tcp", 9000, "TCP"), world.listener("udp", 9000, "UDP")
    world.stream("tcp", HostKey(tcp, "*"), await served("one"))
    world.stream("udp", HostKey(udp, "*"), await served("two", udp=True), kind="UDPRoute")
    assert await datagram(await where(9000, "UDP")) == "two:hello"
    assert await said(*await where(9000)) == "one:hello"
    assert world.ports[PortKey(GATEWAY, 9000, "UDP")].serving


async def test_weights_divide_udp_sessions(world: Any, served: Served, where: Any) -> None:
    host = HostKey(world.listener("udp", 53, "UDP"), "*")
    one, two = [await served(name, udp=True) for name in ("one", "two")]
    world.stream("it", host, (one, 3), (two, 1), kind="UDPRoute")
    at = await where(53, "UDP")
    answers = Counter(await asyncio.gather(*(datagram(at) for _ in range(80))))
    assert set(answers) == {"one:hello", "two:hello"}
    assert 50 <= answers["one:hello"] <= 70
    world.stream("it", host, one, (None, 1), kind="UDPRoute", version="2")
    at = await where(53, "UDP")
    waiting = {asyncio.create_task(datagram(at)) for _ in range(40)}
    while len(waiting) > 28:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert {each.result() for each in done} == {"one:hello"}
    _, lost = await asyncio.wait(waiting, timeout=0.5)
    assert len(lost) >= 12
    for each in lost:
        each.cancel()


@pytest.mark.usefixtures("few_or_many")
async def test_tls_is_passed_through_by_server_name(world: Any, served: Served, where: Any, tmp_path: Any) -> None:
    certs = certificate("*.example.com", "any")
    listener = world.listener("tls", 443, "TLS", "*.example.com")
    backend = await served("one", tls=served_by(certs, tmp_path))
    world.stream("it", HostKey(listener, "one.example.com"), backend, kind="TLSRoute")
    at = await where(443)
    assert await said(*at, ssl=trust(certs), server_hostname="one.example.com") == "one:hello"
    assert await said(*at, ssl=trust(certs), server_hostname="two.example.com") == ""
    assert await said(*at) == ""


@pytest.mark.usefixtures("few_or_many")
async def test_tls_without_a_hostname_takes_all_but_plain_text(
    world: Any, served: Served, where: Any, tmp_path: Any
) -> None:
    certs = certificate("one.example.com", "any")
    listener = world.listener("tls", 443, "TLS")
    world.stream("it", HostKey(listener, "*"), await served("one", tls=served_by(certs, tmp_path)), kind="TLSRoute")
    assert await said(*await where(443), ssl=trust(certs), server_hostname="one.example.com") == "one:hello"
    assert await said(*await where(443)) == ""


@pytest.mark.usefixtures("few_or_many")
async def test_termination_pass_through_and_https_share_a_port(
    world: Any, served: Served, where: Any, echo: Any, get: Any, tmp_path: Any
) -> None:
    passed, ended, web = (certificate(f"{name}.example.com", name) for name in ("passed", "ended", "web"))
    for each in (ended, web):
        world.certificates.set(each.key, each)
    through = world.listener("through", 443, "TLS", "passed.example.com")
    end = world.listener("end", 443, "TLS", "ended.example.com", (ended.key,))
    https = world.listener("https", 443, "HTTPS", "*", (web.key,))
    backend = await served("one", tls=served_by(passed, tmp_path))
    world.stream("through", HostKey(through, "passed.example.com"), backend, kind="TLSRoute")
    world.stream("end", HostKey(end, "ended.example.com"), await served("two"), kind="TLSRoute")
    world.backend("web", await echo("web"))
    world.rule("web", "/", "web", host=HostKey(https, "*"))
    at = await where(443)
    assert await said(*at, ssl=trust(passed), server_hostname="passed.example.com") == "one:hello"
    assert await said(*at, ssl=trust(ended), server_hostname="ended.example.com") == "two:hello"
    assert (await get("/", port=443, host="web.example.com", tls=trust(web))).echo["name"] == "web"


@pytest.mark.usefixtures("few_or_many")
async def test_a_listener_hides_less_specific_ones_without_a_stream(world: Any, where: Any, get: Any) -> None:
    web = certificate("*.example.com", "web")
    world.certificates.set(web.key, web)
    world.listener("through", 443, "TLS", "*.example.com")
    world.listener("https", 443, "HTTPS", "*", (web.key,))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await get("/", port=443, host="a.example.com", tls=trust(web))


@pytest.mark.usefixtures("few_or_many")
async def test_the_listeners_of_two_sets_may_have_one_name(world: Any, echo: Any, get: Any) -> None:
    world.backend("one", await echo("one"))
    world.backend("two", await echo("two"))
    certs = {}
    for name in ("one", "two"):
        certs[name] = certificate(f"{name}.example.com", name)
        world.certificates.set(certs[name].key, certs[name])
        key = world.listener(
            "https", 443, "HTTPS", f"{name}.example.com", (certs[name].key,), listener_set=Key("apps", name)
        )
        world.rule(name, "/", name, host=HostKey(key, f"{name}.example.com"))
    for name, each in certs.items():
        answer = await get("/", port=443, host=f"{name}.example.com", tls=trust(each))
        assert answer.echo["name"] == name


async def test_a_gateway_with_several_addresses_serves_on_all(world: Any, served: Served, edge: Any) -> None:
    tcp, udp = world.listener("tcp", 9000, "TCP"), world.listener("udp", 53, "UDP")
    world.stream("tcp", HostKey(tcp, "*"), await served("one"))
    world.stream("udp", HostKey(udp, "*"), await served("two", udp=True), kind="UDPRoute")
    first, second = (Binding(host, {9000: free_port(host)}, {53: free_port(host)}) for host in (loopback(), loopback()))
    world.bindings.set(GATEWAY, Binding(first.host, first.ports, first.udp_ports, (second,)))
    await asyncio.wait_for(edge.settled(), 60)
    for each in (first, second):
        assert await said(each.host, each.ports[9000]) == "one:hello"
        assert await datagram((each.host, each.udp_ports[53])) == "two:hello"


@pytest.mark.usefixtures("few_or_many")
async def test_terminated_tls_is_spoken_anew_to_a_backend_with_a_policy(
    world: Any, served: Served, where: Any, tmp_path: Any
) -> None:
    front, inner, shown = (certificate(f"{name}.example.com", name) for name in ("front", "inner", "shown"))
    for each in (front, shown):
        world.certificates.set(each.key, each)
    context = served_by(inner, tmp_path)
    context.load_verify_locations(cadata=shown.chain.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    secure, plain = await served("secure", tls=context), await served("plain")
    names = (SubjectName("Hostname", "inner.example.com"),)
    policy = BackendTLS("inner.example.com", names, inner.chain, origin("BackendTLSPolicy", "it"))
    world.backends.set(secure, Backend(secure, "tcp", policy))
    world.client_certificates.set(GATEWAY, shown.key)
    listener = world.listener("end", 443, "TLS", "front.example.com", (front.key,))
    world.stream("it", HostKey(listener, "front.example.com"), secure, plain, kind="TLSRoute")
    at = await where(443)
    answers = Counter([await said(*at, ssl=trust(front), server_hostname="front.example.com") for _ in range(8)])
    assert answers == {"secure:hello": 4, "plain:hello": 4}
    world.backends.set(secure, Backend(secure, "tcp", structs.replace(policy, authorities=shown.chain)))
    at = await where(443)
    answers = Counter([await said(*at, ssl=trust(front), server_hostname="front.example.com") for _ in range(8)])
    assert answers == {"": 4, "plain:hello": 4}
