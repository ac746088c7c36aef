"""IngressClassParams (elbv2.k8s.aws/v1beta1): what all Ingresses of an IngressClass share, over their annotations."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from gatewright.model.awsgateway.shared import Attribute
from gatewright.model.constraints import NO_DEFAULT, integer, items, text
from gatewright.model.gateway.listeners import Selector
from gatewright.model.meta import Model, Object, always

GROUP: Final = "elbv2.k8s.aws"
API_VERSION: Final = f"{GROUP}/v1beta1"

SubnetID = Annotated[str, text(pattern="subnet-[0-9a-f]+")]


class IngressGroup(Model):
    """The group that all Ingresses of the class belong to."""

    name: str


class SubnetSelector(Model):
    """Subnets by ID, or by tags each of which has one of the values."""

    ids: Annotated[tuple[SubnetID, ...], items(at_least=1)] = ()
    tags: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)


class IngressListener(Model):
    """The attributes of the listener at one protocol and port."""

    protocol: str | None = None
    port: Annotated[int, integer()] | None = None
    listener_attributes: tuple[Attribute, ...] = ()


class MinimumCapacity(Model):
    """The capacity that is reserved, in load balancer capacity units."""

    capacity_units: Annotated[int, integer()]


class IPAMConfiguration(Model):
    """Where IPv4 addresses come from."""

    ipv4_ipam_pool_id: str | None = msgspec.field(default=None, name="ipv4IPAMPoolId")


class IngressClassParamsSpec(Model):
    """What is set here goes over the annotations of Ingresses.

    `prefix_lists_ids_legacy` is an older spelling of `prefix_lists_ids`; there may be only one of them.
    """

    namespace_selector: Selector | None = None
    group: IngressGroup | None = None
    scheme: Literal["internal", "internet-facing"] | None = None
    ip_address_type: Literal["ipv4", "dualstack", "dualstack-without-public-ipv4"] | None = None
    load_balancer_name: str | None = None
    subnets: SubnetSelector | None = None
    inbound_cidrs: tuple[str, ...] = msgspec.field(default=(), name="inboundCIDRs")
    prefix_lists_ids: tuple[str, ...] = msgspec.field(default=(), name="prefixListsIDs")
    prefix_lists_ids_legacy: tuple[str, ...] = msgspec.field(default=(), name="PrefixListsIDs")
    certificate_arn: tuple[str, ...] = ()
    ssl_policy: str | None = None
    ssl_redirect_port: str | None = None
    target_type: Literal["instance", "ip"] | None = None
    tags: tuple[Attribute, ...] = ()
    load_balancer_attributes: tuple[Attribute, ...] = ()
    listeners: tuple[IngressListener, ...] = ()
    minimum_load_balancer_capacity: MinimumCapacity | None = None
    ipam_configuration: IPAMConfiguration | None = None
    wafv2_acl_arn: str | None = None
    wafv2_acl_name: str | None = None


class IngressClassParams(Object):
    """What all Ingresses of an IngressClass share: named by the IngressClass's spec.parameters."""

    api_version: str = always(API_VERSION)
    kind: str = always("IngressClassParams")
    spec: Annotated[IngressClassParamsSpec, NO_DEFAULT] = IngressClassParamsSpec()
