"""Why something in a cluster isn't well, found where Kubernetes says it: conditions, waiting containers, events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatewright.cluster import Client, ClusterError
from gatewright.model.gateway.shared import NEGATIVE
from gatewright.platform import objects
from gatewright.platform.applications import Application, read_application
from gatewright.platform.objects import APPLICATIONS, Json, label

_WORKLOADS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
_MOST = 6
_GOOD_WHEN_FALSE = frozenset({"Failed", "ReplicaFailure", "Stalled", "DisruptionTarget", *NEGATIVE})
_DEPTH = 3


def bad_conditions(found: Json) -> Iterator[str]:
    """What an object's conditions, those of its listeners and of its parents say is wrong."""
    status = found.get("status") or {}
    groups: list[tuple[str, Iterable[Json]]] = [("", status.get("conditions") or ())]
    groups += [
        (f"listener {listener.get('name')}: ", listener.get("conditions") or ())
        for listener in status.get("listeners") or ()
    ]
    groups += [
        (f"for {(parent.get('parentRef') or {}).get('name', 'its parent')}: ", parent.get("conditions") or ())
        for parent in status.get("parents") or ()
    ]
    for where, conditions in groups:
        for condition in conditions:
            kind, value = condition.get("type", ""), condition.get("status")
            if value == ("True" if kind in _GOOD_WHEN_FALSE else "False") or value == "Unknown":
                reason, message = condition.get("reason", ""), condition.get("message", "")
                yield f"{where}{kind} is {value}: {': '.join(part for part in (reason, message) if part)}"


def pod_problems(pod: Json) -> Iterator[str]:
    """What keeps a pod from being ready."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"it isn't scheduled: {condition.get('message') or condition.get('reason')}"
    told = False
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state, last = each.get("state") or {}, each.get("lastState") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or last.get("terminated") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            text = f"container {each.get('name')} waits: {waiting['reason']}"
            message = waiting.get("message")
            code = ended.get("exitCode")
            yield text + (f": {message}" if message else "") + (f" (it ended with {code})" if code else "")
            told = True
        elif ended.get("exitCode"):
            yield f"container {each.get('name')} ended with {ended['exitCode']}: {ended.get('reason', '')}"
            told = True
    if not told and status.get("phase") == "Running":
        for condition in status.get("conditions") or ():
            if condition.get("type") == "Ready" and condition.get("status") == "False":
                yield f"it runs, and isn't ready: {condition.get('message') or condition.get('reason')}"


def warnings_of(found: Json, events: Iterable[Json]) -> Iterator[str]:
    """The last warning of each reason among events that are about an object."""
    uid = (found.get("metadata") or {}).get("uid")
    about = [
        event
        for event in events
        if event.get("type") == "Warning" and (event.get("involvedObject") or {}).get("uid") == uid
    ]
    about.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
    for event in {event.get("reason"): event for event in about}.values():
        yield f"event {event.get('reason')}: {event.get('message')}"


async def explain(client: Client, found: Json) -> list[str]:
    """Why an object isn't well, the nearest cause first; each line names what it is about."""
    kind = found.get("kind", "")
    metadata = found.get("metadata") or {}
    namespace = metadata.get("namespace", "")
    events = await objects.items(client, "v1", "events", namespace) if namespace else []
    lines = [f"{label(found)}: {why}" for why in bad_conditions(found)]
    lines += [f"{label(found)}: {why}" for why in warnings_of(found, events)]
    if kind in _WORKLOADS:
        lines = [*await _pods(client, found, events), *lines]
    elif kind == "Pod":
        lines = [*(f"{label(found)}: {why}" for why in pod_problems(found)), *lines]
    elif kind == "Service" and not lines:
        addresses = ((found.get("status") or {}).get("loadBalancer") or {}).get("ingress")
        if (found.get("spec") or {}).get("type") == "LoadBalancer" and not addresses:
            lines.append(f"{label(found)}: nobody gave it a load balancer, and no event says why")
    if metadata.get("deletionTimestamp"):
        lines.insert(0, held(found))
    return lines[:_MOST]


def held(found: Json) -> str:
    """What an object that is being deleted waits for."""
    metadata = found.get("metadata") or {}
    finalizers = ", ".join(metadata.get("finalizers") or ()) or "none, so it goes at any moment"
    return f"{label(found)} is being deleted since {metadata.get('deletionTimestamp')}; its finalizers: {finalizers}"


async def _pods(client: Client, workload: Json, events: Iterable[Json]) -> list[str]:
    """What is wrong with a workload's pods, each text once."""
    namespace = workload["metadata"].get("namespace", "")
    selector = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    text = ",".join(f"{name}={value}" for name, value in sorted(selector.items()))
    pods = await objects.items(client, "v1", "pods", namespace, text) if text else []
    told: dict[str, str] = {}
    for pod in pods:
        for why in (*pod_problems(pod), *warnings_of(pod, events)):
            told.setdefault(why, f"{label(pod)}: {why}")
        if (pod.get("metadata") or {}).get("deletionTimestamp"):
            told.setdefault("deleted", held(pod))
    if not pods:
        return [f"{label(workload)} has no pods"]
    return list(told.values())


async def explain_application(
    client: Client, application: Application, depth: int = 0, *, nested: bool = True
) -> list[str]:
    """Why an Application isn't ready, down to the pods, events and conditions of its resources.

    With `nested`, also why the Applications that it makes aren't.
    """
    lines = [f"Application {application.name}: {problem}" for problem in application.problems]
    for part in application.parts[:_MOST]:
        lines.append(f"Application {application.name}: {part}")
        try:
            found = await objects.find(client, part.group, part.version or "v1", part.kind, part.namespace, part.name)
            if found is None:
                continue
            if part.kind == "Application" and part.group == APPLICATIONS.split("/")[0]:
                if nested and depth < _DEPTH:
                    lines += await explain_application(client, read_application(found), depth + 1)
            else:
                lines += await explain(client, found)
        except ClusterError as error:
            lines.append(f"{part.kind} {part.namespace}/{part.name} can't be read: {error}")
    return list(dict.fromkeys(lines))
