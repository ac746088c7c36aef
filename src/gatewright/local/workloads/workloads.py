"""The whole stand-in: watches the cluster, and runs what it finds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self, TypeVar

from gatewright.cluster import Client, Reconciler
from gatewright.flow import Change, Collection
from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.daemon_sets import DaemonSetController
from gatewright.local.workloads.deployment_controller import DeploymentController, ReplicaSetController
from gatewright.local.workloads.environment import references
from gatewright.local.workloads.kubelet import Kubelet
from gatewright.local.workloads.logs import LogQuery
from gatewright.local.workloads.nodes import NODE
from gatewright.local.workloads.programs import Launcher, Programs
from gatewright.local.workloads.scheduler import Scheduler
from gatewright.local.workloads.service_controller import ServiceController
from gatewright.local.workloads.set_controllers import StatefulSetController
from gatewright.local.workloads.slices import Backend
from gatewright.local.workloads.state import State
from gatewright.local.workloads.templates import Node, Pod, ReplicaSet
from gatewright.local.workloads.volumes import volume_references
from gatewright.model import core, discovery
from gatewright.model.meta import Key, Object

T = TypeVar("T", bound=Object)


class Workloads:
    """Runs the Deployments, ReplicaSets, StatefulSets, DaemonSets and Pods of a cluster that has no nodes.

    `async with` returns once the cluster has been read and the node is registered; what was there already starts then.
    """

    def __init__(
        self,
        client: Client,
        *,
        addresses: PodAddresses | None = None,
        backends: Iterable[Backend] = (),
        programs: Programs | None = None,
        own_node: bool = True,
    ) -> None:
        """`programs` are images whose program really runs; without them all pods are stood in for.

        Without `own_node`, pods wait until a scheduler has found a node for them: those count that are annotated as
        stood in for (`nodes.STAND_IN`), whoever made them. Their taints, labels and room decide as in a real cluster.
        """
        self._client = client
        self._launcher = Launcher(client, programs)
        self._state = state = State(NODE if own_node else "")
        self._kubelet = Kubelet(
            client,
            state.pods,
            state.lookup,
            state.services_of,
            addresses or PodAddresses(),
            self._ports_changed,
            self._launcher,
            state.host_of,
            state.node,
        )
        self._scheduler = Scheduler(client, state)
        self._services = ServiceController(client, state, self._kubelet.real_port, backends)
        self._deployments = DeploymentController(client, state)
        self._replica_sets = ReplicaSetController(client, state)
        self._stateful_sets = StatefulSetController(client, state)
        self._daemon_sets = DaemonSetController(client, state)
        self._reconcilers = (
            self._deployments.reconciler,
            self._stateful_sets.reconciler,
            self._daemon_sets.reconciler,
            self._replica_sets.reconciler,
            self._scheduler.reconciler,
            self._kubelet.reconciler,
            self._services.reconciler,
        )
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run until cancelled."""
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._kubelet.close)
            stack.push_async_callback(self._launcher.stop)
            await self._kubelet.register()
            for reconciler in self._reconcilers:
                await stack.enter_async_context(reconciler)
            async with asyncio.TaskGroup() as group:
                reflectors = self._state.reflectors(self._client)
                for reflector in reflectors:
                    group.create_task(reflector.run())
                for reflector in reflectors:
                    await reflector.synced()
                # Only a whole view may be acted on: without its pods a ReplicaSet would look empty.
                self._subscribe()
                group.create_task(self._services.resolve_backends())
                self._started.set()

    async def logs(self, query: LogQuery) -> AsyncIterator[bytes]:
        """A container's log, in the shape in which the embedded API asks for it (`pods/log`)."""
        async for chunk in self._kubelet.logs(query):
            yield chunk

    async def idle(self) -> None:
        """Return when everything that is known of is where it should be; writes may still be on their way back."""
        for reconciler in self._reconcilers:
            await reconciler.idle()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.run(), name="workloads")
        started = asyncio.create_task(self._started.wait())
        try:
            await asyncio.wait({self._task, started}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.__aexit__()
            raise
        finally:
            started.cancel()
        if self._task.done():
            await self._task
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _subscribe(self) -> None:
        state = self._state
        state.deployments.subscribe(lambda changes: _each(changes, self._deployments.reconciler.enqueue))
        state.replica_sets.subscribe(self._replica_sets_changed)
        state.stateful_sets.subscribe(lambda changes: _each(changes, self._stateful_sets.reconciler.enqueue))
        state.daemon_sets.subscribe(lambda changes: _each(changes, self._daemon_sets.reconciler.enqueue))
        state.pods.subscribe(self._pods_changed)
        if not state.node:
            state.pods.subscribe(self._scheduler.pods_changed)
            state.nodes.subscribe(self._nodes_changed)
        state.services.subscribe(self._services_changed)
        state.slices.subscribe(self._slices_changed)
        state.config_maps.subscribe(lambda changes: self._sources_changed(changes, 0))
        state.secrets.subscribe(lambda changes: self._sources_changed(changes, 1))
        everything: tuple[tuple[Collection[Key, Any], Reconciler[Key]], ...] = (
            (state.deployments, self._deployments.reconciler),
            (state.replica_sets, self._replica_sets.reconciler),
            (state.stateful_sets, self._stateful_sets.reconciler),
            (state.daemon_sets, self._daemon_sets.reconciler),
            (state.pods, self._kubelet.reconciler),
            (state.services, self._services.reconciler),
        )
        for collection, reconciler in everything:
            for key in tuple(collection.keys()):
                reconciler.enqueue(key)
        if not state.node:
            for key in tuple(state.pods.keys()):
                self._scheduler.reconciler.enqueue(key)

    def _nodes_changed(self, changes: list[Change[Key, Node]]) -> None:
        self._scheduler.nodes_changed(changes)
        for change in changes:
            for pod in self._state.pods_on.lookup(change.key.name):
                self._kubelet.reconciler.enqueue(pod.key)
        for key in tuple(self._state.daemon_sets.keys()):
            self._daemon_sets.reconciler.enqueue(key)

    def _replica_sets_changed(self, changes: list[Change[Key, ReplicaSet]]) -> None:
        for change in changes:
            self._replica_sets.reconciler.enqueue(change.key)
            replica_set = change.new or change.old
            if replica_set:
                self._enqueue_owner(replica_set)

    def _pods_changed(self, changes: list[Change[Key, Pod]]) -> None:
        for change in changes:
            self._kubelet.reconciler.enqueue(change.key)
            for pod in (change.old, change.new):
                if pod:
                    for service in self._state.services_of(pod):
                        self._services.reconciler.enqueue(service.key)
            pod = change.new or change.old
            if pod:
                self._enqueue_owner(pod)

    def _enqueue_owner(self, obj: Object) -> None:
        for owner in obj.metadata.owner_references:
            key = Key(obj.namespace, owner.name)
            if not owner.controller:
                continue
            if owner.kind == "ReplicaSet":
                self._replica_sets.reconciler.enqueue(key)
                # A Deployment that recreates its pods waits for the last one to be gone.
                replica_set = self._state.replica_sets.get(key)
                if replica_set and obj.deleting:
                    self._enqueue_owner(replica_set)
            elif owner.kind == "Deployment":
                self._deployments.reconciler.enqueue(key)
            elif owner.kind == "StatefulSet":
                self._stateful_sets.reconciler.enqueue(key)
            elif owner.kind == "DaemonSet":
                self._daemon_sets.reconciler.enqueue(key)

    def _services_changed(self, changes: list[Change[Key, core.Service]]) -> None:
        for change in changes:
            self._services.reconciler.enqueue(change.key)
            if change.new:
                for pod in self._state.selected_by(change.new):
                    self._kubelet.reconciler.enqueue(pod.key)  # it may have to listen on a further port

    def _slices_changed(self, changes: list[Change[Key, discovery.EndpointSlice]]) -> None:
        for change in changes:
            found = change.old or change.new
            if found:
                self._services.reconciler.enqueue(Key(found.namespace, found.service_name))

    def _sources_changed(self, changes: list[Change[Key, T]], kind: int) -> None:
        """Pods that wait for a ConfigMap (kind 0) or Secret (kind 1) look again."""
        for change in changes:
            for pod in self._state.pods_in.lookup(change.key.namespace):
                if change.key.name in references(pod)[kind] | volume_references(pod)[kind]:
                    self._kubelet.reconciler.enqueue(pod.key)

    def _ports_changed(self, pod: Pod) -> None:
        for service in self._state.services_of(pod):
            self._services.reconciler.enqueue(service.key)


def _each(changes: Iterable[Change[Key, T]], enqueue: Callable[[Key], None]) -> None:
    for change in changes:
        enqueue(change.key)
