"""Argo CD put into a cluster, and the root Application given to it; and both taken out again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from gatewright.cluster import Client, Conflict, NotFound
from gatewright.local import tools
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key
from gatewright.platform import objects, programs
from gatewright.platform.applications import NAMESPACE
from gatewright.platform.certificates import FIELD_MANAGER
from gatewright.platform.errors import PlatformError
from gatewright.platform.objects import APPLICATIONS, Json
from gatewright.platform.waiting import Patience, workloads_ready

_GROUP, _, _VERSION = APPLICATIONS.partition("/")
APPLICATION = Kind(_GROUP, _VERSION, "Application", "applications", "application")
_KINDS = {
    kind.kind: kind
    for kind in (
        APPLICATION,
        Kind(_GROUP, _VERSION, "AppProject", "appprojects", "appproject"),
    )
}
_ATTEMPTS = 6
_PAUSE_SECONDS = 5.0
_APPLIED_SECONDS = 300.0
CASCADE = "resources-finalizer.argocd.argoproj.io"
"""The finalizer by which the deletion of an Application deletes what it made, and waits for it."""


async def install(
    client: Client, kubeconfig: Path, gitops: Path, doing: Callable[[str], None], patience: Patience
) -> int:
    """Apply `deploy/gitops/argocd` and wait for its workloads; how many. Raises PlatformError."""
    kubectl = str(tools.need("kubectl", "to install Argo CD"))
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    apply = [kubectl, "apply", "--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}"]
    for attempt in range(_ATTEMPTS):
        doing("applying its manifests")
        ended = await programs.run(
            [*apply, "-k", str(gitops / "argocd")], environment=environment, limit=_APPLIED_SECONDS
        )
        if not ended.status:
            break
        # Kinds that the same manifests define aren't served at once.
        if "no matches for kind" not in ended.told or attempt == _ATTEMPTS - 1:
            raise programs.ProgramFailed(
                f"kubectl apply -k {gitops / 'argocd'}: status {ended.status}: {ended.told}",
                "the manifests name the upstream ones by URL, so this machine has to reach them",
            )
        await asyncio.sleep(_PAUSE_SECONDS)
    return len(await workloads_ready(client, NAMESPACE, doing, patience))


async def apply_all(client: Client, manifests: Iterable[Json]) -> int:
    """Apply objects, namespaces and definitions first; how many."""
    ordered = sorted(manifests, key=_order)
    for each in ordered:
        kind = find(each.get("apiVersion", ""), each.get("kind", "")) or _KINDS.get(each.get("kind", ""))
        if kind is None:
            raise PlatformError(f"{objects.label(each)}: {each.get('apiVersion')} isn't a kind that is known here")
        await _when_served(client, each, kind)
    return len(ordered)


async def give_root(client: Client, application: Json) -> None:
    """Apply the root Application."""
    await _when_served(client, application, APPLICATION)


async def root_stands(client: Client, application: Json) -> bool:
    """Whether the root Application is there with just this spec."""
    metadata = application["metadata"]
    found = await objects.read(client, APPLICATIONS, "applications", metadata["namespace"], metadata["name"])
    return found is not None and _contains(found.get("spec"), application.get("spec"))


async def delete_root(client: Client, name: str) -> bool:
    """Ask for the root Application's deletion, with all that it made; False where it isn't there."""
    found = await objects.read(client, APPLICATIONS, "applications", NAMESPACE, name)
    if found is None:
        return False
    for application in await objects.items(client, APPLICATIONS, "applications", NAMESPACE):
        await _cascading(client, application)
    try:
        await client.delete(APPLICATION, Key(NAMESPACE, name))
    except NotFound:
        return False
    return True


async def delete_application(client: Client, application: Json) -> None:
    """Ask for an Application's deletion, with all that it made."""
    metadata = application["metadata"]
    if metadata.get("deletionTimestamp"):
        return
    await _cascading(client, application)
    try:
        await client.delete(APPLICATION, Key(metadata["namespace"], metadata["name"]))
    except NotFound:
        return


async def _cascading(client: Client, application: Json) -> None:
    """See that an Application's deletion takes along what it made."""
    metadata = application["metadata"]
    finalizers = metadata.get("finalizers") or []
    if metadata.get("deletionTimestamp") or any(each.startswith(CASCADE) for each in finalizers):
        return
    patch: dict[str, Any] = {
        "metadata": {"finalizers": [*finalizers, CASCADE], "resourceVersion": metadata["resourceVersion"]}
    }
    try:
        await client.request(
            "PATCH",
            objects.path(APPLICATIONS, "applications", metadata["namespace"], metadata["name"]),
            body=msgspec.json.encode(patch),
            content_type="application/merge-patch+json",
        )
    except (NotFound, Conflict):
        return


async def _when_served(client: Client, manifest: Json, kind: Kind) -> None:
    """Apply an object as soon as its kind, which may have been defined just now, is served."""
    for attempt in range(_ATTEMPTS):
        try:
            await client.apply(manifest, field_manager=FIELD_MANAGER, kind=kind)
            return
        except NotFound:
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(0.5)


def _order(manifest: Json) -> int:
    first = ("Namespace", "CustomResourceDefinition")
    kind = manifest.get("kind", "")
    return first.index(kind) if kind in first else len(first)


def _contains(found: Any, wanted: Any) -> bool:
    """Whether `found` has all that is wanted; fields that others wrote don't matter."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_contains(found.get(name), each) for name, each in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(found) == len(wanted)
            and all(_contains(one, other) for one, other in zip(found, wanted, strict=True))
        )
    return bool(found == wanted)
