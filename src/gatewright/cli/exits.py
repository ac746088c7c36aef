"""Exit statuses."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
"""An object was refused, or something could not be done."""
