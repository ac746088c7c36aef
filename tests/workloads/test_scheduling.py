"""On which node a pod is placed, and how it is said why there is none: kube-scheduler's rules and words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.workloads.constraints import quantity
from gatewright.local.workloads.scheduling import Placed, Unplaced, asks, evicts, place, takes
from gatewright.local.workloads.templates import Node, Pod

CRITICAL = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}
TOLERANT: dict[str, Any] = {"tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}]}
ZONE = "topology.kubernetes.io/zone"
HOST = "kubernetes.io/hostname"
NO_VICTIMS = "No preemption victims found for incoming pod"
NO_HELP = "Preemption is not helpful for scheduling"


def node(name: str, *, zone: str = "a", taints: Any = (), cpu: str = "2", pods: int = 29, **labels: str) -> Node:
    return msgspec.convert(
        {
            "metadata": {"name": name, "labels": {HOST: name, ZONE: zone, **labels}},
            "spec": {"taints": list(taints)},
            "status": {"allocatable": {"cpu": cpu, "memory": "4Gi", "pods": pods}},
        },
        Node,
    )


def pod(name: str = "new", *, on: str = "", cpu: str = "", namespace: str = "default", **spec: Any) -> Pod:
    labels = spec.pop("labels", {"app": "shop"})
    container = {"name": "c", "resources": {"requests": {"cpu": cpu}} if cpu else {}}
    metadata = {"name": name, "namespace": namespace, "uid": name, "labels": labels}
    if "owner" in spec:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": spec.pop("owner")}
        metadata["ownerReferences"] = [{**owner, "controller": True}]
    status = spec.pop("status", {})
    return msgspec.convert(
        {"metadata": metadata, "spec": {"containers": [container], "nodeName": on, **spec}, "status": status}, Pod
    )


def why(verdict: Placed | Unplaced) -> str:
    assert isinstance(verdict, Unplaced)
    return verdict.message


def system(number: int) -> Node:
    return node(f"system-{number}", zone="ab"[number % 2], taints=[CRITICAL], role="system")


def user(number: int, **settings: Any) -> Node:
    return node(f"user-{number}", zone="ab"[number % 2], role="user", **settings)


NODES = [system(0), system(1), user(0), user(1)]


def affinity(side: str, key: str = HOST, **term: Any) -> dict[str, Any]:
    found = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": "shop"}}, **term}
    return {"affinity": {side: {"requiredDuringSchedulingIgnoredDuringExecution": [found]}}}


def spread(skew: int = 1, key: str = ZONE, **settings: Any) -> dict[str, Any]:
    constraint = {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "shop"}},
        **settings,
    }
    return {"topologySpreadConstraints": [constraint]}


def required(*expressions: dict[str, Any]) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def test_no_nodes() -> None:
    assert why(place(pod(), [], [])) == "no nodes available to schedule pods"


def test_a_taint_keeps_off_what_does_not_tolerate_it() -> None:
    assert place(pod(), NODES, []) == Placed("user-0")
    assert place(pod(nodeSelector={"role": "system"}, **TOLERANT), NODES, []) == Placed("system-0")
    assert why(place(pod(nodeSelector={"role": "system"}), NODES, [])) == (
        "0/4 nodes are available: 2 node(s) didn't match Pod's node affinity/selector, "
        "2 node(s) had untolerated taint {CriticalAddonsOnly: true}. "
        f"preemption: 0/4 nodes are available: 4 {NO_HELP}."
    )


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"key": "CriticalAddonsOnly", "operator": "Exists"}, True),
        ({"key": "CriticalAddonsOnly", "value": "true"}, True),
        ({"key": "CriticalAddonsOnly", "operator": "Equal", "value": "true", "effect": "NoSchedule"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "CriticalAddonsOnly", "value": "false"}, False),
        ({"key": "CriticalAddonsOnly", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], tolerated: bool) -> None:
    verdict = place(pod(tolerations=[toleration]), [system(0)], [])
    assert isinstance(verdict, Placed) == tolerated
    assert takes(system(0), pod(tolerations=[toleration])) == tolerated


def test_a_cordoned_node() -> None:
    cordoned = msgspec.structs.replace(NODES[2], spec=msgspec.structs.replace(NODES[2].spec, unschedulable=True))
    assert "1 node(s) were unschedulable" in why(place(pod(), [cordoned], []))
    tolerant = pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert place(tolerant, [cordoned], []) == Placed("user-0")


def test_a_taint_that_evicts() -> None:
    leaving = node("a", taints=[{"key": "gone", "effect": "NoExecute"}])
    assert evicts(leaving, pod())
    assert not evicts(leaving, pod(tolerations=[{"key": "gone", "operator": "Exists"}]))
    assert not evicts(NODES[0], pod())


def test_soft_taints_and_preferences_only_rank() -> None:
    shunned = node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}])
    assert place(pod(), [shunned, node("b")], []) == Placed("b")
    assert place(pod(), [shunned], []) == Placed("a")
    preference = {"matchExpressions": [{"key": "role", "operator": "In", "values": ["user"]}]}
    preferred = [{"weight": 1, "preference": preference}]
    liking = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    assert place(pod(affinity=liking), [node("a"), node("b", role="user")], []) == Placed("b")


@pytest.mark.parametrize(
    ("expression", "fits"),
    [
        ({"key": "role", "operator": "In", "values": ["user", "x"]}, True),
        ({"key": "role", "operator": "NotIn", "values": ["user"]}, False),
        ({"key": "none", "operator": "NotIn", "values": ["user"]}, True),
        ({"key": "role", "operator": "Exists"}, True),
        ({"key": "role", "operator": "DoesNotExist"}, False),
        ({"key": "cores", "operator": "Gt", "values": ["7"]}, True),
        ({"key": "cores", "operator": "Lt", "values": ["7"]}, False),
        ({"key": "role", "operator": "Gt", "values": ["7"]}, False),
    ],
)
def test_node_affinity(expression: dict[str, Any], fits: bool) -> None:
    verdict = place(pod(**required(expression)), [node("a", role="user", cores="8")], [])
    assert isinstance(verdict, Placed) == fits


def test_room() -> None:
    nodes = [node("a", cpu="1"), node("b", cpu="1")]
    full = [pod("1", on="a", cpu="700m"), pod("2", on="b", cpu="600m")]
    assert place(pod(cpu="400m"), nodes, full) == Placed("b")
    assert why(place(pod(cpu="500m"), nodes, full)) == (
        f"0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 {NO_VICTIMS}."
    )
    ended = [pod("1", on="a", cpu="700m", status={"phase": "Succeeded"})]
    assert place(pod(cpu="1"), nodes[:1], ended) == Placed("a")
    crowded = [node("a", pods=1)]
    assert "1 Too many pods" in why(place(pod(), crowded, [pod("1", on="a")]))


def test_what_a_pod_asks_for() -> None:
    def container(cpu: str, **more: Any) -> dict[str, Any]:
        return {"name": cpu, "resources": {"requests": {"cpu": cpu}}, **more}

    asking = pod(
        containers=[container("100m"), {"name": "l", "resources": {"limits": {"cpu": "200m"}}}],
        initContainers=[container("50m", restartPolicy="Always"), container("400m")],
        overhead={"cpu": "10m"},
    )
    assert asks(asking)["cpu"] == pytest.approx(0.46)


def test_the_emptier_zone_and_node_are_taken_first() -> None:
    members = [node("a-1", zone="a"), node("a-2", zone="a"), node("b-1", zone="b")]
    placed: list[Pod] = []
    for number in range(4):
        verdict = place(pod(str(number), owner="rs"), members, placed)
        assert isinstance(verdict, Placed)
        placed.append(pod(str(number), on=verdict.node, owner="rs"))
    assert [one.spec.node_name for one in placed] == ["a-1", "b-1", "a-2", "b-1"]


def test_pods_that_keep_away_from_each_other() -> None:
    apart = affinity("podAntiAffinity")
    there = [pod("1", on="user-0")]
    assert place(pod(**apart), NODES, there) == Placed("user-1")
    assert "2 node(s) didn't match pod anti-affinity rules" in why(
        place(pod(**apart), NODES, [*there, pod("2", on="user-1")])
    )
    guarding = [pod("1", on="user-0", **apart), pod("2", on="user-1", **apart)]
    assert "2 node(s) didn't satisfy existing pods anti-affinity rules" in why(place(pod(), NODES, guarding))
    elsewhere = [pod("1", on="user-0", namespace="other"), pod("2", on="user-1", namespace="other")]
    assert isinstance(place(pod(**apart), NODES, elsewhere), Placed)
    everywhere = affinity("podAntiAffinity", namespaceSelector={})
    assert isinstance(place(pod(**everywhere), NODES, elsewhere), Unplaced)


def test_pods_that_stay_together() -> None:
    near = affinity("podAffinity", ZONE)
    assert place(pod(**near), NODES, [pod("1", on="user-1")]) == Placed("user-1")
    assert isinstance(place(pod(**near), NODES, []), Placed), "the first of a group"
    assert "2 node(s) didn't match pod affinity rules" in why(place(pod(labels={"app": "x"}, **near), NODES, []))


def test_even_spread() -> None:
    there = [pod("1", on="user-0"), pod("2", on="user-1"), pod("3", on="user-0")]
    assert place(pod(**spread()), NODES, there) == Placed("user-1")
    only = required({"key": "role", "operator": "In", "values": ["user"]})
    full = [user(0), user(1, cpu="0.1")]
    assert why(place(pod(cpu="1", **spread()), full, there[:1])) == (
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints. "
        f"preemption: 0/2 nodes are available: 1 {NO_VICTIMS}, 1 {NO_HELP}."
    )
    assert isinstance(place(pod(**spread(), **only), NODES, there), Placed)
    assert "missing required label" in why(place(pod(**spread(key="rack")), NODES, []))
    assert isinstance(place(pod(**spread(minDomains=3)), NODES, there), Unplaced)
    soft = spread(whenUnsatisfiable="ScheduleAnyway")
    assert place(pod(**soft), [user(0)], there) == Placed("user-0")


def test_a_spread_counts_the_pods_of_its_revision_alone() -> None:
    old = [pod(str(number), on="user-0", labels={"app": "shop", "pod-template-hash": "1"}) for number in range(3)]
    new = spread(matchLabelKeys=["pod-template-hash"])
    assert place(pod(labels={"app": "shop", "pod-template-hash": "2"}, **new), [user(0), user(1, pods=0)], old) == (
        Placed("user-0")
    )


@given(
    st.lists(st.sampled_from([None, "900m", "100m"]), max_size=12),
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 3)), min_size=1, max_size=5),
)
def test_every_pod_that_is_placed_fits(asked: list[str | None], shape: list[tuple[str, bool, int]]) -> None:
    nodes = [
        node(f"n{number}", zone=zone, taints=[CRITICAL] if tainted else (), cpu="1", pods=pods)
        for number, (zone, tainted, pods) in enumerate(shape)
    ]
    placed: list[Pod] = []
    for number, cpu in enumerate(asked):
        verdict = place(pod(str(number), cpu=cpu or ""), nodes, placed)
        if isinstance(verdict, Placed):
            placed.append(pod(str(number), cpu=cpu or "", on=verdict.node))
            continue
        assert verdict.message.startswith(f"0/{len(nodes)} nodes are available: ")
        assert not any(takes(one, pod()) and one.status.allocatable["pods"] == 29 for one in nodes)
    for one in nodes:
        members = [each for each in placed if each.spec.node_name == one.name]
        assert not (members and one.spec.taints)
        assert len(members) <= int(one.status.allocatable["pods"])
        assert sum(asks(each).get("cpu", 0.0) for each in members) <= 1.0 + 1e-9


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100m", 0.1),
        ("2", 2),
        (3, 3),
        ("1.5Gi", 1.5 * 2**30),
        ("64Mi", 2**26),
        ("5k", 5000),
        ("1e3", 1000),
        ("1E", 1e18),
    ],
)
def test_quantities(text: str | int, number: float) -> None:
    assert quantity(text) == pytest.approx(number)
