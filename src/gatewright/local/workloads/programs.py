"""Images whose program is here and really runs: which, with what command, and who they are to the cluster."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gatewright.cluster import Client, ClusterError
from gatewright.cluster.reconcile import end
from gatewright.local.private import write_private
from gatewright.local.workloads.images import repository
from gatewright.local.workloads.process import Process
from gatewright.local.workloads.program import Program
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

TOKEN_SECONDS = 3600.0
"""How long a token is good for; it is renewed long before, as a kubelet does."""
_RENEWED_AFTER = 0.8
_AGAIN = 5.0
_GRACE = 5.0
"""Seconds that programs have to end when all of them end."""
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")

OWN: Mapping[str, tuple[str, ...]] = {"gatewright/gatewright": (sys.executable, "-I", "-m", "gatewright")}
"""By the end of the repository's path, what the image's program is here; its name is the path's last part.

Isolated (`-I`), since a manifest's PYTHONPATH or PYTHONHOME means folders of an image, and would name some of here.
"""


def nobody(_: Key) -> Mapping[str, str]:
    """No variables."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Programs:
    """What it takes to run programs in the place of pods.

    They are child processes with the rights of this one's user: they are kept from nothing of this machine. But what
    clients of a cluster or a cloud find by themselves is the pod's: its kubeconfig, and an empty home.
    """

    folder: Path
    """Where each has what belongs to it, so that nobody else can read it; made when it is missing."""
    authority: bytes
    """The certificates (PEM) by which clients know the Kubernetes API."""
    identity: Callable[[Key], Mapping[str, str]] = nobody
    """Variables that pods of a ServiceAccount get, as a webhook adds them in a cluster: the credentials of a cloud.

    They win over the manifest's, which could name somebody's real account."""
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: OWN)
    """By the end of an image's repository what is run in the place of its program, which is named like its last part.
    """

    def command(self, program: Program) -> tuple[str, ...] | None:
        """The command line of a program; None for one that is not here."""
        name = f"/{repository(program.image)}"
        for path, command in self.commands.items():
            if name.endswith(f"/{path}"):
                own = path.rpartition("/")[2]
                if not program.command:
                    return (*command, *program.args)
                if program.command[0].rpartition("/")[2] == own:
                    return (*command, *program.command[1:], *program.args)
        return None


class Launcher:
    """Starts programs with the credentials of their ServiceAccounts, and ends them all."""

    def __init__(self, client: Client, programs: Programs | None) -> None:
        self._client = client
        self._programs = programs
        self._starting: set[asyncio.Task[object]] = set()
        self._running: dict[Process, asyncio.Task[None]] = {}
        self._stopped = False

    def runs(self, program: Program) -> bool:
        """Whether the program is here, so that nothing needs to stand in for it."""
        return bool(self._programs and self._programs.command(program))

    async def start(self, program: Program, account: Key, pod: str, uid: str, ended: Callable[[int], None]) -> Process:
        """Start it, as a container of the pod; `ended` is told its exit status.

        Raises ClusterError where the cluster gives no token, OSError where the program can't be started.
        """
        starting = asyncio.current_task()
        assert starting
        self._starting.add(starting)
        try:
            return await self._start(program, account, pod, uid, ended)
        finally:
            self._starting.discard(starting)

    async def stop(self) -> None:
        """End all programs; return when they have ended."""
        self._stopped = True
        if self._starting:
            await asyncio.wait(self._starting)
        for process in self._running:
            process.end(_GRACE)
        if self._running:
            await asyncio.wait(self._running.values())

    async def _start(self, program: Program, account: Key, pod: str, uid: str, ended: Callable[[int], None]) -> Process:
        assert self._programs
        command = self._programs.command(program)
        assert command
        folder = self._programs.folder / f"{uid}_{program.container}"
        token, seconds = await self._token(account, pod, uid)
        _prepare(folder)
        kubeconfig = folder / "kubeconfig"
        write_private(kubeconfig, self._kubeconfig(program.namespace, folder / "token"))
        write_private(folder / "token", token.encode())
        variables = {
            **{name: os.environ[name] for name in _INHERITED if name in os.environ},
            **program.env,
            **self._programs.identity(account),
            "HOME": str(folder),  # where it is missing, the user's own is found in the system's list of users
            "KUBECONFIG": str(kubeconfig),
        }
        process = await Process.start(command, variables, folder, program.say)
        # The folder goes with the program, and the token with the folder.
        self._running[process] = asyncio.get_running_loop().create_task(
            self._accompany(process, folder, account, pod, uid, seconds, ended), name=f"program {program.pod}"
        )
        return process

    async def _accompany(
        self, process: Process, folder: Path, account: Key, pod: str, uid: str, seconds: float,
        ended: Callable[[int], None],
    ) -> None:  # fmt: skip
        renewing = asyncio.create_task(self._renew(folder / "token", account, pod, uid, seconds))
        try:
            status = await process.wait()
        finally:
            process.kill()
            await end(renewing)
            shutil.rmtree(folder, ignore_errors=True)
            self._running.pop(process, None)
        if not self._stopped:
            ended(status)

    async def _renew(self, file: Path, account: Key, pod: str, uid: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds * _RENEWED_AFTER)
            try:
                token, seconds = await self._token(account, pod, uid)
                write_private(file, token.encode())
            except (ClusterError, OSError) as error:
                _log.warning("a pod's token could not be renewed", pod=pod, error=str(error))
                seconds = _AGAIN

    async def _token(self, account: Key, pod: str, uid: str) -> tuple[str, float]:
        """A token of a ServiceAccount for one pod, and for how many seconds it is good (TokenRequest)."""
        wanted: dict[str, Any] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "expirationSeconds": int(TOKEN_SECONDS),
                "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid},
            },
        }
        path = f"/api/v1/namespaces/{account.namespace}/serviceaccounts/{account.name}/token"
        answer = msgspec.json.decode(await self._client.request("POST", path, body=msgspec.json.encode(wanted)))
        seconds = answer["spec"].get("expirationSeconds") or TOKEN_SECONDS
        return answer["status"]["token"], float(seconds)

    def _kubeconfig(self, namespace: str, token: Path) -> bytes:
        """How a program finds the cluster, as JSON, which is YAML."""
        assert self._programs
        authority = base64.b64encode(self._programs.authority).decode()
        cluster = {"server": self._client.server, "certificate-authority-data": authority}
        return msgspec.json.encode(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "cluster", "cluster": cluster}],
                "users": [{"name": "pod", "user": {"tokenFile": str(token)}}],
                "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": "pod", "namespace": namespace}}],
                "current-context": "pod",
            }
        )


def _prepare(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
