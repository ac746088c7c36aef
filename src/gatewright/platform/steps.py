"""Steps that are done one after another, can be stopped at any point, and go on from there when they are run again."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from gatewright.platform.errors import EXPECTED, StepFailed

BEGUN = ""
"""The digest of a step that was begun and isn't done."""


async def never() -> bool:
    """For a step that is done each time."""
    return False


@dataclass(frozen=True)
class Step:
    """One step. `inputs` and `holds` are asked when its turn comes, with all earlier steps done."""

    id: str
    title: str
    """What it does, as in "Terraform"."""
    run: Callable[[], Awaitable[str]]
    """Do it, however much of it was done before; the answer says in a few words what came of it."""
    inputs: Callable[[], Any]
    """What it depends on, as JSON: where that is another value than before, it is done again."""
    holds: Callable[[], Awaitable[bool]] = never
    """Whether what it made is still there; asked only where it was done with the same inputs, so it is to be cheap."""


class Journal(Protocol):
    """Remembers, beyond the end of the process, which steps are done."""

    def digest(self, step: str) -> str | None:
        """What it was done with; `BEGUN` where it was begun; None where it was not."""
        ...

    def record(self, step: str, digest: str) -> None:
        """Remember that it is done, or begun."""
        ...


class Progress(Protocol):
    """Tells a person what happens."""

    def begin(self, number: int, count: int, title: str) -> None:
        """A step begins; its number counts from 1."""
        ...

    def doing(self, text: str) -> None:
        """What goes on within the step or is waited for; takes the place of what was said before."""
        ...

    def end(self, text: str, seconds: float) -> None:
        """The step is done."""
        ...

    def stood(self, title: str) -> None:
        """The step was done before, and what it made is still there."""
        ...

    def failed(self, seconds: float) -> None:
        """The step ended without being done."""
        ...


def digest(inputs: Any) -> str:
    """The same text for the same JSON value, another one for any other."""
    return hashlib.sha256(msgspec.json.encode(inputs, order="sorted")).hexdigest()


async def carry_out(steps: Sequence[Step], journal: Journal, progress: Progress) -> None:
    """Do what isn't done. Raises StepFailed; whatever ends it, running it again goes on with the step that it ended in.

    A step is marked as begun before it is run, so that one that was interrupted counts as not done.
    """
    for number, step in enumerate(steps, 1):
        start = time.monotonic()
        try:
            before = journal.digest(step.id)
            if before and before == digest(step.inputs()) and await step.holds():
                progress.stood(step.title)
                continue
            progress.begin(number, len(steps), step.title)
            journal.record(step.id, BEGUN)
            result = await step.run()
            # Read after the run, which may have made what the inputs are read from.
            journal.record(step.id, digest(step.inputs()))
        except BaseException as error:
            progress.failed(time.monotonic() - start)
            if isinstance(error, EXPECTED):
                raise StepFailed(step.id, step.title, error) from error
            raise
        progress.end(result, time.monotonic() - start)
