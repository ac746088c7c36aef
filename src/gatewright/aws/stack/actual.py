"""Reading what AWS holds of a stack, by the tags that say whose it is.

elbv2:DescribeLoadBalancers, elbv2:DescribeTargetGroups and elbv2:DescribeTags (20 a call) find what there is; target
groups that another load balancer uses aren't asked for tags, since one belongs to one load balancer. The Resource
Groups Tagging API would need fewer calls, but tells of what was just made only after a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from msgspec import Struct, structs

from gatewright.aws import views
from gatewright.aws.certificates import list_certificates
from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError, NotFound
from gatewright.aws.stack import documents, rule_documents
from gatewright.aws.stack.desired import CLUSTER_TAG, Stack, StackKey, bucket_folder
from gatewright.aws.stack.holdings import (
    BACKEND_GROUP_TAG,
    PROTECTION_NAME,
    ActualCertificate,
    ActualListener,
    ActualLoadBalancer,
    ActualRule,
    ActualSecurityGroup,
    ActualStack,
    ActualTargetGroup,
    ActualTrustStore,
    Bundle,
    claimed,
    stack_of,
    stack_of_bundle,
)
from gatewright.aws.stack.names import NAME_PREFIX
from gatewright.aws.stack.patience import Patient
from gatewright.aws.stack.trust_changes import bundle_of

__all__ = [
    "ActualCertificate",
    "ActualListener",
    "ActualLoadBalancer",
    "ActualRule",
    "ActualSecurityGroup",
    "ActualStack",
    "ActualTargetGroup",
    "read",
    "read_all",
]

_log = structlog.get_logger(__name__)

_SECURE = ("HTTPS", "TLS")
_WITH_ATTRIBUTES = ("HTTP", "HTTPS", "TCP")


async def read(
    aws: Aws,
    key: StackKey,
    *,
    targets: bool = True,
    desired: Stack | None = None,
    known: ActualStack | None = None,
    bucket: str = "",
) -> ActualStack:
    """What AWS holds of one stack. Raises `AwsError`.

    Web ACL, protection and capacity are read where `desired` says something of them; of a stack that isn't desired any
    more the protection is, since it outlives its load balancer. `known` is what was read before: tags of rules and of
    certificates in it are taken over, as are `ours` of target groups; targets that `desired` names are ours as well.
    `bucket` is one of S3 where bundles of trust stores may have been left; those of existing ones are known without.
    """
    aws = Patient(aws)
    found = await _find(aws, key.cluster, key, bucket)
    actual = await _stack(aws, key, found, targets=targets, desired=desired, known=known or ActualStack(key))
    return claimed(actual, desired) if desired else actual


async def read_all(
    aws: Aws, cluster: str, *, known: Mapping[StackKey, ActualStack] | None = None, bucket: str = ""
) -> dict[StackKey, ActualStack]:
    """What AWS holds of all stacks of a cluster, without web ACLs, protections and capacity. Raises `AwsError`.

    `known` is what was read before, and `bucket` where bundles may be left, as for `read`.
    """
    before = known or {}
    aws = Patient(aws)
    found = await _find(aws, cluster, None, bucket)
    tagged = {each for each in map(stack_of, found.tags.values()) if each is not None and each.cluster == cluster}
    keys = sorted(tagged | {each for bundle in found.bundles if (each := stack_of_bundle(cluster, bundle.key))})
    stacks = await asyncio.gather(
        *(
            _stack(aws, key, found, targets=True, desired=None, known=before.get(key) or ActualStack(key), extras=False)
            for key in keys
        )
    )
    return dict(zip(keys, stacks, strict=True))


class _Found(Struct):
    """Everything that may be of a stack, and the tags of it, by ARN or ID."""

    load_balancers: list[views.LoadBalancer]
    target_groups: list[views.TargetGroup]
    security_groups: list[dict[str, Any]]
    certificates: list[dict[str, Any]]
    trust_stores: list[str]
    bundles: list[Bundle]
    tags: dict[str, dict[str, str]]


async def _find(aws: Aws, cluster: str, key: StackKey | None, bucket: str) -> _Found:
    balancers, groups, security_groups, certificates, stores, bundles = await asyncio.gather(
        views.load_balancers(aws),
        views.target_groups(aws),
        aws.pages(
            "ec2",
            "describe_security_groups",
            "SecurityGroups",
            Filters=[{"Name": f"tag:{CLUSTER_TAG}", "Values": [cluster]}],
        ),
        list_certificates(aws),
        aws.pages("elbv2", "describe_trust_stores", "TrustStores"),
        _bundles(aws, bucket, key.folder if key else bucket_folder(cluster)) if bucket else _nothing(),
    )
    # Others' may be shared with this account, and don't let it see their tags.
    trust_stores = [str(each["TrustStoreArn"]) for each in stores if each["Name"].startswith(NAME_PREFIX)]
    tags = await views.tags_of(aws, [each.arn for each in balancers])
    ours = {arn for arn, marks in tags.items() if _is_of(marks, cluster, key)}
    candidates = [each.arn for each in groups if {*each.load_balancers} <= ours]
    tags |= await views.tags_of(aws, [*candidates, *trust_stores])
    tags |= {each["GroupId"]: views.read_tags(each.get("Tags")) for each in security_groups}
    imported = [each for each in certificates if each.get("Type") == "IMPORTED"]
    found = _Found(balancers, groups, security_groups, imported, trust_stores, bundles, tags)
    if key is None:
        tags |= await _certificate_tags(aws, [each["CertificateArn"] for each in imported])
    return found


async def _bundles(aws: Aws, bucket: str, folder: str) -> list[Bundle]:
    """What is in a folder of a bucket. One that can't be read keeps no load balancer from being looked after."""
    try:
        listed = await aws.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=folder)
    except AwsError as error:
        if error.retryable:
            raise
        _log.warning("the bucket for trust stores can't be listed", bucket=bucket, error=str(error))
        return []
    return [Bundle(bucket, str(each["Key"])) for each in listed]


def _is_of(tags: Mapping[str, str], cluster: str, key: StackKey | None) -> bool:
    whose = stack_of(tags)
    return whose is not None and (whose == key if key else whose.cluster == cluster)


async def _certificate_tags(aws: Aws, arns: Iterable[str]) -> dict[str, dict[str, str]]:
    async def tags_of(arn: str) -> tuple[str, dict[str, str]]:
        try:
            answer = await aws.call("acm", "list_tags_for_certificate", CertificateArn=arn)
        except NotFound:  # it has gone since it was listed
            return arn, {}
        return arn, views.read_tags(answer.get("Tags"))

    return dict(await asyncio.gather(*map(tags_of, arns)))


async def _stack(
    aws: Aws,
    key: StackKey,
    found: _Found,
    *,
    targets: bool,
    desired: Stack | None,
    known: ActualStack,
    extras: bool = True,
) -> ActualStack:
    def of_stack(arn: str) -> bool:
        return stack_of(found.tags.get(arn, {})) == key

    balancers = await asyncio.gather(
        *(
            _load_balancer(aws, each, found.tags[each.arn], _Extras.of(desired) if extras else _Extras(), known)
            for each in found.load_balancers
            if of_stack(each.arn)
        )
    )
    groups, certificates = await asyncio.gather(
        asyncio.gather(
            *(
                _target_group(aws, each, found.tags[each.arn], targets=targets, known=known)
                for each in found.target_groups
                if of_stack(each.arn)
            )
        ),
        _certificates(aws, key, found, [each for each in balancers if each], known),
    )
    security_groups = [
        ActualSecurityGroup(
            raw["GroupId"],
            raw.get("GroupName", ""),
            raw.get("VpcId") or "",
            documents.read_permissions(raw.get("IpPermissions") or ()),
            found.tags[raw["GroupId"]],
        )
        for raw in found.security_groups
    ]
    tag, value = BACKEND_GROUP_TAG
    shared = sorted(each.id for each in security_groups if each.tags.get(tag) == value)
    stores = {arn: ActualTrustStore(arn, found.tags[arn]) for arn in found.trust_stores if of_stack(arn)}
    bundles = {each for each in found.bundles if stack_of_bundle(key.cluster, each.key) == key}
    bundles |= {bundle for each in stores.values() if (bundle := bundle_of(key, each))}
    own_balancers = {each.load_balancer.arn: each for each in balancers if each}
    own_groups = {each.group.arn: each for each in groups if each}
    return ActualStack(
        key,
        own_balancers,
        own_groups,
        {each.id: each for each in security_groups if of_stack(each.id)},
        {arn: ActualCertificate(arn, tags) for arn, tags in certificates.items() if stack_of(tags) == key},
        shared[0] if shared else "",
        frozenset(each.name for each in found.load_balancers if each.arn not in own_balancers),
        frozenset(each.name for each in found.target_groups if each.arn not in own_groups),
        frozenset(arn for arn, tags in certificates.items() if stack_of(tags) != key),
        stores,
        frozenset(bundles),
    )


async def _certificates(
    aws: Aws, key: StackKey, found: _Found, balancers: Iterable[ActualLoadBalancer], known: ActualStack
) -> dict[str, dict[str, str]]:
    """Tags of the certificates that may be of the stack: what its listeners use, and what nobody uses."""
    used = {arn for each in balancers for listener in each.listeners.values() for arn in listener.certificates}
    tags = {arn: known.certificates[arn].tags for arn in known.certificates}
    tags |= {arn: {} for arn in known.foreign_certificates}
    listed = {each["CertificateArn"] for each in found.certificates}
    candidates = {
        each["CertificateArn"] for each in found.certificates if each["CertificateArn"] in used or not each.get("InUse")
    }
    candidates |= {arn for arn in listed if stack_of(found.tags.get(arn, {})) == key}
    tags |= {arn: found.tags[arn] for arn in candidates if arn in found.tags}
    tags |= await _certificate_tags(aws, sorted(candidates - tags.keys()))
    return {arn: marks for arn, marks in tags.items() if arn in listed}


class _Extras(Struct, frozen=True):
    """What costs a call of its own and is asked for only where it matters."""

    web_acl: bool = False
    protection: bool = False
    may_be_denied: bool = False
    """The protection is looked for in case there is one: nobody has asked for Shield, which may not be permitted."""
    capacity: bool = False

    @classmethod
    def of(cls, desired: Stack | None) -> _Extras:
        if desired is None:
            return cls(protection=True, may_be_denied=True)
        wanted = desired.load_balancer
        return cls(wanted.web_acl is not None, wanted.shield is not None, False, wanted.capacity_units is not None)


async def _load_balancer(
    aws: Aws, each: views.LoadBalancer, tags: dict[str, str], extras: _Extras, known: ActualStack
) -> ActualLoadBalancer | None:
    """None if it has gone since it was listed."""
    try:
        attributes, raw_listeners, web_acl, protection, capacity = await asyncio.gather(
            views.load_balancer_attributes(aws, each.arn),
            aws.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=each.arn),
            _web_acl(aws, each.arn) if extras.web_acl else _unasked(),
            _protection(aws, each.arn, extras) if extras.protection else _unasked(),
            _capacity(aws, each.arn) if extras.capacity else _unasked(),
        )
        before = known.load_balancers.get(each.arn)
        listeners = await asyncio.gather(
            *(_listener(aws, raw, before.listeners if before else {}) for raw in raw_listeners)
        )
    except NotFound:
        return None
    untold = [listener.arn for listener in listeners]
    untold += [rule.arn for listener in listeners for rule in listener.rules.values() if not rule.tags]
    found = await views.tags_of(aws, untold)
    return ActualLoadBalancer(
        each,
        tags,
        attributes,
        {listener.arn: _tagged(listener, found) for listener in listeners},
        web_acl,
        protection,
        capacity,
    )


async def _unasked() -> None:
    return None


async def _web_acl(aws: Aws, arn: str) -> str:
    answer = await aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=arn)
    return str((answer.get("WebACL") or {}).get("ARN") or "")


async def _protection(aws: Aws, arn: str, extras: _Extras) -> str:
    try:
        answer = await aws.call("shield", "describe_protection", ResourceArn=arn)
    except NotFound:
        return ""
    except AwsError as error:
        if extras.may_be_denied and not error.retryable:
            return ""
        raise
    found = answer.get("Protection") or {}
    return str(found.get("Id") or "") if found.get("Name") == PROTECTION_NAME else ""


async def _capacity(aws: Aws, arn: str) -> int:
    answer = await aws.call("elbv2", "describe_capacity_reservation", LoadBalancerArn=arn)
    return int((answer.get("MinimumLoadBalancerCapacity") or {}).get("CapacityUnits") or 0)


async def _listener(aws: Aws, raw: Mapping[str, Any], known: Mapping[str, ActualListener]) -> ActualListener:
    arn, protocol = raw["ListenerArn"], raw["Protocol"]
    in_rules = protocol in ("HTTP", "HTTPS")
    certificates, attributes, rules = await asyncio.gather(
        views.certificates(aws, arn) if protocol in _SECURE else _nothing(),
        views.listener_attributes(aws, arn) if protocol in _WITH_ATTRIBUTES else _unasked(),
        aws.pages("elbv2", "describe_rules", "Rules", ListenerArn=arn) if in_rules else _nothing(),
    )
    before = known[arn].rules if arn in known else {}
    found = [
        read_rule(rule, before[rule["RuleArn"]].tags if rule["RuleArn"] in before else {})
        for rule in rules
        if not rule.get("IsDefault")
    ]
    return read_listener(raw, tuple(certificates), attributes or {}, {rule.arn: rule for rule in found})


async def _nothing() -> list[Any]:
    return []


def read_listener(
    raw: Mapping[str, Any],
    certificates: tuple[str, ...] = (),
    attributes: dict[str, str] | None = None,
    rules: dict[str, ActualRule] | None = None,
) -> ActualListener:
    """A Listener of the ELBv2 API, with what other calls tell of it."""
    return ActualListener(
        raw["ListenerArn"],
        raw["LoadBalancerArn"],
        raw["Protocol"],
        raw["Port"],
        rule_documents.read_actions(raw.get("DefaultActions") or ()),
        certificates,
        raw.get("SslPolicy") or "",
        next(iter(raw.get("AlpnPolicy") or ()), ""),
        documents.read_mutual_authentication(raw.get("MutualAuthentication")),
        attributes or {},
        {},
        rules or {},
    )


def read_rule(raw: Mapping[str, Any], tags: dict[str, str]) -> ActualRule:
    """A Rule of the ELBv2 API that isn't a default one."""
    return ActualRule(
        raw["RuleArn"],
        int(raw["Priority"]),
        tuple(map(rule_documents.read_condition, raw.get("Conditions") or ())),
        rule_documents.read_actions(raw.get("Actions") or ()),
        tuple(map(rule_documents.read_transform, raw.get("Transforms") or ())),
        tags,
    )


def _tagged(listener: ActualListener, tags: Mapping[str, dict[str, str]]) -> ActualListener:
    rules = {
        arn: structs.replace(rule, tags=tags[arn]) if arn in tags else rule for arn, rule in listener.rules.items()
    }
    return structs.replace(listener, tags=tags.get(listener.arn, {}), rules=rules)


async def _target_group(
    aws: Aws, each: views.TargetGroup, tags: dict[str, str], *, targets: bool, known: ActualStack
) -> ActualTargetGroup | None:
    """None if it has gone since it was listed."""
    try:
        attributes, healths = await asyncio.gather(
            views.target_group_attributes(aws, each.arn), views.target_health(aws, each.arn) if targets else _unasked()
        )
    except NotFound:
        return None
    found = None
    if healths is not None:
        found = frozenset(health.target for health in healths if health.state != "draining")
    before = known.target_groups.get(each.arn)
    there = {(target.id, target.port) for target in found or ()}
    ours = frozenset(there & before.ours) if before else frozenset()
    return ActualTargetGroup(each, tags, attributes, found, ours)
