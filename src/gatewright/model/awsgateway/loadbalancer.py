"""LoadBalancerConfiguration: what a Gateway's load balancer is to be like, its listeners included."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from gatewright.model.awsgateway.shared import API_VERSION, Attribute, ConfigurationStatus, Tags
from gatewright.model.constraints import NO_DEFAULT, integer, text
from gatewright.model.meta import Model, Object, always

_PORT: Final = r"(6553[0-5]|655[0-2]\d|65[0-4]\d{2}|6[0-4]\d{3}|[1-5]\d{4}|[1-9]\d{0,3})?"
_PROTOCOL_PORT: Final = rf"^(HTTP|HTTPS|TLS|TCP|UDP|TCP_UDP)?:{_PORT}$"

ProtocolPort = Annotated[str, text(pattern=_PROTOCOL_PORT, linear=_PROTOCOL_PORT.replace(r"\d", "[0-9]"))]
"""A listener by protocol and port, as `HTTPS:443`. The schema lets either be empty."""


class MutualAuthenticationAttributes(Model):
    """How an HTTPS listener treats client certificates; all but the mode are for mode `verify` only.

    `trust_store` is a name or an ARN.
    """

    mode: Literal["off", "passthrough", "verify"]
    trust_store: str | None = None
    ignore_client_certificate_expiry: bool | None = None
    advertise_trust_store_ca_names: Literal["on", "off"] | None = None


class ListenerConfiguration(Model):
    """What one listener is to be like. Certificates are ARNs."""

    protocol_port: ProtocolPort
    default_certificate: str | None = None
    certificates: tuple[str, ...] = ()
    ssl_policy: str | None = None
    alpn_policy: Literal["HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"] = "None"
    mutual_authentication: MutualAuthenticationAttributes | None = None
    listener_attributes: tuple[Attribute, ...] = ()
    target_group_stickiness: bool | None = None
    quic_enabled: bool | None = None


class SubnetConfiguration(Model):
    """One subnet, by ID or by its Name tag, and the addresses that the load balancer is to have there (NLB only)."""

    identifier: str | None = None
    eip_allocation: str | None = None
    private_ipv4_allocation: str | None = msgspec.field(default=None, name="privateIPv4Allocation")
    ipv6_allocation: str | None = None
    source_nat_ipv6_prefix: str | None = msgspec.field(default=None, name="sourceNatIPv6Prefix")


class ShieldConfiguration(Model):
    """Whether Shield Advanced protects the load balancer (ALB only)."""

    enabled: bool | None = None


class WAFv2Configuration(Model):
    """The web ACL, by ARN, that the load balancer asks about each request (ALB only)."""

    web_acl: str = msgspec.field(name="webACL")


class MinimumLoadBalancerCapacity(Model):
    """The capacity that is reserved, in load balancer capacity units."""

    capacity_units: Annotated[int, integer()]


class TargetGroupConfigurationReference(Model):
    """Names a TargetGroupConfiguration of the same namespace."""

    name: str


class LoadBalancerConfigurationSpec(Model):
    """What is asked for; what isn't named is left to the controller.

    `merging_mode` says which one wins where a GatewayClass and its Gateway both have one; only the class's is heeded.
    """

    merging_mode: Literal["prefer-gateway", "prefer-gateway-class"] | None = None
    load_balancer_name: Annotated[str, text(min_length=1, max_length=32)] | None = None
    scheme: Literal["internal", "internet-facing"] | None = None
    ip_address_type: Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"] | None = None
    enforce_security_group_inbound_rules_on_private_link_traffic: str | None = None
    customer_owned_ipv4_pool: str | None = None
    ipv4_ipam_pool_id: str | None = msgspec.field(default=None, name="ipv4IPAMPoolId")
    load_balancer_subnets: tuple[SubnetConfiguration, ...] = ()
    load_balancer_subnets_selector: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    listener_configurations: tuple[ListenerConfiguration, ...] = ()
    security_groups: tuple[str, ...] = ()
    security_group_prefixes: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    load_balancer_attributes: tuple[Attribute, ...] = ()
    tags: Tags = msgspec.field(default_factory=dict)
    enable_icmp: bool | None = msgspec.field(default=None, name="enableICMP")
    manage_backend_security_group_rules: bool | None = None
    disable_security_group: bool | None = None
    minimum_load_balancer_capacity: MinimumLoadBalancerCapacity | None = None
    waf_v2: WAFv2Configuration | None = None
    shield_configuration: ShieldConfiguration | None = None
    default_target_group_configuration: TargetGroupConfigurationReference | None = None


class LoadBalancerConfiguration(Object):
    """What a load balancer is to be like: that of the Gateway that names it by its infrastructure.parametersRef, or
    those of all Gateways of the GatewayClass that names it by its parametersRef.
    """

    api_version: str = always(API_VERSION)
    kind: str = always("LoadBalancerConfiguration")
    spec: Annotated[LoadBalancerConfigurationSpec, NO_DEFAULT] = LoadBalancerConfigurationSpec()
    status: Annotated[ConfigurationStatus, NO_DEFAULT] = ConfigurationStatus()
