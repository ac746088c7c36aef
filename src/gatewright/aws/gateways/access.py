"""What the targets' security groups must let in, for all load balancers of a cluster together.

The load balancers share one security group, `BACKEND_GROUP`, and the targets' groups let that one in: a permission for
each protocol, from the lowest to the highest port that is needed, so that a group needs few of them however many
target groups there are (the AWS Load Balancer Controller's rules, with its description as the mark of ownership).
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from gatewright.aws.gateways.names import backend_group_name
from gatewright.aws.stack.desired import CLUSTER_TAG, DesiredSecurityGroup, SecurityRule

MARKER = "elbv2.k8s.aws/targetGroupBinding=shared"
"""The description of permissions that are ours to revoke; others in the same group are left alone."""

BACKEND_RESOURCE = "backend-sg"
_RESOURCE_TAG = "elbv2.k8s.aws/resource"


class AccessPiece(Struct, frozen=True):
    """What one load balancer needs. `ingress` are permissions by the ID of the security group that must have them.

    Their source is `BACKEND_GROUP` where `backend_group` is set; for a load balancer without a security group they name
    addresses, of its subnets or of clients.

    `complete` is False where it can't be told what is needed: the load balancer is blocked, and if there is one in AWS
    it goes on as it is.
    """

    vpc: str
    backend_group: bool = False
    ingress: dict[str, frozenset[SecurityRule]] = field(default_factory=dict)
    complete: bool = True


class SharedAccess(Struct, frozen=True):
    """What all load balancers of a cluster need.

    `backend_group` is the security group that stands for `BACKEND_GROUP`, None where no load balancer has it: then it
    can go. `ingress` are all permissions with the description `MARKER` that a security group is to have, by its ID;
    any other group of the VPC that has some has none of its own to keep.

    Unless it is `complete`, more may be needed: nothing must be taken away then, neither permissions nor the group.
    """

    cluster: str
    vpc: str
    backend_group: DesiredSecurityGroup | None = None
    ingress: dict[str, tuple[SecurityRule, ...]] = field(default_factory=dict)
    complete: bool = True


def shared_access(cluster: str, pieces: Iterable[AccessPiece]) -> SharedAccess:
    """The sum of the pieces. They are all of one VPC, the cluster's."""
    pieces = list(pieces)
    vpc = next((piece.vpc for piece in pieces if piece.vpc), "")
    wanted: dict[str, set[SecurityRule]] = {}
    for piece in pieces:
        for group, rules in piece.ingress.items():
            wanted.setdefault(group, set()).update(rules)
    shared = any(piece.backend_group for piece in pieces)
    return SharedAccess(
        cluster,
        vpc,
        backend_group(cluster, vpc) if shared else None,
        {group: merged(rules) for group, rules in sorted(wanted.items())},
        all(piece.complete for piece in pieces),
    )


def backend_group(cluster: str, vpc: str) -> DesiredSecurityGroup:
    """The security group that a cluster's load balancers share; nothing comes in through it."""
    return DesiredSecurityGroup(
        resource=BACKEND_RESOURCE,
        name=backend_group_name(cluster),
        description="[k8s] Shared Backend SecurityGroup for LoadBalancer",
        vpc=vpc,
        ingress=(),
        tags={CLUSTER_TAG: cluster, _RESOURCE_TAG: BACKEND_RESOURCE},
    )


def merged(rules: Iterable[SecurityRule]) -> tuple[SecurityRule, ...]:
    """One permission for each protocol and source, over all ports from the lowest to the highest one."""
    spans: dict[tuple[str, str, str, str], tuple[int, int]] = {}
    for rule in rules:
        key = (rule.protocol, rule.cidr, rule.cidr_ipv6, rule.security_group)
        least, most = spans.get(key, (rule.from_port, rule.to_port))
        spans[key] = min(least, rule.from_port), max(most, rule.to_port)
    return tuple(
        sorted(
            SecurityRule(protocol, *span, cidr=cidr, cidr_ipv6=ipv6, security_group=group, description=MARKER)
            for (protocol, cidr, ipv6, group), span in spans.items()
        )
    )
