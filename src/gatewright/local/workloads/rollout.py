"""The arithmetic of a Deployment: which of its ReplicaSets should have how many replicas now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gatewright.local.workloads.templates import Deployment, ReplicaSet
from gatewright.model import apps
from gatewright.model.meta import Key

DESIRED_ANNOTATION = "deployment.kubernetes.io/desired-replicas"
"""On a ReplicaSet: the replicas that its Deployment asked for when it was last scaled."""


class Bounds(NamedTuple):
    """How far a rolling update may stray: pods more than asked for, pods fewer."""

    surge: int
    unavailable: int


def bounds(deployment: Deployment) -> Bounds:
    """`maxSurge` rounds up, `maxUnavailable` down; when both come to nothing one pod may be unavailable."""
    strategy, replicas = deployment.spec.strategy, deployment.spec.replicas
    if strategy.type == "Recreate":
        return Bounds(0, 0)
    rolling = strategy.rolling_update or apps.RollingUpdate()
    surge = math.ceil(_count(rolling.max_surge, replicas))
    unavailable = min(replicas, math.floor(_count(rolling.max_unavailable, replicas)))
    return Bounds(surge, unavailable or (0 if surge else 1))


def _count(value: int | str, replicas: int) -> float:
    if isinstance(value, str):
        return int(value.rstrip("%")) * replicas / 100
    return value


def first_replicas(deployment: Deployment, others: Sequence[ReplicaSet]) -> int:
    """How many replicas a new ReplicaSet begins with beside `others`."""
    if deployment.spec.strategy.type == "Recreate":
        return (
            deployment.spec.replicas if not any(other.status.replicas or other.spec.replicas for other in others) else 0
        )
    room = deployment.spec.replicas + bounds(deployment).surge - sum(other.spec.replicas for other in others)
    return max(0, min(deployment.spec.replicas, room))


def scales(
    deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], terminating: int
) -> dict[Key, int]:
    """The ReplicaSets to scale now, with their replicas; empty when the rollout has to wait or is done.

    `old` is sorted by age, the oldest first. `terminating` counts pods of the Deployment that are still on their way
    out; Recreate waits for them.
    """
    everyone = [*old, new] if new else list(old)
    if any(_scaled_since(deployment, replica_set) for replica_set in everyone if replica_set.spec.replicas):
        return _resize(deployment, new, old)
    if deployment.spec.paused:
        return _resize(deployment, new, old)
    if new is None:
        return {}
    if deployment.spec.strategy.type == "Recreate":
        return _recreate(deployment, new, old, terminating)
    return _roll(deployment, new, old)


def _scaled_since(deployment: Deployment, replica_set: ReplicaSet) -> bool:
    desired = replica_set.metadata.annotations.get(DESIRED_ANNOTATION)
    return desired is not None and desired != str(deployment.spec.replicas)


def _resize(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet]) -> dict[Key, int]:
    """A change of `spec.replicas`: during a rollout it is shared out in proportion to the sizes."""
    replicas = deployment.spec.replicas
    everyone = [*old, new] if new else list(old)
    active = [replica_set for replica_set in everyone if replica_set.spec.replicas]
    if len(active) <= 1:
        only = active[0] if active else new
        return {} if only is None or only.spec.replicas == replicas else {only.key: replicas}
    if new and new.status.available_replicas == new.spec.replicas == replicas:
        return {replica_set.key: 0 for replica_set in active if replica_set is not new}
    if deployment.spec.strategy.type == "Recreate":
        return {}
    total = sum(replica_set.spec.replicas for replica_set in active)
    allowed = replicas + bounds(deployment).surge if replicas else 0
    left = allowed - total
    by_size = sorted(active, key=lambda replica_set: -replica_set.spec.replicas)
    result: dict[Key, int] = {}
    for replica_set in by_size:
        before = int(replica_set.metadata.annotations.get(DESIRED_ANNOTATION, replicas)) or 1
        share = round(replica_set.spec.replicas * replicas / before) - replica_set.spec.replicas
        share = min(max(share, 0), left) if left > 0 else max(min(share, 0), left)
        result[replica_set.key] = replica_set.spec.replicas + share
        left -= share
    largest = by_size[0].key
    result[largest] = max(0, result[largest] + left)
    return {r.key: result[r.key] for r in active if result[r.key] != r.spec.replicas}


def _recreate(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet], terminating: int) -> dict[Key, int]:
    down = {replica_set.key: 0 for replica_set in old if replica_set.spec.replicas}
    if down:
        return down
    if terminating or any(replica_set.status.replicas for replica_set in old):
        return {}
    return {} if new.spec.replicas == deployment.spec.replicas else {new.key: deployment.spec.replicas}


def _roll(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> dict[Key, int]:
    replicas, limits = deployment.spec.replicas, bounds(deployment)
    if new.spec.replicas > replicas:
        return {new.key: replicas}
    total = sum(replica_set.spec.replicas for replica_set in (*old, new))
    if new.spec.replicas < replicas:
        more = min(replicas - new.spec.replicas, replicas + limits.surge - total)
        if more > 0:
            return {new.key: new.spec.replicas + more}
    least = replicas - limits.unavailable
    spare = total - least - (new.spec.replicas - new.status.available_replicas)
    if spare <= 0:
        return {}
    result = {replica_set.key: replica_set.spec.replicas for replica_set in old if replica_set.spec.replicas}
    # Pods that aren't available serve no one: they go first.
    for replica_set in old:
        if spare > 0 and replica_set.key in result:
            broken = max(0, replica_set.spec.replicas - replica_set.status.available_replicas)
            cut = min(spare, broken)
            result[replica_set.key] -= cut
            spare -= cut
    available = sum(replica_set.status.available_replicas for replica_set in (*old, new))
    spare = available - least
    for replica_set in old:
        if spare > 0 and replica_set.key in result:
            cut = min(spare, result[replica_set.key])
            result[replica_set.key] -= cut
            spare -= cut
    return {r.key: result[r.key] for r in old if r.key in result and result[r.key] != r.spec.replicas}


def outlived(deployment: Deployment, old: Sequence[ReplicaSet]) -> list[ReplicaSet]:
    """The former ReplicaSets beyond `revisionHistoryLimit`, once nothing of them runs; `old` is sorted by age."""
    idle = [r for r in old if not r.spec.replicas and not r.status.replicas and not r.deleting]
    return idle[: max(0, len(idle) - deployment.spec.revision_history_limit)]
