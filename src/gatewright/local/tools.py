"""The programs that gatewright calls and doesn't bring: Terraform, Helm, kubectl, kustomize."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

VERSION_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "terraform": ("version", "-json"),
    "helm": ("version", "--template={{.Version}}"),
    "kubectl": ("version", "--client", "-o", "json"),
    "kustomize": ("version",),
    "aws": ("--version",),
    "az": ("version", "-o", "json"),
}
"""How each program is asked for its version."""

_SECONDS = 90
_QUIET: Final = {"CHECKPOINT_DISABLE": "1"}
"""Terraform would ask its maker for news when it is asked for its version, and note that in the home folder."""
_NUMBERS = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class ToolError(Exception):
    """A program is missing, or doesn't tell its version; the text says which, where it was looked for, the remedy."""


def folders() -> list[Path]:
    """Where a program is looked for after PATH: beside the environment that gatewright runs in."""
    return [Path(sys.prefix) / "tools" / "bin", Path(sys.prefix) / "bin"]


def find(name: str) -> Path | None:
    """A program by name: out of PATH, then out of `folders`; None where it is in none of them."""
    for where in (None, *map(str, folders())):
        found = shutil.which(name, path=where)
        if found:
            return Path(found)
    return None


def need(name: str, purpose: str) -> Path:
    """A program by name, or ToolError that says what it is needed for."""
    found = find(name)
    if found is None:
        looked = os.pathsep.join(("PATH", *map(str, folders())))
        raise ToolError(f"{name}: not found in {looked}; it is needed {purpose}: install it")
    return found


def kustomize() -> list[str]:
    """The command that builds a kustomization, without its folder. Raises ToolError."""
    program = find("kustomize")
    if program:
        return [str(program), "build"]
    return [str(need("kubectl", "to build kustomizations, where there is no kustomize")), "kustomize"]


def version(name: str) -> tuple[int, int, int]:
    """The version of a program, asked of itself. Raises ToolError. Blocks for as long as the program takes."""
    program = need(name, "to learn its version")
    command = [str(program), *VERSION_COMMANDS.get(name, ("--version",))]
    try:
        done = subprocess.run(  # noqa: S603 - a program that the user has installed
            command, capture_output=True, text=True, check=False, timeout=_SECONDS, env={**os.environ, **_QUIET}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{program}: doesn't tell its version: {error}; install it anew") from error
    found = parse_version(name, done.stdout) or parse_version(name, done.stderr)
    if found is None:
        said = (done.stderr or done.stdout).strip()[:200] or "nothing"
        raise ToolError(f"{program}: asked for its version it says {said}; install it anew")
    return found


def parse_version(name: str, text: str) -> tuple[int, int, int] | None:
    """The version in what a program says of itself; None where there is none."""
    field = {"terraform": ("terraform_version",), "kubectl": ("clientVersion", "gitVersion"), "az": ("azure-cli",)}
    if name in field:
        try:
            value = json.loads(text)
            for part in field[name]:
                value = value[part]
            text = str(value)
        except (ValueError, KeyError, TypeError):
            return None
    match = _NUMBERS.search(text)
    if match is None:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0)
