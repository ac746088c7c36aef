"""Which target groups a listener may forward to: protocols, target types, VPCs, and how many."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.local.aws.elbv2 import quotas
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal, misconfigured
from gatewright.local.aws.elbv2.models import LoadBalancer, Rule, TargetGroup

COMPATIBLE = {
    "HTTP": ("HTTP", "HTTPS"),
    "HTTPS": ("HTTP", "HTTPS"),
    "TCP": ("TCP", "TCP_UDP"),
    "TLS": ("TCP", "TLS"),
    "UDP": ("UDP", "TCP_UDP"),
    "TCP_UDP": ("TCP_UDP",),
}
"""By protocol of a listener: the protocols of target groups (Listeners for your Network Load Balancers)."""


def check(
    elb: Backend, load_balancer: LoadBalancer, protocol: str, arns: Iterable[str], instead_of: Rule | None = None
) -> None:
    """Raise a refusal unless a listener of `protocol` may forward to these target groups.

    `instead_of` is the rule whose actions are replaced.
    """
    groups = [elb.target_group(arn) for arn in dict.fromkeys(arns)]
    for group in groups:
        _check_kind(load_balancer, protocol, group)
        if group.vpc_id and group.vpc_id != load_balancer.vpc_id:
            raise misconfigured(
                f"The target group '{group.arn}' is in VPC '{group.vpc_id}', but load balancer '{load_balancer.arn}' "
                f"is in VPC '{load_balancer.vpc_id}'"
            )
    if len(groups) > 1 and any(group.target_type == "lambda" for group in groups):
        raise misconfigured("A target group with target type 'lambda' must be the only one of its action")
    users = elb.users()
    foreign = [group.arn for group in groups if set(users.get(group.arn, ())) - {load_balancer.arn}]
    if foreign:
        raise Refusal(
            "TargetGroupAssociationLimit",
            "The following target groups cannot be associated with more than one load balancer: " + ", ".join(foreign),
        )
    after = {**elb.groups_of(load_balancer, instead_of), **{group.arn: None for group in groups}}
    most = quotas.GROUPS_PER_LOAD_BALANCER[load_balancer.type]
    if len(after) > most:
        raise Refusal(
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "You have reached the maximum number of unique target groups that you can associate with a load balancer "
            f"of type '{load_balancer.type}': [{most}]",
        )
    check_targets(load_balancer, [elb.target_groups[arn] for arn in after])


def check_targets(load_balancer: LoadBalancer, groups: Iterable[TargetGroup]) -> None:
    """Raise a refusal if a load balancer with these target groups has too many targets."""
    targets = [key for group in groups for key in group.targets]
    most = quotas.TARGETS_PER_LOAD_BALANCER[load_balancer.type]
    if len(targets) > most:
        raise Refusal(
            "TooManyTargets",
            f"The maximum number of targets per load balancer '{most}' has been reached on load balancer "
            f"'{load_balancer.arn}'",
        )


def _check_kind(load_balancer: LoadBalancer, protocol: str, group: TargetGroup) -> None:
    if group.target_type == "lambda" and load_balancer.type == "application":
        return
    allowed = COMPATIBLE[protocol]
    if group.protocol not in allowed or (group.target_type == "alb" and protocol != "TCP"):
        raise Refusal(
            "IncompatibleProtocols",
            f"The listener and its associated target group '{group.arn}' have incompatible protocols: "
            f"'{protocol}' and '{group.protocol or group.target_type}'",
        )
    if group.protocol_version in ("GRPC", "HTTP2") and protocol != "HTTPS":
        raise misconfigured(
            f"Listener protocol '{protocol}' is not supported with a target group with the protocol-version "
            f"'{group.protocol_version}'"
        )
