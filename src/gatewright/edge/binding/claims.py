"""Which EdgeBindings have registered a target, and which want it; by target, since many may share a target group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatewright.edge.binding.targets import Peers, TargetKey
from gatewright.model.meta import Key


class _Claim(NamedTuple):
    own: frozenset[TargetKey] = frozenset()
    want: frozenset[TargetKey] = frozenset()


class Claims:
    """What each binding has registered or taken over, and what it wants. A question costs what its targets cost."""

    def __init__(self) -> None:
        self._claims: dict[Key, _Claim] = {}
        self._owners: dict[TargetKey, set[Key]] = {}
        self._wanters: dict[TargetKey, set[Key]] = {}

    def set(self, binding: Key, own: frozenset[TargetKey], want: frozenset[TargetKey]) -> None:
        """Say it of a binding, in place of what was said before."""
        before, after = self._claims.get(binding, _Claim()), _Claim(own, want)
        if before == after:
            return
        self._claims[binding] = after
        _move(self._owners, binding, before.own, own)
        _move(self._wanters, binding, before.want, want)

    def drop(self, binding: Key) -> None:
        """The binding is gone."""
        self.set(binding, frozenset(), frozenset())
        self._claims.pop(binding, None)

    def own(self, binding: Key) -> frozenset[TargetKey]:
        """What a binding has registered or taken over."""
        return self._claims.get(binding, _Claim()).own

    def peers(self, binding: Key, targets: Iterable[TargetKey]) -> Peers:
        """What others than this binding claim, of these targets."""
        asked = frozenset(targets)
        return Peers(
            want=frozenset(target for target in asked if _others(self._wanters, target, binding)),
            own=frozenset(target for target in asked if _others(self._owners, target, binding)),
        )


def _others(index: dict[TargetKey, set[Key]], target: TargetKey, binding: Key) -> bool:
    known = index.get(target, ())
    return len(known) > (binding in known)


def _move(
    index: dict[TargetKey, set[Key]], binding: Key, before: frozenset[TargetKey], after: frozenset[TargetKey]
) -> None:
    for target in before - after:
        index[target].discard(binding)
        if not index[target]:
            del index[target]
    for target in after - before:
        index.setdefault(target, set()).add(binding)
