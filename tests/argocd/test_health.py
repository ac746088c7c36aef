"""Health as Argo CD's built-in checks have it."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.local.argocd.health import Status, customized, health, unknown_checks, worst

APPLICATION = frozenset({("argoproj.io", "Application"), ("gatewright.dev", "EdgeBinding")})
GATEWAY = "gateway.networking.k8s.io/v1"


def _condition(type_: str, status: str = "True", reason: str = "R", generation: int = 2) -> dict[str, Any]:
    return {"type": type_, "status": status, "reason": reason, "message": "m", "observedGeneration": generation}


def _parent(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"parentRef": {"name": "gw"}, "conditions": list(conditions)}


_UP = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
_DAEMONS = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
_WAITING = {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}}]}
_OK = (_condition("Accepted"), _condition("Programmed"))
_ROUTE = (_condition("Accepted"), _condition("ResolvedRefs"))


@pytest.mark.parametrize(
    ("api_version", "kind", "spec", "status", "expected"),
    [
        ("v1", "ConfigMap", None, None, None),
        ("v1", "Namespace", {}, {"phase": "Active"}, None),
        ("apps/v1", "Deployment", {"replicas": 2}, _UP, "Healthy"),
        ("apps/v1", "Deployment", {"replicas": 2}, {}, "Progressing"),
        ("apps/v1", "Deployment", {"replicas": 2}, {**_UP, "observedGeneration": 1}, "Progressing"),
        ("apps/v1", "Deployment", {"replicas": 2}, {**_UP, "availableReplicas": 1}, "Progressing"),
        ("apps/v1", "Deployment", {"replicas": 2}, {**_UP, "replicas": 3}, "Progressing"),
        ("apps/v1", "Deployment", {"replicas": 2, "paused": True}, _UP, "Suspended"),
        ("apps/v1", "Deployment", {"replicas": 0}, {"observedGeneration": 2}, "Healthy"),
        ("apps/v1", "StatefulSet", {"replicas": 2}, _UP, "Healthy"),
        ("apps/v1", "StatefulSet", {"replicas": 3}, _UP, "Progressing"),
        ("apps/v1", "DaemonSet", {}, _DAEMONS, "Healthy"),
        ("apps/v1", "DaemonSet", {}, {**_DAEMONS, "numberAvailable": 1}, "Progressing"),
        ("apps/v1", "DaemonSet", {}, {}, "Progressing"),
        ("v1", "Pod", {}, {"phase": "Running", "conditions": [_condition("Ready")]}, "Healthy"),
        ("v1", "Pod", {}, {"phase": "Pending"}, "Progressing"),
        ("v1", "Pod", {}, {"phase": "Running", **_WAITING}, "Degraded"),
        ("v1", "Service", {"type": "ClusterIP"}, {}, "Healthy"),
        ("v1", "Service", {"type": "LoadBalancer"}, {}, "Progressing"),
        ("v1", "Service", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}, "Healthy"),
        ("v1", "PersistentVolumeClaim", {}, {"phase": "Lost"}, "Degraded"),
        ("batch/v1", "Job", {}, {"conditions": [_condition("Failed")]}, "Degraded"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}, {}, "Progressing"),
        (
            *("apiextensions.k8s.io/v1", "CustomResourceDefinition", {}),
            *({"conditions": [_condition("Established"), _condition("NamesAccepted")]}, "Healthy"),
        ),
        (GATEWAY, "GatewayClass", {}, {"conditions": [_condition("Accepted")]}, "Healthy"),
        (GATEWAY, "Gateway", {}, {}, "Progressing"),
        (GATEWAY, "Gateway", {}, {"conditions": list(_OK)}, "Healthy"),
        (GATEWAY, "Gateway", {}, {"conditions": [_OK[0], _condition("Programmed", "False", "Invalid")]}, "Degraded"),
        (
            *(GATEWAY, "Gateway", {}),
            *({"conditions": [_OK[0], _condition("Programmed", "False", "AddressNotAssigned")]}, "Progressing"),
        ),
        (
            *(GATEWAY, "Gateway", {}),
            {
                "conditions": list(_OK),
                "listeners": [{"name": "l", "conditions": [_condition("ResolvedRefs", "False")]}],
            },
            "Degraded",
        ),
        (GATEWAY, "HTTPRoute", {"parentRefs": [{}]}, {}, "Progressing"),
        (GATEWAY, "HTTPRoute", {"parentRefs": [{}]}, {"parents": [_parent(*_ROUTE)]}, "Healthy"),
        (GATEWAY, "HTTPRoute", {"parentRefs": [{}, {}]}, {"parents": [_parent(*_ROUTE)]}, "Progressing"),
        (
            *(GATEWAY, "HTTPRoute", {"parentRefs": [{}]}),
            *({"parents": [_parent(_ROUTE[0], _condition("ResolvedRefs", "False"))]}, "Degraded"),
        ),
        (
            *(GATEWAY, "HTTPRoute", {"parentRefs": [{}]}),
            *({"parents": [_parent(_condition("Accepted", generation=1), _ROUTE[1])]}, "Progressing"),
        ),
        ("argoproj.io/v1alpha1", "Application", {}, {}, "Progressing"),
        ("argoproj.io/v1alpha1", "Application", {}, {"health": {"status": "Degraded"}}, "Degraded"),
        ("gatewright.dev/v1alpha1", "EdgeBinding", {}, {"conditions": [_condition("Bound")]}, "Healthy"),
        ("gatewright.dev/v1alpha1", "EdgeBinding", {}, {"conditions": [_condition("Bound", "False")]}, "Degraded"),
        ("gatewright.dev/v1alpha1", "EdgeBinding", {}, {}, "Progressing"),
    ],
)
def test_checks(
    api_version: str, kind: str, spec: dict[str, Any], status: dict[str, Any], expected: str | None
) -> None:
    obj = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "generation": 2},
        "spec": spec,
        "status": status,
    }
    found = health(obj, APPLICATION)
    assert (found and found.status) == expected


def test_an_application_has_no_health_unless_argocd_cm_says_so() -> None:
    obj = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "x"}, "status": {}}
    assert health(obj, frozenset()) is None


def test_what_is_being_deleted_is_on_its_way() -> None:
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"deletionTimestamp": "2026-11-22T00:00:00Z"}}
    found = health(obj, frozenset())
    assert found
    assert (found.status, found.message) == (Status.PROGRESSING, "Pending deletion")


def test_argocd_cm_names_checks_by_group_and_kind() -> None:
    config = {
        "resource.customizations.health.argoproj.io_Application": "return {}",
        "resource.customizations.health.example.com_Thing": "return {}",
        "resource.customizations.actions.apps_Deployment": "",
        "timeout.reconciliation": "180s",
    }
    found = customized(config)
    assert found == {("argoproj.io", "Application"), ("example.com", "Thing")}
    assert unknown_checks(found) == ["example.com_Thing"]


def test_the_worst_part_tells_of_the_whole() -> None:
    assert worst([]) is Status.HEALTHY
    assert worst([Status.HEALTHY, Status.MISSING, Status.PROGRESSING]) is Status.MISSING
    assert worst([Status.DEGRADED, Status.MISSING]) is Status.DEGRADED
