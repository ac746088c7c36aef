"""What is served: the built-in resources, the Gateway API's, and what CustomResourceDefinitions add at run time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gatewright.model.kinds import KINDS, Kind

GATEWAY_API = "gateway.networking.k8s.io"
EXPERIMENTAL_GATEWAY_API = "gateway.networking.x-k8s.io"
OUR_OWN = "gatewright.dev"
AWS = ("gateway.k8s.aws", "elbv2.k8s.aws")

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One kind of object and the paths that it is served at.

    `versions` are served, the preferred one first; objects are stored as `storage_version`. `generation` tells whether
    the API counts changes of the specification in `metadata.generation`. `selectable` are the fields that a field
    selector may name beside `metadata.name` and `metadata.namespace`; None means any field.
    """

    group: str
    kind: str
    plural: str
    singular: str
    namespaced: bool
    versions: tuple[str, ...]
    storage_version: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    has_scale: bool = False
    generation: bool = False
    custom: bool = False
    selectable: frozenset[str] | None = frozenset()
    list_kind: str = ""

    @property
    def qualified(self) -> str:
        """The name in error messages, and of the resource's table: `pods`, `httproutes.gateway.networking.k8s.io`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_type(self) -> str:
        """The kind of the list object."""
        return self.list_kind or f"{self.kind}List"

    def api_version(self, version: str) -> str:
        """`apiVersion` of objects in the given version."""
        return f"{self.group}/{version}" if self.group else version


_SCALABLE = frozenset({"deployments.apps", "replicasets.apps", "statefulsets.apps", "replicationcontrollers"})
# Built-in resources whose objects have no metadata.generation.
_UNCOUNTED = frozenset(
    [
        "namespaces",
        "services",
        "secrets",
        "configmaps",
        "nodes",
        "events",
        "serviceaccounts",
        "endpoints",
        "leases.coordination.k8s.io",
        "events.events.k8s.io",
        "horizontalpodautoscalers.autoscaling",
        "roles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "apiservices.apiregistration.k8s.io",
        "persistentvolumeclaims",
        "persistentvolumes",
        "resourcequotas",
        "limitranges",
        "storageclasses.storage.k8s.io",
        "controllerrevisions.apps",
        "priorityclasses.scheduling.k8s.io",
    ]
)
_EVENT_FIELDS = frozenset(
    [
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "reportingController",
    ]
)
_SELECTABLE: dict[str, frozenset[str]] = {
    "events": _EVENT_FIELDS,
    "events.events.k8s.io": _EVENT_FIELDS,
    "jobs.batch": frozenset({"status.successful"}),
    "namespaces": frozenset({"status.phase"}),
    "nodes": frozenset({"spec.unschedulable"}),
    "pods": frozenset(
        [
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ]
    ),
    "replicasets.apps": frozenset({"status.replicas"}),
    "secrets": frozenset({"type"}),
    "services": frozenset({"spec.clusterIP", "spec.type"}),
}


def _kind(group: str, kind: str, plural: str, *short_names: str, namespaced: bool = True, status: bool = True) -> Kind:
    return Kind(
        group=group,
        version="v1",
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        short_names=short_names,
        namespaced=namespaced,
        has_status=status,
        served_versions=("v1",),
    )


ALSO: tuple[Kind, ...] = (
    _kind("", "ReplicationController", "replicationcontrollers", "rc"),
    _kind("", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc"),
    _kind("", "PersistentVolume", "persistentvolumes", "pv", namespaced=False),
    _kind("", "ResourceQuota", "resourcequotas", "quota"),
    _kind("", "LimitRange", "limitranges", "limits", status=False),
    _kind("apps", "ControllerRevision", "controllerrevisions", status=False),
    _kind("storage.k8s.io", "StorageClass", "storageclasses", "sc", namespaced=False, status=False),
    _kind("scheduling.k8s.io", "PriorityClass", "priorityclasses", "pc", namespaced=False, status=False),
)
"""Kinds that gatewright itself has no use for, and that people's manifests often hold beside the others."""

# The version that the official CustomResourceDefinitions store, where it isn't the preferred one.
_STORED_AS = {"referencegrants.gateway.networking.k8s.io": "v1beta1"}


def _is_defined(kind: Kind) -> bool:
    """Whether a cluster would have it by a CustomResourceDefinition."""
    return kind.group in (GATEWAY_API, EXPERIMENTAL_GATEWAY_API, OUR_OWN, *AWS)


def _resource(kind: Kind) -> Resource:
    qualified = f"{kind.plural}.{kind.group}" if kind.group else kind.plural
    custom = _is_defined(kind)
    return Resource(
        group=kind.group,
        kind=kind.kind,
        plural=kind.plural,
        singular=kind.singular,
        namespaced=kind.namespaced,
        versions=kind.served_versions,
        storage_version=_STORED_AS.get(qualified, kind.version),
        short_names=kind.short_names,
        categories=kind.categories,
        has_status=kind.has_status,
        has_scale=qualified in _SCALABLE,
        generation=qualified not in _UNCOUNTED,
        custom=custom,
        selectable=_SELECTABLE.get(qualified, frozenset()),
    )


BUILTIN: tuple[Resource, ...] = tuple(_resource(kind) for kind in (*KINDS, *ALSO) if not _is_defined(kind))
DEFINED: tuple[Resource, ...] = tuple(_resource(kind) for kind in KINDS if _is_defined(kind))


class Catalog:
    """Every resource that is served now. CustomResourceDefinitions add to it and remove from it."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], Resource] = {}
        self._by_key: dict[tuple[str, str], Resource] = {}
        self.revision = 0
        for resource in (*BUILTIN, *DEFINED):
            self.add(resource)

    def add(self, resource: Resource) -> None:
        """Serve a resource, in place of the one of the same group and plural if there is one."""
        self.discard(resource.group, resource.plural)
        self._by_key[resource.group, resource.plural] = resource
        for version in resource.versions:
            self._by_path[resource.group, version, resource.plural] = resource
        self.revision += 1

    def discard(self, group: str, plural: str) -> None:
        """Stop serving a resource."""
        resource = self._by_key.pop((group, plural), None)
        if resource is not None:
            for version in resource.versions:
                self._by_path.pop((group, version, plural), None)
            self.revision += 1

    def at(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource served at a path."""
        return self._by_path.get((group, version, plural))

    def named(self, group: str, plural: str) -> Resource | None:
        """The resource of a group, whatever its versions."""
        return self._by_key.get((group, plural))

    def __iter__(self) -> Iterator[Resource]:
        return iter(list(self._by_key.values()))

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """Resources by group and version; the core group (`""`) first, then as they were added."""
        groups: dict[str, dict[str, list[Resource]]] = {}
        for resource in self._by_key.values():
            versions = groups.setdefault(resource.group, {})
            for version in resource.versions:
                versions.setdefault(version, []).append(resource)
        return {
            group: dict(sorted(versions.items(), key=lambda item: version_priority(item[0])))
            for group, versions in groups.items()
        }


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key that puts `v2` before `v1` before `v1beta2` before `v1alpha1` before anything else."""
    match = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if match is None:
        return (3, 0, 0, version)
    major, stage, minor = match.groups()
    level = {None: 0, "beta": 1, "alpha": 2}[stage]
    return (level, -int(major), -int(minor or 0), version)
