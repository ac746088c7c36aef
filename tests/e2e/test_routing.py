"""What the Gateway API promises, seen on the wire of the shared edge; each test has a namespace and a Gateway."""

from __future__ import annotations

import ssl
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from tests.e2e.edge_process import GATEWRIGHT, Edge, app, eventually, fetch, gateway, route


def test_class_gatewright_serves_without_istios_service(edge: Edge, namespace: str) -> None:
    edge.cluster.apply("---".join((gateway(), app("app", "plain"), route("app", "app"))), namespace)
    address = edge.address(namespace)
    assert address != edge.address("istio-ingress", "shared-gateway")
    eventually(lambda: fetch(f"http://{address}:8080/").body.strip() == "plain")
    services = edge.cluster.request("GET", f"/api/v1/namespaces/{namespace}/services")["items"]
    assert [service["metadata"]["name"] for service in services] == ["app"]


def test_class_istio_makes_its_service_with_labels_and_annotations(edge: Edge, namespace: str) -> None:
    made = gateway("mine", "istio").replace(
        "spec:\n", "spec:\n  infrastructure: {labels: {team: edge}, annotations: {example.com/owner: us}}\n"
    )
    edge.cluster.apply(made, namespace)
    address = edge.address(namespace, "mine")
    service = edge.cluster.get("Service", namespace, "mine-istio")
    assert service["metadata"]["labels"]["team"] == "edge"
    assert service["metadata"]["annotations"] == {"example.com/owner": "us"}
    assert service["status"]["loadBalancer"]["ingress"][0]["ip"] == address
    patch = {"spec": {"infrastructure": {"annotations": {"example.com/owner": "them"}}}}
    edge.cluster.patch("Gateway", namespace, "mine", patch)

    def owner() -> str:
        metadata = edge.cluster.get("Service", namespace, "mine-istio")["metadata"]
        return str(metadata["annotations"]["example.com/owner"])

    eventually(lambda: owner() == "them")
    edge.cluster.delete("Gateway", namespace, "mine")

    def gone() -> bool:
        services = edge.cluster.request("GET", f"/api/v1/namespaces/{namespace}/services")["items"]
        return not services

    eventually(gone, "the Service goes with its Gateway")


def test_hostnames_choose_the_route_and_sni_the_certificate(edge: Edge, namespace: str, tmp_path: Path) -> None:
    for secret, host in (("shop", "shop.example.com"), ("any", "*.example.org")):
        certs = [str(GATEWRIGHT), "certs", host, "--secret", secret, "-n", namespace, "--dir", str(tmp_path), "--apply"]
        subprocess.run([*certs, "--kubeconfig", str(edge.cluster.kubeconfig)], check=True, capture_output=True)
    listeners = "".join(
        f"""
    - name: {name}
      port: 8443
      protocol: HTTPS
      hostname: "{host}"
      tls: {{certificateRefs: [{{name: {name}}}]}}"""
        for name, host in (("shop", "shop.example.com"), ("any", "*.example.org"))
    )
    shop = route("shop", "shop").replace("spec:", "spec:\n  hostnames: [shop.example.com]", 1)
    blog = route("blog", "blog").replace("spec:", "spec:\n  hostnames: [blog.example.org]", 1)
    edge.cluster.apply(
        f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw}}
spec:
  gatewayClassName: gatewright
  listeners:{listeners}
---
{app("shop", "the shop")}
---
{app("blog", "the blog")}
---
{shop}
---
{blog}
""",
        namespace,
    )
    url = f"https://{edge.address(namespace)}:8443/"

    def ask(host: str, sni: str = "") -> tuple[int, str]:
        answer = fetch(url, host=host, sni=sni or host, ca=tmp_path / "ca.crt")
        return answer.status, answer.body.strip()

    eventually(lambda: ask("shop.example.com") == (200, "the shop"))
    eventually(lambda: ask("blog.example.org") == (200, "the blog"))
    with pytest.raises((ssl.SSLError, OSError)):
        ask("shop.example.com", sni="elsewhere.example.net")


def test_redirects_and_header_filters(edge: Edge, namespace: str) -> None:
    edge.cluster.apply(
        f"""
{gateway()}
---
{app("app", "text").replace("hashicorp/http-echo:1.0", "example.com/something:1")}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: filters}}
spec:
  parentRefs: [{{name: gw}}]
  rules:
    - matches: [{{path: {{value: /old}}}}]
      filters:
        - type: RequestRedirect
          requestRedirect:
            scheme: https
            hostname: new.example.com
            statusCode: 301
            path: {{type: ReplacePrefixMatch, replacePrefixMatch: /new}}
    - matches: [{{path: {{value: /headers}}}}]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: {{set: [{{name: x-added, value: yes-it-is}}], remove: [x-secret]}}
        - type: ResponseHeaderModifier
          responseHeaderModifier: {{add: [{{name: x-served-by, value: gatewright}}]}}
      backendRefs: [{{name: app, port: 8080}}]
""",
        namespace,
    )
    base = f"http://{edge.address(namespace)}:8080"
    eventually(lambda: fetch(f"{base}/old/page").status == 301)
    moved = fetch(f"{base}/old/page")
    assert moved.headers["location"].startswith("https://new.example.com")
    assert moved.headers["location"].endswith("/new/page")
    eventually(lambda: fetch(f"{base}/headers").status == 200)
    answer = fetch(f"{base}/headers", headers={"x-secret": "1", "x-kept": "2"})
    assert answer.headers["x-served-by"] == "gatewright"
    received = {name.lower(): value for name, value in answer.json["headers"].items()}
    assert "x-secret" not in received
    assert "yes-it-is" in str(received["x-added"])
    assert "2" in str(received["x-kept"])


def test_weights_share_the_traffic(edge: Edge, namespace: str) -> None:
    shares = {"one": 3, "two": 1, "idle": 0}
    backends = ", ".join(f"{{name: {name}, port: 8080, weight: {weight}}}" for name, weight in shares.items())
    shared = route("shared", "one").replace("{name: one, port: 8080}", backends)
    parts = (gateway(), app("one", "one"), app("two", "two"), app("idle", "idle"), shared)
    edge.cluster.apply("---".join(parts), namespace)
    url = f"http://{edge.address(namespace)}:8080/"
    eventually(lambda: {fetch(url).body.strip() for _ in range(20)} == {"one", "two"})
    seen = Counter(fetch(url).body.strip() for _ in range(200))
    assert set(seen) == {"one", "two"}
    assert 110 < seen["one"] < 185  # 150 expected; the bounds are 6 standard deviations away


def test_a_certificate_of_the_users_own_is_served(edge: Edge, namespace: str, tmp_path: Path) -> None:
    import msgspec

    from gatewright.local.certificates import Authority
    from gatewright.local.secrets import tls_secret
    from gatewright.model.meta import Key

    authority = Authority.create("somebody else")
    made = gateway(port=8443).replace("protocol: HTTP", "protocol: HTTPS, tls: {certificateRefs: [{name: own}]}")
    secret = tls_secret(Key(namespace, "own"), authority.issue(["own.example.com"]), authority.pem)
    edge.cluster.apply(msgspec.json.encode(secret).decode())
    edge.cluster.apply("---".join((made, app("app", "own"), route("app", "app"))), namespace)
    bundle = tmp_path / "ca.crt"
    bundle.write_bytes(authority.pem)
    url = f"https://{edge.address(namespace)}:8443/"
    eventually(lambda: fetch(url, sni="own.example.com", ca=bundle).body.strip() == "own")
    assert "gatewright.dev/generated" not in str(edge.cluster.get("Secret", namespace, "own")["metadata"])
