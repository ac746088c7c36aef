"""One HTTP request and its answer, as the API deals in them: complete bodies, and streams only in answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote

import msgspec

_encode = msgspec.json.Encoder().encode

JSON_TYPE = "application/json"


@dataclass(slots=True)
class Request:
    """A request. `target` is its path and query as they were sent; headers are asked for by names in lower case.

    `body` is None when it was larger than is read.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None = b""

    @property
    def path(self) -> str:
        """The path without the query."""
        return self.target.partition("?")[0]

    def parts(self) -> list[str]:
        """The path's segments, percent-decoded; empty ones are left out."""
        path = self.path
        parts = [part for part in path.split("/") if part]
        return [unquote(part) for part in parts] if "%" in path else parts

    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last counts."""
        query = self.target.partition("?")[2]
        return dict(parse_qsl(query, keep_blank_values=True)) if query else {}


@dataclass(slots=True)
class Answer:
    """An answer; a body that is a generator goes out in chunks as they come, and is closed when the client goes."""

    body: bytes | AsyncGenerator[bytes]
    code: int = 200
    media_type: str = JSON_TYPE
    headers: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def json(cls, value: object, code: int = 200) -> Answer:
        """A JSON answer, from a value or from bytes that are JSON already."""
        return cls(value if isinstance(value, bytes) else _encode(value), code)
