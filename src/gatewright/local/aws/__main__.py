"""The emulated AWS as a process: `python -m gatewright.local.aws --network 127.64.0.0/16`.

Writes JSON lines to its standard output: `{"url": ...}` when it answers, with the ids of what it holds, and
`{"changed": [...]}` with the names of the sources of `CloudState` that changed, once for a burst. Reads JSON lines:
`{"signer": {"certificate": ..., "private_key": ...}}` (PEM) is who signs what is requested of ACM, and
`{"cluster": {"endpoint": ..., "certificate_authority": ...}}` (PEM) the Kubernetes API of EKS clusters that are made
from then on; each is answered by `{"obeyed": true}`. Ends when its standard input does, and at SIGTERM. Its log goes to
standard error, as JSON lines.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import select
import signal
import sys
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from gatewright.local.aws.state import CloudState
from gatewright.local.certificates import Authority

if TYPE_CHECKING:
    from gatewright.local.aws.emulation import EmulatedAws

_BURST = 0.02
"""Seconds for which changes are collected before they are told."""
_PR_SET_PDEATHSIG = 1


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m gatewright.local.aws", description="The emulated AWS.")
    parser.add_argument("--network", type=IPv4Network, required=True, help="CIDR block of the VPC, a /16")
    parser.add_argument("--pace", type=float, default=1.0, help="how many times faster its clocks run")
    parser.add_argument("--cluster", default="gatewright", help="name of the EKS cluster")
    parser.add_argument("--endpoint", default="", help="URL of the cluster's Kubernetes API")
    parser.add_argument("--port", type=int, default=0, help="of the API; any free one by default")
    parser.add_argument("--no-seed", action="store_true", help="an empty account: no VPC, no cluster")
    parser.add_argument("--no-traffic", action="store_true", help="the API alone: no load balancer listens")
    parser.add_argument("--verbose", action="store_true", help="log what it does, too")
    return parser.parse_args(argv)


async def run(
    options: argparse.Namespace, out: TextIO, stop: asyncio.Event, orders: asyncio.Queue[dict[str, Any]]
) -> None:
    """Emulate until `stop`; do what `orders` say."""
    from gatewright.local.aws.emulation import EmulatedAws  # imports moto, which takes a while

    aws = EmulatedAws(
        options.network,
        pace=options.pace,
        cluster=options.cluster,
        endpoint=options.endpoint,
        port=options.port,
        seed=not options.no_seed,
        traffic=not options.no_traffic,
    )
    async with aws:
        gc.freeze()  # moto's and botocore's models are a million objects; looking through them takes 70 ms each time
        _say(out, url=aws.url, seeded={} if options.no_seed else aws.seeded._asdict(), dns=aws.resolver.address)
        _tell_changes(aws.state, lambda names: _say(out, changed=names))
        obeying = asyncio.create_task(_obey(aws, orders, out))
        await stop.wait()
        obeying.cancel()


async def _obey(aws: EmulatedAws, orders: asyncio.Queue[dict[str, Any]], out: TextIO) -> None:
    while True:
        match await orders.get():
            case {"signer": {"certificate": str(certificate), "private_key": str(private_key)}}:
                aws.sign_with(Authority.of(certificate.encode(), private_key.encode()))
            case {"cluster": {"endpoint": str(endpoint), "certificate_authority": str(authority)}}:
                aws.offer_cluster(endpoint, authority.encode())
        _say(out, obeyed=True)


def _say(out: TextIO, **line: Any) -> None:
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more; then standard input ends as well
        out.write(json.dumps(line) + "\n")
        out.flush()


def _tell_changes(state: CloudState, tell: Callable[[list[str]], None]) -> None:
    loop = asyncio.get_running_loop()
    changed: set[str] = set()

    def flush() -> None:
        names = sorted(changed)
        changed.clear()
        tell(names)

    def subscriber(name: str) -> Callable[[object], None]:
        def note(_: object) -> None:
            if not changed:
                loop.call_later(_BURST, flush)
            changed.add(name)

        return note

    for name, source in vars(state).items():
        if name != "flow":
            source.subscribe(subscriber(name))


async def _main(options: argparse.Namespace, out: TextIO) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def watch_input() -> None:
        while line := await reader.readline():
            with contextlib.suppress(ValueError):
                orders.put_nowait(json.loads(line))
        stop.set()

    watch = asyncio.create_task(watch_input())
    running = asyncio.create_task(run(options, out, stop, orders))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        await running
    finally:
        watch.cancel()
        stopping.cancel()


def _end_with_parent() -> None:
    """On Linux: get SIGTERM when the process that started this one ends, by whatever cause."""
    if sys.platform.startswith("linux"):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    ended = select.poll()
    ended.register(0, select.POLLHUP)
    if any(event & select.POLLHUP for _, event in ended.poll(0)):
        raise SystemExit(0)  # it ended before it could be asked for that


def _log_to_stderr(verbose: bool) -> None:
    level = logging.DEBUG if verbose else logging.INFO
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> None:
    """Run it."""
    options = arguments()
    _end_with_parent()
    _log_to_stderr(options.verbose)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print doesn't get among our lines
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_main(options, out))


if __name__ == "__main__":
    main()
