"""What `deploy`, `destroy` and `status` do, once their options are read."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console

from gatewright.cli import logs
from gatewright.cli.exits import FAILED, OK
from gatewright.cli.formats import Format, rendered
from gatewright.cli.steps import StepScreen
from gatewright.platform.binding import entry
from gatewright.platform.deployment import Deployment
from gatewright.platform.destruction import Destruction
from gatewright.platform.errors import EXPECTED, StepFailed, UsageError
from gatewright.platform.lock import locked
from gatewright.platform.overview import commands, lines, look
from gatewright.platform.settling import Asked, parse_pairs, parse_variables, settle
from gatewright.platform.situation import Declined, Situation
from gatewright.platform.steps import carry_out
from gatewright.platform.targets import Architecture, Settings, Target
from gatewright.platform.terraformlog import Run
from gatewright.platform.tree import check_variable_file, find_tree, keep_variable_files
from gatewright.platform.workspace import DEFAULT, State, Workspace

USAGE = 2


@dataclass(frozen=True)
class Deploying:
    """The options of `gatewright deploy`."""

    target: Target
    architecture: Architecture | None
    folder: Path | None
    name: str | None
    region: str | None
    domain: str | None
    repository: str | None
    revision: str | None
    image: str | None
    variable_files: Sequence[Path]
    variables: Sequence[str]
    backend: Sequence[str]
    tree: Path | None
    plan_only: bool
    yes: bool


def deploy(options: Deploying) -> int:
    """Stand a platform up. Returns the exit status."""
    screen = _screen()
    workspace = Workspace(options.folder) if options.folder else Workspace.default(options.target)
    try:
        tree = find_tree(options.tree)
        _settled(options, workspace)  # before there is anything on the disk
        workspace.check_free()
        for path in options.variable_files:
            check_variable_file(path)
        if not (options.yes or options.plan_only or options.target is Target.LOCAL or sys.stdin.isatty()):
            raise UsageError(
                "there is no terminal to ask at before anything is changed in a real account",
                "give --yes, or --plan-only to see what would be changed",
            )
        with locked(workspace):
            before = workspace.read()
            settings = _settled(options, workspace)
            if options.variable_files:
                keep_variable_files(options.variable_files, workspace.variables)
            workspace.write(msgspec.structs.replace(before, settings=settings) if before else State(settings=settings))
            deployment = Deployment(workspace, tree, screen, _asking(screen, options.yes), options.plan_only)
            again, back = (deployment.command(name) for name in ("deploy", "destroy"))
            return _run(_carry_out(deployment), screen, workspace, f"`{again}`, or go back: `{back}`")
    except EXPECTED as error:
        return _refused(screen, error)


def _settled(options: Deploying, workspace: Workspace) -> Settings:
    """What the platform is to be. Raises UsageError."""
    before = workspace.read()
    asked = Asked(
        target=options.target,
        architecture=options.architecture,
        name=options.name,
        region=options.region,
        domain=options.domain,
        repository=options.repository,
        revision=options.revision,
        image=options.image,
        variables=parse_variables(options.variables),
        backend=parse_pairs(options.backend, "--backend-config"),
    )
    begun = before is not None and "terraform" in before.done
    return settle(asked, before.settings if before else None, begun=begun, region=_region(os.environ))


async def _carry_out(deployment: Deployment) -> int:
    await carry_out(deployment.steps(), deployment, deployment.progress)
    if deployment.plan_only:
        return OK
    where = entry(deployment.outputs)
    if isinstance(deployment.progress, StepScreen):
        deployment.progress.line(f"The platform stands{f': {where}' if where else ''}.")
        for command in await commands(deployment):
            deployment.progress.line(f"  {command}")
    return OK


def destroy(folder: Path | None, target: Target | None, tree: Path | None, *, delete_logs: bool, yes: bool) -> int:
    """Take a platform down. Returns the exit status."""
    screen = _screen()
    try:
        workspace = find_workspace(folder, target)
        if workspace is None or workspace.read() is None:
            place = workspace.folder if workspace else DEFAULT.absolute()
            screen.line(f"There is no platform in {place}: nothing to take down.")
            return OK
        with locked(workspace):
            state = workspace.read()
            if state is None:
                return OK
            settings = state.settings
            what = f"the platform {settings.name} on {settings.target} ({workspace.folder})"
            if not yes:
                if not sys.stdin.isatty():
                    raise UsageError(f"there is no terminal to ask at before {what} is taken down", "give --yes")
                screen.line(f"This takes down {what}: all applications, load balancers, the cluster and its network.")
                if input(f"Type the platform's name, {settings.name}, to go on: ").strip() != settings.name:
                    screen.line("Nothing was changed.")
                    return FAILED
            situation = Situation(workspace, find_tree(tree), screen, lambda _: True)
            destruction = Destruction(situation, delete_logs=delete_logs)
            work = carry_out(destruction.steps(), destruction, screen)
            again = f"`{situation.command('destroy')}`"
            return _run(_ended(work, screen, f"Nothing is left of {what}."), screen, workspace, again)
    except EXPECTED as error:
        return _refused(screen, error)
    except (EOFError, KeyboardInterrupt):
        screen.line("Nothing was changed.")
        return 128 + signal.SIGINT


async def _ended(work: Coroutine[Any, Any, None], screen: StepScreen, text: str) -> int:
    await work
    screen.line(text)
    return OK


def find_workspace(folder: Path | None, target: Target | None) -> Workspace | None:
    """The workspace that is meant: the named one, that of a target, or the only one below the current folder.

    Raises UsageError where there are several, or what was named has one on another target.
    """
    if folder is not None:
        workspace = Workspace(folder)
        state = workspace.read() if target else None
        if state and state.settings.target is not target:
            raise UsageError(
                f"{workspace.folder} has a platform on {state.settings.target}, not on {target}",
                "leave --target out, or name another folder with --dir",
            )
        return workspace
    if target is not None:
        return Workspace.default(target)
    found = [each for each in Target if (DEFAULT / each / "state.json").exists()]
    if len(found) > 1:
        raise UsageError(
            f"{DEFAULT.absolute()} has platforms on {' and '.join(found)}", "name one with --target, or --dir"
        )
    return Workspace.default(found[0]) if found else None


def _asking(screen: StepScreen, yes: bool) -> Any:
    def ask(plan: Run) -> bool:
        screen.plan(plan)
        if yes:
            return True
        if not sys.stdin.isatty():
            return False
        # While a loop runs, Ctrl-C would reach it alone, and wait until somebody has answered.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return input("Make these changes? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            return False
        except KeyboardInterrupt:
            raise asyncio.CancelledError from None
        finally:
            signal.signal(signal.SIGINT, before)

    return ask


def _region(environment: Mapping[str, str]) -> str:
    """As AWS clients find it, without loading one."""
    return environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""


def _screen(*, stderr: bool = False) -> StepScreen:
    logs.to_stderr()
    return StepScreen(Console(stderr=stderr))


def _refused(screen: StepScreen, error: BaseException) -> int:
    screen.error(str(error), getattr(error, "remedy", ""))
    return USAGE if isinstance(error, UsageError) else FAILED


def _run(work: Coroutine[Any, Any, int], screen: StepScreen, workspace: Workspace, again: str) -> int:
    """Do the work; Ctrl-C and SIGTERM end it in good order. Returns the exit status."""
    received: list[int] = []

    async def interruptible() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(number: int) -> None:
            received.append(number)
            if task:
                task.cancel()  # each time: what runs may need to be told twice

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, interrupt, number)
        return await work

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        screen.error("interrupted; what was done stays", f"go on: {again}")
        return 128 + (received[0] if received else signal.SIGINT)
    except StepFailed as error:
        if isinstance(error.__cause__, Declined):
            screen.line(f"{error}.".capitalize())
            return FAILED
        screen.error(f"{error.title}: {error}", error.remedy)
        screen.line(f"What was done stays; go on: {again}")
        return FAILED
    except Exception as error:  # noqa: BLE001 - whatever it is, people are told what to do, and get no traceback
        where = workspace.keep_fault("".join(traceback.format_exception(error)))
        screen.error(f"a fault of gatewright's own: {type(error).__name__}: {error}", f"report it, with {where}")
        screen.line(f"What was done stays; go on: {again}")
        return FAILED


def status(folder: Path | None, target: Target | None, form: Format) -> int:
    """Show what stands. Returns the exit status."""
    screen = _screen(stderr=True)  # where it is for programs, there is nothing else beside it
    try:
        workspace = find_workspace(folder, target)
        if workspace is None or workspace.read() is None:
            place = workspace.folder if workspace else DEFAULT.absolute()
            typer.echo(f"There is no platform in {place}." if form is Format.TEXT else "null")
            return OK
        overview = asyncio.run(look(Deployment(workspace, None, screen, lambda _: False)))
    except EXPECTED as error:
        return _refused(screen, error)
    if form is Format.TEXT:
        for line in lines(overview):
            typer.echo(line)
    else:
        typer.echo(rendered(overview, form))
    return OK
