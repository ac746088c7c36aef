"""Gives pods their nodes, and takes pods away from nodes that are gone or don't want them any more."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import structlog

from gatewright.cluster import Client, ClusterError, Conflict, NotFound, Reconciler
from gatewright.flow import Change
from gatewright.local.workloads.events import pod_event
from gatewright.local.workloads.kubelet import binding
from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.nodes import host_of
from gatewright.local.workloads.scheduling import Placed, evicts, place
from gatewright.local.workloads.state import State
from gatewright.local.workloads.templates import Node, Pod
from gatewright.model import core
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

NAME = "default-scheduler"
"""The scheduler that a pod names, or none, whose pods are placed here."""


class Scheduler:
    """The scheduler, and what deletes pods of nodes that are gone or have a taint NoExecute (a toleration with
    `tolerationSeconds` is for ever).
    """

    def __init__(self, client: Client, state: State) -> None:
        self._client = client
        self._state = state
        self._bound: dict[Key, tuple[str, str]] = {}
        """By pod: its uid, and the node that it was given a moment ago; its event is on the way."""
        self._waiting: dict[Key, tuple[str, str]] = {}
        """By pod: its uid, and why it has no node."""
        self.reconciler = Reconciler("scheduling", self.reconcile)

    def pods_changed(self, changes: list[Change[Key, Pod]]) -> None:
        """Look at pods that changed; what waits may fit now."""
        freed = False
        for change in changes:
            self.reconciler.enqueue(change.key)
            old, new = change.old, change.new
            if old and old.spec.node_name and (new is None or new.status.phase in ("Succeeded", "Failed")):
                freed = True
            if old and new and old.metadata.labels != new.metadata.labels:
                freed = True
        if freed:
            self._try_again()

    def nodes_changed(self, changes: list[Change[Key, Node]]) -> None:
        """Look at the pods of nodes that changed, and at those that wait."""
        for change in changes:
            for pod in self._state.pods_on.lookup(change.key.name):
                self.reconciler.enqueue(pod.key)
        self._try_again()

    def _try_again(self) -> None:
        for key in tuple(self._waiting):
            self.reconciler.enqueue(key)

    async def reconcile(self, key: Key) -> None:
        """Bring one pod to where it should be."""
        pod = self._state.pods.get(key)
        if pod is None or pod.spec.node_name or pod.deleting or pod.spec.scheduler_name not in ("", NAME):
            self._bound.pop(key, None)
            self._waiting.pop(key, None)
            if pod and pod.spec.node_name:
                await self._check(pod)
            return
        if self._bound.get(key, ("", ""))[0] == pod.metadata.uid or pod.status.phase in ("Succeeded", "Failed"):
            return
        # No other pod may be placed between this look at the cluster and the note of what follows from it.
        verdict = place(pod, self._nodes(), self._placed())
        if isinstance(verdict, Placed):
            self._bound[key] = pod.metadata.uid, verdict.node
            self._waiting.pop(key, None)
            await self._bind(pod, verdict.node)
            return
        told = self._waiting.get(key)
        self._waiting[key] = pod.metadata.uid, verdict.message
        if told != self._waiting[key]:
            await self._refuse(pod, verdict.message)

    def _nodes(self) -> list[Node]:
        """Nodes whose pods are stood in for, by name."""
        found = [node for node in self._state.nodes.values() if host_of(node) is not None and not node.deleting]
        return sorted(found, key=lambda node: node.name)

    def _placed(self) -> list[Pod]:
        """Pods with a node, also those whose binding isn't seen yet."""
        found = []
        for key, pod in self._state.pods.items():
            uid, node = self._bound.get(key, ("", ""))
            if pod.spec.node_name:
                found.append(pod)
            elif uid == pod.metadata.uid:
                spec = msgspec.structs.replace(pod.spec, node_name=node)
                found.append(msgspec.structs.replace(pod, spec=spec))
        return found

    async def _bind(self, pod: Pod, node: str) -> None:
        try:
            await self._client.patch(core.Pod, pod.key, binding(pod, node))
        except ClusterError:
            self._bound.pop(pod.key, None)
            raise
        message = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        await self._report(pod, "Scheduled", message, kind="Normal")

    async def _refuse(self, pod: Pod, why: str) -> None:
        known = {condition.type: condition for condition in pod.status.conditions}
        before = known.pop("PodScheduled", None)
        if before is None or before.message != why or before.status != "False":
            since = before.last_transition_time if before and before.status == "False" else ""
            refused = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": why,
                "lastTransitionTime": since or timestamp(),
            }
            others = [msgspec.to_builtins(condition) for condition in known.values()]
            patch: dict[str, Any] = {
                "metadata": {"resourceVersion": pod.metadata.resource_version},
                "status": {"phase": "Pending", "conditions": [*others, refused]},
            }
            try:
                await self._client.patch(core.Pod, pod.key, patch, subresource="status")
            except Conflict:
                self._waiting.pop(pod.key, None)  # its event brings it back
                raise
        await self._report(pod, "FailedScheduling", why)

    async def _check(self, pod: Pod) -> None:
        """Delete a pod whose node is gone, or doesn't want it any more."""
        node = self._state.nodes.get(Key("", pod.spec.node_name))
        if node is None:
            with contextlib.suppress(NotFound, Conflict):
                await self._client.delete(core.Pod, pod.key, grace_period=0, uid=pod.metadata.uid)
        elif not pod.deleting and evicts(node, pod):
            await self._report(pod, "TaintManagerEviction", f"Marking for deletion Pod {pod.key}", kind="Normal")
            with contextlib.suppress(NotFound, Conflict):
                await self._client.delete(core.Pod, pod.key, uid=pod.metadata.uid)

    async def _report(self, pod: Pod, reason: str, message: str, *, kind: str = "Warning") -> None:
        with contextlib.suppress(ClusterError):  # it only informs, and a namespace that goes takes none
            await self._client.create(pod_event(pod, reason, message, component=NAME, kind=kind))
