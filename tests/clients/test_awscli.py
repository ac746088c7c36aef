"""The aws CLI on the emulated AWS: it is told of an endpoint and test credentials, and nothing else."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from tests.clients.aws_place import CLUSTER_API, Failed, Place, run, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

_REFUSED = (254, 255)
"""How version 2 ends when AWS refuses, and how version 1 does."""
LOG_DELIVERY = "logdelivery.elasticloadbalancing.amazonaws.com"


class Cli:
    """`aws` at a place."""

    def __init__(self, program: str, place: Place, folder: Path) -> None:
        self.place, self.folder = place, folder
        self._program = program

    async def text(self, *arguments: str, statuses: tuple[int, ...] = (0,)) -> str:
        """What it prints, or says when it fails; it is to end with one of `statuses`."""
        environment = {**self.place.aws.environment, "AWS_PAGER": "", "AWS_DEFAULT_OUTPUT": "json"}
        return await run(self._program, *arguments, environment=environment, folder=self.folder, statuses=statuses)

    async def __call__(self, *arguments: str) -> Any:
        """The JSON that it prints, None if nothing."""
        printed = await self.text(*arguments)
        return json.loads(printed) if printed else None

    async def refused(self, *arguments: str) -> str:
        """Code and message of AWS's refusal."""
        said = await self.text(*arguments, statuses=_REFUSED)
        return said.strip().removeprefix("aws: [ERROR]: ").removeprefix("An error occurred ")

    def file(self, name: str, content: bytes | str) -> str:
        """A parameter that reads a file."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return f"fileb://{path}" if isinstance(content, bytes) else f"file://{path}"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program; older ones than of 2023 don't know AWS_ENDPOINT_URL."""
    named = os.environ.get("GATEWRIGHT_AWS_CLI", "")
    path = shutil.which(named or "aws")
    if path is None:
        pytest.skip("aws isn't on the path (GATEWRIGHT_AWS_CLI names the program)")
    try:
        asyncio.run(run(path, "--version", environment={}, folder=tmp_path_factory.mktemp("version")))
    except Failed as failed:
        pytest.skip(str(failed))
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(program: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with running(tmp_path_factory.mktemp("place")) as place:
        yield place


@pytest.fixture
def aws(program: str, place: Place, tmp_path: Path) -> Cli:
    return Cli(program, place, tmp_path)


async def test_who_am_i(aws: Cli) -> None:
    assert await aws.text("sts", "get-caller-identity", "--query", "Account", "--output", "text") == "123456789012\n"


async def test_the_network_by_the_tags_of_a_cluster(aws: Cli) -> None:
    subnets = await aws(
        *("ec2", "describe-subnets", "--query", "sort(Subnets[].CidrBlock)"),
        *("--filters", "Name=tag:kubernetes.io/role/elb,Values=1", f"Name=vpc-id,Values={aws.place.aws.seeded['vpc']}"),
    )
    assert [subnet.split(".", 2)[2] for subnet in subnets] == ["64.0/20", "80.0/20"]


async def test_an_https_front_from_nothing_to_answers_and_back(aws: Cli) -> None:
    seeded, (address, port) = aws.place.aws.seeded, aws.place.pod
    chain, key = aws.place.authority.issue("shop.example.com")
    arn = (
        await aws(
            *("acm", "import-certificate"),
            *("--certificate", aws.file("chain.pem", chain)),
            *("--private-key", aws.file("key.pem", key)),
        )
    )["CertificateArn"]
    balancer = (
        await aws(
            *("elbv2", "create-load-balancer", "--name", "front", "--tags", "Key=Team,Value=platform"),
            *("--subnets", seeded["subnets"]["public-a"], seeded["subnets"]["public-b"]),
        )
    )["LoadBalancers"][0]["LoadBalancerArn"]
    # The CLI's waiters look every 15 seconds, boto3's as often as they are told.
    await aws.place.wait("load_balancer_available", Names=["front"])
    await aws("elbv2", "wait", "load-balancer-available", "--names", "front")
    group = (
        await aws(
            *("elbv2", "create-target-group", "--name", "pods", "--protocol", "HTTPS", "--port", str(port)),
            *("--vpc-id", seeded["vpc"], "--target-type", "ip"),
            *("--health-check-protocol", "HTTPS", "--matcher", "HttpCode=200-299"),
        )
    )["TargetGroups"][0]["TargetGroupArn"]
    await aws("elbv2", "register-targets", "--target-group-arn", group, "--targets", f"Id={address},Port={port}")
    listener = (
        await aws(
            *("elbv2", "create-listener", "--load-balancer-arn", balancer, "--protocol", "HTTPS", "--port", "443"),
            *("--certificates", f"CertificateArn={arn}"),
            *("--default-actions", f"Type=forward,TargetGroupArn={group}"),
        )
    )["Listeners"][0]["ListenerArn"]
    await aws(
        *("elbv2", "create-rule", "--listener-arn", listener, "--priority", "10"),
        *("--conditions", "Field=path-pattern,Values=/teapot"),
        "Field=http-request-method,HttpRequestMethodConfig={Values=[GET]}",
        "--actions",
        "Type=fixed-response,FixedResponseConfig={StatusCode=418,ContentType=text/plain,MessageBody=tea}",
    )
    await aws.place.wait("target_in_service", TargetGroupArn=group)
    await aws("elbv2", "wait", "target-in-service", "--target-group-arn", group)

    answer = await aws.place.get("front", 443, "/hello")
    assert (answer.status, answer.text.split(" by ")[0]) == (200, "/hello of shop.example.com")
    assert answer.text.endswith("for https")
    assert (await aws.place.get("front", 443, "/teapot"))[::2] == (418, "tea")
    health = await aws("elbv2", "describe-target-health", "--target-group-arn", group)
    assert [each["TargetHealth"] for each in health["TargetHealthDescriptions"]] == [{"State": "healthy"}]
    certificate = (await aws("acm", "describe-certificate", "--certificate-arn", arn))["Certificate"]
    assert certificate["InUseBy"] == [balancer]
    assert (await aws.refused("acm", "delete-certificate", "--certificate-arn", arn)).startswith(
        "(ResourceInUseException) when calling the DeleteCertificate operation: "
    )
    assert (
        await aws.refused(
            *("elbv2", "create-rule", "--listener-arn", listener, "--priority", "10"),
            *("--conditions", "Field=path-pattern,Values=/", "--actions", f"Type=forward,TargetGroupArn={group}"),
        )
        == "(PriorityInUse) when calling the CreateRule operation: Priority '10' is currently in use"
    )

    target = ("--target-group-arn", group, "--targets", f"Id={address},Port={port}")
    await aws("elbv2", "deregister-targets", *target)
    await aws.place.wait("target_deregistered", TargetGroupArn=group, Targets=[{"Id": address, "Port": port}])
    await aws("elbv2", "wait", "target-deregistered", *target)
    await aws("elbv2", "delete-load-balancer", "--load-balancer-arn", balancer)
    await aws("elbv2", "wait", "load-balancers-deleted", "--load-balancer-arns", balancer)
    await aws("elbv2", "delete-target-group", "--target-group-arn", group)
    await aws("acm", "delete-certificate", "--certificate-arn", arn)
    assert await aws.place.nodes("front") == []


async def test_a_web_acl_in_front_of_an_alb(aws: Cli) -> None:
    balancer = (await aws.place.balancer("guarded", "public-a", "public-b"))["LoadBalancerArn"]
    await aws(
        *("elbv2", "create-listener", "--load-balancer-arn", balancer, "--protocol", "HTTP", "--port", "80"),
        *("--default-actions", "Type=fixed-response,FixedResponseConfig={StatusCode=200}"),
    )
    visibility = "SampledRequestsEnabled=false,CloudWatchMetricsEnabled=false,MetricName=guard"
    addresses = (
        await aws(
            *("wafv2", "create-ip-set", "--name", "anyone", "--scope", "REGIONAL", "--ip-address-version", "IPV4"),
            *("--addresses", "0.0.0.0/1", "128.0.0.0/1"),
        )
    )["Summary"]
    rule = {
        "Name": "anyone",
        "Priority": 0,
        "Action": {"Block": {}},
        "Statement": {"IPSetReferenceStatement": {"ARN": addresses["ARN"]}},
        "VisibilityConfig": {
            "SampledRequestsEnabled": False,
            "CloudWatchMetricsEnabled": False,
            "MetricName": "anyone",
        },
    }
    acl = (
        await aws(
            *("wafv2", "create-web-acl", "--name", "guard", "--scope", "REGIONAL", "--default-action", "Allow={}"),
            *("--visibility-config", visibility, "--rules", aws.file("rules.json", json.dumps([rule]))),
        )
    )["Summary"]
    await aws.place.wait("load_balancer_available", LoadBalancerArns=[balancer])
    assert (await aws.place.get("guarded", 80)).status == 200
    await aws("wafv2", "associate-web-acl", "--web-acl-arn", acl["ARN"], "--resource-arn", balancer)
    found = await aws("wafv2", "get-web-acl-for-resource", "--resource-arn", balancer)
    assert found["WebACL"]["Name"] == "guard"
    async with asyncio.timeout(60):
        while (await aws.place.get("guarded", 80)).status != 403:
            pass
    await aws("wafv2", "disassociate-web-acl", "--resource-arn", balancer)
    for kind, made in (("web-acl", acl), ("ip-set", addresses)):
        named = ("--name", made["Name"], "--id", made["Id"], "--scope", "REGIONAL")
        token = (await aws("wafv2", f"get-{kind}", *named))["LockToken"]
        await aws("wafv2", f"delete-{kind}", *named, "--lock-token", token)


async def test_files_to_a_bucket_and_logs_to_another(aws: Cli) -> None:
    text = "a line\n" * 100
    aws.file("a file.txt", text)
    await aws.text("s3", "mb", "s3://files")
    await aws.text("s3", "cp", "a file.txt", "s3://files/some/ü.txt")
    assert (await aws.text("s3", "ls", "--recursive", "s3://files")).split()[2:] == ["700", "some/ü.txt"]
    await aws.text("s3", "cp", "s3://files/some/ü.txt", "back.txt")
    assert (aws.folder / "back.txt").read_text() == text
    aws.file("big", os.urandom(9 << 20))  # in several parts
    await aws.text("s3", "sync", ".", "s3://files/all", "--exclude", "*.txt")
    await aws.text("s3", "cp", "s3://files/all/big", "big.back")
    assert (aws.folder / "big.back").read_bytes() == (aws.folder / "big").read_bytes()
    await aws.text("s3", "rb", "--force", "s3://files")

    balancer = (await aws.place.balancer("logged", "private-a", "private-b"))["LoadBalancerArn"]
    await aws("s3api", "create-bucket", "--bucket", "logs")
    switch = (
        *("elbv2", "modify-load-balancer-attributes", "--load-balancer-arn", balancer, "--attributes"),
        *("Key=access_logs.s3.enabled,Value=true", "Key=access_logs.s3.bucket,Value=logs"),
    )
    assert "Access Denied for bucket: logs" in await aws.refused(*switch)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": LOG_DELIVERY},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/AWSLogs/123456789012/*",
    }
    policy = aws.file("policy.json", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    await aws("s3api", "put-bucket-policy", "--bucket", "logs", "--policy", policy)
    await aws(*switch)
    listed = await aws("s3api", "list-objects-v2", "--bucket", "logs", "--query", "Contents[].Key")
    assert listed == ["AWSLogs/123456789012/ELBAccessLogTestFile"]


async def test_a_name_for_a_load_balancer(aws: Cli) -> None:
    balancer = await aws.place.balancer("named", "private-a", "private-b")
    zone = (await aws("route53", "create-hosted-zone", "--name", "example.com", "--caller-reference", "1"))[
        "HostedZone"
    ]
    alias = {
        "HostedZoneId": balancer["CanonicalHostedZoneId"],
        "DNSName": balancer["DNSName"],
        "EvaluateTargetHealth": True,
    }
    record = {"Name": "shop.example.com", "Type": "A", "AliasTarget": alias}
    batch = aws.file("batch.json", json.dumps({"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]}))
    change = await aws(
        *("route53", "change-resource-record-sets", "--hosted-zone-id", zone["Id"], "--change-batch", batch)
    )
    await aws("route53", "wait", "resource-record-sets-changed", "--id", change["ChangeInfo"]["Id"])
    found = await aws("route53", "list-resource-record-sets", "--hosted-zone-id", zone["Id"])
    [shop] = [each for each in found["ResourceRecordSets"] if each["Type"] == "A"]
    assert {**shop["AliasTarget"], "DNSName": shop["AliasTarget"]["DNSName"].rstrip(".")} == alias


async def test_a_kubeconfig_of_the_cluster(aws: Cli) -> None:
    path = aws.folder / "kubeconfig"
    await aws.text("eks", "update-kubeconfig", "--name", "gatewright", "--kubeconfig", str(path))
    configuration = yaml.safe_load(path.read_text())
    assert [each["cluster"]["server"] for each in configuration["clusters"]] == [CLUSTER_API]
    assert configuration["current-context"] == aws.place.aws.seeded["cluster_arn"]


async def test_lists_in_pages(aws: Cli) -> None:
    vpc = aws.place.aws.seeded["vpc"]
    for number in range(5):
        await aws.place.call(
            "elbv2", "create_target_group", Name=f"paged-{number}", Protocol="TCP", Port=80, VpcId=vpc, TargetType="ip"
        )
    listed = ("elbv2", "describe-target-groups")
    first = await aws(*listed, "--max-items", "3")
    rest = await aws(*listed, "--starting-token", first["NextToken"])
    names = [each["TargetGroupName"] for page in (first, rest) for each in page["TargetGroups"]]
    assert [name for name in names if name.startswith("paged-")] == [f"paged-{number}" for number in range(5)]
    assert "NextToken" not in rest
