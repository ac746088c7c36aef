"""Finding which of some rules Envoy refuses, beside the traffic.

Envoy refuses a virtual host as a whole. To learn which rule is to blame, the rules are put, alone or in part, into a
routing table of a listener that opens no socket. So the answer is Envoy's own, and what is served isn't touched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from gatewright.envoy.chain import add_filters
from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import LISTENER, Ref, Resource, resource
from gatewright.envoy.routes import Route
from gatewright.flow import Flow, Source

PROBE = "probe"
"""The name of the listener and of the routing table; those of Gateways have slashes."""


class Guilt(NamedTuple):
    """A route that Envoy refuses by itself, and its words."""

    route: Route
    message: str


class Probe:
    """Asks one Envoy about routes, one question at a time. `listeners` and `tables` are to be delivered to it."""

    def __init__(self, flow: Flow) -> None:
        self.listeners: Source[str, Resource] = flow.source("probe listeners")
        self.tables: Source[str, Resource] = flow.source("probe routing tables")
        self._lock = asyncio.Lock()
        self._answer: asyncio.Future[str | None] | None = None
        self._questions = 0

    async def guilty(self, routes: Sequence[Route]) -> list[Guilt]:
        """Those of `routes` that Envoy refuses by themselves; each takes about log2(len(routes)) questions."""
        async with self._lock:
            return await self._search(routes)

    def answered(self, resource: Resource, message: str | None) -> None:
        """Envoy has taken (None) or refused a version of the routing table."""
        wanted = self.tables.get(PROBE)
        if wanted and wanted.version == resource.version and self._answer and not self._answer.done():
            self._answer.set_result(message)

    async def _search(self, routes: Sequence[Route]) -> list[Guilt]:
        refusal = await self._ask(routes)
        if refusal is None:
            return []
        if len(routes) == 1:
            return [Guilt(routes[0], refusal)]
        middle = len(routes) // 2
        return [*await self._search(routes[:middle]), *await self._search(routes[middle:])]

    async def _ask(self, routes: Sequence[Route]) -> str | None:
        self._answer = asyncio.get_running_loop().create_future()
        self._questions += 1
        if PROBE not in self.listeners:
            self.listeners.set(PROBE, _listener())
        self.tables.set(PROBE, _table(routes, self._questions))
        return await self._answer


def _listener() -> Resource:
    manager = http_connection_manager_pb2.HttpConnectionManager(stat_prefix=PROBE)
    manager.rds.route_config_name = PROBE
    manager.rds.config_source.CopyFrom(ADS)
    add_filters(manager)
    message = listener_pb2.Listener(name=PROBE)
    message.address.socket_address.address = "127.0.0.1"
    message.address.socket_address.port_value = 1
    message.bind_to_port.value = False
    message.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
    return resource(PROBE, message.SerializeToString())


def _table(routes: Sequence[Route], question: int) -> Resource:
    host = route_components_pb2.VirtualHost(name=str(question), domains=["*"])
    host.MergeFromString(b"".join(route.record for route in routes))
    message = route_pb2.RouteConfiguration(name=PROBE, virtual_hosts=[host])
    return resource(PROBE, message.SerializeToString(), within=(Ref(LISTENER, PROBE),))
