"""Who may use a target group that exists: its tags say (pure).

Everybody who may write an EdgeBinding could otherwise put targets of theirs into any target group of the account, and
so get a share of somebody else's traffic; who may write an Ingress could forward to anybody's targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAMESPACES_TAG: Final = "gatewright.dev/namespaces"
"""On a target group: the namespaces whose EdgeBindings and Ingresses may use it, separated by spaces.

(AWS allows no commas in tags.)
Empty permits none; without the tag, all may.
"""

_STACKS: Final = {
    "service.k8s.aws/stack": "Service",
    "ingress.k8s.aws/stack": "Ingress",
    "gateway.k8s.aws/stack": "Gateway",
    "gateway.k8s.aws.alb/stack": "Gateway",
    "gateway.k8s.aws.nlb/stack": "Gateway",
}
"""On what a controller made for an object, which its value names; it takes any targets but its own for leftovers."""


def is_somebodys(tags: Mapping[str, str]) -> bool:
    """Whether a target group with these tags was made for an object of a cluster, and is none to be bound."""
    return not tags.keys().isdisjoint(_STACKS)


def untagged(name: str, tags: Mapping[str, str], namespace: str) -> str:
    """Why AWS may deny registering targets in the target group of this name and tags; empty where it isn't for them."""
    if NAMESPACES_TAG in tags:
        return ""
    return (
        f"target group {name} has no tag {NAMESPACES_TAG}, without which config/iam/policy.json permits registering no "
        f"targets in it; add the tag with the value {namespace}"
    )


def refusal(name: str, tags: Mapping[str, str], namespace: str) -> str:
    """Why objects of a namespace may not use the target group of this name and tags; empty where they may."""
    for tag, kind in _STACKS.items():
        if tag in tags:
            owner = f"{kind} {tags[tag]}".strip()
            return (
                f"target group {name} belongs to {owner} (tag {tag}), whose controller registers its targets; "
                "name a target group that is there for you"
            )
    permitted = tags.get(NAMESPACES_TAG)
    if permitted is None or namespace in permitted.split():
        return ""
    return (
        f"target group {name} may be used from the namespaces {' '.join(permitted.split()) or '(none)'} only, by its "
        f"tag {NAMESPACES_TAG}; add {namespace} to the tag's value, or name another target group"
    )
