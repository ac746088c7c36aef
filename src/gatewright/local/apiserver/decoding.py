"""Objects of built-in kinds as Go's decoder reads them: nulls and unset fields go, a wrong type is an error at once."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
from dataclasses import dataclass, field
from typing import Any

from gatewright.local.apiserver import builtin
from gatewright.local.apiserver.builtin import Field
from gatewright.local.apiserver.store import Json
from gatewright.model.causes import Cause, not_supported

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})")
_QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?")
_QUANTITY_RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_INTEGERS = {
    "int": (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}
_ABSENT = object()


class WrongType(ValueError):
    """A value that the field's type can't hold, in the words of Go's JSON decoder."""


@dataclass
class Decoded:
    """What decoding found beside the object: fields that the type doesn't have, values that no enumeration has."""

    unknown: list[str] = field(default_factory=list)
    causes: list[Cause] = field(default_factory=list)


def decode_builtin(type_: str, obj: Json, found: Decoded, head: tuple[str, ...] = ("apiVersion", "kind")) -> Json:
    """The object of a built-in type, canonical: without nulls, and without unset fields that JSON would omit.

    `head` names fields that every object has beside its type's. Raises `WrongType`.
    """
    kept = {key: obj[key] for key in head if key in obj}
    rest = {key: value for key, value in obj.items() if key not in kept}
    return {**kept, **_struct(type_, rest, "", "", found)}


def decode_metadata(obj: Json, found: Decoded) -> Json:
    """An object's `metadata`, canonical. Raises `WrongType`."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict):
        raise WrongType(
            f"json: cannot unmarshal {_kind(metadata)} into Go struct field .metadata of type v1.ObjectMeta"
        )
    return _struct("meta/v1.ObjectMeta", metadata, "metadata", "metadata", found)


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return "null"


def _mismatch(value: Any, struct: str, path: str, type_: str) -> WrongType:
    place = f"Go struct field {struct.rsplit('.', 1)[-1]}.{path}" if path else f"Go value of {struct}"
    shown = f"number {value}" if isinstance(value, float) and not isinstance(value, bool) else _kind(value)
    return WrongType(f"json: cannot unmarshal {shown} into {place} of type {_go(type_)}")


def _go(type_: str) -> str:
    if type_.startswith("[]"):
        return "[]" + _go(type_[2:].lstrip("*"))
    if type_.startswith("{}"):
        return "map[string]" + _go(type_[2:])
    if type_.startswith("*"):
        return _go(type_[1:])
    if type_.startswith("enum:"):
        type_ = type_[5:]
    if type_ == "bytes":
        return "[]uint8"
    return type_.rsplit("/", 1)[-1]


def _struct(type_: str, value: Any, path: str, trail: str, found: Decoded) -> Json:
    fields = builtin.fields(type_)
    decoded: Json = {}
    for name, content in value.items():
        described = fields.get(name)
        inner = f"{path}.{name}" if path else name
        if described is None:
            found.unknown.append(inner)
            continue
        if content is None:
            continue
        result = _field(described, content, type_, inner, f"{trail}.{name}" if trail else name, found)
        if result is not _ABSENT:
            decoded[name] = result
    return decoded


def _field(described: Field, content: Any, struct: str, path: str, trail: str, found: Decoded) -> Any:
    type_ = described.type
    optional = type_.startswith("*")
    decoded = _value(type_[1:] if optional else type_, content, struct, path, trail, found)
    if described.omit and not optional and (decoded is False or decoded in ("", 0, [], {})):
        return _ABSENT
    return decoded


def _value(type_: str, value: Any, struct: str, path: str, trail: str, found: Decoded) -> Any:
    """The value canonical; `path` has list indices, `trail` is the same without them, as Go's decoder names it."""
    if type_ == "string":
        if isinstance(value, str):
            return value
    elif type_.startswith("[]"):
        if isinstance(value, list):
            inner = type_[2:].lstrip("*")
            return [
                _value(inner, item, struct, f"{path}[{index}]", trail, found)
                for index, item in enumerate(value)
                if item is not None
            ]
    elif type_.startswith("{}"):
        if isinstance(value, dict):
            inner = type_[2:].lstrip("*")
            return (
                {
                    key: _value(inner, item, struct, f"{path}.{key}", trail, found)
                    for key, item in value.items()
                    if item is not None or _go(inner) == "string"
                }
                if inner != "string"
                else _strings(value, struct, trail)
            )
    elif type_ == "bool":
        if isinstance(value, bool):
            return value
    elif type_ in _INTEGERS:
        return _integer(type_, value, struct, trail)
    elif type_.startswith("enum:"):
        if isinstance(value, str):
            allowed = builtin.table().enums[type_[5:]]
            if value and value not in allowed:
                found.causes.append(not_supported(path, value, list(allowed)))
            return value
    elif type_ in builtin.table().types and type_ != "apiextensions/v1.JSONSchemaProps":
        if isinstance(value, dict):
            return _struct(type_, value, path, trail, found)
    else:
        return _special(type_, value, struct, trail)
    raise _mismatch(value, struct, trail, type_)


def _strings(value: Json, struct: str, trail: str) -> dict[str, str]:
    for item in value.values():
        if item is not None and not isinstance(item, str):
            raise _mismatch(item, struct, trail, "string")
    return {key: "" if item is None else item for key, item in value.items()}


def _integer(type_: str, value: Any, struct: str, trail: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _mismatch(value, struct, trail, type_)
    low, high = _INTEGERS[type_]
    if int(value) != value or not low <= value <= high:
        place = f"Go struct field {struct.rsplit('.', 1)[-1]}.{trail}"
        raise WrongType(f"json: cannot unmarshal number {value} into {place} of type {type_}")
    return int(value)


def _special(type_: str, value: Any, struct: str, trail: str) -> Any:
    match type_:
        case "meta/v1.Time" | "meta/v1.MicroTime":
            if not isinstance(value, str):
                raise _mismatch(value, struct, trail, type_)
            if _TIME.fullmatch(value) is None or not _is_moment(value):
                layout = "2006-01-02T15:04:05Z07:00"
                raise WrongType(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"')
        case "resource.Quantity":
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise _mismatch(value, struct, trail, type_)
            if _QUANTITY.fullmatch(str(value)) is None:
                raise WrongType(_QUANTITY_RULE)
            return str(value)
        case "intstr.IntOrString":
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise _mismatch(value, struct, trail, type_)
            if isinstance(value, int) and not -(2**31) <= value < 2**31:
                raise _mismatch(value, struct, trail, "int32")
        case "bytes":
            if not isinstance(value, str):
                raise _mismatch(value, struct, trail, type_)
            try:
                base64.b64decode("".join(value.split()), validate=True)
            except (binascii.Error, ValueError):
                raise WrongType("illegal base64 data at input byte 0") from None
        case "float64":
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise _mismatch(value, struct, trail, type_)
        case "meta/v1.Duration":
            if not isinstance(value, str):
                raise _mismatch(value, struct, trail, type_)
        case "meta/v1.FieldsV1" | "runtime.RawExtension" | "runtime.Object" | "apiextensions/v1.JSONSchemaProps":
            if not isinstance(value, dict):
                raise _mismatch(value, struct, trail, type_)
        case "meta/v1.Verbs":
            if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
                raise _mismatch(value, struct, trail, "[]string")
    return value


def _is_moment(text: str) -> bool:
    try:
        datetime.datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True
