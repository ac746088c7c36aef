"""What processes use: CPU time and memory, as Linux counts them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """CPU seconds since a process began, and what it holds now, in MiB."""

    cpu: float
    memory: float


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, its children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(pid: int) -> float:
    """Resident memory of a process that is its own (files that it maps left out), in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "RssAnon":
            return int(value.split()[0]) / 1024
    return 0.0


def usage(pid: int) -> Usage:
    """Both at once."""
    return Usage(cpu_seconds(pid), memory(pid))


def envoy_of(pid: int) -> int:
    """The Envoy that a control plane has started."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            if "envoy" in Path(f"/proc/{child}/comm").read_text():
                return int(child)
    raise LookupError(f"process {pid} has no Envoy")


async def quiet(pid: int) -> None:
    """Wait until a process has nothing left to do."""
    before = cpu_seconds(pid)
    while True:
        await asyncio.sleep(0.5)
        now = cpu_seconds(pid)
        if now - before < 0.03:
            return
        before = now
