"""A Topology written by hand, endpoints that echo, and a client."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from contextlib import AsyncExitStack
from typing import Any, Literal, NamedTuple

from gatewright.envoy.listeners import Binding
from gatewright.flow import Flow, Source
from gatewright.model.meta import Key
from gatewright.topology import (
    NO_SET,
    Backend,
    BackendKey,
    Certificate,
    Endpoint,
    Endpoints,
    Filter,
    HostKey,
    Listener,
    ListenerKey,
    Match,
    Origin,
    PathMatch,
    Placement,
    PortKey,
    PortState,
    Rejection,
    Rule,
    RuleKey,
    Stream,
    StreamPlacement,
    Topology,
    ValueMatch,
    WeightedBackend,
)

GATEWAY = Key("infra", "shared")
HTTP = ListenerKey(GATEWAY, "http")
_PATH_TYPES: dict[str, Literal["Exact", "RegularExpression"]] = {"=": "Exact", "~": "RegularExpression"}


def origin(kind: str, name: str, version: str = "1") -> Origin:
    return Origin(kind, Key("infra", name), version)


def backend_key(name: str) -> BackendKey:
    return BackendKey("apps", name, 80)


def path_match(text: str) -> PathMatch:
    """`=/exact`, `~regex`, or a prefix."""
    kind = _PATH_TYPES.get(text[0])
    return PathMatch(kind, text[1:]) if kind else PathMatch("PathPrefix", text)


class World:
    """The sources of a Topology, and short ways to write to them."""

    def __init__(self) -> None:
        flow = self.flow = Flow()
        self.listeners: Source[ListenerKey, Listener] = flow.source("listeners")
        self.certificates: Source[Key, Certificate] = flow.source("certificates")
        self.hosts: Source[HostKey, HostKey] = flow.source("hosts")
        self.all_placements: Source[tuple[HostKey, RuleKey], Placement] = flow.source("all placements")
        self.backends: Source[BackendKey, Backend] = flow.source("backends")
        self.endpoints: Source[BackendKey, Endpoints] = flow.source("endpoints")
        self.bindings: Source[Key, Binding] = flow.source("bindings")
        self.rejections: Source[tuple[str, Key], Rejection] = flow.source("rejections")
        self.ports: Source[PortKey, PortState] = flow.source("ports")

        def unless_rejected(ctx: Any, _: Any, placement: Placement) -> Placement | None:
            origin = placement.rule.origin
            rejection = ctx.get(self.rejections, (origin.kind, origin.key))
            return None if rejection and rejection.version == origin.version else placement

        self.placements = flow.derive("placements", self.all_placements, unless_rejected)
        self.misdirected: Source[HostKey, HostKey] = flow.source("misdirected")
        self.streams: Source[tuple[HostKey, RuleKey], StreamPlacement] = flow.source("streams")
        self.client_certificates: Source[Key, Key] = flow.source("client certificates")
        self.topology = Topology(
            listeners=self.listeners,
            certificates=self.certificates,
            hosts=self.hosts,
            placements=self.placements,
            placements_by_host=self.placements.index(lambda _, p: [p.host], order=lambda _, p: p.rule.precedence),
            misdirected=self.misdirected,
            streams=self.streams,
            streams_by_host=self.streams.index(lambda _, p: [p.host], order=lambda _, p: p.stream.precedence),
            client_certificates=self.client_certificates,
            backends=self.backends,
            endpoints=self.endpoints,
        )

    def listener(
        self,
        name: str = "http",
        port: int = 80,
        protocol: Any = "HTTP",
        hostname: str = "*",
        certificates: tuple[Key, ...] = (),
        gateway: Key = GATEWAY,
        listener_set: Key = NO_SET,
        **more: Any,
    ) -> ListenerKey:
        key = ListenerKey(gateway, name, listener_set)
        with self.flow.batch():
            self.listeners.set(
                key, Listener(key, port, protocol, hostname, certificates, origin("Gateway", gateway.name), **more)
            )
            self.host(hostname, key)
        return key

    def host(self, hostname: str = "*", listener: ListenerKey = HTTP) -> HostKey:
        key = HostKey(listener, hostname)
        self.hosts.set(key, key)
        return key

    def backend(self, name: str, *endpoints: Endpoint, protocol: Any = "http") -> BackendKey:
        key = backend_key(name)
        with self.flow.batch():
            self.backends.set(key, Backend(key, protocol))
            self.endpoints.set(key, Endpoints(key, tuple(sorted(endpoints))))
        return key

    def rule(
        self,
        route: str,
        path: str = "/",
        *backends: str | tuple[str | None, int] | WeightedBackend,
        host: HostKey | None = None,
        index: int = 0,
        precedence: int = 100,
        version: str = "1",
        method: str | None = None,
        headers: tuple[ValueMatch, ...] = (),
        query: tuple[ValueMatch, ...] = (),
        filters: tuple[Filter, ...] = (),
        kind: str = "HTTPRoute",
        **more: Any,
    ) -> Rule:
        def weighted(backend: str | tuple[str | None, int] | WeightedBackend) -> WeightedBackend:
            if isinstance(backend, WeightedBackend):
                return backend
            name, weight = (backend, 1) if isinstance(backend, str) else backend
            return WeightedBackend(backend_key(name) if name else None, weight)

        key = RuleKey(kind, Key("infra", route), index, 0)
        rule = Rule(
            key=key,
            precedence=(precedence,),
            match=Match(path_match(path), method, headers, query),
            filters=filters,
            backends=tuple(weighted(backend) for backend in backends),
            origin=Origin(kind, Key("infra", route), version, f"spec.rules[{index}]"),
            **more,
        )
        where = host or HostKey(HTTP, "*")
        self.all_placements.set((where, key), Placement(where, rule))
        return rule

    def stream(
        self,
        route: str,
        host: HostKey,
        *backends: BackendKey | tuple[BackendKey | None, int],
        kind: str = "TCPRoute",
        precedence: int = 100,
        version: str = "1",
    ) -> Stream:
        """A stream whose backends have weight 1 unless they are pairs with another."""

        def weighted(backend: BackendKey | tuple[BackendKey | None, int]) -> WeightedBackend:
            return WeightedBackend(backend, 1) if isinstance(backend, BackendKey) else WeightedBackend(*backend)

        key = RuleKey(kind, Key("infra", route), 0, 0)
        where = Origin(kind, Key("infra", route), version, "spec.rules[0]")
        stream = Stream(key, (precedence,), tuple(weighted(backend) for backend in backends), where)
        self.streams.set((host, key), StreamPlacement(host, stream))
        return stream

    def remove(self, route: str, host: HostKey | None = None, index: int = 0) -> None:
        where = host or HostKey(HTTP, "*")
        self.all_placements.delete((where, RuleKey("HTTPRoute", Key("infra", route), index, 0)))


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str

    @property
    def location(self) -> str:
        return self.headers["location"]

    @property
    def echo(self) -> dict[str, str]:
        """What the endpoint saw: its own name as "name", "line", and the request's headers."""
        lines = self.body.split("\n")
        return {"name": lines[0], "line": lines[1], **dict(line.split(": ", 1) for line in lines[2:] if line)}


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    return head[0], {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }


async def request(
    address: str,
    port: int,
    path: str = "/",
    host: str | None = "test.example.com",
    method: str = "GET",
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    sni: str | None = None,
    body: bytes = b"",
) -> Response:
    reader, writer = await asyncio.open_connection(
        address, port, ssl=tls, server_hostname=(sni or host) if tls else None
    )
    try:
        lines = [f"{method} {path} HTTP/1.1", f"host: {host}", "connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += [f"content-length: {len(body)}"] if body else []
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        status_line, found = await _read_head(reader)
        length = 0 if method == "HEAD" else int(found.get("content-length", 0))
        body = await reader.readexactly(length)
        return Response(int(status_line.split()[1]), found, body.decode())
    finally:
        writer.close()


async def is_refused(address: str, port: int) -> None:
    """Wait until nothing listens."""
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
            await asyncio.sleep(0.01)


class Echo:
    """Endpoints on loopback that answer with their name and what they were asked."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(self, name: str, delay: float = 0) -> Endpoint:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    line, headers = await _read_head(reader)
                    await reader.readexactly(int(headers.get("content-length", 0)))
                    await asyncio.sleep(delay)
                    body = "\n".join([name, line, *(f"{key}: {value}" for key, value in headers.items())]).encode()
                    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\nx-from: {name}\r\n\r\n".encode()
                    writer.write(head + (b"" if line.startswith("HEAD ") else body))
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        self._stack.callback(server.close)
        return Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])


_given: set[tuple[str, int]] = set()


def free_port(address: str) -> int:
    """A port that nobody has; none is given twice."""
    while True:
        with socket.socket() as probe:
            probe.bind((address, 0))
            found = address, int(probe.getsockname()[1])
        if found not in _given:
            _given.add(found)
            return found[1]


def loopback() -> str:
    """A loopback address that nobody else has."""
    return f"127.{random.randint(2, 62)}.{random.randint(1, 250)}.{random.randint(1, 250)}"  # below what edges claim
