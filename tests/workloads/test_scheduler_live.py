"""Pods on several nodes: they wait, are placed, move when their node goes, and DaemonSets are on every node."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import Any

from tests.workloads.live_edge import Edge, deployment, get, service

from gatewright.local.workloads import Workloads
from gatewright.local.workloads.nodes import STAND_IN, ZONE
from gatewright.model import apps, core
from gatewright.model.meta import Key

CRITICAL = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}


async def add_node(edge: Edge, name: str, zone: str, *taints: dict[str, str], **labels: str) -> None:
    node: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {ZONE: zone, **labels}, "annotations": {STAND_IN: "here"}},
        "spec": {"taints": list(taints)},
    }
    await edge.client.create(node)
    status = {
        "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "29"},
        "addresses": [{"type": "InternalIP", "address": "127.0.0.9"}],
    }
    await edge.client.patch(core.Node, Key("", name), {"status": status}, subresource="status")


def nodes_of(edge: Edge, app: str) -> list[str]:
    """Where the ready pods of an app are."""
    return sorted(
        pod.spec.node_name
        for pod in edge.pods.values()
        if pod.metadata.labels.get("app") == app
        and not pod.deleting
        and any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)
    )


def refusals(edge: Edge) -> list[str]:
    return [
        condition.message
        for pod in edge.pods.values()
        for condition in pod.status.conditions
        if (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
    ]


async def test_pods_wait_for_a_node_that_takes_them(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses, own_node=False):
        await edge.client.create(deployment("shop", 1, "-text=Hello", "-listen=:8080"))
        await edge.until(lambda: refusals(edge) == ["no nodes available to schedule pods"])
        await add_node(edge, "system", "a", CRITICAL)
        tainted = "0/1 nodes are available: 1 node(s) had untolerated taint {CriticalAddonsOnly: true}."
        await edge.until(lambda: [text.partition(" preemption")[0] for text in refusals(edge)] == [tainted])
        [waiting] = edge.pods.values()
        assert (waiting.status.phase, waiting.spec.node_name) == ("Pending", "")
        await add_node(edge, "user", "b")
        await edge.until(lambda: nodes_of(edge, "shop") == ["user"])
        [running] = edge.pods.values()
        assert running.status.host_ip == "127.0.0.9"
        assert refusals(edge) == []
        events = await edge.events()
        assert ("FailedScheduling", "no nodes available to schedule pods") in events
        assert ("Scheduled", f"Successfully assigned default/{running.name} to user") in events


async def test_pods_are_spread_and_their_zones_are_told(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses, own_node=False):
        await add_node(edge, "one", "a")
        await add_node(edge, "two", "b")
        await edge.client.create(service("shop", 8080))
        await edge.client.create(deployment("shop", 4, "-text=Hello", "-listen=:8080"))
        await edge.until(lambda: nodes_of(edge, "shop") == ["one", "one", "two", "two"])
        endpoints = await edge.until(lambda: len(edge.endpoints("shop")) == 4 and edge.endpoints("shop"))
        assert [await get(endpoint) for endpoint in endpoints] == [(200, b"Hello\n")] * 4
        found = {(each.node_name, each.zone) for slice_ in edge.slices.values() for each in slice_.endpoints}
        assert found == {("one", "a"), ("two", "b")}


async def test_pods_of_a_node_that_is_gone_come_again_elsewhere(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses, own_node=False):
        await add_node(edge, "one", "a")
        await add_node(edge, "two", "b")
        await edge.client.create(deployment("shop", 2, "-text=Hello", "-listen=:8080"))
        await edge.until(lambda: nodes_of(edge, "shop") == ["one", "two"])
        await edge.client.delete(core.Node, Key("", "one"))
        await edge.until(lambda: nodes_of(edge, "shop") == ["two", "two"])
        taint = {"spec": {"taints": [{"key": "gone", "effect": "NoExecute"}]}}
        await add_node(edge, "three", "a")
        await edge.client.patch(core.Node, Key("", "two"), taint)
        await edge.until(lambda: nodes_of(edge, "shop") == ["three", "three"])


async def test_a_daemon_set_is_on_every_node_that_takes_it(edge: Edge) -> None:
    daemon_set = deployment("agent", 1, "-text=Hello", "-listen=:8080")
    daemon_set["kind"] = "DaemonSet"
    for field in ("replicas", "strategy"):
        del daemon_set["spec"][field]

    async def scheduled(count: int) -> None:
        async with asyncio.timeout(60):
            while (  # noqa: ASYNC110 - nobody watches it here
                await edge.client.get(apps.DaemonSet, Key("default", "agent"))
            ).status.desired_number_scheduled != count:
                await asyncio.sleep(0.02)

    async with Workloads(edge.client, addresses=edge.addresses, own_node=False):
        await add_node(edge, "system", "a", CRITICAL)
        await add_node(edge, "one", "a")
        await edge.client.create(daemon_set)
        await edge.until(lambda: nodes_of(edge, "agent") == ["one"])
        await add_node(edge, "two", "b")
        await edge.until(lambda: nodes_of(edge, "agent") == ["one", "two"])
        await scheduled(2)
        tolerant = {"spec": {"template": {"spec": {"tolerations": [{"operator": "Exists"}]}}}}
        await edge.client.patch(apps.DaemonSet, Key("default", "agent"), tolerant)
        await edge.until(lambda: nodes_of(edge, "agent") == ["one", "system", "two"])
        await edge.client.delete(core.Node, Key("", "one"))
        await edge.until(lambda: nodes_of(edge, "agent") == ["system", "two"])


async def test_pods_of_other_nodes_and_schedulers_are_left_alone(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses, own_node=False) as workloads:
        await edge.client.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "real"}})
        await add_node(edge, "one", "a")
        for name, spec in (("there", {"nodeName": "real"}), ("other", {"schedulerName": "other"}), ("here", {})):
            containers = [{"name": "c", "image": "hashicorp/http-echo:1.0"}]
            await edge.client.create(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": name, "namespace": "default"},
                    "spec": {"containers": containers, **spec},
                }
            )
        await edge.until(lambda: (found := edge.pods.get(Key("default", "here"))) and found.status.phase == "Running")
        await workloads.idle()
        places = {key.name: (pod.spec.node_name, pod.status.pod_ip == "") for key, pod in edge.pods.items()}
        assert places == {"there": ("real", True), "other": ("", True), "here": ("one", False)}
