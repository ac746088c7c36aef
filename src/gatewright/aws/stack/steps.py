"""Operations with what has to be done before each of them."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gatewright.aws.stack.operations import Operation


class Step(Struct, frozen=True):
    """One operation of a plan, and the positions of those that have to have succeeded before it."""

    operation: Operation
    after: tuple[int, ...] = ()


class Draft:
    """A plan that is being written: steps in an order in which they could be done one by one."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def add(self, operation: Operation, after: Iterable[int] = ()) -> int:
        """Add an operation; the answer is its position, for others to come after it."""
        before = tuple(sorted({*after}))
        assert not before or before[-1] < len(self.steps)
        self.steps.append(Step(operation, before))
        return len(self.steps) - 1
