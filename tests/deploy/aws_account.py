"""What is in an emulated account after the platform's configuration for AWS was applied to it, by boto3."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import base64
import email
import json
from typing import Any

import yaml
from tests.deploy.terraform import ROOT

from gatewright.local.aws.endpoint import ACCOUNT, Clients
from gatewright.platform.outputs import Outputs

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

    def __init__(self, url: str) -> None:
        self._clients = Clients(url)

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


async def check_network(account: Account, outputs: Outputs, zones: list[str]) -> None:
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
        assert [subnets[each]["AvailabilityZone"] for each in ids] == zones
        for each in ids:
            tags = {tag["Key"]: tag["Value"] for tag in subnets[each]["Tags"]}
            assert tags[f"kubernetes.io/role/{role}"] == "1"
            assert tags["kubernetes.io/cluster/platform"] == "shared"
            assert tags["gatewright.dev/platform"] == "platform"
    assert {subnets[each]["CidrBlock"] for each in outputs.public_subnet_ids} == set(outputs.public_subnet_cidrs)
    assert all(ways[each]["GatewayId"].startswith("igw-") for each in outputs.public_subnet_ids)
    assert len({ways[each]["NatGatewayId"] for each in outputs.private_subnet_ids}) == len(zones)
    [flows] = (await account("ec2", "describe_flow_logs"))["FlowLogs"]
    assert (flows["ResourceId"], flows["TrafficType"]) == (outputs.vpc_id, "REJECT")
    assert outputs.access_log_bucket in flows["LogDestination"]
    groups = (await account("ec2", "describe_security_groups"))["SecurityGroups"]
    [default] = [each for each in groups if each["VpcId"] == outputs.vpc_id and each["GroupName"] == "default"]
    assert (default["IpPermissions"], default["IpPermissionsEgress"]) == ([], [])


async def check_cluster(account: Account, outputs: Outputs, endpoint: str) -> None:
    assert (outputs.cluster_name, outputs.cluster_endpoint) == ("platform", endpoint)
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
    # As AWS writes them itself for a flow log (VPC user guide, "Amazon S3 bucket permissions for flow logs").
    assert (refused["Sid"], owner["Sid"]) == ("AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck")
    for each in (refused, owner):
        assert each["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT
        assert each["Condition"]["ArnLike"] == {"aws:SourceArn": f"arn:aws:logs:us-east-1:{ACCOUNT}:*"}
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
    found = await account("elbv2", "describe_load_balancers", LoadBalancerArns=[outputs.alb_arn])
    [balancer] = found["LoadBalancers"]
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

    [group] = (await account("elbv2", "describe_target_groups", LoadBalancerArn=outputs.alb_arn))["TargetGroups"]
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
