"""What resolution starts from: the objects that it watches, and what the data plane reports back."""

from __future__ import annotations

from typing import Any, TypeAlias

from msgspec import Struct

from gatewright.flow import Flow, Source
from gatewright.model.core import ConfigMap, Namespace, Secret, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute, ReferenceGrant
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key, Object
from gatewright.topology import Origin, PortKey, PortState, Rejection

ObjectId: TypeAlias = tuple[str, Key]
"""A kind and a key."""


class Addresses(Struct, frozen=True):
    """Where a Gateway can be reached. `problem` says why an address that it asks for can't be had."""

    values: tuple[GatewayStatusAddress, ...] = ()
    problem: str = ""


class Inputs:
    """The sources of resolution; each holds the cluster's objects by key."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.gateway_classes: Source[Key, GatewayClass] = flow.source("gateway classes")
        self.gateways: Source[Key, Gateway] = flow.source("gateways")
        self.http_routes: Source[Key, HTTPRoute] = flow.source("http routes")
        self.reference_grants: Source[Key, ReferenceGrant] = flow.source("reference grants")
        self.services: Source[Key, Service] = flow.source("services")
        self.endpoint_slices: Source[Key, EndpointSlice] = flow.source("endpoint slices")
        self.secrets: Source[Key, Secret] = flow.source("secrets")
        self.config_maps: Source[Key, ConfigMap] = flow.source("config maps")
        self.namespaces: Source[Key, Namespace] = flow.source("namespaces")
        # Feedback from the data plane.
        self.addresses: Source[Key, Addresses] = flow.source("addresses")  # by Gateway
        self.ports: Source[PortKey, PortState] = flow.source("ports")
        self.rejections: Source[ObjectId, Rejection] = flow.source("rejections")

        self.by_type: dict[type[Object], Source[Key, Any]] = {
            GatewayClass: self.gateway_classes,
            Gateway: self.gateways,
            HTTPRoute: self.http_routes,
            ReferenceGrant: self.reference_grants,
            Service: self.services,
            EndpointSlice: self.endpoint_slices,
            Secret: self.secrets,
            ConfigMap: self.config_maps,
            Namespace: self.namespaces,
        }
        """The source of each kind of object that resolution reads: what has to be watched."""

        self.grants_by_namespace = self.reference_grants.index(lambda key, _: [key.namespace])
        self.slices_by_service = self.endpoint_slices.index(lambda key, s: [Key(key.namespace, s.service_name)])


def origin(obj: Object, field: str = "") -> Origin:
    """The provenance of what is computed from `field` of an object."""
    metadata = obj.metadata
    version = str(metadata.generation) if metadata.generation else metadata.resource_version
    return Origin(obj.kind, obj.key, version, field)
