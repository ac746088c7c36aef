"""The objects that an Application is to have: their identity, waves and options, and how they are known as its own."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct

from gatewright.model.kinds import Kind
from gatewright.model.meta import Key

ANNOTATIONS: Final = "argocd.argoproj.io/"
TRACKING: Final = f"{ANNOTATIONS}tracking-id"
WAVE: Final = f"{ANNOTATIONS}sync-wave"
HOOK: Final = f"{ANNOTATIONS}hook"
OPTIONS: Final = f"{ANNOTATIONS}sync-options"
COMPARE_OPTIONS: Final = f"{ANNOTATIONS}compare-options"
IGNORE_HEALTH: Final = f"{ANNOTATIONS}ignore-healthcheck"
HELM_HOOK: Final = "helm.sh/hook"
HELM_POLICY: Final = "helm.sh/resource-policy"


class ResourceId(NamedTuple):
    """An object's identity, whatever its version."""

    group: str
    kind: str
    key: Key

    def __str__(self) -> str:
        return f"{f'{self.group}/' if self.group else ''}{self.kind}/{self.key.name}"


class Resource(Struct, frozen=True):
    """One object that is wanted, as it is to be applied."""

    kind: Kind
    key: Key
    content: dict[str, Any]

    @property
    def group(self) -> str:
        """The API group."""
        return self.kind.group

    @property
    def id(self) -> ResourceId:
        """The identity."""
        return ResourceId(self.kind.group, self.kind.kind, self.key)

    @property
    def wave(self) -> int:
        """When it is its turn; the lower, the earlier."""
        return wave_of(self.content)

    @property
    def hooks(self) -> tuple[str, ...]:
        """The phases that it is a hook of."""
        return hooks_of(self.content)

    def option(self, name: str, value: str) -> bool:
        """Whether its own sync options hold `NAME=VALUE`."""
        return f"{name}={value}" in _listed(self.content, OPTIONS)

    @property
    def extraneous(self) -> bool:
        """Whether it is ignored where it isn't wanted."""
        return "IgnoreExtraneous" in _listed(self.content, COMPARE_OPTIONS)


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """An object's annotations."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def wave_of(obj: Mapping[str, Any]) -> int:
    """An object's wave; 0 where it names none, or no number."""
    try:
        return int(annotations_of(obj).get(WAVE, "0"))
    except ValueError:
        return 0


def hooks_of(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """The hooks that an object is, Argo CD's or Helm's."""
    found = _listed(obj, HOOK) or tuple(f"helm:{name}" for name in _listed(obj, HELM_HOOK))
    return tuple(name for name in found if name not in ("helm:test", "helm:crd-install"))


def options_of(obj: Mapping[str, Any]) -> tuple[str, ...]:
    """An object's own sync options."""
    return _listed(obj, OPTIONS)


def survives(obj: Mapping[str, Any], identity: ResourceId, policy: Collection[str]) -> bool:
    """Whether an object stays when its Application is deleted; `policy`: the Application's own sync options."""
    if (identity.group, identity.kind) == ("apiextensions.k8s.io", "CustomResourceDefinition"):
        return True
    options = [option for option in options_of(obj) if option.startswith("Delete=")] or policy
    return "Delete=false" in options or "keep" in _listed(obj, HELM_POLICY)


def _listed(obj: Mapping[str, Any], annotation: str) -> tuple[str, ...]:
    text = annotations_of(obj).get(annotation, "")
    return tuple(part.strip() for part in text.split(",") if part.strip())


def tracking_id(instance: str, identity: ResourceId) -> str:
    """What an Application's objects are annotated with (Argo CD's "Resource Tracking", method annotation)."""
    return f"{instance}:{identity.group}/{identity.kind}:{identity.key.namespace}/{identity.key.name}"


def instance_of(obj: Mapping[str, Any], identity: ResourceId) -> str:
    """The Application that an object belongs to; empty for none, and for a copy of another object."""
    instance, _, rest = annotations_of(obj).get(TRACKING, "").partition(":")
    return instance if rest and tracking_id(instance, identity) == f"{instance}:{rest}" else ""


def wanted(given: Mapping[str, Any], kind: Kind, namespace: str, instance: str) -> Resource:
    """An object as it is to be applied: in its namespace, and tracked."""
    content = copy.deepcopy(dict(given))
    metadata = content["metadata"]
    metadata.pop("creationTimestamp", None)  # charts and generators write null
    content.pop("status", None)
    key = Key((metadata.get("namespace") or namespace or "default") if kind.namespaced else "", metadata["name"])
    metadata.pop("namespace", None)
    if key.namespace:
        metadata["namespace"] = key.namespace
    identity = ResourceId(kind.group, kind.kind, key)
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TRACKING: tracking_id(instance, identity)}
    return Resource(kind, key, content)


# Within a wave: what others need comes first, custom resources come last (Argo CD's "Sync Phases and Waves").
_FIRST: Final = (
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
)
_RANK: Final = {kind: rank for rank, kind in enumerate(_FIRST)}


def order(identity: ResourceId) -> tuple[int, str, str, str]:
    """The place of an object within its wave."""
    return _RANK.get(identity.kind, len(_FIRST)), identity.kind, identity.key.namespace, identity.key.name
