"""The reference platform's chain: client, ALB, NLB, Gateway, pod, with two TLS sessions."""

from __future__ import annotations

import base64
import contextlib
import gzip
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from tests.e2e.chained import ChainedEdge, certificate_at
from tests.e2e.edge_process import EXAMPLE, KUBECTL, eventually, fetch, route

pytestmark = pytest.mark.xdist_group("chain")

WAITS = ("starting the edge", "applying", "waiting for", "not ready")
"""What is said to standard error where the machine is busy."""

ECHO = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: tenant-a}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers: [{name: echo, image: example.com/echo, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: tenant-a}
spec:
  selector: {app: echo}
  ports: [{port: 8080}]
"""


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainedEdge]:
    edge = ChainedEdge("up", EXAMPLE, "--no-watch", "--pace", "10", directory=tmp_path_factory.mktemp("chain"))
    try:
        yield edge.serving()
    finally:
        edge.close()


def test_a_request_comes_through_alb_nlb_and_gateway(chained: ChainedEdge) -> None:
    answer = fetch(f"{chained.https_url}/app1", ca=chained.ca)
    assert (answer.status, answer.body.strip()) == (200, "Hello from App 1")


def test_in_the_clear_the_alb_redirects(chained: ChainedEdge) -> None:
    answer = fetch(f"{chained.url}/app1?a=b")
    assert answer.status == 301
    assert answer.headers["location"] == f"{chained.https_url}/app1?a=b"
    assert answer.headers["server"] == "awselb/2.0"


def test_each_tls_session_has_its_own_certificate(chained: ChainedEdge) -> None:
    listed = chained.client("acm").list_certificates(Includes={"keyTypes": ["EC_prime256v1"]})["CertificateSummaryList"]
    (arn,) = [each["CertificateArn"] for each in listed]
    acm = x509.load_pem_x509_certificate(
        chained.client("acm").get_certificate(CertificateArn=arn)["Certificate"].encode()
    )
    secret = chained.cluster.get("Secret", "istio-ingress", "istio-gateway-tls")["data"]["tls.crt"]
    gateway = x509.load_pem_x509_certificate(base64.b64decode(secret))
    assert certificate_at(*chained.open_at(chained.alb[0], 443), "platform.example.com") == acm
    for address in chained.addresses(chained.nlb()):
        assert certificate_at(*chained.open_at(address, 443)) == gateway
    assert acm != gateway


def test_headers_tell_of_each_hop(chained: ChainedEdge) -> None:
    chained.cluster.apply(ECHO + "---" + route("echo", "echo", "/echo"), "tenant-a")
    chained.cluster.patch(
        "HTTPRoute",
        "tenant-a",
        "echo",
        {"spec": {"parentRefs": [{"name": "shared-gateway", "namespace": "istio-ingress"}]}},
    )
    try:
        answer = eventually(lambda: _ok(fetch(f"{chained.https_url}/echo", ca=chained.ca)))
        headers = {name.lower(): value for name, value in answer.json["headers"].items()}  # type: ignore[attr-defined]
        text = {name: value[0] if isinstance(value, list) else value for name, value in headers.items()}
        # The ALB says who asked it; the Gateway adds who asked the Gateway: a node of the NLB.
        client, node = text["x-forwarded-for"].replace(" ", "").split(",")
        assert client == "127.0.0.1"
        assert node in chained.addresses(chained.nlb())
        assert text["x-forwarded-proto"] == "https"
        assert text["x-forwarded-port"] == "443"
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", text["x-amzn-trace-id"])
    finally:
        chained.cluster.delete("HTTPRoute", "tenant-a", "echo")


def _ok(answer: object) -> object:
    assert getattr(answer, "status", 0) == 200, answer
    return answer


def test_boto3_sees_what_is_there(chained: ChainedEdge) -> None:
    elbv2 = chained.client("elbv2")
    found = {each["Type"]: each for each in elbv2.describe_load_balancers()["LoadBalancers"]}
    assert found["application"]["Scheme"] == "internet-facing"
    assert found["network"]["Scheme"] == "internal"
    assert {each["State"]["Code"] for each in found.values()} == {"active"}
    nodes = chained.addresses(found["network"])
    assert len(nodes) == 2
    assert chained.health() == {f"{address}:443": ("healthy", "") for address in nodes}


def test_the_web_acl_keeps_out_what_it_names(chained: ChainedEdge) -> None:
    blocked = fetch(f"{chained.https_url}/app1/.git/config", ca=chained.ca)
    assert blocked.status == 403
    assert fetch(f"{chained.https_url}/app1/git/config", ca=chained.ca).status == 200


def test_access_logs_come_into_the_bucket(chained: ChainedEdge) -> None:
    assert fetch(f"{chained.https_url}/app1?log=me", ca=chained.ca).status == 200
    s3 = chained.client("s3")

    def found() -> str:
        objects = s3.list_objects_v2(Bucket="platform-edge-logs").get("Contents", [])
        texts = [
            gzip.decompress(s3.get_object(Bucket="platform-edge-logs", Key=each["Key"])["Body"].read()).decode()
            for each in objects
            if each["Key"].endswith(".gz")
        ]
        return next((line for text in texts for line in text.splitlines() if "log=me" in line), "")

    line = eventually(found, "an access log", 60)
    assert line.startswith("https ")
    assert " 200 200 " in line


def test_the_tree_shows_every_hop_with_its_health(chained: ChainedEdge) -> None:
    tree = chained.chain()
    for words in (
        f"ALB platform {', '.join(chained.alb)}: internet-facing, active",
        "web ACL platform",
        "listener HTTP 80: redirects to https, port 443 (301)",
        "target group shared-gateway: HTTPS, 2 of 2 healthy, checks HTTPS /healthz/ready",
        f"target {chained.addresses(chained.nlb())[0]}:443: healthy",
        "NLB ",
        "Gateway istio-ingress/shared-gateway",
        "HTTPRoute tenant-a/app1",
        "Service tenant-a/app1:8080",
    ):
        assert words in tree, tree
    assert "bad" not in chained.chain("-o", "json")
    assert all(line.strip() in chained.out for line in tree.splitlines() if "ALB" in line)


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_kubectl_shows_the_binding(chained: ChainedEdge) -> None:
    command = [str(KUBECTL), "--kubeconfig", str(chained.cluster.kubeconfig), "get", "eb", "-n", "istio-ingress"]
    header, row = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert header.split() == ["NAME", "GATEWAY", "PORT", "BOUND", "ROUTABLE", "HEALTHY", "TARGETS", "AGE"]
    assert row.split()[:7] == ["shared-gateway", "shared-gateway", "443", "True", "True", "True", "2/2"]


def test_under_exec_the_environment_leads_to_every_hop(tmp_path: Path) -> None:
    script = """
set -e
curl -fsS --cacert "$EDGE_CA" "$EDGE_HTTPS_URL/app1"
curl -sS -o /dev/null -w '%{http_code} %{redirect_url}\\n' "$EDGE_URL/app1"
curl -fsS "$GATEWAY_URL/app2"
test -n "$AWS_ENDPOINT_URL" -a -n "$AWS_REGION" -a -n "$AWS_ACCESS_KEY_ID"
grep -q '"kind": "ALB"' "$EDGE_STATE"
"""
    edge = ChainedEdge("up", EXAMPLE, "--exec", script, directory=tmp_path)
    try:
        assert edge.wait() == 0, edge.err
        first, second, third = edge.out.splitlines()
        assert first == "Hello from App 1"
        assert second.startswith("301 https://")
        assert [line for line in edge.err.splitlines() if not line.startswith(WAITS)] == []
        assert third == "Hello from App 2"
        assert edge.left() == []
    finally:
        edge.close()


@pytest.mark.parametrize("after", [0.5, 1.5, 3.0])
def test_interrupted_while_it_starts_it_leaves_nothing(tmp_path: Path, after: float) -> None:
    edge = ChainedEdge("up", EXAMPLE, directory=tmp_path)
    try:
        eventually(lambda: any("gatewright.local.aws" in command for command in edge.processes().values()))
        with contextlib.suppress(subprocess.TimeoutExpired):
            edge.process.wait(after)  # a moment of its start, whichever that is on this machine
        assert edge.interrupt() == 130, edge.err
        assert edge.left() == []
        assert "Traceback" not in edge.err
    finally:
        edge.close()


def test_killed_for_good_it_leaves_no_process(tmp_path: Path) -> None:
    edge = ChainedEdge("up", EXAMPLE, directory=tmp_path)
    try:
        edge.serving()
        commands = " ".join(edge.processes().values())
        assert "gatewright.local.aws" in commands
        assert commands.count("--config-path") == 2, commands
        edge.process.kill()
        edge.process.wait(10)
        eventually(lambda: edge.processes() == {})
    finally:
        edge.close()


def test_a_mistake_in_the_edge_description_leaves_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "eks"
    shutil.copytree(EXAMPLE, folder)
    edge = ChainedEdge("up", folder, directory=tmp_path)
    try:
        edge.serving()
        description = folder / "aws.yaml"
        text = description.read_text()
        description.write_text(text.replace("targetType: ip", "targetType: ipp"))
        eventually(lambda: "aws.targetGroups[0].targetType" in edge.err)
        assert fetch(f"{edge.https_url}/app1", ca=edge.ca).status == 200
        assert "deleted" not in edge.out
        description.write_text(text.replace("path: /healthz/ready", "path: /healthz"))
        eventually(lambda: "target group shared-gateway changed" in edge.out)
        assert fetch(f"{edge.https_url}/app1", ca=edge.ca).status == 200
    finally:
        edge.close()
