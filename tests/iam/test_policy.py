"""The policies of config/iam allow what the controllers call, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.iam.authorization import Asked, allows
from tests.iam.source_operations import named

FOLDER = Path(__file__).parents[2] / "config/iam"
FILES = ("policy", "dns", "trust-stores")

NOT_CALLED = {
    "iam:CreateServiceLinkedRole": "asked when the account's first load balancer is made, for ELB's own role",
    "elasticloadbalancing:SetWebAcl": "WAF asks for it when a web ACL is associated",
    "cognito-idp:DescribeUserPoolClient": "asked when a rule authenticates with Cognito",
    "ec2:DescribeAccountAttributes": "asked when a load balancer is made",
    "ec2:DescribeCoipPools": "asked when a load balancer has a customer-owned address pool",
    "ec2:GetCoipPoolUsage": "asked when a load balancer has a customer-owned address pool",
    "ec2:DescribeIpamPools": "asked when a load balancer has an IPAM pool",
    "ec2:DescribeInstances": "asked when instances are registered",
    "ec2:DescribeInternetGateways": "asked when an internet-facing load balancer is made",
    "s3:GetObject": "asked when a trust store is made or changed, which AWS reads with our permissions",
    "ec2:GetSecurityGroupsForVpc": "asked when a load balancer gets security groups",
}
"""Actions that none of our calls has the name of, and why they are needed all the same."""
FREE = {"sts:GetCallerIdentity"}
"""Actions that need no permission (AWS STS API reference, GetCallerIdentity)."""


def policy(cluster: str = "prod", files: Iterable[str] = FILES) -> dict[str, Any]:
    """The policies as somebody attaches them, as one."""
    found = [json.loads((FOLDER / f"{name}.json").read_text().replace("CLUSTER_NAME", cluster)) for name in files]
    return {"Statement": [statement for each in found for statement in each["Statement"]]}


def actions() -> set[str]:
    found: set[str] = set()
    for statement in policy()["Statement"]:
        each = statement["Action"]
        found |= {each} if isinstance(each, str) else set(each)
    return found


def test_every_call_of_ours_is_in_it() -> None:
    missing = {action: files for action, files in named().items() if action not in actions() | FREE}
    assert missing == {}


def test_nothing_is_in_them_that_no_call_of_ours_needs() -> None:
    assert actions() - named().keys() - NOT_CALLED.keys() == set()


def test_what_is_said_to_be_asked_besides_is_in_them() -> None:
    assert NOT_CALLED.keys() <= actions()
    assert NOT_CALLED.keys().isdisjoint(named())


def test_there_are_no_others() -> None:
    assert sorted(file.name for file in FOLDER.iterdir()) == sorted(f"{name}.json" for name in FILES)


@pytest.mark.parametrize("name", FILES)
def test_every_action_is_spelled_out_and_every_statement_has_a_name_of_its_own(name: str) -> None:
    assert not any("*" in action for action in actions())
    names = [statement["Sid"] for statement in policy(files=[name])["Statement"]]
    assert len(set(names)) == len(names)
    assert all(name.isalnum() for name in names)


@pytest.mark.parametrize("name", FILES)
def test_it_is_no_longer_than_a_managed_policy_may_be(name: str) -> None:
    content = json.loads((FOLDER / f"{name}.json").read_text().replace("CLUSTER_NAME", "c" * 74))
    assert len(json.dumps(content, separators=(",", ":"))) <= 6144  # IAM quotas; white space doesn't count


LB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/0123456789abcdef"
OURS = {"elbv2.k8s.aws/cluster": "prod"}
THEIRS = {"elbv2.k8s.aws/cluster": "staging"}
GROUP = "arn:aws:ec2:us-east-1:123456789012:security-group/sg-0123456789abcdef0"
TARGETS = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/front/0123456789abcdef"
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/01234567-89ab-cdef-0123-456789abcdef"
TO_BIND = {"gatewright.dev/namespaces": "edge"}


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        (Asked("elasticloadbalancing:DeleteLoadBalancer", LB, OURS), True),
        (Asked("elasticloadbalancing:DeleteLoadBalancer", LB, THEIRS), False),
        (Asked("elasticloadbalancing:DeleteLoadBalancer", LB, {}), False),
        (Asked("elasticloadbalancing:CreateLoadBalancer", LB, {}, OURS), True),
        (Asked("elasticloadbalancing:CreateLoadBalancer", LB, {}, THEIRS), False),
        (Asked("elasticloadbalancing:AddTags", LB, {}, OURS), False),  # to make somebody else's ours
        (Asked("elasticloadbalancing:AddTags", LB, THEIRS, OURS), False),
        (Asked("elasticloadbalancing:AddTags", LB, OURS, THEIRS), False),
        (Asked("elasticloadbalancing:AddTags", LB, OURS, {"team": "web"}), True),
        (Asked("elasticloadbalancing:RegisterTargets", TARGETS, OURS), True),
        (Asked("elasticloadbalancing:RegisterTargets", TARGETS, THEIRS), False),
        (Asked("elasticloadbalancing:RegisterTargets", TARGETS, {"team": "shop"}), False),
        (Asked("elasticloadbalancing:RegisterTargets", TARGETS, TO_BIND), True),
        (Asked("elasticloadbalancing:DeregisterTargets", TARGETS, TO_BIND), True),
        (Asked("elasticloadbalancing:RegisterTargets", TARGETS, TO_BIND | THEIRS), False),
        (Asked("elasticloadbalancing:ModifyTargetGroup", TARGETS, TO_BIND), False),
        (Asked("elasticloadbalancing:AddTags", TARGETS, {}, TO_BIND), False),  # to open it to itself
        (Asked("acm:DeleteCertificate", CERTIFICATE, OURS), True),
        (Asked("acm:DeleteCertificate", CERTIFICATE, {}), False),
        (Asked("ec2:DeleteSecurityGroup", GROUP, OURS), True),
        (Asked("ec2:DeleteSecurityGroup", GROUP, {"kubernetes.io/cluster/prod": "owned"}), False),
        (Asked("ec2:AuthorizeSecurityGroupIngress", GROUP, {"kubernetes.io/cluster/prod": "owned"}), True),
        (Asked("ec2:AuthorizeSecurityGroupIngress", GROUP, {"kubernetes.io/cluster/staging": "owned"}), False),
        (Asked("ec2:AuthorizeSecurityGroupIngress", GROUP, {}), False),
    ],
)
def test_what_belongs_to_another_cluster_or_to_nobody_is_out_of_reach(wanted: Asked, allowed: bool) -> None:
    assert allows(policy(), wanted) is allowed


def test_the_policy_as_it_is_in_the_repository_permits_no_change() -> None:
    """Who forgets to put the cluster's name in finds out before anything is made."""
    assert not allows(policy("CLUSTER_NAME"), Asked("elasticloadbalancing:CreateLoadBalancer", LB, {}, OURS))
