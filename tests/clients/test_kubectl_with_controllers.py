"""kubectl on a whole edge: what needs the controllers behind the API (tests/apiserver has what the API does alone)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.e2e.edge_process import Edge, app, eventually, fetch, gateway, route


@pytest.fixture
def kubectl(tool: Callable[[str], Any]) -> Any:
    return tool("kubectl")


SHOP = "---".join((gateway(), app("shop", "one", 2), route("shop", "shop")))


def test_rollout_history_and_undo(kubectl: Any, edge: Edge, namespace: str) -> None:
    kubectl("apply", "-f", "-", stdin=SHOP)
    kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    kubectl("apply", "-f", "-", stdin=SHOP.replace("-text=one", "-text=two"))
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    url = f"http://{edge.address(namespace)}:8080/"
    eventually(lambda: {fetch(url).body.strip() for _ in range(5)} == {"two"})
    history = kubectl("rollout", "history", "deployment/shop")
    assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["1", "2"]
    assert "-text=one" in kubectl("rollout", "history", "deployment/shop", "--revision=1")
    kubectl("rollout", "undo", "deployment/shop")
    kubectl("rollout", "status", "deployment/shop", "--timeout=60s")
    eventually(lambda: {fetch(url).body.strip() for _ in range(5)} == {"one"})
    kubectl("rollout", "pause", "deployment/shop")
    assert json.loads(kubectl("get", "deployment", "shop", "-o", "json"))["spec"]["paused"] is True
    kubectl("rollout", "resume", "deployment/shop")


def test_waits(kubectl: Any) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=SHOP)
    kubectl("wait", "--for=condition=Available", "deployment/shop", "--timeout=60s")
    kubectl("wait", "--for=condition=Programmed", "gateway/gw", "--timeout=60s")
    accepted = '--for=jsonpath={.status.parents[0].conditions[?(@.type=="Accepted")].status}=True'
    kubectl("wait", accepted, "httproute/shop", "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=shop", "--timeout=60s")
    kubectl("delete", "deployment", "shop", "--cascade=foreground", "--timeout=60s")
    kubectl("wait", "--for=delete", "pod", "-l", "app=shop", "--timeout=60s")


def test_watching(kubectl: Any) -> None:
    watching = kubectl.start("get", "configmap", "--watch", "--output-watch-events", "--no-headers")
    assert watching.stdout
    kubectl("create", "configmap", "words", "--from-literal=a=1")
    seen = [watching.stdout.readline().split()[:2]]
    kubectl("patch", "configmap", "words", "-p", '{"data": {"b": "2"}}')
    seen.append(watching.stdout.readline().split()[:2])
    kubectl("delete", "configmap", "words")
    seen.append(watching.stdout.readline().split()[:2])
    watching.terminate()
    watching.communicate(timeout=90)
    assert seen == [["ADDED", "words"], ["MODIFIED", "words"], ["DELETED", "words"]]


def test_diff_says_what_would_change(kubectl: Any) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=SHOP)
    # There is a difference as well while controllers write the first statuses, between the two looks that it takes.
    eventually(lambda: kubectl.run("diff", "--server-side", "-f", "-", stdin=SHOP).returncode == 0)
    changed = kubectl.run("diff", "--server-side", "-f", "-", stdin=SHOP.replace("replicas: 2", "replicas: 4"))
    assert changed.returncode == 1, changed.stderr
    assert "+  replicas: 4" in changed.stdout
    assert "-  replicas: 2" in changed.stdout


def test_apply_with_prune(kubectl: Any) -> None:
    kept, dropped = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{set: mine}}}}\n"
        for name in ("kept", "dropped")
    )
    prune = ("apply", "--prune", "-l", "set=mine", "--prune-allowlist=core/v1/ConfigMap", "-f", "-")
    kubectl(*prune, stdin=f"{kept}---\n{dropped}")
    assert "configmap/dropped pruned" in kubectl(*prune, stdin=kept)
    assert "configmap/kept" in kubectl("get", "configmap", "-o", "name")


def test_questions_about_the_api(kubectl: Any) -> None:
    assert "backendRefs" in kubectl("explain", "httproute.spec.rules", "--recursive")
    assert "FIELD: timeouts" in kubectl("explain", "httproute.spec.rules.timeouts")
    assert kubectl("auth", "can-i", "delete", "httproutes.gateway.networking.k8s.io").strip() == "yes"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert json.loads(kubectl("get", "--raw", "/apis/gateway.networking.k8s.io/v1"))["kind"] == "APIResourceList"
    assert kubectl("get", "--raw", "/readyz") == "ok"
