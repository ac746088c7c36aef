"""What controllers read of apps/v1."""

from __future__ import annotations

from gatewright.model.core import PlainCondition, PodTemplateSpec
from gatewright.model.meta import LabelSelector, Model, Object, always


class RollingUpdate(Model):
    """How far a rolling update may stray from the replicas asked for: a number or a percentage such as `25%`."""

    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"


class DeploymentStrategy(Model):
    """How a Deployment replaces its pods: `RollingUpdate` or `Recreate`."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(Model):
    """A Deployment's desired state."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    replicas: int = 1
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    progress_deadline_seconds: int = 600
    paused: bool = False


class DeploymentStatus(Model):
    """A Deployment's observed state."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    collision_count: int | None = None
    conditions: tuple[PlainCondition, ...] = ()


class Deployment(Object):
    """A Deployment."""

    api_version: str = always("apps/v1")
    kind: str = always("Deployment")
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class ReplicaSetSpec(Model):
    """A ReplicaSet's desired state."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    replicas: int = 1
    min_ready_seconds: int = 0


class ReplicaSetStatus(Model, omit_defaults=False):
    """A ReplicaSet's observed state."""

    replicas: int = 0
    observed_generation: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[PlainCondition, ...] = ()


class ReplicaSet(Object):
    """A ReplicaSet."""

    api_version: str = always("apps/v1")
    kind: str = always("ReplicaSet")
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class StatefulSetSpec(Model):
    """A StatefulSet's desired state."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    service_name: str = ""
    replicas: int = 1
    min_ready_seconds: int = 0


class StatefulSetStatus(Model, omit_defaults=False):
    """A StatefulSet's observed state."""

    replicas: int = 0
    observed_generation: int = 0
    ready_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    conditions: tuple[PlainCondition, ...] = ()


class StatefulSet(Object):
    """A StatefulSet."""

    api_version: str = always("apps/v1")
    kind: str = always("StatefulSet")
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class DaemonSetSpec(Model):
    """A DaemonSet's desired state."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplateSpec = PodTemplateSpec()
    min_ready_seconds: int = 0


class DaemonSetStatus(Model, omit_defaults=False):
    """A DaemonSet's observed state."""

    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    observed_generation: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    conditions: tuple[PlainCondition, ...] = ()


class DaemonSet(Object):
    """A DaemonSet."""

    api_version: str = always("apps/v1")
    kind: str = always("DaemonSet")
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()
