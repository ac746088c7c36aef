"""Why a rule can't be one of an ALB's."""

from __future__ import annotations

from gatewright.aws.support import Row
from gatewright.topology import Origin


class Refused(Exception):
    """A part of a rule that an ALB can't express; the text is `field: found ...; why; what instead`."""

    def __init__(self, row: Row, field: str, found: object) -> None:
        super().__init__(row.message(field, found))


def rule_field(origin: Origin) -> str:
    """The field of the rule that a match comes from: `spec.rules[0]` for `spec.rules[0].matches[1]`."""
    return origin.field.partition(".matches[")[0]


def quoted(text: str) -> str:
    """A value as messages show it, not too much of it."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...") + (
        "" if len(text) <= 80 else f" ({len(text)} characters)"
    )
