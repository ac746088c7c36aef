"""Workload kinds with their pod templates whole.

`gatewright.model` keeps the fields that controllers read. Whoever copies a template into new objects needs all of it,
so that here a template is plain JSON.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gatewright.local.workloads.constraints import Affinity, Resources, Taint, Toleration, TopologySpread
from gatewright.model import apps, core
from gatewright.model.meta import LabelSelector, Model, Object

Template = dict[str, Any]
"""A pod template as JSON: `metadata` and `spec`."""


class DeploymentSpec(Model):
    """A Deployment's desired state."""

    selector: LabelSelector = LabelSelector()
    template: Template = msgspec.field(default_factory=dict)
    replicas: int = 1
    strategy: apps.DeploymentStrategy = apps.DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    progress_deadline_seconds: int = 600
    paused: bool = False


class Deployment(Object):
    """A Deployment."""

    api_version: str = "apps/v1"
    kind: str = "Deployment"
    spec: DeploymentSpec = DeploymentSpec()
    status: apps.DeploymentStatus = apps.DeploymentStatus()


class ReplicaSetSpec(Model):
    """A ReplicaSet's desired state."""

    selector: LabelSelector = LabelSelector()
    template: Template = msgspec.field(default_factory=dict)
    replicas: int = 1
    min_ready_seconds: int = 0


class ReplicaSet(Object):
    """A ReplicaSet."""

    api_version: str = "apps/v1"
    kind: str = "ReplicaSet"
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: apps.ReplicaSetStatus = apps.ReplicaSetStatus()


class StatefulSetSpec(Model):
    """A StatefulSet's desired state."""

    selector: LabelSelector = LabelSelector()
    template: Template = msgspec.field(default_factory=dict)
    service_name: str = ""
    replicas: int = 1
    min_ready_seconds: int = 0
    pod_management_policy: str = "OrderedReady"


class StatefulSet(Object):
    """A StatefulSet."""

    api_version: str = "apps/v1"
    kind: str = "StatefulSet"
    spec: StatefulSetSpec = StatefulSetSpec()
    status: apps.StatefulSetStatus = apps.StatefulSetStatus()


class DaemonSetSpec(Model):
    """A DaemonSet's desired state."""

    selector: LabelSelector = LabelSelector()
    template: Template = msgspec.field(default_factory=dict)
    min_ready_seconds: int = 0


class DaemonSet(Object):
    """A DaemonSet."""

    api_version: str = "apps/v1"
    kind: str = "DaemonSet"
    spec: DaemonSetSpec = DaemonSetSpec()
    status: apps.DaemonSetStatus = apps.DaemonSetStatus()


class NamedSource(Model):
    """A ConfigMap or Secret by name."""

    name: str = ""
    optional: bool = False


class EnvFromSource(Model):
    """All keys of a ConfigMap or Secret as variables."""

    prefix: str = ""
    config_map_ref: NamedSource | None = None
    secret_ref: NamedSource | None = None


class KeyToPath(Model):
    """A key of a ConfigMap or Secret as a file of a volume."""

    key: str
    path: str


class ConfigMapVolume(Model):
    """A ConfigMap as a volume, whole or by items."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False


class SecretVolume(Model):
    """A Secret as a volume: named by `secretName`, or by `name` within a projected volume."""

    secret_name: str = ""
    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False


class DownwardFile(Model):
    """A field of the pod as a file."""

    path: str
    field_ref: core.ObjectFieldSelector | None = None


class DownwardVolume(Model):
    """Fields of the pod as a volume."""

    items: tuple[DownwardFile, ...] = ()


class ProjectedSource(Model):
    """One source of a projected volume."""

    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")


class ProjectedVolume(Model):
    """Several sources in one volume."""

    sources: tuple[ProjectedSource, ...] = ()


class Volume(Model):
    """A volume of a pod, as far as its content comes from the API."""

    name: str
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    downward_api: DownwardVolume | None = msgspec.field(default=None, name="downwardAPI")
    projected: ProjectedVolume | None = None


class VolumeMount(Model):
    """Where a container sees a volume."""

    name: str
    mount_path: str
    sub_path: str = ""
    sub_path_expr: str = ""


class Container(core.Container):
    """A container, with the variables that it takes from whole ConfigMaps and Secrets, and its mounts."""

    env_from: tuple[EnvFromSource, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    resources: Resources = Resources()


class PodSpec(core.PodSpec):
    """A pod's desired state."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    affinity: Affinity = Affinity()
    topology_spread_constraints: tuple[TopologySpread, ...] = ()
    overhead: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    scheduler_name: str = ""


class Pod(core.Pod):
    """A pod."""

    spec: PodSpec = PodSpec()


class NodeSpec(core.NodeSpec):
    """A node's desired state."""

    taints: tuple[Taint, ...] = ()


class NodeStatus(core.NodeStatus):
    """A node's observed state; `allocatable` are quantities."""

    allocatable: dict[str, str | int | float] = msgspec.field(default_factory=dict)


class Node(core.Node):
    """A node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
