"""Faults on request: AWS's bad days, as clients meet them."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.faults import Fault, Faults

ONCE = Config(retries={"max_attempts": 0, "mode": "standard"}, read_timeout=60)


def fault(aws: EmulatedAws, method: str = "POST", path: str = "", body: Any = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(aws.url).netloc, timeout=60)
    try:
        content = headers or {"Content-Type": "application/json"}
        connection.request(method, f"/_gatewright/faults{path}", json.dumps(body) if body is not None else "", content)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


async def inject(aws: EmulatedAws, **what: Any) -> int:
    status, answer = await asyncio.to_thread(fault, aws, body=what)
    assert status == 200, answer
    return int(answer["id"])


async def once(aws: EmulatedAws, service: str, operation: str, **parameters: Any) -> Any:
    method = getattr(aws.client(service, config=ONCE), operation)
    return await asyncio.to_thread(lambda: method(**parameters))


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "code", "status"),
    [
        ("elbv2", "describe_load_balancers", {}, "Throttling", 400),
        ("ec2", "describe_vpcs", {}, "RequestLimitExceeded", 503),
        ("acm", "list_certificates", {}, "ThrottlingException", 400),
        ("wafv2", "list_web_acls", {"Scope": "REGIONAL"}, "ThrottlingException", 400),
        ("eks", "list_clusters", {}, "ThrottlingException", 400),
        ("route53", "list_hosted_zones", {}, "Throttling", 400),
        ("iam", "list_roles", {}, "Throttling", 400),
        ("s3", "list_buckets", {}, "SlowDown", 503),
    ],
)
async def test_throttling_as_each_service_words_it(
    aws: EmulatedAws, service: str, operation: str, parameters: dict[str, Any], code: str, status: int
) -> None:
    await inject(aws, kind="throttle", service=service)
    with pytest.raises(ClientError) as refusal:
        await once(aws, service, operation, **parameters)
    assert refusal.value.response["Error"]["Code"] == code
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


async def test_a_client_that_retries_gets_through(aws: EmulatedAws) -> None:
    await inject(aws, kind="throttle", service="elbv2", count=2)
    assert (await aws.call("elbv2", "describe_load_balancers"))["LoadBalancers"] == []
    assert aws.server.calls["elbv2", "DescribeLoadBalancers"] == 3


@pytest.mark.parametrize(("kind", "status"), [("internal-error", 500), ("unavailable", 503)])
async def test_errors_of_the_server(aws: EmulatedAws, kind: str, status: int) -> None:
    await inject(aws, kind=kind)
    for service, operation in (
        ("elbv2", "describe_load_balancers"),
        ("ec2", "describe_vpcs"),
        ("eks", "list_clusters"),
    ):
        with pytest.raises(ClientError) as refusal:
            await once(aws, service, operation)
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


async def test_a_fault_is_for_a_service_and_an_operation_and_ends_after_its_count(aws: EmulatedAws) -> None:
    await inject(aws, kind="internal-error", service="elbv2", operation="Describe*", count=1)
    await once(aws, "ec2", "describe_vpcs")
    with pytest.raises(ClientError):
        await once(aws, "elbv2", "describe_target_groups")
    await once(aws, "elbv2", "describe_target_groups")


async def test_a_connection_that_is_reset(aws: EmulatedAws) -> None:
    await inject(aws, kind="reset", service="s3", operation="CreateBucket", count=1)
    with pytest.raises(ConnectionClosedError):
        await once(aws, "s3", "create_bucket", Bucket="logs")
    assert (await once(aws, "s3", "list_buckets"))["Buckets"] == []


async def test_an_answer_that_is_lost_after_the_work_was_done(aws: EmulatedAws) -> None:
    await inject(aws, kind="reset", service="s3", operation="CreateBucket", count=1, after=True)
    with pytest.raises(ConnectionClosedError):
        await once(aws, "s3", "create_bucket", Bucket="logs")
    assert [one["Name"] for one in (await once(aws, "s3", "list_buckets"))["Buckets"]] == ["logs"]


async def test_a_call_that_is_never_answered(aws: EmulatedAws) -> None:
    await inject(aws, kind="timeout", latency=3600.0)
    impatient = Config(retries={"max_attempts": 0, "mode": "standard"}, read_timeout=0.2)
    with pytest.raises(ReadTimeoutError):
        await asyncio.to_thread(aws.client("elbv2", config=impatient).describe_load_balancers)


async def test_latency(aws: EmulatedAws) -> None:
    await once(aws, "sts", "get_caller_identity")
    await inject(aws, kind="latency", latency=0.3)
    started = time.monotonic()
    assert (await once(aws, "sts", "get_caller_identity"))["Account"] == "123456789012"
    assert time.monotonic() - started >= 0.3


async def test_faults_are_shown_and_cleared(aws: EmulatedAws) -> None:
    first = await inject(aws, kind="throttle", service="elbv2", count=5)
    second = await inject(aws, kind="reset", operation="RunInstances")
    with pytest.raises(ClientError):
        await once(aws, "elbv2", "describe_load_balancers")
    assert (await asyncio.to_thread(fault, aws, "GET"))[1] == {
        "faults": [
            {"id": first, "hits": 1, "kind": "throttle", "service": "elbv2", "count": 5},
            {"id": second, "hits": 0, "kind": "reset", "operation": "RunInstances"},
        ]
    }
    await asyncio.to_thread(fault, aws, "DELETE", f"?id={first}")
    await once(aws, "elbv2", "describe_load_balancers")
    assert len((await asyncio.to_thread(fault, aws, "GET"))[1]["faults"]) == 1
    await asyncio.to_thread(fault, aws, "DELETE")
    assert (await asyncio.to_thread(fault, aws, "GET"))[1] == {"faults": []}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"kind": "meteor"}, r"Invalid enum value 'meteor' - at `\$\.kind`"),
        ({"kind": "reset", "sevrice": "ec2"}, "unknown field `sevrice`"),
        ({}, "missing required field `kind`"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(aws: EmulatedAws, body: Any, named: str) -> None:
    status, answer = await asyncio.to_thread(fault, aws, body=body)
    assert status == 400
    with pytest.raises(AssertionError, match=named):
        raise AssertionError(answer["error"])


async def test_a_web_page_can_not_inject_faults(aws: EmulatedAws) -> None:
    """A browser sends JSON to another origin only after asking, which is answered with a refusal."""
    status, _ = await asyncio.to_thread(lambda: fault(aws, body={"kind": "reset"}, **{"Content-Type": "text/plain"}))
    assert status == 415
    status, _ = await asyncio.to_thread(fault, aws, "OPTIONS")
    assert status == 405
    assert not aws.server.faults.in_force()


def test_a_fault_ends_when_its_time_is_over() -> None:
    now = 0.0
    faults = Faults(lambda: now)
    faults.inject(Fault("throttle", seconds=10))
    assert faults.strike("elbv2", "CreateRule")
    now = 10.0
    assert faults.strike("elbv2", "CreateRule") is None
    assert not faults.in_force()


def test_a_share_of_the_calls_is_spread_evenly() -> None:
    faults = Faults()
    faults.inject(Fault("throttle", probability=0.25))
    assert [bool(faults.strike("elbv2", "CreateRule")) for _ in range(8)] == [False, False, False, True] * 2
