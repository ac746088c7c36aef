"""What resolution starts from: the objects that it watches, and what the data plane reports back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct, structs

from gatewright.flow import Change, Collection, Context, Flow, Source
from gatewright.model.core import ConfigMap, Namespace, Secret, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import (
    BackendTLSPolicy,
    Gateway,
    GatewayClass,
    GRPCRoute,
    HTTPRoute,
    ListenerSet,
    ReferenceGrant,
    TCPRoute,
    TLSRoute,
    UDPRoute,
)
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key, Object
from gatewright.topology import Origin, PortKey, PortState, Refusal, RefusalKey, Rejection, Verdict

ObjectId: TypeAlias = tuple[str, Key]
"""A kind and a key."""

Route: TypeAlias = HTTPRoute | GRPCRoute | TLSRoute | TCPRoute | UDPRoute

NOW = "now"
"""The only key of `Inputs.clock`."""

CLOCK_LAG = timedelta(minutes=2)
"""How far `Inputs.clock` may be behind: it tells whole minutes, once a minute."""


T = TypeVar("T", bound=Object)


class Addresses(Struct, frozen=True):
    """Where a Gateway can be reached. `problem` says why an address that it asks for can't be had.

    `of` is what has the addresses, where that has a name: `load balancer NAME (ARN)`. `remarks` are what the Gateway is
    served without. `parameters` says that who made the addresses has read the ConfigMap that its infrastructure names.
    """

    values: tuple[GatewayStatusAddress, ...] = ()
    problem: str = ""
    of: str = ""
    remarks: tuple[str, ...] = ()
    parameters: bool = False


class Inputs:
    """The sources of resolution; each holds the cluster's objects by key.

    `secrets` is False for who serves no TLS and so has no business with private keys: Secrets aren't among what is to
    be watched, and one that is referred to is taken to be there and sound.
    """

    def __init__(self, flow: Flow, *, secrets: bool = True) -> None:
        self.flow = flow
        self.reads_secrets = secrets
        self.gateway_classes: Source[Key, GatewayClass] = flow.source("gateway classes")
        self.gateways: Source[Key, Gateway] = flow.source("gateways")
        self.listener_sets: Source[Key, ListenerSet] = flow.source("listener sets")
        self.http_routes: Source[Key, HTTPRoute] = flow.source("http routes")
        self.grpc_routes: Source[Key, GRPCRoute] = flow.source("grpc routes")
        self.tls_routes: Source[Key, TLSRoute] = flow.source("tls routes")
        self.tcp_routes: Source[Key, TCPRoute] = flow.source("tcp routes")
        self.udp_routes: Source[Key, UDPRoute] = flow.source("udp routes")
        self.backend_tls_policies: Source[Key, BackendTLSPolicy] = flow.source("backend tls policies")
        self.reference_grants: Source[Key, ReferenceGrant] = flow.source("reference grants")
        self.services: Source[Key, Service] = flow.source("services")
        self.endpoint_slices: Source[Key, EndpointSlice] = flow.source("endpoint slices")
        self.secrets: Source[Key, Secret] = flow.source("secrets")
        self.config_maps: Source[Key, ConfigMap] = flow.source("config maps")
        self.namespaces: Source[Key, Namespace] = flow.source("namespaces")
        # What no watch tells.
        self.clock: Source[str, datetime] = flow.source("clock")  # under NOW, as often as it matters
        self.bundle_versions: Source[str, str] = flow.source("bundle versions")  # by definition; empty: it says none
        # Feedback from the data plane.
        self.addresses: Source[Key, Addresses] = flow.source("addresses")  # by Gateway
        self.ports: Source[PortKey, PortState] = flow.source("ports")
        self.rejections: Source[ObjectId, Rejection] = flow.source("rejections")
        self.refusals: Source[RefusalKey, tuple[Refusal, ...]] = flow.source("refusals")
        self.verdicts: Source[ObjectId, Verdict] = flow.source("verdicts")  # on an implementation's own objects

        self.by_type: dict[type[Object], Source[Key, Any]] = {
            GatewayClass: self.gateway_classes,
            Gateway: self.gateways,
            ListenerSet: self.listener_sets,
            HTTPRoute: self.http_routes,
            GRPCRoute: self.grpc_routes,
            TLSRoute: self.tls_routes,
            TCPRoute: self.tcp_routes,
            UDPRoute: self.udp_routes,
            BackendTLSPolicy: self.backend_tls_policies,
            ReferenceGrant: self.reference_grants,
            Service: self.services,
            EndpointSlice: self.endpoint_slices,
            **({Secret: self.secrets} if secrets else {}),
            ConfigMap: self.config_maps,
            Namespace: self.namespaces,
        }
        """The source of each kind of object that resolution reads: what has to be watched."""

        self._by_kind = {type_.__name__: source for type_, source in self.by_type.items()}
        for kind, source in self._by_kind.items():
            source.subscribe(partial(self._objects_changed, kind))
        self.rejections.subscribe(self._rejections_changed)

        self.grants_by_namespace = self.reference_grants.index(lambda key, _: [key.namespace])
        self.slices_by_service = self.endpoint_slices.index(lambda key, s: [Key(key.namespace, s.service_name)])
        self._written: dict[str, Collection[Key, Any]] = {}
        self.policies_by_service = self.written(self.backend_tls_policies).index(
            lambda key, policy: [
                Key(key.namespace, ref.name)
                for ref in policy.spec.target_refs
                if (ref.group, ref.kind) == ("", "Service")
            ],
            order=lambda _, policy: seniority(policy),
        )
        """In order of precedence."""

    def _objects_changed(self, kind: str, changes: list[Change[Key, Any]]) -> None:
        self._forget((kind, change.key) for change in changes if change.new is None)

    def _rejections_changed(self, changes: list[Change[ObjectId, Rejection]]) -> None:
        self._forget(change.key for change in changes if change.new)  # a proxy may answer late

    def _forget(self, objects: Iterable[ObjectId]) -> None:
        """Drop the rejections of those that are gone."""
        for kind, key in objects:
            if (kind, key) in self.rejections and key not in self._by_kind.get(kind, ()):
                self.rejections.delete((kind, key))

    def written(self, objects: Collection[Key, T]) -> Collection[Key, T]:
        """The objects as their authors wrote them, without a status: one that is written resolves nothing anew."""
        found = self._written.get(objects.name)
        if found is None:
            found = self._written[objects.name] = self.flow.derive(f"{objects.name} as written", objects, _as_written)
        return found


def _as_written(_: Context, __: Key, obj: T) -> T:
    metadata = obj.metadata
    if metadata.generation:  # it stands for the specification, as the version does for everything
        metadata = structs.replace(metadata, resource_version="")
    return structs.replace(obj, metadata=metadata, status=type(obj.status)())  # type: ignore[attr-defined]


def origin(obj: Object, field: str = "") -> Origin:
    """The provenance of what is computed from `field` of an object."""
    metadata = obj.metadata
    version = str(metadata.generation) if metadata.generation else metadata.resource_version
    # An object that is made anew under the same name counts from 1 again.
    return Origin(obj.kind, obj.key, f"{metadata.uid}/{version}" if metadata.uid else version, field)


def seniority(obj: Object) -> tuple[str, str]:
    """Sorts objects of one kind, the one that goes before the others first: the oldest, then by namespace/name."""
    return obj.metadata.creation_timestamp, str(obj.key)
