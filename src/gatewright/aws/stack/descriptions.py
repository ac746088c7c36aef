"""What an operation does, and what things are, in words that a user knows (pure). No secret is among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Struct, field

from gatewright.aws.stack import operations as op
from gatewright.aws.stack import rule_documents
from gatewright.aws.stack.desired import (
    Action,
    AuthenticateOidc,
    DesiredListener,
    DesiredMutualAuthentication,
    DesiredRule,
    RuleCondition,
    SecurityRule,
    SubnetMapping,
    Transform,
)
from gatewright.aws.stack.holdings import ActualListener, ActualRule, ActualStack, Bundle
from gatewright.aws.views import HealthCheck, Target

Key = tuple[str, str]
"""A kind of thing, and the reference to one of them."""


class Described(Struct, frozen=True):
    """What an operation does to one thing: these attributes become this."""

    thing: str
    reference: str
    attributes: dict[str, Any] = field(default_factory=dict)
    creates: bool = False
    name: str = ""
    resource: str = ""


class Existing(Struct):
    """Names, resource IDs and attributes of what there is, and the target groups' names by ARN."""

    names: dict[Key, str] = field(default_factory=dict)
    resources: dict[Key, str] = field(default_factory=dict)
    values: dict[Key, dict[str, Any]] = field(default_factory=dict)
    targets: dict[str, set[Target]] = field(default_factory=dict)
    ingress: dict[str, set[SecurityRule]] = field(default_factory=dict)
    certificates: dict[str, list[str]] = field(default_factory=dict)
    parts: dict[str, list[Key]] = field(default_factory=dict)
    """By ARN of a load balancer or listener: what goes with it."""

    def add(self, thing: str, arn: str, name: str, resource: str, **values: Any) -> None:
        """Tell of one thing."""
        key = (thing, arn)
        self.names[key], self.resources[key] = name, resource
        self.values[key] = {name.replace("_", " "): value for name, value in values.items()}

    def thing_of(self, reference: str) -> str:
        """What kind of thing an ARN or ID is of."""
        return next((thing for thing, arn in self.names if arn == reference), "thing")

    def shown(self, reference: str) -> str:
        """A target group, security group or certificate by its name."""
        for thing in ("target group", "security group", "certificate", "trust store"):
            if (thing, reference) in self.names:
                return self.names[thing, reference]
        return reference


def existing(actual: ActualStack) -> Existing:
    """What there is of a stack."""
    known = Existing()
    tag = actual.key.resource_tag
    for group in actual.target_groups.values():
        view = group.group
        known.targets[view.arn] = {*(group.targets or ())}
        known.add(
            "target group",
            view.arn,
            view.name,
            group.tags.get(tag, ""),
            health_check=_health_check(view.health_check),
            attributes=group.attributes,
            tags=group.tags,
            targets=_targets(group.targets or ()),
        )
    for security in actual.security_groups.values():
        known.ingress[security.id] = {*security.ingress}
        known.add(
            "security group",
            security.id,
            security.name,
            security.tags.get(tag, ""),
            ingress=_rules(security.ingress),
            tags=security.tags,
        )
    for certificate in actual.certificates.values():
        resource = certificate.tags.get(tag, "")
        known.add("certificate", certificate.arn, resource, resource, tags=certificate.tags)
    for store in actual.trust_stores.values():
        resource = store.tags.get(tag, "")
        known.add("trust store", store.arn, resource, resource, tags=store.tags)
    for bundle in actual.bundles:
        known.add("S3 object", str(bundle), str(bundle), "")
    for each in actual.load_balancers.values():
        balancer = each.load_balancer
        mappings = (SubnetMapping(zone.subnet, zone.private_address, zone.allocation) for zone in balancer.zones)
        known.add(
            "load balancer",
            balancer.arn,
            balancer.name,
            op.LOAD_BALANCER,
            attributes=each.attributes,
            tags=each.tags,
            subnets=_subnets(mappings),
            security_groups=[known.shown(group) for group in balancer.security_groups],
            ip_address_type=balancer.ip_address_type,
            IPAM_pool=balancer.ipam_pool,
            capacity_units=each.capacity_units,
            web_ACL=each.web_acl,
            Shield_Advanced=None if each.protection is None else bool(each.protection),
        )
        for listener in each.listeners.values():
            _tell_listener(known, listener)
    return known


def _tell_listener(known: Existing, listener: ActualListener) -> None:
    port = str(listener.port)
    known.certificates[listener.arn] = [*listener.certificates]
    rules = [("rule", arn) for arn in listener.rules]
    known.parts[listener.arn] = rules
    known.parts.setdefault(listener.load_balancer, []).extend([("listener", listener.arn), *rules])
    name = f"{listener.protocol}:{port}"
    known.add(
        "listener",
        listener.arn,
        name,
        port,
        **_listener(listener, known),
        attributes=listener.attributes,
        tags=listener.tags,
    )
    for rule in listener.rules.values():
        values = {**_rule(rule, known), "priority": rule.priority}
        known.add("rule", rule.arn, f"{port}, priority {rule.priority}", "", **values, tags=rule.tags)


def described(operation: op.Operation, known: Existing) -> Iterator[Described]:
    """What an operation does to things; `known` is kept up to date with lists that change step by step."""
    match operation:
        case op.ImportCertificate(certificate, tags, arn):
            new = {"secret": str(certificate.secret), "fingerprint": certificate.fingerprint, "tags": tags}
            reference = arn or certificate.resource
            name = f"{certificate.resource}"
            yield Described("certificate", reference, new, not arn, name, certificate.resource)
        case op.PutBundle(store):
            where = str(Bundle(store.bucket, store.key))
            new = {"fingerprint": store.fingerprint}
            yield Described("S3 object", where, new, ("S3 object", where) not in known.names, where)
        case op.CreateTrustStore(store, tags):
            new = {"made from": str(Bundle(store.bucket, store.key)), "tags": tags}
            yield Described("trust store", store.resource, new, True, store.resource, store.resource)
        case op.CreateSecurityGroup():
            new = {"description": operation.description, "VPC": operation.vpc, "tags": operation.tags}
            yield Described("security group", operation.resource, new, True, operation.name, operation.resource)
        case op.AuthorizeIngress(group, rules):
            known.ingress.setdefault(group, set()).update(rules)
            yield Described("security group", group, {"ingress": _rules(known.ingress[group])})
        case op.RevokeIngress(group, rules):
            known.ingress.setdefault(group, set()).difference_update(rules)
            yield Described("security group", group, {"ingress": _rules(known.ingress[group])})
        case op.SetTags(thing, add, remove):
            kind = known.thing_of(thing)
            before = known.values.get((kind, thing), {}).get("tags", {})
            after = {key: value for key, value in before.items() if key not in remove} | add
            yield Described(kind, thing, {"tags": after})
        case op.CreateLoadBalancer():
            yield _new_load_balancer(operation, known)
        case op.CreateTargetGroup(name, group, tags):
            wanted: dict[str, Any] = {
                "protocol": group.protocol,
                "port": group.port,
                "VPC": group.vpc,
                "target type": group.target_type,
                "protocol version": group.protocol_version,
                "IP address type": group.ip_address_type,
                "control port": group.control_port,
                "health check": _health_check(group.health_check),
                "tags": tags,
            }
            new = {key: value for key, value in wanted.items() if value not in ("", None)}
            yield Described("target group", group.resource, new, True, name, group.resource)
        case op.SetHealthCheck(group, check):
            yield Described("target group", group, {"health check": _health_check(check)})
        case op.RegisterTargets(group, targets):
            known.targets.setdefault(group, set()).update(targets)
            yield Described("target group", group, {"targets": _targets(known.targets[group])})
        case op.DeregisterTargets(group, targets):
            known.targets.setdefault(group, set()).difference_update(targets)
            yield Described("target group", group, {"targets": _targets(known.targets[group])})
        case op.CreateListener(_, listener, tags):
            reference = op.listener_reference(listener.port)
            known.certificates[reference] = [*listener.certificates[:1]]
            name, resource = f"{listener.protocol}:{listener.port}", str(listener.port)
            yield Described(
                "listener", reference, {**_spoken(_listener(listener, known)), "tags": tags}, True, name, resource
            )
        case op.ModifyListener(arn, listener, tell_secret):
            others = known.certificates.get(arn, [])[1:]
            known.certificates[arn] = [*listener.certificates[:1], *others]
            told = {"client secret": "(a new one)"} if tell_secret and _has_secret(listener.default) else {}
            yield Described("listener", arn, {**_spoken(_listener(listener, known, arn)), **told})
        case op.AddListenerCertificates(arn, certificates):
            known.certificates[arn] = list(dict.fromkeys([*known.certificates.get(arn, ()), *certificates]))
            yield Described("listener", arn, {"certificates": list(map(known.shown, known.certificates[arn]))})
        case op.RemoveListenerCertificates(arn, certificates):
            left = [each for each in known.certificates.get(arn, ()) if each not in certificates]
            known.certificates[arn] = left
            yield Described("listener", arn, {"certificates": list(map(known.shown, left))})
        case op.CreateRule(_, port, priority, rule, tags):
            name = f"{port}, priority {priority}"
            told_rule: dict[str, Any] = {"priority": priority, **_spoken(_rule(rule, known)), "tags": tags}
            yield Described("rule", f"{port}/{priority}", told_rule, True, name)
        case op.ModifyRule(arn, _, rule, tell_secret):
            told = {"client secret": "(a new one)"} if tell_secret and _has_secret(rule.actions) else {}
            yield Described("rule", arn, {**_spoken(_rule(rule, known)), **told})
        case op.SetRulePriorities(_, _, priorities):
            for arn, priority in sorted(priorities.items(), key=lambda each: each[1]):
                yield Described("rule", arn, {"priority": priority})
        case op.DeleteLoadBalancer(arn) | op.DeleteListener(arn):
            yield Described("listener" if isinstance(operation, op.DeleteListener) else "load balancer", arn)
            yield from (Described(*part) for part in known.parts.get(arn, ()))
        case _:
            yield _of_one_thing(operation, known)


def _of_one_thing(operation: op.Operation, known: Existing) -> Described:
    """Operations that name one thing and set one of its attributes, or remove it."""
    match operation:
        case op.SetLoadBalancerAttributes(arn, attributes):
            return Described("load balancer", arn, {"attributes": _merged(known, "load balancer", arn, attributes)})
        case op.SetSubnets(arn, subnets):
            return Described("load balancer", arn, {"subnets": _subnets(subnets)})
        case op.SetSecurityGroups(arn, groups, inbound):
            new: dict[str, Any] = {"security groups": list(map(known.shown, groups))}
            return Described(
                "load balancer", arn, {**new, **({"private link inbound rules": inbound} if inbound else {})}
            )
        case op.SetIpAddressType(arn, kind):
            return Described("load balancer", arn, {"ip address type": kind})
        case op.SetIpamPool(arn, pool):
            return Described("load balancer", arn, {"IPAM pool": pool})
        case op.SetCapacity(arn, units):
            return Described("load balancer", arn, {"capacity units": units})
        case op.SetWebAcl(arn, web_acl):
            return Described("load balancer", arn, {"web ACL": web_acl})
        case op.ProtectWithShield(arn):
            return Described("load balancer", arn, {"Shield Advanced": True})
        case op.UnprotectFromShield(arn, _):
            return Described("load balancer", arn, {"Shield Advanced": False})
        case op.SetTargetGroupAttributes(arn, attributes):
            return Described("target group", arn, {"attributes": _merged(known, "target group", arn, attributes)})
        case op.SetListenerAttributes(arn, attributes):
            return Described("listener", arn, {"attributes": _merged(known, "listener", arn, attributes)})
        case op.DeleteTargetGroup(arn):
            return Described("target group", arn)
        case op.DeleteRule(arn, _):
            return Described("rule", arn)
        case op.DeleteSecurityGroup(group):
            return Described("security group", group)
        case op.DeleteCertificate(arn):
            return Described("certificate", arn)
        case op.ModifyTrustStore(arn, store):
            new = {"made from": str(Bundle(store.bucket, store.key)), "fingerprint": store.fingerprint}
            return Described("trust store", arn, new)
        case op.DeleteTrustStore(arn):
            return Described("trust store", arn)
        case op.DeleteBundle(bucket, key):
            return Described("S3 object", str(Bundle(bucket, key)))
    raise AssertionError(f"{type(operation).__name__} isn't described")


def _merged(known: Existing, thing: str, arn: str, attributes: dict[str, str]) -> dict[str, str]:
    return {**known.values.get((thing, arn), {}).get("attributes", {}), **attributes}


def _new_load_balancer(operation: op.CreateLoadBalancer, known: Existing) -> Described:
    wanted = operation.load_balancer
    told = {
        "type": wanted.type,
        "scheme": wanted.scheme,
        "ip address type": wanted.ip_address_type,
        "VPC": wanted.vpc,
        "subnets": _subnets(wanted.subnets),
        "security groups": list(map(known.shown, wanted.security_groups)),
        "customer-owned IPv4 pool": wanted.customer_owned_pool,
        "IPAM pool": wanted.ipam_pool,
        "tags": operation.tags,
    }
    new = {key: value for key, value in told.items() if value not in ("", [])}
    return Described("load balancer", op.LOAD_BALANCER, new, True, operation.name, op.LOAD_BALANCER)


def _spoken(values: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " "): value for name, value in values.items()}


def _listener(listener: ActualListener | DesiredListener, known: Existing, arn: str = "") -> dict[str, Any]:
    told: dict[str, Any] = {"protocol": listener.protocol, "default_actions": _actions(listener.default, known)}
    reference = arn or (listener.arn if isinstance(listener, ActualListener) else op.listener_reference(listener.port))
    if listener.protocol in ("HTTPS", "TLS"):
        told["certificates"] = list(map(known.shown, known.certificates.get(reference, ())))
        if listener.ssl_policy:
            told["SSL_policy"] = listener.ssl_policy
    if listener.protocol == "TLS":
        told["ALPN_policy"] = listener.alpn_policy or "None"
    if listener.protocol == "HTTPS":
        told["mutual_authentication"] = _mutual_authentication(listener.mutual_authentication, known)
    return told


def _mutual_authentication(asked: DesiredMutualAuthentication | None, known: Existing) -> dict[str, Any]:
    if asked is None or asked.mode != "verify":
        return {"mode": asked.mode if asked else "off"}
    return {**_plain(asked), "trust_store": known.shown(asked.trust_store)}


def _rule(rule: ActualRule | DesiredRule, known: Existing) -> dict[str, Any]:
    told: dict[str, Any] = {
        "conditions": [_condition(each) for each in rule_documents.canonical_conditions(rule.conditions)],
        "actions": _actions(rule.actions, known),
    }
    told["transforms"] = [_transform(each) for each in rule_documents.canonical_transforms(rule.transforms)]
    return told


def _condition(condition: RuleCondition) -> str:
    name = f"{condition.field} {condition.name}".rstrip()
    values = [*condition.values, *(f"/{each}/" for each in condition.regex_values)]
    values += [f"{key}={value}" if key else value for key, value in condition.pairs]
    return f"{name} is {' or '.join(values)}"


def _transform(transform: Transform) -> str:
    return f"{transform.type}: {transform.regex} becomes {transform.replace}"


def _has_secret(actions: Iterable[Action]) -> bool:
    return rule_documents.client_secret(actions) is not None


def _actions(actions: Iterable[Action], known: Existing) -> list[Any]:
    told = []
    for action in rule_documents.canonical_actions(rule_documents.refer(actions, known.shown)):
        plain = _plain(action)
        if isinstance(action, AuthenticateOidc):
            plain["client"] = action.client.client_id
            plain.pop("keep_client_secret", None)
        told.append(plain)
    return told


def _plain(value: Any) -> dict[str, Any]:
    told = msgspec.to_builtins(value)
    assert isinstance(told, dict)
    return {name: each for name, each in told.items() if each is not None}


def _health_check(check: HealthCheck) -> dict[str, Any]:
    return {name: each for name, each in _plain(check).items() if each != ""}


def _targets(targets: Iterable[Target]) -> list[str]:
    return sorted(f"{each.id}:{each.port}" if each.port else each.id for each in targets)


def _subnets(subnets: Iterable[SubnetMapping]) -> list[str]:
    told = []
    for each in subnets:
        fixed = " ".join(filter(None, (each.private_address, each.allocation, each.ipv6_address)))
        told.append(f"{each.subnet} ({fixed})" if fixed else each.subnet)
    return sorted(told)


def _rules(rules: Iterable[SecurityRule]) -> list[str]:
    return [_permission(each) for each in sorted(rules)]


def _permission(rule: SecurityRule) -> str:
    source = rule.cidr or rule.cidr_ipv6 or rule.prefix_list or rule.security_group
    ports = f" {rule.from_port}" if rule.from_port == rule.to_port else f" {rule.from_port}-{rule.to_port}"
    if (rule.from_port, rule.to_port) == (0, 65535):
        ports = ""
    protocol = "everything" if rule.protocol == "-1" else rule.protocol
    described = f" ({rule.description})" if rule.description else ""
    return f"{protocol}{ports} from {source}{described}"
