"""The Service of a Gateway: what it looks like, and whether one that is there is as it should be."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import msgspec

from gatewright.envoy.listeners import Binding
from gatewright.model.core import Service, ServiceSpec
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.shared import GATEWAY_NAME
from gatewright.model.meta import Key

ISTIO = "istio.io/gateway-controller"
_CLASS_NAME = "gateway.networking.k8s.io/gateway-class-name"
_SERVICE_TYPE = "networking.istio.io/service-type"
STATUS_PORT = 15021
"""Where Istio's gateways say whether they are ready."""


class Metadata(NamedTuple):
    """What a Gateway's infrastructure is marked with."""

    labels: dict[str, str]
    annotations: dict[str, str]


def service_key(gateway: Key, controller: str) -> Key:
    """The Service of a Gateway of this controller."""
    return Key(gateway.namespace, f"{gateway.name}-{'istio' if controller == ISTIO else 'gatewright'}")


def infrastructure_metadata(gateway: Gateway) -> Metadata:
    """Gateway API, GatewayInfrastructure; what is of the Gateway API's own domain is the controller's to set."""
    infrastructure = gateway.spec.infrastructure
    if infrastructure is None:
        return Metadata({}, {})
    return Metadata(_own(infrastructure.labels), _own(infrastructure.annotations))


def _own(marks: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in marks.items() if not name.startswith("gateway.networking.k8s.io/")}


def gateway_service(gateway: Gateway, controller: str, binding: Binding) -> dict[str, Any]:
    """The Service of a Gateway, with a port for each of its listeners, and for each port that ListenerSets add.

    For class `istio` it is the one that Istio makes (Istio documentation, Gateway API, Automated Deployment): it takes
    on the Gateway's own labels and annotations where the infrastructure names none.
    """
    labels, annotations = infrastructure_metadata(gateway)
    service_type, taken = "ClusterIP", {}
    if controller == ISTIO:
        labels = {**(labels or gateway.metadata.labels), "gateway.istio.io/managed": "istio.io-gateway-controller"}
        annotations = annotations or dict(gateway.metadata.annotations)
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
        service_type = annotations.get(_SERVICE_TYPE, "LoadBalancer")
        taken = {(STATUS_PORT, "TCP"): {"name": "status-port", "port": STATUS_PORT, "protocol": "TCP"}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_key(gateway.key, controller).name,
            "namespace": gateway.namespace,
            "labels": {**labels, GATEWAY_NAME: gateway.name, _CLASS_NAME: gateway.spec.gateway_class_name},
            "annotations": annotations,
            "ownerReferences": _owned_by(gateway),
        },
        "spec": {
            "type": service_type,
            "selector": {GATEWAY_NAME: gateway.name},
            "ports": _ports(gateway, binding, taken),
        },
    }


def _ports(gateway: Gateway, binding: Binding, taken: dict[tuple[int, str], dict[str, Any]]) -> list[dict[str, Any]]:
    ports: dict[tuple[int, str], dict[str, Any]] = dict(taken)

    def add(name: str, number: int, transport: str, app_protocol: str = "") -> None:
        if (number, transport) not in ports:
            unique = _port_name(name, number, {port["name"] for port in ports.values()})
            port = {"name": unique, "port": number, "protocol": transport}
            ports[number, transport] = {**port, "appProtocol": app_protocol} if app_protocol else port

    for listener in gateway.spec.listeners:
        if listener.protocol == "UDP":
            add(listener.name, listener.port, "UDP")
        else:
            add(listener.name, listener.port, "TCP", listener.protocol.lower())
    for transport, others in (("TCP", binding.ports), ("UDP", binding.udp_ports)):
        for number in others:
            add(f"{transport.lower()}-{number}", number, transport)
    return [ports[key] for key in sorted(ports)]


def _port_name(listener: str, port: int, taken: AbstractSet[str]) -> str:
    """A listener's name as one of a Service's port; where another port has it already, the number tells them apart."""
    name = re.sub(r"[^a-z0-9-]+", "-", listener.lower())[:63].strip("-")
    return name if name not in taken else f"{name[:57].rstrip('-')}-{port}"


def endpoint_slice(gateway: Gateway, binding: Binding, service: dict[str, Any]) -> dict[str, Any]:
    """The endpoints of a Gateway's Service: the addresses and ports that the proxy has open."""
    names = {(port["port"], port["protocol"]): port["name"] for port in service["spec"]["ports"]}
    name = service["metadata"]["name"]
    # In one slice all addresses have the same ports, and are of one family.
    alike = [each for each in binding.others if _open(each) == _open(binding) and _family(each) == _family(binding)]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-proxy",
            "namespace": gateway.namespace,
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "gatewright.dev",
            },
            "ownerReferences": _owned_by(gateway),
        },
        "addressType": _family(binding),
        "endpoints": [{"addresses": [each.host], "conditions": {"ready": True}} for each in (binding, *alike)],
        "ports": [
            {"name": names[port, transport], "port": bound, "protocol": transport}
            for (port, transport), bound in sorted(_open(binding).items())
        ],
    }


def _open(binding: Binding) -> dict[tuple[int, str], int]:
    status = {(STATUS_PORT, "TCP"): binding.status_port} if binding.status_port else {}
    return {
        **status,
        **{(port, "TCP"): bound for port, bound in binding.ports.items()},
        **{(port, "UDP"): bound for port, bound in binding.udp_ports.items()},
    }


def _family(binding: Binding) -> str:
    return "IPv6" if ":" in binding.host else "IPv4"


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


def holds(service: Service, wanted: dict[str, Any]) -> bool:
    """Whether a Service has all that is wanted of it."""
    metadata, spec = wanted["metadata"], wanted["spec"]
    ports = [(port.name, port.port, port.protocol, port.app_protocol) for port in service.spec.ports]
    asked = msgspec.convert(spec, ServiceSpec)
    fields = zip(ServiceSpec.__struct_fields__, ServiceSpec.__struct_encode_fields__, strict=True)
    return (
        metadata["labels"].items() <= service.metadata.labels.items()
        and metadata["annotations"].items() <= service.metadata.annotations.items()
        and all(
            getattr(service.spec, field) == getattr(asked, field)
            for field, name in fields
            if name in spec and name != "ports"
        )
        and ports == [(port["name"], port["port"], port["protocol"], port.get("appProtocol")) for port in spec["ports"]]
    )


def serves(found: EndpointSlice, wanted: dict[str, Any]) -> bool:
    """Whether an EndpointSlice says what `endpoint_slice` says."""
    addresses = [list(endpoint.addresses) for endpoint in found.endpoints]
    ports = [(port.name, port.port, port.protocol) for port in found.ports]
    return addresses == [endpoint["addresses"] for endpoint in wanted["endpoints"]] and ports == [
        (port["name"], port["port"], port["protocol"]) for port in wanted["ports"]
    ]
