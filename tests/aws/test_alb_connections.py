"""What an ALB does when targets fail, and the protocols it speaks ("Troubleshoot your Application Load Balancers")."""
# mypy: disable-error-code="import-not-found,misc"

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import h2.events
import pytest
from msgspec.structs import replace
from tests.aws.alb_world import (
    AUTHORITY,
    AlbCloud,
    Front,
    HttpTargets,
    client_tls,
    cloud,
    front,
    read_response,
    says,
    stack,
    targets,
    to,
    when,
)
from tests.envoy.test_backend_tls import server_side
from tests.envoy.test_grpc import Service
from tests.envoy.test_protocols import Http2Client

from gatewright.local.aws import pools
from gatewright.local.aws.state import Bound, Listener, TargetGroup, WebAclDocument

__all__ = ["cloud", "front", "stack", "targets"]


# --- errors -----------------------------------------------------------------------------------------------------------


async def test_503_without_targets(cloud: AlbCloud, front: Front) -> None:
    cloud.http(cloud.alb(), to(cloud.http_group("empty")))
    answer = await front.ask()
    assert (answer.status, answer.header("server")) == (503, "awselb/2.0")
    assert answer.header("content-type") == "text/html"
    assert answer.header("content-length") == "162"
    assert "<h1>503 Service Temporarily Unavailable</h1>" in answer.body


async def test_503_where_the_target_group_is_gone(cloud: AlbCloud, front: Front) -> None:
    group = cloud.http_group("gone")
    cloud.http(cloud.alb(), to(group))
    cloud.state.target_groups.delete(group.arn)
    assert (await front.ask()).status == 503


async def test_502_where_the_target_refuses_connections(cloud: AlbCloud, front: Front) -> None:
    group = cloud.http_group("app")
    cloud.target(group, (cloud.address(), 9))
    cloud.http(cloud.alb(), to(group))
    answer = await front.ask()
    assert (answer.status, answer.header("content-length")) == (502, "122")
    assert "<h1>502 Bad Gateway</h1>" in answer.body


async def test_502_where_the_target_closes_instead_of_answering(
    cloud: AlbCloud, front: Front, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.http(cloud.alb(), to(group))
    answer = await front.ask("/?close")
    assert (answer.status, answer.header("server")) == (502, "awselb/2.0")


async def test_502_where_the_answer_is_no_http(cloud: AlbCloud, front: Front, stack: AsyncExitStack) -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"what?\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(babble, cloud.address(), 0)
    stack.callback(server.close)
    group = cloud.http_group("app")
    cloud.target(group, server.sockets[0].getsockname())
    cloud.http(cloud.alb(), to(group))
    assert (await front.ask()).status == 502


async def test_502_where_the_target_speaks_tls_and_its_group_does_not(
    cloud: AlbCloud, front: Front, targets: HttpTargets, tmp_path: Path
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group, tls=server_side(tmp_path, AUTHORITY.issue("pod.test")))
    cloud.http(cloud.alb(), to(group))
    assert (await front.ask()).status == 502


async def test_502_where_the_group_speaks_tls_and_its_target_does_not(
    cloud: AlbCloud, front: Front, stack: AsyncExitStack
) -> None:
    async def complain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(complain, cloud.address(), 0)
    stack.callback(server.close)
    group = cloud.http_group("app", "HTTPS")
    cloud.target(group, server.sockets[0].getsockname())
    cloud.http(cloud.alb(), to(group))
    assert (await front.ask()).status == 502


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse where a backlog is full")
@pytest.mark.parametrize(("protocol", "status"), [("HTTP", 504), ("HTTPS", 502)])
async def test_what_is_answered_where_no_connection_comes_about_in_time(
    cloud: AlbCloud, front: Front, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch, protocol: str, status: int
) -> None:
    monkeypatch.setattr(pools, "CONNECT_TIMEOUT", 1)
    listening = stack.enter_context(socket.socket())
    listening.bind((cloud.address(), 0))
    listening.listen(0)
    if protocol == "HTTP":  # a full backlog answers no more
        waiting = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
    group = cloud.http_group("app", protocol)
    cloud.target(group, listening.getsockname())
    cloud.http(cloud.alb(), to(group))
    answer = await front.ask()
    assert (answer.status, answer.header("server")) == (status, "awselb/2.0")


async def test_504_where_the_target_is_silent_past_the_idle_timeout(
    cloud: AlbCloud, front: Front, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.http(cloud.alb(idle_timeout__timeout_seconds="1"), to(group))
    answer = await front.ask("/?wait=3600")
    assert (answer.status, answer.header("server"), answer.header("content-length")) == (504, "awselb/2.0", "132")
    assert "<h1>504 Gateway Time-out</h1>" in answer.body


async def until_closed(bound: Bound, request: bytes) -> bytes:
    """What is heard, until the connection is closed, after `request`."""
    heard = b""
    while not heard:  # a client that took a second to begin found it closed already
        reader, writer = await asyncio.open_connection(bound.address, bound.port)
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            heard = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    return heard


async def test_408_where_the_client_does_not_end_its_request(
    cloud: AlbCloud, front: Front, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    balancer = cloud.alb(idle_timeout__timeout_seconds="1")
    cloud.http(balancer, to(group))
    await front.settled()
    heard = await until_closed(cloud.where(balancer), b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
    assert heard.startswith(b"HTTP/1.1 408")


async def test_an_idle_connection_is_closed(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb(idle_timeout__timeout_seconds="1")
    cloud.http(balancer, says("here"))
    await front.settled()
    assert b"here" in await until_closed(cloud.where(balancer), b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")


async def test_a_connection_has_an_end(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb(client_keep_alive__seconds="1")
    cloud.http(balancer, says("here"))
    await front.settled()
    bound = cloud.where(balancer)

    async def answers() -> list[str]:
        """What the answers on one connection say of it, until it ends."""
        reader, writer = await asyncio.open_connection(bound.address, bound.port)
        found: list[str] = []
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while "close" not in found:
                writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                found.append((await read_response(reader)).header("connection"))
            assert await reader.read() == b""
        writer.close()
        return found

    async with asyncio.timeout(60):
        while len(found := await answers()) < 2 or found[-1] != "close":  # a client that took a second for one of them
            pass


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"host": None}, 400),
        ({"headers": {"x": "y" * 70_000}}, 400),
        ({"headers": {"bad name": "1"}}, 400),
        ({"headers": {"transfer-encoding": "gzip"}}, 501),
        ({"path": f"/{'x' * 17_000}"}, 414),
        ({"headers": {"x-forwarded-for": ", ".join(["10.0.0.1"] * 31)}}, 463),
        ({"method": "TRACE"}, 405),
    ],
)
async def test_a_request_that_is_refused(cloud: AlbCloud, front: Front, how: dict[str, Any], status: int) -> None:
    cloud.http(cloud.alb(), says("here"))
    answer = await front.ask(**how)
    assert (answer.status, answer.header("server")) == (status, "awselb/2.0")


async def test_answers_of_targets_are_passed_on_as_they_are(
    cloud: AlbCloud, front: Front, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.http(cloud.alb(), to(group))
    for status in (302, 403, 404, 500, 502, 503, 504):
        answer = await front.ask(f"/?status={status}")
        assert (answer.status, answer.header("server"), answer.echo["name"]) == (status, "pod", "pod")


async def test_a_head_request_and_http_1_0(cloud: AlbCloud, front: Front, targets: HttpTargets) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.http(cloud.alb(), to(group))
    assert (await front.ask(method="HEAD")).status == 200
    assert (await front.ask(version="1.0")).echo["name"] == "pod"


# --- targets ----------------------------------------------------------------------------------------------------------


async def test_an_https_target_is_spoken_to_without_sni_and_whatever_its_certificate(
    cloud: AlbCloud, front: Front, targets: HttpTargets, tmp_path: Path
) -> None:
    names: list[str | None] = []
    context = server_side(tmp_path, AUTHORITY.issue("somebody.else"))
    context.sni_callback = lambda _, name, __: names.append(name)
    group = cloud.http_group("app", "HTTPS")
    await targets("pod", group, tls=context)
    cloud.https(cloud.alb(), to(group), cloud.certificate("app.example.com"))
    answer = await front.ask(tls=client_tls("http/1.1"))
    assert (answer.status, answer.echo["x-forwarded-proto"]) == (200, "https")
    assert names == [None]


async def test_a_request_under_way_outlives_its_target(cloud: AlbCloud, front: Front, targets: HttpTargets) -> None:
    group = cloud.http_group("app")
    key = await targets("pod", group)
    cloud.http(cloud.alb(), to(group))
    await front.ask()
    targets.asked.clear()
    under_way = asyncio.create_task(front.ask("/?wait=0.5"))
    await targets.asked.wait()
    cloud.drain(key)
    assert (await front.ask()).status == 503
    assert (await under_way).status == 200


async def test_a_listener_that_is_changed_disturbs_no_other(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb()
    cloud.http(balancer, says("here"))
    other = cloud.http(balancer, says("other"), port=8080)
    await front.settled()
    bound = cloud.where(balancer)
    reader, writer = await asyncio.open_connection(bound.address, bound.port)

    async def answer() -> str:
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        return (await read_response(reader)).body

    assert await answer() == "here"
    cloud.rule(other, 1, says("changed"), when("path-pattern", "/*"))
    assert (await front.ask(listener=other)).body == "changed"
    assert await answer() == "here"
    cloud.state.listeners.delete(other.arn)
    await front.settled()
    assert await answer() == "here"
    writer.close()


async def test_a_web_acl_is_asked_before_the_rules(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb()
    cloud.http(balancer, says("in"))
    acl = {"Name": "acl", "Id": "1", "ARN": "arn:acl", "DefaultAction": {"Block": {}}, "Rules": [], "Capacity": 1}
    document = WebAclDocument("arn:acl", json.dumps(acl).encode(), {}, {})
    assert (await front.ask()).body == "in"
    with cloud.state.flow.batch():
        cloud.state.web_acls.set(document.arn, document)
        cloud.state.associations.set(balancer.arn, document.arn)
    answer = await front.ask()
    assert (answer.status, answer.header("server"), answer.header("content-length")) == (403, "awselb/2.0", "118")
    cloud.state.associations.delete(balancer.arn)
    assert (await front.ask()).body == "in"


# --- protocols --------------------------------------------------------------------------------------------------------


async def test_websockets(cloud: AlbCloud, front: Front, stack: AsyncExitStack) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert "upgrade: websocket" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    server = await asyncio.start_server(shout, cloud.address(), 0)
    stack.callback(server.close)
    group = cloud.http_group("app")
    cloud.target(group, server.sockets[0].getsockname())
    balancer = cloud.alb()
    cloud.http(balancer, to(group))
    await front.settled()
    bound = cloud.where(balancer)
    reader, writer = await asyncio.open_connection(bound.address, bound.port)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(b"ping")
    assert await asyncio.wait_for(reader.readexactly(4), 60) == b"PING"
    writer.close()


async def http2(front: Front, listener: Listener) -> Http2Client:
    await front.settled()
    bound = front.cloud.where(front.cloud.state.load_balancers[listener.load_balancer], port=listener.port)
    reader, writer = await asyncio.open_connection(
        bound.address, bound.port, ssl=client_tls("h2"), server_hostname="app.example.com"
    )
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    return Http2Client(reader, writer)


def head(method: str = "GET", *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [(":method", method), (":path", "/"), (":scheme", "https"), (":authority", "app.example.com"), *more]


async def status_of(client: Http2Client, *headers: tuple[str, str]) -> str:
    await client.open(*headers, end=True)
    return str(dict((await client.next(h2.events.ResponseReceived)).headers)[":status"])


async def test_http2_from_clients(cloud: AlbCloud, front: Front, targets: HttpTargets) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    listener = cloud.https(cloud.alb(), to(group), cloud.certificate("app.example.com"))
    assert await status_of(await http2(front, listener), *head()) == "200"


async def test_http2_can_be_switched_off(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb(routing__http2__enabled="false")
    cloud.https(balancer, says("here"), cloud.certificate("app.example.com"))
    await front.ask()
    bound = cloud.where(balancer, port=443)
    _, writer = await asyncio.open_connection(
        bound.address, bound.port, ssl=client_tls("h2", "http/1.1"), server_hostname="app.example.com"
    )
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    writer.close()


@pytest.fixture
async def pod(cloud: AlbCloud, stack: AsyncExitStack) -> Any:
    """Makes a gRPC target of a group."""

    async def start(group: TargetGroup) -> None:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Service("pod"),))
        address = cloud.address()
        port = server.add_insecure_port(f"{address}:0")
        await server.start()
        stack.push_async_callback(server.stop, None)
        cloud.target(group, (address, port))

    return start


async def test_grpc(cloud: AlbCloud, front: Front, pod: Any) -> None:
    group = cloud.http_group("app", version="GRPC")
    await pod(group)
    balancer = cloud.alb()
    listener = cloud.https(balancer, to(group), cloud.certificate("app.example.com"))
    await front.settled()
    bound = cloud.where(balancer, port=443)
    credentials = grpc.ssl_channel_credentials(AUTHORITY.chain)
    options = [("grpc.ssl_target_name_override", "app.example.com")]
    async with grpc.aio.secure_channel(f"{bound.address}:{bound.port}", credentials, options) as channel:
        assert await channel.unary_unary("/any.Service/Call")(b"hello", timeout=60) == b"pod hello"
        stream = channel.stream_stream("/any.Service/Stream")(iter([b"a", b"b"]), timeout=60)
        assert [message async for message in stream] == [b"a", b"b"]

    client = await http2(front, listener)
    assert await status_of(client, *head("GET")) == "464"
    assert (await front.ask()).status == 464


@pytest.mark.parametrize("sticky", ["false", "true"])
async def test_grpc_to_a_group_that_does_not_speak_it_is_refused_as_grpc_has_it(
    cloud: AlbCloud, front: Front, targets: HttpTargets, sticky: str
) -> None:
    group = cloud.http_group("app", stickiness__enabled=sticky)
    await targets("pod", group)
    listener = cloud.https(cloud.alb(), to(group), cloud.certificate("app.example.com"))
    client = await http2(front, listener)
    await client.open(*head("POST", ("content-type", "application/grpc")), end=True)
    answer = dict((await client.next(h2.events.ResponseReceived)).headers)
    assert (answer[":status"], answer["grpc-status"]) == ("200", "2")


async def test_a_changed_protocol_version_takes_effect(cloud: AlbCloud, front: Front, targets: HttpTargets) -> None:
    group = cloud.http_group("app", version="HTTP2")
    await targets("pod", group)
    cloud.https(cloud.alb(), to(group), cloud.certificate("app.example.com"))
    assert (await front.ask()).status == 464
    cloud.state.target_groups.set(group.arn, replace(group, protocol_version="HTTP1"))
    assert (await front.ask()).status == 200
