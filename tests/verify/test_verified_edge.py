"""An edge that runs is verified; each failure of the documents' troubleshooting chapters is recognised, with advice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import yaml
from tests.verify.verified_cluster import failures

from gatewright.aws.client import Aws
from gatewright.aws.errors import AccessDenied
from gatewright.local.argocd.definitions import definitions
from gatewright.local.certificates import Authority
from gatewright.local.edge import LocalEdge
from gatewright.local.guard import PEER_AUTHENTICATION
from gatewright.local.manifests import load
from gatewright.local.secrets import tls_secret
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key
from gatewright.platform.report import Check, Outcome, Report
from gatewright.platform.targets import Settings, Target
from gatewright.platform.verify import Surroundings, verify

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),  # every test leaves the edge whole for the next
    pytest.mark.xdist_group("verified-edge"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "eks"
GATEWAY = "istio-ingress/shared-gateway"


class World:
    """An edge, and what is found of it."""

    def __init__(self, edge: LocalEdge, aws: Aws) -> None:
        self.edge = edge
        self.client = edge.client
        self.aws = aws
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self.trust: Path = edge.ca

    async def report(self, *only: str) -> Report:
        state = self.edge.state().aws
        assert state
        surroundings = Surroundings(
            settings=Settings(target=Target.LOCAL),
            client=self.client,
            aws=self.aws,
            trust=self.trust,
            dns=state.dns,
            sockets=state.open_at,
            clock=self.now,
        )
        return await verify(surroundings, only=only, timeout=120.0)

    async def failed(self, *only: str) -> dict[str, Check]:
        return failures(await self.report(*only))

    async def until(self, *only: str, holds: Callable[[dict[str, Check]], Any]) -> dict[str, Check]:
        """The failures once `holds`, since controllers and health checks take their time."""
        found: dict[str, Check] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(120):
                while not holds(found := await self.failed(*only)):  # noqa: ASYNC110 nobody tells when it does
                    await asyncio.sleep(0.2)
        assert holds(found), found
        return found

    async def whole(self) -> None:
        """Nothing fails any more."""
        await self.until(holds=lambda found: not found)

    async def apply(self, text: str) -> None:
        for obj in yaml.safe_load_all(text):
            await self.client.apply(obj, field_manager="test")

    async def example(self, file: str, kind: str) -> None:
        """Apply the example's object of a kind as it was."""
        documents = yaml.safe_load_all((EXAMPLE / file).read_text())
        for obj in documents:
            if obj["kind"] == kind:
                await self.client.apply(obj, field_manager="test")

    async def patch(self, path: str, patch: Any) -> None:
        body = msgspec.json.encode(patch)
        await self.client.request("PATCH", path, body=body, content_type="application/merge-patch+json")

    def deny(self, *operations: str) -> None:
        """Let AWS deny the controllers these operations, and no others."""

        def permit(service: str, operation: str) -> None:
            if operation in operations:
                raise AccessDenied("AccessDenied", "not authorized to perform this action", f"{service}:{operation}")

        assert self.edge._cloud
        self.edge._cloud.aws._permit = permit


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world() -> AsyncIterator[World]:
    async with LocalEdge(lambda _: None, aws=True, pace=2.0) as edge:
        problems, _ = await edge.update(load([EXAMPLE]))
        assert problems == []
        assert await edge.ready(60) == []
        edge.write_ca()
        await edge.look()
        environment = edge.aws_environment
        credentials = environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        endpoint = environment["AWS_ENDPOINT_URL"]
        async with Aws(region=environment["AWS_REGION"], endpoint_url=endpoint, credentials=credentials) as aws:
            yield World(edge, aws)


async def test_a_healthy_edge_passes(world: World) -> None:
    report = await world.report()
    assert failures(report) == {}
    passed = {check.id for check in report.checks if check.outcome is Outcome.PASSED}
    assert passed >= {
        *("cluster", "aws", "endpoint", "redirect", "certificate", "tls-version", "acm", "backend-certificate"),
        *("load-balancer", "target-health", "web-acl", "access-logs", "status", "deletion", "placement"),
    }
    urls = {check.subject for check in report.checks if check.id == "endpoint"}
    assert urls == {f"https://platform.example.com{path}" for path in ("/app1", "/app2", "/api/users", "/healthz")}


async def test_the_chain_is_shown_hop_by_hop(world: World) -> None:
    """Each certificate with its names and issuer, that of the Gateway as it is shown without a server name."""
    report = await world.report("certificate", "backend-certificate", "acm")
    found = {check.subject: check.found for check in report.checks}
    assert "for platform.example.com, *.platform.example.com" in found["client -> ALB platform, platform.example.com"]
    (backend,) = [text for subject, text in found.items() if subject.startswith("load balancer -> Gateway")]
    assert "Secret istio-ingress/istio-gateway-tls: for" in backend
    assert "by CN=gatewright local CA" in backend
    assert "; shown at " in backend


async def test_without_the_health_probes_route(world: World) -> None:
    await world.client.delete(HTTPRoute, Key("gateway-health", "health-responder"))

    def all_of_it(found: dict[str, Check]) -> bool:
        targets = [check for check in found.values() if check.id == "target-health"]
        return sum("[404]" in check.found for check in targets) == 2 and "RouteMissing" in str(found)

    found = await world.until("target-health", "status", holds=all_of_it)
    targets = [check for check in found.values() if check.id == "target-health"]
    assert "Target.ResponseCodeMismatch: Health checks failed with these codes: [404]" in targets[0].found
    assert "apply the HTTPRoute of the health responder" in targets[0].advice
    binding = found[f"EdgeBinding {GATEWAY}"]
    assert "HealthCheckRoutable=False RouteMissing" in binding.found
    assert "apply the HTTPRoute of the health responder" in binding.advice
    await world.example("health.yaml", "HTTPRoute")
    await world.whole()


async def test_a_route_to_another_namespace_without_permission(world: World) -> None:
    route = "/apis/gateway.networking.k8s.io/v1/namespaces/tenant-a/httproutes/app1"
    match = {"path": {"type": "PathPrefix", "value": "/app1"}}
    ref = {"name": "app2", "namespace": "tenant-b", "port": 8080}
    await world.patch(route, {"spec": {"rules": [{"matches": [match], "backendRefs": [ref]}]}})
    url = "https://platform.example.com/app1"

    def refused(found: dict[str, Check]) -> bool:
        return "RefNotPermitted" in str(found) and url in found and found[url].found.startswith("500")

    found = await world.until("endpoint", "status", holds=refused)
    endpoint = found[url]
    assert endpoint.found == "500 of the Gateway itself"
    assert "needs a ReferenceGrant" in endpoint.advice
    assert "`kubectl describe httproute -n tenant-a app1`" in endpoint.advice
    assert "add a ReferenceGrant" in found["HTTPRoute tenant-a/app1"].advice
    await world.example("app1.yaml", "HTTPRoute")
    await world.patch(
        route, {"spec": {"rules": [{"matches": [match], "backendRefs": [{"name": "app1", "port": 8080}]}]}}
    )
    await world.whole()


async def test_an_application_without_pods(world: World) -> None:
    scale = "/apis/apps/v1/namespaces/tenant-b/deployments/app2"
    await world.patch(scale, {"spec": {"replicas": 0}})
    found = await world.until("endpoint", holds=lambda found: "503 of the Gateway itself" in str(found))
    endpoint = found["https://platform.example.com/app2"]
    assert endpoint.found == "503 of the Gateway itself"
    assert "kubectl get endpointslices,pods -n tenant-b" in endpoint.advice
    await world.patch(scale, {"spec": {"replicas": 2}})
    await world.whole()


@pytest.mark.parametrize(
    ("name", "reason", "advice"),
    [
        ("nowhere", "TargetGroupNotFound", "terraform output target_group_name"),
        ("others", "NotPermitted", "gatewright.dev/namespaces"),
    ],
    ids=["missing", "not for it"],
)
async def test_registration_fails(world: World, name: str, reason: str, advice: str) -> None:
    """The target group isn't there, or isn't for EdgeBindings of this namespace."""
    vpcs = (await world.aws.call("ec2", "describe_vpcs"))["Vpcs"]
    made = await world.aws.call(
        "elbv2",
        "create_target_group",
        Name="others",
        Protocol="HTTPS",
        Port=443,
        VpcId=vpcs[0]["VpcId"],
        TargetType="ip",
        Tags=[{"Key": "gatewright.dev/namespaces", "Value": "somebody-else"}],
    )
    binding = "/apis/gatewright.dev/v1alpha1/namespaces/istio-ingress/edgebindings/shared-gateway"
    await world.patch(binding, {"spec": {"aws": {"targetGroup": {"name": name}}}})
    found = await world.until("status", holds=lambda found: reason in str(found))
    assert advice in found[f"EdgeBinding {GATEWAY}"].advice
    await world.patch(binding, {"spec": {"aws": {"targetGroup": {"name": "shared-gateway"}}}})
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    await world.aws.call("elbv2", "delete_target_group", TargetGroupArn=arn)
    await world.whole()


SECOND = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: second, namespace: tenant-a}
spec:
  gatewayClassName: istio
  infrastructure:
    annotations:
      service.beta.kubernetes.io/aws-load-balancer-type: external
      service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
      EXTRA
  listeners: [{name: http, port: 8081, protocol: HTTP}]
"""


async def test_registration_is_denied(world: World) -> None:
    world.deny("register_targets")
    balancers = await world.aws.pages("elbv2", "describe_target_groups", "TargetGroups", Names=["shared-gateway"])
    arn = balancers[0]["TargetGroupArn"]
    health = await world.aws.call("elbv2", "describe_target_health", TargetGroupArn=arn)
    targets = [{"Id": each["Target"]["Id"]} for each in health["TargetHealthDescriptions"]]
    await world.aws.call("elbv2", "deregister_targets", TargetGroupArn=arn, Targets=targets)
    found = await world.until("status", holds=lambda found: "AccessDenied" in str(found))
    check = found[f"EdgeBinding {GATEWAY}"]
    assert "config/iam/policy.json" in check.advice
    found = await world.until("target-health", holds=lambda found: "target group shared-gateway" in found)
    assert "kubectl describe edgebindings -A" in found["target group shared-gateway"].advice
    world.deny()
    await world.whole()


async def test_a_gateway_without_a_load_balancer_since_aws_denies_it(world: World) -> None:
    world.deny("create_load_balancer")
    await world.apply(SECOND.replace("EXTRA", ""))
    found = await world.until("load-balancer", holds=lambda found: "AccessDenied" in str(found))
    (check,) = found.values()
    assert check.subject == "Gateway tenant-a/second, Service tenant-a/second-istio"
    assert check.found.startswith("has none; FailedDeployModel: ")
    assert "config/iam/policy.json" in check.advice
    await _without_second(world)


async def test_a_gateway_without_a_load_balancer_since_its_subnets_are_wrong(world: World) -> None:
    await world.apply(SECOND.replace("EXTRA", "service.beta.kubernetes.io/aws-load-balancer-subnets: nowhere"))
    found = await world.until("load-balancer", "status", holds=lambda found: "subnet" in str(found).lower())
    check = found["Gateway tenant-a/second, Service tenant-a/second-istio"]
    assert "kubernetes.io/role/internal-elb" in check.advice
    gateway = found["Gateway tenant-a/second"]
    assert "look at the check load-balancer" in gateway.advice
    await _without_second(world)


async def _without_second(world: World) -> None:
    world.deny()
    await world.client.request("DELETE", "/apis/gateway.networking.k8s.io/v1/namespaces/tenant-a/gateways/second")
    await world.whole()


async def test_a_certificate_of_the_gateway_that_has_expired(world: World) -> None:
    secret = "/api/v1/namespaces/istio-ingress/secrets/istio-gateway-tls"
    before = json.loads(await world.client.request("GET", secret))["data"]
    world.now = lambda: datetime.now(UTC) + timedelta(days=390)
    found = await world.failed("certificate", "acm", "backend-certificate")
    soon = [check for check in found.values() if "expires on" in check.found]
    assert len(soon) == 3
    world.now = lambda: datetime.now(UTC) + timedelta(days=400)
    found = await world.failed("certificate", "backend-certificate")
    (backend,) = [check for check in found.values() if check.id == "backend-certificate"]
    assert "expired on" in backend.found
    assert "its step `secrets` renews" in backend.advice
    world.now = lambda: datetime.now(UTC)
    assert json.loads(await world.client.request("GET", secret))["data"] == before


async def test_certificates_for_other_names_and_of_others(world: World, tmp_path: Path) -> None:
    stranger = Authority.create("somebody else")
    (tmp_path / "ca.crt").write_bytes(stranger.pem)
    world.trust = tmp_path / "ca.crt"
    found = await world.failed("certificate", "endpoint")
    shown = found["client -> ALB platform, platform.example.com"]
    assert "An imported certificate needs its whole chain" in shown.advice
    assert "the certificate is refused" in found["https://platform.example.com/app1"].found
    assert "Look at the check certificate" in found["https://platform.example.com/app1"].advice
    world.trust = world.edge.ca
    gateway = "/apis/gateway.networking.k8s.io/v1/namespaces/istio-ingress/gateways/shared-gateway"
    listeners = json.loads(await world.client.request("GET", gateway))["spec"]["listeners"]
    own = tls_secret(Key("istio-ingress", "own"), stranger.issue(["wrong.example.org"]), stranger.pem)
    await world.client.apply(own, field_manager="test")
    tls = {"mode": "Terminate", "certificateRefs": [{"name": "own"}]}
    changed = {"hostname": "other.example.org", "tls": tls}
    other = [{**each, **(changed if each["name"] == "https" else {})} for each in listeners]
    await world.patch(gateway, {"spec": {"listeners": other}})
    found = await world.until("backend-certificate", holds=lambda found: "not for other.example.org" in str(found))
    (backend,) = found.values()
    assert "not for other.example.org" in backend.found
    assert "delete the Secret and run `gatewright deploy` again" in backend.advice
    await world.patch(gateway, {"spec": {"listeners": listeners}})
    await world.whole()


async def test_a_redirect_that_leads_elsewhere(world: World) -> None:
    balancers = await world.aws.pages("elbv2", "describe_load_balancers", "LoadBalancers", Names=["platform"])
    arn = balancers[0]["LoadBalancerArn"]
    listeners = await world.aws.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
    (plain,) = [each for each in listeners if each["Port"] == 80]
    actions = plain["DefaultActions"]
    config = {"Protocol": "HTTPS", "Port": "443", "Host": "other.example.com", "StatusCode": "HTTP_302"}
    other = [{"Type": "redirect", "RedirectConfig": config}]
    await world.aws.call("elbv2", "modify_listener", ListenerArn=plain["ListenerArn"], DefaultActions=other)
    found = await world.until("redirect", holds=lambda found: len(found) == 4)
    check = found["http://platform.example.com/app1"]
    assert check.found.startswith("302 of the load balancer itself, to https://other.example.com")
    assert "HTTP_301" in check.advice
    gone = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    await world.aws.call("elbv2", "modify_listener", ListenerArn=plain["ListenerArn"], DefaultActions=gone)
    found = await world.until("endpoint", holds=lambda found: "404" in str(found))
    check = found["http://platform.example.com/app1"]
    assert check.found == "404 of the load balancer itself"
    await world.aws.call("elbv2", "modify_listener", ListenerArn=plain["ListenerArn"], DefaultActions=actions)
    await world.whole()


async def test_access_logs_and_web_acl_that_somebody_took_off(world: World) -> None:
    balancers = await world.aws.pages("elbv2", "describe_load_balancers", "LoadBalancers", Names=["platform"])
    arn = balancers[0]["LoadBalancerArn"]

    async def logs(enabled: str) -> None:
        attributes = [{"Key": "access_logs.s3.enabled", "Value": enabled}]
        await world.aws.call("elbv2", "modify_load_balancer_attributes", LoadBalancerArn=arn, Attributes=attributes)

    await logs("false")
    (check,) = (await world.failed("access-logs")).values()
    assert (check.found, "access_logs" in check.advice) == ("they are off", True)
    await logs("true")
    report = await world.report("web-acl")
    assert [check.found for check in report.checks if "is blocked by rule" in check.found] == [
        "/. is blocked by rule dot-files"
    ]


STRICT = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"namespace": "tenant-a", "name": "default"},
    "spec": {"mtls": {"mode": "STRICT"}},
}


async def test_pods_that_answer_around_the_gateway(world: World) -> None:
    """Somebody means to keep them apart, but nothing enforces policies on this edge."""
    for definition in definitions():
        await world.client.apply(definition, field_manager="test")
    await world.client.apply(STRICT, field_manager="test", kind=PEER_AUTHENTICATION)
    found = await world.failed("isolation")
    assert len(found) == 8
    check = next(check for subject, check in found.items() if subject.startswith("Pod tenant-a/"))
    assert check.found == "it answers the API server, around the Gateway"
    assert "PeerAuthentication STRICT" in check.advice
    await world.client.delete(PEER_AUTHENTICATION, Key("tenant-a", "default"))
