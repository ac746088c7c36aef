"""A pod that runs: its address, its endpoints, its containers with their logs and probes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterable

from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.environment import Lookup, MissingReference, PodFacts, environment, expand
from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.logs import ContainerLog
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.pod_status import ContainerView
from gatewright.local.workloads.probes import perform, watch
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program
from gatewright.local.workloads.server import Endpoint
from gatewright.local.workloads.templates import Container, Pod
from gatewright.model import core

_ADDRESS_TRIES = 8
"""How many addresses are tried when another process has a pod's port on one."""


class RunningContainer:
    """One container. `changed` is called when its readiness or restarts change."""

    def __init__(self, pod: RunningPod, container: Container, restart_count: int) -> None:
        self.name = container.name
        self.container = container
        self.restart_count = restart_count
        self.log = ContainerLog()
        self.behaviour: Behaviour | None = None
        self.ready = False
        self.started = False
        self.started_at = ""
        self.waiting: tuple[str, str] | None = ("ContainerCreating", "")
        self.exit: Exit | None = None
        self.probes: list[asyncio.Task[None]] = []
        self._pod = pod
        self._generation = 0

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
            restarts = self._pod.restart_policy == "Always" or (
                self._pod.restart_policy == "OnFailure" and self.exit.code != 0
            )
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
        )

    def stop_probes(self) -> None:
        """Probe no more."""
        for probe in self.probes:
            probe.cancel()
        self.probes.clear()

    def _watch(self, probe: core.Probe, told: Callable[[bool, str], None]) -> None:
        async def once() -> str:
            return await perform(probe, self._pod.address, self._port)

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
        return self._pod.real_port(int(port))

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
        self.restart_count += 1
        self.stop_probes()
        self._pod.restart(self)


class RunningPod:
    """One pod on this machine, from its start to its end."""

    def __init__(
        self,
        pod: Pod,
        addresses: PodAddresses,
        host_ip: str,
        node: str,
        services: Callable[[], tuple[str, ...]],
        changed: Callable[[], None],
    ) -> None:
        self.key = pod.key
        self.uid = pod.metadata.uid
        self.restart_policy = pod.spec.restart_policy
        self.changed = changed
        self.started_at = timestamp()
        self.address = addresses.allot(pod.status.pod_ip)
        self._addresses = addresses
        self._host_ip = host_ip
        self._node = node
        self._services = services
        self._pod = pod
        self._endpoints: dict[int, Endpoint] = {}
        self._programs: dict[str, Program] = {}
        counts = {status.name: status.restart_count for status in pod.status.container_statuses}
        self.containers = {
            container.name: RunningContainer(self, container, counts.get(container.name, 0))
            for container in pod.spec.containers
        }

    @property
    def facts(self) -> PodFacts:
        """Where it runs."""
        return PodFacts(self.address, self._host_ip, self._node)

    def real_port(self, port: int) -> int | None:
        """The port that listens for the pod's `port`; None for one that must not be named.

        That is a port of a shared address that isn't this pod's, and one that a stand-in is about to listen on. A known
        image that doesn't listen on a port refuses connections to it, as it would in a cluster.
        """
        endpoint = self._endpoints.get(port)
        if endpoint:
            return endpoint.port
        first = next(iter(self.containers.values())).behaviour
        opens = first is not None and not first.known
        return port if self._addresses.own and not opens else None

    async def advance(self, pod: Pod, lookup: Lookup, targets: Iterable[int]) -> bool:
        """Start what is not running yet; `targets` are the ports that Services name. Returns whether ports changed."""
        self._pod = pod
        fresh = []
        for running in self.containers.values():
            if running.behaviour:
                continue
            try:
                env = environment(pod, running.container, self.facts, lookup)
                program = self._program(running.container, env, targets)
            except MissingReference as missing:
                running.waiting = ("CreateContainerConfigError", str(missing))
                continue
            self._programs[running.name] = program
            running.run(program)
            fresh.append(running)
        changed = await self._listen(targets)
        for running in fresh:
            if not running.exit:
                running.begin_probes()
        return changed

    def restart(self, container: RunningContainer) -> None:
        """Start one container's program afresh."""
        container.run(self._programs[container.name])
        if not container.exit:
            container.begin_probes()
        self.changed()

    async def drain(self, seconds: float) -> None:
        """Take no new requests, finish those in flight for up to `seconds`, then end."""
        await asyncio.gather(*(endpoint.drain(seconds) for endpoint in self._endpoints.values()))
        self.close()

    def close(self) -> None:
        """End now."""
        for endpoint in self._endpoints.values():
            endpoint.close()
        self._endpoints.clear()
        for container in self.containers.values():
            container.stop_probes()
            container.log.close()
        self._addresses.release(self.address)

    def _program(self, container: Container, env: dict[str, str], targets: Iterable[int]) -> Program:
        return Program(
            image=container.image,
            namespace=self.key.namespace,
            pod=self.key.name,
            container=container.name,
            command=tuple(expand(word, env) for word in container.command),
            args=tuple(expand(word, env) for word in container.args),
            env=env,
            ports=tuple(sorted({*_declared(container), *(targets if self._takes(container) else ())})),
            services=self._services,
        )

    def _takes(self, container: Container) -> bool:
        """Whether ports that only Services name are this container's: those of the pod's first."""
        return container.name == self._pod.spec.containers[0].name

    async def _listen(self, targets: Iterable[int]) -> bool:
        """Open the ports that are wanted and not open yet."""
        wanted: dict[int, tuple[RunningContainer, Port]] = {}
        for running in self.containers.values():
            if not running.behaviour or running.exit:
                continue
            for port in running.behaviour.ports:
                wanted.setdefault(port.number, (running, port))
        for running in self.containers.values():
            if running.behaviour and not running.behaviour.known and self._takes(running.container):
                for number in targets:
                    wanted.setdefault(number, (running, Port(number)))
        missing = {number: found for number, found in wanted.items() if number not in self._endpoints}
        for number, (running, port) in missing.items():
            endpoint = _endpoint(running, port)
            await self._open(endpoint, number, running)
            self._endpoints[number] = endpoint
        return bool(missing)

    async def _open(self, endpoint: Endpoint, number: int, running: RunningContainer) -> None:
        """Listen on the pod's port; where that is refused, on a free one, which the EndpointSlices then name."""
        if self._addresses.own:
            for _ in range(1 if self._endpoints else _ADDRESS_TRIES):
                try:
                    await endpoint.start(self.address, number)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE or self._endpoints:
                        break
                    taken, self.address = self.address, self._addresses.allot()
                    self._addresses.release(taken)
                else:
                    return
        await endpoint.start(self.address, 0)
        running.log.write(
            f"gatewright: port {number} can't be had on {self.address}; listening on {endpoint.port} instead"
        )


def _endpoint(running: RunningContainer, port: Port) -> Endpoint:
    def respond(request: Request) -> Answer:
        assert running.behaviour is not None
        return running.behaviour.answer(request, port)

    def answered(request: Request, answer: Answer, seconds: float) -> None:
        line = running.behaviour and running.behaviour.log(request, answer, seconds)
        if line:
            running.log.write(line)

    return Endpoint(respond, answered)


def _declared(container: Container) -> set[int]:
    """The TCP ports that a container's manifest names, in its ports and its probes."""
    numbers = {port.container_port for port in container.ports if port.protocol == "TCP"}
    for probe in (container.readiness_probe, container.liveness_probe, container.startup_probe):
        action = probe and (probe.http_get or probe.tcp_socket)
        if action:
            with contextlib.suppress(ValueError):
                numbers.add(int(action.port))
    return numbers
