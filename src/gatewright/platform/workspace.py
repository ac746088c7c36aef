"""The folder of one platform: what was asked for, which steps are done, and all that they made.

DIR/
  state.json            Settings, steps, Outputs (0600)
  terraform/            the configuration as it is applied, with its state file where there is no remote backend
  variables/            files of variables that were given
  certificates/         the Gateway's authority and certificate (0700)
  kubeconfig            of the cluster (0600)
  root-application.yaml what Argo CD was given
  report.json           of the last `gatewright verify`
  fault.log             of a command that ended by a fault of ours (0600)
  lock                  held by the command that works here
  boot, plugins/        of the local target: which run of its edge all this is of; a layout for a provider
  edge/                 of the local target: `edge.json` says how the edge is reached; its log, its data
"""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from gatewright.local.private import write_private
from gatewright.platform.outputs import Outputs
from gatewright.platform.targets import Settings, Target

DEFAULT = Path(".gatewright")

_VERSION = 1
_FIRST = frozenset({"lock", "state.json.new"})
"""What a deployment has left that was ended before it had a state."""
_IGNORED = "*\n"  # keys and states are nothing for a repository


class WorkspaceError(Exception):
    """The folder isn't what it should be; the text says what was found, what was expected and what to do."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a deployment between two commands."""

    settings: Settings
    done: dict[str, str] = {}
    """Steps that are done, by id: a digest of what each was done with, so that it is done again when that changes."""
    outputs: Outputs | None = None
    account: str = ""
    """The AWS account or Azure subscription that Terraform works in; empty before it is known."""
    version: int = _VERSION


class _Versioned(msgspec.Struct):
    version: int = _VERSION


class Workspace:
    """A folder with a platform in it, or where one is to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @staticmethod
    def default(target: Target) -> Workspace:
        """Where a platform is when no `--dir` says otherwise: `.gatewright/TARGET` below the current folder."""
        return Workspace(DEFAULT / target)

    def command(self, name: str, target: Target) -> str:
        """A command of `gatewright` on this platform, as it is typed in the current folder."""
        if self.folder == Workspace.default(target).folder:
            return f"gatewright {name} --target {target}"
        here = Path.cwd()
        folder = self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder
        return f"gatewright {name} --target {target} --dir {shlex.quote(str(folder))}"

    @property
    def terraform(self) -> Path:
        """The configuration as it is applied."""
        return self.folder / "terraform"

    @property
    def variables(self) -> Path:
        """Files of variables that were given, by the names that Terraform reads them by."""
        return self.folder / "variables"

    @property
    def certificates(self) -> Path:
        """The Gateway's authority (`ca.crt`, `ca.key`) and certificate (`tls.crt`, `tls.key`)."""
        return self.folder / "certificates"

    @property
    def kubeconfig(self) -> Path:
        """Of the cluster."""
        return self.folder / "kubeconfig"

    @property
    def root_application(self) -> Path:
        """What Argo CD was given."""
        return self.folder / "root-application.yaml"

    @property
    def report(self) -> Path:
        """Of the last verification, JSON."""
        return self.folder / "report.json"

    @property
    def edge(self) -> Path:
        """Of the local target: the folder of its edge."""
        return self.folder / "edge"

    def read(self) -> State | None:
        """What is known; None where nothing was deployed. Raises WorkspaceError."""
        path = self.folder / "state.json"
        try:
            content = path.read_bytes()
            version = msgspec.json.decode(content, type=_Versioned).version
            if version != _VERSION:
                raise WorkspaceError(
                    f"{path}: found version {version}, expected {_VERSION}; use the gatewright that wrote it, or name "
                    "another folder with --dir"
                )
            return msgspec.json.decode(content, type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise WorkspaceError(
                f"{path}: found no state of a deployment: {error}; name another folder with --dir"
            ) from error

    def check_free(self) -> None:
        """Raises WorkspaceError where the folder has what no deployment put there, which one would overwrite."""
        try:
            found = sorted(path.name for path in self.folder.iterdir())
        except FileNotFoundError:
            return
        others = [name for name in found if name not in _FIRST and not (name == ".gitignore" and self._ignored())]
        if others and "state.json" not in found:
            named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            raise WorkspaceError(
                f"{self.folder}: found {named}, expected an empty folder or one with a platform's state.json; "
                "name another one with --dir"
            )

    def _ignored(self) -> bool:
        return (self.folder / ".gitignore").read_text() == _IGNORED

    def write(self, state: State) -> None:
        """Keep it; whoever is stopped in the middle leaves the old one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / ".gitignore").write_text(_IGNORED)
        write_private(self.folder / "state.json", msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")

    def keep_fault(self, text: str) -> Path:
        """Keep what somebody needs who is to find a fault of ours; returns the file."""
        path = self.folder / "fault.log"
        write_private(path, text.encode())
        return path
