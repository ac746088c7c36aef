"""caCertificateRefs: the certificates that somebody else's must come from, read from ConfigMaps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gatewright.flow import Context
from gatewright.model.core import ConfigMap
from gatewright.model.gateway.shared import LocalObjectReference, ObjectReference
from gatewright.model.meta import Key
from gatewright.resolve.conditions import Reason
from gatewright.resolve.grants import missing_grant, permitted
from gatewright.resolve.inputs import Inputs, ObjectId

_FIELD = "ca.crt"  # FrontendTLSValidation and BackendTLSPolicyValidation, caCertificateRefs


class Authorities(NamedTuple):
    """What caCertificateRefs lead to: a PEM bundle for each that is usable, and what is wrong with the others.

    `versions` are those of the ConfigMaps that were read.
    """

    bundles: list[bytes]
    problems: list[Reason]
    versions: list[str]

    @property
    def pem(self) -> bytes:
        """All certificates, one after the other."""
        return b"".join(self.bundles)


def read_authorities(
    ctx: Context,
    inputs: Inputs,
    referrer: ObjectId,
    refs: Iterable[ObjectReference | LocalObjectReference],
    field: str,
    wrong_kind: str,
) -> Authorities:
    """What the references at `field` of an object lead to; `wrong_kind` is the reason for one to no ConfigMap."""
    found = Authorities([], [], [])
    kind, (namespace, _) = referrer
    for index, ref in enumerate(refs):
        where = f"{field}[{index}]"
        if ref.group or ref.kind != "ConfigMap":
            text = f"{where}: found {ref.kind}.{ref.group or 'core'}, expected a ConfigMap"
            found.problems.append((wrong_kind, text))
            continue
        key = Key((ref.namespace if isinstance(ref, ObjectReference) else None) or namespace, ref.name)
        if not permitted(ctx, inputs, kind, namespace, "", "ConfigMap", key):
            message = missing_grant(kind, namespace, "", "ConfigMap", key)
            found.problems.append(("RefNotPermitted", f"{where}: {message}"))
            continue
        config_map = ctx.get(inputs.config_maps, key)
        if config_map is None:
            found.problems.append(("InvalidCACertificateRef", f"{where}: ConfigMap {key} does not exist"))
            continue
        found.versions.append(config_map.metadata.resource_version)
        bundle = _certificates(config_map)
        if isinstance(bundle, str):
            found.problems.append(("InvalidCACertificateRef", f"{where}: {bundle}"))
        else:
            found.bundles.append(bundle)
    return found


def _certificates(config_map: ConfigMap) -> bytes | str:
    """The certificates in a ConfigMap's ca.crt as PEM, each once, or what is wrong with them."""
    where = f"ConfigMap {config_map.key}"
    text = config_map.data.get(_FIELD)
    pem = text.encode() if text is not None else config_map.binary_data.get(_FIELD)
    if pem is None:
        return f"{where}: data[{_FIELD}] is missing; expected PEM certificates"
    try:
        # Written anew, so that what stands between the certificates reaches no proxy.
        encoded = [found.public_bytes(Encoding.PEM) for found in x509.load_pem_x509_certificates(pem)]
    except ValueError:
        return f"{where}: data[{_FIELD}] holds no PEM certificate, or a broken one"
    return b"".join(dict.fromkeys(encoded))
