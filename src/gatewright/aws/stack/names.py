"""Names for what is made anew beside something that has the name already (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Set

NAME_PREFIX = "k8s-"
"""Names that nobody chose begin with it, as the AWS Load Balancer Controller's do."""

_LONGEST = 32
"""Of load balancers and target groups (ELBv2 API reference)."""

_OTHERS = 4


def possible_names(name: str, told: object) -> list[str]:
    """The names that a thing may have: the one that is asked for, then others, told by what can't be changed in it."""
    digests = (hashlib.sha256(f"{name} {told!r} {number}".encode()).hexdigest()[:8] for number in range(_OTHERS))
    return [name, *(f"{name[: _LONGEST - 9].rstrip('-')}-{digest}" for digest in digests)]


def free_name(names: list[str], taken: Set[str]) -> str:
    """The first that nobody has; the last one if all are taken."""
    return next((each for each in names if each not in taken), names[-1])
