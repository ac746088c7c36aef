"""Tags of load balancers, listeners, rules and target groups."""

from __future__ import annotations

import re
from typing import Any

from gatewright.local.aws.elbv2 import quotas
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal, invalid
from gatewright.local.aws.elbv2.models import Document

_DESCRIBED = 20
_TEXT = re.compile(r"[\w\s.:/=+\-@]*")
"""`\\p{L}\\p{Z}\\p{N}_.:/=+-@` (ELBv2 API reference, Tag), near enough; control characters are refused below."""


def checked(tags: list[Document] | None, before: dict[str, str] | None = None) -> list[Document]:
    """Tags of a request, for something that has `before`. Raises a refusal."""
    tags = tags or []
    keys = [tag.get("Key", "") for tag in tags]
    for number, tag in enumerate(tags, 1):
        for field, text in (("key", tag.get("Key", "")), ("value", tag.get("Value") or "")):
            if not _TEXT.fullmatch(text) or any(character < " " for character in text):
                raise invalid(
                    f"Value '{text}' at 'tags.{number}.member.{field}' failed to satisfy constraint: "
                    r"Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
                )
    for key in keys:
        if key.lower().startswith("aws:"):
            raise invalid(f"The tag key '{key}' is not valid: keys that start with 'aws:' are reserved")
        if keys.count(key) > 1:
            raise Refusal("DuplicateTagKeys", f"Tag key was specified more than once: {key}")
    if len({*keys, *(before or {})}) > quotas.TAGS:
        raise Refusal("TooManyTags", f"The maximum number of tags per resource '{quotas.TAGS}' has been reached")
    return tags


def set_tags(elb: Backend, arn: str, tags: list[Document]) -> None:
    """Tag something new."""
    elb.tagging_service.tag_resource(arn, [{"Key": tag["Key"], "Value": tag.get("Value", "")} for tag in tags])


def forget(elb: Backend, arn: str) -> None:
    """Untag something that is gone."""
    elb.tagging_service.delete_all_tags_for_resource(arn)


def tags_of(elb: Backend, arn: str) -> dict[str, str]:
    """By key."""
    return dict(elb.tagging_service.get_tag_dict_for_resource(arn))


def _check_exists(elb: Backend, arn: str) -> None:
    kind = re.search(r":(loadbalancer|targetgroup|listener|listener-rule|truststore)/", arn)
    match kind and kind[1]:
        case "loadbalancer":
            elb.load_balancer(arn)
        case "targetgroup":
            elb.target_group(arn)
        case "listener":
            elb.listener(arn)
        case "listener-rule":
            elb.rule(arn)
        case "truststore":
            elb.trust_store(arn)
        case _:
            raise invalid(f"'{arn}' is not a valid load balancer ARN")


def add_tags(elb: Backend, request: Document) -> Document:
    """AddTags."""
    for arn in request["ResourceArns"]:
        _check_exists(elb, arn)
        checked(request["Tags"], tags_of(elb, arn))
    for arn in request["ResourceArns"]:
        set_tags(elb, arn, request["Tags"])
    return {}


def remove_tags(elb: Backend, request: Document) -> Document:
    """RemoveTags."""
    for arn in request["ResourceArns"]:
        _check_exists(elb, arn)
    for arn in request["ResourceArns"]:
        elb.tagging_service.untag_resource_using_names(arn, request["TagKeys"])
    return {}


def describe_tags(elb: Backend, request: Document) -> Document:
    """DescribeTags."""
    arns: list[Any] = request["ResourceArns"]
    if len(arns) > _DESCRIBED:
        raise invalid(f"You cannot describe the tags of more than '{_DESCRIBED}' resources at a time")
    for arn in arns:
        _check_exists(elb, arn)
    return {
        "TagDescriptions": [
            {"ResourceArn": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags_of(elb, arn).items()]}
            for arn in arns
        ]
    }
