"""Readiness gates: a pod counts as ready only once its load balancer finds it healthy (Pod.spec.readinessGates).

The condition's type is `target-health.elbv2.k8s.aws/NAME`, where the AWS Load Balancer Controller puts the name of the
pod's target group. A name that is none of ours stands for all target groups that the pod is a target of. The gates are
in the pod's template, or put there by whoever admits pods.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import structlog

from gatewright.aws.gateways.targets import READINESS_GATE
from gatewright.aws.views import TargetHealth
from gatewright.cluster import Client, ClusterError, Reconciler
from gatewright.edge.gateways.health import TargetsHealth, WatchedGroup
from gatewright.flow import Change, Collection
from gatewright.model.core import Pod
from gatewright.model.meta import Key, timestamp

_log = structlog.get_logger(__name__)


def gates(pod: Pod) -> tuple[str, ...]:
    """The types of a pod's readiness gates that are for us."""
    return tuple(
        gate.condition_type for gate in pod.spec.readiness_gates if gate.condition_type.startswith(READINESS_GATE)
    )


def waiting_gates(pod: Pod) -> tuple[str, ...]:
    """Those of them that aren't open. Once open a gate stays so: the pod's own probes say how it is from then on."""
    states = {condition.type: condition.status for condition in pod.status.conditions}
    return () if pod.deleting else tuple(gate for gate in gates(pod) if states.get(gate) != "True")


def groups_for(gate: str, of_pod: Iterable[WatchedGroup]) -> list[WatchedGroup]:
    """The target groups that a gate is about, among those that a pod is a target of."""
    name = gate.partition("/")[2]
    found = list(of_pod)
    return [group for group in found if group.name == name] or found


def condition(
    gate: str, pod: Pod, of_pod: Iterable[WatchedGroup], health: Collection[str, tuple[TargetHealth, ...]], now: str
) -> dict[str, Any] | None:
    """What the pod's condition for a gate is to be; None where AWS doesn't know the pod yet."""
    addresses = {pod.status.pod_ip, *(each.ip for each in pod.status.pod_ips)}
    told: list[TargetHealth | None] = []
    for group in groups_for(gate, of_pod):
        own = [each for each in health.get(group.arn) or () if each.target.id in addresses]
        told += own or [None]
    if not told:
        return None
    bad = [each for each in told if each is None or each.state != "healthy"]
    status, reason, message = "True", "", ""
    if bad:
        first = next((each for each in bad if each is not None), None)
        status, reason = "False", first.reason if first else "Target.NotRegistered"
        message = first.description if first else "the target is about to be registered"
    return {
        "type": gate,
        "status": status,
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": now,
    }


class ReadinessGates:
    """Opens the gates of pods when AWS finds them healthy, while it runs (`async with`)."""

    def __init__(
        self, client: Client, pods: Collection[Key, Pod], groups: Collection[str, WatchedGroup], health: TargetsHealth
    ) -> None:
        self._client = client
        self._pods = pods
        self._groups = groups
        self._health = health
        self._by_address = groups.index(lambda _, group: {target.id for target in group.targets}, name="by address")
        self._waiting: set[Key] = set()
        self._work: Reconciler[Key] = Reconciler("readiness gates of a pod", self._reconcile)
        self._running = False
        pods.subscribe(self._pods_changed)
        groups.subscribe(self._groups_changed)
        health.health.subscribe(self._health_changed)

    async def __aenter__(self) -> ReadinessGates:
        self._running = True
        for key, pod in self._pods.items():
            if waiting_gates(pod):
                self._waiting.add(key)
        self._ask()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._work.__aexit__()

    async def idle(self) -> None:
        """Return when every condition that is known to be needed has been written."""
        await self._work.idle()

    def _pods_changed(self, changes: Iterable[Change[Key, Pod]]) -> None:
        before = len(self._waiting)
        for key, _, pod in changes:
            if pod is not None and waiting_gates(pod):
                self._waiting.add(key)
            else:
                self._waiting.discard(key)
        if before or self._waiting:
            self._ask()

    def _groups_changed(self, _: list[Change[str, WatchedGroup]]) -> None:
        if self._waiting:
            self._ask()

    def _health_changed(self, _: list[Change[str, tuple[TargetHealth, ...]]]) -> None:
        for key in self._waiting if self._running else ():
            self._work.enqueue(key)

    def _ask(self) -> None:
        """Have the health of the targets that pods wait for looked at often."""
        if self._running:
            found = (self._of(pod) for key in self._waiting if (pod := self._pods.get(key)))
            self._health.wait_for(group.arn for groups in found for group in groups)

    def _of(self, pod: Pod) -> list[WatchedGroup]:
        return list(self._by_address.lookup(pod.status.pod_ip)) if pod.status.pod_ip else []

    async def _reconcile(self, key: Key) -> None:
        pod = self._pods.get(key)
        if pod is None:
            return
        now, before = timestamp(datetime.now(UTC)), {each.type: each for each in pod.status.conditions}
        found = (condition(gate, pod, self._of(pod), self._health.health, now) for gate in waiting_gates(pod))
        new = []
        for wanted in found:
            known = before.get(wanted["type"]) if wanted else None
            if wanted and (known is None or (known.status, known.reason) != (wanted["status"], wanted["reason"])):
                new.append(wanted)
        if not new:
            return
        try:
            # Strategic: conditions are merged by their type, so that the kubelet's stay.
            await self._client.patch(Pod, key, {"status": {"conditions": new}}, kind="strategic", subresource="status")
        except ClusterError as error:
            _log.warning("a readiness gate could not be opened", pod=str(key), error=str(error))
            raise
