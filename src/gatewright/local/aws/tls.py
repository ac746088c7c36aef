"""TLS of load balancers' listeners: certificates of ACM as SDS secrets, security policies as versions and ciphers.

The certificate is chosen by Envoy as Elastic Load Balancing documents it ("Certificate list", "Default certificate"):
the one with the client's server name, exactly or by wildcard; the first one for a name that none has, and for clients
that send none.

Of a policy's ciphers those count that Envoy's TLS library has; it lacks the CBC ciphers with SHA-256 and SHA-384, and
triple DES. The ciphers of TLS 1.3 are the same in all policies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, secret_pb2, tls_pb2

from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import LISTENER, SECRET, Ref, Resource, resource
from gatewright.flow import Collection, Context
from gatewright.local.aws.state import Certificate, CloudState

_log = structlog.get_logger(__name__)

_GCM = (
    "[ECDHE-ECDSA-AES128-GCM-SHA256|ECDHE-RSA-AES128-GCM-SHA256]",
    "[ECDHE-ECDSA-AES256-GCM-SHA384|ECDHE-RSA-AES256-GCM-SHA384]",
)
_CBC = ("ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA")
_RSA_GCM = ("AES128-GCM-SHA256", "AES256-GCM-SHA384")
_RSA_CBC = ("AES128-SHA", "AES256-SHA")

_FORWARD_SECRET = (*_GCM, *_CBC)
_WITH_RSA = (*_GCM, *_RSA_GCM)
_ALL = (*_GCM, *_CBC, *_RSA_GCM, *_RSA_CBC)

_HYBRID_CURVES = ("X25519MLKEM768", "X25519", "P-256", "P-384")


class SecurityPolicy(NamedTuple):
    """What a policy of Elastic Load Balancing admits. `ciphers` are in BoringSSL's words; none with TLS 1.3 alone."""

    minimum: int
    maximum: int
    ciphers: tuple[str, ...]
    curves: tuple[str, ...] = ()


def _policies() -> dict[str, SecurityPolicy]:
    v1_0, v1_1, v1_2, v1_3 = (
        common_pb2.TlsParameters.TLSv1_0,
        common_pb2.TlsParameters.TLSv1_1,
        common_pb2.TlsParameters.TLSv1_2,
        common_pb2.TlsParameters.TLSv1_3,
    )
    older = {
        "2015-05": (v1_0, _ALL),
        "2016-08": (v1_0, _ALL),
        "TLS-1-0-2015-04": (v1_0, _ALL),
        "TLS-1-1-2017-01": (v1_1, _ALL),
        "TLS-1-2-2017-01": (v1_2, _WITH_RSA),
        "TLS-1-2-Ext-2018-06": (v1_2, _ALL),
        "FS-2018-06": (v1_0, _FORWARD_SECRET),
        "FS-1-1-2019-08": (v1_1, _FORWARD_SECRET),
        "FS-1-2-2019-08": (v1_2, _FORWARD_SECRET),
        "FS-1-2-Res-2019-08": (v1_2, _GCM),
        "FS-1-2-Res-2020-10": (v1_2, _GCM),
    }
    newer = {
        "TLS13-1-0": (v1_0, _ALL),
        "TLS13-1-1": (v1_1, _ALL),
        "TLS13-1-2": (v1_2, _GCM),
        "TLS13-1-2-Res": (v1_2, _GCM),
        "TLS13-1-2-Ext0": (v1_2, _FORWARD_SECRET),
        "TLS13-1-2-Ext1": (v1_2, _WITH_RSA),
        "TLS13-1-2-Ext2": (v1_2, _ALL),
        "TLS13-1-3": (v1_3, ()),
    }
    found = {name: SecurityPolicy(minimum, v1_2, ciphers) for name, (minimum, ciphers) in older.items()}
    for name, (minimum, ciphers) in newer.items():
        policy = SecurityPolicy(minimum, v1_3, ciphers)
        hybrid = policy._replace(curves=_HYBRID_CURVES)
        found |= {
            f"{name}-2021-06": policy,
            f"{name}-FIPS-2023-04": policy,
            f"{name}-PQ-2025-09": hybrid,
            f"{name}-FIPS-PQ-2025-09": hybrid,
        }
    name = "TLS13-1-2-Ext1-PQ-2025-09"  # has more than its namesakes, as DescribeSSLPolicies says
    found[name] = found[name]._replace(ciphers=_ALL)
    return {f"ELBSecurityPolicy-{name}": policy for name, policy in found.items()}


POLICIES = _policies()
"""By name. A name that isn't here is served as `DEFAULT_POLICY`."""

DEFAULT_POLICY = "ELBSecurityPolicy-2016-08"
"""The one that a listener has that was created without one by the API."""


class ClientValidation(NamedTuple):
    """Whose certificates clients have to show: those of `authorities` (PEM). Without any they may show what they like
    ("mutual TLS passthrough").
    """

    authorities: bytes = b""
    takes_expired: bool = False


def server_context(
    certificates: Sequence[str],
    policy: str,
    alpn: Iterable[str] = (),
    *,
    client_validation: ClientValidation | None = None,
) -> tuple[tls_pb2.DownstreamTlsContext, tuple[Ref, ...]]:
    """The TLS of a listener, and the secrets that it waits for.

    `certificates` are ARNs, the default one first; `alpn` the protocols to offer, the preferred one first. With
    `client_validation` clients are asked for a certificate.
    """
    found = POLICIES.get(policy, POLICIES[DEFAULT_POLICY])
    context = tls_pb2.DownstreamTlsContext()
    common = context.common_tls_context
    common.alpn_protocols.extend(alpn)
    parameters = common.tls_params
    parameters.tls_minimum_protocol_version = found.minimum
    parameters.tls_maximum_protocol_version = found.maximum
    parameters.cipher_suites.extend(found.ciphers)
    parameters.ecdh_curves.extend(found.curves)
    for arn in certificates:
        common.tls_certificate_sds_secret_configs.add(name=arn).sds_config.CopyFrom(ADS)
    if client_validation:
        validation = common.validation_context
        if client_validation.authorities:
            context.require_client_certificate.value = True
            validation.trusted_ca.inline_bytes = client_validation.authorities
            validation.allow_expired_certificate = client_validation.takes_expired
        else:
            validation.trust_chain_verification = common_pb2.CertificateValidationContext.ACCEPT_UNTRUSTED
    return context, tuple(Ref(SECRET, arn) for arn in certificates)


def usable_certificates(ctx: Context, state: CloudState, arns: Iterable[str]) -> tuple[str, ...]:
    """Those of a listener's certificates that are there and sound, in order, each once.

    One that is missing, or whose key isn't its own, is passed over and logged: Envoy would serve none of them.
    """
    found = []
    for arn in dict.fromkeys(arns):
        certificate = ctx.get(state.certificates, arn)
        problem = flaw(certificate) if certificate else "there is no such certificate"
        if problem:
            _log.warning("a listener's certificate can't be used", certificate=arn, reason=problem)
        else:
            found.append(arn)
    return tuple(found)


@lru_cache(maxsize=256)
def flaw(certificate: Certificate) -> str:
    """What is wrong with a certificate and its key; empty if nothing is."""
    try:
        leaf = x509.load_pem_x509_certificates(certificate.chain)[0]
        # An import has checked the key; checking it again takes a large part of a second.
        key = load_pem_private_key(certificate.key, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, IndexError, UnsupportedAlgorithm) as error:
        return f"it can't be read: {type(error).__name__}"
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if leaf.public_key().public_bytes(*form) != key.public_key().public_bytes(*form):
        return "its private key is another certificate's"
    return ""


def secrets(state: CloudState, listeners: Collection[str, Resource]) -> Collection[str, Resource]:
    """The certificates that `listeners` (LISTENER resources) await, which say so in their `parts`."""
    users = listeners.index(
        lambda _, listener: {part.name for part in listener.parts if isinstance(part, Ref) and part.type == SECRET},
        name="listeners by certificate",
    )

    def secret_of(ctx: Context, arn: str, certificate: Certificate) -> Resource | None:
        used_by = ctx.lookup(users, arn)
        return secret(certificate, [Ref(LISTENER, listener.name) for listener in used_by]) if used_by else None

    return state.flow.derive("certificates of listeners", state.certificates, secret_of)


def secret(certificate: Certificate, within: Iterable[Ref]) -> Resource:
    """A certificate with its key, named after its ARN; `within` is what uses it."""
    message = secret_pb2.Secret(name=certificate.arn)
    message.tls_certificate.certificate_chain.inline_bytes = certificate.chain
    message.tls_certificate.private_key.inline_bytes = certificate.key
    return resource(message.name, message.SerializeToString(), within=tuple(within))
