"""Programs of others, run to their end (`gatewright.local.tools` finds them)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatewright.platform.errors import PlatformError

_TOLD = 4000


@dataclass(frozen=True)
class Ended:
    """How a program ended, and what it said."""

    status: int
    output: str
    errors: str

    @property
    def told(self) -> str:
        """What it said of a failure: the end of its standard error, or of its output."""
        return (self.errors.strip() or self.output.strip())[-_TOLD:]


class ProgramFailed(PlatformError):
    """A program ended with another status than 0; the text has what it said."""


async def start(arguments: Sequence[str], **how: Any) -> asyncio.subprocess.Process:
    """Start a program in a session of its own, `how` as `asyncio.create_subprocess_exec` has it.

    Raises PlatformError where it can't be run. A cancellation meanwhile leaves nothing of it.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*arguments, start_new_session=True, **how))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        with contextlib.suppress(OSError):
            await _kill(await starting)  # it may have children already, which asyncio knows nothing of
        raise
    except OSError as error:
        raise PlatformError(f"{arguments[0]} can't be run: {error}") from error


async def run(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: bytes | None = None,
    limit: float = 300.0,
) -> Ended:
    """Run a program to its end, which comes with ours. Raises PlatformError where it can't be run or takes too long.

    `limit` is in seconds.
    """
    process = await start(
        arguments,
        cwd=folder,
        env=dict(os.environ if environment is None else environment),
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(limit):
            output, errors = await process.communicate(stdin)
    except TimeoutError:
        raise PlatformError(f"{' '.join(arguments[:3])}: no end after {limit:.0f} s") from None
    finally:
        await _kill(process)
    status = process.returncode if process.returncode is not None else -1
    return Ended(status, output.decode(errors="replace"), errors.decode(errors="replace"))


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End one that runs, with its children, as of `az`, which is a script, or of git."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def expect(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stdin: bytes | None = None,
    limit: float = 300.0,
    remedy: str = "",
) -> str:
    """What a program prints. Raises ProgramFailed for another status than 0, with what it said."""
    ended = await run(arguments, environment=environment, folder=folder, stdin=stdin, limit=limit)
    if ended.status:
        shown = " ".join([Path(arguments[0]).name, *arguments[1:4]])
        raise ProgramFailed(f"{shown}: status {ended.status}: {ended.told}", remedy)
    return ended.output
