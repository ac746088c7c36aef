"""A request as a proxy sees it before it looks for a route."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Literal

from msgspec import Struct

_UNRESERVED = re.compile(r"%([0-9A-Fa-f]{2})")
_ESCAPED = frozenset('"<>`{} ^|')


class Request(Struct, frozen=True, dict=True):
    """What a client sends. `scheme` is how it speaks to the port: https is TLS with the server name `sni`.

    `host` is the Host header as it is sent, with its port if it has one; `path` has the query. Header names have any
    case; one that is sent several times is there several times. `sni` None is a client that names no server, as load
    balancers do. `certificate` says that it shows a client certificate that the listener trusts.
    """

    host: str
    path: str = "/"
    method: str = "GET"
    scheme: Literal["http", "https"] = "http"
    sni: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    certificate: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.scheme}://{self.host}{self.path}"

    @cached_property
    def hostname(self) -> str:
        """The Host without its port, in lower case."""
        host = self.host.lower()
        if host.startswith("["):
            return host.partition("]")[0] + "]"
        return host.partition(":")[0]

    @cached_property
    def target(self) -> str:
        """The path and query that rules see: normalized."""
        path, mark, query = self.path.partition("?")
        return normalized(path) + mark + query

    @cached_property
    def bare_path(self) -> str:
        """The normalized path without the query."""
        return self.target.partition("?")[0]

    @cached_property
    def query(self) -> dict[str, str]:
        """Query parameters as they are written; of several with one name the first counts."""
        found: dict[str, str] = {}
        for part in self.path.partition("?")[2].split("&"):
            name, _, value = part.partition("=")
            if part:
                found.setdefault(name, value)
        return found

    def header(self, name: str) -> tuple[str, ...]:
        """The values of a header (in lower case), one for each time that it is there.

        Of those that a proxy writes itself before it routes, Host and X-Forwarded-Proto are known.
        """
        if name == "host":
            return (self.host,)
        if name == "x-forwarded-proto":
            return (self.scheme,)
        return tuple(value.strip() for key, value in self.headers if key.lower() == name)


def normalized(path: str) -> str:
    """A path as RFC 3986 section 6.2.2 normalizes it: without dot segments, and nothing escaped that needn't be.

    Slashes are neither merged nor unescaped, and what is escaped keeps its case.
    """
    path = _UNRESERVED.sub(_unescape, path.replace("\\", "/"))
    path = "".join(f"%{ord(char):02X}" if char in _ESCAPED else char for char in path)
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments):
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
            continue
        if number == len(segments) - 1:
            kept.append("")
    return "/" + "/".join(kept)


def _unescape(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char.isascii() and (char.isalnum() or char in "-._~") else match[0]
