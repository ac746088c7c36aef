"""Argo CD put into a cluster and given the root Application, by what `kubectl` and the API say."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.platform.cluster import QUICK, SOURCE, application, child, cluster

from gatewright.local.argocd.definitions import argo_definitions
from gatewright.platform import argocd
from gatewright.platform.errors import PlatformError
from gatewright.platform.objects import APPLICATIONS

ROOT = {
    "apiVersion": APPLICATIONS,
    "kind": "Application",
    "metadata": {"name": "platform", "namespace": "argocd"},
    "spec": {"project": "platform", "source": SOURCE, "destination": {"namespace": "argocd", "name": "in-cluster"}},
}
PROJECT = {
    "apiVersion": APPLICATIONS,
    "kind": "AppProject",
    "metadata": {"name": "platform", "namespace": "argocd"},
    "spec": {"sourceRepos": ["*"]},
}


async def test_definitions_come_before_the_objects_of_their_kinds(tmp_path: Path) -> None:
    async with cluster(tmp_path) as place:
        other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "later"}}
        assert await argocd.apply_all(place.client, [PROJECT, other, *argo_definitions()]) == 4
        assert await place.get(APPLICATIONS, "appprojects", "argocd", "platform") is not None
        with pytest.raises(PlatformError, match=r"Unheard x: example\.com/v1 isn't a kind that is known here"):
            await argocd.apply_all(
                place.client, [{"apiVersion": "example.com/v1", "kind": "Unheard", "metadata": {"name": "x"}}]
            )


async def test_the_root_stands_when_its_spec_is_the_wanted_one(tmp_path: Path) -> None:
    async with cluster(tmp_path) as place:
        assert not await argocd.root_stands(place.client, ROOT)
        await argocd.give_root(place.client, ROOT)
        assert await argocd.root_stands(place.client, ROOT)
        changed = {**ROOT, "spec": {**ROOT["spec"], "source": {**SOURCE, "targetRevision": "v2"}}}  # type: ignore[dict-item]
        assert not await argocd.root_stands(place.client, changed)
        await argocd.give_root(place.client, changed)
        assert await argocd.root_stands(place.client, changed)


async def test_a_deletion_cascades_whatever_finalizers_there_were(tmp_path: Path) -> None:
    async with cluster(tmp_path) as place:
        assert not await argocd.delete_root(place.client, "platform")
        await place.put(application("platform", resources=(child("a"),)), application("a", finalizers=("x.example/y",)))
        assert await argocd.delete_root(place.client, "platform")
        root = await place.get(APPLICATIONS, "applications", "argocd", "platform")
        assert root is not None
        assert root["metadata"]["finalizers"] == [argocd.CASCADE]
        assert root["metadata"]["deletionTimestamp"]
        below = await place.get(APPLICATIONS, "applications", "argocd", "a")
        assert below is not None
        assert below["metadata"]["finalizers"] == ["x.example/y", argocd.CASCADE]
        assert await argocd.delete_root(place.client, "platform")  # asked for once more


KUBECTL = """#!/bin/sh
echo "$KUBECONFIG $@" >> {folder}/calls
{text}
"""


@pytest.mark.parametrize("attempts", [1, 2])
async def test_the_real_installation_is_applied_until_its_kinds_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempts: int
) -> None:
    text = 'echo "no matches for kind AppProject" >&2; exit 1'
    once = f"[ $(wc -l < {tmp_path}/calls) -ge {attempts} ] || {{ {text}; }}"
    (tmp_path / "kubectl").write_text(KUBECTL.format(folder=tmp_path, text=once))
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(argocd, "_PAUSE_SECONDS", 0.01)
    async with cluster(tmp_path) as place:
        with pytest.raises(PlatformError, match="no workload in argocd yet"):
            await argocd.install(place.client, place.kubeconfig, tmp_path / "gitops", lambda _: None, QUICK)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert len(calls) == attempts
    assert calls[0].startswith(f"{place.kubeconfig} apply --server-side --force-conflicts")
    assert calls[0].endswith(f"-k {tmp_path}/gitops/argocd")


async def test_an_installation_that_is_refused_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kubectl").write_text('#!/bin/sh\necho "error: dial tcp: no route to host" >&2; exit 1\n')
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with cluster(tmp_path) as place:
        with pytest.raises(PlatformError, match="status 1: error: dial tcp: no route to host") as caught:
            await argocd.install(place.client, place.kubeconfig, tmp_path / "gitops", lambda _: None, QUICK)
    assert "by URL" in caught.value.remedy
