"""The S3 buckets that logs of load balancers go to."""

from __future__ import annotations

from gatewright.local.aws.accesslogs.buckets import refusal
from gatewright.local.aws.backends import backend
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import misconfigured
from gatewright.local.aws.elbv2.models import LoadBalancer

_TEST_FILES = {
    "access_logs": "ELBAccessLogTestFile",
    "connection_logs": "ELBConnectionLogTestFile",
    "health_check_logs": "ELBHealthCheckLogTestFile",
}


def check_bucket(elb: Backend, load_balancer: LoadBalancer, kind: str, attributes: dict[str, str]) -> None:
    """Raise a refusal unless logs can be written, and write the test file that shows it, as AWS does.

    `kind` is `access_logs` or another of the attributes' prefixes.
    """
    name, prefix = attributes[f"{kind}.s3.bucket"], attributes[f"{kind}.s3.prefix"]
    refused = refusal(name, prefix)
    if refused:
        raise misconfigured(refused)
    path = f"{prefix + '/' if prefix else ''}AWSLogs/{elb.account_id}/{_TEST_FILES[kind]}"
    backend("s3").put_object(name, path, f"Enable AccessLog for ELB: {load_balancer.name}".encode())
