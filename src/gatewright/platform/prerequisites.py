"""What has to be there before a platform can be stood up; all that is missing is told at once."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from gatewright.local import tools
from gatewright.platform import programs
from gatewright.platform.errors import EXPECTED, PlatformError
from gatewright.platform.targets import Settings, Target

Version = tuple[int, int, int]


class Missing(NamedTuple):
    """One thing that isn't as it has to be, and what to do about it."""

    what: str
    remedy: str

    def __str__(self) -> str:
        apart = "\n" if "\n" in self.what else "; "
        return f"{self.what}{apart}{self.remedy}" if self.remedy else self.what


Check = Callable[[], Awaitable[Sequence[Missing]]]

_MEGABYTE = 1_000_000
_ROOM = 100 * _MEGABYTE
"""For Terraform's state, plans and logs; what room it needs for a provider it says itself."""

BROUGHT = "or let `make tools` bring it into a checkout's .venv, on Linux"
"""What else there is to do about a program that a rehearsal lacks."""


class Tool(NamedTuple):
    """A program that is called. `least` is the oldest version that does."""

    name: str
    purpose: str
    least: Version


_TERRAFORM = Tool("terraform", "to make what is in the cloud", (1, 9, 0))
_KUBECTL = Tool("kubectl", "to build manifests and to install Argo CD", (1, 27, 0))
_HELM = Tool("helm", "to render the controller's chart", (3, 8, 0))
_AWS = Tool("aws", "for tokens of the cluster", (2, 0, 0))
_AZ = Tool("az", "for credentials of Azure", (2, 60, 0))
_GIT = Tool("git", "to see that Argo CD will find the repository", (2, 25, 0))

TOOLS = {
    Target.LOCAL: (_TERRAFORM, _KUBECTL, _HELM),
    Target.AWS: (_TERRAFORM, _KUBECTL, _AWS, _GIT),
    Target.AZURE: (_TERRAFORM._replace(least=(1, 11, 0)), _KUBECTL, _AZ, _GIT),
}


async def check(checks: Sequence[Check]) -> None:
    """Make all checks at once. Raises PlatformError with everything that is missing."""
    results = await asyncio.gather(*(_checked(each) for each in checks))
    missing = list(dict.fromkeys(str(each) for result in results for each in result))
    if not missing:
        return
    if len(missing) == 1:
        raise PlatformError(missing[0])
    items = (f"\n  - {textwrap.indent(each, '    ').lstrip()}" for each in missing)
    raise PlatformError(f"{len(missing)} things are missing:{''.join(items)}")


async def _checked(check: Check) -> Sequence[Missing]:
    """What a check finds; one that can't be made has found that."""
    try:
        return await check()
    except EXPECTED as error:
        return [Missing(str(error), getattr(error, "remedy", ""))]


async def tools_there(target: Target) -> list[Missing]:
    """Whether the programs are there, and new enough."""
    found = await asyncio.gather(*(asyncio.to_thread(_tool, tool, target) for tool in TOOLS[target]))
    return [missing for missing in found if missing]


def _tool(tool: Tool, target: Target) -> Missing | None:
    remedy = f"install {tool.name} {_text(tool)}"
    if tools.find(tool.name) is None:
        brought = f", {BROUGHT}" if target is Target.LOCAL else ""
        return Missing(f"{tool.name} isn't there; it is needed {tool.purpose}", remedy + brought)
    try:
        version = tools.version(tool.name)
    except tools.ToolError as error:
        return Missing(str(error), "")
    if version < tool.least:
        found = ".".join(map(str, version))
        return Missing(f"{tool.name} is of version {found}", remedy)
    return None


def _text(tool: Tool) -> str:
    return ".".join(map(str, tool.least)) + " or newer"


async def repository_there(settings: Settings) -> list[Missing]:
    """Whether the repository can be read, and has the overlay at the revision."""
    git = tools.find("git")
    if git is None:
        return []  # told as a missing tool
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes"}
    overlay = f"deploy/gitops/overlays/{settings.overlay}"
    with tempfile.TemporaryDirectory() as folder:
        await programs.expect([str(git), "init", "--quiet", folder], environment=environment)
        fetched = await programs.run(
            [
                *(str(git), "-C", folder, "fetch", "--quiet", "--depth=1", "--filter=blob:none"),
                *("--", settings.repository, settings.revision),
            ],
            environment=environment,
            limit=60.0,
        )
        if fetched.status:
            return [
                Missing(
                    f"{settings.repository} at {settings.revision} can't be read: {fetched.told}",
                    "name a repository and a branch, tag or commit that Argo CD can read, with --repository and "
                    "--revision; where it asks for credentials, Argo CD needs them too",
                )
            ]
        found = await programs.run(
            [str(git), "-C", folder, "ls-tree", "--name-only", "FETCH_HEAD", f"{overlay}/"], environment=environment
        )
    if "kustomization.yaml" not in found.output:
        return [
            Missing(
                f"{settings.repository} at {settings.revision} has no {overlay}/kustomization.yaml",
                "push a checkout of this repository there, with its folder deploy",
            )
        ]
    return []


def writable(folder: Path) -> list[Missing]:
    """Whether the workspace can be written, and has room: Terraform loses its state where a disk gets full."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return [Missing(f"{folder} can't be written: {error}", "name another folder with --dir")]
    if free >= _ROOM:
        return []
    found = f"{folder} has room for {free // _MEGABYTE} MB, expected {_ROOM // _MEGABYTE} MB"
    return [Missing(found, "make room on its disk, or name another folder with --dir")]
