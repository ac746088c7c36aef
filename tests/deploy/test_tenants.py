"""What application teams are refused in their namespaces: the expressions of the tree's ValidatingAdmissionPolicies.

The embedded API keeps these policies and doesn't enforce them, so that they are evaluated here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

cel: Any = pytest.importorskip("cel", reason="needs the package common-expression-language")

_TENANTS = Path(__file__).parents[2] / "deploy/gitops/platform/namespaces/tenants"
OURS = "/app1 /shop.Orders"


def policy(name: str) -> dict[str, Any]:
    documents = yaml.safe_load_all((_TENANTS / f"{name}.yaml").read_text())
    found, binding = documents
    assert binding["spec"] == {"policyName": found["metadata"]["name"], "validationActions": ["Deny"]}
    assert found["spec"]["matchConstraints"]["namespaceSelector"] == {"matchLabels": {"gatewright.dev/tenant": "true"}}
    spec: dict[str, Any] = found["spec"]
    return spec


def refused(name: str, new: dict[str, Any], annotations: dict[str, str] | None = None) -> str:
    """What a policy says to an object that is created; nothing where it may be."""
    spec = policy(name)
    metadata = {} if annotations is None else {"annotations": annotations}
    known = {"object": new, "namespaceObject": {"metadata": metadata}, "request": {"operation": "CREATE"}}
    known["variables"] = {each["name"]: evaluated(each["expression"], known) for each in spec.get("variables", ())}
    told = [each["message"] for each in spec["validations"] if not evaluated(each["expression"], known)]
    return "; ".join(told)


def evaluated(expression: str, known: dict[str, Any]) -> Any:
    context = cel.Context()
    for name, value in known.items():
        context.add_variable(name, value)
    context.add_function("split", lambda text, separator: text.split(separator))  # Kubernetes' own
    return cel.evaluate(expression, context)


def http(*matches: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "HTTPRoute", "spec": {"rules": [{"matches": list(matches)}]}}


def path(value: str, type_: str = "PathPrefix") -> dict[str, Any]:
    return {"path": {"type": type_, "value": value}}


def grpc(*matches: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "GRPCRoute", "spec": {"rules": [{"matches": list(matches)}]}}


@pytest.mark.parametrize(
    "route",
    [
        http(path("/app1")),
        http(path("/app1/x", "Exact"), path("/app1/y")),
        http({"path": {"value": "/app1"}}),
        grpc({"method": {"service": "shop.Orders", "method": "List"}}),
    ],
)
def test_a_team_has_the_paths_of_its_namespace(route: dict[str, Any]) -> None:
    assert not refused("routes", route, {"platform.example.com/paths": OURS})


@pytest.mark.parametrize(
    "route",
    [
        http(path("/")),
        http(path("/app2")),
        http(path("/app10")),
        http(path("/app1"), path("/healthz/ready", "Exact")),
        http(path("/app1.*", "RegularExpression")),
        http({"headers": [{"name": "x", "value": "y"}]}),
        {"kind": "HTTPRoute", "spec": {"rules": [{}]}},
        {"kind": "HTTPRoute", "spec": {}},
        grpc({"method": {"service": "shop.Users"}}),
        grpc({"method": {"method": "List"}}),
        grpc({"method": {"type": "RegularExpression", "service": "shop.Orders"}}),
        {"kind": "GRPCRoute", "spec": {"rules": [{}]}},
    ],
)
def test_a_team_has_no_paths_of_others(route: dict[str, Any]) -> None:
    assert refused("routes", route, {"platform.example.com/paths": OURS})


@pytest.mark.parametrize("annotations", [None, {}, {"platform.example.com/paths": ""}], ids=str)
def test_a_namespace_that_names_no_paths_has_none(annotations: dict[str, str] | None) -> None:
    for value in ("/", "/app1"):
        assert refused("routes", http(path(value)), annotations)


def test_a_service_leads_to_pods_of_its_namespace() -> None:
    assert not refused("services", {"spec": {"type": "ClusterIP"}})
    assert not refused("services", {"spec": {}})
    assert "ExternalName" in refused("services", {"spec": {"type": "ExternalName", "externalName": "x.argocd.svc"}})
    assert "externalIPs" in refused("services", {"spec": {"externalIPs": ["192.0.2.1"]}})


def test_pods_stay_where_applications_belong() -> None:
    usual = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]
    assert not refused("pods", {"metadata": {"labels": {"app": "x"}}, "spec": {"tolerations": usual}})
    assert not refused("pods", {"metadata": {}, "spec": {}})
    for toleration in ({"operator": "Exists"}, {"key": "CriticalAddonsOnly", "operator": "Exists"}):
        assert "taint" in refused("pods", {"metadata": {}, "spec": {"tolerations": [*usual, toleration]}})
    assert "node" in refused("pods", {"metadata": {}, "spec": {"nodeName": "system-1"}})
    assert "priority" in refused("pods", {"metadata": {}, "spec": {"priorityClassName": "system-node-critical"}})
    assert "mesh" in refused("pods", {"metadata": {"labels": {"istio.io/dataplane-mode": "none"}}, "spec": {}})
