"""Where pods run: the system's on system nodes, applications elsewhere, nothing without a place."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from gatewright.platform.report import Check
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.findings import CannotLookError, failed, passed
from gatewright.platform.verify.view import Obj, View, name_of

TAINT: Final = "CriticalAddonsOnly"
LABEL: Final = "role"
SYSTEM: Final = "system"
SYSTEM_NAMESPACES: Final = ("argocd", "gatewright-system", "istio-system", "kube-system")
"""Whose pods belong on system nodes, as do those of Gateways."""

_GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
_MANAGED = ("eks.amazonaws.com/nodegroup", "kubernetes.azure.com/agentpool", "agentpool")
_AZURE_MODE = "kubernetes.azure.com/mode"


def is_system(node: Obj) -> bool:
    """Whether a node is one for the system's pods, by its label."""
    labels = _labels(node)
    return labels.get(LABEL) == SYSTEM or labels.get(_AZURE_MODE) == SYSTEM


def is_tainted(node: Obj) -> bool:
    """Whether a node keeps out what doesn't tolerate the system's taint."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return any(each.get("key") == TAINT and each.get("effect") in ("NoSchedule", "NoExecute") for each in taints)


def _labels(obj: Obj) -> Mapping[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


def _ready(obj: Obj) -> bool:
    found = (obj.get("status") or {}).get("conditions") or ()
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in found)


async def nodes(view: View) -> list[Check]:
    """There are nodes of both kinds, ready, and the system's are tainted."""
    found = await view.objects("v1", "nodes")
    if not any(is_system(node) or is_tainted(node) or _managed(node) for node in found):
        raise CannotLookError("the cluster's nodes are not in groups: none has a label or taint of the platform's")
    checks = []
    for node in found:
        name = name_of(node)
        subject, group = f"Node {name}", _managed(node)
        names = {"node": name, "group": group or "its node group"}
        system = is_system(node)
        kind = "system" if system else "user"
        expected = f"ready, {'tainted ' + TAINT if system else 'not tainted ' + TAINT}"
        if not _ready(node):
            checks.append(failed("node", subject, expected, "is not ready", advise("node", "not-ready", **names)))
        elif system and not is_tainted(node):
            checks.append(
                failed("node", subject, expected, f"has no taint {TAINT}", advise("node", "no-taint", **names))
            )
        elif is_tainted(node) and not system:
            text = f"tainted {TAINT}, but its label {LABEL} isn't {SYSTEM}"
            checks.append(failed("node", subject, expected, text, advise("node", "no-label", **names)))
        else:
            checks.append(passed("node", subject, expected, f"ready, a {kind} node"))
    for wanted, kind in ((True, "system"), (False, "user")):
        if not any(is_system(node) is wanted for node in found):
            subject = f"{kind} nodes"
            checks.append(failed("node", subject, "at least one", "there is none", advise("node", f"no-{kind}")))
    return checks


def _managed(node: Obj) -> str:
    return next((str(_labels(node)[label]) for label in _MANAGED if label in _labels(node)), "")


async def pods(view: View) -> list[Check]:
    """Each pod has a place and is ready, and it is a place for its kind."""
    found, all_nodes, tenants = await asyncio.gather(
        view.objects("v1", "pods"), view.objects("v1", "nodes"), application_namespaces(view)
    )
    by_name = {name_of(node): node for node in all_nodes}
    separated = any(is_system(node) or is_tainted(node) for node in all_nodes)
    # AKS only prefers system nodes for what it runs itself, and cleans images by pods on every node.
    theirs = "kube-system" if any(_AZURE_MODE in _labels(node) for node in all_nodes) else ""
    checks, well = [], 0
    for pod in found:
        metadata: dict[str, Any] = pod.get("metadata") or {}
        if metadata.get("deletionTimestamp") or (pod.get("status") or {}).get("phase") == "Succeeded":
            continue
        check = _waiting(pod)
        if check is None and separated and metadata.get("namespace") != theirs:
            check = _placed(pod, by_name, tenants)
        if check is not None:
            checks.append(check)
        else:
            well += 1
    if not checks and not well:
        raise CannotLookError("there are no pods")
    others = "other pods" if checks else "pods"
    return [
        *checks,
        *([passed("placement", others, "scheduled and ready", f"all {well} are scheduled and ready")] if well else []),
    ]


def _names(pod: Obj) -> dict[str, str]:
    namespace, _, name = name_of(pod).rpartition("/")
    return {"namespace": namespace, "pod": name}


def _waiting(pod: Obj) -> Check | None:
    """The check of a pod that has no place or isn't ready; None where it is."""
    status: dict[str, Any] = pod.get("status") or {}
    subject, expected = f"Pod {name_of(pod)}", "scheduled and ready"
    for each in status.get("conditions") or ():
        if each.get("type") == "PodScheduled" and each.get("status") == "False":
            text = f"Pending, {each.get('reason')}: {each.get('message')}"
            advice = advise("pod", unschedulable(str(each.get("message", ""))), **_names(pod), taint=TAINT)
            return failed("placement", subject, expected, text, advice)
    if status.get("phase") == "Failed":
        text = f"Failed, {status.get('reason') or 'its containers ended'}: {status.get('message') or ''}".rstrip(": ")
        return failed("placement", subject, expected, text, advise("pod", "", **_names(pod)))
    if _ready(pod):
        return None
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            said = f": {waiting['message']}" if waiting.get("message") else ""
            text = f"container {container.get('name')} waits, {waiting['reason']}{said}"
            return failed("placement", subject, expected, text, advise("pod", waiting["reason"], **_names(pod)))
    return failed(
        "placement", subject, expected, f"{status.get('phase')}, not ready", advise("pod", "not-ready", **_names(pod))
    )


def unschedulable(message: str) -> str:
    """The reason of the advice for what the scheduler says."""
    words = message.lower()
    if "no nodes available" in words or "0/0 nodes" in words:
        return "no-nodes"
    if "insufficient" in words or "too many pods" in words:
        return "insufficient"
    if f"untolerated taint {{{TAINT.lower()}" in words and "affinity" not in words:
        return "taint"
    if "affinity" in words or "selector" in words:
        return "selector"
    if "topology spread" in words:
        return "spread"
    return "unschedulable"


def _placed(pod: Obj, nodes_by_name: Mapping[str, Obj], tenants: Iterable[str]) -> Check | None:
    """Whether a pod that runs is on a node of its kind; None for one that has none."""
    namespace = (pod.get("metadata") or {}).get("namespace", "")
    owners = (pod.get("metadata") or {}).get("ownerReferences") or ()
    node = nodes_by_name.get((pod.get("spec") or {}).get("nodeName") or "")
    if node is None or any(owner.get("kind") == "DaemonSet" for owner in owners):
        return None
    system = namespace in SYSTEM_NAMESPACES or _GATEWAY_LABEL in _labels(pod)
    if not system and namespace not in tenants:
        return None
    kind = "system" if system else "user"
    subject, expected = f"Pod {name_of(pod)}", f"on a {kind} node"
    there = is_system(node) or is_tainted(node)
    if there == system:
        return passed("placement", subject, expected, f"on {name_of(node)}")
    text = f"on {name_of(node)}, which is a {'system' if there else 'user'} node"
    names = {**_names(pod), "taint": TAINT, "label": f"{LABEL}: {SYSTEM}", "node": name_of(node)}
    if system:
        reason = "no-selector" if _tolerates(pod) else "no-toleration"
    else:
        reason = "node-untainted" if not is_tainted(node) else "tenant-tolerates"
    return failed("placement", subject, expected, text, advise("pod", reason, **names))


def _tolerates(pod: Obj) -> bool:
    for each in (pod.get("spec") or {}).get("tolerations") or ():
        if each.get("key") in (TAINT, None, "") and each.get("effect") in (None, "", "NoSchedule"):
            return True
    return False


async def application_namespaces(view: View) -> frozenset[str]:
    """The namespaces of the Services that routes lead to, without the system's."""
    snapshot = await view.cluster()
    found = {
        backend.namespace
        for resolution in (snapshot.resolution, *snapshot.balanced)
        for backend in resolution.topology.backends
    }
    return frozenset(found - {*SYSTEM_NAMESPACES})
