"""Events: what a controller tells of an object to whoever describes it (events of core/v1)."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Literal

import structlog

from gatewright.cluster import AlreadyExists, Client, ClusterError
from gatewright.model.core import Event
from gatewright.model.meta import Key, Object, timestamp

_log = structlog.get_logger(__name__)


class Events:
    """Writes events of one component. One that can't be written is logged; it never keeps anything from being done."""

    def __init__(self, client: Client, component: str) -> None:
        self._client = client
        self._component = component
        self._told: dict[tuple[str, str], frozenset[tuple[str, str]]] = {}  # by UID and topic

    async def tell(
        self, about: Object, topic: str, told: set[tuple[str, str]], type_: Literal["Normal", "Warning"] = "Warning"
    ) -> None:
        """Say all of `told` (reason and message) of an object, except what was said of the topic the last time."""
        key = (about.metadata.uid, topic)
        new = told - self._told.get(key, frozenset())
        if told:
            self._told[key] = frozenset(told)
        else:
            self._told.pop(key, None)
        for reason, message in sorted(new):
            await self._write(about, type_, reason, message)

    def forget(self, about: Object) -> None:
        """The object is gone."""
        for key in [key for key in self._told if key[0] == about.metadata.uid]:
            del self._told[key]

    async def _write(self, about: Object, type_: str, reason: str, message: str) -> None:
        now = timestamp(datetime.now(UTC))
        digest = hashlib.sha256(f"{about.metadata.uid}{type_}{reason}{message}".encode()).hexdigest()[:16]
        key = Key(about.namespace or "default", f"{about.name}.{digest}")
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "involvedObject": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.metadata.uid,
            },
            "type": type_,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": "",
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            try:
                await self._client.create(event)
            except AlreadyExists:
                known = await self._client.get(Event, key)
                await self._client.patch(Event, key, {"count": known.count + 1, "lastTimestamp": now})
        except ClusterError as error:
            _log.warning("an event was not written", object=str(about.key), reason=reason, error=str(error))
