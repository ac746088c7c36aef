"""Argo CD's documented behaviour, through the Kubernetes API: waves, pruning, healing, cascades, projects, edits."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.argocd.stand import (
    AVAILABLE,
    REPOSITORY,
    Stand,
    application,
    config_map,
    deployment,
    settled,
    stand,
)

from gatewright.cluster import ApiError
from gatewright.local.argocd.application import APP_PROJECT, APPLICATION
from gatewright.model.core import ConfigMap
from gatewright.model.meta import Key

KUBECTL = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl builds the kustomizations")


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand(tmp_path) as found:
        yield found


def _child(name: str, wave: int) -> dict[str, Any]:
    child = application(f"children/{name}", name)
    child["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": str(wave)}
    return child


async def test_a_folder_becomes_objects_of_the_destinations_namespace(there: Stand) -> None:
    there.write(
        {"app/a.yaml": [config_map("a", colour="red")], "app/sub/b.yaml": [config_map("b")], "app/note.txt": "x"}
    )
    async with there.argo():
        await there.apply(application())
        status = await there.until(settled)
        live = await there.get("v1", "ConfigMap", "a")
        assert live
        assert live["data"] == {"colour": "red"}
        assert live["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] == "app:/ConfigMap:demo/a"
        assert await there.get("v1", "ConfigMap", "b") is None  # not without directory.recurse
        assert len(status["sync"]["revision"]) == 40
        assert status["operationState"]["message"] == "successfully synced (all tasks run)"
        assert status["history"][0]["revision"] == status["sync"]["revision"]
        assert [(r["kind"], r["name"], r["status"]) for r in status["resources"]] == [("ConfigMap", "a", "Synced")]


async def test_a_wave_begins_when_the_one_before_it_is_healthy(there: Stand) -> None:
    objects = [config_map("last", 2), deployment("first", -1), config_map("second", 0), deployment("zeroth", -2)]
    there.write({"app/all.yaml": objects})
    async with there.argo():
        await there.apply(application())
        waits = "waiting for healthy state of apps/Deployment/zeroth: Waiting for rollout to finish"
        status = await there.until(lambda s: s.get("operationState", {}).get("message", "").startswith(waits))
        assert status["operationState"]["phase"] == "Running"
        assert there.done == ["Deployment/zeroth"]
        await there.patch_status("apps/v1", "Deployment", "zeroth", AVAILABLE)
        waits = "waiting for healthy state of apps/Deployment/first"
        await there.until(lambda s: s.get("operationState", {}).get("message", "").startswith(waits))
        await there.patch_status("apps/v1", "Deployment", "first", AVAILABLE)
        await there.until(settled)
        assert there.done == ["Deployment/zeroth", "Deployment/first", "ConfigMap/second", "ConfigMap/last"]


async def test_a_degraded_wave_fails_the_sync_which_is_tried_again_as_often_as_it_may_be(there: Stand) -> None:
    there.write({"app/all.yaml": [deployment("bad", 0), config_map("after", 1)]})
    retry = {"limit": 2, "backoff": {"duration": "1s", "factor": 2, "maxDuration": "2s"}}
    policy = {"automated": {"prune": True, "selfHeal": True}, "retry": retry}
    exceeded = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    async with there.argo():
        await there.apply(application(syncPolicy=policy))
        await there.until(lambda s: s.get("operationState", {}).get("message", "").startswith("waiting"))
        await there.patch_status("apps/v1", "Deployment", "bad", {"observedGeneration": 1, "conditions": [exceeded]})
        status = await there.until(lambda s: s.get("operationState", {}).get("phase") == "Failed")
        assert 'Deployment "bad" exceeded its progress deadline' in status["operationState"]["message"]
        assert status["operationState"]["retryCount"] == 2
        assert status["health"]["status"] == "Degraded"
        assert [c["type"] for c in status["conditions"]] == ["SyncError"]
        assert "ConfigMap/after" not in there.done
        # What it failed by is mended: a person's sync goes on, as does one of another revision.
        await there.patch_status("apps/v1", "Deployment", "bad", {**AVAILABLE, "conditions": []})
        await there.sync()
        await there.until(settled)


async def test_what_isnt_wanted_any_more_is_pruned_unless_it_says_otherwise(there: Stand) -> None:
    kept = config_map("kept")
    kept["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Prune=false"}
    there.write({"app/all.yaml": [config_map("a"), config_map("b"), kept]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        there.write({"app/all.yaml": [config_map("a")]})
        status = await there.until(lambda s: "delete ConfigMap/b" in there.done and len(s.get("resources", ())) == 2)
        assert await there.get("v1", "ConfigMap", "b") is None
        assert await there.get("v1", "ConfigMap", "kept") is not None
        assert [r["name"] for r in status["resources"] if r.get("requiresPruning")] == ["kept"]


async def test_without_prune_what_isnt_wanted_any_more_is_out_of_sync(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")], "app/b.yaml": [config_map("b")]})
    async with there.argo():
        await there.apply(application(syncPolicy={"automated": {}}))
        await there.until(settled)
        there.write({"app/b.yaml": None})
        status = await there.until(lambda s: s["sync"]["status"] == "OutOfSync")
        assert [r["name"] for r in status["resources"] if r.get("requiresPruning")] == ["b"]
        await there.sync(prune=True)
        await there.until(settled)
        assert await there.get("v1", "ConfigMap", "b") is None


async def test_an_empty_tree_wipes_nothing_out_unless_that_is_allowed(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        there.write({"app/a.yaml": None})
        status = await there.until(lambda s: s.get("conditions"))
        assert status["conditions"][0]["message"].endswith("auto-sync will wipe out all resources")
        policy = {"automated": {"prune": True, "selfHeal": True, "allowEmpty": True}}
        await there.apply(application(syncPolicy=policy))
        await there.until(lambda s: settled(s) and not s.get("resources"))


async def test_what_somebody_changes_is_mended(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a", colour="red")]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        await there.client.patch(ConfigMap, Key("demo", "a"), {"data": {"colour": "blue"}})
        await there.until(lambda s: len(s.get("history", ())) == 2 and settled(s))
        live = await there.get("v1", "ConfigMap", "a")
        assert live
        assert live["data"] == {"colour": "red"}
        await there.client.delete(ConfigMap, Key("demo", "a"))
        await there.until(lambda s: len(s.get("history", ())) == 3 and settled(s))
        assert await there.get("v1", "ConfigMap", "a") is not None


async def test_without_self_heal_a_change_is_only_told_of(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a", colour="red")]})
    ignored = {"kind": "ConfigMap", "jsonPointers": ["/data/weather"]}
    async with there.argo() as argo:
        await there.apply(application(syncPolicy={"automated": {"prune": True}}, ignoreDifferences=[ignored]))
        await there.until(settled)
        await there.client.patch(ConfigMap, Key("demo", "a"), {"data": {"weather": "fine"}})
        await argo.idle()
        await there.client.patch(ConfigMap, Key("demo", "a"), {"data": {"colour": "blue"}})
        await there.until(lambda s: s["sync"]["status"] == "OutOfSync")
        await argo.idle()
        assert there.done == ["ConfigMap/a"]


async def test_deletion_takes_the_highest_wave_first_and_waits(there: Stand) -> None:
    held = config_map("held", 1)
    held["metadata"]["finalizers"] = ["example.com/held"]
    there.write({"app/all.yaml": [config_map("first"), held]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        await there.client.delete(APPLICATION, Key("argocd", "app"))
        await there.until(lambda s: s["health"]["status"] == "Progressing")
        assert there.done[2:] == ["delete ConfigMap/held"]
        await there.client.patch(ConfigMap, Key("demo", "held"), {"metadata": {"finalizers": None}})
        await there.gone()
        assert there.done[2:] == ["delete ConfigMap/held", "delete ConfigMap/first"]


async def test_deletion_without_the_finalizer_leaves_the_objects(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")]})
    plain = application()
    del plain["metadata"]["finalizers"]
    async with there.argo() as argo:
        await there.apply(plain)
        await there.until(settled)
        await there.client.delete(APPLICATION, Key("argocd", "app"))
        await there.gone()
        await argo.idle()
        assert await there.get("v1", "ConfigMap", "a") is not None


async def test_an_app_of_apps_waits_for_its_children_where_argocd_cm_says_how_they_fare(there: Stand) -> None:
    there.write(
        {
            "app/children.yaml": [_child("one", 0), _child("two", 1)],
            "children/one/d.yaml": [deployment("d")],
            "children/two/c.yaml": [config_map("c")],
        }
    )
    settings = config_map("argocd-cm")
    settings["data"] = {"resource.customizations.health.argoproj.io_Application": "return {}"}
    settings["metadata"]["namespace"] = "argocd"
    root = application(destination={"server": "https://kubernetes.default.svc", "namespace": "argocd"})
    async with there.argo():
        await there.apply(settings)
        await there.apply(root)
        why = "waiting for healthy state of argoproj.io/Application/one"
        await there.until(lambda s: s.get("operationState", {}).get("message") == why)
        assert there.done == ["Application/one", "Deployment/d"]
        await there.patch_status("apps/v1", "Deployment", "d", AVAILABLE)
        await there.until(settled)
        await there.until(settled, "two")
        assert there.done == ["Application/one", "Deployment/d", "Application/two", "ConfigMap/c"]
        await there.client.delete(APPLICATION, Key("argocd", "app"))
        await there.gone()
        assert there.done[4:] == [
            "delete Application/two",
            "delete ConfigMap/c",
            "delete Application/one",
            "delete Deployment/d",
        ]


async def test_how_each_object_fares_is_told_where_the_parameters_say_so(there: Stand) -> None:
    there.write({"app/d.yaml": [deployment("d"), config_map("c")]})
    parameters = config_map("argocd-cmd-params-cm")
    parameters["metadata"]["namespace"] = "argocd"
    async with there.argo():
        await there.apply(application())
        status = await there.until(lambda s: s.get("sync", {}).get("status") == "Synced")
        assert status["health"].keys() == {"status", "lastTransitionTime"}
        assert status["resourceHealthSource"] == "appTree"
        assert not any("health" in each for each in status["resources"])
        parameters["data"] = {"controller.resource.health.persist": "true"}
        await there.apply(parameters)
        status = await there.until(lambda s: "resourceHealthSource" not in s)
        told = {each["kind"]: each.get("health", {}) for each in status["resources"]}
        assert told["ConfigMap"] == {}
        assert told["Deployment"]["status"] == "Progressing"
        assert told["Deployment"]["message"].startswith("Waiting for rollout to finish")


async def test_an_object_that_is_missing_makes_its_application_no_less_healthy(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a"), deployment("d")]})
    async with there.argo():
        await there.apply(application(syncPolicy={}))
        status = await there.until(lambda s: s.get("sync", {}).get("status") == "OutOfSync")
        assert status["health"]["status"] == "Missing"  # none of them is there
        await there.sync(resources=[{"kind": "ConfigMap", "name": "a"}])
        status = await there.until(lambda s: s["health"]["status"] == "Healthy")
        assert status["sync"]["status"] == "OutOfSync"


async def test_an_app_of_apps_doesnt_wait_without_that(there: Stand) -> None:
    there.write(
        {
            "app/children.yaml": [_child("one", 0), _child("two", 1)],
            "children/one/d.yaml": [deployment("d")],
            "children/two/c.yaml": [config_map("c")],
        }
    )
    async with there.argo():
        await there.apply(application(destination={"server": "https://kubernetes.default.svc", "namespace": "argocd"}))
        await there.until(settled)
        await there.until(settled, "two")
        status = await there.until(lambda s: settled({**s, "health": {"status": "Healthy"}}), "one")
        assert status["health"]["status"] == "Progressing"


async def test_a_project_says_where_from_where_to_and_what(there: Stand) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    elsewhere = config_map("elsewhere")
    elsewhere["metadata"]["namespace"] = "default"
    there.write({"app/a.yaml": [config_map("a"), role, elsewhere]})
    project: dict[str, Any] = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "team", "namespace": "argocd"},
        "spec": {"sourceRepos": ["https://other.example.com/*"], "destinations": []},
    }
    none: dict[str, Any] = {"automated": {}, "retry": {"limit": 0}}
    async with there.argo():
        await there.apply(application(project="team", syncPolicy=none))
        status = await there.until(lambda s: s.get("conditions"))
        assert status["conditions"][0]["message"] == "Application referencing project team which does not exist"
        assert status["sync"]["status"] == "Unknown"
        await there.apply(project)
        status = await there.until(lambda s: len(s.get("conditions", ())) == 2)
        assert {(c["type"], c["message"]) for c in status["conditions"]} == {
            ("InvalidSpecError", f"application repo {REPOSITORY} is not permitted in project 'team'"),
            (
                "InvalidSpecError",
                "application destination server 'https://kubernetes.default.svc' and namespace 'demo' do not match "
                "any of the allowed destinations in project 'team'",
            ),
        }
        project["spec"] = {
            "sourceRepos": [REPOSITORY],
            "destinations": [{"server": "https://kubernetes.default.svc", "namespace": "demo"}],
            "namespaceResourceBlacklist": [{"group": "", "kind": "Secret"}],
        }
        await there.apply(project)
        status = await there.until(lambda s: s.get("operationState", {}).get("phase") == "Failed")
        refused = {r["name"]: r["message"] for r in status["operationState"]["syncResult"]["resources"]}
        assert refused == {
            "r": "resource rbac.authorization.k8s.io:ClusterRole is not permitted in project team",
            "elsewhere": "namespace default is not permitted in project 'team'",
        }
        assert there.done == []


async def test_a_project_goes_when_its_last_application_has_gone(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")]})
    project = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "team", "namespace": "argocd", "finalizers": ["resources-finalizer.argocd.argoproj.io"]},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    }
    async with there.argo() as argo:
        await there.apply(project)
        await there.apply(application(project="team"))
        await there.until(settled)
        there.recorded.done.clear()
        await there.client.delete(APP_PROJECT, Key("argocd", "team"))
        await argo.idle()
        assert await there.get("argoproj.io/v1alpha1", "AppProject", "team", "argocd") is not None
        await there.client.delete(APPLICATION, Key("argocd", "app"))
        await there.gone()
        async with asyncio.timeout(60):
            while await there.get("argoproj.io/v1alpha1", "AppProject", "team", "argocd") is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@KUBECTL
async def test_inline_patches_change_what_a_kustomization_makes(there: Stand) -> None:
    there.write(
        {
            "base/kustomization.yaml": "resources: [a.yaml]\n",
            "base/a.yaml": [config_map("a", colour="red")],
            "app/kustomization.yaml": "resources: [../base]\n",
        }
    )
    patch = '[{"op": "replace", "path": "/data/colour", "value": "green"}]'
    kustomize = {"namePrefix": "x-", "patches": [{"patch": patch, "target": {"kind": "ConfigMap", "name": "a"}}]}
    async with there.argo():
        await there.apply(application(source={"kustomize": kustomize}))
        await there.until(settled)
        live = await there.get("v1", "ConfigMap", "x-a")
        assert live
        assert live["data"] == {"colour": "green"}
        # An edit to the base, which is another folder, is seen.
        there.write({"base/a.yaml": [config_map("a", colour="red", weather="fine")]})
        await there.until(lambda s: len(s.get("history", ())) == 2 and settled(s))
        live = await there.get("v1", "ConfigMap", "x-a")
        assert live
        assert live["data"] == {"colour": "green", "weather": "fine"}
    before = there.applications.get(Key("argocd", "app"))
    async with there.argo() as argo:
        await argo.idle()
        found = await there.get("argoproj.io/v1alpha1", "Application", "app", "argocd")
        assert before
        assert found
        assert found["metadata"]["resourceVersion"] == before.metadata.resource_version  # nothing is written again


async def test_what_the_local_edge_provides_is_synced_and_says_so(there: Stand) -> None:
    source = {
        "repoURL": "https://istio-release.storage.googleapis.com/charts",
        "chart": "istiod",
        "targetRevision": "1.30.4",
    }
    policy = {"automated": {"prune": True}, "syncOptions": ["CreateNamespace=true"]}
    destination = {"server": "https://kubernetes.default.svc", "namespace": "istio-system"}
    given = application(syncPolicy=policy, destination=destination)
    given["spec"]["source"] = source
    async with there.argo():
        await there.apply(given)
        status = await there.until(lambda s: settled(s) and "operationState" in s)
        (condition,) = status["conditions"]
        assert condition["type"] == "Provided"
        assert "the local edge provides it by gatewright's own control plane" in condition["message"]
        assert status["sync"]["revision"] == "1.30.4"
        assert status["operationState"]["message"] == "successfully synced (provided by the local edge)"
        assert await there.get("v1", "Namespace", "istio-system") is not None


@pytest.mark.parametrize(
    ("source", "files", "expected"),
    [
        ({}, {"app/bad.yaml": "a: [1\n"}, "app/bad.yaml:2: not valid YAML"),
        ({}, {"app/bad.yaml": "kind: ConfigMap\n"}, "app/bad.yaml:1: apiVersion: found None, expected a string"),
        ({"path": "nowhere"}, {}, "nowhere: app path does not exist"),
        ({"path": "../outside"}, {}, "../outside: app path is outside of the repository"),
        ({"repoURL": "https://elsewhere.example.com/x"}, {}, "none of the repositories that are folders"),
        ({"chart": "nginx", "repoURL": "https://charts.example.com"}, {}, "none of the repositories"),
        ({"plugin": {"name": "x"}}, {"app/a.yaml": ""}, "plugins are not run here"),
    ],
)
async def test_a_bad_tree_is_a_comparison_error_that_names_place_and_reason(
    there: Stand, source: dict[str, Any], files: dict[str, str], expected: str
) -> None:
    there.write(files)
    async with there.argo():
        await there.apply(application(source=source))
        status = await there.until(lambda s: s.get("conditions"))
        (condition,) = status["conditions"]
        assert condition["type"] == "ComparisonError"
        assert condition["message"].startswith(
            "Failed to load target state: failed to generate manifest for source 1 of 1"
        )
        assert expected in condition["message"]
        assert (status["sync"]["status"], status["health"]["status"]) == ("Unknown", "Unknown")


async def test_a_path_that_appears_is_synced(there: Stand) -> None:
    async with there.argo():
        await there.apply(application())
        await there.until(lambda s: s.get("conditions"))
        there.write({"app/a.yaml": [config_map("a")]})
        await there.until(settled)


async def test_a_refused_object_is_named_with_the_apis_reason(there: Stand) -> None:
    misspelt = {**config_map("a"), "dta": {}}
    unknown = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}}
    hook = config_map("migrate")
    hook["metadata"]["annotations"] = {"argocd.argoproj.io/hook": "PreSync"}
    there.write({"app/a.yaml": [misspelt]})
    policy: dict[str, Any] = {"automated": {}, "retry": {"limit": 0}}
    async with there.argo():
        await there.apply(application(syncPolicy=policy))
        status = await there.until(lambda s: s.get("operationState", {}).get("phase") == "Failed")
        assert status["operationState"]["message"].startswith(
            "one or more objects failed to apply, reason: ConfigMap/a: "
        )
        assert "dta" in status["operationState"]["message"]
        there.write({"app/a.yaml": [unknown, hook]})
        status = await there.until(lambda s: "hook" in s["operationState"].get("message", ""))
        assert 'Make sure the "Thing" CRD is installed' in status["operationState"]["message"]
        assert "ConfigMap demo/migrate is a hook (PreSync)" in status["operationState"]["message"]


async def test_a_kind_that_the_tree_itself_defines_is_applied_after_its_definition(there: Stand) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com", "annotations": {"argocd.argoproj.io/sync-wave": "-1"}},
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {}}
    there.write({"app/a.yaml": [thing, definition]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        assert there.done == ["CustomResourceDefinition/things.example.com", "Thing/t"]


async def test_a_sync_by_hand(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a"), config_map("b")]})
    async with there.argo() as argo:
        await there.apply(application(syncPolicy={}))
        await there.until(lambda s: s.get("sync", {}).get("status") == "OutOfSync")
        await argo.idle()
        assert there.done == []
        await there.sync(resources=[{"group": "", "kind": "ConfigMap", "name": "b"}])
        await there.until(lambda s: s.get("operationState", {}).get("phase") == "Succeeded")
        assert there.done == ["ConfigMap/b"]
        await there.sync()
        await there.until(settled)
        found = there.applications.get(Key("argocd", "app"))
        assert found
        assert found.operation is None


async def test_a_sync_that_runs_can_be_ended(there: Stand) -> None:
    there.write({"app/all.yaml": [deployment("d"), config_map("after", 1)]})
    async with there.argo() as argo:
        await there.apply(application(syncPolicy={}))
        await there.until(lambda s: s.get("sync", {}).get("status") == "OutOfSync")
        await there.sync(dryRun=True)
        status = await there.until(lambda s: s.get("operationState", {}).get("phase") == "Error")
        assert status["operationState"]["message"].startswith("dry runs aren't made here")
        assert there.done == []
        await there.sync()
        await there.until(lambda s: s.get("operationState", {}).get("message", "").startswith("waiting"))
        await there.merge({"status": {"operationState": {"phase": "Terminating"}}})
        status = await there.until(lambda s: s["operationState"]["phase"] == "Failed")
        assert status["operationState"]["message"] == "Operation terminated"
        await argo.idle()
        assert there.done == ["Deployment/d"]


async def test_a_refresh_is_made_and_taken_off_the_list(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        await there.merge({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}})
        async with asyncio.timeout(60):
            while (found := there.applications.get(Key("argocd", "app"))) and found.metadata.annotations:
                there.changed.clear()
                await there.changed.wait()


async def test_a_namespace_that_is_made_has_its_labels_besides_those_that_it_has(there: Stand) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"of": "tree"}}}
    there.write({"app/a.yaml": [config_map("a")], "namespaces/n.yaml": [namespace]})
    policy = {
        "automated": {"prune": True, "selfHeal": True},
        "syncOptions": ["CreateNamespace=true"],
        "managedNamespaceMetadata": {"labels": {"made": "yes"}},
    }
    destination = {"server": "https://kubernetes.default.svc", "namespace": "team"}
    async with there.argo():
        await there.apply(application(syncPolicy=policy, destination=destination))
        await there.until(settled)
        await there.apply(application("namespaces", "namespaces"))
        await there.until(settled, "namespaces")
        live = await there.get("v1", "Namespace", "team")
        assert live
        labels = live["metadata"]["labels"]
        assert (labels["of"], labels["made"]) == ("tree", "yes")
        assert await there.get("v1", "ConfigMap", "a", "team") is not None


async def test_an_object_of_two_applications_is_told_of(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")], "other/a.yaml": [config_map("a")]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
        await there.apply(application("other", "other", syncPolicy={}))
        status = await there.until(lambda s: s.get("conditions"), "other")
        assert status["conditions"][0]["type"] == "SharedResourceWarning"
        assert status["conditions"][0]["message"] == "ConfigMap/a is part of applications argocd/other and app"


async def test_stopped_and_started_again_it_does_nothing_twice(there: Stand) -> None:
    there.write({"app/all.yaml": [config_map("a"), deployment("d", 1), config_map("z", 2)]})
    async with there.argo():
        await there.apply(application())
        await there.until(lambda s: s.get("operationState", {}).get("message", "").startswith("waiting"))
        assert there.done == ["ConfigMap/a", "Deployment/d"]
    async with there.argo() as argo:  # in the middle of a sync
        await argo.idle()
        await there.patch_status("apps/v1", "Deployment", "d", AVAILABLE)
        await there.until(settled)
        assert there.done == ["ConfigMap/a", "Deployment/d", "ConfigMap/z"]
    before = there.applications.get(Key("argocd", "app"))
    async with there.argo() as argo:  # after it
        await argo.idle()
        assert there.done == ["ConfigMap/a", "Deployment/d", "ConfigMap/z"]
        found = await there.get("argoproj.io/v1alpha1", "Application", "app", "argocd")
        assert before
        assert found
        assert found["metadata"]["resourceVersion"] == before.metadata.resource_version


async def test_what_was_removed_while_it_was_away_is_pruned(there: Stand) -> None:
    there.write({"app/a.yaml": [config_map("a")], "app/b.yaml": [config_map("b")]})
    async with there.argo():
        await there.apply(application())
        await there.until(settled)
    there.write({"app/b.yaml": None})
    async with there.argo():
        await there.until(lambda s: settled(s) and len(s["resources"]) == 1)
        assert await there.get("v1", "ConfigMap", "b") is None


async def test_the_definitions_notice_fields_that_nobody_documents(there: Stand) -> None:
    async with there.argo():
        wrong = application()
        wrong["spec"]["syncPolicy"]["automatd"] = {}
        with pytest.raises(ApiError, match="automatd"):
            await there.apply(wrong)
