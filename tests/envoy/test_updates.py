"""What changes while the edge serves: only what changed is sent, and no request fails on the way."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection as Names
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY, HTTP, backend_key, free_port, is_refused, loopback, request
from tests.envoy.scripted import Answer

from gatewright.envoy.listeners import Binding
from gatewright.envoy.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SCOPE, VIRTUAL_HOST, Ref
from gatewright.envoy.scopes import scope_name
from gatewright.topology import Endpoint, HostKey, ListenerKey, PortKey, PortState


@pytest.fixture
def sent(edge: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str], list[str]]]:
    """Every response that goes out: type, resources, removed resources."""
    record: list[tuple[str, list[str], list[str]]] = []

    def note(type_url: str, names: Names[str], removed: Names[str]) -> None:
        record.append((type_url, list(names), list(removed)))

    monkeypatch.setattr(edge.target, "sent", note)
    return record


async def test_a_pod_that_comes_or_goes_changes_endpoints_only(
    world: Any, echo: Any, edge: Any, get: Any, sent: Any
) -> None:
    world.listener()
    world.backend("one", await echo("a"))
    world.rule("one", "/", "one")
    assert (await get("/")).echo["name"] == "a"
    sent.clear()
    world.backend("one", await echo("b"))
    assert (await get("/")).echo["name"] == "b"
    assert sent == [(ENDPOINTS, ["apps/one:80"], [])]


async def test_a_route_costs_its_virtual_host_and_its_backend(
    world: Any, echo: Any, edge: Any, get: Any, sent: Any
) -> None:
    world.listener()
    one, two = await echo("one"), await echo("two")
    world.backend("one", one)
    world.rule("one", "/", "one")
    await edge.settled()
    sent.clear()
    with world.flow.batch():
        host = world.host("two.example.com")
        world.backend("two", two)
        world.rule("two", "/", "two", host=host)
    assert (await get("/", host="two.example.com")).echo["name"] == "two"
    name = scope_name("infra/shared/80", "two.example.com")
    assert sent == [(CLUSTER, ["apps/two:80"], []), (ENDPOINTS, ["apps/two:80"], []), (SCOPE, [name], [])]
    sent.clear()
    with world.flow.batch():
        world.hosts.delete(host)
        world.remove("two", host)
        world.backends.delete(two_key := backend_key("two"))
        world.endpoints.delete(two_key)
    assert (await get("/", host="two.example.com")).echo["name"] == "one"
    assert sent == [(SCOPE, [], [name]), (CLUSTER, [], ["apps/two:80"])]
    sent.clear()
    world.rule("three", "/three", "one")
    assert (await get("/three")).status == 200
    assert sent == [(VIRTUAL_HOST, ["infra/shared/80/*"], [])]


async def test_draining_endpoints_get_requests_only_when_no_other_is_left(world: Any, echo: Any, get: Any) -> None:
    world.listener()
    ready, going = await echo("ready"), await echo("going")
    draining = Endpoint(going.address, going.port, draining=True)
    world.rule("it", "/", "it")
    world.backend("it", ready, draining)
    assert {(await get("/")).echo["name"] for _ in range(10)} == {"ready"}
    world.backend("it", draining)
    assert (await get("/")).echo["name"] == "going"


async def test_an_endpoint_that_refuses_connections_is_no_error_to_clients(world: Any, echo: Any, get: Any) -> None:
    world.listener()
    world.backend("it", await echo("pod"), Endpoint(loopback(), 9))
    world.rule("it", "/", "it")
    answers = [await get("/") for _ in range(200)]
    # Three attempts, each at either endpoint: 7 of 8 succeed, where one attempt would be half of them.
    assert sum(answer.status == 200 for answer in answers) >= 143
    assert not {name for answer in answers if answer.status == 200 for name in answer.echo if "retr" in name}


async def test_routes_come_and_go_under_load_without_an_error(world: Any, echo: Any, edge: Any) -> None:
    world.listener()
    endpoint = await echo("pod")
    await asyncio.wait_for(edge.settled(), 60)
    binding = world.bindings[GATEWAY]
    seen: Counter[int] = Counter()
    over = False

    async def hammer() -> None:
        number = 0
        while not over:
            number = (number + 1) % 25
            answer = await request(binding.host, binding.ports[80], f"/r{number}", host=f"h{number % 5}.example.com")
            seen[answer.status] += 1

    async def seen_more_of(status: int) -> None:
        before = seen[status]
        async with asyncio.timeout(60):
            while seen[status] < before + 10:  # noqa: ASYNC110 - the hammers move it
                await asyncio.sleep(0.005)

    hammers = [asyncio.create_task(hammer()) for _ in range(3)]
    await seen_more_of(404)
    for _ in range(3):
        for number in range(25):
            with world.flow.batch():
                host = world.host(f"h{number % 5}.example.com")
                world.backend(f"b{number}", endpoint, protocol="http")
                world.rule(f"r{number}", f"/r{number}", f"b{number}", host=host)
            await asyncio.sleep(0)
        await asyncio.wait_for(edge.settled(), 60)
        await seen_more_of(200)
        for number in range(25):
            with world.flow.batch():
                world.remove(f"r{number}", HostKey(HTTP, f"h{number % 5}.example.com"))
                world.backends.delete(("apps", f"b{number}", 80))
                world.endpoints.delete(("apps", f"b{number}", 80))
            await asyncio.sleep(0)
    over = True
    await asyncio.gather(*hammers)
    assert set(seen) == {200, 404}, seen


async def test_a_backend_changes_its_protocol_without_an_error(world: Any, echo: Any, edge: Any, get: Any) -> None:
    world.listener()
    endpoint = await echo("pod")
    world.backend("it", endpoint, protocol="h2c")
    world.rule("it", "/", "it")
    assert (await get("/")).status in (502, 503)  # the echo speaks no HTTP/2
    world.backend("it", endpoint, protocol="http")
    assert (await get("/")).status == 200
    await edge.settled()
    assert edge.server.delivery.held(Ref(CLUSTER, "apps/it:80/h2c")) is None


async def test_a_port_is_served_once_envoy_listens(world: Any, edge: Any, get: Any) -> None:
    key = PortKey(GATEWAY, 80)
    listener = world.listener()
    assert key not in world.ports
    assert (await get("/")).status == 404
    assert world.ports[key] == PortState(True)
    with world.flow.batch():
        world.listeners.delete(listener)
        world.hosts.delete(HostKey(listener, "*"))
    assert key not in world.ports
    await edge.settled()
    binding = world.bindings[GATEWAY]
    await asyncio.wait_for(is_refused(binding.host, binding.ports[80]), 60)
    world.listener()
    assert (await get("/")).status == 404


async def test_a_binding_that_changes_moves_the_listener(world: Any, script: Any, edge: Any, get: Any) -> None:
    world.listener()
    slow = await script(lambda _: Answer(delay=0.5))
    world.backend("slow", slow.endpoint)
    world.rule("it", "/", "slow")
    await asyncio.wait_for(edge.settled(), 60)
    old = world.bindings[GATEWAY]
    in_flight = asyncio.create_task(request(old.host, old.ports[80]))
    await slow.wait(1)
    world.bindings.set(GATEWAY, Binding(old.host, {80: free_port(old.host)}))
    assert (await get("/")).status == 200
    assert (await in_flight).status == 200
    await asyncio.wait_for(is_refused(old.host, old.ports[80]), 60)
    world.bindings.delete(GATEWAY)
    await edge.settled()
    assert len(world.ports) == 0


async def test_listeners_of_one_port_share_a_socket(world: Any, echo: Any, edge: Any, get: Any, sent: Any) -> None:
    world.listener()
    world.backend("one", await echo("one"))
    world.rule("one", "/", "one")
    await edge.settled()
    sent.clear()
    world.listener("second", hostname="second.example.com")
    world.rule("two", "/two", "one", host=HostKey(ListenerKey(GATEWAY, "second"), "second.example.com"))
    assert (await get("/two", host="second.example.com")).status == 200
    assert (await get("/", host="second.example.com")).status == 404
    assert LISTENER not in {type_url for type_url, _, _ in sent}
    assert ROUTES not in {type_url for type_url, _, _ in sent}
