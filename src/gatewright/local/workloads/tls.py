"""TLS as the stand-ins' servers speak it, and what they tell of a connection."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_GO_SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384": "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305": "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}
"""Go's names of the TLS 1.2 suites that Go and OpenSSL agree on; those of TLS 1.3 are the same in both."""

_server_names: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()


class TlsState(NamedTuple):
    """What was negotiated on a connection."""

    version: str
    """As OpenSSL names it: `TLSv1.3`."""
    server_name: str
    """The name that the client asked for (SNI); empty without one."""
    protocol: str
    """The protocol chosen by ALPN; empty without one."""
    cipher_suite: str
    """Its IANA name, as Go shows it."""
    peer_certificates: tuple[str, ...]
    """The client's certificates as PEM, the leaf first."""


def server_context(
    certificate: bytes, private_key: bytes, *, client_ca: bytes = b"", protocols: Iterable[str] = ()
) -> ssl.SSLContext:
    """A server's TLS. With `client_ca` (PEM) a client may show a certificate, which then has to verify.

    Raises ssl.SSLError or ValueError for a certificate, key or CA that can't be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # OpenSSL reads certificates from files only; the folder is its owner's alone, and gone at once.
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
        crt, key = Path(folder, "crt"), Path(folder, "key")
        crt.write_bytes(certificate)
        key.touch(mode=0o600)
        key.write_bytes(private_key)
        context.load_cert_chain(crt, key, password=lambda: b"")
    if client_ca:
        context.load_verify_locations(cadata=client_ca.decode("ascii", "replace"))
        context.verify_mode = ssl.CERT_OPTIONAL
    chosen = list(protocols)
    if chosen:
        context.set_alpn_protocols(chosen)
    context.sni_callback = _note_server_name
    return context


def self_signed_context(name: str, protocols: Iterable[str] = ()) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody can verify, for clients that don't, as a kubelet's probes."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "gatewright stand-in")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return server_context(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        protocols=protocols,
    )


def tls_state(transport: asyncio.BaseTransport) -> TlsState | None:
    """What was negotiated on a transport; None for one without TLS."""
    found = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
    if found is None:
        return None
    cipher = found.cipher()
    name = cipher[0] if cipher else ""
    return TlsState(
        version=found.version() or "",
        server_name=_server_names.get(found, ""),
        protocol=found.selected_alpn_protocol() or "",
        cipher_suite=_GO_SUITES.get(name, name),
        peer_certificates=_peer_certificates(found),
    )


def _peer_certificates(found: ssl.SSLObject) -> tuple[str, ...]:
    leaf = found.getpeercert(binary_form=True)
    if leaf is None:
        return ()
    chain: list[bytes] = [leaf]
    unverified = getattr(found, "get_unverified_chain", None)  # Python 3.13; before, the leaf alone can be had
    if unverified:
        chain = list(unverified())
    return tuple(ssl.DER_cert_to_PEM_cert(certificate) for certificate in chain)


def _note_server_name(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
    if name and isinstance(connection, ssl.SSLObject):
        _server_names[connection] = name
