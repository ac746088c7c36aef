"""The verbs get and list, and how answers are rendered."""

from __future__ import annotations

import base64
import secrets
from collections import OrderedDict
from typing import NamedTuple

import msgspec

from gatewright.local.apiserver import scale
from gatewright.local.apiserver.errors import bad_request, expired, no_such_path, not_found, too_large_revision
from gatewright.local.apiserver.forms import Form, converted, encode, encoded, negotiate, row_of
from gatewright.local.apiserver.request import Options, Target
from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.selectors import Predicate, conjunction, field_selector, label_selector
from gatewright.local.apiserver.store import Json, Record, Store
from gatewright.local.apiserver.tables import Tables

_ALWAYS_SELECTABLE = frozenset({"metadata.name", "metadata.namespace"})
SNAPSHOTS = 64
"""How many paged lists can be under way at once; the oldest one's continue token expires first."""

_CONTINUE_EXPIRED = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter."
)


class _Snapshot(NamedTuple):
    revision: int
    records: list[Record]


def predicate_of(resource: Resource, options: Options) -> Predicate | None:
    """What the request's `labelSelector` and `fieldSelector` select; None for everything."""
    allowed = None if resource.selectable is None else resource.selectable | _ALWAYS_SELECTABLE
    return conjunction(
        label_selector(options.query.get("labelSelector", "")),
        field_selector(options.query.get("fieldSelector", ""), allowed),
    )


def requested_revision(options: Options) -> int | None:
    """The `resourceVersion` parameter; None when it is absent or empty."""
    text = options.query.get("resourceVersion", "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 18:
        raise bad_request(f'resourceVersion: Invalid value: "{text}": must be a number')
    return int(text)


class Reading:
    """Reads objects out of the store."""

    def __init__(self, store: Store, tables: Tables) -> None:
        self._store = store
        self.tables = tables
        self._snapshots: OrderedDict[str, _Snapshot] = OrderedDict()

    def record(self, target: Target) -> Record:
        """The target's record; 404 when there is none."""
        record = self._store.table(table_key(target.resource)).get(target.namespace or "", target.name)
        if record is None:
            raise not_found(target.resource, target.name)
        return record

    def get(self, target: Target, accept: str) -> bytes:
        """One object, or one of its subresources, as JSON."""
        record = self.record(target)
        if target.subresource == "scale" and target.resource.has_scale:
            return encode(scale.scale_of(target.resource, record.obj))
        if target.subresource and not (target.subresource == "status" and target.resource.has_status):
            raise no_such_path()
        return self.render(record, target, accept)

    def render(self, record: Record | Json, target: Target, accept: str) -> bytes:
        """A verb's answer in the form that the client accepts. A plain dict (a `Scale`, a `Status`) goes as it is."""
        if not isinstance(record, Record):
            return encode(record)
        return encoded(target.resource, negotiate(accept, target.version), record, self.tables)

    def listing(self, target: Target, options: Options, accept: str) -> bytes:
        """All objects of the target that the selectors select, as a list object or a `Table`."""
        if target.subresource:
            raise no_such_path()
        resource = target.resource
        form = negotiate(accept, target.version, options.query.get("includeObject", ""))
        predicate = predicate_of(resource, options)
        wanted = requested_revision(options)
        if wanted is not None and wanted > self._store.revision:
            raise too_large_revision(wanted, self._store.revision)
        limit = options.number("limit") or 0
        token = options.query.get("continue", "")
        if token:
            snapshot, start = self._continued(token)
        else:
            records = self._store.table(table_key(resource)).records(target.namespace)
            if predicate is not None:
                records = [r for r in records if predicate(converted(resource, target.version, r.obj))]
            snapshot, start = _Snapshot(self._store.revision, records), 0
        page = snapshot.records[start : start + limit] if limit > 0 else snapshot.records[start:]
        metadata: Json = {"resourceVersion": str(snapshot.revision)}
        remaining = len(snapshot.records) - start - len(page)
        if remaining > 0:
            metadata["continue"] = self._token(snapshot, token, start + len(page))
            if predicate is None:
                metadata["remainingItemCount"] = remaining
        return self._encoded_list(resource, form, page, metadata)

    def _encoded_list(self, resource: Resource, form: Form, records: list[Record], metadata: Json) -> bytes:
        if form.shape == "table":
            rows = [row_of(resource, form, record, self.tables) for record in records]
            table = self.tables.table(resource, form.version, rows, with_columns=True)
            table["metadata"] = metadata
            return encode(table)
        if form.shape == "metadata":
            head: Json = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        else:
            head = {"kind": resource.list_type, "apiVersion": resource.api_version(form.version), "metadata": metadata}
        items = b",".join([encoded(resource, form, record, self.tables) for record in records])
        return b"".join((encode(head)[:-1], b',"items":[', items, b"]}"))

    def _token(self, snapshot: _Snapshot, previous: str, start: int) -> str:
        key = _parse_token(previous)[0] if previous else secrets.token_hex(8)
        self._snapshots[key] = snapshot
        self._snapshots.move_to_end(key)
        if len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return base64.urlsafe_b64encode(msgspec.json.encode([key, start])).decode().rstrip("=")

    def _continued(self, token: str) -> tuple[_Snapshot, int]:
        key, start = _parse_token(token)
        snapshot = self._snapshots.get(key)
        if snapshot is None:
            raise expired(_CONTINUE_EXPIRED)
        return snapshot, start


def _parse_token(token: str) -> tuple[str, int]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        key, start = msgspec.json.decode(raw, type=tuple[str, int])
    except (ValueError, msgspec.MsgspecError) as error:
        raise bad_request("continue key is not valid: the token was not made by this server") from error
    if start < 0:
        raise bad_request("continue key is not valid: negative offset")
    return key, start


def table_key(resource: Resource) -> str:
    """The store's table of a resource. The two Event resources are one."""
    return "events" if resource.kind == "Event" else resource.qualified
