"""What one change costs on a Gateway with many ListenerSets, counted in functions that run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from gatewright import flow as engine
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute, ListenerSet
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution, resolve
from gatewright.topology import HostKey, ListenerKey, PortKey, PortState

SETS = 1_000
EDGE = Key("infra", "edge")


def listener_set(number: int, generation: int = 1, **fields: Any) -> ListenerSet:
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP", "hostname": f"t{number}.example.com"} | fields,
        {"name": "more", "port": 80, "protocol": "HTTP", "hostname": f"*.t{number}.example.com"},
        {"name": "tls", "port": 443, "protocol": "TLS", "hostname": f"t{number}.example.com", "tls": PASSTHROUGH},
    ]
    return decode(
        ListenerSet,
        {
            "metadata": {
                "namespace": "tenants",
                "name": f"t{number:05}",
                "generation": generation,
                "creationTimestamp": "2024-01-01T00:00:00Z",
            },
            "spec": {"parentRef": {"name": "edge", "namespace": "infra"}, "listeners": listeners},
        },
    )


PASSTHROUGH = {"mode": "Passthrough"}


def route(number: int, of: str) -> HTTPRoute:
    return decode(
        HTTPRoute,
        {
            "metadata": {"namespace": "tenants", "name": f"r{number}", "generation": 1},
            "spec": {"parentRefs": [{"kind": "ListenerSet", "name": of}], "rules": [{}]},
        },
    )


def gateway(generation: int = 1, **spec: Any) -> Gateway:
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "any", "port": 443, "protocol": "TLS", "tls": PASSTHROUGH},
    ]
    allowed = {"namespaces": {"from": "All"}}
    spec = {"gatewayClassName": "edge", "listeners": listeners, "allowedListeners": allowed} | spec
    return decode(Gateway, {"metadata": {"namespace": "infra", "name": "edge", "generation": generation}, "spec": spec})


class Cluster:
    """A Gateway of many sets with a route each; `ran` counts the functions that ran, by collection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inputs = inputs = Inputs(Flow())
        self.resolution: Resolution = resolve(inputs, {"gatewright.example/edge"})
        self.ran: Counter[str] = Counter()
        run = engine._Derived._run

        def counting(node: Any, key: Any) -> Any:
            self.ran[node.name] += 1
            return run(node, key)

        monkeypatch.setattr(engine._Derived, "_run", counting)
        gateway_class = {"metadata": {"name": "edge"}, "spec": {"controllerName": "gatewright.example/edge"}}
        with inputs.flow.batch():
            inputs.gateway_classes.set(Key("", "edge"), decode(GatewayClass, gateway_class))
            inputs.gateways.set(EDGE, gateway())
            inputs.listener_sets.replace({item.key: item for item in map(listener_set, range(SETS))})
            inputs.http_routes.replace({item.key: item for item in (route(n, f"t{n:05}") for n in range(SETS))})
        assert len(self.resolution.topology.listeners) == 3 * SETS + 2
        assert len(self.resolution.topology.placements) == 2 * SETS
        self.ran.clear()

    def set(self, item: ListenerSet) -> None:
        self.inputs.listener_sets.set(item.key, item)

    def listener(self, number: int, name: str) -> ListenerKey:
        return ListenerKey(EDGE, name, Key("tenants", f"t{number:05}"))


@pytest.fixture(scope="module")
def loaded() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Cluster(monkeypatch)


@pytest.fixture
def cluster(loaded: Cluster) -> Iterator[Cluster]:
    """The loaded cluster, as it was at first."""
    loaded.ran.clear()
    yield loaded
    with loaded.inputs.flow.batch():
        loaded.inputs.gateways.set(EDGE, gateway())
        loaded.inputs.listener_sets.replace({item.key: item for item in map(listener_set, range(SETS))})


FEW = 12  # of any one function


def test_a_changed_set_runs_its_own_functions_and_a_few_of_its_gateway(cluster: Cluster) -> None:
    cluster.set(listener_set(7, generation=2, hostname="other.example.com"))
    assert max(cluster.ran.values()) <= FEW, cluster.ran
    assert cluster.resolution.topology.listeners[cluster.listener(7, "http")].hostname == "other.example.com"
    host = HostKey(cluster.listener(7, "http"), "other.example.com")
    assert len(cluster.resolution.topology.placements_by_host.lookup(host)) == 1


def test_a_new_set_and_a_deleted_one_run_a_few_functions(cluster: Cluster) -> None:
    cluster.set(listener_set(SETS))
    assert max(cluster.ran.values()) <= FEW, cluster.ran
    assert cluster.resolution.gateway_statuses[EDGE].attached_listener_sets == SETS + 1
    cluster.ran.clear()
    cluster.inputs.listener_sets.delete(Key("tenants", f"t{SETS:05}"))
    assert max(cluster.ran.values()) <= FEW, cluster.ran
    assert cluster.resolution.gateway_statuses[EDGE].attached_listener_sets == SETS


def test_a_set_that_conflicts_runs_a_few_functions(cluster: Cluster) -> None:
    cluster.set(listener_set(SETS, hostname="t7.example.com"))
    assert max(cluster.ran.values()) <= FEW, cluster.ran
    (conflicted, *_) = cluster.resolution.listener_set_statuses[Key("tenants", f"t{SETS:05}")].listeners
    assert [c.reason for c in conflicted.conditions if c.type == "Conflicted"] == ["HostnameConflict"]


def test_a_set_of_which_only_the_status_was_written_changes_nothing_else(cluster: Cluster) -> None:
    before = cluster.inputs.listener_sets[Key("tenants", "t00009")]
    cluster.set(structs.replace(before, metadata=structs.replace(before.metadata, resource_version="2")))
    assert max(cluster.ran.values()) == 1
    assert "resolved listeners" not in cluster.ran


def test_a_changed_gateway_runs_none_of_its_sets(cluster: Cluster) -> None:
    cluster.inputs.gateways.set(EDGE, gateway(generation=2, infrastructure={"labels": {"a": "b"}}))
    assert cluster.ran["resolved listeners"] == 2
    assert cluster.ran["resolved listener sets"] == 0
    assert cluster.ran["resolved http routes"] == 0
    assert max(cluster.ran.values()) <= FEW, cluster.ran


def test_a_new_listener_of_the_gateway_runs_none_of_its_sets(cluster: Cluster) -> None:
    own = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "any", "port": 443, "protocol": "TLS", "tls": PASSTHROUGH},
        {"name": "own", "port": 443, "protocol": "TLS", "hostname": "*.org", "tls": PASSTHROUGH},
    ]
    cluster.inputs.gateways.set(EDGE, gateway(generation=2, listeners=own))
    assert max(cluster.ran.values()) <= FEW, cluster.ran
    assert ListenerKey(EDGE, "own") in cluster.resolution.topology.listeners


def test_a_route_on_a_set_runs_its_own_functions_and_that_sets_status(cluster: Cluster) -> None:
    item = route(SETS, "t00003")
    cluster.inputs.http_routes.set(item.key, item)
    assert cluster.ran["listener set statuses"] == 1
    assert cluster.ran["gateway statuses"] == 0
    assert max(cluster.ran.values()) == 1
    cluster.inputs.http_routes.delete(item.key)


def test_a_port_that_gets_served_is_told_to_all_who_wait_for_it(cluster: Cluster) -> None:
    cluster.inputs.ports.set(PortKey(EDGE, 80), PortState(serving=True))
    assert cluster.ran == {"listener set statuses": SETS, "gateway statuses": 1}
    cluster.inputs.ports.delete(PortKey(EDGE, 80))
