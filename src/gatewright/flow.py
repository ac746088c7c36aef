"""Derived collections: state that follows from other state, recomputed only where an input changed.

A *collection* is a keyed set of immutable values. A `Source` is written from outside; every other collection is derived
from one by a pure function that may read further collections through its `Context`. The engine remembers what each call
read, runs a call again only when one of those inputs changed, and stops where the result is equal.

The law: after any sequence of edits the incremental result equals the result computed from nothing. It holds as long as
functions are pure, values are immutable and keys are hashable and sortable (as are the values of an index's `order`).

    flow = Flow()
    pods = flow.source("pods")
    by_node = pods.index(lambda key, pod: [pod.node])
    load = flow.derive("load", nodes, lambda ctx, name, node: ctx.count(by_node, name))
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Hashable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import structlog

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
J = TypeVar("J", bound=Hashable)
R = TypeVar("R")

_log = structlog.get_logger(__name__)


class FlowError(Exception):
    """A function reads a collection that is made after its own, so it could not be kept up to date.

    Raised from the edit that made the function run, once everything else is up to date.
    """


class Change(NamedTuple, Generic[K, V]):
    """One key's step from `old` to `new`; `None` stands for absence."""

    key: K
    old: V | None
    new: V | None


class Collection(Generic[K, V]):
    """The read side that sources and derived collections share."""

    def __init__(self, flow: Flow, name: str) -> None:
        self.name = name
        self.errors: dict[Hashable, Exception] = {}
        """The exception of each input key whose function failed; such a key has no output until an input changes."""
        self._flow = flow
        self._values: dict[K, V] = {}
        self._indexes: list[Index[Any, K, V]] = []
        self._readers: _Readers = {}
        self._scanners: _Readers = {}  # under None: those who read all of it
        self._dependents: list[_Derived[K, V, Any, Any] | _Merged[K, V]] = []
        self._subscribers: list[Callable[[list[Change[K, V]]], None]] = []
        self._rank = flow._register(self)

    def get(self, key: K) -> V | None:
        """The value at `key`, or None."""
        return self._values.get(key)

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def keys(self) -> KeysView[K]:
        """The keys, in no particular order."""
        return self._values.keys()

    def values(self) -> ValuesView[V]:
        """The values, in no particular order."""
        return self._values.values()

    def items(self) -> ItemsView[K, V]:
        """Keys with their values, in no particular order."""
        return self._values.items()

    def index(
        self, of: Callable[[K, V], Iterable[J]], order: Callable[[K, V], Any] | None = None, *, name: str = ""
    ) -> Index[J, K, V]:
        """Group the values by the keys that `of` names; members stay sorted by `order`, then by their own key."""
        index = Index(self, of, order, name or f"{self.name}[{len(self._indexes)}]")
        self._indexes.append(index)
        for key, value in self._values.items():
            index._add(key, value)
        index._touched.clear()  # nobody has read it yet
        return index

    def subscribe(self, callback: Callable[[list[Change[K, V]]], None]) -> None:
        """Call `callback` after each commit that changed this collection, with one `Change` a key."""
        self._subscribers.append(callback)

    def _settle(self) -> list[Change[K, V]]:
        raise NotImplementedError

    def _store(self, key: K, value: V | None) -> Change[K, V] | None:
        old = self._values.get(key)
        if old is value or (old is not None and value is not None and old == value):
            return None
        for index in self._indexes:
            if old is not None:
                index._remove(key)
            if value is not None:
                index._add(key, value)
        if value is None:
            del self._values[key]
        else:
            self._values[key] = value
        return Change(key, old, value)

    def _announce(self, changes: list[Change[K, V]]) -> None:
        """Mark every call that read what changed."""
        for dependent in self._dependents:
            dependent._dirty.update(change.key for change in changes)
        _mark(self._scanners, None)
        if self._readers:
            for change in changes:
                _mark(self._readers, change.key)
        for index in self._indexes:
            index._announce()


class Index(Generic[J, K, V]):
    """A collection's values grouped by one or more keys a value, each group in a fixed order."""

    def __init__(
        self,
        collection: Collection[K, V],
        of: Callable[[K, V], Iterable[J]],
        order: Callable[[K, V], Any] | None,
        name: str,
    ) -> None:
        self.collection = collection
        self.name = name
        self.errors: dict[K, Exception] = {}
        """The exception of each key whose value can't be indexed; it is in no group until it changes."""
        self._of = of
        self._order = order
        self._places: dict[K, _Place[J]] = {}
        self._groups: dict[J, _Group[V]] = {}
        self._readers: _Readers = {}
        self._counters: _Readers = {}
        self._dependents: list[_Distinct[J]] = []
        self._touched: dict[J, int] = {}  # group -> its size before the commit

    def lookup(self, key: J) -> tuple[V, ...]:
        """The members of the group `key`, in order."""
        group = self._groups.get(key)
        return tuple(group.values) if group else ()

    def count(self, key: J) -> int:
        """How many members the group `key` has."""
        group = self._groups.get(key)
        return len(group.values) if group else 0

    def keys(self) -> KeysView[J]:
        """The groups that have a member."""
        return self._groups.keys()

    def _add(self, key: K, value: V) -> None:
        try:
            place = _Place((self._order(key, value), key) if self._order else key, frozenset(self._of(key, value)))
        except Exception as error:  # noqa: BLE001 - one value's failure must not lose the others
            self.errors[key] = error
            _log.exception("indexing failed", index=self.name, key=str(key))
            return
        self._places[key] = place
        for group_key in place.groups:
            group = self._groups.get(group_key)
            if group is None:
                group = self._groups[group_key] = _Group([], [])
            self._touched.setdefault(group_key, len(group.values))
            at = bisect_left(group.positions, place.position)
            group.positions.insert(at, place.position)
            group.values.insert(at, value)

    def _remove(self, key: K) -> None:
        self.errors.pop(key, None)
        place = self._places.pop(key, None)
        if place is None:
            return
        for group_key in place.groups:
            group = self._groups[group_key]
            self._touched.setdefault(group_key, len(group.values))
            at = bisect_left(group.positions, place.position)
            del group.positions[at], group.values[at]
            if not group.values:
                del self._groups[group_key]

    def _announce(self) -> None:
        touched, self._touched = self._touched, {}
        for key, before in touched.items():
            after = self.count(key)
            _mark(self._readers, key)
            if before != after:
                _mark(self._counters, key)
            if bool(before) != bool(after):
                for dependent in self._dependents:
                    dependent._dirty.add(key)


class _Place(NamedTuple, Generic[J]):
    position: Any
    groups: frozenset[J]


class _Group(NamedTuple, Generic[V]):
    positions: list[Any]
    values: list[V]


class Source(Collection[K, V]):
    """A collection that is written from outside."""

    def __init__(self, flow: Flow, name: str) -> None:
        super().__init__(flow, name)
        self._pending: dict[K, V | None] = {}

    def set(self, key: K, value: V) -> None:
        """Insert or replace one value; commits unless within `Flow.batch`."""
        self._pending[key] = value
        self._flow._edited()

    def delete(self, key: K) -> None:
        """Remove one value, if it is there; commits unless within `Flow.batch`."""
        self._pending[key] = None
        self._flow._edited()

    def replace(self, values: Mapping[K, V]) -> None:
        """Make the collection hold exactly `values`; commits unless within `Flow.batch`."""
        self._pending = {**dict.fromkeys(self._values.keys() | self._pending.keys()), **values}
        self._flow._edited()

    def batch(self) -> AbstractContextManager[None]:
        """The flow's `batch`."""
        return self._flow.batch()

    def _settle(self) -> list[Change[K, V]]:
        pending, self._pending = self._pending, {}
        changes = (self._store(key, value) for key, value in pending.items() if value is not None or key in self)
        return [change for change in changes if change]


class Context:
    """What a deriving function reads through; each read is remembered as an input of the call."""

    def __init__(self, call: _Call) -> None:
        self._call = call

    def get(self, collection: Collection[K, V], key: K) -> V | None:
        """The value at `key` of another collection, or None."""
        self._read(collection, collection._readers, key)
        return collection._values.get(key)

    def lookup(self, index: Index[J, K, V], key: J) -> tuple[V, ...]:
        """The members of a group, in the index's order."""
        self._read(index.collection, index._readers, key)
        return index.lookup(key)

    def count(self, index: Index[J, K, V], key: J) -> int:
        """The size of a group; the call runs again only when the size changes."""
        self._read(index.collection, index._counters, key)
        return index.count(key)

    def items(self, collection: Collection[K, V]) -> list[tuple[K, V]]:
        """All of another collection, sorted by key; the call runs again on any change to it."""
        self._read(collection, collection._scanners, None)
        return sorted(collection._values.items(), key=lambda item: item[0])  # type: ignore[arg-type,return-value]

    def _read(self, collection: Collection[Any, Any], readers: _Readers, key: Hashable) -> None:
        if collection._rank >= self._call.node._rank:
            raise FlowError(f"{self._call.node.name} reads {collection.name}, which is made after it")
        call = self._call
        found = readers.get(key)
        if found is None:
            readers[key] = call
        elif isinstance(found, set):
            found.add(call)
        elif found is not call:
            readers[key] = {found, call}
        call.inputs.append((readers, key))


class _Call:
    """One run of a deriving function for one input key, and what it read."""

    __slots__ = ("inputs", "key", "node")

    def __init__(self, node: _Derived[Any, Any, Any, Any], key: Hashable) -> None:
        self.node = node
        self.key = key
        self.inputs: list[tuple[_Readers, Hashable]] = []

    def forget(self) -> None:
        for readers, key in self.inputs:  # the same may have been read twice
            found = readers.get(key)
            if found is self:
                del readers[key]
            elif isinstance(found, set):
                found.discard(self)
                if not found:
                    del readers[key]


_Readers: TypeAlias = dict[Hashable, _Call | set[_Call]]
"""Which calls read what is under a key. Most keys have one reader, and a set is several times as large as it."""


def _mark(readers: _Readers, key: Hashable) -> None:
    found = readers.get(key)
    if isinstance(found, set):
        for call in found:
            call.node._dirty.add(call.key)
    elif found is not None:
        found.node._dirty.add(found.key)


class _Derived(Collection[J, R], Generic[K, V, J, R]):
    """What is computed from one collection's values by a function; how results become outputs is the subclass's."""

    def __init__(self, flow: Flow, name: str, of: Collection[K, V], fn: Callable[[Context, K, V], Any]) -> None:
        super().__init__(flow, name)
        self._of = of
        self._fn = fn
        self._calls: dict[K, _Call] = {}
        self._dirty: set[Any] = set(of.keys())
        of._dependents.append(self)

    def _run(self, key: K) -> Any:
        """The function's result for one input, or None where there is none."""
        call = self._calls.pop(key, None)
        if call:
            call.forget()
        if self.errors:
            self.errors.pop(key, None)
        value = self._of._values.get(key)
        if value is None:
            return None
        call = self._calls[key] = _Call(self, key)
        try:
            return self._fn(Context(call), key, value)
        except Exception as error:  # noqa: BLE001 - one key's failure must not lose the others
            self.errors[key] = error
            if isinstance(error, FlowError):
                self._flow._misuse = error
            else:
                _log.exception("deriving failed", collection=self.name, key=str(key))
            return None


class _Single(_Derived[K, V, K, R]):
    """One output an input, under the input's key."""

    def _settle(self) -> list[Change[K, R]]:
        dirty, self._dirty = self._dirty, set()
        changes = []
        for key in dirty:
            change = self._store(key, self._run(key))
            if change:
                changes.append(change)
        return changes


class _Many(_Derived[K, V, J, R]):
    """Any number of outputs an input, under keys of their own."""

    def __init__(
        self, flow: Flow, name: str, of: Collection[K, V], fn: Callable[[Context, K, V], Mapping[J, R] | None]
    ) -> None:
        super().__init__(flow, name, of, fn)
        self._outputs: dict[K, Mapping[J, R]] = {}
        self._makers: dict[J, list[K]] = {}  # each list sorted

    def _settle(self) -> list[Change[J, R]]:
        dirty, self._dirty = self._dirty, set()
        touched: dict[J, None] = {}
        for key in dirty:
            before = self._outputs.get(key, {})
            after: Mapping[J, R] = self._run(key) or {}
            if after:
                self._outputs[key] = after
            else:
                self._outputs.pop(key, None)
            for output in before:
                touched[output] = None
                if output not in after:
                    makers = self._makers[output]
                    del makers[bisect_left(makers, key)]
            for output in after:
                touched[output] = None
                if output not in before:
                    insort(self._makers.setdefault(output, []), key)
        changes = []
        for output in touched:
            makers = self._makers[output]
            if not makers:
                del self._makers[output]
            # Two inputs may make the same output key; the first in key order is taken, whatever the order of edits.
            value = self._outputs[makers[0]][output] if makers else None
            change = self._store(output, value)
            if change:
                changes.append(change)
        return changes


class _Distinct(Collection[J, J]):
    def __init__(self, flow: Flow, name: str, index: Index[J, Any, Any]) -> None:
        super().__init__(flow, name)
        self._index = index
        self._dirty: set[J] = set(index.keys())
        index._dependents.append(self)

    def _settle(self) -> list[Change[J, J]]:
        dirty, self._dirty = self._dirty, set()
        changes = (self._store(key, key if self._index.count(key) else None) for key in dirty)
        return [change for change in changes if change]


class _Merged(Collection[K, V]):
    def __init__(self, flow: Flow, name: str, of: tuple[Collection[K, V], ...]) -> None:
        super().__init__(flow, name)
        self._of = of
        self._dirty: set[K] = set()
        for collection in of:
            self._dirty.update(collection.keys())
            collection._dependents.append(self)

    def _settle(self) -> list[Change[K, V]]:
        dirty, self._dirty = self._dirty, set()
        changes = (self._store(key, self._first(key)) for key in dirty)
        return [change for change in changes if change]

    def _first(self, key: K) -> V | None:
        return next((collection._values[key] for collection in self._of if key in collection._values), None)


class Flow:
    """The engine: owns the collections, and brings all of them up to date at the end of each batch of edits."""

    def __init__(self) -> None:
        self._collections: list[Collection[Any, Any]] = []
        self._depth = 0
        self._stale = False
        self._committing = False
        self._misuse: FlowError | None = None

    def source(self, name: str) -> Source[Any, Any]:
        """A collection to be written from outside; annotate the variable with its types."""
        return Source(self, name)

    def derive(self, name: str, of: Collection[K, V], fn: Callable[[Context, K, V], R | None]) -> Collection[K, R]:
        """One output a key of `of`, or none where `fn` returns None."""
        node: _Single[K, V, R] = _Single(self, name, of, fn)
        self._edited()
        return node

    def derive_many(
        self, name: str, of: Collection[K, V], fn: Callable[[Context, K, V], Mapping[J, R] | None]
    ) -> Collection[J, R]:
        """Any number of outputs a key of `of`, under keys of their own."""
        node: _Many[K, V, J, R] = _Many(self, name, of, fn)
        self._edited()
        return node

    def distinct(self, name: str, index: Index[J, Any, Any]) -> Collection[J, J]:
        """The groups of an index as a collection: a key is there while its group has a member."""
        node = _Distinct(self, name, index)
        self._edited()
        return node

    def merge(self, name: str, *of: Collection[K, V]) -> Collection[K, V]:
        """The union of several collections; where two have the same key, the first one named wins."""
        node = _Merged(self, name, of)
        self._edited()
        return node

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Take the edits within as one: everything derived is computed once, at the end."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if self._stale:
                self._edited()

    def _register(self, collection: Collection[Any, Any]) -> int:
        self._collections.append(collection)
        return len(self._collections)

    def _edited(self) -> None:
        self._stale = True
        if self._depth or self._committing:
            return
        self._committing = True
        try:
            while self._stale:  # a subscriber may edit sources
                self._stale = False
                self._commit()
        finally:
            self._committing = False
        misuse, self._misuse = self._misuse, None
        if misuse:  # raised only now, so that everything else is up to date
            raise misuse

    def _commit(self) -> None:
        # Creation order is a topological order, since a collection can only read those made before it.
        changed = []
        for collection in self._collections:
            changes = collection._settle()
            if changes:
                collection._announce(changes)
                changed.append((collection, changes))
        for collection, changes in changed:
            for callback in collection._subscribers:
                try:
                    callback(changes)
                except Exception:  # noqa: BLE001 - a subscriber must not stop the others
                    _log.exception("a subscriber failed", collection=collection.name)
