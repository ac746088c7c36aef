"""The Gateway's certificate: an authority kept in the workspace, what it signs for the platform's names, the Secret."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from gatewright.cluster import Client, NotFound
from gatewright.local.certificates import Authority, ServerCertificate, is_host_name, names_of
from gatewright.local.private import write_private
from gatewright.local.secrets import tls_secret
from gatewright.model.core import Secret
from gatewright.model.meta import Key
from gatewright.platform.errors import PlatformError

GATEWAY = Key("edge", "shared-gateway")
SECRET = Key("edge", "gateway-tls")
FIELD_MANAGER = "gatewright-deploy"

_RENEW = timedelta(days=30)


def names(domain: str) -> tuple[str, ...]:
    """What the certificate has to be for: the names that clients use, and the Gateway's within the cluster."""
    return domain, f"*.{domain}", f"{GATEWAY.name}.{GATEWAY.namespace}.svc"


def fitting(chain: bytes, wanted: tuple[str, ...], authority: Authority, now: datetime) -> bool:
    """Whether a chain is of this authority and up to it, for all names, and valid for a month from now."""
    complete = chain.endswith(authority.pem)
    if not complete or not authority.issued(chain) or not names_of(chain).issuperset(wanted):
        return False
    return x509.load_pem_x509_certificates(chain)[0].not_valid_after_utc - now > _RENEW


def keep(folder: Path, domain: str) -> tuple[Authority, ServerCertificate, bool]:
    """The authority and the certificate in a folder; made, or renewed, where that is needed (the bool says so).

    Files: ca.crt, ca.key, tls.crt, tls.key. Raises PlatformError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    if not is_host_name(domain):
        raise PlatformError(f"--domain: found {domain!r}, expected a host name such as platform.example.com")
    try:
        authority = Authority.load_or_create(folder)
    except ValueError as error:
        raise PlatformError(str(error)) from error
    chain_file, key_file = folder / "tls.crt", folder / "tls.key"
    wanted = names(domain)
    if chain_file.exists() and key_file.exists():
        chain = chain_file.read_bytes()
        if fitting(chain, wanted, authority, datetime.now(UTC)):
            return authority, ServerCertificate(chain, key_file.read_bytes()), False
    issued = authority.issue(wanted)
    # With its authority: an Application Gateway wants to see the whole chain up to the root that it trusts.
    certificate = ServerCertificate(issued.chain + authority.pem, issued.private_key)
    chain_file.unlink(missing_ok=True)  # so that a certificate never stands beside another one's key
    write_private(key_file, certificate.private_key)
    chain_file.write_bytes(certificate.chain)
    return authority, certificate, True


async def put(client: Client, authority: Authority, certificate: ServerCertificate) -> None:
    """Apply the Secret, and before it its namespace, of which we own nothing but that it is there."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SECRET.namespace}}
    await client.apply(namespace, field_manager=FIELD_MANAGER)
    await client.apply(tls_secret(SECRET, certificate, authority.pem), field_manager=FIELD_MANAGER)


async def stands(client: Client, chain: bytes) -> bool:
    """Whether the Secret has this certificate."""
    try:
        secret = await client.get(Secret, SECRET)
    except NotFound:
        return False
    return secret.data.get("tls.crt") == chain


def fingerprint(chain: bytes) -> str:
    """A certificate's SHA-256, as base64."""
    return base64.b64encode(x509.load_pem_x509_certificates(chain)[0].fingerprint(hashes.SHA256())).decode()
