"""Bearer tokens that have an end: read from a file that is renewed, or issued by a program (exec credentials)."""

from __future__ import annotations

import asyncio
import math
import os
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from gatewright.cluster.errors import Unreachable

FILE_SECONDS = 60.0
"""How long a token from a file is used before the file is read again."""
EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")

Issue = Callable[[], Awaitable[tuple[str, float]]]
"""Gives a token and the time (Unix, in seconds) of its end; an empty token where something else authorizes."""


class RenewedToken:
    """Puts a token into requests (aiohttp's client middleware). It is issued anew at its end and when it is refused."""

    def __init__(self, issue: Issue) -> None:
        self._issue = issue
        self._token = ""
        self._end = -math.inf
        self._issuing = asyncio.Lock()

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send the request; once more when the server doesn't know the token (401)."""
        used = await self._put(request)
        answer = await handler(request)
        if answer.status == 401:
            answer.release()
            if used == self._token:
                self._end = -math.inf
            await self._put(request)
            answer = await handler(request)
        return answer

    async def _put(self, request: aiohttp.ClientRequest) -> str:
        async with self._issuing:
            if time.time() >= self._end:
                self._token, self._end = await self._issue()
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return self._token


def from_file(path: str) -> Issue:
    """Tokens from a file that somebody keeps fresh, as in a pod."""

    async def issue() -> tuple[str, float]:
        return (await asyncio.to_thread(Path(path).read_text)).strip(), time.time() + FILE_SECONDS

    return issue


class _Status(msgspec.Struct, frozen=True, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: datetime | None = None


class _Credential(msgspec.Struct, frozen=True):
    status: _Status


def from_program(
    version: str,
    command: list[str],
    environment: dict[str, str],
    cluster: dict[str, Any] | None,
    context: ssl.SSLContext,
    hint: str = "",
) -> Issue:
    """Credentials that a program prints (client.authentication.k8s.io); it is told of `cluster` where that is given.

    A client certificate goes into `context`. Raises ValueError for a version of the protocol that isn't known, and
    `Unreachable`, with the kubeconfig's install `hint`, when the program fails.
    """
    if version not in EXEC_VERSIONS:
        raise ValueError(f"exec.apiVersion: found {version}, expected {' or '.join(EXEC_VERSIONS)}")
    spec = {"interactive": False} | ({"cluster": cluster} if cluster else {})
    asked = msgspec.json.encode({"apiVersion": version, "kind": "ExecCredential", "spec": spec}).decode()
    environment = {**os.environ, **environment, "KUBERNETES_EXEC_INFO": asked}

    async def issue() -> tuple[str, float]:
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            output, errors = await process.communicate()
            if process.returncode:
                raise ValueError(f"it ended with {process.returncode}: {errors.decode(errors='replace').strip()}")
            status = msgspec.json.decode(output, type=_Credential).status
        except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
            raise Unreachable(f"exec credentials of {command[0]}: {error}" + (f"\n{hint}" if hint else "")) from error
        if status.client_certificate_data:
            with tempfile.NamedTemporaryFile("w") as file:  # mode 0600
                file.write(status.client_certificate_data + "\n" + status.client_key_data)
                file.flush()
                context.load_cert_chain(file.name)
        return status.token, status.expiration_timestamp.timestamp() if status.expiration_timestamp else math.inf

    return issue
