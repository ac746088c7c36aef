"""One HTTP exchange as the stand-ins see it: a request that was read, the answer to write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from gatewright.local.workloads.listener import Listener
from gatewright.local.workloads.tls import TlsState

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_BODILESS = frozenset({101, 204, 304})

Headers = list[tuple[str, str]]
"""Names and values, as they are written."""
Upgrade = Callable[[Listener], asyncio.Protocol]
"""Makes what speaks on a connection of a port that leaves HTTP/1.1."""


@dataclass(slots=True)
class Request:
    """A request. Bytes are as they arrived; the properties decode on demand, since few answers need all of it."""

    method: bytes
    target: bytes
    """The request target as sent: origin form, absolute form, authority form or `*`."""
    version: str = "1.1"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Names and values in the order of arrival; names keep their case."""
    peer: str = ""
    """The client's `address:port`."""
    received: float = 0.0
    """When it was read, by the loop's clock."""
    tls: TlsState | None = None
    """What the connection negotiated; None for one without TLS."""

    def header(self, name: bytes) -> bytes | None:
        """The first value of the header `name` (lower case), or None."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def uri(self) -> str:
        """The request target as text."""
        return self.target.decode("utf-8", "replace")

    @property
    def path(self) -> str:
        """The decoded path, without authority and query; empty when the target has none."""
        return unquote(self._reference.partition("?")[0], errors="replace")

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query parameters."""
        return parse_qs(self._reference.partition("?")[2], keep_blank_values=True)

    @property
    def host(self) -> str:
        """The authority: of an absolute target, else of the Host header (RFC 9112 section 3.2.2)."""
        scheme, found, rest = self.uri.partition("://")
        if found and "/" not in scheme:
            return rest.split("/", 1)[0].split("?", 1)[0]
        return (self.header(b"host") or b"").decode("utf-8", "replace")

    @property
    def _reference(self) -> str:
        scheme, found, rest = self.uri.partition("://")
        if found and "/" not in scheme:
            _, slash, path = rest.partition("/")
            return slash + path
        return self.uri


class Answer:
    """What to write: the head is rendered once, so that an answer that never changes costs nothing per request.

    `delay` is in seconds. `abort` closes the connection without an answer: `"reset"` with a TCP reset, `"close"` in
    order. `interim` is an informational status (1xx) to send before. `upgrade`, of a 101, makes what takes the
    connection over on its port once the answer is written.
    """

    __slots__ = ("abort", "body", "delay", "head", "headers", "interim", "status", "upgrade")

    def __init__(
        self,
        status: int,
        headers: Headers,
        body: bytes = b"",
        *,
        delay: float = 0.0,
        abort: str = "",
        interim: int = 0,
        upgrade: Upgrade | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.upgrade = upgrade
        self.delay = delay
        self.abort = abort
        self.interim = interim
        lines = [status_line(status)]
        lines += [f"{name}: {value}\r\n".encode("utf-8", "replace") for name, value in headers]
        if status not in _BODILESS:
            lines.append(b"Content-Length: %d\r\n" % len(body))
        self.head = b"".join(lines)
        self.body = b"" if status in _BODILESS else body


class Conversation:
    """An HTTP/2 exchange that is answered while its request's body arrives. `headers` go out before anything else."""

    headers: Headers

    def receive(self, data: bytes) -> bytes:
        """What to send back for a piece of the body. Raises Ended to end the exchange."""
        raise NotImplementedError

    def end(self) -> tuple[bytes, Headers]:
        """The last bytes and the trailers, once the request's body has ended. Raises Ended."""
        raise NotImplementedError


class Ended(Exception):
    """Ends a conversation before its time, with these trailers."""

    def __init__(self, trailers: Headers) -> None:
        super().__init__(trailers)
        self.trailers = trailers


def status_line(status: int) -> bytes:
    """The status line, with its line ending."""
    return b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"status code %d" % status))
