"""Finalizers: what keeps an object until a controller has cleaned up after it (Kubernetes concepts, "Finalizers").

Both raise `ClusterError`; `Conflict` where the object has changed since it was read, of which its watch will tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatewright.cluster import Client
from gatewright.model.meta import Object


async def add_finalizer(client: Client, obj: Object, name: str) -> bytes:
    """Keep an object; its JSON as it is stored then."""
    return await _set(client, obj, [*obj.metadata.finalizers, name])


async def remove_finalizer(client: Client, obj: Object, name: str) -> bytes:
    """Let an object go, as far as it is up to `name`; its JSON as it was stored last."""
    return await _set(client, obj, [each for each in obj.metadata.finalizers if each != name])


async def _set(client: Client, obj: Object, finalizers: Sequence[str]) -> bytes:
    metadata = {"resourceVersion": obj.metadata.resource_version, "finalizers": finalizers}
    return await client.patch(type(obj), obj.key, {"metadata": metadata})
