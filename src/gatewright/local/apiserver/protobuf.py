"""Kubernetes protobuf bodies, which client-go and kubectl send for built-in kinds, as JSON objects.

A body is `k8s\\0` and a `runtime.Unknown` message: the object's apiVersion and kind, and its bytes. Answers are always
JSON, which every client accepts beside protobuf. Field numbers come from `builtin_types.json`.
"""

from __future__ import annotations

import base64
import datetime
import functools
import struct
from collections.abc import Iterator
from typing import Any

import msgspec

from gatewright.local.apiserver import builtin
from gatewright.local.apiserver.builtin import Field
from gatewright.local.apiserver.errors import bad_request, unsupported_media_type
from gatewright.local.apiserver.store import Json

PROTOBUF = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 100


class _Malformed(ValueError):
    """The bytes are no message of the expected type."""


def decode_protobuf(raw: bytes) -> Json:
    """The object in a protobuf body, with its `apiVersion` and `kind`.

    Raises 400 for malformed bytes and 415 for a kind that has no protobuf form here.
    """
    try:
        return _decode_unknown(raw)
    except (_Malformed, UnicodeDecodeError, struct.error, OverflowError, msgspec.DecodeError) as error:
        raise bad_request(f"couldn't decode the request body as Kubernetes protobuf: {error}") from error


def _decode_unknown(raw: bytes) -> Json:
    if not raw.startswith(MAGIC):
        raise _Malformed("it does not begin with the bytes 'k8s\\0'")
    api_version = kind = ""
    content = b""
    for number, value in _wire(raw[len(MAGIC) :]):
        if number == 1:
            for inner, text in _wire(_as_bytes(value)):
                if inner == 1:
                    api_version = _as_bytes(text).decode()
                elif inner == 2:
                    kind = _as_bytes(text).decode()
        elif number == 2:
            content = _as_bytes(value)
    group, _, version = api_version.rpartition("/")
    name = builtin.type_name(group, version, kind)
    if name is None:
        raise unsupported_media_type(f"{PROTOBUF} for {kind} in {api_version}", ("application/json",))
    return {"apiVersion": api_version, "kind": kind, **_message(name, content, 0)}


def _wire(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: number and value (an integer for varints, else bytes)."""
    position, end = 0, len(raw)
    while position < end:
        key, position = _varint(raw, position)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, position = _varint(raw, position)
            yield number, value
            continue
        if wire == _BYTES:
            length, position = _varint(raw, position)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise _Malformed(f"unknown wire type {wire}")
        if position + length > end:
            raise _Malformed("unexpected end")
        yield number, raw[position : position + length]
        position += length


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(raw) or shift > 63:
            raise _Malformed("unexpected end of a number")
        byte = raw[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise _Malformed("a number where bytes are expected")
    return value


def _as_int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise _Malformed("bytes where a number is expected")
    return value - (1 << 64) if value >= 1 << 63 else value


@functools.cache
def _numbers(name: str) -> dict[int, Field]:
    return {field.number: field for field in builtin.table().types[name].fields if field.number}


def _message(name: str, raw: bytes, depth: int) -> Json:
    if depth > _MAX_DEPTH:
        raise _Malformed("nested too deeply")
    numbers = _numbers(name)
    found: Json = {}
    for number, value in _wire(raw):
        field = numbers.get(number)
        if field is None:
            continue
        if field.inline:
            found.update(_message(field.inline, _as_bytes(value), depth + 1))
            continue
        type_, optional = (field.type[1:], True) if field.type.startswith("*") else (field.type, False)
        if type_.startswith("[]"):
            items = found.setdefault(field.name, [])
            if type_[2:] in ("int32", "int64") and isinstance(value, bytes):
                items.extend(_packed(value))
            else:
                items.append(_value(type_[2:].lstrip("*"), value, depth))
        elif type_.startswith("{}"):
            key, entry = _entry(type_[2:].lstrip("*"), _as_bytes(value), depth)
            found.setdefault(field.name, {})[key] = entry
        else:
            decoded = _value(type_, value, depth)
            # A field that isn't optional is on the wire even when it is unset.
            if optional or not field.omit or decoded not in (None, "", 0, False, {}, []):
                found[field.name] = decoded
    return {key: value for key, value in found.items() if value is not None}


def _packed(raw: bytes) -> Iterator[int]:
    position = 0
    while position < len(raw):
        value, position = _varint(raw, position)
        yield _as_int(value)


def _entry(type_: str, raw: bytes, depth: int) -> tuple[str, Any]:
    key, value = "", None
    for number, content in _wire(raw):
        if number == 1:
            key = _as_bytes(content).decode()
        elif number == 2:
            value = _value(type_, content, depth)
    return key, _EMPTY.get(type_, "") if value is None else value


_EMPTY: dict[str, Any] = {"bool": False, "int32": 0, "int64": 0, "bytes": ""}


def _value(type_: str, value: int | bytes, depth: int) -> Any:
    if type_ == "string" or type_.startswith("enum:"):
        return _as_bytes(value).decode()
    if type_ in ("int32", "int64", "int", "uint32", "uint64"):
        return _as_int(value)
    if type_ == "bool":
        return _as_int(value) != 0
    if type_ == "float64":
        return struct.unpack("<d", _as_bytes(value))[0]
    if type_ == "bytes":
        return base64.b64encode(_as_bytes(value)).decode()
    special = _SPECIAL.get(type_)
    if special is not None:
        return special(dict(_wire(_as_bytes(value))))
    if type_ in ("meta/v1.Verbs", "authentication/v1.ExtraValue", "authorization/v1.ExtraValue"):
        return [_as_bytes(item).decode() for number, item in _wire(_as_bytes(value)) if number == 1]
    if type_.startswith("apiextensions/v1.JSONSchemaPropsOr"):
        return _schema_or(type_, _as_bytes(value), depth + 1)
    return _message(type_, _as_bytes(value), depth + 1)


def _moment(parts: dict[int, int | bytes], digits: int) -> str | None:
    seconds, nanos = _as_int(parts.get(1, 0)), _as_int(parts.get(2, 0))
    # Go's zero time, which stands for none.
    if seconds == 0 and nanos == 0:
        return None
    try:
        moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return None
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{nanos // 1000:06d}Z" if digits else f"{text}Z"


def _duration(parts: dict[int, int | bytes]) -> str:
    nanos = _as_int(parts.get(1, 0))
    sign, nanos = ("-", -nanos) if nanos < 0 else ("", nanos)
    minutes, nanos = divmod(nanos, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{nanos / 1e9:.9f}".rstrip("0").rstrip(".")
    return sign + (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"


def _int_or_string(parts: dict[int, int | bytes]) -> int | str:
    if _as_int(parts.get(1, 0)) == 0:
        return _as_int(parts.get(2, 0))
    return _as_bytes(parts.get(3, b"")).decode()


def _raw_json(parts: dict[int, int | bytes]) -> Any:
    raw = _as_bytes(parts.get(1, b""))
    return msgspec.json.decode(raw) if raw else None


def _quantity(parts: dict[int, int | bytes]) -> str:
    return _as_bytes(parts.get(1, b"")).decode()


_SPECIAL: dict[str, Any] = {
    "meta/v1.Time": lambda parts: _moment(parts, 0),
    "meta/v1.MicroTime": lambda parts: _moment(parts, 6),
    "meta/v1.Duration": _duration,
    "meta/v1.FieldsV1": _raw_json,
    "runtime.RawExtension": _raw_json,
    "runtime.Object": _raw_json,
    "apiextensions/v1.JSON": _raw_json,
    "resource.Quantity": _quantity,
    "intstr.IntOrString": _int_or_string,
}


def _schema_or(type_: str, raw: bytes, depth: int) -> Any:
    """The unions that a JSON schema has: a schema or a list of them, a truth value, or names."""
    schema = "apiextensions/v1.JSONSchemaProps"
    allows, single, several, names = False, None, [], []
    for number, value in _wire(raw):
        if type_.endswith("OrBool"):
            if number == 1:
                allows = _as_int(value) != 0
            else:
                single = _message(schema, _as_bytes(value), depth)
        elif number == 1:
            single = _message(schema, _as_bytes(value), depth)
        elif type_.endswith("OrStringArray"):
            names.append(_as_bytes(value).decode())
        else:
            several.append(_message(schema, _as_bytes(value), depth))
    if single is not None:
        return single
    return allows if type_.endswith("OrBool") else names or several
