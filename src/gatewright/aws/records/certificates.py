"""Certificates that are requested of ACM for listeners, and the records that validate them.

A listener that terminates TLS with a host name and without certificateRefs gets one where its Gateway or ListenerSet
has the annotation `gatewright.dev/certificate: request`: a certificate a host name, since it can't be changed once it
is issued. It is found by its name like any other, and kept while a listener asks for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from gatewright.aws.client import Aws
from gatewright.aws.errors import NotFound
from gatewright.aws.records.names import is_record_name, plain
from gatewright.aws.records.records import Record, Wish
from gatewright.aws.stack.desired import CLUSTER_TAG
from gatewright.aws.views import read_tags
from gatewright.flow import Collection, Context
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.inputs import ObjectId
from gatewright.topology import NO_SET, Listener, ListenerKey

ANNOTATION: Final = "gatewright.dev/certificate"
REQUEST: Final = "request"
TAG: Final = "gatewright.dev/certificate"
"""On what was requested, with the value `request`; a wildcard can't be said in a tag."""

_TTL: Final = 300
_BAD: Final = ("FAILED", "VALIDATION_TIMED_OUT", "EXPIRED", "REVOKED", "INACTIVE")
_AGAIN: Final = timedelta(hours=1)
"""For how long a certificate that failed is shown before another one is requested."""


class WantedCertificate(Struct, frozen=True):
    """A host name that is to have a certificate; `problem` says why it can't have one. `asked_by` are the objects."""

    domain: str
    asked_by: tuple[ObjectId, ...]
    problem: str = ""


class OwnCertificate(Struct, frozen=True):
    """A certificate that we requested. `records` validate it, (name, value) of CNAMEs; there are none at first."""

    arn: str
    domain: str
    status: str
    created_at: datetime | None = None
    records: tuple[tuple[str, str], ...] = ()
    failure: str = ""


class CertificatePlan(Struct, frozen=True):
    """What is to be done: domains to request certificates for, and certificates that nobody asks for."""

    request: tuple[str, ...]
    delete: tuple[OwnCertificate, ...]
    keep: tuple[OwnCertificate, ...]


def wanted_certificates(
    inputs: Inputs, resolutions: Iterable[Resolution]
) -> Collection[tuple[str, ObjectId], WantedCertificate]:
    """By host name and the object that asks for it: the certificates that listeners are to have."""
    flow = inputs.flow
    gateways, listener_sets = inputs.written(inputs.gateways), inputs.written(inputs.listener_sets)

    def wanted(ctx: Context, key: ListenerKey, listener: Listener) -> dict[tuple[str, ObjectId], WantedCertificate]:
        if not listener.terminates or listener.certificates:
            return {}
        own = key.listener_set == NO_SET
        asker: ObjectId = ("Gateway", key.gateway) if own else ("ListenerSet", key.listener_set)
        found: Any = ctx.get(gateways, key.gateway) if own else ctx.get(listener_sets, key.listener_set)
        asked = found.metadata.annotations.get(ANNOTATION, "") if found else ""
        if not asked:
            return {}
        problem = ""
        if asked != REQUEST:
            problem = f"metadata.annotations[{ANNOTATION}]: found {asked!r}, expected {REQUEST}"
        elif not is_record_name(listener.hostname):
            problem = (
                f"listener {key.name}: hostname: found {listener.hostname!r}; a certificate is requested for a host "
                "name that DNS can prove; give the listener one, or a certificate by certificateRefs"
            )
        return {(listener.hostname, asker): WantedCertificate(listener.hostname, (asker,), problem)}

    return flow.merge(
        "certificates wished for",
        *(
            flow.derive_many(f"certificates of listeners of {number}", each.topology.listeners, wanted)
            for number, each in enumerate(resolutions)
        ),
    )


def by_domain(wanted: Iterable[WantedCertificate]) -> dict[str, WantedCertificate]:
    """One entry a host name that can have a certificate, with all that ask for it."""
    found: dict[str, list[ObjectId]] = {}
    for each in wanted:
        if not each.problem:
            found.setdefault(each.domain, []).extend(each.asked_by)
    return {name: WantedCertificate(name, tuple(sorted(set(askers)))) for name, askers in sorted(found.items())}


def plan_certificates(domains: Iterable[str], own: Iterable[OwnCertificate], now: datetime) -> CertificatePlan:
    """What is missing, what is too much. Of several for a name an issued one is kept; what failed is tried again."""
    wanted = set(domains)
    kept: dict[str, OwnCertificate] = {}
    delete: list[OwnCertificate] = []
    for each in sorted(own, key=lambda each: (each.status in _BAD, each.status != "ISSUED", each.arn)):
        stale = each.status in _BAD and each.created_at is not None and now - each.created_at > _AGAIN
        if each.domain in wanted and each.domain not in kept and not stale:
            kept[each.domain] = each
        else:
            delete.append(each)
    return CertificatePlan(tuple(sorted(wanted - kept.keys())), tuple(delete), tuple(kept.values()))


def validation_wishes(own: Iterable[OwnCertificate], wanted: Mapping[str, WantedCertificate]) -> dict[str, Wish]:
    """The records that certificates need, by name; ACM looks for them again whenever it renews one."""
    wishes: dict[str, Wish] = {}
    for each in own:
        asked_by = wanted[each.domain].asked_by if each.domain in wanted else ()
        resources = tuple(f"{kind.lower()}/{key.namespace}/{key.name}" for kind, key in asked_by) or ("certificate",)
        for name, value in each.records:
            name, value = plain(name), plain(value)
            record = Record(name, "CNAME", (f"{value}.",), _TTL)
            wishes.setdefault(name, Wish(name, (record,), "public", resources, asked_by, shared=True))
    return wishes


# --- ACM -------------------------------------------------------------------------------------------------------------


class RequestedCertificates:
    """The certificates that we requested for one cluster. All methods raise `AwsError`."""

    def __init__(self, aws: Aws, cluster: str) -> None:
        self._aws = aws
        self._cluster = cluster
        self._ours: dict[str, bool] = {}  # by ARN, whether the tags say so: they don't change
        self._details: dict[str, OwnCertificate] = {}  # of those whose records are known

    async def read(self) -> list[OwnCertificate]:
        """Those that there are.

        acm:ListCertificates; acm:ListTagsForCertificate once for each certificate that ACM issues,
        acm:DescribeCertificate for ours until their records are known.
        """
        listed = await self._aws.pages("acm", "list_certificates", "CertificateSummaryList")
        issued = [raw for raw in listed if raw.get("Type") == "AMAZON_ISSUED"]
        found = []
        for raw in issued:
            arn = raw["CertificateArn"]
            try:
                if arn not in self._ours:
                    answer = await self._aws.call("acm", "list_tags_for_certificate", CertificateArn=arn)
                    tags = read_tags(answer.get("Tags"))
                    self._ours[arn] = self._tags.items() <= tags.items()
                if self._ours[arn]:
                    found.append(await self._read(arn, raw.get("Status", "")))
            except NotFound:  # deleted since it was listed
                continue
        there = {raw["CertificateArn"] for raw in issued}
        self._ours = {arn: ours for arn, ours in self._ours.items() if arn in there}
        self._details = {arn: details for arn, details in self._details.items() if arn in there}
        return found

    async def _read(self, arn: str, status: str) -> OwnCertificate:
        known = self._details.get(arn)
        if known and known.status == status:
            return known
        raw = (await self._aws.call("acm", "describe_certificate", CertificateArn=arn))["Certificate"]
        options = [each.get("ResourceRecord") for each in raw.get("DomainValidationOptions") or ()]
        found = OwnCertificate(
            arn,
            raw["DomainName"].lower(),
            raw.get("Status", ""),
            raw.get("CreatedAt"),
            tuple((each["Name"], each["Value"]) for each in options if each),
            raw.get("FailureReason") or "",
        )
        if found.records:
            self._details[arn] = found
        return found

    async def request(self, domain: str) -> None:
        """Request one; asked again within an hour, it is the same. acm:RequestCertificate, acm:AddTagsToCertificate."""
        token = hashlib.sha256(f"{self._cluster} {domain}".encode()).hexdigest()[:32]
        await self._aws.call(
            "acm",
            "request_certificate",
            DomainName=domain,
            ValidationMethod="DNS",
            IdempotencyToken=token,
            Tags=[{"Key": key, "Value": value} for key, value in sorted(self._tags.items())],
        )

    async def delete(self, certificate: OwnCertificate) -> None:
        """Delete one; `InUse` while a load balancer has it. acm:DeleteCertificate."""
        try:
            await self._aws.call("acm", "delete_certificate", CertificateArn=certificate.arn)
        except NotFound:
            return

    @property
    def _tags(self) -> dict[str, str]:
        return {CLUSTER_TAG: self._cluster, TAG: REQUEST}
