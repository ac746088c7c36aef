"""Application and AppProject as Argo CD documents them, as far as the stand-in reads them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gatewright.local.argocd.definitions import ARGO_GROUP
from gatewright.model.kinds import Kind
from gatewright.model.meta import Model, Object, always

API_VERSION: Final = f"{ARGO_GROUP}/v1alpha1"
FINALIZER: Final = "resources-finalizer.argocd.argoproj.io"
"""Makes the deletion of an Application delete its resources first; `/background` and `/foreground` may follow."""
IN_CLUSTER: Final = "https://kubernetes.default.svc"
"""The server by which a destination names the cluster that Argo CD itself is in."""


def _kind(name: str, plural: str) -> Kind:
    return Kind(
        group=ARGO_GROUP,
        version="v1alpha1",
        kind=name,
        plural=plural,
        singular=name.lower(),
        has_status=False,
        served_versions=("v1alpha1",),
    )


APPLICATION: Final = _kind("Application", "applications")
APP_PROJECT: Final = _kind("AppProject", "appprojects")


class Parameter(Model):
    """A Helm parameter (`--set`, or `--set-string`)."""

    name: str = ""
    value: str = ""
    force_string: bool = False


class FileParameter(Model):
    """A Helm parameter whose value is a file's text (`--set-file`)."""

    name: str = ""
    path: str = ""


class Helm(Model):
    """How a source's chart is rendered."""

    release_name: str = ""
    namespace: str = ""
    value_files: tuple[str, ...] = ()
    ignore_missing_value_files: bool = False
    values: str = ""
    values_object: dict[str, Any] | None = None
    parameters: tuple[Parameter, ...] = ()
    file_parameters: tuple[FileParameter, ...] = ()
    skip_crds: bool = False
    skip_tests: bool = False
    skip_schema_validation: bool = False
    kube_version: str = ""
    api_versions: tuple[str, ...] = ()


class Replica(Model):
    """How many replicas a workload is to have."""

    name: str
    count: int | str


class Kustomize(Model):
    """What is added to a source's kustomization."""

    name_prefix: str = ""
    name_suffix: str = ""
    namespace: str = ""
    images: tuple[str, ...] = ()
    replicas: tuple[Replica, ...] = ()
    common_labels: dict[str, str] = msgspec.field(default_factory=dict)
    common_annotations: dict[str, str] = msgspec.field(default_factory=dict)
    label_without_selector: bool = False
    label_include_templates: bool = False
    patches: tuple[dict[str, Any], ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False


class Directory(Model):
    """Which files of a plain folder count."""

    recurse: bool = False
    include: str = ""
    exclude: str = ""
    jsonnet: dict[str, Any] | None = None


class ApplicationSource(Model):
    """Where manifests come from, and what makes them out of it."""

    repo_url: str = msgspec.field(name="repoURL", default="")
    path: str = ""
    target_revision: str = ""
    chart: str = ""
    ref: str = ""
    name: str = ""
    helm: Helm | None = None
    kustomize: Kustomize | None = None
    directory: Directory | None = None
    plugin: dict[str, Any] | None = None


class Destination(Model):
    """Which cluster, and the namespace of objects that name none."""

    server: str = ""
    name: str = ""
    namespace: str = ""


class Automated(Model):
    """When a sync begins by itself. `enabled` absent is true."""

    prune: bool = False
    self_heal: bool = False
    allow_empty: bool = False
    enabled: bool | None = None


class Backoff(Model):
    """Pauses between tries: Go durations, or numbers of seconds as text."""

    duration: str = ""
    factor: int | None = None
    max_duration: str = ""


class Retry(Model):
    """How often a sync that failed is tried again; a negative limit is without end."""

    limit: int = 0
    refresh: bool = False
    backoff: Backoff = Backoff()


class NamespaceMetadata(Model):
    """Labels and annotations of the namespace that CreateNamespace makes."""

    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class SyncPolicy(Model):
    """When and how syncs run."""

    automated: Automated | None = None
    sync_options: tuple[str, ...] = ()
    retry: Retry | None = None
    managed_namespace_metadata: NamespaceMetadata | None = None


class IgnoreDifferences(Model):
    """Fields that don't count in a comparison."""

    kind: str
    group: str = ""
    name: str = ""
    namespace: str = ""
    json_pointers: tuple[str, ...] = ()
    jq_path_expressions: tuple[str, ...] = ()
    managed_fields_managers: tuple[str, ...] = ()


class ApplicationSpec(Model):
    """What is wanted."""

    project: str = "default"
    source: ApplicationSource | None = None
    sources: tuple[ApplicationSource, ...] = ()
    destination: Destination = Destination()
    sync_policy: SyncPolicy = SyncPolicy()
    ignore_differences: tuple[IgnoreDifferences, ...] = ()
    revision_history_limit: int | None = None

    @property
    def all_sources(self) -> tuple[ApplicationSource, ...]:
        """`sources`, or `source` where that is empty, as Argo CD reads them."""
        return self.sources or ((self.source,) if self.source else ())


class OperationResource(Model):
    """A resource that a sync is limited to."""

    kind: str
    name: str
    group: str = ""
    namespace: str = ""


class OperationSync(Model):
    """A sync that is asked for."""

    revision: str = ""
    prune: bool = False
    dry_run: bool = False
    sync_options: tuple[str, ...] | None = None
    resources: tuple[OperationResource, ...] = ()


class InitiatedBy(Model):
    """Who asked for an operation."""

    username: str = ""
    automated: bool = False


class Operation(Model):
    """Something that is to be done once."""

    sync: OperationSync | None = None
    retry: Retry | None = None
    initiated_by: InitiatedBy = InitiatedBy()


class Application(Object):
    """An Application. Its status is kept as it is written."""

    api_version: str = always(API_VERSION)
    kind: str = always("Application")
    spec: ApplicationSpec = ApplicationSpec()
    operation: Operation | None = None
    status: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def cascades(self) -> bool:
        """Whether its deletion deletes its resources."""
        return any(name.partition("/")[0] == FINALIZER for name in self.metadata.finalizers)


class ResourceKind(Model):
    """Kinds of a project's lists; `*` and globs are allowed."""

    group: str = ""
    kind: str = ""
    name: str = ""


class ProjectSpec(Model):
    """What Applications of a project may do."""

    source_repos: tuple[str, ...] = ()
    destinations: tuple[Destination, ...] = ()
    cluster_resource_whitelist: tuple[ResourceKind, ...] = ()
    cluster_resource_blacklist: tuple[ResourceKind, ...] = ()
    namespace_resource_whitelist: tuple[ResourceKind, ...] | None = None
    namespace_resource_blacklist: tuple[ResourceKind, ...] = ()
    sync_windows: tuple[dict[str, Any], ...] = ()


class AppProject(Object):
    """An AppProject."""

    api_version: str = always(API_VERSION)
    kind: str = always("AppProject")
    spec: ProjectSpec = ProjectSpec()
