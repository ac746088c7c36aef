"""A plan as a user reads it: what is made, changed, replaced and removed, and what becomes of each attribute (pure).

It is told from the plan's own operations, so that what is shown is what is done. Secrets are never told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from msgspec import Struct, field

from gatewright.aws.stack import operations
from gatewright.aws.stack.descriptions import described, existing
from gatewright.aws.stack.holdings import ActualStack
from gatewright.aws.stack.steps import Step

Action: TypeAlias = Literal["create", "change", "replace", "delete"]


class AttributeChange(Struct, frozen=True):
    """What an attribute of a thing is, and what it will be; None where there is none. Values are as JSON has them."""

    name: str
    old: Any = None
    new: Any = None


class Change(Struct, frozen=True):
    """What happens to one thing. `thing` says what it is, as `listener`; `name` which one, as `HTTPS:443`.

    `arn` is that of what exists.
    """

    action: Action
    thing: str
    name: str
    arn: str = ""
    attributes: tuple[AttributeChange, ...] = field(default=())


_DELETIONS = (
    operations.DeleteCertificate,
    operations.DeleteTrustStore,
    operations.DeleteBundle,
    operations.DeleteSecurityGroup,
    operations.DeleteLoadBalancer,
    operations.DeleteTargetGroup,
    operations.DeleteListener,
    operations.DeleteRule,
)
_ORDER = (
    "load balancer",
    "security group",
    "certificate",
    "S3 object",
    "trust store",
    "target group",
    "listener",
    "rule",
)


class _Entry(Struct):
    thing: str
    name: str
    resource: str
    arn: str
    action: Action
    attributes: dict[str, AttributeChange] = field(default_factory=dict)


def changes_of(steps: Iterable[Step], actual: ActualStack) -> tuple[Change, ...]:
    """What the steps do to each thing: by kind, in the order in which the plan begins with them."""
    known = existing(actual)
    entries: dict[tuple[str, str], _Entry] = {}
    for step in steps:
        for told in described(step.operation, known):
            key = (told.thing, told.reference)
            entry = entries.get(key)
            if entry is None:
                name = told.name or known.names.get(key, told.reference)
                resource = told.resource or known.resources.get(key, "")
                arn = told.reference if key in known.names else ""
                entry = entries[key] = _Entry(told.thing, name, resource, arn, "create" if told.creates else "change")
            if isinstance(step.operation, _DELETIONS):
                entry.action = "delete"
                entry.attributes = {}
                continue
            for name, new in told.attributes.items():
                before = entry.attributes.get(name)
                old = before.old if before else known.values.get(key, {}).get(name)
                entry.attributes[name] = AttributeChange(name, old, new)
    return _replacements(entries)


def _replacements(entries: Mapping[tuple[str, str], _Entry]) -> tuple[Change, ...]:
    """What is made and removed for the same resource is replaced."""
    removed = {(each.thing, each.resource): each for each in entries.values() if each.action == "delete"}
    made = {(each.thing, each.resource) for each in entries.values() if each.action == "create"}
    told = []
    for each in entries.values():
        place = (each.thing, each.resource)
        if each.action == "delete" and each.resource and place in made and removed[place] is each:
            continue
        action, arn = each.action, each.arn
        if action == "create" and each.resource and place in removed:
            action, arn = "replace", removed[place].arn
        attributes = tuple(value for value in each.attributes.values() if value.old != value.new)
        if attributes or action in ("create", "replace", "delete"):
            told.append(Change(action, each.thing, each.name, arn, attributes))
    return tuple(sorted(told, key=lambda change: _ORDER.index(change.thing)))
