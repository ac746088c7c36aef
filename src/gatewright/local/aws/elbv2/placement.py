"""Where a load balancer is: its subnets, the addresses in them, its security groups."""

from __future__ import annotations

from typing import Any

from moto.core.exceptions import ServiceException

from gatewright.local.aws import network
from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2.errors import Refusal, invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document

_FREE_ADDRESSES = 8


def chosen(kind: str, scheme: str, request: Document) -> dict[str, Document]:
    """By subnet's id: what a request asks for there (`PrivateIPv4Address`, or `AllocationId`). Raises a refusal."""
    ids, mappings = request.get("Subnets") or [], request.get("SubnetMappings") or []
    if ids and mappings:
        raise invalid("You must specify either subnets or subnet mappings, but not both")
    if not ids and not mappings:
        raise invalid(
            "At least one subnet must be specified"
            if kind == "network"
            else "At least two subnets in two different Availability Zones must be specified"
        )
    by_subnet: dict[str, Document] = {subnet: {} for subnet in ids}
    for mapping in mappings:
        for key in ("IPv6Address", "SourceNatIpv6Prefix"):
            if key in mapping:
                raise misconfigured(f"'{key}' is not emulated")
        value: Document = {}
        for key, needed in (("PrivateIPv4Address", "internal"), ("AllocationId", "internet-facing")):
            if key not in mapping:
                continue
            if kind != "network":
                raise misconfigured(f"'{key}' is not supported for load balancers with type '{kind}'")
            if scheme != needed:
                raise misconfigured(f"'{key}' is not supported for {scheme} load balancers")
            value[key] = mapping[key]
        if "AllocationId" in value:
            value["IpAddress"] = _elastic_address(value["AllocationId"])
        by_subnet[mapping.get("SubnetId", "")] = value
    return by_subnet


def _elastic_address(allocation: str) -> str:
    for address in backend("ec2").describe_addresses():
        if address.allocation_id == allocation:
            return str(address.public_ip)
    raise Refusal("AllocationIdNotFound", f"The allocation ID '{allocation}' does not exist")


def subnets(kind: str, ids: list[str]) -> list[Any]:
    """The subnets with these ids, by zone. Raises a refusal if a load balancer of type `kind` can't be in them."""
    ec2 = backend("ec2")
    found = []
    for subnet_id in ids:
        try:
            found.append(ec2.get_subnet(subnet_id))
        except ServiceException:
            raise Refusal("SubnetNotFound", f"The subnet ID '{subnet_id}' does not exist") from None
    if len({subnet.availability_zone for subnet in found}) < len(found):
        raise misconfigured("A load balancer cannot be attached to multiple subnets in the same Availability Zone")
    if kind == "application" and len(found) < 2:
        raise invalid("At least two subnets in two different Availability Zones must be specified")
    if len({subnet.vpc_id for subnet in found}) > 1:
        raise misconfigured("All subnets must belong to the same VPC: " + ", ".join(f"'{one}'" for one in ids))
    return sorted(found, key=lambda subnet: str(subnet.availability_zone))


def check_room(scheme: str, subnets: list[Any]) -> None:
    """Raise a refusal if there is no room for a load balancer in these subnets."""
    vpc = subnets[0].vpc_id
    gateways = backend("ec2").internet_gateways.values()
    if scheme == "internet-facing" and not any(gateway.vpc and gateway.vpc.id == vpc for gateway in gateways):
        raise Refusal("InvalidSubnet", f"VPC {vpc} has no internet gateway")
    for subnet in subnets:
        if subnet.available_ip_address_count < _FREE_ADDRESSES:
            raise Refusal(
                "InvalidSubnet",
                f"Not enough IP space available in {subnet.id}. "
                f"ELB requires at least {_FREE_ADDRESSES} free IP addresses in each subnet.",
            )


def security_groups(kind: str, vpc: str, ids: list[str]) -> list[str]:
    """The security groups of a load balancer: those asked for, or an ALB's default one. Raises a refusal."""
    ec2 = backend("ec2")
    if not ids and kind == "application":
        default = ec2.get_default_security_group(vpc)
        return [default.id] if default else []
    for group_id in ids:
        group = ec2.get_security_group_from_id(group_id)
        if group is None:
            raise Refusal("InvalidSecurityGroup", f"The security group '{group_id}' does not exist")
        if group.vpc_id != vpc:
            raise misconfigured("One or more security groups are invalid")
    return list(ids)


def check_ip_address_type(kind: str, scheme: str, ip_address_type: str) -> None:
    """Raise a refusal if such a load balancer can't have this IP address type."""
    if ip_address_type == "dualstack-without-public-ipv4" and (kind == "network" or scheme == "internal"):
        raise misconfigured(
            "IP address type 'dualstack-without-public-ipv4' is supported only for internet-facing load balancers "
            "with type 'application'"
        )


def attach(arn: str, chosen: dict[str, Document], security_groups: list[str]) -> None:
    """Give a load balancer its network interfaces. Raises a refusal if an address that was chosen can't be had."""
    try:
        network.attach(
            arn, {subnet: value.get("PrivateIPv4Address") for subnet, value in chosen.items()}, security_groups
        )
    except network.AddressUnavailable as error:
        raise misconfigured(str(error.message)) from None
