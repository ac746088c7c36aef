"""What `make tools` installs is what the requirements ask for, locked by hashes, and runs."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable

import pytest
from tests.deploy import tools
from tests.deploy.install import REQUIREMENTS

PINNED = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)


@pytest.mark.parametrize("name", ["tools", "terraform", "checkov"])
def test_every_requirement_is_locked_by_its_hashes(name: str) -> None:
    asked = dict(PINNED.findall((REQUIREMENTS / f"{name}.in").read_text()))
    text = (REQUIREMENTS / f"{name}.lock").read_text()
    locked = dict(PINNED.findall(text))
    assert asked
    assert asked.items() <= locked.items(), "the lock is older than what it locks: run `make lock`"
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [entry for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text


@pytest.mark.parametrize(
    ("program", "arguments", "version"),
    [
        (tools.terraform, ["version"], r"Terraform v1\.(1[1-9]|[2-9]\d)\."),
        (tools.helm, ["version", "--short"], r"v[34]\."),
        (tools.kubectl, ["version", "--client"], r"Kustomize Version: v5\."),
    ],
)
def test_a_program_runs(program: Callable[[], str], arguments: list[str], version: str) -> None:
    environment = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    ended = subprocess.run([program(), *arguments], capture_output=True, text=True, check=True, env=environment)
    assert re.search(version, ended.stdout)


def test_the_provider_is_where_terraform_looks_for_it() -> None:
    folder = tools.aws_provider()
    for host in ("registry.terraform.io", "gatewright.test"):
        [program] = folder.glob(f"{host}/hashicorp/aws/3.39.0/*/terraform-provider-aws_v3.39.0*")
        assert os.access(program, os.X_OK)
