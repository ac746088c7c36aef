"""Deletion: finalizers, grace, owners and dependents, namespaces."""

from __future__ import annotations

import asyncio
from typing import Any

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"


def config_map(name: str, *owners: Any, block: bool = False, **metadata: Any) -> Any:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": block,
        }
        for owner in owners
    ]
    if references:
        metadata["ownerReferences"] = references
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, **metadata}}


async def settle() -> None:
    """Let the collectors, which run as soon as the loop is free, finish."""
    for _ in range(20):
        await asyncio.sleep(0)


async def names(api: Any, path: str = MAPS) -> list[str]:
    await settle()
    return [item["metadata"]["name"] for item in (await api("GET", path))[1]["items"]]


async def test_a_finalizer_holds_an_object_until_it_is_taken_off(api: Any) -> None:
    await api("POST", MAPS, config_map("a", finalizers=["example.com/hold"]))
    code, held = await api("DELETE", f"{MAPS}/a")
    assert code == 200
    assert held["metadata"]["deletionTimestamp"]
    code, status = await api(
        "PATCH", f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/hold", "x/y"]}}, content_type=MERGE
    )
    assert code == 422
    assert "no new finalizers can be added if the object is being deleted" in status["message"]
    await api("PATCH", f"{MAPS}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert await names(api) == []


async def test_dependents_go_with_their_last_owner(api: Any) -> None:
    _, one = await api("POST", MAPS, config_map("one"))
    _, two = await api("POST", MAPS, config_map("two"))
    await api("POST", MAPS, config_map("child", one, two))
    _, child = await api("GET", f"{MAPS}/child")
    await api("POST", MAPS, config_map("grandchild", child))
    await api("DELETE", f"{MAPS}/one")
    assert await names(api) == ["child", "grandchild", "two"]
    _, child = await api("GET", f"{MAPS}/child")
    assert [owner["name"] for owner in child["metadata"]["ownerReferences"]] == ["two"]
    await api("DELETE", f"{MAPS}/two")
    assert await names(api) == []


async def test_a_dependent_of_nobody_goes_at_once(api: Any) -> None:
    absent = {"metadata": {"name": "gone", "uid": "11111111-1111-1111-1111-111111111111"}}
    await api("POST", MAPS, config_map("child", absent))
    assert await names(api) == []


async def test_orphans_stay(api: Any) -> None:
    _, owner = await api("POST", MAPS, config_map("owner"))
    await api("POST", MAPS, config_map("child", owner))
    await api("DELETE", f"{MAPS}/owner?propagationPolicy=Orphan")
    assert await names(api) == ["child"]
    assert "ownerReferences" not in (await api("GET", f"{MAPS}/child"))[1]["metadata"]


async def test_foreground_deletion_waits_for_dependents_that_block_it(api: Any) -> None:
    _, owner = await api("POST", MAPS, config_map("owner"))
    await api("POST", MAPS, config_map("child", owner, block=True, finalizers=["example.com/hold"]))
    await api("DELETE", f"{MAPS}/owner", {"propagationPolicy": "Foreground"})
    assert await names(api) == ["child", "owner"]
    _, owner = await api("GET", f"{MAPS}/owner")
    assert owner["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in (await api("GET", f"{MAPS}/child"))[1]["metadata"]
    await api("PATCH", f"{MAPS}/child", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert await names(api) == []


async def test_a_namespace_takes_everything_along(api: Any) -> None:
    await api("POST", "/api/v1/namespaces", {"metadata": {"name": "n"}})
    inside = "/api/v1/namespaces/n/configmaps"
    await api("POST", inside, config_map("free"))
    await api("POST", inside, config_map("held", finalizers=["example.com/hold"]))
    code, terminating = await api("DELETE", "/api/v1/namespaces/n")
    assert (code, terminating["status"]["phase"]) == (200, "Terminating")
    assert await names(api, inside) == ["held"]
    code, status = await api("POST", inside, config_map("late"))
    assert (code, status["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    _, namespace = await api("GET", "/api/v1/namespaces/n")
    conditions = {condition["type"]: condition["message"] for condition in namespace["status"]["conditions"]}
    assert "example.com/hold in 1 resource instances" in conditions["NamespaceFinalizersRemaining"]
    await api("PATCH", f"{inside}/held", {"metadata": {"finalizers": None}}, content_type=MERGE)
    await settle()
    assert (await api("GET", "/api/v1/namespaces/n"))[0] == 404
    assert (await api("DELETE", "/api/v1/namespaces/kube-system"))[0] == 403


def pod(name: str = "p") -> Any:
    containers = [{"name": "c", "image": "x:1"}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, "nodeName": "node"}}


async def test_a_pod_goes_at_once_without_nodes_that_confirm(api: Any) -> None:
    await api("POST", PODS, pod())
    await api("DELETE", f"{PODS}/p")
    assert await names(api, PODS) == []


async def test_a_pod_waits_for_its_node_when_there_are_nodes(graceful: Any) -> None:
    await graceful("POST", PODS, pod())
    _, marked = await graceful("DELETE", f"{PODS}/p")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert await names(graceful, PODS) == ["p"]
    await graceful("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert await names(graceful, PODS) == []


async def test_eviction_deletes_the_pod(api: Any) -> None:
    await api("POST", PODS, pod())
    eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "p"}}
    assert (await api("POST", f"{PODS}/p/eviction", eviction))[0] == 201
    assert await names(api, PODS) == []
