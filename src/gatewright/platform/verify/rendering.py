"""A report as lines of text: what failed in full, what passed by the number."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from gatewright.platform.report import Check, Outcome, Report

_WIDTH = 116
_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "skipped"}


def _plain(_: Outcome, text: str) -> str:
    return text


def render(report: Report, mark: Callable[[Outcome, str], str] = _plain) -> Iterator[str]:
    """The lines: one a kind of check, with what failed below it, and a last one that counts. `mark` puts colour on."""
    width = max((len(check.id) for check in report.checks), default=0)
    for id_, group in groupby(report.checks, key=lambda check: check.id):
        checks = list(group)
        yield from _group(id_, checks, width, mark)
    counts = [(outcome, sum(check.outcome is outcome for check in report.checks)) for outcome in Outcome]
    text = ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count) or "nothing was looked at"
    where = f"{report.target}, {report.architecture}"
    yield mark(
        Outcome.PASSED if report.ok else Outcome.FAILED, f"{'verified' if report.ok else 'not verified'}: {text}"
    ) + (f" ({where})")


def _group(id_: str, checks: list[Check], width: int, mark: Callable[[Outcome, str], str]) -> Iterator[str]:
    for outcome in Outcome:
        found = [check for check in checks if check.outcome is outcome]
        if not found:
            continue
        head = f"{id_:{width}}  {mark(outcome, f'{_MARKS[outcome]:7}')}"
        if outcome is Outcome.PASSED:
            yield f"{head}  {_summary(found)}"
        elif outcome is Outcome.SKIPPED:
            for text, subjects in _by_text(found):
                yield f"{head}  {subjects}: {text}"
        else:
            for check in found:
                yield f"{head}  {check.subject}"
                yield from _paragraph("expected", check.expected)
                yield from _paragraph("found", check.found)
                yield from _paragraph("next", check.advice)


def _summary(checks: list[Check]) -> str:
    if len(checks) == 1:
        return f"{checks[0].subject}: {checks[0].found}"
    common = {check.expected for check in checks}
    return _some([check.subject for check in checks]) + (f": {common.pop()}" if len(common) == 1 else "")


def _by_text(checks: Iterable[Check]) -> Iterator[tuple[str, str]]:
    """What was skipped for the same reason, together."""
    subjects: dict[str, list[str]] = {}
    for check in checks:
        subjects.setdefault(check.found, []).append(check.subject)
    for text, names in subjects.items():
        yield text, _some(names)


def _some(subjects: list[str]) -> str:
    names = list(dict.fromkeys(subjects))
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _paragraph(name: str, text: str) -> Iterator[str]:
    indent = " " * 6
    lines = textwrap.wrap(text, _WIDTH - 16, break_long_words=False, break_on_hyphens=False) or [""]
    yield f"{indent}{name + ':':9} {lines[0]}"
    for line in lines[1:]:
        yield f"{indent}{'':9} {line}"
