"""The data plane of the emulated load balancers: all that follows from their state, in one Envoy."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from ipaddress import IPv4Network

from envoy.config.listener.v3 import listener_pb2

from gatewright.envoy.ads import AdsServer
from gatewright.envoy.bootstrap import bootstrap
from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.envoy.resources import CLUSTER, ENDPOINTS, LISTENER, ROUTES, SECRET, Resource
from gatewright.flow import Collection
from gatewright.local.aws import alb, nlb, tls
from gatewright.local.aws.accesslogs.delivery import Put
from gatewright.local.aws.requestlogs import RequestLogs
from gatewright.local.aws.served import Served
from gatewright.local.aws.sockets import Sockets
from gatewright.local.aws.state import Bound, CloudState
from gatewright.local.aws.targets import Targets
from gatewright.local.aws.terminations import Terminations
from gatewright.local.aws.waf.journal import Journal

_DRAIN = 300
"""Seconds for which connections go on whose listener has changed. (Of one that is gone: see `terminations`.)"""


class DataPlane:
    """Carries the traffic that a state asks for, with an Envoy of its own, while the context lasts.

        async with DataPlane(state) as plane:
            await plane.settled()

    Writes `state.sockets` and `state.served`. `pace`: how many times faster the cloud's clock runs. `shared`: all
    sockets are on 127.0.0.1. `on_exit` is called with Envoy's exit status, and the seconds until it is started again,
    when it ends by itself. What Envoy refuses is logged, and costs nothing else. `put` stores an object in S3, for
    access logs; without it there are none. `journal` is told what web ACLs do. `flush`: at the end, wait for the last
    requests to be logged; of no use where the buckets go as well.
    """

    def __init__(
        self,
        state: CloudState,
        *,
        pace: float = 1.0,
        shared: bool = False,
        network: IPv4Network | None = None,
        put: Put | None = None,
        flush: bool = True,
        journal: Journal | None = None,
        concurrency: int = 2,
        on_exit: Callable[[int, float], None] | None = None,
    ) -> None:
        self.journal = journal or Journal()
        self._state = state
        self._pace = pace
        self._put = put or _forget
        self._flush = flush
        self._shared = shared
        self._network = network
        self._concurrency = concurrency
        self._on_exit = on_exit
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> DataPlane:
        async with AsyncExitStack() as stack:
            directory = stack.enter_context(private_directory())
            self.sockets = Sockets(self._state, shared=self._shared)
            reset = await stack.enter_async_context(_Resetter())
            self.targets = Targets(self._state, pace=self._pace, reset=reset.address, network=self._network)
            logs = await stack.enter_async_context(
                RequestLogs(self._state, directory / "logs.sock", put=self._put, journal=self.journal, pace=self._pace)
            )
            self.resources = resources = self._translate(logs)
            served = Served(self._state, resources, self._move)
            self.server = await stack.enter_async_context(AdsServer(directory / "ads.sock", resources, served))
            stack.callback(served.close)
            served.attach(self.server)
            configuration = bootstrap("gatewright-aws", self.server.socket, directory / "admin.sock")
            configuration["static_resources"]["clusters"].append(logs.cluster)
            self.process = await stack.enter_async_context(
                EnvoyProcess(
                    directory,
                    configuration,
                    name="envoy of load balancers",
                    concurrency=self._concurrency,
                    drain_seconds=_DRAIN,
                    on_exit=self._on_exit,
                )
            )
            if self._flush:
                stack.push_async_callback(logs.flushed)  # Envoy drops what it has not told when it ends
            terminations = Terminations(self._state, self.targets, self.server, self.process)
            stack.push_async_callback(terminations.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def settled(self) -> None:
        """Wait until Envoy serves all that the state says now, except what it refused."""
        await self.server.settled()

    def _move(self, listener: Resource) -> None:
        """Let a listener that Envoy can't open have another port."""
        address = listener_pb2.Listener.FromString(listener.body).address.socket_address
        self.sockets.move(Bound(address.address, address.port_value))

    def _translate(self, logs: RequestLogs) -> Mapping[str, Collection[str, Resource]]:
        albs = alb.translate(self._state, self.targets, pace=self._pace, logs_of=logs.of)
        listeners = self._state.flow.merge(
            "listeners of Envoy", albs.listeners, nlb.translate(self._state, self.targets)
        )
        return {
            CLUSTER: self.targets.clusters,
            ENDPOINTS: self.targets.endpoints,
            SECRET: tls.secrets(self._state, listeners),
            LISTENER: listeners,
            ROUTES: albs.route_configurations,
        }


def _forget(bucket: str, key: str, content: bytes) -> None:
    """Where there is no S3, nothing is stored."""


class _Resetter:
    """Resets each connection to `address`: an NLB that has no target for a connection resets it."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> _Resetter:
        self._server = await asyncio.start_server(self._reset, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.address = Bound(host, port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()

    @staticmethod
    def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
