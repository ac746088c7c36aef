"""What the cluster holds of the kinds that Applications have: watched, and found by whose Application's it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from gatewright.cluster import Client, NotFound, Reflector
from gatewright.flow import Change, Flow, Source
from gatewright.local.argocd.builds import Cluster
from gatewright.local.argocd.resources import ResourceId, instance_of
from gatewright.model.kinds import Kind
from gatewright.model.meta import Key, Object


class Live(Object):
    """An object of any kind, as far as its health and its place in a comparison depend on it."""

    spec: Any = None
    status: Any = None

    def view(self, kind: Kind) -> dict[str, Any]:
        """The object as `health` reads it."""
        metadata = msgspec.to_builtins(self.metadata)
        return {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": metadata,
            "spec": self.spec,
            "status": self.status,
        }

    def mark(self) -> str:
        """Another one whenever something else than the status may have changed."""
        if not self.metadata.generation:
            return f"{self.metadata.uid} {self.metadata.resource_version}"
        kept = (self.metadata.generation, self.metadata.labels, self.metadata.annotations, self.metadata.finalizers)
        return f"{self.metadata.uid} {self.metadata.deletion_timestamp} {kept}"


class _Named(msgspec.Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool
    singular: str = msgspec.field(name="singularName", default="")
    verbs: tuple[str, ...] = ()


class _Resources(msgspec.Struct, frozen=True):
    resources: tuple[_Named, ...] = ()


class _Version(msgspec.Struct, frozen=True, rename="camel"):
    group_version: str = ""


class _Group(msgspec.Struct, frozen=True):
    versions: tuple[_Version, ...] = ()


class _Groups(msgspec.Struct, frozen=True):
    groups: tuple[_Group, ...] = ()


class Kinds:
    """Which kinds the cluster has. What was found once is believed; what wasn't is asked for again."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[tuple[str, str], Kind] = {}

    async def find(self, api_version: str, kind: str) -> Kind | None:
        """The kind of an `apiVersion` and a `kind`; None where the cluster doesn't have it."""
        found = self._known.get((api_version, kind))
        if found is None:
            for resource in await self._resources(api_version):
                if "/" not in resource.name:
                    self._known[api_version, resource.kind] = _kind(api_version, resource)
            found = self._known.get((api_version, kind))
        return found

    def forget(self) -> None:
        """Ask anew for all of them."""
        self._known.clear()

    async def cluster(self) -> Cluster:
        """What charts may ask of the cluster."""
        raw = await self._client.request("GET", "/apis")
        groups = msgspec.json.decode(raw, type=_Groups).groups
        versions = ["v1", *(version.group_version for group in groups for version in group.versions)]
        answers = await asyncio.gather(*(self._resources(version) for version in versions))
        kinds = [
            f"{version}/{resource.kind}"
            for version, resources in zip(versions, answers, strict=True)
            for resource in resources
            if "/" not in resource.name
        ]
        told = msgspec.json.decode(await self._client.request("GET", "/version"), type=dict[str, Any])
        return Cluster(str(told.get("gitVersion", "v1.30.0")).removeprefix("v"), (*versions, *kinds))

    async def _resources(self, api_version: str) -> tuple[_Named, ...]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            return msgspec.json.decode(await self._client.request("GET", path), type=_Resources).resources
        except NotFound:
            return ()


def _kind(api_version: str, resource: _Named) -> Kind:
    group, _, version = api_version.rpartition("/")
    return Kind(
        group=group,
        version=version,
        kind=resource.kind,
        plural=resource.name,
        singular=resource.singular or resource.kind.lower(),
        namespaced=resource.namespaced,
        served_versions=(version,),
    )


class LiveState:
    """The objects of every kind that was asked for. `changed` is called with the Applications whose objects changed."""

    def __init__(self, client: Client, changed: Callable[[str], None]) -> None:
        self._client = client
        self._changed = changed
        self._flow = Flow()
        self._stack = AsyncExitStack()
        self._watched: dict[tuple[str, str], tuple[Kind, Source[Key, Live], Reflector[Live]]] = {}

    async def __aenter__(self) -> LiveState:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def watch(self, kind: Kind) -> None:
        """Hold a kind's objects from now on; returns once they are there."""
        name = (kind.group, kind.kind)
        if name not in self._watched:
            source: Source[Key, Live] = self._flow.source(f"live {kind.plural}")
            reflector = Reflector(self._client, Live, source, kind=kind)
            self._watched[name] = (kind, source, reflector)
            source.subscribe(lambda changes: self._notice(kind, changes))
            await self._stack.enter_async_context(reflector)
        await self._watched[name][2].synced()

    def get(self, identity: ResourceId) -> Live | None:
        """An object; None where there is none."""
        found = self._watched.get((identity.group, identity.kind))
        return found[1].get(identity.key) if found else None

    def view(self, identity: ResourceId) -> dict[str, Any] | None:
        """An object as `health` reads it; None where there is none."""
        live = self.get(identity)
        return live.view(self.kind(identity)) if live is not None else None

    def kind(self, identity: ResourceId) -> Kind:
        """The kind of an object that was watched."""
        return self._watched[identity.group, identity.kind][0]

    def owner(self, identity: ResourceId) -> str:
        """The Application that an object is tracked as; empty for none."""
        live = self.get(identity)
        return self._instance(identity, live) if live is not None else ""

    def belonging(self, application: str) -> Iterator[tuple[ResourceId, Live]]:
        """All objects that are tracked as an Application's."""
        for (group, name), (_, source, _) in self._watched.items():
            for key, live in list(source.items()):
                identity = ResourceId(group, name, key)
                if self._instance(identity, live) == application:
                    yield identity, live

    def _notice(self, kind: Kind, changes: list[Change[Key, Live]]) -> None:
        for change in changes:
            identity = ResourceId(kind.group, kind.kind, change.key)
            for live in (change.old, change.new):
                if live is not None and (instance := self._instance(identity, live)):
                    self._changed(instance)

    @staticmethod
    def _instance(identity: ResourceId, live: Live) -> str:
        return instance_of({"metadata": {"annotations": live.metadata.annotations}}, identity)
