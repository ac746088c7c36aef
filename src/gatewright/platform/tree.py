"""Where the platform's files are (`deploy/`), and Terraform's configuration as it is applied: put together of them."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import gatewright
from gatewright.local.private import write_private
from gatewright.platform.errors import PlatformError, UsageError
from gatewright.platform.targets import Target

_KEPT = re.compile(r"\.terraform(\.lock\.hcl)?|.*\.tfstate(\.backup|\.lock\.info)?|.*\.log")
"""In the folder where Terraform runs: what is Terraform's own."""

VARIABLES = "gatewright.auto.tfvars.json"
GIVEN = "given-{number:02d}-{name}"
"""Sorts after our own variables, so that what somebody gives wins; Terraform reads these files by name."""
CHOSEN = "variables.auto.tfvars.json"
"""Sorts after them: single variables win over files."""
ENDING = "zz-destroy.auto.tfvars.json"
"""Sorts last: what a destruction needs wins over everything."""

RESERVED = ("name", "region", "location", "architecture", "domain")
_RESERVED = re.compile(rf"^\s*\"?({'|'.join(RESERVED)})\"?\s*[=:]", re.MULTILINE)


@dataclass(frozen=True)
class Tree:
    """The folder `deploy` of a repository, or of this package."""

    folder: Path

    @property
    def repository(self) -> Path:
        """The folder that has it: what Argo CD checks out."""
        return self.folder.parent

    @property
    def gitops(self) -> Path:
        """What Argo CD syncs."""
        return self.folder / "gitops"

    def terraform(self, cloud: Target) -> Path:
        """A cloud's configuration."""
        return self.folder / cloud / "terraform"


def find_tree(given: Path | None) -> Tree:
    """The given folder, `./deploy`, or what comes with this package. Raises UsageError where there is none."""
    package = Path(gatewright.__file__).parent
    places = [given, given / "deploy"] if given else [Path("deploy"), package.parents[1] / "deploy", package / "deploy"]
    for place in places:
        if (place / "gitops").is_dir() and any((place / cloud / "terraform").is_dir() for cloud in Target):
            return Tree(place.absolute())
    looked = " and ".join(str(place) for place in places)
    raise UsageError(
        f"found no platform's files in {looked}; expected the folders aws/terraform and gitops in it",
        "name the folder `deploy` of a checkout with --tree",
    )


def check_variable_file(path: Path) -> None:
    """Raises UsageError for a file that isn't one of variables, or sets what an option of ours says."""
    if not path.name.endswith((".tfvars", ".tfvars.json")):
        raise UsageError(f"--var-file {path}: expected a name that ends in .tfvars or .tfvars.json")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--var-file {path}: it can't be read: {error}") from error
    if path.name.endswith(".json"):
        try:
            names = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise UsageError(f"--var-file {path}: found no JSON object: {error}") from error
        taken = next((name for name in names if name in RESERVED), None)
    else:
        match = _RESERVED.search(text)
        taken = match[1] if match else None
    if taken:
        option = "region" if taken == "location" else taken
        raise UsageError(
            f"--var-file {path}: it sets {taken}, on which more than Terraform depends", f"give --{option} instead"
        )


def keep_variable_files(files: Sequence[Path], folder: Path) -> None:
    """Keep what was given for later runs, in place of what was given before, which goes last."""
    contents = [(path.name, path.read_bytes()) for path in files]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept: set[Path] = set()
    for number, (name, content) in enumerate(contents, 1):
        ending = ".auto.tfvars.json" if name.endswith(".json") else ".auto.tfvars"
        stem = name.removesuffix(".json").removesuffix(".tfvars").removesuffix(".auto")
        file = folder / (GIVEN.format(number=number, name=stem) + ending)
        write_private(file, content)
        kept.add(file)
    for left in {*folder.iterdir()} - kept:
        left.unlink()


def assemble(sources: Sequence[Path], files: dict[str, bytes], folder: Path) -> None:
    """Make `folder` the configuration: all of `sources`, later ones on top, and `files`. Terraform's own files stay."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in folder.iterdir():
        if _KEPT.fullmatch(left.name):
            continue
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
    for source in sources:
        if not source.is_dir():
            raise PlatformError(f"{source} isn't there", "name the folder `deploy` of a whole checkout with --tree")
        shutil.copytree(source, folder, dirs_exist_ok=True, ignore=_ignored)
    folder.chmod(0o700)  # it got the mode of what was copied, and Terraform's state is for nobody else
    for name, content in files.items():
        write_private(folder / name, content)


def _ignored(_: str, names: list[str]) -> set[str]:
    return {name for name in names if _KEPT.fullmatch(name) or name in ("terraform.tfvars", "__pycache__")}


def content_digest(sources: Sequence[Path]) -> str:
    """The same text for the same files."""
    found = hashlib.sha256()
    for source in sources:
        for path in _files(source):
            found.update(f"{path.relative_to(source)}\0".encode())
            found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not _ignored("", list(path.relative_to(folder).parts)):
                yield path
