"""Where tests find the programs and tables that `make tools` installs; a test that lacks one is skipped.

.venv/tools/
  bin/          helm, kubectl, checkov, uv; terraform where the path has none
  plugins/      for `terraform init -plugin-dir`: hashicorp/aws 3.39
  schemas/      aws.tgz, azurerm.tgz: bindings from which `tests.deploy.schemas` reads what a provider knows
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

TOOLS = Path(sys.prefix) / "tools"
PLUGINS = TOOLS / "plugins"


def program(name: str) -> str:
    """The program's path: what `make tools` installed, else what is on the path. Skips the test where neither is."""
    installed = TOOLS / "bin" / name
    found = str(installed) if installed.exists() else shutil.which(name)
    return found or pytest.skip(f"no {name}: neither did `make tools` install it here, nor is it on the path")


def terraform() -> str:
    """Terraform 1.11 or later. Skips the test where there is none."""
    return program("terraform")


def helm() -> str:
    """Helm 4, or what is on the path. Skips the test where there is none."""
    return program("helm")


def kubectl() -> str:
    """kubectl, which has kustomize in it. Skips the test where there is none."""
    return program("kubectl")


def checkov() -> str:
    """checkov. Skips the test where there is none."""
    return program("checkov")


def aws_provider() -> Path:
    """A folder for `-plugin-dir` that has hashicorp/aws 3.39.0, also as gatewright.test/hashicorp/aws.

    Skips the test where there is none.
    """
    if not list(PLUGINS.glob("registry.terraform.io/hashicorp/aws/3.39.0/*/terraform-provider-aws_*")):
        pytest.skip("no hashicorp/aws 3.39: `make tools` installs it on Linux with x86_64 only")
    return PLUGINS


def bindings(provider: str) -> Path:
    """The package with the CDK's bindings for `aws` or `azurerm`. Skips the test where there is none."""
    path = TOOLS / "schemas" / f"{provider}.tgz"
    return path if path.exists() else pytest.skip(f"no bindings for {provider}: run `make tools`")
