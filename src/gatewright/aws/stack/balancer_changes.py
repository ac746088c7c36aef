"""How the load balancer itself becomes what it is to be (pure)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TypeAlias

from msgspec import Struct, structs

from gatewright.aws import views
from gatewright.aws.stack.desired import DesiredLoadBalancer, Stack
from gatewright.aws.stack.holdings import ActualLoadBalancer, ActualStack
from gatewright.aws.stack.names import free_name, possible_names
from gatewright.aws.stack.operations import (
    LOAD_BALANCER,
    CreateLoadBalancer,
    DeleteLoadBalancer,
    Operation,
    ProtectWithShield,
    SetCapacity,
    SetIpAddressType,
    SetIpamPool,
    SetLoadBalancerAttributes,
    SetSecurityGroups,
    SetSubnets,
    SetTags,
    SetWebAcl,
    UnprotectFromShield,
)
from gatewright.aws.stack.steps import Draft
from gatewright.aws.stack.tags import tag_changes

DELETION_PROTECTION = "deletion_protection.enabled"
"""The attribute of a load balancer that AWS deletes only without it."""

Refer: TypeAlias = Callable[[str], str]


class Choice(Struct, frozen=True):
    """`current` is what becomes the load balancer; None: it is made under `name`.

    `retired` go when the new one serves, those `in_the_way` before it is made. `conflict`: why it can't be as asked.
    """

    current: ActualLoadBalancer | None
    name: str
    retired: tuple[ActualLoadBalancer, ...] = ()
    in_the_way: tuple[ActualLoadBalancer, ...] = ()
    conflict: str = ""


def choose(desired: DesiredLoadBalancer, actual: ActualStack) -> Choice:
    """Which load balancer to go on with. A new one is made beside the old one where something can't be changed."""
    names = possible_names(desired.name, _unchangeable(desired))
    found = sorted(actual.load_balancers.values(), key=lambda each: each.load_balancer.arn)
    reasons = {each.load_balancer.arn: _misfit(desired, names, each.load_balancer) for each in found}
    fitting = [each for each in found if not reasons[each.load_balancer.arn]]
    current = min(fitting, key=lambda each: names.index(each.load_balancer.name), default=None)
    conflict = ""
    if current is None and desired.attributes.get(DELETION_PROTECTION) == "true":
        current = next((each for each in found if each.attributes.get(DELETION_PROTECTION) == "true"), None)
        if current is not None:
            conflict = (
                f"load balancer {current.load_balancer.name}: {reasons[current.load_balancer.arn]}; AWS can't change "
                f"that, and replacing it would delete one with {DELETION_PROTECTION}=true; set that attribute to false "
                "first, or ask for what it was before"
            )
    others = tuple(each for each in found if each is not current)
    if current is not None:
        return Choice(current, current.load_balancer.name, others, (), conflict)
    in_the_way = [each for each in others if _needs_its_addresses(desired, each.load_balancer)]
    left = {each.load_balancer.name for each in others if each not in in_the_way}
    if {*names} <= left:  # every name is one of our own load balancers': that takes a history of failures
        in_the_way, left = [*others], set()
    name = free_name(names, left)
    if name in actual.taken_load_balancers:
        conflict = (
            f"a load balancer named {name} exists in this account and region, and isn't this one's: it lacks the tags "
            f"{_told(actual.key.tags)}; choose another name, or delete that load balancer"
        )
    return Choice(None, name, tuple(each for each in others if each not in in_the_way), tuple(in_the_way), conflict)


def _told(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))


def _unchangeable(desired: DesiredLoadBalancer) -> object:
    addresses = [(each.subnet, each.private_address, each.allocation) for each in desired.subnets]
    fixed = [each for each in addresses if each[1] or each[2]]
    grouped = desired.type == "network" and bool(desired.security_groups)
    return desired.type, desired.scheme, desired.vpc, desired.customer_owned_pool, fixed, grouped


def _misfit(desired: DesiredLoadBalancer, names: Collection[str], found: views.LoadBalancer) -> str:
    """What of a load balancer can't become what is asked for; empty if everything can (ELBv2 API reference).

    A Network Load Balancer that was made without security groups never gets any, and one that has some keeps one.
    """
    for what, wanted, is_so in (
        ("type", desired.type, found.type),
        ("scheme", desired.scheme, found.scheme),
        ("VPC", desired.vpc, found.vpc),
        ("customer-owned IPv4 pool", desired.customer_owned_pool, found.customer_owned_pool),
    ):
        if wanted != is_so:
            return f"{what} is {is_so or 'none'}, asked for is {wanted or 'none'}"
    if found.name not in names:
        return f"name is {found.name}, asked for is {desired.name}"
    if found.state == "failed":
        return "AWS couldn't make it"
    if desired.type == "network" and bool(found.security_groups) != bool(desired.security_groups):
        has, asked = ("none", "some") if desired.security_groups else ("some", "none")
        return f"security groups are {has}, asked for are {asked}"
    zones = {zone.subnet: zone for zone in found.zones}
    for mapping in desired.subnets:
        zone = zones.get(mapping.subnet)
        if zone is None:
            continue
        if mapping.private_address and zone.private_address not in ("", mapping.private_address):
            return f"address in {mapping.subnet} is {zone.private_address}, asked for is {mapping.private_address}"
        if mapping.allocation != zone.allocation:
            asked = mapping.allocation or "none"
            return f"Elastic IP in {mapping.subnet} is {zone.allocation or 'none'}, asked for is {asked}"
    return ""


def _needs_its_addresses(desired: DesiredLoadBalancer, found: views.LoadBalancer) -> bool:
    wanted = {each for mapping in desired.subnets for each in (mapping.private_address, mapping.allocation) if each}
    held = {each for zone in found.zones for each in (zone.private_address, zone.allocation) if each}
    return bool(wanted & held)


def balancer_steps(
    draft: Draft, desired: Stack, choice: Choice, groups: Refer, after_groups: Iterable[int], after: Iterable[int]
) -> list[int]:
    """What has to be done to the load balancer; the answer is the steps before listeners can be made.

    `groups` refers to security groups, which are there after `after_groups`. It has its web ACL before it
    has more listeners, so that no request gets by.
    """
    wanted, current = desired.load_balancer, choice.current
    tags = {**wanted.tags, **desired.key.tags, desired.key.resource_tag: LOAD_BALANCER}
    security_groups = tuple(map(groups, wanted.security_groups))
    if current is None:
        create = CreateLoadBalancer(choice.name, _referring(wanted, security_groups), tags)
        made = draft.add(create, [*after_groups, *after])
        before_listeners = [made]
        for operation in _settings(LOAD_BALANCER, wanted, None):
            step = draft.add(operation, [made])
            if isinstance(operation, SetWebAcl):
                before_listeners.append(step)
        return before_listeners
    found = current.load_balancer
    if choice.conflict:
        return []
    add, remove = tag_changes(tags, current.tags)
    if add or remove:
        draft.add(SetTags(found.arn, add, remove))
    if {mapping.subnet for mapping in wanted.subnets} != {zone.subnet for zone in found.zones}:
        draft.add(SetSubnets(found.arn, wanted.subnets))
    if found.ip_address_type != wanted.ip_address_type:
        draft.add(SetIpAddressType(found.arn, wanted.ip_address_type))
    if security_groups and (
        {*security_groups} != {*found.security_groups}
        or wanted.private_link_inbound_rules not in ("", found.private_link_inbound_rules)
    ):
        operation = SetSecurityGroups(found.arn, security_groups, wanted.private_link_inbound_rules)
        draft.add(operation, after_groups)
    steps = [(draft.add(operation), operation) for operation in _settings(found.arn, wanted, current)]
    return [step for step, operation in steps if isinstance(operation, SetWebAcl)]


def _referring(wanted: DesiredLoadBalancer, security_groups: tuple[str, ...]) -> DesiredLoadBalancer:
    return structs.replace(wanted, security_groups=security_groups)


def _settings(arn: str, wanted: DesiredLoadBalancer, found: ActualLoadBalancer | None) -> list[Operation]:
    """What is set by calls of its own, on a new load balancer, too."""
    operations: list[Operation] = []
    web_acl = (found.web_acl if found else "") or ""
    if wanted.web_acl is not None and wanted.web_acl != web_acl:
        operations.append(SetWebAcl(arn, wanted.web_acl))
    attributes = found.attributes if found else {}
    if changes := {key: value for key, value in wanted.attributes.items() if attributes.get(key) != value}:
        operations.append(SetLoadBalancerAttributes(arn, changes))
    if found is not None and found.load_balancer.ipam_pool != wanted.ipam_pool:
        operations.append(SetIpamPool(arn, wanted.ipam_pool))
    if found is None and wanted.private_link_inbound_rules and wanted.security_groups:
        operations.append(SetSecurityGroups(arn, wanted.security_groups, wanted.private_link_inbound_rules))
    units = (found.capacity_units if found else 0) or 0
    if wanted.capacity_units is not None and wanted.capacity_units != units:
        operations.append(SetCapacity(arn, wanted.capacity_units))
    protection = (found.protection if found else "") or ""
    if wanted.shield is True and not protection:
        operations.append(ProtectWithShield(arn))
    if wanted.shield is False and protection:
        operations.append(UnprotectFromShield(arn, protection))
    return operations


def deletion_steps(draft: Draft, found: ActualLoadBalancer, after: Iterable[int]) -> int:
    """How a load balancer goes, with all that it has; the answer is the last step."""
    arn, before = found.load_balancer.arn, [*after]
    if found.protection:
        before = [draft.add(UnprotectFromShield(arn, found.protection), before)]
    if found.attributes.get(DELETION_PROTECTION) == "true":
        before = [draft.add(SetLoadBalancerAttributes(arn, {DELETION_PROTECTION: "false"}), before)]
    return draft.add(DeleteLoadBalancer(arn), before)
