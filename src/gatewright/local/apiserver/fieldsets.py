"""Sets of fields as `managedFields` writes them (FieldsV1), and what server-side apply does with them.

A set is a trie: `{"f:spec": {"f:replicas": {}}}`. An empty trie is a member; a trie with children is a member when it
has the key `"."`. List items are named by their keys (`k:{"name":"web"}`) or by their value (`v:"a"`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from gatewright.local.apiserver.store import Json

FieldSet = dict[str, Any]

_EVERYTHING: Json = {}
_UNOWNED_METADATA = (
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_UNOWNED = ("apiVersion", "kind")


def ownable(obj: Json) -> Json:
    """The object without what no manager owns: its identity and what the server writes."""
    kept = {key: value for key, value in obj.items() if key not in _UNOWNED}
    metadata = {key: value for key, value in obj.get("metadata", {}).items() if key not in _UNOWNED_METADATA}
    if metadata:
        kept["metadata"] = metadata
    else:
        kept.pop("metadata", None)
    return kept


# Schemas


def child(schema: Json, key: str) -> Json:
    """The schema of an object's member; one that allows everything where nothing is known."""
    properties = schema.get("properties")
    if properties is not None and key in properties:
        found: Json = properties[key]
        return found
    additional = schema.get("additionalProperties")
    return additional if isinstance(additional, dict) else _EVERYTHING


def is_atomic_map(schema: Json) -> bool:
    """Whether an object has one owner as a whole."""
    return schema.get("x-kubernetes-map-type") == "atomic"


def list_keys(schema: Json) -> tuple[str, ...]:
    """The fields that name an item of a list of type map; empty for other lists."""
    if schema.get("x-kubernetes-list-type") == "map":
        return tuple(schema.get("x-kubernetes-list-map-keys") or ())
    return ()


def is_set(schema: Json) -> bool:
    """Whether a list is a set of values."""
    return schema.get("x-kubernetes-list-type") == "set"


def item_name(schema: Json, keys: tuple[str, ...], item: Any) -> str | None:
    """The path element of a list item, such as `k:{"name":"web"}`; None when a key field is missing."""
    if not isinstance(item, dict):
        return None
    properties = schema.get("items", _EVERYTHING).get("properties", _EVERYTHING)
    found = {}
    for key in sorted(keys):
        value = item.get(key, properties.get(key, _EVERYTHING).get("default"))
        if value is None or isinstance(value, dict | list):
            # An absent key counts as a name of its own, as long as some other key is there.
            continue
        found[key] = value
    return "k:" + _compact(found) if found else None


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def named_items(schema: Json, value: list[Any]) -> dict[str, Any] | None:
    """The items of a list of type map or set, by path element; None for atomic lists and for ambiguous ones."""
    keys = list_keys(schema)
    named: dict[str, Any] = {}
    if keys:
        for item in value:
            name = item_name(schema, keys, item)
            if name is None or name in named:
                return None
            named[name] = item
        return named
    if is_set(schema):
        for item in value:
            named["v:" + _compact(item)] = item
        return named
    return None


# Sets


def field_set(schema: Json, value: Any, *, containers: bool = False) -> FieldSet:
    """The fields that a value sets. `containers` makes maps members as well, as changes found by comparison do."""
    if isinstance(value, dict) and value and not is_atomic_map(schema):
        found: FieldSet = {".": {}} if containers else {}
        for key, content in value.items():
            found[f"f:{key}"] = field_set(child(schema, key), content, containers=containers)
        return found
    if isinstance(value, list) and value:
        named = named_items(schema, value)
        if named is not None:
            items = schema.get("items", _EVERYTHING)
            found = {".": {}} if containers else {}
            for name, item in named.items():
                inner = field_set(items, item, containers=containers)
                found[name] = {".": {}, **inner} if inner else {}
            return found
    return {}


def is_member(trie: FieldSet) -> bool:
    """Whether the place itself, not only something below it, belongs to the set."""
    return not trie or "." in trie


def union(left: FieldSet, right: FieldSet) -> FieldSet:
    """The members of either set."""
    merged = dict(left)
    for key, trie in right.items():
        if key not in merged:
            merged[key] = trie
        elif key != ".":
            here = merged[key]
            member = is_member(here) or is_member(trie)
            both = union(here, trie)
            merged[key] = {".": {}, **both} if member and both else both
    return merged


def difference(left: FieldSet, right: FieldSet) -> FieldSet:
    """The members of `left` that aren't members of `right`."""
    kept: FieldSet = {}
    for key, trie in left.items():
        if key == ".":
            continue
        other = right.get(key)
        if other is None:
            kept[key] = trie
            continue
        member = is_member(trie) and not is_member(other)
        below = difference(trie, other)
        if member:
            kept[key] = {".": {}, **below} if below else {}
        elif below:
            kept[key] = below
    if "." in left and "." not in right:
        kept["."] = {}
    return kept


def intersection(left: FieldSet, right: FieldSet) -> FieldSet:
    """The members of both sets."""
    kept: FieldSet = {}
    for key, trie in left.items():
        other = right.get(key)
        if key == "." or other is None:
            continue
        below = intersection(trie, other)
        if is_member(trie) and is_member(other):
            kept[key] = {".": {}, **below} if below else {}
        elif below:
            kept[key] = below
    return kept


def compare(schema: Json, old: Any, new: Any) -> tuple[FieldSet, FieldSet]:
    """What was changed or added on the way from one object to another, and what was removed."""
    changed: FieldSet = {}
    removed: FieldSet = {}
    if isinstance(old, dict) and isinstance(new, dict):
        pairs = ((f"f:{key}", child(schema, key), old.get(key), new.get(key)) for key in {**old, **new})
    else:
        old_items, new_items = named_items(schema, old) or {}, named_items(schema, new) or {}
        items = schema.get("items", _EVERYTHING)
        pairs = ((key, items, old_items.get(key), new_items.get(key)) for key in {**old_items, **new_items})
    for name, inner, before, after in pairs:
        if before == after and type(before) is type(after):
            continue
        if after is None:
            removed[name] = field_set(inner, before, containers=True)
        elif before is None:
            added = field_set(inner, after, containers=True)
            changed[name] = {".": {}, **added} if added else {}
        elif _both_granular(inner, before, after):
            below_changed, below_removed = compare(inner, before, after)
            if below_changed:
                changed[name] = below_changed
            if below_removed:
                removed[name] = below_removed
        else:
            changed[name] = {}
    return changed, removed


def _both_granular(schema: Json, before: Any, after: Any) -> bool:
    if isinstance(before, dict) and isinstance(after, dict):
        return not is_atomic_map(schema)
    if isinstance(before, list) and isinstance(after, list) and (list_keys(schema) or is_set(schema)):
        return named_items(schema, before) is not None and named_items(schema, after) is not None
    return False


def paths(trie: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as paths: `.spec.containers[name="web"].image`."""
    for key, below in sorted(trie.items()):
        if key == ".":
            continue
        path = prefix + _path_element(key)
        if is_member(below):
            yield path
        yield from paths(below, path)


@functools.lru_cache(maxsize=4096)
def _path_element(key: str) -> str:
    kind, _, text = key.partition(":")
    if kind == "f":
        return f".{text}"
    if kind == "k":
        return "[" + ",".join(f"{name}={_compact(value)}" for name, value in json.loads(text).items()) + "]"
    return f"[={text}]" if kind == "v" else f"[{text}]"


# Values


def merge(schema: Json, live: Any, applied: Any) -> Any:
    """The live value with everything that was applied."""
    if isinstance(live, dict) and isinstance(applied, dict) and not is_atomic_map(schema):
        merged = dict(live)
        for key, value in applied.items():
            merged[key] = merge(child(schema, key), live.get(key), value)
        return merged
    if isinstance(live, list) and isinstance(applied, list):
        old, new = named_items(schema, live), named_items(schema, applied)
        if old is not None and new is not None:
            return _merge_items(schema, old, new)
    return applied


def _merge_items(schema: Json, old: dict[str, Any], new: dict[str, Any]) -> list[Any]:
    """Items in the applied order; those that only the live list has keep their places between them."""
    items = schema.get("items", _EVERYTHING)
    waiting = list(old)
    merged: list[Any] = []
    for name, item in new.items():
        while waiting and waiting[0] not in new:
            merged.append(old[waiting.pop(0)])
        if name in old:
            if waiting and waiting[0] == name:
                waiting.pop(0)
            merged.append(merge(items, old[name], item))
        else:
            merged.append(item)
    merged += [old[name] for name in waiting if name not in new]
    return merged


def without(schema: Json, value: Any, trie: FieldSet, kept: FieldSet) -> Any:
    """The value without the members of `trie`, except what contains members of `kept`."""
    if isinstance(value, dict):
        result = {}
        for key, content in value.items():
            below, others = trie.get(f"f:{key}"), kept.get(f"f:{key}")
            if below is None:
                result[key] = content
            elif is_member(below) and others is None:
                continue
            else:
                left = without(child(schema, key), content, below, others or {})
                if left not in ({}, []) or content in ({}, []) or others is not None:
                    result[key] = left
        return result
    if isinstance(value, list):
        named = named_items(schema, value)
        if named is None:
            return value
        left_items = []
        for name, item in named.items():
            below, others = trie.get(name), kept.get(name)
            if below is None:
                left_items.append(item)
            elif is_member(below) and others is None:
                continue
            else:
                left_items.append(without(schema.get("items", _EVERYTHING), item, below, others or {}))
        return left_items
    return value
