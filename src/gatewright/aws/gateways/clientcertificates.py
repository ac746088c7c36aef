"""Client certificates: whom an HTTPS port lets in, as Gateways and configurations ask for it (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from gatewright.aws.configuration.settings import MutualAuthentication
from gatewright.aws.gateways.names import Tags, trust_store_name
from gatewright.aws.stack.desired import DesiredMutualAuthentication, DesiredTrustStore, bundle_key
from gatewright.model.meta import Key
from gatewright.topology import ClientValidation

_MOST: Final = 25
"""CA certificates in a trust store (Quotas for your Application Load Balancers)."""
_LARGEST: Final = 16 * 1024
"""Bytes of a CA certificate (the same)."""
# ALB guide, "Mutual authentication with TLS", certificate requirements
_RSA_BITS: Final = range(2048, 8193)
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")

_SETTING: Final = "LoadBalancerConfiguration (listenerConfigurations[].mutualAuthentication)"


class TrustStores(Struct, frozen=True):
    """The trust stores that there are: ARNs by name. `unread` says why they aren't known.

    `bucket` is the one of S3 from which further ones can be made; empty if there is none.
    """

    arns: Mapping[str, str] = {}
    unread: str = ""
    bucket: str = ""


class Clients(Struct, frozen=True):
    """How a port treats client certificates, and the trust store that has to be made for it.

    `problem` says why the port can't be served so, `unknown` why that can't be told yet.
    """

    mutual: DesiredMutualAuthentication | None = None
    trust_store: DesiredTrustStore | None = None
    problem: str = ""
    unknown: str = ""
    remarks: tuple[str, ...] = ()


def clients(
    owner: Key,
    validation: ClientValidation | None,
    asked: MutualAuthentication | None,
    stores: TrustStores,
    tags: Tags,
) -> Clients:
    """Whom a port lets in: `validation` is what the Gateway says, `asked` what a configuration does, which wins."""
    if asked:
        return _configured(validation, asked, stores)
    if validation is None:
        return Clients()
    if not validation.required:
        return Clients(DesiredMutualAuthentication("passthrough"))
    if not stores.bucket:
        remedy = f"give the controller --trust-store-bucket, or name a trust store in a {_SETTING}"
        return Clients(
            problem=f"{validation.field}: found validation of client certificates; AWS reads the authorities from S3, "
            f"and there is no bucket to put them into; {remedy}"
        )
    return _own(owner, validation, stores.bucket, tags)


def _configured(validation: ClientValidation | None, asked: MutualAuthentication, stores: TrustStores) -> Clients:
    verify, store = asked.mode == "verify", asked.trust_store
    if validation and validation.required and not verify:
        told = f"{validation.field}: found validation of client certificates, and mode {asked.mode} in a {_SETTING}"
        return Clients(problem=f"{told}, which lets in anybody; remove one of them, or use mode verify")
    remarks: tuple[str, ...] = ()
    if validation:
        told = f"{validation.field}: found validation of client certificates beside a {_SETTING}, which wins"
        remarks = (f"{told}; remove one of them",)
    if not verify:
        return Clients(DesiredMutualAuthentication(asked.mode), remarks=remarks)
    named = bool(store) and not store.startswith("arn:")
    if named and stores.unread:
        return Clients(unknown=f"the trust store {store} isn't known: {stores.unread}")
    arn = stores.arns.get(store, "") if named else store
    if not arn:
        told = f"mutualAuthentication.trustStore: found {store or 'none'}"
        remedy = "there is no trust store of that name in this region; make it, or name its ARN"
        return Clients(problem=f"{told}; {remedy}")
    mutual = DesiredMutualAuthentication("verify", arn, asked.ignore_expiry, asked.advertise_ca_names)
    return Clients(mutual, remarks=remarks)


def _own(owner: Key, validation: ClientValidation, bucket: str, tags: Tags) -> Clients:
    """A trust store for what a Gateway says: one for all ports that it says it of."""
    found = {each.public_bytes(Encoding.DER): each for each in x509.load_pem_x509_certificates(validation.authorities)}
    unfit = {der: why for der, each in found.items() if (why := _unfit(each, der))}
    remarks = tuple(
        f"{validation.field}: found the authority {found[der].subject.rfc4514_string()} {why}; clients with its "
        "certificates don't get in; use another one"
        for der, why in unfit.items()
    )
    usable = sorted(found.keys() - unfit.keys())
    if not usable:
        return Clients(problem="; ".join(remarks))
    if len(usable) > _MOST:
        told = f"{validation.field}: found {len(usable)} authorities; a trust store of AWS takes {_MOST}"
        return Clients(problem=f"{told}; use fewer, such as their common root")
    resource = f"frontend:{validation.port}" if validation.port else "frontend"
    store = DesiredTrustStore(
        resource=resource,
        name=trust_store_name(tags.stack, owner, resource),
        fingerprint=hashlib.sha256(b"".join(usable)).hexdigest(),
        bundle=b"".join(found[der].public_bytes(Encoding.PEM) for der in usable),
        bucket=bucket,
        key=bundle_key(tags.stack, resource),
        tags=tags.of(resource),
    )
    return Clients(DesiredMutualAuthentication("verify", resource), store, remarks=remarks)


def _unfit(authority: x509.Certificate, der: bytes) -> str:
    """Why AWS takes no certificate of an authority, or nothing."""
    key = authority.public_key()
    expected = "ALBs take RSA keys of 2048 to 8192 bits and ECDSA keys on P-256, P-384 and P-521"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            return f"with an RSA key of {key.key_size} bits; {expected}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            return f"with a key on the curve {key.curve.name}; {expected}"
    else:
        return f"with an {type(key).__name__.removesuffix('PublicKey').lstrip('_')} key; {expected}"
    return f"of {len(der)} bytes; ALBs take {_LARGEST}" if len(der) > _LARGEST else ""
