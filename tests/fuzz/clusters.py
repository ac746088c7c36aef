"""Whole clusters of drawn manifests, and what has to hold for the resolution of any of them."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from tests.fuzz.manifests import CONTROLLER, KINDS, Json, key_pair, manifest, mended, typed

from gatewright.flow import Collection
from gatewright.model import gateway as gw
from gatewright.model.codec import InvalidObject
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Condition, Key, Object
from gatewright.resolve import Addresses, Inputs, Resolution
from gatewright.topology import PortKey, PortState

EXAMPLES = int(os.environ.get("GATEWRIGHT_FUZZ", "25"))
"""How many clusters each test draws; more of them with GATEWRIGHT_FUZZ=1000."""

PROFILE = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

_WEIGHTS = {"HTTPRoute": 3, "GRPCRoute": 2, "Gateway": 3, "Service": 2, "ListenerSet": 3}
_ROUTES, _OTHERS = (
    [kind for kind in KINDS if kind.__name__.endswith("Route") is routes for _ in range(_WEIGHTS.get(kind.__name__, 1))]
    for routes in (True, False)
)


def clusters(*, broken: bool) -> st.SearchStrategy[list[Json]]:
    """Sets of manifests. Without `broken`, each object is one that the API takes; else each that can be read at all."""

    def several(of: list[type[Object]], least: int, most: int) -> st.SearchStrategy[list[Json]]:
        one = st.sampled_from(of).flatmap(lambda kind: manifest(kind, wild=broken))
        return st.lists(one, min_size=least, max_size=most)

    drawn = st.tuples(several(_OTHERS, 2, 7), several(_ROUTES, 3, 8)).map(lambda parts: [*parts[0], *parts[1]])
    if broken:
        return drawn.map(lambda found: [*SOUND, *found])
    return drawn.map(lambda found: [*SOUND, *(fine for each in found if (fine := mended(each)) is not None)])


def read(manifests: Iterable[Json]) -> list[Object]:
    """The objects as a controller reads them; those that it can't read at all are left out."""
    found = []
    for data in manifests:
        try:
            found.append(typed(data))
        except InvalidObject:
            continue
    return found


def fill(inputs: Inputs, objects: Iterable[Object], *, open_ports: bool = True) -> None:
    """Put objects where resolution reads them, each Gateway with an address and, as if a proxy served, ports."""
    with inputs.flow.batch():
        for obj in objects:
            inputs.by_type[type(obj)].set(obj.key, obj)
            if isinstance(obj, gw.Gateway):
                inputs.addresses.set(obj.key, Addresses((GatewayStatusAddress(value="127.0.0.2"),)))
                for listener in obj.spec.listeners if open_ports else ():
                    inputs.ports.set(PortKey(obj.key, listener.port), PortState(True))


# --- what holds ------------------------------------------------------------------------------------------------------


def check(inputs: Inputs, resolution: Resolution) -> None:
    """No function failed, and every status is complete."""
    for collection in inputs.flow._collections:
        assert not collection.errors, (collection.name, collection.errors)
        assert not any(index.errors for index in collection._indexes)
    ours = {
        key
        for key, gateway in inputs.gateways.items()
        if Key("", gateway.spec.gateway_class_name) in resolution.classes
    }
    assert resolution.gateway_statuses.keys() == ours
    for key, status in resolution.gateway_statuses.items():
        _holder(status.conditions, "Accepted", "Programmed")
        assert [each.name for each in status.listeners] == [each.name for each in inputs.gateways[key].spec.listeners]
        for listener in status.listeners:
            _holder(listener.conditions, "Accepted", "Conflicted", "ResolvedRefs", "Programmed")
    for kind, key, spec, resolved in _routes(inputs, resolution):
        wanted = [ref for ref in spec.parent_refs if _is_ours(inputs, ours, key, ref)]
        told = [parent.parent_ref for parent in resolved.parents] if resolved else []
        assert told[: len(wanted)] == wanted, (kind, key)
        for ref in told[len(wanted) :]:  # a default Gateway (GEP-3793)
            gateway = inputs.gateways[Key(ref.namespace or key.namespace, ref.name)]
            assert gateway.spec.default_scope == spec.use_default_gateways == "All"
        for parent in resolved.parents if resolved else ():
            _holder(parent.conditions, "Accepted", "ResolvedRefs")


def _is_ours(inputs: Inputs, ours: set[Key], route: Key, ref: Any) -> bool:
    parent = Key(ref.namespace or route.namespace, ref.name)
    if (ref.group, ref.kind) == (GROUP, "ListenerSet"):
        found = inputs.listener_sets.get(parent)
        if found is None:
            return False
        up = found.spec.parent_ref
        parent = Key(up.namespace or parent.namespace, up.name)
        return (up.group, up.kind) == (GROUP, "Gateway") and parent in ours
    return (ref.group, ref.kind) == (GROUP, "Gateway") and parent in ours


def _routes(inputs: Inputs, resolution: Resolution) -> Iterable[tuple[str, Key, Any, Any]]:
    """Each route of a kind that resolution knows: kind, key, its specification, and what was resolved (or None)."""
    known = {field.name: getattr(resolution, field.name) for field in dataclasses.fields(resolution)}
    for type_ in KINDS:
        if not type_.__name__.endswith("Route"):
            continue
        name = f"{type_.__name__.removesuffix('Route').lower()}_routes"
        resolved = known.get(name)
        assert isinstance(resolved, Collection), f"{type_.__name__} is not resolved: nothing named {name}"
        for key, route in inputs.by_type[type_].items():
            yield type_.__name__, key, route.spec, resolved.get(key)


def _holder(conditions: tuple[Condition, ...], *required: str) -> None:
    types = [condition.type for condition in conditions]
    assert len(set(types)) == len(types)
    assert set(required) <= set(types), types
    assert all(condition.reason and condition.status in ("True", "False", "Unknown") for condition in conditions)


# --- something that works, for the drawn objects to meet --------------------------------------------------------------


def _sound() -> list[Json]:
    def obj(api: str, kind: str, name: str = "n0", namespace: str = "a", **body: Any) -> Json:
        metadata = {"name": name, "namespace": namespace, "generation": 1, "resourceVersion": "1"}
        metadata["creationTimestamp"] = "2024-01-01T00:00:00Z"
        return {"apiVersion": api, "kind": kind, "metadata": metadata | body.pop("metadata", {}), **body}

    api = f"{GROUP}/v1"
    chain, private_key = key_pair(0)
    listeners = [
        {"name": "l0", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
        {"name": "l1", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "n0"}]}},
        {"name": "l2", "port": 8443, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {"name": "l3", "port": 90, "protocol": "TCP"},
        {"name": "l4", "port": 91, "protocol": "UDP"},
    ]
    everyone = {"namespaces": {"from": "All"}}
    return [
        obj(api, "GatewayClass", namespace="", spec={"controllerName": CONTROLLER}),
        obj(api, "Gateway", spec={"gatewayClassName": "n0", "listeners": listeners, "allowedListeners": everyone}),
        obj("v1", "Secret", stringData={"tls.crt": chain, "tls.key": private_key}),
        obj("v1", "ConfigMap", data={"ca.crt": chain}),
        obj("v1", "Service", spec={"ports": [{"port": 80}, {"port": 81, "name": "p0"}]}),
        obj(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            metadata={"labels": {"kubernetes.io/service-name": "n0"}},
            addressType="IPv4",
            ports=[{"port": 8080, "name": ""}, {"port": 9090, "name": "p0"}],
            endpoints=[{"addresses": ["127.0.0.1"]}],
        ),
    ]


SOUND = _sound()
