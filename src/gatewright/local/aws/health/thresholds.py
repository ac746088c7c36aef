"""What passed and failed checks make of a target: the state machine behind DescribeTargetHealth, as pure functions.

A newly registered target has to pass one check to be healthy. Afterwards as many checks in a row turn it as the target
group's thresholds say. One that fails from the start is `initial` until the unhealthy threshold is reached.

Application Load Balancer user guide, "Health checks for Application Load Balancer target groups".
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from gatewright.local.aws.reasons import CHECKING, HEALTHY, REGISTERING
from gatewright.local.aws.state import TargetHealth


class Verdict(Struct, frozen=True):
    """The outcome of one check; `reason` and `description` are AWS's, and empty where it passed."""

    reason: str = ""
    description: str = ""

    @property
    def passed(self) -> bool:
        """Whether the target passed."""
        return not self.reason


PASSED: Final = Verdict()
FAILED: Final = Verdict("Target.FailedHealthChecks", "Health checks failed")
TIMED_OUT: Final = Verdict("Target.Timeout", "Request timed out")
INTERNAL_ERROR: Final = Verdict("Elb.InternalError", "Health checks failed due to an internal error")


def mismatch(code: int) -> Verdict:
    """The target answered with a status that isn't among the success codes."""
    return Verdict("Target.ResponseCodeMismatch", f"Health checks failed with these codes: [{code}]")


class Progress(Struct, frozen=True):
    """Where a target is: its health, and the verdicts in a row that speak against its state.

    Of `passed` and `failed` at most one is more than 0.
    """

    health: TargetHealth = REGISTERING
    passed: int = 0
    failed: int = 0

    @property
    def state(self) -> Literal["initial", "healthy", "unhealthy"]:
        """The state without the reason."""
        state = self.health.state
        return state if state == "healthy" or state == "unhealthy" else "initial"


def begun(progress: Progress) -> Progress:
    """After a check was sent: a target that was being registered is checked now."""
    return Progress(CHECKING) if progress.health == REGISTERING else progress


def reset(progress: Progress) -> Progress:
    """After the way to check has changed: the state stays, and is counted anew."""
    return Progress(progress.health)


def after(progress: Progress, verdict: Verdict, healthy_threshold: int, unhealthy_threshold: int) -> Progress:
    """After one more check."""
    if verdict.passed:
        passed = progress.passed + 1
        if progress.state != "unhealthy" or passed >= healthy_threshold:
            return Progress(HEALTHY)
        return Progress(progress.health, passed=passed)
    if progress.state == "unhealthy":
        return Progress(_unhealthy(verdict))
    failed = progress.failed + 1
    if failed >= unhealthy_threshold:
        return Progress(_unhealthy(verdict))
    return Progress(HEALTHY if progress.state == "healthy" else CHECKING, failed=failed)


def _unhealthy(verdict: Verdict) -> TargetHealth:
    return TargetHealth("unhealthy", verdict.reason, verdict.description)
