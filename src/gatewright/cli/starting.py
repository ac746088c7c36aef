"""`gatewright up` until the edge starts: the files are read, and what takes long begins while the rest is imported."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import signal
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from gatewright.cli import logs, output
from gatewright.cli.exits import FAILED
from gatewright.cli.pages import Screen
from gatewright.local.ahead import Ahead, EdgeError, asks_for_aws
from gatewright.local.manifests import Manifests, load

_PARTS = (
    "gatewright.envoy.edge",  # first: it sets gRPC up before anybody else imports it
    "gatewright.cluster",
    "gatewright.local.apiserver",
    "gatewright.local.workloads",
    "gatewright.cli.running",
)
"""What takes longest to import, and then what needs all of it."""


@dataclass(frozen=True)
class Session:
    """What `gatewright up` was asked to do."""

    paths: tuple[str, ...]
    command: str | None
    backends: tuple[tuple[str, str, int | str | None, str, int], ...]
    keep_going: bool
    watch: bool
    data_dir: Path | None
    aws: bool | None
    pace: float
    verbose: bool


def run(session: Session) -> int:
    """Run an edge until it is interrupted or its command ends. Returns the exit status."""
    logs.to_stderr(verbose=session.verbose)
    output.end_with_reader()
    # Under --exec standard output is the command's alone.
    screen = Screen(Console(stderr=session.command is not None), quiet=session.command is not None)
    # Problems go to standard error, whatever the rest goes to.
    errors = Screen(Console(stderr=True), quiet=True)
    # Read before there is an event loop, so that Ctrl-C works while standard input is waited for.
    with screen.progress("reading manifests"):
        manifests = load(session.paths)
    if manifests.problems and not manifests.objects:
        errors.problems(manifests.problems)
        return FAILED
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        return runner.run(_interruptible(_start(session, manifests, screen, errors)))


async def _start(session: Session, manifests: Manifests, screen: Screen, errors: Screen) -> int:
    aws = asks_for_aws(manifests) if session.aws is None else session.aws
    async with contextlib.AsyncExitStack() as stack:
        try:
            ahead = await stack.enter_async_context(Ahead(aws=aws, pace=session.pace))
        except EdgeError as error:
            errors.error(str(error))
            return FAILED
        await _import()
        from gatewright.cli.running import serve

        # What lives long are trees without cycles; the default thresholds spend a fifth of a large cluster on looking.
        gc.set_threshold(10_000, 20, 20)
        return await serve(session, manifests, ahead, screen, errors)


async def _import() -> None:
    """Import the rest: only now, since it takes a while, in which the emulated AWS starts as well."""
    # What is imported stays: to look through it for garbage, now and at every later collection, would only cost time.
    gc.disable()
    try:
        for part in _PARTS:
            importlib.import_module(part)
            await asyncio.sleep(0)  # lets Ctrl-C come in between
    finally:
        gc.freeze()
        gc.enable()


async def _interruptible(work: Coroutine[Any, Any, int]) -> int:
    """Work that SIGINT, SIGTERM and SIGHUP cancel. Returns the exit status."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    received: list[int] = []

    def interrupt(number: int) -> None:
        # The first signal begins the end; more of them change nothing, since taking down is quick.
        if not received and task:
            task.cancel()
        received.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await work
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
