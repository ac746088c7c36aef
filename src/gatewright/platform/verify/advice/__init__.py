"""What to look at next: one table from topics and reasons to advice, in the parts that this room's modules hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatewright.platform.verify.advice import front, objects, places

TABLE: Final[Mapping[tuple[str, str], str]] = {**front.TABLE, **objects.TABLE, **places.TABLE}
"""By topic and reason. An empty reason is for all of a topic that have no advice of their own."""


def has_advice(topic: str, reason: str) -> bool:
    """Whether a reason has advice of its own."""
    return (topic, reason) in TABLE


def advise(topic: str, reason: str, **names: str) -> str:
    """The advice for a reason, or else that for the topic as a whole; `names` are what its text speaks of."""
    text = TABLE.get((topic, reason)) or TABLE[topic, ""]
    return text.format(**names)
