"""The changes to load balancers and what belongs to them, as values: what `plan` makes and `apply` carries out.

A thing that exists is referred to by its ARN (a security group by its ID). One that is made by the same plan is
referred to by its resource ID; so are the load balancer (`LOAD_BALANCER`) and listeners (`listener:443`).
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct, field

from gatewright.aws.stack.desired import (
    DesiredCertificate,
    DesiredListener,
    DesiredLoadBalancer,
    DesiredRule,
    DesiredTargetGroup,
    DesiredTrustStore,
    SecurityRule,
    SubnetMapping,
)
from gatewright.aws.views import HealthCheck, Target

LOAD_BALANCER = "LoadBalancer"
"""The resource ID of every stack's load balancer."""


def listener_reference(port: int) -> str:
    """The resource ID of the listener of a port, for operations on one that is made first."""
    return f"listener:{port}"


# --- certificates, trust stores and security groups -------------------------------------------------------------------


class ImportCertificate(Struct, frozen=True, tag=True):
    """Bring a Secret's certificate into ACM: as a new one, or in the place of the one at `arn`.

    `tags` are all that it is to have then. Nothing of the key is ever shown.
    """

    certificate: DesiredCertificate
    tags: dict[str, str]
    arn: str = ""


class DeleteCertificate(Struct, frozen=True, tag=True):
    """Remove a certificate that no listener uses any more."""

    certificate: str


class PutBundle(Struct, frozen=True, tag=True):
    """Put the certificates of a trust store into S3; one that exists, at `arn`, is to be made from them anew."""

    trust_store: DesiredTrustStore
    arn: str = ""


class CreateTrustStore(Struct, frozen=True, tag=True):
    """Make a trust store from what is in S3."""

    trust_store: DesiredTrustStore
    tags: dict[str, str]


class ModifyTrustStore(Struct, frozen=True, tag=True):
    """Make a trust store from what is in S3 by now; listeners that use it go by it at once."""

    arn: str
    trust_store: DesiredTrustStore


class DeleteTrustStore(Struct, frozen=True, tag=True):
    """Remove a trust store that no listener uses any more."""

    trust_store: str


class DeleteBundle(Struct, frozen=True, tag=True):
    """Remove the certificates of a trust store from S3."""

    bucket: str
    key: str


class CreateSecurityGroup(Struct, frozen=True, tag=True):
    """Make a security group that lets nothing in yet."""

    resource: str
    name: str
    description: str
    vpc: str
    tags: dict[str, str]


class AuthorizeIngress(Struct, frozen=True, tag=True):
    """Let more into a security group. Sources may be resource IDs."""

    security_group: str
    rules: tuple[SecurityRule, ...]


class RevokeIngress(Struct, frozen=True, tag=True):
    """Let less into a security group."""

    security_group: str
    rules: tuple[SecurityRule, ...]


class DeleteSecurityGroup(Struct, frozen=True, tag=True):
    """Remove a security group that nothing uses any more."""

    security_group: str


class SetTags(Struct, frozen=True, tag=True):
    """Add tags to a thing that has an ARN or is a security group, and remove others."""

    thing: str
    add: dict[str, str]
    remove: tuple[str, ...] = ()


# --- load balancers --------------------------------------------------------------------------------------------------


class CreateLoadBalancer(Struct, frozen=True, tag=True):
    """Make the load balancer, under this name; security groups are IDs or resource IDs."""

    name: str
    load_balancer: DesiredLoadBalancer
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
    private_link_inbound_rules: str = ""


class SetIpAddressType(Struct, frozen=True, tag=True):
    """Change which IP versions a load balancer takes."""

    load_balancer: str
    ip_address_type: str


class SetIpamPool(Struct, frozen=True, tag=True):
    """Have a load balancer take its public addresses from an IPAM pool, or none with an empty ID."""

    load_balancer: str
    pool: str


class SetCapacity(Struct, frozen=True, tag=True):
    """Reserve this many LCUs for a load balancer; 0 gives the reservation up."""

    load_balancer: str
    units: int


class SetWebAcl(Struct, frozen=True, tag=True):
    """Have a web ACL look at requests before the load balancer does; an empty ARN for none."""

    load_balancer: str
    web_acl: str


class ProtectWithShield(Struct, frozen=True, tag=True):
    """Have Shield Advanced protect a load balancer."""

    load_balancer: str


class UnprotectFromShield(Struct, frozen=True, tag=True):
    """End a protection of Shield Advanced, by its ID."""

    load_balancer: str
    protection: str


class DeleteLoadBalancer(Struct, frozen=True, tag=True):
    """Remove a load balancer with its listeners and rules."""

    load_balancer: str


# --- target groups ---------------------------------------------------------------------------------------------------


class CreateTargetGroup(Struct, frozen=True, tag=True):
    """Make a target group, under this name."""

    name: str
    target_group: DesiredTargetGroup
    tags: dict[str, str]


class SetHealthCheck(Struct, frozen=True, tag=True):
    """Change how a target group asks for its targets' health."""

    target_group: str
    health_check: HealthCheck
    protocol_version: str = ""


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


class DeleteTargetGroup(Struct, frozen=True, tag=True):
    """Remove a target group that nothing forwards to any more."""

    target_group: str


# --- listeners and rules ---------------------------------------------------------------------------------------------


class CreateListener(Struct, frozen=True, tag=True):
    """Make a listener with its default actions and default certificate; target groups are references."""

    load_balancer: str
    listener: DesiredListener
    tags: dict[str, str]


class ModifyListener(Struct, frozen=True, tag=True):
    """Make of a listener what `listener` says, but for rules, tags, attributes and certificates besides the default.

    `tell_secret`: the OIDC client's secret is sent, too; otherwise the one that AWS has stays.
    """

    arn: str
    listener: DesiredListener
    tell_secret: bool = True


class AddListenerCertificates(Struct, frozen=True, tag=True):
    """Give a listener more certificates besides its default one, by ARN or resource ID."""

    listener: str
    certificates: tuple[str, ...]


class RemoveListenerCertificates(Struct, frozen=True, tag=True):
    """Take certificates from a listener."""

    listener: str
    certificates: tuple[str, ...]


class SetListenerAttributes(Struct, frozen=True, tag=True):
    """Change attributes of a listener; others stay."""

    listener: str
    attributes: dict[str, str]


class DeleteListener(Struct, frozen=True, tag=True):
    """Remove a listener with its rules."""

    listener: str


class CreateRule(Struct, frozen=True, tag=True):
    """Make a rule at a priority that is free."""

    listener: str
    port: int
    priority: int
    rule: DesiredRule
    tags: dict[str, str]


class ModifyRule(Struct, frozen=True, tag=True):
    """Exchange conditions, actions and transforms of a rule at once; it keeps its priority and its tags."""

    arn: str
    port: int
    rule: DesiredRule
    tell_secret: bool = True


class SetRulePriorities(Struct, frozen=True, tag=True):
    """Move rules of a listener, all at once; by their ARNs."""

    listener: str
    port: int
    priorities: dict[str, int] = field(default_factory=dict)


class DeleteRule(Struct, frozen=True, tag=True):
    """Remove a rule."""

    arn: str
    port: int


Operation: TypeAlias = (
    ImportCertificate
    | DeleteCertificate
    | PutBundle
    | CreateTrustStore
    | ModifyTrustStore
    | DeleteTrustStore
    | DeleteBundle
    | CreateSecurityGroup
    | AuthorizeIngress
    | RevokeIngress
    | DeleteSecurityGroup
    | SetTags
    | CreateLoadBalancer
    | SetLoadBalancerAttributes
    | SetSubnets
    | SetSecurityGroups
    | SetIpAddressType
    | SetIpamPool
    | SetCapacity
    | SetWebAcl
    | ProtectWithShield
    | UnprotectFromShield
    | DeleteLoadBalancer
    | CreateTargetGroup
    | SetHealthCheck
    | SetTargetGroupAttributes
    | RegisterTargets
    | DeregisterTargets
    | DeleteTargetGroup
    | CreateListener
    | ModifyListener
    | AddListenerCertificates
    | RemoveListenerCertificates
    | SetListenerAttributes
    | DeleteListener
    | CreateRule
    | ModifyRule
    | SetRulePriorities
    | DeleteRule
)
