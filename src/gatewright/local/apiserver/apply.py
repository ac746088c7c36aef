"""Field ownership: server-side apply, and the bookkeeping of `managedFields` at every other write."""

from __future__ import annotations

from typing import Any

from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.fieldsets import (
    FieldSet,
    compare,
    difference,
    field_set,
    intersection,
    merge,
    ownable,
    paths,
    union,
    without,
)
from gatewright.local.apiserver.metadata import now
from gatewright.local.apiserver.request import Target
from gatewright.local.apiserver.store import Json

Entry = dict[str, Any]
"""One element of `managedFields`."""


def entries(obj: Json | None) -> list[Entry]:
    """The object's `managedFields` that are well-formed."""
    if obj is None:
        return []
    found = obj.get("metadata", {}).get("managedFields") or []
    return [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("fieldsV1"), dict)]


def _identity(entry: Entry) -> tuple[Any, ...]:
    own = (entry.get("manager"), entry.get("operation"), entry.get("subresource", ""))
    # An applier is one whatever version it applies in; an updater isn't.
    return own if entry.get("operation") == "Apply" else (*own, entry.get("apiVersion"))


def _entry(target: Target, manager: str, operation: str, fields: FieldSet) -> Entry:
    entry: Entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": target.resource.api_version(target.version),
        "time": now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    if target.subresource:
        entry["subresource"] = target.subresource
    return entry


def _relevant(target: Target, fields: FieldSet) -> FieldSet:
    """Of a set of fields, those that the path writes: the status at its subresource, all else otherwise."""
    if target.subresource == "status":
        return {key: trie for key, trie in fields.items() if key == "f:status"}
    if target.resource.has_status:
        return {key: trie for key, trie in fields.items() if key != "f:status"}
    return fields


def _with_fields(entry: Entry, fields: FieldSet) -> Entry:
    return entry if entry["fieldsV1"] == fields else {**entry, "fieldsV1": fields}


def with_entries(obj: Json, managed: list[Entry]) -> Json:
    """The object with the given `managedFields`, without those that own nothing."""
    managed = [entry for entry in managed if entry["fieldsV1"]]
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    if managed:
        metadata["managedFields"] = managed
    return {**obj, "metadata": metadata}


def apply(target: Target, schema: Json, old: Json | None, applied: Json, manager: str, *, force: bool) -> Json:
    """The object after `manager` applied its configuration, `managedFields` included.

    Raises a 409 with one cause for each field that another manager owns and that would change, unless `force`.
    """
    fields = _relevant(target, field_set(schema, ownable(applied)))
    own = _entry(target, manager, "Apply", fields)
    if old is None:
        return with_entries(applied, [own])
    previous: FieldSet = {}
    others: list[Entry] = []
    for entry in entries(old):
        if _identity(entry) == _identity(own):
            previous = entry["fieldsV1"]
            own = _with_fields(own, fields) if previous != fields else {**own, "time": entry.get("time", own["time"])}
        else:
            others.append(entry)
    merged = merge(schema, old, applied)
    owned_by_others: FieldSet = {}
    for entry in others:
        owned_by_others = union(owned_by_others, entry["fieldsV1"])
    removed = difference(difference(previous, fields), owned_by_others)
    if removed:
        merged = without(schema, merged, removed, union(owned_by_others, fields))
    changed, _ = compare(schema, ownable(old), ownable(merged))
    changed = _relevant(target, changed)
    conflicts = [(entry, lost) for entry in others if (lost := intersection(entry["fieldsV1"], changed))]
    if conflicts and not force:
        raise _conflict(conflicts)
    kept = [_with_fields(entry, difference(entry["fieldsV1"], changed)) for entry in others]
    return with_entries(merged, [*kept, own])


def _conflict(conflicts: list[tuple[Entry, FieldSet]]) -> StatusError:
    causes: list[Json] = []
    lines: list[str] = []
    for entry, lost in conflicts:
        who = _described(entry)
        found = sorted(paths(lost))
        causes += [
            {"reason": "FieldManagerConflict", "message": f"conflict with {who}", "field": path} for path in found
        ]
        if len(found) == 1:
            lines.append(f"conflict with {who}: {found[0]}")
        else:
            lines.append(f"conflicts with {who}:\n" + "\n".join(f"- {path}" for path in found))
    plural = "conflict" if len(causes) == 1 else "conflicts"
    message = f"Apply failed with {len(causes)} {plural}: " + "\n".join(lines)
    return StatusError(409, "Conflict", message, {"causes": causes})


def _described(entry: Entry) -> str:
    text = f'"{entry.get("manager", "")}"'
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    if entry.get("operation") == "Update":
        text += f" using {entry.get('apiVersion', '')}"
        if entry.get("time"):
            text += f" at {entry['time']}"
    return text


def updated(target: Target, schema: Json, old: Json | None, obj: Json, manager: str) -> Json:
    """The object with `managedFields` brought up to date after a write that was no apply.

    A client may rewrite `managedFields` itself (kubectl does when it moves to server-side apply); an absent or empty
    one leaves them as they were, and a list of one empty entry forgets them all.
    """
    sent = obj["metadata"].get("managedFields")
    managed = entries(obj) if sent else entries(old)
    changed, removed = compare(schema, {} if old is None else ownable(old), ownable(obj))
    if not changed and not removed:
        return with_entries(obj, managed)
    own = _entry(target, manager, "Update", changed)
    kept: list[Entry] = []
    for entry in managed:
        fields = difference(entry["fieldsV1"], removed) if removed else entry["fieldsV1"]
        if _identity(entry) == _identity(own):
            own["fieldsV1"] = union(fields, changed)
        else:
            kept.append(_with_fields(entry, difference(fields, changed) if changed else fields))
    return with_entries(obj, [*kept, own] if own["fieldsV1"] else kept)
