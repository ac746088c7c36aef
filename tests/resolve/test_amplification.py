"""What one object of a tenant may cost everybody."""

from __future__ import annotations

from typing import Any

from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute, ListenerSet
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution, resolve

API = "gateway.networking.k8s.io/v1"
HOSTS = [f"h{number}.example.com" for number in range(16)]


def served(matches: int, sets: int) -> tuple[Resolution, HTTPRoute]:
    """A route with `matches` and 16 hostnames, attached to the 64 listeners of each of so many ListenerSets."""
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {"test.example/c"})
    parents = [{"kind": "ListenerSet", "name": f"set{number}"} for number in range(sets)]
    rules = [{"matches": [{"path": {"value": f"/{number}"}} for number in range(matches)]}]
    route = make(HTTPRoute, "one", {"parentRefs": parents, "hostnames": HOSTS, "rules": rules})
    everybody = {"namespaces": {"from": "All"}}
    with inputs.flow.batch():
        inputs.gateway_classes.set(
            Key("", "c"), make(GatewayClass, "c", {"controllerName": "test.example/c"}, namespace="")
        )
        listeners = [{"name": "own", "port": 1, "protocol": "HTTP"}]
        spec = {"gatewayClassName": "c", "listeners": listeners, "allowedListeners": everybody}
        inputs.gateways.set(Key("ns", "gw"), make(Gateway, "gw", spec))
        for number in range(sets):
            listeners = [
                {"name": f"l{at}", "port": 1000 + number * 64 + at, "protocol": "HTTP", "allowedRoutes": everybody}
                for at in range(64)
            ]
            spec = {"parentRef": {"name": "gw"}, "listeners": listeners}
            inputs.listener_sets.set(Key("ns", f"set{number}"), make(ListenerSet, f"set{number}", spec))
        inputs.http_routes.set(route.key, route)
    return resolution, route


def make(type_: Any, name: str, spec: dict[str, Any], namespace: str = "ns") -> Any:
    metadata = {"namespace": namespace, "name": name, "generation": 1, "resourceVersion": "1"}
    return decode(type_, {"apiVersion": API, "kind": type_.__name__, "metadata": metadata, "spec": spec})


def accepted(resolution: Resolution, route: HTTPRoute) -> list[str]:
    return [parent.conditions[0].reason for parent in resolution.http_routes[route.key].parents]


def test_a_route_is_served_by_all_listeners_of_two_sets() -> None:
    resolution, route = served(matches=16, sets=2)
    assert accepted(resolution, route) == ["Accepted"] * 2
    assert len(resolution.topology.placements) == 16 * 16 * 64 * 2


def test_a_route_that_multiplies_is_refused_where_it_is_too_much() -> None:
    resolution, route = served(matches=17, sets=3)
    assert accepted(resolution, route) == ["Accepted", "UnsupportedValue", "UnsupportedValue"]
    assert len(resolution.topology.placements) == 17 * 16 * 64
