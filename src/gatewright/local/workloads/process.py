"""A child process that is a container's program: started, its output read, told to end, killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gatewright.local.workloads import launch

_LONGEST_LINE = 1 << 20
_LAST_WORDS = 1.0
"""Seconds after a program's end in which its output is still read: who inherited its pipe may keep it open."""


class Process:
    """A program that runs. What it writes goes to `say`, by lines; `ended` is told its exit status, once.

    A status as a container runtime has it: of one that a signal killed it is 128 and the signal's number.
    """

    def __init__(self, process: asyncio.subprocess.Process, say: Callable[[str], None]) -> None:
        self._process = process
        self._killing: asyncio.TimerHandle | None = None
        loop = asyncio.get_running_loop()
        self._reading = [
            loop.create_task(_read(stream, say)) for stream in (process.stdout, process.stderr) if stream is not None
        ]

    @classmethod
    async def start(
        cls, command: Sequence[str], variables: Mapping[str, str], folder: Path, say: Callable[[str], None]
    ) -> Process:
        """Start a program in `folder` with these variables and no others. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=variables,
            limit=_LONGEST_LINE,
            start_new_session=True,  # Ctrl-C is the edge's to act on
        )
        return cls(process, say)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def wait(self) -> int:
        """Its exit status; waits for its end, and for what it wrote last."""
        status = await self._process.wait()
        if self._killing:
            self._killing.cancel()
        await asyncio.wait(self._reading, timeout=_LAST_WORDS)
        for task in self._reading:
            task.cancel()
        return status if status >= 0 else 128 - status

    def end(self, grace: float) -> None:
        """Tell it to end (SIGTERM), and kill it after `grace` seconds if it hasn't."""
        if self._process.returncode is None and self._killing is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            self._killing = asyncio.get_running_loop().call_later(grace, self.kill)

    def kill(self) -> None:
        """Kill it now."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


async def _read(stream: asyncio.StreamReader, say: Callable[[str], None]) -> None:
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            line = error.partial
            if not line:
                return
        except asyncio.LimitOverrunError as error:
            line = await stream.readexactly(error.consumed)
        say(line.decode("utf-8", "replace").rstrip("\r\n"))
