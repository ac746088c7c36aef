"""The controller itself: there, leading, and without errors."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, Final

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from gatewright.cluster import ClusterError
from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.applications import available
from gatewright.platform.verify.findings import failed, passed, skipped
from gatewright.platform.verify.view import Obj, View, name_of

NAMESPACE: Final = "gatewright-system"
NAME: Final = "gatewright"
METRICS: Final = 8080
_RECENT: Final = 180
"""Seconds of a log that are read: what was denied before may have been permitted since."""
_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure")


async def controller(view: View) -> list[Check]:
    """Its Deployment is available, one of its pods holds the lease, and its metrics tell of no errors."""
    deployments, leases, pods = await asyncio.gather(
        view.objects("apps/v1", "deployments"),
        view.objects("coordination.k8s.io/v1", "leases"),
        view.objects("v1", "pods"),
    )
    name = f"{NAMESPACE}/{NAME}"
    deployment = next((each for each in deployments if name_of(each) == name), None)
    if deployment is None and view.surroundings.outputs is None:
        return [skipped("controller", f"Deployment {name}", "is available", "the cluster doesn't have it")]
    own = [pod for pod in pods if _is_its(pod)]
    lease = next((each for each in leases if name_of(each) == name), None)
    checks = [available("controller", deployment, name, "controller"), _leads(lease, own, view.surroundings.clock())]
    running = [pod for pod in own if _running(pod)]
    checks += await asyncio.gather(*(_metrics(view, pod) for pod in running), *(_log(view, pod) for pod in running))
    return checks


def _is_its(pod: Obj) -> bool:
    metadata: dict[str, Any] = pod.get("metadata") or {}
    labels = metadata.get("labels") or {}
    return metadata.get("namespace") == NAMESPACE and labels.get("app.kubernetes.io/name") == NAME


def _running(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") == "Running" and not (pod.get("metadata") or {}).get(
        "deletionTimestamp"
    )


def _leads(lease: Obj | None, pods: list[Obj], now: datetime) -> Check:
    subject, expected = f"Lease {NAMESPACE}/{NAME}", "held and renewed by a pod of the controller"
    names = {"namespace": NAMESPACE, "name": NAME}
    if lease is None:
        return failed("controller", subject, expected, "does not exist", advise("controller", "no-lease", **names))
    spec: dict[str, Any] = lease.get("spec") or {}
    holder = str(spec.get("holderIdentity") or "")
    if not holder:
        return failed("controller", subject, expected, "nobody holds it", advise("controller", "no-lease", **names))
    try:
        age = (now - datetime.fromisoformat(str(spec.get("renewTime")).replace("Z", "+00:00"))).total_seconds()
    except ValueError:
        age = 0.0
    if age > 2 * float(spec.get("leaseDurationSeconds") or 15):
        text = f"{holder} holds it, and renewed it {age:.0f} s ago"
        return failed("controller", subject, expected, text, advise("controller", "no-lease", **names))
    return passed("controller", subject, expected, f"{holder} holds it")


async def _metrics(view: View, pod: Obj) -> Check:
    namespace, _, name = name_of(pod).rpartition("/")
    subject, expected = f"Pod {namespace}/{name}", "its metrics tell of no calls that AWS denies"
    path = f"/api/v1/namespaces/{namespace}/pods/{name}:{METRICS}/proxy/metrics"
    try:
        page = await view.surroundings.client.request("GET", path)
    except ClusterError as error:
        # The mesh may well refuse the API server, and so may RBAC.
        return skipped("controller", subject, expected, f"its metrics can't be read: {error}")
    wrong = errors_in(page.decode(errors="replace"))
    if not wrong:
        return passed("controller", subject, expected, "none")
    text = ", ".join(f"{what} {count:g} times" for what, count in sorted(wrong.items()))
    return failed("controller", subject, expected, text, advise("controller", "denied", namespace=namespace, name=NAME))


def errors_in(page: str) -> dict[str, float]:
    """The calls that AWS denied, as its metrics tell, each with how often; not those that it let through since."""
    denied: dict[tuple[str, str], dict[str, float]] = {}
    permitted = set()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name != "gatewright_aws_calls_total" or not sample.value:
                continue
            call = sample.labels.get("service", ""), sample.labels.get("operation", "")
            result = sample.labels.get("result", "")
            if result == "ok":
                permitted.add(call)
            elif result in _DENIED:
                denied.setdefault(call, {})[f"{':'.join(call)} {result}"] = sample.value
    return {what: count for call, found in denied.items() if call not in permitted for what, count in found.items()}


async def _log(view: View, pod: Obj) -> Check:
    namespace, _, name = name_of(pod).rpartition("/")
    subject, expected = f"log of Pod {namespace}/{name}", "tells of nothing that it may not do"
    parameters = {"sinceSeconds": str(_RECENT), "tailLines": "500"}
    try:
        text = await view.surroundings.client.request(
            "GET", f"/api/v1/namespaces/{namespace}/pods/{name}/log", parameters
        )
    except ClusterError as error:
        return skipped("controller", subject, expected, f"it can't be read: {error}")
    refusal, reason = refusal_in(text.decode(errors="replace"))
    if not refusal:
        return passed("controller", subject, expected, f"of nothing in the last {_RECENT // 60} minutes")
    return failed(
        "controller", subject, expected, refusal, advise("controller", reason, namespace=namespace, name=NAME)
    )


def refusal_in(log: str) -> tuple[str, str]:
    """The last refusal that a log tells of, with the reason of the advice: by the cluster or by AWS."""
    for line in reversed(log.splitlines()):
        cluster = "forbidden" in line.lower()
        if cluster or any(code in line for code in _DENIED):
            return _error_of(line), "forbidden" if cluster else "denied"
    return "", ""


def _error_of(line: str) -> str:
    """What a line of structured log says went wrong, or all of it."""
    try:
        content = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return line
    return str(content.get("error") or content.get("event") or line)
