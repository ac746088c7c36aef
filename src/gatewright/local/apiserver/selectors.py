"""Label and field selectors: `app=web,tier in (a,b),!canary` and `metadata.name=x,status.phase!=Running`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gatewright.local.apiserver.errors import bad_request
from gatewright.local.apiserver.store import Json

Predicate = Callable[[Json], bool]

_TOKEN = re.compile(r"\s*(!=|==|=|!|\(|\)|,|<|>|[^\s!=(),<>]+)")
_LABEL_KEY = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?")


def _labels(obj: Json) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def label_selector(text: str) -> Predicate | None:
    """The predicate of a label selector; None when it selects everything.

    Raises a 400 `StatusError` for a selector that can't be parsed.
    """
    tokens = _tokens(text)
    if not tokens:
        return None
    requirements = [_requirement(text, part) for part in _split(text, tokens)]
    if len(requirements) == 1:
        return requirements[0]
    return lambda obj: all(requirement(obj) for requirement in requirements)


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unparsable(text, f"found '{text[position:]}'")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def _unparsable(text: str, why: str) -> Exception:
    return bad_request(f"unable to parse requirement: {why} in selector '{text}'")


def _split(text: str, tokens: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    depth = 0
    for word in tokens:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    if depth != 0 or any(not part for part in parts):
        raise _unparsable(text, "found ',' or unbalanced parentheses, expected: identifier")
    return parts


def _requirement(text: str, part: list[str]) -> Predicate:
    if part[0] == "!" and len(part) == 2:
        key = _key(text, part[1])
        return lambda obj: key not in _labels(obj)
    key = _key(text, part[0])
    match part[1:]:
        case []:
            return lambda obj: key in _labels(obj)
        case ["=" | "=="]:
            return lambda obj: _labels(obj).get(key) == ""
        case ["=" | "==", value]:
            _value(text, value)
            return lambda obj: _labels(obj).get(key) == value
        case ["!="]:
            return lambda obj: _labels(obj).get(key) != ""
        case ["!=", value]:
            _value(text, value)
            return lambda obj: _labels(obj).get(key) != value
        case ["in" | "notin" as operator, "(", *values, ")"]:
            wanted = frozenset(_value(text, value) for value in values if value != ",")
            if operator == "in":
                return lambda obj: _labels(obj).get(key) in wanted
            return lambda obj: _labels(obj).get(key) not in wanted
        case [">" | "<" as operator, number] if re.fullmatch(r"-?\d+", number):
            return _comparison(key, operator, int(number))
    raise _unparsable(text, f"found '{' '.join(part)}', expected: in, notin, =, ==, !=, gt, lt")


def _comparison(key: str, operator: str, bound: int) -> Predicate:
    def compare(obj: Json) -> bool:
        value = _labels(obj).get(key, "")
        if re.fullmatch(r"-?\d+", value) is None:
            return False
        return int(value) > bound if operator == ">" else int(value) < bound

    return compare


def _key(text: str, key: str) -> str:
    if _LABEL_KEY.fullmatch(key) is None:
        raise _unparsable(text, f'<nil>: Invalid value: "{key}": name part must be a label key')
    return key


def _value(text: str, value: str) -> str:
    if len(value) > 63 or _LABEL_VALUE.fullmatch(value) is None:
        raise _unparsable(text, f'values: Invalid value: "{value}": a valid label value is expected')
    return value


def match_labels(selector: Json | None) -> Predicate:
    """The predicate of a `LabelSelector` object (`matchLabels`, `matchExpressions`); None selects nothing."""
    if selector is None:
        return lambda obj: False
    wanted: dict[str, str] = selector.get("matchLabels") or {}
    expressions: list[Json] = selector.get("matchExpressions") or []

    def matches(obj: Json) -> bool:
        labels = _labels(obj)
        if any(labels.get(key) != value for key, value in wanted.items()):
            return False
        return all(_expression(labels, expression) for expression in expressions)

    return matches


def _expression(labels: dict[str, str], expression: Json) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or ()
    match expression.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


def field_selector(text: str, allowed: frozenset[str] | None = None) -> Predicate | None:
    """The predicate of a field selector; None when it selects everything.

    `allowed` names the fields that the resource can be selected by; any other is a 400, as in a real API server.
    """
    requirements: list[Predicate] = []
    for part in text.split(","):
        if not part.strip():
            continue
        field, operator, value = _field_requirement(part)
        if allowed is not None and field not in allowed:
            raise bad_request(f"field label not supported: {field}")
        requirements.append(_field_predicate(field, value, wanted=operator != "!="))
    if not requirements:
        return None
    return lambda obj: all(requirement(obj) for requirement in requirements)


def _field_requirement(part: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"\s*([^=!]+?)\s*(!=|==|=)\s*(.*?)\s*", part)
    if match is None:
        raise bad_request(f"invalid field selector: '{part}'; can't understand '{part}'")
    field, operator, value = match.groups()
    return field, operator, re.sub(r"\\(.)", r"\1", value)


def _field_predicate(field: str, value: str, *, wanted: bool) -> Predicate:
    path = field.split(".")
    return lambda obj: (_text_at(obj, path) == value) is wanted


def _text_at(obj: Json, path: list[str]) -> str:
    found: Any = obj
    for step in path:
        if not isinstance(found, dict):
            return ""
        found = found.get(step)
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def conjunction(*predicates: Predicate | None) -> Predicate | None:
    """What satisfies all the given predicates; None stands for one that everything satisfies."""
    present = [predicate for predicate in predicates if predicate is not None]
    if not present:
        return None
    if len(present) == 1:
        return present[0]
    return lambda obj: all(predicate(obj) for predicate in present)
