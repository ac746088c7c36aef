"""The built-in kinds' types, read from `builtin_types.json`: fields, protobuf numbers, list types, merge keys, enums.

The file is made by `tests/apiserver/regenerate_builtin_types.py`. A type is written as Go has it, shortened:
`core/v1.PodSpec` a struct, `[]T` a list, `{}T` a map with text keys, `*T` an optional T, `enum:core/v1.ServiceType` a
text out of a set, `meta/v1.Time` and a few others special forms.
"""

from __future__ import annotations

import functools
from importlib import resources as package_resources
from typing import Any

import msgspec

from gatewright.local.apiserver.store import Json


class Field(msgspec.Struct, frozen=True):
    """One field of a struct. `inline` is the type of an embedded struct, whose fields are the outer one's in JSON."""

    name: str = ""
    number: int = 0
    type: str = ""
    inline: str = ""
    omit: bool = False
    required: bool = False
    merge_key: str = msgspec.field(default="", name="mergeKey")
    strategy: str = ""
    list: str = ""
    keys: tuple[str, ...] = ()
    default: Any = None


class Type(msgspec.Struct, frozen=True):
    """A struct. `atomic` ones have one owner as a whole in server-side apply."""

    fields: tuple[Field, ...]
    atomic: bool = False


class Types(msgspec.Struct, frozen=True):
    """The whole table."""

    source: str
    types: dict[str, Type]
    enums: dict[str, tuple[str, ...]]


@functools.cache
def table() -> Types:
    """The table, read at its first use."""
    raw = package_resources.files(__package__).joinpath("builtin_types.json").read_bytes()
    return msgspec.json.decode(raw, type=Types)


def type_name(group: str, version: str, kind: str) -> str | None:
    """The type of a built-in kind; None for kinds that the table doesn't hold."""
    package = group.split(".", 1)[0] if group else "core"
    for name in (f"{package}/{version}.{kind}", f"meta/v1.{kind}"):
        if name in table().types:
            return name
    return None


@functools.cache
def fields(name: str) -> dict[str, Field]:
    """A struct's fields by their JSON names, embedded structs' included."""
    found: dict[str, Field] = {}
    for field in table().types[name].fields:
        if field.inline:
            found.update(fields(field.inline))
        else:
            found[field.name] = field
    return found


_SPECIAL: dict[str, Json] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int": {"type": "integer"},
    "int32": {"type": "integer", "format": "int32"},
    "uint32": {"type": "integer", "format": "int64"},
    "int64": {"type": "integer", "format": "int64"},
    "uint64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "meta/v1.Time": {"type": "string", "format": "date-time"},
    "meta/v1.MicroTime": {"type": "string", "format": "date-time"},
    "meta/v1.Duration": {"type": "string"},
    "meta/v1.FieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "meta/v1.Verbs": {"type": "array", "items": {"type": "string"}},
    "authentication/v1.ExtraValue": {"type": "array", "items": {"type": "string"}},
    "authorization/v1.ExtraValue": {"type": "array", "items": {"type": "string"}},
    "resource.Quantity": {"anyOf": [{"type": "string"}, {"type": "number"}], "x-kubernetes-quantity": True},
    "intstr.IntOrString": {"x-kubernetes-int-or-string": True},
    "runtime.RawExtension": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    "runtime.Object": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
_ANY: Json = {"x-kubernetes-preserve-unknown-fields": True}
_SELF_CONTAINING = "apiextensions/v1.JSONSchemaProps"


@functools.cache
def schema(type_: str) -> Json:
    """The structural OpenAPI schema of a type. Shared: nobody may change it."""
    if type_.startswith("*"):
        return schema(type_[1:])
    if type_.startswith("[]"):
        return {"type": "array", "items": schema(type_[2:]), "x-kubernetes-list-type": "atomic"}
    if type_.startswith("{}"):
        return {"type": "object", "additionalProperties": schema(type_[2:])}
    if type_.startswith("enum:"):
        return {"type": "string", "enum": list(table().enums[type_[5:]])}
    special = _SPECIAL.get(type_)
    if special is not None:
        return special
    if type_ not in table().types or type_ == _SELF_CONTAINING:
        return _ANY
    properties = {name: field_schema(field) for name, field in fields(type_).items()}
    described: Json = {"type": "object", "properties": properties}
    if table().types[type_].atomic:
        described["x-kubernetes-map-type"] = "atomic"
    required = [name for name, field in fields(type_).items() if field.required]
    if required:
        described["required"] = required
    return described


def field_schema(field: Field) -> Json:
    """The schema of a field: its type's, with what server-side apply and strategic merge patch need to know."""
    described = dict(schema(field.type))
    if field.list in ("map", "set", "atomic", "granular") and described.get("type") == "array":
        described["x-kubernetes-list-type"] = field.list
        if field.keys:
            described["x-kubernetes-list-map-keys"] = list(field.keys)
    elif field.list == "atomic":
        described["x-kubernetes-map-type"] = "atomic"
    if field.merge_key:
        described["x-kubernetes-patch-merge-key"] = field.merge_key
    if field.strategy:
        described["x-kubernetes-patch-strategy"] = field.strategy
    if field.default is not None:
        described["default"] = field.default
    return described


def kind_schema(group: str, version: str, kind: str) -> Json | None:
    """The structural schema of a built-in kind as a whole object, `apiVersion` and `kind` included."""
    name = type_name(group, version, kind)
    if name is None:
        return None
    return _whole(name)


@functools.cache
def _whole(name: str) -> Json:
    described = schema(name)
    head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
    return {**described, "properties": {**head, **described.get("properties", {})}}
