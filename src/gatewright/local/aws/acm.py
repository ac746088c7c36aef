"""ACM as load balancers and controllers need it: a certificate in use stays, and requested ones are validated by DNS.

A requested certificate is pending until the records that validate its names are in public hosted zones of the account,
and is issued then, by the emulation's own authority. One that is to be validated by e-mail is issued after a while.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

import moto.acm.responses
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from moto.acm.exceptions import AWSValidationException
from moto.acm.models import AWSCertificateManagerBackend, CertBundle, acm_backends
from moto.acm.responses import AWSCertificateManagerResponse
from moto.core.exceptions import AWSError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from gatewright.local.aws.backends import backend
from gatewright.local.aws.route53.names import plain
from gatewright.local.certificates import Authority, is_host_name

_BY_MAIL: Final = 60.0
"""Seconds until somebody has clicked the link in the e-mail."""
_PREPARING: Final = 1.0
"""Seconds until DescribeCertificate tells the records."""
_ISSUING: Final = 5.0
"""Seconds from the last record to the certificate."""
_MOST_NAMES: Final = 10
_DAYS: Final = 395
_LISTED: Final = ("RSA_1024", "RSA_2048")
"""Key types that ListCertificates shows unless it is asked for others (ACM API, Filters.keyTypes)."""
_CURVES: Final = {"EC_prime256v1": ec.SECP256R1, "EC_secp384r1": ec.SECP384R1}


def validation_record(account: str, domain: str) -> tuple[str, str]:
    """Name and value of the CNAME that validates a domain: the same for its wildcard, and for every certificate."""
    base = domain.lower().removeprefix("*.").rstrip(".")
    digest = hashlib.sha256(f"{account} {base}".encode()).hexdigest()
    letters = "".join(chr(ord("a") + int(digit, 16)) for digit in digest[:10])
    return f"_{digest[:32]}.{base}.", f"_{digest[32:]}.{letters}.acm-validations.aws."


class Requested(CertBundle):
    """A certificate that was requested."""

    def __init__(self, acm: Acm, names: list[str], key_type: str, *, by_mail: bool) -> None:
        key: Any = ec.generate_private_key(_CURVES[key_type]()) if key_type in _CURVES else None
        key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pair = acm.signer.issue(names, days=_DAYS, key=key)
        super().__init__(
            acm.account_id,
            pair.chain,
            pair.private_key,
            region=acm.region_name,
            cert_type="AMAZON_ISSUED",
            cert_status="PENDING_VALIDATION",
        )
        self.chain = acm.signer.pem
        self.names = names
        self.by_mail = by_mail
        self._pace = acm.pace
        self._account = acm.account_id
        self._complete_at: datetime | None = None  # when the last record was seen
        self.issued_at: datetime | None = None

    def check(self) -> None:
        """Issue it if that is due."""
        if self.status != "PENDING_VALIDATION":
            super().check()
            return
        if not self.by_mail and self._complete_at is None and all(self._is_validated(name) for name in self.names):
            self._complete_at = utcnow()
        left = self.left
        if left is not None and left <= 0:
            self.status, self.issued_at = "ISSUED", utcnow()

    @property
    def left(self) -> float | None:
        """Seconds until it is issued; None while records are missing."""
        if self.by_mail:
            return self._until(self.created_at, _BY_MAIL)
        return None if self._complete_at is None else self._until(self._complete_at, _ISSUING)

    def _until(self, since: datetime, seconds: float) -> float:
        return (since + timedelta(seconds=seconds / self._pace) - utcnow()).total_seconds()

    def _is_validated(self, domain: str) -> bool:
        """Whether the domain's record is what the public DNS would answer."""
        name, value = map(plain, validation_record(self._account, domain))
        zones = [zone for zone in backend("route53").zones.values() if not zone.private_zone]
        holding = [zone for zone in zones if name.endswith(f".{plain(zone.name)}")]
        longest = max((len(zone.name) for zone in holding), default=0)
        return any(
            record.type == "CNAME"
            and plain(record.name) == name
            and [plain(each) for each in record.records] == [value]
            for zone in holding
            if len(zone.name) == longest
            for record in zone.rrsets
        )

    def describe(self) -> dict[str, Any]:
        """As DescribeCertificate shows it."""
        found = super().describe()
        details = found["Certificate"]
        issued = self.status not in ("PENDING_VALIDATION", "FAILED", "VALIDATION_TIMED_OUT")
        if not issued:
            for field in ("NotBefore", "NotAfter", "Serial", "IssuedAt"):
                details.pop(field, None)
        details["Issuer"] = "Amazon"
        details["RenewalEligibility"] = "ELIGIBLE" if issued and self.in_use_by else "INELIGIBLE"
        details["DomainName"], details["SubjectAlternativeNames"] = self.names[0], self.names
        details["DomainValidationOptions"] = [self._validation(name, issued) for name in self.names]
        return found

    def _validation(self, name: str, issued: bool) -> dict[str, Any]:
        option: dict[str, Any] = {
            "DomainName": name,
            "ValidationDomain": name,
            "ValidationStatus": "SUCCESS" if issued else "PENDING_VALIDATION",
            "ValidationMethod": "EMAIL" if self.by_mail else "DNS",
        }
        if self.by_mail:
            option["ValidationEmails"] = [f"admin@{name.removeprefix('*.')}"]
        elif self._until(self.created_at, _PREPARING) <= 0:
            record, value = validation_record(self._account, name)
            option["ResourceRecord"] = {"Name": record, "Type": "CNAME", "Value": value}
        return option


class Acm(AWSCertificateManagerBackend):
    """moto's ACM."""

    pace = 1.0
    signer: Authority

    def delete_certificate(self, arn: str) -> None:
        """As moto's; one that a load balancer uses stays."""
        certificate = self._certificates.get(arn)
        if certificate and certificate.in_use_by:
            raise AWSError(
                f"Certificate {arn} is in use by {', '.join(certificate.in_use_by)}", "ResourceInUseException"
            )
        super().delete_certificate(arn)

    def import_certificate(
        self, certificate: bytes, private_key: bytes, chain: bytes | None, arn: str | None, tags: list[dict[str, str]]
    ) -> str:
        """As moto's; what takes the place of a certificate keeps its tags, and who uses it (ACM guide, Reimport)."""
        if arn is not None and tags:
            raise AWSValidationException("You cannot tag a certificate while you reimport it.")
        before = self._certificates.get(arn or "")
        made = str(super().import_certificate(certificate, private_key, chain, arn, tags))
        if before is not None:
            self._certificates[made].tags = before.tags
            self._certificates[made].in_use_by = before.in_use_by
        return made

    def list_certificates(self, statuses: list[str], includes: dict[str, Any]) -> Iterable[CertBundle]:
        """As moto's; without key types, those of RSA keys with up to 2,048 bits only."""
        return super().list_certificates(statuses, {"keyTypes": _LISTED, **(includes or {})})

    def request(self, names: list[str], tags: list[dict[str, str]], *, token: str, key_type: str, by_mail: bool) -> str:
        """RequestCertificate for a public certificate; the ARN of the one that the same token made within an hour."""
        for name in names:
            if not is_host_name(name) or "." not in name:
                raise AWSValidationException(f"The domain name '{name}' is not valid; expected a fully qualified name")
        known = self._certificates.get(self._get_arn_from_idempotency_token(token) or "") if token else None
        if isinstance(known, Requested) and known.names == names:
            return str(known.arn)
        made = Requested(self, names, key_type, by_mail=by_mail)
        self._certificates[made.arn] = made
        if token:
            self._set_idempotency_token_arn(token, made.arn)
        if tags:
            made.tags.add(tags)
        return str(made.arn)


class Responses(AWSCertificateManagerResponse):
    """moto's answers, with requests of public certificates as ours."""

    def request_certificate(self) -> ActionResult:
        """RequestCertificate."""
        if self._get_param("CertificateAuthorityArn"):
            return super().request_certificate()
        names = [self._get_param("DomainName"), *(self._get_param("SubjectAlternativeNames") or ())]
        names = list(dict.fromkeys(name.lower() for name in names))
        if len(names) > _MOST_NAMES:
            raise AWSError(
                "An ACM limit has been exceeded. Need to request SAN limit to be raised", "LimitExceededException"
            )
        acm = self.acm_backend
        assert isinstance(acm, Acm)
        arn = acm.request(
            names,
            self._get_param("Tags") or [],
            token=self._get_param("IdempotencyToken") or "",
            key_type=self._get_param("KeyAlgorithm") or "RSA_2048",
            by_mail=self._get_param("ValidationMethod") != "DNS",
        )
        return ActionResult(result={"CertificateArn": arn})


def install(pace: float, signer: Authority | None = None) -> None:
    """Have moto use it from now on, `pace` times faster; `signer` issues certificates, or an authority of its own."""
    signer = signer or Authority.create("gatewright emulated ACM")
    acm_backends.backend = type("Acm", (Acm,), {"pace": pace, "signer": signer})
    setattr(moto.acm.responses, "AWSCertificateManagerResponse", Responses)  # noqa: B010 - mypy takes it for a type


def sign_with(signer: Authority) -> None:
    """Have certificates that are requested from now on signed by another authority."""
    made: Any = acm_backends.backend
    made.signer = signer  # its instances look for it there
