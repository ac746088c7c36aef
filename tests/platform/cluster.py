"""An embedded API with Argo CD's kinds, and Applications in it as their controller would have left them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.argocd.definitions import argo_definitions
from gatewright.platform import objects
from gatewright.platform.argocd import APPLICATION, apply_all
from gatewright.platform.waiting import Patience


async def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Rounds(Patience):
    """Patience that is measured in looks, however long they take: between two of them others do what they do."""

    look: float = 1.0
    still: float = 20.0
    broken: float = 10.0
    meanwhile: Callable[[], Awaitable[None]] = _nothing
    passed: list[float] = field(default_factory=list)

    def now(self) -> float:
        return sum(self.passed)

    async def pause(self) -> None:
        self.passed.append(self.look)
        await self.meanwhile()
        await asyncio.sleep(0.01)  # for what runs besides, as the collection of what a namespace holds


QUICK = Rounds()
SOURCE = {"repoURL": "https://git.example.com/platform.git", "path": "overlays/x", "targetRevision": "main"}


class Cluster:
    """An API and a client of its administrator's."""

    def __init__(self, client: Client, kubeconfig: Path) -> None:
        self.client, self.kubeconfig = client, kubeconfig

    async def put(self, *manifests: dict[str, Any]) -> None:
        """Apply objects, with their status where they have one of their own."""
        for manifest in manifests:
            status = manifest.get("status")
            kind = APPLICATION if manifest["kind"] == "Application" else None
            await self.client.apply(manifest, field_manager="test", kind=kind)
            if status and kind is None:
                await self.client.apply(manifest, field_manager="test", subresource="status")

    async def application(self, name: str, **options: Any) -> None:
        """Put an Application."""
        await self.put(application(name, **options))

    async def get(self, api_version: str, plural: str, namespace: str, name: str) -> dict[str, Any] | None:
        """An object as JSON."""
        return await objects.read(self.client, api_version, plural, namespace, name)

    async def patch(self, api_version: str, plural: str, namespace: str, name: str, change: Any) -> None:
        """Merge a change in."""
        await self.client.request(
            "PATCH",
            objects.path(api_version, plural, namespace, name),
            body=msgspec.json.encode(change),
            content_type="application/merge-patch+json",
        )


def application(
    name: str,
    *,
    wave: int = 0,
    sync: str = "Synced",
    health: str = "Healthy",
    phase: str = "Succeeded",
    message: str = "",
    conditions: tuple[tuple[str, str], ...] = (),
    resources: tuple[dict[str, Any], ...] = (),
    seen: bool = True,
    finalizers: tuple[str, ...] = (),
) -> dict[str, Any]:
    """An Application of Argo CD's, with a status."""
    status: dict[str, Any] = {
        "sync": {"status": sync, "comparedTo": {"source": SOURCE if seen else {**SOURCE, "path": "old"}}},
        "health": {"status": health},
        "resources": list(resources),
        "conditions": [{"type": kind, "message": text} for kind, text in conditions],
    }
    if phase:
        status["operationState"] = {
            "phase": phase,
            "message": message,
            "startedAt": "2026-11-22T00:00:00Z",
            "operation": {},
        }
    return {
        "apiVersion": objects.APPLICATIONS,
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": "argocd",
            "annotations": {"argocd.argoproj.io/sync-wave": str(wave)},
            **({"finalizers": list(finalizers)} if finalizers else {}),
        },
        "spec": {"project": "platform", "source": SOURCE, "destination": {"namespace": "argocd", "name": "in-cluster"}},
        "status": status,
    }


def resource(
    kind: str, name: str, *, group: str = "", version: str = "v1", namespace: str = "", health: str = "", sync: str = ""
) -> dict[str, Any]:
    """A line of `status.resources`."""
    found: dict[str, Any] = {"kind": kind, "name": name, "group": group, "version": version, "namespace": namespace}
    found["status"] = sync or "Synced"
    if health:
        found["health"] = {"status": health}
    return found


def child(name: str, health: str = "Healthy", sync: str = "Synced") -> dict[str, Any]:
    """A line of the root Application's `status.resources`."""
    return resource("Application", name, group="argoproj.io", version="v1alpha1", namespace="argocd", health=health)


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster of one's own, with the namespaces argocd and edge."""
    async with ApiServer(Store.memory()) as server:
        kubeconfig = folder / "cluster.kubeconfig"
        server.write_kubeconfig(kubeconfig)
        async with Client.connect(kubeconfig) as client:
            namespaces = [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in ("argocd", "edge")
            ]
            await apply_all(client, [*argo_definitions(), *namespaces])
            yield Cluster(client, kubeconfig)
