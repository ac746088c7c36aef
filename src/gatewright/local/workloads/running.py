"""A pod that runs: its address, its endpoints, its containers."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Callable, Collection, Iterable

from gatewright.local.workloads.addresses import Doorkeeper, PodAddresses
from gatewright.local.workloads.containers import Launched, RunningContainer
from gatewright.local.workloads.environment import Lookup, MissingReference, PodFacts, environment, expand
from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.program import Behaviour, Port, Program, Socket
from gatewright.local.workloads.programs import Launcher
from gatewright.local.workloads.serving import Opened, serve
from gatewright.local.workloads.sessions import DatagramListener
from gatewright.local.workloads.stand_in import stand_in_port
from gatewright.local.workloads.templates import Container, Pod
from gatewright.local.workloads.volumes import MissingVolume, check_volumes, reader
from gatewright.model import core
from gatewright.model.meta import Key

_ADDRESS_TRIES = 8
"""How many addresses are tried when another process has a pod's port on one."""
_BACK_OFF, _LONGEST_BACK_OFF = 10.0, 300.0
"""How long a container that ends again and again waits before its second restart, and at most."""


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
        launcher: Launcher,
    ) -> None:
        self.key = pod.key
        self.uid = pod.metadata.uid
        self.account = Key(pod.namespace, pod.spec.service_account_name or "default")
        self.grace = float(pod.spec.termination_grace_period_seconds)
        self.restart_policy = pod.spec.restart_policy
        self.changed = changed
        self.closed = False
        self._launcher = launcher
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
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """By container, what starts it later."""
        counts = {status.name: status.restart_count for status in pod.status.container_statuses}
        self.containers = {
            container.name: RunningContainer(self, container, counts.get(container.name, 0))
            for container in pod.spec.containers
        }

    @property
    def probe(self) -> str | None:
        """The address from which it is probed; None for any."""
        return self._addresses.probe

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
        if isinstance(first, Launched):
            return port.number
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
        again = container.crashes - 2
        if again >= 0:
            pause = min(_LONGEST_BACK_OFF, _BACK_OFF * 2.0 ** min(again, 16))
            container.waiting = ("CrashLoopBackOff", f"back-off {pause:.0f}s restarting failed container")
            self._start_later(container, pause)
        self.changed()

    def again(self, container: RunningContainer, seconds: float) -> None:
        """Start a container's program later."""
        container.behaviour = None
        self._start_later(container, seconds)
        self.changed()

    def _start_later(self, container: RunningContainer, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        container.not_before = loop.time() + seconds
        before = self._timers.pop(container.name, None)
        if before:
            before.cancel()
        self._timers[container.name] = loop.call_at(container.not_before + 0.01, self.changed)

    async def drain(self, seconds: float) -> None:
        """Take no new requests, finish those in flight for up to `seconds`, then end."""
        self.closed = True
        for container in self.containers.values():
            container.end(seconds)
        await asyncio.gather(
            *(endpoint.drain(seconds) for endpoint in self._endpoints.values()),
            *(container.over() for container in self.containers.values()),
        )
        self.close()

    def close(self) -> None:
        """End now."""
        self.closed = True
        for endpoint in self._endpoints.values():
            endpoint.close()
        self._endpoints.clear()
        for timer in self._timers.values():
            timer.cancel()
        for container in self.containers.values():
            container.stop_probes()
            container.kill()
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
        if self._launcher.runs(program):
            running.launch(program, self._launcher)
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
                    await _start(endpoint, self.address, number, self._addresses.doorkeeper)
                except OSError as error:
                    if error.errno != errno.EADDRINUSE or self._endpoints:
                        break
                    taken, self.address = self.address, self._addresses.allot()
                    self._addresses.release(taken)
                else:
                    return
        await _start(endpoint, self.address, 0, self._addresses.doorkeeper)
        running.log.write(
            f"gatewright: port {number} can't be had on {self.address}; listening on {endpoint.port} instead"
        )


def _endpoint(running: RunningContainer, port: Port) -> Opened:
    """What listens on a port of a container."""

    def now() -> Behaviour:
        assert running.behaviour is not None
        return running.behaviour

    return serve(now, port, running.log.write)


async def _start(endpoint: Opened, address: str, port: int, doorkeeper: Doorkeeper | None) -> None:
    if isinstance(endpoint, DatagramListener):
        await endpoint.start(address, port)
    else:
        await endpoint.start(address, port, doorkeeper)


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
