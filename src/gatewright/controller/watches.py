"""What keeps the sources of resolution equal to a cluster."""

from __future__ import annotations

from contextlib import AsyncExitStack

from gatewright.cluster import Client, Reflector, Reflectors
from gatewright.controller.surroundings import Surroundings
from gatewright.resolve import Inputs


class Watches:
    """Keeps `inputs` equal to the cluster while it runs (`async with`).

    Entered once every kind has been listed, so that nothing is judged by half of the objects.
    """

    def __init__(self, client: Client, inputs: Inputs) -> None:
        self._reflectors = Reflectors(*(Reflector(client, type_, source) for type_, source in inputs.by_type.items()))
        self._surroundings = Surroundings(client, inputs)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Watches:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reflectors)
            await stack.enter_async_context(self._surroundings)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def caught_up(self) -> None:
        """Return once the inputs hold what the cluster holds at the time of the call."""
        await self._reflectors.caught_up()
