"""Whether two rules of a listener can take the same request (pure)."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from gatewright.aws.stack.desired import RuleCondition

_SPECIAL = re.compile(r"[*?\\]")


def may_overlap(one: Iterable[RuleCondition], other: Iterable[RuleCondition]) -> bool:
    """Whether a request can meet all conditions of both. If in doubt it can."""
    others = list(other)
    return not any(_disjoint(left, right) for left in one for right in others)


@functools.lru_cache(maxsize=65536)
def _disjoint(one: RuleCondition, other: RuleCondition) -> bool:
    """Whether nothing meets both conditions; a request has one host, path, method and value of a header."""
    if one.field != other.field or one.regex_values or other.regex_values or not one.values or not other.values:
        return False
    match one.field:
        case "http-request-method":
            return not {*one.values} & {*other.values}
        case "http-header" if one.name.lower() != other.name.lower():
            return False
        case "host-header" | "http-header":
            left, right = [each.lower() for each in one.values], [each.lower() for each in other.values]
        case "path-pattern":
            left, right = list(one.values), list(other.values)
        case _:
            return False
    return not any(_meet(first, second) for first in left for second in right)


def _meet(one: str, other: str) -> bool:
    """Whether a text may match both patterns: told by what comes before their first and after their last wildcard."""
    if "\\" in one or "\\" in other:
        return True
    starts, ends = [], []
    for pattern in (one, other):
        special = [found.start() for found in _SPECIAL.finditer(pattern)]
        starts.append(pattern[: special[0]] if special else pattern)
        ends.append(pattern[special[-1] + 1 :] if special else pattern)
    literal = [start == pattern for start, pattern in zip(starts, (one, other), strict=True)]
    if all(literal):
        return one == other
    for number in (0, 1):
        if literal[number]:
            return _pattern((other, one)[number]).fullmatch((one, other)[number]) is not None
    short, long = sorted(starts, key=len)
    if not long.startswith(short):
        return False
    short, long = sorted(ends, key=len)
    return long.endswith(short)


@functools.lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    parts = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
    return re.compile("".join(parts), re.DOTALL)
