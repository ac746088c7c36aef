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
from gatewright.local.cloud import asks_for_aws
from gatewright.local.edge import EdgeError, LocalEdge
from gatewright.local.manifests import Manifests, Problem, load
from gatewright.local.news import News, standing_problems
from gatewright.local.workloads import Backend
from gatewright.model.meta import Key

_READY_SECONDS = 60.0
_HINT_SECONDS = 8.0
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
    aws: bool | None
    pace: float
    verbose: bool


def run(session: Session) -> int:
    """Run an edge until it is interrupted or its command ends. Returns the exit status."""
    _log_to_stderr(session.verbose)
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
        return runner.run(_run(session, manifests, screen, errors))


async def _run(session: Session, manifests: Manifests, screen: Screen, errors: Screen) -> int:
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
        return await _serve(session, manifests, screen, errors)
    except asyncio.CancelledError:
        if not received:
            raise
        return 128 + received[0]
    except (EdgeError, ClusterError) as error:
        errors.error(str(error))
        return FAILED


async def _serve(session: Session, manifests: Manifests, screen: Screen, errors: Screen) -> int:
    async with contextlib.AsyncExitStack() as stack:
        edge = LocalEdge(
            screen.news,
            data_dir=session.data_dir,
            backends=session.backends,
            aws=asks_for_aws(manifests) if session.aws is None else session.aws,
            pace=session.pace,
        )
        with screen.progress("starting the edge"):
            await stack.enter_async_context(edge)
        with screen.progress(f"applying {len(manifests.objects)} objects"):
            refused, _ = await edge.update(manifests)
        problems = [*manifests.problems, *refused]
        if problems:
            errors.problems(problems)
            if not session.keep_going:
                return FAILED
        with screen.progress("waiting for Gateways and workloads"):
            late = await _ready(edge, errors)
        if late:
            errors.pending(late)
            if session.command is not None and not session.keep_going:
                errors.error(f"not all was ready after {_READY_SECONDS:.0f} s, so the command was not run")
                return FAILED
        edge.write_ca()
        for item in standing_problems(edge.inputs, edge.resolution):
            errors.standing(item, edge.applier.where(*item.about) if item.about else "")
        for backend in session.backends:
            problem = _missing(backend, edge)
            if problem:
                errors.standing(News("bad", "--backend", problem), "")
        edge.newsroom.hold = False
        if session.command is not None:
            return await _execute(session.command, edge)
        await edge.look()
        screen.overview(edge.state(), edge.trials())
        if session.watch:
            await _follow(session, edge, manifests, screen, errors)
        await asyncio.Event().wait()  # until a signal
    return OK


async def _ready(edge: LocalEdge, errors: Screen) -> list[str]:
    """Wait for the edge, and say what it waits for when that takes long."""
    hint = asyncio.get_running_loop().call_later(_HINT_SECONDS, lambda: errors.pending(edge.pending()))
    try:
        return await edge.ready(_READY_SECONDS)
    finally:
        hint.cancel()


def _missing(backend: Backend, edge: LocalEdge) -> str:
    """Why nothing would go to a process that was named with --backend; empty where it gets requests."""
    key = Key(backend.namespace, backend.service)
    service = edge.inputs.services.get(key)
    if service is None:
        return f"there is no Service {key}"
    if not any(backend.takes(port) for port in service.spec.ports):
        ports = ", ".join(f"{port.name}/{port.port}" if port.name else str(port.port) for port in service.spec.ports)
        return f"Service {key} has no port {backend.port}; it has {ports}"
    return ""


async def _follow(session: Session, edge: LocalEdge, manifests: Manifests, screen: Screen, errors: Screen) -> None:
    """Apply edits of the files for as long as the edge runs."""
    try:
        async for edited in changes(session.paths, manifests):
            refused, done = await edge.update(edited)
            screen.edits(done)
            problems: list[Problem] = [*edited.problems, *refused]
            if problems:
                errors.problems(problems)
    except OSError as error:
        errors.error(f"the files can't be watched, so edits are not applied: {error}")


async def _execute(command: str, edge: LocalEdge) -> int:
    """Run the user's command in a process group of its own, which ends with us. Returns its exit status."""
    await edge.look()
    state = edge.state()
    state_file = edge.directory / "state.json"
    state_file.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    environment = {
        **os.environ,
        "KUBECONFIG": state.kubeconfig,
        "EDGE_URL": state.url,
        "EDGE_HTTPS_URL": state.https_url,
        "GATEWAY_URL": state.gateway_url,
        "GATEWAY_HTTPS_URL": state.gateway_https_url,
        "EDGE_CA": state.ca,
        "EDGE_STATE": str(state_file),
        **edge.aws_environment,
    }
    terminal = _is_terminal()
    with _terminal_returned(terminal):
        process = await asyncio.create_subprocess_shell(
            command, env=environment, preexec_fn=_lead_foreground if terminal else os.setpgrp
        )
        try:
            code = await process.wait()
        finally:
            await _end(process)
    return code if code >= 0 else 128 - code


def _lead_foreground() -> None:
    """In the command's process: begin a group and give the terminal to it, so that Ctrl-C and input reach it.

    Before the command runs, since one that reads from a terminal that it doesn't have is stopped.
    """
    os.setpgrp()
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, before)


@contextlib.contextmanager
def _terminal_returned(ours: bool) -> Iterator[None]:
    """Take the terminal back at the end, if it is ours."""
    try:
        yield
    finally:
        if ours:
            before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with contextlib.suppress(OSError):
                os.tcsetpgrp(0, os.getpgrp())
            signal.signal(signal.SIGTTOU, before)


def _is_terminal() -> bool:
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
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
            # Plain, since the default shows local variables, and a private key may be among them.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
