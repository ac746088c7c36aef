"""What controllers read of discovery.k8s.io/v1."""

from __future__ import annotations

from gatewright.model.core import ObjectReference
from gatewright.model.meta import Model, Object, always

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
"""The label by which an EndpointSlice names its Service."""

MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
"""The label that names who writes an EndpointSlice."""


class EndpointConditions(Model):
    """Whether an endpoint takes traffic. None means unknown, which consumers read as ready and serving."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(Model):
    """One endpoint of a slice. All `addresses` are the same endpoint's; the first is the one to use."""

    addresses: tuple[str, ...]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(Model):
    """A port of every endpoint of the slice. `port` of None means all ports."""

    name: str = ""
    port: int | None = None
    protocol: str = "TCP"
    app_protocol: str | None = None


class EndpointSlice(Object):
    """Some of a Service's endpoints. `address_type` is `IPv4`, `IPv6` or `FQDN`."""

    api_version: str = always("discovery.k8s.io/v1")
    kind: str = always("EndpointSlice")
    address_type: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    @property
    def service_name(self) -> str:
        """The Service that the slice belongs to, from its label; empty when it names none."""
        return self.metadata.labels.get(SERVICE_NAME_LABEL, "")
