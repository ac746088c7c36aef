"""Finalizers: what keeps an object until a controller has cleaned up after it (Kubernetes concepts, "Finalizers").

An object that has changed since it was read is read again, so that what others wrote at the same time, a status for
instance, is no reason to try later. Both raise `ClusterError`: `NotFound` where the object is gone, `Conflict` where
another one has its name, or where one that is to be kept is being deleted.
"""

from __future__ import annotations

from collections.abc import Callable

from gatewright.cluster import Client, Conflict
from gatewright.model.meta import Object


async def add_finalizer(client: Client, obj: Object, name: str) -> bytes:
    """Keep an object; its JSON as it is stored then."""
    return await _set(client, obj, lambda before: [*(each for each in before if each != name), name], keep=True)


async def remove_finalizer(client: Client, obj: Object, name: str) -> bytes:
    """Let an object go, as far as it is up to `name`; its JSON as it was stored last."""
    return await _set(client, obj, lambda before: [each for each in before if each != name], keep=False)


async def _set(client: Client, obj: Object, change: Callable[[list[str]], list[str]], *, keep: bool) -> bytes:
    uid = obj.metadata.uid
    while True:
        version, finalizers = obj.metadata.resource_version, change(list(obj.metadata.finalizers))
        try:
            return await client.patch(
                type(obj), obj.key, {"metadata": {"resourceVersion": version, "finalizers": finalizers}}
            )
        except Conflict:
            obj = await client.get(type(obj), obj.key)
            if obj.metadata.uid != uid or obj.metadata.resource_version == version or (keep and obj.deleting):
                raise
