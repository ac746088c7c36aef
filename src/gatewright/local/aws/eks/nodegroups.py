"""Managed node groups; each node is an instance of EC2."""

from __future__ import annotations

import uuid
from typing import Any, Final

from gatewright.local.aws.backends import backend
from gatewright.local.aws.eks import placement
from gatewright.local.aws.eks.access import admit_nodes, forget_nodes
from gatewright.local.aws.eks.backend import Cluster, Document, Eks, Nodegroup, now, updated
from gatewright.local.aws.eks.errors import InvalidParameter, InvalidRequest, ResourceInUse
from gatewright.local.aws.eks.paging import page
from gatewright.local.aws.eks.versions import check_version, minor

_DISK: Final = 20
"""GiB of a node whose launch template names no disk."""
_TYPES: Final = ["t3.medium"]
_MOST_TAINTS: Final = 50


def create_nodegroup(eks: Eks, request: Document) -> Document:
    """CreateNodegroup; its instances run at once."""
    cluster = eks.cluster(request["clusterName"])
    name, token = request["nodegroupName"], request.get("clientRequestToken")
    known = cluster.nodegroups.get(name)
    if known:
        if token and known.document.get("clientRequestToken") == token:
            return {"nodegroup": _shown(known)}
        raise ResourceInUse(
            f"NodeGroup already exists with name {name} and cluster name {cluster.name}",
            clusterName=cluster.name,
            nodegroupName=name,
        )
    placement.check_role(request["nodeRole"])
    _check_subnets(cluster, request["subnets"])
    version = request.get("version") or cluster.document["version"]
    check_version(version)
    if minor(version) > minor(cluster.document["version"]):
        raise InvalidParameter(
            f"Requested Nodegroup kubernetes version {version} is newer than the cluster's, "
            f"{cluster.document['version']}"
        )
    scaling = request.get("scalingConfig") or {"minSize": 1, "maxSize": 2, "desiredSize": 2}
    _check_scaling(scaling)
    _check_taints(request.get("taints") or [])
    template = _template(request)
    unique = str(uuid.uuid4())
    document: Document = {
        "nodegroupName": name,
        "nodegroupArn": eks.arn("nodegroup", cluster.name, name, unique),
        "clusterName": cluster.name,
        "version": version,
        "releaseVersion": request.get("releaseVersion") or _release(version),
        "createdAt": now(),
        "modifiedAt": now(),
        "status": "ACTIVE",
        "capacityType": request.get("capacityType", "ON_DEMAND"),
        "scalingConfig": {name: int(value) for name, value in scaling.items()},
        "subnets": list(request["subnets"]),
        "amiType": _image_type(request, template),
        "nodeRole": request["nodeRole"],
        "labels": dict(request.get("labels") or {}),
        "resources": {"autoScalingGroups": [{"name": f"eks-{name}-{unique}"}]},
        "health": {"issues": []},
        "updateConfig": request.get("updateConfig") or {"maxUnavailable": 1},
        "tags": dict(request.get("tags") or {}),
    }
    if request.get("taints"):
        document["taints"] = request["taints"]
    if template:
        document["launchTemplate"] = template
    else:
        document["diskSize"] = request.get("diskSize") or _DISK
    if request.get("instanceTypes") or not template or not _data(template).get("InstanceType"):
        document["instanceTypes"] = request.get("instanceTypes") or _TYPES
    for part in ("remoteAccess", "nodeRepairConfig", "clientRequestToken"):
        if request.get(part):
            document[part] = request[part]
    group = cluster.nodegroups[name] = Nodegroup(document)
    placement.fit(cluster, group)
    admit_nodes(eks, cluster, request["nodeRole"])
    return {"nodegroup": _shown(group)}


def describe_nodegroup(eks: Eks, request: Document) -> Document:
    """DescribeNodegroup."""
    return {"nodegroup": _shown(eks.cluster(request["clusterName"]).nodegroup(request["nodegroupName"]))}


def list_nodegroups(eks: Eks, request: Document) -> Document:
    """ListNodegroups."""
    return page("nodegroups", sorted(eks.cluster(request["clusterName"]).nodegroups), request)


def delete_nodegroup(eks: Eks, request: Document) -> Document:
    """DeleteNodegroup; its instances are terminated."""
    cluster = eks.cluster(request["clusterName"])
    group = cluster.nodegroup(request["nodegroupName"])
    placement.dismiss(group)
    del cluster.nodegroups[request["nodegroupName"]]
    forget_nodes(cluster, group.document["nodeRole"])
    return {"nodegroup": {**_shown(group), "status": "DELETING"}}


def update_nodegroup_config(eks: Eks, request: Document) -> Document:
    """UpdateNodegroupConfig: labels, taints, sizes, and how it is updated."""
    cluster = eks.cluster(request["clusterName"])
    group = cluster.nodegroup(request["nodegroupName"])
    document = group.document
    params: dict[str, Any] = {}
    labels, taints = request.get("labels") or {}, request.get("taints") or {}
    gone = {_key(taint) for taint in (*(taints.get("removeTaints") or ()), *(taints.get("addOrUpdateTaints") or ()))}
    fresh = [taint for taint in document.get("taints") or () if _key(taint) not in gone]
    fresh += taints.get("addOrUpdateTaints") or ()
    _check_taints(fresh)
    scaling = {**document["scalingConfig"], **(request.get("scalingConfig") or {})}
    _check_scaling(scaling)
    if request.get("scalingConfig"):
        document["scalingConfig"] = scaling
        params |= {name[0].upper() + name[1:]: value for name, value in request["scalingConfig"].items()}
    if labels:
        kept = {
            name: value for name, value in document["labels"].items() if name not in (labels.get("removeLabels") or ())
        }
        document["labels"] = {**kept, **(labels.get("addOrUpdateLabels") or {})}
        params |= {
            "LabelsToAdd": labels.get("addOrUpdateLabels") or {},
            "LabelsToRemove": labels.get("removeLabels") or [],
        }
    if taints:
        document["taints"] = fresh
        params |= {
            "TaintsToAdd": taints.get("addOrUpdateTaints") or [],
            "TaintsToRemove": taints.get("removeTaints") or [],
        }
    for part in ("updateConfig", "nodeRepairConfig"):
        if request.get(part):
            document[part] = request[part]
    if request.get("updateConfig"):
        params |= {name[0].upper() + name[1:]: value for name, value in request["updateConfig"].items()}
    document["modifiedAt"] = now()
    placement.fit(cluster, group)
    return updated(group.updates, "ConfigUpdate", params)


def update_nodegroup_version(eks: Eks, request: Document) -> Document:
    """UpdateNodegroupVersion: to another version, or another one of its launch template; all nodes are replaced."""
    cluster = eks.cluster(request["clusterName"])
    group = cluster.nodegroup(request["nodegroupName"])
    document = group.document
    version = request.get("version") or (
        document["version"] if request.get("launchTemplate") else cluster.document["version"]
    )
    check_version(version)
    if minor(version) > minor(cluster.document["version"]) or minor(version) < minor(document["version"]):
        raise InvalidParameter(
            f"Nodegroup kubernetes version {version}: expected one from {document['version']} "
            f"to {cluster.document['version']}, the cluster's"
        )
    params = {"Version": version, "ReleaseVersion": request.get("releaseVersion") or _release(version)}
    if request.get("launchTemplate"):
        if "launchTemplate" not in document:
            raise InvalidRequest("You cannot specify a launch template: the node group was created without one")
        template = _template(request)
        assert template
        document["launchTemplate"] = template
        params |= {"LaunchTemplateName": template["name"], "LaunchTemplateVersion": template["version"]}
    document |= {"version": version, "releaseVersion": params["ReleaseVersion"], "modifiedAt": now()}
    placement.replace(cluster, group)
    return updated(group.updates, "VersionUpdate", params)


def _shown(group: Nodegroup) -> Document:
    return {name: value for name, value in group.document.items() if name != "clientRequestToken"}


def _key(taint: Document) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _release(version: str) -> str:
    return f"{version}.1-20261101"


def _check_subnets(cluster: Cluster, ids: list[str]) -> None:
    vpc = cluster.document["resourcesVpcConfig"]["vpcId"]
    for subnet in placement.subnets(ids):
        if subnet.vpc_id != vpc:
            raise InvalidParameter(f"Subnet {subnet.id} is not in the cluster's VPC, {vpc}")


def _check_scaling(scaling: Document) -> None:
    least, most, desired = (int(scaling.get(name, 0)) for name in ("minSize", "maxSize", "desiredSize"))
    if least > desired:
        raise InvalidParameter(f"Minimum capacity {least} can't be greater than desired size {desired}")
    if desired > most:
        raise InvalidParameter(f"desired capacity {desired} can't be greater than max size {most}")
    if most < 1:
        raise InvalidParameter("maxSize must be at least 1")


def _check_taints(taints: list[Document]) -> None:
    if len(taints) > _MOST_TAINTS:
        raise InvalidParameter(f"A node group can have at most {_MOST_TAINTS} taints, found {len(taints)}")
    if len({_key(taint) for taint in taints}) < len(taints):
        raise InvalidParameter("Taints with the same key and effect")


def _template(request: Document) -> Document | None:
    """The launch template that is asked for, with its id, name and version. Raises InvalidRequest, InvalidParameter."""
    asked = request.get("launchTemplate")
    if not asked:
        return None
    if request.get("diskSize"):
        raise InvalidParameter("Disk size must be specified within the launch template.")
    if request.get("remoteAccess"):
        raise InvalidParameter("Remote access configuration cannot be specified with a launch template.")
    if bool(asked.get("id")) == bool(asked.get("name")):
        raise InvalidParameter("Specify either the launch template's ID or its name")
    templates = backend("ec2").launch_templates.values()
    found = next((one for one in templates if asked.get("id") == one.id or asked.get("name") == one.name), None)
    if found is None:
        raise InvalidRequest(f"Launch template {asked.get('id') or asked.get('name')} could not be found.")
    version = str(asked.get("version") or found.default_version_number)
    numbers = [str(one.number) for one in found.versions]
    if version not in (*numbers, "$Latest", "$Default"):
        raise InvalidRequest(f"Version {version} of the launch template {found.id} could not be found.")
    data = found.get_version(version).data
    if data.get("InstanceType") and request.get("instanceTypes"):
        raise InvalidParameter("Instance types must be specified either in the launch template or in the request.")
    if data.get("IamInstanceProfile"):
        raise InvalidParameter("The launch template must not name an IAM instance profile: the node role is used.")
    return {"id": found.id, "name": found.name, "version": version}


def _data(template: Document) -> dict[str, Any]:
    data: dict[str, Any] = backend("ec2").get_launch_template(template["id"]).get_version(template["version"]).data
    return data


def _image_type(request: Document, template: Document | None) -> str:
    if template and _data(template).get("ImageId"):
        return "CUSTOM"
    return str(request.get("amiType") or "AL2023_x86_64_STANDARD")
