"""EKS's wire: REST with JSON. Operations by AWS's names, in `OPERATIONS`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec
from botocore.model import ListShape, Shape, StructureShape
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

from gatewright.local.aws.backends import backend
from gatewright.local.aws.calls import Request
from gatewright.local.aws.eks import access, addons, clusters, nodegroups, updates, versions
from gatewright.local.aws.eks.backend import Document, Eks
from gatewright.local.aws.eks.errors import EksError, InvalidParameter

Operation = Callable[[Eks, Document], Document]

OPERATIONS: Final[dict[str, Operation]] = {
    "AssociateAccessPolicy": access.associate_access_policy,
    "AssociateEncryptionConfig": clusters.associate_encryption_config,
    "CreateAccessEntry": access.create_access_entry,
    "CreateAddon": addons.create_addon,
    "CreateCluster": clusters.create_cluster,
    "CreateNodegroup": nodegroups.create_nodegroup,
    "CreatePodIdentityAssociation": access.create_pod_identity_association,
    "DeleteAccessEntry": access.delete_access_entry,
    "DeleteAddon": addons.delete_addon,
    "DeleteCluster": clusters.delete_cluster,
    "DeleteNodegroup": nodegroups.delete_nodegroup,
    "DeletePodIdentityAssociation": access.delete_pod_identity_association,
    "DescribeAccessEntry": access.describe_access_entry,
    "DescribeAddon": addons.describe_addon,
    "DescribeAddonVersions": addons.describe_addon_versions,
    "DescribeCluster": clusters.describe_cluster,
    "DescribeClusterVersions": versions.describe_cluster_versions,
    "DescribeNodegroup": nodegroups.describe_nodegroup,
    "DescribePodIdentityAssociation": access.describe_pod_identity_association,
    "DescribeUpdate": updates.describe_update,
    "DisassociateAccessPolicy": access.disassociate_access_policy,
    "ListAccessEntries": access.list_access_entries,
    "ListAccessPolicies": access.list_access_policies,
    "ListAddons": addons.list_addons,
    "ListAssociatedAccessPolicies": access.list_associated_access_policies,
    "ListClusters": clusters.list_clusters,
    "ListNodegroups": nodegroups.list_nodegroups,
    "ListPodIdentityAssociations": access.list_pod_identity_associations,
    "ListTagsForResource": updates.list_tags_for_resource,
    "ListUpdates": updates.list_updates,
    "TagResource": updates.tag_resource,
    "UntagResource": updates.untag_resource,
    "UpdateAccessEntry": access.update_access_entry,
    "UpdateAddon": addons.update_addon,
    "UpdateClusterConfig": clusters.update_cluster_config,
    "UpdateClusterVersion": clusters.update_cluster_version,
    "UpdateNodegroupConfig": nodegroups.update_nodegroup_config,
    "UpdateNodegroupVersion": nodegroups.update_nodegroup_version,
    "UpdatePodIdentityAssociation": access.update_pod_identity_association,
}


def dispatch(request: Request, _: str, __: Any) -> tuple[int, dict[str, str], bytes]:
    """Answer a request. Raises NotImplementedError for an operation that isn't emulated."""
    try:
        operation, labels = get_service_router("eks").match(request)
    except HTTPException:
        return _answer(404, {"message": f"{request.method} {request.path} is no call of it"}, "NotFoundException")
    run = OPERATIONS.get(str(operation.name))
    if run is None:
        raise NotImplementedError(f"{operation.name} of EKS")
    try:
        parsed = _parsed(cast("StructureShape", operation.input_shape), request, labels)
        return _answer(200, run(backend("eks"), parsed))
    except EksError as refusal:
        return _answer(refusal.status, refusal.document, refusal.code)


def _answer(status: int, document: Document, code: str = "") -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/json"}
    if code:
        headers["x-amzn-ErrorType"] = code
    return status, headers, msgspec.json.encode(document)


def _parsed(shape: StructureShape, request: Request, labels: dict[str, str]) -> Document:
    """The parameters of a call, by their names in the API's model. Raises InvalidParameter."""
    body = _body(request)
    found: Document = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        value: Any
        match member.serialization.get("location"):
            case "uri":
                value = labels.get(wire)
            case "querystring":
                value = _from_query(member, request.args.getlist(wire))
            case _:
                value = body.get(wire)
        if value is None:
            if name in shape.required_members:
                raise InvalidParameter(f"The parameter {name} is required")
            continue
        _check(member, value, name)
        found[name] = value
    return found


def _body(request: Request) -> Document:
    data = request.get_data()
    if not data:
        return {}
    try:
        body = msgspec.json.decode(data)
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        raise InvalidParameter("The body of the request is no JSON object")
    return body


def _from_query(shape: Shape, values: list[str]) -> Any:
    if not values:
        return None
    match shape.type_name:
        case "list":
            return values
        case "integer":
            return int(values[0]) if values[0].isdecimal() else values[0]
        case "boolean":
            return values[0].lower() == "true"
    return values[0]


_TYPES: Final[dict[str, type[Any]]] = {
    "boolean": bool,
    "integer": int,
    "list": list,
    "map": dict,
    "string": str,
    "structure": dict,
}


def _check(shape: Shape, value: Any, path: str) -> None:
    """Raises InvalidParameter for a value that isn't as the model says."""
    kind: type[Any] = _TYPES.get(shape.type_name, object)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidParameter(f"The parameter {path} is not a {shape.type_name}")
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        raise InvalidParameter(f"The parameter {path} has the value {value}, expected one of {', '.join(allowed)}")
    limits = shape.metadata
    size = value if kind is int else len(value) if kind in (str, list) else None
    if size is not None and not limits.get("min", size) <= size <= limits.get("max", size):
        raise InvalidParameter(f"The parameter {path} is too short, too long, too small or too large")
    if kind is str and "pattern" in limits and not re.fullmatch(limits["pattern"], value):
        raise InvalidParameter(f"The parameter {path} contains invalid characters: {value}")
    if isinstance(shape, StructureShape):
        for name in shape.required_members:
            if value.get(name) is None:
                raise InvalidParameter(f"The parameter {path}.{name} is required")
        for name, member in shape.members.items():
            if value.get(name) is not None:
                _check(member, value[name], f"{path}.{name}")
    elif isinstance(shape, ListShape):
        for number, item in enumerate(value):
            _check(shape.member, item, f"{path}[{number}]")
