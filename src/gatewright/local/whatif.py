"""The objects of a cluster as they would be with manifests applied, and no cluster changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import msgspec

from gatewright.cluster import ApiError, Client, NotFound
from gatewright.flow import Source
from gatewright.local.ahead import LOAD_BALANCER_CLASSES
from gatewright.local.manifests import Manifests, Problem
from gatewright.local.refusals import refusals, unknown_kind
from gatewright.model.kinds import find, kind_of
from gatewright.model.meta import Key, Object

Sources: TypeAlias = Mapping[type[Object], Source[Key, Any]]
"""Where the objects of each kind go."""

_FIELD_MANAGER = "gatewright-plan"


async def read(client: Client, sources: Sources) -> None:
    """Fill the sources with a cluster's objects. A kind that it doesn't have is one without. Raises `ClusterError`."""

    async def found(type_: type[Object]) -> list[Any]:
        try:
            return await client.list(type_)
        except NotFound:
            return []

    objects = await asyncio.gather(*map(found, sources))
    for source, each in zip(sources.values(), objects, strict=True):
        source.replace({obj.key: obj for obj in each})


async def overlay(client: Client, manifests: Manifests, sources: Sources) -> list[Problem]:
    """Put the objects of manifests over those of the cluster in `sources`, as its API says that they would be.

    The API is asked to apply them in a dry run. Returns what it refuses. Raises `ClusterError`.
    """
    kinds = {(kind.group, kind.kind): type_ for type_ in sources for kind in (kind_of(type_),)}
    problems: list[Problem] = []
    for manifest in manifests.objects:
        kind = find(manifest.api_version, manifest.kind)
        if kind is None:
            problems.append(Problem(manifest.where("kind"), manifest.subject, unknown_kind(manifest)))
            continue
        type_ = kinds.get((kind.group, kind.kind))
        if type_ is None:
            continue
        content = manifest.content
        if kind.namespaced and not manifest.key.namespace:
            content = {**content, "metadata": {**content["metadata"], "namespace": client.namespace}}
        try:
            answer = await client.apply(content, field_manager=_FIELD_MANAGER, kind=kind, strict=True, dry_run=True)
        except ApiError as error:
            problems += refusals(manifest, error)
        else:
            obj = msgspec.json.decode(answer, type=type_)
            sources[type_].set(obj.key, obj)
    return problems


@asynccontextmanager
async def cluster_of(manifests: Manifests) -> AsyncIterator[tuple[Client, list[Problem]]]:
    """A cluster that has the objects of manifests and no others, with what its API refuses of them.

    There are the GatewayClasses that a local edge offers, too.
    """
    # Imported here since who has a cluster has no need of them.
    from gatewright.local.apiserver import ApiServer, Store
    from gatewright.local.apply import Applier
    from gatewright.local.infrastructure import CLASSES

    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        for name, controller in {**CLASSES, **LOAD_BALANCER_CLASSES}.items():
            await client.apply(_gateway_class(name, controller), field_manager=_FIELD_MANAGER)
        problems, _ = await Applier(client).update(manifests)
        yield client, problems


def _gateway_class(name: str, controller: str) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": name},
        "spec": {"controllerName": controller},
    }
