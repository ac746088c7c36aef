"""The law of `flow`: after any sequence of edits, the incremental result equals the result computed from nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.flow import Collection, Context, Flow, Index, Source

Ints = Collection[int, int]
Step = Literal["get", "lookup", "count", "items", "many", "distinct", "merge", "fail"]


@dataclass(frozen=True)
class Node:
    """One collection of a graph: what it does, and which earlier ones (counted back) it is made of."""

    step: Step
    of: int
    other: int
    a: int
    b: int


class Graph:
    """Two sources, and whatever the nodes derive from them; each collection has an index."""

    def __init__(self, nodes: list[Node], initial: list[dict[int, int]]) -> None:
        self.flow = Flow()
        self.sources: list[Source[int, int]] = [self.flow.source(f"s{number}") for number in range(2)]
        for source, values in zip(self.sources, initial, strict=True):
            source.replace(values)
        self.collections: list[Ints] = [*self.sources]
        self.indexes: list[Index[int, int, int]] = [self.index(source, 0, 0) for source in self.sources]
        for node in nodes:
            made = self.make(node)
            self.collections.append(made)
            self.indexes.append(self.index(made, node.a, node.b))

    def index(self, of: Ints, a: int, b: int) -> Index[int, int, int]:
        def groups(key: int, value: int) -> list[int]:
            if value % 11 == 10:
                raise ValueError(value)
            return [value % 3, (key + a) % 2]

        return of.index(groups, order=(lambda key, value: -value) if b % 2 else None)

    def make(self, node: Node) -> Ints:
        of = self.collections[-1 - node.of % len(self.collections)]
        other = self.collections[-1 - node.other % len(self.collections)]
        index = self.indexes[-1 - node.other % len(self.indexes)]
        name = f"{node.step} {len(self.collections)}"
        if node.step == "many":
            return self.flow.derive_many(name, of, many(node))
        if node.step == "distinct":
            return self.flow.distinct(name, index)
        if node.step == "merge":
            return self.flow.merge(name, of, other)
        return self.flow.derive(name, of, single(node, other, index))

    def content(self) -> list[object]:
        """All that a reader can see."""
        return [
            (collection.name, dict(collection.items()), set(collection.errors)) for collection in self.collections
        ] + [
            (index.name, {key: index.lookup(key) for key in index.keys()}, set(index.errors))  # noqa: SIM118
            for index in self.indexes
        ]


def single(node: Node, other: Ints, index: Index[int, int, int]) -> Callable[[Context, int, int], int | None]:
    def derive(ctx: Context, key: int, value: int) -> int | None:
        if node.step == "get":
            found = ctx.get(other, (key + node.a) % 6)
            return None if found is None and value % 2 else value + (found or 0)
        if node.step == "lookup":
            return sum((n + 1) * member for n, member in enumerate(ctx.lookup(index, value % 3))) % 97
        if node.step == "count":
            return ctx.count(index, node.a % 3) * 10 + value % 2
        if node.step == "items":
            return sum((n + 1) * member for n, (_, member) in enumerate(ctx.items(other))) % 97
        if (value + node.a) % 3 == 0:
            raise ValueError(value)
        return value + node.b

    return derive


def many(node: Node) -> Callable[[Context, int, int], Mapping[int, int]]:
    def derive(_: Context, key: int, value: int) -> dict[int, int]:
        if (value + node.b) % 7 == 6:
            raise ValueError(value)
        return {(value + number) % 4: key * 10 + number for number in range(value % 3)}

    return derive


small = st.integers(0, 30)
keys = st.integers(0, 5)
nodes = st.builds(
    Node,
    step=st.sampled_from(["get", "lookup", "count", "items", "many", "distinct", "merge", "fail"]),
    of=st.integers(0, 4),
    other=st.integers(0, 4),
    a=st.integers(0, 5),
    b=st.integers(0, 5),
)
values = st.dictionaries(keys, small, max_size=6)
edits = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 1), keys, small),
    st.tuples(st.just("delete"), st.integers(0, 1), keys, st.just(0)),
    st.tuples(st.just("replace"), st.integers(0, 1), values, st.just(0)),
)
Edit = tuple[str, int, "int | dict[int, int]", int]


def apply(graph: Graph, batch: list[Edit]) -> None:
    with graph.flow.batch():
        for what, number, key, value in batch:
            source = graph.sources[number]
            if isinstance(key, dict):
                source.replace(key)
            elif what == "set":
                source.set(key, value)
            else:
                source.delete(key)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(nodes, max_size=8),
    st.tuples(values, values),
    st.lists(st.lists(edits, min_size=1, max_size=4), max_size=8),
)
def test_incremental_equals_from_nothing(
    nodes: list[Node], initial: tuple[dict[int, int], dict[int, int]], batches: list[list[Edit]]
) -> None:
    graph = Graph(nodes, list(initial))
    for batch in batches:
        apply(graph, batch)
        fresh = Graph(nodes, [dict(source.items()) for source in graph.sources])
        assert graph.content() == fresh.content()


@settings(max_examples=100, deadline=None)
@given(st.lists(nodes, max_size=8), st.tuples(values, values), st.lists(edits, min_size=1, max_size=8))
def test_subscribers_see_every_step(
    nodes: list[Node], initial: tuple[dict[int, int], dict[int, int]], changes: list[Edit]
) -> None:
    graph = Graph(nodes, list(initial))
    mirrors: list[dict[int, int]] = [dict(collection.items()) for collection in graph.collections]

    def follow(mirror: dict[int, int], collection: Ints) -> None:
        def callback(changes: list[tuple[int, int | None, int | None]]) -> None:
            assert len({key for key, _, _ in changes}) == len(changes)
            for key, old, new in changes:
                assert old != new
                assert mirror.pop(key, None) == old
                if new is not None:
                    mirror[key] = new
            assert mirror == dict(collection.items())

        collection.subscribe(callback)  # type: ignore[arg-type]

    for mirror, collection in zip(mirrors, graph.collections, strict=True):
        follow(mirror, collection)
    for edit in changes:
        apply(graph, [edit])
        assert mirrors == [dict(collection.items()) for collection in graph.collections]


KEPT = {
    *("_values", "_readers", "_scanners", "_counters", "_places", "_groups", "_calls", "_outputs", "_makers"),
    *("_touched", "_pending", "_dirty", "errors"),
}
"""Where a collection or an index keeps something for a key."""


@settings(max_examples=100, deadline=None)
@given(st.lists(nodes, max_size=8), st.tuples(values, values), st.lists(edits, max_size=8))
def test_nothing_is_kept_for_what_is_gone(
    nodes: list[Node], initial: tuple[dict[int, int], dict[int, int]], changes: list[Edit]
) -> None:
    graph = Graph(nodes, list(initial))
    for edit in changes:
        apply(graph, [edit])
    apply(graph, [("replace", 0, {}, 0), ("replace", 1, {}, 0)])
    held = [
        getattr(thing, name) for thing in (*graph.collections, *graph.indexes) for name in KEPT & vars(thing).keys()
    ]
    assert not any(held)
