"""What holds for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

# Timings belong in bench/.
settings.register_profile("whatever the machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("whatever the machine")


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command that is run within a test leaves no log behind that goes to where the command's output went."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: tests with a real Terraform wait for its provider most of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that the others aren't done long before it."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
