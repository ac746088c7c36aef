"""What the service's own model says of a request: required members, enums, ranges, lengths and patterns.

AWS answers all violations at once, as `2 validation errors detected: Value '0' at 'priority' failed to satisfy
constraint: Member must have value greater than or equal to 1; ...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2
from botocore.model import ListShape, OperationModel, Shape, StructureShape

from gatewright.local.aws.elbv2.errors import invalid


def check(operation: OperationModel, request: dict[str, Any]) -> None:
    """Raise a ValidationError that names each violation of the model."""
    if operation.input_shape is None:
        return
    found = list(_violations(operation.input_shape, request, ""))
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise invalid(f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                yield _violation(None, _below(path, name), "Member must not be null")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _violations(member, value[name], _below(path, name))
    elif isinstance(shape, ListShape):
        yield from _sizes(shape, len(value), value, path, "length")
        for number, item in enumerate(value, 1):
            yield from _violations(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name in ("integer", "long"):
        yield from _sizes(shape, value, value, path, "value")
    elif shape.type_name == "string":
        if enum := shape.metadata.get("enum"):
            if value not in enum:
                yield _violation(value, path, f"Member must satisfy enum value set: [{', '.join(enum)}]")
            return
        yield from _sizes(shape, len(value), value, path, "length")
        pattern = shape.metadata.get("pattern")
        if pattern and not re2.search(pattern, value):  # Java's classes, as \p{L}, are RE2's as well
            yield _violation(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _sizes(shape: Shape, size: int, value: Any, path: str, what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _violation(value, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and size > most:
        yield _violation(value, path, f"Member must have {what} less than or equal to {most}")


def _violation(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _below(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name
