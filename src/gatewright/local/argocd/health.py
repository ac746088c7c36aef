"""How an object fares, by its kind: Argo CD's resource health, and what becomes of it for a whole Application.

The checks are those of Argo CD v3.5, but for PodDisruptionBudgets, whose status nobody writes here. An Application and
an EdgeBinding have none unless argocd-cm brings it (`resource.customizations.health.GROUP_KIND`); what the Lua of
`deploy/gitops/argocd` says there is said here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

CUSTOMIZATION: Final = "resource.customizations.health."
"""Begins the keys of argocd-cm that hold checks; `GROUP_KIND` follows."""


class Status(StrEnum):
    """How something fares."""

    HEALTHY = "Healthy"
    SUSPENDED = "Suspended"
    PROGRESSING = "Progressing"
    MISSING = "Missing"
    DEGRADED = "Degraded"
    UNKNOWN = "Unknown"


_WORSE: Final = {status: rank for rank, status in enumerate(Status)}


class Health(Struct, frozen=True):
    """How an object fares, and why."""

    status: Status
    message: str = ""


HEALTHY: Final = Health(Status.HEALTHY)

Check = Callable[[Mapping[str, Any]], Health]


def customized(config: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Groups and kinds for which argocd-cm's data brings a check."""
    names = (key.removeprefix(CUSTOMIZATION) for key in config if key.startswith(CUSTOMIZATION))
    return frozenset((group, kind) for group, _, kind in (name.rpartition("_") for name in names) if kind)


def unknown_checks(customizations: Iterable[tuple[str, str]]) -> list[str]:
    """`GROUP_KIND` of the checks that argocd-cm brings and that can't be evaluated here."""
    known = {**_BUILT_IN, **_CUSTOM}
    return sorted(f"{group}_{kind}" for group, kind in customizations if (group, kind) not in known)


def has_check(group: str, kind: str, customizations: frozenset[tuple[str, str]]) -> bool:
    """Whether anything is said of objects of a kind."""
    return (group, kind) in _BUILT_IN or ((group, kind) in customizations and (group, kind) in _CUSTOM)


def health(obj: Mapping[str, Any], customizations: frozenset[tuple[str, str]]) -> Health | None:
    """How a live object fares; None where nothing is said of its kind."""
    metadata = obj.get("metadata") or {}
    if metadata.get("deletionTimestamp"):
        return Health(Status.PROGRESSING, "Pending deletion")
    group = obj.get("apiVersion", "").rpartition("/")[0]
    kind = obj.get("kind", "")
    if not has_check(group, kind, customizations):
        return None
    check = _BUILT_IN.get((group, kind)) or _CUSTOM[group, kind]
    return check(obj)


def worst(found: Iterable[Status]) -> Status:
    """The status of what consists of parts."""
    return max(found, key=_WORSE.__getitem__, default=Status.HEALTHY)


# --- checks ---


def _spec(obj: Mapping[str, Any]) -> dict[str, Any]:
    return obj.get("spec") or {}


def _status(obj: Mapping[str, Any]) -> dict[str, Any]:
    return obj.get("status") or {}


def _waits(text: str) -> Health:
    return Health(Status.PROGRESSING, f"Waiting for rollout to finish: {text}")


def _observed(obj: Mapping[str, Any]) -> bool:
    return int(_status(obj).get("observedGeneration", 0)) >= int(obj["metadata"].get("generation", 0))


def _deployment(obj: Mapping[str, Any]) -> Health:
    spec, status = _spec(obj), _status(obj)
    if spec.get("paused"):
        return Health(Status.SUSPENDED, "Deployment is paused")
    if not _observed(obj):
        return _waits("observed deployment generation less than desired generation")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            name = obj["metadata"]["name"]
            return Health(Status.DEGRADED, f'Deployment "{name}" exceeded its progress deadline')
    wanted = spec.get("replicas", 1)
    updated, all_, available = (status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas"))
    if updated < wanted:
        return _waits(f"{updated} out of {wanted} new replicas have been updated...")
    if all_ > updated:
        return _waits(f"{all_ - updated} old replicas are pending termination...")
    if available < updated:
        return _waits(f"{available} of {updated} updated replicas are available...")
    return HEALTHY


def _stateful_set(obj: Mapping[str, Any]) -> Health:
    spec, status = _spec(obj), _status(obj)
    if not _observed(obj) or not status.get("observedGeneration"):
        return Health(Status.PROGRESSING, "Waiting for statefulset spec update to be observed...")
    wanted, ready, updated = spec.get("replicas", 1), status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if ready < wanted:
        return Health(Status.PROGRESSING, f"Waiting for {wanted - ready} pods to be ready...")
    if updated < wanted and (spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        return Health(Status.PROGRESSING, f"waiting for statefulset rolling update to complete {updated} pods...")
    return HEALTHY


def _daemon_set(obj: Mapping[str, Any]) -> Health:
    status = _status(obj)
    name = obj["metadata"]["name"]
    if not _observed(obj) or not status.get("observedGeneration"):
        return _waits("observed daemon set generation less than desired generation")
    wanted, updated, available = (
        status.get(field, 0) for field in ("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    )
    if (_spec(obj).get("updateStrategy") or {}).get("type") == "OnDelete":
        return HEALTHY
    if updated < wanted:
        return Health(
            Status.PROGRESSING,
            f'Waiting for daemon set "{name}" rollout to finish: '
            f"{updated} out of {wanted} new pods have been updated...",
        )
    if available < wanted:
        return Health(
            Status.PROGRESSING,
            f'Waiting for daemon set "{name}" rollout to finish: {available} of {wanted} updated pods are available...',
        )
    return HEALTHY


def _replica_set(obj: Mapping[str, Any]) -> Health:
    wanted, available = _spec(obj).get("replicas", 1), _status(obj).get("availableReplicas", 0)
    if not _observed(obj):
        return _waits("observed replica set generation less than desired generation")
    return _waits(f"{available} out of {wanted} new replicas are available...") if available < wanted else HEALTHY


def _pod(obj: Mapping[str, Any]) -> Health:
    status = _status(obj)
    phase, message = status.get("phase", "Pending"), str(status.get("message", ""))
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason", ""))
        if reason.startswith("Err") or reason.endswith(("Error", "BackOff")):
            return Health(Status.DEGRADED, str(waiting.get("message", reason)))
    if phase == "Failed":
        return Health(Status.DEGRADED, message or "the pod failed")
    if phase == "Succeeded":
        return Health(Status.HEALTHY, message)
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    return HEALTHY if phase == "Running" and ready else Health(Status.PROGRESSING, message)


def _service(obj: Mapping[str, Any]) -> Health:
    if _spec(obj).get("type") != "LoadBalancer":
        return HEALTHY
    if (_status(obj).get("loadBalancer") or {}).get("ingress"):
        return HEALTHY
    return Health(Status.PROGRESSING, "no address has been given to the load balancer yet")


def _ingress(obj: Mapping[str, Any]) -> Health:
    given = (_status(obj).get("loadBalancer") or {}).get("ingress")
    return HEALTHY if given else Health(Status.PROGRESSING, "no address has been given to it yet")


def _claim(obj: Mapping[str, Any]) -> Health:
    phase = _status(obj).get("phase", "")
    known = {"Bound": Status.HEALTHY, "Pending": Status.PROGRESSING, "Lost": Status.DEGRADED}
    return Health(known.get(phase, Status.UNKNOWN))


def _job(obj: Mapping[str, Any]) -> Health:
    for condition in _status(obj).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Failed", "Complete", "Suspended"):
            found = {"Failed": Status.DEGRADED, "Complete": Status.HEALTHY, "Suspended": Status.SUSPENDED}
            return Health(found[condition["type"]], str(condition.get("message", "")))
    return Health(Status.PROGRESSING, str(_status(obj).get("message", "")))


def _definition(obj: Mapping[str, Any]) -> Health:
    conditions = {c.get("type"): c for c in _status(obj).get("conditions") or ()}
    for type_, condition in conditions.items():
        if type_ in ("NamesAccepted", "Established") and condition.get("status") == "False":
            status = Status.DEGRADED if type_ == "NamesAccepted" else Status.PROGRESSING
            return Health(status, str(condition.get("message", "")))
    if "Established" not in conditions:
        return Health(Status.PROGRESSING, "the definition isn't established yet")
    return HEALTHY


_Conditions = Iterable[Mapping[str, Any]]


def _generation(obj: Mapping[str, Any], conditions: _Conditions) -> bool:
    """Whether conditions were all told of the newest generation; one without a generation is believed."""
    newest = obj["metadata"].get("generation")
    return all(condition.get("observedGeneration", newest) == newest for condition in conditions)


def _refused(conditions: _Conditions, types: tuple[str, ...]) -> Health | None:
    """Degraded by a condition that is False, in the order of `types`."""
    told = {condition.get("type"): condition for condition in conditions}
    for type_ in types:
        if told.get(type_, {}).get("status") == "False":
            return Health(Status.DEGRADED, str(told[type_].get("message") or f"Failed condition: {type_}"))
    return None


def _unprogrammed(conditions: _Conditions) -> Health | None:
    for condition in conditions:
        if condition.get("type") == "Programmed" and condition.get("status") != "True":
            return Health(Status.PROGRESSING, str(condition.get("message") or "still being programmed"))
    return None


def _gateway_class(obj: Mapping[str, Any]) -> Health:
    for condition in _status(obj).get("conditions") or ():
        if condition.get("type") == "Accepted" and _generation(obj, (condition,)):
            known = {"True": Status.HEALTHY, "False": Status.DEGRADED}
            return Health(known.get(condition.get("status", ""), Status.PROGRESSING), str(condition.get("message", "")))
    return Health(Status.PROGRESSING, "Waiting for GatewayClass status")


def _gateway(obj: Mapping[str, Any]) -> Health:
    whole: _Conditions = _status(obj).get("conditions") or ()
    listeners = [listener.get("conditions") or () for listener in _status(obj).get("listeners") or ()]
    for conditions in (whole, *listeners):
        found = _refused(conditions, ("ResolvedRefs", "Accepted")) or _unprogrammed(conditions)
        if found is not None:
            return found
    return HEALTHY if whole or listeners else Health(Status.PROGRESSING, "Waiting for Gateway status")


def _route(obj: Mapping[str, Any]) -> Health:
    parents = [parent for parent in _status(obj).get("parents") or () if parent.get("conditions")]
    parents = [parent for parent in parents if _generation(obj, parent["conditions"])]
    for parent in parents:
        found = _refused(parent["conditions"], ("ResolvedRefs", "Accepted")) or _unprogrammed(parent["conditions"])
        if found is not None:
            name = (parent.get("parentRef") or {}).get("name", "")
            return Health(found.status, f"Parent {name}: {found.message}")
    return HEALTHY if parents else Health(Status.PROGRESSING, f"Waiting for {obj.get('kind')} status")


def _backend_tls_policy(obj: Mapping[str, Any]) -> Health:
    ancestors = [ancestor.get("conditions") or () for ancestor in _status(obj).get("ancestors") or ()]
    if not any(ancestors) or not all(_generation(obj, conditions) for conditions in ancestors):
        return Health(Status.PROGRESSING, "Waiting for BackendTLSPolicy status")
    found = (_refused(conditions, ("Accepted", "ResolvedRefs")) for conditions in ancestors)
    return next((refused for refused in found if refused is not None), HEALTHY)


def _application(obj: Mapping[str, Any]) -> Health:
    found = (_status(obj).get("health") or {}).get("status")
    if found is None:
        return Health(Status.PROGRESSING, "waiting for its first synchronisation")
    try:
        return Health(Status(found))
    except ValueError:
        return Health(Status.UNKNOWN)


_BINDS = ("NoAddress", "NoEndpoints", "Registering")  # why an EdgeBinding isn't bound yet, as argocd-cm has them


def _edge_binding(obj: Mapping[str, Any]) -> Health:
    for condition in _status(obj).get("conditions") or ():
        if condition.get("type") != "Bound" or not _generation(obj, (condition,)):
            continue
        status, message = condition.get("status"), str(condition.get("message", ""))
        if status == "True":
            return Health(Status.HEALTHY, message)
        if status == "False":
            waits = condition.get("reason") in _BINDS
            return Health(Status.PROGRESSING if waits else Status.DEGRADED, message)
    return Health(Status.PROGRESSING, "waiting for the controller")


_GATEWAY: Final = "gateway.networking.k8s.io"
_BUILT_IN: Final[dict[tuple[str, str], Check]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "StatefulSet"): _stateful_set,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "ReplicaSet"): _replica_set,
    ("", "Pod"): _pod,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("batch", "Job"): _job,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _definition,
    (_GATEWAY, "GatewayClass"): _gateway_class,
    (_GATEWAY, "Gateway"): _gateway,
    (_GATEWAY, "HTTPRoute"): _route,
    (_GATEWAY, "GRPCRoute"): _route,
    (_GATEWAY, "BackendTLSPolicy"): _backend_tls_policy,
}
_CUSTOM: Final[dict[tuple[str, str], Check]] = {
    ("argoproj.io", "Application"): _application,
    ("gatewright.dev", "EdgeBinding"): _edge_binding,
}
