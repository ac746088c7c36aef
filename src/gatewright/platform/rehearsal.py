"""The edge of `--target local`, which runs on in the background; how it is started, found and stopped.

In its folder are `edge.json` (a `RehearsalEdge`, once it is ready), `log`, and `lock`, which it holds as long as it
runs: so nobody takes another process for it, and one that was killed is known to be gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

import msgspec

from gatewright.local.aws.endpoint import surroundings
from gatewright.local.aws.process import read_sockets

_START_SECONDS = 120.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_TAIL = 20


class RehearsalError(Exception):
    """The edge didn't start or stop; the text says why, and what to do."""


class RehearsalEdge(msgspec.Struct, frozen=True, kw_only=True):
    """How a running edge is reached: what `edge/edge.json` of a workspace holds (0600) once it is ready."""

    pid: int
    boot: str
    """Another one for each run, so that what was done with an earlier edge is known to be gone."""
    kubeconfig: str
    ca: str
    """File with the certificates of the authority that signs what the emulated ACM issues."""
    aws: dict[str, str]
    """The environment in which any AWS client finds the emulated AWS."""
    dns: str
    """`ADDRESS:PORT` of the resolver that knows its hosted zones and load balancers."""
    vpc_cidr: str
    """What `vpc_cidr` of the configuration has to be, so that addresses answer: a block of loopback addresses."""
    public_subnet_cidrs: tuple[str, ...]
    private_subnet_cidrs: tuple[str, ...]
    zones: tuple[str, ...]
    repository: str
    """The repository's URL that its Argo CD has as a folder."""
    tree: str = ""
    """That folder."""

    async def sockets(self) -> dict[str, str]:
        """Where load balancers are really open, `HOST:PORT` by the `ADDRESS:PORT` that the API says.

        They differ where a port may not be bound, or there is one loopback address only.
        """
        found = await read_sockets(self.aws["AWS_ENDPOINT_URL"])
        return {":".join(map(str, asked)): ":".join(map(str, real)) for asked, real in found.items()}


def find(folder: Path) -> RehearsalEdge | None:
    """The edge that runs in this folder; None where none does."""
    if not _runs(folder):
        return None
    try:
        return msgspec.json.decode((folder / "edge.json").read_bytes(), type=RehearsalEdge)
    except (OSError, msgspec.DecodeError):
        return None  # it starts, or ends, at this moment


async def start(folder: Path, tree: Path, repository: str) -> RehearsalEdge:
    """Start an edge in the background, whose Argo CD has `tree` as `repository`. Returns once it is ready.

    An edge that runs there already is the one, if its repository is the same folder. Raises RehearsalError.
    """
    running = find(folder)
    if running and (running.repository, running.tree) == (repository, str(tree)):
        return running
    await stop(folder)
    process = _spawn(folder, tree, repository)
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not (found := find(folder)):
                if process.returncode is not None:
                    raise RehearsalError(
                        f"the local edge ended with {process.returncode} while it started:\n{_tail(folder)}"
                    )
                await asyncio.sleep(_LOOK_SECONDS)
    except BaseException as error:
        process.terminate()
        if isinstance(error, TimeoutError):
            raise RehearsalError(
                f"the local edge wasn't ready after {_START_SECONDS:.0f} s:\n{_tail(folder)}"
            ) from None
        raise
    return found


def _spawn(folder: Path, tree: Path, repository: str) -> subprocess.Popen[bytes]:
    """The process of an edge; it goes on when ours ends, as one that asyncio started wouldn't: that is killed then."""
    with _clean(folder) as log:
        process = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-m", "gatewright.platform.edge", str(folder), str(tree), repository],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=surroundings(os.environ, {}),
        )
    # As long as we are there, somebody has to hear of its end: until then the system counts it as running.
    threading.Thread(target=process.wait, name="edge", daemon=True).start()
    return process


async def stop(folder: Path) -> bool:
    """Stop the edge of this folder and wait until it is gone. Returns whether there was one. Raises RehearsalError."""
    number = _pid(folder) if _runs(folder) else None
    if number is None:
        return False
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, wanted)
        if await _gone(folder, _STOP_SECONDS):
            return True
    raise RehearsalError(f"the local edge, process {number}, doesn't end; see {folder / 'log'}")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the edge of this folder. Raises RehearsalError where another one is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("a+") as lock:
        while not _locked(lock, fcntl.LOCK_EX):
            # Whoever looks whether one runs has it, too, but lets others look meanwhile.
            if not _locked(lock, fcntl.LOCK_SH):
                raise RehearsalError(f"{folder}: another edge runs in this folder")
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(_LOOK_SECONDS)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


async def _gone(folder: Path, seconds: float) -> bool:
    """Whether the lock is given back in time. The system tells nobody when it is, so it is looked at often."""
    last = asyncio.get_running_loop().time() + seconds
    while runs := _runs(folder):
        if asyncio.get_running_loop().time() > last:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return not runs


def _clean(folder: Path) -> BinaryIO:
    """The log of a new edge, in a folder that says nothing of an old one."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "edge.json").unlink(missing_ok=True)
    return (folder / "log").open("wb")


def _runs(folder: Path) -> bool:
    try:
        with (folder / "lock").open() as lock:
            return not _locked(lock, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _locked(file: IO[str], how: int) -> bool:
    """Take a lock, in place of one that we have on it; whether nobody was in the way."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(folder: Path) -> int | None:
    text = (folder / "lock").read_text()
    return int(text) if text.isdecimal() else None


def _tail(folder: Path) -> str:
    return "\n".join((folder / "log").read_text(errors="replace").splitlines()[-_TAIL:])
