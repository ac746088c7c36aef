"""What an ALB rule can hold (Quotas for your Application Load Balancers; API: CreateRule). None can be raised."""

from __future__ import annotations

from typing import Final

VALUES: Final = 5
"""Condition values of a rule, over all its conditions."""

WILDCARDS: Final = 5
"""Wildcards, * and ?, in a rule's values: "five wildcard characters per rule" (Condition types for listener rules).

The page of quotas says 6; the smaller one is safe.
"""

VALUE_LENGTH: Final = 128
"""Characters of a condition's value, plain or a regular expression; of a redirect's host, path and query as well."""

HEADER_NAME_LENGTH: Final = 40
METHOD_LENGTH: Final = 40

TARGET_GROUPS: Final = 5
"""Target groups of one forward action."""

WEIGHT: Final = 999
STICKINESS: Final = 604800
"""Seconds, 7 days: of a cookie for a target group or a target."""

TRANSFORM_LENGTH: Final = 1024
"""Characters of a transform's regular expression, and of its replacement."""
