"""What a platform's configuration needs beside load balancers: keys, log groups, quotas, buckets, networks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.process import AwsProcess

NETWORK = "10.32.0.0/16"


@pytest.fixture
async def aws() -> AsyncIterator[EmulatedAws]:
    async with EmulatedAws(NETWORK, seed=False, traffic=False) as aws:
        yield aws


async def test_keys(aws: EmulatedAws) -> None:
    kms = aws.client("kms")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    key = kms.create_key(Description="secrets", Policy=json.dumps(policy), Tags=[{"TagKey": "a", "TagValue": "b"}])
    name = key["KeyMetadata"]["KeyId"]
    kms.enable_key_rotation(KeyId=name)
    kms.create_alias(AliasName="alias/secrets", TargetKeyId=name)
    assert kms.get_key_rotation_status(KeyId=name)["KeyRotationEnabled"]
    assert json.loads(kms.get_key_policy(KeyId=name, PolicyName="default")["Policy"]) == policy
    assert kms.describe_key(KeyId="alias/secrets")["KeyMetadata"]["KeyId"] == name
    assert kms.list_resource_tags(KeyId=name)["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    kms.schedule_key_deletion(KeyId=name, PendingWindowInDays=7)
    assert kms.describe_key(KeyId=name)["KeyMetadata"]["KeyState"] == "PendingDeletion"


async def test_policies_of_aws_itself(aws: EmulatedAws) -> None:
    iam = aws.client("iam")
    arn = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
    iam.create_role(RoleName="cluster", AssumeRolePolicyDocument="{}")
    iam.attach_role_policy(RoleName="cluster", PolicyArn=arn)
    attached = iam.list_attached_role_policies(RoleName="cluster")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonEKSClusterPolicy", "PolicyArn": arn}]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert "ec2:DescribeSubnets" in str(document)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.attach_role_policy(RoleName="cluster", PolicyArn=f"{arn}None")
    with pytest.raises(ClientError, match="DeleteConflict"):
        iam.delete_role(RoleName="cluster")
    assert iam.list_policies(Scope="Local")["Policies"] == []


async def test_log_groups(aws: EmulatedAws) -> None:
    logs = aws.client("logs")
    logs.create_log_group(logGroupName="/aws/eks/shop/cluster", tags={"a": "b"})
    logs.put_retention_policy(logGroupName="/aws/eks/shop/cluster", retentionInDays=30)
    [group] = logs.describe_log_groups(logGroupNamePrefix="/aws/eks/shop")["logGroups"]
    assert group["retentionInDays"] == 30
    assert logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"] == {"a": "b"}
    logs.delete_log_group(logGroupName="/aws/eks/shop/cluster")
    assert logs.describe_log_groups()["logGroups"] == []


@pytest.mark.parametrize(
    ("service", "code", "value"),
    [("vpc", "L-F678F1CE", 5), ("ec2", "L-0263D0A3", 5), ("elasticloadbalancing", "L-53DA6B97", 50)],
)
async def test_quotas(aws: EmulatedAws, service: str, code: str, value: float) -> None:
    quotas = aws.client("service-quotas")
    found = quotas.get_service_quota(ServiceCode=service, QuotaCode=code)["Quota"]
    assert (found["Value"], found["ServiceCode"], found["Adjustable"]) == (value, service, True)
    assert found in quotas.list_service_quotas(ServiceCode=service)["Quotas"]
    assert quotas.get_aws_default_service_quota(ServiceCode=service, QuotaCode=code)["Quota"] == found
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        quotas.get_service_quota(ServiceCode=service, QuotaCode="L-00000000")


async def test_networks_go_as_they_came(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.32.0.0/20")["Subnet"]["SubnetId"]
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
    [found] = ec2.describe_nat_gateways(NatGatewayIds=[nat])["NatGateways"]
    assert found["State"] == "available"
    [interface] = ec2.describe_network_interfaces()["NetworkInterfaces"]
    assert interface["SubnetId"] == subnet
    ec2.delete_nat_gateway(NatGatewayId=nat)
    ec2.release_address(AllocationId=address)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    ec2.delete_subnet(SubnetId=subnet)
    ec2.delete_vpc(VpcId=vpc)


async def test_a_process_with_an_empty_account_is_told_of_a_cluster() -> None:
    import asyncio
    import base64

    from gatewright.local.aws.endpoint import Clients

    async with AwsProcess(NETWORK, seed=False, traffic=False) as aws:
        assert aws.seeded == {}
        await aws.offer_cluster("https://127.0.0.1:6443", b"an authority")
        clients = Clients(aws.url)
        ec2, iam, eks = (clients.client(service) for service in ("ec2", "iam", "eks"))

        def make() -> dict[str, object]:
            assert ec2.describe_vpcs()["Vpcs"] == []
            vpc = ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
            subnets = [
                ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
                for cidr, zone in (("10.32.0.0/20", "us-east-1a"), ("10.32.16.0/20", "us-east-1b"))
            ]
            role = iam.create_role(RoleName="cluster", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
            made: dict[str, object] = eks.create_cluster(
                name="shop", roleArn=role, resourcesVpcConfig={"subnetIds": subnets}
            )["cluster"]
            return made

        cluster = await asyncio.to_thread(make)
        assert cluster["endpoint"] == "https://127.0.0.1:6443"
        assert cluster["certificateAuthority"] == {"data": base64.b64encode(b"an authority").decode()}
