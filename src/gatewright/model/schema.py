"""OpenAPI v3 structural schemas out of typed objects: ours, and lightkube's for the built-in kinds."""

from __future__ import annotations

import copy
import datetime
import functools
import re
import sys
import types
import typing
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from gatewright.model.constraints import INTEGER_RANGE
from gatewright.model.meta import Object

Schema = dict[str, Any]

_PRESERVE: Final[Schema] = {"x-kubernetes-preserve-unknown-fields": True}
_STRINGS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_INT_OR_STRING: Final[Schema] = {
    "anyOf": [{"type": "integer"}, {"type": "string"}],
    "x-kubernetes-int-or-string": True,
}
_QUANTITY: Final[Schema] = {"oneOf": [{"type": "string", "format": "quantity"}, {"type": "number"}]}

OBJECT_META: Final[Schema] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "generateName": {"type": "string"},
        "namespace": {"type": "string"},
        "selfLink": {"type": "string"},
        "uid": {"type": "string"},
        "resourceVersion": {"type": "string"},
        "generation": {"type": "integer", "format": "int64"},
        "creationTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "deletionTimestamp": {"type": "string", "format": "date-time", "nullable": True},
        "deletionGracePeriodSeconds": {"type": "integer", "format": "int64", "nullable": True},
        "labels": {**_STRINGS, "nullable": True},
        "annotations": {**_STRINGS, "nullable": True},
        "ownerReferences": {
            "type": "array",
            "nullable": True,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["uid"],
            "items": {
                "type": "object",
                "required": ["apiVersion", "kind", "name", "uid"],
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "name": {"type": "string"},
                    "uid": {"type": "string"},
                    "controller": {"type": "boolean", "nullable": True},
                    "blockOwnerDeletion": {"type": "boolean", "nullable": True},
                },
            },
        },
        "finalizers": {
            "type": "array",
            "nullable": True,
            "items": {"type": "string"},
            "x-kubernetes-list-type": "set",
        },
        "managedFields": {"type": "array", "nullable": True, "items": {"type": "object", **_PRESERVE}},
    },
}
"""The schema of `metadata`, for kinds whose own schema leaves it open as a CustomResourceDefinition's does."""


_OPEN_MAP: Final[Schema] = {"type": "object", **_PRESERVE}
_QUANTITIES: Final[Schema] = {"type": "object", "additionalProperties": _QUANTITY}
_BYTES: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}

# lightkube declares every map as a plain dict. What it holds goes by the field's name, or by its type's and its own.
_BUILTIN_MAPS: Final[dict[str, Schema]] = {
    **dict.fromkeys(
        (
            *("annotations", "labels", "matchLabels", "nodeSelector", "selector", "data", "stringData", "options"),
            *("volumeAttributes", "attachmentMetadata", "deprecatedTopology", "allocatedResourceStatuses"),
        ),
        _STRINGS,
    ),
    **dict.fromkeys(
        (
            *("limits", "requests", "capacity", "allocatable", "hard", "used", "min", "max", "default", "overhead"),
            *("defaultRequest", "maxLimitRequestRatio", "podFixed", "allocatedResources"),
        ),
        _QUANTITIES,
    ),
    "binaryData": _BYTES,
    "Secret.data": _BYTES,
    "disruptedPods": {"type": "object", "additionalProperties": {"type": "string", "format": "date-time"}},
    "ControllerRevision.data": _OPEN_MAP,
}


class _Quantity:
    """Stands for `resource.Quantity` while lightkube's annotations are read: there it is a plain `str`."""


def openapi_schema(struct_type: type[msgspec.Struct]) -> Schema:
    """The structural schema of a Struct's JSON. Of kinds, `apiVersion`, `kind` and `metadata` are included.

    Equal parts are the same dict object, and the result is cached: copy before changing it.
    """
    if issubclass(struct_type, Object):
        return _own(struct_type)
    return _builtin(struct_type, frozenset())


# Our own types


@functools.cache
def _own(struct_type: type[msgspec.Struct]) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    hints = typing.get_type_hints(struct_type, include_extras=True)
    for field in msgspec.structs.fields(struct_type):
        name = field.encode_name
        if issubclass(struct_type, Object) and field.name in ("api_version", "kind", "metadata"):
            properties[name] = {"type": "object" if name == "metadata" else "string"}
            continue
        schema, extra = _annotated(hints[field.name])
        has_default = field.default is not msgspec.NODEFAULT or field.default_factory is not msgspec.NODEFAULT
        if extra.get("required") or not has_default:
            required.append(name)
        elif extra.get("default", True) and (default := _api_default(schema, field.default)) is not None:
            schema = {**schema, "default": default}
        properties[name] = schema
    result: Schema = {"type": "object", "properties": properties}
    if required:
        result["required"] = sorted(required)
    if struct_type.__doc__:
        result["description"] = _unwrapped(struct_type.__doc__)
    return result


def _api_default(schema: Schema, default: Any) -> Any:
    """What the API server fills in where the Python attribute has `default`; None where that stands for absence."""
    if default is msgspec.NODEFAULT or default is None or default == ():
        return None
    if isinstance(default, msgspec.Struct):
        return _filled(schema, default)
    if isinstance(default, tuple):
        return [_filled(schema["items"], item) for item in default]
    return default


def _filled(schema: Schema, value: Any) -> Any:
    """`value` as plain data with its schema's defaults and required fields, but nothing that is merely absent."""
    if not isinstance(value, msgspec.Struct):
        return value
    result: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(value)):
        part = schema["properties"][field.encode_name]
        item = getattr(value, field.name)
        if item is None or item == () or item == {} or (item == 0 and "default" not in part):
            continue
        if isinstance(item, tuple):
            result[field.encode_name] = [_filled(part["items"], member) for member in item]
        else:
            result[field.encode_name] = _filled(part, item)
    return result


def _annotated(hint: Any) -> tuple[Schema, dict[str, Any]]:
    """The schema of a type annotation, and the `extra` of its Metas."""
    metas: list[msgspec.Meta] = []
    while True:
        origin = get_origin(hint)
        if origin is typing.Annotated:
            base, *own = get_args(hint)
            # The outermost annotation speaks last.
            metas = [*(meta for meta in own if isinstance(meta, msgspec.Meta)), *metas]
            hint = base
        elif origin in (Union, types.UnionType) and types.NoneType in get_args(hint):
            rest = tuple(arg for arg in get_args(hint) if arg is not types.NoneType)
            hint = rest[0] if len(rest) == 1 else Union[rest]  # noqa: UP007
        else:
            break
    schema = dict(_plain(hint))
    extra: dict[str, Any] = {}
    for meta in metas:
        schema.update(_constraints(meta, schema))
        extra.update(meta.extra or {})
    return schema, extra


def _plain(hint: Any) -> Schema:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal or origin in (Union, types.UnionType):
        values = _literals(hint)
        if values is None:
            return _INT_OR_STRING
        return {"type": "integer" if isinstance(values[0], int) else "string", "enum": values}
    if origin is tuple:
        return {"type": "array", "items": _annotated(args[0])[0]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _annotated(args[1])[0]}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _own(hint)
    return {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        bytes: {"type": "string", "format": "byte"},
    }[hint]


def _literals(hint: Any) -> list[Any] | None:
    """The values of a Literal, or of a union of Literals; None for another union."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    values: list[Any] = []
    for arg in get_args(hint):
        if get_origin(arg) is not Literal:
            return None
        values += get_args(arg)
    return values


_LENGTHS: Final = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


def _constraints(meta: msgspec.Meta, schema: Schema) -> Schema:
    result: Schema = dict(meta.extra_json_schema or {})
    least, most = _LENGTHS.get(schema.get("type", ""), ("", ""))
    if meta.min_length is not None:
        result[least] = meta.min_length
    if meta.max_length is not None:
        result[most] = meta.max_length
    lowest, highest = INTEGER_RANGE.get(result.get("format", ""), (None, None))
    if meta.ge is not None and meta.ge != lowest:
        result["minimum"] = meta.ge
    if meta.le is not None and meta.le != highest:
        result["maximum"] = meta.le
    if meta.description:
        result["description"] = meta.description
    return result


# lightkube's types

_PARAMETER: Final = re.compile(r"^\s*\* \*\*(?P<name>[^*]+)\*\* ``[^`]*``(?: - (?P<text>.*))?$")


_BUILTIN: Final[dict[type, Schema]] = {}


def _builtin(struct_type: type[msgspec.Struct], within: frozenset[type]) -> Schema:
    if struct_type in within or struct_type.__name__ == "JSONSchemaProps":
        # A structural schema can't recurse.
        return {"type": "object", **_PRESERVE}
    if (known := _BUILTIN.get(struct_type)) is not None:
        return known
    within |= {struct_type}
    description, parameters = _documented(struct_type)
    properties: Schema = {}
    required: list[str] = []
    hints = _lightkube_hints(struct_type)
    for field in msgspec.structs.fields(struct_type):
        hint = hints[field.name]
        optional = get_origin(hint) is Union and types.NoneType in get_args(hint)
        schema = dict(_BUILTIN_MAPS.get(f"{struct_type.__name__}.{field.encode_name}") or _builtin_plain(hint, within))
        if schema == _OPEN_MAP:
            schema = dict(_BUILTIN_MAPS.get(field.encode_name, _OPEN_MAP))
        if optional:
            # Built-in kinds read a null as absence.
            schema["nullable"] = True
        else:
            required.append(field.encode_name)
        if text := parameters.get(field.encode_name):
            schema["description"] = text
        properties[field.encode_name] = schema
    result: Schema = {"type": "object", "properties": properties}
    if required:
        result["required"] = required
    if description:
        result["description"] = description
    _BUILTIN[struct_type] = result
    return result


def _builtin_plain(hint: Any, within: frozenset[type]) -> Schema:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Union:
        rest = [arg for arg in args if arg is not types.NoneType]
        return _builtin_plain(rest[0], within) if len(rest) == 1 else _INT_OR_STRING
    if origin is list:
        return {"type": "array", "items": _builtin_plain(args[0], within)}
    if origin is dict and args:
        return {"type": "object", "additionalProperties": _builtin_plain(args[1], within)}
    if hint is typing.Dict or hint is dict:  # noqa: UP006
        return {"type": "object", **_PRESERVE}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _builtin(hint, within)
    known: dict[Any, Schema] = {
        str: {"type": "string"},
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        bytes: {"type": "string", "format": "byte"},
        datetime.datetime: {"type": "string", "format": "date-time"},
        _Quantity: _QUANTITY,
    }
    return known.get(hint, _PRESERVE)


def _lightkube_hints(struct_type: type) -> dict[str, Any]:
    """The field types of a lightkube Struct, with Quantity told apart from other strings."""
    names = {**vars(typing), **vars(sys.modules[struct_type.__module__])}
    names["resource"] = types.SimpleNamespace(Quantity=_Quantity)
    # Not of the class itself: a field called `resource` would hide the module.
    annotated = types.SimpleNamespace(
        __annotations__={
            k: v for base in reversed(struct_type.__mro__) for k, v in vars(base).get("__annotations__", {}).items()
        }
    )
    return typing.get_type_hints(annotated, globalns=names)


def _documented(struct_type: type) -> tuple[str, dict[str, str]]:
    """A lightkube docstring's own text, and its text for each field by JSON name."""
    head, _, tail = (struct_type.__doc__ or "").partition("**parameters**")
    parameters: dict[str, str] = {}
    name = ""
    for line in tail.splitlines():
        if found := _PARAMETER.match(line):
            name = found["name"]
            parameters[name] = (found["text"] or "").strip()
        elif name and line.strip():
            parameters[name] = f"{parameters[name]} {line.strip()}".strip()
    return _unwrapped(head), parameters


def _unwrapped(text: str) -> str:
    """Paragraphs, each on one line."""
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def copied(schema: Schema) -> Schema:
    """A schema of one's own, to change."""
    return copy.deepcopy(schema)
