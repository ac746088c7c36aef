"""Durations of the Gateway API (GEP-2257)."""

from __future__ import annotations

import re
from typing import overload

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@overload
def seconds(duration: str) -> float: ...
@overload
def seconds(duration: str | None) -> float | None: ...
def seconds(duration: str | None) -> float | None:
    """A duration such as 1m30s in seconds; None where none is given."""
    if duration is None:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)(h|ms|m|s)", duration))
