"""Pods that are counted: which to make and which to delete, and the status that follows (ReplicaSets)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gatewright.local.workloads.names import controller_reference, seconds_since
from gatewright.local.workloads.slices import is_ready
from gatewright.local.workloads.templates import Pod, ReplicaSet, Template
from gatewright.model import apps
from gatewright.model.meta import Object

_FORGOTTEN_AFTER = 5.0  # seconds; a write whose event never came, as after a relist


class Expectations:
    """Own writes that the watch hasn't shown yet, by owner: so that what was just made isn't made again."""

    def __init__(self) -> None:
        self._created: dict[str, dict[str, float]] = {}
        self._deleted: dict[str, dict[str, float]] = {}

    def created(self, owner: str, uid: str) -> None:
        """`owner` has made the pod `uid`."""
        self._created.setdefault(owner, {})[uid] = _now()

    def deleted(self, owner: str, uid: str) -> None:
        """`owner` has deleted the pod `uid`."""
        self._deleted.setdefault(owner, {})[uid] = _now()

    def pending(self, owner: str, pods: Iterable[Pod]) -> tuple[int, set[str]]:
        """How many pods are made but not seen, and the uids of those that are seen but deleted."""
        seen = {pod.metadata.uid: pod for pod in pods}
        created = [uid for uid in self._recent(self._created, owner) if uid not in seen]
        deleted = [uid for uid in self._recent(self._deleted, owner) if uid in seen and not seen[uid].deleting]
        _keep(self._created, owner, created)
        _keep(self._deleted, owner, deleted)
        return len(created), set(deleted)

    @staticmethod
    def _recent(of: dict[str, dict[str, float]], owner: str) -> list[str]:
        oldest = _now() - _FORGOTTEN_AFTER
        return [uid for uid, at in of.get(owner, {}).items() if at > oldest]


def _keep(of: dict[str, dict[str, float]], owner: str, uids: list[str]) -> None:
    before = of.pop(owner, {})
    if uids:
        of[owner] = {uid: before[uid] for uid in uids}


def _now() -> float:
    return asyncio.get_running_loop().time()


def is_active(pod: Pod) -> bool:
    """Whether the pod counts: it isn't on its way out and hasn't ended."""
    return not pod.deleting and pod.status.phase not in ("Succeeded", "Failed")


def victims(pods: Sequence[Pod], count: int) -> list[Pod]:
    """Which pods to delete first: those that serve least, and of equals the youngest."""

    def worth(pod: Pod) -> tuple[bool, bool, bool]:
        return bool(pod.spec.node_name), pod.status.phase == "Running", is_ready(pod)

    youngest_first = sorted(pods, key=lambda pod: (pod.metadata.creation_timestamp, pod.name), reverse=True)
    return sorted(youngest_first, key=worth)[:count]


def ready_for(pod: Pod) -> float:
    """For how many seconds the pod has been ready; -1 when it isn't."""
    for condition in pod.status.conditions:
        if condition.type == "Ready" and condition.status == "True":
            return max(0.0, seconds_since(condition.last_transition_time))
    return -1.0


def available_in(pod: Pod, min_ready_seconds: int) -> float | None:
    """Seconds until a ready pod counts as available (0: it does); None for one that isn't ready."""
    since = ready_for(pod)
    if since < 0:
        return None
    return max(0.0, min_ready_seconds - since) if min_ready_seconds else 0.0


def replica_set_status(replica_set: ReplicaSet, pods: Sequence[Pod]) -> apps.ReplicaSetStatus:
    """The status that follows from a ReplicaSet's pods."""
    active = [pod for pod in pods if is_active(pod)]
    labels = (replica_set.spec.template.get("metadata") or {}).get("labels") or {}
    return msgspec.structs.replace(
        replica_set.status,
        replicas=len(active),
        fully_labeled_replicas=sum(1 for pod in active if labels.items() <= pod.metadata.labels.items()),
        ready_replicas=sum(1 for pod in active if is_ready(pod)),
        available_replicas=sum(1 for pod in active if available_in(pod, replica_set.spec.min_ready_seconds) == 0),
        observed_generation=replica_set.metadata.generation,
    )


def pod_from(template: Template, owner: Object, name: dict[str, str], node: str, **spec: Any) -> dict[str, Any]:
    """A pod of a template for `owner`, on a node, or waiting for one (empty).

    `name` is its `name` or `generateName`.
    """
    metadata = template.get("metadata") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **name,
            "namespace": owner.namespace,
            "labels": {**(metadata.get("labels") or {})},
            "annotations": {**(metadata.get("annotations") or {})},
            "ownerReferences": [controller_reference(owner)],
            **({"finalizers": metadata["finalizers"]} if metadata.get("finalizers") else {}),
        },
        "spec": {**({"nodeName": node} if node else {}), **(template.get("spec") or {}), **spec},
    }
