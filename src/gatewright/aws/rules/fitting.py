"""Spreading conditions over as few rules as hold them (Quotas for your Application Load Balancers).

Options of a condition are alternatives, so a condition with too many of them becomes several rules. What has to hold
together can't be spread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Final, Literal, NamedTuple, TypeAlias

from gatewright.aws.rules.conditions import Dimension, Option
from gatewright.aws.rules.limits import VALUES, WILDCARDS
from gatewright.aws.rules.patterns import wildcards
from gatewright.aws.stack.desired import RuleCondition

Form: TypeAlias = Literal["plain", "regex", "pair"]


_MOST: Final = min(VALUES, WILDCARDS)


class _Shape(NamedTuple):
    """A condition in one form: its options in chunks, each of which has at most `budget` values."""

    budget: int
    form: Form
    chunks: tuple[tuple[Option, ...], ...]


def forms(dimension: Dimension) -> list[Form]:
    """The forms that all options of a condition can have; AWS takes no mixture. Plain values first."""
    options = dimension.options
    found: list[Form] = []
    if all(option.plain for option in options):
        found.append("plain")
    if all(option.regex for option in options):
        found.append("regex")
    if all(option.pair for option in options):
        found.append("pair")
    return found


def separated(dimension: Dimension) -> list[Dimension]:
    """The condition, or several of it where its options have no form in common: any of them will do."""
    if forms(dimension) or not dimension.options:
        return [dimension]
    with_plain = tuple(option for option in dimension.options if option.plain)
    others = tuple(option for option in dimension.options if not option.plain)
    return [Dimension(dimension.field, options, dimension.name) for options in (with_plain, others) if options]


@lru_cache(maxsize=1 << 14)
def spread(dimensions: tuple[Dimension, ...]) -> tuple[tuple[RuleCondition, ...], ...] | None:
    """The conditions of each rule that is needed, as few as can be; None where even single options are too much.

    Each dimension has a form (see `separated`). Of ways with as few rules the one with plain values counts, and the
    same on every run.
    """
    if len(dimensions) > VALUES:
        return None
    if all(each.options[0].plain and len(each.options) == 1 for each in dimensions):
        plain = [each.options for each in dimensions]
        if sum(_total(options, "plain") for options in plain) <= _MOST:  # as it is nearly always
            return (tuple(_condition(each, "plain", each.options) for each in dimensions),)
    shapes = [list(_shapes(dimension)) for dimension in dimensions]
    best: tuple[int, int, tuple[_Shape, ...]] | None = None
    for chosen in product(*shapes):
        if sum(shape.budget for shape in chosen) > _MOST:
            continue
        rules = 1
        for shape in chosen:
            rules *= len(shape.chunks)
        regexes = sum(shape.form == "regex" for shape in chosen)
        if best is None or (rules, regexes) < best[:2]:
            best = (rules, regexes, chosen)
    if best is None:
        return None
    return tuple(
        tuple(_condition(*each) for each in zip(dimensions, (shape.form for shape in best[2]), options, strict=True))
        for options in product(*(shape.chunks for shape in best[2]))
    )


def _shapes(dimension: Dimension) -> Iterator[_Shape]:
    """The ways to cut a condition, from the least budget; of several with as many chunks the first is enough."""
    for form in forms(dimension):
        costs = [_cost(option, form) for option in dimension.options]
        seen = 0
        for budget in range(max(costs, default=1), min(_MOST, sum(costs)) + 1):
            chunks = _chunks(dimension.options, costs, budget)
            if len(chunks) != seen:
                seen = len(chunks)
                yield _Shape(max(_total(chunk, form) for chunk in chunks), form, chunks)


def _chunks(options: Sequence[Option], costs: Sequence[int], budget: int) -> tuple[tuple[Option, ...], ...]:
    found: list[tuple[Option, ...]] = []
    open_: list[Option] = []
    used = 0
    for option, cost in zip(options, costs, strict=True):
        if open_ and used + cost > budget:
            found.append(tuple(open_))
            open_, used = [], 0
        open_.append(option)
        used += cost
    return (*found, tuple(open_))


def _total(options: Sequence[Option], form: Form) -> int:
    return sum(_cost(option, form) for option in options)


def _cost(option: Option, form: Form) -> int:
    """What an option takes of the quotas of values and of wildcards, whichever is more."""
    if form == "regex":
        return 1
    if form == "pair":
        return max(1, sum(wildcards(text) for text in option.pair or ()))
    return max(len(option.plain), sum(wildcards(value) for value in option.plain))


def _condition(dimension: Dimension, form: Form, options: Sequence[Option]) -> RuleCondition:
    if form == "pair":
        return RuleCondition(dimension.field, pairs=tuple(option.pair for option in options if option.pair))
    name = dimension.name if dimension.field == "http-header" else ""
    if form == "regex":
        return RuleCondition(dimension.field, regex_values=tuple(option.regex for option in options), name=name)
    values = dict.fromkeys(value for option in options for value in option.plain)
    return RuleCondition(dimension.field, values=tuple(values), name=name)
