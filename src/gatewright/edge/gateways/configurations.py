"""Writes the statuses of the configuration kinds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gatewright.aws.configuration.statuses import Status, configuration_statuses
from gatewright.cluster import Client, Reconciler
from gatewright.edge.gateways.pipeline import Pipeline
from gatewright.flow import Change
from gatewright.model.meta import Key, Object
from gatewright.resolve.inputs import ObjectId

_INTERVAL = 0.1  # seconds between two writes of one object's status
_SETTLE = 0.05  # seconds without news after which they are written


class ConfigurationStatuses:
    """Keeps the statuses of the configuration kinds as they should be, while it runs (`async with`)."""

    def __init__(self, client: Client, pipeline: Pipeline) -> None:
        self._client = client
        self._work: Reconciler[ObjectId] = Reconciler(
            "status of a configuration", self._write, interval=_INTERVAL, settle=_SETTLE
        )
        inputs, sides = pipeline.inputs, pipeline.sides
        self._types = {type_.__name__: type_ for type_ in pipeline.configurations.by_type}
        self._objects = pipeline.configurations.by_type
        self._wanted = configuration_statuses(
            inputs,
            pipeline.configurations,
            inputs.flow.merge("classes of load balancers", *(side.resolution.classes for side in sides)),
            inputs.flow.merge("gateways of load balancers", *(side.resolution.gateways for side in sides)),
        )
        self._running = False
        self._wanted.subscribe(self._statuses_changed)
        for source in self._objects.values():
            source.subscribe(self._objects_changed)

    async def __aenter__(self) -> ConfigurationStatuses:
        self._running = True
        for object_id in self._wanted:
            self._enqueue(object_id)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._work.__aexit__()

    async def idle(self) -> None:
        """Return when every status that is known to be needed has been written."""
        await self._work.idle()

    def _statuses_changed(self, changes: Iterable[Change[ObjectId, Status]]) -> None:
        for change in changes:
            self._enqueue(change.key)

    def _objects_changed(self, changes: Iterable[Change[Key, Any]]) -> None:
        for change in changes:
            if change.new is not None:
                self._enqueue((change.new.kind, change.key))

    def _enqueue(self, object_id: ObjectId) -> None:
        if self._running and self._patch(object_id):
            self._work.enqueue(object_id)

    def _of(self, object_id: ObjectId) -> Object | None:
        kind, key = object_id
        return self._objects[self._types[kind]].get(key)

    def _patch(self, object_id: ObjectId) -> Status:
        """What differs from what is there."""
        wanted, obj = self._wanted.get(object_id), self._of(object_id)
        if wanted is None or obj is None:
            return {}
        actual = msgspec.to_builtins(obj.status)  # type: ignore[attr-defined]
        return {name: value for name, value in wanted.items() if actual.get(name) != value}

    async def _write(self, object_id: ObjectId) -> None:
        obj, status = self._of(object_id), self._patch(object_id)
        if obj is not None and status:
            await self._client.patch(type(obj), obj.key, {"status": status}, subresource="status")
