"""Terraform on this machine: configurations laid out in a folder of their own, for what emulates their cloud."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.clients.aws_place import run

ROOT = Path(__file__).parents[2]
AWS = ROOT / "deploy/aws/terraform"
REHEARSAL = ROOT / "deploy/local/terraform"
LONGEST = 600.0
"""Seconds that Terraform may take: the provider's own delays add up to more than a minute and a half."""
UNCHANGED = 0
"""How `plan -detailed-exitcode` ends; with 2 where something would change."""


class Terraform:
    """`terraform` in a folder with a configuration; later ones of `layers` are put on top of the earlier ones."""

    def __init__(self, program: str, folder: Path, *layers: Path, environment: Mapping[str, str] | None = None) -> None:
        self._program, self.folder = program, folder
        for layer in layers:
            shutil.copytree(
                layer, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
            )
        self._environment = {
            **(environment or {}),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    async def __call__(self, *arguments: str, status: int = 0) -> str:
        """What it prints. Raises `Failed`, with all that it said, when it ends with another status."""
        return await run(
            self._program,
            *arguments,
            "-no-color",
            environment=self._environment,
            folder=self.folder,
            statuses=(status,),
            longest=LONGEST,
        )

    def set(self, **variables: Any) -> None:
        """Set variables from now on; those that were set by an earlier call are no more."""
        (self.folder / "test.auto.tfvars.json").write_text(json.dumps(variables))

    async def outputs(self) -> dict[str, Any]:
        """All outputs by their names."""
        return {name: each["value"] for name, each in json.loads(await self("output", "-json")).items()}
