"""What one change costs among many, counted in functions that run again."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.aws_gateways.gateway_world import World, gateway

from gatewright import flow as engine
from gatewright.model.meta import Key

ROUTES, SERVICES, GATEWAYS = 200, 100, 4


def route(number: int, path: str = "/") -> dict[str, Any]:
    return {
        "kind": "HTTPRoute",
        "metadata": {"namespace": "shop", "name": f"r{number}"},
        "spec": {
            "parentRefs": [{"namespace": "infra", "name": f"edge{number % GATEWAYS}"}],
            "hostnames": [f"h{number}.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"value": path}}],
                    "backendRefs": [{"name": f"s{number % SERVICES}", "port": 80}],
                }
            ],
        },
    }


def service(number: int, address: str) -> list[dict[str, Any]]:
    metadata = {"namespace": "shop", "name": f"s{number}"}
    labels = {"kubernetes.io/service-name": f"s{number}"}
    return [
        {"kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80, "targetPort": 8080}]}},
        {
            "kind": "EndpointSlice",
            "metadata": metadata | {"labels": labels},
            "addressType": "IPv4",
            "ports": [{"port": 8080}],
            "endpoints": [{"addresses": [address]}],
        },
    ]


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    documents = [
        {"kind": "GatewayClass", "metadata": {"name": "alb"}, "spec": {"controllerName": "gateway.k8s.aws/alb"}},
        *({"kind": "Namespace", "metadata": {"name": name}} for name in ("infra", "shop")),
        *(gateway({"name": "http", "port": 80, "protocol": "HTTP"}, name=f"edge{n}") for n in range(GATEWAYS)),
        *(document for number in range(SERVICES) for document in service(number, f"10.0.0.{number}")),
        *(route(number) for number in range(ROUTES)),
    ]
    with world.flow.batch():
        for document in documents:
            world.add(document)
    return world


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found: Counter[str] = Counter()
    run = engine._Derived._run

    def counting(node: Any, key: Any) -> Any:
        found[node.name] += 1
        return run(node, key)

    monkeypatch.setattr(engine._Derived, "_run", counting)
    return found


def test_a_pod_costs_one_target_group_s_targets_and_the_assembly_of_one_stack(world: World, ran: Counter[str]) -> None:
    world.add(service(7, "10.0.9.9")[1])
    (group,) = (
        group
        for stack in world.albs.stacks.values()
        for group in stack.target_groups
        if group.resource.endswith("shop/s7:80")
    )
    assert {target.id for target in group.targets} == {"10.0.9.9"}
    assert ran == {
        "endpoints": 1,
        "targets": 1,
        "alb assembled": 1,
        "alb needed access": 1,
        "alb stacks": 1,
        "alb remarks": 1,
        "alb filled target groups": 1,
    }


def test_a_route_costs_its_port_s_rules_and_no_target_group(world: World, ran: Counter[str]) -> None:
    before = dict(world.albs.stacks.items())
    world.add(route(6, "/cart"))
    changed = {key for key, stack in world.albs.stacks.items() if stack is not before[key]}
    assert changed == {Key("infra", "edge2")}
    assert (ran["alb rules"], ran["alb listeners"]) == (1, 1)
    assert (ran["target groups"], ran["targets"], ran["alb frames"]) == (0, 0, 0)
