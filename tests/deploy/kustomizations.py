"""What Argo CD makes of `deploy/gitops`: an overlay as its child Applications, and what each of them describes."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tests.deploy import tools

from gatewright.platform.gitops import child_patches
from gatewright.platform.outputs import Outputs
from gatewright.platform.targets import Architecture, Settings, Target

ROOT = Path(__file__).parents[2]
GITOPS = ROOT / "deploy" / "gitops"
REPOSITORY = "https://git.example.org/team/platform.git"
OVERLAYS = ("aws-chained", "aws-direct", "azure-chained")

_HOSTNAMES = ("shop.example.org", "*.shop.example.org")
_AWS = {
    "name": "shop",
    "region": "eu-central-1",
    "cluster_name": "shop",
    "hostnames": _HOSTNAMES,
    "vpc_id": "vpc-0a1b2c3d",
    "public_subnet_ids": ("subnet-pua", "subnet-pub"),
    "public_subnet_cidrs": ("10.0.64.0/20", "10.0.80.0/20"),
    "certificate_arn": "arn:aws:acm:eu-central-1:123456789012:certificate/5f1d",
    "web_acl_arn": "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/shop/7a2b",
    "access_log_bucket": "shop-123456789012-eu-central-1-access-logs",
    "security_group_id": "sg-front",
    "hosted_zone_id": "Z0123456789ABC",
}
OUTPUTS = {
    "aws-chained": Outputs(
        architecture="chained",
        target_group_arn="arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/shop-gateway/0123456789abcdef",
        **_AWS,  # type: ignore[arg-type]
    ),
    "aws-direct": Outputs(architecture="direct", **_AWS),  # type: ignore[arg-type]
    "azure-chained": Outputs(
        name="shop",
        region="westeurope",
        architecture="chained",
        cluster_name="shop",
        hostnames=_HOSTNAMES,
        gateway_address="10.20.4.250",
        gateway_subnet="gateway",
    ),
}


def settings(overlay: str) -> Settings:
    """What somebody asked for who gets this overlay."""
    target, architecture = overlay.split("-")
    return Settings(
        target=Target(target),
        architecture=Architecture(architecture),
        name="shop",
        domain="shop.example.org",
        repository=REPOSITORY,
        revision="v1.2.3",
    )


@functools.cache
def applications(overlay: str) -> dict[str, dict[str, Any]]:
    """The child Applications, and the AppProjects, by name, as the root Application makes them; in order of waves."""
    patches = child_patches(settings(overlay), OUTPUTS[overlay])
    found = build(GITOPS / "overlays" / overlay, patches)
    return {f"{each['kind']} {each['metadata']['name']}": each for each in sorted(found, key=wave)}


def children(overlay: str) -> dict[str, dict[str, Any]]:
    """The child Applications by name, in order of waves."""
    found = applications(overlay).values()
    return {each["metadata"]["name"]: each for each in found if each["kind"] == "Application"}


def wave(manifest: dict[str, Any]) -> int:
    """In which wave Argo CD applies it."""
    return int(manifest["metadata"].get("annotations", {}).get("argocd.argoproj.io/sync-wave", 0))


@functools.cache
def described(overlay: str) -> dict[str, list[dict[str, Any]]]:
    """What each child Application of our repository describes, by its name, in order of waves."""
    return {
        name: manifests(child)
        for name, child in children(overlay).items()
        if child["spec"]["source"]["repoURL"] == REPOSITORY
    }


def manifests(application: dict[str, Any]) -> list[dict[str, Any]]:
    """What an Application of our repository describes."""
    source = application["spec"]["source"]
    if "helm" in source:
        return _chart(ROOT / source["path"], source["helm"], application["spec"]["destination"]["namespace"])
    return build(ROOT / source["path"], source.get("kustomize", {}).get("patches", []))


def build(folder: Path, patches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The objects of a kustomization with further patches. One around it has them, as with Argo CD's inline patches."""
    with tempfile.TemporaryDirectory() as name:
        around = Path(name).resolve()
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(folder, around)],
            "patches": patches,
        }
        (around / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return _run([tools.kubectl(), "kustomize", str(around)])


def _chart(folder: Path, helm: dict[str, Any], namespace: str) -> list[dict[str, Any]]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        yaml.safe_dump(helm["valuesObject"], values)
        values.flush()
        release = [helm["releaseName"], str(folder), "--namespace", namespace, "--include-crds"]
        return _run([tools.helm(), "template", *release, "--values", values.name])


def _run(command: list[str]) -> list[dict[str, Any]]:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return [each for each in yaml.safe_load_all(ended.stdout) if each]
