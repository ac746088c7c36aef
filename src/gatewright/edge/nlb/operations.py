"""The changes to Network Load Balancers, as values: what `plan` makes and `apply` carries out.

Things are referred to by name, since they may have to be made first.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from gatewright.aws.views import HealthCheck, Target
from gatewright.edge.nlb.desired import SubnetMapping


class CreateLoadBalancer(Struct, frozen=True, tag=True):
    """Make a Network Load Balancer."""

    name: str
    scheme: str
    ip_address_type: str
    subnets: tuple[SubnetMapping, ...]
    security_groups: tuple[str, ...]
    tags: dict[str, str]


class SetLoadBalancerAttributes(Struct, frozen=True, tag=True):
    """Change attributes of a load balancer; others stay."""

    load_balancer: str
    attributes: dict[str, str]


class SetSubnets(Struct, frozen=True, tag=True):
    """Put a load balancer into these subnets and no others."""

    load_balancer: str
    subnets: tuple[SubnetMapping, ...]


class SetSecurityGroups(Struct, frozen=True, tag=True):
    """Give a load balancer these security groups and no others."""

    load_balancer: str
    security_groups: tuple[str, ...]


class SetIpAddressType(Struct, frozen=True, tag=True):
    """Change which IP versions a load balancer takes."""

    load_balancer: str
    ip_address_type: str


class SetTags(Struct, frozen=True, tag=True):
    """Add tags to a thing, and remove others."""

    arn: str
    add: dict[str, str]
    remove: tuple[str, ...] = ()


class CreateTargetGroup(Struct, frozen=True, tag=True):
    """Make a target group."""

    name: str
    protocol: str
    port: int
    vpc: str
    target_type: str
    health_check: HealthCheck
    tags: dict[str, str]


class SetHealthCheck(Struct, frozen=True, tag=True):
    """Change how a target group asks for its targets' health."""

    target_group: str
    health_check: HealthCheck


class SetTargetGroupAttributes(Struct, frozen=True, tag=True):
    """Change attributes of a target group; others stay."""

    target_group: str
    attributes: dict[str, str]


class RegisterTargets(Struct, frozen=True, tag=True):
    """Add targets to a target group."""

    target_group: str
    targets: tuple[Target, ...]


class DeregisterTargets(Struct, frozen=True, tag=True):
    """Take targets out of a target group; their connections drain."""

    target_group: str
    targets: tuple[Target, ...]


class CreateListener(Struct, frozen=True, tag=True):
    """Make a listener that forwards to a target group."""

    load_balancer: str
    port: int
    protocol: str
    target_group: str
    tags: dict[str, str]
    certificate: str = ""
    ssl_policy: str = ""
    alpn_policy: str = ""


class ModifyListener(Struct, frozen=True, tag=True):
    """Make the listener of a port what it should be."""

    load_balancer: str
    port: int
    protocol: str
    target_group: str
    certificate: str = ""
    ssl_policy: str = ""
    alpn_policy: str = ""


class SetListenerCertificates(Struct, frozen=True, tag=True):
    """Add certificates to a listener, and remove others, besides its default one."""

    load_balancer: str
    port: int
    add: tuple[str, ...]
    remove: tuple[str, ...]


class SetListenerAttributes(Struct, frozen=True, tag=True):
    """Change attributes of a listener; others stay."""

    load_balancer: str
    port: int
    attributes: dict[str, str]


class DeleteListener(Struct, frozen=True, tag=True):
    """Remove the listener of a port."""

    load_balancer: str
    port: int


class DeleteTargetGroup(Struct, frozen=True, tag=True):
    """Remove a target group."""

    target_group: str


class DeleteLoadBalancer(Struct, frozen=True, tag=True):
    """Remove a load balancer with its listeners."""

    load_balancer: str


Operation: TypeAlias = (
    CreateLoadBalancer
    | SetLoadBalancerAttributes
    | SetSubnets
    | SetSecurityGroups
    | SetIpAddressType
    | SetTags
    | CreateTargetGroup
    | SetHealthCheck
    | SetTargetGroupAttributes
    | RegisterTargets
    | DeregisterTargets
    | CreateListener
    | ModifyListener
    | SetListenerCertificates
    | SetListenerAttributes
    | DeleteListener
    | DeleteTargetGroup
    | DeleteLoadBalancer
)
