from __future__ import annotations

import json

import pytest
from tests.aws.elbv2_world import World, api, refusal, serving_world, world

__all__ = ["api", "serving_world", "world"]


def _described(world: World, arn: str) -> dict[str, object]:
    answer = world.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
    return dict(answer)


def _attributes(world: World, arn: str) -> dict[str, str]:
    answer = world.elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    return {one["Key"]: one["Value"] for one in answer}


def test_an_alb_is_described_as_aws_does(world: World) -> None:
    arn = world.load_balancer("edge")
    found = _described(world, arn)
    assert arn.startswith("arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/edge/")
    assert found["Type"] == "application"
    assert found["Scheme"] == "internet-facing"
    assert found["IpAddressType"] == "ipv4"
    assert found["VpcId"] == world.seeded.vpc
    assert str(found["DNSName"]).startswith("edge-")
    assert str(found["DNSName"]).endswith(".us-east-1.elb.amazonaws.com")
    assert found["CanonicalHostedZoneId"] == "Z35SXDOTRQ7X7K"
    assert found["State"] == {"Code": "active"}
    assert found["AvailabilityZones"] == [
        {"ZoneName": "us-east-1a", "SubnetId": world.seeded.subnets["public-a"], "LoadBalancerAddresses": []},
        {"ZoneName": "us-east-1b", "SubnetId": world.seeded.subnets["public-b"], "LoadBalancerAddresses": []},
    ]
    assert len(found["SecurityGroups"]) == 1, "the VPC's default one"  # type: ignore[arg-type]


def test_names_and_zones_of_internal_ones(world: World) -> None:
    alb = _described(world, world.load_balancer("inside", Scheme="internal", Subnets=world.seeded.private))
    assert str(alb["DNSName"]).startswith("internal-inside-")
    arn = world.load_balancer("gateway", "network", Scheme="internal", Subnets=world.seeded.private)
    nlb = _described(world, arn)
    assert arn.split("/")[1] == "net"
    assert nlb["DNSName"] == f"gateway-{arn.rpartition('/')[2]}.elb.us-east-1.amazonaws.com"
    assert nlb["CanonicalHostedZoneId"] == "Z26RNL4JYFTOTI"
    assert "SecurityGroups" not in nlb


def test_an_alb_is_created_provisioning(world: World) -> None:
    made = world.elb.create_load_balancer(Name="edge", Subnets=world.seeded.public)["LoadBalancers"][0]
    assert made["State"] == {"Code": "provisioning"}


def test_it_is_provisioning_until_its_listeners_are_served(serving_world: World) -> None:
    world = serving_world
    arn = world.load_balancer()
    listener = world.listener(arn)
    assert _described(world, arn)["State"] == {"Code": "provisioning"}
    world.state.served.set(listener, True)
    assert _described(world, arn)["State"] == {"Code": "active"}
    second = world.listener(arn, port=81)
    assert _described(world, arn)["State"] == {"Code": "active"}, "it provisions only once"
    world.state.served.set(second, False)
    state = _described(world, arn)["State"]
    assert state == {"Code": "active_impaired", "Reason": f"The data plane refused: {second}"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a" * 33, f"The load balancer name '{'a' * 33}' cannot be longer than '32' characters"),
        ("-edge", "The load balancer name '-edge' cannot begin or end with a hyphen(-)"),
        ("edge-", "The load balancer name 'edge-' cannot begin or end with a hyphen(-)"),
        ("internal-edge", "The load balancer name 'internal-edge' cannot begin with 'internal-'"),
        (
            "my_edge",
            "The load balancer name 'my_edge' can only contain characters that are alphanumeric characters or "
            "hyphens(-)",
        ),
    ],
)
def test_names_are_refused(world: World, name: str, message: str) -> None:
    found = refusal(world.elb.create_load_balancer, Name=name, Subnets=world.seeded.public)
    assert found == ("ValidationError", message)


def test_subnets_are_refused(world: World) -> None:
    create = world.elb.create_load_balancer
    first, second = world.seeded.public
    assert refusal(create, Name="one", Subnets=[first]) == (
        "ValidationError",
        "At least two subnets in two different Availability Zones must be specified",
    )
    assert refusal(create, Name="none")[1] == (
        "At least two subnets in two different Availability Zones must be specified"
    )
    assert refusal(create, Name="none", Type="network")[1] == "At least one subnet must be specified"
    assert refusal(create, Name="twice", Subnets=[first, second, world.seeded.subnets["private-a"]]) == (
        "InvalidConfigurationRequest",
        "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
    )
    assert refusal(create, Name="unknown", Subnets=[first, "subnet-0123456789abcdef0"]) == (
        "SubnetNotFound",
        "The subnet ID 'subnet-0123456789abcdef0' does not exist",
    )
    mappings = [{"SubnetId": second}]
    assert refusal(create, Name="both", Subnets=[first], SubnetMappings=mappings)[0] == "ValidationError"


def test_an_nlb_may_be_in_one_zone(world: World) -> None:
    arn = world.load_balancer("one", "network", Subnets=world.seeded.public[:1])
    assert len(_described(world, arn)["AvailabilityZones"]) == 1  # type: ignore[arg-type]


def test_subnets_of_two_vpcs_are_refused(world: World) -> None:
    ec2 = world.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1b")["Subnet"]["SubnetId"]
    create = world.elb.create_load_balancer
    found = refusal(create, Name="edge", Subnets=[world.seeded.public[0], subnet])
    assert found[0] == "InvalidConfigurationRequest"
    assert "same VPC" in found[1]
    assert refusal(create, Name="edge", Type="network", Subnets=[subnet]) == (
        "InvalidSubnet",
        f"VPC {vpc} has no internet gateway",
    )
    world.load_balancer("inside", "network", Scheme="internal", Subnets=[subnet])


def test_a_subnet_needs_eight_free_addresses(world: World) -> None:
    ec2 = world.client("ec2")
    made = ec2.create_subnet(VpcId=world.seeded.vpc, CidrBlock="10.0.112.0/28", AvailabilityZone="us-east-1a")
    subnet = made["Subnet"]["SubnetId"]
    for _ in range(4):
        ec2.create_network_interface(SubnetId=subnet)
    found = refusal(world.elb.create_load_balancer, Name="edge", Type="network", Scheme="internal", Subnets=[subnet])
    assert found == (
        "InvalidSubnet",
        f"Not enough IP space available in {subnet}. ELB requires at least 8 free IP addresses in each subnet.",
    )


def test_an_internal_nlb_has_the_addresses_that_were_chosen(world: World) -> None:
    subnet = world.seeded.subnets["private-a"]
    mapping = {"SubnetId": subnet, "PrivateIPv4Address": "10.0.63.10"}
    arn = world.load_balancer("nlb", "network", Scheme="internal", SubnetMappings=[mapping])
    zones = _described(world, arn)["AvailabilityZones"]
    assert zones == [
        {
            "ZoneName": "us-east-1a",
            "SubnetId": subnet,
            "LoadBalancerAddresses": [{"PrivateIPv4Address": "10.0.63.10"}],
        }
    ]
    described = world.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {arn.partition(':loadbalancer/')[2]}"]}]
    )["NetworkInterfaces"]
    assert [one["PrivateIpAddress"] for one in described] == ["10.0.63.10"]
    create = world.elb.create_load_balancer
    taken = refusal(create, Name="other", Type="network", Scheme="internal", SubnetMappings=[mapping])
    assert taken == ("InvalidConfigurationRequest", "Address 10.0.63.10 is in use.")
    outside = [{**mapping, "PrivateIPv4Address": "10.0.200.1"}]
    assert refusal(create, Name="other", Type="network", Scheme="internal", SubnetMappings=outside)[0] == (
        "InvalidConfigurationRequest"
    )
    public = [{"SubnetId": world.seeded.public[0], "PrivateIPv4Address": "10.0.79.9"}]
    assert refusal(create, Name="other", Type="network", SubnetMappings=public) == (
        "InvalidConfigurationRequest",
        "'PrivateIPv4Address' is not supported for internet-facing load balancers",
    )
    world.elb.delete_load_balancer(LoadBalancerArn=arn)
    world.load_balancer("other", "network", Scheme="internal", SubnetMappings=[mapping])


def test_an_nlb_has_elastic_addresses(world: World) -> None:
    allocation = world.client("ec2").allocate_address(Domain="vpc")
    mapping = {"SubnetId": world.seeded.public[0], "AllocationId": allocation["AllocationId"]}
    arn = world.load_balancer("nlb", "network", SubnetMappings=[mapping])
    zones = _described(world, arn)["AvailabilityZones"]
    assert zones[0]["LoadBalancerAddresses"] == [  # type: ignore[index]
        {"AllocationId": allocation["AllocationId"], "IpAddress": allocation["PublicIp"]}
    ]
    unknown = [{**mapping, "AllocationId": "eipalloc-0"}]
    found = refusal(world.elb.create_load_balancer, Name="x", Type="network", SubnetMappings=unknown)
    assert found[0] == "AllocationIdNotFound"


def test_creating_again_with_the_same_settings_is_idempotent(world: World) -> None:
    first = world.load_balancer("edge")
    assert world.load_balancer("edge") == first
    code, message = refusal(world.elb.create_load_balancer, Name="edge", Subnets=world.seeded.public, Scheme="internal")
    assert code == "DuplicateLoadBalancerName"
    assert message == "A load balancer with the same name 'edge' exists, but with different settings"


def test_security_groups(world: World) -> None:
    ec2 = world.client("ec2")
    group = ec2.create_security_group(GroupName="web", Description="web", VpcId=world.seeded.vpc)["GroupId"]
    arn = world.load_balancer("edge", SecurityGroups=[group])
    assert _described(world, arn)["SecurityGroups"] == [group]
    other_vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    foreign = ec2.create_security_group(GroupName="foreign", Description="foreign", VpcId=other_vpc)["GroupId"]
    change = world.elb.set_security_groups
    assert refusal(change, LoadBalancerArn=arn, SecurityGroups=[foreign]) == (
        "InvalidConfigurationRequest",
        "One or more security groups are invalid",
    )
    assert refusal(change, LoadBalancerArn=arn, SecurityGroups=["sg-0123456789abcdef0"])[0] == "InvalidSecurityGroup"
    nlb = world.load_balancer("nlb", "network")
    assert refusal(change, LoadBalancerArn=nlb, SecurityGroups=[group]) == (
        "InvalidConfigurationRequest",
        "You cannot set security groups on a Network Load Balancer which was created without any security groups.",
    )
    with_groups = world.load_balancer("nlb2", "network", SecurityGroups=[group])
    answer = change(LoadBalancerArn=with_groups, SecurityGroups=[group, world.seeded.node_security_group])
    assert answer["SecurityGroupIds"] == [group, world.seeded.node_security_group]
    assert _described(world, with_groups)["EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"] == "on"


def test_subnets_are_set(world: World) -> None:
    arn = world.load_balancer("nlb", "network", Scheme="internal", Subnets=world.seeded.private[:1])
    answer = world.elb.set_subnets(LoadBalancerArn=arn, Subnets=world.seeded.private)
    assert [zone["SubnetId"] for zone in answer["AvailabilityZones"]] == world.seeded.private
    interfaces = world.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": [f"ELB {arn.partition(':loadbalancer/')[2]}"]}]
    )["NetworkInterfaces"]
    assert sorted(one["SubnetId"] for one in interfaces) == sorted(world.seeded.private)
    alb = world.load_balancer("alb")
    assert refusal(world.elb.set_subnets, LoadBalancerArn=alb, Subnets=world.seeded.public[:1])[0] == "ValidationError"


def test_ip_address_types(world: World) -> None:
    arn = world.load_balancer()
    assert world.elb.set_ip_address_type(LoadBalancerArn=arn, IpAddressType="dualstack")["IpAddressType"] == "dualstack"
    nlb = world.load_balancer("nlb", "network")
    change = world.elb.set_ip_address_type
    found = refusal(change, LoadBalancerArn=nlb, IpAddressType="dualstack-without-public-ipv4")
    assert found[0] == "InvalidConfigurationRequest"
    assert refusal(change, LoadBalancerArn=arn, IpAddressType="ipv5") == (
        "ValidationError",
        "1 validation error detected: Value 'ipv5' at 'ipAddressType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ipv4, dualstack, dualstack-without-public-ipv4]",
    )


ALB_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "client_keep_alive.seconds": "3600",
    "connection_logs.s3.enabled": "false",
    "connection_logs.s3.bucket": "",
    "connection_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "health_check_logs.s3.enabled": "false",
    "health_check_logs.s3.bucket": "",
    "health_check_logs.s3.prefix": "",
    "idle_timeout.timeout_seconds": "60",
    "ipv6.deny_all_igw_traffic": "false",
    "load_balancing.cross_zone.enabled": "true",
    "routing.http.desync_mitigation_mode": "defensive",
    "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http2.enabled": "true",
    "waf.fail_open.enabled": "false",
    "zonal_shift.config.enabled": "false",
}
NLB_ATTRIBUTES = {
    "access_logs.s3.enabled": "false",
    "access_logs.s3.bucket": "",
    "access_logs.s3.prefix": "",
    "deletion_protection.enabled": "false",
    "dns_record.client_routing_policy": "any_availability_zone",
    "ipv6.deny_all_igw_traffic": "true",
    "load_balancing.cross_zone.enabled": "false",
    "secondary_ips.auto_assigned.per_subnet": "0",
    "zonal_shift.config.enabled": "false",
}


def test_attributes_have_their_defaults(world: World) -> None:
    assert _attributes(world, world.load_balancer("alb")) == ALB_ATTRIBUTES
    nlb = world.load_balancer("nlb", "network", Scheme="internal", Subnets=world.seeded.private)
    assert _attributes(world, nlb) == NLB_ATTRIBUTES


def test_attributes_are_modified_and_all_are_answered(world: World) -> None:
    arn = world.load_balancer()
    answer = world.elb.modify_load_balancer_attributes(
        LoadBalancerArn=arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "4000"}]
    )["Attributes"]
    after = {one["Key"]: one["Value"] for one in answer}
    assert after == {**ALB_ATTRIBUTES, "idle_timeout.timeout_seconds": "4000"}
    assert _attributes(world, arn) == after


@pytest.mark.parametrize(
    ("kind", "key", "value", "code", "message"),
    [
        (
            "application",
            "idle.timeout",
            "1",
            "ValidationError",
            "Load balancer attribute key 'idle.timeout' is not recognized",
        ),
        (
            "network",
            "idle_timeout.timeout_seconds",
            "60",
            "InvalidConfigurationRequest",
            "Load balancer attribute key 'idle_timeout.timeout_seconds' is not supported on load balancers with type "
            "'network'",
        ),
        (
            "application",
            "idle_timeout.timeout_seconds",
            "4001",
            "ValidationError",
            "'idle_timeout.timeout_seconds' value '4001' must be between '1-4000' inclusive",
        ),
        (
            "application",
            "routing.http2.enabled",
            "yes",
            "ValidationError",
            "'routing.http2.enabled' value 'yes' must be one of [true, false]",
        ),
        (
            "application",
            "load_balancing.cross_zone.enabled",
            "false",
            "ValidationError",
            "'load_balancing.cross_zone.enabled' value 'false' must be one of [true]",
        ),
        (
            "application",
            "access_logs.s3.enabled",
            "true",
            "InvalidConfigurationRequest",
            "'access_logs.s3.bucket' must be specified when 'access_logs.s3.enabled' is true",
        ),
    ],
)
def test_attributes_are_refused(world: World, kind: str, key: str, value: str, code: str, message: str) -> None:
    arn = world.load_balancer("edge", kind)
    found = refusal(
        world.elb.modify_load_balancer_attributes, LoadBalancerArn=arn, Attributes=[{"Key": key, "Value": value}]
    )
    assert found == (code, message)


def test_access_logs_need_a_bucket_that_lets_them_be_written(world: World) -> None:
    arn = world.load_balancer()
    attributes = [
        {"Key": "access_logs.s3.enabled", "Value": "true"},
        {"Key": "access_logs.s3.bucket", "Value": "logs"},
        {"Key": "access_logs.s3.prefix", "Value": "edge"},
    ]
    change = world.elb.modify_load_balancer_attributes
    denied = ("InvalidConfigurationRequest", "Access Denied for bucket: logs. Please check S3bucket permission")
    assert refusal(change, LoadBalancerArn=arn, Attributes=attributes) == denied
    s3 = world.client("s3")
    s3.create_bucket(Bucket="logs")
    assert refusal(change, LoadBalancerArn=arn, Attributes=attributes) == denied
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/*",
    }
    s3.put_bucket_policy(Bucket="logs", Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    change(LoadBalancerArn=arn, Attributes=attributes)
    assert _attributes(world, arn)["access_logs.s3.enabled"] == "true"
    objects = s3.list_objects_v2(Bucket="logs")["Contents"]
    assert [one["Key"] for one in objects] == ["edge/AWSLogs/123456789012/ELBAccessLogTestFile"]


def test_deletion(world: World) -> None:
    arn = world.load_balancer()
    world.listener(arn)
    protect = [{"Key": "deletion_protection.enabled", "Value": "true"}]
    world.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=protect)
    assert refusal(world.elb.delete_load_balancer, LoadBalancerArn=arn) == (
        "OperationNotPermitted",
        f"Load balancer '{arn}' cannot be deleted because deletion protection is enabled",
    )
    protect[0]["Value"] = "false"
    world.elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=protect)
    world.elb.delete_load_balancer(LoadBalancerArn=arn)
    assert refusal(world.elb.describe_load_balancers, LoadBalancerArns=[arn]) == (
        "LoadBalancerNotFound",
        "One or more load balancers not found",
    )
    world.elb.delete_load_balancer(LoadBalancerArn=arn)  # fine for one that isn't there
    left = world.client("ec2").describe_network_interfaces(
        Filters=[{"Name": "description", "Values": ["ELB app/edge/*"]}]
    )["NetworkInterfaces"]
    assert left == []
    assert refusal(world.elb.delete_load_balancer, LoadBalancerArn="edge") == (
        "ValidationError",
        "'edge' is not a valid load balancer ARN",
    )


def test_they_are_found_by_name_and_by_arn(world: World) -> None:
    arns = [world.load_balancer(name) for name in ("one", "two")]
    answer = world.elb.describe_load_balancers(Names=["two"])["LoadBalancers"]
    assert [one["LoadBalancerArn"] for one in answer] == arns[1:]
    assert refusal(world.elb.describe_load_balancers, Names=["three"]) == (
        "LoadBalancerNotFound",
        "Load balancers '[three]' not found",
    )
    pages = world.elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 1})
    assert [len(page["LoadBalancers"]) for page in pages] == [1, 1]
    assert refusal(world.elb.describe_load_balancers, Marker="nonsense!")[0] == "ValidationError"


def test_gateway_load_balancers_are_not_emulated(world: World) -> None:
    found = refusal(world.elb.create_load_balancer, Name="gw", Type="gateway", Subnets=world.seeded.public)
    assert found == ("InvalidConfigurationRequest", "Gateway Load Balancers are not emulated")


def test_an_operation_that_is_not_emulated_says_so(world: World) -> None:
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:truststore/ca/0123456789abcdef"
    found = refusal(world.elb.add_trust_store_revocations, TrustStoreArn=arn)
    assert found == ("OperationNotPermitted", "AddTrustStoreRevocations is not emulated")


@pytest.mark.parametrize(("kind", "least"), [("application", 100), ("network", 2750)])
def test_capacity_is_reserved_and_reset(world: World, kind: str, least: int) -> None:
    arn = world.load_balancer(kind=kind)
    describe, modify = world.elb.describe_capacity_reservation, world.elb.modify_capacity_reservation
    assert describe(LoadBalancerArn=arn)["CapacityReservationState"] == []
    few = {"CapacityUnits": least - 1}
    assert refusal(modify, LoadBalancerArn=arn, MinimumLoadBalancerCapacity=few)[0] == "ValidationError"
    assert refusal(modify, LoadBalancerArn=arn)[0] == "ValidationError"
    modify(LoadBalancerArn=arn, MinimumLoadBalancerCapacity={"CapacityUnits": least})
    found = describe(LoadBalancerArn=arn)
    assert found["MinimumLoadBalancerCapacity"] == {"CapacityUnits": least}
    assert sum(zone["EffectiveCapacityUnits"] for zone in found["CapacityReservationState"]) == least
    modify(LoadBalancerArn=arn, ResetCapacityReservation=True)
    assert "MinimumLoadBalancerCapacity" not in describe(LoadBalancerArn=arn)
