"""What `flow` promises beside its law: what runs when, what an error costs, and that nothing grows."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

from gatewright.flow import Change, Collection, Context, Flow, FlowError, Source


class TestPropagation:
    def test_it_stops_where_the_result_is_equal(self) -> None:
        flow, calls = Flow(), Counter[str]()
        source: Source[str, int] = flow.source("s")

        def parity(_: Context, __: str, value: int) -> int:
            calls["parity"] += 1
            return value % 2

        def after(_: Context, __: str, value: int) -> int:
            calls["after"] += 1
            return value

        flow.derive("after", flow.derive("parity", source, parity), after)
        source.set("a", 1)
        source.set("a", 3)
        assert calls == {"parity": 2, "after": 1}
        source.set("a", 3)
        assert calls == {"parity": 2, "after": 1}

    def test_only_calls_that_read_what_changed_run_again(self) -> None:
        flow, ran = Flow(), list[int]()
        numbers: Source[int, int] = flow.source("numbers")
        names: Source[int, str] = flow.source("names")

        def name(ctx: Context, key: int, value: int) -> str | None:
            ran.append(key)
            return ctx.get(names, value)

        named = flow.derive("named", numbers, name)
        numbers.replace({1: 10, 2: 20, 3: 10})
        ran.clear()
        names.set(10, "ten")
        assert sorted(ran) == [1, 3]
        assert dict(named.items()) == {1: "ten", 3: "ten"}
        ran.clear()
        numbers.set(1, 20)
        names.set(10, "TEN")
        assert ran == [1, 3]  # 1 reads another name by now

    def test_a_batch_runs_each_function_once(self) -> None:
        flow, ran = Flow(), list[int]()
        source: Source[int, int] = flow.source("s")
        index = source.index(lambda _, value: [value])

        def size(ctx: Context, key: int, _: int) -> int:
            ran.append(key)
            return len(ctx.lookup(index, 1))

        groups = flow.derive("sizes", flow.distinct("groups", index), size)
        with flow.batch():
            with source.batch():
                source.set(1, 1)
                source.set(2, 1)
            assert len(groups) == 0, "not before the outermost batch ends"
            source.set(3, 1)
        assert ran == [1]
        assert groups[1] == 3

    def test_count_runs_again_only_when_the_size_changes(self) -> None:
        flow, ran = Flow(), list[int]()
        members: Source[int, str] = flow.source("members")
        by_team = members.index(lambda key, _: [key % 2])
        teams: Source[int, str] = flow.source("teams")

        def size(ctx: Context, key: int, _: str) -> int:
            ran.append(key)
            return ctx.count(by_team, key)

        sizes = flow.derive("sizes", teams, size)
        teams.replace({0: "even", 1: "odd"})
        members.replace({2: "a", 4: "b"})
        assert dict(sizes.items()) == {0: 2, 1: 0}
        ran.clear()
        members.set(2, "c")
        with flow.batch():  # one leaves, one comes
            members.delete(2)
            members.set(6, "d")
        assert ran == []
        members.set(1, "e")
        assert ran == [1]

    def test_one_change_among_many_members_runs_one_call(self) -> None:
        flow, calls = Flow(), Counter[str]()
        source: Source[int, int] = flow.source("s")

        def copy(_: Context, __: int, value: int) -> int:
            calls["copy"] += 1
            return value

        copies = flow.derive("copies", source, copy)
        index = copies.index(lambda _, __: ["all"], order=lambda _, value: value)
        source.replace({number: number for number in range(5_000)})
        calls.clear()
        source.set(2_500, -1)
        assert calls == {"copy": 1}
        assert index.lookup("all")[:2] == (-1, 0)

    def test_chains_may_be_deeper_than_the_stack(self) -> None:
        flow = Flow()
        source: Source[str, int] = flow.source("s")
        last: Collection[str, int] = source
        depth = sys.getrecursionlimit() * 2
        for number in range(depth):
            last = flow.derive(f"step {number}", last, lambda _, __, value: value + 1)
        source.set("a", 0)
        assert last["a"] == depth


class TestErrors:
    def test_a_failure_costs_its_own_key_only_and_heals(self) -> None:
        flow = Flow()
        source: Source[int, int] = flow.source("s")
        divisors: Source[int, int] = flow.source("divisors")
        divided = flow.derive("divided", source, lambda ctx, key, value: value // (ctx.get(divisors, key) or 0))
        source.replace({1: 10, 2: 20})
        divisors.set(2, 2)
        assert dict(divided.items()) == {2: 10}
        assert isinstance(divided.errors[1], ZeroDivisionError)
        divisors.set(1, 5)
        assert dict(divided.items()) == {1: 2, 2: 10}
        assert not divided.errors

    def test_a_failure_takes_back_what_the_key_had(self) -> None:
        flow = Flow()
        source: Source[int, int] = flow.source("s")
        inverse = flow.derive("inverse", source, lambda _, __, value: 1 / value)
        source.set(1, 2)
        source.set(1, 0)
        assert 1 not in inverse
        source.delete(1)
        assert not inverse.errors

    def test_a_value_that_cannot_be_indexed_is_in_no_group(self) -> None:
        flow = Flow()
        source: Source[str, int] = flow.source("s")
        by_inverse = source.index(lambda _, value: [1 / value])
        source.replace({"a": 1, "b": 0, "c": 1})
        assert by_inverse.lookup(1) == (1, 1)
        assert list(by_inverse.errors) == ["b"]
        source.replace({"a": 1, "b": 1})
        assert by_inverse.lookup(1) == (1, 1)
        assert not by_inverse.errors

    def test_reading_what_is_made_later_is_refused_aloud(self) -> None:
        flow = Flow()
        source: Source[int, int] = flow.source("s")
        later: Source[int, int]
        early = flow.derive("early", source, lambda ctx, key, value: value if value else ctx.get(later, key))
        later = flow.source("later")
        copies = flow.derive("copies", source, lambda _, __, value: value)
        with pytest.raises(FlowError, match="early reads later"):
            source.replace({1: 0, 2: 2})
        assert dict(early.items()) == {2: 2}
        assert dict(copies.items()) == {1: 0, 2: 2}, "the rest is up to date"
        source.set(1, 1)
        assert dict(early.items()) == {1: 1, 2: 2}


class TestSubscribers:
    def test_one_gets_the_steps_of_a_commit_together(self) -> None:
        flow, seen = Flow(), list[list[Change[int, int]]]()
        source: Source[int, int] = flow.source("s")
        flow.derive("double", source, lambda _, __, value: value * 2).subscribe(seen.append)
        with flow.batch():
            source.set(1, 1)
            source.set(2, 2)
        source.set(1, 1)
        source.delete(2)
        assert [sorted(changes) for changes in seen] == [
            [Change(1, None, 2), Change(2, None, 4)],
            [Change(2, 4, None)],
        ]

    def test_one_that_edits_sources_makes_another_commit(self) -> None:
        flow, sums = Flow(), list[int]()
        source: Source[int, int] = flow.source("s")
        total = flow.derive("total", source, lambda ctx, _, value: value + len(ctx.items(source)))

        def countdown(changes: list[Change[int, int]]) -> None:
            sums.append(total[0])
            with flow.batch():
                for change in changes:
                    if change.new:
                        source.set(change.key, change.new - 1)

        source.subscribe(countdown)
        source.set(0, 3)
        assert source[0] == 0
        assert sums == [4, 3, 2, 1]

    def test_one_that_fails_does_not_stop_the_others(self) -> None:
        flow, seen = Flow(), list[int]()
        source: Source[int, int] = flow.source("s")
        source.subscribe(lambda _: [][0])
        source.subscribe(lambda changes: seen.extend(change.key for change in changes))
        source.set(1, 1)
        assert seen == [1]

    def test_a_collection_made_by_one_is_filled(self) -> None:
        flow, made = Flow(), list[Collection[int, int]]()
        source: Source[int, int] = flow.source("s")
        source.subscribe(lambda _: made.append(flow.derive("late", source, lambda _, __, value: value)))
        source.set(1, 1)
        assert dict(made[0].items()) == {1: 1}


class TestCollections:
    def test_the_first_input_in_key_order_wins_an_output_key(self) -> None:
        flow = Flow()
        source: Source[int, str] = flow.source("s")
        by_value = flow.derive_many("by length", source, lambda _, __, value: {len(value): value})
        source.set(2, "bb")
        source.set(1, "aa")
        assert by_value[2] == "aa"
        source.set(1, "a")
        assert dict(by_value.items()) == {2: "bb", 1: "a"}

    def test_the_first_collection_named_wins_a_merge(self) -> None:
        flow = Flow()
        first: Source[int, str] = flow.source("first")
        second: Source[int, str] = flow.source("second")
        merged = flow.merge("merged", first, second)
        second.replace({1: "second", 2: "second"})
        first.set(1, "first")
        assert dict(merged.items()) == {1: "first", 2: "second"}
        first.delete(1)
        assert merged[1] == "second"

    def test_an_index_made_late_holds_what_is_there(self) -> None:
        flow = Flow()
        source: Source[int, int] = flow.source("s")
        source.replace({3: 1, 1: 1, 2: 2})
        index = source.index(lambda _, value: [value], order=lambda key, _: -key)
        assert set(index.keys()) == {1, 2}
        assert (index.lookup(1), index.count(1), index.lookup(9), index.count(9)) == ((1, 1), 2, (), 0)

    def test_a_batch_that_fails_keeps_the_edits_made(self) -> None:
        flow = Flow()
        source: Source[int, int] = flow.source("s")
        copies = flow.derive("copies", source, lambda _, __, value: value)

        def edit() -> None:
            with flow.batch():
                source.set(1, 1)
                raise KeyError

        with pytest.raises(KeyError):
            edit()
        assert copies[1] == 1


def test_edits_for_ever_new_keys_hold_no_memory() -> None:
    flow = Flow()
    source: Source[int, int] = flow.source("s")
    others: Source[int, int] = flow.source("others")
    by_value = others.index(lambda _, value: [value])
    flow.derive(
        "readers",
        source,
        lambda ctx, key, value: (ctx.get(others, value), ctx.lookup(by_value, value), ctx.count(by_value, key)),
    )
    for number in range(1_000):
        source.set(0, number)
        others.replace({number: number})
    assert len(others._readers) == len(by_value._readers) == len(by_value._counters) == 1
