"""Terraform, run in a folder with a configuration: its plan, what becomes of it, and its outputs.

It has a process group of its own and writes into a file that we follow: so Ctrl-C reaches it through us alone, and
where we are killed it goes on to a proper end with its state kept; whoever comes next waits for its lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from gatewright.platform import programs
from gatewright.platform.errors import PlatformError
from gatewright.platform.terraformlog import Run

PLAN = "plan.tfplan"
_LOG = "terraform.log"
_ERRORED = "errored.tfstate"
_LOOK_SECONDS = 0.1
_SHARED = ("TF_WORKSPACE", "TF_DATA_DIR")
"""Variables by which another configuration's state would be taken for this one's."""
_LOCK_TIMEOUT = "10m"
_OUTGROWN = "does not match configured version constraint"
"""What Terraform says of a provider in the lock file that the configuration has come to exclude."""
_UNCHANGED, _FAILED, _CHANGED = 0, 1, 2
"""How `plan -detailed-exitcode` ends."""


class TerraformFailed(PlatformError):
    """It ended with an error; the text is Terraform's own."""


class Terraform:
    """Terraform in a folder. Every method raises TerraformFailed, or PlatformError where it can't be run."""

    def __init__(
        self,
        program: str,
        folder: Path,
        *,
        environment: Mapping[str, str],
        doing: Callable[[str], None] = lambda _: None,
        plugins: Path | None = None,
        backend: Mapping[str, str] | None = None,
    ) -> None:
        """`plugins` is a folder with providers (`-plugin-dir`), `doing` is told how far it is."""
        self._program, self._folder, self._doing = program, folder, doing
        self._plugins, self._backend = plugins, dict(backend or {})
        self._environment = {
            **{name: value for name, value in environment.items() if name not in _SHARED},
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    @property
    def begun(self) -> bool:
        """Whether there is a state on this machine, or one elsewhere was in use."""
        return (self._folder / "terraform.tfstate").exists() or (
            self._folder / ".terraform" / "terraform.tfstate"
        ).exists()

    async def init(self) -> None:
        """Get providers and modules, and find the state.

        Providers are those of an earlier run, by its lock file, as long as the configuration allows their versions.
        """
        options = [f"-plugin-dir={self._plugins}"] if self._plugins else []
        options += [f"-backend-config={name}={value}" for name, value in sorted(self._backend.items())]
        self._doing("getting providers and modules")
        run, status = await self._run("init", "-no-color", "-reconfigure", *options)
        if status and _OUTGROWN in " ".join(run.failure().split()):
            run, status = await self._run("init", "-no-color", "-reconfigure", "-upgrade", *options)
        if status:
            raise TerraformFailed(
                f"terraform init: {run.failure()}",
                _remedy(run)
                or "it needs the registry of providers, or a folder with them that GATEWRIGHT_TERRAFORM_PLUGINS names: "
                f"`terraform providers mirror FOLDER`, run in a copy of {self._folder} where the registry is in reach, "
                "fills one, and `make tools` of a checkout brings one that does for a rehearsal; a remote state also "
                "needs credentials for its backend",
            )
        await self._push_errored()

    async def _push_errored(self) -> None:
        """Put a state into its place that Terraform couldn't write there: without it, what it made is forgotten."""
        errored = self._folder / _ERRORED
        if not errored.exists() or not errored.stat().st_size:  # there is nothing in it where the disk was full
            return
        self._doing("putting the state that an earlier run left into its place")
        ended = await programs.run(
            [self._program, "state", "push", _lock(), _ERRORED], environment=self._environment, folder=self._folder
        )
        if ended.status:
            raise TerraformFailed(
                f"terraform state push {errored}: {ended.told}",
                "an earlier run couldn't write its state, and left it in that file; Terraform has to have it before "
                "anything else is done",
            )
        errored.unlink()

    async def plan(self, *, destroy: bool = False, targets: Sequence[str] = ()) -> Run:
        """What would change; `apply` does just that. A plan without `changes` needs no `apply`.

        With `targets`, of these addresses and of what they need only.
        """
        options = [*(["-destroy"] if destroy else []), *(f"-target={address}" for address in targets)]
        self._doing("comparing with what is there")
        run, status = await self._run("plan", "-json", "-detailed-exitcode", f"-out={PLAN}", _lock(), *options)
        self._keep_private(PLAN)
        if status not in (_UNCHANGED, _CHANGED):
            raise TerraformFailed(f"terraform plan: {run.failure()}", _remedy(run))
        return run

    async def apply(self, plan: Run) -> None:
        """Do what was planned. What was done up to an error stays, and is known to the state."""
        total = len(plan.changes)
        try:
            run, status = await self._run("apply", "-json", _lock(), PLAN, total=total)
        finally:
            self.drop_plan()
            self._keep_private("terraform.tfstate", "terraform.tfstate.backup")
        if status:
            raise TerraformFailed(f"terraform apply, {run.done} of {total} done: {run.failure()}", _remedy(run))

    def drop_plan(self) -> None:
        """Remove what was planned, which has values that are nobody else's business."""
        (self._folder / PLAN).unlink(missing_ok=True)

    async def outputs(self) -> dict[str, Any]:
        """The configuration's outputs by name."""
        text = await programs.expect(
            [self._program, "output", "-json", "-no-color"], environment=self._environment, folder=self._folder
        )
        found = msgspec.json.decode(text, type=dict[str, dict[str, Any]])
        return {name: output.get("value") for name, output in found.items()}

    async def resources(self) -> list[str]:
        """Addresses of all that the state holds."""
        ended = await programs.run([self._program, "state", "list"], environment=self._environment, folder=self._folder)
        if ended.status:
            if "No state file" in ended.told:
                return []
            raise TerraformFailed(f"terraform state list: {ended.told}")
        return ended.output.split()

    async def _run(self, *arguments: str, total: int = 0) -> tuple[Run, int]:
        """Run it to its end. A cancellation interrupts it, and then still waits until it has kept its state."""
        run = Run()
        log = self._folder / _LOG
        log.unlink(missing_ok=True)  # one that runs on after we were killed still writes into the old file
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as written:
            process = await programs.start(
                [self._program, *arguments],
                cwd=self._folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        ended = asyncio.ensure_future(process.wait())
        with log.open("rb") as read:
            rest = b""
            ending: asyncio.CancelledError | OSError | None = None
            while True:
                finished = ended.done()
                *lines, rest = (rest + read.read()).split(b"\n")
                for line in lines:
                    run.read(line.decode(errors="replace"), time.monotonic())
                if finished:
                    run.read(rest.decode(errors="replace"), time.monotonic())
                    break
                try:
                    if not ending and (total or run.running):
                        self._doing(run.line(total, time.monotonic()))
                    await asyncio.wait((ended,), timeout=_LOOK_SECONDS)
                except (asyncio.CancelledError, OSError) as error:  # that of a full disk, where we say how far it is
                    # One interrupt ends it after what it is doing now, a second one at once: each is passed on.
                    ending = error
                    self._doing("letting terraform end what it is doing and keep its state")
                    with contextlib.suppress(ProcessLookupError):
                        process.send_signal(signal.SIGINT)
        if ending:
            self._keep_private("terraform.tfstate", "terraform.tfstate.backup")
            raise ending
        return run, ended.result()

    def _keep_private(self, *names: str) -> None:
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                (self._folder / name).chmod(0o600)


def _lock() -> str:
    return f"-lock-timeout={_LOCK_TIMEOUT}"


_REMEDIES: Sequence[tuple[str, str]] = (
    (
        "Unsupported state file format",
        "the state is broken, as after a disk was full: put terraform.tfstate.backup in its place, or an earlier "
        "version out of the backend",
    ),
    ("state lock", "another Terraform works on this state; wait for it, or see `terraform force-unlock`"),
    ("UnauthorizedOperation", "the credentials lack a permission that Terraform's text names"),
    ("AccessDenied", "the credentials lack a permission that Terraform's text names"),
    ("AuthorizationFailed", "the account lacks a role that Terraform's text names"),
    ("ExpiredToken", "log in anew, and run the same command again"),
    ("LimitExceeded", "ask for a higher quota, or remove what isn't needed"),
    ("QuotaExceeded", "ask for a higher quota, or remove what isn't needed"),
    ("Missing required argument", "give the variable with --var or --var-file"),
    ("access entry resource is already in use", "leave whoever makes the cluster out of cluster_admins"),
    (
        "'ISSUED'",
        "the names of the certificate's validation don't resolve for all the world: the zone above has to have the "
        "name servers of the hosted zone (`aws route53 get-hosted-zone --id ID`)",
    ),
    ("BucketNotEmpty", "`gatewright destroy --delete-logs` deletes the access logs too; or empty the bucket by hand"),
    ("No value for required variable", "give the variable with --var or --var-file"),
)


def _remedy(run: Run) -> str:
    told = run.failure()
    return next((remedy for part, remedy in _REMEDIES if part in told), "")
