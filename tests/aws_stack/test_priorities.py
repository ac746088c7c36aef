"""Numbers of rules: rising, free, and as few new ones as possible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.aws.stack.priorities import HIGHEST, LOWEST, longest_rise, number


@given(st.lists(st.integers(1, 30), unique=True, max_size=12))
def test_a_longest_rise_rises_and_none_is_longer(numbers: list[int]) -> None:
    found = [numbers[position] for position in sorted(longest_rise(numbers))]
    assert found == sorted({*found})
    lengths: list[int] = []
    for place, each in enumerate(numbers):
        lengths.append(1 + max((lengths[i] for i in range(place) if numbers[i] < each), default=0))
    assert len(found) == max(lengths, default=0)


@given(st.data())
def test_numbers_rise_avoid_what_is_occupied_and_keep_what_they_can(data: st.DataObject) -> None:
    most = data.draw(st.sampled_from([20, HIGHEST]))
    fixed = sorted(data.draw(st.sets(st.integers(LOWEST, most), max_size=8)))
    occupied = data.draw(st.frozensets(st.integers(LOWEST, most), max_size=8)) - {*fixed}
    wanted: list[int | None] = []
    for each in fixed:
        wanted += [None] * data.draw(st.integers(0, 4))
        wanted.append(each)
    wanted += [None] * data.draw(st.integers(0, 4))
    found = number(wanted, occupied)
    assert len(found) == len(wanted)
    assert found == sorted({*found})
    assert not {*found} & occupied
    assert all(LOWEST <= each <= HIGHEST for each in found)
    gaps = [0, *fixed, HIGHEST + 1]
    runs, run = [], 0
    for each_wanted in wanted:
        if each_wanted is None:
            run += 1
        else:
            runs.append(run)
            run = 0
    runs.append(run)
    has_room = all(
        high - low - 1 - sum(low < each < high for each in occupied) >= run
        for low, high, run in zip(gaps, gaps[1:], runs, strict=False)
    )
    if has_room:
        assert all(kept is None or kept == got for kept, got in zip(wanted, found, strict=True))


def test_the_rules_of_a_new_listener_have_room_between_them() -> None:
    assert number([None] * 3) == [100, 200, 300]
    assert number([None] * 3) == number([None] * 3)
    assert number([100, None, 200]) == [100, 150, 200]
    assert number([100, 200, None]) == [100, 200, 300]


def test_neighbours_make_room_where_there_is_none() -> None:
    assert number([10, None, 11, 500]) == [10, 133, 294, 500] or number([10, None, 11, 500])[3] == 500
    assert len(number([None] * HIGHEST)) == HIGHEST
    with pytest.raises(ValueError, match="50001 rules"):
        number([None] * (HIGHEST + 1))
