"""An operation ends before another begins, and before its Application goes: what Argo CD's autoSync and its operation
queue do. What `deploy` and `destroy` do about it is tried here as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.argocd.stand import AVAILABLE, Stand, application, config_map, deployment, settled, stand

from gatewright.local.argocd.application import APPLICATION
from gatewright.model.apps import Deployment
from gatewright.model.core import ConfigMap
from gatewright.model.meta import Key
from gatewright.platform import argocd, objects
from gatewright.platform.applications import read_application
from gatewright.platform.objects import APPLICATIONS
from gatewright.platform.waiting import Patience, applications_ready, free

TERMINATING = {"status": {"operationState": {"phase": "Terminating"}}}
SELF = "https://kubernetes.default.svc"


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path) as found:
        yield found


def waits(status: dict[str, Any]) -> bool:
    return bool(status.get("operationState", {}).get("message", "").startswith("waiting for healthy state"))


def _child(path: str, name: str, wave: int) -> dict[str, Any]:
    child = application(path, name)
    child["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": str(wave)}
    return child


async def _root_that_hangs(there: Stand) -> None:
    """A root Application whose sync waits for child `one`, whose own sync waits; folder `right` would do."""
    there.write(
        {
            "wrong/children.yaml": [_child("hangs", "one", 0), _child("fine", "two", 1)],
            "right/children.yaml": [_child("fine", "one", 0), _child("fine2", "two", 1)],
            "hangs/all.yaml": [deployment("d"), config_map("after", 1)],
            "fine/a.yaml": [config_map("a")],
            "fine2/b.yaml": [config_map("b")],
        }
    )
    settings = config_map("argocd-cm")
    settings["data"] = {"resource.customizations.health.argoproj.io_Application": "return {}"}
    settings["metadata"]["namespace"] = "argocd"
    await there.apply(settings)
    await there.apply(_root("wrong"))
    await there.until(waits)
    await there.until(waits, "one")
    assert there.done == ["Application/one", "Deployment/d"]


def _root(path: str) -> dict[str, Any]:
    return application(path, destination={"server": SELF, "namespace": "argocd"})


async def test_a_changed_root_is_taken_only_when_the_sync_of_the_former_one_has_ended(there: Stand) -> None:
    async with there.argo() as argo:
        await _root_that_hangs(there)
        await there.apply(_root("right"))
        status = await there.until(lambda s: s["sync"]["comparedTo"]["source"]["path"] == "right")
        await argo.idle()
        assert status["sync"]["status"] == "OutOfSync"
        assert status["operationState"]["phase"] == "Running"
        assert status["operationState"]["syncResult"]["source"]["path"] == "wrong"
        assert there.done == ["Application/one", "Deployment/d"]
        await there.merge(TERMINATING)
        # The child was given another source by that, and goes on with its own former sync as well.
        await there.until(lambda s: s["operationState"]["syncResult"]["source"]["path"] == "right" and waits(s))
        await argo.idle()
        assert there.done == ["Application/one", "Deployment/d", "Application/one"]
        await there.merge(TERMINATING, "one")
        await there.until(settled)
        assert await there.get("v1", "ConfigMap", "b") is not None
        assert await there.get("apps/v1", "Deployment", "d") is None  # pruned


async def test_deploy_puts_right_what_hangs(there: Stand) -> None:
    async with there.argo():
        await _root_that_hangs(there)
        await argocd.give_root(there.client, _root("right"))
        patience = Patience(look=0.02, still=60, broken=60)
        await applications_ready(there.client, "app", lambda _: None, patience)
        assert await there.get("v1", "ConfigMap", "b") is not None


async def test_destroy_frees_what_a_failed_deploy_left(there: Stand) -> None:
    async with there.argo() as argo:
        await _root_that_hangs(there)
        await argocd.delete_root(there.client, "app")
        await argo.idle()
        assert not [line for line in there.done if line.startswith("delete")]
        async with asyncio.timeout(60):
            while left := await objects.items(there.client, APPLICATIONS, "applications", "argocd"):
                await free(there.client, map(read_application, left))
                await asyncio.sleep(0.02)
        assert await there.get("apps/v1", "Deployment", "d") is None


async def test_a_sync_goes_on_with_the_revision_that_it_was_begun_with(there: Stand) -> None:
    there.write({"app/all.yaml": [deployment("d"), config_map("after", 1, colour="red")]})
    seen: list[str] = []
    async with there.argo() as argo:
        await there.apply(application())
        first = await there.until(waits)
        there.write({"app/all.yaml": [deployment("d"), config_map("after", 1, colour="green"), config_map("new")]})
        await there.until(lambda s: s["sync"]["revision"] != first["sync"]["revision"])
        await there.sync()  # is asked for in vain while one runs
        await argo.idle()
        assert there.done == ["Deployment/d"]
        source = there.applications
        source.subscribe(lambda _: seen.append(source.get(Key("argocd", "app")).status["operationState"]["phase"]))  # type: ignore[union-attr]
        await there.patch_status("apps/v1", "Deployment", "d", AVAILABLE)
        status = await there.until(lambda s: settled(s) and len(s["history"]) == 2)
        assert there.done[1] == "ConfigMap/after"
        assert "ConfigMap/new" in there.done[2:]
        assert "Succeeded" in seen
        assert status["history"][0]["revision"] == first["sync"]["revision"]
        assert status["history"][1]["revision"] == status["sync"]["revision"] != first["sync"]["revision"]
        live = await there.get("v1", "ConfigMap", "after")
        assert live
        assert live["data"] == {"colour": "green"}


async def test_an_application_is_taken_down_when_its_sync_has_ended(there: Stand) -> None:
    there.write({"app/all.yaml": [deployment("d"), config_map("after", 1)]})
    async with there.argo() as argo:
        await there.apply(application())
        await there.until(waits)
        await there.client.delete(APPLICATION, Key("argocd", "app"))
        await argo.idle()
        assert there.done == ["Deployment/d"]
        await there.patch_status("apps/v1", "Deployment", "d", AVAILABLE)
        await there.gone()
        assert there.done == ["Deployment/d", "ConfigMap/after", "delete ConfigMap/after", "delete Deployment/d"]


async def test_no_sync_begins_for_an_application_that_is_to_go(there: Stand) -> None:
    there.write({"app/all.yaml": [config_map("a")]})
    async with there.argo():
        pass  # the kinds are there from now on
    await there.apply(application())
    await there.client.delete(APPLICATION, Key("argocd", "app"))
    async with there.argo():
        await there.gone()
        assert there.done == []


async def test_a_sync_that_is_told_to_end_while_something_is_applied_ends(
    there: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    there.write({"app/all.yaml": [config_map("a"), deployment("d", 1), config_map("after", 2)]})
    apply = there.recorded.apply

    async def interrupted(obj: Any, **options: Any) -> bytes:
        if obj["kind"] == "Deployment" and not options.get("dry_run"):
            await there.merge(TERMINATING)
        return await apply(obj, **options)

    monkeypatch.setattr(there.recorded, "apply", interrupted)
    async with there.argo():
        await there.apply(application())
        status = await there.until(lambda s: s.get("operationState", {}).get("phase") == "Failed")
        assert status["operationState"]["message"] == "Operation terminated"
        done = [entry["name"] for entry in status["operationState"]["syncResult"]["resources"]]
        assert done == ["a", "d"]  # what was done isn't forgotten
        # The same isn't tried again by itself.
        status = await there.until(lambda s: any(c["type"] == "SyncError" for c in s.get("conditions", ())))
        assert there.done == ["ConfigMap/a", "Deployment/d"]


@pytest.mark.parametrize("refresh", [False, True])
async def test_a_retry_is_of_the_same_revision_unless_it_is_to_be_of_the_newest(there: Stand, refresh: bool) -> None:
    there.write({"app/a.yaml": [{**config_map("a"), "dta": {}}]})
    retry = {"limit": 1, "refresh": refresh, "backoff": {"duration": "50000s", "maxDuration": "50000s"}}
    async with there.argo() as argo:
        await there.apply(application(syncPolicy={"automated": {}, "retry": retry}))
        status = await there.until(lambda s: s.get("operationState", {}).get("retryCount") == 1)
        state = status["operationState"]
        assert state["phase"] == "Running"
        assert "finishedAt" in state  # it rests
        assert state["message"].endswith(". Retrying attempt #1 in 50000 s.")
        there.write({"app/a.yaml": [config_map("a")]})
        argo._operating._due.clear()  # as if those had gone by
        argo._enqueue_all()
        status = await there.until(settled)
        assert status["operationState"].get("retryCount") == (1 if refresh else None)
        assert status["operationState"]["syncResult"]["revision"] == status["sync"]["revision"]


async def test_a_sync_that_waits_for_what_somebody_deleted_fails_and_is_tried_again(there: Stand) -> None:
    there.write({"app/all.yaml": [deployment("d"), config_map("after", 1)]})
    async with there.argo():
        await there.apply(application())
        await there.until(waits)
        await there.client.delete(Deployment, Key("demo", "d"))
        status = await there.until(lambda s: waits(s) and s["operationState"].get("retryCount"))
        assert status["operationState"]["retryCount"] == 1
        assert there.done == ["Deployment/d", "Deployment/d"]
        await there.patch_status("apps/v1", "Deployment", "d", AVAILABLE)
        await there.until(settled)


async def test_deletion_leaves_what_says_so_and_definitions(there: Stand) -> None:
    def marked(name: str, **annotations: str) -> dict[str, Any]:
        made = config_map(name)
        made["metadata"]["annotations"] = {key.replace("_", "/", 1): text for key, text in annotations.items()}
        return made

    options = "argocd.argoproj.io_sync-options"
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    there.write(
        {
            "app/all.yaml": [
                definition,
                marked("says", **{options: "Delete=false"}),
                marked("keeps", **{"helm.sh_resource-policy": "keep"}),
                marked("unpruned", **{options: "Prune=false"}),
            ],
            "other/all.yaml": [config_map("other"), marked("goes", **{options: "Delete=true"})],
        }
    )
    policy = {"automated": {}, "syncOptions": ["Delete=false"]}
    async with there.argo():
        await there.apply(application())
        await there.apply(application("other", "other", syncPolicy=policy))
        await there.until(settled)
        await there.until(settled, "other")
        for name in ("app", "other"):
            await there.client.delete(APPLICATION, Key("argocd", name))
            await there.gone(name)
        gone = sorted(line for line in there.done if line.startswith("delete"))
        assert gone == ["delete ConfigMap/goes", "delete ConfigMap/unpruned"]


async def test_deletion_waits_for_whatever_is_going_already(there: Stand) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/held"]
    there.write({"app/all.yaml": [held, config_map("last", 1)]})
    async with there.argo() as argo:
        await there.apply(application(syncPolicy={"automated": {}}))
        await there.until(settled)
        await there.client.delete(ConfigMap, Key("demo", "held"))
        await argo.idle()
        await there.client.delete(APPLICATION, Key("argocd", "app"))
        await there.until(lambda s: s["health"]["status"] == "Progressing")
        await argo.idle()
        assert "delete ConfigMap/last" not in there.done
        await there.client.patch(ConfigMap, Key("demo", "held"), {"metadata": {"finalizers": None}})
        await there.gone()
        assert there.done[-1] == "delete ConfigMap/last"
