"""Web ACLs and access logs as users have them: made by boto3, met by requests, logs read from S3."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.aws.alb_world import Response, request
from tests.aws.log_world import fields

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.state import Socket

VISIBLE = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": "front"}
REGIONAL: dict[str, Any] = {"Scope": "REGIONAL"}
FIXED = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "hello"}}


async def test_a_web_acl_in_front_of_a_load_balancer(busy_aws: EmulatedAws) -> None:
    aws = busy_aws
    arn = await _balancer(aws)
    home = (
        await aws.call(
            "wafv2", "create_ip_set", Name="home", **REGIONAL, IPAddressVersion="IPV4", Addresses=["10.0.0.0/8"]
        )
    )["Summary"]
    rule = {
        "Name": "home",
        "Priority": 1,
        "Statement": {"IPSetReferenceStatement": {"ARN": home["ARN"]}},
        "Action": {"Block": {"CustomResponse": {"ResponseCode": 418}}},
        "VisibilityConfig": {**VISIBLE, "MetricName": "home"},
    }
    acl = (
        await aws.call(
            "wafv2",
            "create_web_acl",
            Name="front",
            **REGIONAL,
            DefaultAction={"Allow": {}},
            VisibilityConfig=VISIBLE,
            Rules=[rule],
        )
    )["Summary"]
    assert (await _ask(aws, arn)).status == 200
    await aws.call("wafv2", "associate_web_acl", WebACLArn=acl["ARN"], ResourceArn=arn)
    assert (await _ask(aws, arn)).status == 200
    changed = {"Name": "home", "Id": home["Id"], **REGIONAL, "LockToken": home["LockToken"]}
    await aws.call("wafv2", "update_ip_set", **changed, Addresses=["127.0.0.0/8"])
    assert (await _ask(aws, arn)).status == 418
    now = datetime.now(UTC)
    asked = {
        "WebAclArn": acl["ARN"],
        **REGIONAL,
        "RuleMetricName": "home",
        "MaxItems": 5,
        "TimeWindow": {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)},
    }
    async with asyncio.timeout(60):
        while not (found := (await aws.call("wafv2", "get_sampled_requests", **asked))["SampledRequests"]):
            pass
    assert found[0]["Action"] == "BLOCK"
    await aws.call("wafv2", "disassociate_web_acl", ResourceArn=arn)
    assert (await _ask(aws, arn)).status == 200


async def test_access_logs_in_s3(busy_aws: EmulatedAws) -> None:
    aws = busy_aws
    arn = await _balancer(aws)
    await aws.call("s3", "create_bucket", Bucket="logs")
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/edge/AWSLogs/123456789012/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    await aws.call("s3", "put_bucket_policy", Bucket="logs", Policy=policy)
    attributes = {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs", "access_logs.s3.prefix": "edge"}
    await aws.call(
        "elbv2",
        "modify_load_balancer_attributes",
        LoadBalancerArn=arn,
        Attributes=[{"Key": key, "Value": value} for key, value in attributes.items()],
    )
    assert (await _ask(aws, arn, "/logged?x=1")).status == 200
    test, log = "edge/AWSLogs/123456789012/ELBAccessLogTestFile", None
    async with asyncio.timeout(60):  # every five minutes, 50 times faster
        while log is None:
            listed = (await aws.call("s3", "list_objects_v2", Bucket="logs")).get("Contents", [])
            keys = [each["Key"] for each in listed]
            log = next((key for key in keys if key.endswith(".log.gz")), None)
            await asyncio.sleep(0.05)
    assert test in keys
    body = await aws.call("s3", "get_object", Bucket="logs", Key=log)
    (entry,) = map(fields, gzip.decompress(body["Body"].read()).decode().splitlines())
    assert entry["elb"] == arn.partition(":loadbalancer/")[2]
    assert entry["request"] == "GET http://app.example.com:80/logged?x=1 HTTP/1.1"
    assert entry["actions_executed"] == "fixed-response"


async def _balancer(aws: EmulatedAws) -> str:
    made = await aws.call("elbv2", "create_load_balancer", Name="front", Subnets=aws.seeded.public)
    arn: str = made["LoadBalancers"][0]["LoadBalancerArn"]
    await aws.call("elbv2", "create_listener", LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[FIXED])
    return arn


async def _ask(aws: EmulatedAws, arn: str, path: str = "/") -> Response:
    await aws.settled()
    node = aws.state.load_balancers[arn].nodes[0]
    bound = aws.state.sockets[Socket(node.address, 80, "TCP")]
    answer: Response = await request(bound.address, bound.port, path)
    return answer
