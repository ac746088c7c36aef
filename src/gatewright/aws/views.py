"""What AWS's API says of load balancers, as typed values: read by ARN, name or tags.

Every function says which calls it makes; lists are read page by page. All raise `AwsError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from gatewright.aws.client import Aws
from gatewright.aws.errors import NotFound

_TAGGED_AT_ONCE = 20  # ELBv2 API reference, DescribeTags: resource ARNs a call


def read_tags(tags: Iterable[Mapping[str, Any]] | None) -> dict[str, str]:
    """Tags, or attributes, as AWS's APIs list them."""
    return {tag["Key"]: tag.get("Value") or "" for tag in tags or ()}


class Zone(Struct, frozen=True):
    """Where a load balancer stands in one availability zone. Addresses are known for those that were asked for."""

    name: str
    subnet: str
    private_address: str = ""
    allocation: str = ""
    ipv6_address: str = ""


class LoadBalancer(Struct, frozen=True):
    """A load balancer; `type` is `application` or `network`, `state` is `provisioning`, `active`, `failed`, ..."""

    arn: str
    name: str
    dns_name: str
    type: str
    scheme: str
    state: str
    vpc: str
    zones: tuple[Zone, ...]
    ip_address_type: str = "ipv4"
    security_groups: tuple[str, ...] = ()
    hosted_zone: str = ""
    customer_owned_pool: str = ""
    ipam_pool: str = ""
    private_link_inbound_rules: str = ""
    """`on` or `off`; empty where that can't be set."""

    @property
    def id(self) -> str:
        """`net/name/0123456789abcdef`, as in descriptions of its network interfaces."""
        return self.arn.partition(":loadbalancer/")[2]


class Listener(Struct, frozen=True):
    """A listener. `certificates` is the default one only; its default action forwards to `target_groups`."""

    arn: str
    load_balancer: str
    port: int
    protocol: str
    target_groups: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""


class HealthCheck(Struct, frozen=True):
    """A target group's health check; times in seconds.

    `port` is a number or `traffic-port`; `matcher` is HTTP or gRPC codes, as `200-399`, and empty for TCP.
    """

    protocol: str
    port: str
    path: str = ""
    interval: int = 30
    timeout: int = 6
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    matcher: str = ""
    enabled: bool = True


class TargetGroup(Struct, frozen=True):
    """A target group; `target_type` is `ip`, `instance`, `alb` or `lambda`.

    `protocol_version` is HTTP1, HTTP2, GRPC, or empty for those of an NLB.
    """

    arn: str
    name: str
    target_type: str
    protocol: str
    port: int
    vpc: str
    health_check: HealthCheck
    protocol_version: str = ""
    ip_address_type: str = "ipv4"
    load_balancers: tuple[str, ...] = ()
    control_port: int | None = None


class Target(Struct, frozen=True, order=True):
    """What is registered: an address, an instance id or the ARN of an ALB. `zone` is a zone's name, `all` or empty."""

    id: str
    port: int
    zone: str = ""


class TargetHealth(Struct, frozen=True):
    """A target's health: `state` as `healthy`, `reason` as `Target.Timeout` (empty when healthy), AWS's description."""

    target: Target
    state: str
    reason: str = ""
    description: str = ""
    health_check_port: str = ""


class NetworkInterface(Struct, frozen=True):
    """A network interface. That of a load balancer has the description `ELB <its id>`."""

    id: str
    address: str
    subnet: str
    zone: str
    description: str = ""
    public_address: str = ""


async def load_balancers(aws: Aws, *, arns: Iterable[str] = (), names: Iterable[str] = ()) -> list[LoadBalancer]:
    """All load balancers, or those of `arns` or `names`. elbv2:DescribeLoadBalancers; `NotFound` if one is missing."""
    wanted = _selection(LoadBalancerArns=arns, Names=names)
    return [
        read_load_balancer(raw)
        for raw in await aws.pages("elbv2", "describe_load_balancers", "LoadBalancers", **wanted)
    ]


async def listeners(aws: Aws, load_balancer: str) -> list[Listener]:
    """The listeners of a load balancer's ARN. elbv2:DescribeListeners."""
    found = await aws.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=load_balancer)
    return [read_listener(raw) for raw in found]


async def certificates(aws: Aws, listener: str) -> list[str]:
    """ARNs of a listener's certificates, the default one first. elbv2:DescribeListenerCertificates."""
    found = await aws.pages("elbv2", "describe_listener_certificates", "Certificates", ListenerArn=listener)
    ordered = sorted(found, key=lambda raw: not raw.get("IsDefault"))
    return list(dict.fromkeys(raw["CertificateArn"] for raw in ordered))


async def target_groups(
    aws: Aws, *, arns: Iterable[str] = (), names: Iterable[str] = (), load_balancer: str = ""
) -> list[TargetGroup]:
    """All target groups, or those of `arns`, `names` or a load balancer's ARN. elbv2:DescribeTargetGroups."""
    wanted = _selection(TargetGroupArns=arns, Names=names)
    if load_balancer:
        wanted["LoadBalancerArn"] = load_balancer
    found = await aws.pages("elbv2", "describe_target_groups", "TargetGroups", **wanted)
    return [read_target_group(raw) for raw in found]


async def target_group_by_arn(aws: Aws, arn: str) -> TargetGroup | None:
    """The target group of an ARN. elbv2:DescribeTargetGroups."""
    try:
        return next(iter(await target_groups(aws, arns=[arn])), None)
    except NotFound:
        return None


async def target_group_by_name(aws: Aws, name: str) -> TargetGroup | None:
    """The target group of a name. elbv2:DescribeTargetGroups."""
    try:
        return next(iter(await target_groups(aws, names=[name])), None)
    except NotFound:
        return None


async def target_groups_tagged(aws: Aws, tags: Mapping[str, str]) -> list[tuple[TargetGroup, dict[str, str]]]:
    """The target groups that have all of `tags`, each with its tags, by name.

    elbv2:DescribeTargetGroups, elbv2:DescribeTags by 20.
    """
    found = sorted(await target_groups(aws), key=lambda group: group.name)
    marks = await tags_of(aws, [group.arn for group in found])
    tagged = ((group, marks.get(group.arn, {})) for group in found)
    return [(group, own) for group, own in tagged if tags.items() <= own.items()]


async def tags_of(aws: Aws, arns: Iterable[str]) -> dict[str, dict[str, str]]:
    """Tags by ARN of load balancers, target groups, listeners. elbv2:DescribeTags, 20 a call.

    What has gone since it was listed has no entry.
    """
    left, found = list(arns), {}
    while left:
        some, left = left[:_TAGGED_AT_ONCE], left[_TAGGED_AT_ONCE:]
        for arn_tags in await _tags(aws, some):
            found[arn_tags["ResourceArn"]] = read_tags(arn_tags.get("Tags"))
    return found


async def _tags(aws: Aws, arns: list[str]) -> list[Any]:
    try:
        answer = await aws.call("elbv2", "describe_tags", ResourceArns=arns)
    except NotFound:  # one of them has gone, which must not keep the others' tags from us
        if len(arns) == 1:
            return []
        half = len(arns) // 2
        return await _tags(aws, arns[:half]) + await _tags(aws, arns[half:])
    return list(answer.get("TagDescriptions") or ())


async def load_balancer_attributes(aws: Aws, arn: str) -> dict[str, str]:
    """A load balancer's attributes. elbv2:DescribeLoadBalancerAttributes."""
    answer = await aws.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)
    return _attributes(answer)


async def target_group_attributes(aws: Aws, arn: str) -> dict[str, str]:
    """A target group's attributes. elbv2:DescribeTargetGroupAttributes."""
    answer = await aws.call("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)
    return _attributes(answer)


async def listener_attributes(aws: Aws, arn: str) -> dict[str, str]:
    """A listener's attributes. elbv2:DescribeListenerAttributes."""
    answer = await aws.call("elbv2", "describe_listener_attributes", ListenerArn=arn)
    return _attributes(answer)


async def target_health(aws: Aws, target_group: str) -> list[TargetHealth]:
    """Every target of a target group's ARN with its health. elbv2:DescribeTargetHealth."""
    answer = await aws.call("elbv2", "describe_target_health", TargetGroupArn=target_group)
    return [read_target_health(raw) for raw in answer.get("TargetHealthDescriptions") or ()]


async def network_interfaces(aws: Aws, load_balancer: LoadBalancer) -> list[NetworkInterface]:
    """The network interfaces of a load balancer, by zone. ec2:DescribeNetworkInterfaces."""
    filters = [{"Name": "description", "Values": [f"ELB {load_balancer.id}"]}]
    found = await aws.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
    return sorted((read_network_interface(raw) for raw in found), key=lambda each: (each.zone, each.id))


def read_load_balancer(raw: Mapping[str, Any]) -> LoadBalancer:
    """A LoadBalancer of the ELBv2 API."""
    return LoadBalancer(
        arn=raw["LoadBalancerArn"],
        name=raw["LoadBalancerName"],
        dns_name=raw.get("DNSName", ""),
        type=raw.get("Type", "application"),
        scheme=raw.get("Scheme", ""),
        state=(raw.get("State") or {}).get("Code", ""),
        vpc=raw.get("VpcId", ""),
        zones=tuple(_zone(zone) for zone in raw.get("AvailabilityZones") or ()),
        ip_address_type=raw.get("IpAddressType", "ipv4"),
        security_groups=tuple(sorted(raw.get("SecurityGroups") or ())),
        hosted_zone=raw.get("CanonicalHostedZoneId", ""),
        customer_owned_pool=raw.get("CustomerOwnedIpv4Pool") or "",
        ipam_pool=(raw.get("IpamPools") or {}).get("Ipv4IpamPoolId") or "",
        private_link_inbound_rules=raw.get("EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic") or "",
    )


def _zone(raw: Mapping[str, Any]) -> Zone:
    address: Mapping[str, Any] = next(iter(raw.get("LoadBalancerAddresses") or ()), {})
    return Zone(
        name=raw.get("ZoneName", ""),
        subnet=raw.get("SubnetId", ""),
        private_address=address.get("PrivateIPv4Address") or "",
        allocation=address.get("AllocationId") or "",
        ipv6_address=address.get("IPv6Address") or "",
    )


def read_listener(raw: Mapping[str, Any]) -> Listener:
    """A Listener of the ELBv2 API."""
    return Listener(
        arn=raw["ListenerArn"],
        load_balancer=raw["LoadBalancerArn"],
        port=raw.get("Port", 0),
        protocol=raw.get("Protocol", ""),
        target_groups=_forwarded(raw.get("DefaultActions") or ()),
        certificates=tuple(each["CertificateArn"] for each in raw.get("Certificates") or ()),
        ssl_policy=raw.get("SslPolicy") or "",
        alpn_policy=next(iter(raw.get("AlpnPolicy") or ()), ""),
    )


def _forwarded(actions: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    arns = []
    for action in actions:
        if action.get("Type") == "forward":
            arns += [group["TargetGroupArn"] for group in (action.get("ForwardConfig") or {}).get("TargetGroups") or ()]
            arns += [action["TargetGroupArn"]] if action.get("TargetGroupArn") else []
    return tuple(dict.fromkeys(arns))


def read_target_group(raw: Mapping[str, Any]) -> TargetGroup:
    """A TargetGroup of the ELBv2 API."""
    matcher = raw.get("Matcher") or {}
    return TargetGroup(
        arn=raw["TargetGroupArn"],
        name=raw["TargetGroupName"],
        target_type=raw.get("TargetType", "instance"),
        protocol=raw.get("Protocol") or "",
        port=raw.get("Port") or 0,
        vpc=raw.get("VpcId") or "",
        health_check=HealthCheck(
            protocol=raw.get("HealthCheckProtocol") or "",
            port=str(raw.get("HealthCheckPort") or "traffic-port"),
            path=raw.get("HealthCheckPath") or "",
            interval=int(raw.get("HealthCheckIntervalSeconds") or 0),
            timeout=int(raw.get("HealthCheckTimeoutSeconds") or 0),
            healthy_threshold=int(raw.get("HealthyThresholdCount") or 0),
            unhealthy_threshold=int(raw.get("UnhealthyThresholdCount") or 0),
            matcher=matcher.get("HttpCode") or matcher.get("GrpcCode") or "",
            enabled=bool(raw.get("HealthCheckEnabled", True)),
        ),
        protocol_version=raw.get("ProtocolVersion") or "",
        ip_address_type=raw.get("IpAddressType") or "ipv4",
        load_balancers=tuple(raw.get("LoadBalancerArns") or ()),
        control_port=raw.get("TargetControlPort"),
    )


def read_target_health(raw: Mapping[str, Any]) -> TargetHealth:
    """A TargetHealthDescription of the ELBv2 API."""
    target, health = raw["Target"], raw.get("TargetHealth") or {}
    return TargetHealth(
        target=Target(target["Id"], int(target.get("Port") or 0), target.get("AvailabilityZone") or ""),
        state=health.get("State", ""),
        reason=health.get("Reason") or "",
        description=health.get("Description") or "",
        health_check_port=str(raw.get("HealthCheckPort") or ""),
    )


def read_network_interface(raw: Mapping[str, Any]) -> NetworkInterface:
    """A NetworkInterface of the EC2 API."""
    return NetworkInterface(
        id=raw["NetworkInterfaceId"],
        address=raw.get("PrivateIpAddress", ""),
        subnet=raw.get("SubnetId", ""),
        zone=raw.get("AvailabilityZone", ""),
        description=raw.get("Description") or "",
        public_address=(raw.get("Association") or {}).get("PublicIp") or "",
    )


def key_values(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags or attributes as ELBv2 takes them, by key."""
    return [{"Key": key, "Value": value} for key, value in sorted(values.items())]


def _attributes(answer: Mapping[str, Any]) -> dict[str, str]:
    return read_tags(answer.get("Attributes"))


def _selection(**lists: Iterable[str]) -> dict[str, Any]:
    return {name: list(values) for name, values in lists.items() if values}
