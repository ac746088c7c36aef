"""Argo CD's installation in a rehearsal: the real folder, with stand-ins for upstream's workloads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gatewright.local import tools
from gatewright.local.argocd import install
from gatewright.local.argocd.builds import SourceError
from gatewright.local.argocd.install import manifests

FOLDER = Path(__file__).parents[2] / "deploy" / "gitops" / "argocd"

pytestmark = pytest.mark.skipif(
    (tools.find("kubectl") or tools.find("kustomize")) is None, reason="neither kubectl nor kustomize is there"
)


def test_the_workloads_have_the_folders_patches() -> None:
    found = {(obj["kind"], obj["metadata"]["name"]): obj for obj in manifests(FOLDER)}
    for kind, name in (
        ("Deployment", "argocd-server"),
        ("Deployment", "argocd-repo-server"),
        ("Deployment", "argocd-redis"),
        ("StatefulSet", "argocd-application-controller"),
    ):
        obj = found[kind, name]
        assert obj["metadata"]["namespace"] == "argocd"
        pod = obj["spec"]["template"]["spec"]
        assert pod["nodeSelector"]["role"] == "system"
        assert pod["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    assert found["Deployment", "argocd-server"]["spec"]["template"]["spec"]["containers"][0]["image"].startswith(
        "quay.io/argoproj/argocd:v3."
    )
    assert "resource.customizations.health.argoproj.io_Application" in found["ConfigMap", "argocd-cm"]["data"]
    assert ("AppProject", "platform") in found


def test_what_others_need_comes_first() -> None:
    kinds = [obj["kind"] for obj in manifests(FOLDER)]
    assert kinds[:3] == ["Namespace", "CustomResourceDefinition", "CustomResourceDefinition"]
    assert kinds.index("Deployment") > kinds.index("ConfigMap")


def test_a_folder_without_upstreams_url_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "argocd"
    shutil.copytree(FOLDER, folder)
    file = folder / "kustomization.yaml"
    file.write_text(file.read_text().replace("argo-cd", "something-else"))
    with pytest.raises(SourceError, match=r"expected the URL of a version's manifests/install.yaml"):
        manifests(folder)


def test_a_kustomize_that_hangs_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kustomize"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(install, "_SECONDS", 0.2)
    with pytest.raises(SourceError, match=r"kustomize.* timed out after 0\.2 seconds"):
        manifests(FOLDER)
