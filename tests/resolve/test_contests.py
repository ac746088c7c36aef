"""Which of HTTPRoutes and GRPCRoutes have a listener's hostnames: the oldest attached one keeps those of the other kind
out (Gateway API, GRPCRouteSpec.hostnames), and what keeping that up to date costs."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright import flow as engine
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway import Gateway, GatewayClass, GRPCRoute, HTTPRoute
from gatewright.model.meta import Key, Object
from gatewright.resolve import Inputs, Resolution, resolve
from gatewright.resolve.hostnames import intersection

KINDS: dict[str, type[Object]] = {"HTTPRoute": HTTPRoute, "GRPCRoute": GRPCRoute}


class Wanted(NamedTuple):
    """A route that attaches to both listeners of the Gateway, or to one."""

    kind: str
    name: str
    age: int
    hostnames: tuple[str, ...]
    section: str | None

    @property
    def rank(self) -> tuple[int, str, bool]:
        return self.age, self.name, self.kind == "GRPCRoute"


def cluster() -> tuple[Inputs, Resolution]:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {"gatewright.example/edge"})
    listeners = [{"name": name, "port": port, "protocol": "HTTP"} for name, port in (("one", 80), ("two", 81))]
    edge_class = {"metadata": {"name": "edge"}, "spec": {"controllerName": "gatewright.example/edge"}}
    edge = {
        "metadata": {"namespace": "a", "name": "edge", "generation": 1},
        "spec": {"gatewayClassName": "edge", "listeners": listeners},
    }
    with inputs.flow.batch():
        inputs.gateway_classes.set(Key("", "edge"), decode(GatewayClass, edge_class))
        inputs.gateways.set(Key("a", "edge"), decode(Gateway, edge))
    return inputs, resolution


def put(inputs: Inputs, route: Wanted) -> None:
    created = f"2024-01-01T{route.age // 3600:02}:{route.age // 60 % 60:02}:{route.age % 60:02}Z"
    parent = {"name": "edge"} | ({"sectionName": route.section} if route.section else {})
    rules: dict[str, Any] = {"rules": [{}]} if route.kind == "HTTPRoute" else {}
    data = {
        "metadata": {"namespace": "a", "name": route.name, "creationTimestamp": created, "generation": 1},
        "spec": {"parentRefs": [parent], "hostnames": list(route.hostnames), **rules},
    }
    obj = decode(KINDS[route.kind], data)
    inputs.by_type[KINDS[route.kind]].set(obj.key, obj)


def drop(inputs: Inputs, kind: str, name: str) -> None:
    inputs.by_type[KINDS[kind]].delete(Key("a", name))


def in_common(one: Wanted, other: Wanted) -> bool:
    pairs = ((a, b) for a in one.hostnames or ("*",) for b in other.hostnames or ("*",))
    return any(intersection(a, b) for a, b in pairs)


def expected(routes: list[Wanted]) -> dict[tuple[str, str], set[str]]:
    """The specification, literally: by age, each route attaches unless one of the other kind is in its way."""
    found: dict[tuple[str, str], set[str]] = {(route.kind, route.name): set() for route in routes}
    for section in ("one", "two"):
        attached: list[Wanted] = []
        for route in sorted(routes, key=lambda route: route.rank):
            rivals = [other for other in attached if other.kind != route.kind]
            if route.section in (None, section) and not any(in_common(other, route) for other in rivals):
                attached.append(route)
                found[route.kind, route.name].add(section)
    return found


def actual(resolution: Resolution) -> dict[tuple[str, str], set[str]]:
    routes = [*resolution.http_routes.values(), *resolution.grpc_routes.values()]
    return {(route.kind, route.key.name): {key.name for key in route.listeners} for route in routes}


hostnames = st.sampled_from(["*.com", "*.a.com", "x.a.com", "y.a.com", "a.com", "b.org"])
wanted = st.builds(
    Wanted,
    kind=st.sampled_from(sorted(KINDS)),
    name=st.sampled_from(["r", "s", "t"]),
    age=st.integers(0, 3),
    hostnames=st.lists(hostnames, max_size=2, unique=True).map(tuple),
    section=st.sampled_from([None, "one", "two"]),
)
edits = st.lists(wanted | st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(["r", "s", "t"])), min_size=1)


@settings(max_examples=100, deadline=None)
@given(edits)
def test_after_any_edits_the_oldest_attached_route_has_a_hostname(steps: list[Any]) -> None:
    inputs, resolution = cluster()
    routes: dict[tuple[str, str], Wanted] = {}
    for step in steps:
        if isinstance(step, Wanted):
            routes[step.kind, step.name] = step
            put(inputs, step)
        else:
            routes.pop(step, None)
            drop(inputs, *step)
        assert actual(resolution) == expected(list(routes.values()))
    assert not any(collection.errors for collection in inputs.flow._collections)


def chain(length: int, first: str) -> Resolution:
    """Each route shares a hostname with the next one only."""
    inputs, resolution = cluster()
    kinds = ("HTTPRoute", "GRPCRoute") if first == "HTTPRoute" else ("GRPCRoute", "HTTPRoute")
    with inputs.flow.batch():
        for at in range(length):
            names = (f"h{at}.example.com", f"h{at + 1}.example.com")
            put(inputs, Wanted(kinds[at % 2], f"r{at:04}", at, names, "one"))
    return resolution


@pytest.mark.parametrize("first", ["HTTPRoute", "GRPCRoute"])
def test_of_a_chain_every_other_route_stands(first: str) -> None:
    standing = {name for (_, name), listeners in actual(chain(60, first)).items() if listeners}
    assert standing == {f"r{at:04}" for at in range(0, 60, 2)}


@pytest.mark.parametrize("first", ["HTTPRoute", "GRPCRoute"])
def test_of_a_chain_that_is_too_long_to_follow_no_two_neighbours_stand(first: str) -> None:
    standing = {int(name[1:]) for (_, name), listeners in actual(chain(150, first)).items() if listeners}
    assert not any(at + 1 in standing for at in standing)
    assert {at for at in standing if at < 60} == set(range(0, 60, 2))


def test_who_lost_says_to_whom() -> None:
    inputs, resolution = cluster()
    put(inputs, Wanted("GRPCRoute", "calls", 0, ("x.a.com",), "one"))
    put(inputs, Wanted("HTTPRoute", "pages", 1, ("*.a.com",), "one"))
    (status,) = resolution.http_routes[Key("a", "pages")].parents
    accepted = status.conditions[0]
    assert (accepted.type, accepted.status, accepted.reason) == ("Accepted", "False", "HostnameConflict")
    assert "GRPCRoute a/calls" in accepted.message
    assert not resolution.http_routes[Key("a", "pages")].hosts


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found: Counter[str] = Counter()
    run = engine._Derived._run

    def counting(node: Any, key: Any) -> Any:
        found[node.name] += 1
        return run(node, key)

    monkeypatch.setattr(engine._Derived, "_run", counting)
    return found


def test_a_grpc_route_that_comes_runs_only_the_routes_that_it_may_contest(ran: Counter[str]) -> None:
    inputs, _ = cluster()
    with inputs.flow.batch():
        for at in range(200):
            put(inputs, Wanted("HTTPRoute", f"r{at}", 10, (f"r{at}.a.com",), None))
    ran.clear()
    put(inputs, Wanted("GRPCRoute", "first", 0, ("first.org",), None))
    put(inputs, Wanted("GRPCRoute", "second", 20, ("second.org",), None))
    assert ran["resolved http routes"] == 0
    put(inputs, Wanted("GRPCRoute", "third", 5, ("r7.a.com",), None))
    assert ran["resolved http routes"] == 1
    assert ran["resolved grpc routes"] == 3


def test_an_http_route_that_comes_runs_no_other(ran: Counter[str]) -> None:
    inputs, _ = cluster()
    with inputs.flow.batch():
        put(inputs, Wanted("GRPCRoute", "first", 0, ("first.org",), None))
        for at in range(200):
            put(inputs, Wanted("HTTPRoute", f"r{at}", 10, (f"r{at}.a.com",), None))
    ran.clear()
    put(inputs, Wanted("HTTPRoute", "new", 11, ("new.a.com",), None))
    assert (ran["resolved http routes"], ran["resolved grpc routes"]) == (1, 0)
    put(inputs, Wanted("GRPCRoute", "first", 0, (), None))
    ran.clear()
    put(inputs, Wanted("HTTPRoute", "newer", 12, ("newer.a.com",), None))
    assert (ran["resolved http routes"], ran["resolved grpc routes"]) == (1, 0)
