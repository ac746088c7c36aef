"""The gateway controller: watches a cluster, resolves it and writes the statuses; targets attach to its topology."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from gatewright.cluster import Client
from gatewright.controller.statuses import StatusWriter
from gatewright.controller.watches import Watches
from gatewright.resolve import Inputs, Resolution


class GatewayController:
    """Keeps `inputs` equal to the cluster, and the cluster's statuses equal to `resolution` (`async with`).

    Entered once every kind has been listed, so that nothing is judged by half of the objects.
    """

    def __init__(self, client: Client, inputs: Inputs, resolution: Resolution, controllers: Iterable[str]) -> None:
        self._watches = Watches(client, inputs)
        self._statuses = StatusWriter(client, inputs, resolution, frozenset(controllers))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> GatewayController:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._watches)
            await stack.enter_async_context(self._statuses)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def caught_up(self) -> None:
        """Return once the inputs hold what the cluster holds at the time of the call."""
        await self._watches.caught_up()

    async def idle(self) -> None:
        """Return when every status that is known to be needed has been written."""
        await self._statuses.idle()
