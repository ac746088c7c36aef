"""The AWS client against an emulated AWS over HTTP: answers, pages, errors by class, counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gatewright.aws import (
    AccessDenied,
    AlreadyExists,
    Aws,
    AwsError,
    Call,
    InUse,
    Invalid,
    LimitExceeded,
    NotConfigured,
    NotFound,
    Throttled,
    Unavailable,
    views,
)
from gatewright.aws.errors import classify
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.faults import Fault
from gatewright.local.block import Block


@pytest.fixture(scope="module")
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def cloud(block: Block) -> AsyncIterator[EmulatedAws]:
    network = "10.0.0.0/16" if block.shared else block.network
    async with EmulatedAws(network, pace=50, traffic=False) as cloud:
        yield cloud


@pytest.fixture
async def aws(cloud: EmulatedAws) -> AsyncIterator[Aws]:
    async with Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws:
        yield aws


async def load_balancer(aws: Aws, name: str, *, subnets: int = 2, **more: Any) -> views.LoadBalancer:
    found = await aws.pages("ec2", "describe_subnets", "Subnets")
    private = [each["SubnetId"] for each in found if any("private" in tag["Value"] for tag in each.get("Tags", ()))]
    made = await aws.call(
        "elbv2",
        "create_load_balancer",
        Name=name,
        Type="network",
        Scheme="internal",
        Subnets=private[:subnets],
        **more,
    )
    return views.read_load_balancer(made["LoadBalancers"][0])


async def test_load_balancers_are_found_by_arn_and_name(aws: Aws) -> None:
    made = await load_balancer(aws, "one")
    assert [each.name for each in await views.load_balancers(aws, arns=[made.arn])] == ["one"]
    assert [each.arn for each in await views.load_balancers(aws, names=["one"])] == [made.arn]
    interfaces = await views.network_interfaces(aws, made)
    assert {each.subnet for each in interfaces} == {zone.subnet for zone in made.zones}
    assert all(each.address for each in interfaces)


async def test_all_pages_are_read_and_tags_twenty_at_a_time(aws: Aws) -> None:
    vpc = (await load_balancer(aws, "one")).vpc
    for number in range(25):
        await aws.call(
            "elbv2",
            "create_target_group",
            Name=f"group-{number}",
            Protocol="TCP",
            Port=80,
            VpcId=vpc,
            TargetType="ip",
            Tags=[{"Key": "number", "Value": str(number)}],
        )
    found = await aws.pages("elbv2", "describe_target_groups", "TargetGroups", PageSize=10)
    assert len(found) == 25
    assert aws.calls[Call("elbv2", "describe_target_groups", "ok")] == 3
    [(one, _)] = await views.target_groups_tagged(aws, {"number": "7"})
    assert one.name == "group-7"
    assert one.health_check.protocol == "TCP"
    assert aws.calls[Call("elbv2", "describe_tags", "ok")] == 2
    by_name = await views.target_group_by_name(aws, "group-7")
    assert by_name == await views.target_group_by_arn(aws, one.arn) == one
    assert await views.target_group_by_name(aws, "none") is None


async def test_what_has_gone_hides_no_other_things_tags(aws: Aws) -> None:
    one = await load_balancer(aws, "one", Tags=[{"Key": "a", "Value": "1"}])
    two = await load_balancer(aws, "two", Tags=[{"Key": "a", "Value": "2"}])
    await aws.call("elbv2", "delete_load_balancer", LoadBalancerArn=two.arn)
    assert await views.tags_of(aws, [one.arn, two.arn]) == {one.arn: {"a": "1"}}


@pytest.mark.parametrize(
    ("fault", "expected", "retryable"),
    [
        (Fault("throttle", service="elbv2"), Throttled, True),
        (Fault("internal-error", service="elbv2"), Unavailable, True),
        (Fault("unavailable", service="elbv2"), Unavailable, True),
        (Fault("reset", service="elbv2"), Unavailable, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
async def test_failures_have_a_class_and_are_not_tried_again_here(
    cloud: EmulatedAws, aws: Aws, fault: Fault, expected: type[AwsError], retryable: bool
) -> None:
    cloud.server.faults.inject(fault)
    with pytest.raises(expected) as caught:
        await views.load_balancers(aws)
    assert caught.value.operation == "elbv2:describe_load_balancers"
    assert caught.value.retryable is retryable
    assert sum(aws.calls.values()) == 1
    assert str(caught.value).startswith("elbv2:describe_load_balancers: ")


async def test_silence_is_no_answer(cloud: EmulatedAws) -> None:
    cloud.server.faults.inject(Fault("timeout", service="elbv2", latency=3600.0))
    async with Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test"), read_timeout=0.5) as hasty:
        with pytest.raises(Unavailable, match="ReadTimeoutError"):
            await views.load_balancers(hasty)


async def test_what_is_refused_has_a_class(aws: Aws) -> None:
    with pytest.raises(NotFound):
        await views.load_balancers(aws, names=["none"])
    with pytest.raises(Invalid):
        await aws.call("elbv2", "create_load_balancer", Nam="x")
    made = await load_balancer(aws, "one")
    with pytest.raises(AlreadyExists):
        await load_balancer(aws, "one", subnets=1)
    group = await aws.call(
        "elbv2", "create_target_group", Name="g", Protocol="TCP", Port=80, VpcId=made.vpc, TargetType="ip"
    )
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    action = [{"Type": "forward", "TargetGroupArn": arn}]
    await aws.call("elbv2", "create_listener", LoadBalancerArn=made.arn, Port=80, Protocol="TCP", DefaultActions=action)
    with pytest.raises(InUse):
        await aws.call("elbv2", "delete_target_group", TargetGroupArn=arn)


async def test_without_a_region_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    async with Aws(endpoint_url="http://127.0.0.1:1", credentials=("a", "b")) as aws:
        with pytest.raises(NotConfigured, match="AWS_REGION"):
            await views.load_balancers(aws)


async def test_the_region_is_the_environments(cloud: EmulatedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    async with Aws(endpoint_url=cloud.url, credentials=("test", "test")) as aws:
        found = await aws.pages("ec2", "describe_availability_zones", "AvailabilityZones")
    assert {zone["RegionName"] for zone in found} == {"eu-west-1"}


async def test_nobody_there_is_no_answer() -> None:
    async with Aws(region="us-east-1", endpoint_url="http://127.0.0.1:1", credentials=("a", "b")) as aws:
        with pytest.raises(Unavailable):
            await views.load_balancers(aws)
    with pytest.raises(Unavailable, match="Closed"):
        await views.load_balancers(aws)


async def test_a_call_under_way_may_make_a_client_while_others_are_closed(aws: Aws) -> None:
    await aws.prepare("elbv2")
    aws._clients["elbv2"].close = lambda: aws._client("acm")  # as a thread does that `close` doesn't wait for
    await aws.close()
    with pytest.raises(Unavailable, match="Closed"):
        await views.load_balancers(aws)


async def test_calls_do_not_wait_for_each_other(cloud: EmulatedAws, aws: Aws) -> None:
    await views.load_balancers(aws)
    cloud.server.faults.inject(
        Fault("latency", service="elbv2", operation="DescribeTargetGroups", latency=3600.0, count=1)
    )
    slow = asyncio.create_task(views.target_groups(aws))
    await views.load_balancers(aws)
    assert not slow.done()
    slow.cancel()


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("RequestLimitExceeded", 503, Throttled),
        ("Throttling", 400, Throttled),
        ("TargetGroupNotFound", 400, NotFound),
        ("InvalidInstanceID.NotFound", 400, NotFound),
        ("ResourceNotFoundException", 404, NotFound),
        ("NoSuchBucket", 404, NotFound),
        ("UnauthorizedOperation", 403, AccessDenied),
        ("AccessDenied", 403, AccessDenied),
        ("ExpiredToken", 400, AccessDenied),
        ("ResourceInUse", 400, InUse),
        ("DependencyViolation", 400, InUse),
        ("InvalidIPAddress.InUse", 400, InUse),
        ("DuplicateListener", 400, AlreadyExists),
        ("InvalidGroup.Duplicate", 400, AlreadyExists),
        ("EntityAlreadyExists", 409, AlreadyExists),
        ("TooManyLoadBalancers", 400, LimitExceeded),
        ("TargetGroupAssociationLimit", 400, LimitExceeded),
        ("ValidationError", 400, Invalid),
        ("InvalidSubnet", 400, Invalid),
        ("InternalError", 500, Unavailable),
        ("anything", 502, Unavailable),
    ],
)
def test_codes_have_classes(code: str, status: int, expected: type[AwsError]) -> None:
    assert classify(code, status) is expected
