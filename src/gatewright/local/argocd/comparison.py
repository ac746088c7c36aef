"""Whether the cluster has what is wanted: by what a server-side apply would make of each object."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from gatewright.cluster import ApiError, Client, NotFound
from gatewright.cluster.client import path_of
from gatewright.local.argocd.application import IgnoreDifferences
from gatewright.local.argocd.live import LiveState
from gatewright.local.argocd.operations import concerns
from gatewright.local.argocd.resources import Resource, ResourceId

FIELD_MANAGER: Final = "argocd-controller"
"""Who applies, as the API server is told."""

_NOISE: Final = ("managedFields", "resourceVersion", "generation", "creationTimestamp")


class Comparison:
    """Compares by a dry run; what was compared once is remembered until either side changes."""

    def __init__(self, client: Client, live: LiveState) -> None:
        self._client = client
        self._live = live
        self._known: dict[ResourceId, tuple[bytes, str, bool]] = {}

    async def synced(self, resource: Resource, ignored: Iterable[IgnoreDifferences]) -> bool:
        """Whether an apply would change nothing. An apply that would be refused counts as a difference."""
        live = self._live.get(resource.id)
        if live is None:
            self._known.pop(resource.id, None)
            return False
        rules = [rule for rule in ignored if concerns(rule, resource.id)]
        wanted = msgspec.json.encode((resource.content, rules), order="sorted")
        mark = live.mark()
        known = self._known.get(resource.id)
        if known is not None and known[:2] == (wanted, mark):
            return known[2]
        same = await self._compare(resource, rules)
        self._known[resource.id] = (wanted, mark, same)
        return same

    def forget(self) -> None:
        """Compare everything anew."""
        self._known.clear()

    async def _compare(self, resource: Resource, rules: Iterable[IgnoreDifferences]) -> bool:
        try:
            found = await self._client.request("GET", path_of(resource.kind, resource.key))
            predicted = await self._client.apply(
                resource.content, field_manager=FIELD_MANAGER, kind=resource.kind, dry_run=True
            )
        except NotFound:
            return False
        except ApiError as error:
            if error.status >= 500:
                raise
            return False
        pointers = [pointer for rule in rules for pointer in rule.json_pointers]
        return not differ(msgspec.json.decode(found), msgspec.json.decode(predicted), pointers)


def differ(live: Mapping[str, Any], predicted: Mapping[str, Any], pointers: Iterable[str] = ()) -> bool:
    """Whether two states of an object differ in what people write, apart from the fields at JSON pointers."""
    sides = [_bare(live), _bare(predicted)]
    for pointer in pointers:
        for side in sides:
            _remove(side, [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]])
    return sides[0] != sides[1]


def _bare(obj: Mapping[str, Any]) -> dict[str, Any]:
    bare = copy.deepcopy({name: value for name, value in obj.items() if name != "status"})
    bare["metadata"] = {name: value for name, value in bare.get("metadata", {}).items() if name not in _NOISE}
    return bare


def _remove(value: Any, path: list[str]) -> None:
    if not path:
        return
    *parents, last = path
    for part in parents:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return
    if isinstance(value, dict):
        value.pop(last, None)
    elif isinstance(value, list) and last.isdigit() and int(last) < len(value):
        del value[int(last)]
