"""What holds for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("whatever the machine", deadline=None)  # timings belong in bench/
settings.load_profile("whatever the machine")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests with a real Terraform wait for its provider most of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that the others aren't done long before it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
