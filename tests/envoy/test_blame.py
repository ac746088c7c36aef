"""Who is blamed for what Envoy refuses: never somebody whose object is good."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from tests.envoy.edge_world import backend_key
from tests.envoy.test_backend_tls import Authority, hostname

from gatewright.model.meta import Key
from gatewright.topology import Backend, BackendTLS, Endpoint, Endpoints, HostKey, Origin, Session

GOOD, BAD = Key("apps", "good"), Key("mine", "bad")


def of(policy: Key, authorities: bytes) -> BackendTLS:
    return BackendTLS("abc.test", (hostname("abc.test"),), authorities, Origin("BackendTLSPolicy", policy, "1"))


@pytest.fixture
def secured(world: Any) -> Any:
    """The backends `good` and `bad` by their policies; the authorities of the second are nonsense."""

    def make(use: Any, protocol: Any) -> None:
        for policy, authorities in ((GOOD, Authority().chain), (BAD, b"nonsense")):
            key = backend_key(policy.name)._replace(use=use)
            world.backends.set(key, Backend(key, protocol, of(policy, authorities)))
            world.endpoints.set(key, Endpoints(key, (Endpoint("127.0.0.1", 9),)))

    return make


async def test_sessions_over_good_and_bad_backends(world: Any, echo: Any, secured: Any, get: Any) -> None:
    secured("http", "http")
    world.listener()
    world.backend("one", await echo("one"))
    world.rule("one", "/", "one")
    world.rule("both", "/both", "good", "bad", session=Session("Cookie", "who"))
    assert (await get("/")).status == 200
    assert set(world.rejections.keys()) == {("BackendTLSPolicy", BAD)}


async def test_streams_to_good_and_bad_backends(world: Any, echo: Any, secured: Any, get: Any) -> None:
    secured("stream", "tcp")
    world.listener()
    world.backend("one", await echo("one"))
    world.rule("one", "/", "one")
    host = HostKey(world.listener("tcp", 8080, "TCP"), "*")
    world.stream("both", host, *(backend_key(name)._replace(use="stream") for name in ("good", "bad")))
    assert (await get("/")).status == 200
    assert set(world.rejections.keys()) == {("TCPRoute", Key("infra", "both"))}
