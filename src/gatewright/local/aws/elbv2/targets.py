"""Operations on targets: registering, deregistering, and how they are."""

from __future__ import annotations

import ipaddress
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2 import forwarding, quotas
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal, invalid
from gatewright.local.aws.elbv2.models import Document, Registration, TargetGroup
from gatewright.local.aws.reasons import DISABLED, DRAINING, NOT_IN_USE, NOT_REGISTERED, REGISTERING
from gatewright.local.aws.state import TargetHealth, TargetKey

_OUTSIDE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))
"""Where targets may be outside of the VPC (RFC 1918, RFC 6598)."""


def register_targets(elb: Backend, request: Document) -> Document:
    """RegisterTargets: all or none; those that are registered already stay as they are."""
    group = elb.target_group(request["TargetGroupArn"])
    check = _Check(elb, group)
    fresh = {(one.id, one.port): one for one in map(check.target, request["Targets"])}
    _check_numbers(elb, group, fresh)
    for key, registration in fresh.items():
        group.draining.pop(key, None)
        if key not in group.targets or group.targets[key].zone != registration.zone:
            group.targets[key] = registration
    return {}


def _check_numbers(elb: Backend, group: TargetGroup, fresh: dict[tuple[str, int], Registration]) -> None:
    after = {**group.targets, **fresh}
    most = quotas.ALB_TARGETS if group.target_type in ("alb", "lambda") else quotas.TARGETS_PER_GROUP
    if len(after) > most:
        raise Refusal(
            "TooManyTargets",
            f"The maximum number of targets per target group '{most}' has been reached on target group '{group.arn}'",
        )
    for arn in elb.users(group.arn).get(group.arn, ()):
        load_balancer = elb.load_balancers[arn]
        groups = [elb.target_groups[one] for one in elb.groups_of(load_balancer)]
        before, group.targets = group.targets, after
        try:
            forwarding.check_targets(load_balancer, groups)
            counts = Counter(target for one in groups for target, _ in one.targets)
        finally:
            group.targets = before
        if counts and load_balancer.type == "application" and max(counts.values()) > quotas.REGISTRATIONS_PER_ID:
            target = max(counts, key=lambda one: counts[one])
            raise Refusal(
                "TooManyRegistrationsForTargetId",
                f"The target '{target}' has been registered more than '{quotas.REGISTRATIONS_PER_ID}' times with load "
                f"balancer '{arn}'",
            )


class _Check:
    """Checks targets of a request to a target group."""

    def __init__(self, elb: Backend, group: TargetGroup) -> None:
        self._elb = elb
        self._group = group
        self._now = time.monotonic()
        self._subnets = [
            (ipaddress.ip_network(cidr), str(subnet.availability_zone))
            for subnet in backend("ec2").describe_subnets()
            if subnet.vpc_id == group.vpc_id
            for cidr in _cidr_blocks(subnet)
        ]

    def target(self, asked: Document) -> Registration:
        """The registration of one; raises a refusal."""
        target = asked.get("Id", "")
        port = asked.get("Port", self._group.port)
        zone = asked.get("AvailabilityZone")
        match self._group.target_type:
            case "ip":
                return Registration(target, port, self._zone(target, zone), self._now)
            case "lambda":
                self._check_function(target, asked)
                return Registration(target, 0, "", self._now)
        if zone:
            raise invalid(
                f"You cannot specify an Availability Zone for targets of target type '{self._group.target_type}'"
            )
        if self._group.target_type == "alb":
            self._check_alb(target, port)
        else:
            self._check_instance(target)
        return Registration(target, port, "", self._now)

    def _zone(self, target: str, asked: str | None) -> str:
        """The zone of an address; empty for one that is in all."""
        try:
            address = ipaddress.ip_address(target)
        except ValueError:
            raise invalid(f"The IP address '{target}' is not valid") from None
        if address.version != (6 if self._group.ip_address_type == "ipv6" else 4):
            raise invalid(f"The IP address '{target}' is not a valid {self._group.ip_address_type} address")
        zone = next((zone for network, zone in self._subnets if address in network), None)
        if zone:
            if asked not in (None, zone):
                raise invalid(
                    f"The IP address '{target}' is within the VPC, and cannot have its Availability Zone overridden to "
                    f"'{asked}' from '{zone}'"
                )
            return zone
        if not address.is_loopback:  # those stand for pods
            if not any(address in network for network in _OUTSIDE):
                raise Refusal(
                    "InvalidTarget",
                    f"The IP address '{target}' is not in the VPC, nor in one of the ranges "
                    f"{', '.join(map(str, _OUTSIDE))}",
                )
            if not asked:
                raise invalid(
                    f"The Availability Zone is required for IP address '{target}' because it is not in the VPC"
                )
        zones = {zone for _, zone in self._subnets}
        if asked not in (None, "all", *zones):
            raise invalid(f"The Availability Zone '{asked}' is not valid")
        if asked not in (None, "all") and self._group.protocol in ("HTTP", "HTTPS"):
            raise invalid(f"The Availability Zone of IP address '{target}' must be 'all' because it is not in the VPC")
        return "" if asked in (None, "all") else str(asked)

    def _check_instance(self, target: str) -> None:
        if not re.fullmatch(r"i-[0-9a-f]{8}(?:[0-9a-f]{9})?", target):
            raise invalid(f"Instance ID '{target}' is not valid")
        instance = backend("ec2").get_instance_by_id(target)
        if instance is None:
            raise Refusal("InvalidTarget", f"The following targets do not exist: '{target}'")
        if instance.vpc_id != self._group.vpc_id:
            raise Refusal(
                "InvalidTarget",
                f"The following targets are not in the target group VPC '{self._group.vpc_id}': '{target}'",
            )
        if instance.state != "running":
            raise Refusal(
                "InvalidTarget",
                f"The following targets are not in a running state and cannot be registered: '{target}'",
            )

    def _check_alb(self, target: str, port: int) -> None:
        found = self._elb.load_balancer(target)
        if found.type != "application":
            raise Refusal("InvalidTarget", f"'{target}' is not the ARN of an Application Load Balancer")
        if found.vpc_id != self._group.vpc_id:
            raise Refusal(
                "InvalidTarget",
                f"The following targets are not in the target group VPC '{self._group.vpc_id}': '{target}'",
            )
        if not any(listener.port == port for listener in found.listeners.values()):
            raise invalid(
                "If the target type is ALB, the target must have at least one listener that matches the target group "
                "port or any specified port overrides"
            )

    def _check_function(self, target: str, asked: Document) -> None:
        if not re.match(r"arn:aws[a-z-]*:lambda:", target):
            raise invalid(f"'{target}' is not a valid Lambda function ARN")
        if "Port" in asked:
            raise invalid("Port cannot be specified for targets of target type 'lambda'")


def _cidr_blocks(subnet: Any) -> Iterator[str]:
    yield subnet.cidr_block
    for association in subnet.ipv6_cidr_block_associations.values():
        yield association["ipv6CidrBlock"]


def deregister_targets(elb: Backend, request: Document) -> Document:
    """DeregisterTargets; fine for those that aren't registered."""
    group = elb.target_group(request["TargetGroupArn"])
    for asked in request["Targets"]:
        elb.drain(group, (asked.get("Id", ""), asked.get("Port", group.port)))
    return {}


class _Described(NamedTuple):
    registration: Registration
    health: TargetHealth


def describe_target_health(elb: Backend, request: Document) -> Document:
    """DescribeTargetHealth: of those that are registered or drain, or of those that the request names."""
    group = elb.target_group(request["TargetGroupArn"])
    now = time.monotonic()
    in_use = bool(elb.users(group.arn))
    known = {key: _Described(one, _health(elb, group, one, in_use)) for key, one in group.targets.items()}
    known |= {key: _Described(one.registration, DRAINING) for key, one in group.draining.items() if one.until > now}
    if request.get("Targets"):
        keys = [(asked.get("Id", ""), asked.get("Port", group.port)) for asked in request["Targets"]]
        known = {
            key: known.get(key) or _Described(Registration(*key, "", now), NOT_REGISTERED)
            for key in dict.fromkeys(keys)
        }
    return {"TargetHealthDescriptions": [_document(group, one) for one in known.values()]}


def _health(elb: Backend, group: TargetGroup, registration: Registration, in_use: bool) -> TargetHealth:
    if not in_use:
        return NOT_IN_USE
    if group.target_type == "lambda":
        return DISABLED
    if group.target_type == "instance":
        instance = backend("ec2").get_instance_by_id(registration.id)
        state = instance.state if instance else "terminated"
        if state != "running":
            return TargetHealth("unused", "Target.InvalidState", f"Target is in the {state} state")
    key = TargetKey(group.arn, registration.id, registration.port)
    health = elb.cloud.health.get(key)
    # What was said before it was registered again, or before its group was used, doesn't hold any more.
    if health is None or health.state == "draining" or health.description == NOT_IN_USE.description:
        return REGISTERING
    return health


def _document(group: TargetGroup, one: _Described) -> Document:
    health: Document = {"State": one.health.state}
    if one.health.reason:
        health |= {"Reason": one.health.reason, "Description": one.health.description}
    document: Document = {"Target": one.registration.document(), "TargetHealth": health}
    port = group.health_check.get("HealthCheckPort")
    if port:
        document["HealthCheckPort"] = str(one.registration.port) if port == "traffic-port" else port
    return document
