"""What has to be done at AWS so that a stack is what it is to be: typed operations with their order (pure).

Planning again after all operations of a plan are done gives nothing to do.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from gatewright.aws.stack import balancer_changes, group_changes
from gatewright.aws.stack.balancer_changes import DELETION_PROTECTION, deletion_steps
from gatewright.aws.stack.changes import Change, changes_of
from gatewright.aws.stack.desired import Stack
from gatewright.aws.stack.holdings import ActualLoadBalancer, ActualStack
from gatewright.aws.stack.listener_changes import Surroundings, listener_steps
from gatewright.aws.stack.operations import DeleteCertificate, DeleteSecurityGroup, DeleteTargetGroup, Operation
from gatewright.aws.stack.security_changes import certificate_steps, security_group_steps
from gatewright.aws.stack.steps import Draft, Step
from gatewright.aws.stack.trust_changes import removal_steps, trust_store_steps

RULES = 100
"""Rules that a load balancer can have unless the quota was raised (Quotas for your Application Load Balancers)."""


class Plan(Struct, frozen=True):
    """What to do with what there is, `actual`. `conflicts` are what can't be done, in plain words.

    `replaced` are the ARNs of load balancers in whose place this plan puts another one.
    """

    actual: ActualStack
    steps: tuple[Step, ...] = ()
    conflicts: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[Change, ...]:
        """What a user reads."""
        return changes_of(self.steps, self.actual) if self.steps else ()

    @property
    def operations(self) -> tuple[Operation, ...]:
        """In an order in which they could be done one by one."""
        return tuple(step.operation for step in self.steps)

    @property
    def empty(self) -> bool:
        """Whether nothing has to be done."""
        return not self.steps


def plan(
    desired: Stack | None,
    actual: ActualStack,
    *,
    keep: Collection[str] = (),
    protected: bool = False,
    most_rules: int = RULES,
) -> Plan:
    """The way from what is there to what is asked for; None for nothing at all.

    `keep` are ARNs of load balancers that are replaced and have to serve for a while yet. `protected`: a user still
    asks for deletion protection, so that no load balancer that has it goes.
    """
    if desired is None:
        return _removal(actual, keep, protected=protected)
    choice = balancer_changes.choose(desired.load_balancer, actual)
    retained = [each for each in choice.retired if each.load_balancer.arn in keep]
    replaced = tuple(each.load_balancer.arn for each in (*choice.retired, *choice.in_the_way))
    if choice.current is None and choice.conflict:
        return Plan(actual, (), (choice.conflict,), replaced)
    draft = Draft()
    freed = {each.load_balancer.arn: deletion_steps(draft, each, ()) for each in choice.in_the_way}
    groups = security_group_steps(draft, desired, actual)
    certificates = certificate_steps(draft, desired, actual)
    trust_stores = trust_store_steps(draft, desired, actual)
    before_listeners = balancer_changes.balancer_steps(
        draft,
        desired,
        choice,
        groups.reference,
        groups.ready(desired.load_balancer.security_groups),
        freed.values(),
    )
    own = {choice.current.load_balancer.arn} if choice.current else set()
    choices = group_changes.choose(desired, actual, frozenset({*own, *freed}), choice.name)
    target_groups = group_changes.group_steps(draft, desired, choices, freed)
    around = Surroundings(target_groups, certificates, trust_stores, tuple(before_listeners))
    listening = listener_steps(draft, desired, choice.current, around, most_rules)
    serving = [*range(len(draft.steps))]
    deleted = [deletion_steps(draft, each, serving) for each in choice.retired if each.load_balancer.arn not in keep]
    last = [*listening, *freed.values(), *deleted]
    held = {each.load_balancer.arn for each in retained}
    for arn, group in sorted(actual.target_groups.items()):
        if arn not in target_groups.used and not held & {*group.group.load_balancers}:
            draft.add(DeleteTargetGroup(arn), last)
    in_use = _certificates_of(retained)
    for arn in sorted(actual.certificates):
        if arn not in certificates.used and arn not in in_use:
            draft.add(DeleteCertificate(arn), last)
    modified = [step for steps in trust_stores.steps.values() for step in steps]
    removal_steps(draft, desired, actual, trust_stores.used, retained, [*last, *modified])
    after_all = [*range(len(draft.steps))]
    in_use = {group for each in retained for group in each.load_balancer.security_groups}
    for group_id in sorted(actual.security_groups):
        if group_id not in groups.used and group_id not in in_use:
            draft.add(DeleteSecurityGroup(group_id), after_all)
    return Plan(actual, tuple(draft.steps), (choice.conflict,) if choice.conflict else (), replaced)


def _certificates_of(balancers: Collection[ActualLoadBalancer]) -> set[str]:
    return {arn for each in balancers for listener in each.listeners.values() for arn in listener.certificates}


def _removal(actual: ActualStack, keep: Collection[str], *, protected: bool) -> Plan:
    """How everything goes: first the load balancers with their listeners, then what they used."""
    draft = Draft()
    conflicts = []
    retained = []
    last = []
    for arn, each in sorted(actual.load_balancers.items()):
        if protected and each.attributes.get(DELETION_PROTECTION) == "true":
            conflicts.append(
                f"load balancer {each.load_balancer.name}: {DELETION_PROTECTION} is true, so that it isn't deleted; "
                "set that attribute to false first"
            )
            retained.append(each)
        elif arn in keep:
            retained.append(each)
        else:
            last.append(deletion_steps(draft, each, ()))
    held = {each.load_balancer.arn for each in retained}
    for arn, group in sorted(actual.target_groups.items()):
        if not held & {*group.group.load_balancers}:
            draft.add(DeleteTargetGroup(arn), last)
    in_use = _certificates_of(retained)
    for arn in sorted(actual.certificates.keys() - in_use):
        draft.add(DeleteCertificate(arn), last)
    removal_steps(draft, None, actual, (), retained, last)
    in_use = {group for each in retained for group in each.load_balancer.security_groups}
    for group_id in sorted(actual.security_groups.keys() - in_use):
        draft.add(DeleteSecurityGroup(group_id), last)
    return Plan(actual, tuple(draft.steps), tuple(conflicts))
