"""What resolution needs to know and no watch tells: the time, and which version of the Gateway API a cluster has."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec
import structlog

from gatewright.cluster import Client, ClusterError, NotFound
from gatewright.model.gateway.shared import GROUP
from gatewright.model.kinds import kind_of
from gatewright.model.meta import ObjectMeta
from gatewright.resolve import Inputs
from gatewright.resolve.inputs import NOW

_TICK = 60.0  # seconds; what depends on the time is days long
_TICKS = 60  # between two looks at the definitions
_PATIENCE = 2.0  # seconds before the first look at them: who has just started has more urgent things to ask
_VERSION = "gateway.networking.k8s.io/bundle-version"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

_log = structlog.get_logger(__name__)


class _Definition(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


class Surroundings:
    """Keeps `inputs.clock` and `inputs.bundle_versions` up to date while it runs (`async with`)."""

    def __init__(self, client: Client, inputs: Inputs) -> None:
        self._client = client
        self._inputs = inputs
        kinds = [kind_of(type_) for type_ in inputs.by_type]
        self._definitions = [f"{kind.plural}.{kind.group}" for kind in kinds if kind.group == GROUP]
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Surroundings:
        self._inputs.clock.set(NOW, _now())
        self._task = asyncio.create_task(self._run(), name="surroundings")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        await asyncio.sleep(_PATIENCE)
        ticks = 0
        while True:
            if ticks % _TICKS == 0:
                await self.look()
            await asyncio.sleep(_TICK)
            ticks += 1
            self._inputs.clock.set(NOW, _now())

    async def look(self) -> None:
        """Read the versions of the definitions; those that can't be read stay as they were known."""
        found = dict(self._inputs.bundle_versions.items())
        for name in self._definitions:
            try:
                body = await self._client.request("GET", f"{_DEFINITIONS}/{name}")
                definition = msgspec.json.decode(body, type=_Definition)
            except NotFound:
                found.pop(name, None)
            except (ClusterError, msgspec.DecodeError) as error:
                # An account may lack the right to read them; then nothing is said about their version.
                _log.info("the version of the Gateway API is not known", definition=name, error=str(error))
                return
            else:
                found[name] = definition.metadata.annotations.get(_VERSION, "")
        self._inputs.bundle_versions.replace(found)


def _now() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)
