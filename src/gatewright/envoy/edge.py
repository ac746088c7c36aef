"""A Topology served: target, ADS server and Envoy process as one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack

from gatewright.envoy.ads import AdsServer
from gatewright.envoy.bootstrap import bootstrap
from gatewright.envoy.listeners import Binding
from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.envoy.target import EnvoyTarget
from gatewright.flow import Collection, Flow, Source
from gatewright.model.meta import Key
from gatewright.topology import PortKey, PortState, Rejection, Topology


class EnvoyEdge:
    """Serves a Topology with an Envoy of its own while the context lasts.

    async with EnvoyEdge(flow, topology, bindings, rejections, ports) as edge:
        await edge.settled()
    """

    def __init__(
        self,
        flow: Flow,
        topology: Topology,
        bindings: Collection[Key, Binding],
        rejections: Source[tuple[str, Key], Rejection],
        ports: Source[PortKey, PortState],
        *,
        concurrency: int = 2,
        source: str | None = None,
        on_exit: Callable[[int, float], None] | None = None,
    ) -> None:
        """`source` is the address from which endpoints are connected to; None is any."""
        self.target = EnvoyTarget(flow, topology, bindings, rejections, ports)
        self._concurrency = concurrency
        self._source = source
        self._on_exit = on_exit
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> EnvoyEdge:
        async with AsyncExitStack() as stack:
            directory = stack.enter_context(private_directory())
            stack.callback(self.target.close)
            self.server = await stack.enter_async_context(
                AdsServer(directory / "ads.sock", self.target.resources, self.target)
            )
            self.target.attach(self.server)
            self.process = await stack.enter_async_context(
                EnvoyProcess(
                    directory,
                    bootstrap("gatewright", self.server.socket, directory / "admin.sock", source=self._source),
                    concurrency=self._concurrency,
                    on_exit=self._on_exit,
                )
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def settled(self) -> None:
        """Wait until Envoy has acknowledged, and serves, all that the Topology holds now, except what it refused."""
        while self.target.is_searching or not self.server.delivery.settled():
            await self.server.stirred()
