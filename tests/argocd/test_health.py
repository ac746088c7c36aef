"""Health as Argo CD v3.5's checks have it, and as the Lua of deploy/gitops/argocd does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewright.local.argocd.health import Status, customized, health, unknown_checks, worst

ROOT = Path(__file__).resolve().parents[2]
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
_APPLICATIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "Progressing"),
    ({"health": {}}, "Progressing"),
    *(({"health": {"status": status}}, status) for status in ("Healthy", "Progressing", "Missing", "Degraded")),
]
_BINDINGS: list[tuple[dict[str, Any], str]] = [
    ({}, "Progressing"),
    ({"conditions": [_condition("Bound")]}, "Healthy"),
    ({"conditions": [_condition("Bound", generation=1)]}, "Progressing"),
    ({"conditions": [_condition("Bound", "Unknown", "Pending")]}, "Progressing"),
    ({"conditions": [_condition("Healthy", "False"), _condition("Bound")]}, "Healthy"),
    ({"conditions": [_condition("Bound", "False", "TargetGroupNotFound")]}, "Degraded"),
    *(
        ({"conditions": [_condition("Bound", "False", reason)]}, "Progressing")
        for reason in ("NoAddress", "NoEndpoints", "Registering")
    ),
]


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
        (GATEWAY, "GatewayClass", {}, {"conditions": [_condition("Accepted", generation=1)]}, "Progressing"),
        (GATEWAY, "GatewayClass", {}, {"conditions": [_condition("Accepted", "Unknown")]}, "Progressing"),
        (GATEWAY, "GatewayClass", {}, {"conditions": [_condition("Accepted", "False")]}, "Degraded"),
        (GATEWAY, "Gateway", {}, {}, "Progressing"),
        (GATEWAY, "Gateway", {}, {"conditions": list(_OK)}, "Healthy"),
        (GATEWAY, "Gateway", {}, {"conditions": [_condition("Accepted", "False"), _OK[1]]}, "Degraded"),
        # Not programmed is on its way, whatever the reason is.
        (GATEWAY, "Gateway", {}, {"conditions": [_OK[0], _condition("Programmed", "False", "Invalid")]}, "Progressing"),
        (GATEWAY, "Gateway", {}, {"conditions": [_OK[0], _condition("Programmed", "Unknown")]}, "Progressing"),
        *(
            (GATEWAY, "Gateway", {}, {"conditions": list(_OK), "listeners": [{"name": "l", "conditions": [told]}]}, how)
            for told, how in (
                (_condition("ResolvedRefs", "False"), "Degraded"),
                (_condition("Accepted", "False"), "Degraded"),
                (_condition("Programmed", "False"), "Progressing"),
                (_condition("Conflicted", "False"), "Healthy"),
            )
        ),
        *(
            (GATEWAY, kind, {"parentRefs": [{}, {}]}, {"parents": parents}, how)
            for kind in ("HTTPRoute", "GRPCRoute")
            for parents, how in (
                ([], "Progressing"),
                ([_parent()], "Progressing"),
                ([_parent(*_ROUTE)], "Healthy"),  # one parent that told of it is enough
                ([_parent(_ROUTE[0], _condition("ResolvedRefs", "False"))], "Degraded"),
                ([_parent(*_ROUTE), _parent(_condition("Accepted", "False"))], "Degraded"),
                ([_parent(_condition("Accepted", "False", generation=1))], "Progressing"),
            )
        ),
        (GATEWAY, "TLSRoute", {}, {"parents": [_parent(_condition("Accepted", "False"))]}, None),
        (GATEWAY, "BackendTLSPolicy", {}, {}, "Progressing"),
        (GATEWAY, "BackendTLSPolicy", {}, {"ancestors": [_parent(*_ROUTE)]}, "Healthy"),
        (GATEWAY, "BackendTLSPolicy", {}, {"ancestors": [_parent(_condition("Accepted", "False"))]}, "Degraded"),
        *(("argoproj.io/v1alpha1", "Application", {}, status, how) for status, how in _APPLICATIONS),
        *(("gatewright.dev/v1alpha1", "EdgeBinding", {}, status, how) for status, how in _BINDINGS),
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


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        *(("argoproj.io_Application", *case) for case in _APPLICATIONS),
        *(("gatewright.dev_EdgeBinding", *case) for case in _BINDINGS),
    ],
)
def test_the_lua_of_argocd_cm_says_the_same(kind: str, status: dict[str, Any], expected: str) -> None:
    lua = pytest.importorskip("lupa", reason="lupa, which runs Lua, isn't installed").LuaRuntime()
    settings = yaml.safe_load((ROOT / "deploy" / "gitops" / "argocd" / "argocd-cm.yaml").read_text())["data"]
    obj = {"metadata": {"name": "x", "generation": 2}, "status": status}
    lua.globals().obj = lua.table_from(obj, recursive=True)
    assert lua.execute(settings[f"resource.customizations.health.{kind}"])["status"] == expected


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
