"""One GET over HTTP/1.1, as a load balancer's health check sends it."""

from __future__ import annotations

import asyncio

import httptools

from gatewright.local.aws.health.connection import USER_AGENT, Malformed

_LARGEST_BODY = 1 << 20
"""A body isn't read further than this; the status is known by then."""


async def status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, path: str) -> int:
    """Ask, and read the answer to its end. Returns its status.

    Raises `Malformed` where there is no whole answer, and OSError.
    """
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nUser-Agent: {USER_AGENT}\r\n"
        "Accept-Encoding: gzip, compressed\r\n\r\n".encode()
    )
    answer = _Answer()
    size = 0
    try:
        while not answer.complete and size < _LARGEST_BODY:
            data = await reader.read(65536)
            if not data:
                return answer.at_end()
            size += len(data)
            answer.feed(data)
    except httptools.HttpParserError as error:
        raise Malformed(str(error)) from error
    return answer.status


class _Answer:
    """Takes the answer apart; interim ones (1xx) are passed over."""

    def __init__(self) -> None:
        self.status = 0
        self.complete = False
        self._delimited = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.status = self._parser.get_status_code()
            self.complete = True

    def at_end(self) -> int:
        """The status where the connection ended: only a body without a length may end so."""
        if not self.status or self._delimited:
            raise Malformed("the connection was closed before the end of the answer")
        return self.status

    # httptools' callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._delimited = True

    def on_headers_complete(self) -> None:
        code = self._parser.get_status_code()
        if code >= 200:
            self.status = code

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True
        else:
            self._delimited = False
