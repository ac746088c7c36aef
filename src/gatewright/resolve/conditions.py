"""The conditions that resolution puts on objects. Times are filled in by whoever writes the status."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from gatewright.model.gateway.shared import NEGATIVE
from gatewright.model.meta import Condition

_MESSAGE_LIMIT = 4096  # in characters; a status with 64 such conditions must fit into an object of the API

Reason: TypeAlias = tuple[str, str]
"""A condition's reason and message."""


def failing(conditions: Iterable[Condition]) -> list[Condition]:
    """The conditions that are not as they should be."""
    return [each for each in conditions if (each.status == "True") == (each.type in NEGATIVE)]


def condition(type_: str, holds: bool, reason: str, message: str, generation: int) -> Condition:
    """A condition of status True or False, observed at `generation` of its object."""
    return Condition(
        type=type_,
        status="True" if holds else "False",
        reason=reason,
        message=message if len(message) <= _MESSAGE_LIMIT else f"{message[: _MESSAGE_LIMIT - 3]}...",
        observed_generation=generation,
    )


def together(problems: Sequence[Reason]) -> Reason | None:
    """Several problems as one: the first one's reason, every message; None where there are none."""
    return (problems[0][0], "; ".join(message for _, message in problems)) if problems else None
