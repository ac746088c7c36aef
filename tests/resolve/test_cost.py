"""What one change costs among 5,000 routes, counted in functions that run again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from gatewright import flow as engine
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.core import Namespace, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution, resolve
from gatewright.topology import BackendKey, HostKey, ListenerKey

ROUTES = 5_000
EDGE = Key("infra", "edge")


def route(number: int, host: str, path: str = "/", port: int = 80, generation: int = 1) -> HTTPRoute:
    return decode(
        HTTPRoute,
        {
            "metadata": {"namespace": "apps", "name": f"r{number}", "generation": generation},
            "spec": {
                "parentRefs": [{"name": "edge", "namespace": "infra"}],
                "hostnames": [host],
                "rules": [
                    {"matches": [{"path": {"value": path}}], "backendRefs": [{"name": f"s{number % 50}", "port": port}]}
                ],
            },
        },
    )


def endpoint_slice(number: int, address: str) -> EndpointSlice:
    labels = {"kubernetes.io/service-name": f"s{number}"}
    metadata = {"namespace": "apps", "name": f"s{number}-a", "labels": labels}
    endpoints = [{"addresses": [address]}]
    fields: dict[str, Any] = {"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints}
    return decode(EndpointSlice, {"metadata": metadata, **fields})


class Cluster:
    """A Gateway of 5,000 routes; `ran` counts the functions that ran since it was last cleared, by collection."""

    def __init__(self, routes: list[HTTPRoute], monkeypatch: pytest.MonkeyPatch) -> None:
        self.inputs = inputs = Inputs(Flow())
        self.resolution: Resolution = resolve(inputs, {"gatewright.example/edge"})
        self.ran: Counter[str] = Counter()
        run = engine._Derived._run

        def counting(node: Any, key: Any) -> Any:
            self.ran[node.name] += 1
            return run(node, key)

        monkeypatch.setattr(engine._Derived, "_run", counting)
        listener = {"name": "http", "port": 80, "protocol": "HTTP"}
        listener["allowedRoutes"] = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"tier": "t"}}}}
        gateway_class = {"metadata": {"name": "edge"}, "spec": {"controllerName": "gatewright.example/edge"}}
        gateway = {
            "metadata": {"namespace": "infra", "name": "edge", "generation": 1},
            "spec": {"gatewayClassName": "edge", "listeners": [listener]},
        }
        with inputs.flow.batch():
            inputs.gateway_classes.set(Key("", "edge"), decode(GatewayClass, gateway_class))
            inputs.gateways.set(EDGE, decode(Gateway, gateway))
            self.label_namespace("apps", {"tier": "t"})
            inputs.http_routes.replace({item.key: item for item in routes})
            for number in range(50):
                self.set_ports(number, 80)
                self.set_endpoints(number, "10.0.0.1")
        assert len(self.resolution.topology.placements) == ROUTES
        self.ran.clear()

    def label_namespace(self, name: str, labels: dict[str, str]) -> None:
        self.inputs.namespaces.set(Key("", name), decode(Namespace, {"metadata": {"name": name, "labels": labels}}))

    def set_route(self, item: HTTPRoute) -> None:
        self.inputs.http_routes.set(item.key, item)

    def set_ports(self, number: int, *ports: int) -> None:
        metadata = {"namespace": "apps", "name": f"s{number}"}
        item = decode(Service, {"metadata": metadata, "spec": {"ports": [{"port": port} for port in ports]}})
        self.inputs.services.set(item.key, item)

    def set_endpoints(self, number: int, address: str) -> None:
        item = endpoint_slice(number, address)
        self.inputs.endpoint_slices.set(item.key, item)

    @property
    def attached_routes(self) -> int:
        return self.resolution.gateway_statuses[EDGE].listeners[0].attached_routes


ONE_ROUTE = {
    "http routes as written": 1,
    "http claims": 1,
    "resolved http routes": 1,
    "attached http routes": 1,
    "placed http routes": 1,
}


@pytest.fixture(scope="module", params=["hosts", "paths"])
def loaded(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    if request.param == "hosts":
        routes = [route(number, f"r{number}.example.com") for number in range(ROUTES)]
    else:
        routes = [route(number, "example.com", f"/r{number}") for number in range(ROUTES)]
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Cluster(routes, monkeypatch)


@pytest.fixture
def cluster(loaded: Cluster) -> Cluster:
    """The loaded cluster; each test changes routes of its own."""
    loaded.ran.clear()
    return loaded


def test_a_changed_route_runs_its_own_functions_only(cluster: Cluster) -> None:
    cluster.set_route(route(7, "r7.example.com", "/changed", generation=2))
    assert cluster.ran == ONE_ROUTE
    host = HostKey(ListenerKey(EDGE, "http"), "r7.example.com")
    (placement,) = cluster.resolution.topology.placements_by_host.lookup(host)
    assert placement.rule.match.path.value == "/changed"


def test_a_route_of_which_only_the_status_was_written_changes_nothing_else(cluster: Cluster) -> None:
    before = cluster.inputs.http_routes[Key("apps", "r9")]
    cluster.set_route(structs.replace(before, metadata=structs.replace(before.metadata, resource_version="2")))
    assert cluster.ran == {"http routes as written": 1}


def test_a_new_route_runs_its_functions_and_the_count_of_its_gateway(cluster: Cluster) -> None:
    before = cluster.attached_routes
    cluster.set_route(route(ROUTES, "new.example.com"))
    assert cluster.ran == ONE_ROUTE | {"gateway statuses": 1}
    assert cluster.attached_routes == before + 1


def test_a_deleted_route_runs_its_functions_and_the_count_of_its_gateway(cluster: Cluster) -> None:
    before = cluster.attached_routes
    cluster.inputs.http_routes.delete(Key("apps", "r8"))
    assert cluster.ran == ONE_ROUTE | {"gateway statuses": 1}
    assert cluster.attached_routes == before - 1


def test_a_route_to_a_new_backend_makes_that_too(cluster: Cluster) -> None:
    cluster.set_ports(0, 80, 81)
    cluster.ran.clear()
    cluster.set_route(route(50, "r50.example.com", port=81, generation=2))
    assert cluster.ran == ONE_ROUTE | {"backends": 1, "endpoints": 1}


def test_a_changed_service_runs_the_routes_that_refer_to_it(cluster: Cluster) -> None:
    cluster.set_ports(1, 80, 81)
    assert cluster.ran == {"resolved http routes": ROUTES // 50, "backends": 1, "endpoints": 1}


def test_a_pod_that_comes_changes_the_endpoints_of_its_service_only(cluster: Cluster) -> None:
    cluster.set_endpoints(7, "10.0.0.2")
    assert cluster.ran == {"endpoints": 1}
    found = cluster.resolution.topology.endpoints[BackendKey("apps", "s7", 80)]
    assert [endpoint.address for endpoint in found.endpoints] == ["10.0.0.2"]


def test_a_namespace_that_no_route_is_in_changes_nothing(cluster: Cluster) -> None:
    cluster.label_namespace("elsewhere", {"tier": "t"})
    assert not cluster.ran
