"""What `gatewright verify` found: one check a line, for people and for machines."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It couldn't be made; `found` says why. Doesn't count as passed."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    id: str
    """What kind of check it is, in kebab-case: `endpoint`, `redirect`, `target-health`, ..."""
    subject: str
    """What was looked at: an object (`Gateway istio-ingress/shared-gateway`), a URL, an ARN."""
    outcome: Outcome
    expected: str
    found: str
    advice: str = ""
    """What to look at next; not empty for a check that failed."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All checks of one run."""

    target: str
    architecture: str
    at: str
    """RFC 3339."""
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed and something passed."""
        outcomes = {check.outcome for check in self.checks}
        return Outcome.PASSED in outcomes and Outcome.FAILED not in outcomes
