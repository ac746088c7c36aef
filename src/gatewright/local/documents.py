"""YAML documents as plain JSON values, with the line of every field.

YAML is read as Kubernetes reads it: what JSON can't say (timestamps, base-60 numbers) stays the string that was
written. Nothing in a text can make the reader fail or run away: nesting and what aliases stand for have limits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import yaml
from msgspec import Struct

FieldPath: TypeAlias = tuple[str | int, ...]
"""The way from a document's root to a field: names and list positions."""

Lines: TypeAlias = dict[FieldPath, int]
"""The line on which each field starts, from 1. What an alias stands for has the alias's line."""

MAX_DEPTH = 100
"""How deeply lists and objects may be nested."""
MAX_VALUES = 500_000
"""How many values a document may hold, counting what aliases stand for."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_MERGE = "<<"


class Document(Struct, frozen=True):
    """One YAML document: its value as JSON has it, and where its fields are."""

    value: Any
    lines: Lines


class Flaw(Struct, frozen=True):
    """Something that makes a text, or a part of it, unusable; `column` is 0 where it says nothing."""

    line: int
    column: int
    message: str


def documents(text: str) -> Iterator[Document | Flaw]:
    """Each document of a text.

    A document with a flaw isn't given, the others are; a syntax error or excess ends the text.
    """
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # characters that YAML doesn't allow
        yield _syntax(error, text)
        return
    try:
        while not isinstance(event := loader.get_event(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                composer = _Composer(loader)
                value = composer.value(loader.get_event(), ())[0]
                if composer.flaws:
                    yield from composer.flaws
                elif value is not None:
                    yield Document(value, composer.lines)
    except yaml.YAMLError as error:
        yield _syntax(error, text)
    except _Endless as error:
        yield Flaw(error.line, 0, str(error))
    finally:
        loader.dispose()


class _Endless(Exception):
    """More than anyone writes: the text isn't read any further."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


def _syntax(error: yaml.YAMLError, text: str) -> Flaw:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        message = f"not valid YAML: {error.problem or error.context}"
        if error.context and error.context_mark and mark and error.context_mark.line != mark.line:
            message += f" ({error.context} that begins on line {error.context_mark.line + 1})"
        return Flaw(mark.line + 1 if mark else 1, mark.column + 1 if mark else 0, message)
    position = getattr(error, "position", 0)
    reason = getattr(error, "reason", str(error))
    # The reader's positions count characters, or bytes where the text has been encoded for the C library.
    return Flaw(text.count("\n", 0, position) + 1, 0, f"not valid YAML: {reason}")


class _Composer:
    """Builds one document out of the parser's events."""

    def __init__(self, loader: Any) -> None:
        self.lines: Lines = {}
        self.flaws: list[Flaw] = []
        self._loader = loader
        self._anchors: dict[str, tuple[Any, int] | None] = {}  # None while it is being built
        self._values = 0

    def value(self, event: Any, path: FieldPath) -> tuple[Any, int]:
        """The value that begins with `event`, and how many values it holds."""
        line = event.start_mark.line + 1
        self.lines[path] = line
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event.anchor, line)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._count(1, line)
        if isinstance(event, yaml.ScalarEvent):
            found: tuple[Any, int] = (self._scalar(event), 1)
        elif len(path) >= MAX_DEPTH:
            # To read on costs time that grows with the square of the depth.
            raise _Endless(line, f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.MappingStartEvent):
            self._plain(event)
            found = self._mapping(path)
        else:
            self._plain(event)
            found = self._sequence(path)
        if event.anchor:
            self._anchors[event.anchor] = found
        return found

    def _mapping(self, path: FieldPath) -> tuple[dict[str, Any], int]:
        mapping: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        given: dict[str, int] = {}
        size = 1
        while not isinstance(event := self._loader.get_event(), yaml.MappingEndEvent):
            line = event.start_mark.line + 1
            key = self._key(event)
            value, count = self.value(self._loader.get_event(), (*path, key))
            size += count
            self.lines[(*path, key)] = line
            if key == _MERGE and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                for source in value if isinstance(value, list) else [value]:
                    if isinstance(source, dict):
                        merged.append(source)
                    else:
                        self._flaw(line, "found a merge (<<) of something else than objects")
                continue
            first = given.setdefault(key, line)
            if key in mapping:
                self._flaw(line, f"field {key} is given twice; the first is on line {first}")
            mapping[key] = value
        for source in merged:
            for key, value in source.items():
                if key not in mapping:
                    mapping[key] = value
                    self.lines[(*path, key)] = self.lines[(*path, _MERGE)]
        return mapping, size

    def _key(self, event: Any) -> str:
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        line = event.start_mark.line + 1
        self._flaw(line, "expected a string as a field's name")
        if not isinstance(event, yaml.AliasEvent):
            self._skip()
        return f"line {line}"

    def _sequence(self, path: FieldPath) -> tuple[list[Any], int]:
        items: list[Any] = []
        size = 1
        while not isinstance(event := self._loader.get_event(), yaml.SequenceEndEvent):
            value, count = self.value(event, (*path, len(items)))
            size += count
            items.append(value)
        return items, size

    def _alias(self, anchor: str | None, line: int) -> tuple[Any, int]:
        found = self._anchors.get(anchor or "")
        if found is None:
            self._flaw(line, f"*{anchor} " + ("is a part of itself" if anchor in self._anchors else "has no anchor"))
            return None, 1
        self._count(found[1], line)
        return found

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        tag = event.tag
        if tag is None or tag == "!":
            if tag == "!" or not event.implicit[0]:
                return text
            tag = self._loader.resolve(yaml.ScalarNode, text, event.implicit)
        if tag == _TAG + "null":
            return None
        if tag == _TAG + "bool":
            return self._converted(event, tag)
        if tag in (_TAG + "int", _TAG + "float") and ":" not in text:
            number = self._converted(event, tag)
            if isinstance(number, float) and (number != number or number in (float("inf"), float("-inf"))):
                self._flaw(event.start_mark.line + 1, f"found {text}, expected a number that JSON has")
            return number
        if event.tag is None or tag == _TAG + "str":
            return text
        self._flaw(event.start_mark.line + 1, f"found a value of type {event.tag}, expected one that JSON has")
        return None

    def _converted(self, event: Any, tag: str) -> Any:
        node = yaml.ScalarNode(tag, event.value, event.start_mark, event.end_mark)
        try:
            return self._loader.yaml_constructors[tag](self._loader, node)
        except (ValueError, KeyError, IndexError, OverflowError, yaml.YAMLError):
            if event.tag is None:
                return event.value
            self._flaw(event.start_mark.line + 1, f"found {event.value!r}, expected a value of type {event.tag}")
            return None

    def _plain(self, event: Any) -> None:
        if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
            self._flaw(event.start_mark.line + 1, f"found a value of type {event.tag}, expected one that JSON has")

    def _skip(self) -> None:
        """Pass over the rest of the list or object that has just begun."""
        depth = 1
        while depth:
            event = self._loader.get_event()
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _count(self, values: int, line: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise _Endless(line, f"more than {MAX_VALUES} values in one document, with what its aliases stand for")

    def _flaw(self, line: int, message: str) -> None:
        if len(self.flaws) < 20:
            self.flaws.append(Flaw(line, 0, message))
