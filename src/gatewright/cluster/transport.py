"""How requests reach a Kubernetes API: HTTP/1.1 by aiohttp, the same way to every cluster."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from gatewright.cluster.errors import ApiError, Unreachable

TIMEOUT = 30.0
"""Seconds within which a connection must open, an answer begin, and each next part of it come."""
CONNECTIONS = 16
"""How many requests are under way at once; more wait. Streams have connections of their own."""


class Transport:
    """Sends requests to one server. Paths begin with a slash and need no quoting; bodies are complete.

    Every method raises `ApiError` for an answer that is no 2xx, `Unreachable` for none.
    """

    def __init__(
        self,
        server: str,
        context: ssl.SSLContext | None = None,
        *,
        authorization: str = "",
        middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
        proxy: str | None = None,
        server_name: str | None = None,
    ) -> None:
        """Requests to the URL `server` by TLS as `context` says. Made within the event loop.

        What authorizes them is `authorization`, or put into each by one of `middlewares`. `server_name` is what the
        server's certificate must be for, where that isn't the URL's host.
        """
        self.server = server.rstrip("/")
        self._server_name = server_name
        self._slots = asyncio.Semaphore(CONNECTIONS)
        headers = {"Accept": "application/json", "User-Agent": "gatewright"}
        if authorization:
            headers["Authorization"] = authorization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            middlewares=middlewares,
            proxy=proxy,
        )

    async def request(
        self, method: str, path: str, parameters: Mapping[str, str], body: bytes | None, content_type: str
    ) -> bytes:
        """The body of the answer to one request."""
        async with self._slots, self._answer(method, path, parameters, body, content_type, TIMEOUT) as answer:
            return await answer.read()

    def stream(self, path: str, parameters: Mapping[str, str]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A long answer to a GET in the chunks that it comes in; silence has no limit."""
        return self._stream(path, parameters)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    @asynccontextmanager
    async def _stream(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._answer("GET", path, parameters) as answer:
            yield _chunks(answer.content)

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        body: bytes | None = None,
        content_type: str = "",
        silence: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self.server + quote(path) + ("?" + urlencode(parameters) if parameters else "")
        try:
            async with asyncio.timeout(TIMEOUT):
                answer = await self._session.request(
                    method,
                    URL(url, encoded=True),
                    data=body,
                    headers=None if body is None else {"Content-Type": content_type},
                    allow_redirects=False,
                    server_hostname=self._server_name,
                    timeout=aiohttp.ClientTimeout(sock_read=silence),
                )
            async with answer:
                if answer.status >= 300:
                    raise ApiError.parse(answer.status, await answer.read())
                yield answer
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise Unreachable(f"{method} {self.server}{path}: {str(error) or type(error).__name__}") from error


async def _chunks(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """What comes. aiohttp says RuntimeError where the connection was closed before it is read from."""
    while True:
        try:
            chunk = await content.readany()
        except RuntimeError as error:
            raise aiohttp.ClientConnectionError(str(error)) from error
        if not chunk:
            return
        yield chunk
