"""What is asked of each Gateway's load balancer: the LoadBalancerConfigurations of its class and its own, merged.

A GatewayClass names one by spec.parametersRef, a Gateway one of its namespace by spec.infrastructure.parametersRef. The
class's goes over the Gateway's, field by field, unless its mergingMode is prefer-gateway (AWS Load Balancer Controller,
"Conflict Resolution for LoadBalancerConfiguration").
"""

from __future__ import annotations

from msgspec import structs

from gatewright.aws.configuration import attributes
from gatewright.aws.configuration.examination import LoadBalancerType, faults, listener_fault, usable
from gatewright.aws.configuration.merging import by_protocol_port, merge_load_balancers, prefers_gateway
from gatewright.aws.configuration.objections import Objection, label, tags
from gatewright.aws.configuration.settings import (
    ListenerSettings,
    LoadBalancerSettings,
    MutualAuthentication,
    SubnetChoice,
)
from gatewright.aws.configuration.sources import Configurations
from gatewright.aws.configuration.support import NO_HIDDEN_IPV4, NO_HIDDEN_IPV4_INSIDE, refused
from gatewright.aws.dialects import NLB_CONTROLLER
from gatewright.flow import Collection, Context
from gatewright.model.awsgateway import (
    GROUP,
    ListenerConfiguration,
    LoadBalancerConfiguration,
    LoadBalancerConfigurationSpec,
    MutualAuthenticationAttributes,
)
from gatewright.model.gateway import Gateway, GatewayClass
from gatewright.model.meta import Key
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.resolve.inputs import Inputs

_KIND = (GROUP, "LoadBalancerConfiguration")


def type_of(gateway: ResolvedGateway) -> LoadBalancerType:
    """The type of load balancer that a Gateway of one of our classes is."""
    return "NLB" if gateway.controller == NLB_CONTROLLER else "ALB"


def class_configuration(gateway_class: GatewayClass) -> Key | None:
    """The LoadBalancerConfiguration that a class names."""
    ref = gateway_class.spec.parameters_ref
    return Key(ref.namespace or "", ref.name) if ref and (ref.group, ref.kind) == _KIND else None


def gateway_configuration(gateway: Gateway) -> Key | None:
    """The LoadBalancerConfiguration that a Gateway names, in its own namespace."""
    ref = gateway.spec.infrastructure and gateway.spec.infrastructure.parameters_ref
    return Key(gateway.namespace, ref.name) if ref and (ref.group, ref.kind) == _KIND else None


def named_configurations(ctx: Context, inputs: Inputs, gateway: Gateway) -> tuple[Key | None, Key | None]:
    """Those that count for a Gateway: its class's and its own."""
    gateway_class = ctx.get(inputs.written(inputs.gateway_classes), Key("", gateway.spec.gateway_class_name))
    return (class_configuration(gateway_class) if gateway_class else None), gateway_configuration(gateway)


def configuration_problems(
    ctx: Context, configurations: Configurations, config: LoadBalancerConfiguration
) -> tuple[Objection, ...]:
    """Why a LoadBalancerConfiguration can't be used."""
    found = faults(config.spec)
    reference = config.spec.default_target_group_configuration
    if reference is None:
        return found
    field, key = "spec.defaultTargetGroupConfiguration.name", Key(config.namespace, reference.name)
    defaults = ctx.get(configurations.target_groups, key)
    if defaults is None:
        why = f"TargetGroupConfiguration {key} does not exist; make it, or leave the reference out"
        return (*found, Objection(field, reference.name, why))
    if defaults.spec.target_reference:
        why = f"TargetGroupConfiguration {key} has a targetReference, so it is no default; remove that, or name another"
        return (*found, Objection(field, reference.name, why))
    return found


def load_balancer_settings(
    inputs: Inputs, configurations: Configurations, gateways: Collection[Key, ResolvedGateway]
) -> Collection[Key, LoadBalancerSettings]:
    """The settings of every Gateway, also of one without any configuration.

    Where they have `problems` they must not be used, and what AWS has of the Gateway stays as it is.
    """
    written = inputs.written(inputs.gateways)
    objects = inputs.written(configurations.load_balancers)
    inputs.written(inputs.gateway_classes)  # made before what reads it

    def settle(ctx: Context, key: Key, resolved: ResolvedGateway) -> LoadBalancerSettings | None:
        gateway = ctx.get(written, key)
        if gateway is None:
            return None
        of = type_of(resolved)
        remarks: list[str] = []
        problems: list[str] = []
        specs: list[LoadBalancerConfigurationSpec | None] = []
        listener_problems: dict[str, str] = {}
        own = gateway_configuration(gateway)
        names = dict.fromkeys(named_configurations(ctx, inputs, gateway))
        for name in named_configurations(ctx, inputs, gateway):
            config = ctx.get(objects, name) if name else None
            if name and config is None:
                problems.append(f"LoadBalancerConfiguration {name} does not exist; make it, or leave the reference out")
            if config is None:
                specs.append(None)
                continue
            owner = label(config)
            problems += [objection.about(owner) for objection in configuration_problems(ctx, configurations, config)]
            spec, objections = usable(config.spec, of)
            if name == own and len(names) > 1 and config.spec.merging_mode:
                why = "only that of a GatewayClass's configuration counts; leave it out here"
                objections.append(Objection("spec.mergingMode", config.spec.merging_mode, why))
            remarks += [objection.about(owner) for objection in objections]
            specs.append(spec)
        of_class, of_gateway = specs
        merged = _merged(of_class, of_gateway)
        for listener in merged.listener_configurations:
            if fault := listener_fault(listener):
                listener_problems[listener.protocol_port] = str(fault)
        labels, objections = tags("spec.infrastructure.labels", _labels(gateway))
        pairs = {pair.key: pair.value for pair in merged.load_balancer_attributes}
        agreeing, more = attributes.agreeing_of_load_balancer("spec.loadBalancerAttributes", pairs)
        remarks += [str(objection) for objection in (*objections, *more, *_contradictions(merged, of))]
        problems += [str(objection) for objection in _impossible(merged, of)]
        return structs.replace(
            _settings(merged, of, listener_problems),
            attributes=agreeing,
            tags=labels | merged.tags,
            remarks=tuple(dict.fromkeys(remarks)),
            problems=tuple(dict.fromkeys(problems)),
        )

    return inputs.flow.derive("load balancer settings", gateways, settle)


def _merged(
    of_class: LoadBalancerConfigurationSpec | None, of_gateway: LoadBalancerConfigurationSpec | None
) -> LoadBalancerConfigurationSpec:
    high, low = (of_gateway, of_class) if prefers_gateway(of_class) else (of_class, of_gateway)
    nothing = LoadBalancerConfigurationSpec()
    return merge_load_balancers(high or nothing, low or nothing)


def _labels(gateway: Gateway) -> dict[str, str]:
    return gateway.spec.infrastructure.labels if gateway.spec.infrastructure else {}


def _contradictions(spec: LoadBalancerConfigurationSpec, of: LoadBalancerType) -> list[Objection]:
    """What has no effect beside something else that is asked for."""
    found: list[Objection] = []
    if spec.load_balancer_subnets and spec.load_balancer_subnets_selector:
        tagged = ", ".join(sorted(spec.load_balancer_subnets_selector))
        why = "loadBalancerSubnets goes over it; keep one of them"
        found.append(Objection("spec.loadBalancerSubnetsSelector", tagged, why))
    if spec.security_groups:
        named = "security groups are named in securityGroups, whose rules stay as they are; add rules there"
        if spec.disable_security_group:
            why = "security groups are named in securityGroups, which are used; leave one of the two out"
            found.append(Objection("spec.disableSecurityGroup", "true", why))
        if spec.source_ranges:
            found.append(Objection("spec.sourceRanges", ", ".join(spec.source_ranges), named))
        if spec.security_group_prefixes:
            found.append(Objection("spec.securityGroupPrefixes", ", ".join(spec.security_group_prefixes), named))
        if spec.enable_icmp:
            found.append(Objection("spec.enableICMP", "true", named))
    elif spec.disable_security_group:
        alone = "without a security group everybody may come in; leave disableSecurityGroup out"
        if spec.source_ranges:
            found.append(Objection("spec.sourceRanges", ", ".join(spec.source_ranges), alone))
        if spec.security_group_prefixes:
            found.append(Objection("spec.securityGroupPrefixes", ", ".join(spec.security_group_prefixes), alone))
    elif spec.manage_backend_security_group_rules is False:
        why = f"an {of} with a managed security group gets the rules towards its targets; name groups in securityGroups"
        found.append(Objection("spec.manageBackendSecurityGroupRules", "false", why))
    return found


def _impossible(spec: LoadBalancerConfigurationSpec, of: LoadBalancerType) -> list[Objection]:
    """What a load balancer of that type can't be, and which nothing may be put for (ELBv2 API, SetIpAddressType)."""
    if spec.ip_address_type != "dualstack-without-public-ipv4":
        return []
    if of == "NLB":
        return [refused(NO_HIDDEN_IPV4, NO_HIDDEN_IPV4.case)]
    if spec.scheme != "internet-facing":
        return [refused(NO_HIDDEN_IPV4_INSIDE, NO_HIDDEN_IPV4_INSIDE.case)]
    return []


def _settings(
    spec: LoadBalancerConfigurationSpec,
    of: LoadBalancerType,
    listener_problems: dict[str, str],
) -> LoadBalancerSettings:
    listeners = {
        (protocol, int(port)): _listener(listener, of, listener_problems.get(name, ""))
        for name, listener in by_protocol_port(spec.listener_configurations).items()
        for protocol, _, port in (name.partition(":"),)
    }
    capacity, shield, waf = spec.minimum_load_balancer_capacity, spec.shield_configuration, spec.waf_v2
    named = bool(spec.security_groups)
    return LoadBalancerSettings(
        scheme=spec.scheme or "internal",
        ip_address_type=spec.ip_address_type or "ipv4",
        name=spec.load_balancer_name or "",
        subnets=tuple(
            SubnetChoice(
                identifier=subnet.identifier or "",
                eip_allocation=subnet.eip_allocation or "",
                private_ipv4=subnet.private_ipv4_allocation or "",
                ipv6=subnet.ipv6_allocation or "",
                source_nat_prefix=subnet.source_nat_ipv6_prefix or "",
            )
            for subnet in spec.load_balancer_subnets
        ),
        subnet_tags=spec.load_balancer_subnets_selector or None,
        security_groups=spec.security_groups,
        no_security_group=bool(spec.disable_security_group) and not named,
        manage_backend_rules=spec.manage_backend_security_group_rules,
        source_ranges=spec.source_ranges,
        prefix_lists=spec.security_group_prefixes,
        icmp=bool(spec.enable_icmp),
        private_link_inbound_rules=spec.enforce_security_group_inbound_rules_on_private_link_traffic or "",
        listeners=listeners,
        web_acl=waf.web_acl if waf else None,
        shield=shield.enabled if shield else None,
        capacity_units=capacity.capacity_units if capacity else None,
        customer_owned_pool=spec.customer_owned_ipv4_pool or "",
        ipam_pool=spec.ipv4_ipam_pool_id or "",
    )


def _listener(listener: ListenerConfiguration, of: LoadBalancerType, problem: str) -> ListenerSettings:
    first = (listener.default_certificate,) if listener.default_certificate else ()
    return ListenerSettings(
        default_certificate=listener.default_certificate or "",
        certificates=tuple(dict.fromkeys((*first, *listener.certificates))),
        ssl_policy=listener.ssl_policy or "",
        alpn_policy=listener.alpn_policy if listener.protocol_port.startswith("TLS:") else "",
        mutual_authentication=_mutual(listener.mutual_authentication),
        attributes={pair.key: pair.value for pair in listener.listener_attributes},
        stickiness=bool(listener.target_group_stickiness) and of == "NLB",
        problem=problem,
    )


def _mutual(given: MutualAuthenticationAttributes | None) -> MutualAuthentication | None:
    if given is None:
        return None
    return MutualAuthentication(
        mode=given.mode,
        trust_store=given.trust_store or "",
        ignore_expiry=bool(given.ignore_client_certificate_expiry),
        advertise_ca_names=given.advertise_trust_store_ca_names == "on",
    )
