"""Keeps a flow source equal to a kind's objects in the cluster: list, then watch, for as long as it runs."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any, Generic, Literal, TypeVar

import msgspec
import structlog

from gatewright.cluster.client import Client, RawList, path_of
from gatewright.cluster.errors import ApiError, ClusterError, Gone, NotFound
from gatewright.flow import Source
from gatewright.model.kinds import Kind, kind_of
from gatewright.model.meta import Key, ObjectMeta
from gatewright.model.meta import Object as AnyObject

T = TypeVar("T", bound=AnyObject)

_log = structlog.get_logger(__name__)

_PAGE = 500
_LONGEST_PAUSE = 30.0  # seconds
_MISSING_PAUSE = 5.0  # seconds, at most, until a kind that the cluster doesn't have is asked for again


class _Event(msgspec.Struct, frozen=True):
    type: Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"]
    object: msgspec.Raw


_decode_event = msgspec.json.Decoder(_Event).decode


class _Identity(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


class Reflector(Generic[T]):
    """Lists and watches one kind into `source`; survives disconnects, expired resourceVersions and server restarts.

    A kind that the cluster doesn't have is one without objects, and is picked up when it appears. One that goes while
    it has objects is believed gone after `patience` seconds.

    An object that does not decode is left out and logged; the others go on. All events that arrive together are one
    batch of the flow. `kind` is what to watch where `type_` is another view of it than the model's own type.
    """

    def __init__(
        self,
        client: Client,
        type_: type[T],
        source: Source[Key, T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        kind: Kind | None = None,
        patience: float = _LONGEST_PAUSE,
    ) -> None:
        self._client = client
        self._source = source
        self._kind = kind or kind_of(type_)
        self._path = path_of(self._kind, Key(namespace, ""))
        selectors = {"labelSelector": label_selector, "fieldSelector": field_selector}
        self._selectors = {name: value for name, value in selectors.items() if value}
        self._decoder = msgspec.json.Decoder(type_)
        self._version = ""  # the resourceVersion that the source has reached; empty: list first
        self._listed = ""
        self._moved = asyncio.Event()
        self._synced = asyncio.Event()
        self._missing = 0.0  # since when, in the loop's time, the cluster has not had the kind; 0: it has
        self._patience = patience
        self._task: asyncio.Task[None] | None = None

    async def synced(self) -> None:
        """Return once the source has held the cluster's state for the first time."""
        await self._synced.wait()

    async def caught_up(self) -> None:
        """Return once the source holds every object as the cluster holds it at the time of the call, or newer.

        Versions of one kind are numbers that grow (Kubernetes API concepts, "Resource versions").
        """
        newest = 0
        try:
            async for raw in self._pages():
                version = msgspec.json.decode(raw, type=_Identity).metadata.resource_version
                newest = max(newest, _number(version))
        except NotFound:
            return
        while not self._version or _number(self._version) < newest:
            self._moved.clear()
            await self._moved.wait()

    async def __aenter__(self) -> Reflector[T]:
        self._task = asyncio.create_task(self.run(), name=f"watch {self._kind.plural}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def run(self) -> None:
        """Reflect until cancelled."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                    self._missing = 0.0
                    self._synced.set()
                before = self._version
                await self._watch()
                failures = 0 if self._version != before else failures + 1
            except Gone:
                self._version = ""
                continue
            except NotFound as error:
                failures += 1
                self._version = ""
                self._note_missing(error)
            except ClusterError as error:
                failures += 1
                if isinstance(error, ApiError):
                    self._version = ""
                _log.warning("watch interrupted", kind=self._kind.kind, error=str(error))
            if failures:
                # Full jitter, so that many watches don't return to a recovering server at once.
                longest = _MISSING_PAUSE if self._missing else _LONGEST_PAUSE
                await asyncio.sleep(random.uniform(0, min(longest, 0.05 * 2**failures)))  # noqa: S311

    def _note_missing(self, error: NotFound) -> None:
        """The cluster has no such kind; objects that were there go only when that lasts, in case it is a hiccup."""
        now = asyncio.get_running_loop().time()
        if not self._missing:
            self._missing = now
            _log.info("the cluster does not have the kind", kind=self._kind.kind, error=str(error))
        if len(self._source) and now - self._missing >= self._patience:
            self._source.replace({})
        self._synced.set()

    async def _list(self) -> None:
        found: dict[Key, T] = {}
        async for raw in self._pages():
            obj = self._decode(raw)
            if obj is not None:
                found[obj.key] = obj
        self._source.replace(found)
        self._reach(self._listed)

    async def _pages(self) -> AsyncIterator[msgspec.Raw]:
        """Every object as JSON; `_listed` is then the version of the whole."""
        parameters = {**self._selectors, "limit": str(_PAGE)}
        while True:
            page = msgspec.json.decode(await self._client.request("GET", self._path, parameters), type=RawList)
            for raw in page.items or ():
                yield raw
            if not page.metadata.continue_:
                self._listed = page.metadata.resource_version
                return
            parameters["continue"] = page.metadata.continue_

    def _reach(self, version: str) -> None:
        self._version = version
        self._moved.set()

    async def _watch(self) -> None:
        """Apply events as they come, until the server ends the watch."""
        parameters = {
            **self._selectors,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
        }
        rest = b""
        async with self._client.stream(self._path, parameters) as chunks:
            async for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                with self._source.batch():
                    for line in lines:
                        if line:
                            self._take(_decode_event(line))

    def _take(self, event: _Event) -> None:
        if event.type == "ERROR":
            raise ApiError.parse(0, bytes(event.object))
        obj = self._decode(event.object) if event.type in ("ADDED", "MODIFIED") else None
        if obj is not None:
            self._source.set(obj.key, obj)
            self._reach(obj.metadata.resource_version)
            return
        metadata = msgspec.json.decode(event.object, type=_Identity).metadata
        if event.type != "BOOKMARK":
            self._source.delete(metadata.key)
        self._reach(metadata.resource_version)

    def _decode(self, raw: msgspec.Raw) -> T | None:
        try:
            return self._decoder.decode(raw)
        except msgspec.DecodeError as error:
            _log.warning("object left out: it can't be read", kind=self._kind.kind, error=str(error))
            return None


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0


class Reflectors:
    """Several that belong together, entered once each has listed: nothing is judged by half of the objects."""

    def __init__(self, *reflectors: Reflector[Any]) -> None:
        self._reflectors = reflectors
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Reflectors:
        async with contextlib.AsyncExitStack() as stack:
            for reflector in self._reflectors:
                await stack.enter_async_context(reflector)
            await asyncio.gather(*(reflector.synced() for reflector in self._reflectors))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def caught_up(self) -> None:
        """Return once the sources hold what the cluster holds at the time of the call."""
        await asyncio.gather(*(reflector.caught_up() for reflector in self._reflectors))
