"""Programs of others, run to their end."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from gatewright.platform.errors import PlatformError
from gatewright.platform.programs import ProgramFailed, expect, run


async def test_what_a_program_says_and_how_it_ends() -> None:
    ended = await run(["/bin/sh", "-c", "cat; echo oh >&2; exit 3"], stdin=b"in")
    assert (ended.status, ended.output, ended.errors, ended.told) == (3, "in", "oh\n", "oh")
    with pytest.raises(ProgramFailed, match="sh -c exit 4: status 4: ") as caught:
        await expect(["/bin/sh", "-c", "exit 4"], remedy="mend it")
    assert caught.value.remedy == "mend it"


async def test_one_that_takes_too_long_is_ended() -> None:
    with pytest.raises(PlatformError, match="no end after 0 s"):
        await run([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.2)


async def test_its_children_end_with_it(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    said = asyncio.Event()
    asyncio.get_running_loop().add_reader(reading, said.set)
    # The child alone has the pipe open; what it says is that it lives.
    running = asyncio.create_task(run(["/bin/sh", "-c", f"(echo here; sleep 60) > {fifo} & wait"]))
    async with asyncio.timeout(60):
        await said.wait()
        asyncio.get_running_loop().remove_reader(reading)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        os.set_blocking(reading, True)
        assert await asyncio.to_thread(os.read, reading, 100) == b"here\n"
        assert await asyncio.to_thread(os.read, reading, 100) == b"", "nobody has it open any more"
    os.close(reading)


async def test_one_that_is_cancelled_while_it_starts_takes_its_children_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    start, said = asyncio.create_subprocess_exec, asyncio.Event()
    asyncio.get_running_loop().add_reader(reading, said.set)

    async def slowly(*given: Any, **named: Any) -> Any:
        process = await start(*given, **named)
        await said.wait()
        asyncio.get_running_loop().remove_reader(reading)
        running.cancel()
        await asyncio.sleep(0)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slowly)
    running = asyncio.create_task(run(["/bin/sh", "-c", f"(echo here; sleep 60) > {fifo} & wait"]))
    async with asyncio.timeout(30):
        with pytest.raises(asyncio.CancelledError):
            await running
        os.set_blocking(reading, True)
        assert await asyncio.to_thread(os.read, reading, 100) == b"here\n"
        assert await asyncio.to_thread(os.read, reading, 100) == b"", "nobody has it open any more"
    os.close(reading)


async def test_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="can't be run"):
        await run([str(tmp_path / "none")])
