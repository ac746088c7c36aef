"""What has to be done at AWS so that a Service has the load balancer that it asks for: a list of operations (pure).

Planning again after all operations of a plan are done gives nothing to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, structs

from gatewright.aws import views
from gatewright.aws.views import HealthCheck
from gatewright.edge.nlb.actual import (
    NEW_GROUP_ATTRIBUTES,
    Actual,
    ActualListener,
    ActualLoadBalancer,
    ActualTargetGroup,
)
from gatewright.edge.nlb.desired import RESOURCE_TAG, DesiredListener, DesiredLoadBalancer, DesiredTargetGroup
from gatewright.edge.nlb.operations import (
    CreateListener,
    CreateLoadBalancer,
    CreateTargetGroup,
    DeleteListener,
    DeleteLoadBalancer,
    DeleteTargetGroup,
    DeregisterTargets,
    ModifyListener,
    Operation,
    RegisterTargets,
    SetHealthCheck,
    SetIpAddressType,
    SetListenerAttributes,
    SetListenerCertificates,
    SetLoadBalancerAttributes,
    SetSecurityGroups,
    SetSubnets,
    SetTags,
    SetTargetGroupAttributes,
)

DELETION_PROTECTION = "deletion_protection.enabled"
"""The attribute of a load balancer that AWS deletes only without it."""

_TARGETS_AT_ONCE = 200


class Plan(Struct, frozen=True):
    """What to do: `operations` now; `retirement` when nobody uses the load balancers any more that were replaced.

    `name` is that of the load balancer that serves from then on.
    """

    name: str
    operations: tuple[Operation, ...]
    retirement: tuple[Operation, ...]


def plan(desired: DesiredLoadBalancer, actual: Actual) -> Plan:
    """The way from what is there to what is asked for.

    What can't be changed in place is made anew beside the old one, under another name of the same Service; only where
    both would need the same fixed address the old one goes first.
    """
    current = _current(desired, actual)
    replaced = [each for each in _sorted(actual.load_balancers.values()) if each is not current]
    in_the_way = [each for each in replaced if _needs_its_addresses(desired, each)]
    retired = [each for each in replaced if each not in in_the_way]
    operations: list[Operation] = []
    for each in in_the_way:
        operations += _removal(each)
    if current is None:
        taken = {each.load_balancer.name for each in retired}
        name = _other_name(desired.name, desired) if desired.name in taken else desired.name
        operations.append(
            CreateLoadBalancer(
                name, desired.scheme, desired.ip_address_type, desired.subnets, desired.security_groups, desired.tags
            )
        )
    else:
        name = current.load_balancer.name
    operations += _load_balancer_changes(name, desired, current)
    listeners = current.listeners if current else {}
    groups, found = _choose_groups(name, desired, actual, current)
    for wanted in desired.target_groups:
        operations += _group_changes(groups[wanted.resource], wanted, found[wanted.resource], desired.vpc)
    ports = {wanted.port for wanted in desired.listeners}
    operations += [DeleteListener(name, port) for port in sorted(listeners.keys() - ports)]
    for listener in desired.listeners:
        group = groups[listener.target_group]
        operations += _listener_changes(
            name, listener, group, found[listener.target_group], listeners.get(listener.port)
        )
    # A new target is there before an old one goes.
    for wanted in desired.target_groups:
        operations += _deregistration(wanted, found[wanted.resource])
    kept = {each.group.arn for each in found.values() if each}
    held = {each.load_balancer.arn for each in retired}
    later = [operation for each in retired for operation in _removal(each)]
    for left in sorted(actual.target_groups.values(), key=lambda each: each.group.arn):
        if left.group.arn not in kept:
            (later if held & {*left.group.load_balancers} else operations).append(DeleteTargetGroup(left.group.name))
    return Plan(name, tuple(operations), tuple(later))


def removal(actual: Actual) -> tuple[Operation, ...]:
    """How everything goes: first the load balancers with their listeners, then the target groups."""
    operations = [operation for each in _sorted(actual.load_balancers.values()) for operation in _removal(each)]
    groups = sorted(each.group.name for each in actual.target_groups.values())
    return (*operations, *(DeleteTargetGroup(name) for name in groups))


def _sorted(found: Iterable[ActualLoadBalancer]) -> list[ActualLoadBalancer]:
    return sorted(found, key=lambda each: each.load_balancer.arn)


def _removal(each: ActualLoadBalancer) -> Iterator[Operation]:
    name = each.load_balancer.name
    if each.attributes.get(DELETION_PROTECTION) == "true":
        yield SetLoadBalancerAttributes(name, {DELETION_PROTECTION: "false"})
    yield DeleteLoadBalancer(name)


def _current(desired: DesiredLoadBalancer, actual: Actual) -> ActualLoadBalancer | None:
    """The load balancer that can become what is asked for; the one of its name first."""
    fitting = [each for each in _sorted(actual.load_balancers.values()) if _fits(desired, each.load_balancer)]
    return min(fitting, key=lambda each: each.load_balancer.name != desired.name, default=None)


def _fits(desired: DesiredLoadBalancer, found: views.LoadBalancer) -> bool:
    """ELBv2 API reference: scheme and VPC are for ever, addresses for as long as the subnet stays.

    A Network Load Balancer that was made without security groups never gets any, and one that has some keeps one.
    """
    if (found.type, found.scheme, found.vpc) != ("network", desired.scheme, desired.vpc) or found.state == "failed":
        return False
    if bool(found.security_groups) != bool(desired.security_groups):
        return False
    zones = {zone.subnet: zone for zone in found.zones}
    for mapping in desired.subnets:
        zone = zones.get(mapping.subnet)
        if zone is None:
            continue
        if mapping.private_address and zone.private_address not in ("", mapping.private_address):
            return False
        if mapping.allocation != zone.allocation:
            return False
    return True


def _needs_its_addresses(desired: DesiredLoadBalancer, found: ActualLoadBalancer) -> bool:
    wanted = {each for mapping in desired.subnets for each in (mapping.private_address, mapping.allocation) if each}
    held = {each for zone in found.load_balancer.zones for each in (zone.private_address, zone.allocation) if each}
    return bool(wanted & held)


def _other_name(name: str, desired: DesiredLoadBalancer) -> str:
    """Another name of the same Service, told by what can't be changed in place."""
    told = repr((desired.scheme, desired.vpc, desired.subnets, bool(desired.security_groups)))
    digest = hashlib.sha256(f"{name}{told}".encode()).hexdigest()
    return f"{name[:21].rstrip('-')}-{digest[:10]}"


def _load_balancer_changes(
    name: str, desired: DesiredLoadBalancer, current: ActualLoadBalancer | None
) -> Iterator[Operation]:
    if current is not None:
        found = current.load_balancer
        if changed := _tag_changes(found.arn, current.tags, desired.tags):
            yield changed
        if {mapping.subnet for mapping in desired.subnets} != {zone.subnet for zone in found.zones}:
            yield SetSubnets(name, desired.subnets)
        if found.ip_address_type != desired.ip_address_type:
            yield SetIpAddressType(name, desired.ip_address_type)
        if desired.security_groups != found.security_groups:
            yield SetSecurityGroups(name, desired.security_groups)
    if changes := _changes(desired.attributes, current.attributes if current else {}):
        yield SetLoadBalancerAttributes(name, changes)


def _choose_groups(
    name: str, desired: DesiredLoadBalancer, actual: Actual, current: ActualLoadBalancer | None
) -> tuple[dict[str, str], dict[str, ActualTargetGroup | None]]:
    """For each wanted target group its name, and the one that is there. A group belongs to one load balancer."""
    own = {current.load_balancer.arn} if current else set()
    by_name = {each.group.name: each for each in actual.target_groups.values()}
    names: dict[str, str] = {}
    found: dict[str, ActualTargetGroup | None] = {}
    for wanted in desired.target_groups:
        fitting = [
            each
            for _, each in sorted(by_name.items())
            if each.tags.get(RESOURCE_TAG) == wanted.resource
            and {*each.group.load_balancers} <= own
            and (each.group.target_type, each.group.protocol, each.group.port, each.group.vpc)
            == (wanted.target_type, wanted.protocol, wanted.port, desired.vpc)
        ]
        # The one in use first: that keeps its connections.
        chosen = min(
            fitting, key=lambda each: (not each.group.load_balancers, each.group.name != wanted.name), default=None
        )
        found[wanted.resource] = chosen
        if chosen is not None:
            names[wanted.resource] = chosen.group.name
        elif wanted.name in by_name:
            digest = hashlib.sha256(f"{wanted.name}{name}{wanted}".encode()).hexdigest()
            names[wanted.resource] = f"{wanted.name[:21].rstrip('-')}-{digest[:10]}"
        else:
            names[wanted.resource] = wanted.name
    return names, found


def _group_changes(
    name: str, wanted: DesiredTargetGroup, found: ActualTargetGroup | None, vpc: str
) -> Iterator[Operation]:
    if found is None:
        yield CreateTargetGroup(
            name, wanted.protocol, wanted.port, vpc, wanted.target_type, wanted.health_check, wanted.tags
        )
    else:
        if changed := _tag_changes(found.group.arn, found.tags, wanted.tags):
            yield changed
        if not _same_check(wanted.health_check, found.group.health_check):
            yield SetHealthCheck(name, wanted.health_check)
    if changes := _changes(wanted.attributes, found.attributes if found else NEW_GROUP_ATTRIBUTES):
        yield SetTargetGroupAttributes(name, changes)
    known = {(target.id, target.port) for target in found.targets} if found else set()
    new = sorted(target for target in wanted.targets if (target.id, target.port) not in known)
    for start in range(0, len(new), _TARGETS_AT_ONCE):
        yield RegisterTargets(name, tuple(new[start : start + _TARGETS_AT_ONCE]))


def _deregistration(wanted: DesiredTargetGroup, found: ActualTargetGroup | None) -> Iterator[Operation]:
    kept = {(target.id, target.port) for target in wanted.targets}
    gone = sorted(target for target in (found.targets if found else ()) if (target.id, target.port) not in kept)
    if found and gone:
        yield DeregisterTargets(found.group.name, tuple(gone))


def _same_check(wanted: HealthCheck, found: HealthCheck) -> bool:
    """Path and matcher are of no concern to a TCP check, for which AWS may show either."""
    if wanted.protocol == "TCP":
        found = structs.replace(found, path=wanted.path, matcher=wanted.matcher)
    return wanted == found


def _listener_changes(
    name: str,
    wanted: DesiredListener,
    group: str,
    group_found: ActualTargetGroup | None,
    found: ActualListener | None,
) -> Iterator[Operation]:
    default, *others = wanted.certificates or ("",)
    shape = (wanted.port, wanted.protocol, group)
    if found is None:
        yield CreateListener(name, *shape, wanted.tags, default, wanted.ssl_policy, wanted.alpn_policy)
        attached: set[str] = set()
    else:
        listener = found.listener
        attached = {*found.certificates[1:]}
        if (
            listener.protocol != wanted.protocol
            or group_found is None
            or listener.target_groups != (group_found.group.arn,)
            or (listener.certificates[:1] or ("",)) != (default,)
            or (wanted.ssl_policy and listener.ssl_policy != wanted.ssl_policy)
            or (wanted.protocol == "TLS" and (listener.alpn_policy or "None") != (wanted.alpn_policy or "None"))
        ):
            yield ModifyListener(name, *shape, default, wanted.ssl_policy, wanted.alpn_policy)
        if changed := _tag_changes(listener.arn, found.tags, wanted.tags):
            yield changed
    add, remove = sorted({*others} - attached), sorted(attached - {*others} - {default})
    if wanted.protocol == "TLS" and (add or remove):
        yield SetListenerCertificates(name, wanted.port, tuple(add), tuple(remove))
    if changes := _changes(wanted.attributes, found.attributes if found else {}):
        yield SetListenerAttributes(name, wanted.port, changes)


def _changes(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if found.get(key) != value}


def _tag_changes(arn: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> SetTags | None:
    """AWS's own tags (aws:...) are nobody's to remove."""
    add = _changes(wanted, found)
    remove = tuple(sorted(key for key in found.keys() - wanted.keys() if not key.startswith("aws:")))
    return SetTags(arn, add, remove) if add or remove else None
