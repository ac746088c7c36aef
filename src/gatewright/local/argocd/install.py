"""What stands for Argo CD's own installation: its workloads as pods that do nothing, so that their place can be seen.

The rest of the folder that is installed by, `deploy/gitops/argocd`, is the real one: its namespace, projects, settings
and patches. Only upstream's manifest, which it names by URL, is replaced.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from gatewright.local import tools
from gatewright.local.argocd import trees
from gatewright.local.argocd.builds import SourceError
from gatewright.local.argocd.definitions import argo_definitions
from gatewright.local.documents import Document, documents

_UPSTREAM: Final = re.compile(r"https://[^\s]*/argo-?cd/(?P<version>[^/]+)/manifests/.*install\.yaml")
_STAND_IN: Final = "stand-in.yaml"
_SECONDS: Final = 90


def manifests(folder: Path) -> list[dict[str, Any]]:
    """The objects to apply, definitions and the namespace first. `folder` is `deploy/gitops/argocd`.

    Blocks while kustomize runs. Raises SourceError where the folder isn't as expected, or kustomize refuses it.
    """
    with tempfile.TemporaryDirectory(prefix="gatewright-argocd-") as temporary:
        copy = Path(temporary) / "argocd"
        try:
            shutil.copytree(folder, copy)
        except OSError as error:
            raise SourceError(f"{folder}: can't be read: {error}") from error
        file = trees.kustomization(copy)
        if file is None:
            raise SourceError(f"{folder}: found no kustomization.yaml, expected how Argo CD is installed")
        content = yaml.safe_load(file.read_text("utf-8")) or {}
        version = ""
        resources: list[str] = []
        for name in content.get("resources") or ():
            upstream = _UPSTREAM.fullmatch(name)
            if upstream:
                version = upstream["version"]
            resources.append(_STAND_IN if upstream else name)
        if not version:
            raise SourceError(
                f"{folder}: resources: found {resources}, expected the URL of a version's manifests/install.yaml"
            )
        file.write_text(yaml.safe_dump({**content, "resources": resources}))
        (copy / _STAND_IN).write_text(yaml.safe_dump_all([*argo_definitions(), *workloads(version)]))
        return sorted(_built(copy), key=lambda obj: _ORDER.get(obj["kind"], len(_ORDER)))


_ORDER: Final = {"Namespace": 0, "CustomResourceDefinition": 1, "ServiceAccount": 2, "ConfigMap": 3, "Service": 4}


def _built(folder: Path) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(  # noqa: S603 - a program that the user has installed, on a folder of ours
            [*tools.kustomize(), str(folder)], capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (tools.ToolError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"deploy/gitops/argocd: {error}") from error
    if done.returncode:
        raise SourceError(f"deploy/gitops/argocd: kustomize failed: {done.stderr.strip()}")
    return [document.value for document in documents(done.stdout) if isinstance(document, Document)]


# --- upstream's objects, as far as their names and places matter ---

_PORTS: Final[dict[str, tuple[int, ...]]] = {
    "argocd-server": (8080, 8083),
    "argocd-repo-server": (8081, 8084),
    "argocd-redis": (6379,),
    "argocd-applicationset-controller": (7000, 8080),
    "argocd-notifications-controller": (9001,),
    "argocd-dex-server": (5556, 5557, 5558),
    "argocd-application-controller": (8082,),
}
_PROBES: Final[dict[str, int]] = {
    "argocd-server": 8080,
    "argocd-repo-server": 8084,
    "argocd-application-controller": 8082,
}
_IMAGES: Final = {"argocd-redis": "redis:8-alpine", "argocd-dex-server": "ghcr.io/dexidp/dex"}


def workloads(version: str) -> list[dict[str, Any]]:
    """Argo CD's workloads with their Services and the ConfigMaps that people set it up by, without a namespace."""
    found = [_config_map(name) for name in ("argocd-cm", "argocd-cmd-params-cm", "argocd-rbac-cm")]
    for name in _PORTS:
        found += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(name)},
            _workload(name, version),
            _service(name),
        ]
    return found


def _metadata(name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd"}
    return {"name": name, "labels": labels}


def _config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(name)}


def _service(name: str) -> dict[str, Any]:
    numbers = {80: 8080, 443: 8080} if name == "argocd-server" else {port: port for port in _PORTS[name]}
    ports = [{"name": f"port-{port}", "port": port, "targetPort": target} for port, target in numbers.items()]
    spec = {"selector": {"app.kubernetes.io/name": name}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(name), "spec": spec}


def _workload(name: str, version: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": name,
        "image": _IMAGES.get(name, f"quay.io/argoproj/argocd:{version}"),
        "ports": [{"containerPort": port} for port in _PORTS[name]],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if name in _PROBES:
        probe = {"httpGet": {"path": "/healthz", "port": _PROBES[name]}, "periodSeconds": 10}
        container["readinessProbe"] = probe
    template = {
        "metadata": {"labels": {"app.kubernetes.io/name": name}},
        "spec": {
            "serviceAccountName": name,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [container],
        },
    }
    spec: dict[str, Any] = {"selector": {"matchLabels": {"app.kubernetes.io/name": name}}, "template": template}
    kind = "StatefulSet" if name == "argocd-application-controller" else "Deployment"
    if kind == "StatefulSet":  # upstream's Deployments leave the number of replicas to its default value
        spec |= {"replicas": 1, "serviceName": name}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": _metadata(name), "spec": spec}
