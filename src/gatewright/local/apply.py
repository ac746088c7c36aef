"""Applies manifests to the embedded API, and keeps it in step with the files while they are edited."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from watchfiles import awatch

from gatewright.cluster import ApiError, Client, ClusterError, NotFound
from gatewright.flow import Source
from gatewright.local.manifests import Manifest, Manifests, Problem, load
from gatewright.local.refusals import refusals, unknown_kind
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key

FIELD_MANAGER = "gatewright-up"

ObjectId: TypeAlias = tuple[str, str, Key]
"""API group, kind and key."""

# What others need comes first; everything else is applied together.
_ORDER = {"CustomResourceDefinition": 0, "Namespace": 1, "GatewayClass": 2}
_LAST = 3
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CONCURRENCY = 16
_MISSING_NAMESPACE = re.compile(r'^namespaces "[^"]*" not found')


class _Resource(msgspec.Struct, frozen=True):
    name: str
    kind: str
    namespaced: bool


class _Resources(msgspec.Struct, frozen=True):
    resources: tuple[_Resource, ...] = ()


class Applier:
    """Applies manifests by server-side apply, strictly: an unknown field is a problem.

    Remembers what it applied, so that `update` deletes the objects that the files no longer hold. `given` is kept to be
    the kinds and keys of the objects that the files hold.
    """

    def __init__(self, client: Client, given: Source[tuple[str, Key], bool] | None = None) -> None:
        self._client = client
        self._given = given
        self._applied: dict[ObjectId, tuple[Manifest, Kind]] = {}
        self._places: dict[tuple[str, Key], Manifest] = {}

    async def update(self, manifests: Manifests) -> tuple[list[Problem], list[str]]:
        """Bring the API from the last manifests to these. Returns the problems and what was done, a line each.

        An object is deleted only when its file was read without a problem, so that a typing error deletes nothing.
        """
        problems: list[Problem] = []
        done: list[str] = []
        for phase in sorted({_phase(manifest) for manifest in manifests.objects}):
            slots = asyncio.Semaphore(_CONCURRENCY)
            members = [manifest for manifest in manifests.objects if _phase(manifest) == phase]
            await asyncio.gather(*(self._apply(manifest, slots, problems, done) for manifest in members))
        if manifests.broken:
            # A Namespace that is missing is probably in the file that can't be read, which is reported.
            problems = [problem for problem in problems if not _MISSING_NAMESPACE.search(problem.message)]
        present = {_identity(manifest) for manifest in manifests.objects}
        gone = [
            (identity, manifest, kind)
            for identity, (manifest, kind) in self._applied.items()
            if identity not in present and manifest.file not in manifests.broken
        ]
        for identity, manifest, kind in reversed(gone):
            try:
                await self._client.delete(kind, _key(manifest, kind))
            except NotFound:
                pass
            except ClusterError as error:
                problems.append(Problem(manifest.where(), manifest.subject, f"could not be deleted: {error}"))
                continue
            del self._applied[identity]
            self._places.pop((manifest.kind, _key(manifest, kind)), None)
            if self._given is not None:
                self._given.delete((manifest.kind, _key(manifest, kind)))
            done.append(f"{manifest.subject} deleted")
        return sorted(problems, key=_place), sorted(done)

    def where(self, kind: str, key: Key, field: str = "") -> str:
        """`file:line` of a field of an object that was applied; empty for an object that no file holds."""
        found = self._places.get((kind, key))
        return found.where(field) if found else ""

    async def _apply(
        self, manifest: Manifest, slots: asyncio.Semaphore, problems: list[Problem], done: list[str]
    ) -> None:
        identity = _identity(manifest)
        before = self._applied.get(identity)
        if before and before[0].content == manifest.content:
            # Its lines may have moved.
            self._applied[identity] = (manifest, before[1])
            self._places[manifest.kind, _key(manifest, before[1])] = manifest
            return
        async with slots:
            try:
                kind = await self._kind(manifest)
                if kind is None:
                    problems.append(Problem(manifest.where("kind"), manifest.subject, unknown_kind(manifest)))
                    return
                key = _key(manifest, kind)
                if self._given is not None:
                    self._given.set((manifest.kind, key), True)
                await self._client.apply(_content(manifest, key), field_manager=FIELD_MANAGER, kind=kind, strict=True)
            except ApiError as error:
                problems.extend(refusals(manifest, error))
            except ClusterError as error:
                problems.append(Problem(manifest.where(), manifest.subject, str(error)))
            else:
                self._applied[identity] = (manifest, kind)
                self._places[manifest.kind, key] = manifest
                done.append(f"{manifest.subject} {'configured' if before else 'created'}")

    async def _kind(self, manifest: Manifest) -> Kind | None:
        """The kind, from our own table or, for one that a CustomResourceDefinition adds, from the API."""
        known = find(manifest.api_version, manifest.kind)
        if known:
            return known
        group, _, version = manifest.api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        try:
            found = msgspec.json.decode(await self._client.request("GET", path), type=_Resources)
        except NotFound:
            return None
        for resource in found.resources:
            if resource.kind == manifest.kind and "/" not in resource.name:
                return Kind(
                    group=group,
                    version=version,
                    kind=manifest.kind,
                    plural=resource.name,
                    singular=manifest.kind.lower(),
                    namespaced=resource.namespaced,
                )
        return None


async def changes(paths: Iterable[str | Path], manifests: Manifests) -> AsyncIterator[Manifests]:
    """The manifests at `paths`, read anew after each burst of edits to what they came from."""
    paths = list(paths)
    watched = {file for file in manifests.files if file.exists()}
    # A folder covers what is in it. A single file is watched through its folder, since editors replace files.
    folders = {file if file.is_dir() else file.parent for file in watched}
    if not folders:
        return
    names = {file.resolve() for file in watched}

    def concerns(_: object, changed: str) -> bool:
        path = Path(changed).resolve()
        return path in names or any(name.is_dir() and name in path.parents for name in names)

    first = True
    # A time-out ends the first wait: by then the watch runs, and what was edited before it did is found by reading.
    async for changed in awatch(
        *folders, watch_filter=concerns, debounce=100, step=20, rust_timeout=500, yield_on_timeout=True
    ):
        if changed or first:
            first = False
            fresh = await asyncio.to_thread(load, paths, manifests)
            if fresh != manifests:
                manifests = fresh
                yield fresh


def _content(manifest: Manifest, key: Key) -> dict[str, Any]:
    """What to apply: with its namespace, and with kubectl's record of it, so that `kubectl apply` can take over."""
    metadata = {name: value for name, value in manifest.content["metadata"].items() if name != "namespace"}
    if key.namespace:
        metadata["namespace"] = key.namespace
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != _LAST_APPLIED}
    content = {**manifest.content, "metadata": {**metadata, "annotations": annotations}}
    record = msgspec.json.encode(content, order="sorted").decode() + "\n"
    return {**content, "metadata": {**metadata, "annotations": {**annotations, _LAST_APPLIED: record}}}


def _place(problem: Problem) -> tuple[str, int, str]:
    file, _, line = problem.where.rpartition(":")
    return (file, int(line), problem.message) if file and line.isdigit() else (problem.where, 0, problem.message)


def _phase(manifest: Manifest) -> int:
    return _ORDER.get(manifest.kind, _LAST)


def _identity(manifest: Manifest) -> ObjectId:
    return manifest.api_version.rpartition("/")[0], manifest.kind, manifest.key


def _key(manifest: Manifest, kind: Kind) -> Key:
    return Key((manifest.key.namespace or "default") if kind.namespaced else "", manifest.key.name)
