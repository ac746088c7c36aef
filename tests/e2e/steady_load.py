"""A steady, bounded load on an edge, and every answer in it that is not a right one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc
import grpc.aio
import httpx2

PAUSE = 0.01
"""Seconds between the end of one client's request and the start of its next: the load is bounded by it."""
IN_A_ROW = 30
"""So many right answers, one after the other over all clients, and a change counts as arrived."""


class Client(Protocol):
    """Asks one thing again and again."""

    async def ask(self) -> str:
        """One answer: its text if its status is 200, else the status and text."""

    async def close(self) -> None:
        """Close its connections."""


@dataclass
class Asked:
    """One thing that several clients ask for, and which answers are right just now."""

    name: str
    right: set[str]
    clients: list[Client]
    answers: int = 0
    in_a_row: int = 0
    last: str = ""
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def heard(self, answer: str) -> bool:
        self.answers += 1
        self.in_a_row = self.in_a_row + 1 if answer == self.last else 1
        self.last = answer
        self.stirred.set()
        return answer in self.right

    async def until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not done():
                    self.stirred.clear()
                    await self.stirred.wait()
        except TimeoutError:
            raise AssertionError(f"{self.name}: wanted {self.right}, last was {self.last!r}") from None


async def within(client: Client, seconds: float = 60) -> str:
    async with asyncio.timeout(seconds):
        return await client.ask()


class Load:
    """Clients at work (`async with`); `wrong` counts what they should not have been answered."""

    def __init__(self) -> None:
        self.wrong: Counter[str] = Counter()
        self._asked: list[Asked] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Load:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for asked in self._asked:
            for client in asked.clients:
                await client.close()

    async def ask(self, name: str, right: str, *clients: Client) -> Asked:
        """Begin to ask; returns when the answer is `right`. What comes before that doesn't count."""
        asked = Asked(name, {right}, list(clients))
        first = asyncio.get_running_loop().time() + 60
        for client in clients:
            answer = ""
            while answer != right and asyncio.get_running_loop().time() < first:
                try:
                    answer = await within(client)
                except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                    answer = repr(error)
                    await client.close()
                await asyncio.sleep(PAUSE)
            assert answer == right, f"{name}: {answer} before anything changed"
        self._asked.append(asked)
        self._tasks += [asyncio.create_task(self._work(asked, client)) for client in clients]
        await asked.until(lambda: asked.in_a_row >= IN_A_ROW)
        return asked

    async def _work(self, asked: Asked, client: Client) -> None:
        while True:
            try:
                answer = await within(client)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                answer = repr(error)
                await client.close()
            if not asked.heard(answer):
                self.wrong[f"{asked.name}: {answer}"] += 1
            await asyncio.sleep(PAUSE)

    @asynccontextmanager
    async def changing(self, *changes: tuple[Asked, str]) -> AsyncIterator[None]:
        """Within, each `Asked` may get its old or its new answer; ends when it gets only the new one."""
        for asked, new in changes:
            asked.right.add(new)
        yield
        for asked, new in changes:
            await asked.until(lambda asked=asked, new=new: asked.last == new and asked.in_a_row >= IN_A_ROW)  # type: ignore[misc]
            asked.right = {new}

    async def steady(self) -> None:
        """Until everything has been asked for once more, many times; then nothing may have been wrong."""
        for asked in self._asked:
            goal = asked.answers + IN_A_ROW
            await asked.until(lambda asked=asked, goal=goal: asked.answers >= goal)  # type: ignore[misc]
        assert not self.wrong, dict(self.wrong)


class Http1:
    """HTTP/1.1 by hand, so that nothing is tried again behind our back.

    `keep` keeps the connection as long as the server does. `seen` gets the serial numbers of the certificates shown.
    """

    def __init__(
        self,
        host: str,
        port: int,
        path: str = "/",
        authority: str = "",
        *,
        keep: bool = True,
        ca: Path | None = None,
        body: bytes = b"",
    ) -> None:
        self._where = (host, port)
        self._keep = keep
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca else None
        self._name = authority or host
        head = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"host: {self._name}", f"content-length: {len(body)}"]
        self._request = "\r\n".join([*head, "", ""]).encode() + body
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.serials: set[str] = set()

    async def ask(self) -> str:
        reader, writer = self._stream or await self._connect()
        writer.write(self._request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode().strip()
        if not self._keep or headers.get("connection") == "close":
            await self.close()
        status = head[0].split()[1]
        return body if status == "200" else f"{status} {body}".strip()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = self._name if self._tls else None
        self._stream = await asyncio.open_connection(*self._where, ssl=self._tls, server_hostname=name)
        if self._tls:
            self.serials.add(self._stream[1].get_extra_info("ssl_object").getpeercert()["serialNumber"])
        return self._stream

    async def close(self) -> None:
        if self._stream:
            writer, self._stream = self._stream[1], None
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError):
                await writer.wait_closed()


class Http2:
    """HTTP/2 over TLS, many requests on one connection."""

    def __init__(self, host: str, port: int, path: str, authority: str, *, ca: Path) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        self._client = httpx2.AsyncClient(http2=True, http1=False, verify=context, timeout=60)
        self._url = f"https://{host}:{port}{path}"
        self._headers = {"host": authority}
        self._extensions = {"sni_hostname": authority}

    async def ask(self) -> str:
        try:
            answer = await self._client.get(self._url, headers=self._headers, extensions=self._extensions)
        except httpx2.HTTPError as error:
            raise OSError(repr(error)) from error
        assert answer.http_version == "HTTP/2"
        body = answer.text.strip()
        return body if answer.status_code == 200 else f"{answer.status_code} {body}".strip()

    async def close(self) -> None:
        """The client closes what is broken by itself."""


class Grpc:
    """Calls of `echo-basic`'s gRPC service; the answer is `one` or `two`, by the name of the backend's pod."""

    _METHOD = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo"

    def __init__(self, host: str, port: int, authority: str) -> None:
        options = [("grpc.enable_retries", 0), ("grpc.default_authority", authority)]
        self._channel = grpc.aio.insecure_channel(f"{host}:{port}", options)
        self._call = self._channel.unary_unary(self._METHOD)

    async def ask(self) -> str:
        try:
            answer: bytes = await self._call(b"", timeout=60)
        except grpc.aio.AioRpcError as error:
            return f"{error.code()} {error.details()}"
        # The pod's name is the only text of the answer that tells the backends apart.
        found = re.search(rb"grpc-(one|two)-", answer)
        return found[1].decode() if found else repr(answer)

    async def close(self) -> None:
        """The channel connects anew by itself."""
