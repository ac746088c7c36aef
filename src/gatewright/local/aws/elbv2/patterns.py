"""Regular expressions of rule conditions and transforms: what an ALB takes.

No lookaround, backreferences, atomic groups, possessive quantifiers, subroutines, recursion, nor Unicode character
classes (Listener rules for your Application Load Balancer, "Rule basics"): RE2's syntax without its `\\p`.
"""

from __future__ import annotations

import re

import re2

from gatewright.local.aws.elbv2.errors import invalid

_REFERENCE = re.compile(r"\$(\d+|\{\d+\})")
_UNICODE_CLASS = re.compile(r"(?<!\\)(?:\\\\)*\\[pP]")


def check(pattern: str, most: int) -> int:
    """Raise a refusal if an ALB can't match `pattern`, of at most `most` characters; the number of its groups."""
    if not pattern:
        raise invalid("A regular expression must be specified")
    if len(pattern) > most:
        raise invalid(f"The regular expression '{pattern}' is too long; the limit is '{most}'")
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error:
        compiled = None
    if compiled is None or _UNICODE_CLASS.search(pattern):
        raise invalid(f"The regular expression '{pattern}' is not valid")
    return int(compiled.groups)


def check_replacement(replacement: str, groups: int) -> None:
    """Raise a refusal if `replacement` refers to a group that its pattern doesn't have."""
    for found in _REFERENCE.finditer(replacement):
        if int(found[1].strip("{}")) > groups:
            raise invalid(f"The replacement '{replacement}' refers to a group that does not exist: '{found[0]}'")
