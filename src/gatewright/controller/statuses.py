"""The one writer of statuses: puts what resolution says into the cluster, and nothing else.

It touches only the entries of its own controllers (other controllers' route parents and foreign condition types stay as
they are), writes only what differs, and coalesces bursts: an object's status is written at most once each interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Collection as AbstractCollection
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatewright.cluster import Client, Reconciler
from gatewright.flow import Change
from gatewright.flow import Collection as FlowCollection
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute, ListenerStatus
from gatewright.model.gateway.shared import RouteParentStatus
from gatewright.model.meta import Condition, Key, Object
from gatewright.resolve import Inputs, Resolution

_INTERVAL = 0.1  # seconds between two writes of one object's status


class StatusWriter:
    """Writes the statuses of GatewayClasses, Gateways and routes while it runs (`async with`)."""

    def __init__(
        self,
        client: Client,
        inputs: Inputs,
        resolution: Resolution,
        controllers: AbstractCollection[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._inputs = inputs
        self._resolution = resolution
        self._controllers = controllers
        self._now = now
        self._reconciler: Reconciler[tuple[type[Object], Key]] = Reconciler(
            "status", self._write, concurrency=16, interval=_INTERVAL
        )
        self._running = False
        self._watch(GatewayClass, inputs.gateway_classes, resolution.classes)
        self._watch(Gateway, inputs.gateways, resolution.gateway_statuses)
        self._watch(HTTPRoute, inputs.http_routes, resolution.http_routes)

    def _watch(self, type_: type[Object], *collections: FlowCollection[Key, Any]) -> None:
        def enqueue(changes: Iterable[Change[Key, Any]]) -> None:
            if self._running:
                for change in changes:
                    if self._patch(type_, change.key) is not None:
                        self._reconciler.enqueue((type_, change.key))

        for collection in collections:
            collection.subscribe(enqueue)

    async def __aenter__(self) -> StatusWriter:
        self._running = True
        for type_, source in (
            (GatewayClass, self._inputs.gateway_classes),
            (Gateway, self._inputs.gateways),
            (HTTPRoute, self._inputs.http_routes),
        ):
            for key in list(source.keys()):
                self._reconciler.enqueue((type_, key))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._reconciler.__aexit__()

    async def idle(self) -> None:
        """Return when every status that is known to be needed has been written."""
        await self._reconciler.idle()

    async def _write(self, target: tuple[type[Object], Key]) -> None:
        type_, key = target
        patch = self._patch(type_, key)
        if patch is not None:
            await self._client.patch(type_, key, patch, subresource="status")

    def _patch(self, type_: type[Object], key: Key) -> dict[str, Any] | None:
        """The merge patch that brings an object's status to where it should be, or None where it is there."""
        obj: Object | None
        if type_ is GatewayClass:
            obj, status = self._inputs.gateway_classes.get(key), self._class_status(key)
        elif type_ is Gateway:
            obj, status = self._inputs.gateways.get(key), self._gateway_status(key)
        else:
            obj, status = self._inputs.http_routes.get(key), self._route_status(key)
        if obj is None or not status:
            return None
        # The version makes a write from stale state fail instead of undoing somebody's change.
        return {"metadata": {"resourceVersion": obj.metadata.resource_version}, "status": msgspec.to_builtins(status)}

    def _class_status(self, key: Key) -> dict[str, Any]:
        actual, desired = self._inputs.gateway_classes.get(key), self._resolution.classes.get(key)
        if actual is None or desired is None:
            return {}
        conditions = self._conditions(actual.status.conditions, desired.conditions)
        return {} if conditions == actual.status.conditions else {"conditions": conditions}

    def _gateway_status(self, key: Key) -> dict[str, Any]:
        actual, desired = self._inputs.gateways.get(key), self._resolution.gateway_statuses.get(key)
        if actual is None or desired is None:
            return {}
        status: dict[str, Any] = {
            "addresses": desired.addresses,
            "conditions": self._conditions(actual.status.conditions, desired.conditions),
            "listeners": self._listeners(actual.status.listeners, desired.listeners),
        }
        found = actual.status
        now = {"addresses": found.addresses, "conditions": found.conditions, "listeners": found.listeners}
        return {field: value for field, value in status.items() if value != now[field]}

    def _listeners(
        self, actual: tuple[ListenerStatus, ...], desired: tuple[ListenerStatus, ...]
    ) -> tuple[ListenerStatus, ...]:
        before = {listener.name: listener.conditions for listener in actual}
        return tuple(
            msgspec.structs.replace(
                listener,
                conditions=self._conditions(before.get(listener.name, ()), listener.conditions, ours_only=True),
            )
            for listener in desired
        )

    def _route_status(self, key: Key) -> dict[str, Any]:
        actual, desired = self._inputs.http_routes.get(key), self._resolution.http_routes.get(key)
        if actual is None:
            return {}
        parents = self._parents(actual.status.parents, desired.parents if desired else ())
        return {} if parents == actual.status.parents else {"parents": parents}

    def _parents(
        self, actual: tuple[RouteParentStatus, ...], desired: tuple[RouteParentStatus, ...]
    ) -> tuple[RouteParentStatus, ...]:
        others = tuple(parent for parent in actual if parent.controller_name not in self._controllers)
        before = {
            parent.parent_ref: parent.conditions for parent in actual if parent.controller_name in self._controllers
        }
        ours = tuple(
            msgspec.structs.replace(
                parent,
                conditions=self._conditions(before.get(parent.parent_ref, ()), parent.conditions, ours_only=True),
            )
            for parent in desired
        )
        return others + ours

    def _conditions(
        self, actual: tuple[Condition, ...], desired: tuple[Condition, ...], *, ours_only: bool = False
    ) -> tuple[Condition, ...]:
        """The conditions with their times: a condition keeps its time for as long as it keeps its status."""
        before = {condition.type: condition for condition in actual}
        now = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
        timed = {
            condition.type: msgspec.structs.replace(
                condition,
                last_transition_time=found.last_transition_time
                if (found := before.get(condition.type)) and found.status == condition.status
                else now,
            )
            for condition in desired
        }
        kept = () if ours_only else tuple(c for c in actual if c.type not in timed)
        return (*timed.values(), *kept)
