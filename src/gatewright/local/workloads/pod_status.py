"""A pod's status as a kubelet writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gatewright.local.workloads.environment import PodFacts
from gatewright.local.workloads.program import Exit
from gatewright.local.workloads.templates import Pod
from gatewright.model import core


class ContainerView(NamedTuple):
    """What is observed of one container. `started_at` is empty until it runs."""

    name: str
    image: str
    container_id: str = ""
    started_at: str = ""
    started: bool = False
    ready: bool = False
    restart_count: int = 0
    waiting: tuple[str, str] | None = None
    """Why it doesn't run: a reason and a message."""
    exit: Exit | None = None
    """How it ended the last time."""
    exited_at: str = ""
    last: tuple[Exit, str, str] | None = None
    """How its former run ended, when that began and when it ended."""


def pod_status(
    pod: Pod, containers: Sequence[ContainerView], facts: PodFacts, started_at: str, now: str
) -> dict[str, Any]:
    """The whole status of a pod on its node; conditions that didn't change keep their times, foreign ones stay."""
    conditions = _conditions(pod, containers, now)
    status: dict[str, Any] = {
        "phase": _phase(pod, containers),
        "conditions": conditions,
        "hostIP": facts.host_ip,
        "hostIPs": [{"ip": facts.host_ip}],
        "podIP": facts.pod_ip,
        "podIPs": [{"ip": facts.pod_ip}],
        "startTime": pod.status.start_time or started_at,
        "containerStatuses": [_container_status(view) for view in containers],
    }
    if pod.spec.init_containers:
        status["initContainerStatuses"] = [
            _init_status(container, pod.status.start_time or started_at, pod.metadata.uid)
            for container in pod.spec.init_containers
        ]
    return status


def _phase(pod: Pod, containers: Sequence[ContainerView]) -> str:
    if any(view.started_at and not view.waiting for view in containers):
        return "Running"
    ended = [view.exit for view in containers if view.exit]
    if ended and len(ended) == len(containers):
        failed = any(end.code for end in ended)
        if pod.spec.restart_policy == "Never" or (pod.spec.restart_policy == "OnFailure" and not failed):
            return "Failed" if failed else "Succeeded"
        return "Running"
    return "Running" if ended or any(view.last for view in containers) else "Pending"


def _conditions(pod: Pod, containers: Sequence[ContainerView], now: str) -> list[dict[str, Any]]:
    before = {condition.type: condition for condition in pod.status.conditions}
    unready = [view.name for view in containers if not view.ready]
    containers_ready = ("False", "ContainersNotReady", _unready(unready)) if unready else ("True", "", "")
    closed = [
        gate.condition_type
        for gate in pod.spec.readiness_gates
        if gate.condition_type not in before or before[gate.condition_type].status != "True"
    ]
    ready = containers_ready
    if not unready and closed:
        names = "; ".join(
            f'corresponding condition of pod readiness gate "{gate}" {_gate_state(before, gate)}' for gate in closed
        )
        ready = ("False", "ReadinessGatesNotReady", names)
    # Volumes come before the sandbox: nothing can start while one of them can't be set up.
    creating = all(view.waiting is not None and view.waiting[0] == "ContainerCreating" for view in containers)
    observed: dict[str, tuple[str, str, str]] = {
        "PodReadyToStartContainers": ("False" if creating else "True", "", ""),
        "Initialized": ("True", "", ""),
        "Ready": ready,
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    result = []
    for type_, (status, reason, message) in observed.items():
        old = before.get(type_)
        since = old.last_transition_time if old and old.status == status and old.last_transition_time else now
        condition: dict[str, Any] = {"type": type_, "status": status, "lastTransitionTime": since}
        if reason:
            condition |= {"reason": reason, "message": message}
        result.append(condition)
    for condition_type, foreign in before.items():
        if condition_type not in observed:
            result.append(_foreign(foreign))
    return result


def _unready(names: list[str]) -> str:
    return f"containers with unready status: [{' '.join(names)}]"


def _gate_state(before: Mapping[str, core.PlainCondition], gate: str) -> str:
    return "does not exist." if gate not in before else 'is not "True".'


def _foreign(condition: core.PlainCondition) -> dict[str, Any]:
    fields = {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "lastTransitionTime": condition.last_transition_time,
    }
    return {name: value for name, value in fields.items() if value}


def _container_status(view: ContainerView) -> dict[str, Any]:
    if view.waiting:
        reason, message = view.waiting
        state: dict[str, Any] = {"waiting": {"reason": reason, "message": message}}
    elif view.exit:
        state = {"terminated": _terminated(view)}
    else:
        state = {"running": {"startedAt": view.started_at}}
    status = {
        "name": view.name,
        "image": view.image,
        "imageID": view.image,
        "containerID": view.container_id,
        "ready": view.ready,
        "started": view.started,
        "restartCount": view.restart_count,
        "state": state,
        "lastState": {},
    }
    if view.exit and view.waiting:
        status["lastState"] = {"terminated": _terminated(view)}
    elif view.last:
        status["lastState"] = {"terminated": _ended(*view.last)}
    return status


def _terminated(view: ContainerView) -> dict[str, Any]:
    assert view.exit is not None
    return {
        "exitCode": view.exit.code,
        "reason": "Error" if view.exit.code else "Completed",
        "startedAt": view.exited_at,
        "finishedAt": view.exited_at,
        "containerID": view.container_id,
    }


def _ended(end: Exit, began: str, ended: str) -> dict[str, Any]:
    reason = "Error" if end.code else "Completed"
    return {"exitCode": end.code, "reason": reason, "startedAt": began, "finishedAt": ended}


def _init_status(container: core.Container, moment: str, uid: str) -> dict[str, Any]:
    """An init container has done its work at once; one that restarts always is a sidecar, and runs."""
    sidecar = container.restart_policy == "Always"
    identity = f"gatewright://{uid}/{container.name}"
    terminated = {"exitCode": 0, "reason": "Completed", "startedAt": moment, "finishedAt": moment}
    return {
        "name": container.name,
        "image": container.image,
        "imageID": container.image,
        "containerID": identity,
        "ready": True,
        "started": sidecar,
        "restartCount": 0,
        "state": {"running": {"startedAt": moment}}
        if sidecar
        else {"terminated": {**terminated, "containerID": identity}},
        "lastState": {},
    }
