"""The buckets that access logs go to: whether they take them, and putting objects into them.

("Enable access logs for your Application Load Balancer", step 2: "Attach a policy to your S3 bucket".)
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from gatewright.local.aws.backends import LOCK, backend
from gatewright.local.aws.endpoint import ACCOUNT

_SERVICE = "logdelivery.elasticloadbalancing.amazonaws.com"
_ELB_ACCOUNT = "127311923021"  # of Elastic Load Balancing in us-east-1
_ACTION = "s3:PutObject"


def put(bucket: str, key: str, content: bytes) -> None:
    """Put an object; KeyError where there is no such bucket. Any thread but a request's own may call it."""
    with LOCK:
        s3 = backend("s3")
        if bucket not in s3.buckets:
            raise KeyError(bucket)
        s3.put_object(bucket, key, content)


def refusal(bucket: str, prefix: str) -> str | None:
    """AWS's message where Elastic Load Balancing may not write logs to a bucket, else None. Call it holding `LOCK`."""
    found = backend("s3").buckets.get(bucket)
    if found is None:
        return _denied(bucket)
    if prefix and "AWSLogs" in prefix:
        return f"The prefix '{prefix}' of the access log location can't contain AWSLogs"
    object_arn = f"arn:aws:s3:::{bucket}/" + "/".join(filter(None, (prefix.strip("/"), "AWSLogs", ACCOUNT, "any")))
    return None if found.policy and allows(found.policy, object_arn) else _denied(bucket)


def _denied(bucket: str) -> str:
    return f"Access Denied for bucket: {bucket}. Please check S3bucket permission"


def allows(policy: str | bytes, object_arn: str) -> bool:
    """Whether a bucket policy lets Elastic Load Balancing put an object. Conditions of statements aren't evaluated."""
    try:
        statements = _listed(json.loads(policy).get("Statement"))
    except (ValueError, AttributeError):
        return False
    effects = {statement.get("Effect") for statement in statements if _applies(statement, object_arn)}
    return "Allow" in effects and "Deny" not in effects


def _applies(statement: Mapping[str, Any], object_arn: str) -> bool:
    if statement.get("Effect") == "Deny" and statement.get("Condition"):
        return False  # such as those that deny what doesn't come over TLS
    actions = (action.lower() for action in _listed(statement.get("Action")))
    return (
        any(fnmatchcase(_ACTION.lower(), action) for action in actions)
        and any(fnmatchcase(object_arn, resource) for resource in _listed(statement.get("Resource")))
        and any(map(_is_elb, _principals(statement.get("Principal"))))
    )


def _principals(principal: Any) -> Iterable[str]:
    if isinstance(principal, Mapping):
        for named in principal.values():
            yield from _listed(named)
    else:
        yield from _listed(principal)


def _is_elb(principal: str) -> bool:
    return principal in ("*", _SERVICE, _ELB_ACCOUNT, f"arn:aws:iam::{_ELB_ACCOUNT}:root")


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
