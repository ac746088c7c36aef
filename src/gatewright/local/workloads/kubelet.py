"""The node: takes pods, runs them on loopback, writes their status, lets them end gracefully."""

from __future__ import annotations

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import structlog

from gatewright.cluster import AlreadyExists, Client, ClusterError, Conflict, NotFound, Reconciler
from gatewright.flow import Collection
from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.environment import Lookup
from gatewright.local.workloads.logs import LogQuery
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.pod_status import pod_status
from gatewright.local.workloads.program import Socket
from gatewright.local.workloads.running import RunningPod
from gatewright.local.workloads.slices import target_number
from gatewright.local.workloads.templates import Pod
from gatewright.model import core
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

NODE = "gatewright"
HOST_IP = "127.0.0.1"
LINGER_SECONDS = 0.3
"""How long a terminating pod still takes new requests, so that proxies learn of its end before it closes."""

ServicesOf = Callable[[Pod], tuple[core.Service, ...]]


class Kubelet:
    """Runs the pods of the node `gatewright`. `ports_changed` is told of a pod whose listening ports changed."""

    def __init__(
        self,
        client: Client,
        pods: Collection[Key, Pod],
        lookup: Lookup,
        services_of: ServicesOf,
        addresses: PodAddresses,
        ports_changed: Callable[[Pod], None],
    ) -> None:
        self._client = client
        self._pods = pods
        self._lookup = lookup
        self._services_of = services_of
        self._addresses = addresses
        self._ports_changed = ports_changed
        self._running: dict[Key, RunningPod] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}  # by uid
        self.reconciler = Reconciler("pods", self.reconcile)

    async def register(self) -> None:
        """Create or refresh the Node object."""
        with contextlib.suppress(AlreadyExists):
            await self._client.create(_node())
        await self._client.patch(core.Node, Key("", NODE), {"status": _node_status()}, subresource="status")

    def real_port(self, pod: core.Pod, port: int, transport: str = "TCP") -> int | None:
        """The port that listens for a pod's `port`; None when nothing can be named."""
        running = self._running.get(pod.key)
        if running is None or running.uid != pod.metadata.uid:
            return None if pod.spec.node_name == NODE else port
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
            if not pod.deleting:
                await self._client.patch(core.Pod, key, _binding(pod))
            return
        if pod.spec.node_name != NODE:
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
            running = self._running[key] = self._start(pod)
        targets = self._targets(pod)
        if await running.advance(pod, self._lookup, targets):
            self._ports_changed(pod)
        if running.missing and running.missing != running.reported:
            running.reported = running.missing
            with contextlib.suppress(ClusterError):  # it only informs, and a namespace that goes takes none
                await self._client.create(_mount_failure(pod, running.missing))
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

    def _start(self, pod: Pod) -> RunningPod:
        key = pod.key

        def services() -> tuple[str, ...]:
            found = self._pods.get(key)
            return tuple(service.name for service in self._services_of(found)) if found else ()

        def changed() -> None:
            self.reconciler.enqueue(key)

        return RunningPod(pod, self._addresses, HOST_IP, NODE, services, changed)

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


def _mount_failure(pod: Pod, why: str) -> dict[str, Any]:
    """The event that a kubelet leaves for a volume that it can't set up."""
    now = timestamp()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{pod.name}.", "namespace": pod.namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.metadata.uid,
        },
        "type": "Warning",
        "reason": "FailedMount",
        "message": why,
        "source": {"component": "kubelet", "host": NODE},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "reportingComponent": "kubelet",
        "reportingInstance": NODE,
    }


def _binding(pod: Pod) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": pod.metadata.resource_version}, "spec": {"nodeName": NODE}}


def _same(pod: Pod, status: dict[str, Any]) -> bool:
    """Whether the pod has this status already, as far as it is read here."""
    return msgspec.convert(status, core.PodStatus) == msgspec.structs.replace(
        pod.status, qos_class="", reason="", message=""
    )


def _node() -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": _architecture(),
            },
            "annotations": {"gatewright.dev/stand-in": "pods of this node are stood in for on loopback"},
        },
        "spec": {"providerID": f"gatewright://{NODE}"},
    }


def _node_status() -> dict[str, Any]:
    now = timestamp()
    fine = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "gatewright stands in for a kubelet"),
    }
    room = {"cpu": "16", "memory": "64Gi", "pods": "10000", "ephemeral-storage": "100Gi"}
    return {
        "addresses": [{"type": "InternalIP", "address": HOST_IP}, {"type": "Hostname", "address": NODE}],
        "capacity": room,
        "allocatable": room,
        "conditions": [
            {
                "type": name,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for name, (status, reason, message) in fine.items()
        ],
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": platform.platform(terse=True),
            "containerRuntimeVersion": "gatewright://stand-in",
            "kubeletVersion": "v1.33.0",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": _architecture(),
        },
    }


def _architecture() -> str:
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
