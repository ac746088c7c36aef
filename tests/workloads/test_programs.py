"""Pods of an image whose program is here: it runs, as manifest and ServiceAccount say, and ends with its pod."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.workloads.live_edge import Edge, deployment, get, service

from gatewright.cluster import Client
from gatewright.cluster.errors import ApiError
from gatewright.local.private import write_private
from gatewright.local.workloads import Programs, Workloads
from gatewright.local.workloads import programs as programs_module
from gatewright.local.workloads import running as running_module
from gatewright.local.workloads.process import Process
from gatewright.local.workloads.program import Program
from gatewright.model import core
from gatewright.model.meta import Key

SCRIPT = Path(__file__).with_name("real_program.py")
IMAGE = "registry.example.com/test/program:1"
POD_IP = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")


def programs(edge: Edge, folder: Path) -> Programs:
    return Programs(
        folder=folder / "programs",
        authority=edge.server.ca_certificate,
        identity=lambda account: {"SECRET": f"of {account}"},
        commands={"test/program": (sys.executable, str(SCRIPT))},
    )


def workloads(edge: Edge, folder: Path) -> Workloads:
    return Workloads(edge.client, addresses=edge.addresses, programs=programs(edge, folder))


def pod(name: str, *args: str, probes: Any = None, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": IMAGE, "args": list(args), "env": [POD_IP], **(probes or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 20, **spec},
    }


async def lines(running: Workloads, name: str, until: Iterable[str]) -> list[str]:
    """The log of a pod, read until it has all these lines."""

    class Query:
        namespace, pod, container = "default", name, ""
        follow, previous, timestamps = True, False, False
        tail = since = None

    wanted, found = set(until), []
    async with asyncio.timeout(60):
        async for chunk in running.logs(Query()):
            found += chunk.decode().splitlines()
            if wanted <= set(found):
                break
    return found


def pids(folder: Path) -> list[int]:
    return [int(each.name) for each in Path("/proc").glob("[0-9]*") if _is_in(each, folder)]


def _is_in(process: Path, folder: Path) -> bool:
    try:
        return Path(os.readlink(process / "cwd")).is_relative_to(folder)
    except OSError:
        return False


async def test_it_serves_behind_its_service_and_says_where_it_is(edge: Edge, tmp_path: Path) -> None:
    port = {"ports": [{"containerPort": 8080, "name": "web"}], "env": [POD_IP]}
    port |= {"readinessProbe": {"httpGet": {"path": "/", "port": "web"}, "periodSeconds": 1}}
    async with workloads(edge, tmp_path):
        await edge.client.create(service("real", "web"))
        await edge.client.create(deployment("real", 2, "serve", "8080", image=IMAGE, container=port))
        endpoints = await edge.until(lambda: len(edge.endpoints("real")) == 2 and edge.endpoints("real"))
        assert [await get(endpoint) for endpoint in endpoints] == [(200, b"real\n")] * 2
        assert len(pids(tmp_path)) == 2
    assert pids(tmp_path) == []
    assert list((tmp_path / "programs").iterdir()) == []


async def test_it_is_its_service_account_and_not_who_runs_the_edge(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "ours")
    async with workloads(edge, tmp_path) as running:
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ada", "namespace": "default"}}
        await edge.client.create(account)
        manifest = pod("real", "serve", "8080", serviceAccountName="ada")
        named = {"KUBECONFIG": "/elsewhere", "HOME": str(Path.home()), "SECRET": "another"}
        manifest["spec"]["containers"][0]["env"] += [{"name": key, "value": value} for key, value in named.items()]
        await edge.client.create(manifest)
        await edge.until(lambda: Key("default", "real") in edge.pods.keys())  # noqa: SIM118
        await edge.until(lambda: edge.pods[Key("default", "real")].status.phase == "Running")
        said = await lines(running, "real", ["serving"])
        (kubeconfig,) = [Path(line.split()[1]) for line in said if line.startswith("kubeconfig")]
        assert f"arguments serve 8080 secret of default/ada home {kubeconfig.parent}" in said
        assert kubeconfig.is_relative_to(tmp_path)
        assert "cloud" in said
        for file in kubeconfig.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        async with Client.connect(kubeconfig) as client:
            with pytest.raises(ApiError, match=r'User "system:serviceaccount:default:ada" cannot list resource "pods"'):
                await client.list(core.Pod)


async def test_one_that_fails_is_started_again_and_then_later(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_module, "_BACK_OFF", 300.0)  # later than this test
    async with workloads(edge, tmp_path) as running:
        await edge.client.create(pod("real", "fail"))

        def crashing() -> core.ContainerStatus | None:
            found = edge.pods.get(Key("default", "real"))
            each = found.status.container_statuses[0] if found and found.status.container_statuses else None
            return each if each and each.restart_count == 2 else None

        await edge.until(crashing)
        raw = (await edge.client.request("GET", "/api/v1/namespaces/default/pods/real")).decode()
        assert '"reason":"CrashLoopBackOff"' in raw
        assert '"exitCode":3' in raw
        assert '"phase":"Running"' in raw
        said = await lines(running, "real", ["no", "gatewright: the program ended with status 3"])
        assert said.count("no") == 2


@pytest.mark.parametrize(("word", "phase"), [("end", "Succeeded"), ("fail", "Failed")])
async def test_one_that_is_not_to_be_restarted_ends(edge: Edge, tmp_path: Path, word: str, phase: str) -> None:
    async with workloads(edge, tmp_path):
        await edge.client.create(pod("real", word, restartPolicy="Never"))
        await edge.until(lambda: (found := edge.pods.get(Key("default", "real"))) and found.status.phase == phase)


async def test_a_failed_liveness_probe_restarts_it(edge: Edge, tmp_path: Path) -> None:
    probe = {"httpGet": {"path": "/broken", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    async with workloads(edge, tmp_path):
        await edge.client.create(pod("real", "serve", "8080", probes={"livenessProbe": probe}))

        def restarted() -> bool:
            found = edge.pods.get(Key("default", "real"))
            return bool(found and any(each.restart_count for each in found.status.container_statuses))

        await edge.until(restarted)


@pytest.mark.parametrize("word", ["serve", "stay"])
async def test_it_ends_with_its_pod_and_is_killed_after_the_grace(edge: Edge, tmp_path: Path, word: str) -> None:
    async with workloads(edge, tmp_path) as running:
        await edge.client.create(pod("real", word, "8080"))
        await edge.until(lambda: Key("default", "real") in edge.pods.keys())  # noqa: SIM118
        await edge.until(lambda: edge.pods[Key("default", "real")].status.phase == "Running")
        await lines(running, "real", ["serving"])
        assert len(pids(tmp_path)) == 1
        grace = 1 if word == "stay" else 20
        await edge.client.delete(core.Pod, Key("default", "real"), grace_period=grace)
        await edge.until(lambda: Key("default", "real") not in edge.pods.keys())  # noqa: SIM118
        assert pids(tmp_path) == []


async def test_it_waits_for_its_service_account(edge: Edge, tmp_path: Path) -> None:
    async with workloads(edge, tmp_path):
        await edge.client.create(pod("real", "serve", "8080", serviceAccountName="late"))

        def waits() -> bool:
            found = edge.pods.get(Key("default", "real"))
            return bool(found and found.status.phase == "Pending" and found.status.container_statuses)

        await edge.until(waits)
        while b'serviceaccounts \\"late\\" not found' not in await edge.client.request(  # noqa: ASYNC110 - its message
            "GET", "/api/v1/namespaces/default/pods/real"
        ):
            await asyncio.sleep(0.05)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "late", "namespace": "default"}}
        await edge.client.create(account)
        await edge.until(lambda: edge.pods[Key("default", "real")].status.phase == "Running")


async def test_its_token_is_renewed_even_after_a_full_disk(
    edge: Edge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def write(path: Path, content: bytes) -> None:
        written.append(path)
        if [each.name for each in written].count("token") == 2 and path.name == "token":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_private(path, content)

    monkeypatch.setattr(programs_module, "write_private", write)
    monkeypatch.setattr(programs_module, "_AGAIN", 0.01)
    monkeypatch.setattr(programs_module, "_RENEWED_AFTER", 0.00001)
    async with workloads(edge, tmp_path) as running:
        await edge.client.create(pod("real", "serve", "8080"))
        await edge.until(lambda: Key("default", "real") in edge.pods.keys())  # noqa: SIM118
        await edge.until(lambda: edge.pods[Key("default", "real")].status.phase == "Running")
        said = await lines(running, "real", ["serving"])
        (kubeconfig,) = [Path(line.split()[1]) for line in said if line.startswith("kubeconfig")]
        token = kubeconfig.with_name("token")
        first = token.read_text()
        async with asyncio.timeout(60):
            while token.read_text() == first:  # noqa: ASYNC110 - a file tells nobody that it has changed
                await asyncio.sleep(0.02)
        async with Client.connect(kubeconfig) as client:
            await client.request("GET", "/api")


def test_it_does_not_outlive_an_edge_that_is_killed(tmp_path: Path) -> None:
    edge = """
import asyncio, pathlib, sys
from gatewright.local.workloads.process import Process

async def main():
    process = await Process.start(["sleep", "1000"], {"PATH": "/usr/bin:/bin"}, pathlib.Path(sys.argv[1]), print)
    print(process.pid, flush=True)
    await process.wait()

asyncio.run(main())
"""
    started = subprocess.Popen([sys.executable, "-c", edge, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert started.stdout
    program = os.pidfd_open(int(started.stdout.readline()))
    started.send_signal(signal.SIGKILL)
    started.wait()
    started.stdout.close()

    async def gone() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(program, ended.set)
        await asyncio.wait_for(ended.wait(), 60)
        asyncio.get_running_loop().remove_reader(program)

    asyncio.run(gone())
    os.close(program)


@pytest.mark.parametrize(
    ("image", "command", "runs"),
    [
        ("test/program", (), ["prog", "x"]),
        ("registry:5000/test/program@sha256:ab", ("/usr/bin/program", "y"), ["prog", "y", "x"]),
        ("test/program:1", ("sh",), None),
        ("other/program:1", (), None),
        ("latest/program", (), None),
    ],
)
def test_which_images_run(image: str, command: tuple[str, ...], runs: list[str] | None, tmp_path: Path) -> None:
    known = Programs(folder=tmp_path, authority=b"", commands={"test/program": ("prog",)})
    found = known.command(Program(image, command=command, args=("x",)))
    assert found == (None if runs is None else tuple(runs))


async def test_the_end_of_a_process_in_a_container_runtimes_numbers(tmp_path: Path) -> None:
    said: list[str] = []
    command = ["sh", "-c", "echo one; printf two >&2; kill -9 $$"]
    process = await Process.start(command, {"PATH": os.environ["PATH"]}, tmp_path, said.append)
    assert await process.wait() == 137
    assert sorted(said) == ["one", "two"]
