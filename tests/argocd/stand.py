"""An embedded API with the stand-in of Argo CD over a folder, and what tests do with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gatewright.cluster import Client, NotFound, Reflector
from gatewright.cluster.client import path_of
from gatewright.flow import Flow, Source
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.argocd import ArgoCD
from gatewright.local.argocd.application import APP_PROJECT, APPLICATION, FINALIZER, Application
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key

REPOSITORY = "https://git.example.com/platform.git"
PACE = 50.0
SECONDS = 60


class Recorded(Client):
    """A client that writes down what Argo CD applies, and deletes: kind and name, in order."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.done: list[str] = []

    async def apply(self, obj: Any, **options: Any) -> bytes:
        if not options.get("dry_run") and options.get("field_manager") == "argocd-controller":
            self.done.append(f"{obj['kind']}/{obj['metadata']['name']}")
        return await super().apply(obj, **options)

    async def delete(self, of: Any, key: Key, **options: Any) -> None:
        self.done.append(f"delete {of.kind}/{key.name}")
        await super().delete(of, key, **options)


class Stand:
    """What a test has."""

    def __init__(self, server: ApiServer, client: Client, recorded: Recorded, folder: Path) -> None:
        self.server = server
        self.client = client
        self.recorded = recorded
        self.folder = folder
        self.applications: Source[Key, Application] = Flow().source("applications")
        self.changed = asyncio.Event()
        self.applications.subscribe(lambda _: self.changed.set())

    @property
    def done(self) -> list[str]:
        """What was applied and deleted so far."""
        return self.recorded.done

    def argo(self, **options: Any) -> ArgoCD:
        """Argo CD over the folder."""
        return ArgoCD(self.recorded, {REPOSITORY: self.folder}, **{"pace": PACE, **options})

    def write(self, files: Mapping[str, Any]) -> None:
        """Put files into the repository: text, or objects that become YAML documents; None removes one."""
        for name, content in files.items():
            path = self.folder / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if not isinstance(content, str):
                content = "---\n".join(json.dumps(obj) + "\n" for obj in content)
            path.write_text(content)

    async def apply(self, obj: Mapping[str, Any]) -> None:
        """Apply an object as a person would."""
        kind = {"Application": APPLICATION, "AppProject": APP_PROJECT}.get(obj["kind"])
        await self.client.apply(obj, field_manager="person", kind=kind, strict=True)

    async def get(self, api_version: str, kind: str, name: str, namespace: str = "demo") -> dict[str, Any] | None:
        """A live object."""
        known = KINDS.get(kind) or find(api_version, kind)
        assert known
        key = Key(namespace if known.namespaced else "", name)
        try:
            found: dict[str, Any] = json.loads(await self.client.request("GET", path_of(known, key)))
        except NotFound:
            return None
        return found

    async def patch_status(self, api_version: str, kind: str, name: str, status: Mapping[str, Any]) -> None:
        """Write the status of a live object in `demo`."""
        known = find(api_version, kind)
        assert known
        await self.client.request(
            "PATCH",
            path_of(known, Key("demo", name), "status"),
            body=json.dumps({"status": status}).encode(),
            content_type="application/merge-patch+json",
        )

    async def until(
        self, holds: Callable[[dict[str, Any]], Any], name: str = "app", seconds: float = SECONDS
    ) -> dict[str, Any]:
        """The status of an Application, once `holds` is true of it."""
        key = Key("argocd", name)
        status: dict[str, Any] = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    self.changed.clear()
                    found = self.applications.get(key)
                    status = found.status if found else {}
                    if found is not None and holds(status):
                        return status
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"still {json.dumps(status, indent=1)}") from None

    async def gone(self, name: str = "app", seconds: float = SECONDS) -> None:
        """Return when there is no such Application."""
        async with asyncio.timeout(seconds):
            while self.applications.get(Key("argocd", name)) is not None:
                self.changed.clear()
                await self.changed.wait()

    async def sync(self, name: str = "app", **operation: Any) -> None:
        """Ask for a sync, as `argocd app sync` does."""
        await self.merge({"operation": {"sync": operation}}, name)

    async def merge(self, patch: Mapping[str, Any], name: str = "app") -> None:
        """Change an Application by a merge patch."""
        await self.client.request(
            "PATCH",
            path_of(APPLICATION, Key("argocd", name)),
            body=json.dumps(patch).encode(),
            content_type="application/merge-patch+json",
        )


KINDS: dict[str, Kind] = {"Application": APPLICATION, "AppProject": APP_PROJECT}


@asynccontextmanager
async def stand(folder: Path) -> AsyncIterator[Stand]:
    """An embedded API without Argo CD, with namespaces argocd and demo, and an empty repository."""
    folder = folder / "repository"
    folder.mkdir()
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Recorded.with_token(server.url, server.token, server.ca_certificate) as recorded,
    ):
        assert isinstance(recorded, Recorded)
        for name in ("argocd", "demo"):
            await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        there = Stand(server, client, recorded, folder)
        reflector = Reflector(client, Application, there.applications, kind=APPLICATION)
        async with reflector:
            yield there


def application(path: str = "app", name: str = "app", **spec: Any) -> dict[str, Any]:
    """An Application of project default that syncs by itself, prunes and heals."""
    source = {"repoURL": REPOSITORY, "path": path, **spec.pop("source", {})}
    given = {
        "project": "default",
        "source": source,
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "demo"},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        **spec,
    }
    metadata = {"name": name, "namespace": "argocd", "finalizers": [FINALIZER]}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": given}


def config_map(name: str, wave: int = 0, **data: str) -> dict[str, Any]:
    """A ConfigMap in a wave."""
    metadata: dict[str, Any] = {"name": name}
    if wave:
        metadata["annotations"] = {"argocd.argoproj.io/sync-wave": str(wave)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def deployment(name: str, wave: int = 0) -> dict[str, Any]:
    """A Deployment in a wave; nobody runs its pods."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/sync-wave": str(wave)}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "example.com/main:1"}]},
            },
        },
    }


AVAILABLE = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
"""The status of a Deployment whose pod is available."""


def settled(status: Mapping[str, Any]) -> bool:
    """Whether an Application is as it should be, and its sync is over."""
    return bool(
        status.get("sync", {}).get("status") == "Synced"
        and status.get("health", {}).get("status") == "Healthy"
        and status.get("operationState", {}).get("phase", "Succeeded") == "Succeeded"
    )
