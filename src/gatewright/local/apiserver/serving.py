"""The embedded API over HTTP/1.1: aiohttp's server in front of a function from a request to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any

import structlog
from aiohttp import web

from gatewright.local.apiserver.exchange import Answer, Request

HEAD_LIMIT = 1 << 20
"""The limit on a request's target and on each header, as Go's server has it for them all."""

Respond = Callable[[Request], Answer | Awaitable[Answer]]


def serve(respond: Respond, *, body_limit: int, idle_seconds: float, drain_seconds: float) -> web.ServerRunner:
    """A server that is to be set up on a socket. `respond` makes the answer to a request and never raises.

    A larger body than the limit, in bytes, is not kept; an idle connection is closed after the one time, and requests
    in flight at the end have the other.
    """
    loop = asyncio.get_running_loop()

    def received(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=body_limit)

    async def answer(received: web.BaseRequest) -> web.StreamResponse:
        return await _answer(respond, received)

    server = web.Server(
        answer,
        request_factory=received,
        handler_cancellation=True,
        keepalive_timeout=idle_seconds,
        max_line_size=HEAD_LIMIT,
        max_field_size=HEAD_LIMIT,
        auto_decompress=False,
        access_log=None,
        logger=structlog.get_logger(__name__),
    )
    return web.ServerRunner(server, shutdown_timeout=drain_seconds)


async def _answer(respond: Respond, received: web.BaseRequest) -> web.StreamResponse:
    if received.headers.get("Expect", "").lower() == "100-continue":
        await received.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        received.writer.output_size = 0
    body: bytes | None
    try:
        body = await received.read()
    except web.HTTPRequestEntityTooLarge:
        body = None
    answer = respond(Request(received.method, received.raw_path, received.headers, body))
    if not isinstance(answer, Answer):
        answer = await answer
    headers = [("Content-Type", answer.media_type), *answer.headers]
    if isinstance(answer.body, bytes):
        return web.Response(body=answer.body, status=answer.code, headers=headers)
    response = web.StreamResponse(status=answer.code, headers=headers)
    # A client that has gone is told nothing more; aiohttp notices by itself.
    with suppress(ConnectionResetError):
        await _stream(response, received, answer.body)
    return response


async def _stream(response: web.StreamResponse, received: web.BaseRequest, body: AsyncGenerator[bytes]) -> None:
    async with aclosing(body) as chunks:
        await response.prepare(received)
        if received.method != "HEAD":
            async for chunk in chunks:
                await response.write(chunk)
