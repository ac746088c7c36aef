"""The real kubectl works on the embedded API as on a cluster."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: hashicorp/http-echo:1.0
        args: ["-text=before"]
        ports: [{containerPort: 5678}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 5678}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  hostnames: [web.example.com]
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
"""


def as_json(kubectl: Any, *arguments: str) -> Any:
    return json.loads(kubectl("get", *arguments, "-o", "json"))


def test_apply_twice_and_once_more_with_a_change(kubectl: Any) -> None:
    assert kubectl("apply", "-f", "-", stdin=WEB).count(" created") == 4
    again = kubectl("apply", "-f", "-", stdin=WEB)
    assert "deployment.apps/web unchanged" in again
    assert "service/web unchanged" in again
    changed = kubectl("apply", "-f", "-", stdin=WEB.replace("before", "after"))
    assert "deployment.apps/web configured" in changed
    deployment = as_json(kubectl, "deployment", "web")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == ["-text=after"]
    assert deployment["metadata"]["generation"] == 2


def test_server_side_apply_takes_over_from_client_side(kubectl: Any) -> None:
    workload = WEB.partition("---")[0]
    kubectl("apply", "-f", "-", stdin=workload)
    kubectl("apply", "--server-side", "-f", "-", stdin=workload)
    fields = as_json(kubectl, "deployment", "web", "--show-managed-fields")["metadata"]["managedFields"]
    assert ("kubectl", "Apply") in {(entry["manager"], entry["operation"]) for entry in fields}
    other = ("apply", "--server-side", "--field-manager", "other", "-f", "-")
    refused = kubectl.fails(*other, stdin=workload.replace("replicas: 2", "replicas: 5"))
    assert 'conflict with "kubectl"' in refused
    assert ".spec.replicas" in refused


def test_tables(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    wide = kubectl("get", "deployment,service,gateway,httproute", "-o", "wide")
    assert "READY   UP-TO-DATE   AVAILABLE   AGE" in wide
    assert "hashicorp/http-echo:1.0" in wide
    assert "ClusterIP" in wide
    assert '["web.example.com"]' in wide
    assert "istio" in wide
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert kubectl("get", "deploy", "-A", "-l", "app=web", "--no-headers").count(kubectl.namespace) == 1
    assert "web" in kubectl("get", "svc", "--field-selector", "metadata.name=web", "-o", "name")


def test_describe(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    kubectl("run", "solo", "--image=nginx:1")
    assert "StrategyType:" in kubectl("describe", "deployment", "web")
    assert "Selector:" in kubectl("describe", "service", "web")
    assert "Gateway Class Name:  istio" in kubectl("describe", "gateway", "edge")
    assert "Backend Refs:" in kubectl("describe", "httproute", "web")
    assert "Containers:" in kubectl("describe", "pod", "solo")
    assert "Status:       Active" in kubectl("describe", "namespace", kubectl.namespace)


def test_wait_for_a_condition_and_for_deletion(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    waiting = subprocess.Popen(
        ["kubectl", "-n", kubectl.namespace, "wait", "--for=condition=Programmed", "gateway/edge", "--timeout=60s"],
        env=kubectl.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    status = {
        "conditions": [
            {
                "type": "Programmed",
                "status": "True",
                "reason": "Programmed",
                "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ]
    }
    patch = json.dumps({"status": status})
    kubectl("patch", "gateway", "edge", "--subresource=status", "--type=merge", "-p", patch)
    assert "condition met" in waiting.communicate(timeout=90)[0]
    assert as_json(kubectl, "gateway", "edge")["metadata"]["generation"] == 1
    kubectl("delete", "httproute", "web", "--wait=false")
    kubectl("wait", "--for=delete", "httproute/web", "--timeout=60s")


def test_patches(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "b:1"}]}}}}
    kubectl("patch", "deployment", "web", "-p", json.dumps(sidecar))
    containers = as_json(kubectl, "deployment", "web")["spec"]["template"]["spec"]["containers"]
    assert {container["name"] for container in containers} == {"web", "side"}
    operation = [{"op": "replace", "path": "/spec/replicas", "value": 7}]
    kubectl("patch", "deployment", "web", "--type=json", "-p", json.dumps(operation))
    assert as_json(kubectl, "deployment", "web")["spec"]["replicas"] == 7
    kubectl("patch", "httproute", "web", "--type=merge", "-p", '{"spec":{"hostnames":null}}')
    assert "hostnames" not in as_json(kubectl, "httproute", "web")["spec"]
    kubectl("label", "deployment", "web", "tier=front")
    kubectl("annotate", "deployment", "web", "note=hello")
    kubectl("label", "deployment", "web", "app-")
    assert as_json(kubectl, "deployment", "web")["metadata"]["labels"] == {"tier": "front"}


def test_scale_rollout_and_set_image(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=WEB)
    kubectl("scale", "deployment", "web", "--replicas=3")
    assert as_json(kubectl, "deployment", "web")["spec"]["replicas"] == 3
    kubectl("rollout", "restart", "deployment/web")
    kubectl("set", "image", "deployment/web", "web=nginx:2")
    template = as_json(kubectl, "deployment", "web")["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == "nginx:2"
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    generation = as_json(kubectl, "deployment", "web")["metadata"]["generation"]
    done = {
        "observedGeneration": generation,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
    }
    kubectl("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", json.dumps({"status": done}))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/web", "--timeout=60s")


def test_edit_replace_and_diff(kubectl: Any, tmp_path: Path) -> None:
    kubectl("create", "configmap", "words", "--from-literal=said=before")
    kubectl("edit", "configmap", "words")
    assert as_json(kubectl, "configmap", "words")["data"] == {"said": "after"}
    obj = as_json(kubectl, "configmap", "words")
    obj["data"] = {"said": "again"}
    kubectl("replace", "-f", "-", stdin=json.dumps(obj))
    assert as_json(kubectl, "configmap", "words")["data"] == {"said": "again"}
    file = tmp_path / "web.yaml"
    file.write_text(WEB)
    differs = kubectl.run("diff", "-f", str(file))
    assert differs.returncode == 1, differs.stderr
    assert "+  replicas: 2" in differs.stdout


def test_create_and_delete_with_namespaces(kubectl: Any) -> None:
    kubectl("create", "deployment", "d", "--image=nginx", "--port=80")
    kubectl("expose", "deployment", "d", "--port=80")
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    assert as_json(kubectl, "secret", "s")["data"] == {"a": "Yg=="}
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=60s")
    assert "NotFound" in kubectl.fails("get", "namespace", kubectl.namespace)
    assert kubectl("get", "all", "-o", "name") == ""


def test_explain_and_what_is_served(kubectl: Any) -> None:
    assert "rollingUpdate" in kubectl("explain", "deployment.spec.strategy")
    assert "backendRefs" in kubectl("explain", "httproute.spec.rules")
    resources = kubectl("api-resources")
    assert "httproutes" in resources
    assert "deploy" in resources
    assert "gateway.networking.k8s.io/v1" in kubectl("api-versions")
    assert "is running at" in kubectl("cluster-info")
    assert "Server Version" in kubectl("version")
    assert kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    assert "kubernetes-admin" in kubectl("auth", "whoami")


def test_events(kubectl: Any) -> None:
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "seen", "namespace": kubectl.namespace},
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": kubectl.namespace, "apiVersion": "v1"},
        "reason": "Started",
        "message": "it started",
        "type": "Normal",
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    kubectl("create", "-f", "-", stdin=json.dumps(event))
    assert "it started" in kubectl("events")
    assert "it started" in kubectl("get", "events")
    assert as_json(kubectl, "events.events.k8s.io", "seen")["note"] == "it started"


def test_refusals_are_worded_as_a_clusters(kubectl: Any) -> None:
    unknown = kubectl.fails("create", "-f", "-", stdin=WEB.replace("replicas", "replica"))
    assert 'strict decoding error: unknown field "spec.replica"' in unknown
    mistyped = kubectl.fails("create", "-f", "-", stdin=WEB.replace("replicas: 2", "replicas: two"))
    assert "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32" in mistyped
    mismatched = kubectl.fails("create", "-f", "-", stdin=WEB.replace("labels: {app: web}}", "labels: {app: x}}"))
    assert "`selector` does not match template `labels`" in mismatched
    bad_route = WEB.rpartition("---")[2].replace("web.example.com", "Not_a_host").replace("name: web}", "name: bad}", 1)
    route = kubectl.fails("create", "-f", "-", stdin=bad_route)
    assert 'The HTTPRoute "bad" is invalid: spec.hostnames[0]: Invalid value: "Not_a_host"' in route
    assert 'namespaces "nowhere-at-all" not found' in kubectl.fails("create", "cm", "a", "-n", "nowhere-at-all")


@pytest.mark.parametrize("channel", ["standard", "experimental"])
def test_the_official_definitions_can_be_applied(kubectl: Any, channel: str) -> None:
    folder = Path(__file__).parents[3] / "shared/reference/crds/gateway-api-v1.6.1" / channel
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    # On a cluster too, the experimental HTTPRoute is too large for client-side apply's annotation.
    kubectl("apply", "--server-side", "--force-conflicts", "-f", str(folder))
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kubectl("apply", "-f", "-", stdin=WEB)
    annotations = as_json(kubectl, "crd", "gateways.gateway.networking.k8s.io")["metadata"]["annotations"]
    assert annotations["gateway.networking.k8s.io/bundle-version"] == "v1.6.1"
