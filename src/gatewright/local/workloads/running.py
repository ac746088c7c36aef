"""A pod that runs: its address, its endpoints, its containers with their logs and probes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Collection, Iterable

from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.environment import Lookup, MissingReference, PodFacts, environment, expand
from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.logs import ContainerLog
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.pod_status import ContainerView
from gatewright.local.workloads.probes import perform, watch
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program, Socket
from gatewright.local.workloads.serving import Opened, serve
from gatewright.local.workloads.stand_in import stand_in_port
from gatewright.local.workloads.templates import Container, Pod
from gatewright.local.workloads.volumes import MissingVolume, check_volumes, reader
from gatewright.model import core

_ADDRESS_TRIES = 8
"""How many addresses are tried when another process has a pod's port on one."""
_BACK_OFF, _LONGEST_BACK_OFF = 10.0, 300.0
"""How long a container that ends again and again waits before its second restart, and at most."""


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
        self.not_before = 0.0
        """When it may be started again, by the loop's clock."""
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
        self.missing = ""
        """What keeps its volumes from being set up; empty when nothing does."""
        self.reported = ""
        """What of that has been said in an event."""
        self._endpoints: dict[Socket, Opened] = {}
        self._owners: dict[Socket, RunningContainer] = {}
        self._timers: list[asyncio.TimerHandle] = []
        counts = {status.name: status.restart_count for status in pod.status.container_statuses}
        self.containers = {
            container.name: RunningContainer(self, container, counts.get(container.name, 0))
            for container in pod.spec.containers
        }

    @property
    def facts(self) -> PodFacts:
        """Where it runs."""
        return PodFacts(self.address, self._host_ip, self._node)

    def real_port(self, port: Socket) -> int | None:
        """The port that listens for the pod's `port`; None for one that must not be named.

        That is a port of a shared address that isn't this pod's, and one that a stand-in is about to listen on. A known
        image that doesn't listen on a port refuses connections to it, as it would in a cluster.
        """
        endpoint = self._endpoints.get(port)
        if endpoint:
            return endpoint.port
        first = next(iter(self.containers.values())).behaviour
        opens = first is not None and not first.known
        return port.number if self._addresses.own and not opens else None

    async def advance(self, pod: Pod, lookup: Lookup, targets: Collection[Socket]) -> bool:
        """Start what is not running yet; `targets` are the ports that Services name. Returns whether ports changed."""
        self._pod = pod
        now = asyncio.get_running_loop().time()
        waiting = [
            running
            for running in self.containers.values()
            if running.crashing or (running.behaviour is None and running.not_before <= now)
        ]
        if waiting:
            self.missing = self._missing_volume(lookup)
        fresh = [] if self.missing else [running for running in waiting if self._run(running, lookup, targets)]
        changed = await self._listen(targets)
        for running in fresh:
            running.begin_probes()
        return changed

    def restart(self, container: RunningContainer) -> None:
        """End one container's program, and start it afresh: at once the first time, then ever later, as a kubelet."""
        for socket in [socket for socket, owner in self._owners.items() if owner is container]:
            del self._owners[socket]
            self._endpoints.pop(socket).close()
        container.behaviour = None
        container.ready = container.started = False
        again = container.restart_count - 2
        if again >= 0:
            pause = min(_LONGEST_BACK_OFF, _BACK_OFF * 2.0 ** min(again, 16))
            loop = asyncio.get_running_loop()
            container.not_before = loop.time() + pause
            container.waiting = ("CrashLoopBackOff", f"back-off {pause:.0f}s restarting failed container")
            self._timers.append(loop.call_at(container.not_before + 0.01, self.changed))
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
        for timer in self._timers:
            timer.cancel()
        for container in self.containers.values():
            container.stop_probes()
            container.log.close()
        self._addresses.release(self.address)

    def _missing_volume(self, lookup: Lookup) -> str:
        try:
            check_volumes(self._pod, self.facts, lookup)
        except MissingVolume as missing:
            return str(missing)
        return ""

    def _run(self, running: RunningContainer, lookup: Lookup, targets: Collection[Socket]) -> bool:
        """Start one container's program; one that ended at once is started again when it would run now."""
        try:
            env = environment(self._pod, running.container, self.facts, lookup)
            program = self._program(running, env, targets, lookup)
        except MissingReference as missing:
            running.waiting = ("CreateContainerConfigError", str(missing))
            return False
        if running.crashing:
            if behaviour(program).exit:
                return False
            running.restart_count += 1
        running.run(program)
        return running.exit is None

    def _program(
        self, running: RunningContainer, env: dict[str, str], targets: Collection[Socket], lookup: Lookup
    ) -> Program:
        container = running.container
        named = _declared(container) | (set(targets) if self._takes(container) else set())
        return Program(
            image=container.image,
            namespace=self.key.namespace,
            pod=self.key.name,
            container=container.name,
            command=tuple(expand(word, env) for word in container.command),
            args=tuple(expand(word, env) for word in container.args),
            env=env,
            ports=tuple(sorted(socket.number for socket in named if socket.transport == "TCP")),
            udp_ports=tuple(sorted(socket.number for socket in named if socket.transport == "UDP")),
            tls_ports=frozenset(_https_probed(container)),
            services=self._services,
            read=reader(lambda: self._pod, container, self.facts, lookup, env),
            say=running.log.write,
        )

    def _takes(self, container: Container) -> bool:
        """Whether ports that only Services name are this container's: those of the pod's first."""
        return container.name == self._pod.spec.containers[0].name

    async def _listen(self, targets: Iterable[Socket]) -> bool:
        """Open the ports that are wanted and not open yet."""
        wanted: dict[Socket, tuple[RunningContainer, Port]] = {}
        for running in self.containers.values():
            if not running.behaviour or running.exit:
                continue
            for port in running.behaviour.ports:
                wanted.setdefault(port.socket, (running, port))
        for running in self.containers.values():
            if running.behaviour and not running.behaviour.known and self._takes(running.container):
                for target in targets:
                    wanted.setdefault(target, (running, stand_in_port(target)))
        missing = {socket: found for socket, found in wanted.items() if socket not in self._endpoints}
        for socket, (running, port) in missing.items():
            endpoint = _endpoint(running, port)
            await self._open(endpoint, port.number, running)
            self._endpoints[socket] = endpoint
            self._owners[socket] = running
        return bool(missing)

    async def _open(self, endpoint: Opened, number: int, running: RunningContainer) -> None:
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


def _endpoint(running: RunningContainer, port: Port) -> Opened:
    """What listens on a port of a container."""

    def now() -> Behaviour:
        assert running.behaviour is not None
        return running.behaviour

    return serve(now, port, running.log.write)


def _declared(container: Container) -> set[Socket]:
    """The ports that a container's manifest names, in its ports and its probes."""
    named = {Socket(port.protocol, port.container_port) for port in container.ports}
    for probe in _probes(container):
        action = probe.http_get or probe.tcp_socket or probe.grpc
        if action:
            with contextlib.suppress(ValueError):
                named.add(Socket("TCP", int(action.port)))
    return named


def _https_probed(container: Container) -> set[int]:
    """The ports that a container's probes call with HTTPS."""
    names = {port.name: port.container_port for port in container.ports}
    found: set[int] = set()
    for probe in _probes(container):
        if probe.http_get and probe.http_get.scheme.upper() == "HTTPS":
            port = str(probe.http_get.port)
            number = int(port) if port.isdecimal() else names.get(port)
            if number is not None:
                found.add(number)
    return found


def _probes(container: Container) -> list[core.Probe]:
    probes = (container.readiness_probe, container.liveness_probe, container.startup_probe)
    return [probe for probe in probes if probe]
