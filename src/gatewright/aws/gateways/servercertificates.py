"""The certificates that a listener shows: those of Secrets, imported into ACM, and those that are in ACM already."""

from __future__ import annotations

import hashlib
from collections.abc import Collection as AbstractCollection
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from gatewright.aws.certificates import AcmCertificate, discover
from gatewright.aws.configuration.settings import ListenerSettings
from gatewright.aws.gateways.names import resource_id
from gatewright.aws.stack.desired import DesiredCertificate
from gatewright.model.meta import Key
from gatewright.resolve.inputs import CLOCK_LAG
from gatewright.topology import Certificate, Listener, ListenerKey

ANY = "*"

# ACM user guide, "Prerequisites for importing ACM certificates"
_RSA_BITS = (1024, 2048, 3072, 4096)
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_KEY_BYTES = 5120
_LEAF_BYTES = 32768


class Importable(Struct, frozen=True):
    """A Secret's certificate as ACM takes it; `problem` says why it doesn't. `fingerprint` is the chain's, SHA-256."""

    certificate: Certificate
    fingerprint: str = ""
    valid: tuple[datetime, datetime] | None = None
    problem: str = ""


class Shown(Struct, frozen=True):
    """What a listener shows: resource IDs and ARNs, the default one first; and those to import.

    `problem` says why there is none, so that the listener can't be made; `unknown` why that can't be told yet.
    """

    references: tuple[str, ...] = ()
    imported: tuple[DesiredCertificate, ...] = ()
    problem: str = ""
    unknown: str = ""
    remarks: tuple[str, ...] = ()


def importable(certificate: Certificate) -> Importable:
    """A certificate, looked at for what ACM wants of it."""
    chain = x509.load_pem_x509_certificates(certificate.chain)
    leaf = chain[0]
    fingerprint = hashlib.sha256(b"".join(each.public_bytes(Encoding.DER) for each in chain)).hexdigest()
    valid = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return Importable(certificate, fingerprint, valid, _unfit(leaf, certificate))


def out_of_date(found: Importable, now: datetime) -> str:
    """Why ACM doesn't import a certificate at this time, or nothing."""
    if found.valid is None:
        return ""
    since, until = found.valid
    if now > until:
        return f"the certificate expired at {until:%Y-%m-%dT%H:%M:%SZ}; ACM imports valid ones only; renew it"
    if now + CLOCK_LAG < since:
        return f"the certificate is not valid before {since:%Y-%m-%dT%H:%M:%SZ}; ACM imports valid ones only; wait"
    return ""


def certificate_resource(secret: Key) -> str:
    """The resource ID of the certificate that is imported from a Secret."""
    return resource_id("certificate", str(secret))


def shown(
    listeners: Sequence[Listener],
    hostnames: Mapping[ListenerKey, AbstractCollection[str]],
    secrets: Mapping[Key, Importable],
    unusable: Mapping[Key, str],
    settings: ListenerSettings,
    certificates: Iterable[AcmCertificate],
    private: AbstractCollection[str] = (),
    unread: str = "",
) -> Shown:
    """What the listeners of one port show, in order: ARNs from the settings, Secrets, what is found by host name.

    Host names are looked up for listeners that have no Secret, and only where no ARN is given: those of a listener, or
    of the routes attached to one for any host. A load balancer chooses by the client's server name among all of them,
    so a host may be served with the certificate of another listener. `unusable` says of Secrets why ACM refuses them,
    `unread` why it isn't known what ACM has. `private` are ARNs of what was imported from Secrets: who may use those is
    for ReferenceGrants to say.
    """
    given = [arn for arn in (settings.default_certificate, *settings.certificates) if arn]
    references = [arn for arn in given if arn not in private]
    named = bool(given)
    imported: dict[Key, DesiredCertificate] = {}
    problems = [
        f"certificates: found {arn}, which is imported from a Secret by a controller; name that Secret in "
        "tls.certificateRefs (in another namespace it takes a ReferenceGrant), or import the certificate yourself"
        for arn in dict.fromkeys(given)
        if arn in private
    ]
    wanted: list[str] = list(settings.discover or ())
    for listener in listeners:
        for key in listener.certificates:
            found = secrets.get(key)
            problem = found.problem or unusable.get(key, "") if found else "it can't be read"
            if found is None or problem:
                problems.append(f"tls.certificateRefs: found Secret {key}: {problem}")
            else:
                imported[key] = _desired(found)
                references.append(certificate_resource(key))
        if not (listener.certificates or named or settings.discover is not None):
            names = [listener.hostname] if listener.hostname != ANY else sorted(hostnames.get(listener.key, ()))
            wanted += [name for name in names if name != ANY]
            if not any(name != ANY for name in names):
                remedy = "give the listener or its routes a hostname, name a Secret, or name ARNs in a "
                remedy += "LoadBalancerConfiguration (listenerConfigurations[].defaultCertificate)"
                problems.append(f"tls.certificateRefs: found none, and no hostname to find one in ACM by; {remedy}")
    if wanted and unread:
        return Shown(unknown=f"the certificates of ACM for {', '.join(dict.fromkeys(wanted))} aren't known: {unread}")
    for name, match in discover(certificates, dict.fromkeys(wanted)).items():
        if match:
            references.append(match.arn)
        else:
            told = f"hostname: found {name}, for which ACM has no issued certificate in this region"
            problems.append(f"{told}; request or import one, name a Secret, or name an ARN")
    if not references:
        return Shown(problem="; ".join(dict.fromkeys(problems)) or "tls.certificateRefs: found none")
    return Shown(
        tuple(dict.fromkeys(references)),
        tuple(imported[key] for key in sorted(imported)),
        remarks=tuple(dict.fromkeys(problems)),
    )


def _desired(found: Importable) -> DesiredCertificate:
    certificate = found.certificate
    return DesiredCertificate(
        resource=certificate_resource(certificate.key),
        secret=certificate.key,
        fingerprint=found.fingerprint,
        chain=certificate.chain,
        private_key=certificate.private_key,
    )


def _unfit(leaf: x509.Certificate, certificate: Certificate) -> str:
    key = leaf.public_key()
    expected = "ACM takes RSA keys of 1024 to 4096 bits and ECDSA keys on P-256, P-384 and P-521; use one of these"
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            return f"the certificate has an RSA key of {key.key_size} bits; {expected}"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            return f"the certificate has a key on the curve {key.curve.name}; {expected}"
    else:
        return f"the certificate has an {type(key).__name__.removesuffix('PublicKey').lstrip('_')} key; {expected}"
    if len(certificate.private_key) > _KEY_BYTES:
        size = len(certificate.private_key)
        return f"the private key has {size} bytes; ACM takes {_KEY_BYTES}; use a smaller key, or one without comments"
    if len(leaf.public_bytes(Encoding.PEM)) > _LEAF_BYTES:
        return f"the certificate is longer than the {_LEAF_BYTES} bytes that ACM takes; use fewer names"
    return ""
