"""What can't be used of a LoadBalancerConfiguration: at all, or on one type of load balancer."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Any, Final, Literal, TypeAlias

from msgspec import structs

from gatewright.aws.configuration import attributes, support
from gatewright.aws.configuration.objections import (
    Objection,
    is_certificate,
    is_name,
    is_web_acl,
    networks,
    prefix_lists,
    shown,
    tags,
)
from gatewright.aws.configuration.support import refused
from gatewright.aws.support.row import Row
from gatewright.model.awsgateway import ListenerConfiguration, LoadBalancerConfigurationSpec

LoadBalancerType: TypeAlias = Literal["ALB", "NLB"]

PROTOCOLS: Final = {"ALB": ("HTTP", "HTTPS"), "NLB": ("TCP", "UDP", "TCP_UDP", "TLS")}
"""Those of each type's listeners."""

_SECURE: Final = ("HTTPS", "TLS")


def faults(spec: LoadBalancerConfigurationSpec) -> tuple[Objection, ...]:
    """Why the configuration can't be used at all: what AWS would refuse, and what must not be left out unnoticed."""
    found = [
        *networks("spec.sourceRanges", spec.source_ranges),
        *prefix_lists("spec.securityGroupPrefixes", spec.security_group_prefixes),
        *_subnet_faults(spec),
    ]
    name = spec.load_balancer_name
    if name is not None and (not is_name(name) or name.startswith("internal-")):
        why = "a name has letters, digits and hyphens, begins and ends with neither a hyphen nor with internal-"
        found.append(Objection("spec.loadBalancerName", shown(name), why))
    rules = spec.enforce_security_group_inbound_rules_on_private_link_traffic
    if rules not in (None, "on", "off"):
        field = "spec.enforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
        found.append(Objection(field, shown(rules), "expected on or off"))
    for place, group in enumerate(spec.security_groups):
        if not group.strip():
            why = "expected the ID or the tag Name of a security group"
            found.append(Objection(f"spec.securityGroups[{place}]", shown(group), why))
    if spec.waf_v2 and spec.waf_v2.web_acl and not is_web_acl(spec.waf_v2.web_acl):
        why = "expected the ARN of a regional web ACL, as arn:aws:wafv2:REGION:ACCOUNT:regional/webacl/NAME/ID"
        found.append(Objection("spec.wafV2.webACL", shown(spec.waf_v2.web_acl), why))
    capacity = spec.minimum_load_balancer_capacity
    if capacity and capacity.capacity_units < 0:
        field = "spec.minimumLoadBalancerCapacity.capacityUnits"
        found.append(Objection(field, str(capacity.capacity_units), "expected 0, for none reserved, or more"))
    return tuple(found)


def _subnet_faults(spec: LoadBalancerConfigurationSpec) -> list[Objection]:
    found: list[Objection] = []
    subnets = spec.load_balancer_subnets
    named = [subnet.identifier for subnet in subnets if subnet.identifier]
    if named and len(named) < len(subnets):
        why = "name every subnet, or none and have them discovered"
        found.append(Objection("spec.loadBalancerSubnets[].identifier", f"{len(named)} of {len(subnets)}", why))
    for identifier, count in Counter(named).items():
        if count > 1:
            field = "spec.loadBalancerSubnets[].identifier"
            found.append(Objection(field, f"{identifier} {count} times", "name each subnet once"))
    for place, subnet in enumerate(subnets):
        field = f"spec.loadBalancerSubnets[{place}]"
        addresses = (
            ("privateIPv4Allocation", subnet.private_ipv4_allocation, ipaddress.IPv4Address, "an IPv4 address"),
            ("ipv6Allocation", subnet.ipv6_allocation, ipaddress.IPv6Address, "an IPv6 address"),
            ("sourceNatIPv6Prefix", subnet.source_nat_ipv6_prefix, _prefix, "auto_assigned or an IPv6 prefix of /80"),
        )
        for name, value, parse, expected in addresses:
            if value and not _parses(parse, value):
                found.append(Objection(f"{field}.{name}", shown(value), f"expected {expected}"))
    for tag, values in spec.load_balancer_subnets_selector.items():
        if not tag.strip() or not values:
            why = "expected a tag and the values that it may have"
            found.append(Objection(f"spec.loadBalancerSubnetsSelector[{tag}]", str(list(values)), why))
    return found


def _prefix(value: str) -> object:
    if value != "auto_assigned" and ipaddress.IPv6Network(value).prefixlen != 80:
        raise ValueError(value)
    return value


def _parses(parse: Any, value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def listener_fault(listener: ListenerConfiguration) -> Objection | None:
    """Why the listener can't be made as its configuration says."""
    field = f"spec.listenerConfigurations[{listener.protocol_port}]"
    default = () if listener.default_certificate is None else (listener.default_certificate,)
    for name, arns in (("defaultCertificate", default), ("certificates", listener.certificates)):
        for arn in arns:
            if not is_certificate(arn):
                why = "expected the ARN of a certificate, as arn:aws:acm:REGION:ACCOUNT:certificate/ID"
                return Objection(f"{field}.{name}", shown(arn), why)
    mutual = listener.mutual_authentication
    protocol, _, _ = listener.protocol_port.partition(":")
    if mutual and mutual.mode == "verify":
        if protocol != "HTTPS":
            return refused(support.NO_MUTUAL_TLS, "verify", field)
        if not (mutual.trust_store or "").strip():
            why = "mode verify needs the name or the ARN of a trust store"
            return Objection(f"{field}.mutualAuthentication.trustStore", shown(mutual.trust_store or ""), why)
    return None


def usable(
    spec: LoadBalancerConfigurationSpec, of: LoadBalancerType
) -> tuple[LoadBalancerConfigurationSpec, list[Objection]]:
    """The configuration as far as a load balancer of that type can have it; and what is said of the rest."""
    remarks: list[Objection] = []
    without: dict[str, Any] = {}

    def leave_out(attribute: str, row: Row, found: str = "true") -> None:
        without[attribute] = None
        remarks.append(refused(row, found))

    if of == "ALB":
        if spec.disable_security_group:
            leave_out("disable_security_group", support.NO_SECURITY_GROUP)
        if spec.enable_icmp:
            leave_out("enable_icmp", support.NO_ICMP)
        rules = spec.enforce_security_group_inbound_rules_on_private_link_traffic
        if rules is not None:
            attribute = "enforce_security_group_inbound_rules_on_private_link_traffic"
            leave_out(attribute, support.NO_PRIVATE_LINK, rules)
    else:
        if spec.customer_owned_ipv4_pool is not None:
            leave_out("customer_owned_ipv4_pool", support.NO_CUSTOMER_POOL, spec.customer_owned_ipv4_pool)
        if spec.ipv4_ipam_pool_id is not None:
            leave_out("ipv4_ipam_pool_id", support.NO_IPAM_POOL, spec.ipv4_ipam_pool_id)
        if spec.waf_v2 and spec.waf_v2.web_acl:
            leave_out("waf_v2", support.NO_WAF, spec.waf_v2.web_acl)
        if spec.shield_configuration and spec.shield_configuration.enabled:
            leave_out("shield_configuration", support.NO_SHIELD)
    given, objections = tags("spec.tags", spec.tags)
    remarks += objections
    pairs = spec.load_balancer_attributes
    fit, objections = attributes.fitting("spec.loadBalancerAttributes", pairs, attributes.LOAD_BALANCER, of)
    remarks += objections
    listeners: list[ListenerConfiguration] = []
    for listener in spec.listener_configurations:
        left, objections = _usable_listener(listener, of)
        remarks += objections
        listeners += [left] if left else []
    for protocol_port, count in Counter(listener.protocol_port for listener in listeners).items():
        if count > 1:
            why = f"found {count} times; the last one counts; make them one"
            remarks.append(Objection("spec.listenerConfigurations[].protocolPort", protocol_port, why))
    return (
        structs.replace(
            spec,
            tags=given,
            load_balancer_attributes=tuple(pair for pair in pairs if fit.get(pair.key) == pair.value),
            listener_configurations=tuple(listeners),
            **without,
        ),
        remarks,
    )


def _usable_listener(
    listener: ListenerConfiguration, of: LoadBalancerType
) -> tuple[ListenerConfiguration | None, list[Objection]]:
    field = f"spec.listenerConfigurations[{listener.protocol_port}]"
    protocol, _, port = listener.protocol_port.partition(":")
    if not protocol or not port:
        why = "a listener is told by both, as HTTPS:443"
        return None, [Objection("spec.listenerConfigurations[].protocolPort", shown(listener.protocol_port), why)]
    if protocol not in PROTOCOLS[of]:
        why = f"the listeners of an {of} are {', '.join(PROTOCOLS[of])}"
        return None, [Objection("spec.listenerConfigurations[].protocolPort", listener.protocol_port, why)]
    remarks: list[Objection] = []
    without: dict[str, Any] = {}

    def leave_out(attribute: str, row: Row, found: str = "true", instead: Any = None) -> None:
        without[attribute] = instead
        remarks.append(refused(row, found, field))

    if protocol not in _SECURE:
        no_default, no_others, no_policy = support.PLAIN
        if listener.default_certificate is not None:
            leave_out("default_certificate", no_default, shown(listener.default_certificate))
        if listener.certificates:
            leave_out("certificates", no_others, ", ".join(listener.certificates), ())
        if listener.ssl_policy is not None:
            leave_out("ssl_policy", no_policy, shown(listener.ssl_policy))
    if listener.alpn_policy != "None" and protocol != "TLS":
        leave_out("alpn_policy", support.NO_ALPN, listener.alpn_policy, "None")
    mutual = listener.mutual_authentication
    if mutual and mutual.mode == "passthrough" and protocol != "HTTPS":
        leave_out("mutual_authentication", support.NO_MUTUAL_TLS, mutual.mode)
    if listener.target_group_stickiness and of == "ALB":
        leave_out("target_group_stickiness", support.NO_STICKINESS)
    if listener.quic_enabled:
        leave_out("quic_enabled", support.NO_QUIC)
    given = listener.listener_attributes
    fit, objections = attributes.fitting(f"{field}.listenerAttributes", given, attributes.LISTENER, protocol)
    without["listener_attributes"] = tuple(pair for pair in given if fit.get(pair.key) == pair.value)
    return structs.replace(listener, **without), remarks + objections
