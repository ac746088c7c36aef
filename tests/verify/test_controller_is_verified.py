"""The controller itself: there, leading, permitted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.verify.test_argocd_is_verified import deployment
from tests.verify.verified_cluster import Told, failures, outcomes

from gatewright.platform.verify.control import errors_in, refusal_in

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def lease(holder: str | None, renewed: datetime) -> dict[str, Any]:
    spec = {"leaseDurationSeconds": 15, "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": "gatewright-system", "name": "gatewright"},
        "spec": {**spec, **({"holderIdentity": holder} if holder else {})},
    }


async def _installed(told: Told, available: int, lease_: dict[str, Any] | None) -> None:
    await told.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gatewright-system"}})
    await told.put(deployment("gatewright-system", "gatewright", 2, available))
    if lease_:
        await told.put(lease_)


async def test_a_controller_that_leads_passes(told: Told) -> None:
    await _installed(told, 2, lease("gatewright-1", NOW - timedelta(seconds=4)))
    report = await told.verify("controller", clock=lambda: NOW)
    assert outcomes(report) == {
        "Deployment gatewright-system/gatewright": "passed",
        "Lease gatewright-system/gatewright": "passed",
    }


async def test_nobody_leads(told: Told) -> None:
    await _installed(told, 1, lease("gatewright-1", NOW - timedelta(minutes=5)))
    found = failures(await told.verify("controller", clock=lambda: NOW))
    assert found["Lease gatewright-system/gatewright"].found == "gatewright-1 holds it, and renewed it 300 s ago"
    assert "gatewright-leader" in found["Lease gatewright-system/gatewright"].advice
    assert "1 of 2 replicas available" in found["Deployment gatewright-system/gatewright"].found
    await told.put(lease(None, NOW))
    found = failures(await told.verify("controller", clock=lambda: NOW))
    assert found["Lease gatewright-system/gatewright"].found == "nobody holds it"


async def test_without_a_controller(told: Told) -> None:
    found = failures(await told.verify("controller"))
    assert "deploy/chart/gatewright" in found["Deployment gatewright-system/gatewright"].advice
    report = await told.verify("controller", outputs=None)
    assert outcomes(report) == {"Deployment gatewright-system/gatewright": "skipped"}


METRICS = """\
# TYPE gatewright_aws_calls counter
gatewright_aws_calls_total{service="elbv2",operation="create_load_balancer",result="AccessDenied"} 3.0
gatewright_aws_calls_total{service="elbv2",operation="describe_load_balancers",result="AccessDenied"} 1.0
gatewright_aws_calls_total{service="elbv2",operation="describe_load_balancers",result="ok"} 7.0
gatewright_aws_calls_total{service="ec2",operation="describe_vpcs",result="Throttling"} 2.0
"""


def test_metrics_tell_what_aws_denies_still() -> None:
    assert errors_in(METRICS) == {"elbv2:create_load_balancer AccessDenied": 3.0}


def test_the_log_tells_the_last_refusal() -> None:
    forbidden = 'gateways is forbidden: User "system:serviceaccount:a:b" cannot list resource "gateways"'
    log = f"""\
{{"event": "started", "level": "info"}}
{{"event": "the watch failed", "level": "warning", "error": {forbidden!r}}}
{{"event": "the watch failed", "level": "warning", "error": "no"}}
""".replace("'", '"')
    assert refusal_in(log)[1] == "forbidden"
    denied = '{"event": "failed", "error": "elbv2:create_load_balancer: AccessDenied: not authorized"}'
    assert refusal_in(denied) == ("elbv2:create_load_balancer: AccessDenied: not authorized", "denied")
    assert refusal_in('{"event": "all is well"}') == ("", "")
