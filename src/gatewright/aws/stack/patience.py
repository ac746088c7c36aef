"""Calls that are made again after a while where AWS couldn't answer, or had too much to do."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from msgspec import Struct

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError, Throttled, Unavailable


class Patience(Struct, frozen=True):
    """How long to wait and how often: `attempts` of a call, the first pause (in seconds), and the longest.

    Each pause is about twice the one before.
    """

    attempts: int = 6
    pause: float = 0.2
    longest: float = 5.0

    async def wait(self, attempt: int) -> None:
        """Before the attempt after number `attempt`, which is 0 for the first. Not everybody waits equally long."""
        pause = min(self.longest, self.pause * 2**attempt)
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - nothing depends on it


class Patient(Aws):
    """AWS for calls that may be made again and again: those that read. They fail after the last attempt."""

    def __init__(self, aws: Aws, patience: Patience | None = None) -> None:
        self.calls = aws.calls
        self._aws = aws
        self._patience = patience or Patience()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """As `Aws.call`."""
        for attempt in range(self._patience.attempts):
            try:
                return await self._aws.call(service, operation, **parameters)
            except (Throttled, Unavailable) as error:
                await self._pause(attempt, error)
        raise AssertionError("there is at least one attempt")

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        """As `Aws.pages`."""
        for attempt in range(self._patience.attempts):
            try:
                return await self._aws.pages(service, operation, items, **parameters)
            except (Throttled, Unavailable) as error:
                await self._pause(attempt, error)
        raise AssertionError("there is at least one attempt")

    async def _pause(self, attempt: int, error: AwsError) -> None:
        if attempt + 1 == self._patience.attempts:
            raise error
        await self._patience.wait(attempt)
