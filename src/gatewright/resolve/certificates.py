"""certificateRefs: the Secrets that Gateways show to clients and to backends, checked before any proxy sees them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.core import Secret
from gatewright.model.gateway import Gateway, ListenerSet
from gatewright.model.gateway.shared import SecretObjectReference
from gatewright.model.meta import Key
from gatewright.resolve.conditions import Reason
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.grants import missing_grant, permitted
from gatewright.resolve.inputs import CLOCK_LAG, NOW, Inputs, ObjectId, origin
from gatewright.topology import Certificate, Origin

_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


class KeyPair(Struct, frozen=True):
    """A Secret read as a certificate and its key, or the reason why it can't be."""

    certificate: Certificate | None = None
    problem: str = ""
    valid: tuple[datetime, datetime] | None = None
    """From when until when the leaf is; None where it hasn't been read."""
    names: tuple[str, ...] = ()
    """The host names that the leaf is for."""


def secret_key(referrer: Key, ref: SecretObjectReference) -> Key | None:
    """The Secret that an object's certificateRef names, or None where it names another kind."""
    if ref.group or ref.kind != "Secret":
        return None
    return Key(ref.namespace or referrer.namespace, ref.name)


def read_key_pairs(inputs: Inputs, dialect: Dialect) -> Collection[Key, KeyPair]:
    """Each Secret that a Gateway or ListenerSet names, read once. Whether it may use it is decided elsewhere."""
    flow = inputs.flow

    def by_listeners(_: Context, key: Key, parent: Gateway | ListenerSet) -> dict[tuple[ObjectId, Key], Key]:
        refs = [ref for listener in parent.spec.listeners if listener.tls for ref in listener.tls.certificate_refs]
        return _named((parent.kind, key), refs)

    def by_gateway(_: Context, key: Key, gateway: Gateway) -> dict[tuple[ObjectId, Key], Key]:
        backend = gateway.spec.tls and gateway.spec.tls.backend
        return _named(("backend TLS", key), [ref for ref in [backend and backend.client_certificate_ref] if ref])

    def read(ctx: Context, key: Key, _: Key) -> KeyPair:
        if not inputs.reads_secrets:
            return KeyPair(Certificate(key, b"", b"", Origin("Secret", key, "", "data")))
        secret = ctx.get(inputs.secrets, key)
        if secret is None:
            return KeyPair(problem=f"Secret {key} does not exist")
        pair = key_pair(secret)
        rejection = ctx.get(inputs.rejections, ("Secret", key)) if dialect.heeds_rejections else None
        if pair.certificate and rejection and rejection.version == pair.certificate.origin.version:
            return KeyPair(problem=f"Secret {key} was refused by the proxy: {rejection.message}")
        return pair

    references = flow.merge(
        "secret references",
        flow.derive_many("gateway secrets", inputs.written(inputs.gateways), by_listeners),
        flow.derive_many("set secrets", inputs.written(inputs.listener_sets), by_listeners),
        flow.derive_many("client secrets", inputs.written(inputs.gateways), by_gateway),
    )
    named_secrets = flow.distinct("named secrets", references.index(lambda _, secret: [secret]))
    return flow.derive("key pairs", named_secrets, read)


def _named(referrer: ObjectId, refs: Iterable[SecretObjectReference]) -> dict[tuple[ObjectId, Key], Key]:
    return {(referrer, found): found for ref in refs if (found := secret_key(referrer[1], ref))}


def usable_secret(
    ctx: Context,
    inputs: Inputs,
    key_pairs: Collection[Key, KeyPair],
    referrer: ObjectId,
    ref: SecretObjectReference,
    field: str,
    invalid: str,
) -> Key | Reason:
    """The Secret that the reference at `field` of an object leads to, if it may and holds a sound key pair.

    Otherwise why not; `invalid` is the condition's reason where it isn't for a lack of a ReferenceGrant.
    """
    kind, parent = referrer
    key = secret_key(parent, ref)
    if key is None:
        return invalid, f"{field}: found {ref.kind}.{ref.group or 'core'}, expected a Secret"
    if not permitted(ctx, inputs, kind, parent.namespace, "", "Secret", key):
        return "RefNotPermitted", f"{field}: {missing_grant(kind, parent.namespace, '', 'Secret', key)}"
    pair = ctx.get(key_pairs, key)
    if pair and pair.certificate:
        return key
    problem = pair.problem if pair else f"Secret {key} can't be read"
    return invalid, f"{field}: {problem}"


def out_of_date(inputs: Inputs, key_pairs: Collection[Key, KeyPair]) -> Collection[Key, str]:
    """The Secrets whose certificate isn't valid at this time, and what to say of it.

    They are served all the same: that breaks nothing more than it is, and a client that checks sees why.
    """

    def resolve(ctx: Context, key: Key, pair: KeyPair) -> str | None:
        now = ctx.get(inputs.clock, NOW)
        if now is None or pair.valid is None:
            return None
        since, until = pair.valid
        if now > until:
            return f"Secret {key}: the certificate expired at {until:%Y-%m-%dT%H:%M:%SZ}; renew it"
        early = now + CLOCK_LAG < since
        return f"Secret {key}: the certificate is not valid before {since:%Y-%m-%dT%H:%M:%SZ}" if early else None

    return inputs.flow.derive("certificates out of date", key_pairs, resolve)


def key_pair(secret: Secret) -> KeyPair:
    """Read tls.crt and tls.key (core/v1, Secret type kubernetes.io/tls) and check that they belong together."""
    where = f"Secret {secret.key}"
    chain, private_key = secret.value("tls.crt"), secret.value("tls.key")
    if not chain or not private_key:
        missing = "tls.key" if chain else "tls.crt"
        return KeyPair(problem=f"{where}: data[{missing}] is missing; expected a Secret of type kubernetes.io/tls")
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        leaf_key = certificates[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm):
        return KeyPair(problem=f"{where}: data[tls.crt] is not a PEM certificate")
    try:
        own = load_pem_private_key(private_key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        return KeyPair(problem=f"{where}: data[tls.key] is not an unencrypted PEM private key")
    if own.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != leaf_key:
        return KeyPair(problem=f"{where}: the private key in data[tls.key] does not belong to data[tls.crt]")
    if problem := _unserved(certificates[0], leaf_key):
        return KeyPair(problem=f"{where}: data[tls.crt] {problem}")
    leaf = certificates[0]
    valid = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    made = Certificate(secret.key, chain, private_key, origin(secret, "data"))
    return KeyPair(made, valid=valid, names=_names(leaf))


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The host names that a certificate is for, in lower case (RFC 6125: alternative names only)."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(sorted({name.lower() for name in found.get_values_for_type(x509.DNSName)}))


def misnamed(ctx: Context, key_pairs: Collection[Key, KeyPair], secrets: Iterable[Key], hostname: str) -> str | None:
    """What to say where none of a listener's certificates is for its hostname. They are served all the same."""
    if hostname == "*":
        return None
    found = [(key, pair.names) for key in secrets if (pair := ctx.get(key_pairs, key)) and pair.valid]
    good = {hostname, f"*.{hostname.partition('.')[2]}"}  # a wildcard stands for one label
    if not found or any(good & set(names) for _, names in found):
        return None
    told = "; ".join(
        f"Secret {key}: the certificate is for {', '.join(names) or 'no host name'}" for key, names in found
    )
    return f"{told}, and not for {hostname}: clients that check it refuse it"


def _unserved(leaf: x509.Certificate, encoded_key: bytes) -> str:
    """Why proxies can't serve the key of a certificate, or nothing. What they take is what TLS 1.2 and 1.3 need."""
    key = leaf.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _RSA_BITS:
            return f"has an RSA key of {key.key_size} bits, expected {_RSA_BITS} or more"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            return f"has a key on the curve {key.curve.name}, expected one of {', '.join(_CURVES)}"
    elif not isinstance(key, ed25519.Ed25519PublicKey):
        return "has a key of a kind that TLS doesn't serve, expected RSA, ECDSA or Ed25519"
    if encoded_key not in leaf.tbs_certificate_bytes:
        # RSASSA-PSS keys, and curves written out instead of named.
        return "has a key in an unusual encoding, expected rsaEncryption or a named curve"
    return ""
