"""Derived collections that are written back into sources, as feedback is."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

from gatewright.flow import Change, Collection, Source

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def mirror(collection: Collection[K, V], source: Source[K, V]) -> None:
    """Keep the values of a source equal to a collection's, now and after each change; other keys stay as they are."""

    def changed(changes: list[Change[K, V]]) -> None:
        with source.batch():
            for key, _, new in changes:
                if new is None:
                    source.delete(key)
                else:
                    source.set(key, new)

    with source.batch():
        for key, value in collection.items():
            source.set(key, value)
    collection.subscribe(changed)
