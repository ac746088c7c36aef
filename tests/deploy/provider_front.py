"""What the provider calls for what stands in front of the cluster; see `provider_calls`."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tests.deploy.provider_calls import (
    ACCOUNT,
    ANYWHERE,
    BUCKET,
    TAGS,
    Call,
    Resource,
    filters,
    pairs,
    specification,
    tagged,
)

_GROUP = {"GroupIds": ["$group"]}
_CLIENTS = [
    {
        "IpProtocol": "tcp",
        "FromPort": port,
        "ToPort": port,
        "IpRanges": [{"CidrIp": ANYWHERE, "Description": "Clients"}],
    }
    for port in (80, 443)
]
_TO_PODS = [
    {
        "IpProtocol": "tcp",
        "FromPort": 0,
        "ToPort": 65535,
        "UserIdGroupPairs": [{"GroupId": "$group", "Description": "ALB of platform"}],
    }
]
GROUP = Resource(
    "aws_security_group, aws_security_group_rule",
    made=[
        Call(
            "ec2",
            "create_security_group",
            {
                "GroupName": "platform-alb",
                "Description": "ALB of platform",
                "VpcId": "$vpc",
                "TagSpecifications": specification("security-group"),
            },
            keeps={"group": "GroupId"},
        ),
        # The rule that a new group has is nobody's: it goes.
        Call(
            "ec2",
            "revoke_security_group_egress",
            {
                "GroupId": "$group",
                "IpPermissions": [
                    {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0, "IpRanges": [{"CidrIp": ANYWHERE}]},
                ],
            },
        ),
        Call("ec2", "authorize_security_group_ingress", {"GroupId": "$group", "IpPermissions": _CLIENTS}),
        Call(
            "ec2",
            "authorize_security_group_ingress",
            {"GroupId": "$nodes_group", "IpPermissions": _TO_PODS},
            ["SecurityGroupRules[0].SecurityGroupRuleId"],
        ),
    ],
    read=[
        Call(
            "ec2",
            "describe_security_groups",
            _GROUP,
            [
                "sort(SecurityGroups[0].IpPermissions[].FromPort) == `[80, 443]`",
                "SecurityGroups[0].IpPermissions[0].IpRanges[0].Description == 'Clients'",
                "SecurityGroups[0].IpPermissionsEgress == `[]`",
                tagged("SecurityGroups[0].Tags"),
            ],
        ),
        Call(
            "ec2",
            "describe_security_groups",
            {"GroupIds": ["$nodes_group"]},
            ["SecurityGroups[0].IpPermissions[].UserIdGroupPairs[] | [?GroupId == '$group'].Description | [0]"],
        ),
    ],
    removed=[
        Call("ec2", "revoke_security_group_ingress", {"GroupId": "$nodes_group", "IpPermissions": _TO_PODS}),
        Call(
            "ec2",
            "describe_network_interfaces",
            {"Filters": filters(group_id="$group")},
            ["NetworkInterfaces == `[]`"],
        ),
        Call("ec2", "delete_security_group", {"GroupId": "$group"}),
        Call("ec2", "describe_security_groups", _GROUP, refused="InvalidGroup.NotFound"),
    ],
)

BALANCER_ATTRIBUTES = {
    "access_logs.s3.enabled": "true",
    "access_logs.s3.bucket": BUCKET,
    "access_logs.s3.prefix": "alb",
    "deletion_protection.enabled": "true",
    "idle_timeout.timeout_seconds": "60",
    "client_keep_alive.seconds": "3600",
    "routing.http2.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "true",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
_LOGS_OFF = {"connection_logs.s3.enabled": "false", "health_check_logs.s3.enabled": "false"}
_BALANCER = {"LoadBalancerArn": "$balancer"}
_ITS_INTERFACES = {
    "Filters": [
        {"Name": "attachment.instance-owner-id", "Values": ["amazon-elb"]},
        {"Name": "description", "Values": ["ELB $balancer_path"]},
    ]
}


def attributes(values: dict[str, str]) -> list[str]:
    """That an answer has these attributes, with these values."""
    return [f"Attributes[?Key == '{key}'].Value | [0] == '{value}'" for key, value in values.items()]


BALANCER = Resource(
    "aws_lb",
    made=[
        Call("elbv2", "describe_load_balancers", {"Names": ["platform"]}, refused="LoadBalancerNotFound"),
        Call(
            "elbv2",
            "create_load_balancer",
            {
                "Name": "platform",
                "Type": "application",
                "SecurityGroups": ["$group"],
                "Subnets": ["$subnet", "$other_subnet"],
                "Tags": TAGS,
            },
            keeps={
                "balancer": "LoadBalancers[0].LoadBalancerArn",
                "balancer_name": "LoadBalancers[0].DNSName",
                "balancer_zone": "LoadBalancers[0].CanonicalHostedZoneId",
            },
        ),
        Call(
            "elbv2",
            "modify_load_balancer_attributes",
            {**_BALANCER, "Attributes": pairs(_LOGS_OFF | BALANCER_ATTRIBUTES)},
        ),
    ],
    read=[
        Call(
            "elbv2",
            "describe_load_balancers",
            {"LoadBalancerArns": ["$balancer"]},
            [
                "LoadBalancers[0].State.Code == 'active'",
                "LoadBalancers[0].Scheme == 'internet-facing'",
                "LoadBalancers[0].IpAddressType == 'ipv4'",
                "length(LoadBalancers[0].AvailabilityZones) == `2`",
                'LoadBalancers[0].SecurityGroups == `["$group"]`',
            ],
        ),
        Call("elbv2", "describe_load_balancer_attributes", _BALANCER, attributes(BALANCER_ATTRIBUTES | _LOGS_OFF)),
        Call("elbv2", "describe_capacity_reservation", _BALANCER, ["MinimumLoadBalancerCapacity == null"]),
        Call("elbv2", "describe_tags", {"ResourceArns": ["$balancer"]}, [tagged("TagDescriptions[0].Tags")]),
    ],
    removed=[
        Call("elbv2", "delete_load_balancer", _BALANCER, refused="OperationNotPermitted"),
        Call(
            "elbv2",
            "modify_load_balancer_attributes",
            {**_BALANCER, "Attributes": pairs({"deletion_protection.enabled": "false"})},
        ),
        Call("ec2", "describe_network_interfaces", _ITS_INTERFACES, ["length(NetworkInterfaces) == `2`"]),
        Call("elbv2", "delete_load_balancer", _BALANCER),
        Call("elbv2", "describe_load_balancers", {"LoadBalancerArns": ["$balancer"]}, refused="LoadBalancerNotFound"),
        # The security group and the subnets can't go before these have gone.
        Call("ec2", "describe_network_interfaces", _ITS_INTERFACES, ["NetworkInterfaces == `[]`"]),
    ],
)

TARGETS_ATTRIBUTES = {
    "deregistration_delay.timeout_seconds": "30",
    "load_balancing.algorithm.anomaly_mitigation": "off",
    "load_balancing.algorithm.type": "round_robin",
    "load_balancing.cross_zone.enabled": "use_load_balancer_configuration",
    "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false",
    "stickiness.type": "lb_cookie",
    "target_group_health.dns_failover.minimum_healthy_targets.count": "1",
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": "off",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": "1",
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
}
_TARGETS = {"TargetGroupArn": "$targets"}
_GIVEN = {
    "Port": 443,
    "Protocol": "HTTPS",
    "ProtocolVersion": "HTTP1",
    "TargetType": "ip",
    "HealthCheckEnabled": True,
    "HealthCheckIntervalSeconds": 10,
    "HealthCheckPath": "/healthz/ready",
    "HealthCheckPort": "traffic-port",
    "HealthCheckProtocol": "HTTPS",
    "HealthCheckTimeoutSeconds": 5,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
    "Matcher": {"HttpCode": "200"},
}
TARGETS = Resource(
    "aws_lb_target_group",
    made=[
        Call("elbv2", "describe_target_groups", {"Names": ["platform-gateway"]}, refused="TargetGroupNotFound"),
        Call(
            "elbv2",
            "create_target_group",
            {**_GIVEN, "Name": "platform-gateway", "VpcId": "$vpc", "Tags": TAGS},
            keeps={"targets": "TargetGroups[0].TargetGroupArn"},
        ),
        Call("elbv2", "modify_target_group_attributes", {**_TARGETS, "Attributes": pairs(TARGETS_ATTRIBUTES)}),
    ],
    read=[
        Call(
            "elbv2",
            "describe_target_groups",
            {"TargetGroupArns": ["$targets"]},
            [
                *(f"TargetGroups[0].{name} == `{json.dumps(value)}`" for name, value in _GIVEN.items()),
                "TargetGroups[0].IpAddressType == 'ipv4'",
            ],
        ),
        Call("elbv2", "describe_target_group_attributes", _TARGETS, attributes(TARGETS_ATTRIBUTES)),
        Call("elbv2", "describe_tags", {"ResourceArns": ["$targets"]}, [tagged("TagDescriptions[0].Tags")]),
    ],
    removed=[
        Call("elbv2", "delete_target_group", _TARGETS),
        Call("elbv2", "describe_target_groups", {"TargetGroupArns": ["$targets"]}, refused="TargetGroupNotFound"),
    ],
)


_SERVER = {"routing.http.response.server.enabled": "true"}


def listener(port: int, action: dict[str, Any], *needs: str, **more: Any) -> Resource:
    """A listener of the ALB with this default action."""
    arn = f"$listener_{port}"
    return Resource(
        "aws_lb_listener",
        made=[
            Call(
                "elbv2",
                "create_listener",
                {**_BALANCER, "Port": port, "DefaultActions": [{"Order": 1, **action}], "Tags": TAGS, **more},
                keeps={f"listener_{port}": "Listeners[0].ListenerArn"},
            ),
            # A switch that a configuration doesn't mention is off to the provider: ours mentions it.
            Call("elbv2", "modify_listener_attributes", {"ListenerArn": arn, "Attributes": pairs(_SERVER)}),
        ],
        read=[
            Call("elbv2", "describe_listeners", {"ListenerArns": [arn]}, [f"Listeners[0].{need}" for need in needs]),
            Call(
                "elbv2",
                "describe_listener_attributes",
                {"ListenerArn": arn},
                attributes(_SERVER),
            ),
            Call("elbv2", "describe_tags", {"ResourceArns": [arn]}, [tagged("TagDescriptions[0].Tags")]),
        ],
        removed=[
            Call("elbv2", "delete_listener", {"ListenerArn": arn}),
            Call("elbv2", "describe_listeners", {"ListenerArns": [arn]}, refused="ListenerNotFound"),
        ],
    )


_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
# Host, path and query are the provider's defaults.
_REDIRECT = {"Protocol": "HTTPS", "Port": "443", "Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
HTTP = listener(
    80,
    {"Type": "redirect", "RedirectConfig": {**_REDIRECT, "StatusCode": "HTTP_301"}},
    f"DefaultActions[0].RedirectConfig == `{json.dumps({**_REDIRECT, 'StatusCode': 'HTTP_301'})}`",
    "DefaultActions[0].Order == `1`",
    Protocol="HTTP",
)
HTTPS = listener(
    443,
    {"Type": "forward", "TargetGroupArn": "$targets"},
    "DefaultActions[0].TargetGroupArn == '$targets'",
    "DefaultActions[0].Order == `1`",
    "Certificates[0].CertificateArn == '$certificate'",
    f"SslPolicy == '{_POLICY}'",
    "MutualAuthentication.Mode == 'off'",
    Protocol="HTTPS",
    SslPolicy=_POLICY,
    Certificates=[{"CertificateArn": "$certificate"}],
)


def _visible(name: str) -> dict[str, Any]:
    return {"CloudWatchMetricsEnabled": True, "MetricName": name, "SampledRequestsEnabled": True}


_RATE = {"Limit": 10000, "EvaluationWindowSec": 300, "AggregateKeyType": "IP"}
_RULES: list[dict[str, Any]] = [
    {
        "Name": "rate-limit",
        "Priority": 0,
        "Action": {"Block": {}},
        "Statement": {"RateBasedStatement": _RATE},
        "VisibilityConfig": _visible("platform-rate-limit"),
    },
    {
        "Name": "AWSManagedRulesCommonRuleSet",
        "Priority": 1,
        "OverrideAction": {"None": {}},
        "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}},
        "VisibilityConfig": _visible("platform-common"),
    },
]
_ACL = {"Id": "$acl_id", "Name": "platform", "Scope": "REGIONAL"}
_LOGGED = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:aws-waf-logs-platform"
_REDACTED = [{"SingleHeader": {"Name": name}} for name in ("authorization", "cookie")]
FIREWALL = Resource(
    "aws_wafv2_web_acl, aws_wafv2_web_acl_logging_configuration",
    made=[
        Call(
            "wafv2",
            "create_web_acl",
            {
                "Name": "platform",
                "Scope": "REGIONAL",
                "Description": "In front of platform",
                "DefaultAction": {"Allow": {}},
                "Rules": _RULES,
                "VisibilityConfig": _visible("platform"),
                "Tags": TAGS,
            },
            keeps={"acl": "Summary.ARN", "acl_id": "Summary.Id"},
        ),
        Call(
            "wafv2",
            "put_logging_configuration",
            {
                "LoggingConfiguration": {
                    "ResourceArn": "$acl",
                    "LogDestinationConfigs": [_LOGGED],
                    "RedactedFields": _REDACTED,
                }
            },
        ),
    ],
    read=[
        Call(
            "wafv2",
            "get_web_acl",
            _ACL,
            [f"WebACL.Rules == `{json.dumps(_RULES)}`", "WebACL.Capacity > `0`", "LockToken"],
            {"lock": "LockToken"},
        ),
        Call("wafv2", "list_tags_for_resource", {"ResourceARN": "$acl"}, [tagged("TagInfoForResource.TagList")]),
        Call(
            "wafv2",
            "get_logging_configuration",
            {"ResourceArn": "$acl"},
            [
                f"LoggingConfiguration.RedactedFields == `{json.dumps(_REDACTED)}`",
                f"LoggingConfiguration.LogDestinationConfigs[0] == '{_LOGGED}'",
            ],
        ),
    ],
    removed=[
        Call("wafv2", "delete_logging_configuration", {"ResourceArn": "$acl"}),
        Call("wafv2", "get_logging_configuration", {"ResourceArn": "$acl"}, refused="WAFNonexistentItemException"),
        Call("wafv2", "delete_web_acl", {**_ACL, "LockToken": "$lock"}),
        Call("wafv2", "get_web_acl", _ACL, refused="WAFNonexistentItemException"),
    ],
)
GUARDED = Resource(
    "aws_wafv2_web_acl_association",
    made=[Call("wafv2", "associate_web_acl", {"ResourceArn": "$balancer", "WebACLArn": "$acl"})],
    read=[Call("wafv2", "get_web_acl_for_resource", {"ResourceArn": "$balancer"}, ["WebACL.ARN == '$acl'"])],
    removed=[
        Call("wafv2", "disassociate_web_acl", {"ResourceArn": "$balancer"}),
        Call("wafv2", "get_web_acl_for_resource", {"ResourceArn": "$balancer"}, ["WebACL == null"]),
    ],
)

ALL: Sequence[Resource] = (
    GROUP,
    FIREWALL,
    BALANCER,
    GUARDED,
    TARGETS,
    HTTP,
    HTTPS,
)
