"""The API's refusals in words for people who edit manifests: the field, its line, what was found, what fits."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from gatewright.cluster import ApiError
from gatewright.local.documents import FieldPath
from gatewright.local.manifests import Manifest, Problem, parse_field
from gatewright.model.causes import UNCHECKED
from gatewright.model.kinds import KINDS, find
from gatewright.model.schema import openapi_schema

_UNKNOWN_FIELD = re.compile(r'(?:unknown|duplicate) field "([^"]+)"|(?:^|\s)\.([\w.\[\]"=]+): field not declared')
_WRONG_TYPE = re.compile(r"must be of type (\w+)")
_GO_TYPE = re.compile(r"cannot unmarshal (\w+) into Go struct field \w+\.([\w.\[\]]+) of type (\S+)")
_INVALID_VALUE = re.compile(r'^(?:[\w.\[\]"]+: )?Invalid value: (?:"(?:[^"\\]|\\.)*"|[^\s:]+): ')
_NO_NAMESPACE = re.compile(r'^namespaces "([^"]*)" not found')
_SECRET_FIELDS = ("data", "stringData")
_LONGEST = 60  # characters of a value that a message repeats


def refusals(manifest: Manifest, error: ApiError) -> list[Problem]:
    """A problem for each cause that the API names, at the line of its field."""
    fields = [first or second for first, second in _UNKNOWN_FIELD.findall(error.message)]
    if fields:
        return [_problem(manifest, field, f"unknown field; {_expected(manifest, field)}") for field in fields]
    causes = [cause for cause in error.causes if (cause.field, cause.message) != (UNCHECKED.field, UNCHECKED.message)]
    if causes:
        return [_problem(manifest, cause.field, _said(manifest, cause.field, cause.message)) for cause in causes]
    go = _GO_TYPE.search(error.message)
    if go:
        return [
            _problem(manifest, go[2], f"found {_shown(manifest, go[2]) or go[1]}, expected {_GO.get(go[3], go[3])}")
        ]
    namespace = _NO_NAMESPACE.search(error.message)
    if namespace:
        message = f"there is no namespace {namespace[1]}; add a Namespace object of that name"
        return [_problem(manifest, "metadata.namespace", message)]
    return [Problem(manifest.where(), manifest.subject, error.message)]


def unknown_kind(manifest: Manifest) -> str:
    """Why there is no such kind, and what was probably meant."""
    versions = [kind.api_version for kind in KINDS if kind.kind == manifest.kind]
    if versions:
        return f"apiVersion: found {manifest.api_version}, expected {' or '.join(versions)} for kind {manifest.kind}"
    nearest = _nearest(manifest.kind, (kind.kind for kind in KINDS))
    remedy = f"did you mean {nearest}?" if nearest else "is its CustomResourceDefinition missing?"
    return f"kind: there is no kind {manifest.kind} in {manifest.api_version}; {remedy}"


_GO = {"int32": "a number", "int64": "a number", "bool": "true or false", "string": "a string"}
_JSON = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a string",
    "object": "an object",
    "array": "a list",
}


def _problem(manifest: Manifest, field: str, message: str) -> Problem:
    return Problem(manifest.where(field), manifest.subject, f"{field}: {message}" if field else message)


def _said(manifest: Manifest, field: str, message: str) -> str:
    """The API's message without what the line says already, and with the value as the file has it."""
    kind = _WRONG_TYPE.search(message)
    if kind:
        return f"found {_shown(manifest, field) or 'another type'}, expected {_JSON.get(kind[1], kind[1])}"
    short = _INVALID_VALUE.sub("", message)
    for prefix in (f"{field} in body ", f"{field}: "):
        short = short.removeprefix(prefix)
    if short != message and "Invalid value" in message:
        shown = _shown(manifest, field)
        return f"found {shown}: {short}" if shown and not shown.startswith(("{", "[")) else short
    return short


def _shown(manifest: Manifest, field: str) -> str:
    """The value of a field as JSON, shortened; empty where there is none, or where it is nobody's to read."""
    path = parse_field(field)
    if manifest.kind == "Secret" and path[:1] and path[0] in _SECRET_FIELDS:
        return ""
    value: Any = manifest.content
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _expected(manifest: Manifest, field: str) -> str:
    """What an unknown field should perhaps be."""
    path = parse_field(field)
    known = _fields(manifest, path[:-1])
    owner = f"{manifest.kind} {_dotted(path[:-1])}".strip()
    if not known:
        return f"{owner} has none of that name"
    nearest = _nearest(str(path[-1]), known)
    if nearest:
        return f"did you mean {nearest}?"
    names = ", ".join(sorted(known))
    return f"{owner} has {names}" if len(names) <= 200 else f"{owner} has none of that name"


def _fields(manifest: Manifest, path: FieldPath) -> set[str]:
    """The names of the fields at a path, out of the kind's schema; empty where it isn't known."""
    kind = find(manifest.api_version, manifest.kind)
    if kind is None or kind.type is None:
        return set()
    schema: dict[str, Any] = openapi_schema(kind.type)
    for part in path:
        schema = schema.get("items", {}) if isinstance(part, int) else schema.get("properties", {}).get(part, {})
    return set(schema.get("properties", ()))


def _nearest(name: str, known: Iterable[str]) -> str:
    by_lower = {word.lower(): word for word in known}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.75)
    return by_lower[found[0]] if found else ""


def _dotted(path: FieldPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
