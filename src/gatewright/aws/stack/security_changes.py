"""How security groups and imported certificates become what they are to be (pure)."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable

from msgspec import Struct, field, structs

from gatewright.aws.gateways.access import backend_group
from gatewright.aws.stack.desired import (
    BACKEND_GROUP,
    DesiredCertificate,
    DesiredSecurityGroup,
    SecurityRule,
    Stack,
)
from gatewright.aws.stack.holdings import (
    FINGERPRINT_TAG,
    ActualCertificate,
    ActualSecurityGroup,
    ActualStack,
)
from gatewright.aws.stack.operations import (
    AuthorizeIngress,
    CreateSecurityGroup,
    ImportCertificate,
    RevokeIngress,
    SetTags,
)
from gatewright.aws.stack.steps import Draft
from gatewright.aws.stack.tags import tag_changes


class Prepared(Struct):
    """Where things are that others refer to: `references` by resource ID, and by these the `steps` that prepare them.

    `used` are the ones among what AWS has that stay.
    """

    references: dict[str, str] = field(default_factory=dict)
    steps: dict[str, list[int]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def reference(self, resource: str) -> str:
        """What operations call it: its ARN or ID if it is there, its resource ID otherwise."""
        return self.references.get(resource, resource)

    def ready(self, resources: Iterable[str]) -> list[int]:
        """The steps after which all of them can be used, by resource ID or reference."""
        return [step for resource in resources for step in self.steps.get(self.reference(resource), ())]


def security_group_steps(draft: Draft, desired: Stack, actual: ActualStack) -> Prepared:
    """Security groups and what they let in; more is let in before less is."""
    prepared = Prepared()
    for wanted in desired.security_groups:
        found = min(
            (
                each
                for each in actual.security_groups.values()
                if each.tags.get(desired.key.resource_tag) == wanted.resource and each.vpc == wanted.vpc
            ),
            key=lambda each: each.id,
            default=None,
        )
        if found is not None:
            prepared.used.add(found.id)
        _security_group(draft, wanted, found, {**wanted.tags, **_ownership(desired, wanted.resource)}, prepared)
    if BACKEND_GROUP in desired.load_balancer.security_groups:
        if actual.backend_group:
            prepared.references[BACKEND_GROUP] = actual.backend_group
        else:
            asked = backend_group(desired.cluster, desired.load_balancer.vpc)
            operation = CreateSecurityGroup(BACKEND_GROUP, asked.name, asked.description, asked.vpc, asked.tags)
            prepared.steps[BACKEND_GROUP] = [draft.add(operation)]
    return prepared


def _security_group(
    draft: Draft,
    wanted: DesiredSecurityGroup,
    found: ActualSecurityGroup | None,
    tags: dict[str, str],
    prepared: Prepared,
) -> None:
    group, made = wanted.resource, []
    if found is None:
        operation = CreateSecurityGroup(wanted.resource, wanted.name, wanted.description, wanted.vpc, tags)
        made = [draft.add(operation)]
        prepared.steps[wanted.resource] = made
    else:
        group = prepared.references[wanted.resource] = found.id
        add, remove = tag_changes(tags, found.tags)
        if add or remove:
            draft.add(SetTags(found.id, add, remove))
    ingress = found.ingress if found else frozenset()
    more, less = rule_differences(wanted.ingress, ingress)
    if less and _same_sources(more, less):
        # AWS takes two permissions for one that differ in their description only.
        made = [draft.add(RevokeIngress(group, tuple(less)), made)]
        less = []
    if more:
        made = [draft.add(AuthorizeIngress(group, tuple(more)), made)]
    if less:
        draft.add(RevokeIngress(group, tuple(less)), made)


def rule_differences(
    wanted: Iterable[SecurityRule], found: Iterable[SecurityRule]
) -> tuple[list[SecurityRule], list[SecurityRule]]:
    """What more a security group has to let in, and what less. Ranges are as EC2 keeps them, without host bits."""
    want, have = {*map(_as_kept, wanted)}, {*found}
    return sorted(want - have), sorted(have - want)


def _as_kept(rule: SecurityRule) -> SecurityRule:
    try:
        cidr = str(ipaddress.ip_network(rule.cidr, strict=False)) if rule.cidr else ""
        cidr_ipv6 = str(ipaddress.ip_network(rule.cidr_ipv6, strict=False)) if rule.cidr_ipv6 else ""
    except ValueError:  # AWS will say so
        return rule
    return structs.replace(rule, cidr=cidr, cidr_ipv6=cidr_ipv6)


def _same_sources(more: Iterable[SecurityRule], less: Iterable[SecurityRule]) -> bool:
    without = [{structs.replace(each, description="") for each in rules} for rules in (more, less)]
    return bool(without[0] & without[1])


def content_of(certificate: DesiredCertificate) -> str:
    """What `FINGERPRINT_TAG` says: SHA-256 of the whole chain, since an intermediate may change with the leaf kept."""
    return hashlib.sha256(certificate.chain.strip()).hexdigest()


def certificate_steps(draft: Draft, desired: Stack, actual: ActualStack) -> Prepared:
    """Imports. A Secret's new certificate takes the place of its old one, under the same ARN."""
    prepared = Prepared()
    for wanted in desired.certificates:
        content = content_of(wanted)
        tags = {**wanted.tags, **_ownership(desired, wanted.resource), FINGERPRINT_TAG: content}
        found = _certificate(actual, wanted.resource, content)
        if found is None:
            prepared.steps[wanted.resource] = [draft.add(ImportCertificate(wanted, tags))]
            continue
        prepared.references[wanted.resource] = found.arn
        prepared.used.add(found.arn)
        imported: list[int] = []
        if found.tags.get(FINGERPRINT_TAG) != content:
            imported = [draft.add(ImportCertificate(wanted, tags, found.arn))]
            prepared.steps[found.arn] = imported
        add, remove = tag_changes(tags, found.tags)
        if add or remove:
            draft.add(SetTags(found.arn, add, remove), imported)
    return prepared


def _certificate(actual: ActualStack, resource: str, content: str) -> ActualCertificate | None:
    """The one of a resource; of several, one that is right already, and rather one that a listener uses."""
    listeners = (each for balancer in actual.load_balancers.values() for each in balancer.listeners.values())
    used = {arn for each in listeners for arn in each.certificates}
    return min(
        (each for each in actual.certificates.values() if each.tags.get(actual.key.resource_tag) == resource),
        key=lambda each: (each.tags.get(FINGERPRINT_TAG) != content, each.arn not in used, each.arn),
        default=None,
    )


def _ownership(desired: Stack, resource: str) -> dict[str, str]:
    return {**desired.key.tags, desired.key.resource_tag: resource}
