"""Events of the objects that ask for names and certificates; each is told once, and again when it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatewright.cluster import Client
from gatewright.edge.events import Events
from gatewright.model.meta import Object
from gatewright.resolve import Inputs
from gatewright.resolve.inputs import ObjectId

Said = tuple[str, str]
"""A reason and a message."""


class Telling:
    """Tells objects of the cluster what becomes of what they ask for."""

    def __init__(self, client: Client, inputs: Inputs, topic: str) -> None:
        self._events = Events(client, "gatewright")
        self._sources = {type_.__name__: source for type_, source in inputs.by_type.items()}
        self._topic = topic
        self._warned: dict[ObjectId, Object] = {}

    async def warn(self, said: Mapping[ObjectId, set[Said]]) -> None:
        """Make `said` all that is wrong: what is new is told, and may be told again once it was not the case."""
        for id_ in self._warned.keys() - said.keys():
            about = self._warned.pop(id_)
            await self._events.tell(about, self._topic, set())
            if self._find(id_) is None:
                self._events.forget(about)
        for id_, texts in sorted(said.items()):
            found = self._find(id_)
            if found:
                self._warned[id_] = found
                await self._events.tell(found, self._topic, texts)

    async def say(self, ids: Iterable[ObjectId], said: Said) -> None:
        """Tell objects that something has been done."""
        for id_ in ids:
            about = self._find(id_)
            if about:
                await self._events.tell(about, f"{self._topic} done", {said}, "Normal")

    def _find(self, id_: ObjectId) -> Object | None:
        kind, key = id_
        found: Object | None = self._sources[kind].get(key) if kind in self._sources else None
        return found


def collected(texts: Iterable[tuple[ObjectId, Said]]) -> dict[ObjectId, set[Said]]:
    """What is said of each object."""
    found: dict[ObjectId, set[Said]] = {}
    for id_, said in texts:
        found.setdefault(id_, set()).add(said)
    return found
