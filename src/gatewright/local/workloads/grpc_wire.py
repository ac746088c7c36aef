"""gRPC over the stand-ins' HTTP/2: framing, statuses, unary and streaming methods.

The protocol is that of github.com/grpc/grpc, doc/PROTOCOL-HTTP2.md; refusals are worded as grpc-go words them.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote

from gatewright.local.workloads.exchange import Answer, Conversation, Ended, Headers, Request

_PREFIX = struct.Struct(">BI")
MAX_MESSAGE_BYTES = 4 << 20
OK, INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL = 0, 3, 5, 8, 12, 13

Unary = Callable[[bytes, Request], bytes]
"""A method of one message each way, encoded. Raises Status."""
Stream = Callable[[bytes, Request], Iterable[bytes]]
"""A method that answers each message as it comes. Raises Status."""


class Status(Exception):
    """A call's end other than OK."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Method(NamedTuple):
    """A method of a service: one or the other."""

    unary: Unary | None = None
    stream: Stream | None = None


Services = Mapping[str, Mapping[str, Method]]
"""Methods by the full name of their service, and their own."""


def is_grpc(request: Request) -> bool:
    """Whether a request is a gRPC call by its content type."""
    kind = (request.header(b"content-type") or b"").lower()
    return kind == b"application/grpc" or kind.startswith((b"application/grpc+", b"application/grpc;"))


def open_call(services: Services, request: Request) -> Conversation | Answer:
    """What answers a call of one of `services`; a refusal for everything else."""
    if request.method != b"POST":
        return Answer(405, [("Content-Type", "text/plain")], b"http2Server.operateHeaders parsed a :method field")
    if not is_grpc(request):
        kind = (request.header(b"content-type") or b"").decode("latin-1")
        trailers = _trailers(Status(INVALID_ARGUMENT, f'invalid gRPC request content-type "{kind}"'))
        return Answer(415, [("Content-Type", "application/grpc"), *trailers])
    service, _, method = request.path.lstrip("/").rpartition("/")
    encoding = (request.header(b"grpc-encoding") or b"identity").decode("latin-1")
    if service not in services:
        return refusal(Status(UNIMPLEMENTED, f"unknown service {service}"))
    if method not in services[service]:
        return refusal(Status(UNIMPLEMENTED, f"unknown method {method} for service {service}"))
    if encoding != "identity":
        why = f'grpc: Decompressor is not installed for grpc-encoding "{encoding}"'
        return refusal(Status(UNIMPLEMENTED, why))
    return _Call(services[service][method], request)


def refusal(status: Status) -> Answer:
    """A call's end before anything else: headers alone."""
    return Answer(200, [("Content-Type", "application/grpc"), *_trailers(status)])


def metadata(request: Request) -> list[tuple[str, str]]:
    """What a grpc-go server shows as the call's metadata: lower-case names, `:authority` first, binary ones decoded."""
    found: list[tuple[str, str]] = []
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "replace")
        if name == "host":
            found.append((":authority", value))
        elif name.endswith("-bin"):
            found.extend((name, _binary(part)) for part in value.split(","))
        elif name not in _RESERVED:
            found.append((name, value))
    return found


_RESERVED = frozenset({"grpc-encoding", "grpc-message", "grpc-status", "grpc-timeout", "te", "content-length"})


class _Call(Conversation):
    """One call."""

    headers: Headers = [("Content-Type", "application/grpc")]  # noqa: RUF012 - the same for every call

    def __init__(self, method: Method, request: Request) -> None:
        self._method = method
        self._request = request
        self._received = bytearray()
        self._messages: list[bytes] = []

    def receive(self, data: bytes) -> bytes:
        self._received += data
        out = bytearray()
        try:
            while (message := self._next()) is not None:
                if self._method.stream:
                    for answer in self._method.stream(message, self._request):
                        out += frame(answer)
                else:
                    self._messages.append(message)
        except Status as status:
            raise Ended(_trailers(status)) from None
        return bytes(out)

    def end(self) -> tuple[bytes, Headers]:
        if self._method.unary is None:
            return b"", _trailers(None)
        try:
            if len(self._messages) != 1 or self._received:
                raise Status(INTERNAL, f"expected one message, found {len(self._messages)}")
            answer = self._method.unary(self._messages[0], self._request)
        except Status as status:
            raise Ended(_trailers(status)) from None
        return frame(answer), _trailers(None)

    def _next(self) -> bytes | None:
        if len(self._received) < _PREFIX.size:
            return None
        compressed, size = _PREFIX.unpack_from(self._received)
        if size > MAX_MESSAGE_BYTES:
            why = f"grpc: received message larger than max ({size} vs. {MAX_MESSAGE_BYTES})"
            raise Status(RESOURCE_EXHAUSTED, why)
        if compressed:
            raise Status(INTERNAL, "grpc: compressed flag set with identity or empty encoding")
        if len(self._received) < _PREFIX.size + size:
            return None
        message = bytes(self._received[_PREFIX.size : _PREFIX.size + size])
        del self._received[: _PREFIX.size + size]
        return message


def frame(message: bytes) -> bytes:
    """A message as it is sent: uncompressed, with its length."""
    return _PREFIX.pack(0, len(message)) + message


def _trailers(status: Status | None) -> Headers:
    if status is None:
        return [("grpc-status", str(OK))]
    message = quote(status.message, safe=" !\"#$&'()*+,/:;<=>?@[\\]^`{|}")
    return [("grpc-status", str(status.code)), ("grpc-message", message)]


def _binary(text: str) -> str:
    try:
        return b64decode(text.strip() + "=" * (-len(text.strip()) % 4)).decode("utf-8", "replace")
    except ValueError:
        return text
