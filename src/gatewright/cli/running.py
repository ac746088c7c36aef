"""A run of `gatewright up`, from the first file read to the last process gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog
from rich.console import Console

from gatewright.cli.exits import FAILED, OK
from gatewright.cli.pages import Screen
from gatewright.cluster import ClusterError
from gatewright.local.apply import changes
from gatewright.local.edge import EdgeError, LocalEdge
from gatewright.local.manifests import Manifests, Problem, load
from gatewright.local.news import standing_problems
from gatewright.local.workloads import Backend

_READY_SECONDS = 60.0
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Session:
    """What `gatewright up` was asked to do."""

    paths: tuple[str, ...]
    command: str | None
    backends: tuple[Backend, ...]
    keep_going: bool
    watch: bool
    data_dir: Path | None
    verbose: bool


def run(session: Session) -> int:
    """Run an edge until it is interrupted or its command ends. Returns the exit status."""
    _log_to_stderr(session.verbose)
    # Under --exec standard output is the command's alone.
    screen = Screen(Console(stderr=session.command is not None), quiet=session.command is not None)
    try:
        import uvloop
    except ImportError:
        runner = asyncio.Runner()
    else:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner:
        return runner.run(_run(session, screen))


async def _run(session: Session, screen: Screen) -> int:
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
        return await _serve(session, screen)
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
    except (EdgeError, ClusterError) as error:
        screen.error(str(error))
        return FAILED


async def _serve(session: Session, screen: Screen) -> int:
    with screen.progress("reading manifests"):
        manifests = await asyncio.to_thread(load, session.paths)
    if manifests.problems and not session.keep_going:
        screen.problems(manifests.problems)
        return FAILED
    async with contextlib.AsyncExitStack() as stack:
        edge = LocalEdge(screen.news, data_dir=session.data_dir, backends=session.backends)
        with screen.progress("starting the edge"):
            await stack.enter_async_context(edge)
        with screen.progress(f"applying {len(manifests.objects)} objects"):
            refused, _ = await edge.applier.update(manifests)
        problems = [*manifests.problems, *refused]
        if problems:
            screen.problems(problems)
            if not session.keep_going:
                return FAILED
        with screen.progress("waiting for Gateways and workloads"):
            late = await edge.ready(_READY_SECONDS)
        edge.write_ca()
        screen.pending(late)
        screen.standing(standing_problems(edge.inputs, edge.resolution))
        edge.newsroom.hold = False
        if session.command is not None:
            return await _execute(session.command, edge)
        screen.overview(edge.state(), edge.trials())
        if session.watch:
            await _follow(session, edge, manifests, screen)
        await asyncio.Event().wait()  # until a signal
    return OK


async def _follow(session: Session, edge: LocalEdge, manifests: Manifests, screen: Screen) -> None:
    """Apply edits of the files for as long as the edge runs."""
    async for edited in changes(session.paths, manifests):
        refused, done = await edge.applier.update(edited)
        problems: list[Problem] = [*edited.problems, *refused]
        screen.edits(done)
        if problems:
            screen.problems(problems)


async def _execute(command: str, edge: LocalEdge) -> int:
    """Run the user's command in a process group of its own, which ends with us. Returns its exit status."""
    state = edge.state()
    state_file = edge.directory / "state.json"
    state_file.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2))
    environment = {
        **os.environ,
        "KUBECONFIG": state.kubeconfig,
        "EDGE_URL": state.url,
        "EDGE_HTTPS_URL": state.https_url,
        "EDGE_CA": state.ca,
        "EDGE_STATE": str(state_file),
    }
    process = await asyncio.create_subprocess_shell(command, env=environment, preexec_fn=os.setpgrp)
    with _foreground(process.pid):
        try:
            code = await process.wait()
        finally:
            await _end(process)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _foreground(group: int) -> Iterator[None]:
    """Give the terminal to the command, so that it can read from it and Ctrl-C reaches it; take it back afterwards."""
    terminal = sys.stdin.fileno() if _is_terminal() else None
    if terminal is None:
        yield
        return
    ignored = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(terminal, group)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(terminal, os.getpgrp())
        signal.signal(signal.SIGTTOU, ignored)


def _is_terminal() -> bool:
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of the command's process group."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _KILL_SECONDS)


def _log_to_stderr(verbose: bool) -> None:
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S"),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
