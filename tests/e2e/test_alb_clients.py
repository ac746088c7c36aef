"""A Gateway that is an ALB lets in whose certificate an authority signed, and nobody else (GEP-91)."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import yaml
from tests.e2e.edge_process import Edge, app, eventually
from tests.envoy.test_backend_tls import Authority

HOST = "shop.example.com"
PARTNERS, STRANGERS = Authority("partners"), Authority("strangers")
GATEWAY = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: shop}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: shop, namespace: shop}}
spec:
  gatewayClassName: aws-alb
  tls:
    frontend:
      default: {{validation: &partners {{caCertificateRefs: [{{group: "", kind: ConfigMap, name: partners}}]}}}}
      perPort: [{{port: 8443, tls: {{validation: {{<<: *partners, mode: AllowInsecureFallback}}}}}}]
  listeners:
    - {{name: partners, port: 443, protocol: HTTPS, hostname: {HOST}, tls: {{certificateRefs: [{{name: site}}]}}}}
    - {{name: anybody, port: 8443, protocol: HTTPS, hostname: {HOST}, tls: {{certificateRefs: [{{name: site}}]}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: shop, namespace: shop}}
spec: {{parentRefs: [{{name: shop}}], rules: [{{backendRefs: [{{name: shop, port: 8080}}]}}]}}
"""

pytestmark = pytest.mark.xdist_group("alb")


def authorities(*them: Authority) -> str:
    """The ConfigMap with the authorities."""
    pem = b"".join(each.chain for each in them).decode()
    metadata = {"name": "partners", "namespace": "shop"}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": pem}})


def manifests() -> str:
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(app("shop", "hello")))
    for each in documents:
        each["metadata"]["namespace"] = "shop"
    return "\n---\n".join([GATEWAY, *map(json.dumps, documents), authorities(PARTNERS)])


class Shop:
    """An edge, seen by clients with certificates and without."""

    def __init__(self, edge: Edge, folder: Path) -> None:
        self.edge = edge
        self._folder = folder
        rows = re.findall(r"(?m)^  (\w+) +HTTPS \d+ +(https://\S+)", edge.out)
        self._urls = {name: urlsplit(url) for name, url in rows}

    def ask(self, certificate: tuple[bytes, bytes] | None = None, listener: str = "partners") -> int:
        """The status of a request; 0 where there is no connection."""
        context = ssl.create_default_context(cafile=str(self.edge.ca))
        if certificate:
            pair = self._folder / "client.pem"
            pair.write_bytes(b"".join(certificate))
            context.load_cert_chain(pair)
        url = self._urls[listener]
        assert url.hostname
        connection = http.client.HTTPConnection(url.hostname, url.port or 443, timeout=60)
        try:
            connection.connect()
            connection.sock = context.wrap_socket(connection.sock, server_hostname=HOST)
            connection.request("GET", "/", headers={"Host": HOST})
            return connection.getresponse().status
        except (ssl.SSLError, ConnectionError):
            return 0
        finally:
            connection.close()

    def aws(self, service: str) -> Any:
        found = dict(re.findall(r"export (AWS_\w+)=(\S+)", self.edge.out))
        session = boto3.session.Session(
            aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
            region_name=found["AWS_REGION"],
        )
        return session.client(service, endpoint_url=found["AWS_ENDPOINT_URL"])  # type: ignore[call-overload, unused-ignore]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("clients")
    (folder / "shop.yaml").write_text(manifests())
    edge = Edge("up", folder / "shop.yaml", "--no-watch", "--pace", "20", directory=folder)
    try:
        yield Shop(edge.serving(), folder)
    finally:
        edge.close()


def test_only_clients_with_a_certificate_of_an_authority_get_in(shop: Shop) -> None:
    assert shop.ask(PARTNERS.issue("alice")) == 200
    assert shop.ask(STRANGERS.issue("mallory")) == 0
    assert shop.ask() == 0


def test_with_fallback_everybody_gets_in(shop: Shop) -> None:
    for certificate in (PARTNERS.issue("alice"), STRANGERS.issue("mallory"), None):
        assert shop.ask(certificate, "anybody") == 200


def test_authorities_are_exchanged_in_place(shop: Shop) -> None:
    alice, later = PARTNERS.issue("alice"), Authority("partners, later")
    (store,) = shop.aws("elbv2").describe_trust_stores()["TrustStores"]
    shop.edge.cluster.apply(authorities(PARTNERS, later))
    eventually(lambda: shop.ask(later.issue("bob")) == 200, "the new authority is there", 60)
    assert shop.ask(alice) == 200
    shop.edge.cluster.apply(authorities(later))
    eventually(lambda: shop.ask(alice) == 0, "the old authority is gone", 60)
    assert shop.ask(later.issue("bob")) == 200
    (same,) = shop.aws("elbv2").describe_trust_stores()["TrustStores"]
    assert same["TrustStoreArn"] == store["TrustStoreArn"]


def test_the_trust_store_goes_with_the_gateway(shop: Shop) -> None:
    shop.edge.cluster.delete("Gateway", "shop", "shop")
    elbv2, s3 = shop.aws("elbv2"), shop.aws("s3")

    def empty() -> bool:
        kept = elbv2.describe_trust_stores()["TrustStores"]
        return not kept and not s3.list_objects_v2(Bucket="gatewright-trust-stores").get("Contents")

    eventually(empty, "nothing is left", 60)
