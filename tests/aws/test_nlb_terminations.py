"""Connections that end by themselves: their target became unhealthy or left, or their listener is gone."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from typing import Any

import pytest
from tests.aws.nlb_world import (
    ZONES,
    Cloud,
    Connection,
    LineTargets,
    cloud,
    connect,
    needs_resets,
    plane,
    said,
    settled,
    targets,
)

from gatewright.local.aws import terminations
from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.resets import ResetError, reset_connections
from gatewright.local.aws.state import Bound

__all__ = ["cloud", "plane", "targets"]

_UNHEALTHY = "target_health_state__unhealthy__connection_termination__enabled"
_GONE = "deregistration_delay__connection_termination__enabled"


async def two_connections(cloud: Cloud, plane: DataPlane, targets: LineTargets, **attributes: Any) -> Any:
    """A connection to each of two targets, and the targets' keys, by name; and where the balancer listens."""
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends", **attributes)
    cloud.listener(balancer, group)
    keys = {name: cloud.target(group, await targets.tcp(name)) for name in ("one", "two")}
    await settled(plane)
    found: dict[str, Connection] = {}
    while len(found) < 2:
        connection = await connect(cloud.where(balancer))
        found.setdefault((await connection.say()).split()[0], connection)
    return found, keys, cloud.where(balancer)


@needs_resets
async def test_a_target_that_becomes_unhealthy_loses_its_connections(
    cloud: Cloud, plane: DataPlane, targets: LineTargets
) -> None:
    connections, keys, at = await two_connections(cloud, plane, targets)
    cloud.health(keys["one"], "unhealthy")
    assert await connections["one"].end() == "reset"
    assert (await connections["two"].say()).startswith("two ")
    assert (await said(at)).startswith("two ")


async def test_an_unhealthy_target_keeps_them_where_the_group_says_so(
    cloud: Cloud, plane: DataPlane, targets: LineTargets
) -> None:
    connections, keys, at = await two_connections(cloud, plane, targets, **{_UNHEALTHY: "false"})
    cloud.health(keys["one"], "unhealthy")
    await settled(plane)
    assert (await said(at)).startswith("two ")
    assert (await connections["one"].say()).startswith("one ")


async def test_where_all_fail_connections_go_on(cloud: Cloud, plane: DataPlane, targets: LineTargets) -> None:
    connections, keys, at = await two_connections(cloud, plane, targets)
    with cloud.state.flow.batch():
        for key in keys.values():
            cloud.health(key, "unhealthy")
    await settled(plane)
    assert (await said(at)).split()[0] in keys
    for name, connection in connections.items():
        assert (await connection.say()).startswith(f"{name} ")


@needs_resets
@pytest.mark.parametrize("terminates", [True, False])
async def test_the_end_of_the_deregistration_delay(
    cloud: Cloud, plane: DataPlane, targets: LineTargets, terminates: bool
) -> None:
    connections, keys, at = await two_connections(cloud, plane, targets, **{_GONE: str(terminates).lower()})
    cloud.drain(keys["one"])
    await settled(plane)
    assert (await connections["one"].say()).startswith("one ")
    cloud.deregistered(keys["one"])
    if terminates:
        assert await connections["one"].end() == "reset"
    else:
        await settled(plane)
        assert (await connections["one"].say()).startswith("one ")
    assert (await said(at)).startswith("two ")
    assert (await connections["two"].say()).startswith("two ")


@needs_resets
@pytest.mark.parametrize("gone", ["listener", "balancer"])
async def test_connections_of_a_listener_that_is_gone_end_soon(
    cloud: Cloud, plane: DataPlane, targets: LineTargets, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    over = asyncio.Event()
    monkeypatch.setattr(terminations, "grace", over.wait)
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    listener, other = cloud.listener(balancer, group), cloud.listener(balancer, group, port=81)
    cloud.target(group, await targets.tcp("one"))
    await settled(plane)
    connection, another = await connect(cloud.where(balancer)), await connect(cloud.where(balancer, port=81))
    assert (await connection.say()).startswith("one ")
    assert (await another.say()).startswith("one ")
    with cloud.state.flow.batch():
        cloud.state.listeners.delete(listener.arn)
        if gone == "balancer":
            cloud.state.listeners.delete(other.arn)
            cloud.state.load_balancers.delete(balancer.arn)
    await settled(plane)
    assert (await connection.say()).startswith("one ")
    over.set()
    assert await connection.end() == "reset"
    if gone == "balancer":
        assert await another.end() == "reset"
    else:
        assert (await another.say()).startswith("one ")


async def test_connections_of_a_listener_that_changes_go_on(
    cloud: Cloud, plane: DataPlane, targets: LineTargets
) -> None:
    balancer = cloud.load_balancer("one", zones=ZONES[:1])
    groups = [cloud.group(name) for name in ("old", "new")]
    cloud.listener(balancer, groups[0])
    for group in groups:
        cloud.target(group, await targets.tcp(group.name))
    await settled(plane)
    connection = await connect(cloud.where(balancer))
    assert (await connection.say()).startswith("old ")
    cloud.listener(balancer, groups[1])
    await settled(plane)
    assert (await said(cloud.where(balancer))).startswith("new ")
    cloud.listener(balancer, groups[1], attributes={"tcp.idle_timeout.seconds": "60"})
    await settled(plane)
    assert (await connection.say()).startswith("old ")


async def test_a_system_that_forbids_it_is_lived_with(
    cloud: Cloud, plane: DataPlane, targets: LineTargets, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    def forbid(*_: object) -> int:
        asked.set()
        raise ResetError("pidfd_getfd: Operation not permitted")

    monkeypatch.setattr(terminations, "reset_connections", forbid)
    connections, keys, at = await two_connections(cloud, plane, targets)
    cloud.health(keys["one"], "unhealthy")
    await asyncio.wait_for(asked.wait(), 60)
    assert (await connections["one"].say()).startswith("one ")
    assert (await said(at)).startswith("two ")


@needs_resets
def test_only_connections_that_are_meant_are_reset(cloud: Cloud) -> None:
    sources = [cloud.address(), cloud.address()]
    with socket.create_server((cloud.address(), 0)) as server, socket.create_server((cloud.address(), 0)) as other:
        script = (
            "import socket, sys\n"
            f"made = [socket.create_connection(to, source_address=(source, 0)) for source in {sources!r}\n"
            f"        for to in {[server.getsockname(), other.getsockname()]!r}]\n"
            "sys.stdin.read()"
        )
        with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as child:
            accepted = [each.accept() for each in (server, other, server, other)]
            at = Bound(*server.getsockname())

            def is_meant(local: Bound, remote: Bound) -> bool:
                return local.address == sources[0] and remote == at

            assert reset_connections(child.pid, is_meant) == 1
            for connection, (source, _) in accepted:
                connection.settimeout(0.2)
                is_it = source == sources[0] and connection.getsockname() == server.getsockname()
                with pytest.raises(ConnectionResetError if is_it else TimeoutError):
                    connection.recv(1)
                connection.close()
