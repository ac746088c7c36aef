"""Plans as text, in the form that Terraform's users know, and as JSON (pure).

The JSON of `document` is stable: members are only ever added.

```
{"format_version": "1.0", "empty": false, "summary": {"create": 1, "change": 0, "replace": 0, "delete": 0},
 "access": [],
 "stacks": [{"cluster": "prod", "kind": "alb", "id": "shop/edge", "conflicts": [],
             "changes": [{"action": "change", "thing": "rule", "name": "443, priority 100", "arn": "arn:...",
                          "attributes": [{"name": "actions", "old": [...], "new": [...]}]}]}]}
```
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gatewright.aws.stack.changes import AttributeChange, Change
from gatewright.aws.stack.plan import Plan

_SIGNS = {"create": "+", "change": "~", "replace": "-/+", "delete": "-"}
_COLOURS = {"create": "32", "change": "33", "replace": "33", "delete": "31"}
_KINDS = {"alb": "Gateway", "nlb": "Gateway", "ingress": "Ingress group"}
_NO_CHANGES = "No changes. What AWS has is what is asked for."


def text(plans: Iterable[Plan], *, access: Iterable[Change] = (), colours: bool = False) -> str:
    """All plans, and a line that counts. With `colours` it has the escape sequences of a terminal.

    `access` are the changes of what the targets' security groups let in, which belong to no stack.
    """
    shown, shared = list(plans), list(access)
    lines = [line for change in shared for line in _change(change, colours=colours)]
    if shared:
        lines = ["# Security groups of the targets", *lines, ""]
    lines += [line for plan in shown for line in _plan(plan, colours=colours)]
    counts = summary(shown, shared)
    if not any(counts.values()):
        return "\n".join([*lines, _NO_CHANGES])
    told = ", ".join(f"{counts[action]} to {action}" for action in _SIGNS)
    return "\n".join([*lines, f"Plan: {told}."])


def summary(plans: Iterable[Plan], access: Iterable[Change] = ()) -> dict[str, int]:
    """How many things are made, changed, replaced and removed."""
    counts = dict.fromkeys(_SIGNS, 0)
    for change in (*access, *(change for plan in plans for change in plan.changes)):
        counts[change.action] += 1
    return counts


def document(plans: Iterable[Plan], access: Iterable[Change] = ()) -> dict[str, Any]:
    """All plans as JSON has them; `access` as for `text`."""
    shown, shared = list(plans), list(access)
    return {
        "format_version": "1.0",
        "empty": not shared and all(plan.empty for plan in shown),
        "summary": summary(shown, shared),
        "access": [msgspec.to_builtins(change) for change in shared],
        "stacks": [
            {
                "cluster": plan.actual.key.cluster,
                "kind": plan.actual.key.kind,
                "id": plan.actual.key.id,
                "conflicts": list(plan.conflicts),
                "changes": [msgspec.to_builtins(change) for change in plan.changes],
            }
            for plan in shown
        ],
    }


def _plan(plan: Plan, *, colours: bool) -> Iterator[str]:
    if plan.empty and not plan.conflicts:
        return
    key = plan.actual.key
    yield f"# {_KINDS[key.kind]} {key.id} ({key.kind}, cluster {key.cluster})"
    for conflict in plan.conflicts:
        yield _coloured(f"  ! {conflict}", "31", colours=colours)
    for change in plan.changes:
        yield from _change(change, colours=colours)
    yield ""


def _change(change: Change, *, colours: bool) -> Iterator[str]:
    sign = _SIGNS[change.action]
    colour = _COLOURS[change.action]
    yield _coloured(f"{sign:>3} {change.thing} {change.name}", colour, colours=colours)
    if change.action == "delete":
        return
    for attribute in change.attributes:
        for sign, line in _attribute(attribute):
            action = {"+": "create", "-": "delete"}.get(sign, "change")
            yield _coloured(f"      {sign} {line}", _COLOURS[action], colours=colours)


def _coloured(line: str, colour: str, *, colours: bool) -> str:
    return f"\x1b[{colour}m{line}\x1b[0m" if colours else line


def _attribute(attribute: AttributeChange) -> Iterator[tuple[str, str]]:
    name, old, value = attribute.name, attribute.old, attribute.new
    if isinstance(value, dict) and isinstance(old, dict | None):
        before = old or {}
        for key in sorted({*before, *value}):
            if before.get(key) != value.get(key):
                yield _one(f"{name}: {key}", before.get(key), value.get(key))
        return
    if isinstance(value, list) and isinstance(old, list | None):
        before_list = old or []
        for each in (item for item in before_list if item not in value):
            yield "-", f"{name}: {_shown(each)}"
        for each in (item for item in value if item not in before_list):
            yield "+", f"{name}: {_shown(each)}"
        if old is not None and sorted(map(_shown, old)) == sorted(map(_shown, value)):
            yield "~", f"{name}: {_shown(old)} -> {_shown(value)}"
        return
    yield _one(name, old, value)


def _one(name: str, old: Any, value: Any) -> tuple[str, str]:
    if old is None:
        return "+", f"{name}: {_shown(value)}"
    if value is None:
        return "-", f"{name}: {_shown(old)}"
    return "~", f"{name}: {_shown(old)} -> {_shown(value)}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
