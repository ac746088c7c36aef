"""What the API holds. Everything is checked and complete by the time it gets here: defaults are filled in.

Conditions, actions and transforms are dicts in the API's own form, as DescribeRules shows them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

Document: TypeAlias = dict[str, Any]
"""Something in the API's own form."""


@dataclass(eq=False)
class Rule:
    """A rule of a listener. `priority` is a number, or `default` for the one without conditions and transforms."""

    arn: str
    listener_arn: str
    priority: int | str
    conditions: list[Document]
    actions: list[Document]
    transforms: list[Document]

    @property
    def is_default(self) -> bool:
        """Whether it is its listener's default rule."""
        return self.priority == "default"

    def document(self) -> Document:
        """As DescribeRules shows it."""
        return {
            "RuleArn": self.arn,
            "Priority": str(self.priority),
            "Conditions": self.conditions,
            "Actions": self.actions,
            "IsDefault": self.is_default,
            "Transforms": self.transforms,
        }


@dataclass(eq=False)
class Listener:
    """A listener. `certificates`: ARNs, the default one first. `attributes` is complete.

    `ssl_policy` and `certificates` are empty without TLS; `mutual_authentication` is the API's document, None without
    HTTPS.
    """

    arn: str
    load_balancer_arn: str
    protocol: str
    port: int
    default_rule: Rule
    certificates: list[str]
    ssl_policy: str
    alpn_policy: list[str]
    mutual_authentication: Document | None
    attributes: dict[str, str]
    other_rules: dict[str, Rule] = field(default_factory=dict)
    """By ARN, in no order."""

    @property
    def rules(self) -> dict[str, Rule]:
        """By ARN, in the order of their priority, the default one last."""
        ordered = sorted(self.other_rules.values(), key=lambda rule: int(rule.priority))
        return {rule.arn: rule for rule in (*ordered, self.default_rule)}

    def document(self) -> Document:
        """As DescribeListeners shows it."""
        document: Document = {
            "ListenerArn": self.arn,
            "LoadBalancerArn": self.load_balancer_arn,
            "Port": self.port,
            "Protocol": self.protocol,
            "DefaultActions": self.default_rule.actions,
        }
        if self.certificates:
            document["Certificates"] = [{"CertificateArn": self.certificates[0]}]
        if self.ssl_policy:
            document["SslPolicy"] = self.ssl_policy
        if self.alpn_policy:
            document["AlpnPolicy"] = self.alpn_policy
        if self.mutual_authentication is not None:
            document["MutualAuthentication"] = self.mutual_authentication
        return document


@dataclass(eq=False)
class LoadBalancer:
    """An ALB or NLB. `subnets` are moto's, one a zone; its nodes are `network.interfaces(arn)`.

    `attrs`: complete attributes. `chosen`: by subnet's id, what the user asked for (`PrivateIPv4Address`, or
    `AllocationId` and its `IpAddress`).
    """

    arn: str
    name: str
    type: str
    scheme: str
    vpc_id: str
    subnets: list[Any]
    security_groups: list[str]
    ip_address_type: str
    dns_name: str
    canonical_hosted_zone_id: str
    created_time: str
    attrs: dict[str, str]
    chosen: dict[str, Document]
    state: str = "provisioning"
    reserved: int = 0
    """Capacity units."""
    enforced_on_private_link: str = "on"
    listeners: dict[str, Listener] = field(default_factory=dict)

    def document(self) -> Document:
        """As DescribeLoadBalancers shows it."""
        document: Document = {
            "LoadBalancerArn": self.arn,
            "DNSName": self.dns_name,
            "CanonicalHostedZoneId": self.canonical_hosted_zone_id,
            "CreatedTime": self.created_time,
            "LoadBalancerName": self.name,
            "Scheme": self.scheme,
            "VpcId": self.vpc_id,
            "State": {"Code": self.state},
            "Type": self.type,
            "AvailabilityZones": self.zones(),
            "IpAddressType": self.ip_address_type,
        }
        if self.security_groups or self.type == "application":
            document["SecurityGroups"] = list(self.security_groups)
        if self.security_groups and self.type == "network":
            document["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] = self.enforced_on_private_link
        return document

    def zones(self) -> list[Document]:
        """`AvailabilityZones`, with the addresses that the user chose."""
        return [
            {
                "ZoneName": subnet.availability_zone,
                "SubnetId": subnet.id,
                "LoadBalancerAddresses": [self.chosen[subnet.id]] if subnet.id in self.chosen else [],
            }
            for subnet in self.subnets
        ]

    def activate(self) -> None:
        """moto says so when somebody looks at it; here, the backend finds out."""


class Registration(NamedTuple):
    """A registered target. `zone` is empty for one that every node may use; `at` is of `time.monotonic()`."""

    id: str
    port: int
    zone: str
    at: float

    def document(self) -> Document:
        """As DescribeTargetHealth shows it."""
        document: Document = {"Id": self.id}
        if self.port:
            document["Port"] = self.port
        if self.zone:
            document["AvailabilityZone"] = self.zone
        return document


class Draining(NamedTuple):
    """A target that was deregistered; `until` is of `time.monotonic()`."""

    registration: Registration
    until: float


@dataclass(eq=False)
class TargetGroup:
    """A target group. `health_check` is the API's document: `HealthCheckProtocol` and so on, and `Matcher`.

    `protocol` and `vpc_id` are empty and `port` is 0 for Lambda functions; `protocol_version` is empty but for HTTP and
    HTTPS. `targets` and `draining` are by id and port. `attributes` is complete.
    """

    arn: str
    name: str
    vpc_id: str
    protocol: str
    protocol_version: str
    port: int
    target_type: str
    ip_address_type: str
    health_check: Document
    attributes: dict[str, str]
    targets: dict[tuple[str, int], Registration] = field(default_factory=dict)
    draining: dict[tuple[str, int], Draining] = field(default_factory=dict)

    def document(self, load_balancers: list[str]) -> Document:
        """As DescribeTargetGroups shows it."""
        document: Document = {
            "TargetGroupArn": self.arn,
            "TargetGroupName": self.name,
            "TargetType": self.target_type,
            "LoadBalancerArns": load_balancers,
            "IpAddressType": self.ip_address_type,
            **self.health_check,
        }
        if self.protocol:
            document |= {"Protocol": self.protocol, "Port": self.port, "VpcId": self.vpc_id}
        if self.protocol_version:
            document["ProtocolVersion"] = self.protocol_version
        return document


@dataclass(eq=False)
class TrustStore:
    """Whose certificates clients have to show: `bundle` is PEM: the certificates of authorities, checked."""

    arn: str
    name: str
    bundle: bytes
    count: int

    def document(self) -> Document:
        """As DescribeTrustStores shows it."""
        return {
            "Name": self.name,
            "TrustStoreArn": self.arn,
            "Status": "ACTIVE",
            "NumberOfCaCertificates": self.count,
            "TotalRevokedEntries": 0,
        }
