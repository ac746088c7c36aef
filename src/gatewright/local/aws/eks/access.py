"""Who may use a cluster, and which roles its ServiceAccounts have: access entries, pod identity associations."""

from __future__ import annotations

import uuid
from typing import Final

from gatewright.local.aws.eks import placement
from gatewright.local.aws.eks.backend import AccessEntry, Cluster, Document, Eks, now
from gatewright.local.aws.eks.errors import InvalidParameter, InvalidRequest, ResourceInUse, ResourceNotFound
from gatewright.local.aws.eks.paging import page

_POLICY: Final = "arn:aws:eks::aws:cluster-access-policy/"
_POLICIES: Final = (
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSViewPolicy",
)
_NODES: Final = "EC2_LINUX"
_TYPES: Final = ("STANDARD", "FARGATE_LINUX", _NODES, "EC2_WINDOWS", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX")
_CREATOR: Final = "user/moto"
"""Who calls: moto's STS says so of any credentials that aren't those of a role."""


def admit_creator(eks: Eks, cluster: Cluster) -> None:
    """Make whoever made the cluster its administrator, where entries are in use and that was asked for."""
    principal = f"arn:aws:iam::{eks.account_id}:{_CREATOR}"
    asked = cluster.document["accessConfig"]["bootstrapClusterCreatorAdminPermissions"]
    if _has_entries(cluster) and asked and principal not in cluster.entries:
        entry = _admit(eks, cluster, {"principalArn": principal})
        scope = {"type": "cluster", "namespaces": []}
        _grant(entry, f"{_POLICY}AmazonEKSClusterAdminPolicy", scope)


def admit_nodes(eks: Eks, cluster: Cluster, role: str) -> None:
    """Let the nodes of a new node group join, where entries are in use."""
    if _has_entries(cluster) and role not in cluster.entries:
        _admit(eks, cluster, {"principalArn": role, "type": _NODES})


def forget_nodes(cluster: Cluster, role: str) -> None:
    """Remove the entry of a node role that no node group has any more."""
    entry = cluster.entries.get(role)
    used = any(group.document["nodeRole"] == role for group in cluster.nodegroups.values())
    if entry and entry.document["type"] == _NODES and not used:
        del cluster.entries[role]


def create_access_entry(eks: Eks, request: Document) -> Document:
    """CreateAccessEntry."""
    cluster = _with_entries(eks, request)
    principal = request["principalArn"]
    if principal in cluster.entries:
        raise ResourceInUse(
            "The specified access entry resource is already in use on this cluster.", clusterName=cluster.name
        )
    if ":iam::" not in principal or not principal.startswith("arn:"):
        raise InvalidParameter("The principalArn parameter format is not valid")
    if ":role/" in principal:
        _check_principal(principal)
    return {"accessEntry": _admit(eks, cluster, request).document}


def describe_access_entry(eks: Eks, request: Document) -> Document:
    """DescribeAccessEntry."""
    return {"accessEntry": _entry(eks, request).document}


def list_access_entries(eks: Eks, request: Document) -> Document:
    """ListAccessEntries."""
    cluster, policy = _with_entries(eks, request), request.get("associatedPolicyArn")
    found = [arn for arn, entry in cluster.entries.items() if not policy or policy in entry.policies]
    return page("accessEntries", sorted(found), request)


def update_access_entry(eks: Eks, request: Document) -> Document:
    """UpdateAccessEntry: the groups and the name that Kubernetes knows."""
    document = _entry(eks, request).document
    if request.get("kubernetesGroups") is not None:
        _check_groups(request["kubernetesGroups"], document["type"])
        document["kubernetesGroups"] = list(request["kubernetesGroups"])
    if request.get("username"):
        document["username"] = request["username"]
    document["modifiedAt"] = now()
    return {"accessEntry": document}


def delete_access_entry(eks: Eks, request: Document) -> Document:
    """DeleteAccessEntry."""
    cluster = _with_entries(eks, request)
    cluster.entry(request["principalArn"])
    del cluster.entries[request["principalArn"]]
    return {}


def associate_access_policy(eks: Eks, request: Document) -> Document:
    """AssociateAccessPolicy."""
    entry, policy, scope = _entry(eks, request), request["policyArn"], request["accessScope"]
    if policy.removeprefix(_POLICY) not in _POLICIES:
        raise InvalidParameter("The policyArn parameter is not valid")
    if entry.document["type"] != "STANDARD":
        raise InvalidRequest("The access policy can't be associated with an access entry that isn't of type STANDARD")
    if scope.get("type") == "namespace" and not scope.get("namespaces"):
        raise InvalidParameter("The accessScope parameter of type namespace requires at least one namespace")
    if scope.get("type") != "namespace" and scope.get("namespaces"):
        raise InvalidParameter("The accessScope parameter of type cluster can't have namespaces")
    granted = _grant(entry, policy, {"namespaces": [], **scope})
    return {
        "clusterName": request["clusterName"],
        "principalArn": request["principalArn"],
        "associatedAccessPolicy": granted,
    }


def disassociate_access_policy(eks: Eks, request: Document) -> Document:
    """DisassociateAccessPolicy."""
    entry = _entry(eks, request)
    if request["policyArn"] not in entry.policies:
        raise ResourceNotFound("The specified policyArn is not associated with the principalArn")
    del entry.policies[request["policyArn"]]
    return {}


def list_associated_access_policies(eks: Eks, request: Document) -> Document:
    """ListAssociatedAccessPolicies."""
    found = page("associatedAccessPolicies", list(_entry(eks, request).policies.values()), request)
    return {"clusterName": request["clusterName"], "principalArn": request["principalArn"], **found}


def list_access_policies(_: Eks, request: Document) -> Document:
    """ListAccessPolicies."""
    found = [{"name": name, "arn": f"{_POLICY}{name}"} for name in _POLICIES]
    return page("accessPolicies", found, request)


def create_pod_identity_association(eks: Eks, request: Document) -> Document:
    """CreatePodIdentityAssociation."""
    return {"association": associate(eks, eks.cluster(request["clusterName"]), request)}


def associate(eks: Eks, cluster: Cluster, request: Document, owner: str = "") -> Document:
    """Give a ServiceAccount a role; `owner` is the ARN of the add-on that it is of. Raises ResourceInUse."""
    place = request["namespace"], request["serviceAccount"]
    for known_id, known in cluster.associations.items():
        if (known["namespace"], known["serviceAccount"]) == place:
            raise ResourceInUse(f"Association already exists: {known_id}", clusterName=cluster.name)
    _check_principal(request["roleArn"])
    association_id = f"a-{uuid.uuid4().hex[:17]}"
    association: Document = {
        "clusterName": cluster.name,
        "namespace": request["namespace"],
        "serviceAccount": request["serviceAccount"],
        "roleArn": request["roleArn"],
        "associationArn": eks.arn("podidentityassociation", cluster.name, association_id),
        "associationId": association_id,
        "tags": dict(request.get("tags") or {}),
        "createdAt": now(),
        "modifiedAt": now(),
        "disableSessionTags": request.get("disableSessionTags", False),
    }
    if owner:
        association["ownerArn"] = owner
    _target(association, request)
    cluster.associations[association_id] = association
    return association


def describe_pod_identity_association(eks: Eks, request: Document) -> Document:
    """DescribePodIdentityAssociation."""
    return {"association": eks.cluster(request["clusterName"]).association(request["associationId"])}


def list_pod_identity_associations(eks: Eks, request: Document) -> Document:
    """ListPodIdentityAssociations, of a namespace or ServiceAccount if asked."""
    names = ("clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn")
    found = [
        {name: association[name] for name in names if name in association}
        for association in eks.cluster(request["clusterName"]).associations.values()
        if request.get("namespace") in (None, association["namespace"])
        and request.get("serviceAccount") in (None, association["serviceAccount"])
    ]
    return page("associations", found, request)


def update_pod_identity_association(eks: Eks, request: Document) -> Document:
    """UpdatePodIdentityAssociation: another role."""
    association = eks.cluster(request["clusterName"]).association(request["associationId"])
    if request.get("roleArn"):
        _check_principal(request["roleArn"])
        association["roleArn"] = request["roleArn"]
    if request.get("disableSessionTags") is not None:
        association["disableSessionTags"] = request["disableSessionTags"]
    _target(association, request)
    association["modifiedAt"] = now()
    return {"association": association}


def delete_pod_identity_association(eks: Eks, request: Document) -> Document:
    """DeletePodIdentityAssociation."""
    cluster = eks.cluster(request["clusterName"])
    association = cluster.association(request["associationId"])
    del cluster.associations[request["associationId"]]
    return {"association": association}


def _target(association: Document, request: Document) -> None:
    for name in ("targetRoleArn", "policy"):
        if request.get(name):
            association[name] = request[name]
    if request.get("targetRoleArn"):
        association["externalId"] = str(uuid.uuid4())


def _has_entries(cluster: Cluster) -> bool:
    return bool(cluster.document["accessConfig"]["authenticationMode"] != "CONFIG_MAP")


def _with_entries(eks: Eks, request: Document) -> Cluster:
    cluster = eks.cluster(request["clusterName"])
    if not _has_entries(cluster):
        raise InvalidRequest(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this "
            "operation.",
            clusterName=cluster.name,
        )
    return cluster


def _entry(eks: Eks, request: Document) -> AccessEntry:
    return _with_entries(eks, request).entry(request["principalArn"])


def _admit(eks: Eks, cluster: Cluster, request: Document) -> AccessEntry:
    principal, kind = request["principalArn"], request.get("type") or "STANDARD"
    if kind not in _TYPES:
        raise InvalidParameter(f"The type parameter is not valid: {kind}")
    groups = list(request.get("kubernetesGroups") or ())
    _check_groups(groups, kind)
    name = principal.rpartition("/")[2]
    username = request.get("username") or principal
    if kind != "STANDARD":
        groups, username = ["system:nodes"], "system:node:{{EC2PrivateDNSName}}"
    elif ":role/" in principal and not request.get("username"):
        username = f"arn:aws:sts::{eks.account_id}:assumed-role/{name}/{{{{SessionName}}}}"
    sort = "role" if ":role/" in principal else "user"
    document: Document = {
        "clusterName": cluster.name,
        "principalArn": principal,
        "kubernetesGroups": groups,
        "accessEntryArn": eks.arn("access-entry", cluster.name, sort, eks.account_id, name, str(uuid.uuid4())),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": dict(request.get("tags") or {}),
        "username": username,
        "type": kind,
    }
    entry = cluster.entries[principal] = AccessEntry(document)
    return entry


def _grant(entry: AccessEntry, policy: str, scope: Document) -> Document:
    known = entry.policies.get(policy)
    granted = {
        "policyArn": policy,
        "accessScope": scope,
        "associatedAt": known["associatedAt"] if known else now(),
        "modifiedAt": now(),
    }
    entry.policies[policy] = granted
    return granted


def _check_groups(groups: list[str], kind: str) -> None:
    for group in groups:
        if group.startswith(("system:", "eks:", "aws:", "amazon:", "iam:")):
            raise InvalidParameter(f"The kubernetes group name {group} is invalid, it cannot start with system:")
    if groups and kind != "STANDARD":
        raise InvalidParameter(f"kubernetesGroups can't be set for an access entry of type {kind}")


def _check_principal(role: str) -> None:
    try:
        placement.check_role(role)
    except InvalidParameter:
        raise InvalidParameter(f"The specified principalArn is invalid: invalid principal: {role}") from None
