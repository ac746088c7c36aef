"""What holds for any set of objects: resolution is incremental, never fails, and leaves no condition out."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.resolve.any_cluster import BASE, CONTROLLER, edits, key_pair, objects, typed

from gatewright.flow import Collection, Flow
from gatewright.model.gateway import GRPCRoute, HTTPRoute, ListenerStatus, TCPRoute, TLSRoute, UDPRoute
from gatewright.model.gateway.shared import ParentReference
from gatewright.model.meta import Condition, Key, Object
from gatewright.resolve import Inputs, Resolution, resolve
from gatewright.resolve.entries import FAMILIES
from gatewright.resolve.hostnames import covers
from gatewright.resolve.routes import ResolvedRoute
from gatewright.topology import NO_SET, HostKey, ListenerKey, PortKey


@pytest.fixture(autouse=True, scope="module")
def _key_pairs() -> Iterator[None]:
    key_pair(0), key_pair(1)
    with capture_logs():
        yield


def apply(inputs: Inputs, edit: tuple[str, Any, Any]) -> None:
    what, subject, value = edit
    if what == "set":
        inputs.by_type[type(subject)].set(subject.key, subject)
    elif what == "delete":
        inputs.by_type[type(subject)].delete(subject.key)
    elif value is None:
        getattr(inputs, what).delete(subject)
    else:
        getattr(inputs, what).set(subject, value)


SOURCES = ("addresses", "ports", "rejections", "clock", "bundle_versions")


def from_nothing(inputs: Inputs) -> Resolution:
    fresh = Inputs(Flow())
    for type_, source in inputs.by_type.items():
        fresh.by_type[type_].replace(dict(source.items()))
    for name in SOURCES:
        getattr(fresh, name).replace(dict(getattr(inputs, name).items()))
    return resolve(fresh, {CONTROLLER})


def content(resolution: Resolution) -> dict[str, Any]:
    collections = {
        f"{type(owner).__name__}.{field.name}": getattr(owner, field.name)
        for owner in (resolution, resolution.topology)
        for field in dataclasses.fields(owner)
    }
    found: dict[str, Any] = {
        name: dict(item.items()) for name, item in collections.items() if isinstance(item, Collection)
    }
    by_host = resolution.topology.placements_by_host
    return found | {"in order": {host: by_host.lookup(host) for host in resolution.topology.hosts.keys()}}  # noqa: SIM118


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(objects.map(typed), min_size=10, max_size=30),
    st.lists(st.lists(edits, min_size=1, max_size=3), min_size=2, max_size=8),
)
def test_incremental_resolution_equals_resolution_from_nothing(
    start: list[Object], batches: list[list[tuple[str, Any, Any]]]
) -> None:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    with inputs.flow.batch():
        for obj in [*map(typed, BASE), *start]:
            apply(inputs, ("set", obj, None))
    check(inputs, resolution)
    for batch in batches:
        with inputs.flow.batch():
            for edit in batch:
                apply(inputs, edit)
        check(inputs, resolution)
    assert content(resolution) == content(from_nothing(inputs))


# --- what holds ------------------------------------------------------------------------------------------------------


def check(inputs: Inputs, resolution: Resolution) -> None:
    nothing_failed(inputs)
    conditions_are_complete(inputs, resolution)
    conflicts_are_right(inputs, resolution)
    topology_is_whole(resolution)


def nothing_failed(inputs: Inputs) -> None:
    for collection in inputs.flow._collections:
        assert not collection.errors
        assert not any(index.errors for index in collection._indexes)


def conditions_are_complete(inputs: Inputs, resolution: Resolution) -> None:
    ours = {
        key
        for key, gateway in inputs.gateways.items()
        if Key("", gateway.spec.gateway_class_name) in resolution.classes
    }
    assert resolution.gateways.keys() == resolution.gateway_statuses.keys() == ours
    for key, status in resolution.gateway_statuses.items():
        gateway = inputs.gateways[key]
        assert types(status.conditions)[:3] == ["Accepted", "Programmed", "ResolvedRefs"]
        assert set(types(status.conditions)[3:]) <= {"DefaultGateway", "InsecureFrontendValidationMode"}
        assert [listener.name for listener in status.listeners] == [item.name for item in gateway.spec.listeners]
        accepted = [found for found in resolution.listener_sets.values() if found.gateway == key and found.accepted]
        assert status.attached_listener_sets == len(accepted)
        listeners_are_complete(resolution, key, NO_SET, status.listeners)
    for key, listener_set in inputs.listener_sets.items():
        ref = listener_set.spec.parent_ref
        parent = Key(ref.namespace or key.namespace, ref.name)
        found = resolution.listener_set_statuses.get(key)
        assert (found is not None) == (parent in ours)
        if found is not None:
            assert types(found.conditions) == ["Accepted", "Programmed"]
            assert holds(found.conditions, "Programmed") <= holds(found.conditions, "Accepted")
            names = [listener.name for listener in listener_set.spec.listeners]
            refused = resolution.listener_sets[key].problem
            assert [listener.name for listener in found.listeners] == ([] if refused else names)
            listeners_are_complete(resolution, parent, key, found.listeners)
    for kind, routes in route_kinds(resolution).items():
        for key, route in inputs.by_type[kind].items():
            parents_are_complete(inputs, resolution, ours, route, routes.get(key))


def listeners_are_complete(
    resolution: Resolution, gateway: Key, listener_set: Key, statuses: tuple[ListenerStatus, ...]
) -> None:
    for listener in statuses:
        required = {"Accepted", "Conflicted", "ResolvedRefs", "Programmed"}
        assert set(types(listener.conditions)) - {"OverlappingTLSConfig"} == required
        assert holds(listener.conditions, "Programmed") <= holds(listener.conditions, "Accepted")
        assert holds(listener.conditions, "Conflicted") <= (not holds(listener.conditions, "Accepted"))
        key = ListenerKey(gateway, listener.name, listener_set)
        every = [route for routes in route_kinds(resolution).values() for route in routes.values()]
        assert listener.attached_routes == sum(key in route.listeners for route in every)


def conflicts_are_right(inputs: Inputs, resolution: Resolution) -> None:
    """Decided anew for each listener from all the others, by the words of GatewaySpec and ListenerSetSpec."""

    def rank(key: ListenerKey) -> tuple[str, ...]:
        if key.listener_set == NO_SET:
            return ()
        return (inputs.listener_sets[key.listener_set].metadata.creation_timestamp, str(key.listener_set))

    resolved = [listener for listener in resolution.listeners.values() if listener.entry.family]
    every = [listener.entry for listener in resolved]
    for listener, one in zip(resolved, every, strict=True):
        peers = [other for other in every if other.port_key == one.port_key]
        first = min(rank(other.key) for other in peers)
        spoken = {other.family for other in peers if rank(other.key) == first}
        same = [other for other in peers if (other.family, other.hostname) == (one.family, one.hostname)]
        holder = min(rank(other.key) for other in same)
        holders = [other for other in same if rank(other.key) == holder]
        distinct = spoken == {one.family} and holders == [one]
        assert listener.holds("Conflicted") == (not distinct)


def route_kinds(resolution: Resolution) -> dict[type[Object], Collection[Key, ResolvedRoute]]:
    return {
        HTTPRoute: resolution.http_routes,
        GRPCRoute: resolution.grpc_routes,
        TLSRoute: resolution.tls_routes,
        TCPRoute: resolution.tcp_routes,
        UDPRoute: resolution.udp_routes,
    }


def parents_are_complete(
    inputs: Inputs, resolution: Resolution, ours: set[Key], route: Any, resolved: ResolvedRoute | None
) -> None:
    known: dict[str, set[Key]] = {"Gateway": ours, "ListenerSet": set(resolution.listener_sets.keys())}
    wanted = [
        ref
        for ref in route.spec.parent_refs
        if Key(ref.namespace or route.namespace, ref.name) in known.get(ref.kind, set())
    ]
    if route.spec.use_default_gateways == "All":
        whole = {
            Key(ref.namespace or route.namespace, ref.name)
            for ref in wanted
            if ref.kind == "Gateway" and ref.section_name is None and ref.port is None
        }
        defaults = {key for key in ours if inputs.gateways[key].spec.default_scope == "All"}
        wanted += [ParentReference(name=key.name, namespace=key.namespace) for key in sorted(defaults - whole)]
    assert [parent.parent_ref for parent in resolved.parents] == wanted if resolved else not wanted
    for parent in resolved.parents if resolved else ():
        assert types(parent.conditions)[:2] == ["Accepted", "ResolvedRefs"]
        assert set(types(parent.conditions)[2:]) <= {"PartiallyInvalid"}
        assert holds(parent.conditions, "PartiallyInvalid") <= holds(parent.conditions, "Accepted")
        assert all(c.observed_generation == route.metadata.generation for c in parent.conditions)


def types(conditions: tuple[Condition, ...]) -> list[str]:
    found = [condition.type for condition in conditions]
    assert len(set(found)) == len(found)
    assert all(condition.reason for condition in conditions)
    return found


def holds(conditions: tuple[Condition, ...], type_: str) -> bool:
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)


def topology_is_whole(resolution: Resolution) -> None:
    """Nothing refers to what isn't there; every request has one listener, every listener its certificates."""
    topology = resolution.topology
    assert topology.endpoints.keys() == topology.backends.keys()
    families: dict[PortKey, set[str]] = defaultdict(set)
    for listener in topology.listeners.values():
        families[listener.port_key].add(FAMILIES[listener.protocol])
    assert all(len(found) == 1 for found in families.values())
    seats = [(listener.port_key, listener.hostname) for listener in topology.listeners.values()]
    assert len(set(seats)) == len(seats)
    owners: Counter[tuple[PortKey, str]] = Counter()
    for host in {*topology.hosts.keys(), *topology.streams_by_host.keys()}:
        listener = topology.listeners[host.listener]
        owners[listener.port_key, host.hostname] += 1
        rules = [placement.rule.precedence for placement in topology.placements_by_host.lookup(host)]
        streams = [placement.stream.precedence for placement in topology.streams_by_host.lookup(host)]
        assert not (rules and streams)
        assert rules + streams == sorted(set(rules + streams))
    assert all(count == 1 for count in owners.values())
    misdirection_is_right(resolution)
    used = {backend for placement in topology.placements.values() for backend in placement.rule.targets}
    used |= {backend for placement in topology.streams.values() for backend in placement.stream.targets}
    assert {placement.host for placement in topology.placements.values()} <= set(topology.hosts.keys())
    assert used == set(topology.backends.keys())
    served = {secret for listener in topology.listeners.values() for secret in listener.certificates}
    assert served | set(topology.client_certificates.values()) == set(topology.certificates.keys())
    for listener in topology.listeners.values():
        assert bool(listener.certificates) <= (listener.protocol in ("HTTPS", "TLS"))
        assert bool(listener.certificates) >= (listener.protocol == "HTTPS")
        assert not listener.client_validation or listener.protocol == "HTTPS"
    assert {listener.port_key for listener in topology.listeners.values()} == set(resolution.ports.keys())


def misdirection_is_right(resolution: Resolution) -> None:
    """A host is misdirected on an HTTPS listener exactly where another listener of the port takes it, or may."""
    topology = resolution.topology
    expected = set()
    for one in topology.listeners.values():
        others = [
            other for other in topology.listeners.values() if other.port_key == one.port_key and other.key != one.key
        ]
        if one.protocol == "HTTPS":
            expected |= {HostKey(one.key, other.hostname) for other in others if covers(one.hostname, other.hostname)}
            if others and one.hostname != "*":
                expected.add(HostKey(one.key, "*"))
    assert set(topology.misdirected.keys()) == expected
    assert not expected & set(topology.hosts.keys())
