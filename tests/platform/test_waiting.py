"""Waiting for Applications and workloads in a cluster: what is told meanwhile, and why what hangs does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.platform.cluster import QUICK, SOURCE, Cluster, Rounds, application, child, cluster, resource

from gatewright.aws.errors import AccessDenied, Throttled
from gatewright.cluster import ApiError, Unreachable
from gatewright.platform import waiting
from gatewright.platform.applications import Application, Standing, read_application, standing
from gatewright.platform.diagnosis import bad_conditions, explain, pod_problems
from gatewright.platform.objects import APPLICATIONS
from gatewright.platform.waiting import Late, Look, Patience, applications_ready, nothing, rolled_out, workloads_ready


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path) as found:
        yield found


def read(**options: Any) -> Application:
    return read_application(application("app1", **options))


def test_an_application_is_ready_when_it_is_synced_healthy_seen_and_at_rest() -> None:
    assert read().ready
    assert read(phase="").ready
    for options in (
        {"sync": "OutOfSync"},
        {"sync": "Unknown"},
        {"health": "Progressing"},
        {"phase": "Running"},
        {"seen": False},
    ):
        assert not read(**options).ready, options


def test_a_new_application_without_a_status_is_not_ready() -> None:
    raw = application("app1")
    del raw["status"]
    assert read_application(raw).line() == "app1 (not yet looked at by Argo CD)"


def test_what_one_writer_leaves_out_is_no_other_source() -> None:
    raw = application("app1")
    raw["status"]["sync"]["comparedTo"]["source"] = {**raw["spec"]["source"], "directory": {"recurse": False}}
    assert read_application(raw).seen


def test_the_one_to_look_at_is_the_first_in_the_waves_and_there_the_broken_one() -> None:
    apps = [
        application("platform", resources=(child("a"), child("b"), child("c"), child("z"), child("later"))),
        application("a", wave=-2),
        application("z", wave=1, sync="OutOfSync", conditions=(("ComparisonError", "no such path"),)),
        application("b", wave=1, health="Progressing"),
        application("c", wave=2, health="Degraded"),
        application("elsewhere", health="Degraded"),
    ]
    now = standing("platform", apps)
    assert [each.name for each in now.children] == ["a", "b", "z", "c"]
    assert now.missing == ("later",)
    assert now.blocking is not None
    assert now.blocking.name == "z"
    told = "1 of 5 applications ready; waiting for z (OutOfSync, Healthy): ComparisonError: no such path"
    assert now.line() == told


def test_a_root_that_can_not_be_read_is_the_one_to_look_at() -> None:
    root = application("platform", sync="Unknown", conditions=(("ComparisonError", "repository not found"),))
    now = standing("platform", [root])
    assert now.line().endswith("waiting for platform (Unknown, Healthy): ComparisonError: repository not found")
    assert now.blocking is not None
    assert now.blocking.broken
    assert standing("platform", []).line() == "the root Application isn't there"


async def wait(place: Cluster, told: list[str] | None = None, patience: Patience = QUICK) -> Standing:
    doing = told.append if told is not None else lambda _: None
    return await applications_ready(place.client, "platform", doing, patience)


async def test_waits_until_all_are_ready_and_tells_for_what(place: Cluster) -> None:
    await place.application("platform", resources=(child("a"), child("b")))
    await place.application("a")
    await place.application("b", health="Progressing")
    told: list[str] = []
    found = await wait(place, told, Rounds(meanwhile=lambda: place.application("b")))
    assert [each.name for each in found.children] == ["a", "b"]
    assert told == ["1 of 2 applications ready; waiting for b (Synced, Progressing)"]


async def test_patience_starts_anew_whenever_something_moves(place: Cluster) -> None:
    parts: list[dict[str, Any]] = []

    async def moves() -> None:
        parts.append(resource("ConfigMap", f"c{len(parts)}"))
        unfinished = {"sync": "OutOfSync"} if len(parts) < 5 else {}
        await place.application("a", resources=tuple(parts), **unfinished)

    await place.application("platform", resources=(child("a"),))
    patience = Rounds(look=12.0, still=20.0, meanwhile=moves)
    await wait(place, patience=patience)
    assert patience.now() == 60.0


async def late(place: Cluster) -> str:
    with pytest.raises(Late) as caught:
        await wait(place)
    assert "describe application" in caught.value.remedy
    return str(caught.value)


def deployment(name: str, image: str = "x") -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "edge"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    }


def pod(name: str, app: str, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "edge", "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
        "status": status,
    }


def unhealthy(*resources: dict[str, Any], **options: Any) -> dict[str, Any]:
    return application("a", health="Progressing", resources=resources, **options)


async def test_an_image_that_can_not_be_had_is_told_by_the_pods_own_reason(place: Cluster) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere/none"'}
    containers = [{"name": "c", "image": "x", "imageID": "", "ready": False, "restartCount": 0}]
    await place.put(
        deployment("web"),
        pod("web-1", "web", phase="Pending", containerStatuses=[{**containers[0], "state": {"waiting": waiting}}]),
        application("platform", resources=(child("a"),)),
        unhealthy(resource("Deployment", "web", group="apps", namespace="edge", health="Progressing")),
    )
    text = await late(place)
    assert "waiting for a (Synced, Progressing)" in text
    assert "Deployment edge/web is Progressing" in text
    assert 'Pod edge/web-1: container c waits: ImagePullBackOff: Back-off pulling image "nowhere/none"' in text


async def test_pods_that_fit_nowhere_are_told_in_the_schedulers_words(place: Cluster) -> None:
    words = "0/4 nodes are available: 2 node(s) had untolerated taint {CriticalAddonsOnly: true}."
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    await place.put(
        deployment("web"),
        pod("web-1", "web", phase="Pending", conditions=[scheduled]),
        application("platform", resources=(child("a"),)),
        unhealthy(resource("Deployment", "web", group="apps", namespace="edge", health="Progressing")),
    )
    assert f"Pod edge/web-1: it isn't scheduled: {words}" in await late(place)


async def test_events_tell_why_a_service_has_no_load_balancer(place: Cluster) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "shared-gateway-istio", "namespace": "edge"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 443}]},
    }
    await place.put(
        service,
        application("platform", resources=(child("a"),)),
        unhealthy(resource("Service", "shared-gateway-istio", namespace="edge", health="Progressing")),
    )
    assert "nobody gave it a load balancer, and no event says why" in await late(place)
    stored = await place.get("v1", "services", "edge", "shared-gateway-istio")
    assert stored is not None
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e1", "namespace": "edge"},
        "type": "Warning",
        "reason": "FailedDeployModel",
        "message": "subnets: found none tagged kubernetes.io/role/internal-elb",
        "involvedObject": {"kind": "Service", "namespace": "edge", "name": "x", "uid": stored["metadata"]["uid"]},
    }
    await place.put(event)
    text = await late(place)
    assert "event FailedDeployModel: subnets: found none tagged" in text


async def test_conditions_of_a_gateways_listeners_are_told(place: Cluster) -> None:
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "shared-gateway", "namespace": "edge"},
        "spec": {"gatewayClassName": "istio", "listeners": [{"name": "https", "port": 443, "protocol": "HTTP"}]},
    }
    no_secret = {
        "type": "ResolvedRefs",
        "status": "False",
        "reason": "InvalidCertificateRef",
        "message": "Secret edge/gateway-tls isn't there",
        "lastTransitionTime": "2026-11-22T00:00:00Z",
    }
    status = {
        "conditions": [{**no_secret, "type": "Programmed", "reason": "Invalid", "message": "listeners are invalid"}],
        "listeners": [{"name": "https", "attachedRoutes": 0, "supportedKinds": [], "conditions": [no_secret]}],
    }
    part = resource("Gateway", "shared-gateway", group="gateway.networking.k8s.io", namespace="edge", health="Degraded")
    await place.put({**gateway, "status": status}, application("platform", resources=(child("a"),)), unhealthy(part))
    text = await late(place)
    assert "Gateway edge/shared-gateway: Programmed is False: Invalid: listeners are invalid" in text
    assert "listener https: ResolvedRefs is False: InvalidCertificateRef: Secret edge/gateway-tls isn't there" in text


async def test_a_failed_sync_is_told_with_the_resource_that_was_refused(place: Cluster) -> None:
    failed = application("a", sync="OutOfSync", health="Missing", phase="Failed", message="one or more objects failed")
    result = {"kind": "Gateway", "namespace": "edge", "name": "g", "status": "SyncFailed", "message": "no such class"}
    failed["status"]["operationState"]["syncResult"] = {"resources": [result]}
    await place.put(application("platform", resources=(child("a"),)), failed)
    text = await late(place)
    assert "Application a: its sync is Failed: one or more objects failed" in text
    assert "Application a: Gateway edge/g: no such class" in text


async def test_what_a_private_repository_needs_is_told(place: Cluster) -> None:
    refused = "authentication required: Repository not found."
    await place.put(application("platform", sync="Unknown", conditions=(("ComparisonError", refused),)))
    text = await late(place)
    assert f"Application platform: ComparisonError: {refused}" in text
    assert "a Secret in namespace argocd that is labelled argocd.argoproj.io/secret-type: repository" in text


async def test_what_is_being_deleted_is_told_with_its_finalizers(place: Cluster) -> None:
    await place.put(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "c", "namespace": "edge", "finalizers": ["example.com/never"]},
        }
    )
    await place.client.request("DELETE", "/api/v1/namespaces/edge/configmaps/c")
    found = await place.get("v1", "configmaps", "edge", "c")
    assert found is not None
    [line] = await explain(place.client, found)
    assert line.startswith("ConfigMap edge/c is being deleted since ")
    assert line.endswith("its finalizers: example.com/never")


async def test_workloads_are_waited_for_and_what_is_wrong_with_them_is_told(place: Cluster) -> None:
    with pytest.raises(Late, match="no workload in edge yet"):
        await workloads_ready(place.client, "edge", lambda _: None, QUICK)
    crash = {
        "name": "c",
        "image": "x",
        "imageID": "",
        "ready": False,
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
    }
    await place.put(deployment("web"), pod("web-1", "web", phase="Running", containerStatuses=[crash]))
    with pytest.raises(Late, match="waiting for Deployment edge/web") as caught:
        await workloads_ready(place.client, "edge", lambda _: None, QUICK)
    assert "container c waits: CrashLoopBackOff: back-off 40s (it ended with 1)" in str(caught.value)
    await place.put({**deployment("web"), "status": {"replicas": 1, "readyReplicas": 1, "observedGeneration": 1}})
    assert await workloads_ready(place.client, "edge", lambda _: None, QUICK) == ["Deployment edge/web"]


async def test_an_api_that_does_not_answer_is_waited_for(place: Cluster, tmp_path: Path) -> None:
    from gatewright.cluster import Client

    text = place.kubeconfig.read_text().replace(place.client.server, "https://127.0.0.1:1")
    (tmp_path / "wrong").write_text(text)
    async with Client.connect(tmp_path / "wrong") as client:
        with pytest.raises(Late, match="the cluster's API doesn't answer"):
            await applications_ready(client, "platform", lambda _: None, QUICK)


def test_a_workload_is_rolled_out_when_the_controller_saw_it_and_all_pods_are_ready() -> None:
    seen = {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "kind": "Deployment"}
    assert rolled_out({**seen, "status": {"observedGeneration": 2, "readyReplicas": 2}})
    assert not rolled_out({**seen, "status": {"observedGeneration": 1, "readyReplicas": 2}})
    assert not rolled_out({**seen, "status": {"observedGeneration": 2, "readyReplicas": 1}})
    assert not rolled_out({"kind": "DaemonSet", "status": {}})
    assert rolled_out({"kind": "DaemonSet", "status": {"desiredNumberScheduled": 2, "numberReady": 2}})
    assert rolled_out({"kind": "Deployment", "spec": {"replicas": 0}})


def test_a_condition_that_is_good_when_false_is_no_problem() -> None:
    conditions = [
        {"type": "Conflicted", "status": "False", "reason": "NoConflicts"},
        {"type": "Accepted", "status": "True"},
        {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"},
    ]
    found = {"kind": "X", "metadata": {"name": "x"}, "status": {"conditions": conditions}}
    assert list(bad_conditions(found)) == ["ReplicaFailure is True: FailedCreate: quota"]


def test_a_pod_that_runs_and_is_not_ready_is_told() -> None:
    conditions = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "probe fails"}]
    found = {"status": {"phase": "Running", "conditions": conditions}}
    assert list(pod_problems(found)) == ["it runs, and isn't ready: probe fails"]
    assert APPLICATIONS.startswith("argoproj.io/")


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("connection refused"),
        ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request"),
        ApiError(429, "TooManyRequests", "etcdserver: too many requests"),
        Throttled("Throttling", "Rate exceeded", "elbv2:describe_load_balancers"),
    ],
)
async def test_an_api_that_fails_in_passing_is_waited_for(error: Exception) -> None:
    told: list[str] = []
    failing = [error, error]

    async def look() -> Look:
        if failing:
            raise failing.pop()
        return Look(True, "done")

    await waiting.wait(look, told.append, QUICK, nothing, "")
    assert all("doesn't answer" in line for line in told)
    failing = [error] * 1000
    with pytest.raises(Late, match="doesn't answer"):
        await waiting.wait(look, told.append, QUICK, nothing, "")


@pytest.mark.parametrize("error", [ApiError(403, "Forbidden", "no"), AccessDenied("AccessDenied", "no", "x:y")])
async def test_a_refusal_is_not(error: Exception) -> None:
    async def look() -> Look:
        raise error

    with pytest.raises(type(error)):
        await waiting.wait(look, lambda _: None, QUICK, nothing, "")


@pytest.mark.parametrize(
    ("source", "revision", "ended"),
    [
        (SOURCE, "abc", False),  # it is what is to be
        ({**SOURCE, "path": "old"}, "abc", True),  # the spec is another one since
        (SOURCE, "old", True),  # there is a newer commit
    ],
)
async def test_a_sync_of_what_it_was_before_is_ended(
    place: Cluster, source: dict[str, Any], revision: str, *, ended: bool
) -> None:
    root = application("platform", sync="OutOfSync", health="Progressing", phase="Running")
    root["status"]["sync"]["revision"] = "abc"
    root["status"]["operationState"]["syncResult"] = {"source": source, "revision": revision}
    await place.put(root)
    with pytest.raises(Late):
        await applications_ready(place.client, "platform", lambda _: None, QUICK)
    found = await place.get(APPLICATIONS, "applications", "argocd", "platform")
    assert found is not None
    assert (found["status"]["operationState"]["phase"] == "Terminating") is ended
