"""The reference example, as a user meets it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from tests.e2e.edge_process import EXAMPLE, Edge, app, conditions, eventually, fetch, route

ANSWERS = {
    "/app1": "Hello from App 1",
    "/app2": "Hello from App 2",
    "/healthz/ready": "ok",
}


@pytest.mark.parametrize("path", ANSWERS)
def test_each_tenant_answers_in_the_clear_and_over_verified_tls(edge: Edge, path: str) -> None:
    for answer in (fetch(edge.url + path), fetch(edge.https_url + path, ca=edge.ca)):
        assert answer.status == 200
        assert answer.body.strip() == ANSWERS[path]


def test_the_users_api_answers_json(edge: Edge) -> None:
    users = fetch(f"{edge.url}/api/users").json["users"]
    assert [user["name"] for user in users] == ["Ada", "Grace"]


def test_no_route_no_answer(edge: Edge) -> None:
    assert fetch(f"{edge.url}/nothing").status == 404


def test_the_table_names_gateway_listeners_urls_and_the_kubeconfig(edge: Edge) -> None:
    lines = edge.out.splitlines()
    rows = {line.split()[0]: line.split() for line in lines if line.strip()}
    address = edge.address("istio-ingress", "shared-gateway")
    assert rows["istio-ingress/shared-gateway"][1:] == ["istio", address, "Accepted", "Programmed", "ResolvedRefs"]
    assert rows["http"][3:] == [edge.url, "*", "4", "Accepted", "ResolvedRefs", "Programmed"]
    assert rows["https"][3:] == [edge.https_url, "*", "4", "Accepted", "ResolvedRefs", "Programmed"]
    assert f"  curl {edge.url}/app1" in edge.out
    assert "Secret istio-ingress/istio-gateway-tls was missing: made one" in edge.out
    assert edge.err == ""


def test_what_is_printed_to_try_works_in_a_shell(edge: Edge) -> None:
    commands = [line.partition("#")[0].strip() for line in edge.out.splitlines() if line.startswith("  curl ")]
    assert len(commands) == 5  # each route, and one of them over TLS
    for command in commands:
        if subprocess.run(["sh", "-c", "command -v curl"], capture_output=True).returncode:
            pytest.skip("curl is not installed")
        assert subprocess.run(f"{command} -fsS", shell=True, capture_output=True).returncode == 0


def test_without_the_health_route_the_load_balancers_check_fails(edge: Edge, kubectl: Callable[..., str]) -> None:
    assert fetch(f"{edge.url}/healthz/ready").status == 200
    kubectl("delete", "httproute", "-n", "gateway-health", "health-responder")
    try:
        eventually(lambda: fetch(f"{edge.url}/healthz/ready").status == 404)
        assert fetch(f"{edge.url}/app1").status == 200
    finally:
        kubectl("apply", "-f", str(EXAMPLE / "health.yaml"))
    eventually(lambda: fetch(f"{edge.url}/healthz/ready").status == 200)
    edge.says("HTTPRoute gateway-health/health-responder: deleted")
    edge.says("HTTPRoute gateway-health/health-responder: attached to listeners")


def test_kubectl_shows_what_the_controller_reports(kubectl: Callable[..., str], edge: Edge) -> None:
    address = edge.address("istio-ingress", "shared-gateway")
    header, row = kubectl("get", "gateway", "-n", "istio-ingress").splitlines()
    assert header.split() == ["NAME", "CLASS", "ADDRESS", "PROGRAMMED", "AGE"]
    assert row.split()[:4] == ["shared-gateway", "istio", address, "True"]
    described = kubectl("describe", "httproute", "-n", "tenant-a", "app1")
    assert "Reason:                Accepted" in described
    assert "istio.io/gateway-controller" in described
    kubectl("wait", "--for=condition=Programmed", "gateway/shared-gateway", "-n", "istio-ingress", "--timeout=60s")
    assert "successfully rolled out" in kubectl("rollout", "status", "deployment/app1", "-n", "tenant-a")


def test_class_istio_has_istios_service_with_the_infrastructures_annotations(edge: Edge) -> None:
    service = edge.cluster.get("Service", "istio-ingress", "shared-gateway-istio")
    annotations = service["metadata"]["annotations"]
    assert annotations["service.beta.kubernetes.io/aws-load-balancer-scheme"] == "internal"
    assert service["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"] == "shared-gateway"
    assert service["spec"]["type"] == "LoadBalancer"
    assert {port["port"] for port in service["spec"]["ports"]} == {80, 443, 15021}
    ingress = service["status"]["loadBalancer"]["ingress"]
    assert [entry["ip"] for entry in ingress] == [edge.address("istio-ingress", "shared-gateway")]


def test_class_istio_says_on_the_status_port_whether_the_proxy_is_ready(edge: Edge) -> None:
    path = "/apis/discovery.k8s.io/v1/namespaces/istio-ingress/endpointslices/shared-gateway-istio-proxy"
    found = edge.cluster.request("GET", path)
    (port,) = [port["port"] for port in found["ports"] if port["name"] == "status-port"]
    at = f"http://{found['endpoints'][0]['addresses'][0]}:{port}"
    eventually(lambda: fetch(f"{at}/healthz/ready").status == 200)
    assert fetch(f"{at}/app1").status == 404


def test_a_route_from_a_namespace_that_is_not_allowed_serves_nothing(edge: Edge, namespace: str) -> None:
    edge.cluster.apply(
        f"""
{app("intruder", "intruder")}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: intruder}}
spec:
  parentRefs: [{{name: shared-gateway, namespace: istio-ingress}}]
  rules:
    - matches: [{{path: {{value: /{namespace}}}}}]
      backendRefs: [{{name: intruder, port: 8080}}]
""",
        namespace,
    )
    found = eventually(lambda: edge.cluster.parents(namespace, "intruder"))
    assert found[0]["Accepted"] == ("False", "NotAllowedByListeners")
    assert fetch(f"{edge.url}/{namespace}").status == 404
    # The owner of the namespace gets access, and it is served.
    label = {"metadata": {"labels": {"platform.example.com/gateway-access": "true"}}}
    edge.cluster.patch("Namespace", "", namespace, label)
    eventually(lambda: fetch(f"{edge.url}/{namespace}").body.strip() == "intruder")
    eventually(lambda: edge.cluster.parents(namespace, "intruder")[0]["Accepted"] == ("True", "Accepted"))


def test_a_service_elsewhere_needs_a_reference_grant(edge: Edge, namespace: str) -> None:
    edge.cluster.apply(
        f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: elsewhere, namespace: tenant-a}}
spec:
  parentRefs: [{{name: shared-gateway, namespace: istio-ingress}}]
  rules:
    - matches: [{{path: {{value: /{namespace}}}}}]
      backendRefs: [{{name: app, namespace: {namespace}, port: 8080}}]
---
{app("app", "from elsewhere").replace("{name: app}", f"{{name: app, namespace: {namespace}}}", 1)}
""".replace("kind: Service\nmetadata: {name: app}", f"kind: Service\nmetadata: {{name: app, namespace: {namespace}}}")
    )
    try:
        eventually(lambda: edge.cluster.parents("tenant-a", "elsewhere")[0]["ResolvedRefs"][1] == "RefNotPermitted")
        eventually(lambda: fetch(f"{edge.url}/{namespace}").status == 500)
        edge.says("RefNotPermitted")
        edge.cluster.apply(
            """
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: allow}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: tenant-a}]
  to: [{group: "", kind: Service}]
""",
            namespace,
        )
        eventually(lambda: fetch(f"{edge.url}/{namespace}").body.strip() == "from elsewhere")
        eventually(lambda: edge.cluster.parents("tenant-a", "elsewhere")[0]["ResolvedRefs"][0] == "True")
    finally:
        edge.cluster.delete("HTTPRoute", "tenant-a", "elsewhere")


def test_scaling_to_nothing_is_503_for_that_tenant_alone(edge: Edge) -> None:
    edge.cluster.patch("Deployment", "tenant-b", "app2", {"spec": {"replicas": 0}})
    try:
        eventually(lambda: fetch(f"{edge.url}/app2").status == 503)
        assert fetch(f"{edge.url}/app1").status == 200
        edge.says("no endpoint is left")
    finally:
        edge.cluster.patch("Deployment", "tenant-b", "app2", {"spec": {"replicas": 2}})
    eventually(lambda: fetch(f"{edge.url}/app2").status == 200)


def test_a_rolling_update_under_load_loses_no_request(edge: Edge) -> None:
    seen: Counter[tuple[int, str]] = Counter()
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                answer = fetch(f"{edge.url}/app1")
                seen[answer.status, answer.body.strip()] += 1
            except OSError as error:
                seen[0, repr(error)] += 1
            stop.wait(0.005)

    worker = threading.Thread(target=load)
    worker.start()

    def roll(text: str) -> None:
        container = {
            "name": "app",
            "image": "hashicorp/http-echo:1.0",
            "args": ["-listen=:8080", f"-text={text}"],
            "ports": [{"name": "http", "containerPort": 8080}],
        }
        patch = {"spec": {"template": {"spec": {"containers": [container]}}}}
        edge.cluster.patch("Deployment", "tenant-a", "app1", patch)

        def rolled() -> bool:
            status = edge.cluster.get("Deployment", "tenant-a", "app1")["status"]
            return bool(status["updatedReplicas"] == status["replicas"] == status["availableReplicas"] == 2)

        eventually(lambda: fetch(f"{edge.url}/app1").body.strip() == text and rolled())

    try:
        roll("second edition")
    finally:
        stop.set()
        worker.join()
        roll("Hello from App 1")
    assert {status for status, _ in seen} == {200}, seen
    assert {text for _, text in seen} == {"Hello from App 1", "second edition"}


def test_statuses_carry_the_generation_and_are_not_rewritten(edge: Edge) -> None:
    def read() -> tuple[str, object]:
        found = edge.cluster.get("Gateway", "istio-ingress", "shared-gateway")
        return found["metadata"]["resourceVersion"], found["status"]

    # An earlier test may have taken a route away and put it back.
    eventually(lambda: [item["attachedRoutes"] for item in read()[1]["listeners"]] == [4, 4])  # type: ignore[index]
    before = read()
    assert conditions(before[1])["Programmed"] == ("True", "Programmed")  # type: ignore[arg-type]
    edge.cluster.apply(route("other", "nothing", parent="none"), "tenant-a")
    edge.cluster.delete("HTTPRoute", "tenant-a", "other")
    assert read() == before


@pytest.mark.skipif(sys.platform != "linux", reason="addresses of their own need Linux")
def test_pods_have_addresses_of_their_own(edge: Edge, namespace: str) -> None:
    edge.cluster.apply(app("app", "one", replicas=2), namespace)

    def ready() -> set[str]:
        slices = edge.cluster.request("GET", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")
        endpoints = [endpoint for item in slices["items"] for endpoint in item["endpoints"] or ()]
        return {address for found in endpoints if found["conditions"]["ready"] for address in found["addresses"]}

    eventually(lambda: len(ready()) == 2)
