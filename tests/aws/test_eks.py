"""EKS as Terraform and platform commands meet it: what is made, shown, changed, refused and left behind."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws.emulation import EmulatedAws

NETWORK = "10.31.0.0/16"
API = "https://127.0.0.1:6443"
AUTHORITY = b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
CREATOR = "arn:aws:iam::123456789012:user/moto"


class World:
    """An account with a VPC over two zones, and roles for clusters and nodes."""

    def __init__(self, aws: EmulatedAws) -> None:
        self.aws = aws
        self.eks, self.ec2, self.iam = (aws.client(service) for service in ("eks", "ec2", "iam"))
        self.vpc = self.ec2.create_vpc(CidrBlock=NETWORK)["Vpc"]["VpcId"]
        self.subnets = [
            self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=f"us-east-1{zone}")["Subnet"][
                "SubnetId"
            ]
            for zone, cidr in (("a", "10.31.0.0/20"), ("b", "10.31.16.0/20"))
        ]
        self.cluster_role, self.node_role = self.role("cluster", "eks"), self.role("node", "ec2")

    def role(self, name: str, service: str) -> str:
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arn: str = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
        return arn

    def cluster(self, name: str = "shop", **settings: Any) -> Any:
        network = {"subnetIds": self.subnets, **settings.pop("resourcesVpcConfig", {})}
        return self.eks.create_cluster(name=name, roleArn=self.cluster_role, resourcesVpcConfig=network, **settings)[
            "cluster"
        ]

    def group(self, name: str = "user", size: int = 2, **settings: Any) -> Any:
        settings = {"scalingConfig": {"minSize": 1, "maxSize": 9, "desiredSize": size}, **settings}
        return self.eks.create_nodegroup(
            clusterName="shop", nodegroupName=name, nodeRole=self.node_role, subnets=self.subnets, **settings
        )["nodegroup"]

    def instances(self, group: str = "user") -> list[Any]:
        found = self.ec2.describe_instances(
            Filters=[
                {"Name": "tag:eks:nodegroup-name", "Values": [group]},
                {"Name": "instance-state-name", "Values": ["running"]},
            ]
        )
        return [instance for reservation in found["Reservations"] for instance in reservation["Instances"]]

    def interfaces(self) -> list[Any]:
        found: list[Any] = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        return found


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with EmulatedAws(NETWORK, seed=False, traffic=False) as aws:
        aws.offer_cluster(API, AUTHORITY)
        yield World(aws)


def refused(code: str, text: str = "") -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\).*{text}")


async def test_an_empty_account_has_nothing() -> None:
    async with EmulatedAws(NETWORK, seed=False, traffic=False) as aws:
        assert aws.client("ec2").describe_vpcs()["Vpcs"] == []
        assert aws.client("eks").list_clusters()["clusters"] == []
        assert aws.client("iam").list_roles()["Roles"] == []


async def test_a_cluster_is_the_kubernetes_api_that_was_offered(world: World) -> None:
    made = world.cluster(tags={"team": "platform"}, version="1.34")
    cluster = world.eks.describe_cluster(name="shop")["cluster"]
    assert cluster == made
    assert (cluster["status"], cluster["version"], cluster["endpoint"]) == ("ACTIVE", "1.34", API)
    assert base64.b64decode(cluster["certificateAuthority"]["data"]) == AUTHORITY
    assert cluster["identity"]["oidc"]["issuer"].startswith("https://oidc.eks.us-east-1.amazonaws.com/id/")
    assert cluster["health"] == {"issues": []}
    assert cluster["resourcesVpcConfig"]["vpcId"] == world.vpc
    assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == ["0.0.0.0/0"]
    assert cluster["kubernetesNetworkConfig"]["serviceIpv4Cidr"] == "172.20.0.0/16"
    [off] = cluster["logging"]["clusterLogging"]
    assert (off["enabled"], len(off["types"])) == (False, 5)
    assert world.eks.list_clusters()["clusters"] == ["shop"]
    world.eks.get_waiter("cluster_active").wait(name="shop")


async def test_a_clusters_security_group_and_interfaces_come_and_go_with_it(world: World) -> None:
    group = world.cluster()["resourcesVpcConfig"]["clusterSecurityGroupId"]
    [found] = world.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert found["GroupName"].startswith("eks-cluster-sg-shop-")
    assert tags["kubernetes.io/cluster/shop"] == "owned"
    assert [rule["UserIdGroupPairs"][0]["GroupId"] for rule in found["IpPermissions"]] == [group]
    interfaces = world.interfaces()
    assert {one["SubnetId"] for one in interfaces} == set(world.subnets)
    assert {one["Description"] for one in interfaces} == {"Amazon EKS shop"}
    with refused("InvalidParameterValue", "in use"):
        world.ec2.delete_network_interface(NetworkInterfaceId=interfaces[0]["NetworkInterfaceId"])
    with refused("DependencyViolation"):
        world.ec2.delete_subnet(SubnetId=world.subnets[0])

    world.eks.delete_cluster(name="shop")
    with refused("ResourceNotFoundException", "No cluster found for name: shop"):
        world.eks.describe_cluster(name="shop")
    assert world.interfaces() == []
    with refused("InvalidGroup.NotFound"):
        world.ec2.describe_security_groups(GroupIds=[group])
    for subnet in world.subnets:
        world.ec2.delete_subnet(SubnetId=subnet)


async def test_a_cluster_that_cannot_be(world: World) -> None:
    with refused("InvalidParameterException", "two different AZs"):
        world.cluster(resourcesVpcConfig={"subnetIds": world.subnets[:1]})
    with refused("InvalidParameterException", "does not exist"):
        world.cluster(resourcesVpcConfig={"subnetIds": ["subnet-0", "subnet-1"]})
    with refused("InvalidParameterException", "could not be assumed"):
        world.eks.create_cluster(
            name="shop", roleArn="arn:aws:iam::123456789012:role/none", resourcesVpcConfig={"subnetIds": world.subnets}
        )
    with refused("InvalidParameterException", "unsupported Kubernetes version"):
        world.cluster(version="1.19")
    with refused("InvalidParameterException", "cannot be false"):
        world.cluster(resourcesVpcConfig={"endpointPublicAccess": False})
    with refused("InvalidParameterException", "invalid characters"):
        world.cluster("sh!op")
    assert world.interfaces() == []
    world.cluster()
    with refused("ResourceInUseException", "already exists"):
        world.cluster()


async def test_a_cluster_made_twice_by_one_request_is_made_once(world: World) -> None:
    first = world.cluster(clientRequestToken="one")
    assert world.cluster(clientRequestToken="one")["arn"] == first["arn"]


async def test_one_setting_of_a_cluster_is_changed_at_a_time(world: World) -> None:
    world.cluster(version="1.33")
    logs = {"clusterLogging": [{"types": ["api", "audit"], "enabled": True}]}
    update = world.eks.update_cluster_config(name="shop", logging=logs)["update"]
    assert (update["type"], update["status"]) == ("LoggingUpdate", "InProgress")
    found = world.eks.describe_update(name="shop", updateId=update["id"])["update"]
    assert (found["status"], found["errors"]) == ("Successful", [])
    on, off = world.eks.describe_cluster(name="shop")["cluster"]["logging"]["clusterLogging"]
    assert (on, off["enabled"]) == ({"types": ["api", "audit"], "enabled": True}, False)
    with refused("InvalidParameterException", "No changes needed for the logging config"):
        world.eks.update_cluster_config(name="shop", logging=logs)
    with refused("InvalidParameterException", "Only one type of update"):
        world.eks.update_cluster_config(name="shop", logging=logs, deletionProtection=True)
    world.eks.update_cluster_config(
        name="shop", resourcesVpcConfig={"endpointPrivateAccess": True, "publicAccessCidrs": ["192.0.2.0/24"]}
    )
    network = world.eks.describe_cluster(name="shop")["cluster"]["resourcesVpcConfig"]
    assert (network["endpointPrivateAccess"], network["publicAccessCidrs"]) == (True, ["192.0.2.0/24"])
    with refused("InvalidParameterException", "already at the desired configuration"):
        world.eks.update_cluster_config(name="shop", resourcesVpcConfig={"endpointPrivateAccess": True})
    with refused("InvalidParameterException", "minor version update from 1.33 to 1.35"):
        world.eks.update_cluster_version(name="shop", version="1.35")
    world.eks.update_cluster_version(name="shop", version="1.34")
    assert world.eks.describe_cluster(name="shop")["cluster"]["version"] == "1.34"
    assert len(world.eks.list_updates(name="shop")["updateIds"]) == 3


async def test_deletion_protection(world: World) -> None:
    world.cluster(deletionProtection=True)
    with refused("InvalidRequestException", "protection"):
        world.eks.delete_cluster(name="shop")
    world.eks.update_cluster_config(name="shop", deletionProtection=False)
    world.eks.delete_cluster(name="shop")


async def test_nodes_are_instances_spread_over_the_groups_subnets(world: World) -> None:
    group = world.cluster()["resourcesVpcConfig"]["clusterSecurityGroupId"]
    made = world.group(
        size=4,
        labels={"role": "user"},
        taints=[{"key": "team", "value": "a", "effect": "NO_SCHEDULE"}],
        instanceTypes=["m7i.large"],
    )
    found = world.eks.describe_nodegroup(clusterName="shop", nodegroupName="user")["nodegroup"]
    assert found == made
    assert (found["status"], found["labels"], found["capacityType"]) == ("ACTIVE", {"role": "user"}, "ON_DEMAND")
    assert found["taints"] == [{"key": "team", "value": "a", "effect": "NO_SCHEDULE"}]
    assert found["health"] == {"issues": []}
    instances = world.instances()
    assert sorted(one["SubnetId"] for one in instances) == sorted(world.subnets * 2)
    assert {one["InstanceType"] for one in instances} == {"m7i.large"}
    assert {one["SecurityGroups"][0]["GroupId"] for one in instances} == {group}
    for one in instances:
        assert IPv4Address(one["PrivateIpAddress"]) in IPv4Network(NETWORK)
        assert one["PrivateDnsName"] == f"ip-{one['PrivateIpAddress'].replace('.', '-')}.ec2.internal"
    world.eks.get_waiter("nodegroup_active").wait(clusterName="shop", nodegroupName="user")

    with refused("ResourceInUseException", "nodegroups attached"):
        world.eks.delete_cluster(name="shop")
    world.eks.delete_nodegroup(clusterName="shop", nodegroupName="user")
    with refused("ResourceNotFoundException", "No node group found for name: user"):
        world.eks.describe_nodegroup(clusterName="shop", nodegroupName="user")
    assert world.instances() == []
    assert len(world.interfaces()) == 2
    world.eks.delete_cluster(name="shop")
    for subnet in world.subnets:
        world.ec2.delete_subnet(SubnetId=subnet)


async def test_a_group_is_scaled_and_what_it_lost_comes_again(world: World) -> None:
    world.cluster()
    world.group(size=3)
    before = {one["InstanceId"] for one in world.instances()}

    def scale(size: int) -> set[str]:
        update = world.eks.update_nodegroup_config(
            clusterName="shop", nodegroupName="user", scalingConfig={"desiredSize": size}
        )["update"]
        described = world.eks.describe_update(name="shop", nodegroupName="user", updateId=update["id"])["update"]
        assert (described["type"], described["status"]) == ("ConfigUpdate", "Successful")
        return {one["InstanceId"] for one in world.instances()}

    fewer = scale(1)
    assert len(fewer) == 1
    assert fewer < before
    more = scale(4)
    assert len(more) == 4
    assert fewer < more
    world.ec2.terminate_instances(InstanceIds=sorted(fewer))
    assert len(scale(4)) == 4
    with refused("InvalidParameterException", "can't be greater than max size"):
        scale(10)


async def test_labels_and_taints_of_a_group_change(world: World) -> None:
    world.cluster()
    world.group(labels={"a": "1", "b": "2"}, taints=[{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}])
    world.eks.update_nodegroup_config(
        clusterName="shop",
        nodegroupName="user",
        labels={"addOrUpdateLabels": {"a": "3", "c": "4"}, "removeLabels": ["b"]},
        taints={
            "addOrUpdateTaints": [{"key": "x", "effect": "NO_EXECUTE"}],
            "removeTaints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}],
        },
    )
    found = world.eks.describe_nodegroup(clusterName="shop", nodegroupName="user")["nodegroup"]
    assert found["labels"] == {"a": "3", "c": "4"}
    assert found["taints"] == [{"key": "x", "effect": "NO_EXECUTE"}]


async def test_a_group_with_a_launch_template(world: World) -> None:
    world.cluster()
    template = world.ec2.create_launch_template(
        LaunchTemplateName="node",
        LaunchTemplateData={
            "UserData": base64.b64encode(b"hello").decode(),
            "MetadataOptions": {"HttpTokens": "required"},
            "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": True}}],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "node"}]}],
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    group = world.group(launchTemplate={"id": template, "version": "1"}, instanceTypes=["m7i.large"])
    assert group["launchTemplate"] == {"id": template, "name": "node", "version": "1"}
    assert "diskSize" not in group
    for one in world.instances():
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        assert (tags["Name"], tags["aws:ec2launchtemplate:id"]) == ("node", template)
    before = {one["InstanceId"] for one in world.instances()}
    world.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"InstanceType": "m7i.xlarge"}
    )
    with refused("InvalidParameterException", "Disk size"):
        world.group("other", launchTemplate={"id": template}, diskSize=30)
    with refused("InvalidRequestException", "Version 7"):
        world.group("other", launchTemplate={"id": template, "version": "7"})
    world.eks.update_nodegroup_version(
        clusterName="shop", nodegroupName="user", launchTemplate={"id": template, "version": "2"}
    )
    after = {one["InstanceId"] for one in world.instances()}
    assert (len(after), after & before) == (2, set())


async def test_a_group_that_cannot_be(world: World) -> None:
    world.cluster()
    with refused("ResourceNotFoundException"):
        world.eks.create_nodegroup(
            clusterName="none", nodegroupName="user", nodeRole=world.node_role, subnets=world.subnets
        )
    with refused("InvalidParameterException", "greater than desired"):
        world.group(scalingConfig={"minSize": 3, "maxSize": 4, "desiredSize": 2})
    with refused("InvalidParameterException", "newer than the cluster's"):
        world.eks.delete_cluster(name="shop")
        world.cluster(version="1.33")
        world.group(version="1.34")
    with refused("InvalidParameterException", "expected one of NO_SCHEDULE"):
        world.group(taints=[{"key": "a", "effect": "NoSchedule"}])
    world.group()
    with refused("ResourceInUseException", "already exists"):
        world.group()


async def test_add_ons(world: World) -> None:
    world.cluster(version="1.34")
    [info] = world.eks.describe_addon_versions(addonName="kube-proxy", kubernetesVersion="1.34")["addons"]
    versions = {one["addonVersion"]: one["compatibilities"][0]["defaultVersion"] for one in info["addonVersions"]}
    default = next(version for version, is_default in versions.items() if is_default)
    made = world.eks.create_addon(clusterName="shop", addonName="kube-proxy", tags={"a": "b"})["addon"]
    assert (made["status"], made["addonVersion"]) == ("ACTIVE", default)
    assert made["health"] == {"issues": []}
    values = json.dumps({"enableNetworkPolicy": "true"})
    world.eks.create_addon(clusterName="shop", addonName="vpc-cni", configurationValues=values)
    assert world.eks.list_addons(clusterName="shop")["addons"] == ["kube-proxy", "vpc-cni"]
    found = world.eks.describe_addon(clusterName="shop", addonName="vpc-cni")["addon"]
    assert json.loads(found["configurationValues"]) == {"enableNetworkPolicy": "true"}
    world.eks.get_waiter("addon_active").wait(clusterName="shop", addonName="vpc-cni")

    update = world.eks.update_addon(clusterName="shop", addonName="vpc-cni", addonVersion="v1.20.4-eksbuild.1")[
        "update"
    ]
    described = world.eks.describe_update(name="shop", addonName="vpc-cni", updateId=update["id"])["update"]
    assert (described["type"], described["status"]) == ("AddonUpdate", "Successful")
    assert world.eks.describe_addon(clusterName="shop", addonName="vpc-cni")["addon"]["addonVersion"] == (
        "v1.20.4-eksbuild.1"
    )
    with refused("ResourceInUseException", "Addon already exists"):
        world.eks.create_addon(clusterName="shop", addonName="vpc-cni")
    with refused("InvalidParameterException", "not supported"):
        world.eks.create_addon(clusterName="shop", addonName="no-such-addon")
    with refused("InvalidParameterException", "version specified is not supported"):
        world.eks.create_addon(clusterName="shop", addonName="coredns", addonVersion="1.2.3")
    with refused("InvalidParameterException", "expected a JSON or YAML object"):
        world.eks.create_addon(clusterName="shop", addonName="coredns", configurationValues="{")
    with refused("ResourceNotFoundException", "No addon: coredns found in cluster: shop"):
        world.eks.describe_addon(clusterName="shop", addonName="coredns")
    world.eks.delete_addon(clusterName="shop", addonName="vpc-cni")
    assert world.eks.list_addons(clusterName="shop")["addons"] == ["kube-proxy"]


async def test_an_add_ons_service_accounts_have_roles(world: World) -> None:
    world.cluster()
    role = world.role("cni", "pods.eks")
    addon = world.eks.create_addon(
        clusterName="shop",
        addonName="vpc-cni",
        podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": role}],
    )["addon"]
    [association] = world.eks.list_pod_identity_associations(clusterName="shop")["associations"]
    assert addon["podIdentityAssociations"] == [association["associationArn"]]
    assert (association["namespace"], association["ownerArn"]) == ("kube-system", addon["addonArn"])
    world.eks.delete_addon(clusterName="shop", addonName="vpc-cni")
    assert world.eks.list_pod_identity_associations(clusterName="shop")["associations"] == []


async def test_pod_identity(world: World) -> None:
    world.cluster()
    role = world.role("controller", "pods.eks")
    place = {"clusterName": "shop", "namespace": "gatewright-system", "serviceAccount": "gatewright"}
    made = world.eks.create_pod_identity_association(**place, roleArn=role, tags={"a": "b"})["association"]
    asked = {"clusterName": "shop", "associationId": made["associationId"]}
    assert world.eks.describe_pod_identity_association(**asked)["association"] == made
    assert (made["roleArn"], made["disableSessionTags"]) == (role, False)
    with refused("ResourceInUseException", "Association already exists"):
        world.eks.create_pod_identity_association(**place, roleArn=role)
    with refused("InvalidParameterException"):
        world.eks.create_pod_identity_association(
            **{**place, "serviceAccount": "other"}, roleArn="arn:aws:iam::123456789012:role/none"
        )
    other = world.role("other", "pods.eks")
    world.eks.update_pod_identity_association(**asked, roleArn=other)
    [listed] = world.eks.list_pod_identity_associations(clusterName="shop", namespace="gatewright-system")[
        "associations"
    ]
    assert listed["associationId"] == made["associationId"]
    assert world.eks.list_pod_identity_associations(clusterName="shop", namespace="x")["associations"] == []
    assert world.eks.delete_pod_identity_association(**asked)["association"]["roleArn"] == other
    with refused("ResourceNotFoundException"):
        world.eks.describe_pod_identity_association(**asked)


async def test_access_entries(world: World) -> None:
    world.cluster(accessConfig={"authenticationMode": "API_AND_CONFIG_MAP"})
    assert world.eks.list_access_entries(clusterName="shop")["accessEntries"] == [CREATOR]
    role = world.role("people", "ec2")
    entry = world.eks.create_access_entry(clusterName="shop", principalArn=role, kubernetesGroups=["viewers"])[
        "accessEntry"
    ]
    asked = {"clusterName": "shop", "principalArn": role}
    assert world.eks.describe_access_entry(**asked)["accessEntry"] == entry
    assert entry["username"] == "arn:aws:sts::123456789012:assumed-role/people/{{SessionName}}"
    scope = {"type": "namespace", "namespaces": ["edge"]}
    granted = world.eks.associate_access_policy(**asked, policyArn=ADMIN, accessScope=scope)["associatedAccessPolicy"]
    assert (granted["policyArn"], granted["accessScope"]) == (ADMIN, scope)
    assert world.eks.list_associated_access_policies(**asked)["associatedAccessPolicies"] == [granted]
    with refused("InvalidParameterException", "at least one namespace"):
        world.eks.associate_access_policy(**asked, policyArn=ADMIN, accessScope={"type": "namespace"})
    with refused("InvalidParameterException", "policyArn"):
        world.eks.associate_access_policy(**asked, policyArn=ADMIN + "x", accessScope={"type": "cluster"})
    with refused("ResourceInUseException"):
        world.eks.create_access_entry(**asked)
    with refused("InvalidParameterException", "cannot start with"):
        world.eks.update_access_entry(**asked, kubernetesGroups=["system:masters"])
    world.eks.disassociate_access_policy(**asked, policyArn=ADMIN)
    world.eks.delete_access_entry(**asked)
    with refused("ResourceNotFoundException"):
        world.eks.describe_access_entry(**asked)


async def test_nodes_have_an_access_entry_as_long_as_there_are_any(world: World) -> None:
    world.cluster(accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False})
    assert world.eks.list_access_entries(clusterName="shop")["accessEntries"] == []
    world.group()
    asked = {"clusterName": "shop", "principalArn": world.node_role}
    assert world.eks.describe_access_entry(**asked)["accessEntry"]["type"] == "EC2_LINUX"
    world.eks.delete_nodegroup(clusterName="shop", nodegroupName="user")
    assert world.eks.list_access_entries(clusterName="shop")["accessEntries"] == []


async def test_access_entries_need_the_mode_that_has_them(world: World) -> None:
    world.cluster()
    with refused("InvalidRequestException", "authentication mode must be set"):
        world.eks.list_access_entries(clusterName="shop")
    world.eks.update_cluster_config(name="shop", accessConfig={"authenticationMode": "API"})
    assert world.eks.list_access_entries(clusterName="shop")["accessEntries"] == [CREATOR]
    with refused("InvalidParameterException", "from API to CONFIG_MAP"):
        world.eks.update_cluster_config(name="shop", accessConfig={"authenticationMode": "CONFIG_MAP"})


async def test_everything_has_tags(world: World) -> None:
    cluster = world.cluster(accessConfig={"authenticationMode": "API"})
    role = world.role("controller", "pods.eks")
    arns = [
        cluster["arn"],
        world.group()["nodegroupArn"],
        world.eks.create_addon(clusterName="shop", addonName="coredns")["addon"]["addonArn"],
        world.eks.create_pod_identity_association(clusterName="shop", namespace="a", serviceAccount="b", roleArn=role)[
            "association"
        ]["associationArn"],
        world.eks.create_access_entry(clusterName="shop", principalArn=role)["accessEntry"]["accessEntryArn"],
    ]
    for arn in arns:
        world.eks.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
        world.eks.untag_resource(resourceArn=arn, tagKeys=["a"])
        assert world.eks.list_tags_for_resource(resourceArn=arn)["tags"] == {"b": "2"}
    with refused("NotFoundException"):
        world.eks.list_tags_for_resource(resourceArn=cluster["arn"] + "x")


async def test_lists_come_in_pages(world: World) -> None:
    world.cluster()
    for name in ("a", "b", "c"):
        world.group(name, 1)
    first = world.eks.list_nodegroups(clusterName="shop", maxResults=2)
    assert first["nodegroups"] == ["a", "b"]
    rest = world.eks.list_nodegroups(clusterName="shop", nextToken=first["nextToken"])
    assert (rest["nodegroups"], rest.get("nextToken")) == (["c"], None)


async def test_what_eks_knows_of_versions_and_policies(world: World) -> None:
    [default] = world.eks.describe_cluster_versions(defaultOnly=True)["clusterVersions"]
    assert world.cluster()["version"] == default["clusterVersion"]
    assert ADMIN in {one["arn"] for one in world.eks.list_access_policies()["accessPolicies"]}


async def test_what_is_not_emulated_says_so(world: World) -> None:
    world.cluster()
    with refused("InvalidAction", "ListFargateProfiles"):
        world.eks.list_fargate_profiles(clusterName="shop")
