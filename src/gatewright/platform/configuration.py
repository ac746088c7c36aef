"""Terraform's configuration for a platform: which files, which variables, which providers."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gatewright.local.aws.endpoint import surroundings
from gatewright.platform.errors import PlatformError
from gatewright.platform.rehearsal import RehearsalEdge
from gatewright.platform.targets import Settings, Target
from gatewright.platform.tree import CHOSEN, VARIABLES, Tree
from gatewright.platform.workspace import Workspace

PLUGINS = "GATEWRIGHT_TERRAFORM_PLUGINS"
"""The environment variable that names a folder with providers, for machines without a way to Terraform's registry.

Set and empty, it leaves them to Terraform, whatever lies beside this Python environment.
"""

_REGISTRY = "registry.terraform.io"
"""The host in the address of a provider for which a configuration names none; a plugin folder's layout has it."""
_PROVIDER = re.compile(r"terraform-provider-aws_v?(\d+\.\d+\.\d+)\w*(?:_(\w+_\w+)\.zip)?")
_BACKENDS = {Target.AWS: "s3", Target.AZURE: "azurerm"}


class Plugins(NamedTuple):
    """A folder of providers in the layout of `-plugin-dir`, and the version of the AWS provider in it, if any."""

    folder: Path
    version: str


def find_plugins(environment: Mapping[str, str], workspace: Path) -> Plugins | None:
    """Providers in the folder that the environment names, or beside this Python environment; None where there are none.

    An AWS provider that lies there in no layout gets one in the workspace. Raises PlatformError where the named folder
    has no provider.
    """
    named = environment.get(PLUGINS)
    if named == "":
        return None
    place = Path(named).absolute() if named else Path(sys.prefix) / "tools" / "plugins"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    system = f"{sys.platform}_{machine}"
    layout = place / _REGISTRY / "hashicorp" / "aws"
    versions = sorted(layout.glob(f"*/{system}"), key=lambda found: _number(found.parent.name))
    if versions:
        return Plugins(place, versions[-1].parent.name)
    packed = sorted(layout.glob(f"terraform-provider-aws_*_{system}.zip"))
    if packed:
        return Plugins(place, packed[-1].name.split("_")[1])
    for path in sorted(place.rglob("terraform-provider-aws_*"), reverse=True):
        match = _PROVIDER.fullmatch(path.name)
        if match and path.is_file() and match[2] in (None, system):
            return _laid_out(workspace / "plugins", path, match[1], system)
    if (place / _REGISTRY).is_dir():
        return Plugins(place, "")
    if named:
        raise PlatformError(
            f"{PLUGINS}: found no provider in {place}, expected {_REGISTRY}/NAMESPACE/NAME in it",
            "where the registry is in reach, `terraform providers mirror FOLDER` in deploy/aws/terraform fills one",
        )
    return None


def _laid_out(folder: Path, path: Path, version: str, system: str) -> Plugins:
    layout = folder / _REGISTRY / "hashicorp" / "aws"
    zipped = path.suffix == ".zip"
    link = layout / f"terraform-provider-aws_{version}_{system}.zip" if zipped else layout / version / system
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(path.resolve() if zipped else path.resolve().parent)
    return Plugins(folder, version)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def sources(tree: Tree, settings: Settings, plugins: Plugins | None) -> list[Path]:
    """The folders of which the configuration is put together, later ones on top."""
    found = [tree.terraform(settings.cloud)]
    if settings.target is Target.LOCAL:
        local = tree.folder / "local" / "terraform"
        found.append(local / "common")
        if plugins is not None and plugins.version.startswith("3."):
            found.append(local / "provider-3")
    return found


def variables(settings: Settings, authority: bytes, edge: RehearsalEdge | None) -> dict[str, Any]:
    """What we set. `authority` is the Gateway's, in PEM."""
    if settings.target is Target.AZURE:
        return {
            "name": settings.name,
            "location": settings.region,
            "domain": settings.domain,
            "gateway_ca_certificate": authority.decode(),
        }
    ours: dict[str, Any] = {
        "name": settings.name,
        "region": settings.region,
        "architecture": str(settings.architecture),
        "domain": settings.domain,
    }
    if edge is not None:
        ours |= {
            "vpc_cidr": edge.vpc_cidr,
            "zones": list(edge.zones),
            "public_subnet_cidrs": list(edge.public_subnet_cidrs),
            "private_subnet_cidrs": list(edge.private_subnet_cidrs),
            "create_hosted_zone": True,
            "force_destroy": True,
            "deletion_protection": False,
            "rehearsal_endpoint": edge.aws["AWS_ENDPOINT_URL"],
        }
    return ours


def files(settings: Settings, ours: Mapping[str, Any], workspace: Workspace) -> dict[str, bytes]:
    """The files that are put beside the configuration: variables, and which kind of remote state it is."""
    found = {VARIABLES: msgspec.json.format(msgspec.json.encode(ours), indent=2)}
    for path in sorted(workspace.variables.glob("*")) if workspace.variables.is_dir() else ():
        found[path.name] = path.read_bytes()
    if settings.variables:
        found[CHOSEN] = msgspec.json.format(msgspec.json.encode(settings.variables), indent=2)
    if settings.backend:
        found["backend_override.tf"] = f'terraform {{\n  backend "{_BACKENDS[settings.cloud]}" {{}}\n}}\n'.encode()
    return found


def environment(settings: Settings, edge: RehearsalEdge | None, account: str = "") -> dict[str, str]:
    """In which programs are run that call the cloud. `account` is the subscription of a platform on Azure."""
    if settings.target is Target.LOCAL:
        own = edge.aws if edge is not None else {}
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TF_") or name in ("TF_PLUGIN_CACHE_DIR", "TF_CLI_CONFIG_FILE")
        }
        return surroundings(kept, own)
    found = dict(os.environ)
    if settings.target is Target.AWS:
        found["AWS_REGION"] = settings.region
    elif account:
        found["ARM_SUBSCRIPTION_ID"] = account  # the provider asks for it, though `az` has a current one
    return found
