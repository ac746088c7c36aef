"""Finds what was made already: by an attempt whose answer got lost, or by somebody who has the name.

Only what has the stack's own tags is taken for ours. Everything else stays untouched, and the user is told of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewright.aws import views
from gatewright.aws.certificates import list_certificates
from gatewright.aws.client import Aws
from gatewright.aws.errors import AlreadyExists, AwsError
from gatewright.aws.stack import documents, rule_documents
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.actual import read_rule
from gatewright.aws.stack.desired import DesiredRule, StackKey
from gatewright.aws.stack.holdings import ActualRule
from gatewright.aws.stack.references import References

Found = Mapping[str, Any] | None
"""An answer of AWS's as the call would have got it; None: the call has to be made."""


async def before(aws: Aws, operation: op.Operation, *, unsure: bool) -> Found:
    """What is there before a thing is made. `unsure`: an earlier attempt may have made it.

    Nothing but our tags tells two imports of one certificate apart from one.
    """
    if unsure and isinstance(operation, op.ImportCertificate) and not operation.arn:
        return await _certificate(aws, operation.tags)
    return None


async def check(aws: Aws, operation: op.Operation, key: StackKey, answer: Mapping[str, Any]) -> None:
    """Raise `AlreadyExists` if AWS has answered with somebody else's thing.

    It does so for a load balancer or target group of the same name and settings (ELBv2 API reference: creating them is
    idempotent).
    """
    match operation:
        case op.CreateLoadBalancer(name):
            what, arn = "load balancer", answer["LoadBalancers"][0]["LoadBalancerArn"]
        case op.CreateTargetGroup(name):
            what, arn = "target group", answer["TargetGroups"][0]["TargetGroupArn"]
        case _:
            return
    tags = await views.tags_of(aws, [arn])
    if not key.tags.items() <= tags.get(arn, {}).items():
        raise AlreadyExists("Duplicate", _told(what, name, key), f"elbv2:create_{what.replace(' ', '_')}")


async def _load_balancer(aws: Aws, operation: op.CreateLoadBalancer, key: StackKey) -> Found:
    found = await views.load_balancers(aws, names=[operation.name])
    tags = await views.tags_of(aws, [each.arn for each in found])
    if any(tags.get(each.arn) != operation.tags for each in found):
        raise AlreadyExists(
            "DuplicateLoadBalancerName", _told("load balancer", operation.name, key), "elbv2:create_load_balancer"
        )
    return await aws.call("elbv2", "describe_load_balancers", Names=[operation.name])


async def _target_group(aws: Aws, operation: op.CreateTargetGroup, key: StackKey) -> Found:
    found = await views.target_groups(aws, names=[operation.name])
    tags = await views.tags_of(aws, [each.arn for each in found])
    if any(tags.get(each.arn) != operation.tags for each in found):
        raise AlreadyExists(
            "DuplicateTargetGroupName", _told("target group", operation.name, key), "elbv2:create_target_group"
        )
    return await aws.call("elbv2", "describe_target_groups", Names=[operation.name])


async def _trust_store(aws: Aws, operation: op.CreateTrustStore, key: StackKey) -> Found:
    name = operation.trust_store.name
    answer = await aws.call("elbv2", "describe_trust_stores", Names=[name])
    arns = [each["TrustStoreArn"] for each in answer.get("TrustStores") or ()]
    tags = await views.tags_of(aws, arns)
    if any(tags.get(arn) != operation.tags for arn in arns):
        raise AlreadyExists("DuplicateTrustStoreName", _told("trust store", name, key), "elbv2:create_trust_store")
    return answer


def _told(what: str, name: str, key: StackKey) -> str:
    tags = ", ".join(f"{tag}={value}" for tag, value in sorted(key.tags.items()))
    return (
        f"a {what} named {name} exists in this account and region, and isn't this one's: it lacks the tags {tags}; "
        f"choose another name, or delete that {what}"
    )


async def _certificate(aws: Aws, tags: Mapping[str, str]) -> Found:
    for each in await list_certificates(aws):
        if each.get("Type") == "IMPORTED" and not each.get("InUse"):
            answer = await aws.call("acm", "list_tags_for_certificate", CertificateArn=each["CertificateArn"])
            if views.read_tags(answer.get("Tags")) == tags:
                return {"CertificateArn": each["CertificateArn"]}
    return None


async def instead(aws: Aws, operation: op.Operation, key: StackKey, names: References, error: AwsError) -> Found:
    """What there is already where AWS says so; None where that is none of ours. Raises `AwsError` in plain words."""
    match operation:
        case op.CreateLoadBalancer():
            return await _load_balancer(aws, operation, key)
        case op.CreateTrustStore():
            return await _trust_store(aws, operation, key)
        case op.CreateSecurityGroup():
            return await _security_group(aws, operation)
        case op.AuthorizeIngress():
            return await _authorized(aws, operation, names)
        case op.CreateTargetGroup():
            return await _target_group(aws, operation, key)
        case op.CreateRule():
            return await _rule(aws, operation, names)
        case op.CreateListener():
            return await _listener(aws, operation, names)
        case op.ProtectWithShield(reference):
            arn = names.load_balancer(reference)
            answer = await aws.call("shield", "describe_protection", ResourceArn=arn)
            return {"ProtectionId": (answer.get("Protection") or {}).get("Id", "")}
    return None


async def _security_group(aws: Aws, operation: op.CreateSecurityGroup) -> Found:
    filters = [{"Name": "group-name", "Values": [operation.name]}, {"Name": "vpc-id", "Values": [operation.vpc]}]
    for raw in await aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=filters):
        tags = views.read_tags(raw.get("Tags"))
        if operation.tags.items() <= tags.items():
            return {"GroupId": raw["GroupId"]}
    message = (
        f"a security group named {operation.name} exists in {operation.vpc}, and isn't this load balancer's; "
        "delete it, or name security groups to use"
    )
    raise AlreadyExists("InvalidGroup.Duplicate", message, "ec2:create_security_group")


async def _authorized(aws: Aws, operation: op.AuthorizeIngress, names: References) -> Found:
    """AWS refuses all of the permissions when one of them is there: let in what is missing."""
    group = names.security_group(operation.security_group)
    answer = await aws.call("ec2", "describe_security_groups", GroupIds=[group])
    there = {rule for raw in answer["SecurityGroups"] for rule in documents.read_permissions(raw["IpPermissions"])}
    missing = [rule for rule in map(names.security_rule, operation.rules) if rule not in there]
    if missing == [names.security_rule(rule) for rule in operation.rules]:
        return None
    if missing:
        permissions = documents.permission_documents(missing)
        await aws.call("ec2", "authorize_security_group_ingress", GroupId=group, IpPermissions=permissions)
    return {}


async def revoke_what_is_there(aws: Aws, operation: op.RevokeIngress, names: References) -> None:
    """AWS may refuse to revoke anything when one of the permissions has gone already: revoke the others."""
    group = names.security_group(operation.security_group)
    answer = await aws.call("ec2", "describe_security_groups", GroupIds=[group])
    there = {rule for raw in answer["SecurityGroups"] for rule in documents.read_permissions(raw["IpPermissions"])}
    left = [rule for rule in operation.rules if rule in there]
    if left:
        permissions = documents.permission_documents(left)
        await aws.call("ec2", "revoke_security_group_ingress", GroupId=group, IpPermissions=permissions)


async def _rule(aws: Aws, operation: op.CreateRule, names: References) -> Found:
    """A rule at the same priority that is the same one was made by us a moment ago."""
    listener = names.listener(operation.listener)
    for raw in await aws.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener):
        if raw.get("Priority") == str(operation.priority):
            found = read_rule(raw, {})
            wanted = rule_documents.refer(operation.rule.actions, names.target_group)
            if _told_rule(found) == _told_rule(
                DesiredRule(operation.rule.conditions, wanted, operation.rule.transforms)
            ):
                return {"Rules": [raw]}
    return None


def _told_rule(rule: ActualRule | DesiredRule) -> object:
    return (
        rule_documents.canonical_conditions(rule.conditions),
        rule_documents.canonical_actions(rule.actions),
        rule_documents.canonical_transforms(rule.transforms),
    )


async def _listener(aws: Aws, operation: op.CreateListener, names: References) -> Found:
    """A listener at the same port with our tags was made by us a moment ago."""
    arn = names.load_balancer(operation.load_balancer)
    for raw in await aws.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn):
        if raw["Port"] == operation.listener.port:
            tags = await views.tags_of(aws, [raw["ListenerArn"]])
            if tags.get(raw["ListenerArn"], {}) == operation.tags and raw["Protocol"] == operation.listener.protocol:
                return {"Listeners": [raw]}
    return None
