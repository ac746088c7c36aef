"""What checks look at, each thing read once: the cluster's objects, its resolution, what AWS has in front."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import msgspec

from gatewright.aws.client import Aws
from gatewright.cluster import ApiError, NotFound
from gatewright.cluster.client import RawList
from gatewright.edge.front import Front, read_front
from gatewright.edge.snapshot import Snapshot, read_cluster
from gatewright.platform.verify.findings import CannotLookError
from gatewright.platform.verify.surroundings import Surroundings

Obj: TypeAlias = dict[str, Any]
"""An object of the cluster as its JSON says."""

T = TypeVar("T")


class View:
    """A platform as its checks see it. What several ask for is read once, when the first one does."""

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self._read: dict[tuple[str, ...], asyncio.Task[Any]] = {}

    async def close(self) -> None:
        """Let go of what is still being read."""
        for task in self._read.values():
            task.cancel()
        await asyncio.gather(*self._read.values(), return_exceptions=True)

    async def once(self, name: tuple[str, ...], read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, under a name: for the first who asks it is read, and kept for all others."""
        if name not in self._read:
            self._read[name] = asyncio.ensure_future(read())
        # Who doesn't wait any longer must not take it from the others.
        found: T = await asyncio.shield(self._read[name])
        return found

    async def cluster(self) -> Snapshot:
        """The Gateway API's objects and what follows from them."""
        return await self.once(("cluster",), lambda: read_cluster(self.surroundings.client))

    @property
    def aws(self) -> Aws:
        """AWS. Raises CannotLookError where there is none to ask."""
        if self.surroundings.aws is None:
            raise CannotLookError("no access to AWS was given")
        return self.surroundings.aws

    async def front(self) -> Front:
        """The load balancers of AWS. Raises CannotLookError where they can't be read."""
        front = await self.once(("front",), lambda: read_front(self.aws))
        if front.problem:
            raise CannotLookError(f"AWS can't be asked: {front.problem}")
        return front

    async def listed(self, api_version: str, plural: str) -> list[Obj] | None:
        """All objects of a kind; None where the cluster doesn't know it. CannotLookError where it is forbidden."""

        async def read() -> list[Obj] | None:
            try:
                body = await self.surroundings.client.request("GET", _path(api_version, plural))
            except NotFound:
                return None
            except ApiError as error:
                if error.status in (401, 403):
                    raise CannotLookError(f"{plural} can't be listed: {error}") from error
                raise
            items = msgspec.json.decode(body, type=RawList).items or ()
            return sorted((msgspec.json.decode(raw) for raw in items), key=name_of)

        return await self.once(("objects", api_version, plural), read)

    async def objects(self, api_version: str, plural: str) -> list[Obj]:
        """All objects of a kind, none where the cluster doesn't know it."""
        return await self.listed(api_version, plural) or []

    async def events(self, kind: str, name: str) -> list[Obj]:
        """The events about an object (`namespace/name`), the latest last."""
        found = await self.objects("v1", "events")
        about = [each for each in found if each.get("involvedObject", {}).get("kind") == kind]
        about = [each for each in about if name_of({"metadata": each["involvedObject"]}) == name]
        return sorted(about, key=lambda each: str(each.get("lastTimestamp") or each.get("eventTime") or ""))


def name_of(obj: Obj) -> str:
    """`namespace/name`, or the name of what is in no namespace."""
    metadata = obj.get("metadata") or {}
    namespace, name = metadata.get("namespace") or "", str(metadata.get("name") or "")
    return f"{namespace}/{name}" if namespace else name


def _path(api_version: str, plural: str) -> str:
    return f"/apis/{api_version}/{plural}" if "/" in api_version else f"/api/{api_version}/{plural}"
