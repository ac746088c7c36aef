"""One engine over structural schemas: validates, finds and prunes unknown fields, fills in defaults.

Used for built-in kinds, the Gateway API and CustomResourceDefinitions alike. A schema is compiled into closures at its
first use and they are kept; so pass the same dict each time, and don't change it. Nothing here changes a value that it
is given. Wording follows the API server's, see `causes`.
"""

from __future__ import annotations

import collections
import json
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from gatewright.model import causes
from gatewright.model.causes import Cause
from gatewright.model.constraints import INTEGER_RANGE, InvalidPattern, matcher
from gatewright.model.formats import FORMATS
from gatewright.model.schema import Schema
from gatewright.model.structure import (
    Fill,
    Place,
    Unknown,
    fill_of,
    path,
    properties_of,
    prune_of,
    rooted,
    unknown_of,
    without_nulls,
)

__all__ = ["Cause", "InvalidPattern", "apply_defaults", "drop_nulls", "prune", "unknown_fields", "validate"]

Check = Callable[[Any, Place, "str | int", list[Cause]], None]
"""Tests a value, given its parent's place and its key there; appends what is wrong."""


def validate(schema: Schema, value: Any) -> list[Cause]:
    """Everything that is wrong with `value`, in one pass. Unknown fields are no error here."""
    found: list[Cause] = []
    _compiled(schema).check(value, None, "", found)
    return found


def unknown_fields(schema: Schema, value: Any) -> list[str]:
    """The paths of the fields that the schema doesn't know, such as `spec.rules[0].macthes`."""
    found: list[str] = []
    _compiled(schema).unknown(value, None, found)
    return found


def prune(schema: Schema, value: Any) -> Any:
    """`value` without its unknown fields. What needs no change is shared with `value`."""
    drop = _compiled(schema).prune
    return value if drop is None else drop(value)


def drop_nulls(schema: Schema, value: Any) -> Any:
    """`value` without the nulls of fields that can't hold one and have no default, as an API server decodes it.

    Nulls within a list stay. What needs no change is shared with `value`.
    """
    return without_nulls(_compiled(schema).root, value)


def apply_defaults(schema: Schema, value: Any) -> Any:
    """`value` with the schema's defaults where a field is absent, or is a null that it can't hold.

    What needs no change is shared with `value`.
    """
    fill = _compiled(schema).fill
    return value if fill is None else fill(value)


class _Compiled(NamedTuple):
    # The schema is held so that its id stays its own.
    schema: Schema
    check: Check
    fill: Fill | None
    prune: Fill | None
    unknown: Unknown
    root: Schema


_KEPT: Final = 1024
_kept: Final[collections.OrderedDict[int, _Compiled]] = collections.OrderedDict()
_lock: Final = threading.Lock()


def _compiled(schema: Schema) -> _Compiled:
    found = _kept.get(id(schema))
    if found is None:
        root = rooted(schema)
        found = _Compiled(
            schema, _check_of(root, {}), fill_of(root, {}), prune_of(root, {}), unknown_of(root, {}), root
        )
        with _lock:
            _kept[id(schema)] = found
            if len(_kept) > _KEPT:
                _kept.popitem(last=False)
    return found


# Checks


def _check_of(schema: Schema, memo: dict[int, Check]) -> Check:
    if (known := memo.get(id(schema))) is None:
        known = memo[id(schema)] = _combined(schema, _typed(schema, memo), memo)
    return known


def _typed(schema: Schema, memo: dict[int, Check]) -> Check:
    """The check of `type`, and of the keywords that go with it."""
    nullable = bool(schema.get("nullable"))
    if schema.get("x-kubernetes-int-or-string"):
        return _any_of_types(schema, ("integer", "string"), nullable, memo)
    declared = schema.get("type")
    if not declared:
        return _any_of_types(schema, (), nullable, memo)
    return _of_type(schema, declared, nullable, memo)


def _of_type(schema: Schema, declared: str, nullable: bool, memo: dict[int, Check]) -> Check:
    enum = _enum(schema)
    wrong = _wrong_type(declared, nullable, enum)
    if declared == "object":
        return _object(schema, wrong, memo)
    if declared == "array":
        return _array(schema, wrong, memo)
    if declared == "string":
        return _string(schema, wrong, enum)
    if declared in ("integer", "number"):
        return _number(schema, declared, wrong, enum)

    def boolean(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if value.__class__ is not bool:
            wrong(value, parent, key, out)
        elif enum is not None:
            enum(value, parent, key, out)

    return boolean


def _any_of_types(schema: Schema, allowed: tuple[str, ...], nullable: bool, memo: dict[int, Check]) -> Check:
    """The check where several types may stand: each value meets the keywords of its own."""
    by_type = {
        name: _of_type(schema, name, nullable, memo)
        for name in allowed or ("object", "array", "string", "number", "boolean")
    }
    if "number" in by_type:
        by_type["integer"] = by_type["number"]
    wrong = _wrong_type(",".join(allowed), nullable, _enum(schema))

    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        part = by_type.get(_type_name(value))
        if part is not None:
            part(value, parent, key, out)
        elif value is not None or allowed:
            wrong(value, parent, key, out)

    return check


_TYPE_NAMES: Final[dict[type, str]] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _type_name(value: Any) -> str:
    return _TYPE_NAMES.get(value.__class__, type(value).__name__)


def _wrong_type(declared: str, nullable: bool, enum: Check | None) -> Check:
    def wrong(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if value is None and nullable:
            return
        field = _field(parent, key)
        name = _type_name(value)
        out.append(causes.type_invalid(field, name, f'{field} in body must be of type {declared}: "{name}"'))
        if enum is not None:
            enum(value, parent, key, out)

    return wrong


def _field(parent: Place, key: str | int) -> str:
    return path((parent, key)) if key != "" else ""


def _enum(schema: Schema) -> Check | None:
    if "enum" not in schema:
        return None
    values: list[Any] = schema["enum"]

    def enum(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if not any(value == allowed and isinstance(value, bool) == isinstance(allowed, bool) for allowed in values):
            out.append(causes.not_supported(_field(parent, key), value, values))

    return enum


def _object(schema: Schema, wrong: Check, memo: dict[int, Check]) -> Check:
    parts = {name: _check_of(part, memo) for name, part in properties_of(schema).items()}
    additional = schema.get("additionalProperties")
    others = _check_of(additional, memo) if isinstance(additional, dict) else None
    required: tuple[str, ...] = tuple(schema.get("required", ()))
    least, most = schema.get("minProperties"), schema.get("maxProperties")

    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if value.__class__ is not dict:
            wrong(value, parent, key, out)
            return
        place = (parent, key) if key != "" else None
        for name in required:
            if name not in value:
                out.append(causes.required(path((place, name))))  # noqa: PERF401 - rare, and a generator isn't free
        for name, item in value.items():
            part = parts.get(name, others)
            if part is not None:
                part(item, place, name, out)
        if most is not None and len(value) > most:
            out.append(causes.too_many(path(place), len(value), most))
        if least is not None and len(value) < least:
            field = path(place)
            out.append(causes.invalid(field, len(value), f"{field} in body should have at least {least} properties"))

    return check


def _array(schema: Schema, wrong: Check, memo: dict[int, Check]) -> Check:
    items = schema.get("items")
    member = _check_of(items, memo) if isinstance(items, dict) else None
    least, most = schema.get("minItems"), schema.get("maxItems")
    list_type = schema.get("x-kubernetes-list-type")
    keys: tuple[str, ...] = tuple(schema.get("x-kubernetes-list-map-keys", ())) if list_type == "map" else ()
    unique = schema.get("uniqueItems")

    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if value.__class__ is not list:
            wrong(value, parent, key, out)
            return
        place = (parent, key) if key != "" else None
        count = len(value)
        if most is not None and count > most:
            out.append(causes.too_many(path(place), count, most))
        if least is not None and count < least:
            field = path(place)
            out.append(causes.invalid(field, count, f"{field} in body should have at least {least} items"))
        if member is not None:
            for index, item in enumerate(value):
                member(item, place, index, out)
        if count > 1:
            if keys:
                _distinct_keys(value, keys, place, out)
            elif list_type == "set":
                _distinct(value, place, out)
            elif unique and len({_identity(item) for item in value}) < count:
                field = path(place)
                out.append(causes.invalid(field, "", f"{field} in body shouldn't contain duplicates"))

    return check


def _identity(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _distinct(value: list[Any], place: Place, out: list[Cause]) -> None:
    seen: set[str] = set()
    for index, item in enumerate(value):
        identity = _identity(item)
        if identity in seen:
            out.append(causes.duplicate(path((place, index)), item))
        seen.add(identity)


def _distinct_keys(value: list[Any], keys: tuple[str, ...], place: Place, out: list[Cause]) -> None:
    seen: set[Any] = set()
    for index, item in enumerate(value):
        if item.__class__ is not dict:
            continue
        found = {name: item[name] for name in keys if name in item}
        simple = all(part.__class__ is str for part in found.values())
        identity = tuple(found.items()) if simple else _identity(found)
        if identity in seen:
            out.append(causes.duplicate(path((place, index)), found))
        seen.add(identity)


_REMEMBERED: Final = 1024


def _string(schema: Schema, wrong: Check, enum: Check | None) -> Check:
    least, most = schema.get("minLength"), schema.get("maxLength")
    pattern, form = schema.get("pattern"), schema.get("format", "")
    matches = matcher(pattern) if pattern is not None else None
    is_format = FORMATS.get(form)
    # The same names, kinds and groups come again and again; matching them is most of the cost.
    good: set[str] = set()

    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if value.__class__ is not str:
            wrong(value, parent, key, out)
            return
        if value in good:
            return
        before = len(out)
        if most is not None and len(value) > most:
            out.append(causes.too_long(_field(parent, key), most))
        if least is not None and len(value) < least:
            field = _field(parent, key)
            out.append(causes.invalid(field, value, f"{field} in body should be at least {least} chars long"))
        if matches is not None and not matches(value):
            field = _field(parent, key)
            out.append(causes.invalid(field, value, f"{field} in body should match '{pattern}'"))
        if is_format is not None and not is_format(value):
            field = _field(parent, key)
            quoted = causes.shown(value)
            out.append(causes.type_invalid(field, value, f"{field} in body must be of type {form}: {quoted}"))
        if enum is not None:
            enum(value, parent, key, out)
        if len(out) == before and len(value) < 256:
            if len(good) >= _REMEMBERED:
                good.clear()
            good.add(value)

    return check


def _number(schema: Schema, declared: str, wrong: Check, enum: Check | None) -> Check:
    least, most = schema.get("minimum"), schema.get("maximum")
    least_excluded, most_excluded = bool(schema.get("exclusiveMinimum")), bool(schema.get("exclusiveMaximum"))
    multiple = schema.get("multipleOf") or None  # of 0, nothing is a multiple
    form = schema.get("format", "int64" if declared == "integer" else "")
    bounds = INTEGER_RANGE.get(form) if declared == "integer" else None

    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        kind = value.__class__
        if kind is not int and (kind is not float or (declared == "integer" and not value.is_integer())):
            wrong(value, parent, key, out)
            return
        detail = ""
        if least is not None and (value <= least if least_excluded else value < least):
            bound = "greater than" if least_excluded else "greater than or equal to"
            detail = f"should be {bound} {causes.go_number(least)}"
        elif most is not None and (value >= most if most_excluded else value > most):
            bound = "less than" if most_excluded else "less than or equal to"
            detail = f"should be {bound} {causes.go_number(most)}"
        elif multiple is not None and value % multiple != 0:
            detail = f"should be a multiple of {causes.go_number(multiple)}"
        if detail:
            field = _field(parent, key)
            out.append(causes.invalid(field, value, f"{field} in body {detail}"))
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            text = f"Checked value must be of type integer with format {form}"
            out.append(causes.invalid("<nil>", "", text))
        if enum is not None:
            enum(value, parent, key, out)

    return check


# Combinations


def _combined(schema: Schema, check: Check, memo: dict[int, Check]) -> Check:
    """`check` with the schema's allOf, anyOf, oneOf and not."""
    if schema.get("x-kubernetes-int-or-string"):
        # Its anyOf only repeats the two types.
        parts = [part for part in schema.get("anyOf", ()) if part.keys() != {"type"}]
    else:
        parts = list(schema.get("anyOf", ()))
    checks = [check]
    if parts:
        checks.append(_some([_check_of(part, memo) for part in parts]))
    if alternatives := schema.get("oneOf"):
        checks.append(_one([_check_of(part, memo) for part in alternatives]))
    if together := schema.get("allOf"):
        checks.append(_every([_check_of(part, memo) for part in together]))
    if (excluded := schema.get("not")) is not None:
        checks.append(_none(_check_of(excluded, memo)))
    if len(checks) == 1:
        return check

    def combined(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if value is None and schema.get("nullable"):
            return
        for part in checks:
            part(value, parent, key, out)

    return combined


def _failures(parts: list[Check], value: Any, parent: Place, key: str | int) -> list[list[Cause]]:
    results: list[list[Cause]] = []
    for part in parts:
        found: list[Cause] = []
        part(value, parent, key, found)
        results.append(found)
    return results


def _fewest(results: list[list[Cause]]) -> list[Cause]:
    return min(results, key=len)


def _composite(parent: Place, key: str | int, detail: str) -> Cause:
    # The API server loses the field here, and prints its nil.
    return causes.invalid("<nil>", "", f'"{_field(parent, key)}" {detail}')


def _some(parts: list[Check]) -> Check:
    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        results = _failures(parts, value, parent, key)
        if all(results):
            out.append(_composite(parent, key, "must validate at least one schema (anyOf)"))
            out.extend(_fewest(results))

    return check


def _one(parts: list[Check]) -> Check:
    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        results = _failures(parts, value, parent, key)
        valid = sum(not found for found in results)
        if valid == 1:
            return
        found = f"Found {valid} valid alternatives" if valid else "Found none valid"
        out.append(_composite(parent, key, f"must validate one and only one schema (oneOf). {found}"))
        if not valid:
            out.extend(_fewest(results))

    return check


def _every(parts: list[Check]) -> Check:
    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        failed = [cause for found in _failures(parts, value, parent, key) for cause in found]
        if failed:
            out.append(_composite(parent, key, "must validate all the schemas (allOf)"))
            out.extend(failed)

    return check


def _none(part: Check) -> Check:
    def check(value: Any, parent: Place, key: str | int, out: list[Cause]) -> None:
        if not _failures([part], value, parent, key)[0]:
            out.append(_composite(parent, key, "must not validate the schema (not)"))

    return check
