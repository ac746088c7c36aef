"""Rules on parts of an object, and the walk that applies them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final

from gatewright.model import causes
from gatewright.model.causes import Cause
from gatewright.model.structure import Place, path


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule of a CustomResourceDefinition: `holds` is told the part of the object that it is declared on.

    `cel` is the rule as the definition has it, where we are the ones to write that definition.
    """

    message: str
    holds: Callable[[Any], bool]
    cel: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class TransitionRule:
    """A rule on an update: `holds` is told the new value and the old one."""

    message: str
    holds: Callable[[Any, Any], bool]


Rules = Mapping[str, tuple[Rule | TransitionRule, ...]]
"""Rules by where they are declared: `spec.listeners` for a list, `spec.listeners[]` for each of its entries."""


@dataclasses.dataclass(slots=True)
class _Node:
    rules: tuple[Rule | TransitionRule, ...] = ()
    fields: dict[str, _Node] = dataclasses.field(default_factory=dict)
    items: _Node | None = None


_MISSING: Final = object()


class RuleSet:
    """A kind's rules, laid out as the kind is, so that one walk over an object applies them all."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._root = _Node()
        for where, declared in rules.items():
            node = self._root
            for step in where.replace("[]", ".[]").split("."):
                if step == "[]":
                    node.items = node.items or _Node()
                    node = node.items
                else:
                    node = node.fields.setdefault(step, _Node())
            node.rules = declared

    def violations(self, value: Any, old: Any = _MISSING) -> list[Cause]:
        """The causes for every rule that `value`, with its defaults filled in, breaks. `old` is what it replaces."""
        found: list[Cause] = []
        _walk(self._root, value, old, None, found)
        return found


def _walk(node: _Node, value: Any, old: Any, place: Place, found: list[Cause]) -> None:
    for rule in node.rules:
        if not _holds(rule, value, old):
            found.append(_cause(rule.message, value, place))  # noqa: PERF401 - a generator costs more than the loop
    if node.fields and isinstance(value, dict):
        before = old if isinstance(old, dict) else {}
        for name, below in node.fields.items():
            if name in value:
                _walk(below, value[name], before.get(name, _MISSING), (place, name), found)
    if node.items is not None and isinstance(value, list):
        # Entries of an atomic list have no counterpart in the old one.
        for index, item in enumerate(value):
            _walk(node.items, item, _MISSING, (place, index), found)


def _holds(rule: Rule | TransitionRule, value: Any, old: Any) -> bool:
    try:
        if isinstance(rule, TransitionRule):
            return old is _MISSING or rule.holds(value, old)
        return rule.holds(value)
    except (AttributeError, KeyError, TypeError):
        # A value of another shape than the schema's; validation against the schema says so, in better words.
        return True


def _cause(message: str, value: Any, place: Place) -> Cause:
    shown = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else value
    return causes.invalid(path(place), shown, message)
