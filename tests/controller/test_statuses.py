"""The status writer against the embedded API: only its own entries, only what changed, times that mean something."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from gatewright.cluster import Client
from gatewright.controller import GatewayController
from gatewright.controller.surroundings import Surroundings
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.model.gateway import (
    Gateway,
    GatewayClass,
    GRPCRoute,
    HTTPRoute,
    ListenerSet,
    TCPRoute,
    TLSRoute,
    UDPRoute,
)
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs, Resolution, resolve

OURS = "example.com/ours"
GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "gw", "namespace": "default"},
    "spec": {"gatewayClassName": "ours", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}


def gateway_class(name: str, controller: str) -> dict[str, Any]:
    metadata = {"name": name}
    kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass"}
    return {**kind, "metadata": metadata, "spec": {"controllerName": controller}}


def http_route(name: str = "route", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [{"name": "gw"}], **spec},
    }


class Scene:
    """An embedded API, a controller on it, and a count of the statuses that were written."""

    def __init__(self, client: Client, writes: list[str]) -> None:
        self.client = client
        self.writes = writes
        self.inputs = Inputs(Flow())
        self.resolution: Resolution = resolve(self.inputs, frozenset({OURS}))
        self.controller = GatewayController(client, self.inputs, self.resolution, [OURS])

    async def apply(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            await self.client.apply(obj, field_manager="test")

    async def settled(self) -> None:
        for _ in range(3):  # what is written comes back
            await self.controller.caught_up()
            await self.controller.idle()

    async def conditions(self, type_: type[Any], key: Key) -> dict[str, Condition]:
        return {found.type: found for found in (await self.client.get(type_, key)).status.conditions}

    async def until(self, check: Callable[[HTTPRoute], bool]) -> HTTPRoute:
        async with asyncio.timeout(60):
            while True:
                await self.settled()
                found = await self.client.get(HTTPRoute, Key("default", "route"))
                if check(found):
                    return found


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with ApiServer(Store.memory()) as server:
        writes: list[str] = []

        class Counting(Client):
            async def request(self, method: str, path: str, *further: Any, **options: Any) -> bytes:
                if path.endswith("/status"):
                    writes.append("/".join(path.split("/")[-3:-1]))
                return await super().request(method, path, *further, **options)

        async with Counting.with_token(server.url, server.token, server.ca_certificate) as client:
            scene = Scene(client, writes)
            await scene.apply(gateway_class("ours", OURS), gateway_class("theirs", "example.com/theirs"))
            # The controller's own look at the definitions comes later, and must not find anything new by then.
            await Surroundings(client, scene.inputs).look()
            async with scene.controller:
                await scene.settled()
                writes.clear()
                yield scene


async def test_a_class_of_ours_is_accepted_and_no_other(scene: Scene) -> None:
    assert (await scene.conditions(GatewayClass, Key("", "ours")))["Accepted"].status == "True"
    theirs = (await scene.conditions(GatewayClass, Key("", "theirs"))).get("Accepted")
    assert theirs is None or theirs.status == "Unknown"


async def test_what_is_as_it_should_be_is_not_written(scene: Scene) -> None:
    await scene.apply(GATEWAY, http_route())
    await scene.until(lambda route: bool(route.status.parents))
    await scene.settled()
    scene.writes.clear()
    await scene.apply({**GATEWAY, "metadata": {**GATEWAY["metadata"], "labels": {"a": "b"}}})  # type: ignore[dict-item]
    await scene.settled()
    assert scene.writes == []


async def test_entries_of_other_controllers_stay(scene: Scene) -> None:
    await scene.apply(GATEWAY, http_route())
    route = await scene.until(lambda route: bool(route.status.parents))
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "observedGeneration": 1}
    condition["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    foreign = {
        "parentRef": {"name": "elsewhere"},
        "controllerName": "example.com/theirs",
        "conditions": [condition],
    }
    both = [*msgspec.to_builtins(route.status.parents), foreign]
    await scene.client.patch(HTTPRoute, route.key, {"status": {"parents": both}}, subresource="status")
    # Our parent goes with the reference to it; theirs is none of our business.
    await scene.apply(http_route(parentRefs=[{"name": "elsewhere"}]))
    route = await scene.until(lambda route: len(route.status.parents) == 1)
    assert route.status.parents[0].controller_name == "example.com/theirs"
    assert route.status.parents[0].conditions[0].last_transition_time == "2020-01-01T00:00:00Z"


async def test_conditions_of_other_types_stay_on_a_gateway(scene: Scene) -> None:
    await scene.apply(GATEWAY)
    await scene.settled()
    key = Key("default", "gw")
    gateway = await scene.client.get(Gateway, key)
    foreign = Condition(
        type="example.com/Audited",
        status="True",
        reason="Done",
        message="",
        last_transition_time="2020-01-01T00:00:00Z",
    )
    conditions = msgspec.to_builtins([*gateway.status.conditions, foreign])
    await scene.client.patch(Gateway, key, {"status": {"conditions": conditions}}, subresource="status")
    await scene.apply({**GATEWAY, "spec": {**GATEWAY["spec"], "gatewayClassName": "ours"}}, http_route())  # type: ignore[dict-item]
    await scene.until(lambda route: bool(route.status.parents))
    found = await scene.conditions(Gateway, key)
    assert "example.com/Audited" in found
    assert "Accepted" in found


async def test_a_condition_keeps_its_time_for_as_long_as_its_status(scene: Scene) -> None:
    await scene.apply(GATEWAY, http_route())
    route = await scene.until(lambda route: bool(route.status.parents))
    parent = msgspec.to_builtins(route.status.parents[0])
    for condition in parent["conditions"]:
        condition["lastTransitionTime"] = "2020-01-01T00:00:00Z"
    await scene.client.patch(HTTPRoute, route.key, {"status": {"parents": [parent]}}, subresource="status")
    lost = [{"backendRefs": [{"name": "nobody", "port": 80}]}]
    await scene.apply(http_route(rules=lost))

    def refused(route: HTTPRoute) -> bool:
        return any(c.type == "ResolvedRefs" and c.status == "False" for c in route.status.parents[0].conditions)

    route = await scene.until(refused)
    times = {found.type: found.last_transition_time for found in route.status.parents[0].conditions}
    assert times["Accepted"] == "2020-01-01T00:00:00Z"
    assert times["ResolvedRefs"] > "2020"
    assert times["ResolvedRefs"] != "2020-01-01T00:00:00Z"
    assert {found.observed_generation for found in route.status.parents[0].conditions} == {2}


async def test_a_burst_of_routes_writes_the_gateway_a_few_times(scene: Scene) -> None:
    await scene.apply(GATEWAY)
    await scene.settled()
    scene.writes.clear()
    began = time.monotonic()
    await asyncio.gather(*(scene.apply(http_route(f"route-{number}")) for number in range(60)))
    await scene.settled()
    intervals = (time.monotonic() - began) / 0.1  # an object's status is written once in each at most
    gateway = await scene.client.get(Gateway, Key("default", "gw"))
    assert gateway.status.listeners[0].attached_routes == 60
    assert len([path for path in scene.writes if path.startswith("gateways")]) <= 1 + intervals
    assert len([path for path in scene.writes if path.startswith("httproutes")]) < 90


async def test_listener_sets_and_routes_of_every_kind_get_their_status(scene: Scene) -> None:
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {"name": "tls", "port": 443, "protocol": "TLS", "tls": {"mode": "Passthrough"}},
        {"name": "tcp", "port": 9000, "protocol": "TCP"},
        {"name": "udp", "port": 9000, "protocol": "UDP"},
    ]
    api = {"apiVersion": "gateway.networking.k8s.io/v1"}
    allowed = {"namespaces": {"from": "Same"}}
    gateway = {**GATEWAY, "spec": {**GATEWAY["spec"], "allowedListeners": allowed}}  # type: ignore[dict-item]
    gateway["spec"]["listeners"] = [{"name": "other", "port": 81, "protocol": "HTTP"}]  # type: ignore[index]
    metadata = {"name": "one", "namespace": "default"}
    spec = {"parentRef": {"name": "gw"}, "listeners": listeners}
    await scene.apply(gateway, {**api, "kind": "ListenerSet", "metadata": metadata, "spec": spec})
    rules = [{"backendRefs": [{"name": "nobody", "port": 80}]}]
    refs = [{"kind": "ListenerSet", "name": "one"}]
    kinds = {
        GRPCRoute: {"parentRefs": [refs[0] | {"sectionName": "http"}], "rules": rules},
        TLSRoute: {"parentRefs": refs, "rules": rules, "hostnames": ["a.example.com"]},
        TCPRoute: {"parentRefs": refs, "rules": rules},
        UDPRoute: {"parentRefs": refs, "rules": rules},
    }
    await scene.apply(
        *({**api, "kind": type_.__name__, "metadata": metadata, "spec": found} for type_, found in kinds.items())
    )
    await scene.settled()
    key = Key("default", "one")
    listener_set = await scene.client.get(ListenerSet, key)
    assert {found.type: found.status for found in listener_set.status.conditions}["Accepted"] == "True"
    assert [found.attached_routes for found in listener_set.status.listeners] == [1, 1, 1, 1]
    assert (await scene.client.get(Gateway, Key("default", "gw"))).status.attached_listener_sets == 1
    for type_ in kinds:
        route: Any = await scene.client.get(type_, key)
        (parent,) = route.status.parents
        assert [found.reason for found in parent.conditions] == ["Accepted", "BackendNotFound"]
