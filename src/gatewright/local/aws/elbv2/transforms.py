"""Transforms of a rule: RuleTransform of the API (Transforms for listener rules)."""

from __future__ import annotations

from gatewright.local.aws.elbv2 import patterns
from gatewright.local.aws.elbv2.errors import invalid
from gatewright.local.aws.elbv2.models import Document

_CONFIGS = {"host-header-rewrite": "HostHeaderRewriteConfig", "url-rewrite": "UrlRewriteConfig"}
_LONGEST = 1024


def checked(transforms: list[Document]) -> list[Document]:
    """The transforms of a rule, one of each type at the most. Raises a refusal."""
    seen: set[str] = set()
    for transform in transforms:
        kind = transform.get("Type", "")
        if kind not in _CONFIGS:
            raise invalid(f"Transform type '{kind}' must be one of '[{','.join(_CONFIGS)}]'")
        if kind in seen:
            raise invalid(f"A rule can only have one transform of type '{kind}'")
        seen.add(kind)
        _check(kind, transform)
    return transforms


def _check(kind: str, transform: Document) -> None:
    config = _CONFIGS[kind]
    if any(other in transform for other in _CONFIGS.values() if other != config) or config not in transform:
        raise invalid(f"A '{config}' must be specified with '{kind}', and no other")
    rewrites = transform[config].get("Rewrites", [])
    if len(rewrites) != 1:
        raise invalid(f"A '{config}' must have exactly one rewrite")
    replacement = rewrites[0].get("Replace", "")
    if len(replacement) > _LONGEST:
        raise invalid(f"The replacement of a rewrite is too long; the limit is '{_LONGEST}'")
    patterns.check_replacement(replacement, patterns.check(rewrites[0].get("Regex", ""), _LONGEST))
