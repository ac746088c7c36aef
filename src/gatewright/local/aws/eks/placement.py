"""What EKS makes in EC2: a cluster's security group and network interfaces, and the instances of a node group."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, cast

from gatewright.local.aws.backends import backend
from gatewright.local.aws.ec2 import ClusterInterface
from gatewright.local.aws.eks.backend import Cluster, Document, Nodegroup
from gatewright.local.aws.eks.errors import InvalidParameter

_ANYWHERE = "0.0.0.0/0"
_MOST_INTERFACES = 4
"""EKS has two to four network interfaces in a cluster's subnets."""
_DESCRIPTION = (
    "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
    "as well as any managed workloads."
)
_IMAGE = "ami-0e1c5be2aa956338b"
"""Of an instance whose launch template names none: EKS chooses it."""


def subnets(ids: Sequence[str]) -> list[Any]:
    """EC2's subnets by id. Raises InvalidParameter for one that isn't there."""
    ec2 = backend("ec2")
    found = {subnet.id: subnet for zone in ec2.subnets.values() for subnet in zone.values()}
    missing = [one for one in ids if one not in found]
    if missing:
        raise InvalidParameter(f"The subnet ID '{missing[0]}' does not exist")
    return [found[one] for one in ids]


def check_groups(ids: Sequence[str], vpc: str) -> None:
    """Raises InvalidParameter for a security group that isn't in the VPC."""
    for one in ids:
        if one not in backend("ec2").groups[vpc]:
            raise InvalidParameter(f"The security group '{one}' does not exist in VPC '{vpc}'")


def check_role(arn: str) -> None:
    """Raises InvalidParameter for a role that isn't there."""
    if not any(role.arn == arn for role in backend("iam").roles.values()):
        raise InvalidParameter(
            f"Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct"
        )


def settle(cluster: str, vpc: str, subnet_ids: Sequence[str], groups: Sequence[str]) -> str:
    """Make a cluster's security group, and its network interfaces; the id of the former."""
    ec2 = backend("ec2")
    name = f"eks-cluster-sg-{cluster}-{uuid.uuid4().int % 10**10}"
    tags = {
        "Name": name,
        f"kubernetes.io/cluster/{cluster}": "owned",
        "aws:eks:cluster-name": cluster,
    }
    group = ec2.create_security_group(name, _DESCRIPTION, vpc, tags=tags)
    itself = {"GroupId": group.id, "UserId": ec2.account_id}
    ec2.authorize_security_group_ingress(group.id, "-1", None, None, [], source_groups=[itself], vpc_id=vpc)
    _make_interfaces(cluster, subnet_ids, [group.id, *groups])
    return str(group.id)


def resettle(cluster: Cluster, subnet_ids: Sequence[str], groups: Sequence[str]) -> None:
    """Move a cluster's network interfaces to other subnets, or give them other security groups."""
    _remove_interfaces(cluster.name)
    own = cluster.document["resourcesVpcConfig"]["clusterSecurityGroupId"]
    _make_interfaces(cluster.name, subnet_ids, [own, *groups])


def leave(cluster: Cluster) -> None:
    """Remove what `settle` made; a security group that is still used stays, as it does in AWS."""
    ec2 = backend("ec2")
    _remove_interfaces(cluster.name)
    group = cluster.document["resourcesVpcConfig"]["clusterSecurityGroupId"]
    if group in ec2.groups[cluster.document["resourcesVpcConfig"]["vpcId"]] and not ec2.is_used(group):
        ec2.delete_security_group(group_id=group)


def _make_interfaces(cluster: str, subnet_ids: Sequence[str], groups: Sequence[str]) -> None:
    ec2 = backend("ec2")
    make = cast("Any", ClusterInterface)  # moto leaves methods for CloudFormation abstract
    for subnet in subnets(subnet_ids)[:_MOST_INTERFACES]:
        address = subnet.get_available_subnet_ip(None)
        interface = make(ec2, subnet, address, group_ids=list(groups), description=f"Amazon EKS {cluster}")
        interface.occupy(cluster)
        ec2.enis[interface.id] = interface


def _remove_interfaces(cluster: str) -> None:
    ec2 = backend("ec2")
    for interface in [one for one in ec2.enis.values() if isinstance(one, ClusterInterface)]:
        if interface.owner == cluster:
            ec2.remove(interface)


def fit(cluster: Cluster, group: Nodegroup) -> None:
    """Run as many instances as a node group wants, spread over its subnets; terminate those that are too many."""
    ec2 = backend("ec2")
    document = group.document
    running = {one.id: one for one in ec2.get_multi_instances_by_id(_living(group))}
    group.instances = list(running)
    wanted = int(document["scalingConfig"]["desiredSize"])
    while len(running) > wanted:
        counts = _counts(document, running)
        crowded = max(document["subnets"], key=lambda subnet: counts[subnet])
        newest = [one for one in group.instances if running[one].subnet_id == crowded][-1]
        _terminate(group, [newest])
        del running[newest]
    while len(running) < wanted:
        counts = _counts(document, running)
        emptiest = min(document["subnets"], key=lambda subnet: counts[subnet])
        instance = _run(cluster, group, emptiest)
        group.instances.append(instance.id)
        running[instance.id] = instance


def replace(cluster: Cluster, group: Nodegroup) -> None:
    """Run other instances in the place of all that a node group has, as its update to another version does."""
    dismiss(group)
    fit(cluster, group)


def dismiss(group: Nodegroup) -> None:
    """Terminate all instances of a node group."""
    _terminate(group, _living(group))


def _living(group: Nodegroup) -> list[str]:
    """Those that nobody else has terminated."""
    held = {
        instance.id: instance
        for reservation in backend("ec2").reservations.values()
        for instance in reservation.instances
    }
    return [one for one in group.instances if one in held and held[one]._state.name == "running"]


def _counts(document: Document, running: dict[str, Any]) -> dict[str, int]:
    return {
        subnet: sum(1 for instance in running.values() if instance.subnet_id == subnet)
        for subnet in document["subnets"]
    }


def _terminate(group: Nodegroup, ids: list[str]) -> None:
    if ids:
        backend("ec2").terminate_instances(ids)
    group.instances = [one for one in group.instances if one not in ids]


def _run(cluster: Cluster, group: Nodegroup, subnet: str) -> Any:
    document = group.document
    tags = {
        "eks:cluster-name": cluster.name,
        "eks:nodegroup-name": document["nodegroupName"],
        f"kubernetes.io/cluster/{cluster.name}": "owned",
        f"k8s.io/cluster-autoscaler/{cluster.name}": "owned",
        "k8s.io/cluster-autoscaler/enabled": "true",
        "aws:autoscaling:groupName": document["resources"]["autoScalingGroups"][0]["name"],
    }
    template = document.get("launchTemplate")
    how: dict[str, Any] = {}
    if template:
        how["launch_template"] = {"LaunchTemplateId": template["id"], "Version": template["version"]}
    if not template or not _template_groups(template):
        how["security_group_ids"] = [cluster.document["resourcesVpcConfig"]["clusterSecurityGroupId"]]
    types = document.get("instanceTypes")
    reservation = backend("ec2").run_instances(
        _IMAGE,
        1,
        None,
        [],
        subnet_id=subnet,
        is_instance_type_default=not types,
        instance_type=types[0] if types else "",
        tags={"instance": tags},
        **how,
    )
    return reservation.instances[0]


def _template_groups(template: Document) -> list[str]:
    """The security groups that a launch template names. EKS adds its own only where there are none."""
    found = backend("ec2").get_launch_template(template["id"])
    data = found.get_version(template["version"]).data
    named: list[str] = data.get("SecurityGroupIds") or [
        group for interface in data.get("NetworkInterfaces") or () for group in interface.get("Groups") or ()
    ]
    return named
