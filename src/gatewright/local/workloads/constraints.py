"""Where a pod may run: the parts of pods and nodes that a scheduler reads (core/v1), and what single parts match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gatewright.model.meta import LabelSelector, Model

_SUFFIXES: Final = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


class Taint(Model):
    """Keeps pods that don't tolerate it off a node."""

    key: str
    effect: str
    value: str = ""

    def __str__(self) -> str:
        return f"{{{self.key}: {self.value}}}"


class Toleration(Model):
    """Lets a pod run in spite of a taint. An empty key tolerates all of them, an empty effect any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Whether it does."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.operator in ("Equal", "") and self.value == taint.value


class NodeRequirement(Model):
    """One expression of a node selector, over labels, or over the field `metadata.name`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, values: Mapping[str, str]) -> bool:
        """Whether labels, or fields, satisfy it. An operator that Kubernetes doesn't define holds for none."""
        found = values.get(self.key)
        match self.operator:
            case "In":
                return found in self.values
            case "NotIn":
                return found not in self.values
            case "Exists":
                return found is not None
            case "DoesNotExist":
                return found is None
            case "Gt" | "Lt":
                try:
                    number, limit = int(found or ""), int(self.values[0])
                except (ValueError, IndexError):
                    return False
                return number > limit if self.operator == "Gt" else number < limit
        return False


class NodeSelectorTerm(Model):
    """Nodes by expressions that all have to hold; a term without any selects none."""

    match_expressions: tuple[NodeRequirement, ...] = ()
    match_fields: tuple[NodeRequirement, ...] = ()

    def selects(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it selects a node."""
        if not self.match_expressions and not self.match_fields:
            return False
        return all(one.holds(labels) for one in self.match_expressions) and all(
            one.holds({"metadata.name": name}) for one in self.match_fields
        )


class NodeSelector(Model):
    """Nodes that any of the terms selects."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = ()


class PreferredNodes(Model):
    """Nodes that are preferred, and how much (1 to 100)."""

    weight: int
    preference: NodeSelectorTerm = NodeSelectorTerm()


class NodeAffinity(Model):
    """On which nodes a pod wants to be."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredNodes, ...] = ()


class PodAffinityTerm(Model):
    """Pods, and the label of nodes that says which nodes are the same place."""

    topology_key: str
    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


class PreferredPods(Model):
    """Pods that are preferred near, and how much (1 to 100)."""

    weight: int
    pod_affinity_term: PodAffinityTerm


class PodAffinity(Model):
    """Near which pods, or away from which, a pod wants to be."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredPods, ...] = ()


class Affinity(Model):
    """Where a pod wants to be."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpread(Model):
    """How evenly pods are to be spread over the places that a label of nodes tells apart."""

    max_skew: int
    topology_key: str
    when_unsatisfiable: str
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str = "Honor"
    node_taints_policy: str = "Ignore"
    match_label_keys: tuple[str, ...] = ()


class Resources(Model):
    """What a container asks for. Quantities are text, or a number."""

    requests: dict[str, str | int | float] = msgspec.field(default_factory=dict)
    limits: dict[str, str | int | float] = msgspec.field(default_factory=dict)

    @property
    def asked(self) -> dict[str, float]:
        """By resource; what has a limit alone asks for that much."""
        return {name: quantity(value) for name, value in {**self.limits, **self.requests}.items()}


def quantity(text: str | float) -> float:
    """The number that a quantity says (`250m`, `1.5Gi`). Raises ValueError."""
    if isinstance(text, int | float):
        return float(text)
    digits = text.rstrip("numkKMGTPEi")
    suffix = text[len(digits) :]
    if suffix in _SUFFIXES:
        return float(digits) * _SUFFIXES[suffix]
    return float(text)


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Whether any of the tolerations is for a taint."""
    return any(toleration.tolerates(taint) for toleration in tolerations)
