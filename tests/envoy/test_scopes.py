"""Exact hosts have scopes of their own, wildcard ones share a table: no client can tell."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY, HTTP, Echo, request

from gatewright.envoy.chain import HOST_HEADER
from gatewright.envoy.resources import LISTENER, SCOPE, VIRTUAL_HOST
from gatewright.envoy.scopes import OTHERS, scope_name
from gatewright.topology import Endpoint, HostKey

EXACT, WILD, ANY = "api.example.com", "*.example.com", "*"


@pytest.fixture
async def served(world: Any, echo: Echo) -> Any:
    """An exact host, a wildcard one around it and the host of everything else, each with a backend of its own."""
    world.listener()
    with world.flow.batch():
        for name, hostname in (("exact", EXACT), ("wild", WILD), ("any", ANY)):
            world.backend(name, await echo(name))
            world.rule(name, "/app", name, host=world.host(hostname))
        world.rule("general", "/", "any")
        world.rule("wider", "/wild", "wild", host=HostKey(HTTP, WILD))
    return world


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("api.example.com", "exact"),
        ("API.Example.COM", "exact"),
        ("api.example.com:8080", "exact"),
        ("Api.example.com:1", "exact"),
        ("other.example.com", "wild"),
        ("Other.Example.com:8080", "wild"),
        ("a.api.example.com", "wild"),
        ("example.com", "any"),
        ("api.example.org", "any"),
        ("127.0.0.1:8080", "any"),
        ("[::1]", "any"),
        ("[::1]:8080", "any"),
        (OTHERS, "any"),
        ("api", "any"),
        ("", "any"),
    ],
)
async def test_the_host_decides_whatever_its_case_and_port(served: Any, get: Any, host: str, name: str) -> None:
    assert (await get("/app", host=host)).echo["name"] == name
    assert (await get("/wild", host=host)).status == (404 if name == "exact" else 200)


@pytest.mark.parametrize("host", ["api.example.com", "Api.example.com", "other.example.com", "other.test"])
async def test_the_header_that_tells_the_scope_is_envoys_alone(served: Any, get: Any, host: str) -> None:
    honest = await get("/app", host=host)
    for value in ("api.example.com", OTHERS, "nobody"):
        answer = await get("/app", host=host, headers={HOST_HEADER: value})
        assert answer.echo["name"] == honest.echo["name"]
        assert HOST_HEADER not in answer.echo
        assert answer.echo["host"] == host
        assert not {header for header in answer.echo if "retr" in header}
    assert (await get("/app", host="", headers={HOST_HEADER: "api.example.com"})).echo["name"] == "any"


async def test_an_exact_host_hides_the_others_as_soon_as_it_comes_and_no_longer_than_it_stays(
    served: Any, edge: Any, get: Any
) -> None:
    assert (await get("/app", host="new.example.com")).echo["name"] == "wild"
    host = served.host("new.example.com")
    assert (await get("/app", host="new.example.com")).status == 404
    assert (await get("/app", host="NEW.example.com:80")).status == 404
    served.hosts.delete(host)
    assert (await get("/app", host="new.example.com")).echo["name"] == "wild"


@pytest.mark.parametrize("host", ["api.example.com", "API.example.com:80", "other.test"])
async def test_websocket_upgrades(served: Any, edge: Any, get: Any, host: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        writer.write((await reader.readexactly(4)).upper())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    served.backend("ws", Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))
    for hostname in (EXACT, ANY):
        served.rule(f"ws {len(hostname)}", "/ws", "ws", host=HostKey(HTTP, hostname), precedence=1)
    await asyncio.wait_for(edge.settled(), 60)
    binding = served.bindings[GATEWAY]
    reader, writer = await asyncio.open_connection(binding.host, binding.ports[80])
    head = f"GET /ws HTTP/1.1\r\nhost: {host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"PING"
    writer.close()
    server.close()


@pytest.mark.skipif(not shutil.which("curl"), reason="curl isn't installed")
async def test_http2(served: Any, edge: Any) -> None:
    await asyncio.wait_for(edge.settled(), 60)
    binding = served.bindings[GATEWAY]
    for host, name in (("Api.example.com", "exact"), ("x.example.com", "wild"), ("other.test", "any")):
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "--http2-prior-knowledge", "--max-time", "60", "-H", f"host: {host}"),
            f"http://{binding.host}:{binding.ports[80]}/app",
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await curl.communicate()
        assert out.decode().split("\n")[0] == name


async def test_each_port_has_scopes_of_its_own(served: Any, get: Any) -> None:
    other = served.listener("other", port=8080)
    served.rule("other", "/app", "any", host=served.host(EXACT, other))
    assert (await get("/app", host=EXACT, port=8080)).echo["name"] == "any"
    assert (await get("/app", host=EXACT, port=80)).echo["name"] == "exact"
    assert (await get("/wild", host="x.example.com", port=8080)).status == 404


async def test_a_listener_for_one_exact_host_serves_no_other(world: Any, echo: Echo, get: Any) -> None:
    listener = world.listener(hostname=EXACT)
    world.backend("one", await echo("one"))
    world.rule("it", "/", "one", host=HostKey(listener, EXACT))
    assert (await get("/", host=EXACT)).status == 200
    assert (await get("/", host="other.test")).status == 404
    wild = world.listener("wild", hostname="*.example.com")
    world.rule("wild", "/", "one", host=HostKey(wild, "*.example.com"))
    assert (await get("/", host="x.example.com")).status == 200
    with world.flow.batch():
        world.listeners.delete(wild)
        world.hosts.delete(HostKey(wild, "*.example.com"))
        world.remove("wild", HostKey(wild, "*.example.com"))
    assert (await get("/", host="x.example.com")).status == 404
    assert (await get("/", host=EXACT)).status == 200


async def test_a_broken_stream_is_taken_up_where_it_ended(
    served: Any, edge: Any, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = served.host("going.example.com")
    served.rule("going", "/app", "any", host=going)
    assert (await get("/app", host="going.example.com")).echo["name"] == "any"
    sent: list[Any] = []
    monkeypatch.setattr(edge.target, "sent", lambda *what: sent.append((what[0], list(what[1]), list(what[2]))))
    edge.server._outbox.put_nowait(None)
    while edge.server.delivery.is_connected:
        await edge.server.stirred()
    with served.flow.batch():
        served.hosts.delete(going)
        served.remove("going", going)
        served.rule("late", "/app", "any", host=served.host("late.example.com"))
    assert (await get("/app", host="late.example.com")).echo["name"] == "any"
    assert (await get("/app", host="going.example.com")).echo["name"] == "wild"
    assert (await get("/app", host=EXACT)).echo["name"] == "exact"
    names = {name for url, names, gone in sent if url == SCOPE for name in (*names, *gone)}
    assert scope_name("infra/shared/80", "going.example.com") in names


async def test_hosts_come_and_go_and_the_listener_moves_under_load_without_an_error(
    served: Any, edge: Any, get: Any
) -> None:
    await get("/app")
    binding = served.bindings[GATEWAY]
    seen: Counter[tuple[str, int, str]] = Counter()
    over = False

    async def hammer(host: str) -> None:
        while not over:
            answer = await request(binding.host, binding.ports[80], "/app", host=host)
            seen[host, answer.status, answer.headers.get("x-from", "")] += 1

    hammers = [asyncio.create_task(hammer(host)) for host in (EXACT, "Api.Example.com", "x.example.com", "other.test")]
    for number in range(40):
        host = served.host(f"h{number}.example.com")
        served.rule(f"r{number}", "/app", "any", host=host)
        served.rule(f"w{number}", f"/{number}", "any", host=HostKey(HTTP, WILD))
        await asyncio.sleep(0.005)
        with served.flow.batch():
            served.hosts.delete(host)
            served.remove(f"r{number}", host)
    await asyncio.wait_for(edge.settled(), 60)
    over = True
    await asyncio.gather(*hammers)
    assert {(status, name) for _, status, name in seen} == {(200, "exact"), (200, "wild"), (200, "any")}


async def test_one_more_host_costs_one_scope_and_nothing_of_the_rest(
    served: Any, edge: Any, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await get("/app")
    sent: list[Any] = []
    monkeypatch.setattr(edge.target, "sent", lambda *what: sent.append(what[0]))
    served.rule("more", "/app", "any", host=served.host("more.example.com"))
    assert (await get("/app", host="more.example.com")).status == 200
    assert set(sent) == {SCOPE}
    assert not {LISTENER, VIRTUAL_HOST} & {*sent}
