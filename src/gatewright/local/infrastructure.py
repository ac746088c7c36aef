"""What a Gateway stands on in a local edge: a loopback address and, for class `istio`, the Service that Istio makes."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec
from msgspec import structs

from gatewright.cluster import Client, Invalid, Reconciler
from gatewright.edge.nlb.annotations import is_ours
from gatewright.envoy.listeners import Binding
from gatewright.flow import Change, Source
from gatewright.local.addresses import AddressError, Allocator
from gatewright.local.block import Block
from gatewright.local.overlays import OverlayError, laid_over, unheeded
from gatewright.local.services import (
    ISTIO,
    STATUS_PORT,
    endpoint_slice,
    gateway_service,
    holds,
    infrastructure_metadata,
    serves,
    service_key,
)
from gatewright.model.core import ConfigMap, Service
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.gateway.shared import GATEWAY_NAME
from gatewright.model.meta import Key
from gatewright.resolve import Addresses, Inputs, Resolution
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.topology import PortKey

GATEWRIGHT = "gatewright.dev/gateway-controller"
CLASSES = {"istio": ISTIO, "gatewright": GATEWRIGHT}
"""The GatewayClasses that a local edge offers, with their controllers."""

_FIELD_MANAGER = "gatewright-infrastructure"


class _Name(NamedTuple):
    """What an address is allotted to: a Gateway and the address that it asks for."""

    gateway: Key
    wanted: str


class Infrastructure:
    """Binds every Gateway of ours to an address, and tells resolution of it, while it runs (`async with`).

    For class `istio` the way is Istio's: a Service of type LoadBalancer named `<gateway>-istio`, whose ingress address
    becomes the Gateway's; its hostname does where the Service has another type. The load balancer here is the loopback
    address itself, unless the Service asks for one of AWS's and there is an AWS. What the ConfigMap that
    `infrastructure.parametersRef` names has for the Service is laid over it.

    For class `gatewright` there is a Service where `spec.infrastructure` asks for labels or annotations, to carry them
    (GEP-1867); the Gateway's address doesn't wait for it.
    """

    def __init__(
        self, client: Client, inputs: Inputs, resolution: Resolution, block: Block, *, aws: bool = False
    ) -> None:
        """`aws`: there is a controller that makes the load balancers of Services that ask for one of AWS's."""
        self._aws = aws
        self.bindings: Source[Key, Binding] = inputs.flow.source("bindings")
        self._client = client
        self._inputs = inputs
        self._resolution = resolution
        self._allocator = Allocator(block)
        self._names: dict[Key, dict[_Name, str | None]] = {}
        self._problems: dict[Key, str] = {}  # of addresses that a Gateway of class istio asks for
        self._remarked: set[Key] = set()  # what a Service has too many of is seen by its field manager only
        self._services: Reconciler[Key] = Reconciler("gateway service", self._apply_service)
        self._by_gateway = resolution.ports.index(lambda port, _: [port.gateway], name="ports to bind by gateway")
        resolution.gateways.subscribe(self._gateways_changed)
        resolution.ports.subscribe(self._ports_changed)
        inputs.services.subscribe(self._services_changed)
        self._by_parameters = inputs.gateways.index(
            lambda key, gateway: [Key(key.namespace, name)] if (name := _parameters(gateway)) else [],
            name="gateways by parameters",
        )
        inputs.config_maps.subscribe(self._config_maps_changed)
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
                    self._release(key)
                    self._inputs.addresses.delete(key)
                else:
                    self._bind(gateway)

    def _ports_changed(self, changes: Iterable[Change[PortKey, PortKey]]) -> None:
        with self._inputs.flow.batch():
            for key in dict.fromkeys(change.key.gateway for change in changes):
                gateway = self._resolution.gateways.get(key)
                if gateway:
                    self._bind(gateway)

    def _bind(self, gateway: ResolvedGateway) -> None:
        """Bind the Gateway's ports on every address that it asks for and can have."""
        key, ports = gateway.key, self._by_gateway.lookup(gateway.key)
        tcp = {port.port for port in ports if port.transport == "TCP"}
        udp = {port.port for port in ports if port.transport == "UDP"}
        names = {
            _Name(key, address.value or f"any {number}" if number else address.value or ""): address.value
            for number, address in enumerate(self._inputs.gateways[key].spec.addresses)
        } or {_Name(key, ""): None}
        for name in self._names.get(key, {}).keys() - names.keys():
            self._allocator.release(name)
        self._names[key] = names
        bound: list[Binding] = []
        problems: list[str] = []
        for name, wanted in names.items():
            try:
                bound.append(self._bound(gateway, name, tcp, udp, wanted))
            except AddressError as error:
                self._allocator.release(name)
                problems.append(str(error))
        problem = "; ".join(problems)
        if not bound:
            self.bindings.delete(key)
            self._inputs.addresses.set(key, Addresses(problem=problem))
            return
        self.bindings.set(key, structs.replace(bound[0], others=tuple(bound[1:])))
        if gateway.controller == ISTIO:
            self._problems[key] = problem
            self._services.enqueue(key)
            self._read_address(key)
        else:
            values = tuple(GatewayStatusAddress(value=binding.host) for binding in bound)
            self._inputs.addresses.set(key, Addresses(values, problem))
            if self._has_service(key):
                self._services.enqueue(key)

    def _bound(
        self, gateway: ResolvedGateway, name: _Name, tcp: AbstractSet[int], udp: AbstractSet[int], wanted: str | None
    ) -> Binding:
        status = gateway.controller == ISTIO and STATUS_PORT not in tcp
        binding = self._allocator.bind(name, {*tcp, STATUS_PORT} if status else tcp, wanted, udp_ports=udp)
        if not status:
            return binding
        ports = dict(binding.ports)
        return structs.replace(binding, ports=ports, status_port=ports.pop(STATUS_PORT))

    def _release(self, key: Key) -> None:
        for name in self._names.pop(key, {}):
            self._allocator.release(name)
        self._problems.pop(key, None)
        self.bindings.delete(key)

    def _has_service(self, key: Key) -> bool:
        """Whether a Gateway of ours has a Service, or should have one."""
        resolved, gateway = self._resolution.gateways.get(key), self._inputs.gateways.get(key)
        if resolved is None or gateway is None:
            return False
        infrastructure = gateway.spec.infrastructure
        asked = infrastructure is not None and bool(infrastructure.labels or infrastructure.annotations)
        return resolved.controller == ISTIO or asked or service_key(key, resolved.controller) in self._inputs.services

    def _specs_changed(self, changes: Iterable[Change[Key, Gateway]]) -> None:
        for key, old, new in changes:
            if (
                old
                and new
                and (infrastructure_metadata(old), _parameters(old)) != (infrastructure_metadata(new), _parameters(new))
                and key in self.bindings
                and self._has_service(key)
            ):
                self._remarked.add(key)
                self._services.enqueue(key)

    def _config_maps_changed(self, changes: Iterable[Change[Key, ConfigMap]]) -> None:
        for change in changes:
            for gateway in self._by_parameters.lookup(change.key):
                resolved = self._resolution.gateways.get(gateway.key)
                if resolved and resolved.controller == ISTIO and gateway.key in self.bindings:
                    self._remarked.add(gateway.key)
                    self._services.enqueue(gateway.key)

    def _services_changed(self, changes: Iterable[Change[Key, Service]]) -> None:
        for _, old, new in changes:
            service = new or old
            name = service.metadata.labels.get(GATEWAY_NAME) if service else None
            if service and name:
                key = Key(service.namespace, name)
                gateway = self._resolution.gateways.get(key)
                if gateway and service.key == service_key(key, gateway.controller) and key in self.bindings:
                    if gateway.controller == ISTIO:
                        self._read_address(key)
                    self._services.enqueue(key)

    def _read_address(self, key: Key) -> None:
        """Istio's way: the load balancer's addresses, or the hostname of a Service that has none."""
        service = self._inputs.services.get(service_key(key, ISTIO))
        if service is not None and service.spec.type != "LoadBalancer":
            hostname = f"{service.name}.{service.namespace}.svc.cluster.local"
            values: tuple[GatewayStatusAddress, ...] = (GatewayStatusAddress(type="Hostname", value=hostname),)
        else:
            values = tuple(
                GatewayStatusAddress(type="IPAddress" if entry.ip else "Hostname", value=entry.ip or entry.hostname)
                for entry in (service.status.load_balancer.ingress if service else ())
            )
        gateway = self._inputs.gateways.get(key)
        parameters = self._config_map(gateway) if gateway else None
        remarks = tuple(unheeded(parameters)) if parameters else ()
        problem = self._problems.get(key, "")
        self._inputs.addresses.set(key, Addresses(values, problem, remarks=remarks, parameters=parameters is not None))

    def _config_map(self, gateway: Gateway) -> ConfigMap | None:
        return self._inputs.config_maps.get(Key(gateway.namespace, _parameters(gateway)))

    async def _apply_service(self, key: Key) -> None:
        gateway, binding = self._inputs.gateways.get(key), self.bindings.get(key)
        resolved = self._resolution.gateways.get(key)
        if gateway is None or binding is None or resolved is None or gateway.deleting:
            return
        service = gateway_service(gateway, resolved.controller, binding)
        target = service_key(key, resolved.controller)
        if resolved.controller == ISTIO:
            parameters = self._config_map(gateway)
            try:
                service = laid_over(service, parameters) if parameters else service
            except OverlayError as error:
                self._no_service(key, str(error))
                return
            self._read_address(key)
        current = self._inputs.services.get(target)
        if current is None or key in self._remarked or not holds(current, service):
            self._remarked.discard(key)
            try:
                await self._client.apply(service, field_manager=_FIELD_MANAGER)
            except Invalid as error:
                self._no_service(key, error.message)
                return
        slice_ = endpoint_slice(gateway, binding, service)
        found = self._inputs.endpoint_slices.get(Key(key.namespace, slice_["metadata"]["name"]))
        if found is None or not serves(found, slice_):
            await self._client.apply(slice_, field_manager=_FIELD_MANAGER)
        hosts = [each.host for each in (binding, *binding.others)]
        ingress = current.status.load_balancer.ingress if current else ()
        elsewhere = self._aws and is_ours(msgspec.convert(service, Service))
        if service["spec"]["type"] == "LoadBalancer" and not elsewhere and [entry.ip for entry in ingress] != hosts:
            status = {"status": {"loadBalancer": {"ingress": [{"ip": host, "ipMode": "VIP"} for host in hosts]}}}
            await self._client.patch(Service, target, status, subresource="status")

    def _no_service(self, key: Key, why: str) -> None:
        # Trying again is of no use before the Gateway or its ConfigMap changes, and then the Service is tried anew.
        known = self._inputs.addresses.get(key) or Addresses()
        self._inputs.addresses.set(key, structs.replace(known, problem=f"its Service can't be made: {why}"))


def _parameters(gateway: Gateway) -> str:
    """The ConfigMap that its infrastructure names; empty where it names none."""
    reference = gateway.spec.infrastructure and gateway.spec.infrastructure.parameters_ref
    return reference.name if reference and (reference.group, reference.kind) == ("", "ConfigMap") else ""
