"""Clusters: made, shown, changed, deleted."""

from __future__ import annotations

import uuid
from typing import Any, Final

from gatewright.local.aws.eks import placement
from gatewright.local.aws.eks.access import admit_creator
from gatewright.local.aws.eks.backend import Cluster, Document, Eks, now, updated
from gatewright.local.aws.eks.errors import InvalidParameter, InvalidRequest, ResourceInUse
from gatewright.local.aws.eks.paging import page
from gatewright.local.aws.eks.versions import PLATFORM, check_version, minor, newest

LOG_TYPES: Final = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_ANYWHERE: Final = "0.0.0.0/0"
_MODES: Final = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")
"""Authentication modes, in the only order in which they can be changed."""
_SETTINGS: Final = {
    "accessConfig": "AccessConfigUpdate",
    "computeConfig": "AutoModeUpdate",
    "controlPlaneScalingConfig": "ControlPlaneScalingConfigUpdate",
    "deletionProtection": "DeletionProtectionUpdate",
    "kubernetesNetworkConfig": "AutoModeUpdate",
    "remoteNetworkConfig": "RemoteNetworkConfigUpdate",
    "storageConfig": "AutoModeUpdate",
    "upgradePolicy": "UpgradePolicyUpdate",
    "zonalShiftConfig": "ZonalShiftConfigUpdate",
}
"""What UpdateClusterConfig changes, beside the network and the logs, and the update's type."""


def create_cluster(eks: Eks, request: Document) -> Document:
    """CreateCluster; its security group and network interfaces are made with it."""
    name, token = request["name"], request.get("clientRequestToken")
    known = eks.clusters.get(name)
    if known:
        if token and known.document.get("clientRequestToken") == token:
            return {"cluster": known.document}
        raise ResourceInUse(f"Cluster already exists with name: {name}", clusterName=name)
    placement.check_role(request["roleArn"])
    asked = request["resourcesVpcConfig"]
    vpc = _check_network(asked)
    document = describe(eks, request, vpc)
    document["resourcesVpcConfig"]["clusterSecurityGroupId"] = placement.settle(
        name, vpc, asked["subnetIds"], asked.get("securityGroupIds") or ()
    )
    cluster = register(eks, document)
    admit_creator(eks, cluster)
    return {"cluster": cluster.document}


def register(eks: Eks, document: Document) -> Cluster:
    """Keep a cluster that is DescribeCluster's `document`."""
    cluster = eks.clusters[document["name"]] = Cluster(document)
    return cluster


def describe(eks: Eks, request: Document, vpc: str) -> Document:
    """What DescribeCluster says of the cluster that CreateCluster's `request` makes in a VPC."""
    name = request["name"]
    network = request["resourcesVpcConfig"]
    access = request.get("accessConfig") or {}
    version = request.get("version") or newest()
    check_version(version)
    document: Document = {
        "name": name,
        "arn": eks.arn("cluster", name),
        "createdAt": now(),
        "version": version,
        "endpoint": eks.endpoint,
        "roleArn": request["roleArn"],
        "resourcesVpcConfig": {
            "subnetIds": list(network["subnetIds"]),
            "securityGroupIds": list(network.get("securityGroupIds") or ()),
            "vpcId": vpc,
            "endpointPublicAccess": network.get("endpointPublicAccess", True),
            "endpointPrivateAccess": network.get("endpointPrivateAccess", False),
            "publicAccessCidrs": network.get("publicAccessCidrs") or [_ANYWHERE],
        },
        "kubernetesNetworkConfig": _kubernetes_network(request.get("kubernetesNetworkConfig") or {}),
        "logging": _logging({}, request.get("logging") or {}),
        "identity": {
            "oidc": {"issuer": f"https://oidc.eks.{eks.region_name}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"}
        },
        "status": "ACTIVE",
        "certificateAuthority": {"data": eks.certificate_authority},
        "platformVersion": PLATFORM,
        "tags": dict(request.get("tags") or {}),
        "health": {"issues": []},
        "accessConfig": {
            "bootstrapClusterCreatorAdminPermissions": access.get("bootstrapClusterCreatorAdminPermissions", True),
            "authenticationMode": access.get("authenticationMode", "CONFIG_MAP"),
        },
        "upgradePolicy": request.get("upgradePolicy") or {"supportType": "EXTENDED"},
        "deletionProtection": request.get("deletionProtection", False),
    }
    for part in ("encryptionConfig", "zonalShiftConfig", "remoteNetworkConfig", "computeConfig", "storageConfig"):
        if request.get(part):
            document[part] = request[part]
    if request.get("clientRequestToken"):
        document["clientRequestToken"] = request["clientRequestToken"]
    return document


def describe_cluster(eks: Eks, request: Document) -> Document:
    """DescribeCluster."""
    return {"cluster": eks.cluster(request["name"]).document}


def list_clusters(eks: Eks, request: Document) -> Document:
    """ListClusters."""
    return page("clusters", sorted(eks.clusters), request)


def delete_cluster(eks: Eks, request: Document) -> Document:
    """DeleteCluster; what EKS made for it goes with it."""
    cluster = eks.cluster(request["name"])
    if cluster.nodegroups:
        raise ResourceInUse(
            "Cluster has nodegroups attached",
            clusterName=cluster.name,
            nodegroupName=",".join(sorted(cluster.nodegroups)),
        )
    if cluster.document["deletionProtection"]:
        raise InvalidRequest("Cluster deletion protection is enabled. Disable it before you delete the cluster.")
    placement.leave(cluster)
    del eks.clusters[cluster.name]
    return {"cluster": {**cluster.document, "status": "DELETING"}}


def update_cluster_config(eks: Eks, request: Document) -> Document:
    """UpdateClusterConfig, of one thing at a time."""
    cluster = eks.cluster(request["name"])
    asked = [part for part in ("resourcesVpcConfig", "logging", *_SETTINGS) if request.get(part) is not None]
    kinds = {_SETTINGS.get(part, part) for part in asked}
    if not asked:
        raise InvalidParameter("No changes needed for the cluster config provided", clusterName=cluster.name)
    if len(kinds) > 1:
        raise InvalidParameter("Only one type of update can be allowed.", clusterName=cluster.name)
    if asked == ["resourcesVpcConfig"]:
        return _update_network(cluster, request["resourcesVpcConfig"])
    document = cluster.document
    if asked == ["logging"]:
        fresh = _logging(document["logging"], request["logging"])
        if fresh == document["logging"]:
            raise InvalidParameter("No changes needed for the logging config provided", clusterName=cluster.name)
        document["logging"] = fresh
        return updated(cluster.updates, "LoggingUpdate", {"ClusterLogging": request["logging"]})
    params: dict[str, Any] = {}
    for part in asked:
        value = request[part]
        if part == "accessConfig":
            _check_mode(document["accessConfig"]["authenticationMode"], value.get("authenticationMode", ""))
            params["AuthenticationMode"] = value["authenticationMode"]
        else:
            params[part[0].upper() + part[1:]] = value
        document[part] = {**(document.get(part) or {}), **value} if isinstance(value, dict) else value
    if asked == ["accessConfig"]:
        admit_creator(eks, cluster)
    return updated(cluster.updates, kinds.pop(), params)


def update_cluster_version(eks: Eks, request: Document) -> Document:
    """UpdateClusterVersion, to the next minor one."""
    cluster = eks.cluster(request["name"])
    old, new = cluster.document["version"], request["version"]
    check_version(new)
    if minor(new) != minor(old) + 1:
        raise InvalidParameter(
            f"Unsupported Kubernetes minor version update from {old} to {new}", clusterName=cluster.name
        )
    cluster.document["version"] = new
    return updated(cluster.updates, "VersionUpdate", {"Version": new, "PlatformVersion": PLATFORM})


def associate_encryption_config(eks: Eks, request: Document) -> Document:
    """AssociateEncryptionConfig; it can't be undone or changed."""
    cluster = eks.cluster(request["clusterName"])
    if cluster.document.get("encryptionConfig"):
        raise InvalidParameter("Encryption config is already associated with the cluster", clusterName=cluster.name)
    cluster.document["encryptionConfig"] = request["encryptionConfig"]
    return updated(cluster.updates, "AssociateEncryptionConfig", {"EncryptionConfig": request["encryptionConfig"]})


def _check_network(asked: Document) -> str:
    """The VPC of the subnets that are asked for. Raises InvalidParameter."""
    found = placement.subnets(asked.get("subnetIds") or ())
    vpcs = {subnet.vpc_id for subnet in found}
    if len({subnet.availability_zone for subnet in found}) < 2:
        raise InvalidParameter("Subnets specified must be in at least two different AZs")
    if len(vpcs) > 1:
        raise InvalidParameter("Subnets specified must be in the same VPC")
    vpc = str(vpcs.pop())
    placement.check_groups(asked.get("securityGroupIds") or (), vpc)
    if not asked.get("endpointPublicAccess", True) and not asked.get("endpointPrivateAccess", False):
        raise InvalidParameter("Private and public endpoint access cannot be false")
    return vpc


def _update_network(cluster: Cluster, asked: Document) -> Document:
    document = cluster.document["resourcesVpcConfig"]
    fresh = {**document, **{name: value for name, value in asked.items() if value is not None}}
    if fresh == document:
        raise InvalidParameter(
            "Cluster is already at the desired configuration with "
            f"endpointPrivateAccess: {str(document['endpointPrivateAccess']).lower()}, "
            f"endpointPublicAccess: {str(document['endpointPublicAccess']).lower()}, "
            f"and Public Endpoint Restrictions: [{', '.join(document['publicAccessCidrs'])}]",
            clusterName=cluster.name,
        )
    if _check_network(fresh) != document["vpcId"]:
        raise InvalidParameter("Provided subnets belong to another VPC than the cluster's", clusterName=cluster.name)
    moved = {"subnetIds", "securityGroupIds"} & asked.keys()
    if moved:
        placement.resettle(cluster, fresh["subnetIds"], fresh["securityGroupIds"])
    document.update(fresh)
    if moved:
        params = {"Subnets": fresh["subnetIds"], "SecurityGroups": fresh["securityGroupIds"]}
        return updated(cluster.updates, "VpcConfigUpdate", params)
    return updated(
        cluster.updates,
        "EndpointAccessUpdate",
        {
            "EndpointPublicAccess": fresh["endpointPublicAccess"],
            "EndpointPrivateAccess": fresh["endpointPrivateAccess"],
            "PublicAccessCidrs": fresh["publicAccessCidrs"],
        },
    )


def _check_mode(old: str, new: str) -> None:
    if new not in _MODES or _MODES.index(new) <= _MODES.index(old):
        raise InvalidParameter(f"Unsupported authentication mode update from {old} to {new}")


def _kubernetes_network(asked: Document) -> Document:
    found: Document = {"ipFamily": asked.get("ipFamily", "ipv4")}
    if found["ipFamily"] == "ipv6":
        found["serviceIpv6Cidr"] = "fd00:ec2::/108"
    else:
        found["serviceIpv4Cidr"] = asked.get("serviceIpv4Cidr") or "172.20.0.0/16"
    found["elasticLoadBalancing"] = asked.get("elasticLoadBalancing") or {"enabled": False}
    return found


def _logging(old: Document, asked: Document) -> Document:
    """Which logs of the control plane are kept: one part for those that are, and one for the others."""
    enabled = {kind for setup in old.get("clusterLogging") or () if setup["enabled"] for kind in setup["types"]}
    for setup in asked.get("clusterLogging") or ():
        for kind in setup.get("types") or ():
            if setup.get("enabled"):
                enabled.add(kind)
            else:
                enabled.discard(kind)
    parts = [{"types": [kind for kind in LOG_TYPES if (kind in enabled) is on], "enabled": on} for on in (True, False)]
    return {"clusterLogging": [part for part in parts if part["types"]]}
