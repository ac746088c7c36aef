"""How checks are made, and why one can't be."""

from __future__ import annotations

from gatewright.platform.report import Check, Outcome


class CannotLookError(Exception):
    """Something can't be looked at; the text says why. The check is skipped."""


def passed(id_: str, subject: str, expected: str, found: str) -> Check:
    """It is as it should be."""
    return Check(id=id_, subject=subject, outcome=Outcome.PASSED, expected=expected, found=found)


def failed(id_: str, subject: str, expected: str, found: str, advice: str) -> Check:
    """It isn't; `advice` says what to look at next."""
    return Check(id=id_, subject=subject, outcome=Outcome.FAILED, expected=expected, found=found, advice=advice)


def skipped(id_: str, subject: str, expected: str, why: str) -> Check:
    """Nobody can tell, and `why`."""
    return Check(id=id_, subject=subject, outcome=Outcome.SKIPPED, expected=expected, found=why)


def judged(id_: str, subject: str, expected: str, found: str, problem: str, advice: str) -> Check:
    """Failed where there is a `problem`, with that as what was found; else passed."""
    return failed(id_, subject, expected, problem, advice) if problem else passed(id_, subject, expected, found)
