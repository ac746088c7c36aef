"""Strategic merge patch: a merge patch that merges lists by key where the type says so, with its `$` directives."""

from __future__ import annotations

from typing import Any

from gatewright.local.apiserver.errors import bad_request
from gatewright.local.apiserver.fieldsets import child
from gatewright.local.apiserver.store import Json

_DELETE_PRIMITIVES = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"
_RETAIN = "$retainKeys"
_DIRECTIVE = "$patch"


def strategic_merge(schema: Json, target: Any, patch: Json) -> Json:
    """The target after the patch; `schema` says by `x-kubernetes-patch-merge-key` and `-strategy` which lists merge."""
    directive = patch.get(_DIRECTIVE)
    if directive == "replace":
        replacement: Json = _clean(patch)
        return replacement
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        raise bad_request(f"unknown patch type: {directive}; expected replace, merge or delete for $patch")
    merged: Json = dict(target) if isinstance(target, dict) else {}
    retained = patch.get(_RETAIN)
    if isinstance(retained, list):
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE_PRIMITIVES):
            field = key.removeprefix(_DELETE_PRIMITIVES)
            merged[field] = [item for item in merged.get(field) or [] if item not in _list(key, value)]
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN) or key.startswith((_DELETE_PRIMITIVES, _ORDER)):
            continue
        if value is None:
            merged.pop(key, None)
            continue
        merged[key] = _merge_value(child(schema, key), merged.get(key), value)
    for key, value in patch.items():
        if key.startswith(_ORDER):
            field = key.removeprefix(_ORDER)
            if isinstance(merged.get(field), list):
                merged[field] = _ordered(child(schema, field), merged[field], _list(key, value))
    return merged


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise bad_request(f"{key} must be a list")
    return value


def _merge_value(schema: Json, old: Any, new: Any) -> Any:
    if isinstance(new, dict):
        replace = "replace" in schema.get("x-kubernetes-patch-strategy", "") and not _is_merge(schema)
        return _clean(new) if replace else strategic_merge(schema, old, new)
    if isinstance(new, list) and _is_merge(schema):
        return _merge_list(schema, old if isinstance(old, list) else [], new)
    return _clean(new)


def _is_merge(schema: Json) -> bool:
    return "merge" in schema.get("x-kubernetes-patch-strategy", "").split(",")


def _merge_list(schema: Json, old: list[Any], new: list[Any]) -> list[Any]:
    key = schema.get("x-kubernetes-patch-merge-key")
    if not key:
        return old + [item for item in new if item not in old]
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in new):
        return [_clean(item) for item in new if item != {_DIRECTIVE: "replace"}]
    merged = list(old)
    for item in new:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        at = next(
            (i for i, known in enumerate(merged) if isinstance(known, dict) and known.get(key) == item[key]), None
        )
        if item.get(_DIRECTIVE) == "delete":
            merged = [known for known in merged if not (isinstance(known, dict) and known.get(key) == item[key])]
        elif at is None:
            merged.append(_clean(strategic_merge(schema.get("items", {}), {}, item)))
        else:
            merged[at] = strategic_merge(schema.get("items", {}), merged[at], item)
    return merged


def _ordered(schema: Json, items: list[Any], order: list[Any]) -> list[Any]:
    """The items in the order that the directive lists; others stay behind the one that they followed."""
    key = schema.get("x-kubernetes-patch-merge-key")

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    wanted = [name(item) for item in order]
    listed = sorted((item for item in items if name(item) in wanted), key=lambda item: wanted.index(name(item)))
    remaining = iter(listed)
    return [next(remaining) if name(item) in wanted else item for item in items]


def _clean(value: Any) -> Any:
    """A value without directives and nulls, as it is stored where there was nothing to merge with."""
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items() if item is not None and not key.startswith("$")}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value
