"""DaemonSets: a pod on every node that takes it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gatewright.cluster import AlreadyExists, Client, Reconciler
from gatewright.local.workloads.names import short_hash
from gatewright.local.workloads.nodes import host_of
from gatewright.local.workloads.replicas import available_in, is_active, pod_from
from gatewright.local.workloads.scheduling import takes
from gatewright.local.workloads.set_controllers import REVISION_LABEL, revision_of
from gatewright.local.workloads.slices import is_ready
from gatewright.local.workloads.state import State
from gatewright.local.workloads.templates import DaemonSet, Pod
from gatewright.model import apps, core
from gatewright.model.meta import Key

_NAME: Final = "metadata.name"
_TOLERATED: Final = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
"""What the pods of any DaemonSet tolerate (kubernetes.io/docs/concepts/workloads/controllers/daemonset)."""


class DaemonSetController:
    """DaemonSet → a pod on each node that takes it; one in all, where every pod is on the same node."""

    def __init__(self, client: Client, state: State) -> None:
        self._client = client
        self._state = state
        self.reconciler = Reconciler("daemonsets", self.reconcile)

    async def reconcile(self, key: Key) -> None:
        """Bring one DaemonSet to where it should be."""
        daemon_set = self._state.daemon_sets.get(key)
        if daemon_set is None or daemon_set.deleting:
            return
        pods = [pod for pod in self._state.pods_of.lookup(daemon_set.metadata.uid) if is_active(pod)]
        revision = short_hash(daemon_set.spec.template)
        nodes = self._eligible(daemon_set)
        status = daemon_set_status(daemon_set, pods, revision, len(nodes))
        if status != daemon_set.status:
            patch = {"status": {**msgspec.to_builtins(status)}}
            patch["status"].pop("conditions", None)
            await self._client.patch(apps.DaemonSet, key, patch, subresource="status")
        covered = {self._node_of(pod) for pod in pods}
        for node in nodes:
            if node not in covered:
                await self._create(daemon_set, revision, node)
        for pod in self._surplus(pods, nodes, revision):
            await self._client.delete(core.Pod, pod.key, uid=pod.metadata.uid)
        waits = [wait for pod in pods if (wait := available_in(pod, daemon_set.spec.min_ready_seconds))]
        if waits:
            self.reconciler.enqueue_later(key, min(waits))

    def _eligible(self, daemon_set: DaemonSet) -> list[str]:
        """The names of the nodes that are to have a pod."""
        if self._state.node:
            return [self._state.node]
        pod = msgspec.convert({"metadata": {"name": ""}, "spec": _tolerant(daemon_set)}, Pod)
        nodes = [node for node in self._state.nodes.values() if host_of(node) is not None and not node.deleting]
        return sorted(node.name for node in nodes if takes(node, pod))

    def _node_of(self, pod: Pod) -> str:
        """The node that a pod is on, or is made for."""
        return pod.spec.node_name or _made_for(pod) or self._state.node

    def _surplus(self, pods: list[Pod], nodes: list[str], revision: str) -> list[Pod]:
        """Pods to delete: those of nodes that don't take them, and outdated ones, one at a time on several nodes."""
        beyond = [pod for pod in pods if self._node_of(pod) not in nodes]
        outdated = [pod for pod in pods if pod not in beyond and revision_of(pod) != revision]
        if len(nodes) > 1 and any(not is_ready(pod) for pod in pods if revision_of(pod) == revision):
            outdated = []
        return beyond + (outdated[:1] if len(nodes) > 1 else outdated)

    async def _create(self, daemon_set: DaemonSet, revision: str, node: str) -> None:
        # A name that follows from the template: made twice it is refused, not doubled.
        several = () if self._state.node else (node,)
        name = f"{daemon_set.name}-{short_hash(daemon_set.metadata.uid, revision, *several, length=5)}"
        template = daemon_set.spec.template
        if not self._state.node:
            template = {**template, "spec": _bound(_tolerant(daemon_set), node)}
        body = pod_from(template, daemon_set, {"name": name}, self._state.node)
        body["metadata"]["labels"][REVISION_LABEL] = revision
        try:
            await self._client.create(body)
        except AlreadyExists:  # made a moment ago, or its predecessor is still ending
            return


def _tolerant(daemon_set: DaemonSet) -> dict[str, Any]:
    """The pods' specification, with what every DaemonSet tolerates."""
    spec = daemon_set.spec.template.get("spec") or {}
    more = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in _TOLERATED]
    return {**spec, "tolerations": [*(spec.get("tolerations") or ()), *more]}


def _bound(spec: dict[str, Any], node: str) -> dict[str, Any]:
    """A specification that only one node satisfies; how a DaemonSet tells the scheduler where a pod belongs."""
    affinity = spec.get("affinity") or {}
    own = affinity.get("nodeAffinity") or {}
    required = (own.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or [{}]
    here = [{"key": _NAME, "operator": "In", "values": [node]}]
    terms = [{**term, "matchFields": here} for term in required]
    wanted = {**own, "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {**spec, "affinity": {**affinity, "nodeAffinity": wanted}}


def _made_for(pod: Pod) -> str:
    affinity = pod.spec.affinity.node_affinity
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    for term in required.node_selector_terms if required else ():
        for field in term.match_fields:
            if field.key == _NAME and field.values:
                return field.values[0]
    return ""


def daemon_set_status(daemon_set: DaemonSet, pods: list[Pod], revision: str, wanted: int) -> apps.DaemonSetStatus:
    """The status that follows from a DaemonSet's pods, of which there are to be `wanted`."""
    available = sum(1 for pod in pods if available_in(pod, daemon_set.spec.min_ready_seconds) == 0)
    return msgspec.structs.replace(
        daemon_set.status,
        current_number_scheduled=min(wanted, len(pods)),
        desired_number_scheduled=wanted,
        number_ready=min(wanted, sum(1 for pod in pods if is_ready(pod))),
        observed_generation=daemon_set.metadata.generation,
        updated_number_scheduled=min(wanted, sum(1 for pod in pods if revision_of(pod) == revision)),
        number_available=min(wanted, available),
        number_unavailable=max(0, wanted - available),
    )
