"""What a change behind the routes costs, counted in functions that run again: policies, authorities, streams, calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from gatewright import flow as engine
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.core import ConfigMap, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.gateway import BackendTLSPolicy, Gateway, GatewayClass, GRPCRoute, HTTPRoute, TCPRoute, TLSRoute
from gatewright.model.meta import Key, Object
from gatewright.resolve import Inputs, resolve
from gatewright.topology import BackendKey

ROUTES = 600
SERVICES = 20
PARENTS = [{"name": "edge", "namespace": "infra"}]


class Cluster:
    """600 routes of each of four kinds; `ran` counts the functions that ran, by collection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inputs = Inputs(Flow())
        self.resolution = resolve(self.inputs, {"gatewright.example/edge"})
        self.ran: Counter[str] = Counter()
        run = engine._Derived._run

        def counting(node: Any, key: Any) -> Any:
            self.ran[node.name] += 1
            return run(node, key)

        monkeypatch.setattr(engine._Derived, "_run", counting)
        every = {"allowedRoutes": {"namespaces": {"from": "All"}}}
        listeners = [
            {"name": "http", "port": 80, "protocol": "HTTP"} | every,
            {"name": "tls", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}} | every,
            {"name": "tcp", "port": 9000, "protocol": "TCP"} | every,
        ]
        with self.inputs.flow.batch():
            self.put(GatewayClass, "", "edge", {"spec": {"controllerName": "gatewright.example/edge"}})
            self.put(Gateway, "infra", "edge", {"spec": {"gatewayClassName": "edge", "listeners": listeners}})
            for number in range(SERVICES):
                self.put(Service, "apps", f"s{number}", {"spec": {"ports": [{"port": 80}]}})
                self.put_slice(number, "10.0.0.1")
            for number in range(ROUTES):
                for kind in (HTTPRoute, GRPCRoute, TLSRoute, TCPRoute):
                    self.put_route(kind, number)
        self.ran.clear()

    def put(self, kind: type[Object], namespace: str, name: str, data: dict[str, Any], version: int = 1) -> None:
        metadata = {"namespace": namespace, "name": name, "generation": version, "resourceVersion": str(version)}
        obj = decode(kind, {"metadata": metadata | data.pop("metadata", {}), **data})
        self.inputs.by_type[kind].set(obj.key, obj)

    def put_route(self, kind: type[Object], number: int, service: int | None = None, version: int = 1) -> None:
        backend = {"name": f"s{number % SERVICES if service is None else service}", "port": 80}
        spec: dict[str, Any] = {"parentRefs": PARENTS, "rules": [{"backendRefs": [backend]}]}
        if kind is not TCPRoute:
            spec["hostnames"] = [f"{kind.__name__.lower()}-{number}.example.com"]
        self.put(kind, "apps", f"r{number}", {"spec": spec}, version)

    def put_slice(self, number: int, address: str) -> None:
        labels = {"metadata": {"labels": {"kubernetes.io/service-name": f"s{number}"}}}
        content = {"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": [address]}]}
        self.put(EndpointSlice, "apps", f"s{number}-a", labels | content)

    def put_policy(self, name: str, service: int, version: int = 1) -> None:
        validation = {
            "hostname": "in.example.com",
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": f"ca-{name}"}],
        }
        targets = [{"group": "", "kind": "Service", "name": f"s{service}"}]
        self.put(BackendTLSPolicy, "apps", name, {"spec": {"targetRefs": targets, "validation": validation}}, version)


@pytest.fixture(scope="module")
def loaded() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield Cluster(monkeypatch)


@pytest.fixture
def cluster(loaded: Cluster) -> Cluster:
    """The loaded cluster; each test changes objects of its own."""
    loaded.ran.clear()
    return loaded


@pytest.mark.parametrize("kind", [HTTPRoute, GRPCRoute])
def test_a_changed_route_of_requests_runs_its_own_functions_only(cluster: Cluster, kind: type[Object]) -> None:
    cluster.put_route(kind, 1, service=2, version=2)
    name = kind.__name__.removesuffix("Route").lower()
    own = [f"{name} routes as written", f"{name} claims"]
    own += [f"{what} {name} routes" for what in ("resolved", "attached", "placed")]
    assert cluster.ran == dict.fromkeys(own, 1)


@pytest.mark.parametrize("kind", [TLSRoute, TCPRoute])
def test_a_changed_route_of_connections_runs_its_own_functions_only(cluster: Cluster, kind: type[Object]) -> None:
    cluster.put_route(kind, 1, service=2, version=2)
    name = kind.__name__.removesuffix("Route").lower()
    own = [f"{what} {name} routes" for what in ("resolved", "attached", "placed")]
    own += [f"{name} routes as written", f"{name} routes with those that wait", "stream holders"]
    assert cluster.ran == dict.fromkeys(own, 1)


def test_a_policy_runs_its_service_only(cluster: Cluster) -> None:
    """The Service's uses are two: requests and calls. Connections that pass through don't heed policies."""
    cluster.put_policy("p", 3)
    behind = {"resolved policies": 1, "policy statuses": 1, "backends": 2, "endpoints": 2}
    assert cluster.ran == behind | {"backend tls policies as written": 1}
    key = BackendKey("apps", "s3", 80)
    assert cluster.resolution.topology.backends[key].problem


def test_a_policy_of_which_only_the_status_was_written_changes_nothing_else(cluster: Cluster) -> None:
    cluster.put_policy("s", 8)
    cluster.ran.clear()
    before = cluster.inputs.backend_tls_policies[Key("apps", "s")]
    after = structs.replace(before, metadata=structs.replace(before.metadata, resource_version="2"))
    cluster.inputs.backend_tls_policies.set(after.key, after)
    assert cluster.ran == {"backend tls policies as written": 1}


def test_a_new_authority_runs_its_policies_and_their_backends_only(cluster: Cluster) -> None:
    cluster.put_policy("q", 4)
    cluster.ran.clear()
    cluster.put(ConfigMap, "apps", "ca-q", {"data": {"ca.crt": "no certificate"}})
    assert cluster.ran == {"resolved policies": 1, "policy statuses": 1, "backends": 2, "endpoints": 2}


def test_a_route_more_to_a_service_leaves_its_policies_alone(cluster: Cluster) -> None:
    cluster.put_policy("r", 5)
    cluster.ran.clear()
    cluster.put_route(HTTPRoute, 6, service=5, version=2)
    assert not cluster.ran["policy statuses"]
    assert not cluster.ran["backends"]


def test_a_pod_that_comes_changes_the_endpoints_of_its_service_only(cluster: Cluster) -> None:
    cluster.put_slice(7, "10.0.0.2")
    assert cluster.ran == {"endpoints": 3}
