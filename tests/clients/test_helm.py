"""Helm on the embedded API: releases are installed, upgraded, rolled back and removed, and serve meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.edge_process import Edge, eventually, fetch

CHART = {
    "Chart.yaml": "{apiVersion: v2, name: shop, version: 0.1.0}",
    "values.yaml": "{text: one, replicas: 1}",
    "templates/hook.yaml": """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade", helm.sh/hook-delete-policy: before-hook-creation}
data: {revision: {{ .Release.Revision | quote }}}
""",
    "templates/shop.yaml": """
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      containers:
        - {name: app, image: "hashicorp/http-echo:1.0", args: ["-listen=:8080", "-text={{ .Values.text }}"]}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec: {selector: {app: {{ .Release.Name }}}, ports: [{port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: {{ .Release.Name }}}
spec:
  gatewayClassName: gatewright
  listeners: [{name: http, port: 8080, protocol: HTTP}]
---
{{- if .Capabilities.APIVersions.Has "gateway.networking.k8s.io/v1/HTTPRoute" }}
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: {{ .Release.Name }}}
spec:
  parentRefs: [{name: {{ .Release.Name }}}]
  rules: [{backendRefs: [{name: {{ .Release.Name }}, port: 8080}]}]
{{- end }}
""",
}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "templates").mkdir(parents=True)
    for name, text in CHART.items():
        (folder / name).write_text(text)
    return folder


def serves(edge: Edge, namespace: str, text: str) -> None:
    url = f"http://{edge.address(namespace, 'shop')}:8080/"
    eventually(lambda: fetch(url).body.strip() == text, f"the release answers {text}")


def test_template_and_apply(tool: Callable[[str], Any], edge: Edge, namespace: str, chart: Path) -> None:
    helm, kubectl = tool("helm"), tool("kubectl")
    # Without a cluster Helm knows none but the built-in kinds.
    known = ("--api-versions", "gateway.networking.k8s.io/v1/HTTPRoute")
    kubectl("apply", "-f", "-", stdin=helm("template", "shop", chart, "--no-hooks", *known))
    serves(edge, namespace, "one")
    again = helm("template", "shop", chart, "--no-hooks", *known, "--set", "text=two")
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=again)
    serves(edge, namespace, "two")


def test_a_release_from_its_installation_to_its_end(
    tool: Callable[[str], Any], edge: Edge, namespace: str, chart: Path
) -> None:
    helm, kubectl = tool("helm"), tool("kubectl")
    wait = ("--wait", "--timeout", "60s")
    helm("install", "shop", chart, *wait)
    serves(edge, namespace, "one")
    assert "still in use" in helm.fails("install", "shop", chart)
    helm("upgrade", "shop", chart, "--set", "text=two,replicas=2", *wait)
    serves(edge, namespace, "two")
    hook = json.loads(kubectl("get", "configmap", "shop-hook", "-o", "json"))
    assert hook["data"] == {"revision": "2"}
    kubectl("patch", "deployment", "shop", "-p", '{"metadata": {"annotations": {"note": "mine"}}}')
    helm("rollback", "shop", "1", *wait)
    serves(edge, namespace, "one")
    deployment = json.loads(kubectl("get", "deployment", "shop", "-o", "json"))
    assert deployment["spec"]["replicas"] == 1
    assert deployment["metadata"]["annotations"]["note"] == "mine", "what others have set stays"
    history = json.loads(helm("history", "shop", "-o", "json"))
    assert [(entry["revision"], entry["status"]) for entry in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]
    assert json.loads(helm("list", "-o", "json"))[0]["revision"] == "3"
    assert "kind: HTTPRoute" in helm("get", "manifest", "shop"), "Helm has found the kind by discovery"
    helm("uninstall", "shop", *wait)
    left = kubectl("get", "deployment,service,gateway,httproute,secret", "-o", "name")
    assert left == ""


def test_what_the_api_refuses_fails_the_release(tool: Callable[[str], Any], namespace: str, chart: Path) -> None:
    helm = tool("helm")
    template = chart / "templates" / "shop.yaml"
    template.write_text(template.read_text().replace("port: 8080, protocol: HTTP", "port: 99999, protocol: HTTP"))
    said = helm.fails("install", "shop", chart)
    assert "99999" in said
    assert "65535" in said
    assert json.loads(helm("status", "shop", "-o", "json"))["info"]["status"] == "failed"


def test_upgrade_with_install_atomically_and_a_dry_run(
    tool: Callable[[str], Any], edge: Edge, namespace: str, chart: Path
) -> None:
    helm = tool("helm")
    assert "kind: HTTPRoute" in helm("upgrade", "--install", "shop", chart, "--dry-run=server")
    assert "not found" in helm.fails("status", "shop")
    helm("upgrade", "--install", "shop", chart, "--set", "text=three", "--wait", "--timeout", "60s")
    serves(edge, namespace, "three")
