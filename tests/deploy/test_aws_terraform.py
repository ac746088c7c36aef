"""The platform's configuration for AWS: applied to an empty emulated account, found unchanged, changed, and removed.

It is the real one but for what version 3.39 of the provider doesn't know (`deploy/local/terraform/provider-3`).
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import base64
import email
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.clients.aws_place import Failed
from tests.deploy.terraform import AWS, REHEARSAL, ROOT, UNCHANGED, Terraform
from tests.deploy.tools import aws_provider, terraform

from gatewright.local.aws.endpoint import ACCOUNT, Clients
from gatewright.local.aws.process import AwsProcess
from gatewright.local.block import Block
from gatewright.platform.outputs import Outputs

AZURE_ALONE = {"resource_group", "application_gateway", "gateway_address", "gateway_subnet"}
ZONES = ["us-east-1a", "us-east-1b"]
API = "https://127.0.0.1:6443"
HOLDINGS = {
    ("acm", "list_certificates"): ("CertificateSummaryList", "CertificateArn"),
    ("ec2", "describe_addresses"): ("Addresses", "AllocationId"),
    ("ec2", "describe_internet_gateways"): ("InternetGateways", "InternetGatewayId"),
    ("ec2", "describe_launch_templates"): ("LaunchTemplates", "LaunchTemplateId"),
    ("ec2", "describe_network_interfaces"): ("NetworkInterfaces", "NetworkInterfaceId"),
    ("ec2", "describe_route_tables"): ("RouteTables", "RouteTableId"),
    ("ec2", "describe_security_groups"): ("SecurityGroups", "GroupId"),
    ("ec2", "describe_subnets"): ("Subnets", "SubnetId"),
    ("ec2", "describe_vpcs"): ("Vpcs", "VpcId"),
    ("eks", "list_clusters"): ("clusters", ""),
    ("elbv2", "describe_load_balancers"): ("LoadBalancers", "LoadBalancerArn"),
    ("elbv2", "describe_target_groups"): ("TargetGroups", "TargetGroupArn"),
    ("iam", "list_roles"): ("Roles", "RoleName"),
    ("kms", "list_aliases"): ("Aliases", "AliasName"),
    ("logs", "describe_log_groups"): ("logGroups", "logGroupName"),
    ("route53", "list_hosted_zones"): ("HostedZones", "Id"),
    ("s3", "list_buckets"): ("Buckets", "Name"),
    ("wafv2", "list_web_acls"): ("WebACLs", "ARN"),
}
"""Calls that list what an account has; the member of the answer, and what each thing in it is called."""


class Account:
    """The emulated account, by boto3."""

    def __init__(self, aws: AwsProcess) -> None:
        self._clients = Clients(aws.url)

    async def __call__(self, service: str, operation: str, **parameters: Any) -> Any:
        return await asyncio.to_thread(getattr(self._clients.client(service), operation), **parameters)

    async def holdings(self) -> dict[str, set[str]]:
        """All that Terraform could have made, by name or ID."""
        found: dict[str, set[str]] = {}
        for (service, operation), (members, name) in HOLDINGS.items():
            scope = {"Scope": "REGIONAL"} if service == "wafv2" else {}
            answer = await self(service, operation, **scope)
            found[members] = {each[name] if name else each for each in answer[members]}
        policies = await self("iam", "list_policies", Scope="Local")
        found["Policies"] = {each["PolicyName"] for each in policies["Policies"]}
        gateways = (await self("ec2", "describe_nat_gateways"))["NatGateways"]
        found["NatGateways"] = {each["NatGatewayId"] for each in gateways if each["State"] != "deleted"}
        return found


@asynccontextmanager
async def empty_account(folder: Path, **variables: Any) -> AsyncIterator[tuple[Account, Terraform]]:
    """An account with nothing in it, and the configuration for it, initialised."""
    program, plugins, block = terraform(), aws_provider(), Block()
    network = IPv4Network("10.0.0.0/16") if block.shared else block.network
    layers = (AWS, REHEARSAL / "common", REHEARSAL / "provider-3")
    try:
        async with AwsProcess(network, pace=50, seed=False) as aws:
            await aws.offer_cluster(API, b"a certificate")
            configuration = Terraform(program, folder, *layers, environment=aws.environment)
            a, b, c, d = (str(network.network_address + offset) for offset in (0, 0x4000, 0x5000, 0x8000))
            (folder / "place.auto.tfvars.json").write_text(
                json.dumps(
                    {
                        "vpc_cidr": str(network),
                        "zones": ZONES,
                        "private_subnet_cidrs": [f"{a}/18", f"{d}/17"],
                        "public_subnet_cidrs": [f"{b}/20", f"{c}/20"],
                        "create_hosted_zone": True,
                        "deletion_protection": False,
                        "force_destroy": True,
                        "rehearsal_endpoint": aws.url,
                        **variables,
                    }
                )
            )
            await configuration("init", f"-plugin-dir={plugins}")
            yield Account(aws), configuration
    finally:
        block.close()


@pytest.mark.e2e
async def test_chained_is_made_found_unchanged_changed_and_removed(tmp_path: Path) -> None:
    async with empty_account(tmp_path / "configuration") as (account, configuration):
        before = await account.holdings()
        await configuration("apply", "-auto-approve")
        await configuration("plan", "-detailed-exitcode", status=UNCHANGED)
        outputs = await said(configuration)
        assert outputs.architecture == "chained"
        await check_network(account, outputs)
        await check_cluster(account, outputs)
        await check_identity(account, outputs, policies={"policy"})
        await check_certificate(account, outputs)
        await check_bucket(account, outputs)
        await check_firewall(account, outputs)
        await check_balancer(account, outputs)
        nodes = await rules(account, await nodes_group(account))
        assert {port for port, *_ in nodes} == {80, 443, 15021}

        configuration.set(backend_protocol="HTTP", web_acl_rate_limit=500)
        await configuration("apply", "-auto-approve")
        await configuration("plan", "-detailed-exitcode", status=UNCHANGED)
        changed = await said(configuration)
        assert (changed.target_group_name, changed.target_group_port) == ("platform-gateway-http", 80)
        assert changed.alb_arn == outputs.alb_arn
        assert await forwards_to(account, changed) == changed.target_group_arn
        groups = (await account("elbv2", "describe_target_groups"))["TargetGroups"]
        assert [each["TargetGroupName"] for each in groups] == ["platform-gateway-http"]

        await configuration("apply", "-destroy", "-auto-approve")
        assert await account.holdings() == before


@pytest.mark.e2e
async def test_direct_is_made_found_unchanged_and_removed(tmp_path: Path) -> None:
    async with empty_account(tmp_path / "configuration", architecture="direct", single_nat_gateway=True) as (
        account,
        configuration,
    ):
        await check_computed_networks(configuration)
        before = await account.holdings()
        await configuration("apply", "-auto-approve")
        await configuration("plan", "-detailed-exitcode", status=UNCHANGED)
        outputs = await said(configuration)
        assert outputs.architecture == "direct"
        absent = (outputs.entry, outputs.alb_arn, outputs.target_group_arn, outputs.target_group_name)
        assert (*absent, outputs.target_group_port) == ("", "", "", "", 0)
        await check_cluster(account, outputs)
        await check_identity(account, outputs, policies={"policy", "dns"})
        await check_certificate(account, outputs)
        await check_bucket(account, outputs)
        await check_firewall(account, outputs)
        assert (await account("elbv2", "describe_load_balancers"))["LoadBalancers"] == []
        assert len((await account.holdings())["NatGateways"]) == 1
        group = outputs.security_group_id
        assert {(port, source) for port, _, source in await rules(account, await nodes_group(account))} == {(0, group)}
        records = await account("route53", "list_resource_record_sets", HostedZoneId=outputs.hosted_zone_id)
        assert {each["Type"] for each in records["ResourceRecordSets"]} == {"NS", "SOA", "CNAME"}

        await configuration("apply", "-destroy", "-auto-approve")
        assert await account.holdings() == before


async def said(configuration: Terraform) -> Outputs:
    """The outputs, which are those that the later steps know of and no others but the zone's name servers."""
    found = await configuration.outputs()
    assert found.keys() - {"name_servers"} == set(Outputs.__struct_fields__) - AZURE_ALONE
    return msgspec.convert(found, Outputs)


async def check_computed_networks(configuration: Terraform) -> None:
    """Without networks of one's own, each zone gets a private and a public one; they don't overlap."""
    for network, zones in (("10.0.0.0/16", []), ("10.1.16.0/20", [f"us-east-1{letter}" for letter in "abcdef"])):
        configuration.set(vpc_cidr=network, zones=zones, public_subnet_cidrs=[], private_subnet_cidrs=[])
        await configuration("plan", "-out=computed")
        planned = json.loads(await configuration("show", "-json", "computed"))
        found = [
            IPv4Network(each["values"]["cidr_block"])
            for module in planned["planned_values"]["root_module"]["child_modules"]
            if module["address"] == "module.network"
            for each in module["resources"]
            if each["type"] == "aws_subnet"
        ]
        assert len(found) == 2 * (len(zones) or 2)
        assert all(each.subnet_of(IPv4Network(network)) for each in found)
        assert not any(one.overlaps(other) for one, other in itertools.combinations(found, 2))
    configuration.set()


async def nodes_group(account: Account) -> str:
    """The security group that EKS has made for the control plane and the nodes."""
    cluster = (await account("eks", "describe_cluster", name="platform"))["cluster"]
    group: str = cluster["resourcesVpcConfig"]["clusterSecurityGroupId"]
    return group


async def rules(account: Account, group: str) -> set[tuple[int, int, str]]:
    """First port, last port and source of what a security group lets in by TCP."""
    [found] = (await account("ec2", "describe_security_groups", GroupIds=[group]))["SecurityGroups"]
    return {
        (each["FromPort"], each["ToPort"], source)
        for each in found["IpPermissions"]
        if each["IpProtocol"] == "tcp"
        for source in [
            *(one["CidrIp"] for one in each["IpRanges"]),
            *(one["GroupId"] for one in each["UserIdGroupPairs"]),
        ]
    }


async def check_network(account: Account, outputs: Outputs) -> None:
    subnets = {
        each["SubnetId"]: each
        for each in (await account("ec2", "describe_subnets"))["Subnets"]
        if each["VpcId"] == outputs.vpc_id
    }
    tables = (await account("ec2", "describe_route_tables"))["RouteTables"]
    ways: dict[str, dict[str, Any]] = {
        association["SubnetId"]: route
        for table in tables
        for association in table["Associations"]
        if "SubnetId" in association
        for route in table["Routes"]
        if route.get("DestinationCidrBlock") == "0.0.0.0/0"
    }
    for ids, role in ((outputs.public_subnet_ids, "elb"), (outputs.private_subnet_ids, "internal-elb")):
        assert [subnets[each]["AvailabilityZone"] for each in ids] == ZONES
        for each in ids:
            tags = {tag["Key"]: tag["Value"] for tag in subnets[each]["Tags"]}
            assert tags[f"kubernetes.io/role/{role}"] == "1"
            assert tags["kubernetes.io/cluster/platform"] == "shared"
            assert tags["gatewright.dev/platform"] == "platform"
    assert {subnets[each]["CidrBlock"] for each in outputs.public_subnet_ids} == set(outputs.public_subnet_cidrs)
    assert all(ways[each]["GatewayId"].startswith("igw-") for each in outputs.public_subnet_ids)
    assert len({ways[each]["NatGatewayId"] for each in outputs.private_subnet_ids}) == len(ZONES)
    [flows] = (await account("ec2", "describe_flow_logs"))["FlowLogs"]
    assert (flows["ResourceId"], flows["TrafficType"]) == (outputs.vpc_id, "REJECT")
    assert outputs.access_log_bucket in flows["LogDestination"]
    groups = (await account("ec2", "describe_security_groups"))["SecurityGroups"]
    [default] = [each for each in groups if each["VpcId"] == outputs.vpc_id and each["GroupName"] == "default"]
    assert (default["IpPermissions"], default["IpPermissionsEgress"]) == ([], [])


async def check_cluster(account: Account, outputs: Outputs) -> None:
    assert (outputs.cluster_name, outputs.cluster_endpoint) == ("platform", API)
    assert outputs.cluster_certificate_authority
    cluster = (await account("eks", "describe_cluster", name="platform"))["cluster"]
    assert cluster["encryptionConfig"][0]["resources"] == ["secrets"]
    [kinds] = [each["types"] for each in cluster["logging"]["clusterLogging"] if each["enabled"]]
    assert set(kinds) == {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert cluster["resourcesVpcConfig"]["endpointPrivateAccess"]
    addons = (await account("eks", "list_addons", clusterName="platform"))["addons"]
    assert set(addons) == {"coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"}
    for name in ("system", "user"):
        group = (await account("eks", "describe_nodegroup", clusterName="platform", nodegroupName=name))["nodegroup"]
        assert group["labels"] == {"role": name}
        assert set(group["subnets"]) == set(outputs.private_subnet_ids)
        template = await account(
            "ec2",
            "describe_launch_template_versions",
            LaunchTemplateId=group["launchTemplate"]["id"],
            Versions=[group["launchTemplate"]["version"]],
        )
        data = template["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
        taint = {"effect": "NoSchedule", "key": "CriticalAddonsOnly", "value": "true"}
        assert taints(data.get("UserData", "")) == ([taint] if name == "system" else [])


def taints(user_data: str) -> list[dict[str, str]]:
    """With what nodes register themselves, by the NodeConfig in their user data."""
    message = email.message_from_bytes(base64.b64decode(user_data))
    parts = [part for part in message.walk() if part.get_content_type() == "application/node.eks.aws"]
    configurations = [yaml.safe_load(str(part.get_payload())) for part in parts]
    return [taint for each in configurations for taint in each["spec"]["kubelet"]["config"]["registerWithTaints"]]


async def check_identity(account: Account, outputs: Outputs, *, policies: set[str]) -> None:
    """The role is for the controller's pods, and may do what the project's policies say, for this cluster alone."""
    name = outputs.controller_role_arn.rpartition("/")[2]
    role = (await account("iam", "get_role", RoleName=name))["Role"]
    [statement] = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    attached = (await account("iam", "list_attached_role_policies", RoleName=name))["AttachedPolicies"]
    assert {each["PolicyName"] for each in attached} == {f"platform-gatewright-{each}" for each in policies}
    for each in attached:
        found = await account("iam", "get_policy_version", PolicyArn=each["PolicyArn"], VersionId="v1")
        source = (ROOT / "config/iam" / f"{each['PolicyName'].rpartition('-')[2]}.json").read_text()
        document = found["PolicyVersion"]["Document"]
        assert document == json.loads(source.replace("CLUSTER_NAME", "platform"))
        assert len(json.dumps(document, separators=(",", ":"))) < 6144  # a managed policy's length


async def check_certificate(account: Account, outputs: Outputs) -> None:
    found = (await account("acm", "describe_certificate", CertificateArn=outputs.certificate_arn))["Certificate"]
    assert found["Status"] == "ISSUED"
    assert outputs.hostnames == ("platform.example.com", "*.platform.example.com")
    assert set(found["SubjectAlternativeNames"]) == set(outputs.hostnames)


async def check_bucket(account: Account, outputs: Outputs) -> None:
    """Nobody but load balancers of this account may write to it, nothing in it is public or kept for ever."""
    bucket = {"Bucket": outputs.access_log_bucket}
    assert bucket["Bucket"] == f"platform-{ACCOUNT}-us-east-1-access-logs"
    policy = json.loads((await account("s3", "get_bucket_policy", **bucket))["Policy"])
    balancers, refused, owner, clear = policy["Statement"]
    assert balancers["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert balancers["Resource"].endswith(f"/alb/AWSLogs/{ACCOUNT}/*")
    assert refused["Principal"] == owner["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
    assert refused["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
    assert (clear["Effect"], clear["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    block = (await account("s3", "get_public_access_block", **bucket))["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    encryption = (await account("s3", "get_bucket_encryption", **bucket))["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert (await account("s3", "get_bucket_versioning", **bucket))["Status"] == "Enabled"
    [rule] = (await account("s3", "get_bucket_lifecycle_configuration", **bucket))["Rules"]
    assert rule["Expiration"]["Days"] == 90


async def check_firewall(account: Account, outputs: Outputs) -> None:
    acls = (await account("wafv2", "list_web_acls", Scope="REGIONAL"))["WebACLs"]
    [found] = [each for each in acls if each["ARN"] == outputs.web_acl_arn]
    acl = (await account("wafv2", "get_web_acl", Scope="REGIONAL", Name=found["Name"], Id=found["Id"]))["WebACL"]
    assert [rule["Name"] for rule in sorted(acl["Rules"], key=lambda each: each["Priority"])] == [
        "rate-limit",
        "AWSManagedRulesAmazonIpReputationList",
        "AWSManagedRulesCommonRuleSet",
        "AWSManagedRulesKnownBadInputsRuleSet",
    ]


async def check_balancer(account: Account, outputs: Outputs) -> None:
    [balancer] = (await account("elbv2", "describe_load_balancers"))["LoadBalancers"]
    assert (balancer["DNSName"], balancer["Scheme"]) == (outputs.entry, "internet-facing")
    assert {each["SubnetId"] for each in balancer["AvailabilityZones"]} == set(outputs.public_subnet_ids)
    assert balancer["SecurityGroups"] == [outputs.security_group_id]
    described = await account("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=outputs.alb_arn)
    attributes = {each["Key"]: each["Value"] for each in described["Attributes"]}
    assert attributes["access_logs.s3.enabled"] == "true"
    assert attributes["access_logs.s3.bucket"] == outputs.access_log_bucket
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    associated = await account("wafv2", "get_web_acl_for_resource", ResourceArn=outputs.alb_arn)
    assert associated["WebACL"]["ARN"] == outputs.web_acl_arn

    found = (await account("elbv2", "describe_listeners", LoadBalancerArn=outputs.alb_arn))["Listeners"]
    plain, secure = sorted(found, key=lambda each: int(each["Port"]))
    redirect = plain["DefaultActions"][0]["RedirectConfig"]
    assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", "443", "HTTP_301")
    assert secure["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2-")
    assert secure["Certificates"][0]["CertificateArn"] == outputs.certificate_arn
    assert await forwards_to(account, outputs) == outputs.target_group_arn

    [group] = (await account("elbv2", "describe_target_groups"))["TargetGroups"]
    assert (group["TargetGroupName"], group["TargetType"]) == (outputs.target_group_name, "ip")
    assert (group["Protocol"], group["Port"]) == ("HTTPS", outputs.target_group_port)
    assert (group["HealthCheckProtocol"], group["HealthCheckPath"]) == ("HTTPS", "/healthz/ready")
    [tagged] = (await account("elbv2", "describe_tags", ResourceArns=[group["TargetGroupArn"]]))["TagDescriptions"]
    assert {"Key": "gatewright.dev/namespaces", "Value": "edge"} in tagged["Tags"]

    inside = await rules(account, outputs.security_group_id)
    assert inside == {(80, 80, "0.0.0.0/0"), (443, 443, "0.0.0.0/0")}
    [guard] = (await account("ec2", "describe_security_groups", GroupIds=[outputs.security_group_id]))["SecurityGroups"]
    assert [each["IpRanges"][0]["CidrIp"] for each in guard["IpPermissionsEgress"]] == [outputs.vpc_cidr]

    records = await account("route53", "list_resource_record_sets", HostedZoneId=outputs.hosted_zone_id)
    leads = {
        each["Name"].replace("\\052", "*").rstrip("."): each["AliasTarget"]["DNSName"].rstrip(".")
        for each in records["ResourceRecordSets"]
        if "AliasTarget" in each
    }
    assert leads.keys() == set(outputs.hostnames)
    assert {each.removeprefix("dualstack.") for each in leads.values()} == {outputs.entry}


async def forwards_to(account: Account, outputs: Outputs) -> str:
    """The target group of the HTTPS listener."""
    found = (await account("elbv2", "describe_listeners", LoadBalancerArn=outputs.alb_arn))["Listeners"]
    [action] = [each["DefaultActions"][0] for each in found if each["Port"] == 443]
    group: str = action["TargetGroupArn"]
    return group


async def test_what_terraform_has_is_formatted() -> None:
    for folder in (AWS, REHEARSAL):
        printed = await Terraform(terraform(), folder)("fmt", "-check", "-recursive")
        assert printed == ""


WRONG = {
    "name": ["Platform", "a-name-that-is-too-long", "1st", "ends-", "two--hyphens"],
    "region": ["frankfurt"],
    "architecture": ["istio"],
    "vpc_cidr": ["10.0.0.0/24", "10.0.0.1/16", "vpc"],
    "zones": ['["eu-central-1a"]', '["eu-central-1a","eu-central-1a"]'],
    "public_subnet_cidrs": ['["10.0.0.0/24"]'],
    "private_subnet_cidrs": ['["10.0.0.0/24"]'],
    "kubernetes_version": ["1.20", "1.35.1"],
    "cluster_public_access_cidrs": ['["anywhere"]'],
    "cluster_admins": ['["me"]'],
    "system_nodes": ['{"instance_types":["m7i.large"],"min":3,"max":2,"desired":3}'],
    "user_nodes": ['{"instance_types":[],"min":1,"max":2,"desired":1}'],
    "domain": ["localhost", "Platform.Example.com", "*.example.com"],
    "hosted_zone_id": ["/hostedzone/Z123"],
    "certificate_arn": ["a certificate", ""],
    "ingress_cidrs": ["[]"],
    "backend_protocol": ["https"],
    "ssl_policy": ["ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-TLS13-1-0-2021-06"],
    "access_log_retention_days": ["0"],
    "web_acl_rate_limit": ["1"],
}
RIGHT = {"certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}


async def test_wrong_values_are_refused_by_the_names_of_their_variables(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text((AWS / "variables.tf").read_text())
    configuration = Terraform(terraform(), tmp_path)
    configuration.set(**RIGHT)
    await configuration("plan")

    async def refused(name: str, value: str) -> None:
        with pytest.raises(Failed) as failure:
            await configuration("plan", "-lock=false", f"-var={name}={value}")
        assert "Invalid value for variable" in str(failure.value), (name, value)
        assert re.search(rf"on variables.tf line \d+:\s+\d+: variable \"{name}\"", str(failure.value)), (name, value)

    for name, values in WRONG.items():
        for value in values:
            await refused(name, value)


async def test_the_example_is_right(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text((AWS / "variables.tf").read_text())
    (tmp_path / "terraform.tfvars").write_text((AWS / "terraform.tfvars.example").read_text())
    await Terraform(terraform(), tmp_path)("plan")


def test_variables_and_outputs_are_described() -> None:
    for path in sorted(AWS.rglob("*.tf")):
        for kind, name, body in re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            assert re.search(r'^  description += ".{5,}"$', body, re.M), (path, name)
            assert kind == "output" or re.search(r"^  type +=", body, re.M), (path, name)


def test_every_variable_with_a_range_is_checked() -> None:
    """Those that take any value of their type are free text, or yes and no."""
    text = (AWS / "variables.tf").read_text()
    blocks = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S))
    unchecked = {name for name, body in blocks.items() if "validation {" not in body}
    assert unchecked == {"tags", "deletion_protection", "force_destroy", "single_nat_gateway", "create_hosted_zone"}
    assert WRONG.keys() == blocks.keys() - unchecked


@pytest.mark.parametrize("name", ["policy", "dns"])
def test_the_controller_gets_the_policies_of_the_project(name: str) -> None:
    ours = AWS / "modules/identity/policies" / f"{name}.json"
    assert json.loads(ours.read_text()) == json.loads((ROOT / f"config/iam/{name}.json").read_text())


def test_what_the_old_provider_needs_takes_the_place_of_something() -> None:
    """A file of the rehearsal that replaces none would add to the configuration instead of standing in for it."""
    declared = re.compile(r'^resource "(\w+)" "(\w+)"', re.M)
    for layer in ("common", "provider-3"):
        for path in (REHEARSAL / layer).rglob("*.tf"):
            if path.name.endswith("_override.tf") or path.name == "rehearsal.tf":
                continue
            replaced = AWS / path.relative_to(REHEARSAL / layer)
            assert replaced.is_file(), path
            assert set(declared.findall(path.read_text())) <= set(declared.findall(replaced.read_text())), path
