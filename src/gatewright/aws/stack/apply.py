"""Carries out plans: what may be done at the same time is; a failure keeps only what depends on it from being done."""

from __future__ import annotations

import asyncio

import structlog
from msgspec import Struct

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.carrying import carry_out
from gatewright.aws.stack.effects import after
from gatewright.aws.stack.holdings import ActualStack
from gatewright.aws.stack.patience import Patience
from gatewright.aws.stack.plan import Plan
from gatewright.aws.stack.references import References

_log = structlog.get_logger(__name__)


class Failure(Struct, frozen=True):
    """An operation that AWS refused, and how."""

    operation: op.Operation
    error: AwsError


class ApplyError(Exception):
    """Something of a plan couldn't be done. Everything that doesn't depend on it was.

    `actual` is what AWS holds as far as is known; where an error is `Unavailable`, AWS may have done it nevertheless,
    so that it has to be read again. `skipped` are the operations that had to wait for one that failed.
    """

    def __init__(
        self, actual: ActualStack, failures: tuple[Failure, ...], skipped: tuple[op.Operation, ...], done: int
    ) -> None:
        told = "; ".join(f"{type(each.operation).__name__}: {each.error}" for each in failures)
        super().__init__(f"{told} ({done} operations were done, {len(skipped)} had to be left out)")
        self.actual = actual
        self.failures = failures
        self.skipped = skipped
        self.done = done

    @property
    def retryable(self) -> bool:
        """Whether the same plan may succeed later, without anybody changing anything."""
        return all(each.error.retryable for each in self.failures)


async def apply(aws: Aws, actual: ActualStack, plan: Plan, *, patience: Patience | None = None) -> ActualStack:
    """Carry out a plan; the answer is what AWS holds then. Raises `ApplyError` once all that can be done is done.

    Cancelled, it leaves what AWS is doing at that moment undecided: read again.
    """
    return await _Application(aws, actual, patience or Patience()).run(plan)


class _Application:
    """The work on one plan. `names` learns what things are that are made."""

    def __init__(self, aws: Aws, actual: ActualStack, patience: Patience) -> None:
        self._aws = aws
        self._actual = actual
        self._patience = patience
        self._names = References()

    async def run(self, plan: Plan) -> ActualStack:
        waiting = {number: {*step.after} for number, step in enumerate(plan.steps)}
        followers: dict[int, list[int]] = {}
        for number, before in waiting.items():
            for each in before:
                followers.setdefault(each, []).append(number)
        failures: dict[int, Failure] = {}
        running: dict[asyncio.Task[None], int] = {}
        ready = [number for number, before in waiting.items() if not before]
        done = 0
        try:
            while ready or running:
                for number in ready:
                    del waiting[number]
                    running[asyncio.create_task(self._carry_out(plan.steps[number].operation))] = number
                ready = []
                finished, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    number = running.pop(task)
                    try:
                        task.result()
                    except AwsError as error:
                        failures[number] = Failure(plan.steps[number].operation, error)
                        continue
                    done += 1
                    for follower in followers.get(number, ()):
                        waiting[follower].discard(number)
                        if not waiting[follower]:
                            ready.append(follower)
        finally:
            for task in running:
                task.cancel()
        if failures:
            told = tuple(failures[number] for number in sorted(failures))
            skipped = tuple(plan.steps[number].operation for number in sorted(waiting))
            raise ApplyError(self._actual, told, skipped, done)
        return self._actual

    async def _carry_out(self, operation: op.Operation) -> None:
        made = await carry_out(self._aws, operation, self._actual.key, self._names, self._patience)
        self._actual = after(self._actual, operation, made, self._names)
        _log.debug("done", operation=type(operation).__name__, of=self._actual.key.id)
