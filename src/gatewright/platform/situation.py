"""What is known of a platform between its steps, and how its cluster and its cloud are reached."""

from __future__ import annotations

import base64
import contextlib
import os
import shutil
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gatewright.aws.client import Aws
from gatewright.cluster import Client
from gatewright.local import tools
from gatewright.platform import azureaccount, configuration, rehearsal, waiting
from gatewright.platform.errors import EXPECTED, PlatformError
from gatewright.platform.outputs import Outputs
from gatewright.platform.rehearsal import RehearsalEdge
from gatewright.platform.steps import Progress
from gatewright.platform.targets import Settings, Target
from gatewright.platform.terraform import Terraform
from gatewright.platform.terraformlog import Run
from gatewright.platform.tree import ENDING, Tree, assemble
from gatewright.platform.workspace import DEFAULT, State, Workspace

_ATTEMPTS = 5
"""How often a call of AWS is sent that is throttled, or isn't answered."""


class OtherAccount(PlatformError):
    """The credentials are of another account, in which Terraform would find nothing and forget all that it made."""


class Declined(PlatformError):
    """Somebody looked at the plan, and said no."""


@dataclass
class Situation:
    """A platform in a workspace: what is known of it, how its cluster and its cloud are reached.

    `confirm` is asked with Terraform's plan before anything is changed in a real account. Without a tree it can be
    looked at, and no more.
    """

    workspace: Workspace
    given_tree: Tree | None
    progress: Progress
    confirm: Callable[[Run], bool]
    plan_only: bool = False
    _state: State = field(init=False)

    def __post_init__(self) -> None:
        state = self.workspace.read()
        if state is None:
            raise PlatformError(f"{self.workspace.folder}: no platform is described there")
        self._state = state

    @property
    def settings(self) -> Settings:
        """What was asked for."""
        return self._state.settings

    @property
    def tree(self) -> Tree:
        """The platform's files."""
        if self.given_tree is None:
            raise PlatformError("the platform's files aren't known", "name the folder `deploy` with --tree")
        return self.given_tree

    @property
    def local(self) -> bool:
        """Whether it is the rehearsal."""
        return self.settings.target is Target.LOCAL

    def command(self, name: str) -> str:
        """A command of `gatewright` on this platform, as it is typed."""
        return self.workspace.command(name, self.settings.target)

    @property
    def edge(self) -> RehearsalEdge | None:
        """The rehearsal's edge, while it runs."""
        return rehearsal.find(self.workspace.edge) if self.local else None

    @property
    def outputs(self) -> Outputs:
        """Terraform's. Raises PlatformError before there are any."""
        if self._state.outputs is None:
            raise PlatformError(
                f"the platform in {self.workspace.folder} isn't deployed that far: Terraform's outputs aren't known",
                f"`{self.command('deploy')}`",
            )
        return self._state.outputs

    @property
    def known_outputs(self) -> Outputs | None:
        """Terraform's, as far as there are any."""
        return self._state.outputs

    @property
    def account(self) -> str:
        """The AWS account or Azure subscription that it is in; empty before that is known."""
        return self._state.account or (self._state.outputs.account_id if self._state.outputs else "")

    async def know_account(self) -> None:
        """Find out whose the credentials are. Raises OtherAccount once Terraform has begun in another account."""
        if self.local:
            return
        if self.settings.target is Target.AZURE:
            kind = "subscription"
            found = await azureaccount.subscription_id(self.account if self.digest("terraform") is not None else "")
        else:
            kind = "account"
            async with self.aws() as aws:
                found = str((await aws.call("sts", "get_caller_identity"))["Account"])
        if self.account and found != self.account and self.digest("terraform") is not None:
            raise OtherAccount(
                f"the platform in {self.workspace.folder} is in {kind} {self.account}, the credentials are of {found}",
                "nothing was changed; choose the credentials by which it was deployed"
                + (" (unset ARM_SUBSCRIPTION_ID)" if kind == "subscription" else " (AWS_PROFILE, `aws sso login`)"),
            )
        if found != self.account:
            self._write(account=found)

    def digest(self, step: str) -> str | None:
        """What a step was done with."""
        return self._state.done.get(step)

    def record(self, step: str, digest: str) -> None:
        """Remember that a step is done, or begun."""
        self._write(done={**self._state.done, step: digest})

    def forget(self, *steps: str) -> None:
        """Remember that steps are not done."""
        self._write(done={step: digest for step, digest in self._state.done.items() if step not in steps})

    def keep_outputs(self, outputs: Outputs) -> None:
        """Remember Terraform's outputs."""
        self._write(outputs=outputs)

    def _write(self, **changes: Any) -> None:
        self._state = msgspec.structs.replace(self._state, **changes)
        self.workspace.write(self._state)

    def boot(self) -> str:
        """Of the edge that runs; whatever was made in an earlier one is gone with it."""
        edge = self.edge
        return edge.boot if edge else ""

    @property
    def patience(self) -> waiting.Patience:
        """How long is waited for what others do."""
        return waiting.LOCAL if self.local else waiting.REMOTE

    def client(self) -> Client:
        """Of the cluster."""
        return Client.connect(self.workspace.kubeconfig)

    def aws(self) -> Aws:
        """The account."""
        edge = self.edge
        if not self.local:
            return Aws(region=self.settings.region, read_timeout=30.0, attempts=_ATTEMPTS)
        if edge is None:
            raise PlatformError("the local edge doesn't run", f"`{self.command('deploy')}` starts it")
        credentials = edge.aws["AWS_ACCESS_KEY_ID"], edge.aws["AWS_SECRET_ACCESS_KEY"]
        return Aws(region=edge.aws["AWS_REGION"], endpoint_url=edge.aws["AWS_ENDPOINT_URL"], credentials=credentials)

    def azure(self) -> azureaccount.Ask | None:
        """Azure's command line for the subscription; None for a platform elsewhere."""
        return partial(azureaccount.az, subscription=self.account) if self.settings.target is Target.AZURE else None

    def authorities(self) -> Path | None:
        """A file with those whom clients trust; None for the system's.

        A certificate that Key Vault has signed by itself is its own authority, so that its distrust hides nothing else.
        """
        edge = self.edge
        if edge is not None:
            return Path(edge.ca)
        encoded = self.outputs.entry_certificate
        if not encoded:
            return None
        path = self.workspace.certificates / "entry.crt"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(ssl.DER_cert_to_PEM_cert(base64.b64decode(encoded)))
        return path

    def terraform(self) -> Terraform:
        """Terraform in the workspace. Raises ToolError."""
        plugins = self.plugins()
        return Terraform(
            str(tools.need("terraform", "to make what is in the cloud")),
            self.workspace.terraform,
            environment=configuration.environment(self.settings, self.edge, self.account),
            doing=self.progress.doing,
            plugins=plugins.folder if plugins else None,
            backend=self.settings.backend,
        )

    async def begun_elsewhere(self) -> bool:
        """Whether a remote state has something already: then this folder takes the place of one that was lost."""
        if self.settings.backend:
            with contextlib.suppress(*EXPECTED):  # whoever needs the state is told why there is none
                self.assemble()
                terraform = self.terraform()
                await terraform.init()
                return bool(await terraform.resources())
        return False

    def plugins(self) -> configuration.Plugins | None:
        """Providers that lie ready on this machine; None where Terraform gets them itself."""
        # A real account gets the provider that the configuration pins, unless somebody names a folder with it.
        if not self.local and not os.environ.get(configuration.PLUGINS):
            return None
        return configuration.find_plugins(os.environ, self.workspace.folder)

    def assemble(self, **ending: Any) -> None:
        """Put Terraform's configuration together in the workspace; `ending` are variables for its destruction."""
        sources = configuration.sources(self.tree, self.settings, self.plugins())
        last = {ENDING: msgspec.json.encode(ending)} if ending else {}
        assemble(sources, self.files() | last, self.workspace.terraform)

    def files(self) -> dict[str, bytes]:
        """The files that are put beside Terraform's configuration."""
        authority = self.workspace.certificates / "ca.crt"
        pem = authority.read_bytes() if authority.exists() else b""
        ours = configuration.variables(self.settings, pem, self.edge)
        return configuration.files(self.settings, ours, self.workspace)


def leave_nothing(workspace: Workspace) -> None:
    """Remove all that a workspace has, and the folder, where it is empty then."""
    for name in ("terraform", "variables", "certificates", "edge", "plugins"):
        shutil.rmtree(workspace.folder / name, ignore_errors=True)
    others = ("kubeconfig", "root-application.yaml", "report.json", "boot", "fault.log", "lock", ".gitignore")
    for name in ("state.json", *others):
        (workspace.folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody keeps more in it
        workspace.folder.rmdir()
        if workspace.folder.parent.name == DEFAULT.name:
            workspace.folder.parent.rmdir()
