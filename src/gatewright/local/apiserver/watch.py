"""The verb watch: a position in a resource's log, followed until the client, the time or the history ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator

from gatewright.local.apiserver.errors import StatusError, bad_request, expired, too_large_revision
from gatewright.local.apiserver.forms import Form, converted, encode, encoded, negotiate, row_of
from gatewright.local.apiserver.reading import Reading, predicate_of, requested_revision, table_key
from gatewright.local.apiserver.request import Options, Target
from gatewright.local.apiserver.store import Event, Json, Record, Store

BOOKMARK_SECONDS = 60.0
"""How often a client that asked for bookmarks gets one."""
BATCH = 256 * 1024
"""About how many bytes are handed to the connection at a time."""
_INITIAL_END = "k8s.io/initial-events-end"


class Watch:
    """One client's watch. Making it fails where the request is wrong; `stream` yields lines of JSON."""

    def __init__(self, store: Store, target: Target, options: Options, accept: str, reading: Reading) -> None:
        self._store = store
        self._target = target
        self._resource = target.resource
        self._tables = reading.tables
        self._table = store.table(table_key(target.resource))
        self._form: Form = negotiate(accept, target.version, options.query.get("includeObject", ""))
        self._predicate = predicate_of(target.resource, options)
        self._bookmarks = options.flag("allowWatchBookmarks")
        timeout = options.number("timeoutSeconds")
        self._seconds = float(timeout) if timeout and timeout > 0 else random.uniform(1800, 3600)  # noqa: S311
        self._columns_sent = False
        revision = requested_revision(options)
        initial = options.query.get("sendInitialEvents")
        if initial is not None and options.query.get("resourceVersionMatch") != "NotOlderThan":
            raise bad_request(
                "sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        if revision is not None and revision > store.revision:
            raise too_large_revision(revision, store.revision)
        self._initial_end = options.flag("sendInitialEvents") and self._bookmarks
        self._first: list[Record] = []
        self._revision = store.revision
        send_all = options.flag("sendInitialEvents") if initial is not None else not revision
        if send_all or not revision:
            self._position: int | None = self._table.end
            if send_all:
                self._first = [record for record in self._table.records(target.namespace) if self._selects(record.obj)]
        else:
            self._revision = revision
            self._position = self._table.position_after(revision)
            if self._position is None:
                raise expired(f"too old resource version: {revision} ({store.revision})")

    async def stream(self) -> AsyncGenerator[bytes]:
        """The watch's lines, several at a time. Ends when the time is up, the store closes or the history is gone."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        bookmark = loop.time() + BOOKMARK_SECONDS
        for chunk in self._initial():
            yield chunk
        position = self._table.end if self._position is None else self._position
        while not self._store.closed:
            events = self._table.read(position)
            if events is None:
                yield _line("ERROR", encode(_history_gone(self._revision, self._store.revision).status()))
                return
            if events:
                position += len(events)
                self._revision = events[-1].record.revision
                lines = b"".join([line for event in events if (line := self._event(event))])
                if lines:
                    yield lines
                continue
            now = loop.time()
            if now >= end:
                break
            wake_at = min(end, bookmark) if self._bookmarks else end
            woken = await _completes(self._table.changed(), wake_at - now)
            # A bookmark must not overtake a change that came just as the time was up.
            if not woken and wake_at == bookmark and self._table.end == position:
                bookmark = loop.time() + BOOKMARK_SECONDS
                self._revision = self._store.revision
                yield self._bookmark()
        if self._bookmarks and not self._store.closed:
            yield self._bookmark()

    def _initial(self) -> list[bytes]:
        first, self._first = self._first, []
        chunks: list[bytes] = []
        lines: list[bytes] = []
        size = 0
        for record in first:
            line = _line("ADDED", self._encoded(record))
            lines.append(line)
            size += len(line)
            if size >= BATCH:
                chunks.append(b"".join(lines))
                lines, size = [], 0
        if self._initial_end:
            lines.append(self._bookmark(initial_end=True))
        if lines:
            chunks.append(b"".join(lines))
        return chunks

    def _selects(self, obj: Json) -> bool:
        if self._target.name and obj["metadata"]["name"] != self._target.name:
            return False
        return self._predicate is None or self._predicate(converted(self._resource, self._target.version, obj))

    def _event(self, event: Event) -> bytes:
        """The event's line for this client; empty when it concerns nothing that the client selected."""
        record = event.record
        if self._target.namespace is not None and record.namespace != self._target.namespace:
            return b""
        if self._predicate is None and not self._target.name:
            return _line(event.type, self._encoded(record))
        matches = event.type != "DELETED" and self._selects(record.obj)
        matched = event.previous is not None and self._selects(event.previous.obj)
        if matches:
            if matched or event.type == "ADDED":
                return _line(event.type, self._encoded(record))
            return _line("ADDED", self._encoded(record))
        if not matched:
            return b""
        if event.type == "DELETED":
            return _line(event.type, self._encoded(record))
        assert event.previous is not None
        last = event.previous.copy()
        last["metadata"]["resourceVersion"] = str(record.revision)
        return _line("DELETED", self._encoded(Record(last, record.revision)))

    def _encoded(self, record: Record) -> bytes:
        if self._form.shape != "table":
            return encoded(self._resource, self._form, record, self._tables)
        table = self._tables.table(
            self._resource,
            self._form.version,
            [row_of(self._resource, self._form, record, self._tables)],
            with_columns=not self._columns_sent,
        )
        self._columns_sent = True
        table["metadata"] = {"resourceVersion": str(record.revision)}
        return encode(table)

    def _bookmark(self, *, initial_end: bool = False) -> bytes:
        metadata: Json = {"resourceVersion": str(self._revision)}
        if initial_end:
            metadata["annotations"] = {_INITIAL_END: "true"}
        obj: Json = {
            "kind": self._resource.kind,
            "apiVersion": self._resource.api_version(self._target.version),
            "metadata": metadata,
        }
        if self._form.shape == "metadata":
            obj.update(kind="PartialObjectMetadata", apiVersion="meta.k8s.io/v1")
        elif self._form.shape == "table":
            row: Json = {
                "cells": [],
                "object": {**obj, "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"},
            }
            obj = self._tables.table(self._resource, self._form.version, [row], with_columns=False)
            obj["metadata"] = {"resourceVersion": str(self._revision)}
        return _line("BOOKMARK", encode(obj))


def _line(type_: str, raw: bytes) -> bytes:
    return b"".join((b'{"type":"', type_.encode(), b'","object":', raw, b"}\n"))


def _history_gone(revision: int, current: int) -> StatusError:
    return expired(f"too old resource version: {revision} ({current})")


async def _completes(future: asyncio.Future[None], seconds: float) -> bool:
    """Whether the future completes within the time. It is cancelled when it doesn't, or when nobody waits any more."""
    try:
        done, _ = await asyncio.wait((future,), timeout=max(0.0, seconds))
    finally:
        future.cancel()
    return bool(done)
