"""gRPC, as a client of a real Envoy sees it (Gateway API, GRPCRoute)."""
# mypy: disable-error-code="import-not-found,misc"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.envoy.edge_world import GATEWAY, backend_key
from tests.envoy.test_backend_tls import Authority, tls

from gatewright.topology import (
    Backend,
    BackendKey,
    BackendTLS,
    Endpoint,
    Endpoints,
    HeaderModifier,
    Mirror,
    ValueMatch,
    WeightedBackend,
)


def grpc_key(name: str) -> BackendKey:
    return backend_key(name)._replace(use="grpc")


def add(world: Any, name: str, *members: Endpoint, how: BackendTLS | None = None, problem: str = "") -> None:
    """A backend that doesn't say what it speaks, for GRPCRoutes."""
    key = grpc_key(name)
    world.backends.set(key, Backend(key, "h2c", how, problem))
    world.endpoints.set(key, Endpoints(key, members))


class Service(grpc.GenericRpcHandler):
    """Answers `/any.Service/...`: one message, or a stream that echoes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[dict[str, Any]] = []
        self.called = asyncio.Event()

    def service(self, details: Any) -> Any:
        self.calls.append(dict(details.invocation_metadata))
        self.called.set()
        if details.method.endswith("/Stream"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> bytes:
        return self.name.encode() + b" " + request

    async def _stream(self, requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


@pytest.fixture
async def serve() -> AsyncIterator[Any]:
    servers = []

    async def start(name: str, credentials: Any = None) -> tuple[Service, Endpoint]:
        server, service = grpc.aio.server(), Service(name)
        server.add_generic_rpc_handlers((service,))
        add = server.add_secure_port if credentials else server.add_insecure_port
        port = add("127.0.0.1:0", *([credentials] if credentials else []))
        await server.start()
        servers.append(server)
        return service, Endpoint("127.0.0.1", port)

    yield start
    for server in servers:
        await server.stop(None)


@pytest.fixture
async def served(world: Any, serve: Any) -> Any:
    world.listener()
    for name in ("one", "two"):
        _, endpoint = await serve(name)
        add(world, name, endpoint)

    def rule(route: str, path: str, *backends: Any, **more: Any) -> Any:
        shares = [(each, 1) if isinstance(each, str) else each for each in backends]
        weighted = [WeightedBackend(grpc_key(name) if name else None, weight) for name, weight in shares]
        return world.rule(route, path, *weighted, kind="GRPCRoute", **more)

    return rule


@pytest.fixture
def call(world: Any, edge: Any) -> Any:
    async def ask(method: str, host: str = "test.example.com", **how: Any) -> bytes:
        await asyncio.wait_for(edge.settled(), 60)
        binding = world.bindings[GATEWAY]
        options = [("grpc.default_authority", host), ("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(f"{binding.host}:{binding.ports[80]}", options) as channel:
            return bytes(await channel.unary_unary(method)(b"hello", timeout=60, **how))

    return ask


async def test_a_call_reaches_a_backend_that_does_not_say_that_it_speaks_http2(served: Any, call: Any) -> None:
    served("it", "=/any.Service/Ask", "one", headers=(ValueMatch("x-color", "Exact", "blue"),))
    served("other", "=/any.Service/Other", "two")
    assert await call("/any.Service/Ask", metadata=(("x-color", "blue"),)) == b"one hello"
    assert await call("/any.Service/Other") == b"two hello"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call("/any.Service/Ask")
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("backends", [(), ((None, 1),), (("missing", 1),), (("broken", 1),), (("none", 1),)])
async def test_what_leads_nowhere_is_unavailable(served: Any, world: Any, call: Any, backends: Any) -> None:
    add(world, "none")
    add(world, "broken", problem="broken")
    served("it", "/", *backends)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call("/any.Service/Ask")
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_share_without_a_backend_is_unavailable(served: Any, call: Any) -> None:
    served("it", "/", ("one", 1), (None, 1))
    seen = set()
    for _ in range(40):
        try:
            seen.add(await call("/any.Service/Ask"))
        except grpc.aio.AioRpcError as error:
            seen.add(error.code())
    assert seen == {b"one hello", grpc.StatusCode.UNAVAILABLE}


async def test_filters(served: Any, world: Any, serve: Any, call: Any) -> None:
    shadow, endpoint = await serve("shadow")
    add(world, "shadow", endpoint)
    served("it", "/", "one", filters=(HeaderModifier("request", set=(("x-set", "1"),)), Mirror(grpc_key("shadow"))))
    assert await call("/any.Service/Ask") == b"one hello"
    await asyncio.wait_for(shadow.called.wait(), 60)
    assert shadow.calls[0]["x-set"] == "1"


async def test_streams_go_both_ways(served: Any, world: Any, edge: Any) -> None:
    served("it", "/", "one")
    await asyncio.wait_for(edge.settled(), 60)
    binding = world.bindings[GATEWAY]
    async with grpc.aio.insecure_channel(f"{binding.host}:{binding.ports[80]}") as channel:
        stream = channel.stream_stream("/any.Service/Stream")()
        for number in range(5):
            await stream.write(str(number).encode())
            assert await stream.read() == str(number).encode()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF


async def test_tls_to_the_backend(served: Any, world: Any, serve: Any, call: Any, tmp_path: Path) -> None:
    authority = Authority()
    chain, key = authority.issue("abc.test")
    _, endpoint = await serve("secure", grpc.ssl_server_credentials([(key, chain)]))
    add(world, "secure", endpoint, how=tls(authority))
    served("it", "/", "secure")
    assert await call("/any.Service/Ask") == b"secure hello"


async def test_the_same_service_may_be_spoken_to_in_both_ways(
    served: Any, world: Any, echo: Any, call: Any, get: Any
) -> None:
    """An HTTPRoute to it goes on with HTTP/1.1, whatever a GRPCRoute does."""
    both = await echo("both")
    world.backend("both", both)
    add(world, "both", both)
    world.rule("http", "/http", "both")
    served("grpc", "/grpc", "both")
    assert (await get("/http")).status == 200
    with pytest.raises(grpc.aio.AioRpcError):
        await call("/grpc/Ask")
    assert (await get("/http")).status == 200
