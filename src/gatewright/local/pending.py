"""What of an edge is still on its way to where it will stay: workloads without their pods, listeners not yet served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

from gatewright.cluster import Client, Reflector, Reflectors
from gatewright.flow import Change, Collection, Source
from gatewright.local.news import routes_by_kind
from gatewright.local.workloads.slices import is_ready
from gatewright.model.apps import DaemonSet, Deployment, StatefulSet
from gatewright.model.core import Pod
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.statuses import ResolvedGatewayStatus, ResolvedListenerSetStatus

_IN_PROGRESS = ("Pending", "AddressNotAssigned")


class Pending:
    """Knows what is pending while its reflectors run. `stirred` is set whenever that may have changed."""

    def __init__(self, inputs: Inputs) -> None:
        self.stirred = asyncio.Event()
        self._inputs = inputs
        self._deployments: Source[Key, Deployment] = inputs.flow.source("deployments")
        self._stateful_sets: Source[Key, StatefulSet] = inputs.flow.source("stateful sets")
        self._daemon_sets: Source[Key, DaemonSet] = inputs.flow.source("daemon sets")
        self._pods: Source[Key, Pod] = inputs.flow.source("pods")
        for collection in (self._deployments, self._stateful_sets, self._daemon_sets, self._pods):
            collection.subscribe(self.stir)

    def reflectors(self, client: Client) -> Reflectors:
        """What tells it of workloads."""
        return Reflectors(
            Reflector(client, Deployment, self._deployments),
            Reflector(client, StatefulSet, self._stateful_sets),
            Reflector(client, DaemonSet, self._daemon_sets),
            Reflector(client, Pod, self._pods),
        )

    def include(self, resolution: Resolution) -> None:
        """Be stirred by what follows for further Gateways, too."""
        collections: tuple[Collection[Any, Any], ...] = (
            *(resolution.gateway_statuses, resolution.listener_set_statuses),
            *(resolved for _, _, resolved in routes_by_kind(self._inputs, resolution)),
            *(resolution.topology.endpoints, resolution.topology.certificates),
        )
        for collection in collections:
            collection.subscribe(self.stir)

    def stir(self, _: list[Change[Any, Any]]) -> None:
        """Something has changed."""
        self.stirred.set()

    def workloads(self) -> Iterator[str]:
        """Workloads that lack pods, and pods of nobody that aren't ready, in words."""
        counts: list[tuple[str, Key, int, int, bool]] = []
        for key, deployment in self._deployments.items():
            seen = deployment.status.observed_generation >= deployment.metadata.generation
            counts.append(
                ("Deployment", key, deployment.status.available_replicas, deployment.spec.replicas, seen),
            )
        for key, stateful in self._stateful_sets.items():
            seen = stateful.status.observed_generation >= stateful.metadata.generation
            counts.append(("StatefulSet", key, stateful.status.ready_replicas, stateful.spec.replicas, seen))
        for key, daemons in self._daemon_sets.items():
            seen = daemons.status.observed_generation >= daemons.metadata.generation
            counts.append(
                ("DaemonSet", key, daemons.status.number_ready, daemons.status.desired_number_scheduled, seen),
            )
        for kind, key, ready, wanted, seen in counts:
            if not seen or ready < wanted:
                yield f"{kind} {key}: {ready} of {wanted} pods available"
        for key, pod in self._pods.items():
            owned = any(owner.controller for owner in pod.metadata.owner_references)
            if not owned and pod.status.phase not in ("Succeeded", "Failed") and not is_ready(pod):
                yield f"Pod {key}: not ready"


def pending_listeners(resolutions: Iterable[Resolution]) -> Iterator[str]:
    """Gateways, and listeners of theirs, that nothing serves yet, in words."""
    statuses: list[tuple[str, ResolvedGatewayStatus | ResolvedListenerSetStatus]] = []
    for resolution in resolutions:
        statuses += [(f"Gateway {key}", status) for key, status in resolution.gateway_statuses.items()]
        statuses += [(f"ListenerSet {key}", status) for key, status in resolution.listener_set_statuses.items()]
    for name, status in statuses:
        for subject, conditions in (
            (name, status.conditions),
            *((f"{name} listener {listener.name}", listener.conditions) for listener in status.listeners),
        ):
            for condition in conditions:
                if condition.type == "Programmed" and condition.reason in _IN_PROGRESS:
                    yield f"{subject}: {condition.message}"
