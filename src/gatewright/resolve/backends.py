"""backendRefs, Services and EndpointSlices: where a rule's traffic may go, and who answers there."""

from __future__ import annotations

from itertools import product
from typing import Literal

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.core import Service, ServicePort
from gatewright.model.discovery import EndpointConditions
from gatewright.model.gateway.shared import BackendObjectReference
from gatewright.model.meta import Key
from gatewright.resolve.grants import missing_grant, permitted
from gatewright.resolve.inputs import Inputs
from gatewright.topology import Backend, BackendKey, Endpoint, Endpoints

AppProtocol = Literal["http", "h2c", "ws"]

APP_PROTOCOLS: dict[str, AppProtocol] = {
    "": "http",
    "http": "http",
    "http2": "h2c",
    "grpc": "h2c",
    "kubernetes.io/h2c": "h2c",
    "kubernetes.io/ws": "ws",
}
"""ServicePort.appProtocol (KEP-3726 and Istio's names) to how the proxy speaks to the backend."""


_LAST_PORT = 65535  # the API takes any number (discovery/v1, EndpointPort)


class Refused(Struct, frozen=True):
    """Why a reference leads nowhere: a reason of the ResolvedRefs condition, and the whole story."""

    reason: str
    message: str


def resolve_reference(
    ctx: Context, inputs: Inputs, kind: str, namespace: str, ref: BackendObjectReference
) -> BackendKey | Refused:
    """The backend that a reference in a route of `kind` and `namespace` leads to, if it may and does."""
    if ref.group or ref.kind != "Service":
        return Refused("InvalidKind", f"found {ref.kind}.{ref.group or 'core'}, expected a Service")
    key = Key(ref.namespace or namespace, ref.name)
    if not permitted(ctx, inputs, kind, namespace, "", "Service", key):
        return Refused("RefNotPermitted", missing_grant(kind, namespace, "", "Service", key))
    service = ctx.get(inputs.services, key)
    if service is None:
        return Refused("BackendNotFound", f"Service {key} does not exist")
    if service.spec.type == "ExternalName":
        # It would let a route reach what its owner can't (GHSA-v363-rrf2-5fmj); the specification advises against it.
        return Refused("UnsupportedValue", f"Service {key} is of type ExternalName, which is not served")
    if ref.port is None:
        return Refused("BackendNotFound", "port: found none, expected a port of the Service")
    port = _port(service, ref.port)
    if port is None:
        ports = ", ".join(f"{p.port}/{p.protocol}" for p in service.spec.ports) or "none"
        return Refused("BackendNotFound", f"port: found {ref.port}, expected a TCP port of Service {key} ({ports})")
    if _app_protocol(port) is None:
        expected = ", ".join(name for name in APP_PROTOCOLS if name)
        message = f"Service {key} port {ref.port}: found appProtocol {port.app_protocol}, expected one of {expected}"
        return Refused("UnsupportedProtocol", message)
    return BackendKey(key.namespace, key.name, ref.port)


def resolve_backends(inputs: Inputs, wanted: Collection[BackendKey, BackendKey]) -> Collection[BackendKey, Backend]:
    """The backends that routes refer to; they outlive their endpoints."""

    def resolve(ctx: Context, key: BackendKey, _: BackendKey) -> Backend | None:
        port = _service_port(ctx, inputs, key)
        protocol = _app_protocol(port) if port else None
        return Backend(key, protocol) if protocol else None

    return inputs.flow.derive("backends", wanted, resolve)


def resolve_endpoints(inputs: Inputs, backends: Collection[BackendKey, Backend]) -> Collection[BackendKey, Endpoints]:
    """Each backend's addresses (discovery/v1 EndpointSlice), whoever wrote the slices."""

    def resolve(ctx: Context, key: BackendKey, _: Backend) -> Endpoints:
        port = _service_port(ctx, inputs, key)
        found: dict[tuple[str, int], Endpoint] = {}
        for slice_ in ctx.lookup(inputs.slices_by_service, Key(key.namespace, key.service)) if port else ():
            if slice_.address_type == "FQDN":
                continue
            numbers = [
                p.port
                for p in slice_.ports
                if port and p.name == port.name and p.protocol == "TCP" and p.port and 0 < p.port <= _LAST_PORT
            ]
            for member in slice_.endpoints:
                state = _state(member.conditions)
                if state == "down":
                    continue
                for address, number in product(member.addresses[:1], numbers):
                    endpoint = Endpoint(address, number, draining=state == "draining")
                    # While a pod moves between slices, two may name it.
                    found[address, number] = min(endpoint, found.get((address, number), endpoint))
        return Endpoints(key, tuple(sorted(found.values())))

    return inputs.flow.derive("endpoints", backends, resolve)


def _state(conditions: EndpointConditions) -> Literal["ready", "draining", "down"]:
    """What an endpoint's conditions come to; unknown ones count as good, as the API says.

    A terminating endpoint is ready only where its Service publishes all addresses.
    """
    if conditions.ready is not False:
        return "ready"
    return "draining" if conditions.terminating and conditions.serving is not False else "down"


def _service_port(ctx: Context, inputs: Inputs, key: BackendKey) -> ServicePort | None:
    service = ctx.get(inputs.services, Key(key.namespace, key.service))
    return _port(service, key.port) if service else None


def _port(service: Service, number: int) -> ServicePort | None:
    return next((port for port in service.spec.ports if port.port == number and port.protocol == "TCP"), None)


def _app_protocol(port: ServicePort) -> AppProtocol | None:
    return APP_PROTOCOLS.get((port.app_protocol or "").lower())
