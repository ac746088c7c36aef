"""What tests of health checks share: an API state made by hand, targets that answer as told, waiting for a health."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from gatewright.local.aws.state import (
    CloudState,
    Forward,
    HealthCheck,
    Listener,
    LoadBalancer,
    Node,
    Target,
    TargetGroup,
    TargetHealth,
    TargetKey,
)

ALB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/public/0123456789abcdef"
NLB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/internal/0123456789abcdef"
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/gateway/0123456789abcdef"
LISTENER = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/public/0123456789abcdef/1"

NODE_A = "127.0.64.254"
NODE_B = "127.0.80.254"

CHECK = HealthCheck(
    enabled=True,
    protocol="HTTP",
    port="traffic-port",
    path="/",
    interval=300,
    timeout=60,
    healthy_threshold=5,
    unhealthy_threshold=2,
    matcher="200",
)


def balancer(arn: str = ALB) -> LoadBalancer:
    """A load balancer in two zones; of the type that its ARN says."""
    return LoadBalancer(
        arn=arn,
        name="lb",
        type="application" if ":loadbalancer/app/" in arn else "network",
        scheme="internal",
        dns_name="lb.example",
        nodes=(Node("us-east-1a", "subnet-a", NODE_A), Node("us-east-1b", "subnet-b", NODE_B)),
        attributes={},
    )


def listener(
    arn: str = LISTENER, balancer: str = ALB, port: int = 443, groups: tuple[str, ...] = (GROUP,), policy: str = ""
) -> Listener:
    """A listener that forwards to groups."""
    return Listener(
        arn=arn,
        load_balancer=balancer,
        protocol="TCP" if balancer == NLB else "HTTPS",
        port=port,
        action=Forward(tuple((group, 1) for group in groups)),
        ssl_policy=policy,
    )


def group(check: HealthCheck = CHECK, protocol: str = "HTTP", arn: str = GROUP) -> TargetGroup:
    """A group of ip targets."""
    return TargetGroup(
        arn=arn,
        name="gateway",
        target_type="ip",
        protocol=protocol,
        port=80,
        protocol_version="HTTP1" if protocol.startswith("HTTP") else "",
        health_check=check,
        attributes={},
    )


def target(port: int, address: str = "127.0.0.1", registered_at: float = 0.0, group: str = GROUP) -> Target:
    """A registered target in the first zone."""
    return Target(
        key=TargetKey(group, address, port), addresses=(address,), zone="us-east-1a", registered_at=registered_at
    )


class Cloud:
    """An API state with an ALB, its listener and a group; tests edit its sources."""

    def __init__(self, check: HealthCheck = CHECK, protocol: str = "HTTP", arn: str = ALB) -> None:
        self.state = CloudState()
        with self.state.flow.batch():
            self.state.load_balancers.set(arn, balancer(arn))
            self.state.listeners.set(LISTENER, listener(balancer=arn))
            self.state.target_groups.set(GROUP, group(check, protocol))

    def register(self, port: int, **fields: object) -> TargetKey:
        """Register a target."""
        made = target(port, **fields)  # type: ignore[arg-type]
        self.state.targets.set(made.key, made)
        return made.key

    def change(self, **fields: object) -> None:
        """Change the group's health check."""
        old = self.state.target_groups[GROUP]
        self.state.target_groups.set(GROUP, replace(old, health_check=replace(old.health_check, **fields)))

    def health(self, key: TargetKey) -> tuple[str, str, str] | None:
        """State, reason and description."""
        health = self.state.health.get(key)
        return (health.state, health.reason, health.description) if health else None

    async def until(self, key: TargetKey, state: str) -> TargetHealth:
        """Wait until a target is in a state."""
        return await self.when(key, lambda health: health is not None and health.state == state)

    async def when(self, key: TargetKey, holds: Callable[[TargetHealth | None], bool]) -> TargetHealth:
        """Wait until a target's health is as wanted."""
        changed = asyncio.Event()
        self.state.health.subscribe(lambda _changes: changed.set())
        async with asyncio.timeout(60):
            while not holds(self.state.health.get(key)):
                changed.clear()
                await changed.wait()
        return self.state.health.get(key) or TargetHealth("unused")


class Backend:
    """A server on 127.0.0.1 that hears requests and answers with bytes; None is silence, b"" is closing."""

    def __init__(self) -> None:
        self.answer: bytes | None = ok()
        self.takes = 0.0  # seconds before it answers
        self.port = 0
        self.heard: list[bytes] = []
        self.peers: list[str] = []
        self.names: list[str | None] = []
        self.versions: list[str | None] = []
        self.asked = asyncio.Event()
        self.most_at_once = 0
        self._now = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.peers.append(writer.get_extra_info("peername")[0])
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        tls = writer.get_extra_info("ssl_object")
        self.versions.append(tls.version() if tls else None)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                self.heard.append(await reader.readuntil(b"\r\n\r\n"))
                self.asked.set()
                if self.answer is None:
                    await reader.read()
                else:
                    await asyncio.sleep(self.takes)
                    writer.write(self.answer)
        finally:
            self._now -= 1
            writer.close()


def ok(status: str = "200 OK", body: bytes = b"ok") -> bytes:
    """An HTTP/1.1 answer."""
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@contextlib.asynccontextmanager
async def backend(tls: ssl.SSLContext | None = None) -> AsyncIterator[Backend]:
    """A `Backend` that listens."""
    made = Backend()
    if tls:

        def named(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            made.names.append(name)

        tls.sni_callback = named
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port where nothing listens: it is somebody's."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def expired_certificate(directory: Path) -> ssl.SSLContext:
    """A server's TLS with a self-signed certificate for another name that expired yesterday."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "elsewhere.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = directory / "pair.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
