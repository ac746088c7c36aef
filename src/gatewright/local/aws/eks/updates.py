"""Updates of clusters, node groups and add-ons, which are done when they are asked for; and tags."""

from __future__ import annotations

from gatewright.local.aws.eks.backend import Document, Eks
from gatewright.local.aws.eks.errors import BadRequest, InvalidParameter, ResourceNotFound
from gatewright.local.aws.eks.paging import page

_MOST_TAGS = 50


def describe_update(eks: Eks, request: Document) -> Document:
    """DescribeUpdate."""
    found = _updates(eks, request).get(request["updateId"])
    if found is None:
        raise ResourceNotFound(f"No update found for ID: {request['updateId']}")
    return {"update": found}


def list_updates(eks: Eks, request: Document) -> Document:
    """ListUpdates."""
    return page("updateIds", list(_updates(eks, request)), request)


def _updates(eks: Eks, request: Document) -> dict[str, Document]:
    cluster = eks.cluster(request["name"])
    if request.get("nodegroupName"):
        return cluster.nodegroup(request["nodegroupName"]).updates
    if request.get("addonName"):
        return cluster.addon(request["addonName"]).updates
    return cluster.updates


def list_tags_for_resource(eks: Eks, request: Document) -> Document:
    """ListTagsForResource."""
    return {"tags": eks.tags(request["resourceArn"])}


def tag_resource(eks: Eks, request: Document) -> Document:
    """TagResource."""
    tags = eks.tags(request["resourceArn"])
    if any(name.lower().startswith("aws:") for name in request["tags"]):
        raise BadRequest("Tag keys that begin with aws: are reserved for AWS")
    if len(tags.keys() | request["tags"].keys()) > _MOST_TAGS:
        raise InvalidParameter(f"A resource can have at most {_MOST_TAGS} tags")
    tags.update(request["tags"])
    return {}


def untag_resource(eks: Eks, request: Document) -> Document:
    """UntagResource."""
    tags = eks.tags(request["resourceArn"])
    for name in request["tagKeys"]:
        tags.pop(name, None)
    return {}
