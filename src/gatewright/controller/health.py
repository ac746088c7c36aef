"""What a cluster asks a controller over HTTP: is it alive, is it ready, and how it fares (metrics)."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping

from aiohttp import web

Page = Callable[[], tuple[int, str, bytes]]
"""Makes the answer to a GET: status, media type and body."""

_DRAIN_SECONDS = 1.0
_TEXT = "text/plain; charset=utf-8"


class Addressed(ValueError):
    """An address to listen at that isn't one."""


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`; `:PORT` is every address of the machine, `[::1]:PORT` one of IPv6.

    Raises `Addressed`.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise Addressed(f"found {text!r}, expected HOST:PORT, as in 127.0.0.1:8080 or :8080")
    return host.strip("[]"), int(port)


class Pages:
    """Serves pages at an address while it runs (`async with`). Port 0 is any free one; `port` tells which."""

    def __init__(self, address: tuple[str, int], pages: Mapping[str, Page]) -> None:
        self._address = address
        self._pages = pages
        self._runner: web.ServerRunner | None = None
        self.port = 0

    async def __aenter__(self) -> Pages:
        """Raises OSError when the address can't be had."""
        host, port = self._address
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=_DRAIN_SECONDS)
        await runner.setup()
        try:
            listening = _listener(host, port)
            self.port = listening.getsockname()[1]
            await web.SockSite(runner, listening).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        page = self._pages.get(request.path)
        if page is None:
            return web.Response(status=404, text=f"there are {', '.join(sorted(self._pages))}\n")
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={"Allow": "GET, HEAD"})
        status, media_type, body = page()
        return web.Response(status=status, body=body, headers={"Content-Type": media_type})


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens; without a host at all addresses of the machine, of both families where it has them."""
    if host:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    both = socket.has_dualstack_ipv6()
    return socket.create_server(("", port), family=socket.AF_INET6 if both else socket.AF_INET, dualstack_ipv6=both)


class Health:
    """What the probes are told.

    Ready is who knows the cluster, followers as well: they take over at once. What ends (`end`) is no longer ready.
    Alive is a process whose event loop answers at all, so that is all that `/healthz` says.
    """

    def __init__(self) -> None:
        self._missing: list[str] = []
        self._ending = False

    def waits_for(self, what: str) -> Callable[[], None]:
        """Not ready before the returned function was called; `what` is what is waited for, as probes are told."""
        self._missing.append(what)
        return lambda: self._missing.remove(what)

    def end(self) -> None:
        """Not ready any more."""
        self._ending = True

    @property
    def problems(self) -> list[str]:
        """Why it isn't ready; empty when it is."""
        return ["it is ending"] if self._ending else list(self._missing)

    @property
    def pages(self) -> dict[str, Page]:
        """`/healthz` and `/readyz`."""
        return {"/healthz": lambda: (200, _TEXT, b"ok\n"), "/readyz": self._readyz}

    def _readyz(self) -> tuple[int, str, bytes]:
        problems = self.problems
        if not problems:
            return 200, _TEXT, b"ok\n"
        return 503, _TEXT, "".join(f"not ready: {problem}\n" for problem in problems).encode()
