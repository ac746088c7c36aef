"""The edge of a rehearsal in the background: found, restarted where it has other files, gone with its AWS."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from gatewright.platform import rehearsal
from gatewright.platform.rehearsal import RehearsalEdge, RehearsalError

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")

_LONGEST = 60.0
REPOSITORY = "https://git.local/platform.git"


async def test_an_edge_has_one_tree_and_ends_with_its_aws(tmp_path: Path) -> None:
    folder = tmp_path / "edge"
    try:
        await started_elsewhere(folder, tmp_path / "one")
        first = rehearsal.find(folder)
        assert first, "it goes on when the command that started it has ended"
        assert await rehearsal.start(folder, tmp_path / "one", REPOSITORY) == first
        assert stat.S_IMODE((folder / "edge.json").stat().st_mode) == 0o600

        second = await rehearsal.start(folder, tmp_path / "two", REPOSITORY)
        assert (second.boot != first.boot, second.tree) == (True, str(tmp_path / "two"))
        assert not runs(first.pid)

        os.kill(emulated_aws(second), signal.SIGKILL)
        async with asyncio.timeout(_LONGEST):
            while runs(second.pid):  # noqa: ASYNC110 - it is another process
                await asyncio.sleep(0.05)
        assert rehearsal.find(folder) is None
    finally:
        await rehearsal.stop(folder)
    assert "the emulated AWS ended" in (folder / "log").read_text()
    assert "Traceback" not in (folder / "log").read_text()


async def test_an_edge_may_begin_while_somebody_looks_whether_one_runs(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    looking = (tmp_path / "lock").open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    asyncio.get_running_loop().call_later(1.0, looking.close)  # one that gets no processor for that long

    def begin() -> None:
        with rehearsal.held(tmp_path), pytest.raises(RehearsalError, match="another edge"), rehearsal.held(tmp_path):
            assert looking.closed

    await asyncio.to_thread(begin)


async def started_elsewhere(folder: Path, tree: Path) -> None:
    """Start an edge in a process of its own, and wait for the end of that."""
    code = (
        "import asyncio, pathlib, sys\n"
        "from gatewright.platform import rehearsal\n"
        "asyncio.run(rehearsal.start(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]))\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(folder), str(tree), REPOSITORY)
    assert await process.wait() == 0


def runs(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def emulated_aws(edge: RehearsalEdge) -> int:
    """The process of an edge's AWS."""
    children = Path(f"/proc/{edge.pid}/task/{edge.pid}/children").read_text().split()
    (found,) = [
        int(number) for number in children if b"gatewright.local.aws" in Path(f"/proc/{number}/cmdline").read_bytes()
    ]
    return found
