"""What objects say of themselves, and those that don't go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.verify.verified_cluster import EDGE, Told, failures, outcomes


def later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=10)


def condition(type_: str, status: str, reason: str, message: str, generation: int = 1) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": "2026-11-22T00:00:00Z",
    }


async def _set(told: Told, plural: str, namespace: str, name: str, status: dict[str, Any]) -> None:
    await told.client.request(
        "PATCH",
        f"/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/{plural}/{name}/status",
        body=msgspec.json.encode({"status": status}),
        content_type="application/merge-patch+json",
    )


def _parent(*conditions: dict[str, Any]) -> dict[str, Any]:
    ref = {"name": "shared-gateway", "namespace": "edge"}
    return {
        "parents": [{"parentRef": ref, "controllerName": "istio.io/gateway-controller", "conditions": [*conditions]}]
    }


@pytest.mark.parametrize(
    ("bad", "advice"),
    [
        (
            condition("ResolvedRefs", "False", "RefNotPermitted", "no ReferenceGrant in tenant-b permits it"),
            "add a ReferenceGrant in the namespace that is referred to",
        ),
        (condition("ResolvedRefs", "False", "BackendNotFound", "no Service app1"), "kubectl get services -n tenant-a"),
        (
            condition("Accepted", "False", "NotAllowedByListeners", "not from this namespace"),
            "kubectl get namespace tenant-a --show-labels",
        ),
        (condition("Accepted", "False", "SomethingElse", "why not"), "kubectl describe httproute app1 -n tenant-a"),
    ],
)
async def test_a_bad_condition_of_a_route(told: Told, bad: dict[str, Any], advice: str) -> None:
    await told.write(EDGE)
    await _set(told, "httproutes", "tenant-a", "app1", _parent(bad))
    found = failures(await told.verify("status"))["HTTPRoute tenant-a/app1"]
    assert found.found == f"at shared-gateway: {bad['type']}=False {bad['reason']}: {bad['message']}"
    assert advice in found.advice


async def test_listeners_and_gateways_say_the_same_once(told: Told) -> None:
    await told.write(EDGE)
    bad = condition("Programmed", "False", "AddressNotAssigned", "no address yet")
    listener = {"name": "http", "attachedRoutes": 0, "supportedKinds": [], "conditions": [bad]}
    await _set(told, "gateways", "edge", "shared-gateway", {"conditions": [bad], "listeners": [listener]})
    found = failures(await told.verify("status"))["Gateway edge/shared-gateway"]
    assert found.found == "Programmed=False AddressNotAssigned: no address yet"
    assert "look at the check load-balancer" in found.advice


async def test_conditions_whose_truth_is_bad(told: Told) -> None:
    await told.write(EDGE)
    held = condition("Accepted", "True", "Accepted", "")
    bad = condition("PartiallyInvalid", "True", "UnsupportedValue", "rule 2 is left out")
    await _set(told, "httproutes", "tenant-a", "app1", _parent(held, bad))
    found = failures(await told.verify("status"))["HTTPRoute tenant-a/app1"]
    assert "PartiallyInvalid=True" in found.found
    assert "Accepted" not in found.found


async def test_a_status_of_an_older_version_and_none_at_all(told: Told) -> None:
    await told.write(EDGE)
    assert outcomes(await told.verify("status"))["HTTPRoute tenant-a/app1"] == "passed"  # it was made this moment
    found = failures(await told.verify("status", clock=later))
    assert found["HTTPRoute tenant-a/app1"].found == "nobody has written a status"
    await _set(told, "httproutes", "tenant-a", "app1", _parent(condition("Accepted", "True", "Accepted", "", 1)))
    assert "HTTPRoute tenant-a/app1" not in failures(await told.verify("status", clock=later))
    await told.client.request(
        "PATCH",
        "/apis/gateway.networking.k8s.io/v1/namespaces/tenant-a/httproutes/app1",
        body=b'{"spec": {"hostnames": ["a.example.com"]}}',
        content_type="application/merge-patch+json",
    )
    found = failures(await told.verify("status"))
    assert found["HTTPRoute tenant-a/app1"].found == "Accepted is about an older version of it"
    assert "its controller runs" in found["HTTPRoute tenant-a/app1"].advice


BINDING = """
apiVersion: gatewright.dev/v1alpha1
kind: EdgeBinding
metadata: {name: shared-gateway, namespace: edge, finalizers: [FINALIZER]}
spec: {gatewayRef: {name: shared-gateway}, port: 443, aws: {targetGroup: {name: platform-gateway}}}
"""


@pytest.mark.parametrize(
    ("finalizer", "advice"),
    [
        ("gatewright.dev/edge-binding", "has to deregister targets first"),
        ("example.com/unknown", "Whoever put example.com/unknown on it has to take it off"),
    ],
)
async def test_a_deletion_that_a_finalizer_holds_up(told: Told, finalizer: str, advice: str) -> None:
    await told.write(EDGE, BINDING.replace("FINALIZER", finalizer))
    await told.client.request("DELETE", "/apis/gatewright.dev/v1alpha1/namespaces/edge/edgebindings/shared-gateway")
    assert failures(await told.verify("deletion")) == {}  # it may take its time
    found = failures(await told.verify("deletion", clock=later))["EdgeBinding edge/shared-gateway"]
    assert f"finalizers: {finalizer}" in found.found
    assert advice in found.advice


async def test_an_ingress_without_address(told: Told) -> None:
    rule = {
        "http": {
            "paths": [
                {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}
            ]
        }
    }
    metadata = {"namespace": "default", "name": "app"}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": {"rules": [rule]}}
    await told.put(ingress)
    found = failures(await told.verify("status"))["Ingress default/app"]
    assert found.found == "has no address"
    await told.put({**ingress, "status": {"loadBalancer": {"ingress": [{"hostname": "a.elb.amazonaws.com"}]}}})
    assert failures(await told.verify("status")) == {}
