"""What a Gateway stands on in a local edge: a loopback address and, for class `istio`, the Service that Istio makes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from gatewright.cluster import Client, Invalid, Reconciler
from gatewright.envoy.listeners import Binding
from gatewright.flow import Change, Source
from gatewright.local.addresses import AddressError, Allocator, Block
from gatewright.model.core import Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key
from gatewright.resolve import Addresses, Inputs, Resolution
from gatewright.resolve.gateways import ResolvedGateway

ISTIO = "istio.io/gateway-controller"
GATEWRIGHT = "gatewright.dev/gateway-controller"
CLASSES = {"istio": ISTIO, "gatewright": GATEWRIGHT}
"""The GatewayClasses that a local edge offers, with their controllers."""

_FIELD_MANAGER = "gatewright-infrastructure"
_GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
_STATUS_PORT = {"name": "status-port", "port": 15021, "protocol": "TCP"}


class Infrastructure:
    """Binds every Gateway of ours to an address, and tells resolution of it, while it runs (`async with`).

    For class `istio` the way is Istio's: a Service of type LoadBalancer named `<gateway>-istio`, whose ingress address
    becomes the Gateway's. The load balancer here is the loopback address itself.
    """

    def __init__(self, client: Client, inputs: Inputs, resolution: Resolution, block: Block) -> None:
        self.bindings: Source[Key, Binding] = inputs.flow.source("bindings")
        self._client = client
        self._inputs = inputs
        self._resolution = resolution
        self._allocator = Allocator(block)
        self._services: Reconciler[Key] = Reconciler("gateway service", self._apply_service)
        resolution.gateways.subscribe(self._gateways_changed)
        inputs.services.subscribe(self._services_changed)
        # Labels and annotations of the infrastructure are no part of the resolved Gateway.
        inputs.gateways.subscribe(self._specs_changed)

    async def __aenter__(self) -> Infrastructure:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._services.__aexit__()

    async def idle(self) -> None:
        """Return when every Service is as it should be."""
        await self._services.idle()

    def _gateways_changed(self, changes: Iterable[Change[Key, ResolvedGateway]]) -> None:
        with self._inputs.flow.batch():
            for key, _, gateway in changes:
                if gateway is None:
                    self._allocator.release(key)
                    self.bindings.delete(key)
                    self._inputs.addresses.delete(key)
                else:
                    self._bind(gateway)

    def _bind(self, gateway: ResolvedGateway) -> None:
        spec = self._inputs.gateways[gateway.key].spec
        wanted = next((address.value for address in spec.addresses if address.value), None)
        try:
            binding = self._allocator.bind(gateway.key, {item.port for item in gateway.listeners}, wanted)
        except AddressError as error:
            self._allocator.release(gateway.key)
            self.bindings.delete(gateway.key)
            self._inputs.addresses.set(gateway.key, Addresses(problem=str(error)))
            return
        self.bindings.set(gateway.key, binding)
        if gateway.controller == ISTIO:
            self._services.enqueue(gateway.key)
            self._read_address(gateway.key)
        else:
            self._inputs.addresses.set(gateway.key, Addresses((GatewayStatusAddress(value=binding.host),)))

    def _specs_changed(self, changes: Iterable[Change[Key, Gateway]]) -> None:
        for key, old, new in changes:
            if old and new and old.spec.infrastructure != new.spec.infrastructure and key in self.bindings:
                gateway = self._resolution.gateways.get(key)
                if gateway and gateway.controller == ISTIO:
                    self._services.enqueue(key)

    def _services_changed(self, changes: Iterable[Change[Key, Service]]) -> None:
        for _, old, new in changes:
            service = new or old
            name = service.metadata.labels.get(_GATEWAY_NAME) if service else None
            if service and name:
                key = Key(service.namespace, name)
                gateway = self._resolution.gateways.get(key)
                if gateway and gateway.controller == ISTIO:
                    self._read_address(key)
                    self._services.enqueue(key)

    def _read_address(self, key: Key) -> None:
        service = self._inputs.services.get(_service_key(key))
        ingress = service.status.load_balancer.ingress if service else ()
        self._inputs.addresses.set(
            key,
            Addresses(
                tuple(
                    GatewayStatusAddress(type="IPAddress" if entry.ip else "Hostname", value=entry.ip or entry.hostname)
                    for entry in ingress
                )
            ),
        )

    async def _apply_service(self, key: Key) -> None:
        gateway, binding = self._inputs.gateways.get(key), self.bindings.get(key)
        if gateway is None or binding is None or gateway.deleting:
            return
        service = istio_service(gateway)
        target = _service_key(key)
        current = self._inputs.services.get(target)
        if current is None or not _holds(current, service):
            try:
                await self._client.apply(service, field_manager=_FIELD_MANAGER)
            except Invalid as error:
                # Trying again is of no use before the Gateway changes, and then this is called anew.
                self._inputs.addresses.set(key, Addresses(problem=f"its Service can't be made: {error.message}"))
                return
        slice_ = _slice(gateway, binding, service)
        found = self._inputs.endpoint_slices.get(Key(key.namespace, slice_["metadata"]["name"]))
        if found is None or not _serves(found, slice_):
            await self._client.apply(slice_, field_manager=_FIELD_MANAGER)
        ingress = current.status.load_balancer.ingress if current else ()
        if service["spec"]["type"] == "LoadBalancer" and [entry.ip for entry in ingress] != [binding.host]:
            status = {"status": {"loadBalancer": {"ingress": [{"ip": binding.host, "ipMode": "VIP"}]}}}
            await self._client.patch(Service, target, status, subresource="status")


def istio_service(gateway: Gateway) -> dict[str, Any]:
    """The Service that Istio makes for a Gateway (Istio documentation, Gateway API, Automated Deployment)."""
    infrastructure = gateway.spec.infrastructure
    labels = {**gateway.metadata.labels, **(infrastructure.labels if infrastructure else {})}
    annotations = dict(infrastructure.annotations) if infrastructure else {}
    ports: dict[int, dict[str, Any]] = {15021: _STATUS_PORT}
    for listener in gateway.spec.listeners:
        name = _port_name(listener.name, listener.port, {port["name"] for port in ports.values()})
        ports.setdefault(
            listener.port,
            {"name": name, "port": listener.port, "protocol": "TCP", "appProtocol": listener.protocol.lower()},
        )
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": _service_key(gateway.key).name,
            "namespace": gateway.namespace,
            "labels": {
                **labels,
                _GATEWAY_NAME: gateway.name,
                "gateway.networking.k8s.io/gateway-class-name": gateway.spec.gateway_class_name,
                "gateway.istio.io/managed": "istio.io-gateway-controller",
            },
            "annotations": annotations,
            "ownerReferences": _owned_by(gateway),
        },
        "spec": {
            "type": annotations.get("networking.istio.io/service-type", "LoadBalancer"),
            "selector": {_GATEWAY_NAME: gateway.name},
            "ports": [ports[number] for number in sorted(ports)],
        },
    }


def _port_name(listener: str, port: int, taken: AbstractSet[str]) -> str:
    """A listener's name as one of a Service's port; where another port has it already, the number tells them apart."""
    name = re.sub(r"[^a-z0-9-]+", "-", listener.lower())[:63].strip("-")
    return name if name not in taken else f"{name[:57].rstrip('-')}-{port}"


def _slice(gateway: Gateway, binding: Binding, service: dict[str, Any]) -> dict[str, Any]:
    names = {port["port"]: port["name"] for port in service["spec"]["ports"]}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{_service_key(gateway.key).name}-proxy",
            "namespace": gateway.namespace,
            "labels": {
                "kubernetes.io/service-name": _service_key(gateway.key).name,
                "endpointslice.kubernetes.io/managed-by": "gatewright.dev",
            },
            "ownerReferences": _owned_by(gateway),
        },
        "addressType": "IPv6" if ":" in binding.host else "IPv4",
        "endpoints": [{"addresses": [binding.host], "conditions": {"ready": True}}],
        "ports": [
            {"name": names[port], "port": bound, "protocol": "TCP"} for port, bound in sorted(binding.ports.items())
        ],
    }


def _owned_by(gateway: Gateway) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": gateway.api_version,
            "kind": gateway.kind,
            "name": gateway.name,
            "uid": gateway.metadata.uid,
            "controller": True,
        }
    ]


def _service_key(gateway: Key) -> Key:
    return Key(gateway.namespace, f"{gateway.name}-istio")


def _holds(service: Service, wanted: dict[str, Any]) -> bool:
    metadata, spec = wanted["metadata"], wanted["spec"]
    ports = [(port.name, port.port, port.app_protocol) for port in service.spec.ports]
    return (
        metadata["labels"].items() <= service.metadata.labels.items()
        and metadata["annotations"].items() <= service.metadata.annotations.items()
        and service.spec.type == spec["type"]
        and service.spec.selector == spec["selector"]
        and ports == [(port["name"], port["port"], port.get("appProtocol")) for port in spec["ports"]]
    )


def _serves(found: EndpointSlice, wanted: dict[str, Any]) -> bool:
    return [endpoint.addresses[0] for endpoint in found.endpoints] == wanted["endpoints"][0]["addresses"] and [
        (port.name, port.port) for port in found.ports
    ] == [(port["name"], port["port"]) for port in wanted["ports"]]
