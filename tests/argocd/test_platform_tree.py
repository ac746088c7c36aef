"""The real GitOps tree: each overlay, patched by its root Application, comes up in wave order and goes again."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
from pathlib import Path
from typing import Any

import pytest
from tests.argocd.stand import Stand, settled, stand
from tests.deploy.kustomizations import OUTPUTS, OVERLAYS, REPOSITORY, settings

from gatewright.cluster import ClusterError, Reflector
from gatewright.cluster.client import path_of
from gatewright.flow import Change, Flow, Source
from gatewright.local import tools
from gatewright.local.argocd import ArgoCD, install
from gatewright.local.argocd.application import APP_PROJECT, APPLICATION, Application
from gatewright.local.argocd.live import Live
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key
from gatewright.platform.gitops import root_application

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    tools.find("helm") is None or (tools.find("kubectl") or tools.find("kustomize")) is None,
    reason="the tree is built by Helm and kustomize",
)


class Cluster:
    """Stands for everything that makes objects healthy: says of each at once that it is."""

    KINDS = (
        ("apps/v1", "Deployment"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("gateway.networking.k8s.io/v1", "GatewayClass"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("gatewright.dev/v1alpha1", "EdgeBinding"),
    )

    def __init__(self, there: Stand) -> None:
        self.there = there
        self.tasks: set[asyncio.Task[None]] = set()
        self.stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> None:
        for api_version, name in self.KINDS:
            kind = find(api_version, name)
            assert kind, name
            source: Source[Key, Live] = Flow().source(name)
            source.subscribe(functools.partial(self._changed, kind))
            await self.stack.enter_async_context(Reflector(self.there.client, Live, source, kind=kind))

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()
        await asyncio.gather(*self.tasks)

    def _changed(self, kind: Kind, changes: list[Change[Key, Live]]) -> None:
        for change in changes:
            if change.new is not None and (change.old is None or change.old.mark() != change.new.mark()):
                task = asyncio.create_task(self._mark(kind, change.new))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    async def _mark(self, kind: Kind, live: Live) -> None:
        moment = "2026-11-22T00:00:00Z"
        conditions = [
            {
                "type": type_,
                "status": "True",
                "reason": type_,
                "message": "",
                "lastTransitionTime": moment,
                "observedGeneration": live.metadata.generation,
            }
            for type_ in ("Accepted", "Programmed", "ResolvedRefs", "Bound")
        ]
        status: dict[str, Any] = {"conditions": conditions}
        if kind.kind == "HTTPRoute":
            parents = (live.spec or {}).get("parentRefs") or ()
            told = {"controllerName": "example.com/controller", "conditions": conditions}
            status = {"parents": [{**told, "parentRef": parent} for parent in parents]}
        if kind.kind == "Deployment":
            replicas = (live.spec or {}).get("replicas", 1)
            names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
            status = {"observedGeneration": live.metadata.generation, **dict.fromkeys(names, replicas)}
        body = json.dumps({"status": status}).encode()
        path = path_of(kind, live.key, "status")
        with contextlib.suppress(ClusterError):  # it may have gone in the meantime
            await self.there.client.request("PATCH", path, body=body, content_type="application/merge-patch+json")


def waves(there: Stand) -> dict[str, int]:
    return {
        key.name: int(found.metadata.annotations.get("argocd.argoproj.io/sync-wave", "0"))
        for key, found in there.applications.items()
        if key.name != "platform"
    }


def summary(application: Application) -> tuple[str, str, str]:
    status = application.status
    state = status.get("operationState", {})
    told = "; ".join(f"{c['type']}: {c['message']}" for c in status.get("conditions", ()))
    health = status.get("health", {})
    return status.get("sync", {}).get("status", ""), health.get("status", ""), told or state.get("message", "")


@pytest.mark.parametrize("overlay", OVERLAYS)
async def test_an_overlay_comes_up_in_wave_order_and_goes_again(tmp_path: Path, overlay: str) -> None:
    async with stand(tmp_path) as there, ArgoCD(there.recorded, {REPOSITORY: ROOT}, pace=50) as argo, Cluster(there):
        for obj in install.manifests(ROOT / "deploy/gitops/argocd"):
            kind = APP_PROJECT if obj["kind"] == "AppProject" else None
            if obj["kind"] != "CustomResourceDefinition":
                await there.client.apply(obj, field_manager="install", kind=kind, strict=True)
        root = root_application(settings(overlay), OUTPUTS[overlay])
        await there.client.apply(root, field_manager="deploy", kind=APPLICATION, strict=True)
        try:
            await there.until(settled, "platform", 300)
            for name in waves(there):
                await there.until(settled, name)
        except AssertionError:
            raise AssertionError({key.name: summary(found) for key, found in there.applications.items()}) from None
        # Argo CD applies an Application only when those of the waves before it are healthy.
        order = [name.partition("/")[2] for name in there.done if name.startswith("Application/")]
        numbers = [waves(there)[name] for name in dict.fromkeys(order)]
        assert numbers == sorted(numbers)
        assert len(numbers) >= 9
        applied = len(there.done)
        await argo.idle()
        assert len(there.done) == applied
        await there.client.delete(APPLICATION, Key("argocd", "platform"))
        await there.gone("platform", 300)
        assert not list(there.applications.items())
        wave = dict(zip(dict.fromkeys(order), numbers, strict=True))
        gone = [name.rpartition("/")[2] for name in there.done if name.startswith("delete Application/")]
        assert [wave[name] for name in gone] == sorted(numbers, reverse=True)
