from __future__ import annotations

from typing import Any

import pytest
from tests.aws.elbv2_world import World, api, refusal, world

__all__ = ["api", "world"]


def _described(world: World, arn: str) -> dict[str, Any]:
    return dict(world.elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0])


def _attributes(world: World, arn: str) -> dict[str, str]:
    answer = world.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    return {one["Key"]: one["Value"] for one in answer}


def _modify(world: World, arn: str, values: dict[str, str]) -> dict[str, Any]:
    return {
        "TargetGroupArn": arn,
        "Attributes": [{"Key": key, "Value": value} for key, value in values.items()],
    }


def _refused(world: World, **settings: Any) -> tuple[str, str]:
    settings = {"Name": "pods", "Protocol": "HTTP", "Port": 80, "VpcId": world.seeded.vpc, **settings}
    settings = {key: value for key, value in settings.items() if value is not None}
    return refusal(world.elb.create_target_group, **settings)


def test_a_target_group_is_described_as_aws_does(world: World) -> None:
    arn = world.group("pods", "HTTPS", Port=8443)
    assert arn.startswith("arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/pods/")
    assert _described(world, arn) == {
        "TargetGroupArn": arn,
        "TargetGroupName": "pods",
        "Protocol": "HTTPS",
        "ProtocolVersion": "HTTP1",
        "Port": 8443,
        "VpcId": world.seeded.vpc,
        "TargetType": "ip",
        "IpAddressType": "ipv4",
        "LoadBalancerArns": [],
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/",
        "Matcher": {"HttpCode": "200"},
    }


def _check(world: World, protocol: str, **settings: Any) -> tuple[Any, ...]:
    found = _described(world, world.group("checked", protocol, **settings))
    matcher = next(iter(found.get("Matcher", {}).items()), None)
    return found["HealthCheckProtocol"], found["HealthCheckTimeoutSeconds"], found.get("HealthCheckPath"), matcher


@pytest.mark.parametrize(
    ("protocol", "settings", "check"),
    [
        ("HTTP", {"ProtocolVersion": "HTTP2"}, ("HTTP", 5, "/", ("HttpCode", "200"))),
        ("HTTP", {"ProtocolVersion": "GRPC"}, ("HTTP", 5, "/AWS.ALB/healthcheck", ("GrpcCode", "12"))),
        ("HTTPS", {"HealthCheckProtocol": "HTTPS"}, ("HTTPS", 5, "/", ("HttpCode", "200"))),
        ("TCP", {}, ("TCP", 10, None, None)),
        ("UDP", {}, ("TCP", 10, None, None)),
        ("TLS", {"HealthCheckProtocol": "HTTP"}, ("HTTP", 6, "/", ("HttpCode", "200-399"))),
        ("TCP", {"HealthCheckProtocol": "HTTPS"}, ("HTTPS", 10, "/", ("HttpCode", "200-399"))),
        ("TCP", {"TargetType": "alb"}, ("HTTP", 6, "/", ("HttpCode", "200-399"))),
    ],
)
def test_defaults_of_health_checks(
    world: World, protocol: str, settings: dict[str, Any], check: tuple[Any, ...]
) -> None:
    assert _check(world, protocol, **settings) == check


@pytest.mark.parametrize(
    ("settings", "code", "message"),
    [
        (
            {"Name": "a" * 33},
            "ValidationError",
            f"Target group name '{'a' * 33}' cannot be longer than '32' characters",
        ),
        (
            {"Name": "a_b"},
            "ValidationError",
            "Target group name 'a_b' can only contain characters that are alphanumeric characters or hyphens(-)",
        ),
        ({"Name": "pods-"}, "ValidationError", "Target group name 'pods-' cannot begin or end with '-'"),
        ({"Protocol": None}, "ValidationError", "A protocol must be specified"),
        ({"Port": None}, "ValidationError", "A port must be specified"),
        ({"VpcId": None}, "ValidationError", "A VPC ID must be specified"),
        ({"VpcId": "vpc-0"}, "ValidationError", "The VPC ID 'vpc-0' is not found"),
        (
            {"TargetType": "alb"},
            "InvalidConfigurationRequest",
            "Protocol 'HTTP' is not supported with target type 'alb'",
        ),
        (
            {"TargetType": "lambda"},
            "ValidationError",
            "Protocol cannot be specified for target groups with target type 'lambda'",
        ),
        (
            {"Protocol": "TCP", "ProtocolVersion": "HTTP2"},
            "InvalidConfigurationRequest",
            "Protocol version cannot be specified for target groups with the TCP protocol",
        ),
        (
            {"HealthCheckProtocol": "TCP"},
            "ValidationError",
            "Health check protocol 'TCP' not supported for target groups with the HTTP protocol. "
            "Must be one of the following values '[HTTP, HTTPS]'.",
        ),
        (
            {"HealthCheckPort": "http"},
            "ValidationError",
            "Health check port 'http' must be either 'traffic-port' or between '1-65535' inclusive",
        ),
        (
            {"HealthCheckPath": "healthz"},
            "ValidationError",
            "Health check path 'healthz' must begin with a '/' character",
        ),
        (
            {"Protocol": "TCP", "HealthCheckPath": "/healthz"},
            "InvalidConfigurationRequest",
            "Health check paths are not supported for TCP health checks",
        ),
        (
            {"Protocol": "TCP", "Matcher": {"HttpCode": "200"}},
            "InvalidConfigurationRequest",
            "Health check matchers are not supported for TCP health checks",
        ),
        (
            {"HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 10},
            "ValidationError",
            "Health check timeout '10' must be smaller than the interval '10'",
        ),
        (
            {"HealthCheckIntervalSeconds": 5},
            "ValidationError",
            "Health check interval must be greater than the timeout.",
        ),
        (
            {"HealthCheckIntervalSeconds": 301},
            "ValidationError",
            "1 validation error detected: Value '301' at 'healthCheckIntervalSeconds' failed to satisfy constraint: "
            "Member must have value less than or equal to 300",
        ),
        (
            {"UnhealthyThresholdCount": 11},
            "ValidationError",
            "1 validation error detected: Value '11' at 'unhealthyThresholdCount' failed to satisfy constraint: "
            "Member must have value less than or equal to 10",
        ),
        (
            {"Matcher": {"HttpCode": "200-500"}},
            "ValidationError",
            "Health check matcher HttpCode '200-500' must be within '200-499' inclusive",
        ),
        (
            {"Matcher": {"HttpCode": "ok"}},
            "ValidationError",
            "Health check matcher HttpCode 'ok' must be like 200 | 200-399 | 200,201 ...",
        ),
        (
            {"Matcher": {"GrpcCode": "0"}},
            "InvalidConfigurationRequest",
            "Health check matcher GrpcCode cannot be specified for target groups without the protocol version 'GRPC'",
        ),
        (
            {"HealthCheckEnabled": False},
            "InvalidConfigurationRequest",
            "Health checks cannot be disabled for target groups with target type 'instance'",
        ),
        (
            {"Protocol": "GENEVE", "Port": 6081},
            "InvalidConfigurationRequest",
            "Target groups with the GENEVE protocol are not emulated",
        ),
    ],
)
def test_settings_are_refused(world: World, settings: dict[str, Any], code: str, message: str) -> None:
    assert _refused(world, **settings) == (code, message)


@pytest.mark.parametrize("codes", ["200", "200,301", "200-299", "200,300-399"])
def test_matchers(world: World, codes: str) -> None:
    assert _described(world, world.group(Matcher={"HttpCode": codes}))["Matcher"] == {"HttpCode": codes}


def test_matchers_of_an_nlb_and_of_grpc(world: World) -> None:
    world.group("tcp", "TCP", HealthCheckProtocol="HTTP", Matcher={"HttpCode": "200-599"})
    world.group("grpc", ProtocolVersion="GRPC", Matcher={"GrpcCode": "0-99"})
    assert _refused(world, ProtocolVersion="GRPC", Matcher={"GrpcCode": "100"})[0] == "ValidationError"


def test_creating_again_with_the_same_settings_is_idempotent(world: World) -> None:
    arn = world.group()
    assert world.group() == arn
    assert _refused(world, TargetType="ip", Port=81) == (
        "DuplicateTargetGroupName",
        "A target group with the same name 'pods' exists, but with different settings",
    )


def test_the_health_check_is_modified(world: World) -> None:
    arn = world.group(HealthCheckPath="/healthz")
    change = world.elb.modify_target_group
    change(TargetGroupArn=arn, HealthCheckProtocol="HTTPS", HealthCheckPort="15021", Matcher={"HttpCode": "200-299"})
    found = _described(world, arn)
    assert (found["HealthCheckProtocol"], found["HealthCheckPort"]) == ("HTTPS", "15021")
    assert (found["HealthCheckPath"], found["Matcher"]) == ("/healthz", {"HttpCode": "200-299"})
    assert refusal(change, TargetGroupArn=arn, HealthCheckTimeoutSeconds=30)[1] == (
        "Health check timeout '30' must be smaller than the interval '30'"
    )
    assert _described(world, arn) == found
    tcp = world.group("tcp", "TCP")
    change(TargetGroupArn=tcp, HealthCheckProtocol="HTTP", HealthCheckPath="/ready")
    assert _described(world, tcp)["Matcher"] == {"HttpCode": "200-399"}
    change(TargetGroupArn=tcp, HealthCheckProtocol="TCP")
    assert "HealthCheckPath" not in _described(world, tcp)


COMMON = {
    "deregistration_delay.timeout_seconds": "300",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "stickiness.enabled": "false",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
HTTP = COMMON | {
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "slow_start.duration_seconds": "0",
    "stickiness.type": "lb_cookie",
    "stickiness.lb_cookie.duration_seconds": "86400",
    "stickiness.app_cookie.cookie_name": "",
    "stickiness.app_cookie.duration_seconds": "86400",
}
TCP = COMMON | {
    "deregistration_delay.connection_termination.enabled": "false",
    "preserve_client_ip.enabled": "false",
    "proxy_protocol_v2.enabled": "false",
    "stickiness.type": "source_ip",
    "target_health_state.unhealthy.connection_termination.enabled": "true",
    "target_health_state.unhealthy.draining_interval_seconds": "0",
}
UDP = TCP | {
    "deregistration_delay.connection_termination.enabled": "true",
    "preserve_client_ip.enabled": "true",
    "target_health_state.unhealthy.connection_termination.enabled": "false",
}


@pytest.mark.parametrize(
    ("protocol", "target_type", "attributes"),
    [
        ("HTTP", "ip", HTTP),
        ("HTTPS", "instance", HTTP),
        ("TCP", "ip", TCP),
        ("TLS", "instance", TCP | {"preserve_client_ip.enabled": "true"}),
        ("UDP", "ip", UDP),
        ("TCP_UDP", "instance", UDP),
    ],
)
def test_attributes_have_their_defaults(
    world: World, protocol: str, target_type: str, attributes: dict[str, str]
) -> None:
    assert _attributes(world, world.group("pods", protocol, TargetType=target_type)) == attributes


def test_attributes_of_lambda_and_alb_groups(world: World) -> None:
    functions = world.elb.create_target_group(Name="functions", TargetType="lambda")["TargetGroups"][0]
    assert _attributes(world, functions["TargetGroupArn"]) == {"lambda.multi_value_headers.enabled": "false"}
    assert functions["HealthCheckEnabled"] is False
    albs = _attributes(world, world.group("albs", "TCP", TargetType="alb"))
    assert albs["preserve_client_ip.enabled"] == "true"


def test_attributes_are_modified_and_all_are_answered(world: World) -> None:
    arn = world.group()
    values = {"slow_start.duration_seconds": "30", "deregistration_delay.timeout_seconds": "0"}
    answer = world.elb.modify_target_group_attributes(**_modify(world, arn, values))["Attributes"]
    assert {one["Key"]: one["Value"] for one in answer} == HTTP | values
    assert _attributes(world, arn) == HTTP | values


@pytest.mark.parametrize(
    ("protocol", "values", "code", "message"),
    [
        ("HTTP", {"sticky": "true"}, "ValidationError", "Target group attribute key 'sticky' is not recognized"),
        (
            "TCP",
            {"slow_start.duration_seconds": "30"},
            "InvalidConfigurationRequest",
            "A target group with protocol 'TCP' does not support the attribute slow_start.duration_seconds",
        ),
        (
            "HTTP",
            {"proxy_protocol_v2.enabled": "true"},
            "InvalidConfigurationRequest",
            "A target group with protocol 'HTTP' does not support the attribute proxy_protocol_v2.enabled",
        ),
        (
            "HTTP",
            {"deregistration_delay.timeout_seconds": "3601"},
            "ValidationError",
            "'deregistration_delay.timeout_seconds' value '3601' must be between '0-3600' inclusive",
        ),
        (
            "HTTP",
            {"slow_start.duration_seconds": "29"},
            "ValidationError",
            "'slow_start.duration_seconds' value '29' must be between '30-900' inclusive, or '0'",
        ),
        (
            "HTTP",
            {"slow_start.duration_seconds": "30", "load_balancing.algorithm.type": "least_outstanding_requests"},
            "InvalidConfigurationRequest",
            "You cannot enable slow start with the load balancing algorithm type 'least_outstanding_requests'",
        ),
        (
            "HTTP",
            {"load_balancing.algorithm.anomaly_mitigation": "on"},
            "InvalidConfigurationRequest",
            "'load_balancing.algorithm.anomaly_mitigation' can be enabled only when 'load_balancing.algorithm.type' is "
            "'weighted_random'",
        ),
        (
            "HTTP",
            {"stickiness.type": "source_ip"},
            "InvalidConfigurationRequest",
            "Stickiness type 'source_ip' is not supported for target groups with the HTTP protocol",
        ),
        (
            "TCP",
            {"stickiness.type": "lb_cookie"},
            "InvalidConfigurationRequest",
            "Stickiness type 'lb_cookie' is not supported for target groups with the TCP protocol",
        ),
        (
            "TLS",
            {"stickiness.enabled": "true"},
            "InvalidConfigurationRequest",
            "You cannot enable stickiness on target groups with the TLS protocol",
        ),
        (
            "HTTP",
            {"stickiness.type": "app_cookie"},
            "InvalidConfigurationRequest",
            "You must set an application cookie name to enable stickiness of type 'app_cookie'",
        ),
        (
            "HTTP",
            {"stickiness.app_cookie.cookie_name": "AWSALBAPP-1"},
            "ValidationError",
            "'stickiness.app_cookie.cookie_name' value 'AWSALBAPP-1' must not start with a reserved prefix (AWSALB, "
            "AWSALBAPP, AWSALBTG)",
        ),
        (
            "UDP",
            {"preserve_client_ip.enabled": "false"},
            "ValidationError",
            "'preserve_client_ip.enabled' value 'false' must be one of [true]",
        ),
        (
            "TCP",
            {"target_health_state.unhealthy.draining_interval_seconds": "60"},
            "InvalidConfigurationRequest",
            "'target_health_state.unhealthy.draining_interval_seconds' can be configured only when "
            "'target_health_state.unhealthy.connection_termination.enabled' is false",
        ),
    ],
)
def test_attributes_are_refused(world: World, protocol: str, values: dict[str, str], code: str, message: str) -> None:
    arn = world.group("pods", protocol)
    before = _attributes(world, arn)
    assert refusal(world.elb.modify_target_group_attributes, **_modify(world, arn, values)) == (code, message)
    assert _attributes(world, arn) == before


def test_one_in_use_can_not_be_deleted(world: World) -> None:
    arn = world.group()
    load_balancer = world.load_balancer()
    listener = world.listener(load_balancer, arn)
    assert _described(world, arn)["LoadBalancerArns"] == [load_balancer]
    assert refusal(world.elb.delete_target_group, TargetGroupArn=arn) == (
        "ResourceInUse",
        f"Target group '{arn}' is currently in use by a listener or a rule",
    )
    world.elb.delete_listener(ListenerArn=listener)
    assert _described(world, arn)["LoadBalancerArns"] == []
    world.elb.delete_target_group(TargetGroupArn=arn)
    assert refusal(world.elb.describe_target_groups, TargetGroupArns=[arn]) == (
        "TargetGroupNotFound",
        "One or more target groups not found",
    )
    world.elb.delete_target_group(TargetGroupArn=arn)  # fine for one that isn't there
    assert refusal(world.elb.delete_target_group, TargetGroupArn="pods") == (
        "ValidationError",
        "'pods' is not a valid target group ARN",
    )


def test_they_are_found(world: World) -> None:
    arns = {name: world.group(name) for name in ("one", "two", "three")}
    load_balancer = world.load_balancer()
    world.listener(load_balancer, arns["two"])
    describe = world.elb.describe_target_groups

    def names(**parameters: Any) -> list[str]:
        return [one["TargetGroupName"] for one in describe(**parameters)["TargetGroups"]]

    assert names() == ["one", "two", "three"]
    assert names(Names=["three"]) == ["three"]
    assert names(LoadBalancerArn=load_balancer) == ["two"]
    assert refusal(describe, Names=["four"])[0] == "TargetGroupNotFound"
    assert refusal(describe, Names=["one"], TargetGroupArns=[arns["one"]]) == (
        "ValidationError",
        "Target group names, target group ARNs, and a load balancer ARN cannot be specified at the same time",
    )
    pages = world.elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["TargetGroups"]) for page in pages] == [2, 1]
