"""A real Envoy accepts whatever valid manifests lead to: one Envoy, through one set after the other.

What Envoy would refuse has to be refused before, in the conditions of the object that asks for it; a refusal by Envoy
itself is kept from hurting others (tests/envoy/test_refusals.py), but it is found late and said in Envoy's words. What
the translation to Envoy's configuration finds wrong by itself is known before, and no matter here.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from structlog.testing import capture_logs
from tests.fuzz.clusters import PROFILE, check, clusters, fill, read
from tests.fuzz.manifests import CONTROLLER, Json

from gatewright.envoy.edge import EnvoyEdge
from gatewright.envoy.listeners import Binding
from gatewright.envoy.routes import Route
from gatewright.flow import Change, Flow, Source
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, resolve
from gatewright.topology import PortKey

_FIRST_PORT = 20000


class Served:
    """An Envoy that serves what `inputs` resolve to. Its ports are opened on an address of its own."""

    def __init__(self) -> None:
        self.inputs = Inputs(Flow())
        self.resolution = resolve(self.inputs, {CONTROLLER})
        self._address = "127." + ".".join(str(random.randint(1, 250)) for _ in range(3))
        self._versions = itertools.count(1)
        self._opened: dict[PortKey, int] = {}
        self._bindings: Source[Key, Binding] = self.inputs.flow.source("bindings")
        flow, topology = self.inputs.flow, self.resolution.topology
        feedback = self.inputs.rejections, self.inputs.ports
        self.edge = EnvoyEdge(flow, topology, self._bindings, *feedback, concurrency=1)
        self._known: set[tuple[str, Key]] = set()  # what the translation has found wrong
        self.edge.target._translation.routes.subscribe(self._routes_changed)

    def _routes_changed(self, changes: list[Change[Any, Route]]) -> None:
        routes = [change.new for change in changes if change.new]
        self._known |= {(route.rule.origin.kind, route.rule.origin.key) for route in routes if route.problem}

    async def serve(self, manifests: list[Json]) -> None:
        """Serve these instead of what was served before; fails when Envoy refuses anything."""
        inputs = self.inputs
        # A refusal is of one version of an object; each of these is new, although its name may not be.
        version = {"generation": next(self._versions), "resourceVersion": str(next(self._versions))}
        manifests = [{**data, "metadata": {**data["metadata"], **version}} for data in manifests]
        self._known.clear()
        with inputs.flow.batch():
            for source in inputs.by_type.values():
                source.replace({})
            fill(inputs, read(manifests), open_ports=False)
        self._bindings.replace(self._wanted())
        async with asyncio.timeout(60):
            await self.edge.settled()
        refused = {
            f"{each[0]} {each[1]}": said.message
            for each, said in inputs.rejections.items()
            if said.version in map(str, version.values()) and each not in self._known
        }
        assert refused == {}
        closed = {str(port): state.message for port, state in inputs.ports.items() if not state.serving}
        assert closed == {}
        check(inputs, self.resolution)

    def _wanted(self) -> dict[Key, Binding]:
        ports: defaultdict[Key, tuple[dict[int, int], dict[int, int]]] = defaultdict(lambda: ({}, {}))
        for listener in self.resolution.topology.listeners.values():
            port = listener.port_key
            bound = self._opened.setdefault(port, _FIRST_PORT + len(self._opened))
            ports[port.gateway][port.transport == "UDP"][port.port] = bound
        return {gateway: Binding(self._address, tcp, udp) for gateway, (tcp, udp) in ports.items()}


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[[list[Json]], None]]:
    """Serve a set of manifests by the module's Envoy."""
    with asyncio.Runner() as runner, capture_logs():
        served = Served()
        runner.run(served.edge.__aenter__())
        yield lambda manifests: runner.run(served.serve(manifests))
        runner.run(served.edge.__aexit__(None, None, None))


@PROFILE
@given(manifests=clusters(broken=False))
def test_envoy_accepts_every_valid_set(serve: Callable[[list[Json]], None], manifests: list[Json]) -> None:
    serve(manifests)


def test_the_same_set_again_after_everything_is_gone(serve: Callable[[list[Json]], None]) -> None:
    from tests.fuzz.clusters import SOUND

    for manifests in (SOUND, [], SOUND):
        serve(manifests)
