"""ALBs written by hand into a CloudState and served by a real Envoy, HTTP targets that echo, and a client."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import pytest
from tests.aws.nlb_world import Cloud
from tests.envoy.test_backend_tls import Authority

from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.state import (
    Action,
    Certificate,
    Condition,
    FixedResponse,
    Forward,
    Listener,
    LoadBalancer,
    Rule,
    TargetGroup,
    Transform,
)

AUTHORITY = Authority()
NOT_FOUND = FixedResponse(404, "text/plain", "no rule")


class AlbCloud(Cloud):
    """A state with ALBs. The first listener that is made is the one that `Front.ask` asks."""

    def alb(self, name: str = "front", *, nodes: int = 1, **attributes: Any) -> LoadBalancer:
        return self.load_balancer(
            name, "application", zones=tuple(f"us-east-1{'abc'[n]}" for n in range(nodes)), **attributes
        )

    def http(
        self,
        balancer: LoadBalancer,
        default: Action = NOT_FOUND,
        *,
        port: int = 80,
        protocol: Any = "HTTP",
        **more: Any,
    ) -> Listener:
        arn = f"{balancer.arn.replace(':loadbalancer/', ':listener/')}/{port:016x}"
        made = Listener(arn, balancer.arn, protocol, port, default, **more)
        with self.state.flow.batch():
            self.state.listeners.set(arn, made)
            self.rule(made, None, default)
        return made

    def https(
        self, balancer: LoadBalancer, default: Action = NOT_FOUND, *certificates: str, port: int = 443, **more: Any
    ) -> Listener:
        more.setdefault("ssl_policy", "ELBSecurityPolicy-TLS13-1-2-2021-06")
        return self.http(balancer, default, port=port, protocol="HTTPS", certificates=certificates, **more)

    def rule(
        self,
        listener: Listener,
        priority: int | None,
        action: Action,
        *conditions: Condition,
        transforms: tuple[Transform, ...] = (),
    ) -> Rule:
        arn = f"{listener.arn.replace(':listener/', ':listener-rule/')}/{priority or 0:016x}"
        made = Rule(arn, listener.arn, priority, conditions, action, transforms)
        self.state.rules.set(arn, made)
        return made

    def certificate(self, *names: str) -> str:
        """ARN of a certificate of `AUTHORITY`."""
        arn = f"arn:aws:acm:us-east-1:123456789012:certificate/{random.randbytes(8).hex()}"
        self.state.certificates.set(arn, Certificate(arn, *AUTHORITY.issue(*names), names))
        return arn

    def http_group(self, name: str, protocol: str = "HTTP", version: Any = "HTTP1", **attributes: Any) -> TargetGroup:
        return self.group(name, protocol, version=version, **attributes)


def to(*groups: TargetGroup | tuple[TargetGroup, int], sticky: int | None = None) -> Forward:
    shares = [group if isinstance(group, tuple) else (group, 1) for group in groups]
    return Forward(tuple((group.arn, weight) for group, weight in shares), sticky)


def when(field: Any, *values: str, **more: Any) -> Condition:
    return Condition(field, values, **more)


def says(text: str, status: int = 200) -> FixedResponse:
    return FixedResponse(status, "text/plain", text)


class Response(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        """A header, "" where there is none."""
        return ", ".join(value for key, value in self.headers if key == name)

    @property
    def cookies(self) -> dict[str, str]:
        """Set-Cookie by the cookie's name."""
        return {value.partition("=")[0]: value for key, value in self.headers if key == "set-cookie"}

    @property
    def echo(self) -> dict[str, str]:
        """What the target saw: its name as "name", "line", "sni" and the request's headers."""
        lines = self.body.split("\n")
        return {"name": lines[0], "line": lines[1], **dict(line.split(": ", 1) for line in lines[2:] if line)}

    @property
    def path(self) -> str:
        """The path that the target saw."""
        return self.echo["line"].split(" ")[1]


class Front:
    """The data plane of a state, and a client of it."""

    def __init__(self, cloud: AlbCloud, stack: AsyncExitStack) -> None:
        self.cloud = cloud
        self._stack = stack

    async def start(self) -> None:
        self.plane = await self._stack.enter_async_context(DataPlane(self.cloud.state, concurrency=1))
        self.resources = self.plane.resources
        self.process = self.plane.process

    async def settled(self) -> None:
        await asyncio.wait_for(self.plane.settled(), 60)

    async def ask(self, path: str = "/", listener: Listener | None = None, *, node: int = 0, **how: Any) -> Response:
        """Ask a listener, by default the first one, once Envoy has all."""
        await self.settled()
        listener = listener or next(iter(self.cloud.state.listeners.values()))
        balancer = self.cloud.state.load_balancers[listener.load_balancer]
        bound = self.cloud.where(balancer, node, listener.port)
        if listener.protocol == "HTTPS":
            how.setdefault("tls", client_tls())
        return await request(bound.address, bound.port, path, **how)


def client_tls(*alpn: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.chain.decode())
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


async def request(
    address: str,
    port: int,
    path: str = "/",
    *,
    host: str | None = "app.example.com",
    method: str = "GET",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    body: bytes = b"",
    tls: ssl.SSLContext | None = None,
    sni: str | None = None,
    version: str = "1.1",
) -> Response:
    name = (sni or host) if tls else None
    reader, writer = await asyncio.open_connection(address, port, ssl=tls, server_hostname=name)
    try:
        lines = [f"{method} {path} HTTP/{version}", "connection: close"]
        lines += [f"host: {host}"] if host else []
        items = headers.items() if isinstance(headers, dict) else headers or []
        lines += [f"{name}: {value}" for name, value in items]
        lines += [f"content-length: {len(body)}"] if body else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return await read_response(reader, method)
    finally:
        writer.close()


async def read_response(reader: asyncio.StreamReader, method: str = "GET") -> Response:
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode().split("\r\n")
    split = [line.partition(":") for line in head[1:] if line]
    found = [(name.lower(), value.strip()) for name, _, value in split]
    length = 0 if method == "HEAD" else int(dict(found).get("content-length", 0))
    return Response(int(head[0].split()[1]), found, (await reader.readexactly(length)).decode())


class HttpTargets:
    """Makes HTTP targets that answer with their name and what they were asked; what they add is in the query.

    `status=N`, `wait=SECONDS`, `cookie=NAME`, `close`: close the connection without an answer.
    """

    def __init__(self, stack: AsyncExitStack, cloud: Cloud) -> None:
        self._stack, self._cloud = stack, cloud
        self.asked = asyncio.Event()
        """Set by each request that comes."""

    async def __call__(self, name: str, group: TargetGroup, *, tls: ssl.SSLContext | None = None) -> Any:
        """The key of a target that listens at an address of its own."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                while True:
                    await self._answer(name, reader, writer)
            writer.close()

        server = await asyncio.start_server(answer, self._cloud.address(), 0, ssl=tls)
        self._stack.callback(server.close)
        host, port = server.sockets[0].getsockname()
        return self._cloud.target(group, (host, port))

    async def _answer(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = [(key.lower(), value.strip()) for key, _, value in (line.partition(":") for line in head[1:] if line)]
        await reader.readexactly(int(dict(headers).get("content-length", 0)))
        self.asked.set()
        wanted = dict(part.partition("=")[::2] for part in head[0].split()[1].partition("?")[2].split("&"))
        if "close" in wanted:
            writer.close()
            raise ConnectionAbortedError
        await asyncio.sleep(float(wanted.get("wait", 0)))
        body = "\n".join([name, head[0], *(f"{key}: {value}" for key, value in headers)]).encode()
        lines = [f"HTTP/1.1 {wanted.get('status', 200)} Fine", f"content-length: {len(body)}", "server: pod"]
        if "cookie" in wanted:
            lines.append(f"set-cookie: {wanted['cookie']}=1")
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if head[0].startswith("HEAD ") else body))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What the test has opened."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def cloud() -> AlbCloud:
    return AlbCloud()


@pytest.fixture
async def front(cloud: AlbCloud, stack: AsyncExitStack) -> Front:
    front = Front(cloud, stack)
    await front.start()
    return front


@pytest.fixture
def targets(cloud: AlbCloud, stack: AsyncExitStack) -> HttpTargets:
    return HttpTargets(stack, cloud)
