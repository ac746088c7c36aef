"""A certificate authority for one machine, and the server certificates that it signs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gatewright.local.private import write_private

_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_CA_DAYS = 3650
_SERVER_DAYS = 397  # the longest that browsers accept


@dataclass(frozen=True)
class ServerCertificate:
    """A key pair as PEM; the chain has the leaf first. The private key stays out of its `repr`."""

    chain: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return "ServerCertificate(...)"


class Authority:
    """Signs server certificates."""

    def __init__(self, certificate: x509.Certificate, key: CertificateIssuerPrivateKeyTypes) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def create(cls, name: str = "gatewright local CA") -> Authority:
        """A new self-signed authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, subject, key.public_key(), _CA_DAYS)
        usage = {"key_cert_sign": True, "crl_sign": True, "digital_signature": True}
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(**usage), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def load_or_create(cls, folder: Path) -> Authority:
        """The authority in ca.crt and ca.key of `folder`; made there (the key mode 0600) when they are missing.

        Raises ValueError when the files are not an authority.
        """
        certificate_file, key_file = folder / "ca.crt", folder / "ca.key"
        if certificate_file.exists() and key_file.exists():
            try:
                key = load_pem_private_key(key_file.read_bytes(), password=None)
                certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
            except (ValueError, TypeError, UnsupportedAlgorithm) as error:
                raise ValueError(
                    f"{certificate_file} and {key_file} can't be read: remove both to make new ones"
                ) from error
            if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
                raise ValueError(f"{key_file} does not belong to {certificate_file}; remove both to make new ones")
            return cls(certificate, key)
        authority = cls.create()
        folder.mkdir(parents=True, exist_ok=True)
        write_private(key_file, _pem(authority._key))
        certificate_file.write_bytes(authority.pem)
        return authority

    @classmethod
    def of(cls, certificate: bytes, private_key: bytes) -> Authority:
        """The authority of a certificate and its private key, both PEM. Raises ValueError for what is none."""
        key: Any = load_pem_private_key(private_key, password=None)
        return cls(x509.load_pem_x509_certificate(certificate), key)

    @property
    def private_key(self) -> bytes:
        """Its private key as PEM, for another process that is to sign as it does."""
        return _pem(self._key)

    @property
    def pem(self) -> bytes:
        """The authority's certificate."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issued(self, chain: bytes) -> bool:
        """Whether the leaf of a PEM chain was signed by this authority."""
        try:
            x509.load_pem_x509_certificates(chain)[0].verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def issue(
        self, names: Iterable[str], *, days: int = _SERVER_DAYS, key: CertificateIssuerPrivateKeyTypes | None = None
    ) -> ServerCertificate:
        """A server certificate for host names (also wildcards) and IP addresses; the first is its common name.

        It is valid for `days`; where that is negative it has expired. `key` is its private key, a new one by default.
        Raises ValueError for a name that is neither.
        """
        names = list(names)
        alternatives = [_name(name) for name in names]
        key = key or ec.generate_private_key(ec.SECP256R1())
        # A common name has 64 characters at the most (RFC 5280, ub-common-name); clients read the alternative names.
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        builder = _builder(subject, self._certificate.subject, key.public_key(), days)
        authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._certificate.public_key())  # type: ignore[arg-type]
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(authority_key, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return ServerCertificate(certificate.public_bytes(Encoding.PEM), _pem(key))


def is_host_name(name: str) -> bool:
    """Whether a certificate can be for a name: a host name (RFC 1123) whose first label may be `*`."""
    return len(name) <= 253 and _HOST.fullmatch(name) is not None


def names_of(chain: bytes) -> set[str]:
    """The host names and addresses that a PEM certificate is for; empty where there are none or it can't be read."""
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return set()
    return set(names.get_values_for_type(x509.DNSName)) | {
        str(address) for address in names.get_values_for_type(x509.IPAddress)
    }


def _builder(subject: x509.Name, issuer: x509.Name, key: Any, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1) + min(timedelta(), timedelta(days=days)))  # clocks differ
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(**granted: bool) -> x509.KeyUsage:
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in every})


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        if not is_host_name(name):
            expected = "a host name such as shop.example.com or *.example.com, or an IP address"
            raise ValueError(f"found {name!r}, expected {expected}") from None
        return x509.DNSName(name)


def _pem(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
