"""Where the embedded API keeps its objects: in memory, and in SQLite when the state is to survive a restart.

One counter numbers every change (`resourceVersion`), as etcd's revision does. Each resource has a log of its latest
changes; a watcher is a position in that log, so a slow one holds nothing and blocks nobody: when the log has moved past
its position, it is told that its history has expired.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

Json = dict[str, Any]
EventType = Literal["ADDED", "MODIFIED", "DELETED"]

WARM = 4096
"""How many of the newest objects are kept as dicts too."""
LOG_LENGTH = 8192
"""How many changes of one resource stay readable to watchers."""

_PREPARATION = (
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "CREATE TABLE IF NOT EXISTS objects (resource TEXT, namespace TEXT, name TEXT, revision INTEGER, json BLOB, "
    "PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value INTEGER)",
)

_encode = msgspec.json.Encoder().encode


class StoreError(Exception):
    """The file that is to keep the state can't be used."""


class Record:
    """One stored object: as a dict that nobody may change, and as the JSON bytes that every reader receives.

    The dict of an object that was written long ago is made anew each time, since it is several times as large.
    """

    __slots__ = ("_obj", "encodings", "name", "namespace", "raw", "revision")

    def __init__(self, obj: Json, revision: int, raw: bytes | None = None) -> None:
        metadata = obj["metadata"]
        self._obj: Json | None = obj
        self.name: str = metadata.get("name", "")
        self.namespace: str = metadata.get("namespace", "")
        """Empty for cluster-scoped objects."""
        self.revision = revision
        self.raw = _encode(obj) if raw is None else raw
        self.encodings: dict[Any, bytes] | None = None

    @property
    def obj(self) -> Json:
        """The object."""
        return self.copy() if self._obj is None else self._obj

    @property
    def metadata(self) -> Json:
        """The object's `metadata`."""
        metadata: Json = self.obj["metadata"]
        return metadata

    def cool(self) -> None:
        """Keep the bytes only."""
        self._obj = None

    def copy(self) -> Json:
        """A deep copy of the object that the caller may change."""
        obj: Json = msgspec.json.decode(self.raw)
        return obj

    def encoded(self, form: Any, encode: Callable[[Json], bytes]) -> bytes:
        """The object in another form (another version, its metadata only), encoded once for all readers."""
        if self.encodings is None:
            self.encodings = {}
        found = self.encodings.get(form)
        if found is None:
            found = self.encodings[form] = encode(self.obj)
        return found


class Event:
    """One change. `previous` is what the object was before (None when it was added)."""

    __slots__ = ("previous", "record", "type")

    def __init__(self, type_: EventType, record: Record, previous: Record | None) -> None:
        self.type = type_
        self.record = record
        self.previous = previous


class Change(NamedTuple):
    """An event together with the resource it happened to, as observers of the whole store get it."""

    resource: str
    event: Event


class Table:
    """The objects of one resource, by namespace and name, and the log of their changes."""

    def __init__(self, floor: int) -> None:
        self.namespaces: dict[str, dict[str, Record]] = {}
        self._floor = floor
        self._events: list[Event] = []
        self._first = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def get(self, namespace: str, name: str) -> Record | None:
        """The object of that name, or None."""
        names = self.namespaces.get(namespace)
        return None if names is None else names.get(name)

    def records(self, namespace: str | None = None) -> list[Record]:
        """Every object, or those of one namespace, ordered by namespace and name."""
        if namespace is not None:
            names = self.namespaces.get(namespace)
            return [] if names is None else [names[name] for name in sorted(names)]
        return [names[name] for _, names in sorted(self.namespaces.items()) for name in sorted(names)]

    @property
    def end(self) -> int:
        """The position behind the newest change."""
        return self._first + len(self._events)

    def position_after(self, revision: int) -> int | None:
        """The position of the first change later than `revision`; None when the log no longer reaches back so far."""
        if revision < self._floor:
            return None
        low, high = 0, len(self._events)
        while low < high:
            middle = (low + high) // 2
            if self._events[middle].record.revision <= revision:
                low = middle + 1
            else:
                high = middle
        return self._first + low

    def read(self, position: int) -> list[Event] | None:
        """The changes from `position` on; None when the log has moved past it."""
        if position < self._first:
            return None
        return self._events[position - self._first :]

    def changed(self) -> asyncio.Future[None]:
        """A future that completes at the next change (or when the store closes)."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        # Whoever gives up waiting cancels the future.
        future.add_done_callback(self._waiting.discard)
        return future

    def append(self, event: Event) -> None:
        """Log a change and wake who waits for one."""
        self._events.append(event)
        if len(self._events) >= 2 * LOG_LENGTH:
            self._floor = self._events[LOG_LENGTH - 1].record.revision
            del self._events[:LOG_LENGTH]
            self._first += LOG_LENGTH
        self.wake()

    def wake(self) -> None:
        """Complete every pending `changed`."""
        waiting, self._waiting = self._waiting, set()
        for future in waiting:
            if not future.done():
                future.set_result(None)


class Store:
    """All objects of the embedded API. Not thread-safe: it belongs to the event loop of its server."""

    def __init__(self, database: sqlite3.Connection | None = None) -> None:
        self._database = database
        self._tables: dict[str, Table] = {}
        self._observers: list[Callable[[Change], None]] = []
        self._warm: deque[Record] = deque()
        self._closing: list[asyncio.Future[None]] = []
        self.revision = 1
        self.closed = False
        if database is not None:
            self._load(database)
        self._floor = self.revision

    @classmethod
    def memory(cls) -> Store:
        """A store that ends with the process."""
        return cls()

    @classmethod
    def sqlite(cls, path: Path | str) -> Store:
        """A store whose objects and resourceVersion survive a restart, in the SQLite file at `path`.

        The file is this user's alone, since it holds Secrets, and this process's alone while it is open. Raises
        `StoreError` for a file that is another's, or no store.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0)
            for statement in _PREPARATION:
                database.execute(statement)
            return cls(database)
        except (OSError, sqlite3.Error, msgspec.DecodeError) as error:
            raise StoreError(
                f"{path}: {error}; expected the state of a gatewright cluster that nothing else has open. Stop the "
                "other process, or choose another folder"
            ) from error

    def _load(self, database: sqlite3.Connection) -> None:
        row = database.execute("SELECT value FROM state WHERE key = 'revision'").fetchone()
        if row is not None:
            self.revision = row[0]
        for resource, namespace, name, revision, raw in database.execute("SELECT * FROM objects"):
            if resource not in self._tables:
                self._tables[resource] = Table(self.revision)
            names = self._tables[resource].namespaces.setdefault(namespace, {})
            names[name] = self._warmed(Record(msgspec.json.decode(raw), revision, raw))

    def observe(self, observer: Callable[[Change], None]) -> None:
        """Call `observer` after every change. It must be quick and must not write to the store itself."""
        self._observers.append(observer)

    def table(self, resource: str) -> Table:
        """The table of a resource such as `pods` or `httproutes.gateway.networking.k8s.io`."""
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = Table(self._floor)
        return table

    def tables(self) -> Iterator[tuple[str, Table]]:
        """Every table that ever held something, by resource."""
        return iter(list(self._tables.items()))

    def put(self, resource: str, obj: Json) -> Record:
        """Store `obj` under its metadata's namespace and name, and set its `metadata.resourceVersion`."""
        table = self.table(resource)
        metadata = obj["metadata"]
        self.revision += 1
        metadata["resourceVersion"] = str(self.revision)
        record = self._warmed(Record(obj, self.revision))
        names = table.namespaces.setdefault(record.namespace, {})
        previous = names.get(record.name)
        names[record.name] = record
        if self._database is not None:
            self._persist(self._database, resource, record)
        self._announce(resource, table, Event("ADDED" if previous is None else "MODIFIED", record, previous))
        return record

    def remove(self, resource: str, namespace: str, name: str) -> Record:
        """Remove an object; the record returned is its last state, numbered with the removal's revision."""
        table = self.table(resource)
        names = table.namespaces[namespace]
        previous = names.pop(name)
        if not names:
            del table.namespaces[namespace]
        self.revision += 1
        last = dict(previous.obj)
        last["metadata"] = {**previous.metadata, "resourceVersion": str(self.revision)}
        record = Record(last, self.revision)
        if self._database is not None:
            self._database.execute(
                "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?", (resource, namespace, name)
            )
            self._persist_revision(self._database)
        self._announce(resource, table, Event("DELETED", record, previous))
        return record

    def _warmed(self, record: Record) -> Record:
        self._warm.append(record)
        if len(self._warm) > WARM:
            self._warm.popleft().cool()
        return record

    def load(self, resource: str, objects: Iterable[Json]) -> None:
        """Put those of `objects` that are not there yet."""
        table = self.table(resource)
        for obj in objects:
            metadata = obj["metadata"]
            if table.get(metadata.get("namespace", ""), metadata["name"]) is None:
                self.put(resource, obj)

    def _announce(self, resource: str, table: Table, event: Event) -> None:
        table.append(event)
        for observer in self._observers:
            observer(Change(resource, event))

    def _persist(self, database: sqlite3.Connection, resource: str, record: Record) -> None:
        database.execute("BEGIN")
        database.execute(
            "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)",
            (resource, record.namespace, record.name, record.revision, record.raw),
        )
        self._persist_revision(database)
        database.execute("COMMIT")

    def _persist_revision(self, database: sqlite3.Connection) -> None:
        database.execute("INSERT OR REPLACE INTO state VALUES ('revision', ?)", (self.revision,))

    async def when_closed(self) -> None:
        """Return when the store closes."""
        if not self.closed:
            future = asyncio.get_running_loop().create_future()
            self._closing.append(future)
            await future

    def close(self) -> None:
        """End all watches and close the file. The objects stay readable."""
        self.closed = True
        for future in self._closing:
            if not future.done():
                future.set_result(None)
        for table in self._tables.values():
            table.wake()
        if self._database is not None:
            self._database.close()
            self._database = None
