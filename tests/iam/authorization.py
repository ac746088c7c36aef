"""What IAM makes of a call: which permissions AWS asks for it, and whether a policy gives them.

moto evaluates neither conditions nor resources, so this does: the actions, the resource types and the condition keys
are those of AWS's Service Authorization Reference; what is evaluated is the elements that our policy has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import botocore.session

ACCOUNT = "123456789012"
REGION = "us-east-1"
PREFIXES = {"elbv2": "elasticloadbalancing"}
"""IAM's names of services that boto3 names otherwise."""

_NAMES = {("s3", "list_objects_v2"): "ListBucket"}
"""Actions that are not called as their operation."""

_ELB = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}"
_EC2 = f"arn:aws:ec2:{REGION}:{ACCOUNT}"
_ACM = f"arn:aws:acm:{REGION}:{ACCOUNT}"

Tags = Mapping[str, str]
_NONE: Mapping[str, Any] = MappingProxyType({})


class Asked(NamedTuple):
    """One permission that a call needs: an action on a resource, with what conditions can be about."""

    action: str
    resource: str = "*"
    resource_tags: Tags = _NONE
    request_tags: Tags = _NONE
    context: Mapping[str, tuple[str, ...]] = _NONE


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


@cache
def operations(service: str) -> dict[str, str]:
    """AWS's names of a service's operations by boto3's."""
    return {botocore.xform_name(name): name for name in _model(service).operation_names}


def action_of(service: str, operation: str) -> str:
    """The IAM action of an operation by its boto3 names."""
    name = _NAMES.get((service, operation)) or operations(service)[operation]
    return f"{PREFIXES.get(service, service)}:{name}"


def asked(service: str, operation: str, parameters: Mapping[str, Any], tags: Callable[[str], Tags]) -> list[Asked]:
    """The permissions that AWS asks for. `tags` tells those of a thing that exists by its ARN or ID."""
    action = action_of(service, operation)
    given = {tag["Key"]: tag.get("Value", "") for tag in parameters.get("Tags") or ()}
    made = _made(service, operation, parameters)
    found = [Asked(action, arn, tags(_id(arn)), given) for arn in _resources(service, operation, parameters)]
    if made:
        found += [Asked(action, made, {}, given)] if operation not in ("create_listener", "create_rule") else []
        if given:
            context = {f"{action.partition(':')[0]}:CreateAction": (action.partition(":")[2],)}
            found += [Asked(_TAGGING[service], made, {}, given, context)]
    if service == "ec2" and operation == "create_security_group":
        given = {t["Key"]: t["Value"] for each in parameters.get("TagSpecifications") or () for t in each["Tags"]}
        context = {"ec2:CreateAction": ("CreateSecurityGroup",)}
        found = [
            Asked(action, f"{_EC2}:security-group/*", {}, given),
            Asked(action, f"{_EC2}:vpc/{parameters['VpcId']}", tags(parameters["VpcId"])),
            *([Asked("ec2:CreateTags", f"{_EC2}:security-group/*", {}, given, context)] if given else ()),
        ]
    if service == "wafv2" and operation in ("associate_web_acl", "disassociate_web_acl"):
        arn = parameters["ResourceArn"]
        found += [Asked("elasticloadbalancing:SetWebAcl", arn, tags(arn))]
    if service == "elbv2" and "CaCertificatesBundleS3Key" in parameters:
        bundle = f"{parameters['CaCertificatesBundleS3Bucket']}/{parameters['CaCertificatesBundleS3Key']}"
        found += [Asked("s3:GetObject", f"arn:aws:s3:::{bundle}")]
    if service == "s3" and operation == "list_objects_v2":
        found = [each._replace(context={"s3:prefix": (parameters.get("Prefix", ""),)}) for each in found]
    if service == "route53" and operation == "change_resource_record_sets":
        types = {each["ResourceRecordSet"]["Type"] for each in parameters["ChangeBatch"]["Changes"]}
        found = [
            each._replace(context={"route53:ChangeResourceRecordSetsRecordTypes": tuple(sorted(types))})
            for each in found
        ]
    return found or [Asked(action)]


_TAGGING = {
    "elbv2": "elasticloadbalancing:AddTags",
    "acm": "acm:AddTagsToCertificate",
    "route53": "route53:ChangeTagsForResource",
    "shield": "shield:TagResource",
}


def _id(arn: str) -> str:
    """By what `tags` knows a resource: an EC2 thing by its ID."""
    return arn.rpartition("/")[2] if arn.startswith("arn:aws:ec2:") else arn


def _made(service: str, operation: str, parameters: Mapping[str, Any]) -> str:
    """The ARN of what a call makes, with wildcards where AWS has yet to choose."""
    if service == "acm" and operation in ("import_certificate", "request_certificate"):
        return "" if "CertificateArn" in parameters else f"{_ACM}:certificate/*"
    if service == "shield" and operation == "create_protection":
        return f"arn:aws:shield::{ACCOUNT}:protection/*"
    if service != "elbv2":
        return ""
    match operation:
        case "create_load_balancer":
            kind = "net" if parameters.get("Type") == "network" else "app"
            return f"{_ELB}:loadbalancer/{kind}/{parameters['Name']}/*"
        case "create_target_group":
            return f"{_ELB}:targetgroup/{parameters['Name']}/*"
        case "create_trust_store":
            return f"{_ELB}:truststore/{parameters['Name']}/*"
        case "create_listener":
            return str(parameters["LoadBalancerArn"]).replace(":loadbalancer/", ":listener/") + "/*"
        case "create_rule":
            return str(parameters["ListenerArn"]).replace(":listener/", ":listener-rule/") + "/*"
    return ""


def _resources(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[str]:
    """The ARNs of the things that exist which an operation is on; none for those that only lists allow."""
    if service == "elbv2":
        if operation.startswith("describe_"):
            return
        for name in ("LoadBalancerArn", "ListenerArn", "RuleArn", "TargetGroupArn", "TrustStoreArn"):
            if name in parameters:
                yield parameters[name]
        yield from parameters.get("ResourceArns") or ()
        yield from (each["RuleArn"] for each in parameters.get("RulePriorities") or ())
    elif service == "ec2":
        if "GroupId" in parameters:
            yield f"{_EC2}:security-group/{parameters['GroupId']}"
        for each in parameters.get("Resources") or ():
            yield f"{_EC2}:security-group/{each}"
    elif service == "acm":
        if "CertificateArn" in parameters:
            yield parameters["CertificateArn"]
    elif service == "wafv2":
        yield from (parameters[name] for name in ("WebACLArn", "ResourceArn") if name in parameters)
    elif service == "shield":
        if "ProtectionId" in parameters:
            yield f"arn:aws:shield::{ACCOUNT}:protection/{parameters['ProtectionId']}"
    elif service == "s3" and "Bucket" in parameters:
        yield f"arn:aws:s3:::{parameters['Bucket']}" + (f"/{parameters['Key']}" if "Key" in parameters else "")
    elif service == "route53" and "HostedZoneId" in parameters:
        yield f"arn:aws:route53:::hostedzone/{parameters['HostedZoneId'].rpartition('/')[2]}"


# --- policies --------------------------------------------------------------------------------------------------------


def allows(policy: Mapping[str, Any], wanted: Asked) -> bool:
    """Whether a policy gives a permission (IAM User Guide, "Policy evaluation logic", for one identity's policy)."""
    effects = {each["Effect"] for each in policy["Statement"] if _concerns(each, wanted)}
    return effects == {"Allow"}


def _concerns(statement: Mapping[str, Any], wanted: Asked) -> bool:
    known = {"Sid", "Effect", "Action", "Resource", "Condition"}
    assert statement.keys() <= known, f"not evaluated here: {statement.keys() - known}"
    return (
        any(_like(pattern.lower(), wanted.action.lower()) for pattern in _listed(statement["Action"]))
        and any(_like(pattern, wanted.resource) for pattern in _listed(statement["Resource"]))
        and all(
            _holds(operator, key, _listed(values), wanted)
            for operator, conditions in statement.get("Condition", {}).items()
            for key, values in conditions.items()
        )
    )


def _holds(operator: str, key: str, values: list[str], wanted: Asked) -> bool:
    found = _values(key, wanted)
    if operator == "Null":
        return (found is None) == (values == ["true"])
    quantifier, _, plain = operator.rpartition(":")
    assert plain in ("StringEquals", "StringLike"), f"not evaluated here: {operator}"
    match: Callable[[str], bool] = (
        (lambda each: each in values) if plain == "StringEquals" else lambda each: any(_like(v, each) for v in values)
    )
    if quantifier == "ForAllValues":
        return all(match(each) for each in found or ())
    return found is not None and any(match(each) for each in found)


def _values(key: str, wanted: Asked) -> tuple[str, ...] | None:
    name, _, tag = key.partition("/")
    if name in ("aws:ResourceTag", "aws:RequestTag"):
        tags = wanted.resource_tags if name == "aws:ResourceTag" else wanted.request_tags
        return (tags[tag],) if tag in tags else None
    if key == "aws:TagKeys":
        return tuple(wanted.request_tags) or None
    return wanted.context.get(key)


def _listed(value: str | Iterable[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _like(pattern: str, value: str) -> bool:
    """IAM's wildcards, * and ?; a value that ends in * stands for everything that it may turn out to be."""
    return fnmatchcase(value, re.sub(r"\[", "[[]", pattern))
