"""What a container runs, and what stands in for it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gatewright.local.workloads.exchange import Answer, Conversation, Request
from gatewright.local.workloads.tls import TlsState

Protocol = Literal["http", "h2c", "http2", "stream", "datagram"]
"""What is spoken on a port.

`http` is HTTP/1.1, with TLS also HTTP/2 by ALPN. `h2c` is either version, as the client begins. `http2` is HTTP/2
alone. `stream` is bytes over TCP, `datagram` UDP.
"""

Transport = Literal["TCP", "UDP"]


class Socket(NamedTuple):
    """What a port is known by in its pod."""

    transport: str
    number: int


@dataclass(frozen=True)
class Port:
    """A port that a program listens on in its pod; with `tls`, behind TLS."""

    number: int
    protocol: Protocol = "http"
    tls: ssl.SSLContext | None = field(default=None, compare=False, repr=False)

    @property
    def socket(self) -> Socket:
        """Its transport and number."""
        return Socket("UDP" if self.protocol == "datagram" else "TCP", self.number)


def port_number(text: str) -> int | None:
    """The port that a text names, or None when it names none that can be listened on."""
    return int(text) if text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536 else None


class Session:
    """What a program does with one connection of a `stream` port."""

    greeting: bytes = b""
    """What it sends first."""

    def receive(self, data: bytes) -> bytes | None:
        """What it sends back for a piece of the stream, however that is cut; None ends the connection."""
        raise NotImplementedError


@dataclass(frozen=True)
class Exit:
    """The end of a program that can't run as it was started."""

    code: int
    lines: tuple[str, ...]
    """What it writes before it ends."""


def _no_services() -> tuple[str, ...]:
    return ()


def _no_file(_: str) -> bytes | None:
    return None


def _unheard(_: str) -> None:
    pass


@dataclass(frozen=True)
class Program:
    """A container as its image sees it: variables are resolved, `$(VAR)` in the arguments is expanded."""

    image: str
    namespace: str = "default"
    pod: str = ""
    container: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    """TCP ports that the pod's manifest and the Services that select it name."""
    udp_ports: tuple[int, ...] = ()
    """UDP ports, likewise."""
    tls_ports: frozenset[int] = frozenset()
    """Those of the TCP ports that the manifest's probes call with HTTPS."""
    services: Callable[[], tuple[str, ...]] = _no_services
    """The Services that select the pod now."""
    read: Callable[[str], bytes | None] = _no_file
    """The content of a path of its volumes, or None."""
    say: Callable[[str], None] = _unheard
    """Writes one line to its log."""

    def file(self, path: str) -> bytes:
        """The content of a file that the program can't do without. Raises FileNotFoundError in Go's words."""
        content = self.read(path)
        if content is None:
            raise FileNotFoundError(f"open {path}: no such file or directory")
        return content


class Behaviour:
    """What a program does: where it listens, what it writes at its start, what it answers. Holds a program's state."""

    known = True
    """Whether it behaves as its image does; else it is an echo that says that it stands in."""

    ports: tuple[Port, ...] = ()
    greeting: tuple[str, ...] = ()
    """The lines that it writes when it starts."""
    exit: Exit | None = None
    """Set when the program ends at once."""

    def answer(self, request: Request, port: Port) -> Answer:
        """The answer to one request on one of `ports`."""
        raise NotImplementedError

    def converse(self, request: Request, port: Port) -> Conversation | Answer | None:
        """What answers an HTTP/2 request while its body still arrives, as gRPC does; None leaves it to `answer`."""
        return None

    def session(self, port: Port, tls: TlsState | None) -> Session:
        """What a new connection of a `stream` port meets."""
        raise NotImplementedError

    def reply(self, data: bytes, peer: tuple[str, int], port: Port) -> bytes | Awaitable[bytes | None] | None:
        """What goes back for a datagram from `peer` (address, port) on a `datagram` port; None for nothing."""
        raise NotImplementedError

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """The line that an answered request leaves in the container's log."""
        return None
