"""Which subnets a load balancer stands in (AWS Load Balancer Controller's documentation, "Subnet Auto-Discovery")."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from gatewright.aws.configuration.settings import LoadBalancerSettings, SubnetChoice
from gatewright.aws.network import Network, Subnet, within
from gatewright.aws.stack.desired import SubnetMapping

_ROLES = {"internal": "kubernetes.io/role/internal-elb", "internet-facing": "kubernetes.io/role/elb"}
_FIELD = "loadBalancerSubnets"
_ALB_ZONES = 2  # ALB user guide, "Subnets for your load balancer"


class Standing(Struct, frozen=True):
    """Where a load balancer stands: its scheme and its subnets' IDs; and its name, if that is to stay."""

    scheme: str
    subnets: tuple[str, ...]
    name: str = ""


class Places(Struct, frozen=True):
    """The subnets to stand in, one a zone, each with its addresses; or the problems that keep it from being told."""

    mappings: tuple[SubnetMapping, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    problems: tuple[str, ...] = ()


def choose(
    network: Network,
    settings: LoadBalancerSettings,
    *,
    alb: bool,
    cluster: str,
    addresses: Sequence[str] = (),
    standing: Standing | None = None,
) -> Places:
    """The subnets that are named, by ID or tag `Name`; those with the tags asked for; or those that role tags tell.

    A load balancer that stands somewhere stays there unless its scheme changes or subnets are named: what is discovered
    may change for reasons that are no reason to move. `addresses` are static ones that the Gateway asks for
    (spec.addresses), which must be an NLB's.
    """
    if network.problem:
        return Places(problems=(network.problem,))
    named = [choice for choice in settings.subnets if choice.identifier]
    if named:
        chosen, problems = _named(network, named)
    else:
        chosen, problems = _discovered(network, settings, cluster, standing)
    problems = problems or _placed_well(chosen, settings, alb=alb)
    if problems:
        return Places(problems=tuple(problems))
    mappings, problems = _mappings(network, settings, chosen, alb=alb)
    if addresses and not problems:
        mappings, problems = _at(network, settings.scheme, chosen, mappings, addresses)
    order = sorted(range(len(chosen)), key=lambda place: chosen[place].id)
    return Places(
        mappings=() if problems else tuple(mappings[place] for place in order),
        subnets=tuple(chosen[place] for place in order),
        problems=tuple(problems),
    )


def _named(network: Network, choices: Iterable[SubnetChoice]) -> tuple[list[Subnet], list[str]]:
    chosen, problems = [], []
    for choice in choices:
        found = [subnet for subnet in network.subnets if choice.identifier in (subnet.id, subnet.name)]
        if len(found) == 1:
            chosen += found
        else:
            told = f"{_FIELD}: found {choice.identifier}, which is the ID or tag Name of {len(found) or 'no'} subnets"
            problems.append(f"{told} of {network.vpc}; name one of {_list(network.subnets)}")
    return chosen, problems


def _discovered(
    network: Network, settings: LoadBalancerSettings, cluster: str, standing: Standing | None
) -> tuple[list[Subnet], list[str]]:
    """In a zone, first one that is tagged for the cluster, then by ID."""
    if settings.subnet_tags is not None:
        wanted = settings.subnet_tags
        candidates = [subnet for subnet in network.subnets if _has(subnet, wanted)]
        asked = (
            f"loadBalancerSubnetsSelector: found {', '.join(f'{tag}={_any(v)}' for tag, v in sorted(wanted.items()))}"
        )
        remedy = "correct the selector, or tag subnets"
    else:
        if standing and standing.scheme == settings.scheme:
            kept = [subnet for subnet in network.subnets if subnet.id in standing.subnets]
            if len(kept) == len(standing.subnets):
                return kept, []
        role = _ROLES[settings.scheme]
        candidates = [subnet for subnet in network.subnets if subnet.tags.get(role) in ("", "1")]
        if not candidates:
            public = settings.scheme == "internet-facing"
            candidates = [subnet for subnet in network.subnets if subnet.public is public]
        asked = f"{_FIELD}: found none, and no subnet for scheme {settings.scheme} by the tag {role}=1"
        remedy = "tag subnets, or name them"
    left = [subnet for subnet in candidates if not subnet.clusters or cluster in subnet.clusters]
    roomy = [subnet for subnet in left if not subnet.crowded]
    if not roomy:
        reasons = (
            [f"tagged for other clusters: {_list(s for s in candidates if s not in left)}"]
            if left != candidates
            else []
        )
        reasons += [f"fewer than 8 free addresses: {_list(left)}"] if left else []
        without = f" ({'; '.join(reasons)})" if reasons else ""
        return [], [f"{asked}, and so no subnet of {network.vpc} is left{without}; {remedy}"]
    by_zone: dict[str, list[Subnet]] = defaultdict(list)
    for subnet in roomy:
        by_zone[subnet.zone].append(subnet)
    return [min(subnets, key=lambda s: (cluster not in s.clusters, s.id)) for _, subnets in sorted(by_zone.items())], []


def _placed_well(chosen: Sequence[Subnet], settings: LoadBalancerSettings, *, alb: bool) -> list[str]:
    zones = [subnet.zone for subnet in chosen]
    twice = sorted({zone for zone in zones if zones.count(zone) > 1})
    if twice:
        return [f"{_FIELD}: found several in {', '.join(twice)}; a load balancer has one a zone; keep one of them"]
    if alb and len(zones) < _ALB_ZONES:
        told = f"{_FIELD}: found {_list(chosen)} only"
        return [f"{told}; an ALB needs subnets in two availability zones; name or tag one in another zone"]
    bare = [subnet for subnet in chosen if not subnet.cidr_ipv6]
    if bare and settings.ip_address_type != "ipv4":
        told = f"ipAddressType: found {settings.ip_address_type}, and no IPv6 range in {_list(bare)}"
        return [f"{told}; give the subnets one, or use ipv4"]
    return []


def _mappings(
    network: Network, settings: LoadBalancerSettings, chosen: Sequence[Subnet], *, alb: bool
) -> tuple[list[SubnetMapping], list[str]]:
    """Addresses go to the subnets in the order of the choices."""
    choices = settings.subnets
    asked = {
        "eipAllocation": [choice.eip_allocation for choice in choices],
        "privateIPv4Allocation": [choice.private_ipv4 for choice in choices],
        "ipv6Allocation": [choice.ipv6 for choice in choices],
        "sourceNatIPv6Prefix": [choice.source_nat_prefix for choice in choices],
    }
    given = {name: values for name, values in asked.items() if any(values)}
    if not given:
        return [SubnetMapping(subnet.id) for subnet in chosen], []
    problems = [problem for name, values in given.items() if (problem := _unfit(name, values, settings, alb=alb))]
    if not problems and len(choices) != len(chosen):
        places = _list(chosen)
        problems = [f"{_FIELD}: found addresses for {len(choices)} subnets; expected one for each of {places}"]
    if not problems and "privateIPv4Allocation" in given:
        problems = [
            f"{_FIELD}[{place}].privateIPv4Allocation: found {choice.private_ipv4}; expected an address of {subnet}"
            for place, (choice, subnet) in enumerate(zip(choices, chosen, strict=True))
            if not within([subnet.cidr], choice.private_ipv4)
        ]
    if problems:
        return [], problems
    mappings = [
        SubnetMapping(
            subnet.id,
            private_address=choice.private_ipv4,
            allocation=network.allocations.get(choice.eip_allocation, choice.eip_allocation),
            ipv6_address=choice.ipv6,
            source_nat_prefix=choice.source_nat_prefix,
        )
        for choice, subnet in zip(choices, chosen, strict=True)
    ]
    return mappings, []


def _unfit(name: str, values: Sequence[str], settings: LoadBalancerSettings, *, alb: bool) -> str:
    field = f"{_FIELD}[].{name}"
    found = f"found {next(filter(None, values))}"
    if alb:
        return f"{field}: {found}; an ALB's addresses are AWS's choice; use an NLB, or leave it out"
    if not all(values):
        return f"{field}: found {sum(map(bool, values))} of {len(values)}; give it for every subnet or for none"
    if name == "eipAllocation" and settings.scheme != "internet-facing":
        return f"{field}: {found} with scheme internal; Elastic IPs need internet-facing; use privateIPv4Allocation"
    if name == "privateIPv4Allocation" and settings.scheme != "internal":
        return (
            f"{field}: {found} with scheme internet-facing; chosen private addresses need internal; use eipAllocation"
        )
    if name == "ipv6Allocation" and settings.ip_address_type != "dualstack":
        return f"{field}: {found} with ipAddressType {settings.ip_address_type}; expected dualstack"
    return ""


def _at(
    network: Network, scheme: str, chosen: Sequence[Subnet], mappings: Sequence[SubnetMapping], addresses: Sequence[str]
) -> tuple[list[SubnetMapping], list[str]]:
    """The subnets with the addresses of spec.addresses: one for each, or none."""
    field = "spec.addresses"
    if len(addresses) != len(chosen):
        told = f"{field}: found {len(addresses)} addresses; an NLB has one in each of its subnets"
        return [], [
            f"{told}; give one for each of {_list(chosen)}, or name fewer subnets in a LoadBalancerConfiguration"
        ]
    if scheme == "internet-facing":
        unknown = [address for address in addresses if address not in network.allocations]
        if unknown:
            return [], [
                f"{field}: found {', '.join(unknown)}; expected Elastic IPs of the account; allocate them first"
            ]
        return [
            SubnetMapping(mapping.subnet, allocation=network.allocations[address])
            for mapping, address in zip(mappings, addresses, strict=True)
        ], []
    placed, problems = [], []
    for subnet in chosen:
        inside = [address for address in addresses if within([subnet.cidr], address)]
        if len(inside) == 1:
            placed.append(SubnetMapping(subnet.id, private_address=str(ipaddress.ip_address(inside[0]))))
        else:
            found = ", ".join(inside) or "none"
            problems.append(
                f"{field}: found {found} in {subnet}; an NLB has one address in each of its subnets; give one"
            )
    return ([] if problems else placed), problems


def _has(subnet: Subnet, wanted: dict[str, tuple[str, ...]]) -> bool:
    return all(tag in subnet.tags and (not values or subnet.tags[tag] in values) for tag, values in wanted.items())


def _any(values: Sequence[str]) -> str:
    return "|".join(values) or "*"


def _list(subnets: Iterable[Subnet]) -> str:
    return ", ".join(map(str, subnets)) or "none"
