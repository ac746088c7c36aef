"""The folder of one platform: what was asked for, which steps are done, and all that they made.

DIR/
  state.json            Settings, steps, Outputs (0600)
  terraform/            the configuration as it is applied, with its state file where there is no remote backend
  variables/            files of variables that were given
  certificates/         the Gateway's authority and certificate (0700)
  kubeconfig            of the cluster (0600)
  root-application.yaml what Argo CD was given
  report.json           of the last `gatewright verify`
  lock                  held by the command that works here
  boot, plugins/        of the local target: which run of its edge all this is of; a layout for a provider
  edge/                 of the local target: `edge.json` says how the edge is reached; its log, its data
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from gatewright.platform.outputs import Outputs
from gatewright.platform.targets import Settings, Target

DEFAULT = Path(".gatewright")


class WorkspaceError(Exception):
    """The folder isn't what it should be; the text says what was found, what was expected and what to do."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a deployment between two commands."""

    settings: Settings
    done: dict[str, str] = {}
    """Steps that are done, by id: a digest of what each was done with, so that it is done again when that changes."""
    outputs: Outputs | None = None
    version: int = 1


class Workspace:
    """A folder with a platform in it, or where one is to be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @staticmethod
    def default(target: Target) -> Workspace:
        """Where a platform is when no `--dir` says otherwise: `.gatewright/TARGET` below the current folder."""
        return Workspace(DEFAULT / target)

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
            return msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise WorkspaceError(
                f"{path}: found no state of a deployment: {error}; name another folder with --dir"
            ) from error

    def write(self, state: State) -> None:
        """Keep it; whoever is stopped in the middle leaves the old one."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / ".gitignore").write_text("*\n")  # keys and states are nothing for a repository
        path = self.folder / "state.json"
        temporary = path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
        temporary.replace(path)
