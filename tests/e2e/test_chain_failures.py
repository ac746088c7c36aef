"""What breaks such a chain quietly, each as a user meets it: said in the status and in the tree, and healed."""

from __future__ import annotations

import base64
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from cryptography import x509
from tests.e2e.chained import BINDING, ChainedEdge, certificate_at
from tests.e2e.edge_process import EXAMPLE, eventually, fetch

from gatewright.local.certificates import Authority
from gatewright.local.secrets import tls_secret
from gatewright.model.meta import Key

pytestmark = pytest.mark.xdist_group("chain failures")


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainedEdge]:
    edge = ChainedEdge("up", EXAMPLE, "--no-watch", "--pace", "10", directory=tmp_path_factory.mktemp("chain"))
    try:
        yield edge.serving()
    finally:
        edge.close()


@pytest.fixture(autouse=True)
def whole(chained: ChainedEdge) -> Iterator[None]:
    """Every test finds the chain whole, and leaves it so."""
    yield
    eventually(lambda: _is_whole(chained), "the chain is whole again", 60)


def _is_whole(chained: ChainedEdge) -> bool:
    healthy = chained.states() == {("healthy", "")} and len(chained.health()) == 2
    fine = {status for status, _ in chained.binding().values()} == {"True"}
    return healthy and fine and fetch(f"{chained.https_url}/app1", ca=chained.ca).status == 200


class Load:
    """Requests one after the other in several threads, and what came of them."""

    def __init__(self, chained: ChainedEdge, path: str = "/app1", clients: int = 4) -> None:
        self.answers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._chained, self._path = chained, path
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                answer = fetch(self._chained.https_url + self._path, ca=self._chained.ca)
                self.answers[str(answer.status)] += 1
            except OSError as error:
                self.answers[type(error).__name__] += 1
            self._stop.wait(0.005)

    @property
    def failed(self) -> int:
        return sum(count for answer, count in self.answers.items() if answer != "200")

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_the_health_route_is_missing(chained: ChainedEdge) -> None:
    chained.cluster.delete("HTTPRoute", "gateway-health", "health-responder")
    try:
        _, message = eventually(lambda: _when(chained, "HealthCheckRoutable", "False"))
        assert "no HTTPRoute on listener https matches GET /healthz/ready" in message
        assert "target group shared-gateway expects 200" in message
        eventually(lambda: chained.states() == {("unhealthy", "Target.ResponseCodeMismatch")})
        eventually(lambda: _when(chained, "Healthy", "False"))
        tree = chained.chain()
        assert "0 of 2 healthy" in tree
        assert "unhealthy Target.ResponseCodeMismatch: Health checks failed with these codes: [404]" in tree
        assert "all are sent to, since none is healthy" in tree
        # Fail open: where nothing is healthy, requests go to all.
        assert fetch(f"{chained.https_url}/app1", ca=chained.ca).status == 200
        chained.says("HealthCheckRoutable=False")
    finally:
        text = (EXAMPLE / "health.yaml").read_text()
        chained.cluster.apply(text.split("---")[-1])


def _when(chained: ChainedEdge, type_: str, status: str) -> tuple[str, str] | None:
    found = chained.binding()[type_]
    return found if found[0] == status else None


def test_the_target_group_speaks_tls_to_the_port_in_the_clear(chained: ChainedEdge) -> None:
    chained.cluster.patch(*BINDING, {"spec": {"port": 80}})
    try:
        _, message = eventually(lambda: _when(chained, "HealthCheckRoutable", "False"))
        assert "HTTPS" in message
        assert "HTTP" in message
        eventually(
            lambda: (
                {(key.rpartition(":")[2], *state) for key, state in chained.health().items()}
                >= {("80", "unhealthy", "Target.FailedHealthChecks")}
            )
        )
        # What worked stays until what is new works.
        assert fetch(f"{chained.https_url}/app1", ca=chained.ca).status == 200
    finally:
        chained.cluster.patch(*BINDING, {"spec": {"port": 443}})


def test_the_target_group_speaks_in_the_clear_to_the_tls_port(chained: ChainedEdge) -> None:
    elbv2 = chained.client("elbv2")
    arn = chained.target_group()
    elbv2.modify_target_group(TargetGroupArn=arn, HealthCheckProtocol="HTTP")
    try:
        eventually(lambda: {state for state, _ in chained.states()} == {"unhealthy"})
        eventually(lambda: _when(chained, "HealthCheckRoutable", "False"))
    finally:
        elbv2.modify_target_group(TargetGroupArn=arn, HealthCheckProtocol="HTTPS")


SECOND = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: second-gateway, namespace: istio-ingress}
spec:
  gatewayClassName: istio
  infrastructure:
    annotations:
      service.beta.kubernetes.io/aws-load-balancer-type: external
      service.beta.kubernetes.io/aws-load-balancer-scheme: internal
      service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
      service.beta.kubernetes.io/aws-load-balancer-attributes: load_balancing.cross_zone.enabled=true
  listeners:
    - name: https
      port: 443
      protocol: HTTPS
      tls: {certificateRefs: [{name: istio-gateway-tls}]}
      allowedRoutes: {namespaces: {from: All}}
---
apiVersion: gatewright.dev/v1alpha1
kind: EdgeBinding
metadata: {name: second-gateway, namespace: istio-ingress}
spec:
  gatewayRef: {name: second-gateway}
  port: 443
  aws: {targetGroup: {name: shared-gateway}}
"""
ROUTES = (("tenant-a", "app1"), ("gateway-health", "health-responder"))


@contextmanager
def second_gateway(chained: ChainedEdge) -> Iterator[None]:
    """Another Gateway with an NLB of its own, bound to the same target group."""
    parents = [{"name": name, "namespace": "istio-ingress"} for name in ("shared-gateway", "second-gateway")]
    chained.cluster.apply(SECOND)
    for namespace, name in ROUTES:
        chained.cluster.patch("HTTPRoute", namespace, name, {"spec": {"parentRefs": parents}})
    try:
        eventually(lambda: len(chained.health()) == 4 and chained.states() == {("healthy", "")})
        yield
    finally:
        chained.cluster.delete("EdgeBinding", "istio-ingress", "second-gateway")
        for namespace, name in ROUTES:
            chained.cluster.patch("HTTPRoute", namespace, name, {"spec": {"parentRefs": parents[:1]}})
        eventually(lambda: len(chained.health()) == 2)
        chained.cluster.delete("Gateway", "istio-ingress", "second-gateway")


def test_the_nlb_is_made_anew_under_load_and_no_request_fails_beside_another(chained: ChainedEdge) -> None:
    with second_gateway(chained), Load(chained) as load:
        before = chained.cluster.get("Service", "istio-ingress", "shared-gateway-istio")
        ingress = before["status"]["loadBalancer"]["ingress"]
        chained.cluster.delete("Service", "istio-ingress", "shared-gateway-istio")

        def replaced() -> bool:
            now = chained.cluster.get("Service", "istio-ingress", "shared-gateway-istio")
            another = now["status"]["loadBalancer"]["ingress"] != ingress
            return another and len(chained.health()) == 4 and chained.states() == {("healthy", "")}

        eventually(replaced, "another NLB is bound", 60)
    assert load.failed == 0, load.answers


def test_the_nlb_is_deleted_by_hand_under_load(chained: ChainedEdge) -> None:
    arn = chained.nlb()["LoadBalancerArn"]
    with Load(chained) as load:
        chained.client("elbv2").delete_load_balancer(LoadBalancerArn=arn)

        def replaced() -> bool:
            return chained.nlb()["LoadBalancerArn"] != arn and _is_whole(chained)

        eventually(replaced, "another NLB is bound", 60)
        good = load.answers["200"]
        eventually(lambda: load.answers["200"] > good + 20)
    assert set(load.answers) <= {"200", "502", "503", "504"}, load.answers


def test_a_target_that_somebody_removed_comes_back(chained: ChainedEdge) -> None:
    address = sorted(chained.health())[0].partition(":")[0]
    target = {"Id": address, "Port": 443}
    before = chained.calls("elbv2", "RegisterTargets")
    chained.client("elbv2").deregister_targets(TargetGroupArn=chained.target_group(), Targets=[target])
    eventually(lambda: chained.calls("elbv2", "RegisterTargets") > before)
    eventually(lambda: chained.health()[f"{address}:443"] == ("healthy", ""))


def test_a_target_of_somebody_else_is_left_alone(chained: ChainedEdge) -> None:
    foreign = {"Id": "127.0.0.99", "Port": 443}
    elbv2, arn = chained.client("elbv2"), chained.target_group()
    elbv2.register_targets(TargetGroupArn=arn, Targets=[foreign])
    try:
        eventually(lambda: chained.health()["127.0.0.99:443"][0] == "unhealthy")

        def shown() -> bool:
            targets = chained.cluster.get(*BINDING)["status"]["targets"]
            return any(each["address"] == "127.0.0.99" and not each.get("registered") for each in targets)

        eventually(shown)
        assert "127.0.0.99:443" in chained.health()
    finally:
        elbv2.deregister_targets(TargetGroupArn=arn, Targets=[foreign])
        eventually(lambda: "127.0.0.99:443" not in chained.health())


def _put_certificate(chained: ChainedEdge, names: list[str] | None, *, expired: bool = False) -> None:
    key = Key("istio-ingress", "istio-gateway-tls")
    if names is None:
        chained.cluster.delete("Secret", *key)
        return
    authority = Authority.create()
    pair = authority.issue(names, days=-1) if expired else authority.issue(names)
    secret = tls_secret(key, pair, authority.pem)
    chained.cluster.patch("Secret", *key, {"data": secret["data"], "metadata": {"annotations": None}})


def test_the_gateways_certificate_has_expired(chained: ChainedEdge) -> None:
    """An ALB doesn't verify what its targets show: such a certificate is served, and status and tree tell."""
    before = chained.cluster.get("Secret", "istio-ingress", "istio-gateway-tls")
    try:
        _put_certificate(chained, ["other.example.org"], expired=True)
        secret = chained.cluster.get("Secret", "istio-ingress", "istio-gateway-tls")["data"]["tls.crt"]
        wanted = x509.load_pem_x509_certificate(base64.b64decode(secret))

        def shown() -> bool:
            return certificate_at(*chained.open_at(chained.addresses(chained.nlb())[0], 443)) == wanted

        eventually(shown, "the Gateway shows the certificate")
        assert fetch(f"{chained.https_url}/app1", ca=chained.ca).status == 200
        assert chained.states() == {("healthy", "")}
        expected = "Secret istio-ingress/istio-gateway-tls: the certificate expired at"

        def said() -> bool:
            listeners = chained.cluster.get("Gateway", "istio-ingress", "shared-gateway")["status"]["listeners"]
            (https,) = [each for each in listeners if each["name"] == "https"]
            (resolved,) = [each for each in https["conditions"] if each["type"] == "ResolvedRefs"]
            return expected in resolved["message"]

        eventually(said)
        eventually(lambda: expected in chained.chain())
    finally:
        chained.cluster.patch("Secret", "istio-ingress", "istio-gateway-tls", {"data": before["data"]})


def test_a_certificate_for_another_name_is_said_in_status_and_tree(chained: ChainedEdge) -> None:
    listener = {
        "name": "named",
        "port": 443,
        "protocol": "HTTPS",
        "hostname": "shop.example.com",
        "tls": {"certificateRefs": [{"name": "other-name"}]},
    }
    pair = Authority.create().issue(["other.example.org"])
    secret = tls_secret(Key("istio-ingress", "other-name"), pair, b"")
    chained.cluster.apply(json.dumps(secret))
    gateway = chained.cluster.get("Gateway", "istio-ingress", "shared-gateway")
    before = gateway["spec"]["listeners"]
    chained.cluster.patch("Gateway", "istio-ingress", "shared-gateway", {"spec": {"listeners": [*before, listener]}})
    try:
        expected = (
            "Secret istio-ingress/other-name: the certificate is for other.example.org, and not for shop.example.com"
        )

        def said() -> bool:
            listeners = chained.cluster.get("Gateway", "istio-ingress", "shared-gateway")["status"]["listeners"]
            messages = [c["message"] for each in listeners for c in each["conditions"] if each["name"] == "named"]
            return any(expected in message for message in messages)

        eventually(said)
        eventually(lambda: expected in chained.chain())
    finally:
        chained.cluster.patch("Gateway", "istio-ingress", "shared-gateway", {"spec": {"listeners": before}})
        chained.cluster.delete("Secret", "istio-ingress", "other-name")


def test_the_secret_of_a_bound_listener_is_missing(chained: ChainedEdge) -> None:
    with second_gateway(chained):
        listener = chained.cluster.get("Gateway", "istio-ingress", "second-gateway")["spec"]["listeners"][0]
        missing = {**listener, "tls": {"mode": "Terminate", "certificateRefs": [{"name": "nothing"}]}}
        chained.cluster.patch("Gateway", "istio-ingress", "second-gateway", {"spec": {"listeners": [missing]}})
        try:

            def routable() -> dict[str, Any] | None:
                found = chained.cluster.get("EdgeBinding", "istio-ingress", "second-gateway")["status"]["conditions"]
                (each,) = [each for each in found if each["type"] == "HealthCheckRoutable"]
                return dict(each) if each["status"] == "False" else None

            message = eventually(routable)["message"]
            assert "Secret istio-ingress/nothing does not exist" in message
            eventually(lambda: ("unhealthy", "Target.FailedHealthChecks") in chained.states())
            assert "Secret istio-ingress/nothing does not exist" in chained.chain()
            # The other Gateway's targets carry on.
            assert fetch(f"{chained.https_url}/app1", ca=chained.ca).status == 200
        finally:
            chained.cluster.patch("Gateway", "istio-ingress", "second-gateway", {"spec": {"listeners": [listener]}})


def test_all_pods_of_a_tenant_are_gone(chained: ChainedEdge) -> None:
    chained.cluster.patch("Deployment", "tenant-b", "app2", {"spec": {"replicas": 0}})
    try:
        eventually(lambda: fetch(f"{chained.https_url}/app2", ca=chained.ca).status == 503)
        assert fetch(f"{chained.https_url}/app1", ca=chained.ca).status == 200
        assert chained.states() == {("healthy", "")}
        said = "Service tenant-b/app2:8080: has no endpoint: requests are answered 503"
        eventually(lambda: said in chained.chain())
    finally:
        chained.cluster.patch("Deployment", "tenant-b", "app2", {"spec": {"replicas": 2}})
        eventually(lambda: fetch(f"{chained.https_url}/app2", ca=chained.ca).status == 200)


@pytest.mark.parametrize("kind", ["throttle", "internal-error", "unavailable", "reset"])
def test_aws_fails_for_a_while_in_the_middle_of_a_change(chained: ChainedEdge, kind: str) -> None:
    arn = chained.nlb()["LoadBalancerArn"]
    chained.faults(kind=kind, service="elbv2", probability=0.7, seconds=4)
    chained.cluster.delete("Service", "istio-ingress", "shared-gateway-istio")

    def converged() -> bool:
        try:
            return chained.nlb()["LoadBalancerArn"] != arn and _is_whole(chained)
        except (BotoCoreError, ClientError):  # the test's own calls are stricken as well
            return False

    eventually(converged, "it has converged", 90)
    # Nothing is left behind: the NLB, its target groups and the ALB's are all that there is.
    elbv2 = chained.client("elbv2")
    groups = elbv2.describe_target_groups()["TargetGroups"]
    assert all(group["LoadBalancerArns"] for group in groups), groups
    assert len(elbv2.describe_load_balancers()["LoadBalancers"]) == 2
