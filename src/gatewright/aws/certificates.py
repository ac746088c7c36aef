"""The certificates of ACM: which there are, and which of them fit a host name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from gatewright.aws.client import Aws
from gatewright.aws.errors import NotFound
from gatewright.aws.views import read_tags

_KEY_TYPES = ("RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1")
"""All that ACM knows, each of which load balancers take. Unless they are asked for, ACM lists RSA_2048 at most."""


class AcmCertificate(Struct, frozen=True):
    """A certificate of ACM. `domains` are in lower case, the first wildcard label as `*`.

    `status` is `ISSUED`, `PENDING_VALIDATION`, `EXPIRED`, ... `tags` are known of imported ones only, and `in_use_by`
    (ARNs) of those that were described.
    """

    arn: str
    domains: tuple[str, ...]
    status: str = "ISSUED"
    not_after: datetime | None = None
    in_use_by: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


async def list_certificates(aws: Aws) -> list[dict[str, Any]]:
    """All CertificateSummaries of the account in this region: acm:ListCertificates. Raises `AwsError`."""
    return await aws.pages(
        "acm", "list_certificates", "CertificateSummaryList", Includes={"keyTypes": list(_KEY_TYPES)}
    )


async def read_certificates(aws: Aws) -> dict[str, AcmCertificate]:
    """All certificates of the account in this region, by ARN.

    acm:ListCertificates; acm:DescribeCertificate for those with more names than the list shows;
    acm:ListTagsForCertificate for those that were imported. Raises `AwsError`.
    """
    found = {}
    for raw in await list_certificates(aws):
        arn = raw["CertificateArn"]
        try:
            # A list without the names is that of an ACM which has no room for them in a summary.
            short = raw.get("HasAdditionalSubjectAlternativeNames") or "SubjectAlternativeNameSummaries" not in raw
            detail = (await aws.call("acm", "describe_certificate", CertificateArn=arn))["Certificate"] if short else {}
            imported = {**raw, **detail}.get("Type") == "IMPORTED"
            answer = await aws.call("acm", "list_tags_for_certificate", CertificateArn=arn) if imported else {}
        except NotFound:  # deleted since it was listed
            continue
        found[arn] = read_certificate({**raw, **detail}, answer.get("Tags") or ())
    return found


def read_certificate(raw: Mapping[str, Any], tags: Iterable[Mapping[str, str]] = ()) -> AcmCertificate:
    """A CertificateSummary or CertificateDetail of the ACM API."""
    names = raw.get("SubjectAlternativeNames") or raw.get("SubjectAlternativeNameSummaries") or ()
    return AcmCertificate(
        arn=raw["CertificateArn"],
        domains=tuple(dict.fromkeys(name.lower() for name in (raw.get("DomainName"), *names) if name)),
        status=raw.get("Status", ""),
        not_after=raw.get("NotAfter"),
        in_use_by=tuple(sorted(raw.get("InUseBy") or ())),
        tags=read_tags(tags),
    )


def discover(certificates: Iterable[AcmCertificate], hostnames: Iterable[str]) -> dict[str, AcmCertificate | None]:
    """The certificate for each host name, or None: one for the name itself before one for a wildcard.

    Of several it is the one that is valid for longest. A wildcard stands for one label (RFC 6125 section 6.4.3); the
    host name `*.example.com` needs a certificate for exactly that.
    """
    by_domain: dict[str, AcmCertificate] = {}
    for certificate in sorted(certificates, key=_seniority):
        if certificate.status == "ISSUED":
            by_domain.update(dict.fromkeys(certificate.domains, certificate))
    return {name: by_domain.get(name) or by_domain.get(_wildcard(name)) for name in hostnames}


def _seniority(certificate: AcmCertificate) -> tuple[float, str]:
    return certificate.not_after.timestamp() if certificate.not_after else 0.0, certificate.arn


def _wildcard(hostname: str) -> str:
    return f"*.{hostname.partition('.')[2]}"
