"""Service Quotas: what a new account may have of what a platform needs, by AWS's defaults."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from gatewright.local.aws.calls import Request
from gatewright.local.aws.endpoint import ACCOUNT, REGION

Document = dict[str, Any]


class _Quota(NamedTuple):
    service: str
    code: str
    name: str
    value: float


_SERVICES: Final = {
    "ec2": "Amazon Elastic Compute Cloud (Amazon EC2)",
    "eks": "Amazon Elastic Kubernetes Service (Amazon EKS)",
    "elasticloadbalancing": "Elastic Load Balancing (ELB)",
    "vpc": "Amazon Virtual Private Cloud (Amazon VPC)",
    "wafv2": "AWS WAF",
}
_QUOTAS: Final = (
    _Quota("ec2", "L-0263D0A3", "EC2-VPC Elastic IPs", 5),
    _Quota("ec2", "L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 64),
    _Quota("eks", "L-1194D53C", "Clusters", 100),
    _Quota("eks", "L-6D54EA21", "Managed node groups per cluster", 30),
    _Quota("elasticloadbalancing", "L-53DA6B97", "Application Load Balancers per Region", 50),
    _Quota("elasticloadbalancing", "L-69A177A2", "Network Load Balancers per Region", 50),
    _Quota("elasticloadbalancing", "L-B22855CB", "Target Groups per Region", 3000),
    _Quota("vpc", "L-F678F1CE", "VPCs per Region", 5),
    _Quota("vpc", "L-A4707A72", "Internet gateways per Region", 5),
    _Quota("vpc", "L-FE5A380F", "NAT gateways per Availability Zone", 5),
    _Quota("vpc", "L-407747CB", "Subnets per VPC", 200),
    _Quota("vpc", "L-E79EC296", "VPC security groups per Region", 2500),
    _Quota("wafv2", "L-5CFA2DCC", "Maximum web ACLs per account in WAF for regional", 100),
)


def dispatch(request: Request, _: str, __: Any) -> tuple[int, dict[str, str], bytes]:
    """Answer a request. Raises NotImplementedError for an operation that isn't emulated."""
    operation = request.headers["X-Amz-Target"].rpartition(".")[2]
    asked = json.loads(request.get_data() or b"{}")
    code = asked.get("ServiceCode", "")
    found: Document
    match operation:
        case "ListServices":
            found = {"Services": [{"ServiceCode": code, "ServiceName": name} for code, name in _SERVICES.items()]}
        case "ListServiceQuotas" | "ListAWSDefaultServiceQuotas" if code in _SERVICES:
            found = {"Quotas": [_document(quota) for quota in _QUOTAS if quota.service == code]}
        case "GetServiceQuota" | "GetAWSDefaultServiceQuota" | "ListServiceQuotas" | "ListAWSDefaultServiceQuotas":
            quota = next((one for one in _QUOTAS if (one.service, one.code) == (code, asked.get("QuotaCode"))), None)
            if quota is None:
                return _answer(
                    400,
                    {
                        "__type": "NoSuchResourceException",
                        "Message": "The request failed because the specified service or quota does not exist.",
                    },
                )
            found = {"Quota": _document(quota)}
        case _:
            raise NotImplementedError(f"{operation} of Service Quotas")
    return _answer(200, found)


def _answer(status: int, document: Document) -> tuple[int, dict[str, str], bytes]:
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def _document(quota: _Quota) -> Document:
    return {
        "ServiceCode": quota.service,
        "ServiceName": _SERVICES[quota.service],
        "QuotaArn": f"arn:aws:servicequotas:{REGION}:{ACCOUNT}:{quota.service}/{quota.code}",
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": quota.value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
