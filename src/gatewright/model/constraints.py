"""Annotations that carry an API schema's constraints on a field's type, for decoding and for `schema`."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Meta

REQUIRED: Final = Meta(extra={"required": True})
"""The API requires the field although the Python attribute has a default (so that it can be built in steps)."""

NO_DEFAULT: Final = Meta(extra={"default": False})
"""The Python attribute's default stands for absence; the API declares no default."""

INTEGER_RANGE: Final = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1)}
"""The least and the greatest integer of a schema format."""


_OWN_PATTERNS: Final[dict[str, str]] = {}


class InvalidPattern(ValueError):
    """A schema's pattern is not a regular expression in RE2's syntax."""


@functools.cache
def matcher(pattern: str) -> Callable[[str], object]:
    """A test for `pattern` with RE2's meaning: truthy where it matches somewhere in a string. Linear in its length.

    Raises InvalidPattern.
    """
    own = _OWN_PATTERNS.get(pattern)
    if own is not None:
        return re.compile(own).search
    # A run-time CRD's pattern may be anyone's: only RE2 itself is safe from exponential backtracking. Loaded late,
    # and cached, since it takes ten times as long as `re`.
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise InvalidPattern(f"pattern {pattern!r}: {error}") from error
    return functools.lru_cache(maxsize=1024)(lambda value: compiled.search(value) is not None)


def python_pattern(pattern: str) -> str:
    """The Python spelling of an RE2 `pattern`: `$` matches only at the very end there, as `\\Z` does here."""
    out: list[str] = []
    in_class = False
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if char == "\\":
            following = pattern[i : i + 2]
            out.append(r"\Z" if following == r"\z" else following)
            i += 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            # A bracket right after the opening (or its negation) is a member, not the end.
            ahead = re.match(r"\[\^?\]?", pattern[i:])
            assert ahead is not None
            out.append(ahead.group())
            i += ahead.end()
            continue
        elif char == "$":
            char = r"\Z"
        out.append(char)
        i += 1
    return "".join(out)


def text(
    *,
    pattern: str | None = None,
    linear: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    **schema: Any,
) -> Meta:
    """Constraints of a string. `pattern` is the API's RE2 expression.

    `linear` is an equivalent that Python's backtracking engine matches in linear time, where the API's own would
    not be. `schema` holds further schema keywords (`format`, ...), with underscores for dashes.
    """
    extra: dict[str, Any] = {key.replace("_", "-"): value for key, value in schema.items()}
    if pattern is not None:
        extra["pattern"] = pattern
        _OWN_PATTERNS[pattern] = python_pattern(linear or pattern)
    return Meta(
        pattern=_OWN_PATTERNS[pattern] if pattern is not None else None,
        min_length=min_length,
        max_length=max_length,
        extra_json_schema=extra or None,
    )


def integer(form: str | None = "int32", *, ge: int | None = None, le: int | None = None) -> Meta:
    """Constraints of an integer: `form` is its schema format, which bounds it too; `ge` and `le` are inclusive."""
    schema: dict[str, Any] = {}
    if form is not None:
        schema["format"] = form
        lowest, highest = INTEGER_RANGE[form]
        ge = lowest if ge is None else ge
        le = highest if le is None else le
    return Meta(ge=ge, le=le, extra_json_schema=schema or None)


def items(
    *, at_least: int | None = None, at_most: int | None = None, keys: tuple[str, ...] = (), kind: str = ""
) -> Meta:
    """Constraints of a list: its length and its `x-kubernetes-list-type`. `keys` make it a map by those fields."""
    schema: dict[str, Any] = {}
    if keys:
        schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
    elif kind:
        schema = {"x-kubernetes-list-type": kind}
    return Meta(min_length=at_least, max_length=at_most, extra_json_schema=schema or None)


def entries(*, at_most: int) -> Meta:
    """Constraints of a string-keyed map: how many entries it may hold."""
    return Meta(max_length=at_most)
