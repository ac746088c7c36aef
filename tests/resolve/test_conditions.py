"""Conditions as the API takes them."""

from __future__ import annotations

import msgspec

from gatewright.model.codec import decode
from gatewright.model.meta import Condition
from gatewright.resolve.conditions import condition


def test_a_message_is_cut_to_what_the_api_takes() -> None:
    made = condition("ResolvedRefs", False, "BackendNotFound", "x" * 40_000, 1)
    timed = msgspec.structs.replace(made, last_transition_time="2024-01-01T00:00:00Z")
    assert decode(Condition, msgspec.to_builtins(timed)).message.endswith("x...")
