"""Operations on load balancers."""

from __future__ import annotations

import re
from typing import Any

from moto.core.utils import iso_8601_datetime_with_milliseconds
from moto.moto_api._internal import mock_random

from gatewright.local.aws import network
from gatewright.local.aws.elbv2 import attributes, certificates, logs, paging, placement, quotas, tags
from gatewright.local.aws.elbv2.backend import Backend, check_arn
from gatewright.local.aws.elbv2.errors import Refusal, invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document, LoadBalancer

_LONGEST_NAME = 32
_HOSTED_ZONES = {
    "us-east-1": ("Z35SXDOTRQ7X7K", "Z26RNL4JYFTOTI"),
    "us-east-2": ("Z3AADJGX6KTTL2", "ZLMOA37VPKANP"),
    "us-west-2": ("Z1H1FL5HABSF5", "Z18D5FSROUN65G"),
    "eu-west-1": ("Z32O12XQLNTSW2", "Z2IFOLAFXWLO4F"),
    "eu-central-1": ("Z215JYRZR1TBD5", "Z3F0SRJ5LGBH90"),
}
"""By region: the hosted zones of ALBs and NLBs (Elastic Load Balancing endpoints and quotas)."""


def create_load_balancer(elb: Backend, request: Document) -> Document:
    """CreateLoadBalancer."""
    name, kind = request["Name"], request.get("Type", "application")
    scheme = request.get("Scheme", "internet-facing")
    if kind == "gateway":
        raise misconfigured("Gateway Load Balancers are not emulated")
    for member in ("CustomerOwnedIpv4Pool", "IpamPools"):
        if member in request:
            raise misconfigured(f"'{member}' is not emulated")
    _check_name(name)
    asked = tags.checked(request.get("Tags"))
    chosen = placement.chosen(kind, scheme, request)
    subnets = placement.subnets(kind, list(chosen))
    vpc = subnets[0].vpc_id
    security_groups = placement.security_groups(kind, vpc, request.get("SecurityGroups", []))
    ip_address_type = request.get("IpAddressType", "ipv4")
    placement.check_ip_address_type(kind, scheme, ip_address_type)
    existing = next((one for one in elb.load_balancers.values() if one.name == name), None)
    if existing:
        same = (kind, scheme, sorted(chosen), sorted(security_groups), ip_address_type) == (
            existing.type,
            existing.scheme,
            sorted(subnet.id for subnet in existing.subnets),
            sorted(existing.security_groups),
            existing.ip_address_type,
        )
        if not same or {key: value for key, value in chosen.items() if value} != existing.chosen:
            raise Refusal(
                "DuplicateLoadBalancerName",
                f"A load balancer with the same name '{name}' exists, but with different settings",
            )
        return {"LoadBalancers": [elb.shown(existing)]}
    if sum(one.type == kind for one in elb.load_balancers.values()) >= quotas.LOAD_BALANCERS:
        raise Refusal(
            "TooManyLoadBalancers",
            f"The maximum number of load balancers of type '{kind}' '{quotas.LOAD_BALANCERS}' has been reached",
        )
    placement.check_room(scheme, subnets)
    load_balancer = _made(elb, name, kind, scheme, vpc, subnets, security_groups, ip_address_type, chosen)
    placement.attach(load_balancer.arn, chosen, security_groups)
    elb.load_balancers[load_balancer.arn] = load_balancer
    tags.set_tags(elb, load_balancer.arn, asked)
    return {"LoadBalancers": [load_balancer.document()]}


def _made(
    elb: Backend,
    name: str,
    kind: str,
    scheme: str,
    vpc: str,
    subnets: list[Any],
    security_groups: list[str],
    ip_address_type: str,
    chosen: dict[str, Document],
) -> LoadBalancer:
    number = mock_random.get_random_hex(length=16)
    zones = _HOSTED_ZONES.get(elb.region_name, _HOSTED_ZONES["us-east-1"])
    if kind == "network":
        dns_name = f"{name}-{number}.elb.{elb.region_name}.amazonaws.com"
    else:
        inside = "internal-" if scheme == "internal" else ""
        dns_name = f"{inside}{name}-{mock_random.randint(10**8, 10**10)}.{elb.region_name}.elb.amazonaws.com"
    short = "net" if kind == "network" else "app"
    return LoadBalancer(
        f"arn:{elb.partition}:elasticloadbalancing:{elb.region_name}:{elb.account_id}:loadbalancer/{short}/{name}/{number}",
        name,
        kind,
        scheme,
        vpc,
        subnets,
        security_groups,
        ip_address_type,
        dns_name,
        zones[kind == "network"],
        iso_8601_datetime_with_milliseconds(),
        attributes.defaults(attributes.of_load_balancer(kind, scheme)),
        {subnet: value for subnet, value in chosen.items() if value},
    )


def _check_name(name: str) -> None:
    if len(name) > _LONGEST_NAME:
        raise invalid(f"The load balancer name '{name}' cannot be longer than '{_LONGEST_NAME}' characters")
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise invalid(
            f"The load balancer name '{name}' can only contain characters that are alphanumeric characters or "
            "hyphens(-)"
        )
    if name.startswith("-") or name.endswith("-"):
        raise invalid(f"The load balancer name '{name}' cannot begin or end with a hyphen(-)")
    if name.startswith("internal-"):
        raise invalid(f"The load balancer name '{name}' cannot begin with 'internal-'")


def describe_load_balancers(elb: Backend, request: Document) -> Document:
    """DescribeLoadBalancers."""
    arns, names = request.get("LoadBalancerArns") or [], request.get("Names") or []
    if arns and names:
        raise invalid("Load balancer names and load balancer ARNs cannot be specified at the same time")
    paging.check_count(arns or names, "load balancers")
    found = list(elb.load_balancers.values())
    if arns:
        for arn in arns:
            check_arn(arn, "lb")
        found = [one for one in found if one.arn in arns]
        if len(found) < len(set(arns)):
            raise Refusal("LoadBalancerNotFound", "One or more load balancers not found")
    if names:
        missing = sorted(set(names) - {one.name for one in found})
        if missing:
            raise Refusal("LoadBalancerNotFound", f"Load balancers '[{', '.join(missing)}]' not found")
        found = [one for one in found if one.name in names]
    return paging.page(found, request, "LoadBalancers", elb.shown, lambda one: str(one.arn))


def delete_load_balancer(elb: Backend, request: Document) -> Document:
    """DeleteLoadBalancer; fine for one that doesn't exist."""
    arn = request["LoadBalancerArn"]
    check_arn(arn, "lb")
    load_balancer = elb.load_balancers.get(arn)
    if load_balancer is None:
        return {}
    if load_balancer.attrs["deletion_protection.enabled"] == "true":
        raise Refusal(
            "OperationNotPermitted", f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled"
        )
    if any(target == arn for group in elb.target_groups.values() for target, _ in group.targets):
        raise Refusal(
            "ResourceInUse",
            f"Load balancer '{arn}' cannot be deleted because it is currently associated with another service",
        )
    del elb.load_balancers[arn]
    network.detach(arn)
    certificates.mark(elb, [one for listener in load_balancer.listeners.values() for one in listener.certificates])
    for listener in load_balancer.listeners.values():
        for gone in (listener.arn, *listener.rules):
            tags.forget(elb, gone)
    tags.forget(elb, arn)
    return {}


def set_subnets(elb: Backend, request: Document) -> Document:
    """SetSubnets."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    chosen = placement.chosen(load_balancer.type, load_balancer.scheme, request)
    for subnet, value in load_balancer.chosen.items():
        if subnet in chosen and chosen[subnet] not in ({}, value):
            raise misconfigured(f"The addresses of subnet '{subnet}', which is enabled already, can't be changed")
        if subnet in chosen:
            chosen[subnet] = value
    subnets = placement.subnets(load_balancer.type, list(chosen))
    if subnets[0].vpc_id != load_balancer.vpc_id:
        raise misconfigured(f"The subnets must belong to the VPC of the load balancer, '{load_balancer.vpc_id}'")
    ip_address_type = request.get("IpAddressType", load_balancer.ip_address_type)
    placement.check_ip_address_type(load_balancer.type, load_balancer.scheme, ip_address_type)
    before = {subnet.id for subnet in load_balancer.subnets}
    placement.check_room(load_balancer.scheme, [one for one in subnets if one.id not in before] or subnets[:1])
    placement.attach(load_balancer.arn, chosen, load_balancer.security_groups)
    load_balancer.subnets = subnets
    load_balancer.ip_address_type = ip_address_type
    load_balancer.chosen = {subnet: value for subnet, value in chosen.items() if value}
    return {"AvailabilityZones": load_balancer.zones(), "IpAddressType": ip_address_type}


def set_security_groups(elb: Backend, request: Document) -> Document:
    """SetSecurityGroups."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    ids = request["SecurityGroups"]
    if load_balancer.type == "network" and not load_balancer.security_groups:
        raise misconfigured(
            "You cannot set security groups on a Network Load Balancer which was created without any security groups."
        )
    if not ids:
        raise invalid("At least one security group must be specified")
    load_balancer.security_groups = placement.security_groups(load_balancer.type, load_balancer.vpc_id, ids)
    network.regroup(load_balancer.arn, load_balancer.security_groups)
    answer: Document = {"SecurityGroupIds": load_balancer.security_groups}
    enforced = request.get("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic")
    if enforced and load_balancer.type != "network":
        raise misconfigured(
            "'EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic' is supported only for Network Load Balancers"
        )
    if load_balancer.type == "network":
        load_balancer.enforced_on_private_link = enforced or load_balancer.enforced_on_private_link
        answer["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] = load_balancer.enforced_on_private_link
    return answer


def set_ip_address_type(elb: Backend, request: Document) -> Document:
    """SetIpAddressType."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    placement.check_ip_address_type(load_balancer.type, load_balancer.scheme, request["IpAddressType"])
    load_balancer.ip_address_type = request["IpAddressType"]
    return {"IpAddressType": load_balancer.ip_address_type}


def describe_load_balancer_attributes(elb: Backend, request: Document) -> Document:
    """DescribeLoadBalancerAttributes."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    return attributes.document(load_balancer.attrs)


def modify_load_balancer_attributes(elb: Backend, request: Document) -> Document:
    """ModifyLoadBalancerAttributes."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    values = attributes.wanted(request["Attributes"])
    attributes.check_load_balancer(load_balancer.type, load_balancer.scheme, load_balancer.attrs, values)
    after = {**load_balancer.attrs, **values}
    for kind in ("access_logs", "connection_logs", "health_check_logs"):
        if any(key.startswith(kind) for key in values) and after.get(f"{kind}.s3.enabled") == "true":
            logs.check_bucket(elb, load_balancer, kind, after)
    load_balancer.attrs = after
    return describe_load_balancer_attributes(elb, request)
