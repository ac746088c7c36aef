"""The node: takes pods, runs them on loopback, writes their status, lets them end gracefully."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog

from gatewright.cluster import AlreadyExists, Client, ClusterError, Conflict, NotFound, Reconciler
from gatewright.flow import Collection
from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.environment import Lookup
from gatewright.local.workloads.events import pod_event
from gatewright.local.workloads.logs import LogQuery
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.nodes import NODE, own_node, own_status
from gatewright.local.workloads.pod_status import pod_status
from gatewright.local.workloads.program import Socket
from gatewright.local.workloads.programs import Launcher
from gatewright.local.workloads.running import RunningPod
from gatewright.local.workloads.slices import target_number
from gatewright.local.workloads.templates import Pod
from gatewright.model import core
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

LINGER_SECONDS = 0.3
"""How long a terminating pod still takes new requests, so that proxies learn of its end before it closes."""

ServicesOf = Callable[[Pod], tuple[core.Service, ...]]
HostOf = Callable[[str], str | None]
"""The address of a node by its name; None for one whose pods aren't stood in for."""


class Kubelet:
    """Runs the pods of all nodes that `host_of` knows.

    `ports_changed` is told of a pod whose listening ports changed. A pod without a node gets `node`; when that is
    empty, it waits for a scheduler to give it one.
    """

    def __init__(
        self,
        client: Client,
        pods: Collection[Key, Pod],
        lookup: Lookup,
        services_of: ServicesOf,
        addresses: PodAddresses,
        ports_changed: Callable[[Pod], None],
        launcher: Launcher,
        host_of: HostOf,
        node: str = NODE,
    ) -> None:
        self._client = client
        self._pods = pods
        self._lookup = lookup
        self._services_of = services_of
        self._addresses = addresses
        self._ports_changed = ports_changed
        self._launcher = launcher
        self._host_of = host_of
        self._node = node
        self._running: dict[Key, RunningPod] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}  # by uid
        self.reconciler = Reconciler("pods", self.reconcile)

    async def register(self) -> None:
        """Create or refresh the Node object, where there is one of the kubelet's own."""
        if not self._node:
            return
        with contextlib.suppress(AlreadyExists):
            await self._client.create(own_node())
        await self._client.patch(core.Node, Key("", NODE), {"status": own_status()}, subresource="status")

    def real_port(self, pod: core.Pod, port: int, transport: str = "TCP") -> int | None:
        """The port that listens for a pod's `port`; None when nothing can be named."""
        running = self._running.get(pod.key)
        if running is None or running.uid != pod.metadata.uid:
            return port if self._host_of(pod.spec.node_name) is None else None
        return running.real_port(Socket(transport, port))

    async def reconcile(self, key: Key) -> None:
        """Bring one pod to where it should be."""
        pod = self._pods.get(key)
        running = self._running.get(key)
        if running and (pod is None or pod.metadata.uid != running.uid):
            del self._running[key]
            self._end(running, None)
            running = None
        if pod is None:
            return
        if not pod.spec.node_name:
            if self._node and not pod.deleting:
                await self._client.patch(core.Pod, key, binding(pod, self._node))
            return
        host = self._host_of(pod.spec.node_name)
        if host is None:
            return
        if pod.deleting:
            if running:
                self._end(running, pod)
            elif pod.metadata.uid not in self._ending and pod.metadata.deletion_grace_period_seconds:
                await self._remove(pod)
            return
        if pod.status.phase in ("Succeeded", "Failed"):
            return
        if running is None:
            running = self._running[key] = self._start(pod, host)
        targets = self._targets(pod)
        if await running.advance(pod, self._lookup, targets):
            self._ports_changed(pod)
        if running.missing and running.missing != running.reported:
            running.reported = running.missing
            with contextlib.suppress(ClusterError):  # it only informs, and a namespace that goes takes none
                event = pod_event(pod, "FailedMount", running.missing, component="kubelet", host=pod.spec.node_name)
                await self._client.create(event)
        await self._write_status(pod, running)

    async def logs(self, query: LogQuery) -> AsyncIterator[bytes]:
        """A container's log, as `pods/log` serves it; empty for a pod that doesn't run here."""
        running = self._running.get(Key(query.namespace, query.pod))
        if running is None or query.previous:
            return
        name = query.container or next(iter(running.containers), "")
        container = running.containers.get(name)
        if container is None:
            return
        async for chunk in container.log.read(query):
            yield chunk

    def close(self) -> None:
        """Close every port now; the pods stay in the API as they are."""
        for task in self._ending.values():
            task.cancel()
        for running in self._running.values():
            running.close()
        self._running.clear()

    def _start(self, pod: Pod, host: str) -> RunningPod:
        key = pod.key

        def services() -> tuple[str, ...]:
            found = self._pods.get(key)
            return tuple(service.name for service in self._services_of(found)) if found else ()

        def changed() -> None:
            self.reconciler.enqueue(key)

        return RunningPod(pod, self._addresses, host, pod.spec.node_name, services, changed, self._launcher)

    def _targets(self, pod: Pod) -> set[Socket]:
        found = (
            (port.protocol, target_number(port, pod))
            for service in self._services_of(pod)
            for port in service.spec.ports
        )
        return {Socket(transport, number) for transport, number in found if number is not None}

    async def _write_status(self, pod: Pod, running: RunningPod) -> None:
        views = [container.view() for container in running.containers.values()]
        status = pod_status(pod, views, running.facts, running.started_at, timestamp())
        if _same(pod, status):
            return
        # With the resourceVersion, so that a condition that someone else has set meanwhile isn't lost.
        patch = {"metadata": {"resourceVersion": pod.metadata.resource_version}, "status": status}
        await self._client.patch(core.Pod, pod.key, patch, subresource="status")

    def _end(self, running: RunningPod, pod: Pod | None) -> None:
        """Begin a pod's end, once."""
        if running.uid not in self._ending:
            task = asyncio.get_running_loop().create_task(self._finish(running, pod), name=f"end {running.key}")
            self._ending[running.uid] = task
            task.add_done_callback(lambda _: self._ending.pop(running.uid, None))

    async def _finish(self, running: RunningPod, pod: Pod | None) -> None:
        grace = float(pod.metadata.deletion_grace_period_seconds or 0) if pod else 1.0
        linger = min(LINGER_SECONDS, grace)
        try:
            await asyncio.sleep(linger)
            await running.drain(grace - linger)
        finally:
            running.close()
        if pod is None:
            return
        if self._running.get(running.key) is running:
            del self._running[running.key]
        try:
            await self._remove(pod)
        except ClusterError as error:
            _log.warning("a pod that has ended could not be removed", pod=str(pod.key), error=str(error))
            await asyncio.sleep(1)
            self.reconciler.enqueue(pod.key)

    async def _remove(self, pod: Pod) -> None:
        with contextlib.suppress(NotFound, Conflict):  # gone already, or another pod by that name
            await self._client.delete(core.Pod, pod.key, grace_period=0, uid=pod.metadata.uid)


def binding(pod: Pod, node: str) -> dict[str, Any]:
    """The patch that gives a pod its node, unless it has changed meanwhile."""
    return {"metadata": {"resourceVersion": pod.metadata.resource_version}, "spec": {"nodeName": node}}


def _same(pod: Pod, status: dict[str, Any]) -> bool:
    """Whether the pod has this status already, as far as it is read here."""
    return msgspec.convert(status, core.PodStatus) == msgspec.structs.replace(
        pod.status, qos_class="", reason="", message=""
    )
