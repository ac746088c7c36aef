"""Envoy is kept running, and nothing of it is left."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY, World, free_port, request

from gatewright.envoy import process
from gatewright.envoy.bootstrap import bootstrap
from gatewright.envoy.edge import EnvoyEdge
from gatewright.envoy.listeners import Binding
from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.topology import PortKey


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_an_envoy_that_is_killed_serves_again(world: Any, echo: Any, address: str) -> None:
    exits: list[tuple[int, float]] = []
    world.bindings.set(GATEWAY, Binding(address, {80: free_port(address)}))
    world.listener()
    world.backend("one", await echo("one"))
    world.rule("one", "/", "one")
    host = world.host("api.example.com")
    world.rule("api", "/", "one", host=host)
    async with EnvoyEdge(
        world.flow,
        world.topology,
        world.bindings,
        world.rejections,
        world.ports,
        concurrency=1,
        on_exit=lambda status, delay: exits.append((status, delay)),
    ) as edge:
        port = world.bindings[GATEWAY].ports[80]
        for round_ in (1, 2):
            await asyncio.wait_for(edge.settled(), 60)
            assert (await request(address, port, host="api.example.com")).status == 200
            assert world.ports[PortKey(GATEWAY, 80)].serving
            os.kill(edge.process.pid or 0, signal.SIGKILL)
            while edge.server.delivery.is_connected:
                await edge.server.stirred()
            assert not world.ports[PortKey(GATEWAY, 80)].serving
            world.rule(f"new{round_}", f"/new{round_}", "one", host=host)
        await asyncio.wait_for(edge.settled(), 60)
        assert (await request(address, port, "/new2", host="api.example.com")).status == 200
        assert [status for status, _ in exits] == [-signal.SIGKILL, -signal.SIGKILL]
        assert edge.process.starts == 3


async def test_no_process_port_or_file_is_left(world: Any, address: str) -> None:
    port = free_port(address)
    world.bindings.set(GATEWAY, Binding(address, {80: port}))
    world.listener()
    async with EnvoyEdge(world.flow, world.topology, world.bindings, world.rejections, world.ports) as edge:
        await asyncio.wait_for(edge.settled(), 60)
        pid, directory = edge.process.pid, edge.process.directory
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert (await edge.process.admin("/ready")).strip() == b"LIVE"
    assert pid is not None
    assert not is_running(pid)
    assert not directory.exists()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address, port)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs PR_SET_PDEATHSIG")
def test_a_killed_parent_leaves_no_envoy(tmp_path: Path) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from gatewright.envoy.bootstrap import bootstrap
from gatewright.envoy.process import EnvoyProcess

async def main():
    where = Path({str(tmp_path)!r})
    async with EnvoyProcess(where, bootstrap("test", where / "ads.sock", where / "admin.sock")) as envoy:
        print(envoy.pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    descriptor = None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    import select

    assert select.select([descriptor], [], [], 60)[0], "Envoy outlived its parent"
    os.close(descriptor)


async def test_an_envoy_that_cannot_start_is_tried_again_ever_more_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_STEADY_AFTER", 3600.0)
    exits: asyncio.Queue[tuple[int, float]] = asyncio.Queue()
    with private_directory() as directory:
        config = {**bootstrap("test", directory / "ads.sock", directory / "admin.sock"), "nonsense": 1}
        async with EnvoyProcess(directory, config, on_exit=lambda *exit_: exits.put_nowait(exit_)) as envoy:
            first, second = await asyncio.wait_for(exits.get(), 60), await asyncio.wait_for(exits.get(), 60)
            assert first[0] == second[0] == 1
            assert second[1] == 2 * first[1]
            assert envoy.starts >= 2


async def test_an_empty_topology_settles(world: World, address: str) -> None:
    async with EnvoyEdge(world.flow, world.topology, world.bindings, world.rejections, world.ports) as edge:
        await asyncio.wait_for(edge.settled(), 60)
