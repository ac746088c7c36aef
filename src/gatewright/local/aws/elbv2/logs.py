"""The S3 buckets that logs of load balancers go to."""

from __future__ import annotations

import json

from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import misconfigured
from gatewright.local.aws.elbv2.models import Document, LoadBalancer

_TEST_FILES = {
    "access_logs": "ELBAccessLogTestFile",
    "connection_logs": "ELBConnectionLogTestFile",
    "health_check_logs": "ELBHealthCheckLogTestFile",
}
_WRITING = {"*", "s3:*", "s3:Put*", "s3:PutObject"}


def check_bucket(elb: Backend, load_balancer: LoadBalancer, kind: str, attributes: dict[str, str]) -> None:
    """Raise a refusal unless logs can be written, and write the test file that shows it, as AWS does.

    `kind` is `access_logs` or another of the attributes' prefixes. Some statement of the bucket's policy must allow
    `s3:PutObject`, for whomever.
    """
    name, prefix = attributes[f"{kind}.s3.bucket"], attributes[f"{kind}.s3.prefix"]
    s3 = backend("s3")
    bucket = s3.buckets.get(name)
    if bucket is None or not bucket.policy or not _lets_write(json.loads(bucket.policy)):
        raise misconfigured(f"Access Denied for bucket: {name}. Please check S3bucket permission")
    path = f"{prefix + '/' if prefix else ''}AWSLogs/{elb.account_id}/{_TEST_FILES[kind]}"
    s3.put_object(name, path, f"Enable AccessLog for ELB: {load_balancer.name}".encode())


def _lets_write(policy: Document) -> bool:
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        actions = statement.get("Action", [])
        named = {actions} if isinstance(actions, str) else set(actions)
        if statement.get("Effect") == "Allow" and named & _WRITING:
            return True
    return False
