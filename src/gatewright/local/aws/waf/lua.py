"""Python values as Lua source text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_PLAIN = frozenset(range(0x20, 0x7F)) - {ord('"'), ord("\\")}


class Code(str):
    """An expression that is Lua already."""

    __slots__ = ()


def literal(value: object) -> Code:
    """A constant expression: of a string or bytes, a number, a boolean, None, a sequence or a mapping of these.

    Strings keep their bytes (text as UTF-8); a mapping's keys are strings.
    """
    match value:
        case Code():
            return value
        case None:
            return Code("nil")
        case bool():
            return Code("true" if value else "false")
        case int() | float():
            return Code(repr(value))
        case str():
            return _string(value.encode())
        case bytes():
            return _string(value)
        case Mapping():
            return Code("{" + ", ".join(f"[{literal(key)}] = {literal(item)}" for key, item in value.items()) + "}")
        case Sequence():
            return Code("{" + ", ".join(map(literal, value)) + "}")
    raise TypeError(f"{type(value).__name__} has no form in Lua")


def _string(value: bytes) -> Code:
    return Code('"' + "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03d}" for byte in value) + '"')


def call(function: str, *arguments: object) -> Code:
    """A call of a function by its name."""
    return Code(f"{function}({', '.join(map(literal, arguments))})")
