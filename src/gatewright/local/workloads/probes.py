"""A container's probes, performed for real against what stands in for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import grpc

from gatewright.model import core

_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}

LONGEST_INITIAL_DELAY = 0.5
"""Seconds that `initialDelaySeconds` is cut to: a stand-in has nothing to load before it serves."""

Resolve = Callable[[int | str], int | None]
"""The port that really listens for a probe's port, a number or a name; None when there is none."""


async def perform(probe: core.Probe, address: str, resolve: Resolve, source: str | None = None) -> str:
    """Probe once. Returns why it failed, worded as a kubelet words it, or an empty string for success.

    It connects from the address `source`, where there is one and what is probed isn't gRPC. `exec` probes pass: there
    is no program to run.
    """
    if probe.grpc:
        port = resolve(probe.grpc.port)
        return await _grpc(probe.grpc, address, port or probe.grpc.port, probe.timeout_seconds)
    action = probe.http_get or probe.tcp_socket
    if action is None:
        return ""
    port = resolve(action.port)
    if port is None:
        return f"dial tcp {address}:{action.port}: connect: connection refused"
    host = action.host or address
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            if probe.http_get:
                return await _http_get(probe.http_get, host, port, source)
            _, writer = await asyncio.open_connection(host, port, local_addr=(source, 0) if source else None)
            writer.close()
            return ""
    except TimeoutError:
        return f"probe of {host}:{port} took longer than {probe.timeout_seconds} s"
    except (OSError, ValueError) as error:
        return f"dial tcp {host}:{port}: {error}"


async def _http_get(action: core.HttpGetAction, host: str, port: int, source: str | None) -> str:
    context = None
    if action.scheme.upper() == "HTTPS":
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # as a kubelet: it asks whether the pod answers, not who it is
    reader, writer = await asyncio.open_connection(host, port, ssl=context, local_addr=(source, 0) if source else None)
    try:
        headers = {"Host": f"{host}:{port}", "User-Agent": "kube-probe/1.33", "Accept": "*/*", "Connection": "close"}
        headers.update((header.name, header.value) for header in action.http_headers)
        path = action.path if action.path.startswith("/") else f"/{action.path}"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        line = await reader.readline()
        parts = line.split(None, 2)
        if len(parts) < 2 or not parts[1].isdigit():
            return f"http://{host}:{port}{path}: malformed answer"
        status = int(parts[1])
        return "" if 200 <= status < 400 else f"HTTP probe failed with statuscode: {status}"
    finally:
        writer.close()


async def _grpc(action: core.GrpcAction, host: str, port: int, seconds: float) -> str:
    """Ask the standard health service (grpc.health.v1), without TLS as a kubelet does."""
    request = b"\x0a" + _varint(len(name := action.service.encode())) + name if action.service else b""
    async with grpc.aio.insecure_channel(f"{host}:{port}") as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            answer: bytes = await check(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return f"error: this server does not implement the grpc health protocol: {error.details()}"
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return f'error: service "{action.service}" not found'
            return f"error: health rpc failed: {error.details()}"
    return "" if answer[:2] == _SERVING else "service unhealthy"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


async def watch(probe: core.Probe, once: Callable[[], Awaitable[str]], told: Callable[[bool, str], None]) -> None:
    """Probe for ever, and tell each time the verdict turns: at `successThreshold` or `failureThreshold` in a row."""
    await asyncio.sleep(min(probe.initial_delay_seconds, LONGEST_INITIAL_DELAY))
    verdict: bool | None = None
    passed = failed = 0
    while True:
        why = await once()
        passed, failed = (0, failed + 1) if why else (passed + 1, 0)
        if not why and verdict is not True and passed >= probe.success_threshold:
            verdict = True
            told(True, "")
        elif why and verdict is not False and failed >= probe.failure_threshold:
            verdict = False
            told(False, why)
        await asyncio.sleep(probe.period_seconds)
