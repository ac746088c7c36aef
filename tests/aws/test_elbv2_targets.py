from __future__ import annotations

import time
from typing import Any

import pytest
from tests.aws.elbv2_world import World, api, path, refusal, world

from gatewright.local.aws.backends import LOCK, backend
from gatewright.local.aws.state import TargetHealth, TargetKey

__all__ = ["api", "world"]

REGISTERING = ("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
NOT_IN_USE = (
    "unused",
    "Target.NotInUse",
    "Target group is not configured to receive traffic from the load balancer",
)
NOT_REGISTERED = ("unused", "Target.NotRegistered", "Target is not registered to the target group")
DRAINING = ("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
POD = "10.0.128.10"


@pytest.fixture
def used(world: World) -> str:
    """A target group of addresses that an ALB forwards to."""
    group = world.group()
    world.listener(world.load_balancer(), group)
    return group


def _register(world: World, group: str, *targets: dict[str, Any]) -> None:
    world.elb.register_targets(TargetGroupArn=group, Targets=list(targets))


def _refused(world: World, group: str, **target: Any) -> tuple[str, str]:
    return refusal(world.elb.register_targets, TargetGroupArn=group, Targets=[target])


def _instance(world: World) -> str:
    made = world.client("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=world.seeded.private[0]
    )
    return str(made["Instances"][0]["InstanceId"])


def test_a_target_of_a_group_that_nobody_uses(world: World) -> None:
    group = world.group()
    _register(world, group, {"Id": POD})
    assert world.health(group) == {(POD, 80): NOT_IN_USE}


def test_a_target_has_the_health_that_the_checks_found(world: World, used: str) -> None:
    _register(world, used, {"Id": POD}, {"Id": POD, "Port": 8080})
    assert world.health(used) == {(POD, 80): REGISTERING, (POD, 8080): REGISTERING}
    world.state.health.set(TargetKey(used, POD, 80), TargetHealth("healthy"))
    failed = ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")
    world.state.health.set(TargetKey(used, POD, 8080), TargetHealth(*failed))  # type: ignore[arg-type]
    assert world.health(used) == {(POD, 80): ("healthy", "", ""), (POD, 8080): failed}
    described = world.elb.describe_target_health(TargetGroupArn=used)["TargetHealthDescriptions"]
    assert described[0] == {
        "Target": {"Id": POD, "Port": 80, "AvailabilityZone": "us-east-1b"},
        "HealthCheckPort": "80",
        "TargetHealth": {"State": "healthy"},
    }
    assert described[1]["HealthCheckPort"] == "8080"
    world.elb.modify_target_group(TargetGroupArn=used, HealthCheckPort="15021")
    described = world.elb.describe_target_health(TargetGroupArn=used)["TargetHealthDescriptions"]
    assert [one["HealthCheckPort"] for one in described] == ["15021", "15021"]


def test_targets_are_asked_for_by_name(world: World, used: str) -> None:
    _register(world, used, {"Id": POD, "Port": 8080})
    named = world.health(used, {"Id": POD}, {"Id": POD, "Port": 8080})
    assert named == {(POD, 80): NOT_REGISTERED, (POD, 8080): REGISTERING}


def test_a_deregistered_target_drains(world: World, used: str) -> None:
    _register(world, used, {"Id": POD})
    world.state.health.set(TargetKey(used, POD, 80), TargetHealth("healthy"))
    world.elb.modify_target_group_attributes(
        TargetGroupArn=used, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "3600"}]
    )
    world.elb.deregister_targets(TargetGroupArn=used, Targets=[{"Id": POD}])
    assert world.health(used) == {(POD, 80): DRAINING}
    with LOCK:
        draining = backend("elbv2").target_groups[used].draining[POD, 80]
    assert 0 < draining.until - time.monotonic() <= 3600
    world.state.health.set(TargetKey(used, POD, 80), TargetHealth(*DRAINING))  # type: ignore[arg-type]
    _register(world, used, {"Id": POD})
    assert world.health(used) == {(POD, 80): REGISTERING}, "registered again: it starts over"


def test_without_a_delay_it_is_gone(world: World, used: str) -> None:
    _register(world, used, {"Id": POD})
    world.elb.modify_target_group_attributes(
        TargetGroupArn=used, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}]
    )
    world.elb.deregister_targets(TargetGroupArn=used, Targets=[{"Id": POD}])
    assert world.health(used) == {}
    assert world.health(used, {"Id": POD}) == {(POD, 80): NOT_REGISTERED}
    world.elb.deregister_targets(TargetGroupArn=used, Targets=[{"Id": POD}])  # fine for one that isn't there


def test_a_group_is_used_by_a_rule_too(world: World) -> None:
    group = world.group()
    _register(world, group, {"Id": POD})
    listener = world.listener(world.load_balancer())
    forward = {"Type": "forward", "TargetGroupArn": group}
    rule = world.rule(listener, 1, [path("/a")], [forward])
    assert world.health(group) == {(POD, 80): REGISTERING}
    world.state.health.set(TargetKey(group, POD, 80), TargetHealth(*NOT_IN_USE))  # type: ignore[arg-type]
    assert world.health(group) == {(POD, 80): REGISTERING}, "the checks haven't noticed yet"
    elsewhere = (
        "unused",
        "Target.NotInUse",
        "Target is in an Availability Zone that is not enabled for the load balancer",
    )
    world.state.health.set(TargetKey(group, POD, 80), TargetHealth(*elsewhere))  # type: ignore[arg-type]
    assert world.health(group) == {(POD, 80): elsewhere}
    world.elb.delete_rule(RuleArn=rule)
    assert world.health(group) == {(POD, 80): NOT_IN_USE}


def test_addresses_are_in_the_vpc_or_private(world: World) -> None:
    group = world.group()
    _register(world, group, {"Id": POD, "AvailabilityZone": "us-east-1b"})
    assert _refused(world, group, Id=POD, AvailabilityZone="all") == (
        "ValidationError",
        f"The IP address '{POD}' is within the VPC, and cannot have its Availability Zone overridden to 'all' from "
        "'us-east-1b'",
    )
    assert _refused(world, group, Id="192.168.1.1") == (
        "ValidationError",
        "The Availability Zone is required for IP address '192.168.1.1' because it is not in the VPC",
    )
    _register(world, group, {"Id": "192.168.1.1", "AvailabilityZone": "all"})
    assert _refused(world, group, Id="8.8.8.8", AvailabilityZone="all")[0] == "InvalidTarget"
    assert _refused(world, group, Id="pod") == ("ValidationError", "The IP address 'pod' is not valid")
    assert _refused(world, group, Id="2001:db8::1")[0] == "ValidationError"
    _register(world, group, {"Id": "127.0.0.1", "Port": 8080}, {"Id": "127.0.0.2", "AvailabilityZone": "all"})


def test_all_or_none_are_registered(world: World) -> None:
    group = world.group()
    both = [{"Id": POD}, {"Id": "8.8.8.8", "AvailabilityZone": "all"}]
    assert refusal(world.elb.register_targets, TargetGroupArn=group, Targets=both)[0] == "InvalidTarget"
    assert world.health(group) == {}


def test_registering_again_changes_nothing(world: World) -> None:
    group = world.group()
    _register(world, group, {"Id": POD})
    with LOCK:
        before = dict(backend("elbv2").target_groups[group].targets)
    _register(world, group, {"Id": POD}, {"Id": POD, "Port": 80})
    with LOCK:
        assert backend("elbv2").target_groups[group].targets == before


def test_instances(world: World) -> None:
    group = world.group("nodes", "TCP", TargetType="instance", Port=30080)
    world.listener(world.load_balancer("nlb", "network"), group, 80, "TCP")
    assert _refused(world, group, Id=POD) == ("ValidationError", f"Instance ID '{POD}' is not valid")
    assert _refused(world, group, Id="i-0123456789abcdef0")[0] == "InvalidTarget"
    instance = _instance(world)
    assert _refused(world, group, Id=instance, AvailabilityZone="us-east-1a")[0] == "ValidationError"
    _register(world, group, {"Id": instance})
    assert world.health(group) == {(instance, 30080): REGISTERING}
    ec2 = world.client("ec2")
    ec2.stop_instances(InstanceIds=[instance])
    stopped = ("unused", "Target.InvalidState", "Target is in the stopped state")
    assert world.health(group) == {(instance, 30080): stopped}
    other = world.group("others", "TCP", TargetType="instance")
    assert _refused(world, other, Id=instance) == (
        "InvalidTarget",
        f"The following targets are not in a running state and cannot be registered: '{instance}'",
    )
    ec2.terminate_instances(InstanceIds=[instance])
    assert world.health(group) == {(instance, 30080): DRAINING}


def test_instances_of_another_vpc(world: World) -> None:
    ec2 = world.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    group = world.group(TargetType="instance", VpcId=vpc)
    instance = _instance(world)
    assert _refused(world, group, Id=instance) == (
        "InvalidTarget",
        f"The following targets are not in the target group VPC '{vpc}': '{instance}'",
    )


def test_an_alb_as_a_target(world: World) -> None:
    group = world.group("albs", "TCP", TargetType="alb", Port=443)
    alb, nlb = world.load_balancer("alb"), world.load_balancer("nlb", "network")
    world.listener(nlb, group, 443, "TCP")
    no_listener = (
        "ValidationError",
        "If the target type is ALB, the target must have at least one listener that matches the target group port or "
        "any specified port overrides",
    )
    assert _refused(world, group, Id=alb) == no_listener
    listener = world.listener(alb, port=443, protocol="HTTPS", Certificates=[{"CertificateArn": world.certificate()}])
    _register(world, group, {"Id": alb})
    assert world.health(group) == {(alb, 443): REGISTERING}
    assert _refused(world, group, Id=nlb)[0] == "InvalidTarget"
    other = world.load_balancer("other")
    world.listener(other, port=443, protocol="HTTPS", Certificates=[{"CertificateArn": world.certificate()}])
    assert _refused(world, group, Id=other)[0] == "TooManyTargets"
    assert refusal(world.elb.delete_load_balancer, LoadBalancerArn=alb) == (
        "ResourceInUse",
        f"Load balancer '{alb}' cannot be deleted because it is currently associated with another service",
    )
    assert refusal(world.elb.delete_listener, ListenerArn=listener)[0] == "ResourceInUse"


def test_functions_are_registered_and_never_healthy(world: World) -> None:
    group = world.elb.create_target_group(Name="functions", TargetType="lambda")["TargetGroups"][0]["TargetGroupArn"]
    world.listener(world.load_balancer(), group)
    function = "arn:aws:lambda:us-east-1:123456789012:function:hello"
    _register(world, group, {"Id": function})
    unchecked = ("unavailable", "Target.HealthCheckDisabled", "Health checks are disabled")
    assert world.health(group) == {(function, 0): unchecked}
    assert _refused(world, group, Id="hello")[0] == "ValidationError"


def _pods(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [{"Id": f"10.0.{128 + number // 250}.{number % 250 + 1}"} for number in range(first, first + count)]


def test_quotas_of_targets(world: World, used: str) -> None:
    world.elb.register_targets(TargetGroupArn=used, Targets=_pods(1000))
    found = _refused(world, used, Id="10.0.140.1")
    assert found == (
        "TooManyTargets",
        f"The maximum number of targets per target group '1000' has been reached on target group '{used}'",
    )
    load_balancer = world.elb.describe_target_groups(TargetGroupArns=[used])["TargetGroups"][0]["LoadBalancerArns"][0]
    listener = world.elb.describe_listeners(LoadBalancerArn=load_balancer)["Listeners"][0]["ListenerArn"]
    other = world.group("other")
    _register(world, other, {"Id": POD})
    found = refusal(
        world.elb.create_rule,
        ListenerArn=listener,
        Priority=1,
        Conditions=[path("/a")],
        Actions=[{"Type": "forward", "TargetGroupArn": other}],
    )
    assert found == (
        "TooManyTargets",
        f"The maximum number of targets per load balancer '1000' has been reached on load balancer '{load_balancer}'",
    )


def test_an_unknown_group(world: World) -> None:
    unknown = f"{world.group()[:-16]}0123456789abcdef"
    missing = ("TargetGroupNotFound", "One or more target groups not found")
    assert _refused(world, unknown, Id=POD) == missing
    assert refusal(world.elb.describe_target_health, TargetGroupArn=unknown) == missing
