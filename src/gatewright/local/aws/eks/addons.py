"""Add-ons of a cluster."""

from __future__ import annotations

import re
import uuid
from typing import Any, Final, NamedTuple

import yaml

from gatewright.local.aws.eks import placement
from gatewright.local.aws.eks.access import associate
from gatewright.local.aws.eks.backend import Addon, Cluster, Document, Eks, now, updated
from gatewright.local.aws.eks.errors import InvalidParameter, ResourceInUse, ResourceNotFound
from gatewright.local.aws.eks.paging import page
from gatewright.local.aws.eks.versions import newest


class _Known(NamedTuple):
    """An add-on of AWS: what it is for, the namespace that it is in, and its versions, newest first."""

    type: str
    namespace: str
    versions: tuple[str, ...]


_KNOWN: Final = {
    "aws-ebs-csi-driver": _Known("storage", "kube-system", ("v1.59.0-eksbuild.1", "v1.58.0-eksbuild.1")),
    "coredns": _Known("networking", "kube-system", ("v1.13.2-eksbuild.4", "v1.12.4-eksbuild.6")),
    "eks-node-monitoring-agent": _Known("observability", "kube-system", ("v1.5.1-eksbuild.1",)),
    "eks-pod-identity-agent": _Known("security", "kube-system", ("v1.3.10-eksbuild.2", "v1.3.9-eksbuild.3")),
    "kube-proxy": _Known("networking", "kube-system", ()),
    "metrics-server": _Known("observability", "kube-system", ("v0.8.1-eksbuild.1", "v0.8.0-eksbuild.6")),
    "vpc-cni": _Known("networking", "kube-system", ("v1.21.1-eksbuild.3", "v1.20.4-eksbuild.1")),
}
"""kube-proxy's versions are Kubernetes'."""
_VERSION: Final = re.compile(r"v\d+\.\d+\.\d+-eksbuild\.\d+")


def create_addon(eks: Eks, request: Document) -> Document:
    """CreateAddon."""
    cluster = eks.cluster(request["clusterName"])
    name, token = request["addonName"], request.get("clientRequestToken")
    known = cluster.addons.get(name)
    if known:
        if token and known.document.get("clientRequestToken") == token:
            return {"addon": _shown(known)}
        raise ResourceInUse("Addon already exists.", clusterName=cluster.name, addonName=name)
    if name not in _KNOWN:
        raise InvalidParameter(f"Addon {name} specified is not supported", clusterName=cluster.name, addonName=name)
    version = request.get("addonVersion") or _versions(name, cluster.document["version"])[0]
    document: Document = {
        "addonName": name,
        "clusterName": cluster.name,
        "status": "ACTIVE",
        "addonVersion": version,
        "health": {"issues": []},
        "addonArn": eks.arn("addon", cluster.name, name, str(uuid.uuid4())),
        "createdAt": now(),
        "modifiedAt": now(),
        "tags": dict(request.get("tags") or {}),
        "podIdentityAssociations": [],
        "namespaceConfig": {"namespace": _KNOWN[name].namespace},
    }
    _check(request)
    _set(document, request)
    if token:
        document["clientRequestToken"] = token
    addon = cluster.addons[name] = Addon(document)
    _associate(eks, cluster, document, request)
    return {"addon": _shown(addon)}


def describe_addon(eks: Eks, request: Document) -> Document:
    """DescribeAddon."""
    return {"addon": _shown(eks.cluster(request["clusterName"]).addon(request["addonName"]))}


def list_addons(eks: Eks, request: Document) -> Document:
    """ListAddons."""
    return page("addons", sorted(eks.cluster(request["clusterName"]).addons), request)


def update_addon(eks: Eks, request: Document) -> Document:
    """UpdateAddon."""
    cluster = eks.cluster(request["clusterName"])
    addon = cluster.addon(request["addonName"])
    _check(request)
    _set(addon.document, request)
    _associate(eks, cluster, addon.document, request)
    addon.document["modifiedAt"] = now()
    names = ("addonVersion", "serviceAccountRoleArn", "resolveConflicts", "configurationValues")
    params: dict[str, Any] = {name[0].upper() + name[1:]: request[name] for name in names if request.get(name)}
    return updated(addon.updates, "AddonUpdate", params)


def delete_addon(eks: Eks, request: Document) -> Document:
    """DeleteAddon."""
    cluster = eks.cluster(request["clusterName"])
    addon = cluster.addon(request["addonName"])
    _dissociate(cluster, addon.document)
    del cluster.addons[request["addonName"]]
    return {"addon": {**_shown(addon), "status": "DELETING"}}


def describe_addon_versions(_: Eks, request: Document) -> Document:
    """DescribeAddonVersions, of what AWS itself offers."""
    version = request.get("kubernetesVersion") or newest()
    asked = request.get("addonName")
    if asked and asked not in _KNOWN:
        raise ResourceNotFound(f"Addon {asked} specified is not supported", addonName=asked)
    found = [
        {
            "addonName": name,
            "type": known.type,
            "publisher": "eks",
            "owner": "aws",
            "defaultNamespace": known.namespace,
            "addonVersions": [
                {
                    "addonVersion": each,
                    "architecture": ["amd64", "arm64"],
                    "compatibilities": [
                        {"clusterVersion": version, "platformVersions": ["*"], "defaultVersion": number == 0}
                    ],
                    "requiresConfiguration": False,
                    "requiresIamPermissions": name in ("aws-ebs-csi-driver", "vpc-cni"),
                }
                for number, each in enumerate(_versions(name, version))
            ],
        }
        for name, known in _KNOWN.items()
        if asked in (None, name) and (not request.get("types") or known.type in request["types"])
    ]
    return page("addons", found, request)


def _versions(name: str, kubernetes: str) -> tuple[str, ...]:
    return _KNOWN[name].versions or (f"v{kubernetes}.1-eksbuild.2", f"v{kubernetes}.0-eksbuild.2")


def _shown(addon: Addon) -> Document:
    return {name: value for name, value in addon.document.items() if name != "clientRequestToken"}


def _check(request: Document) -> None:
    """Raises InvalidParameter for what can't be set."""
    version, role = request.get("addonVersion"), request.get("serviceAccountRoleArn")
    if version and not _VERSION.fullmatch(version):
        raise InvalidParameter("Addon version specified is not supported", addonName=request["addonName"])
    if role:
        placement.check_role(role)
    values = request.get("configurationValues")
    if values and not isinstance(_parsed(values), dict):
        raise InvalidParameter(
            "ConfigurationValue provided in request is not supported: expected a JSON or YAML object",
            addonName=request["addonName"],
        )


def _parsed(values: str) -> Any:
    """What a text in JSON or YAML says; None where it is neither."""
    try:
        return yaml.safe_load(values)
    except yaml.YAMLError:
        return None


def _set(document: Document, request: Document) -> None:
    for name in ("addonVersion", "serviceAccountRoleArn", "configurationValues"):
        if request.get(name):
            document[name] = request[name]


def _associate(eks: Eks, cluster: Cluster, document: Document, request: Document) -> None:
    """Have an add-on's ServiceAccounts use the roles that are asked for; what was before goes."""
    asked = request.get("podIdentityAssociations")
    if asked is None:
        return
    _dissociate(cluster, document)
    made = [
        associate(
            eks,
            cluster,
            {"namespace": document["namespaceConfig"]["namespace"], **each},
            owner=document["addonArn"],
        )
        for each in asked
    ]
    document["podIdentityAssociations"] = [association["associationArn"] for association in made]


def _dissociate(cluster: Cluster, document: Document) -> None:
    arns = document["podIdentityAssociations"]
    for one in [one for one in cluster.associations.values() if one["associationArn"] in arns]:
        del cluster.associations[one["associationId"]]
    document["podIdentityAssociations"] = []
