"""certificateRefs: the Secrets that listeners terminate TLS with, checked before any proxy sees them."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.core import Secret
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.shared import SecretObjectReference
from gatewright.model.meta import Key
from gatewright.resolve.inputs import Inputs, origin
from gatewright.topology import Certificate

_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")


class KeyPair(Struct, frozen=True):
    """A Secret read as a certificate and its key, or the reason why it can't be."""

    certificate: Certificate | None = None
    problem: str = ""


def secret_key(gateway: Key, ref: SecretObjectReference) -> Key | None:
    """The Secret that a certificateRef names, or None where it names another kind."""
    if ref.group or ref.kind != "Secret":
        return None
    return Key(ref.namespace or gateway.namespace, ref.name)


def read_key_pairs(inputs: Inputs) -> Collection[Key, KeyPair]:
    """Each Secret that some listener names, read once. Whether the listener may use it is decided elsewhere."""

    def named(key: Key, gateway: Gateway) -> list[Key]:
        refs = [ref for listener in gateway.spec.listeners if listener.tls for ref in listener.tls.certificate_refs]
        return [found for ref in refs if (found := secret_key(key, ref))]

    def read(ctx: Context, key: Key, _: Key) -> KeyPair:
        secret = ctx.get(inputs.secrets, key)
        if secret is None:
            return KeyPair(problem=f"Secret {key} does not exist")
        pair = key_pair(secret)
        rejection = ctx.get(inputs.rejections, ("Secret", key))
        if pair.certificate and rejection and rejection.version == pair.certificate.origin.version:
            return KeyPair(problem=f"Secret {key} was refused by the proxy: {rejection.message}")
        return pair

    named_secrets = inputs.flow.distinct("named secrets", inputs.gateways.index(named))
    return inputs.flow.derive("key pairs", named_secrets, read)


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
    return KeyPair(Certificate(secret.key, chain, private_key, origin(secret, "data")))


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
