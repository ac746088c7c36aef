"""On which node a pod runs: what kube-scheduler's default plugins decide, as a function of pods and nodes.

A node is left out by the first of these that it fails, as in kube-scheduler, whose words are used for the reasons: the
node is unschedulable, a taint, the node selector and affinity, resources, topology spread, affinity to other pods.
Left out are ports of the host, volumes, and the eviction of pods with a lower priority.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from gatewright.local.workloads.constraints import PodAffinityTerm, Taint, TopologySpread, quantity, tolerated
from gatewright.local.workloads.templates import Node, Pod
from gatewright.model.meta import LabelSelector

UNSCHEDULABLE: Final = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
"""As which a cordoned node is seen: what tolerates it runs there all the same, as DaemonSets do."""
_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_ZONE: Final = "topology.kubernetes.io/zone"
_HARD: Final = ("NoSchedule", "NoExecute")


class Placed(NamedTuple):
    """A pod's node, by name."""

    node: str


class Unplaced(NamedTuple):
    """Why no node takes a pod, in kube-scheduler's words."""

    message: str


def place(pod: Pod, nodes: Sequence[Node], pods: Iterable[Pod]) -> Placed | Unplaced:
    """The node for `pod`. `pods` are those that have one of `nodes`; those that have ended take no room."""
    if not nodes:
        return Unplaced("no nodes available to schedule pods")
    cluster = _Cluster(nodes, pods)
    reasons = dict(_filtered(pod, cluster))
    fitting = [node for node in nodes if not reasons.get(node.name)]
    if not fitting:
        return Unplaced(_message(reasons))
    rank = _rank(pod, cluster)
    return Placed(min(fitting, key=lambda node: (rank(node), node.name)).name)


def takes(node: Node, pod: Pod) -> bool:
    """Whether a DaemonSet has its `pod` on a node, by the node's taints and labels alone."""
    return not _taint_reason(pod, node) and _selected(pod, node)


def evicts(node: Node, pod: Pod) -> bool:
    """Whether a taint of a node sends a pod away that runs there."""
    return any(taint.effect == "NoExecute" and not tolerated(taint, pod.spec.tolerations) for taint in node.spec.taints)


class _Cluster:
    """Nodes, and the pods of each."""

    def __init__(self, nodes: Sequence[Node], pods: Iterable[Pod]) -> None:
        self.nodes = {node.name: node for node in nodes}
        self.pods: dict[str, list[Pod]] = {name: [] for name in self.nodes}
        for pod in pods:
            if pod.spec.node_name in self.pods and pod.status.phase not in ("Succeeded", "Failed"):
                self.pods[pod.spec.node_name].append(pod)

    def each(self) -> Iterator[tuple[Node, Pod]]:
        """All pods, with their nodes."""
        for name, members in self.pods.items():
            for pod in members:
                yield self.nodes[name], pod


def _filtered(pod: Pod, cluster: _Cluster) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each node's name, with why it doesn't take the pod; nothing where it does."""
    spread = [_spread_filter(pod, cluster, one) for one in _hard_spread(pod)]
    near = _affinity_filter(pod, cluster)
    for node in cluster.nodes.values():
        taint = _taint_reason(pod, node)
        if taint:
            yield node.name, (taint,)
        elif not _selected(pod, node):
            yield node.name, ("node(s) didn't match Pod's node affinity/selector",)
        elif short := tuple(_short(pod, node, cluster.pods[node.name])):
            yield node.name, short
        else:
            reason = next((found for check in (*spread, near) if (found := check(node))), "")
            yield node.name, (reason,) if reason else ()


def _message(reasons: Mapping[str, tuple[str, ...]]) -> str:
    """As kube-scheduler words that no node fits (framework.FitError)."""
    counts = Counter(reason for failed in reasons.values() for reason in failed)
    total = len(reasons)
    listed = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
    full = sum(1 for failed in reasons.values() if failed[0].startswith(("Insufficient", "Too many")))
    victims = []
    if full:
        victims.append(f"{full} No preemption victims found for incoming pod")
    if full < total:
        victims.append(f"{total - full} Preemption is not helpful for scheduling")
    return (
        f"0/{total} nodes are available: {listed}. "
        f"preemption: 0/{total} nodes are available: {', '.join(sorted(victims))}."
    )


def _taint_reason(pod: Pod, node: Node) -> str:
    if node.spec.unschedulable and not tolerated(UNSCHEDULABLE, pod.spec.tolerations):
        return "node(s) were unschedulable"
    for taint in node.spec.taints:
        if taint.effect in _HARD and not tolerated(taint, pod.spec.tolerations):
            return f"node(s) had untolerated taint {taint}"
    return ""


def _selected(pod: Pod, node: Node) -> bool:
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = pod.spec.affinity.node_affinity
    required = affinity.required_during_scheduling_ignored_during_execution if affinity else None
    return required is None or any(term.selects(node.name, labels) for term in required.node_selector_terms)


def asks(pod: Pod) -> dict[str, float]:
    """What a pod asks of its node, by resource: its containers together, or an init container that asks for more."""
    total: dict[str, float] = {"pods": 1.0}
    for container in pod.spec.containers:
        _add(total, container.resources.asked)
    beside: dict[str, float] = {}
    most: dict[str, float] = {}
    for container in pod.spec.init_containers:
        if container.restart_policy == "Always":
            _add(beside, container.resources.asked)
            _highest(most, beside)
        else:
            _highest(most, {name: beside.get(name, 0.0) + value for name, value in container.resources.asked.items()})
    _add(total, beside)
    _highest(total, most)
    _add(total, {name: quantity(value) for name, value in pod.spec.overhead.items()})
    return total


def _add(total: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        total[name] = total.get(name, 0.0) + value


def _highest(total: dict[str, float], more: Mapping[str, float]) -> None:
    for name, value in more.items():
        total[name] = max(total.get(name, 0.0), value)


def _used(pods: Iterable[Pod]) -> dict[str, float]:
    used: dict[str, float] = {}
    for pod in pods:
        _add(used, asks(pod))
    return used


def _short(pod: Pod, node: Node, pods: Iterable[Pod]) -> Iterator[str]:
    """What a node has too little of."""
    used, room = _used(pods), node.status.allocatable
    for name, asked in asks(pod).items():
        # Sums of quantities such as 0.1 aren't exact.
        if asked and used.get(name, 0.0) + asked > quantity(room.get(name, 0)) * (1 + 1e-9):
            yield "Too many pods" if name == "pods" else f"Insufficient {name}"


def _hard_spread(pod: Pod) -> list[TopologySpread]:
    return [one for one in pod.spec.topology_spread_constraints if one.when_unsatisfiable == "DoNotSchedule"]


def _spread_filter(pod: Pod, cluster: _Cluster, spread: TopologySpread) -> Callable[[Node], str]:
    """Why a node would spread pods too unevenly."""
    counts = _spread_counts(pod, cluster, spread)
    least = min(counts.values(), default=0)
    if spread.min_domains is not None and len(counts) < spread.min_domains:
        least = 0
    own = 1 if _spread_selector(pod, spread).matches(pod.metadata.labels) else 0

    def check(node: Node) -> str:
        place = node.metadata.labels.get(spread.topology_key)
        if place is None:
            return "node(s) didn't match pod topology spread constraints (missing required label)"
        uneven = counts.get(place, 0) + own - least > spread.max_skew
        return "node(s) didn't match pod topology spread constraints" if uneven else ""

    return check


def _spread_selector(pod: Pod, spread: TopologySpread) -> LabelSelector:
    return _with_labels(spread.label_selector, pod, spread.match_label_keys)


def _with_labels(selector: LabelSelector | None, pod: Pod, keys: Iterable[str]) -> LabelSelector:
    """A selector that holds for pods alone which have the same labels as `pod` has; None selects nothing."""
    if selector is None:
        return LabelSelector(match_labels={"": ""})
    same = {key: pod.metadata.labels[key] for key in keys if key in pod.metadata.labels}
    return LabelSelector(match_labels={**selector.match_labels, **same}, match_expressions=selector.match_expressions)


def _spread_counts(pod: Pod, cluster: _Cluster, spread: TopologySpread) -> dict[str, int]:
    """How many of the pods are in each place that counts."""
    selector = _spread_selector(pod, spread)
    counts: dict[str, int] = {}
    for node in cluster.nodes.values():
        place = node.metadata.labels.get(spread.topology_key)
        if place is None or (spread.node_affinity_policy == "Honor" and not _selected(pod, node)):
            continue
        if spread.node_taints_policy == "Honor" and _taint_reason(pod, node):
            continue
        members = [
            other
            for other in cluster.pods[node.name]
            if other.namespace == pod.namespace and not other.deleting and selector.matches(other.metadata.labels)
        ]
        counts[place] = counts.get(place, 0) + len(members)
    return counts


def _affinity_filter(pod: Pod, cluster: _Cluster) -> Callable[[Node], str]:
    """Why a node is too far from other pods, or too near to them."""
    affinity = pod.spec.affinity
    near = affinity.pod_affinity
    wanted = near.required_during_scheduling_ignored_during_execution if near else ()
    far = affinity.pod_anti_affinity
    unwanted = far.required_during_scheduling_ignored_during_execution if far else ()
    present = [(term, _places(pod, cluster, term)) for term in wanted]
    # The first pod of a group that wants to be near itself may be anywhere.
    first = not any(places for _, places in present) and all(_matches(pod, term, pod) for term in wanted)
    absent = [(term, _places(pod, cluster, term)) for term in unwanted]
    guarded: list[tuple[str, str]] = []
    for node, other in cluster.each():
        anti = other.spec.affinity.pod_anti_affinity
        for term in anti.required_during_scheduling_ignored_during_execution if anti else ():
            place = node.metadata.labels.get(term.topology_key)
            if place is not None and _matches(other, term, pod):
                guarded.append((term.topology_key, place))

    def check(node: Node) -> str:
        labels = node.metadata.labels
        for term, places in present:
            place = labels.get(term.topology_key)
            if place is None or (place not in places and not first):
                return "node(s) didn't match pod affinity rules"
        if any(labels.get(term.topology_key) in places for term, places in absent):
            return "node(s) didn't match pod anti-affinity rules"
        if any(labels.get(key) == place for key, place in guarded):
            return "node(s) didn't satisfy existing pods anti-affinity rules"
        return ""

    return check


def _matches(owner: Pod, term: PodAffinityTerm, other: Pod) -> bool:
    """Whether a term of `owner` is about `other`.

    Of namespaces only the label with their name is known, which each of them has.
    """
    selector = term.namespace_selector
    if selector is not None or term.namespaces:
        named = other.namespace in term.namespaces
        if not named and (selector is None or not selector.matches({_NAMESPACE_NAME: other.namespace})):
            return False
    elif other.namespace != owner.namespace:
        return False
    labels, own = other.metadata.labels, owner.metadata.labels
    if any(key in own and labels.get(key) == own[key] for key in term.mismatch_label_keys):
        return False
    return _with_labels(term.label_selector, owner, term.match_label_keys).matches(labels)


def _places(pod: Pod, cluster: _Cluster, term: PodAffinityTerm) -> Counter[str]:
    """In which places the pods are that a term is about, and how many."""
    return Counter(
        node.metadata.labels[term.topology_key]
        for node, other in cluster.each()
        if term.topology_key in node.metadata.labels and _matches(pod, term, other)
    )


def _rank(pod: Pod, cluster: _Cluster) -> Callable[[Node], tuple[float, ...]]:
    """How good a node is that fits: the lowest is the best."""
    soft = [one for one in pod.spec.topology_spread_constraints if one.when_unsatisfiable != "DoNotSchedule"]
    uneven = [(one.topology_key, _spread_counts(pod, cluster, one)) for one in soft]
    affinity = pod.spec.affinity
    preferred = (
        affinity.node_affinity.preferred_during_scheduling_ignored_during_execution if affinity.node_affinity else ()
    )
    pulls = [
        (one.pod_affinity_term.topology_key, sign * one.weight, _places(pod, cluster, one.pod_affinity_term))
        for side, sign in ((affinity.pod_affinity, 1), (affinity.pod_anti_affinity, -1))
        if side
        for one in side.preferred_during_scheduling_ignored_during_execution
    ]
    owners = {owner.uid for owner in pod.metadata.owner_references if owner.controller}
    siblings = [
        (node.name, node.metadata.labels.get(_ZONE))
        for node, other in cluster.each()
        if owners & {owner.uid for owner in other.metadata.owner_references if owner.controller}
    ]

    def rank(node: Node) -> tuple[float, ...]:
        labels = node.metadata.labels
        shunned = [
            taint
            for taint in node.spec.taints
            if taint.effect == "PreferNoSchedule" and not tolerated(taint, pod.spec.tolerations)
        ]
        liked = sum(one.weight for one in preferred if one.preference.selects(node.name, labels))
        pulled = sum(weight * places[labels.get(key, "")] for key, weight, places in pulls)
        crowd = sum(counts.get(labels.get(key, ""), 0) for key, counts in uneven)
        same_zone = sum(1 for _, zone in siblings if zone is not None and zone == labels.get(_ZONE))
        same_node = sum(1 for name, _ in siblings if name == node.name)
        members = cluster.pods[node.name]
        return len(shunned), -liked, -pulled, crowd, same_zone, same_node, _fullness(node, members, pod), len(members)

    return rank


def _fullness(node: Node, pods: Iterable[Pod], pod: Pod) -> float:
    """How much of a node is taken once `pod` is there: the mean of processor and memory."""
    used, room = _used([*pods, pod]), node.status.allocatable
    shares = [used.get(name, 0.0) / (quantity(room.get(name, 0)) or 1.0) for name in ("cpu", "memory")]
    return sum(shares) / len(shares)
