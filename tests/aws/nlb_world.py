"""Load balancers written by hand into a CloudState, targets that answer, and clients."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.resets import ResetError, reset_connections
from gatewright.local.aws.state import (
    Bound,
    CloudState,
    Forward,
    HealthCheck,
    Listener,
    LoadBalancer,
    Node,
    Socket,
    Target,
    TargetGroup,
    TargetHealth,
    TargetKey,
    Transport,
)

ZONES = ("us-east-1a", "us-east-1b")
_ELB = "arn:aws:elasticloadbalancing:us-east-1:123456789012"
HEALTH_CHECK = HealthCheck(True, "TCP", "traffic-port", "", 30, 10, 5, 2, "")


class Cloud:
    """A state with short ways to write to it; its addresses are this test's own."""

    def __init__(self) -> None:
        self.state = CloudState()
        self._block = f"127.{random.randint(2, 62)}.{random.randint(0, 250)}"  # below those that edges claim
        self._last = 0

    def address(self) -> str:
        """A loopback address that nobody else here has."""
        self._last += 1
        return f"{self._block}.{self._last}"

    def load_balancer(
        self, name: str, kind: str = "network", *, zones: tuple[str, ...] = ZONES, **attributes: Any
    ) -> LoadBalancer:
        short = "app" if kind == "application" else "net"
        made = LoadBalancer(
            arn=f"{_ELB}:loadbalancer/{short}/{name}/0123456789abcdef",
            name=name,
            type=kind,
            scheme="internal",
            dns_name=f"{name}.elb.us-east-1.amazonaws.com",
            nodes=tuple(Node(zone, f"subnet-{zone}", self.address()) for zone in zones),
            attributes=dotted(attributes),
        )
        self.state.load_balancers.set(made.arn, made)
        return made

    def group(
        self,
        name: str,
        protocol: str = "TCP",
        target_type: Any = "ip",
        *,
        port: int = 80,
        version: Any = "",
        **attributes: Any,
    ) -> TargetGroup:
        arn = f"{_ELB}:targetgroup/{name}/0123456789abcdef"
        made = TargetGroup(arn, name, target_type, protocol, port, version, HEALTH_CHECK, dotted(attributes))
        self.state.target_groups.set(arn, made)
        return made

    def listener(
        self,
        load_balancer: LoadBalancer,
        *groups: TargetGroup | tuple[TargetGroup, int],
        port: int = 80,
        protocol: Any = "TCP",
        **more: Any,
    ) -> Listener:
        shares = [group if isinstance(group, tuple) else (group, 1) for group in groups]
        action = Forward(tuple((group.arn, weight) for group, weight in shares))
        arn = f"{_ELB}:listener/{load_balancer.id}/{port:016x}"
        made = Listener(arn, load_balancer.arn, protocol, port, action, **more)
        self.state.listeners.set(arn, made)
        return made

    def target(
        self, group: TargetGroup, at: tuple[str, int], zone: str = ZONES[0], health: Any = "healthy"
    ) -> TargetKey:
        key = TargetKey(group.arn, *at)
        with self.state.flow.batch():
            self.state.targets.set(key, Target(key, (at[0],), zone, time.monotonic()))
            self.health(key, health)
        return key

    def health(self, key: TargetKey, state: Any) -> None:
        self.state.health.set(key, TargetHealth(state))

    def drain(self, key: TargetKey, seconds: float = 300) -> None:
        """Deregister a target."""
        target = self.state.targets[key]
        until = time.monotonic() + seconds
        with self.state.flow.batch():
            self.state.targets.set(key, Target(key, target.addresses, target.zone, target.registered_at, until))
            self.health(key, "draining")

    def deregistered(self, key: TargetKey) -> None:
        """The end of its draining."""
        with self.state.flow.batch():
            self.state.targets.delete(key)
            self.state.health.delete(key)

    def where(self, load_balancer: LoadBalancer, node: int = 0, port: int = 80, transport: Transport = "TCP") -> Bound:
        """Where a node listens really."""
        return self.state.sockets[Socket(load_balancer.nodes[node].address, port, transport)]


def dotted(attributes: dict[str, str]) -> dict[str, str]:
    """Attributes as the API names them: `a__b` for `a.b`."""
    return {name.replace("__", "."): value for name, value in attributes.items()}


class Echo(asyncio.DatagramProtocol):
    """Answers each datagram with its name, the client's address and the datagram."""

    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(f"{self._name} {addr[0]} {data.decode()}".encode(), addr)


class LineTargets:
    """Makes targets that answer each line with their name, the client's address (or ALPN's protocol) and the line."""

    def __init__(self, stack: AsyncExitStack, cloud: Cloud) -> None:
        self._stack, self._cloud = stack, cloud

    async def tcp(self, name: str, *, tls: ssl.SSLContext | None = None, raw: list[bytes] | None = None) -> Any:
        """Where it listens. `raw` gets the first bytes of each connection, which is then not answered by lines."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                if raw is not None:
                    raw.append(await reader.read(4096))
                peer = writer.get_extra_info("peername")[0]
                secure = writer.get_extra_info("ssl_object")
                spoken = secure.selected_alpn_protocol() if secure else None
                if raw is not None:
                    writer.write(f"{name} {peer}\n".encode())
                while line := await reader.readline():
                    writer.write(f"{name} {spoken or peer} {line.decode()}".encode())
            writer.close()

        server = await asyncio.start_server(answer, self._cloud.address(), 0, ssl=tls)
        self._stack.callback(server.close)
        host, port = server.sockets[0].getsockname()
        return host, port

    async def udp(self, name: str) -> Any:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: Echo(name), local_addr=(self._cloud.address(), 0))
        self._stack.callback(transport.close)
        return transport.get_extra_info("sockname")


class Connection:
    """A connection of a client; `say` returns the answer to a line, or how the connection ended."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, text: str = "hello") -> str:
        try:
            self.writer.write(f"{text}\n".encode())
            line = await asyncio.wait_for(self.reader.readline(), 60)
        except ConnectionResetError:
            return "reset"
        except ConnectionError:
            return "broken"
        return line.decode().strip() if line else "closed"

    async def end(self, patience: float = 60) -> str:
        """How it is ended by the other side."""
        try:
            return "closed" if not await asyncio.wait_for(self.reader.read(1), patience) else "data"
        except ConnectionResetError:
            return "reset"
        except TimeoutError:
            return "open"

    def close(self) -> None:
        self.writer.close()


async def connect(at: Bound, source: str | None = None, **how: Any) -> Connection:
    return Connection(
        *await asyncio.open_connection(at.address, at.port, local_addr=(source, 0) if source else None, **how)
    )


async def said(at: Bound, source: str | None = None, **how: Any) -> str:
    """The answer on a connection of its own, or how it ended."""
    try:
        connection = await connect(at, source, **how)
    except ConnectionRefusedError:
        return "refused"
    except (ConnectionError, ssl.SSLError) as error:
        return type(error).__name__
    try:
        return await connection.say()
    finally:
        connection.close()


def can_reset() -> bool:
    """Whether this system lets us reset the connections of a child."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = Bound(*server.getsockname())
        script = f"import socket; socket.create_connection({tuple(at)!r}).recv(1)"
        with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as child:
            accepted, _ = server.accept()
            try:
                return reset_connections(child.pid, lambda _, remote: remote == at) == 1
            except (ResetError, OSError):
                return False
            finally:
                accepted.close()


needs_resets = pytest.mark.skipif(not can_reset(), reason="this system doesn't let us reset connections of a child")


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
async def plane(cloud: Cloud) -> AsyncIterator[DataPlane]:
    async with DataPlane(cloud.state, concurrency=1) as plane:
        yield plane


@pytest.fixture
async def targets(cloud: Cloud) -> AsyncIterator[LineTargets]:
    async with AsyncExitStack() as stack:
        yield LineTargets(stack, cloud)


async def settled(plane: DataPlane) -> None:
    """Wait until Envoy has all."""
    await asyncio.wait_for(plane.settled(), 60)
