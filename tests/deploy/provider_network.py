"""What the provider calls for the network; see `provider_calls`."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.deploy.provider_calls import (
    ANYWHERE,
    BUCKET,
    TAGS,
    Call,
    Resource,
    filters,
    specification,
    tagged,
)

_VPC = {"VpcIds": ["$vpc"]}
_DEFAULT_GROUP = filters(group_name="default", vpc_id="$vpc")
NETWORK = Resource(
    "aws_vpc, aws_default_security_group, aws_internet_gateway, aws_flow_log",
    made=[
        Call(
            "ec2",
            "create_vpc",
            {"CidrBlock": "10.32.0.0/16", "TagSpecifications": specification("vpc")},
            keeps={"vpc": "Vpc.VpcId"},
        ),
        Call("ec2", "modify_vpc_attribute", {"VpcId": "$vpc", "EnableDnsHostnames": {"Value": True}}),
        Call(
            "ec2",
            "describe_security_groups",
            {"Filters": _DEFAULT_GROUP},
            ["length(SecurityGroups) == `1`"],
            {"default_group": "SecurityGroups[0].GroupId", "rules": "SecurityGroups[0].IpPermissionsEgress"},
        ),
        Call("ec2", "revoke_security_group_egress", {"GroupId": "$default_group", "IpPermissions": "$rules"}),
        Call("ec2", "create_tags", {"Resources": ["$default_group"], "Tags": TAGS}),
        Call(
            "ec2",
            "create_internet_gateway",
            {"TagSpecifications": specification("internet-gateway")},
            keeps={"gateway": "InternetGateway.InternetGatewayId"},
        ),
        Call("ec2", "attach_internet_gateway", {"InternetGatewayId": "$gateway", "VpcId": "$vpc"}),
        Call(
            "ec2",
            "create_flow_logs",
            {
                "ClientToken": "once",
                "ResourceIds": ["$vpc"],
                "ResourceType": "VPC",
                "TrafficType": "REJECT",
                "LogDestinationType": "s3",
                "LogDestination": f"arn:aws:s3:::{BUCKET}",
                "MaxAggregationInterval": 600,
                "TagSpecifications": specification("vpc-flow-log"),
            },
            ["Unsuccessful == `[]`"],
            {"flow_log": "FlowLogIds[0]"},
        ),
    ],
    read=[
        Call("ec2", "describe_vpcs", _VPC, ["Vpcs[0].State == 'available'", tagged("Vpcs[0].Tags")]),
        *(
            Call(
                "ec2",
                "describe_vpc_attribute",
                {"VpcId": "$vpc", "Attribute": name},
                [f"{name[0].upper()}{name[1:]}.Value == `{json.dumps(value)}`"],
            )
            for name, value in (
                ("enableDnsHostnames", True),
                ("enableDnsSupport", True),
                ("enableNetworkAddressUsageMetrics", False),
            )
        ),
        Call("ec2", "describe_network_acls", {"Filters": filters(default="true", vpc_id="$vpc")}, ["NetworkAcls[0]"]),
        Call(
            "ec2",
            "describe_route_tables",
            {"Filters": filters(association__main="true", vpc_id="$vpc")},
            ["length(RouteTables) == `1`"],
        ),
        Call(
            "ec2",
            "describe_security_groups",
            {"GroupIds": ["$default_group"]},
            [
                "SecurityGroups[0].IpPermissions == `[]`",
                "SecurityGroups[0].IpPermissionsEgress == `[]`",
                tagged("SecurityGroups[0].Tags"),
            ],
        ),
        Call(
            "ec2",
            "describe_internet_gateways",
            {"InternetGatewayIds": ["$gateway"]},
            ["InternetGateways[0].Attachments[0].State == 'available'", tagged("InternetGateways[0].Tags")],
        ),
        Call(
            "ec2",
            "describe_flow_logs",
            {"FlowLogIds": ["$flow_log"]},
            [
                "FlowLogs[0].ResourceId == '$vpc'",
                "FlowLogs[0].MaxAggregationInterval == `600`",
                "FlowLogs[0].LogFormat",
                tagged("FlowLogs[0].Tags"),
            ],
        ),
    ],
    removed=[
        Call("ec2", "delete_flow_logs", {"FlowLogIds": ["$flow_log"]}),
        Call("ec2", "describe_flow_logs", {"FlowLogIds": ["$flow_log"]}, ["FlowLogs == `[]`"]),
        Call("ec2", "detach_internet_gateway", {"InternetGatewayId": "$gateway", "VpcId": "$vpc"}),
        Call(
            "ec2",
            "describe_internet_gateways",
            {"InternetGatewayIds": ["$gateway"]},
            ["InternetGateways[0].Attachments == `[]`"],
        ),
        Call("ec2", "delete_internet_gateway", {"InternetGatewayId": "$gateway"}),
        Call("ec2", "delete_vpc", {"VpcId": "$vpc"}),
        Call("ec2", "describe_vpcs", _VPC, refused="InvalidVpcID.NotFound"),
    ],
)


def subnet(name: str, zone: str, block: str) -> Resource:
    """A subnet, which is kept by that name."""
    found = {"SubnetIds": [f"${name}"]}
    return Resource(
        "aws_subnet",
        made=[
            Call(
                "ec2",
                "create_subnet",
                {
                    "AvailabilityZone": zone,
                    "CidrBlock": block,
                    "VpcId": "$vpc",
                    "TagSpecifications": specification("subnet"),
                },
                keeps={name: "Subnet.SubnetId"},
            )
        ],
        read=[
            Call(
                "ec2",
                "describe_subnets",
                found,
                [
                    "Subnets[0].State == 'available'",
                    "Subnets[0].MapPublicIpOnLaunch == `false`",
                    "Subnets[0].PrivateDnsNameOptionsOnLaunch.HostnameType == 'ip-name'",
                    tagged("Subnets[0].Tags"),
                ],
            )
        ],
        removed=[
            Call(
                "ec2",
                "describe_network_interfaces",
                {"Filters": filters(subnet_id=f"${name}")},
                ["NetworkInterfaces == `[]`"],
            ),
            Call("ec2", "delete_subnet", {"SubnetId": f"${name}"}),
            Call("ec2", "describe_subnets", found, refused="InvalidSubnetID.NotFound"),
        ],
    )


_NAT = {"NatGatewayIds": ["$nat"]}
_ROUTES = {"RouteTableIds": ["$routes"]}
_ASSOCIATION = {"Filters": filters(association__route_table_association_id="$association")}
ROUTES = Resource(
    "aws_eip, aws_nat_gateway, aws_route_table, aws_route, aws_route_table_association",
    made=[
        Call(
            "ec2",
            "allocate_address",
            {"Domain": "vpc", "TagSpecifications": specification("elastic-ip")},
            keeps={"address": "AllocationId"},
        ),
        Call(
            "ec2",
            "create_nat_gateway",
            {
                "ClientToken": "once",
                "AllocationId": "$address",
                "SubnetId": "$subnet",
                "ConnectivityType": "public",
                "TagSpecifications": specification("natgateway"),
            },
            keeps={"nat": "NatGateway.NatGatewayId"},
        ),
        Call(
            "ec2",
            "create_route_table",
            {"ClientToken": "once", "VpcId": "$vpc", "TagSpecifications": specification("route-table")},
            keeps={"routes": "RouteTable.RouteTableId"},
        ),
        Call(
            "ec2",
            "create_route",
            {"RouteTableId": "$routes", "DestinationCidrBlock": ANYWHERE, "NatGatewayId": "$nat"},
            ["Return"],
        ),
        Call(
            "ec2",
            "associate_route_table",
            {"RouteTableId": "$routes", "SubnetId": "$subnet"},
            keeps={"association": "AssociationId"},
        ),
    ],
    read=[
        Call(
            "ec2",
            "describe_addresses",
            {"AllocationIds": ["$address"]},
            ["Addresses[0].Domain == 'vpc'", "Addresses[0].PublicIp", tagged("Addresses[0].Tags")],
        ),
        Call("ec2", "describe_addresses_attribute", {"AllocationIds": ["$address"], "Attribute": "domain-name"}),
        # What it reads of the addresses depends on the mode, which came with regional ones.
        Call(
            "ec2",
            "describe_nat_gateways",
            _NAT,
            [
                "NatGateways[0].State == 'available'",
                "NatGateways[0].AvailabilityMode == 'zonal'",
                "NatGateways[0].ConnectivityType == 'public'",
                "NatGateways[0].NatGatewayAddresses[0].IsPrimary",
                "NatGateways[0].NatGatewayAddresses[0].AllocationId == '$address'",
                tagged("NatGateways[0].Tags"),
            ],
        ),
        Call(
            "ec2",
            "describe_route_tables",
            _ROUTES,
            [
                f"RouteTables[0].Routes[?DestinationCidrBlock == '{ANYWHERE}'] | [0].Origin == 'CreateRoute'",
                f"RouteTables[0].Routes[?DestinationCidrBlock == '{ANYWHERE}'] | [0].State == 'active'",
                tagged("RouteTables[0].Tags"),
            ],
        ),
        Call(
            "ec2",
            "describe_route_tables",
            _ASSOCIATION,
            ["RouteTables[0].Associations[0].AssociationState.State == 'associated'"],
        ),
    ],
    removed=[
        Call("ec2", "disassociate_route_table", {"AssociationId": "$association"}),
        Call("ec2", "describe_route_tables", _ASSOCIATION, ["RouteTables == `[]`"]),
        Call("ec2", "delete_route", {"RouteTableId": "$routes", "DestinationCidrBlock": ANYWHERE}),
        Call("ec2", "delete_route_table", {"RouteTableId": "$routes"}),
        Call("ec2", "describe_route_tables", _ROUTES, refused="InvalidRouteTableID.NotFound"),
        Call("ec2", "delete_nat_gateway", {"NatGatewayId": "$nat"}),
        Call("ec2", "describe_nat_gateways", _NAT, ["NatGateways[0].State == 'deleted'"]),
        Call("ec2", "release_address", {"AllocationId": "$address"}),
        Call("ec2", "describe_addresses", {"AllocationIds": ["$address"]}, refused="InvalidAllocationID.NotFound"),
    ],
)

ALL: Sequence[Resource] = (
    NETWORK,
    subnet("subnet", "us-east-1a", "10.32.0.0/20"),
    subnet("other_subnet", "us-east-1b", "10.32.16.0/20"),
    ROUTES,
)
