"""A kubeconfig for the cluster that Terraform made."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gatewright.local import tools
from gatewright.local.private import write_private
from gatewright.platform import programs
from gatewright.platform.errors import PlatformError
from gatewright.platform.outputs import Outputs
from gatewright.platform.rehearsal import RehearsalEdge


def write_kubeconfig(path: Path, content: Mapping[str, Any] | bytes) -> None:
    """Write a kubeconfig that only its owner can read; whoever is stopped in the middle leaves the old one."""
    data = content if isinstance(content, bytes) else yaml.safe_dump(dict(content), sort_keys=False).encode()
    write_private(path, data)


def aws_kubeconfig(outputs: Outputs, aws: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Of an EKS cluster; its tokens are issued by the program `aws`, with the profile that is in use now.

    Raises PlatformError where the outputs don't say where the cluster is.
    """
    _complete(outputs, "cluster_endpoint", "cluster_certificate_authority", "cluster_name", "region")
    arguments = ["eks", "get-token", "--cluster-name", outputs.cluster_name, "--region", outputs.region]
    user: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": aws,
        "args": [*arguments, "--output", "json"],
        "interactiveMode": "Never",
        "installHint": "install AWS's command line (version 2), which issues the tokens",
    }
    if environment.get("AWS_PROFILE"):
        user["env"] = [{"name": "AWS_PROFILE", "value": environment["AWS_PROFILE"]}]
    cluster = {
        "server": outputs.cluster_endpoint,
        "certificate-authority-data": outputs.cluster_certificate_authority,
    }
    return _kubeconfig(outputs.cluster_name, cluster, {"exec": user})


async def azure_kubeconfig(outputs: Outputs, path: Path, subscription: str = "") -> None:
    """Write that of an AKS cluster, as `az` gives it; where it asks Entra ID, with the login that `az` has.

    It is looked for in a subscription, or else in the current one of `az`.

    Raises PlatformError.
    """
    _complete(outputs, "resource_group", "cluster_name")
    az = str(tools.need("az", "for the kubeconfig of an AKS cluster"))
    temporary = path.with_name(f"{path.name}.az")
    temporary.unlink(missing_ok=True)
    try:
        await programs.expect(
            [
                *(az, "aks", "get-credentials", "--only-show-errors", "--overwrite-existing"),
                *("--resource-group", outputs.resource_group, "--name", outputs.cluster_name),
                *("--file", str(temporary)),
                *(("--subscription", subscription) if subscription else ()),
            ],
            remedy="log in with `az login`, to the subscription that the cluster is in (`az account set`)",
        )
        if any("kubelogin" in command for command in _exec_commands(temporary)):
            kubelogin = str(tools.need("kubelogin", "since the cluster asks Entra ID who comes"))
            await programs.expect(
                [kubelogin, "convert-kubeconfig", "--login", "azurecli", "--kubeconfig", str(temporary)]
            )
        write_kubeconfig(path, temporary.read_bytes())
    finally:
        temporary.unlink(missing_ok=True)


def local_kubeconfig(outputs: Outputs, edge: RehearsalEdge) -> bytes:
    """The edge's own, if it is of the cluster that Terraform's outputs name. Raises PlatformError otherwise."""
    content = Path(edge.kubeconfig).read_bytes()
    cluster = yaml.safe_load(content)["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority-data", "")
    if not authority and cluster.get("certificate-authority"):
        authority = base64.b64encode(Path(cluster["certificate-authority"]).read_bytes()).decode()
    found = (cluster["server"].rstrip("/"), _certificate(authority))
    expected = (outputs.cluster_endpoint.rstrip("/"), _certificate(outputs.cluster_certificate_authority))
    if found != expected:
        raise PlatformError(
            f"Terraform's output cluster_endpoint is {outputs.cluster_endpoint or 'empty'}, the local edge's API is "
            f"{cluster['server']}" + ("" if found[0] != expected[0] else ", with another certificate authority"),
            "it is a cluster of another run: `gatewright destroy --target local`, then deploy again",
        )
    return content


def _certificate(encoded: str) -> str:
    """Certificates in PEM, without what two writers write differently."""
    return "".join(base64.b64decode(encoded).decode(errors="replace").split())


def _kubeconfig(name: str, cluster: dict[str, Any], user: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _complete(outputs: Outputs, *names: str) -> None:
    missing = [name for name in names if not getattr(outputs, name)]
    if missing:
        raise PlatformError(
            f"Terraform's outputs {', '.join(missing)} are empty, so the cluster can't be reached",
            "the configuration has to have these outputs: see deploy/*/terraform/outputs.tf",
        )


def _exec_commands(kubeconfig: Path) -> list[str]:
    users = yaml.safe_load(kubeconfig.read_text()).get("users") or []
    return [str(((each.get("user") or {}).get("exec") or {}).get("command", "")) for each in users]
