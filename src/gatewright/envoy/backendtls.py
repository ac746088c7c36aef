"""TLS to backends (Gateway API, BackendTLSPolicy)."""

from __future__ import annotations

import ssl
from functools import lru_cache
from hashlib import blake2b

import msgspec
from envoy.config.core.v3 import base_pb2, config_source_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2

from gatewright.envoy.filters import escape_re2
from gatewright.model.meta import Key
from gatewright.topology import BackendTLS, SubjectName

_San = common_pb2.SubjectAltNameMatcher


def digest(tls: BackendTLS) -> str:
    """A short name for all of the settings."""
    content = msgspec.json.encode((tls.server_name, tls.names, tls.authorities))
    return blake2b(content, digest_size=8).hexdigest()


def tls_socket(
    tls: BackendTLS, alpn: str, client: Key | None, secrets: config_source_pb2.ConfigSource
) -> base_pb2.TransportSocket:
    """A transport socket with these settings; `client` is the Secret of the certificate to show, from `secrets`."""
    context = tls_pb2.UpstreamTlsContext(sni=tls.server_name)
    common = context.common_tls_context
    common.tls_params.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_2
    if alpn:
        common.alpn_protocols.append(alpn)
    if client:
        common.tls_certificate_sds_secret_configs.add(name=str(client)).sds_config.CopyFrom(secrets)
    validation = common.validation_context
    if tls.authorities is None:
        validation.trusted_ca.filename = system_authorities()
    else:
        validation.trusted_ca.inline_bytes = tls.authorities
    for name in tls.names:
        _match(name, validation.match_typed_subject_alt_names.add())
    socket = base_pb2.TransportSocket(name="tls")
    socket.typed_config.Pack(context)
    return socket


def _match(name: SubjectName, matcher: common_pb2.SubjectAltNameMatcher) -> None:
    if name.type == "URI":
        matcher.san_type = _San.URI
        matcher.matcher.exact = name.value
        return
    matcher.san_type = _San.DNS
    host = name.value.lower()
    if host.startswith("*."):
        # Any one label, or a certificate for the wildcard itself.
        matcher.matcher.safe_regex.regex = rf"(?i:[^.]+{escape_re2(host[1:])})"
    else:
        matcher.matcher.exact = host  # Envoy lets wildcards of the certificate match it


@lru_cache
def system_authorities() -> str:
    """The file with the authorities that this system trusts; a missing one is for Envoy to refuse."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.openssl_cafile
