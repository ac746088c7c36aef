"""A run of `gatewright up` from the start of the edge to its end; `starting` is what comes before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import msgspec

from gatewright.cli.exits import FAILED, OK
from gatewright.cli.pages import Screen
from gatewright.cli.starting import Session
from gatewright.cluster import ClusterError
from gatewright.local.ahead import Ahead, asks_for_aws
from gatewright.local.apply import changes
from gatewright.local.aws.endpoint import surroundings
from gatewright.local.edge import EdgeError, LocalEdge
from gatewright.local.manifests import Manifests, Problem
from gatewright.local.news import News
from gatewright.local.workloads import Backend
from gatewright.model.meta import Key

_READY_SECONDS = 60.0
_HINT_SECONDS = 8.0
_KILL_SECONDS = 5.0


async def serve(session: Session, manifests: Manifests, ahead: Ahead, screen: Screen, errors: Screen) -> int:
    """Run an edge on what is `ahead` until it is cancelled or its command ends. Returns the exit status."""
    try:
        return await _serve(session, manifests, ahead, screen, errors)
    except (EdgeError, ClusterError) as error:
        errors.error(str(error))
        return FAILED


async def _serve(session: Session, manifests: Manifests, ahead: Ahead, screen: Screen, errors: Screen) -> int:
    async with contextlib.AsyncExitStack() as stack:
        backends = [Backend(*parts) for parts in session.backends]
        edge = LocalEdge(screen.news, data_dir=session.data_dir, backends=backends, ahead=ahead)
        if ahead.aws is None and asks_for_aws(manifests):
            screen.news(_LEFT_OUT)
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
        for item in edge.problems():
            errors.standing(item, edge.applier.where(*item.about) if item.about else "")
        for backend in backends:
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


_LEFT_OUT = News("info", "AWS", "there is none in this run: the edge description and EdgeBindings have no effect")


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
            if not edge.aws_environment and asks_for_aws(edited) and not asks_for_aws(manifests):
                screen.news(_LEFT_OUT)
            manifests = edited
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
        **(surroundings(os.environ, edge.aws_environment) if edge.aws_environment else os.environ),
        "KUBECONFIG": state.kubeconfig,
        "EDGE_URL": state.url,
        "EDGE_HTTPS_URL": state.https_url,
        "GATEWAY_URL": state.gateway_url,
        "GATEWAY_HTTPS_URL": state.gateway_https_url,
        "EDGE_CA": state.ca,
        "EDGE_STATE": str(state_file),
        **({"EDGE_DNS": state.aws.dns} if state.aws else {}),
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
