"""The emulated API over HTTP, as boto3 and others meet it."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.endpoint import Clients


def ask(aws: EmulatedAws, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urlsplit(aws.url).netloc, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("acm", "list_certificates", {}),
        ("ec2", "describe_vpcs", {}),
        ("eks", "list_clusters", {}),
        ("elbv2", "describe_load_balancers", {}),
        ("iam", "list_roles", {}),
        ("route53", "list_hosted_zones", {}),
        ("s3", "list_buckets", {}),
        ("sts", "get_caller_identity", {}),
        ("wafv2", "list_web_acls", {"Scope": "REGIONAL"}),
    ],
)
async def test_every_service_answers(
    aws: EmulatedAws, service: str, operation: str, parameters: dict[str, str]
) -> None:
    answer = await aws.call(service, operation, **parameters)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


async def test_the_account_is_the_emulated_one(aws: EmulatedAws) -> None:
    assert (await aws.call("sts", "get_caller_identity"))["Account"] == "123456789012"


@pytest.mark.parametrize(
    ("service", "operation"),
    [("dynamodb", "list_tables"), ("autoscaling", "describe_account_limits"), ("lambda", "list_functions")],
)
async def test_a_service_that_is_not_emulated_says_so(aws: EmulatedAws, service: str, operation: str) -> None:
    with pytest.raises(ClientError, match=f"{service} is not emulated; emulated are acm, ec2, eks, elbv2") as refusal:
        await aws.call(service, operation)
    assert refusal.value.response["Error"]["Code"] == "UnsupportedOperation"


async def test_an_operation_that_is_not_emulated_says_so(aws: EmulatedAws) -> None:
    with pytest.raises(ClientError, match="DescribeScheduledInstances of ec2 is not emulated") as refusal:
        await aws.call("ec2", "describe_scheduled_instances")
    assert refusal.value.response["Error"]["Code"] == "InvalidAction"


async def test_the_service_that_a_call_is_signed_for_in_any_case(aws: EmulatedAws) -> None:
    """AWS's first SDK for Go, Terraform's for years, signs WAFv2's calls for `WAFV2` where it is given an endpoint."""
    status, body = await asyncio.to_thread(
        ask,
        aws,
        "POST",
        "/",
        b'{"Scope": "REGIONAL"}',
        Authorization="AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/WAFV2/aws4_request, Signature=0",
        X_Amz_Target="AWSWAF_20190729.ListWebACLs",
        Content_Type="application/x-amz-json-1.1",
    )
    assert (status, json.loads(body)["WebACLs"]) == (200, [])


async def test_an_unsigned_call_is_refused(aws: EmulatedAws) -> None:
    status, body = await asyncio.to_thread(ask, aws, "GET", "/?Action=DescribeLoadBalancers&Version=2015-12-01")
    assert status == 403
    assert b"<Code>MissingAuthenticationToken</Code>" in body


async def test_a_request_that_is_no_http_is_refused(aws: EmulatedAws) -> None:
    place = urlsplit(aws.url)
    for text in (b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n"):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(text)
        assert b"400" in await asyncio.wait_for(reader.read(), 60)
        writer.close()


async def test_s3_objects_by_path_and_by_virtual_host(aws: EmulatedAws) -> None:
    key = "a b/ü+%2F/x"
    await aws.call("s3", "create_bucket", Bucket="logs")
    await aws.call("s3", "put_object", Bucket="logs", Key=key, Body=b"hello", Metadata={"my_key": "v"})
    got = await aws.call("s3", "get_object", Bucket="logs", Key=key)
    assert got["Body"].read() == b"hello"
    assert got["Metadata"] == {"my_key": "v"}
    by_host = Clients(f"http://s3.localhost:{urlsplit(aws.url).port}").client(
        "s3", config=Config(s3={"addressing_style": "virtual"})
    )
    url = urlsplit(by_host.generate_presigned_url("get_object", {"Bucket": "logs", "Key": key}))
    assert url.netloc.startswith("logs.s3.localhost:")
    got = await asyncio.to_thread(ask, aws, "GET", f"{url.path}?{url.query}", Host=url.netloc)
    assert got == (200, b"hello")


async def test_a_bucket_is_made_with_tags_which_s3_control_reads_and_changes(aws: EmulatedAws) -> None:
    """Its calls go to ACCOUNT.127.0.0.1, which is no name of anything: clients have this server as their proxy."""
    await aws.call("s3", "create_bucket", Bucket="logs", CreateBucketConfiguration={"Tags": [tag("a", "1")]})
    assert (await aws.call("s3", "get_bucket_tagging", Bucket="logs"))["TagSet"] == [tag("a", "1")]
    control = aws.client("s3control", config=Config(proxies={"http": aws.url}))
    bucket = {"AccountId": "123456789012", "ResourceArn": "arn:aws:s3:::logs"}

    def changed() -> list[dict[str, str]]:
        control.tag_resource(**bucket, Tags=[tag("b", "2"), tag("c", "")])
        control.untag_resource(**bucket, TagKeys=["a"])
        found: list[dict[str, str]] = control.list_tags_for_resource(**bucket)["Tags"]
        return found

    assert await asyncio.to_thread(changed) == [tag("b", "2"), tag("c", "")]
    assert (await aws.call("s3", "get_bucket_tagging", Bucket="logs"))["TagSet"] == [tag("b", "2"), tag("c", "")]
    assert aws.server.calls["s3control", "TagResource"] == 1


def tag(key: str, value: str) -> dict[str, str]:
    return {"Key": key, "Value": value}


async def test_s3_uploads_in_chunks_with_checksums(aws: EmulatedAws) -> None:
    payload = bytes(range(256)) * 4096
    await aws.call("s3", "create_bucket", Bucket="logs")
    await aws.call("s3", "put_object", Bucket="logs", Key="k", Body=payload, ChecksumAlgorithm="CRC32")
    got = await aws.call("s3", "get_object", Bucket="logs", Key="k")
    assert got["Body"].read() == payload
    head = await aws.call("s3", "head_object", Bucket="logs", Key="k")
    assert head["ContentLength"] == len(payload)


async def test_a_bucket_that_is_not_there(aws: EmulatedAws) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        await aws.call("s3", "get_object", Bucket="nowhere", Key="k")


async def test_calls_of_many_threads_at_once(aws: EmulatedAws) -> None:
    """moto's own code doesn't care for threads; the server sees to it that none of them meets another."""
    client = aws.client("ec2", config=Config(max_pool_connections=8))

    def make(number: int) -> str:
        group = client.create_security_group(GroupName=f"g{number}", Description="d", VpcId=aws.seeded.vpc)["GroupId"]
        client.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
        )
        assert client.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["GroupName"] == f"g{number}"
        return str(group)

    made = await asyncio.gather(*(asyncio.to_thread(make, number) for number in range(24)))
    assert len(set(made)) == 24


async def test_a_connection_is_used_again(aws: EmulatedAws) -> None:
    def twice() -> list[int]:
        connection = http.client.HTTPConnection(urlsplit(aws.url).netloc, timeout=60)
        statuses = []
        for _ in range(2):
            connection.request("GET", "/_gatewright/calls")
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
            assert connection.sock is not None
        connection.close()
        return statuses

    assert await asyncio.to_thread(twice) == [200, 200]


async def test_calls_are_counted_by_service_and_operation(aws: EmulatedAws) -> None:
    await aws.call("elbv2", "describe_load_balancers")
    await aws.call("elbv2", "describe_load_balancers")
    await aws.call("acm", "list_certificates")
    await aws.call("s3", "create_bucket", Bucket="bucket")
    status, body = await asyncio.to_thread(ask, aws, "GET", "/_gatewright/calls")
    assert status == 200
    assert json.loads(body)["calls"] == {
        "acm": {"ListCertificates": 1},
        "elbv2": {"DescribeLoadBalancers": 2},
        "s3": {"CreateBucket": 1},
    }


async def test_a_page_of_another_part(aws: EmulatedAws) -> None:
    counted: dict[str, Any] = {"rules": {"block-bots": 3}}
    aws.server.pages["waf"] = lambda: counted
    status, body = await asyncio.to_thread(ask, aws, "GET", "/_gatewright/waf")
    assert (status, json.loads(body)) == (200, counted)
    status, body = await asyncio.to_thread(ask, aws, "GET", "/_gatewright/nothing")
    assert status == 404
    assert "calls, dns, faults, sockets, waf" in json.loads(body)["error"]


async def test_two_at_once_in_one_process_are_refused(aws: EmulatedAws) -> None:
    with pytest.raises(RuntimeError, match="runs in this process already"):
        async with EmulatedAws("10.1.0.0/16"):
            pass


async def test_the_next_one_knows_nothing_of_the_one_before(aws: EmulatedAws) -> None:
    url, vpc = aws.url, aws.seeded.vpc
    await aws.call("s3", "create_bucket", Bucket="bucket")
    await aws.__aexit__()
    try:
        async with EmulatedAws("10.1.0.0/16", traffic=False) as another:
            assert (await another.call("s3", "list_buckets"))["Buckets"] == []
            assert vpc not in str(await another.call("ec2", "describe_vpcs"))
            with pytest.raises(OSError, match="refused"):
                ask(aws, "GET", "/_gatewright/calls")
            assert another.url != url
    finally:
        await aws.__aenter__()
