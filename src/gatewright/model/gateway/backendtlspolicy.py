"""BackendTLSPolicy: TLS from a Gateway to the backends of a Service."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from gatewright.model.constraints import NO_DEFAULT, items, text
from gatewright.model.gateway.shared import (
    API_VERSION,
    Group,
    Hostname,
    KindName,
    LocalObjectReference,
    ObjectName,
    PolicyStatus,
    PreciseHostname,
    SectionName,
    TLSOptions,
)
from gatewright.model.meta import Model, Object, always

_URI: Final = r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?"
_WELL_KNOWN: Final = (
    r"^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    r"/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$"
)


class LocalPolicyTargetReferenceWithSectionName(Model):
    """Names what a policy applies to: an object of its namespace, or one section (port) of it."""

    group: Group
    kind: KindName
    name: ObjectName
    section_name: SectionName | None = None


class SubjectAltName(Model):
    """A name that the backend's certificate must have."""

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: Annotated[str, text(pattern=_URI, min_length=1, max_length=253)] | None = None


class BackendTLSPolicyValidation(Model):
    """How the backend's certificate is checked. `hostname` is its SNI, and its name unless alternatives are given."""

    hostname: PreciseHostname
    ca_certificate_refs: Annotated[tuple[LocalObjectReference, ...], items(at_most=8, kind="atomic")] = ()
    well_known_ca_certificates: Annotated[str, text(pattern=_WELL_KNOWN, min_length=1, max_length=253)] | None = (
        msgspec.field(default=None, name="wellKnownCACertificates")
    )
    subject_alt_names: Annotated[tuple[SubjectAltName, ...], items(at_most=5, kind="atomic")] = ()


class BackendTLSPolicySpec(Model):
    """A BackendTLSPolicy's desired state."""

    target_refs: Annotated[
        tuple[LocalPolicyTargetReferenceWithSectionName, ...], items(at_least=1, at_most=16, kind="atomic")
    ]
    validation: BackendTLSPolicyValidation
    options: TLSOptions = msgspec.field(default_factory=dict)


class BackendTLSPolicy(Object):
    """A BackendTLSPolicy."""

    api_version: str = always(API_VERSION)
    kind: str = always("BackendTLSPolicy")
    spec: BackendTLSPolicySpec
    status: Annotated[PolicyStatus, NO_DEFAULT] = PolicyStatus()
