"""What a Deployment's status says, and the ReplicaSets that it makes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gatewright.local.workloads.names import controller_reference, short_hash
from gatewright.local.workloads.rollout import DESIRED_ANNOTATION, bounds
from gatewright.local.workloads.templates import Deployment, ReplicaSet, Template
from gatewright.model import apps, core

HASH_LABEL = "pod-template-hash"
REVISION_ANNOTATION = "deployment.kubernetes.io/revision"
HISTORY_ANNOTATION = "deployment.kubernetes.io/revision-history"
MAX_ANNOTATION = "deployment.kubernetes.io/max-replicas"
_OWN_ANNOTATIONS = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION_ANNOTATION,
    HISTORY_ANNOTATION,
    DESIRED_ANNOTATION,
    MAX_ANNOTATION,
    "deprecated.deployment.rollback.to",
)


class Owned(NamedTuple):
    """A Deployment's ReplicaSets: the one of its present template, and the former ones, the oldest first."""

    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]

    @property
    def all(self) -> tuple[ReplicaSet, ...]:
        """Every one."""
        return (*self.old, self.new) if self.new else self.old


def owned(deployment: Deployment, replica_sets: Sequence[ReplicaSet]) -> Owned:
    """Sort a Deployment's ReplicaSets into new and old."""
    by_age = sorted(replica_sets, key=lambda r: (r.metadata.creation_timestamp, revision(r), r.name))
    wanted = _without_hash(deployment.spec.template)
    new = next((r for r in by_age if _without_hash(r.spec.template) == wanted), None)
    return Owned(new, tuple(r for r in by_age if r is not new))


def _without_hash(template: Template) -> Template:
    metadata = {name: value for name, value in (template.get("metadata") or {}).items() if value}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH_LABEL}
    metadata.pop("creationTimestamp", None)
    return {"metadata": {**metadata, "labels": labels}, "spec": template.get("spec") or {}}


def revision(replica_set: ReplicaSet) -> int:
    """The revision that a ReplicaSet is; 0 before it has one."""
    text = replica_set.metadata.annotations.get(REVISION_ANNOTATION, "")
    return int(text) if text.isdecimal() else 0


def next_revision(those: Owned) -> int:
    """The revision of the new ReplicaSet: one more than any former one."""
    return max((revision(r) for r in those.old), default=0) + 1


def annotations_of(deployment: Deployment, those: Owned) -> dict[str, str]:
    """The annotations of the new ReplicaSet: the Deployment's own, its revision and those that it was before."""
    result = {k: v for k, v in deployment.metadata.annotations.items() if k not in _OWN_ANNOTATIONS}
    number = next_revision(those)
    if those.new:
        before = those.new.metadata.annotations
        number = max(number, revision(those.new))
        history = [part for part in before.get(HISTORY_ANNOTATION, "").split(",") if part]
        if revision(those.new) and number > revision(those.new):
            history.append(str(revision(those.new)))
        if history:
            result[HISTORY_ANNOTATION] = ",".join(history)
    result[REVISION_ANNOTATION] = str(number)
    return result


def scale_annotations(deployment: Deployment) -> dict[str, str]:
    """The annotations that record for which size of the Deployment a ReplicaSet was scaled."""
    replicas = deployment.spec.replicas
    return {DESIRED_ANNOTATION: str(replicas), MAX_ANNOTATION: str(replicas + bounds(deployment).surge)}


def template_hash(deployment: Deployment) -> str:
    """The value of `pod-template-hash`; `collisionCount` gives another one where two templates have the same."""
    return short_hash(_without_hash(deployment.spec.template), deployment.status.collision_count or 0)


def replica_set_of(deployment: Deployment, those: Owned, replicas: int) -> dict[str, Any]:
    """The ReplicaSet for a Deployment's present template."""
    suffix = template_hash(deployment)
    template = copy.deepcopy(deployment.spec.template)
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = suffix
    selector = msgspec.to_builtins(deployment.spec.selector)
    selector["matchLabels"] = {**selector.get("matchLabels", {}), HASH_LABEL: suffix}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment.name}-{suffix}",
            "namespace": deployment.namespace,
            "labels": dict(labels),
            "annotations": {**annotations_of(deployment, those), **scale_annotations(deployment)},
            "ownerReferences": [controller_reference(deployment)],
        },
        "spec": {
            "replicas": replicas,
            "minReadySeconds": deployment.spec.min_ready_seconds,
            "selector": selector,
            "template": template,
        },
    }


class Progress(NamedTuple):
    """What the last runs saw of a rollout. `stalled` says that nothing has moved for `progressDeadlineSeconds`."""

    created: str = ""
    """The name of a ReplicaSet that was just made."""
    stalled: bool = False


def deployment_status(deployment: Deployment, those: Owned, progress: Progress, now: str) -> apps.DeploymentStatus:
    """The status that follows from the ReplicaSets."""
    total = sum(r.status.replicas for r in those.all)
    available = sum(r.status.available_replicas for r in those.all)
    status = msgspec.structs.replace(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=total,
        updated_replicas=those.new.status.replicas if those.new else 0,
        ready_replicas=sum(r.status.ready_replicas for r in those.all),
        available_replicas=available,
        unavailable_replicas=max(0, sum(r.spec.replicas for r in those.all) - available),
    )
    before = {condition.type: condition for condition in deployment.status.conditions}
    conditions = [
        _since(before, _available(deployment, available), now),
        _since(before, _progressing(deployment, those, status, progress, before.get("Progressing")), now),
    ]
    conditions += [condition for name, condition in before.items() if name not in ("Available", "Progressing")]
    return msgspec.structs.replace(status, conditions=tuple(conditions))


def is_complete(deployment: Deployment, status: apps.DeploymentStatus) -> bool:
    """Whether every pod is of the present template and available."""
    replicas = deployment.spec.replicas
    return status.updated_replicas == status.replicas == status.available_replicas == replicas


def _available(deployment: Deployment, available: int) -> core.PlainCondition:
    least = deployment.spec.replicas - bounds(deployment).unavailable
    if available >= least:
        message = "Deployment has minimum availability."
        return core.PlainCondition(type="Available", status="True", reason="MinimumReplicasAvailable", message=message)
    message = "Deployment does not have minimum availability."
    return core.PlainCondition(type="Available", status="False", reason="MinimumReplicasUnavailable", message=message)


def _progressing(
    deployment: Deployment,
    those: Owned,
    status: apps.DeploymentStatus,
    progress: Progress,
    before: core.PlainCondition | None,
) -> core.PlainCondition:
    def condition(value: str, reason: str, message: str) -> core.PlainCondition:
        return core.PlainCondition(type="Progressing", status=value, reason=reason, message=message)

    name = those.new.name if those.new else ""
    if deployment.spec.paused:
        return condition("Unknown", "DeploymentPaused", "Deployment is paused")
    if progress.created:
        return condition("True", "NewReplicaSetCreated", f'Created new replica set "{progress.created}"')
    if those.new and is_complete(deployment, status):
        return condition("True", "NewReplicaSetAvailable", f'ReplicaSet "{name}" has successfully progressed.')
    done = before is not None and before.reason == "NewReplicaSetAvailable" and f'"{name}"' in before.message
    if done and before and status.updated_replicas == status.replicas:
        return before  # a finished rollout stays finished when a pod fails or the size changes
    if progress.stalled:
        return condition("False", "ProgressDeadlineExceeded", f'ReplicaSet "{name}" has timed out progressing.')
    if before and before.reason == "DeploymentPaused":
        return condition("Unknown", "DeploymentResumed", "Deployment is resumed")
    return condition("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')


def _since(before: Mapping[str, core.PlainCondition], condition: core.PlainCondition, now: str) -> core.PlainCondition:
    old = before.get(condition.type)
    since = old.last_transition_time if old and old.status == condition.status else now
    return msgspec.structs.replace(condition, last_transition_time=since)


def status_patch(before: apps.DeploymentStatus, status: apps.DeploymentStatus, now: str) -> dict[str, Any]:
    """The merge patch that writes a status; a count of nothing is left out of it, as the API has it."""
    old = {condition.type: condition for condition in before.conditions}
    counts = {
        "observedGeneration": status.observed_generation,
        "replicas": status.replicas,
        "updatedReplicas": status.updated_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
        "unavailableReplicas": status.unavailable_replicas,
    }
    conditions = []
    for condition in status.conditions:
        fields = msgspec.to_builtins(condition)
        changed = old.get(condition.type) != condition
        fields["lastUpdateTime"] = now if changed else condition.last_transition_time
        conditions.append(fields)
    return {"status": {**{name: value or None for name, value in counts.items()}, "conditions": conditions}}
