"""The VPC that load balancers are put into, as EC2 describes it: read with a call for each kind of thing."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from gatewright.aws.client import Aws
from gatewright.aws.errors import AccessDenied
from gatewright.aws.views import read_tags

_ROOM = 8  # free addresses that a load balancer needs in a subnet (ALB user guide, "Subnets for your load balancer")
_ROLES = ("kubernetes.io/role/elb", "kubernetes.io/role/internal-elb")


class Subnet(Struct, frozen=True):
    """A subnet. `public` is whether it routes to an internet gateway, None where that couldn't be read.

    `crowded`: fewer than 8 of its addresses are free.
    """

    id: str
    zone: str
    cidr: str
    tags: dict[str, str] = field(default_factory=dict)
    cidr_ipv6: str = ""
    public: bool | None = None
    crowded: bool = False

    @property
    def name(self) -> str:
        """Its tag `Name`."""
        return self.tags.get("Name", "")

    @property
    def clusters(self) -> frozenset[str]:
        """The clusters that it is tagged for; none means any."""
        prefix = "kubernetes.io/cluster/"
        return frozenset(key.removeprefix(prefix) for key in self.tags if key.startswith(prefix))

    def __str__(self) -> str:
        return f"{self.id} ({self.name}, {self.cidr})" if self.name else f"{self.id} ({self.cidr})"


class SecurityGroup(Struct, frozen=True):
    """A security group, without its permissions."""

    id: str
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its tag `Name`, by which users name it; its own name is another thing."""
        return self.tags.get("Name", "")


class Network(Struct, frozen=True):
    """A VPC with its address ranges, its subnets and security groups, by ID; and the Elastic IPs of the account.

    `allocations` are allocation IDs by public address. `problem` says why no VPC could be chosen; `vpc` is empty then.
    """

    vpc: str
    ranges: tuple[str, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()
    allocations: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def within(ranges: Iterable[str], address: str) -> bool:
    """Whether an address belongs to one of the CIDR blocks."""
    ip = ipaddress.ip_address(address)
    networks = (ipaddress.ip_network(cidr) for cidr in ranges)
    return any(ip.version == network.version and ip in network for network in networks)


async def read_network(aws: Aws, vpc: str = "", cluster: str = "") -> Network:
    """The network as it is. Without `vpc` (an ID) it is the one whose subnets are tagged for the cluster.

    ec2:DescribeVpcs, ec2:DescribeSubnets, ec2:DescribeSecurityGroups, ec2:DescribeRouteTables and
    ec2:DescribeAddresses; the last two may be denied. Raises `AwsError`.
    """
    vpcs = await aws.pages("ec2", "describe_vpcs", "Vpcs")
    subnets = await aws.pages("ec2", "describe_subnets", "Subnets")
    chosen, problem = choose_vpc(vpcs, subnets, vpc, cluster)
    if problem:
        return Network("", problem=problem)
    inside = [{"Name": "vpc-id", "Values": [chosen]}]
    groups = await aws.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=inside)
    try:
        tables: list[Any] | None = await aws.pages("ec2", "describe_route_tables", "RouteTables", Filters=inside)
    except AccessDenied:
        tables = None
    try:
        answer = await aws.call("ec2", "describe_addresses")
    except AccessDenied:
        answer = {}
    public = None if tables is None else _public(tables)
    return Network(
        vpc=chosen,
        ranges=_ranges(next(raw for raw in vpcs if raw["VpcId"] == chosen)),
        subnets=tuple(
            sorted((_subnet(raw, public) for raw in subnets if raw["VpcId"] == chosen), key=lambda subnet: subnet.id)
        ),
        security_groups=tuple(
            sorted(
                (SecurityGroup(raw["GroupId"], read_tags(raw.get("Tags"))) for raw in groups),
                key=lambda group: group.id,
            )
        ),
        allocations={
            raw["PublicIp"]: raw["AllocationId"]
            for raw in answer.get("Addresses") or ()
            if raw.get("AllocationId") and raw.get("PublicIp")
        },
    )


async def read_interfaces(aws: Aws, vpc: str) -> dict[str, tuple[str, ...]]:
    """The security groups of every network interface of a VPC, by each of its addresses.

    ec2:DescribeNetworkInterfaces.
    """
    inside = [{"Name": "vpc-id", "Values": [vpc]}]
    found: dict[str, tuple[str, ...]] = {}
    for raw in await aws.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=inside):
        groups = tuple(sorted(group["GroupId"] for group in raw.get("Groups") or ()))
        addresses = [each.get("PrivateIpAddress") for each in raw.get("PrivateIpAddresses") or ()]
        addresses += [
            raw.get("PrivateIpAddress"),
            *(each.get("Ipv6Address") for each in raw.get("Ipv6Addresses") or ()),
        ]
        found |= dict.fromkeys(filter(None, addresses), groups)
    return found


def choose_vpc(
    vpcs: Sequence[Mapping[str, Any]], subnets: Iterable[Mapping[str, Any]], vpc: str, cluster: str
) -> tuple[str, str]:
    """The VPC to work in, and why there is none.

    The one that is named; else the only one with a subnet that is tagged for the cluster; else the only one with a
    subnet for load balancers (`kubernetes.io/role/...`); else the only one there is.
    """
    ids = [raw["VpcId"] for raw in vpcs]
    if vpc:
        known = ", ".join(sorted(ids)) or "none"
        return (vpc, "") if vpc in ids else ("", f"VPC {vpc} does not exist in this region and account; found {known}")
    tags = [(raw["VpcId"], read_tags(raw.get("Tags"))) for raw in subnets]
    ours = {id_ for id_, own in tags if f"kubernetes.io/cluster/{cluster}" in own}
    roles = {id_ for id_, own in tags if any(role in own for role in _ROLES)}
    for candidates in (ours, roles, set(ids)):
        if len(candidates) == 1:
            return candidates.pop(), ""
    known = ", ".join(sorted(ids)) or "none"
    return (
        "",
        f"the cluster's VPC can't be told: found {known}; name one, or tag its subnets kubernetes.io/cluster/{cluster}",
    )


def _subnet(raw: Mapping[str, Any], public: Mapping[str, bool] | None) -> Subnet:
    ipv6 = (each.get("Ipv6CidrBlock") for each in raw.get("Ipv6CidrBlockAssociationSet") or ())
    return Subnet(
        id=raw["SubnetId"],
        zone=raw["AvailabilityZone"],
        cidr=raw.get("CidrBlock", ""),
        tags=read_tags(raw.get("Tags")),
        cidr_ipv6=next(filter(None, ipv6), ""),
        public=None if public is None else public.get(raw["SubnetId"], public[""]),
        crowded=raw.get("AvailableIpAddressCount", _ROOM) < _ROOM,
    )


def _public(tables: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """Whether a subnet's route table leads to an internet gateway; under "" that of the main table."""
    found = {"": False}
    for table in tables:
        leads_out = any(route.get("GatewayId", "").startswith("igw-") for route in table.get("Routes") or ())
        for association in table.get("Associations") or ():
            if association.get("Main"):
                found[""] = leads_out
            if association.get("SubnetId"):
                found[association["SubnetId"]] = leads_out
    return found


def _ranges(vpc: Mapping[str, Any]) -> tuple[str, ...]:
    further = [entry["CidrBlock"] for entry in vpc.get("CidrBlockAssociationSet") or ()]
    ipv6 = [entry["Ipv6CidrBlock"] for entry in vpc.get("Ipv6CidrBlockAssociationSet") or ()]
    return tuple(dict.fromkeys([vpc["CidrBlock"], *further, *ipv6]))
