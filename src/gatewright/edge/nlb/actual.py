"""What AWS holds of one Service: its Network Load Balancers and target groups, and what an operation makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field, structs

from gatewright.aws import views
from gatewright.aws.views import Target
from gatewright.edge.nlb import operations as operations
from gatewright.edge.nlb.desired import SubnetMapping
from gatewright.edge.nlb.operations import Operation

NEW_GROUP_ATTRIBUTES = {"proxy_protocol_v2.enabled": "false"}
"""What is known of a new target group's attributes (Network Load Balancer user guide, "Target group attributes")."""


class ActualListener(Struct, frozen=True):
    """A listener as it is. `certificates` are all of them, the default one first; `attributes` those that were read."""

    listener: views.Listener
    tags: dict[str, str]
    certificates: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)


class ActualLoadBalancer(Struct, frozen=True):
    """A load balancer as it is, with its listeners by port."""

    load_balancer: views.LoadBalancer
    tags: dict[str, str]
    attributes: dict[str, str] = field(default_factory=dict)
    listeners: dict[int, ActualListener] = field(default_factory=dict)


class ActualTargetGroup(Struct, frozen=True):
    """A target group as it is. `targets` are those that are registered, without those that are draining."""

    group: views.TargetGroup
    tags: dict[str, str]
    attributes: dict[str, str] = field(default_factory=dict)
    targets: frozenset[Target] = frozenset()


class Actual(Struct, frozen=True):
    """All that AWS holds of one Service (by the stack's tag), by ARN."""

    load_balancers: dict[str, ActualLoadBalancer] = field(default_factory=dict)
    target_groups: dict[str, ActualTargetGroup] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.load_balancers or self.target_groups)

    def load_balancer(self, name: str) -> ActualLoadBalancer:
        """The load balancer of a name; KeyError if there is none."""
        return {each.load_balancer.name: each for each in self.load_balancers.values()}[name]

    def target_group(self, name: str) -> ActualTargetGroup:
        """The target group of a name; KeyError if there is none."""
        return {each.group.name: each for each in self.target_groups.values()}[name]


Made = views.LoadBalancer | views.TargetGroup | views.Listener
"""What a creating or modifying operation was answered."""


def after(actual: Actual, operation: Operation, made: Made | None = None) -> Actual:
    """What AWS holds once `operation` is done; `made` is what it answered where it makes or changes a thing itself."""
    match operation:
        case operations.CreateLoadBalancer():
            assert isinstance(made, views.LoadBalancer)
            placed = structs.replace(made, zones=_placed(made.zones, operation.subnets))
            return _with(actual, ActualLoadBalancer(placed, operation.tags))
        case operations.DeleteLoadBalancer():
            return _without_load_balancer(actual, actual.load_balancer(operation.load_balancer))
        case operations.CreateTargetGroup():
            assert isinstance(made, views.TargetGroup)
            checked = structs.replace(made, health_check=operation.health_check)
            return _with_group(actual, ActualTargetGroup(checked, operation.tags, NEW_GROUP_ATTRIBUTES))
        case operations.DeleteTargetGroup():
            gone = actual.target_group(operation.target_group).group.arn
            groups = {arn: each for arn, each in actual.target_groups.items() if arn != gone}
            return structs.replace(actual, target_groups=groups)
        case operations.SetTags():
            return _tagged(actual, operation)
        case (
            operations.SetHealthCheck()
            | operations.SetTargetGroupAttributes()
            | operations.RegisterTargets()
            | operations.DeregisterTargets()
        ):
            return _with_group(actual, _changed_group(actual.target_group(operation.target_group), operation))
        case operations.CreateListener() | operations.ModifyListener():
            assert isinstance(made, views.Listener)
            return _listening(actual, operation, made)
        case _:
            changed = _changed_load_balancer(actual.load_balancer(operation.load_balancer), operation)
            return _with(_reattached(actual, changed), changed)


def _placed(zones: Iterable[views.Zone], mappings: Iterable[SubnetMapping]) -> tuple[views.Zone, ...]:
    """The answer to the creation of a load balancer may leave out the addresses that were asked for."""
    fixed = {mapping.subnet: mapping for mapping in mappings}
    return tuple(
        structs.replace(
            zone,
            private_address=zone.private_address or fixed[zone.subnet].private_address,
            allocation=zone.allocation or fixed[zone.subnet].allocation,
        )
        if zone.subnet in fixed
        else zone
        for zone in zones
    )


def _with(actual: Actual, each: ActualLoadBalancer) -> Actual:
    return structs.replace(actual, load_balancers={**actual.load_balancers, each.load_balancer.arn: each})


def _with_group(actual: Actual, each: ActualTargetGroup) -> Actual:
    return structs.replace(actual, target_groups={**actual.target_groups, each.group.arn: each})


def _without_load_balancer(actual: Actual, gone: ActualLoadBalancer) -> Actual:
    arn = gone.load_balancer.arn
    groups = {
        key: structs.replace(each, group=_belonging(each.group, {*each.group.load_balancers} - {arn}))
        for key, each in actual.target_groups.items()
    }
    return Actual({key: each for key, each in actual.load_balancers.items() if key != arn}, groups)


def _belonging(group: views.TargetGroup, load_balancers: Iterable[str]) -> views.TargetGroup:
    return structs.replace(group, load_balancers=tuple(sorted(load_balancers)))


def _tagged(actual: Actual, operation: operations.SetTags) -> Actual:
    def changed(tags: Mapping[str, str]) -> dict[str, str]:
        return {key: value for key, value in tags.items() if key not in operation.remove} | operation.add

    arn = operation.arn
    if group := actual.target_groups.get(arn):
        return _with_group(actual, structs.replace(group, tags=changed(group.tags)))
    if load_balancer := actual.load_balancers.get(arn):
        return _with(actual, structs.replace(load_balancer, tags=changed(load_balancer.tags)))
    for each in actual.load_balancers.values():
        for port, listener in each.listeners.items():
            if listener.listener.arn == arn:
                with_tags = structs.replace(listener, tags=changed(listener.tags))
                return _with(actual, structs.replace(each, listeners={**each.listeners, port: with_tags}))
    return actual


def _changed_group(
    found: ActualTargetGroup,
    operation: operations.SetHealthCheck
    | operations.SetTargetGroupAttributes
    | operations.RegisterTargets
    | operations.DeregisterTargets,
) -> ActualTargetGroup:
    match operation:
        case operations.SetHealthCheck():
            return structs.replace(found, group=structs.replace(found.group, health_check=operation.health_check))
        case operations.SetTargetGroupAttributes():
            return structs.replace(found, attributes=found.attributes | operation.attributes)
        case operations.RegisterTargets():
            return structs.replace(found, targets=found.targets | {*operation.targets})
        case operations.DeregisterTargets():
            return structs.replace(found, targets=found.targets - {*operation.targets})


def _listening(
    actual: Actual, operation: operations.CreateListener | operations.ModifyListener, made: views.Listener
) -> Actual:
    owner = actual.load_balancer(operation.load_balancer)
    old = owner.listeners.get(operation.port)
    default = (operation.certificate,) if operation.certificate else ()
    others = tuple(arn for arn in old.certificates[1:] if arn not in default) if old else ()
    tags = operation.tags if isinstance(operation, operations.CreateListener) else old.tags if old else {}
    listener = ActualListener(made, tags, (*default, *others), old.attributes if old else {})
    owner = structs.replace(owner, listeners={**owner.listeners, operation.port: listener})
    return _with(_reattached(actual, owner), owner)


def _reattached(actual: Actual, owner: ActualLoadBalancer) -> Actual:
    """Which target groups belong to a load balancer follows from its listeners."""
    arn = owner.load_balancer.arn
    used = {group for each in owner.listeners.values() for group in each.listener.target_groups}
    groups = {}
    for key, each in actual.target_groups.items():
        belonging = {*each.group.load_balancers} - {arn} | ({arn} if key in used else set())
        groups[key] = structs.replace(each, group=_belonging(each.group, belonging))
    return structs.replace(actual, target_groups=groups)


def _changed_load_balancer(
    found: ActualLoadBalancer,
    operation: operations.SetLoadBalancerAttributes
    | operations.SetSubnets
    | operations.SetSecurityGroups
    | operations.SetIpAddressType
    | operations.SetListenerCertificates
    | operations.SetListenerAttributes
    | operations.DeleteListener,
) -> ActualLoadBalancer:
    match operation:
        case operations.SetLoadBalancerAttributes():
            return structs.replace(found, attributes=found.attributes | operation.attributes)
        case operations.SetSubnets():
            known = {zone.subnet: zone for zone in found.load_balancer.zones}
            zones = [known.get(mapping.subnet, views.Zone("", mapping.subnet)) for mapping in operation.subnets]
            return _replaced(found, zones=_placed(zones, operation.subnets))
        case operations.SetSecurityGroups():
            return _replaced(found, security_groups=operation.security_groups)
        case operations.SetIpAddressType():
            return _replaced(found, ip_address_type=operation.ip_address_type)
        case operations.DeleteListener():
            left = {port: each for port, each in found.listeners.items() if port != operation.port}
            return structs.replace(found, listeners=left)
        case operations.SetListenerAttributes():
            listener = found.listeners[operation.port]
            changed = structs.replace(listener, attributes=listener.attributes | operation.attributes)
        case operations.SetListenerCertificates():
            listener = found.listeners[operation.port]
            default = listener.listener.certificates[:1]
            others = {*listener.certificates[1:]} - {*operation.remove} | {*operation.add}
            changed = structs.replace(listener, certificates=(*default, *sorted(others)))
    return structs.replace(found, listeners={**found.listeners, operation.port: changed})


def _replaced(found: ActualLoadBalancer, **changes: object) -> ActualLoadBalancer:
    return structs.replace(found, load_balancer=structs.replace(found.load_balancer, **changes))
