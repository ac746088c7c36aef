"""Annotations as values. Nothing is passed over in silence: what is wrong, not supported or not known is told."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from gatewright.aws.ingress.documents import Malformed, decode
from gatewright.aws.ingress.support import ANNOTATIONS, OUTPUTS, PREFIX, find

D = TypeVar("D", bound=msgspec.Struct)

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SHOWN = 80  # characters of a value in a message


def field(name: str) -> str:
    """An annotation, by its name after the prefix, as messages say it."""
    return f"metadata.annotations[{PREFIX}{name}]"


def shown(value: object) -> str:
    """A value in a message."""
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


class Annotations:
    """Reads annotations by their name after the prefix.

    They are given in layers, each with whose they are ("" for the object itself): of an annotation that several have
    the first counts. A value that can't be read counts as absent; `problems` say why, `refused` names such annotations.
    """

    def __init__(self, *layers: tuple[str, Mapping[str, str]]) -> None:
        self.problems: list[str] = []
        self.refused: set[str] = set()
        self._layers = layers

    def refuse(self, name: str, found: object, expected: str, remedy: str = "correct the value") -> None:
        """Say what is wrong with an annotation."""
        self.refused.add(name)
        whose = next((f"{whose}: " for whose, layer in self._layers if whose and PREFIX + name in layer), "")
        self.problems.append(f"{whose}{field(name)}: found {shown(found)}; expected {expected}; {remedy}")

    def names(self, family: str) -> list[str]:
        """The annotations that there are of a family, by their whole names after the prefix."""
        start = PREFIX + family
        return sorted({key.removeprefix(PREFIX) for _, layer in self._layers for key in layer if key.startswith(start)})

    def has(self, name: str) -> bool:
        """Whether it is there at all."""
        return any(PREFIX + name in layer for _, layer in self._layers)

    def raw(self, name: str) -> str | None:
        """The text as it is."""
        return next((layer[PREFIX + name] for _, layer in self._layers if PREFIX + name in layer), None)

    def text(self, name: str, valid: Callable[[str], bool] = bool, expected: str = "a value") -> str | None:
        """A text without the space around it."""
        value = self.raw(name)
        if value is None:
            return None
        value = value.strip()
        if not valid(value):
            self.refuse(name, value or "nothing", expected)
            return None
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str | None:
        """One of `choices`."""
        return self.text(name, choices.__contains__, " or ".join(choices))

    def boolean(self, name: str) -> bool | None:
        """A truth value as Go reads it."""
        value = self.text(name, lambda text: text in _TRUE or text in _FALSE, "true or false")
        return None if value is None else value in _TRUE

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number."""
        value = self.text(name, lambda text: is_number(text, least, most), f"a number from {least} to {most}")
        return None if value is None else int(value)

    def items(
        self, name: str, valid: Callable[[str], bool] = lambda _: True, expected: str = "values, separated by commas"
    ) -> tuple[str, ...] | None:
        """Values that are separated by commas, each once."""
        value = self.raw(name)
        if value is None:
            return None
        found = tuple(dict.fromkeys(item.strip() for item in value.split(",") if item.strip()))
        wrong = [item for item in found if not valid(item)]
        if wrong or not found:
            self.refuse(name, ", ".join(wrong) or "nothing", expected)
            return None
        return found

    def mapping(self, name: str) -> dict[str, str] | None:
        """`key=value` pairs that are separated by commas; a backslash takes the meaning from the character after it."""
        value = self.raw(name)
        if value is None:
            return None
        found: dict[str, str] = {}
        for pair in split(value):
            key, separator, rest = pair.partition("=")
            if not separator or not key.strip():
                self.refuse(name, pair, "key=value pairs, separated by commas", "write a comma in a value as \\,")
                return None
            found[key.strip()] = rest.strip()
        return found

    def document(self, name: str, type_: type[D]) -> D | None:
        """A JSON object."""
        found = self._json(name, type_)
        return found if isinstance(found, type_) else None

    def documents(self, name: str, type_: type[D]) -> tuple[D, ...] | None:
        """A list of JSON objects."""
        found = self._json(name, tuple[type_, ...])  # type: ignore[valid-type]
        return found if isinstance(found, tuple) else None

    def _json(self, name: str, type_: Any) -> Any:
        value = self.raw(name)
        if value is None:
            return None
        try:
            return decode(value, type_)
        except Malformed as error:
            self.refuse(name, value.strip() or "nothing", str(error), "correct the JSON")
            return None


def strays(annotations: Mapping[str, str], *, service: bool = False) -> Iterator[str]:
    """What is to be said of annotations that nothing is read from."""
    for key in sorted(annotations):
        if not key.startswith(PREFIX):
            continue
        name = key.removeprefix(PREFIX)
        if name in OUTPUTS:
            continue
        known = find(name)
        if known is None:
            near = difflib.get_close_matches(name, ANNOTATIONS, n=1)
            remedy = f"did you mean {PREFIX}{near[0]}?" if near else "drop it"
            yield f"{field(name)}: found {shown(annotations[key])}; no such annotation is known; {remedy}"
        elif known.row.support == "no":
            if annotations[key].strip() not in ("none", "false"):
                yield known.row.message(field(name), shown(annotations[key]))
        elif service and known.where == "ingress":
            yield f"{field(name)}: found on a Service; it has an effect on Ingresses only; move it there"


def split(text: str) -> list[str]:
    """The parts between commas; a backslash takes the meaning from the character after it."""
    parts, current, escaped = [], "", False
    for character in text:
        if escaped or character not in "\\,":
            current, escaped = current + character, False
        elif character == "\\":
            escaped = True
        else:
            parts.append(current)
            current = ""
    return [part.strip() for part in (*parts, current) if part.strip()]


def is_number(text: str, least: int, most: int) -> bool:
    """Whether a text is a whole number in a range."""
    digits = text.removeprefix("-") if least < 0 else text
    return digits.isascii() and digits.isdigit() and len(digits) <= 10 and least <= int(text) <= most
