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


async def test_what_takes_several_lines_keeps_its_remedy_apart() -> None:
    async def two() -> Sequence[Missing]:
        return [Missing("no a:\nlook", "get a"), Missing("no b", "get b")]

    with pytest.raises(PlatformError, match=r"missing:\n  - no a:\n    look\n    get a\n  - no b; get b$"):
        await check([two])


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


def test_a_workspace_that_can_not_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert writable(tmp_path / "new") == []
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("gatewright.platform.prerequisites._ROOM", 2**80)
    [missing] = writable(tmp_path / "new")
    assert f"{tmp_path}/new has room for" in missing.what
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


async def test_nodes_need_types_that_the_region_has_and_room_among_its_processors() -> None:
    async with (
        AwsProcess(IPv4Network("10.0.0.0/16"), seed=False) as emulated,
        Aws(region="us-east-1", endpoint_url=emulated.url, credentials=("test", "test")) as aws,
    ):
        nodes = {"instance_types": ["m7i.4xlarge"], "min": 1, "max": 5, "desired": 5}
        [told] = await account(aws, msgspec.structs.replace(AWS, variables={"user_nodes": nodes}))
        assert "quota vCPUs of instances: 0 of 64 are used, and the platform takes 84" in told
        assert "--service-code ec2 --quota-code L-1216C47A" in told
        none = {**nodes, "instance_types": ["m99.large"]}
        [told] = await account(aws, msgspec.structs.replace(AWS, variables={"system_nodes": none}))
        assert "us-east-1 has no instances of type m99.large" in told


def test_what_aws_is_asked_for_is_what_the_configuration_makes() -> None:
    text = (Path(__file__).parents[2] / "deploy/aws/terraform/variables.tf").read_text()
    for pool, count in awsaccount.POOLS.items():
        block = text.split(f'variable "{pool}"')[1].split("validation")[0]
        assert f'instance_types = ["{awsaccount.INSTANCE_TYPE}"]' in block
        assert f"desired = {count} " in block


@pytest.mark.parametrize(
    ("caller", "admin", "told"),
    [
        ("assumed-role/platform-team/alice", "role/platform-team", True),
        (
            "assumed-role/AWSReservedSSO_Admin_1/alice",
            "role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1",
            True,
        ),
        ("user/people/alice", "user/people/alice", True),
        ("assumed-role/deployer/ci", "role/platform-team", False),
        ("user/alice", "role/alice", False),
    ],
)
def test_who_makes_the_cluster_needs_no_access_entry(caller: str, admin: str, *, told: bool) -> None:
    arn = f"arn:aws:{'sts' if 'assumed' in caller else 'iam'}::111122223333:{caller}"
    admins = msgspec.structs.replace(AWS, variables={"cluster_admins": [f"arn:aws:iam::111122223333:{admin}"]})
    assert bool(awsaccount._admins(arn, admins)) is told


async def test_what_an_earlier_cluster_has_left_is_told() -> None:
    async with (
        AwsProcess(IPv4Network("10.0.0.0/16"), seed=False) as emulated,
        Aws(region="us-east-1", endpoint_url=emulated.url, credentials=("test", "test")) as aws,
    ):
        logs = await asyncio.to_thread(client, emulated, "logs")
        await asyncio.to_thread(logs.create_log_group, logGroupName="/aws/eks/platform/cluster-of-others")
        assert await account(aws) == []
        await asyncio.to_thread(logs.create_log_group, logGroupName="/aws/eks/platform/cluster")
        [told] = await account(aws)
        assert "aws logs delete-log-group --region us-east-1 --log-group-name /aws/eks/platform/cluster" in told


def zone_of(emulated: AwsProcess) -> str:
    zone = client(emulated, "route53").create_hosted_zone(Name="example.com", CallerReference="1")
    return str(zone["HostedZone"]["Id"].split("/")[-1])


async def check_zone(aws: Aws, zone: str) -> None:
    settings = msgspec.structs.replace(AWS, variables={"hosted_zone_id": zone})
    assert await account(aws, settings) == []
    [told] = await account(aws, msgspec.structs.replace(settings, domain="platform.example.org"))
    assert "is of example.com, which doesn't have platform.example.org" in told
    vpc = (await aws.call("ec2", "describe_vpcs"))["Vpcs"] or [
        (await aws.call("ec2", "create_vpc", CidrBlock="10.9.0.0/16"))["Vpc"]
    ]
    private = await aws.call(
        "route53",
        "create_hosted_zone",
        Name="example.com",
        CallerReference="2",
        VPC={"VPCRegion": "us-east-1", "VPCId": vpc[0]["VpcId"]},
        HostedZoneConfig={"PrivateZone": True},
    )
    inner = private["HostedZone"]["Id"].split("/")[-1]
    [told] = await account(aws, msgspec.structs.replace(AWS, variables={"hosted_zone_id": inner}))
    assert "is private, and clients and ACM look names up in public ones" in told
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
echo "$*" >> "{folder}/asked"
[ -f "$place" ] || {{ echo "Please run 'az login'" >&2; exit 1; }}
cat "$place"
"""
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


def sku(name: str = "Standard_D4ds_v5", *, cores: int = 4, zones: str = "123", refused: str = "") -> dict[str, Any]:
    """A size of virtual machines, as `az vm list-skus` has it."""
    restriction = {
        "type": "Zone",
        "reasonCode": "NotAvailableForSubscription",
        "restrictionInfo": {"zones": [*refused]},
    }
    return {
        "name": name,
        "family": "standardDDSv5Family",
        "locationInfo": [{"location": "westeurope", "zones": [*zones]}],
        "restrictions": [restriction] if refused else [],
        "capabilities": [{"name": "vCPUs", "value": str(cores)}, {"name": "EphemeralOSDiskSupported", "value": "True"}],
    }


def usage(name: str, used: int, limit: int) -> dict[str, Any]:
    return {"name": {"value": name, "localizedValue": name}, "currentValue": str(used), "limit": str(limit)}


def az(path: Path, **answers: Any) -> None:
    """`az`, with an answer to each of its commands."""
    states = [{"name": name, "state": "Registered"} for name in azureaccount.PROVIDERS if name != "Microsoft.Insights"]
    found = {
        "account show": {"id": SUBSCRIPTION, "name": "Sandbox", "state": "Enabled"},
        "account list-locations": [{"name": "westeurope"}],
        "provider list": answers.get("providers", [*states, {"name": "microsoft.insights", "state": "Registered"}]),
        "group exists": answers.get("taken", False),
        "vm list-usage": answers.get("usage", [usage("cores", 0, 100), usage("standardDDSv5Family", 0, 20)]),
        "vm list-skus": answers.get("skus", [sku()]),
    }
    for name, answer in found.items():
        (path / name).write_text(json.dumps(answer))
    (path / "az").write_text(AZ.format(folder=path))
    (path / "az").chmod(0o755)


async def subscription(settings: Settings = AZURE, *, begun: bool = False) -> list[str]:
    return [str(each) for each in await azureaccount.ready(settings, SUBSCRIPTION, begun=begun)]


async def test_a_subscription_that_takes_a_platform_is_the_one_that_is_asked(path: Path) -> None:
    az(path)
    assert await subscription() == []
    asked = (path / "asked").read_text().splitlines()
    assert all(f"--subscription {SUBSCRIPTION} " in each for each in asked), asked


async def test_what_a_subscription_lacks_is_told(path: Path) -> None:
    az(path, taken=True, providers=[{"name": "Microsoft.Network", "state": "Registered"}])
    found = await subscription()
    assert "resource provider Microsoft.ContainerService is unknown" in found[0]
    assert "az provider register -n Microsoft.ContainerService --wait" in found[0]
    assert any("a resource group platform already" in each for each in found)
    assert all(each.startswith("resource provider") for each in await subscription(begun=True))
    [elsewhere] = await subscription(msgspec.structs.replace(AZURE, region="moon"))
    assert "moon is no location" in elsewhere


async def test_nodes_need_room_in_both_quotas_and_a_size_that_all_zones_offer(path: Path) -> None:
    az(path, usage=[usage("cores", 95, 100), usage("standardDDSv5Family", 0, 10), usage("other", 5, 5)])
    total, family = await subscription()
    assert "quota of cores in westeurope: 5 are free, and the platform takes 20" in total
    assert "quota of standardDDSv5Family in westeurope: 10 are free, and the platform takes 20" in family
    small = {"system_nodes": {"min": 2, "vm_size": "Standard_D2ds_v5"}, "user_nodes": {"min": 1}}
    az(path, skus=[sku(), sku("Standard_D2ds_v5", cores=2)], usage=[usage("cores", 0, 8)])
    assert await subscription(msgspec.structs.replace(AZURE, variables=small)) == []

    az(path, skus=[sku("Standard_D4ds_v5_other")])
    [absent] = await subscription()
    assert "westeurope doesn't offer Standard_D4ds_v5 to this subscription" in absent
    az(path, skus=[sku(refused="3")])
    [third] = await subscription()
    assert "in zone 3; give --var 'zones=[...]' with two or more of 1, 2" in third
    assert await subscription(msgspec.structs.replace(AZURE, variables={"zones": ["1", "2"]})) == []
    az(path, skus=[sku(zones="")])
    [none] = await subscription()
    assert "in zone 1, 2, 3" in none


def test_what_azure_is_asked_for_is_what_the_configuration_makes() -> None:
    text = (Path(__file__).parents[2] / "deploy/azure/terraform/variables.tf").read_text()
    for pool, least in azureaccount.POOLS.items():
        block = text.split(f'variable "{pool}"')[1].split("default")[0]
        assert f'optional(string, "{azureaccount.SIZE}")' in block
        assert f"min     = optional(number, {least})" in block
    assert f"default     = {json.dumps(list(azureaccount.ZONES))}" in text


async def test_who_is_not_logged_in_is_told_so(path: Path) -> None:
    az(path)
    (path / "account show").unlink()
    [told] = await subscription()
    assert "Please run 'az login'" in told


async def test_which_subscription_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az(path)
    monkeypatch.delenv("ARM_SUBSCRIPTION_ID", raising=False)
    assert await azureaccount.subscription_id() == SUBSCRIPTION
    assert await azureaccount.subscription_id("known") == "known"
    monkeypatch.setenv("ARM_SUBSCRIPTION_ID", "named")
    assert await azureaccount.subscription_id("known") == "named"


def test_a_cluster_that_asks_entra_id_needs_kubelogin(path: Path, tmp_path: Path) -> None:
    group = msgspec.structs.replace(AZURE, variables={"cluster_admin_group_ids": ["x"]})
    file = tmp_path / "a.auto.tfvars"
    file.write_text('cluster_admin_group_ids = ["x"]')
    assert azureaccount.login_there(AZURE, []) == []
    assert len(azureaccount.login_there(group, [])) == len(azureaccount.login_there(AZURE, [file])) == 1
    program(path, "kubelogin", "v0.2.0")
    assert azureaccount.login_there(group, [file]) == []
