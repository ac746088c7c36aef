"""Which subnets a load balancer stands in (AWS Load Balancer Controller's documentation, "Subnet Discovery")."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct, field

from gatewright.aws import Aws
from gatewright.aws.views import read_tags
from gatewright.edge.nlb.annotations import Problem, Scheme, Settings

_ROLE = {"internal": "kubernetes.io/role/internal-elb", "internet-facing": "kubernetes.io/role/elb"}
_FIELD = "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-subnets]"


class Subnet(Struct, frozen=True):
    """A subnet. `free` is how many of its addresses are available."""

    id: str
    vpc: str
    zone: str
    cidr: str
    free: int
    tags: dict[str, str]

    @property
    def name(self) -> str:
        """Its tag `Name`."""
        return self.tags.get("Name", "")


class SecurityGroup(Struct, frozen=True):
    """A security group. `name` is its tag `Name`."""

    id: str
    vpc: str
    name: str


class Network(Struct, frozen=True):
    """What load balancers can be put into: all subnets, the address ranges of each VPC, the security groups."""

    subnets: tuple[Subnet, ...] = ()
    ranges: dict[str, tuple[str, ...]] = field(default_factory=dict)
    security_groups: tuple[SecurityGroup, ...] = ()

    def holds(self, vpc: str, address: str) -> bool:
        """Whether an IPv4 address is one of the VPC's."""
        ip = ipaddress.ip_address(address)
        return any(ip in ipaddress.ip_network(cidr) for cidr in self.ranges.get(vpc, ()))


async def read_network(aws: Aws) -> Network:
    """The network as it is. ec2:DescribeSubnets, ec2:DescribeVpcs, ec2:DescribeSecurityGroups."""
    subnets = await aws.pages("ec2", "describe_subnets", "Subnets")
    vpcs = await aws.pages("ec2", "describe_vpcs", "Vpcs")
    groups = await aws.pages("ec2", "describe_security_groups", "SecurityGroups")
    return Network(
        subnets=tuple(
            Subnet(
                id=raw["SubnetId"],
                vpc=raw["VpcId"],
                zone=raw["AvailabilityZone"],
                cidr=raw["CidrBlock"],
                free=raw.get("AvailableIpAddressCount", 0),
                tags=read_tags(raw.get("Tags")),
            )
            for raw in subnets
        ),
        ranges={raw["VpcId"]: _ranges(raw) for raw in vpcs},
        security_groups=tuple(
            SecurityGroup(raw["GroupId"], raw["VpcId"], read_tags(raw.get("Tags")).get("Name", "")) for raw in groups
        ),
    )


def _ranges(vpc: dict[str, Any]) -> tuple[str, ...]:
    further = [entry["CidrBlock"] for entry in vpc.get("CidrBlockAssociationSet") or ()]
    return tuple(dict.fromkeys([vpc["CidrBlock"], *further]))


def choose_subnets(
    network: Network, settings: Settings, cluster: str
) -> tuple[tuple[Subnet, ...], tuple[Problem, ...]]:
    """The subnets for a load balancer, one a zone: those that are named, in that order, or those that tags tell."""
    if settings.subnets:
        chosen, problems = _named(network, settings.subnets)
    else:
        chosen, problems = _discovered(network, settings.scheme, cluster)
    problems = problems or [*_placed_well(chosen), *_fixed_in_place(settings, chosen)]
    return (() if problems else tuple(chosen)), tuple(problems)


def _named(network: Network, names: Iterable[str]) -> tuple[list[Subnet], list[Problem]]:
    chosen, problems = [], []
    for name in names:
        found = [subnet for subnet in network.subnets if name in (subnet.id, subnet.name)]
        if len(found) == 1:
            chosen += found
        else:
            known = ", ".join(sorted(subnet.name or subnet.id for subnet in network.subnets)) or "none"
            told = f"{name}, which {len(found) or 'no'} subnets have"
            expected = f"the ID or the tag Name of one subnet (there are: {known})"
            problems.append(Problem(_FIELD, told, expected, "name another, or leave the annotation out"))
    return chosen, problems


def _discovered(network: Network, scheme: Scheme, cluster: str) -> tuple[list[Subnet], list[Problem]]:
    """By the role's tag, except those tagged for other clusters only; in a zone, first ours, then the one most free."""
    role, mark = _ROLE[scheme], f"kubernetes.io/cluster/{cluster}"
    by_zone: dict[str, list[Subnet]] = defaultdict(list)
    for subnet in network.subnets:
        clusters = {key for key in subnet.tags if key.startswith("kubernetes.io/cluster/")}
        if subnet.tags.get(role) in ("", "1") and (not clusters or mark in clusters):
            by_zone[subnet.zone].append(subnet)
    if not by_zone:
        expected = f"subnets with the tag {role}=1" + f" and, where they are tagged for clusters, {mark}"
        return [], [Problem(_FIELD, "no annotation, and no subnet by tags", expected, "tag them, or name subnets")]
    chosen = [
        min(subnets, key=lambda subnet: (mark not in subnet.tags, -subnet.free, subnet.id))
        for _, subnets in sorted(by_zone.items())
    ]
    return chosen, []


def _placed_well(chosen: list[Subnet]) -> list[Problem]:
    problems = []
    zones = [subnet.zone for subnet in chosen]
    twice = sorted({zone for zone in zones if zones.count(zone) > 1})
    if twice:
        told = f"several subnets in {', '.join(twice)}"
        problems.append(Problem(_FIELD, told, "one subnet an availability zone", "keep one of them"))
    vpcs = {subnet.vpc for subnet in chosen}
    if len(vpcs) > 1:
        told = f"subnets of {len(vpcs)} VPCs"
        problems.append(Problem(_FIELD, told, "subnets of one VPC", "choose those of the cluster's VPC"))
    return problems


def _fixed_in_place(settings: Settings, chosen: list[Subnet]) -> list[Problem]:
    """Fixed addresses go to the subnets in order."""
    name = "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses]"
    allocations = "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-eip-allocations]"
    for field_, values in ((name, settings.private_addresses), (allocations, settings.allocations)):
        if values and len(values) != len(chosen):
            places = ", ".join(f"{subnet.name or subnet.id} ({subnet.cidr})" for subnet in chosen)
            return [
                Problem(field_, f"{len(values)} values", f"{len(chosen)}, one a subnet: {places}", "give one for each")
            ]
    return [
        Problem(name, address, f"an address of {subnet.name or subnet.id} ({subnet.cidr})", "choose one of that range")
        for address, subnet in zip(settings.private_addresses, chosen, strict=False)
        if ipaddress.ip_address(address) not in ipaddress.ip_network(subnet.cidr)
    ]


def choose_security_groups(
    network: Network, settings: Settings, vpc: str
) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The IDs of the security groups that the annotation names, by ID or by tag Name."""
    chosen, problems = [], []
    for name in settings.security_groups:
        found = [group.id for group in network.security_groups if group.vpc == vpc and name in (group.id, group.name)]
        if len(found) == 1:
            chosen += found
        else:
            problems.append(
                Problem(
                    "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-security-groups]",
                    f"{name}, which {len(found) or 'no'} security groups of {vpc} have",
                    "the ID or the tag Name of one security group",
                    "name another, or leave the annotation out",
                )
            )
    return tuple(sorted(set(chosen))), tuple(problems)
