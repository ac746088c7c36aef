"""Bytes and plain data to typed objects and back. An error names the field, what was found and what was expected."""

from __future__ import annotations

import datetime
import functools
import re
from typing import Any, Final, TypeVar

import msgspec

from gatewright.model.core import Secret
from gatewright.model.meta import Model

M = TypeVar("M", bound=Model)

_PATH: Final = re.compile(r"^(?P<what>.*) - at `(?P<key>key in )?(?P<path>\$[^`]*)`$", re.DOTALL)
_MISSING: Final = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_WRONG_TYPE: Final = re.compile(r"^Expected `(?P<expected>[^`]+)`, got `(?P<found>[^`]+)`$")
_STEP: Final = re.compile(r"\.(?P<name>[^.\[]+)|\[(?P<index>\d+)\]|\[(?P<any>\.\.\.)\]")


class InvalidObject(ValueError):
    """Data that is no object of its type.

    `field` is the path in the object (`spec.listeners[0].port`), empty where the whole is wrong; `found` and `expected`
    are for people; `object` names the object as far as it could be read.
    """

    def __init__(self, field: str, found: str, expected: str, *, object: str = "") -> None:  # noqa: A002
        self.object = object
        self.field = field
        self.found = found
        self.expected = expected
        self.message = f"{field or 'the object'}: found {found}, expected {expected}"
        super().__init__(f"{object}: {self.message}" if object else self.message)


@functools.cache
def _decoder(type_: type[Model]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type_)


_encode: Final = msgspec.json.Encoder().encode


def decode(type_: type[M], data: bytes | str | dict[str, Any]) -> M:
    """An object of `type_` from its JSON, or from plain data as a YAML or JSON reader gives it.

    As on the API server, a null counts as absent. Unknown fields are ignored. Raises InvalidObject.
    """
    try:
        try:
            if isinstance(data, dict):
                return msgspec.convert(data, type_)
            result: M = _decoder(type_).decode(data)
            return result
        except msgspec.ValidationError:
            # Perhaps only a spelling that the API server accepts too; the second try decides.
            plain = _canonical(data if isinstance(data, dict) else msgspec.json.decode(data))
    except RecursionError as error:
        raise InvalidObject("", "values nested too deeply", "an object of the API") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidObject("", f"malformed JSON ({error})", "one JSON object") from error
    try:
        return msgspec.convert(plain, type_)
    except msgspec.ValidationError as error:
        raise _invalid(type_, plain, str(error)) from error


def encode(obj: Model) -> bytes:
    """The object's JSON, without fields that have their default."""
    return _encode(obj)


def to_builtins(obj: Model) -> dict[str, Any]:
    """The object as plain data, as `encode` would write it."""
    # By way of JSON: msgspec itself would leave tuples, which are no JSON lists to those who look.
    result: dict[str, Any] = msgspec.json.decode(_encode(obj))
    return result


def _canonical(value: Any) -> Any:
    """Drops nulls; writes 80.0 as 80 and a YAML timestamp as the text it was, as the API server does."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, datetime.datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=datetime.UTC)
        return moment.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
    return value


def _invalid(type_: type[Model], plain: Any, error: str) -> InvalidObject:
    located = _PATH.match(error)
    what, path = (located["what"], located["path"]) if located else (error, "$")
    field, value = _follow(path, plain)
    if missing := _MISSING.match(what):
        name = missing["name"]
        return InvalidObject(f"{field}.{name}".lstrip("."), "nothing", "a value (required)", object=_identity(plain))
    # A value of a Secret must not reach a log.
    shown = type(value).__name__ if issubclass(type_, Secret) else _shown(value)
    if wrong := _WRONG_TYPE.match(what):
        expected = wrong["expected"].replace(" | null", "")
        found = shown if isinstance(value, str | int | float | bool) else wrong["found"]
    else:
        expected = what.removeprefix("Expected ").replace("\\\\Z", "$").replace("\\Z", "$")
        found = shown
        if what.startswith("Invalid enum value"):
            expected = "one of the values that the API defines"
    if located and located["key"]:
        found = f"a key {found}"
    return InvalidObject(field, found, expected, object=_identity(plain))


def _follow(path: str, value: Any) -> tuple[str, Any]:
    """The field path without its root, and the value there as far as it can be followed."""
    for step in _STEP.finditer(path):
        try:
            value = value[step["name"]] if step["name"] else value[int(step["index"])]
        except (KeyError, IndexError, TypeError):
            value = None
    return path.removeprefix("$").lstrip("."), value


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode() if isinstance(value, str | int | float | bool) else type(value).__name__
    return text if len(text) <= 100 else f"{text[:97]}..."


def _identity(plain: Any) -> str:
    """`Kind namespace/name` as far as the data has them."""
    if not isinstance(plain, dict):
        return ""
    metadata = plain.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = "/".join(str(metadata[part]) for part in ("namespace", "name") if metadata.get(part))
    return " ".join(part for part in (str(plain.get("kind", "")), name) if part)
