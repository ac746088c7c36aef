"""The conditions that resolution puts on objects. Times are filled in by whoever writes the status."""

from __future__ import annotations

from gatewright.model.meta import Condition


def condition(type_: str, holds: bool, reason: str, message: str, generation: int) -> Condition:
    """A condition of status True or False, observed at `generation` of its object."""
    return Condition(
        type=type_,
        status="True" if holds else "False",
        reason=reason,
        message=message,
        observed_generation=generation,
    )
