"""A container of a pod that runs: its program, its log, its probes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gatewright.cluster import ClusterError
from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.logs import ContainerLog
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.pod_status import ContainerView
from gatewright.local.workloads.probes import perform, watch
from gatewright.local.workloads.process import Process
from gatewright.local.workloads.program import Behaviour, Exit, Program, Socket
from gatewright.local.workloads.programs import Launcher
from gatewright.local.workloads.templates import Container
from gatewright.model import core

if TYPE_CHECKING:
    from gatewright.local.workloads.running import RunningPod

_FORGIVEN = 600.0
"""After how many seconds without an end its next one counts as the first."""
_AGAIN = 1.0
"""Seconds until a program that couldn't be started is tried again."""


class Launched(Behaviour):
    """A program that runs as a process, and opens its ports itself."""


class RunningContainer:
    """One container. `changed` is called when its readiness or restarts change."""

    def __init__(self, pod: RunningPod, container: Container, restart_count: int) -> None:
        self.name = container.name
        self.container = container
        self.restart_count = restart_count
        self.crashes = 0
        """How often it has ended lately."""
        self.log = ContainerLog()
        self.behaviour: Behaviour | None = None
        self.ready = False
        self.started = False
        self.started_at = ""
        self.waiting: tuple[str, str] | None = ("ContainerCreating", "")
        self.exit: Exit | None = None
        self.last: tuple[Exit, str, str] | None = None
        """How a process of it ended last, when that began and when it ended."""
        self.not_before = 0.0
        """When it may be started again, by the loop's clock."""
        self.probes: list[asyncio.Task[None]] = []
        self._pod = pod
        self._generation = 0
        self._process: Process | None = None
        self._launching: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._began = 0.0

    def launch(self, program: Program, launcher: Launcher) -> None:
        """Start the program as a process; `changed` is called when it runs."""
        self._generation += 1
        self.behaviour = Launched()
        self.waiting = ("ContainerCreating", "")
        self._over.clear()
        self._launching = asyncio.get_running_loop().create_task(
            self._launch(program, launcher), name=f"start {self._pod.key}"
        )

    async def _launch(self, program: Program, launcher: Launcher) -> None:
        pod = self._pod
        try:
            self._process = await launcher.start(program, pod.account, pod.key.name, pod.uid, self._ended)
        except (ClusterError, OSError) as error:
            self.waiting = ("CreateContainerError", str(error))
            self._over.set()
            if not pod.closed:
                pod.again(self, _AGAIN)
            return
        if pod.closed:
            self._process.kill()
            return
        self._began = asyncio.get_running_loop().time()
        self.started_at = timestamp()
        self.waiting = None
        self.begin_probes()
        pod.changed()

    def _ended(self, status: int) -> None:
        """The process has ended."""
        self._process = None
        self._over.set()
        self.stop_probes()
        if self._pod.closed:
            return
        end = Exit(status, ())
        self.log.write(f"gatewright: the program ended with status {status}")
        if not self._restarts(status):
            self.exit, self.ready, self.started = end, False, False
            self._pod.changed()
            return
        self.last = end, self.started_at, timestamp()
        if asyncio.get_running_loop().time() - self._began >= _FORGIVEN:
            self.crashes = 0
        self._again()

    def _restarts(self, status: int) -> bool:
        policy = self._pod.restart_policy
        return policy == "Always" or (policy == "OnFailure" and status != 0)

    def end(self, grace: float) -> None:
        """Tell a process to end within `grace` seconds."""
        if self._process:
            self._process.end(grace)

    def kill(self) -> None:
        """End a process now."""
        if self._process:
            self._process.kill()

    async def over(self) -> None:
        """Return when no process runs."""
        if self._launching:
            await self._over.wait()

    def run(self, program: Program) -> None:
        """Start the program."""
        self._generation += 1
        self.started_at = timestamp()
        self.behaviour = behaviour(program)
        for line in self.behaviour.greeting:
            self.log.write(line)
        self.exit = self.behaviour.exit
        if self.exit:
            for line in self.exit.lines:
                self.log.write(line)
            restarts = self._restarts(self.exit.code)
            self.waiting = ("CrashLoopBackOff", f"the program ends with code {self.exit.code}") if restarts else None
            return
        self.waiting = None

    def begin_probes(self) -> None:
        """Ready at once without a readiness probe; else as the probes find."""
        container = self.container
        self.started = container.startup_probe is None
        self.ready = self.started and container.readiness_probe is None
        if container.startup_probe:
            self._watch(container.startup_probe, self._startup)
        else:
            self._watch_running()

    @property
    def crashing(self) -> bool:
        """Whether the program ended at once, and would be started again and again."""
        return self.exit is not None and self.waiting is not None

    def view(self) -> ContainerView:
        """What the pod's status says of it."""
        return ContainerView(
            name=self.name,
            image=self.container.image,
            container_id=f"gatewright://{self._pod.uid}/{self.name}/{self._generation}" if self._generation else "",
            started_at="" if self.exit else self.started_at,
            started=self.started,
            ready=self.ready,
            restart_count=self.restart_count,
            waiting=self.waiting,
            exit=self.exit,
            exited_at=self.started_at if self.exit else "",
            last=self.last,
        )

    def stop_probes(self) -> None:
        """Probe no more."""
        for probe in self.probes:
            probe.cancel()
        self.probes.clear()

    def _watch(self, probe: core.Probe, told: Callable[[bool, str], None]) -> None:
        async def once() -> str:
            return await perform(probe, self._pod.address, self._port, self._pod.probe)

        self.probes.append(asyncio.get_running_loop().create_task(watch(probe, once, told)))

    def _watch_running(self) -> None:
        if self.container.readiness_probe:
            self._watch(self.container.readiness_probe, self._readiness)
        if self.container.liveness_probe:
            self._watch(self.container.liveness_probe, self._liveness)

    def _port(self, port: int | str) -> int | None:
        if isinstance(port, str) and not port.isdecimal():
            named = next((p.container_port for p in self.container.ports if p.name == port), None)
            if named is None:
                return None
            port = named
        return self._pod.real_port(Socket("TCP", int(port)))

    def _startup(self, passed: bool, why: str) -> None:
        if not passed:
            self._restart(f"Startup probe failed: {why}")
            return
        self.stop_probes()
        self.started = True
        self.ready = self.container.readiness_probe is None
        self._watch_running()
        self._pod.changed()

    def _readiness(self, passed: bool, why: str) -> None:
        self.ready = passed
        if not passed:
            self.log.write(f"gatewright: Readiness probe failed: {why}")
        self._pod.changed()

    def _liveness(self, passed: bool, why: str) -> None:
        if not passed:
            self._restart(f"Liveness probe failed: {why}")

    def _restart(self, why: str) -> None:
        self.log.write(f"gatewright: {why}; the container is restarted")
        self.stop_probes()
        if self._process:
            self.ready = False
            self._process.end(self._pod.grace)  # its end leads to its restart
            self._pod.changed()
        else:
            self._again()

    def _again(self) -> None:
        self.restart_count += 1
        self.crashes += 1
        self._pod.restart(self)
