"""How target groups become what they are to be (pure). A new target is there before an old one goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field, structs

from gatewright.aws import views
from gatewright.aws.stack.desired import DesiredTargetGroup, Stack
from gatewright.aws.stack.documents import same_check
from gatewright.aws.stack.holdings import ActualStack, ActualTargetGroup
from gatewright.aws.stack.names import free_name, possible_names
from gatewright.aws.stack.operations import (
    CreateTargetGroup,
    DeregisterTargets,
    RegisterTargets,
    SetHealthCheck,
    SetTags,
    SetTargetGroupAttributes,
)
from gatewright.aws.stack.security_changes import Prepared
from gatewright.aws.stack.steps import Draft
from gatewright.aws.stack.tags import tag_changes

_TARGETS_AT_ONCE = 200


class Choices(Struct, frozen=True):
    """By resource ID: the target group that is there, or the name of the one that is to be made."""

    found: dict[str, ActualTargetGroup] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)


def choose(desired: Stack, actual: ActualStack, usable_with: frozenset[str], load_balancer: str) -> Choices:
    """Which target group is which. One belongs to one load balancer: those that `usable_with` have can be taken.

    `load_balancer` is the name of the one that will use them.
    """
    choices = Choices()
    taken = {*actual.taken_target_groups, *(each.group.name for each in actual.target_groups.values())}
    for wanted in desired.target_groups:
        names = possible_names(wanted.name, (load_balancer, _unchangeable(wanted)))
        fitting = [
            each
            for each in actual.target_groups.values()
            if each.tags.get(desired.key.resource_tag) == wanted.resource
            and {*each.group.load_balancers} <= usable_with
            and each.group.name in names
            and _unchangeable_of(each.group) == _unchangeable(wanted)
        ]
        if fitting:
            # The one in use first: that keeps its connections.
            choices.found[wanted.resource] = min(
                fitting, key=lambda each: (not each.group.load_balancers, names.index(each.group.name))
            )
        else:
            choices.names[wanted.resource] = free_name(names, taken)
            taken.add(choices.names[wanted.resource])
    return choices


def _unchangeable(wanted: DesiredTargetGroup) -> tuple[object, ...]:
    return (
        wanted.target_type,
        wanted.protocol,
        wanted.port,
        wanted.vpc,
        wanted.protocol_version,
        wanted.ip_address_type,
        wanted.control_port,
    )


def _unchangeable_of(found: views.TargetGroup) -> tuple[object, ...]:
    return (
        found.target_type,
        found.protocol,
        found.port,
        found.vpc,
        found.protocol_version,
        found.ip_address_type,
        found.control_port,
    )


def group_steps(draft: Draft, desired: Stack, choices: Choices, freed: Mapping[str, int]) -> Prepared:
    """Make, change and fill the target groups. Those used by a load balancer that goes first are free after `freed`."""
    prepared = Prepared()
    for wanted in desired.target_groups:
        found = choices.found.get(wanted.resource)
        tags = {**wanted.tags, **desired.key.tags, desired.key.resource_tag: wanted.resource}
        group, steps = wanted.resource, []
        if found is None:
            steps = [draft.add(CreateTargetGroup(choices.names[wanted.resource], _alone(wanted), tags))]
        else:
            group = prepared.references[wanted.resource] = found.group.arn
            prepared.used.add(group)
            steps = [freed[each] for each in found.group.load_balancers if each in freed]
            add, remove = tag_changes(tags, found.tags)
            if add or remove:
                draft.add(SetTags(group, add, remove))
            if not same_check(wanted.health_check, found.group.health_check):
                draft.add(SetHealthCheck(group, wanted.health_check, wanted.protocol_version))
        made = steps[:1]
        attributes = found.attributes if found else {}
        if changes := {key: value for key, value in wanted.attributes.items() if attributes.get(key) != value}:
            steps.append(draft.add(SetTargetGroupAttributes(group, changes), made))
        steps += _target_steps(draft, group, wanted, found, made)
        if steps:
            prepared.steps[group] = steps
    return prepared


def refilling(actual: ActualStack, wanted: Iterable[DesiredTargetGroup]) -> Draft:
    """The steps that bring the targets of what is there up to date, and nothing else.

    For a stack that stays as it is since there can't be what is asked for: pods come and go all the same.
    """
    draft = Draft()
    groups = {each.resource: each for each in wanted}
    for arn, found in sorted(actual.target_groups.items()):
        group = groups.get(found.tags.get(actual.key.resource_tag, ""))
        if group and found.targets is not None and _unchangeable_of(found.group) == _unchangeable(group):
            _target_steps(draft, arn, group, found, ())
    return draft


def _alone(wanted: DesiredTargetGroup) -> DesiredTargetGroup:
    """Without its targets, which are registered by operations of their own."""
    return structs.replace(wanted, targets=frozenset())


def _target_steps(
    draft: Draft, group: str, wanted: DesiredTargetGroup, found: ActualTargetGroup | None, after: Iterable[int]
) -> list[int]:
    """The steps that register targets. A target is the same whatever zone it is said to be in."""
    held = (found.targets if found else None) or frozenset()
    known = {(target.id, target.port) for target in held}
    kept = {(target.id, target.port) for target in wanted.targets}
    new = sorted(target for target in wanted.targets if (target.id, target.port) not in known)
    gone = sorted(target for target in held if (target.id, target.port) not in kept)
    if wanted.keep_others:
        ours = found.ours if found else frozenset()
        gone = [target for target in gone if (target.id, target.port) in ours]
    before = [*after]
    registered = [
        draft.add(RegisterTargets(group, tuple(new[start : start + _TARGETS_AT_ONCE])), before)
        for start in range(0, len(new), _TARGETS_AT_ONCE)
    ]
    for start in range(0, len(gone), _TARGETS_AT_ONCE):
        draft.add(DeregisterTargets(group, tuple(gone[start : start + _TARGETS_AT_ONCE])), [*before, *registered])
    return registered
