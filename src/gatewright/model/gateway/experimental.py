"""The kinds of the experimental group, gateway.networking.x-k8s.io: XBackend, XBackendTrafficPolicy, XMesh."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from gatewright.model.constraints import NO_DEFAULT, integer, items, text
from gatewright.model.gateway.backendtlspolicy import BackendTLSPolicyValidation
from gatewright.model.gateway.gatewayclass import SupportedFeature
from gatewright.model.gateway.shared import (
    EXPERIMENTAL_GROUP,
    ControllerName,
    Duration,
    Group,
    KindName,
    ObjectName,
    ObjectReference,
    ParentReference,
    PolicyStatus,
    PortNumber,
    PreciseHostname,
    SecretObjectReference,
    SessionPersistence,
    pending,
)
from gatewright.model.meta import Condition, Conditions, Model, Object, always

_API_VERSION: Final = f"{EXPERIMENTAL_GROUP}/v1alpha1"


class ExternalHostnameBackend(Model):
    """A backend outside the cluster, by host name."""

    hostname: PreciseHostname


class BackendPort(Model):
    """The port of a backend."""

    port: PortNumber
    name: Annotated[str, text(max_length=63)] | None = None


class BackendTLS(Model):
    """TLS towards a backend."""

    mode: Literal["None", "ServerOnly", "ClientAndServer"]
    client_certificate_ref: SecretObjectReference | None = None
    validation: BackendTLSPolicyValidation | None = None


class XBackendSpec(Model):
    """An XBackend's desired state."""

    type: Literal["ExternalHostname"]
    port: BackendPort
    external_hostname: ExternalHostnameBackend | None = None
    protocol: Literal["TCP", "HTTP", "HTTP2", "HTTP11", "H2C", "MCP"] | None = None
    tls: BackendTLS | None = None


class XBackendParentStatus(Model):
    """What one controller says of a backend under one parent."""

    parent_ref: ParentReference
    controller_name: ControllerName
    conditions: Annotated[tuple[Condition, ...], items(keys=("type",))] = ()


class XBackendStatus(Model):
    """An XBackend's observed state."""

    parents: Annotated[tuple[XBackendParentStatus, ...], items(at_most=32, kind="atomic")] = ()


class XBackend(Object):
    """A backend that is no Service."""

    api_version: str = always(_API_VERSION)
    kind: str = always("XBackend")
    spec: XBackendSpec
    status: Annotated[XBackendStatus, NO_DEFAULT] = XBackendStatus()


class RetryBudget(Model):
    """How much of the traffic of an interval retries may be, in percent."""

    percent: Annotated[int, integer(None, ge=0, le=100)] = 20
    interval: Duration = "10s"


class RequestRate(Model):
    """Requests in an interval."""

    count: Annotated[int, integer(None, ge=1, le=1_000_000)] | None = None
    interval: Duration | None = None


class RetryConstraint(Model):
    """Keeps retries from overloading a backend (GEP-3388)."""

    budget: RetryBudget = RetryBudget()
    min_retry_rate: RequestRate = RequestRate(count=10, interval="1s")


class LocalPolicyTargetReference(Model):
    """Names what a policy applies to."""

    group: Group
    kind: KindName
    name: ObjectName


class XBackendTrafficPolicySpec(Model):
    """An XBackendTrafficPolicy's desired state."""

    target_refs: Annotated[
        tuple[LocalPolicyTargetReference, ...], items(at_least=1, at_most=16, keys=("group", "kind", "name"))
    ]
    retry_constraint: RetryConstraint | None = None
    session_persistence: SessionPersistence | None = None


class XBackendTrafficPolicy(Object):
    """How traffic to backends is retried and kept together."""

    api_version: str = always(_API_VERSION)
    kind: str = always("XBackendTrafficPolicy")
    spec: XBackendTrafficPolicySpec
    status: Annotated[PolicyStatus, NO_DEFAULT] = PolicyStatus()


class XMeshSpec(Model):
    """An XMesh's desired state. `controller_name` never changes."""

    controller_name: ControllerName
    parameters_ref: ObjectReference | None = None
    description: Annotated[str, text(max_length=64)] | None = None


class XMeshStatus(Model):
    """An XMesh's observed state."""

    conditions: Conditions = (pending("Accepted"), pending("Programmed"))
    supported_features: Annotated[tuple[SupportedFeature, ...], items(at_most=64, keys=("name",))] = ()


class XMesh(Object):
    """A service mesh; cluster-scoped."""

    api_version: str = always(_API_VERSION)
    kind: str = always("XMesh")
    spec: XMeshSpec
    # Without any status the API gives it Accepted alone; a status without conditions gets Programmed too.
    status: XMeshStatus = XMeshStatus(conditions=(pending("Accepted"),))
