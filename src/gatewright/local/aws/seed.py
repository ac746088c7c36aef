"""What the emulated account holds at the start: a VPC over two zones as a cluster has it, and an EKS cluster in it."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any, NamedTuple

from gatewright.local.aws.backends import LOCK, backend
from gatewright.local.aws.eks import clusters
from gatewright.local.aws.endpoint import ACCOUNT, REGION

_ANYWHERE = "0.0.0.0/0"


class _Layout(NamedTuple):
    """A subnet of the seeded VPC: its Name tag, zone, offset and prefix length in the VPC, and whether it is public."""

    name: str
    zone: str
    offset: int
    length: int
    public: bool


_SUBNETS = (
    _Layout("private-a", f"{REGION}a", 0, 18, public=False),
    _Layout("public-a", f"{REGION}a", 0x4000, 20, public=True),
    _Layout("public-b", f"{REGION}b", 0x5000, 20, public=True),
    _Layout("private-b", f"{REGION}b", 0x8000, 17, public=False),
)


class Seeded(NamedTuple):
    """Ids of what was seeded; `subnets` by their Name tag."""

    vpc: str
    subnets: dict[str, str]
    cluster_security_group: str
    node_security_group: str
    cluster_arn: str

    @property
    def public(self) -> list[str]:
        """Ids of the public subnets, one a zone."""
        return [self.subnets[layout.name] for layout in _SUBNETS if layout.public]

    @property
    def private(self) -> list[str]:
        """Ids of the private subnets, one a zone."""
        return [self.subnets[layout.name] for layout in _SUBNETS if not layout.public]


NOTHING = Seeded("", {}, "", "", "")
"""Of an account that holds nothing."""


def _cidr_block(network: IPv4Network, layout: _Layout) -> IPv4Network:
    return IPv4Network((int(network.network_address) + layout.offset, layout.length))


def seed(network: IPv4Network, cluster: str = "gatewright", endpoint: str = "") -> Seeded:
    """Make it all. `network` is the VPC's, a /16; `endpoint` the URL of the cluster's Kubernetes API, if it has one."""
    with LOCK:
        ec2 = backend("ec2")
        vpc = ec2.create_vpc(str(network), tags=_tags(Name=cluster, **_shared(cluster)))
        vpc.enable_dns_hostnames = True
        subnets = _subnets(ec2, vpc, network, cluster)
        groups = _security_groups(ec2, vpc, cluster)
        arn = _cluster(cluster, endpoint, vpc, list(subnets.values()), groups)
        return Seeded(vpc.id, subnets, *groups, arn)


def _subnets(ec2: Any, vpc: Any, network: IPv4Network, cluster: str) -> dict[str, str]:
    gateway = ec2.create_internet_gateway(tags=_tags(Name=cluster))
    ec2.attach_internet_gateway(gateway.id, vpc.id)
    public_routes = ec2.create_route_table(vpc.id, tags=_tags(Name=f"{cluster}-public"))
    ec2.create_route(public_routes.id, _ANYWHERE, gateway_id=gateway.id)
    subnets = {}
    for layout in _SUBNETS:
        role = "kubernetes.io/role/elb" if layout.public else "kubernetes.io/role/internal-elb"
        tags = {"Name": f"{cluster}-{layout.name}", role: "1", **_shared(cluster)}
        subnet = ec2.create_subnet(
            vpc.id, str(_cidr_block(network, layout)), availability_zone=layout.zone, tags={"subnet": tags}
        )
        subnet.map_public_ip_on_launch = layout.public
        routes = public_routes
        if not layout.public:
            routes = ec2.create_route_table(vpc.id, tags=_tags(Name=f"{cluster}-{layout.name}"))
        ec2.associate_route_table(routes.id, subnet_id=subnet.id)
        subnets[layout.name] = subnet.id
    return subnets


def _security_groups(ec2: Any, vpc: Any, cluster: str) -> tuple[str, str]:
    owned = {f"kubernetes.io/cluster/{cluster}": "owned"}
    groups = []
    for name, description in (
        (
            f"eks-cluster-sg-{cluster}",
            "EKS created security group applied to ENI that is attached to EKS Control Plane",
        ),
        (f"{cluster}-node", "EKS node shared security group"),
    ):
        group = ec2.create_security_group(name, description, vpc.id, tags={"Name": name, **owned})
        source = {"GroupId": group.id, "UserId": ACCOUNT}
        ec2.authorize_security_group_ingress(group.id, "-1", None, None, [], source_groups=[source], vpc_id=vpc.id)
        groups.append(group.id)
    return groups[0], groups[1]


def _cluster(name: str, endpoint: str, vpc: Any, subnets: list[str], groups: tuple[str, str]) -> str:
    iam = backend("iam")
    roles = {}
    for role, service in ((f"{name}-cluster", "eks.amazonaws.com"), (f"{name}-node", "ec2.amazonaws.com")):
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        roles[role] = iam.create_role(role, document, "/", None, "", [], None).arn
    eks = backend("eks")
    described = clusters.describe(
        eks,
        {
            "name": name,
            "roleArn": roles[f"{name}-cluster"],
            "resourcesVpcConfig": {"subnetIds": subnets, "endpointPrivateAccess": True},
        },
        vpc.id,
    )
    described["resourcesVpcConfig"]["clusterSecurityGroupId"] = groups[0]
    if endpoint:
        described["endpoint"] = endpoint
    return str(clusters.register(eks, described).document["arn"])


def _shared(cluster: str) -> dict[str, str]:
    return {f"kubernetes.io/cluster/{cluster}": "shared"}


def _tags(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
