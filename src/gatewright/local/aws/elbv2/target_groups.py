"""Operations on target groups."""

from __future__ import annotations

import re
from typing import NamedTuple

from moto.core.exceptions import ServiceException
from moto.moto_api._internal import mock_random

from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2 import attributes, health_checks, paging, quotas, tags
from gatewright.local.aws.elbv2.backend import Backend, check_arn
from gatewright.local.aws.elbv2.errors import Refusal, invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document, TargetGroup

_LONGEST_NAME = 32
_PROTOCOLS = {
    "instance": ("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"),
    "ip": ("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"),
    "alb": ("TCP",),
}
_VERSIONS = ("HTTP1", "HTTP2", "GRPC")


class _Settings(NamedTuple):
    """What can't be changed later."""

    protocol: str
    protocol_version: str
    port: int
    vpc_id: str
    target_type: str
    ip_address_type: str


def create_target_group(elb: Backend, request: Document) -> Document:
    """CreateTargetGroup."""
    name = request["Name"]
    _check_name(name)
    asked = tags.checked(request.get("Tags"))
    settings = _settings(request)
    health_check = health_checks.checked(settings.protocol, settings.target_type, settings.protocol_version, request)
    existing = next((one for one in elb.target_groups.values() if one.name == name), None)
    if existing:
        if _of(existing) != settings or existing.health_check != health_check:
            raise Refusal(
                "DuplicateTargetGroupName",
                f"A target group with the same name '{name}' exists, but with different settings",
            )
        return {"TargetGroups": [_shown(elb, existing)]}
    if len(elb.target_groups) >= quotas.TARGET_GROUPS:
        raise Refusal(
            "TooManyTargetGroups", f"The maximum number of target groups '{quotas.TARGET_GROUPS}' has been reached"
        )
    group = TargetGroup(
        f"arn:{elb.partition}:elasticloadbalancing:{elb.region_name}:{elb.account_id}:targetgroup/{name}/"
        f"{mock_random.get_random_hex(16)}",
        name,
        settings.vpc_id,
        settings.protocol,
        settings.protocol_version,
        settings.port,
        settings.target_type,
        settings.ip_address_type,
        health_check,
        attributes.defaults(attributes.of_target_group(settings.protocol, settings.target_type)),
    )
    elb.target_groups[group.arn] = group
    tags.set_tags(elb, group.arn, asked)
    return {"TargetGroups": [_shown(elb, group)]}


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise invalid(f"Target group name '{name}' cannot be longer than '{_LONGEST_NAME}' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise invalid(
            f"Target group name '{name}' can only contain characters that are alphanumeric characters or hyphens(-)"
        )
    if name.startswith("-") or name.endswith("-"):
        raise invalid(f"Target group name '{name}' cannot begin or end with '-'")


def _of(group: TargetGroup) -> _Settings:
    return _Settings(
        group.protocol, group.protocol_version, group.port, group.vpc_id, group.target_type, group.ip_address_type
    )


def _settings(request: Document) -> _Settings:
    target_type = request.get("TargetType", "instance")
    fields = {"Protocol": "protocol", "Port": "port", "VpcId": "VPC ID"}
    if target_type == "lambda":
        for name, what in fields.items():
            if name in request:
                raise invalid(
                    f"{what[0].upper()}{what[1:]} cannot be specified for target groups with target type 'lambda'"
                )
        return _Settings("", "", 0, "", target_type, "ipv4")
    for name, what in fields.items():
        if not request.get(name):
            raise invalid(f"A {what} must be specified")
    protocol = request["Protocol"]
    if protocol in ("GENEVE", "QUIC", "TCP_QUIC"):
        raise misconfigured(f"Target groups with the {protocol} protocol are not emulated")
    if protocol not in _PROTOCOLS[target_type]:
        raise misconfigured(f"Protocol '{protocol}' is not supported with target type '{target_type}'")
    if "TargetControlPort" in request:
        raise misconfigured("'TargetControlPort' is not emulated")
    try:
        backend("ec2").get_vpc(request["VpcId"])
    except ServiceException:
        raise invalid(f"The VPC ID '{request['VpcId']}' is not found") from None
    return _Settings(
        protocol,
        _version(protocol, request.get("ProtocolVersion")),
        request["Port"],
        request["VpcId"],
        target_type,
        _ip_address_type(target_type, request.get("IpAddressType", "ipv4")),
    )


def _version(protocol: str, asked: str | None) -> str:
    if protocol not in ("HTTP", "HTTPS"):
        if asked:
            raise misconfigured(f"Protocol version cannot be specified for target groups with the {protocol} protocol")
        return ""
    if asked and asked not in _VERSIONS:
        raise invalid(f"Protocol version '{asked}' must be one of '[{', '.join(_VERSIONS)}]'")
    return asked or "HTTP1"


def _ip_address_type(target_type: str, asked: str) -> str:
    if asked == "ipv6" and target_type == "alb":
        raise misconfigured("IP address type 'ipv6' is not supported with target type 'alb'")
    return asked


def _shown(elb: Backend, group: TargetGroup, users: dict[str, list[str]] | None = None) -> Document:
    users = elb.users(group.arn) if users is None else users
    return group.document(users.get(group.arn, []))


def describe_target_groups(elb: Backend, request: Document) -> Document:
    """DescribeTargetGroups."""
    load_balancer = request.get("LoadBalancerArn")
    arns, names = request.get("TargetGroupArns") or [], request.get("Names") or []
    if sum(map(bool, (load_balancer, arns, names))) > 1:
        raise invalid(
            "Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time"
        )
    found = list(elb.target_groups.values())
    users = elb.users()
    if load_balancer:
        used = elb.groups_of(elb.load_balancer(load_balancer))
        found = [one for one in found if one.arn in used]
    elif arns:
        wanted = {elb.target_group(arn).arn for arn in arns}
        found = [one for one in found if one.arn in wanted]
    elif names:
        found = [one for one in found if one.name in names]
        if len(found) < len(set(names)):
            raise Refusal("TargetGroupNotFound", "One or more target groups not found")
    return paging.page(found, request, "TargetGroups", lambda one: _shown(elb, one, users), lambda one: str(one.arn))


def modify_target_group(elb: Backend, request: Document) -> Document:
    """ModifyTargetGroup: the health check; what isn't given stays."""
    group = elb.target_group(request["TargetGroupArn"])
    group.health_check = health_checks.checked(
        group.protocol, group.target_type, group.protocol_version, request, group.health_check
    )
    return {"TargetGroups": [_shown(elb, group)]}


def delete_target_group(elb: Backend, request: Document) -> Document:
    """DeleteTargetGroup; fine for one that doesn't exist."""
    arn = request["TargetGroupArn"]
    check_arn(arn, "tg")
    if elb.users(arn):
        raise Refusal("ResourceInUse", f"Target group '{arn}' is currently in use by a listener or a rule")
    if elb.target_groups.pop(arn, None):
        tags.forget(elb, arn)
    return {}


def describe_target_group_attributes(elb: Backend, request: Document) -> Document:
    """DescribeTargetGroupAttributes."""
    group = elb.target_group(request["TargetGroupArn"])
    return attributes.document(group.attributes)


def modify_target_group_attributes(elb: Backend, request: Document) -> Document:
    """ModifyTargetGroupAttributes."""
    group = elb.target_group(request["TargetGroupArn"])
    values = attributes.wanted(request["Attributes"])
    attributes.check_target_group(group.protocol, group.target_type, group.attributes, values)
    group.attributes = {**group.attributes, **values}
    return describe_target_group_attributes(elb, request)
