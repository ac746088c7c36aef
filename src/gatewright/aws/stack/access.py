"""What targets' security groups let in from a cluster's load balancers: read, planned, applied.

A permission is ours if its description is `MARKER` and it lets in the cluster's own shared group, or addresses in a
group that has the tag of this cluster and of no other. Whatever else a group lets in is left alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct, field, structs

from gatewright.aws.client import Aws
from gatewright.aws.gateways.access import MARKER, SharedAccess
from gatewright.aws.stack import documents
from gatewright.aws.stack.carrying import carry_out
from gatewright.aws.stack.desired import BACKEND_GROUP, CLUSTER_TAG, SecurityRule, StackKey
from gatewright.aws.stack.holdings import BACKEND_GROUP_TAG
from gatewright.aws.stack.operations import (
    AuthorizeIngress,
    CreateSecurityGroup,
    DeleteSecurityGroup,
    Operation,
    RevokeIngress,
)
from gatewright.aws.stack.patience import Patience, Patient
from gatewright.aws.stack.references import References
from gatewright.aws.stack.security_changes import rule_differences
from gatewright.aws.views import read_tags

_CLUSTER = "kubernetes.io/cluster/"
"""Before a cluster's name, the tag of what is the cluster's in AWS."""


class ActualAccess(Struct, frozen=True):
    """The ID of the shared group, if there is one, and the permissions that are ours, by security group."""

    cluster: str
    backend_group: str = ""
    ingress: dict[str, frozenset[SecurityRule]] = field(default_factory=dict)


class AccessPlan(Struct, frozen=True):
    """What to do, in order: more is let in before less is."""

    operations: tuple[Operation, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing has to be done."""
        return not self.operations


async def read_access(aws: Aws, cluster: str) -> ActualAccess:
    """What there is. Raises `AwsError`. ec2:DescribeSecurityGroups, three times at the most."""
    aws = Patient(aws)
    own, shared = await asyncio.gather(
        _groups(aws, {"Name": "tag-key", "Values": [f"{_CLUSTER}{cluster}"]}),
        _groups(aws, {"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster]}),
    )
    tag, value = BACKEND_GROUP_TAG
    backend = sorted(each["GroupId"] for each in shared if read_tags(each.get("Tags")).get(tag) == value)
    group = backend[0] if backend else ""
    using = await _groups(aws, {"Name": "ip-permission.group-id", "Values": [group]}) if group else []
    found: dict[str, frozenset[SecurityRule]] = {}
    for raw in (*own, *using):
        rules = documents.read_permissions(raw.get("IpPermissions") or ())
        marks = {name for name in read_tags(raw.get("Tags")) if name.startswith(_CLUSTER)}
        alone = marks == {f"{_CLUSTER}{cluster}"}
        ours = frozenset(each for each in rules if _is_ours(each, group, alone=alone))
        if ours:
            found[raw["GroupId"]] = ours
    return ActualAccess(cluster, group, found)


async def _groups(aws: Aws, *filters: dict[str, Any]) -> list[dict[str, Any]]:
    return await aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=list(filters))


def _is_ours(rule: SecurityRule, backend_group: str, *, alone: bool) -> bool:
    if rule.description != MARKER:
        return False
    return rule.security_group == backend_group if rule.security_group else alone


def plan_access(wanted: SharedAccess, actual: ActualAccess) -> AccessPlan:
    """The way from what there is to what is asked for (pure)."""
    operations: list[Operation] = []
    group = actual.backend_group
    if wanted.backend_group is not None and not group:
        asked = wanted.backend_group
        operations.append(CreateSecurityGroup(BACKEND_GROUP, asked.name, asked.description, asked.vpc, asked.tags))
    revoked: list[Operation] = []
    for target in sorted({*wanted.ingress, *actual.ingress}):
        rules = [_referring(rule, group) for rule in wanted.ingress.get(target, ())]
        more, less = rule_differences(rules, actual.ingress.get(target, ()))
        if more:
            operations.append(AuthorizeIngress(target, tuple(more)))
        if less:
            revoked.append(RevokeIngress(target, tuple(less)))
    operations += revoked if wanted.complete else []
    if wanted.complete and wanted.backend_group is None and group:
        operations.append(DeleteSecurityGroup(group))
    return AccessPlan(tuple(operations))


def _referring(rule: SecurityRule, group: str) -> SecurityRule:
    if rule.security_group == BACKEND_GROUP and group:
        return structs.replace(rule, security_group=group)
    return rule


async def apply_access(
    aws: Aws, actual: ActualAccess, plan: AccessPlan, *, patience: Patience | None = None
) -> ActualAccess:
    """Carry out a plan; the answer is what there is then. Raises `AwsError` at the first operation that fails."""
    names = References()
    key = StackKey(actual.cluster, "alb", "")
    for operation in plan.operations:
        made = await carry_out(aws, operation, key, names, patience or Patience())
        match operation:
            case CreateSecurityGroup():
                actual = structs.replace(actual, backend_group=str(made))
            case DeleteSecurityGroup():
                actual = structs.replace(actual, backend_group="")
            case AuthorizeIngress(group, rules):
                more = actual.ingress.get(group, frozenset()) | {*map(names.security_rule, rules)}
                actual = structs.replace(actual, ingress={**actual.ingress, group: more})
            case RevokeIngress(group, rules):
                left = actual.ingress.get(group, frozenset()) - {*rules}
                kept = {each: value for each, value in actual.ingress.items() if each != group}
                actual = structs.replace(actual, ingress={**kept, group: left} if left else kept)
    return actual
