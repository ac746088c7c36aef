"""What has to be there before anything is made: all that is missing is told at once, each with what to do."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatewright.aws.client import Aws
from gatewright.local.aws.process import AwsProcess
from gatewright.platform import awsaccount, azureaccount
from gatewright.platform.errors import PlatformError
from gatewright.platform.prerequisites import Missing, check, repository_there, tools_there, writable
from gatewright.platform.targets import Settings, Target

AWS = Settings(target=Target.AWS, region="us-east-1", repository="x")
AZURE = Settings(target=Target.AZURE, region="westeurope", repository="x")


def program(folder: Path, name: str, text: str) -> None:
    """A program that prints a text."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n")
    (folder / name).chmod(0o755)


VERSIONS = {
    "terraform": '{"terraform_version": "1.15.0"}',
    "kubectl": '{"clientVersion": {"gitVersion": "v1.36.0"}}',
    "helm": "v4.1.0",
    "aws": "aws-cli/2.40.0 Python/3.13",
    "az": '{"azure-cli": "2.90.0"}',
    "git": "git version 2.50.0",
}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own with all tools on it, and no place beside."""
    folder = tmp_path / "bin"
    for name, text in VERSIONS.items():
        program(folder, name, text)
    program(folder, "cat", "")
    (folder / "cat").unlink()
    (folder / "cat").symlink_to("/bin/cat")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "nowhere"))
    return folder


async def test_all_that_is_missing_is_told_at_once() -> None:
    async def none() -> Sequence[Missing]:
        return []

    async def two() -> Sequence[Missing]:
        return [Missing("no a", "get a"), Missing("no b", "")]

    async def fails() -> Sequence[Missing]:
        raise PlatformError("can't look", "look")

    await check([none])
    with pytest.raises(PlatformError, match=r"3 things are missing:\n  - no a; get a\n  - no b\n  - can't look; look"):
        await check([none, two, fails])
    with pytest.raises(PlatformError, match=r"^can't look; look$"):
        await check([fails])


@pytest.mark.parametrize("target", list(Target))
async def test_tools_that_are_there_are_no_problem(path: Path, target: Target) -> None:
    assert await tools_there(target) == []


async def test_tools_that_are_missing_or_too_old_or_broken_are_told(path: Path) -> None:
    (path / "kubectl").unlink()
    program(path, "terraform", '{"terraform_version": "1.2.3"}')
    program(path, "aws", "no idea")
    found = [str(each) for each in await tools_there(Target.AWS)]
    assert found[0] == "terraform is of version 1.2.3; install terraform 1.9.0 or newer"
    assert found[1].startswith("kubectl isn't there; it is needed to build manifests")
    assert "asked for its version it says no idea" in found[2]
    assert len(found) == 3


def git(*arguments: str, folder: Path) -> None:
    options = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *options, *arguments], cwd=folder, check=True, capture_output=True)


async def test_the_repository_has_to_be_readable_and_to_have_the_overlay(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    overlay = repository / "deploy/gitops/overlays/aws-chained"
    overlay.mkdir(parents=True)
    (repository / "readme").write_text("x")
    git("init", folder=repository)
    git("add", ".", folder=repository)
    git("commit", "-m", "empty", folder=repository)
    git("tag", "empty", folder=repository)
    (overlay / "kustomization.yaml").write_text("resources: []")
    git("add", ".", folder=repository)
    git("commit", "-m", "overlay", folder=repository)
    settings = msgspec.structs.replace(AWS, repository=f"file://{repository}")
    assert await repository_there(settings) == []
    [missing] = await repository_there(msgspec.structs.replace(settings, revision="empty"))
    assert "at empty has no deploy/gitops/overlays/aws-chained/kustomization.yaml" in missing.what
    [missing] = await repository_there(msgspec.structs.replace(settings, revision="none"))
    assert "at none can't be read" in missing.what
    [missing] = await repository_there(msgspec.structs.replace(settings, repository=f"file://{tmp_path}/none"))
    assert "--repository" in missing.remedy


def test_a_workspace_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    assert writable(tmp_path / "new") == []
    (tmp_path / "file").write_text("")
    [missing] = writable(tmp_path / "file")
    assert "--dir" in missing.remedy


async def account(aws: Aws, settings: Settings = AWS, *, begun: bool = False) -> list[str]:
    return [str(each) for each in await awsaccount.ready(aws, settings, begun=begun)]


def client(process: AwsProcess, service: str) -> Any:
    from gatewright.local.aws.endpoint import Clients

    return Clients(process.url).client(service)


async def test_an_account_has_to_know_the_region_and_the_zone_and_to_have_room() -> None:
    async with (
        AwsProcess(IPv4Network("10.0.0.0/16"), seed=False) as emulated,
        Aws(region="us-east-1", endpoint_url=emulated.url, credentials=("test", "test")) as aws,
    ):
        assert await account(aws) == []
        [told] = await account(aws, msgspec.structs.replace(AWS, region="eu-nowhere-1"))
        assert "eu-nowhere-1 isn't one of AWS's regions" in told
        await check_zone(aws, await asyncio.to_thread(zone_of, emulated))
        await asyncio.to_thread(fill, emulated)
        name, quota = await account(aws)
        assert "us-east-1 has an EKS cluster platform already" in name
        assert quota.startswith("quota VPCs: 5 of 5 are used, and the platform takes 1")
        assert "--service-code vpc --quota-code L-F678F1CE" in quota
        assert await account(aws, begun=True) == []  # it is the platform itself that takes them


def zone_of(emulated: AwsProcess) -> str:
    zone = client(emulated, "route53").create_hosted_zone(Name="example.com", CallerReference="1")
    return str(zone["HostedZone"]["Id"].split("/")[-1])


async def check_zone(aws: Aws, zone: str) -> None:
    settings = msgspec.structs.replace(AWS, variables={"hosted_zone_id": zone})
    assert await account(aws, settings) == []
    [told] = await account(aws, msgspec.structs.replace(settings, domain="platform.example.org"))
    assert "is of example.com, which doesn't have platform.example.org" in told
    [told] = await account(aws, msgspec.structs.replace(settings, variables={"hosted_zone_id": "Z0NONE"}))
    assert "hosted zone Z0NONE isn't there" in told


def fill(emulated: AwsProcess) -> None:
    """All VPCs that there may be, and a cluster of the platform's name."""
    ec2, eks = client(emulated, "ec2"), client(emulated, "eks")
    for number in range(5 - len(ec2.describe_vpcs()["Vpcs"])):
        vpc = ec2.create_vpc(CidrBlock=f"10.{number + 1}.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{number + 1}.{at}.0/24", AvailabilityZone=f"us-east-1{zone}")
        for at, zone in enumerate("ab")
    ]
    trust = {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = client(emulated, "iam").create_role(RoleName="eks", AssumeRolePolicyDocument=document)
    eks.create_cluster(
        name="platform",
        roleArn=role["Role"]["Arn"],
        resourcesVpcConfig={"subnetIds": [subnet["Subnet"]["SubnetId"] for subnet in subnets]},
    )


async def test_credentials_that_do_not_work_are_told_first() -> None:
    async with Aws(region="us-east-1", endpoint_url="http://127.0.0.1:1", credentials=("x", "y")) as aws:
        [told] = await awsaccount.ready(aws, AWS, begun=False)
    assert told.what.startswith("AWS takes no credentials: EndpointConnectionError")
    assert "aws sso login" in told.remedy


def test_a_certificate_has_to_come_from_somewhere() -> None:
    [told] = awsaccount.certificate_known(AWS, files=False)
    assert "hosted_zone_id" in told.remedy
    assert awsaccount.certificate_known(AWS, files=True) == []
    named = msgspec.structs.replace(AWS, variables={"create_hosted_zone": True})
    assert awsaccount.certificate_known(named, files=False) == []


AZ = """#!/bin/sh
place="{folder}/$1 $2"
[ -f "$place" ] || {{ echo "Please run 'az login'" >&2; exit 1; }}
cat "$place"
"""


def az(path: Path, **answers: Any) -> None:
    """`az`, with an answer to each of its commands."""
    found = {
        "account show": {"name": "Sandbox", "state": "Enabled"},
        "account list-locations": [{"name": "westeurope"}],
        "provider list": [{"name": name, "state": "Registered"} for name in azureaccount.PROVIDERS],
        "group exists": answers.get("taken", False),
        "vm list-usage": [{"name": {"value": "cores"}, "currentValue": answers.get("used", 0), "limit": "20"}],
    }
    if "providers" in answers:
        found["provider list"] = answers["providers"]
    for name, answer in found.items():
        (path / name).write_text(json.dumps(answer))
    (path / "az").write_text(AZ.format(folder=path))
    (path / "az").chmod(0o755)


async def test_a_subscription_that_takes_a_platform(path: Path) -> None:
    az(path)
    assert await azureaccount.ready(AZURE, begun=False) == []


async def test_what_a_subscription_lacks_is_told(path: Path) -> None:
    az(path, taken=True, used=12, providers=[{"name": "Microsoft.Network", "state": "Registered"}])
    found = [str(each) for each in await azureaccount.ready(AZURE, begun=False)]
    assert "resource provider Microsoft.ContainerService is unknown" in found[0]
    assert "az provider register -n Microsoft.ContainerService --wait" in found[0]
    assert any("a resource group platform already" in each for each in found)
    assert any("8 are free, and the platform takes 12" in each for each in found)
    found = [str(each) for each in await azureaccount.ready(AZURE, begun=True)]
    assert all(each.startswith("resource provider") for each in found)
    elsewhere = msgspec.structs.replace(AZURE, region="moon")
    assert any("moon is no location" in str(each) for each in await azureaccount.ready(elsewhere, begun=True))


async def test_who_is_not_logged_in_is_told_so(path: Path) -> None:
    az(path)
    (path / "account show").unlink()
    [told] = await azureaccount.ready(AZURE, begun=False)
    assert "Please run 'az login'" in told.what
