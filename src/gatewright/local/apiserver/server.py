"""The embedded Kubernetes API as a running server: TLS on loopback, one bearer token, a kubeconfig."""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import os
import secrets
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
import yaml
from aiohttp import web

from gatewright.local.apiserver.app import Api
from gatewright.local.apiserver.certificates import serving_certificate
from gatewright.local.apiserver.logs import PodLogs
from gatewright.local.apiserver.request import BODY_LIMIT
from gatewright.local.apiserver.serving import serve
from gatewright.local.apiserver.store import Store

log = structlog.get_logger(__name__)

IDLE_SECONDS = 600
"""How long an idle connection stays open: longer than Go's clients keep theirs, so none closes under a request."""
BACKLOG = 1024
"""How many connections may wait to be accepted."""
DRAIN_SECONDS = 2
"""How long `stop` waits for requests in flight."""


class ApiServer:
    """The embedded Kubernetes API over `store`, in the caller's event loop. Installs no signal handlers.

    `port` 0 picks a free one. `graceful_pods` makes the deletion of a scheduled pod wait for its node to confirm it (a
    second deletion with grace period 0), as a cluster with kubelets does; without it a pod goes at once.
    """

    def __init__(
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        graceful_pods: bool = False,
    ) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise ValueError(
                f"host: found {host}, expected a loopback address; the embedded API is for this machine only"
            )
        self.store = store
        self.host = host
        self.port = port
        self.token = secrets.token_urlsafe(32) if token is None else token
        self.ca_certificate = b""
        self.api = Api(store, self.token, graceful_pods=graceful_pods)
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        """`https://HOST:PORT`; the port is known once the server has started."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"

    @property
    def logs(self) -> PodLogs:
        """Where workloads register the logs of their pods."""
        return self.api.logs

    async def start(self) -> None:
        """Listen. Returns when requests are answered. Raises OSError when the port is taken."""
        started = time.perf_counter()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.create_server((self.host, self.port), family=family, backlog=BACKLOG)
        self.port = listening.getsockname()[1]
        self.ca_certificate, context = serving_certificate(self.host)
        self._runner = serve(
            self.api.answer, body_limit=BODY_LIMIT, idle_seconds=IDLE_SECONDS, drain_seconds=DRAIN_SECONDS
        )
        await self._runner.setup()
        self.api.start(self.url)
        await web.SockSite(self._runner, listening, ssl_context=context, backlog=BACKLOG).start()
        log.debug("embedded API started", url=self.url, seconds=round(time.perf_counter() - started, 3))

    async def stop(self) -> None:
        """End all watches, finish the requests in flight and close the port and the store."""
        runner, self._runner = self._runner, None
        self.store.close()
        if runner is not None:
            await runner.cleanup()
        await self.api.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    def kubeconfig(self) -> str:
        """A kubeconfig (YAML) with one context, `gatewright`, that reaches this server."""
        name = "gatewright"
        authority = base64.b64encode(self.ca_certificate).decode()
        return yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {"name": name, "cluster": {"server": self.url, "certificate-authority-data": authority}},
                ],
                "users": [{"name": name, "user": {"token": self.token}}],
                "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
                "current-context": name,
            },
            sort_keys=False,
        )

    def write_kubeconfig(self, path: Path | str, mode: int = 0o600) -> Path:
        """Write the kubeconfig to `path`, readable as `mode` says from the first byte on."""
        path = Path(path)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.kubeconfig())
        return path
