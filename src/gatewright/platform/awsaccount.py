"""Whether an AWS account can take a platform: credentials, region, names, zones and quotas."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError, NotFound
from gatewright.platform.prerequisites import Missing
from gatewright.platform.targets import Settings


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

PROCESSORS = ("ec2", "L-1216C47A")
"""The quota of vCPUs of running on-demand instances of the families A, C, D, H, I, M, R, T and Z."""
_STANDARD = tuple("acdhimrtz")

INSTANCE_TYPE = "m7i.large"
POOLS = {"system_nodes": 2, "user_nodes": 2}
"""The variables of the node groups, each with how many nodes it begins with where nothing else is said."""

_UNOPENED = "opt-in-not-required", "opted-in"


def needs(settings: Settings, zones: int) -> dict[Quota, int]:
    """How much of each quota a platform takes."""
    single = bool(settings.variables.get("single_nat_gateway", False))
    return {
        VPCS: 1,
        ADDRESSES: 1 if single else zones,
        BALANCERS: 1,  # Terraform's, or the controller's
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
    missing: list[Missing] = []
    if not begun:
        missing += _admins(str(identity.get("Arn")), settings)
        checks += [_name(aws, settings), _logs(aws, settings), _quotas(aws, settings), _nodes(aws, settings)]
    found = await asyncio.gather(*checks, return_exceptions=True)
    for result in found:
        if isinstance(result, AwsError):
            missing.append(Missing(f"{identity.get('Arn')} may not look: {result}", ""))
        elif isinstance(result, BaseException):
            raise result
        else:
            missing += result
    return missing


def _admins(caller: str, settings: Settings) -> list[Missing]:
    """EKS lets in who makes a cluster, and takes no second access entry for the same role or user."""
    given = settings.variables.get("cluster_admins")
    _, _, who = caller.partition(":assumed-role/")
    name = f"role/{who.partition('/')[0]}" if who else caller.rpartition(":")[2]
    kind, _, own = name.partition("/")
    for each in given if isinstance(given, list) else ():
        resource = str(each).rpartition(":")[2]
        if resource.startswith(f"{kind}/") and resource.rpartition("/")[2] == own.rpartition("/")[2]:
            return [
                Missing(
                    f"cluster_admins has {each}, by which the cluster is made",
                    "leave it out: who makes the cluster administers it anyhow",
                )
            ]
    return []


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


async def _logs(aws: Aws, settings: Settings) -> list[Missing]:
    """Whether there is a log group of an earlier cluster: EKS makes it anew where it had more to say at its end."""
    name = f"/aws/eks/{settings.name}/cluster"
    found = await aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    if all(group["logGroupName"] != name for group in found):
        return []
    return [
        Missing(
            f"there is a log group {name} already, as an earlier cluster of that name leaves it",
            f"`aws logs delete-log-group --region {settings.region} --log-group-name {name}`, or another --name",
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
    if (answer["HostedZone"].get("Config") or {}).get("PrivateZone"):
        return [
            Missing(f"hosted zone {zone} is private, and clients and ACM look names up in public ones", "give another")
        ]
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
    limit = await _limit(aws, quota.service, quota.code)
    if limit is None:
        return None
    items = await aws.pages(*quota.counted)
    used = sum(1 for each in items if not isinstance(each, Mapping) or each.get("Type", "application") == "application")
    return None if used + count <= limit else _over(quota.name, quota.service, quota.code, used, limit, count)


def _over(name: str, service: str, code: str, used: int, limit: float, count: int) -> Missing:
    return Missing(
        f"quota {name}: {used} of {limit:.0f} are used, and the platform takes {count}",
        f"ask for more (`aws service-quotas request-service-quota-increase --service-code {service} "
        f"--quota-code {code}`), or remove what isn't needed",
    )


def pools(settings: Settings) -> list[tuple[str, int]]:
    """Instance type and number of the nodes of each group, as far as single variables say other than the defaults."""
    found = []
    for name, count in POOLS.items():
        given = settings.variables.get(name)
        given = given if isinstance(given, dict) else {}
        types = given.get("instance_types") or (INSTANCE_TYPE,)
        found.append((str(types[0]), int(given.get("desired", count))))
    return found


async def _nodes(aws: Aws, settings: Settings) -> list[Missing]:
    """Whether the region has the instance types of nodes, and the quota of vCPUs has room for them."""
    wanted = pools(settings)
    types = dict(wanted)
    offered = await aws.pages(
        "ec2",
        "describe_instance_types",
        "InstanceTypes",
        Filters=[{"Name": "instance-type", "Values": [*types]}],
    )
    cores = {each["InstanceType"]: int(each["VCpuInfo"]["DefaultVCpus"]) for each in offered}
    lacking = [name for name in types if name not in cores]
    if lacking:
        remedy = "name others (--var system_nodes=..., user_nodes=...), or another region with --region"
        return [Missing(f"{settings.region} has no instances of type {', '.join(lacking)}", remedy)]
    limit = await _limit(aws, *PROCESSORS)
    count = sum(cores[name] * number for name, number in wanted if name.startswith(_STANDARD))
    if limit is None:
        return []
    running = await aws.pages(
        "ec2",
        "describe_instances",
        "Reservations",
        Filters=[{"Name": "instance-state-name", "Values": ["pending", "running"]}],
    )
    used = sum(_processors(instance) for each in running for instance in each.get("Instances") or ())
    return [] if used + count <= limit else [_over("vCPUs of instances", *PROCESSORS, used, limit, count)]


def _processors(instance: Mapping[str, Any]) -> int:
    """How much of the quota an instance takes."""
    if instance.get("InstanceLifecycle") or not str(instance.get("InstanceType")).startswith(_STANDARD):
        return 0  # spot instances have a quota of their own
    options = instance.get("CpuOptions") or {}
    return int(options.get("CoreCount") or 1) * int(options.get("ThreadsPerCore") or 2)


async def _limit(aws: Aws, service: str, code: str) -> float | None:
    """The account's quota, or AWS's default; None where neither may be asked, or is known."""
    arguments: dict[str, Any] = {"ServiceCode": service, "QuotaCode": code}
    for operation in ("get_service_quota", "get_aws_default_service_quota"):
        try:
            answer = await aws.call("service-quotas", operation, **arguments)
        except AwsError:
            continue
        return float(answer["Quota"]["Value"])
    return None
