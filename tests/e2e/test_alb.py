"""The direct architecture: the Gateway is an ALB, with a web ACL, TLS, access logs and a blocked path, and no proxy."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.server
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.chained import ChainedEdge
from tests.e2e.edge_process import _KINDS, EXAMPLES, Edge, Gatewright, app, conditions, eventually, fetch
from tests.e2e.steady_load import Http1, Load

_KINDS |= {
    kind: ("/apis/gateway.k8s.aws/v1", f"{kind.lower()}s")
    for kind in ("LoadBalancerConfiguration", "TargetGroupConfiguration", "ListenerRuleConfiguration")
}
_KINDS["EndpointSlice"] = ("/apis/discovery.k8s.io/v1", "endpointslices")
HOST = "www.example.com"
EXAMPLE = EXAMPLES / "alb"
DOCUMENT = Path(__file__).with_name("documents") / "alb-gateway.yaml"

pytestmark = pytest.mark.xdist_group("alb")


class AlbEdge(ChainedEdge):
    """`gatewright up` whose Gateway `edge/public` is an ALB."""

    def serving(self) -> AlbEdge:
        Edge.serving(self)
        self.environment = dict(re.findall(r"export (AWS_\w+)=(\S+)", self.out))
        return self

    def ask(self, path: str, scheme: str = "https", host: str = HOST, **headers: str) -> Any:
        base = self.https_url if scheme == "https" else self.url
        if scheme == "https":
            return fetch(f"{base}{path}", host=host, ca=self.ca, sni=host, headers=headers)
        return fetch(f"{base}{path}", host=host, headers=headers)

    def parents(self, name: str, namespace: str = "my-web") -> dict[str, tuple[str, str]]:
        (parent,) = self.cluster.parents(namespace, name)
        return parent

    def port(self) -> int:
        found = self.https_url.rpartition(":")[2]
        return int(found) if found.isdigit() else 443


@pytest.fixture(scope="module")
def alb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AlbEdge]:
    edge = AlbEdge("up", EXAMPLE, "--no-watch", "--pace", "20", directory=tmp_path_factory.mktemp("alb"))
    try:
        yield edge.serving()
    finally:
        edge.close()


def test_a_request_reaches_a_pod_through_the_alb_alone(alb: AlbEdge) -> None:
    answer = alb.ask("/")
    assert (answer.status, answer.body.strip()) == (200, "Hello from my-web")
    assert "x-envoy-upstream-service-time" not in answer.headers


def test_unencrypted_requests_are_sent_to_https(alb: AlbEdge) -> None:
    answer = alb.ask("/a?b=c", scheme="http")
    assert answer.status == 301
    assert answer.headers["location"] in (f"https://{HOST}/a?b=c", f"https://{HOST}:443/a?b=c")


def test_metrics_are_blocked_by_the_alb(alb: AlbEdge) -> None:
    for path in ("/metrics", "/metrics/pods"):
        answer = alb.ask(path)
        assert (answer.status, answer.body) == (403, "Forbidden for public access")
    assert alb.ask("/metricsandmore").status == 200


def test_the_web_acl_blocks_dot_files(alb: AlbEdge) -> None:
    assert alb.ask("/.env").status == 403


def test_another_host_is_not_found(alb: AlbEdge) -> None:
    assert alb.ask("/", scheme="http", host="other.example.com").status == 404


def test_the_gateway_says_where_it_is_and_what_it_is(alb: AlbEdge) -> None:
    status = alb.cluster.get("Gateway", "edge", "public")["status"]
    assert {kind: value[0] for kind, value in conditions(status).items()} == {
        "Accepted": "True",
        "Programmed": "True",
        "ResolvedRefs": "True",
    }
    (balancer,) = alb.client("elbv2").describe_load_balancers()["LoadBalancers"]
    assert status["addresses"] == [{"type": "Hostname", "value": balancer["DNSName"]}]
    (programmed,) = [each for each in status["conditions"] if each["type"] == "Programmed"]
    assert balancer["LoadBalancerArn"] in programmed["message"]
    assert [each["attachedRoutes"] for each in status["listeners"]] == [1, 1]


def test_the_chain_shows_the_gateway_as_the_alb_that_it_is(alb: AlbEdge) -> None:
    (hop,) = alb.hops()
    assert (hop["kind"], hop["health"]) == ("ALB", "good")
    assert "Gateway edge/public" in hop["text"]
    assert any(each["kind"] == "web ACL" for each in hop["hops"])


def test_requests_are_logged_to_the_bucket(alb: AlbEdge) -> None:
    alb.ask("/logged-by-the-alb")
    client = alb.client("s3")

    def logged() -> bool:
        found = client.list_objects_v2(Bucket="alb-edge-logs").get("Contents", ())
        bodies = [client.get_object(Bucket="alb-edge-logs", Key=each["Key"])["Body"].read() for each in found]
        return any(b"/logged-by-the-alb" in gzip.decompress(body) for body in bodies if body[:2] == b"\x1f\x8b")

    eventually(logged, "an access log with the request", 60)


def test_matches_weights_and_rewrites(alb: AlbEdge) -> None:
    """Headers, query parameters and methods choose; a rewrite changes what the pod sees."""
    alb.cluster.apply(
        """
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: my-web}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers: [{name: echo, image: example.com/echo, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: my-web}
spec: {selector: {app: echo}, ports: [{port: 8080}]}
---
apiVersion: gateway.k8s.aws/v1
kind: TargetGroupConfiguration
metadata: {name: echo, namespace: my-web}
spec:
  targetReference: {name: echo}
  defaultConfiguration: {healthCheckConfig: {matcher: {httpCode: 200-499}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: matches, namespace: my-web}
spec:
  parentRefs: [{name: public, namespace: edge, sectionName: https}]
  hostnames: [www.example.com]
  rules:
    - matches: [{path: {value: /by}, headers: [{name: x-tenant, value: one}]}]
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /header}}}]
      backendRefs: [{name: echo, port: 8080}]
    - matches: [{path: {value: /by}, queryParams: [{name: tenant, value: one}]}]
      filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /query}}}]
      backendRefs: [{name: echo, port: 8080}]
    - matches: [{path: {value: /by}, method: DELETE}]
      backendRefs: [{name: echo, port: 8080, weight: 0}, {name: my-web, port: 80, weight: 1}]
    - matches: [{path: {value: /unserved}}]
      filters: [{type: RequestMirror, requestMirror: {backendRef: {name: echo, port: 8080}}}]
      backendRefs: [{name: echo, port: 8080}]
"""
    )

    def seen(path: str, **headers: str) -> str:
        body = alb.ask(path, **headers).body
        return str(json.loads(body)["path"]) if body.startswith("{") else body

    eventually(lambda: seen("/by/a", **{"x-tenant": "one"}) == "/header/a", "the header matches", 60)
    eventually(lambda: seen("/by/a?tenant=one") == "/query", "the query parameter matches")
    assert alb.ask("/by/a").body.strip() == "Hello from my-web"
    parent = alb.parents("matches")
    assert parent["Accepted"][0] == "True"
    assert parent["PartiallyInvalid"][0] == "True"


def test_a_rolling_update_under_load_loses_no_request(alb: AlbEdge) -> None:
    """With readiness gates: new pods count as ready once the ALB finds them healthy, old ones leave it first."""
    alb.cluster.apply(_gated("rolling", "1"))
    alb.cluster.apply(
        """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: rolling, namespace: my-web}
spec:
  parentRefs: [{name: public, namespace: edge, sectionName: https}]
  hostnames: [www.example.com]
  rules: [{matches: [{path: {value: /rolling}}], backendRefs: [{name: rolling, port: 8080}]}]
"""
    )
    host = alb.https_url.partition("://")[2].partition(":")[0]

    async def under_load() -> None:
        async with Load() as load:
            where = (host, alb.port(), "/rolling", HOST)
            clients = [Http1(*where, ca=alb.ca), Http1(*where, ca=alb.ca, keep=False)]
            asked = await load.ask("rolling", "1", *clients)
            for text in ("2", "3"):
                async with load.changing((asked, text)):
                    await asyncio.to_thread(alb.cluster.apply, _gated("rolling", text))
            await load.steady()

    asyncio.run(under_load())


def _gated(name: str, text: str) -> str:
    """An app in two pods that wait for the ALB."""
    gate = "{readinessGates: [{conditionType: target-health.elbv2.k8s.aws/rolling}]}"
    documents = []
    for document in yaml.safe_load_all(app(name, text, replicas=2)):
        document["metadata"]["namespace"] = "my-web"
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"] |= yaml.safe_load(gate)
        documents.append(json.dumps(document))
    return "\n---\n".join(documents)


def test_a_gateway_that_is_deleted_leaves_an_empty_account(tmp_path: Path) -> None:
    edge = AlbEdge("up", EXAMPLE, "--no-watch", "--pace", "20", directory=tmp_path)
    try:
        edge.serving()
        assert edge.client("elbv2").describe_load_balancers()["LoadBalancers"]
        edge.cluster.delete("Gateway", "edge", "public")
        elbv2, ec2 = edge.client("elbv2"), edge.client("ec2")

        def empty() -> bool:
            balancers, groups = elbv2.describe_load_balancers(), elbv2.describe_target_groups()
            named = [each["GroupName"] for each in ec2.describe_security_groups()["SecurityGroups"]]
            ours = [name for name in named if name.startswith("k8s-")]
            return not (balancers["LoadBalancers"] or groups["TargetGroups"] or ours)

        eventually(empty, "nothing is left", 60)
    finally:
        edge.close()


def test_the_documents_mistakes_are_told_where_they_are(tmp_path: Path) -> None:
    """A Gateway that doesn't exist, a protocol in lower case, a certificate, web ACL and bucket that nobody made."""
    process = Gatewright(
        "up", DOCUMENT, "--no-watch", "--pace", "20", "--keep-going", "--exec", "true", directory=tmp_path
    )
    try:
        assert process.wait() == 0, process.err
        told = process.err
        assert 'healthCheckProtocol: Unsupported value: "http"' in told
        missing = "Gateway kube-system/my-alb-gateway does not exist; there is kube-system/aws-alb-gateway"
        assert f"HTTPRoute my-web/my-web: spec.parentRefs[0]: {missing}" in told
        assert "wafV2.webACL arn:aws:wafv2:" in told
        assert "Access Denied for bucket: no-such-bucket" in told
        assert re.search(r"alb-gateway.yaml:\d+: HTTPRoute my-web/my-web", told)
    finally:
        process.close()


def test_put_right_they_serve_and_a_mistyped_health_check_is_told_in_words(tmp_path: Path) -> None:
    aws = "aws: {buckets: [{name: logs}], certificates: [{name: www, domains: [www.example.com]}]}"
    text = DOCUMENT.read_text().replace("my-alb-gateway", "aws-alb-gateway")
    text = text.replace("healthCheckProtocol: http", "healthCheckProtocol: HTTP").replace("no-such-bucket", "logs")
    text = re.sub(r"      defaultCertificate: .*\n", "", text)
    text = re.sub(r"  wafV2:\n    webACL: .*\n", "", text)
    documents = [each for each in yaml.safe_load_all(text) if each["kind"] != "Deployment"]
    for each in documents:
        if each["kind"] == "Service":
            del each["spec"]["selector"]
    manifests = "\n---\n".join([aws, *map(json.dumps, documents)])
    (tmp_path / "edge.yaml").write_text(manifests)
    edge = AlbEdge("up", tmp_path / "edge.yaml", "--no-watch", "--pace", "20", directory=tmp_path)
    try:
        edge.serving()
        assert edge.ask("/metrics").status == 403
        assert edge.ask("/").status == 503  # no target is registered
        (vpc,) = edge.client("ec2").describe_vpcs(Filters=[{"Name": "tag-key", "Values": ["Name"]}])["Vpcs"][:1]
        address = f"{vpc['CidrBlock'].rpartition('.')[0].rpartition('.')[0]}.200.5"
        with _an_app_without_health(address, tmp_path) as port:
            edge.cluster.apply(_endpoint("my-web", address, port))
            told = edge.says("unhealthy target")
            assert "Service my-web/my-web:80" in told
            assert "Health checks failed with these codes: [404]" in told
            assert "HTTP GET /helathz/" in told
            assert edge.ask("/").status == 200  # none is healthy, so all are sent to
    finally:
        edge.close()


@contextlib.contextmanager
def _an_app_without_health(address: str, folder: Path) -> Iterator[int]:
    """A web server that knows nothing but `/`; its port."""
    root = folder / "web"
    root.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(root))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((address, 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def _endpoint(service: str, address: str, port: int) -> str:
    return json.dumps(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": service,
                "namespace": "my-web",
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address]}],
            "ports": [{"name": "", "port": port}],
        }
    )
