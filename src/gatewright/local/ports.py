"""Ports that can be had: one itself, or another that stands in for it where the system reserves it or it is in use."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Literal

_SHIFT = 8000
_TRIED = 1000


def substitutes(port: int) -> Iterator[int]:
    """The port, and those that may stand in for it, the best first: 443, 8443, 8444, ...

    For one near the end of the range, those before it.
    """
    yield port
    yield from range(port + _SHIFT, min(port + _SHIFT + _TRIED, 65536))
    yield from range(max(1024, port - _TRIED), port)


def try_bind(address: str, port: int, transport: Literal["TCP", "UDP"]) -> int:
    """Open a port for a moment, any free one for 0; which it was. OSError where it can't be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM) as probe:
        if transport == "TCP":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, port))
        if transport == "TCP":
            probe.listen(1)  # two sockets may be bound to a port, but only one may listen
        return int(probe.getsockname()[1])
