"""Rules that several kinds declare on the same kind of part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from gatewright.model.rules.engine import Rule, Rules

_TERM: Final = re.compile(r"([0-9]+)(ms|h|m|s)")
_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def milliseconds(duration: str) -> int:
    """A GEP-2257 duration in milliseconds."""
    return sum(int(amount) * _MILLISECONDS[unit] for amount, unit in _TERM.findall(duration))


def distinct(identities: Iterable[Any]) -> bool:
    """Whether no two are equal."""
    listed = list(identities)
    return len(set(listed)) == len(listed)


def _parent(ref: dict[str, Any]) -> tuple[Any, ...]:
    return ref["group"], ref["kind"], ref["name"], ref.get("namespace") or ""


def _target(ref: dict[str, Any]) -> tuple[Any, ...]:
    return ref["group"], ref["kind"], ref["name"]


def _told_apart_alike(
    refs: list[dict[str, Any]], same: Callable[[dict[str, Any]], tuple[Any, ...]], by: tuple[str, ...]
) -> bool:
    """Whether references to the same object all use the same fields of `by` to tell themselves apart."""
    used: dict[tuple[Any, ...], tuple[bool, ...]] = {}
    return all(
        used.setdefault(same(ref), mine) == mine for ref in refs for mine in [tuple(bool(ref.get(k)) for k in by)]
    )


PARENT_REFS: Final = (
    Rule(
        "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
        lambda refs: _told_apart_alike(refs, _parent, ("sectionName", "port")),
    ),
    Rule(
        "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
        lambda refs: distinct((*_parent(r), r.get("sectionName") or "", r.get("port") or 0) for r in refs),
    ),
)

TARGET_REFS: Final = (
    Rule(
        "sectionName must be specified when targetRefs includes 2 or more references to the same target",
        lambda refs: _told_apart_alike(refs, _target, ("sectionName",)),
    ),
    Rule(
        "sectionName must be unique when targetRefs includes 2 or more references to the same target",
        lambda refs: distinct((*_target(ref), ref.get("sectionName") or "") for ref in refs),
    ),
)

RULE_NAMES: Final = Rule(
    "Rule name must be unique within the route",
    lambda rules: distinct(rule["name"] for rule in rules if "name" in rule),
)

TOTAL_MATCHES: Final = Rule(
    "While 16 rules and 64 matches per rule are allowed, "
    "the total number of matches across all rules in a route must be less than 128",
    lambda rules: sum(len(rule.get("matches", ())) for rule in rules) <= 128,
)

BACKEND_REF: Final = (
    Rule(
        "Must have port for Service reference",
        lambda ref: "port" in ref if ref["group"] == "" and ref["kind"] == "Service" else True,
    ),
)

SESSION_PERSISTENCE: Final = (
    Rule(
        "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent",
        lambda s: s.get("cookieConfig", {}).get("lifetimeType") != "Permanent" or "absoluteTimeout" in s,
    ),
    Rule(
        "cookieConfig can only be set with type Cookie",
        lambda s: "cookieConfig" not in s or s["type"] == "Cookie",
    ),
)

_MIRROR: Final = (
    Rule(
        "Only one of percent or fraction may be specified in HTTPRequestMirrorFilter",
        lambda mirror: not ("percent" in mirror and "fraction" in mirror),
    ),
)
_FRACTION: Final = (
    Rule(
        "numerator must be less than or equal to denominator",
        lambda fraction: fraction["numerator"] <= fraction["denominator"],
    ),
)


def at_most_one(*types: str) -> tuple[Rule, ...]:
    """Each of these types of filter may come once."""
    return tuple(_at_most_one(name) for name in types)


def _at_most_one(name: str) -> Rule:
    return Rule(f"{name} filter cannot be repeated", lambda filters: [f["type"] for f in filters].count(name) <= 1)


def filter_settings(**types: str) -> tuple[Rule, ...]:
    """A filter has the settings of its type and no other's. `types` is the filter's type by the settings' field."""
    return tuple(rule for field, name in types.items() for rule in _filter_settings(field, name))


def _filter_settings(field: str, name: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f"filter.{field} must be nil if the filter.type is not {name}",
            lambda f: field not in f or f["type"] == name,
        ),
        Rule(
            f"filter.{field} must be specified for {name} filter.type",
            lambda f: field in f or f["type"] != name,
        ),
    )


def mirror(where: str) -> Rules:
    """The rules of a mirror filter at `where`."""
    return {where: _MIRROR, f"{where}.backendRef": BACKEND_REF, f"{where}.fraction": _FRACTION}
