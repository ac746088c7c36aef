"""Numbers for the rules of a listener: as few as possible change, and there is room between them (pure)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set

LOWEST, HIGHEST = 1, 50_000
"""ELBv2 API reference, CreateRule."""

_GAP = 100
"""Between the rules of a new listener: room for others to come."""


def longest_rise(numbers: Sequence[int]) -> set[int]:
    """Positions of a longest strictly rising subsequence."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for position, number in enumerate(numbers):
        length = bisect_left(tails, number)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(number)
            ends.append(position)
        else:
            tails[length] = number
            ends[length] = position
    found: set[int] = set()
    position = ends[-1] if ends else -1
    while position >= 0:
        found.add(position)
        position = before[position]
    return found


def number(fixed: Sequence[int | None], occupied: Set[int] = frozenset()) -> list[int]:
    """A priority for each rule, in order: those that are fixed already stay where there is room for the others.

    `fixed` rises; `occupied` are not to be used. Raises ValueError when there are more rules than priorities.
    """
    found = list(fixed)
    start = 0
    while start < len(found):
        if found[start] is not None:
            start += 1
            continue
        end = start
        while end < len(found) and found[end] is None:
            end += 1
        filled = _fill(found, start, end, occupied)
        while filled is None:  # the neighbours make room
            if start == 0 and end == len(found):
                raise ValueError(f"{len(found)} rules don't fit into the priorities from {LOWEST} to {HIGHEST}")
            start, end = max(0, start - 1), min(len(found), end + 1)
            filled = _fill(found, start, end, occupied)
        found[start:end] = filled
        start = end
    return [each for each in found if each is not None]


def _fill(found: Sequence[int | None], start: int, end: int, occupied: Set[int]) -> list[int] | None:
    """Priorities for the rules from `start` to `end`, between the neighbours of these; None without enough room."""
    low = (found[start - 1] if start else None) or LOWEST - 1
    high = (found[end] if end < len(found) else None) or HIGHEST + 1
    count = end - start
    if end == len(found) and low + _GAP * count < high:
        high = low + _GAP * (count + 1)
    if high - low - 1 - sum(low < each < high for each in occupied) < count:
        return None
    steps = high - low
    chosen = [low + steps * (place + 1) // (count + 1) for place in range(count)]
    if len({*chosen}) == count and not occupied & {*chosen} and chosen[0] > low:
        return chosen
    return _spread([each for each in range(low + 1, high) if each not in occupied], count)


def _spread(free: Sequence[int], count: int) -> list[int]:
    return [free[len(free) * (2 * place + 1) // (2 * count)] for place in range(count)]


def slots(anchors: Iterable[int], numbers: Iterable[int]) -> list[int]:
    """For each number: how many of the anchors come before it."""
    ordered = sorted(anchors)
    return [bisect_left(ordered, each) for each in numbers]
