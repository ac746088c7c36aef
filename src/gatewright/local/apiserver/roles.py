"""The roles that every cluster has from its start, as far as requests depend on them, and the policy in the store."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.local.apiserver.authorization import AUTHENTICATED, MASTERS, UNAUTHENTICATED, Policy
from gatewright.local.apiserver.metadata import new_metadata
from gatewright.local.apiserver.store import Json, Store

CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
CLUSTER_BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"
ROLES = "roles.rbac.authorization.k8s.io"
BINDINGS = "rolebindings.rbac.authorization.k8s.io"

_LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_EVERYTHING: list[Json] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
_HEALTH = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY = ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz"]
_ABOUT_ONESELF: list[Json] = [
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "verbs": ["create"],
    },
    {"apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"]},
]
_REVIEWS: list[Json] = [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
]
_INITIAL: tuple[tuple[str, list[Json], tuple[str, ...]], ...] = (
    ("cluster-admin", _EVERYTHING, (MASTERS,)),
    ("system:auth-delegator", _REVIEWS, ()),
    ("system:basic-user", _ABOUT_ONESELF, (AUTHENTICATED,)),
    (
        "system:discovery",
        [{"nonResourceURLs": [*_DISCOVERY, "/version", "/version/"], "verbs": ["get"]}],
        (AUTHENTICATED,),
    ),
    (
        "system:public-info-viewer",
        [{"nonResourceURLs": _HEALTH, "verbs": ["get"]}],
        (AUTHENTICATED, UNAUTHENTICATED),
    ),
)
"""Name, rules, and the groups that have it."""


def ensure_initial(store: Store) -> None:
    """Create the roles and bindings that every cluster has, where they are missing."""
    store.load(CLUSTER_ROLES, [_object("ClusterRole", name, rules=rules) for name, rules, _ in _INITIAL])
    store.load(CLUSTER_BINDINGS, [_binding(name, groups) for name, _, groups in _INITIAL if groups])


def _object(kind: str, name: str, **fields: object) -> Json:
    metadata = new_metadata({"name": name, "labels": dict(_LABELS), "annotations": dict(_ANNOTATIONS)})
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **fields}


def _binding(name: str, groups: Iterable[str]) -> Json:
    group = "rbac.authorization.k8s.io"
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": group, "kind": "Group", "name": each} for each in groups]
    return _object("ClusterRoleBinding", name, roleRef=reference, subjects=subjects)


def policy(store: Store) -> Policy:
    """RBAC as the store holds it now, and at each later moment."""

    def one(table: str, namespace: str, name: str) -> Json | None:
        record = store.table(table).get(namespace, name)
        return None if record is None else record.obj

    def all_of(table: str, namespace: str | None = None) -> list[Json]:
        return [record.obj for record in store.table(table).records(namespace)]

    return Policy(
        cluster_roles=lambda: all_of(CLUSTER_ROLES),
        cluster_role=lambda name: one(CLUSTER_ROLES, "", name),
        role=lambda namespace, name: one(ROLES, namespace, name),
        cluster_bindings=lambda: all_of(CLUSTER_BINDINGS),
        bindings=lambda namespace: all_of(BINDINGS, namespace),
    )
