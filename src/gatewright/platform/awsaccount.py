"""Whether an AWS account can take a platform: credentials, region, names, zones and quotas."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError, NotFound
from gatewright.platform.prerequisites import Missing
from gatewright.platform.targets import Architecture, Settings


class Quota(NamedTuple):
    """A quota that a platform takes from: its codes in Service Quotas, and how what is used is counted."""

    service: str
    code: str
    name: str
    counted: tuple[str, str, str]
    """Service, operation, and the member of its answer that lists what counts."""


VPCS = Quota("vpc", "L-F678F1CE", "VPCs", ("ec2", "describe_vpcs", "Vpcs"))
ADDRESSES = Quota("ec2", "L-0263D0A3", "Elastic IP addresses", ("ec2", "describe_addresses", "Addresses"))
BALANCERS = Quota(
    "elasticloadbalancing",
    "L-53DA6B97",
    "Application Load Balancers",
    ("elbv2", "describe_load_balancers", "LoadBalancers"),
)
CLUSTERS = Quota("eks", "L-1194D53C", "EKS clusters", ("eks", "list_clusters", "clusters"))

_UNOPENED = "opt-in-not-required", "opted-in"


def needs(settings: Settings, zones: int) -> dict[Quota, int]:
    """How much of each quota a platform takes."""
    single = bool(settings.variables.get("single_nat_gateway", False))
    return {
        VPCS: 1,
        ADDRESSES: 1 if single else zones,
        BALANCERS: 1 if settings.architecture in Architecture else 0,
        CLUSTERS: 1,
    }


async def ready(aws: Aws, settings: Settings, *, begun: bool) -> list[Missing]:
    """What the account lacks. Where Terraform has begun already, names and quotas are taken by this platform itself."""
    try:
        identity = await aws.call("sts", "get_caller_identity")
    except AwsError as error:
        return [
            Missing(
                f"AWS takes no credentials: {error.code}: {error.message}",
                "log in (`aws sso login`, `aws configure`) or set AWS_PROFILE; `aws sts get-caller-identity` shows "
                "whether it works",
            )
        ]
    checks = [_region(aws, settings), _zone(aws, settings)]
    if not begun:
        checks += [_name(aws, settings), _quotas(aws, settings)]
    found = await asyncio.gather(*checks, return_exceptions=True)
    missing: list[Missing] = []
    for result in found:
        if isinstance(result, AwsError):
            missing.append(Missing(f"{identity.get('Arn')} may not look: {result}", ""))
        elif isinstance(result, BaseException):
            raise result
        else:
            missing += result
    return missing


async def _region(aws: Aws, settings: Settings) -> list[Missing]:
    answer = await aws.call("ec2", "describe_regions", AllRegions=True)
    states = {each["RegionName"]: each.get("OptInStatus", "") for each in answer["Regions"]}
    state = states.get(settings.region)
    if state in _UNOPENED:
        return []
    found = f"is {state}" if state else "isn't one of AWS's regions that this account sees"
    return [Missing(f"region {settings.region} {found}", "enable it for the account, or name another with --region")]


async def _name(aws: Aws, settings: Settings) -> list[Missing]:
    try:
        await aws.call("eks", "describe_cluster", name=settings.name)
    except NotFound:
        return []
    return [
        Missing(
            f"{settings.region} has an EKS cluster {settings.name} already, which isn't of this folder",
            "name another with --name, or the folder that it was deployed from with --dir",
        )
    ]


async def _zone(aws: Aws, settings: Settings) -> list[Missing]:
    zone = settings.variables.get("hosted_zone_id")
    if not zone:
        return []
    try:
        answer = await aws.call("route53", "get_hosted_zone", Id=str(zone))
    except NotFound:
        return [Missing(f"hosted zone {zone} isn't there", "give the id of a zone in this account: hosted_zone_id")]
    name = answer["HostedZone"]["Name"].rstrip(".")
    if settings.domain == name or settings.domain.endswith(f".{name}"):
        return []
    return [Missing(f"hosted zone {zone} is of {name}, which doesn't have {settings.domain}", "give another --domain")]


def certificate_known(settings: Settings, *, files: bool) -> list[Missing]:
    """Whether it is said where the HTTPS listener's certificate is from; with files of variables, they may say it."""
    sources = ("create_hosted_zone", "hosted_zone_id", "certificate_arn")
    if files or any(settings.variables.get(name) for name in sources):
        return []
    return [
        Missing(
            f"nothing says how {settings.domain} gets a certificate",
            "give one of --var hosted_zone_id=Z... (a zone of this account), --var create_hosted_zone=true (a new one, "
            "to which you delegate), --var certificate_arn=arn:... (an issued one)",
        )
    ]


async def _quotas(aws: Aws, settings: Settings) -> list[Missing]:
    zones = len(settings.variables.get("zones") or ()) or 2
    wanted = needs(settings, zones)
    found = await asyncio.gather(*(_quota(aws, quota, count) for quota, count in wanted.items()))
    return [missing for missing in found if missing]


async def _quota(aws: Aws, quota: Quota, count: int) -> Missing | None:
    limit = await _limit(aws, quota)
    if limit is None:
        return None
    items = await aws.pages(*quota.counted)
    used = sum(1 for each in items if not isinstance(each, Mapping) or each.get("Type", "application") == "application")
    if used + count <= limit:
        return None
    return Missing(
        f"quota {quota.name}: {used} of {limit:.0f} are used, and the platform takes {count}",
        f"ask for more (`aws service-quotas request-service-quota-increase --service-code {quota.service} "
        f"--quota-code {quota.code}`), or remove what isn't needed",
    )


async def _limit(aws: Aws, quota: Quota) -> float | None:
    """The account's quota, or AWS's default; None where neither may be asked, or is known."""
    arguments: dict[str, Any] = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    for operation in ("get_service_quota", "get_aws_default_service_quota"):
        try:
            answer = await aws.call("service-quotas", operation, **arguments)
        except AwsError:
            continue
        return float(answer["Quota"]["Value"])
    return None
