"""What the mesh's policies and network policies say of who gets in."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.verify.verified_cluster import EDGE, OUTPUTS, Told, failures, outcomes, pod

from gatewright.platform.targets import Architecture
from gatewright.platform.verify.isolation import effective_mode, too_much, weaker

STRICT = """
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: allow-nothing, namespace: istio-system}
spec: {}
"""
FROM_GATEWAY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: from-gateway, namespace: tenant-a}
spec:
  rules: [{from: [{source: {principals: [cluster.local/ns/edge/sa/shared-gateway-istio]}}]}]
"""
IDS = ("mesh", "mutual-tls", "authorization")


async def test_a_mesh_that_lets_only_the_gateway_in_passes(told: Told) -> None:
    await told.write(EDGE, STRICT, FROM_GATEWAY)
    report = await told.verify(*IDS)
    assert failures(report) == {}
    assert [check.id for check in report.checks] == list(IDS)
    assert report.checks[1].found == "STRICT by istio-system/default"
    assert report.checks[2].found.endswith("cluster.local/ns/edge/sa/shared-gateway-istio")


@pytest.mark.parametrize(
    ("policies", "id_", "found", "advice"),
    [
        pytest.param(
            FROM_GATEWAY,
            "mutual-tls",
            "PERMISSIVE, since no PeerAuthentication",
            "with mtls.mode STRICT",
            id="permissive",
        ),
        pytest.param(
            STRICT
            + FROM_GATEWAY
            + """
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: exception, namespace: tenant-a}
spec: {selector: {matchLabels: {app: app1}}, mtls: {mode: PERMISSIVE}}
""",
            "mutual-tls",
            "PeerAuthentication tenant-a/exception lets plain text in",
            "take out exceptions of namespace tenant-a",
            id="an exception",
        ),
        pytest.param(STRICT, "authorization", "lets nobody in", "Nothing lets the Gateway into", id="nobody"),
        pytest.param(
            STRICT + FROM_GATEWAY.replace("[cluster.local/ns/edge/sa/shared-gateway-istio]", '["*"]'),
            "authorization",
            "tenant-a/from-gateway lets anybody in",
            "Name sources in every rule",
            id="anybody",
        ),
    ],
)
async def test_what_lets_others_in(told: Told, policies: str, id_: str, found: str, advice: str) -> None:
    await told.write(EDGE, policies)
    (check,) = [each for each in (await told.verify(*IDS)).checks if each.outcome == "failed"]
    assert check.id == id_
    assert found in check.found
    assert advice in check.advice


async def test_a_namespace_outside_of_the_mesh(told: Told) -> None:
    await told.write(EDGE, STRICT, FROM_GATEWAY)
    await told.client.request(
        "PATCH",
        "/api/v1/namespaces/tenant-a",
        body=msgspec.json.encode({"metadata": {"labels": {"istio.io/dataplane-mode": None}}}),
        content_type="application/merge-patch+json",
    )
    (check,) = failures(await told.verify(*IDS)).values()
    assert check.id == "mesh"
    assert "kubectl label namespace tenant-a istio.io/dataplane-mode=ambient" in check.advice


def _peer(namespace: str, mode: str, name: str = "default", **spec: object) -> dict[str, object]:
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"mtls": {"mode": mode}, **spec}}


MODES = st.sampled_from(["STRICT", "PERMISSIVE", "DISABLE", "UNSET"])


@given(own=st.none() | MODES, mesh=st.none() | MODES)
def test_the_namespaces_own_mode_goes_before_the_meshs(own: str | None, mesh: str | None) -> None:
    peers = [_peer("tenant-a", own)] if own else []
    peers += [_peer("istio-system", mesh)] if mesh else []
    set_ = [mode for mode in (own, mesh) if mode not in (None, "UNSET")]
    assert effective_mode("tenant-a", peers)[0] == (set_[0] if set_ else "PERMISSIVE")


def test_an_exception_for_one_port_is_one() -> None:
    peers = [_peer("tenant-a", "STRICT", portLevelMtls={"8080": {"mode": "DISABLE"}})]
    assert weaker("tenant-a", peers) == ["PeerAuthentication tenant-a/default"]
    assert weaker("tenant-b", peers) == []


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: from-load-balancer, namespace: tenant-a}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/24}}, {ipBlock: {cidr: 10.0.1.0/24}}]}]
"""


async def test_network_policies_of_the_direct_architecture(told: Told) -> None:
    outputs = msgspec.structs.replace(OUTPUTS, public_subnet_cidrs=("10.0.0.0/24", "10.0.1.0/24"))
    await told.write(EDGE)
    await told.put(pod("tenant-a", "app1-1"))

    async def found() -> dict[str, str]:
        report = await told.verify("network-policy", outputs=outputs, architecture=Architecture.DIRECT)
        return {check.found: check.advice for check in report.checks if check.outcome == "failed"}

    assert "VPC CNI: enableNetworkPolicy" in (await found())["no NetworkPolicy is for tenant-a/app1-1"]
    await told.write(POLICY.replace("10.0.1.0/24", "0.0.0.0/0"))
    assert "terraform output public_subnet_cidrs" in (await found())["tenant-a/from-load-balancer lets 0.0.0.0/0 in"]
    await told.write(POLICY)
    assert await found() == {}


def test_what_a_network_policy_lets_in() -> None:
    def policy(*sources: dict[str, object]) -> dict[str, object]:
        return {"spec": {"ingress": [{"from": list(sources)}]}}

    assert too_much(policy(), ()) == ["anybody"]
    assert too_much(policy({"namespaceSelector": {}}), ()) == ["pods of every namespace"]
    assert too_much(policy({"podSelector": {}}), ()) == []
    assert too_much(policy({"ipBlock": {"cidr": "10.0.0.128/25"}}), ["10.0.0.0/24"]) == []
    assert too_much(policy({"ipBlock": {"cidr": "10.0.0.0/16"}}), ["10.0.0.0/24"]) == ["10.0.0.0/16"]
    assert too_much(policy({"ipBlock": {"cidr": "::/0"}}), ()) == ["::/0"]


async def test_checks_of_the_other_architecture_are_left_out(told: Told) -> None:
    await told.write(EDGE)
    assert outcomes(await told.verify("network-policy")) == {"the applications' namespaces": "skipped"}
    report = await told.verify()
    assert "network-policy" not in {check.id for check in report.checks}
