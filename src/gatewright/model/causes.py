"""What is wrong with an object, in the words of a Kubernetes API server's `Status`."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

REQUIRED: Final = "FieldValueRequired"
INVALID: Final = "FieldValueInvalid"
TYPE_INVALID: Final = "FieldValueTypeInvalid"
NOT_SUPPORTED: Final = "FieldValueNotSupported"
TOO_LONG: Final = "FieldValueTooLong"
TOO_MANY: Final = "FieldValueTooMany"
DUPLICATE: Final = "FieldValueDuplicate"
FORBIDDEN: Final = "FieldValueForbidden"


class Cause(msgspec.Struct, frozen=True):
    """One thing wrong with one field: an entry of a 422 Status' `details.causes`."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


UNCHECKED: Final = Cause(
    INVALID,
    'Invalid value: "null": some validation rules were not checked because the object was invalid; '
    "correct the existing errors to complete validation",
    "<nil>",
)
"""Says, of no field at all, that other causes kept the rules of the kind from being applied."""


def required(field: str, detail: str = "") -> Cause:
    """A field that must be there is not."""
    return Cause(REQUIRED, f"Required value: {detail}" if detail else "Required value", field)


def invalid(field: str, value: Any, detail: str) -> Cause:
    """A value that the field can't have."""
    return Cause(INVALID, f"Invalid value: {shown(value)}: {detail}", field)


def type_invalid(field: str, value: Any, detail: str) -> Cause:
    """A value of the wrong type."""
    return Cause(TYPE_INVALID, f"Invalid value: {shown(value)}: {detail}", field)


def not_supported(field: str, value: Any, values: list[Any]) -> Cause:
    """A value that is none of an enumeration's."""
    listed = ", ".join(json.dumps(v if isinstance(v, str) else json.dumps(v)) for v in values)
    return Cause(NOT_SUPPORTED, f"Unsupported value: {shown(value)}: supported values: {listed}", field)


def too_long(field: str, most: int) -> Cause:
    """A string with more than `most` characters."""
    return Cause(TOO_LONG, f"Too long: may not be more than {most} bytes", field)


def too_many(field: str, count: int, most: int) -> Cause:
    """A list or map with more than `most` entries."""
    return Cause(TOO_MANY, f"Too many: {count}: must have at most {most} items", field)


def duplicate(field: str, value: Any) -> Cause:
    """An entry that repeats another of its list."""
    return Cause(DUPLICATE, f"Duplicate value: {shown(value)}", field)


def shown(value: Any) -> str:
    """A value as Go prints it in such messages."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_number(value)
    if isinstance(value, dict):
        entries = ", ".join(f"{json.dumps(key)}:{shown(value[key])}" for key in sorted(value))
        return f"map[string]interface {{}}{{{entries}}}"
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(shown, value))}}}"
    if value is None:
        return "null"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


def go_number(value: float) -> str:
    """A bound as Go's `%v` prints a float64, which a schema's numbers are there: 1000000 is `1e+06`.

    The fewest digits that tell the number; scientific from 1e+06 on and below 1e-04.
    """
    number = float(value)
    scientific = next(text for n in range(18) if float(text := f"{number:.{n}e}") == number)
    mantissa, exponent = scientific.split("e")
    digits = len(mantissa.lstrip("-").replace(".", ""))
    if -4 <= int(exponent) < 6:
        return f"{number:.{max(0, digits - 1 - int(exponent))}f}"
    return scientific
