"""The conditions that resolution puts on objects. Times are filled in by whoever writes the status."""

from __future__ import annotations

from gatewright.model.meta import Condition

_MESSAGE_LIMIT = 32768  # of meta/v1 Condition, in characters


def condition(type_: str, holds: bool, reason: str, message: str, generation: int) -> Condition:
    """A condition of status True or False, observed at `generation` of its object."""
    return Condition(
        type=type_,
        status="True" if holds else "False",
        reason=reason,
        message=message if len(message) <= _MESSAGE_LIMIT else f"{message[: _MESSAGE_LIMIT - 3]}...",
        observed_generation=generation,
    )
