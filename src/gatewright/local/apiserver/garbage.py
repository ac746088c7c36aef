"""The garbage collector: dependents go with their owners (background, foreground or orphaned)."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from gatewright.local.apiserver.deleting import FOREGROUND, ORPHAN, DeleteOptions, Deleting
from gatewright.local.apiserver.reading import table_key
from gatewright.local.apiserver.resources import Catalog, Resource
from gatewright.local.apiserver.store import Change, Json, Record, Store


class Place(NamedTuple):
    """Where an object is stored."""

    table: str
    namespace: str
    name: str


class Collector:
    """Follows the store and deletes what has lost its owners."""

    def __init__(self, store: Store, catalog: Catalog, deleting: Deleting) -> None:
        self._store = store
        self._catalog = catalog
        self._deleting = deleting
        self._objects: dict[str, Place] = {}
        self._dependents: dict[str, set[Place]] = {}
        self._due: dict[Place, None] = {}
        self._scheduled: asyncio.Handle | None = None
        self._running = False

    def start(self) -> None:
        """Begin, with everything that is stored already. Call it within the event loop."""
        self._running = True
        self._store.observe(self._notice)
        for table, content in self._store.tables():
            for record in content.records():
                self._index(Place(table, record.namespace, record.name), record, None)

    def stop(self) -> None:
        """Collect no more."""
        self._running = False

    def _notice(self, change: Change) -> None:
        event = change.event
        place = Place(change.resource, event.record.namespace, event.record.name)
        if event.type != "DELETED":
            self._index(place, event.record, event.previous)
            return
        uid = event.record.metadata.get("uid", "")
        self._objects.pop(uid, None)
        for owner in event.record.metadata.get("ownerReferences") or ():
            owned = self._dependents.get(owner["uid"])
            if owned is not None:
                owned.discard(place)
                if not owned:
                    del self._dependents[owner["uid"]]
            # An owner in foreground deletion may have waited for this one.
            if owner["uid"] in self._objects:
                self._enqueue(self._objects[owner["uid"]])
        for dependent in self._dependents.get(uid, ()):
            self._enqueue(dependent)

    def _index(self, place: Place, record: Record, previous: Record | None) -> None:
        metadata = record.metadata
        self._objects[metadata.get("uid", "")] = place
        owners = metadata.get("ownerReferences") or ()
        if previous is not None:
            for owner in previous.metadata.get("ownerReferences") or ():
                owned = self._dependents.get(owner["uid"])
                if owned is not None:
                    owned.discard(place)
        for owner in owners:
            self._dependents.setdefault(owner["uid"], set()).add(place)
        held = {FOREGROUND, ORPHAN}.intersection(metadata.get("finalizers") or ())
        if owners or ("deletionTimestamp" in metadata and held):
            self._enqueue(place)

    def _enqueue(self, place: Place) -> None:
        self._due[place] = None
        if self._running and self._scheduled is None:
            self._scheduled = asyncio.get_running_loop().call_soon(self._collect)

    def _collect(self) -> None:
        self._scheduled = None
        due, self._due = self._due, {}
        if not self._running or self._store.closed:
            return
        for place in due:
            record = self._store.table(place.table).get(place.namespace, place.name)
            resource = self._resource(place.table)
            if record is None or resource is None:
                continue
            if "deletionTimestamp" in record.metadata:
                self._propagate(resource, record)
            else:
                self._judge(resource, record)

    def _resource(self, table: str) -> Resource | None:
        plural, _, group = table.partition(".")
        return self._catalog.named(group, plural)

    def _exists(self, owner: Json, namespace: str) -> bool:
        place = self._objects.get(owner["uid"])
        return place is not None and place.namespace in ("", namespace)

    def _judge(self, resource: Resource, record: Record) -> None:
        """Delete a dependent none of whose owners is left; forget those of its owners that are gone."""
        owners: list[Json] = record.metadata.get("ownerReferences") or []
        present = [owner for owner in owners if self._exists(owner, record.namespace)]
        waiting = [owner for owner in present if self._in_foreground_deletion(owner)]
        if owners and len(present) == len(waiting):
            propagation = "Foreground" if waiting and self._dependents.get(record.metadata["uid"]) else "Background"
            self._deleting.remove(resource, record, DeleteOptions(propagation=propagation))
        elif len(present) < len(owners):
            obj = record.copy()
            obj["metadata"]["ownerReferences"] = present
            self._store.put(table_key(resource), obj)

    def _in_foreground_deletion(self, owner: Json) -> bool:
        place = self._objects[owner["uid"]]
        record = self._store.table(place.table).get(place.namespace, place.name)
        if record is None:
            return False
        metadata = record.metadata
        return "deletionTimestamp" in metadata and FOREGROUND in (metadata.get("finalizers") or ())

    def _propagate(self, resource: Resource, record: Record) -> None:
        """Carry out the propagation that a deleted object's finalizer asks for; then take the finalizer off."""
        uid = record.metadata["uid"]
        finalizers = record.metadata.get("finalizers") or ()
        dependents = [
            (place, found)
            for place in sorted(self._dependents.get(uid, ()))
            if (found := self._store.table(place.table).get(place.namespace, place.name)) is not None
        ]
        if ORPHAN in finalizers:
            for place, dependent in dependents:
                obj = dependent.copy()
                owners = [owner for owner in obj["metadata"]["ownerReferences"] if owner["uid"] != uid]
                obj["metadata"]["ownerReferences"] = owners
                if not owners:
                    del obj["metadata"]["ownerReferences"]
                self._store.put(place.table, obj)
            self._release(resource, record, ORPHAN)
        elif FOREGROUND in finalizers:
            blocking = False
            for place, dependent in dependents:
                owner = next(o for o in dependent.metadata["ownerReferences"] if o["uid"] == uid)
                blocking = blocking or bool(owner.get("blockOwnerDeletion"))
                if "deletionTimestamp" not in dependent.metadata:
                    self._enqueue(place)
            if not blocking:
                self._release(resource, record, FOREGROUND)

    def _release(self, resource: Resource, record: Record, finalizer: str) -> None:
        obj = record.copy()
        obj["metadata"]["finalizers"] = [name for name in obj["metadata"]["finalizers"] if name != finalizer]
        if not obj["metadata"]["finalizers"]:
            del obj["metadata"]["finalizers"]
        if self._deleting.finish(resource, obj):
            self._store.remove(table_key(resource), record.namespace, record.name)
        else:
            self._store.put(table_key(resource), obj)
