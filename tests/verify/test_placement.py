"""Where pods run, and why one has no place."""

from __future__ import annotations

from typing import Any

import pytest
from tests.verify.verified_cluster import EDGE, Told, failures, node, outcomes, pod

from gatewright.model.apps import DaemonSet
from gatewright.model.meta import Key
from gatewright.platform.targets import Target
from gatewright.platform.verify.placement import unschedulable

TOLERATION = {"key": "CriticalAddonsOnly", "operator": "Exists"}


async def _nodes(told: Told, *, tainted: bool = True) -> None:
    await told.write(EDGE)
    for name, role in (("system-1", "system"), ("user-1", "user")):
        await told.put(node(name, role, tainted=tainted and role == "system"))


async def _namespaces(told: Told, *names: str) -> None:
    for name in names:
        await told.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


async def test_pods_on_nodes_of_their_kind_pass(told: Told) -> None:
    await _nodes(told)
    await _namespaces(told, "istio-system")
    await told.put(pod("istio-system", "istiod-1", "system-1", tolerations=[TOLERATION]))
    await told.put(pod("istio-system", "ztunnel-1", "user-1", owners=[await _daemon_set(told)]))
    await told.put(pod("tenant-a", "app1-1", "user-1"))
    labels = {"gateway.networking.k8s.io/gateway-name": "shared-gateway"}
    await told.put(pod("edge", "shared-gateway-istio-1", "system-1", labels=labels))
    report = await told.verify("node", "placement")
    assert failures(report) == {}
    assert outcomes(report) == {
        "Node system-1": "passed",
        "Node user-1": "passed",
        "Pod istio-system/istiod-1": "passed",
        "Pod tenant-a/app1-1": "passed",
        "Pod edge/shared-gateway-istio-1": "passed",
        "other pods": "passed",
    }


async def test_where_aks_puts_its_own_pods_is_its_own_business(told: Told) -> None:
    await _nodes(told)
    for name, mode in (("system-1", "system"), ("user-1", "user")):
        found = node(name, mode, tainted=mode == "system")
        found["metadata"]["labels"]["kubernetes.azure.com/mode"] = mode
        await told.put(found)
    await _namespaces(told, "istio-system")
    await told.put(pod("kube-system", "eraser-aks-user-1", "user-1"))
    await told.put(pod("istio-system", "istiod-1", "user-1"))
    report = await told.verify("placement", target=Target.AZURE)
    assert set(failures(report)) == {"Pod istio-system/istiod-1"}


async def test_an_application_on_a_system_node_that_lost_its_taint(told: Told) -> None:
    await _nodes(told, tainted=False)
    await told.put(pod("tenant-a", "app1-1", "system-1"))
    found = failures(await told.verify("node", "placement"))
    assert "CriticalAddonsOnly=true:NoSchedule" in found["Node system-1"].advice
    assert "lacks the taint" in found["Pod tenant-a/app1-1"].advice
    assert "kubectl delete pod -n tenant-a app1-1" in found["Pod tenant-a/app1-1"].advice


async def test_an_application_that_tolerates_what_is_for_the_system(told: Told) -> None:
    await _nodes(told)
    await told.put(pod("tenant-a", "app1-1", "system-1", tolerations=[TOLERATION]))
    (found,) = failures(await told.verify("placement")).values()
    assert "take the toleration out" in found.advice


@pytest.mark.parametrize(
    ("tolerations", "advice"),
    [([], "the toleration of CriticalAddonsOnly (operator Exists)"), ([TOLERATION], "the nodeSelector role: system")],
)
async def test_a_system_pod_on_a_user_node(told: Told, tolerations: list[dict[str, Any]], advice: str) -> None:
    await _nodes(told)
    await _namespaces(told, "istio-system")
    await told.put(pod("istio-system", "istiod-1", "user-1", tolerations=tolerations))
    found = failures(await told.verify("placement"))["Pod istio-system/istiod-1"]
    assert (found.expected, found.found) == ("on a system node", "on user-1, which is a user node")
    assert advice in found.advice


async def test_a_pod_without_a_place_is_told_in_the_schedulers_words(told: Told) -> None:
    await _nodes(told)
    words = "0/2 nodes are available: 2 node(s) had untolerated taint {CriticalAddonsOnly: true}."
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    await told.put(pod("tenant-a", "app1-1", status={"phase": "Pending", "conditions": [scheduled]}))
    (found,) = failures(await told.verify("placement")).values()
    assert found.found == f"Pending, Unschedulable: {words}"
    assert "a system pod lacks the toleration" in found.advice
    assert "kubectl get nodes -L role" in found.advice


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("0/4 nodes are available: 2 Insufficient cpu, 2 node(s) had untolerated taint {x: }.", "insufficient"),
        ("0/3 nodes are available: 3 Insufficient memory.", "insufficient"),
        ("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.", "selector"),
        ("0/2 nodes are available: 2 node(s) had untolerated taint {CriticalAddonsOnly: true}.", "taint"),
        ("0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints.", "spread"),
        ("no nodes available to schedule pods", "no-nodes"),
        ("0/1 nodes are available: 1 node(s) were unschedulable.", "unschedulable"),
    ],
)
def test_the_schedulers_words_have_a_reason(message: str, reason: str) -> None:
    assert unschedulable(message) == reason


async def test_containers_that_wait_are_told_with_their_reason(told: Told) -> None:
    await _nodes(told)
    waits = {"name": "app", "image": "a", "imageID": "", "ready": False, "restartCount": 4}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
    status = {"conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [{**waits, "state": waiting}]}
    await told.put(pod("tenant-a", "app1-1", "user-1", status=status))
    (found,) = failures(await told.verify("placement")).values()
    assert found.found == "container app waits, CrashLoopBackOff: back-off 40s restarting failed container"
    assert "kubectl logs -n tenant-a app1-1 --previous" in found.advice


async def test_node_groups_that_are_missing_or_mislabelled(told: Told) -> None:
    await told.put(node("n-1", "", tainted=True))
    await told.put(node("n-2", "user", ready=False))
    found = failures(await told.verify("node"))
    assert "its label role isn't system" in found["Node n-1"].found
    assert "role=system" in found["Node n-1"].advice
    assert found["Node n-2"].found == "is not ready"
    assert "kubectl describe node n-2" in found["Node n-2"].advice
    assert found["system nodes"].found == "there is none"


async def test_without_node_groups_nothing_is_said_of_places(told: Told) -> None:
    await told.write(EDGE)
    await told.put(pod("tenant-a", "app1-1"))
    assert outcomes(await told.verify("node", "placement")) == {"the nodes": "skipped", "pods": "passed"}


async def _daemon_set(told: Told) -> dict[str, Any]:
    """A DaemonSet of Istio's, as the owner of its pods names it."""
    labels = {"app": "ztunnel"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    metadata = {"namespace": "istio-system", "name": "ztunnel"}
    await told.put({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec})
    found = await told.client.get(DaemonSet, Key("istio-system", "ztunnel"))
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "ztunnel"}
    return {**owner, "uid": found.metadata.uid, "controller": True}
