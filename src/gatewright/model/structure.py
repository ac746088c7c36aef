"""What a structural schema says of an object's shape: which fields there are, and what fills their gaps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gatewright.model.schema import OBJECT_META, Schema

Place = tuple[Any, str | int] | None
"""Where a value is: its parent's place and the key or index there; None for the root."""

Fill = Callable[[Any], Any]
Unknown = Callable[[Any, Place, list[str]], None]

MISSING: Final = object()
_PRESERVE: Final = "x-kubernetes-preserve-unknown-fields"
_OF_AN_OBJECT: Final[dict[str, Schema]] = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": OBJECT_META,
}


def path(place: Place) -> str:
    """A place as text, such as `spec.listeners[0].port`."""
    steps: list[str] = []
    while place is not None:
        place, key = place
        steps.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "".join(reversed(steps)).removeprefix(".")


def rooted(schema: Schema) -> Schema:
    """A kind's schema with what every object has, which a CustomResourceDefinition need not spell out."""
    properties = schema.get("properties", {})
    if not {*_OF_AN_OBJECT, "spec", "status"} & properties.keys():
        return schema
    return {**schema, "properties": _with_object_fields(properties)}


def properties_of(schema: Schema) -> dict[str, Schema]:
    """The schema's declared fields, with those of an embedded object."""
    properties: dict[str, Schema] = schema.get("properties", {})
    return _with_object_fields(properties) if schema.get("x-kubernetes-embedded-resource") else properties


def _with_object_fields(properties: dict[str, Schema]) -> dict[str, Schema]:
    result = {**_OF_AN_OBJECT, **properties}
    if "properties" not in result["metadata"]:
        result["metadata"] = OBJECT_META
    return result


def copied(value: Any) -> Any:
    """A deep copy of plain data."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


# Defaults


def fill_of(schema: Schema, memo: dict[int, Fill | None]) -> Fill | None:
    """Fills in the defaults below a value; None when there are none. An unchanged value is returned itself."""
    if id(schema) not in memo:
        memo[id(schema)] = _fill_of(schema, memo)
    return memo[id(schema)]


def _fill_of(schema: Schema, memo: dict[int, Fill | None]) -> Fill | None:
    entries: list[tuple[str, Any, bool, Fill | None]] = []
    for name, part in properties_of(schema).items():
        below = fill_of(part, memo)
        default = part.get("default", MISSING)
        if default is not MISSING and below is not None:
            default = below(default)
        if below is not None or default is not MISSING:
            entries.append((name, default, bool(part.get("nullable")), below))
    additional, items = schema.get("additionalProperties"), schema.get("items")
    others = fill_of(additional, memo) if isinstance(additional, dict) else None
    members = fill_of(items, memo) if isinstance(items, dict) else None
    if not entries and others is None and members is None:
        return None
    declared = properties_of(schema).keys()

    def fill(value: Any) -> Any:
        if value.__class__ is dict:
            result: dict[str, Any] | None = None
            for name, default, nullable, below in entries:
                old = value.get(name, MISSING)
                if old is MISSING or (old is None and not nullable):
                    if default is MISSING:
                        continue
                    new = copied(default)
                else:
                    new = old if below is None else below(old)
                if new is not old:
                    result = dict(value) if result is None else result
                    result[name] = new
            if others is not None:
                for name, old in value.items():
                    if name not in declared and (new := others(old)) is not old:
                        result = dict(value) if result is None else result
                        result[name] = new
            return value if result is None else result
        if members is not None and value.__class__ is list:
            changed = [members(item) for item in value]
            return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
        return value

    return fill


# Nulls


def without_nulls(schema: Schema | None, value: Any) -> Any:
    """`value` without the nulls of fields that can't hold one and have no default; a list's own nulls stay.

    An unchanged value is returned itself.
    """
    if schema is None:
        return value
    if value.__class__ is dict:
        properties, additional = properties_of(schema), schema.get("additionalProperties")
        others = additional if isinstance(additional, dict) else None
        result: dict[str, Any] | None = None
        for name, old in value.items():
            part = properties.get(name, others)
            if old is None:
                if part is not None and not part.get("nullable") and "default" not in part:
                    result = dict(value) if result is None else result
                    del result[name]
            elif (old.__class__ is dict or old.__class__ is list) and (new := without_nulls(part, old)) is not old:
                result = dict(value) if result is None else result
                result[name] = new
        return value if result is None else result
    if value.__class__ is list:
        items = schema.get("items")
        if items is None or (value and value[0].__class__ is str):  # a list of names, most often
            return value
        changed = [without_nulls(items, item) for item in value]
        return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
    return value


# Unknown fields


def unknown_of(schema: Schema, memo: dict[int, Unknown]) -> Unknown:
    """Reports the paths of unknown fields below a value."""
    if (known := memo.get(id(schema))) is None:
        known = memo[id(schema)] = _unknown_of(schema, memo)
    return known


def _ignore(value: Any, place: Place, found: list[str]) -> None:
    """A value in which every field is known."""


def _unknown_of(schema: Schema, memo: dict[int, Unknown]) -> Unknown:
    parts = {name: unknown_of(part, memo) for name, part in properties_of(schema).items()}
    additional, items = schema.get("additionalProperties"), schema.get("items")
    preserve = bool(schema.get(_PRESERVE)) or additional is True or not _describes_objects(schema)
    others = unknown_of(additional, memo) if isinstance(additional, dict) else None
    members = unknown_of(items, memo) if isinstance(items, dict) else _ignore
    if preserve and members is _ignore and others is None and all(part is _ignore for part in parts.values()):
        return _ignore

    def unknown(value: Any, place: Place, found: list[str]) -> None:
        if value.__class__ is dict:
            for name, item in value.items():
                part = parts.get(name, others)
                if part is None:
                    if not preserve:
                        found.append(path((place, name)))
                elif part is not _ignore:
                    part(item, (place, name), found)
        elif members is not _ignore and value.__class__ is list:
            for index, item in enumerate(value):
                members(item, (place, index), found)

    return unknown


def _describes_objects(schema: Schema) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def prune_of(schema: Schema, memo: dict[int, Fill | None]) -> Fill | None:
    """Drops unknown fields below a value; None when there can be none. An unchanged value is returned itself."""
    if id(schema) not in memo:
        memo[id(schema)] = _prune_of(schema, memo)
    return memo[id(schema)]


def _prune_of(schema: Schema, memo: dict[int, Fill | None]) -> Fill | None:
    parts = {name: prune_of(part, memo) for name, part in properties_of(schema).items()}
    additional, items = schema.get("additionalProperties"), schema.get("items")
    preserve = bool(schema.get(_PRESERVE)) or additional is True or not _describes_objects(schema)
    others = prune_of(additional, memo) if isinstance(additional, dict) else None
    members = prune_of(items, memo) if isinstance(items, dict) else None
    keep_others = preserve or isinstance(additional, dict)
    if keep_others and members is None and others is None and not any(parts.values()):
        return None

    def prune(value: Any) -> Any:
        if value.__class__ is dict:
            result: dict[str, Any] | None = None
            for name, old in value.items():
                if name in parts:
                    below = parts[name]
                elif keep_others:
                    below = others
                else:
                    result = dict(value) if result is None else result
                    del result[name]
                    continue
                if below is not None and (new := below(old)) is not old:
                    result = dict(value) if result is None else result
                    result[name] = new
            return value if result is None else result
        if members is not None and value.__class__ is list:
            changed = [members(item) for item in value]
            return changed if any(new is not old for new, old in zip(changed, value, strict=True)) else value
        return value

    return prune
