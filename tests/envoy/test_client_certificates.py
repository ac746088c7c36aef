"""Listeners that want to see a certificate of the client (GEP-91)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY
from tests.envoy.test_tls import certificate, trust

from gatewright.topology import Certificate, ClientValidation, HostKey, PortKey

Ask = Callable[..., Any]

pytestmark = pytest.mark.usefixtures("few_or_many")

SERVER = certificate("one.example.com", "server")
ALICE, MALLORY = certificate("alice", "alice"), certificate("mallory", "mallory")


@pytest.fixture
def ask(get: Any, tmp_path: Path) -> Ask:
    """The status of a request with a client's certificate, 0 where the connection is refused."""

    async def status(client: Certificate | None = None, *, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
        context = trust(SERVER)
        context.maximum_version = version
        if client:
            (tmp_path / "pair").write_bytes(client.chain + client.private_key)
            context.load_cert_chain(tmp_path / "pair")
        try:
            return int((await get("/", port=443, host="one.example.com", tls=context)).status)
        except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
            return 0

    return status


@pytest.fixture
async def serve(world: Any, echo: Any) -> Callable[[ClientValidation | None], None]:
    world.backend("one", await echo("one"))
    world.certificates.set(SERVER.key, SERVER)

    def listener(validation: ClientValidation | None) -> None:
        with world.flow.batch():
            key = world.listener("one", 443, "HTTPS", "*", (SERVER.key,), client_validation=validation)
            world.rule("one", "/", "one", host=HostKey(key, "*"))

    return listener


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_needs_a_certificate_of_an_authority(serve: Any, ask: Ask, version: ssl.TLSVersion) -> None:
    serve(ClientValidation(ALICE.chain, required=True))
    assert await ask(ALICE, version=version) == 200
    assert await ask(MALLORY, version=version) == 0
    assert await ask(None, version=version) == 0


async def test_the_insecure_fallback_lets_everybody_in(serve: Any, ask: Ask) -> None:
    serve(ClientValidation(ALICE.chain, required=False))
    assert [await ask(client) for client in (ALICE, MALLORY, None)] == [200, 200, 200]


async def test_several_authorities_and_their_rotation(serve: Any, ask: Ask, edge: Any, world: Any) -> None:
    serve(ClientValidation(ALICE.chain, required=True))
    assert await ask(MALLORY) == 0
    serve(ClientValidation(ALICE.chain + MALLORY.chain, required=True))
    assert [await ask(ALICE), await ask(MALLORY)] == [200, 200]
    serve(ClientValidation(MALLORY.chain, required=True))
    assert [await ask(ALICE), await ask(MALLORY)] == [0, 200]
    assert world.ports[PortKey(GATEWAY, 443)].serving


async def test_one_listener_of_a_port_wants_certificates_and_another_does_not(
    serve: Any, ask: Ask, world: Any, get: Any
) -> None:
    open_ = certificate("open.example.com", "open")
    world.certificates.set(open_.key, open_)
    serve(ClientValidation(ALICE.chain, required=True))
    key = world.listener("open", 443, "HTTPS", "open.example.com", (open_.key,))
    world.rule("open", "/", "one", host=HostKey(key, "open.example.com"))
    assert (await get("/", port=443, host="open.example.com", tls=trust(open_))).status == 200
    assert await ask(None) == 0


async def test_a_session_is_not_resumed_past_the_check(serve: Any, world: Any, edge: Any) -> None:
    """A client keeps a TLS session from a time without the check, and comes back with it."""
    serve(None)
    await asyncio.wait_for(edge.settled(), 60)
    binding = world.bindings[GATEWAY]
    context = trust(SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    def session(known: ssl.SSLSession | None) -> ssl.SSLSession | None:
        with socket.create_connection((binding.host, binding.ports[443])) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="one.example.com", session=known) as secured:
                    return secured.session
            except (ssl.SSLError, ConnectionError):
                return None

    first = await asyncio.to_thread(session, None)
    assert first is not None
    assert await asyncio.to_thread(session, first) is not None
    serve(ClientValidation(ALICE.chain, required=True))
    await asyncio.wait_for(edge.settled(), 60)
    assert await asyncio.to_thread(session, first) is None
