"""StatefulSets, as far as an edge needs them: their pods, their order, their status."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from gatewright.cluster import AlreadyExists, Client, Reconciler
from gatewright.local.workloads.names import short_hash
from gatewright.local.workloads.replicas import available_in, is_active, pod_from
from gatewright.local.workloads.slices import is_ready
from gatewright.local.workloads.state import State
from gatewright.local.workloads.templates import Pod, StatefulSet
from gatewright.model import apps, core
from gatewright.model.meta import Key

REVISION_LABEL = "controller-revision-hash"


class StatefulSetController:
    """StatefulSet → pods with names of their own, made in order, replaced from the highest down."""

    def __init__(self, client: Client, state: State) -> None:
        self._client = client
        self._state = state
        self.reconciler = Reconciler("statefulsets", self.reconcile)

    async def reconcile(self, key: Key) -> None:
        """Bring one StatefulSet to where it should be."""
        stateful_set = self._state.stateful_sets.get(key)
        if stateful_set is None or stateful_set.deleting:
            return
        pods = {pod.name: pod for pod in self._state.pods_of.lookup(stateful_set.metadata.uid)}
        revision = f"{stateful_set.name}-{short_hash(stateful_set.spec.template)}"
        status = stateful_set_status(stateful_set, list(pods.values()), revision)
        if status != stateful_set.status:
            patch = {"status": {**msgspec.to_builtins(status)}}
            patch["status"].pop("conditions", None)
            await self._client.patch(apps.StatefulSet, key, patch, subresource="status")
        await self._step(stateful_set, pods, revision)
        waits = [w for pod in pods.values() if (w := available_in(pod, stateful_set.spec.min_ready_seconds))]
        if waits:
            self.reconciler.enqueue_later(key, min(waits))

    async def _step(self, stateful_set: StatefulSet, pods: dict[str, Pod], revision: str) -> None:
        in_order = stateful_set.spec.pod_management_policy != "Parallel"
        names = [f"{stateful_set.name}-{ordinal}" for ordinal in range(stateful_set.spec.replicas)]
        for ordinal, name in enumerate(names):
            pod = pods.get(name)
            if pod is None:
                try:
                    await self._client.create(_ordinal_pod(stateful_set, ordinal, revision, self._state.node))
                except AlreadyExists:  # made a moment ago: its event is on the way
                    return
            if in_order and (pod is None or pod.deleting or not is_ready(pod)):
                return
        beyond = [pod for name, pod in pods.items() if name not in names]
        outdated = [pods[name] for name in names if name in pods and revision_of(pods[name]) != revision]
        for pod in sorted(beyond or outdated[-1:], key=lambda pod: len(pod.name), reverse=True):
            if not pod.deleting:
                await self._client.delete(core.Pod, pod.key, uid=pod.metadata.uid)
            if in_order:
                return


def revision_of(pod: Pod) -> str:
    """The revision of the template that a pod is of."""
    return pod.metadata.labels.get(REVISION_LABEL, "")


def _ordinal_pod(stateful_set: StatefulSet, ordinal: int, revision: str, node: str) -> dict[str, Any]:
    name = f"{stateful_set.name}-{ordinal}"
    template = copy.deepcopy(stateful_set.spec.template)
    body = pod_from(
        template, stateful_set, {"name": name}, node, hostname=name, subdomain=stateful_set.spec.service_name
    )
    body["metadata"]["labels"] |= {
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(ordinal),
        REVISION_LABEL: revision,
    }
    return body


def stateful_set_status(stateful_set: StatefulSet, pods: list[Pod], revision: str) -> apps.StatefulSetStatus:
    """The status that follows from a StatefulSet's pods."""
    updated = sum(1 for pod in pods if revision_of(pod) == revision and is_active(pod))
    finished = updated == stateful_set.spec.replicas == len(pods) and all(is_ready(pod) for pod in pods)
    current = revision if finished or not stateful_set.status.current_revision else stateful_set.status.current_revision
    return msgspec.structs.replace(
        stateful_set.status,
        replicas=len(pods),
        observed_generation=stateful_set.metadata.generation,
        ready_replicas=sum(1 for pod in pods if is_ready(pod)),
        current_replicas=sum(1 for pod in pods if revision_of(pod) == current),
        updated_replicas=updated,
        available_replicas=sum(1 for pod in pods if available_in(pod, stateful_set.spec.min_ready_seconds) == 0),
        current_revision=current,
        update_revision=revision,
    )
