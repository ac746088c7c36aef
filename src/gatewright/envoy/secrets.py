"""Certificates as SDS secrets."""

from __future__ import annotations

from envoy.extensions.transport_sockets.tls.v3 import secret_pb2

from gatewright.envoy.resources import Ref, Resource, resource
from gatewright.topology import Certificate

_BLANKS = str.maketrans("01", " \t")


def secret(certificate: Certificate, within: tuple[Ref, ...]) -> Resource:
    """The key pair of a Secret, named after it; `within` is what uses it, `parts` its origin."""
    message = secret_pb2.Secret(name=str(certificate.key))
    message.tls_certificate.certificate_chain.inline_bytes = certificate.chain
    message.tls_certificate.private_key.inline_bytes = certificate.private_key
    return resource(
        message.name, message.SerializeToString(), within=within, parts=(certificate.origin,), variant=_reworded
    )


def _reworded(body: bytes, number: int) -> bytes:
    """The same key pair in a message that differs: blank lines after the chain, as many as the bits of `number` say."""
    message = secret_pb2.Secret.FromString(body)
    message.tls_certificate.certificate_chain.inline_bytes += f"\n{number:b}\n".translate(_BLANKS).encode()
    return bytes(message.SerializeToString())
