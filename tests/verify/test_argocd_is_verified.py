"""Argo CD: which Application is wrong, why, and whether Argo CD itself can be reached."""

from __future__ import annotations

from typing import Any

import pytest
from tests.verify.verified_cluster import Told, failures, outcomes

HEALTHY = {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}


def application(name: str, status: dict[str, Any]) -> dict[str, Any]:
    spec = {
        "project": "default",
        "source": {
            "repoURL": "https://git.example.com/platform.git",
            "path": "deploy/gitops",
            "targetRevision": "main",
        },
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "edge"},
    }
    metadata = {"namespace": "argocd", "name": name}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def deployment(namespace: str, name: str, replicas: int, available: int) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    condition = {
        "type": "Available",
        "status": "True" if available >= replicas else "False",
        "reason": "MinimumReplicasUnavailable",
        "message": "Deployment does not have minimum availability.",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        "status": {"availableReplicas": available, "conditions": [condition]},
    }


async def _argocd(told: Told) -> None:
    await told.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}})


async def test_synced_and_healthy_applications_pass(told: Told) -> None:
    await _argocd(told)
    await told.put(application("gateway", HEALTHY))
    assert outcomes(await told.verify("application")) == {"Application argocd/gateway": "passed"}


@pytest.mark.parametrize(
    ("status", "found", "advice"),
    [
        pytest.param(
            {
                "sync": {"status": "Unknown"},
                "health": {"status": "Healthy"},
                "conditions": [{"type": "ComparisonError", "message": "app path does not exist"}],
            },
            "Unknown, Healthy; ComparisonError: app path does not exist",
            "kubectl logs -n argocd deploy/argocd-repo-server",
            id="comparison",
        ),
        pytest.param(
            {
                "sync": {"status": "Synced"},
                "health": {"status": "Progressing"},
                "resources": [
                    {
                        "kind": "Gateway",
                        "namespace": "edge",
                        "name": "shared-gateway",
                        "status": "Synced",
                        "health": {"status": "Progressing", "message": "waits for an address"},
                    }
                ],
            },
            "Synced, Progressing; Gateway edge/shared-gateway is Progressing (waits for an address)",
            "Later waves wait for it",
            id="progressing",
        ),
        pytest.param(
            {
                "sync": {"status": "OutOfSync"},
                "health": {"status": "Healthy"},
                "operationState": {"phase": "Failed", "message": "one or more objects failed to apply"},
            },
            "OutOfSync, Healthy; sync failed: one or more objects failed to apply",
            "status.operationState.syncResult",
            id="sync failed",
        ),
        pytest.param(
            {"sync": {"status": "OutOfSync"}, "health": {"status": "Healthy"}},
            "OutOfSync, Healthy",
            "see that selfHeal is on",
            id="out of sync",
        ),
        pytest.param({}, "Unknown, Unknown", "argocd-application-controller runs", id="not looked at"),
    ],
)
async def test_an_application_that_is_not_is_told_with_its_reason(
    told: Told, status: dict[str, Any], found: str, advice: str
) -> None:
    await _argocd(told)
    await told.put(application("gateway", status))
    check = failures(await told.verify("application"))["Application argocd/gateway"]
    assert check.found == found
    assert advice in check.advice


async def test_no_application_at_all(told: Told) -> None:
    assert "step `applications`" in failures(await told.verify("application"))["Applications"].advice
    assert outcomes(await told.verify("application", outputs=None)) == {"Applications": "skipped"}


async def test_argocd_that_somebody_scaled_down(told: Told) -> None:
    await _argocd(told)
    await told.put(deployment("argocd", "argocd-server", 0, 0))
    await told.put(deployment("argocd", "argocd-repo-server", 1, 1))
    found = failures(await told.verify("argocd"))
    check = found["Deployment argocd/argocd-server"]
    assert check.found == "it is scaled to 0 replicas"
    assert "kubectl scale -n argocd deployment/argocd-server --replicas=1" in check.advice
    assert "Deployment argocd/argocd-repo-server" not in found


async def test_argocd_whose_server_is_not_available(told: Told) -> None:
    await _argocd(told)
    await told.put(deployment("argocd", "argocd-server", 1, 0))
    service = {"selector": {"app": "argocd-server"}, "ports": [{"name": "https", "port": 443}]}
    metadata = {"namespace": "argocd", "name": "argocd-server"}
    await told.put({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    found = failures(await told.verify("argocd"))
    assert "0 of 1 replicas available" in found["Deployment argocd/argocd-server"].found
    assert "kubectl get pods -n argocd" in found["Deployment argocd/argocd-server"].advice
    reached = found["Service argocd/argocd-server"]
    assert "kubectl port-forward svc/argocd-server -n argocd 8080:443" in reached.advice
    assert found["Deployment argocd/argocd-repo-server"].found == "does not exist"
