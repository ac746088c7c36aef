"""What the account holds at the start, and the addresses that EC2 gives in it."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws import network
from gatewright.local.aws.backends import LOCK
from gatewright.local.aws.emulation import EmulatedAws

ALB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/edge/0123456789abcdef"
NLB = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/gateway/fedcba9876543210"


def subnets(aws: EmulatedAws, *filters: dict[str, Any]) -> dict[str, Any]:
    found = aws.client("ec2").describe_subnets(Filters=list(filters))["Subnets"]
    return {next(tag["Value"] for tag in one["Tags"] if tag["Key"] == "Name"): one for one in found}


def network_of(aws: EmulatedAws, subnet_id: str) -> IPv4Network:
    [subnet] = aws.client("ec2").describe_subnets(SubnetIds=[subnet_id])["Subnets"]
    return IPv4Network(subnet["CidrBlock"])


async def test_a_vpc_over_two_zones_and_no_other(aws: EmulatedAws) -> None:
    [vpc] = aws.client("ec2").describe_vpcs()["Vpcs"]
    assert (vpc["VpcId"], vpc["CidrBlock"], vpc["IsDefault"]) == (aws.seeded.vpc, str(aws.network), False)
    base = int(aws.network.network_address)
    assert {
        name.removeprefix("gatewright-"): (one["AvailabilityZone"], int(IPv4Address(one["CidrBlock"][:-3])) - base)
        for name, one in subnets(aws).items()
    } == {
        "private-a": ("us-east-1a", 0),
        "public-a": ("us-east-1a", 0x4000),
        "public-b": ("us-east-1b", 0x5000),
        "private-b": ("us-east-1b", 0x8000),
    }


async def test_subnets_are_found_by_the_tags_that_controllers_look_for(aws: EmulatedAws) -> None:
    cluster = {"Name": "tag:kubernetes.io/cluster/gatewright", "Values": ["shared", "owned"]}
    public = subnets(aws, cluster, {"Name": "tag:kubernetes.io/role/elb", "Values": ["1", ""]})
    private = subnets(aws, cluster, {"Name": "tag:kubernetes.io/role/internal-elb", "Values": ["1", ""]})
    assert sorted(one["SubnetId"] for one in public.values()) == sorted(aws.seeded.public)
    assert sorted(one["SubnetId"] for one in private.values()) == sorted(aws.seeded.private)


async def test_public_subnets_lead_to_the_internet_and_private_ones_do_not(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    [gateway] = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [aws.seeded.vpc]}])[
        "InternetGateways"
    ]
    for name, subnet in aws.seeded.subnets.items():
        [table] = ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet]}])[
            "RouteTables"
        ]
        gateways = [route["GatewayId"] for route in table["Routes"] if route.get("GatewayId") != "local"]
        assert gateways == ([gateway["InternetGatewayId"]] if name.startswith("public") else [])


async def test_the_cluster(block: Any) -> None:
    async with EmulatedAws("10.9.0.0/16", cluster="shop", endpoint="https://127.0.0.1:6443", traffic=False) as aws:
        cluster = (await aws.call("eks", "describe_cluster", name="shop"))["cluster"]
        assert cluster["endpoint"] == "https://127.0.0.1:6443"
        assert cluster["arn"] == aws.seeded.cluster_arn
        assert cluster["resourcesVpcConfig"]["vpcId"] == aws.seeded.vpc
        assert cluster["resourcesVpcConfig"]["clusterSecurityGroupId"] == aws.seeded.cluster_security_group
        groups = aws.client("ec2").describe_security_groups(
            Filters=[{"Name": "tag:kubernetes.io/cluster/shop", "Values": ["owned"]}]
        )["SecurityGroups"]
        assert {one["GroupId"] for one in groups} == {
            aws.seeded.cluster_security_group,
            aws.seeded.node_security_group,
        }
        assert "Name=shop-cluster" not in cluster["roleArn"]
        assert (await aws.call("iam", "get_role", RoleName="shop-cluster"))["Role"]["Arn"] == cluster["roleArn"]


async def test_interfaces_get_addresses_from_the_end_of_their_subnet(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    subnet = aws.seeded.subnets["private-b"]
    last = int(network_of(aws, subnet).broadcast_address)
    given = [ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["PrivateIpAddress"] for _ in range(3)]
    assert [last - int(IPv4Address(one)) for one in given] == [1, 2, 3]


async def test_a_freed_address_is_not_given_again_at_once(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    subnet = aws.seeded.subnets["private-a"]
    first = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    ec2.delete_network_interface(NetworkInterfaceId=first["NetworkInterfaceId"])
    second = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    assert second["PrivateIpAddress"] != first["PrivateIpAddress"]
    again = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=first["PrivateIpAddress"])
    assert again["NetworkInterface"]["PrivateIpAddress"] == first["PrivateIpAddress"]


async def test_a_small_subnet_gives_all_it_has_and_then_refuses(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.77.0.0/28")["Subnet"]["SubnetId"]
    given = [ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"] for _ in range(11)]
    assert {one["PrivateIpAddress"] for one in given} == {f"10.77.0.{number}" for number in range(4, 15)}
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == 0
    with pytest.raises(ClientError, match="InsufficientFreeAddressesInSubnet"):
        ec2.create_network_interface(SubnetId=subnet)
    ec2.delete_network_interface(NetworkInterfaceId=given[4]["NetworkInterfaceId"])
    freed = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]
    assert freed["PrivateIpAddress"] == given[4]["PrivateIpAddress"]


@pytest.mark.parametrize(
    ("offset", "code"), [(-1, "InvalidParameterValue"), (0, "InvalidParameterValue"), (3, "InvalidParameterValue")]
)
async def test_an_address_that_the_subnet_does_not_have(aws: EmulatedAws, offset: int, code: str) -> None:
    subnet = aws.seeded.subnets["public-b"]
    wanted = str(network_of(aws, subnet).network_address + offset)
    with pytest.raises(ClientError, match=code):
        aws.client("ec2").create_network_interface(SubnetId=subnet, PrivateIpAddress=wanted)


async def test_an_address_that_is_taken(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    subnet = aws.seeded.subnets["private-a"]
    taken = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["PrivateIpAddress"]
    with pytest.raises(ClientError, match=r"InvalidIPAddress\.InUse"):
        ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=taken)


async def test_an_instance_lives_in_its_subnet_until_it_is_terminated(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    subnet = aws.seeded.subnets["private-b"]
    before = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"]
    [instance] = ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
    address = instance["PrivateIpAddress"]
    assert IPv4Address(address) in network_of(aws, subnet)
    [interface] = ec2.describe_network_interfaces(
        Filters=[{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    )["NetworkInterfaces"]
    assert interface["PrivateIpAddress"] == address
    with pytest.raises(ClientError, match="currently in use"):
        ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])
    wanted = str(IPv4Address(address) - 100)
    chosen = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=subnet, PrivateIpAddress=wanted
    )["Instances"][0]
    assert chosen["PrivateIpAddress"] == wanted
    ec2.terminate_instances(InstanceIds=[instance["InstanceId"], chosen["InstanceId"]])
    assert ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["AvailableIpAddressCount"] == before
    assert not ec2.describe_network_interfaces()["NetworkInterfaces"]


async def test_images_are_found_though_they_are_not_loaded_at_the_start(aws: EmulatedAws) -> None:
    images = aws.client("ec2").describe_images(Owners=["amazon"])["Images"]
    assert images
    aws.client("ec2").run_instances(
        ImageId=images[0]["ImageId"], MinCount=1, MaxCount=1, SubnetId=aws.seeded.private[0]
    )


async def test_a_load_balancer_has_an_interface_in_each_subnet(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    a, b = aws.seeded.private
    wanted = str(network_of(aws, b).network_address + 20)
    with LOCK:
        nodes = network.attach(NLB, {a: None, b: wanted})
    assert [node.subnet for node in nodes] == [a, b]
    assert nodes[1].address == wanted
    found = ec2.describe_network_interfaces(
        Filters=[{"Name": "description", "Values": ["ELB net/gateway/fedcba9876543210"]}]
    )["NetworkInterfaces"]
    assert {one["PrivateIpAddress"] for one in found} == {node.address for node in nodes}
    for one in found:
        assert one["RequesterManaged"] is True
        assert one["RequesterId"] == "amazon-elb"
        assert one["InterfaceType"] == "network_load_balancer"
        assert one["Status"] == "in-use"
        assert one["Attachment"]["InstanceOwnerId"] == "amazon-elb"
    with pytest.raises(ClientError, match="currently in use"):
        ec2.delete_network_interface(NetworkInterfaceId=found[0]["NetworkInterfaceId"])
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_subnet(SubnetId=a)
    with LOCK:
        network.detach(NLB)
    assert not ec2.describe_network_interfaces()["NetworkInterfaces"]


async def test_interfaces_of_an_alb_are_plain_ones(aws: EmulatedAws) -> None:
    group = aws.seeded.node_security_group
    with LOCK:
        network.attach(ALB, dict.fromkeys(aws.seeded.public), [group])
    found = aws.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": ["ELB app/edge/*"]}]
    )["NetworkInterfaces"]
    assert {(one["InterfaceType"], one["Groups"][0]["GroupId"]) for one in found} == {("interface", group)}


async def test_other_subnets_leave_the_interfaces_of_those_that_stay(aws: EmulatedAws) -> None:
    a, b = aws.seeded.public
    with LOCK:
        before = network.attach(ALB, {a: None})
        after = network.attach(ALB, {a: None, b: None})
        assert after[0] == before[0]
        assert [node.subnet for node in network.attach(ALB, {b: None})] == [b]
        assert network.interfaces(ALB) == after[1:]


async def test_a_refused_address_leaves_everything_as_it_was(aws: EmulatedAws) -> None:
    a, b = aws.seeded.private
    with LOCK:
        taken = network.attach(ALB, {a: None})[0].address
        with pytest.raises(network.AddressUnavailable, match="in use"):
            network.attach(NLB, {b: None, a: taken})
        with pytest.raises(network.AddressUnavailable, match="does not fall within"):
            network.attach(NLB, {b: None, a: "192.0.2.1"})
        assert network.interfaces(NLB) == ()


async def test_a_security_group_that_something_uses_stays(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")

    def made(name: str) -> str:
        return str(ec2.create_security_group(GroupName=name, Description="d", VpcId=aws.seeded.vpc)["GroupId"])

    front, back = made("front"), made("back")
    source = [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [{"GroupId": front}]}]
    ec2.authorize_security_group_ingress(GroupId=back, IpPermissions=source)
    with pytest.raises(ClientError, match="DependencyViolation"):
        ec2.delete_security_group(GroupId=front)
    ec2.revoke_security_group_ingress(GroupId=back, IpPermissions=source)
    with LOCK:
        network.attach(ALB, dict.fromkeys(aws.seeded.public), [front])
    with pytest.raises(ClientError, match=f"resource {front} has a dependent object"):
        ec2.delete_security_group(GroupId=front)
    with LOCK:
        network.detach(ALB)
    ec2.delete_security_group(GroupId=front)
    ec2.delete_security_group(GroupId=back)
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        ec2.delete_security_group(GroupId=back)


async def test_there_is_no_default_vpc_until_somebody_makes_it(aws: EmulatedAws) -> None:
    ec2 = aws.client("ec2")
    image = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}
    with pytest.raises(ClientError, match="VPCIdNotSpecified"):
        ec2.run_instances(**image)
    with pytest.raises(ClientError, match="VPCIdNotSpecified"):
        ec2.create_security_group(GroupName="g", Description="d")
    with pytest.raises(ClientError, match=r"InvalidGroup\.NotFound"):
        ec2.describe_security_groups(GroupNames=["nothing"])
    vpc = ec2.create_default_vpc()["Vpc"]
    assert (vpc["IsDefault"], vpc["CidrBlock"]) == (True, "172.31.0.0/16")
    [instance] = ec2.run_instances(**image)["Instances"]
    assert instance["VpcId"] == vpc["VpcId"]
    assert ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    with pytest.raises(ClientError, match="DefaultVpcAlreadyExists"):
        ec2.create_default_vpc()
