"""Endpoints that answer as a test says, with or without TLS, and remember what they were asked."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Any, NamedTuple

from gatewright.topology import Endpoint


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: dict[str, Any] | None
    """The client's certificate, as `ssl` describes it."""


class Answer(NamedTuple):
    status: int = 200
    headers: Mapping[str, str] = MappingProxyType({})
    body: str = ""
    delay: float = 0


class Script:
    """One endpoint: `asked` grows with each request; `answer` may be changed."""

    def __init__(self, answer: Callable[[Asked], Answer]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.came = asyncio.Condition()
        self.endpoint = Endpoint("", 0)

    async def wait(self, count: int) -> None:
        """Until so many requests have come."""
        async with self.came:
            await asyncio.wait_for(self.came.wait_for(lambda: len(self.asked) >= count), 60)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            while True:
                asked = await _read(reader, writer.get_extra_info("peercert"))
                self.asked.append(asked)
                async with self.came:
                    self.came.notify_all()
                answer = self.answer(asked)
                await asyncio.sleep(answer.delay)
                body = answer.body.encode()
                lines = [f"HTTP/1.1 {answer.status} Whatever", f"content-length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in answer.headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if asked.method == "HEAD" else body))
        writer.close()


async def _read(reader: asyncio.StreamReader, peer: Any) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readline()).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        await reader.readline()
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body, peer or None)


class Scripts:
    """Starts scripted endpoints on loopback, which end with the stack."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def __call__(
        self, answer: Callable[[Asked], Answer] = lambda _: Answer(), tls: ssl.SSLContext | None = None
    ) -> Script:
        script = Script(answer)
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
        self._stack.callback(server.close)
        script.endpoint = Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
        return script
