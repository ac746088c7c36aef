"""The connection of a health check: from a node's address, over TCP or TLS, closed after the check."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Final

from gatewright.local.aws.state import Bound
from gatewright.local.block import is_loopback

USER_AGENT: Final = "ELB-HealthChecker/2.0"

_PROXY_LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
"""Version 2, command LOCAL, no addresses: NLB user guide, "Proxy protocol", of health check connections."""
_IP_BIND_ADDRESS_NO_PORT = 24  # Linux's; lets as many connections share a source address as there are targets


class Malformed(Exception):
    """The target's answer can't be understood, or isn't whole."""


@functools.cache
def tls_context(*, tls13: bool, http2: bool) -> ssl.SSLContext:
    """TLS as a load balancer speaks it to targets: no certificate is verified, and what is weak is taken as well."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_3 if tls13 else ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if http2:
        context.set_alpn_protocols(["h2"])
    return context


@contextlib.asynccontextmanager
async def connected(
    to: Bound, source: str, tls: ssl.SSLContext | None, *, proxy_header: bool
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection without a server name (SNI). Raises OSError, also for a failed handshake."""
    loop = asyncio.get_running_loop()
    opened = _open(to, source)
    try:
        await loop.sock_connect(opened, (to.address, to.port))
        if proxy_header:
            await loop.sock_sendall(opened, _PROXY_LOCAL)
        # With an empty name asyncio sends no SNI.
        reader, writer = await asyncio.open_connection(sock=opened, ssl=tls, server_hostname="" if tls else None)
    except BaseException:
        opened.close()
        raise
    try:
        yield reader, writer
    except BaseException:
        writer.transport.abort()
        raise
    writer.close()  # a target that doesn't close after us isn't waited for


def _open(to: Bound, source: str) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in to.address else socket.AF_INET, socket.SOCK_STREAM)
    opened.setblocking(False)
    if is_loopback(source) and is_loopback(to.address):
        with contextlib.suppress(OSError):  # where the system has one loopback address, it chooses
            opened.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        with contextlib.suppress(OSError):
            opened.bind((source, 0))
    return opened
