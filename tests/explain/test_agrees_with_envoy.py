"""The law of `explain`: what it says of a request is what a real Envoy does with it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.envoy.edge_world import Echo, _read_head, is_refused
from tests.explain.edges import BACKENDS, edges, obj, requests, services
from tests.fuzz.clusters import EXAMPLES
from tests.fuzz.manifests import CONTROLLER, Json
from tests.fuzz.test_envoy_accepts import Served

from gatewright.explain import Answered, Closed, Redirected, Refused, Request, Result, Sent, Split, answer
from gatewright.model.meta import Key
from gatewright.topology import PortKey

GATEWAY = Key("a", "gw")
PROFILE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # The assertion names the one request that matters, and to shrink the rest takes minutes of configuring Envoy.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
_TRUSTING = ssl.create_default_context()
_TRUSTING.check_hostname = False
_TRUSTING.verify_mode = ssl.CERT_NONE


async def send(address: str, port: int, request: Request) -> tuple[Any, ...]:
    """What a client sees: `refused`, `closed`, or a status with what tells answers apart."""
    tls = {"ssl": _TRUSTING, "server_hostname": request.sni or ""} if request.scheme == "https" else {}
    try:
        reader, writer = await asyncio.open_connection(address, port, **tls)  # type: ignore[arg-type]
    except ConnectionRefusedError:
        return ("refused",)
    except (ssl.SSLError, ConnectionError):
        return ("closed",)
    try:
        lines = [f"{request.method} {request.path} HTTP/1.1", f"host: {request.host}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        status_line, headers = await _read_head(reader)
        status = int(status_line.split()[1])
        if "x-from" in headers:
            seen = (await reader.readexactly(int(headers["content-length"]))).decode().split("\n")
            host = next(line.partition(": ")[2] for line in seen[2:] if line.lower().startswith("host:"))
            return (status, headers["x-from"], host, seen[1].split(" ")[1])
        return (status, headers["location"]) if "location" in headers else (status,)
    except (asyncio.IncompleteReadError, ssl.SSLError, ConnectionError):
        return ("closed",)
    finally:
        writer.close()
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()


def expected(result: Result) -> list[tuple[Any, ...]]:
    """What a client may see of a result."""
    match result:
        case Sent():
            return [(200, result.backend.service, result.host, result.path)]
        case Redirected():
            return [(result.status, result.location)]
        case Answered():
            return [(result.status,)]
        case Split():
            return [each for _, share in result.shares for each in expected(share)]
        case Closed():
            return [("closed",)]
        case Refused():
            return [("refused",)]
    raise AssertionError(result)


Try = Callable[[list[Json], list[tuple[int, Request]]], None]


@pytest.fixture(scope="module")
def agree() -> Iterator[Try]:
    """Serve manifests by the module's Envoy, and hold each request's fate against what is said of it."""
    with asyncio.Runner() as runner, capture_logs():
        stack = AsyncExitStack()
        echo = Echo(stack)

        async def start() -> tuple[Served, dict[str, int]]:
            served = Served()
            await stack.enter_async_context(served.edge)
            return served, {name: (await echo(name)).port for name in BACKENDS}

        served, ports = runner.run(start())

        async def compare(manifests: list[Json], sent: list[tuple[int, Request]]) -> None:
            await served.serve([*manifests, *services(ports)])

            def opened(port: int) -> int:
                return served._opened.get(PortKey(GATEWAY, port), port) if is_bound(port) else port

            def is_bound(port: int) -> bool:
                binding = served._bindings.get(GATEWAY)
                return binding is not None and binding.bound(PortKey(GATEWAY, port)) is not None

            wrong = []
            for port, request in sent:
                outcome = answer(served.resolution.topology, GATEWAY, port, request, opened=opened)
                where = served._opened.get(PortKey(GATEWAY, port), 1)
                if isinstance(outcome.result, Refused):
                    # Envoy closes the socket of a listener that is gone a moment after it took note.
                    await asyncio.wait_for(is_refused(served._address, where), 60)
                found = await asyncio.wait_for(send(served._address, where, request), 60)
                if found not in expected(outcome.result):
                    wrong.append(
                        f"{request} on {port} {request.headers}: {found}, said {expected(outcome.result)} ({outcome})"
                    )
            assert wrong == [], "\n".join(wrong)

        yield lambda manifests, sent: runner.run(compare(manifests, sent))
        runner.run(stack.aclose())


@PROFILE
@given(manifests=edges, sent=st.lists(requests(), min_size=8, max_size=16))
def test_what_is_said_of_a_request_is_what_envoy_does(
    agree: Try, manifests: list[Json], sent: list[tuple[int, Request]]
) -> None:
    agree(manifests, sent)


def test_paths_are_normalized_as_envoy_does(agree: Try) -> None:
    gateway = {"gatewayClassName": "ours", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]}
    rules = [{"backendRefs": [{"name": "s0", "port": 80}]}]
    manifests = [
        obj("GatewayClass", "ours", namespace="", spec={"controllerName": CONTROLLER}),
        obj("Gateway", "gw", spec=gateway),
        obj("HTTPRoute", "all", spec={"parentRefs": [{"name": "gw"}], "rules": rules}),
    ]
    as_written = [chr(code) for code in range(0x21, 0x7F) if chr(code) not in "?#"]
    escaped = [f"%{code:02X}" for code in range(0x20, 0x7F)] + ["%c3%a9", "%C3%A9", "%2f", "%5c", "%7e", "%2E%2e"]
    dots = [
        "/.",
        "/..",
        "/./",
        "/../",
        "//..",
        "/a/../..",
        "//",
        "/a//../b",
        "/.a",
        "/a.",
        "/...",
        "/%2e./x",
        "/a/.%2E",
    ]
    paths = [*(f"/a/x{part}y" for part in (*as_written, *escaped)), *dots, *(f"{each}?q=/../{each}" for each in dots)]
    agree(manifests, [(80, Request("example.com", path)) for path in paths])
