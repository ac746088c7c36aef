"""Reads from AWS what it holds of a cluster's Services, and carries out operations there."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct, structs

from gatewright.aws import AlreadyExists, Aws, NotFound, views
from gatewright.aws.views import HealthCheck, Target, key_values
from gatewright.edge.nlb import operations as operations
from gatewright.edge.nlb.actual import Actual, ActualListener, ActualLoadBalancer, ActualTargetGroup, Made, after
from gatewright.edge.nlb.desired import CLUSTER_TAG, STACK_TAG, SubnetMapping
from gatewright.edge.nlb.operations import Operation

_DESCRIPTIONS_AT_ONCE = 100  # EC2 API reference: a filter has at most 200 values


async def look(aws: Aws, cluster: str, with_listener_attributes: Collection[str] = ()) -> dict[str, Actual]:
    """All that is tagged as this cluster's, by stack. Listeners' attributes are read for those stacks only.

    elbv2:DescribeLoadBalancers, elbv2:DescribeTargetGroups and elbv2:DescribeTags for all there are; what only this
    cluster's are asked for: ec2:DescribeNetworkInterfaces, attributes, listeners and their tags and certificates,
    elbv2:DescribeTargetHealth.
    """
    balancers, groups = await asyncio.gather(views.load_balancers(aws), views.target_groups(aws))
    balancers = [each for each in balancers if each.type == "network"]
    tags = await views.tags_of(aws, [*(each.arn for each in balancers), *(each.arn for each in groups)])
    ours = {arn: marks for arn, marks in tags.items() if marks.get(CLUSTER_TAG) == cluster and STACK_TAG in marks}
    balancers = [each for each in balancers if each.arn in ours]
    addresses = await _addresses(aws, balancers)
    found_balancers = await asyncio.gather(
        *(
            _load_balancer(aws, _addressed(each, addresses), ours[each.arn], with_listener_attributes)
            for each in balancers
        )
    )
    found_groups = await asyncio.gather(
        *(_target_group(aws, each, ours[each.arn]) for each in groups if each.arn in ours)
    )
    by_stack: dict[str, Actual] = defaultdict(Actual)
    for balancer in found_balancers:
        stack = balancer.tags[STACK_TAG]
        known = {**by_stack[stack].load_balancers, balancer.load_balancer.arn: balancer}
        by_stack[stack] = structs.replace(by_stack[stack], load_balancers=known)
    for group in found_groups:
        stack = group.tags[STACK_TAG]
        known_groups = {**by_stack[stack].target_groups, group.group.arn: group}
        by_stack[stack] = structs.replace(by_stack[stack], target_groups=known_groups)
    return dict(by_stack)


async def _addresses(aws: Aws, balancers: Iterable[views.LoadBalancer]) -> dict[tuple[str, str], str]:
    """Private addresses by description of the interface and subnet."""
    left = [f"ELB {each.id}" for each in balancers]
    found: dict[tuple[str, str], str] = {}
    while left:
        some, left = left[:_DESCRIPTIONS_AT_ONCE], left[_DESCRIPTIONS_AT_ONCE:]
        filters = [{"Name": "description", "Values": some}]
        for raw in await aws.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters):
            interface = views.read_network_interface(raw)
            found[interface.description, interface.subnet] = interface.address
    return found


def _addressed(each: views.LoadBalancer, addresses: Mapping[tuple[str, str], str]) -> views.LoadBalancer:
    zones = (
        structs.replace(
            zone, private_address=zone.private_address or addresses.get((f"ELB {each.id}", zone.subnet), "")
        )
        for zone in each.zones
    )
    return structs.replace(each, zones=tuple(zones))


async def _load_balancer(
    aws: Aws, each: views.LoadBalancer, tags: dict[str, str], with_attributes: Collection[str]
) -> ActualLoadBalancer:
    attributes, listeners = await asyncio.gather(
        views.load_balancer_attributes(aws, each.arn), views.listeners(aws, each.arn)
    )
    listener_tags = await views.tags_of(aws, [listener.arn for listener in listeners])
    found = {}
    for listener in listeners:
        certificates = await views.certificates(aws, listener.arn) if listener.protocol == "TLS" else []
        own = await views.listener_attributes(aws, listener.arn) if tags[STACK_TAG] in with_attributes else {}
        found[listener.port] = ActualListener(listener, listener_tags.get(listener.arn, {}), tuple(certificates), own)
    return ActualLoadBalancer(each, tags, attributes, found)


async def _target_group(aws: Aws, each: views.TargetGroup, tags: dict[str, str]) -> ActualTargetGroup:
    attributes, healths = await asyncio.gather(
        views.target_group_attributes(aws, each.arn), views.target_health(aws, each.arn)
    )
    targets = frozenset(health.target for health in healths if health.state != "draining")
    return ActualTargetGroup(each, tags, attributes, targets)


class Request(Struct, frozen=True):
    """A call of the ELBv2 API, by boto3's names."""

    operation: str
    parameters: dict[str, Any]


async def apply(aws: Aws, actual: Actual, operation: Operation) -> Actual:
    """Carry out one operation, by one call or a few; the answer is what AWS holds after it. Raises `AwsError`.

    What is to be removed and is gone already counts as removed. A load balancer of the wanted name that isn't of the
    same stack is never taken over, as AWS's own CreateLoadBalancer would do it: `AlreadyExists`.
    """
    if isinstance(operation, operations.CreateLoadBalancer):
        await _check_name(aws, operation)
    made: Made | None = None
    for request in requests(actual, operation):
        try:
            answer = await aws.call("elbv2", request.operation, **request.parameters)
        except NotFound:
            if not isinstance(operation, _REMOVING):
                raise
            continue
        made = _made(answer) or made
    return after(actual, operation, made)


_REMOVING = (
    operations.DeleteLoadBalancer,
    operations.DeleteTargetGroup,
    operations.DeleteListener,
)


async def _check_name(aws: Aws, operation: operations.CreateLoadBalancer) -> None:
    try:
        found = await views.load_balancers(aws, names=[operation.name])
    except NotFound:
        return
    tags = (await views.tags_of(aws, [each.arn for each in found])).values()
    ours = any(marks.get(STACK_TAG) == operation.tags[STACK_TAG] for marks in tags)
    told = "it was made a moment ago" if ours else "it is not this Service's; choose another name, or delete that one"
    message = f"a load balancer named {operation.name} exists: {told}"
    raise AlreadyExists("DuplicateLoadBalancerName", message, "elbv2:create_load_balancer")


def _made(answer: Mapping[str, Any]) -> Made | None:
    if "LoadBalancers" in answer:
        return views.read_load_balancer(answer["LoadBalancers"][0])
    if "TargetGroups" in answer:
        return views.read_target_group(answer["TargetGroups"][0])
    if "Listeners" in answer:
        return views.read_listener(answer["Listeners"][0])
    return None


def requests(actual: Actual, operation: Operation) -> list[Request]:
    """The calls that an operation is (pure); names become the ARNs that `actual` knows."""

    def balancer(name: str) -> str:
        return actual.load_balancer(name).load_balancer.arn

    def group(name: str) -> str:
        return actual.target_group(name).group.arn

    def listener(name: str, port: int) -> str:
        return actual.load_balancer(name).listeners[port].listener.arn

    match operation:
        case operations.CreateLoadBalancer():
            parameters: dict[str, Any] = {
                "Name": operation.name,
                "Type": "network",
                "Scheme": operation.scheme,
                "IpAddressType": operation.ip_address_type,
                "SubnetMappings": [_mapping(mapping) for mapping in operation.subnets],
                "Tags": key_values(operation.tags),
                **({"SecurityGroups": list(operation.security_groups)} if operation.security_groups else {}),
            }
            return [Request("create_load_balancer", parameters)]
        case operations.SetLoadBalancerAttributes(name, attributes):
            arn = {"LoadBalancerArn": balancer(name)}
            return [Request("modify_load_balancer_attributes", {**arn, "Attributes": key_values(attributes)})]
        case operations.SetSubnets(name, subnets):
            mappings = [_mapping(mapping) for mapping in subnets]
            return [Request("set_subnets", {"LoadBalancerArn": balancer(name), "SubnetMappings": mappings})]
        case operations.SetSecurityGroups(name, groups):
            return [Request("set_security_groups", {"LoadBalancerArn": balancer(name), "SecurityGroups": list(groups)})]
        case operations.SetIpAddressType(name, kind):
            return [Request("set_ip_address_type", {"LoadBalancerArn": balancer(name), "IpAddressType": kind})]
        case operations.SetTags(arn, add, remove):
            added = [Request("add_tags", {"ResourceArns": [arn], "Tags": key_values(add)})] if add else []
            gone = [Request("remove_tags", {"ResourceArns": [arn], "TagKeys": list(remove)})] if remove else []
            return [*added, *gone]
        case operations.CreateTargetGroup():
            parameters = {
                "Name": operation.name,
                "Protocol": operation.protocol,
                "Port": operation.port,
                "VpcId": operation.vpc,
                "TargetType": operation.target_type,
                **_health_check(operation.health_check),
                "Tags": key_values(operation.tags),
            }
            return [Request("create_target_group", parameters)]
        case operations.SetHealthCheck(name, check):
            return [Request("modify_target_group", {"TargetGroupArn": group(name), **_health_check(check)})]
        case operations.SetTargetGroupAttributes(name, attributes):
            arn = {"TargetGroupArn": group(name)}
            return [Request("modify_target_group_attributes", {**arn, "Attributes": key_values(attributes)})]
        case operations.RegisterTargets(name, targets):
            return [Request("register_targets", {"TargetGroupArn": group(name), "Targets": _targets(targets)})]
        case operations.DeregisterTargets(name, targets):
            return [Request("deregister_targets", {"TargetGroupArn": group(name), "Targets": _targets(targets)})]
        case operations.CreateListener():
            shape = _listener(operation, group(operation.target_group))
            arn = {"LoadBalancerArn": balancer(operation.load_balancer)}
            return [Request("create_listener", {**arn, **shape, "Tags": key_values(operation.tags)})]
        case operations.ModifyListener():
            shape = _listener(operation, group(operation.target_group))
            arn = {"ListenerArn": listener(operation.load_balancer, operation.port)}
            return [Request("modify_listener", {**arn, **shape})]
        case operations.SetListenerCertificates(name, port, add, remove):
            found = listener(name, port)
            return [
                Request(call, {"ListenerArn": found, "Certificates": [{"CertificateArn": each} for each in these]})
                for call, these in (
                    ("add_listener_certificates", add),
                    ("remove_listener_certificates", remove),
                )
                if these
            ]
        case operations.SetListenerAttributes(name, port, attributes):
            arn = {"ListenerArn": listener(name, port)}
            return [Request("modify_listener_attributes", {**arn, "Attributes": key_values(attributes)})]
        case operations.DeleteListener(name, port):
            return [Request("delete_listener", {"ListenerArn": listener(name, port)})]
        case operations.DeleteTargetGroup(name):
            return [Request("delete_target_group", {"TargetGroupArn": group(name)})]
        case operations.DeleteLoadBalancer(name):
            return [Request("delete_load_balancer", {"LoadBalancerArn": balancer(name)})]


def _mapping(mapping: SubnetMapping) -> dict[str, str]:
    found = {"SubnetId": mapping.subnet}
    if mapping.private_address:
        found["PrivateIPv4Address"] = mapping.private_address
    if mapping.allocation:
        found["AllocationId"] = mapping.allocation
    return found


def _targets(targets: Iterable[Target]) -> list[dict[str, Any]]:
    return [
        {"Id": each.id, "Port": each.port, **({"AvailabilityZone": "all"} if each.zone == "all" else {})}
        for each in targets
    ]


def _health_check(check: HealthCheck) -> dict[str, Any]:
    return {
        "HealthCheckEnabled": check.enabled,
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        "HealthCheckIntervalSeconds": check.interval,
        "HealthCheckTimeoutSeconds": check.timeout,
        "HealthyThresholdCount": check.healthy_threshold,
        "UnhealthyThresholdCount": check.unhealthy_threshold,
        **({"HealthCheckPath": check.path} if check.path else {}),
        **({"Matcher": {"HttpCode": check.matcher}} if check.matcher else {}),
    }


def _listener(operation: operations.CreateListener | operations.ModifyListener, group: str) -> dict[str, Any]:
    return {
        "Port": operation.port,
        "Protocol": operation.protocol,
        "DefaultActions": [{"Type": "forward", "TargetGroupArn": group}],
        **({"Certificates": [{"CertificateArn": operation.certificate}]} if operation.certificate else {}),
        **({"SslPolicy": operation.ssl_policy} if operation.ssl_policy else {}),
        **({"AlpnPolicy": [operation.alpn_policy]} if operation.alpn_policy else {}),
    }
