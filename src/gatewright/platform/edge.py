"""The process that runs the edge of `--target local`: `python -m gatewright.platform.edge FOLDER TREE REPOSITORY`."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import sys
from pathlib import Path

import msgspec
import structlog

from gatewright.local.ahead import EdgeError
from gatewright.local.private import write_private
from gatewright.local.rehearsal import Rehearsal
from gatewright.platform.rehearsal import RehearsalEdge, RehearsalError, held

_ORPHAN_SECONDS = 2.0


async def run(folder: Path, tree: Path, repository: str) -> None:
    """Run the edge until SIGTERM or SIGINT, until its AWS is lost, or until somebody takes its folder away.

    Raises EdgeError.
    """
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    async with Rehearsal(folder / "run", tree, repository, ending.set) as rehearsal:
        edge = RehearsalEdge(
            pid=os.getpid(),
            boot=secrets.token_hex(8),
            kubeconfig=str(rehearsal.edge.kubeconfig),
            ca=str(rehearsal.edge.ca),
            aws=rehearsal.aws.environment,
            dns=":".join(map(str, rehearsal.aws.dns)),
            vpc_cidr=str(rehearsal.network.vpc),
            public_subnet_cidrs=tuple(map(str, rehearsal.network.public)),
            private_subnet_cidrs=tuple(map(str, rehearsal.network.private)),
            zones=rehearsal.network.zones,
            repository=repository,
            tree=str(tree),
        )
        place = folder / "edge.json"
        write_private(place, msgspec.json.format(msgspec.json.encode(edge), indent=2) + b"\n")
        while not ending.is_set() and place.exists():
            try:
                await asyncio.wait_for(ending.wait(), _ORPHAN_SECONDS)
            except TimeoutError:
                continue
        place.unlink(missing_ok=True)  # at once, so that nobody takes it for one that runs while it ends


def _runner() -> asyncio.Runner:
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


def main() -> int:
    """Run it; standard error is its log. Returns the exit status."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S"),
            structlog.processors.format_exc_info,
            # Plain, since the default shows local variables, and a token or a private key may be among them.
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    folder, tree, repository = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    try:
        with held(folder), _runner() as runner:
            runner.run(run(folder, tree, repository))
    except (EdgeError, RehearsalError) as error:
        structlog.get_logger(__name__).error("the edge can't run", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
