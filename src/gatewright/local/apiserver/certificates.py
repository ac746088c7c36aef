"""The server certificate of the embedded API, made anew at each start and signed by an authority that is forgotten."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path

from gatewright.local.certificates import Authority
from gatewright.local.private import write_private

_NAMES = ("localhost", "127.0.0.1", "::1", "kubernetes", "kubernetes.default", "kubernetes.default.svc")


def serving_certificate(host: str) -> tuple[bytes, ssl.SSLContext]:
    """The authority's certificate (PEM) and a TLS context with a server certificate for `host` and localhost.

    The private keys stay in memory, but for the moment in which OpenSSL reads the server's from a file that only this
    user can read.
    """
    authority = Authority.create("gatewright kubernetes CA")
    certificate = authority.issue(dict.fromkeys((host, *_NAMES)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="gatewright-") as folder:
        chain = Path(folder, "server.pem")
        write_private(chain, certificate.private_key + certificate.chain)
        context.load_cert_chain(chain)
    return authority.pem, context
