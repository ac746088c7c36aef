"""A bare HTTP/1.1 client that asks again and again on one connection, so that what it measures isn't itself."""

from __future__ import annotations

import asyncio
import ssl
import time


class Probe:
    """One keep-alive connection to the edge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, host: str, port: int, name: str = "") -> Probe:
        """Connect; with a `name`, over TLS to the server of that name, whose certificate is taken as it is."""
        if not name:
            return cls(*await asyncio.open_connection(host, port))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return cls(*await asyncio.open_connection(host, port, ssl=context, server_hostname=name))

    async def status(self, host: str, path: str) -> int:
        """The status of one GET."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if length:
            await self._reader.readexactly(length)
        return int(head[9:12])

    async def until(self, host: str, path: str, wanted: int, seconds: float = 30.0) -> tuple[float, set[int]]:
        """Ask until the answer is `wanted`. Returns the seconds that it took and the other answers seen on the way."""
        start = time.perf_counter()
        seen: set[int] = set()
        while True:
            status = await self.status(host, path)
            if status == wanted:
                return time.perf_counter() - start, seen
            seen.add(status)
            if time.perf_counter() - start > seconds:
                raise TimeoutError(f"http://{host}{path}: no {wanted} within {seconds} s, only {sorted(seen)}")
            await asyncio.sleep(0.001)

    def close(self) -> None:
        self._writer.close()
