"""What AWS holds after an operation (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import structs

from gatewright.aws import views
from gatewright.aws.stack import operations as op
from gatewright.aws.stack import rule_documents
from gatewright.aws.stack.desired import BACKEND_GROUP, SubnetMapping
from gatewright.aws.stack.holdings import (
    ActualCertificate,
    ActualListener,
    ActualLoadBalancer,
    ActualRule,
    ActualSecurityGroup,
    ActualStack,
    ActualTargetGroup,
    ActualTrustStore,
    Bundle,
)
from gatewright.aws.stack.references import References

Made = views.LoadBalancer | views.TargetGroup | ActualListener | ActualRule | str | None
"""What AWS answered: the thing itself, or its ID or ARN."""


def after(actual: ActualStack, operation: op.Operation, made: Made, names: References) -> ActualStack:
    """What AWS holds once `operation` is done and was answered with `made`; `names` tells what references stand for."""
    match operation:
        case op.ImportCertificate(_, tags, arn):
            own = actual.certificates[arn].tags if arn in actual.certificates else {}
            changed = ActualCertificate(str(made), tags if not arn else {**own, **tags})
            return structs.replace(actual, certificates={**actual.certificates, changed.arn: changed})
        case op.PutBundle(store):
            return structs.replace(actual, bundles=actual.bundles | {Bundle(store.bucket, store.key)})
        case op.DeleteBundle(bucket, key):
            return structs.replace(actual, bundles=actual.bundles - {Bundle(bucket, key)})
        case op.CreateTrustStore(_, tags):
            new = ActualTrustStore(str(made), tags)
            return structs.replace(actual, trust_stores={**actual.trust_stores, new.arn: new})
        case op.ModifyTrustStore():
            return actual  # what is in it is told by its tags
        case op.DeleteTrustStore(arn):
            return structs.replace(actual, trust_stores=_without(actual.trust_stores, arn))
        case op.CreateSecurityGroup(resource, name, _, vpc, tags):
            if resource == BACKEND_GROUP:
                return structs.replace(actual, backend_group=str(made))
            group = ActualSecurityGroup(str(made), name, vpc, frozenset(), tags)
            return structs.replace(actual, security_groups={**actual.security_groups, group.id: group})
        case op.AuthorizeIngress(reference, rules) | op.RevokeIngress(reference, rules):
            resolved = frozenset(map(names.security_rule, rules))
            group = actual.security_groups[names.security_group(reference)]
            more = isinstance(operation, op.AuthorizeIngress)
            ingress = group.ingress | resolved if more else group.ingress - resolved
            changed_group = structs.replace(group, ingress=ingress)
            return structs.replace(actual, security_groups={**actual.security_groups, group.id: changed_group})
        case op.SetTags():
            return _tagged(actual, operation)
        case op.CreateLoadBalancer(_, wanted, tags):
            assert isinstance(made, views.LoadBalancer)
            placed = structs.replace(made, zones=_placed(made.zones, wanted.subnets))
            extras = (
                "" if wanted.web_acl is not None else None,
                "" if wanted.shield is not None else None,
                0 if wanted.capacity_units is not None else None,
            )
            return _with(actual, ActualLoadBalancer(placed, tags, {}, {}, *extras))
        case op.CreateTargetGroup(_, wanted_group, tags):
            assert isinstance(made, views.TargetGroup)
            checked = structs.replace(
                made,
                health_check=wanted_group.health_check,
                protocol_version=wanted_group.protocol_version,
                control_port=wanted_group.control_port,
            )
            return _with_group(actual, ActualTargetGroup(checked, tags))
        case op.DeleteCertificate(arn):
            return structs.replace(actual, certificates=_without(actual.certificates, arn))
        case op.DeleteSecurityGroup(group_id):
            return structs.replace(actual, security_groups=_without(actual.security_groups, group_id))
        case op.DeleteTargetGroup(arn):
            return structs.replace(actual, target_groups=_without(actual.target_groups, arn))
        case op.DeleteLoadBalancer(arn):
            gone = structs.replace(actual, load_balancers=_without(actual.load_balancers, arn))
            return _attached(gone)
        case (
            op.SetHealthCheck(reference)
            | op.SetTargetGroupAttributes(reference)
            | op.RegisterTargets(reference)
            | op.DeregisterTargets(reference)
        ):
            return _with_group(actual, _changed_group(actual.target_groups[names.target_group(reference)], operation))
        case (
            op.CreateListener()
            | op.ModifyListener()
            | op.AddListenerCertificates()
            | op.RemoveListenerCertificates()
            | op.SetListenerAttributes()
            | op.DeleteListener()
            | op.CreateRule()
            | op.ModifyRule()
            | op.SetRulePriorities()
            | op.DeleteRule()
        ):
            return _attached(_listening(actual, operation, made, names))
        case _:
            owner = actual.load_balancers[names.load_balancer(operation.load_balancer)]
            return _with(actual, _changed_balancer(owner, operation, made, names))


def _without(things: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {each: value for each, value in things.items() if each != key}


def _with(actual: ActualStack, each: ActualLoadBalancer) -> ActualStack:
    return structs.replace(actual, load_balancers={**actual.load_balancers, each.load_balancer.arn: each})


def _with_group(actual: ActualStack, each: ActualTargetGroup) -> ActualStack:
    return structs.replace(actual, target_groups={**actual.target_groups, each.group.arn: each})


def _placed(zones: Iterable[views.Zone], mappings: Iterable[SubnetMapping]) -> tuple[views.Zone, ...]:
    """AWS's answer may leave out the addresses that were asked for."""
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


def _retagged(thing: Any, operation: op.SetTags) -> Any:
    tags = {key: value for key, value in thing.tags.items() if key not in operation.remove}
    return structs.replace(thing, tags=tags | operation.add)


def _tagged(actual: ActualStack, operation: op.SetTags) -> ActualStack:
    thing = operation.thing
    for name in ("load_balancers", "target_groups", "security_groups", "certificates", "trust_stores"):
        things = getattr(actual, name)
        if thing in things:
            return structs.replace(actual, **{name: {**things, thing: _retagged(things[thing], operation)}})
    for balancer in actual.load_balancers.values():
        for listener in balancer.listeners.values():
            if listener.arn == thing:
                return _with_listener(actual, _retagged(listener, operation))
            if thing in listener.rules:
                rules = {**listener.rules, thing: _retagged(listener.rules[thing], operation)}
                return _with_listener(actual, structs.replace(listener, rules=rules))
    return actual


def _with_listener(actual: ActualStack, listener: ActualListener) -> ActualStack:
    owner = actual.load_balancers[listener.load_balancer]
    return _with(actual, structs.replace(owner, listeners={**owner.listeners, listener.arn: listener}))


def _attached(actual: ActualStack) -> ActualStack:
    """Which target groups belong to a load balancer follows from its listeners and their rules."""
    users: dict[str, set[str]] = {}
    for arn, owner in actual.load_balancers.items():
        for listener in owner.listeners.values():
            for actions in (listener.default, *(rule.actions for rule in listener.rules.values())):
                for group in rule_documents.target_groups_of(actions):
                    users.setdefault(group, set()).add(arn)
    groups = {}
    for arn, each in actual.target_groups.items():
        using = tuple(sorted(users.get(arn, ())))
        same = using == each.group.load_balancers
        groups[arn] = each if same else structs.replace(each, group=structs.replace(each.group, load_balancers=using))
    return structs.replace(actual, target_groups=groups)


def _changed_group(found: ActualTargetGroup, operation: op.Operation) -> ActualTargetGroup:
    match operation:
        case op.SetHealthCheck(_, check):
            before = found.group.health_check
            check = structs.replace(check, path=check.path or before.path, matcher=check.matcher or before.matcher)
            return structs.replace(found, group=structs.replace(found.group, health_check=check))
        case op.SetTargetGroupAttributes(_, attributes):
            return structs.replace(found, attributes={**found.attributes, **attributes})
        case op.RegisterTargets(_, targets):
            more = (found.targets or frozenset()) | {*targets}
            return structs.replace(found, targets=more, ours=found.ours | {(each.id, each.port) for each in targets})
        case op.DeregisterTargets(_, targets):
            gone = {(each.id, each.port) for each in targets}
            left = frozenset(each for each in found.targets or () if (each.id, each.port) not in gone)
            return structs.replace(found, targets=left, ours=found.ours - gone)
    raise AssertionError(f"{type(operation).__name__} isn't about a target group")


def _changed_balancer(
    found: ActualLoadBalancer, operation: op.Operation, made: Made, names: References
) -> ActualLoadBalancer:
    view = found.load_balancer
    match operation:
        case op.SetLoadBalancerAttributes(_, attributes):
            return structs.replace(found, attributes={**found.attributes, **attributes})
        case op.SetSubnets(_, subnets):
            known = {zone.subnet: zone for zone in view.zones}
            zones = [known.get(mapping.subnet, views.Zone("", mapping.subnet)) for mapping in subnets]
            return structs.replace(found, load_balancer=structs.replace(view, zones=_placed(zones, subnets)))
        case op.SetSecurityGroups(_, groups, inbound):
            resolved = tuple(sorted(map(names.security_group, groups)))
            inbound = inbound or view.private_link_inbound_rules
            changed = structs.replace(view, security_groups=resolved, private_link_inbound_rules=inbound)
            return structs.replace(found, load_balancer=changed)
        case op.SetIpAddressType(_, kind):
            return structs.replace(found, load_balancer=structs.replace(view, ip_address_type=kind))
        case op.SetIpamPool(_, pool):
            return structs.replace(found, load_balancer=structs.replace(view, ipam_pool=pool))
        case op.SetCapacity(_, units):
            return structs.replace(found, capacity_units=units)
        case op.SetWebAcl(_, web_acl):
            return structs.replace(found, web_acl=web_acl)
        case op.ProtectWithShield():
            return structs.replace(found, protection=str(made))
        case op.UnprotectFromShield():
            return structs.replace(found, protection="")
    raise AssertionError(f"{type(operation).__name__} isn't about a load balancer")


def _listening(actual: ActualStack, operation: op.Operation, made: Made, names: References) -> ActualStack:
    match operation:
        case op.CreateListener(_, wanted, tags):
            assert isinstance(made, ActualListener)
            certificates = tuple(map(names.certificate, wanted.certificates[:1]))
            return _with_listener(actual, structs.replace(made, certificates=certificates, tags=tags))
        case op.ModifyListener(reference, wanted):
            assert isinstance(made, ActualListener)
            old = _listener(actual, names.listener(reference))
            default = tuple(map(names.certificate, wanted.certificates[:1]))
            others = tuple(arn for arn in old.certificates[1:] if arn not in default) if default else ()
            kept = structs.replace(
                made, certificates=(*default, *others), attributes=old.attributes, tags=old.tags, rules=old.rules
            )
            return _with_listener(actual, kept)
        case op.AddListenerCertificates(reference, certificates):
            old = _listener(actual, names.listener(reference))
            added = dict.fromkeys((*old.certificates, *map(names.certificate, certificates)))
            return _with_listener(actual, structs.replace(old, certificates=tuple(added)))
        case op.RemoveListenerCertificates(reference, certificates):
            old = _listener(actual, names.listener(reference))
            left = tuple(arn for arn in old.certificates if arn not in certificates)
            return _with_listener(actual, structs.replace(old, certificates=left))
        case op.SetListenerAttributes(reference, attributes):
            old = _listener(actual, names.listener(reference))
            return _with_listener(actual, structs.replace(old, attributes={**old.attributes, **attributes}))
        case op.DeleteListener(arn):
            owner = actual.load_balancers[_listener(actual, arn).load_balancer]
            return _with(actual, structs.replace(owner, listeners=_without(owner.listeners, arn)))
        case op.CreateRule(reference, _, _, _, tags):
            assert isinstance(made, ActualRule)
            old = _listener(actual, names.listener(reference))
            rules = {**old.rules, made.arn: structs.replace(made, tags=tags)}
            return _with_listener(actual, structs.replace(old, rules=rules))
        case op.ModifyRule(arn):
            assert isinstance(made, ActualRule)
            old = _listener_of_rule(actual, arn)
            rules = {**old.rules, arn: structs.replace(made, tags=old.rules[arn].tags)}
            return _with_listener(actual, structs.replace(old, rules=rules))
        case op.SetRulePriorities(reference, _, priorities):
            old = _listener(actual, names.listener(reference))
            moved = {
                arn: structs.replace(rule, priority=priorities.get(arn, rule.priority))
                for arn, rule in old.rules.items()
            }
            return _with_listener(actual, structs.replace(old, rules=moved))
        case op.DeleteRule(arn):
            old = _listener_of_rule(actual, arn)
            return _with_listener(actual, structs.replace(old, rules=_without(old.rules, arn)))
    raise AssertionError(f"{type(operation).__name__} isn't about a listener")


def _listener(actual: ActualStack, arn: str) -> ActualListener:
    return next(each.listeners[arn] for each in actual.load_balancers.values() if arn in each.listeners)


def _listener_of_rule(actual: ActualStack, arn: str) -> ActualListener:
    return next(
        listener
        for each in actual.load_balancers.values()
        for listener in each.listeners.values()
        if arn in listener.rules
    )
