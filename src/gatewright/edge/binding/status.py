"""What an EdgeBinding's status says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gatewright.aws.views import TargetGroup, TargetHealth
from gatewright.edge.binding.health import Verdict
from gatewright.edge.binding.targets import Plan, TargetKey, Wanted
from gatewright.model.edgebinding import BoundTarget, EdgeBinding, EdgeBindingStatus
from gatewright.model.meta import Condition

_SHOWN = 5
_LONGEST_MESSAGE = 4096
"""Of a condition; the API takes no more than 32768 characters."""


class Observed(Struct, frozen=True):
    """What is known of a binding, and what is left to do.

    `health` is of all targets by target group, as far as it is known; `health_problem` says why it can't be read.
    `mismatch` says why requests fail although the targets are registered.
    """

    wanted: Wanted
    plan: Plan
    group: TargetGroup | None = None
    health: Mapping[str, Mapping[TargetKey, TargetHealth] | None] = {}
    routable: Verdict | None = None
    mismatch: str = ""
    health_problem: Verdict | None = None


def recorded(binding: EdgeBinding) -> frozenset[TargetKey]:
    """The targets that the binding's status names as its own."""
    return frozenset(
        TargetKey(target.target_group_arn, target.address, target.port)
        for target in binding.status.targets
        if target.registered
    )


def edge_binding_status(binding: EdgeBinding, seen: Observed, now: str) -> EdgeBindingStatus:
    """The status; conditions that didn't change keep their time. `now` is an RFC 3339 time."""
    arn = seen.group.arn if seen.group else None
    targets = sorted(_targets(seen, arn), key=lambda each: (each.target_group_arn != arn, each.address, each.port))
    healthy = sum(_state(seen, key) == "healthy" for key in seen.wanted.targets)
    verdicts = {
        "Bound": _bound(binding, seen),
        "HealthCheckRoutable": seen.routable or Verdict("Unknown", "NotBound", "there is no target group to look at"),
        "Healthy": _healthy(seen),
    }
    before = {condition.type: condition for condition in binding.status.conditions}
    generation = binding.metadata.generation
    return EdgeBindingStatus(
        target_group_arn=arn,
        healthy_targets=f"{healthy}/{len(seen.wanted.targets)}",
        targets=tuple(targets),
        conditions=tuple(
            _condition(type_, verdict, generation, before.get(type_), now) for type_, verdict in verdicts.items()
        ),
    )


def failed_status(binding: EdgeBinding, problem: Verdict, now: str) -> EdgeBindingStatus:
    """The status as it was, but for what keeps the binding from being brought about."""
    generation = binding.metadata.generation
    return msgspec.structs.replace(
        binding.status,
        conditions=tuple(
            _condition("Bound", problem, generation, condition, now) if condition.type == "Bound" else condition
            for condition in binding.status.conditions
        ),
    )


def status_patch(binding: EdgeBinding, wanted: EdgeBindingStatus) -> dict[str, Any] | None:
    """The merge patch that makes `wanted` the binding's status, or None where it is."""
    if wanted == binding.status:
        return None
    status = {
        field.encode_name: msgspec.to_builtins(getattr(wanted, field.name)) for field in msgspec.structs.fields(wanted)
    }
    return {"metadata": {"resourceVersion": binding.metadata.resource_version}, "status": status}


def _condition(type_: str, verdict: Verdict, generation: int, before: Condition | None, now: str) -> Condition:
    changed = before is None or before.status != verdict.status
    return Condition(
        type=type_,
        status=verdict.status,
        reason=verdict.reason,
        message=_clipped(verdict.message),
        last_transition_time=now if before is None or changed else before.last_transition_time,
        observed_generation=generation,
    )


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[: _LONGEST_MESSAGE - 4]} ..."


def _targets(seen: Observed, arn: str | None) -> Iterable[BoundTarget]:
    listed = dict((seen.health.get(arn) or {}).items()) if arn else {}
    for key in sorted(listed.keys() | seen.plan.record):
        health = listed.get(key) or (seen.health.get(key.group) or {}).get(key)
        yield BoundTarget(
            target_group_arn=key.group,
            address=key.id,
            port=key.port,
            zone=health.target.zone if health else "",
            registered=key in seen.plan.record,
            health=health.state if health else "",
            reason=health.reason if health else "",
            description=health.description if health else "",
        )


def _state(seen: Observed, key: TargetKey) -> str:
    found = (seen.health.get(key.group) or {}).get(key)
    return found.state if found else ""


def _bound(binding: EdgeBinding, seen: Observed) -> Verdict:
    wanted, plan = seen.wanted, seen.plan
    if not seen.group or (wanted.reason and not wanted.targets):
        return Verdict("False", wanted.reason or "NotBound", wanted.message or "there is nothing to bind")
    there = [key for key in wanted.targets if _state(seen, key) not in ("", "draining")]
    foreign = [key for key in there if key not in plan.record]
    total = len(wanted.targets)
    gateway = binding.spec.gateway_ref.name
    text = f"{len(there)} of {total} addresses of Gateway {gateway} are registered in target group {seen.group.name}"
    if foreign:
        text += f"; {_some(foreign)} somebody else registered, and it is left to them"
    if plan.waiting:
        text += f"; {_some(plan.waiting)} stays until those are healthy"
    leaving = sorted(key for key in plan.record - set(wanted.targets) if _state(seen, key) == "draining")
    if leaving:
        text += f"; {_some(leaving)} drains"
    if wanted.reason:
        return Verdict("False", wanted.reason, f"{text}; {wanted.message}")
    if len(there) < total:
        return Verdict("False", "Registering", text)
    if seen.mismatch:
        return Verdict("False", "ProtocolMismatch", f"{text}, but requests fail: {seen.mismatch}")
    return Verdict("True", "Bound", text)


def _healthy(seen: Observed) -> Verdict:
    if seen.health_problem:
        return seen.health_problem
    if not seen.group or not seen.wanted.targets:
        return Verdict("Unknown", "NotBound", "there is no target")
    states = {key: _state(seen, key) for key in seen.wanted.targets}
    bad = [key for key, state in states.items() if state not in ("healthy", "unavailable")]
    total = len(states)
    if not bad:
        unchecked: Literal["True", "Unknown"] = "True"
        return Verdict(unchecked, "Healthy", f"{total} of {total} targets are healthy")
    details = "; ".join(_detail(seen, key) for key in bad[:_SHOWN])
    text = f"{total - len(bad)} of {total} targets are healthy: {details}"
    if any(state == "unused" for state in states.values()):
        fix = f"let a listener of a load balancer, or a rule of one, forward to target group {seen.group.name}"
        return Verdict("False", "NotInUse", f"{text}; {fix}")
    if all(states[key] in ("", "initial") for key in bad):
        return Verdict("Unknown", "Initial", text)
    return Verdict("False", "Unhealthy", text)


def _detail(seen: Observed, key: TargetKey) -> str:
    found = (seen.health.get(key.group) or {}).get(key)
    if found is None:
        return f"{key.id}:{key.port} is not registered"
    words = [f"{key.id}:{key.port}", found.state, found.reason]
    return " ".join(word for word in words if word) + (f" ({found.description})" if found.description else "")


def _some(keys: Iterable[TargetKey]) -> str:
    found = [f"{key.id}:{key.port}" for key in keys]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
