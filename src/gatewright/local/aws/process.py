"""The emulated AWS as a child process: started, listened to, stopped; nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Network
from typing import Any, TypeAlias

import msgspec
import structlog

from gatewright.local.aws.endpoint import environment, surroundings

_log = structlog.get_logger(__name__)

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 10.0
_LONGEST_LINE = 1 << 20


Sockets: TypeAlias = dict[tuple[str, int], tuple[str, int]]
"""Where load balancers really listen, by the address and TCP port that the API says."""


async def read_sockets(url: str) -> Sockets:
    """Where the load balancers of the emulated AWS at `url` really listen."""
    from aiohttp import ClientSession  # here, since it takes a while, and the process is to start before

    async with ClientSession() as session, session.get(f"{url}/_gatewright/sockets") as answer:
        found = msgspec.json.decode(await answer.read())
    return {
        (each["address"], each["port"]): (each["bound"]["address"], each["bound"]["port"])
        for each in found
        if each["transport"] == "TCP"
    }


class AwsProcessError(Exception):
    """The emulated AWS didn't start; the text says what it said last."""


class AwsProcess:
    """Runs the emulated AWS as a child process; an async context manager.

    For the options see `EmulatedAws`. `on_exit` is called with the exit status (negative: the signal) when it ends
    without being asked to; what it held is lost then, so it isn't started again. `on_remark` is called with a sentence
    for each thing that the API has accepted and that can't be emulated.
    """

    def __init__(
        self,
        network: str | IPv4Network,
        *,
        pace: float = 1.0,
        cluster: str = "gatewright",
        endpoint: str = "",
        port: int = 0,
        seed: bool = True,
        traffic: bool = True,
        verbose: bool = False,
        on_exit: Callable[[int], None] | None = None,
        on_remark: Callable[[str], None] | None = None,
    ) -> None:
        self.url = ""
        """What clients know as `AWS_ENDPOINT_URL`."""
        self.seeded: dict[str, Any] = {}
        """Ids of what the account holds at the start: the fields of `seed.Seeded`; empty for an empty account."""
        self.dns: tuple[str, int] = ("", 0)
        """Host and port of the VPC's resolver, over UDP and TCP."""
        self._options = [
            *("--network", str(network)),
            *("--pace", str(pace)),
            *("--cluster", cluster),
            *("--endpoint", endpoint),
            *("--port", str(port)),
            *(() if seed else ("--no-seed",)),
            *(() if traffic else ("--no-traffic",)),
            *(("--verbose",) if verbose else ()),
        ]
        self._on_exit = on_exit
        self._on_remark = on_remark
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[None]
        self._orders: deque[asyncio.Future[None]] = deque()
        self._said: deque[str] = deque(maxlen=20)
        self._listening: set[asyncio.Queue[frozenset[str] | None]] = set()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id, None while there is no process."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which any AWS client finds it; the credentials are for show."""
        return environment(self.url)

    async def __aenter__(self) -> AwsProcess:
        await self.start()
        try:
            await self.ready()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def start(self) -> None:
        """Start it, and don't wait for it; to be stopped by `__aexit__`."""
        self._ready = asyncio.get_running_loop().create_future()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gatewright.local.aws", *self._options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to act on
            env=_surroundings(),
            limit=_LONGEST_LINE,
        )
        log = asyncio.create_task(self._follow_log(self._process))
        self._tasks = [log, asyncio.create_task(self._follow(self._process, log))]

    async def ready(self) -> None:
        """Return when it answers. Raises AwsProcessError when it ended instead, TimeoutError after a minute."""
        await asyncio.wait_for(asyncio.shield(self._ready), _START_TIMEOUT)

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        process = self._process
        if process and process.returncode is None:
            if process.stdin:
                process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        done, pending = await asyncio.wait(self._tasks, timeout=_STOP_TIMEOUT)
        if pending and process:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.wait(pending)
        for task in (*done, *pending):
            task.result()
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # it has been raised already

    async def sign_with(self, certificate: bytes, private_key: bytes) -> None:
        """Have what is requested of ACM signed by an authority: its certificate and private key, both PEM.

        It goes through a pipe that nobody else can read.
        """
        await self._order(signer={"certificate": certificate.decode(), "private_key": private_key.decode()})

    async def offer_cluster(self, url: str, certificate_authority: bytes) -> None:
        """Have EKS clusters that are made after this call be the Kubernetes API at `url`; returns when that holds.

        `certificate_authority` (PEM) is what DescribeCluster tells of it.
        """
        await self._order(cluster={"endpoint": url, "certificate_authority": certificate_authority.decode()})

    async def sockets(self) -> Sockets:
        """Where load balancers really listen."""
        return await read_sockets(self.url)

    async def events(self) -> AsyncIterator[frozenset[str]]:
        """What changes: the names of sources of `CloudState`, as `targets` and `health`, once for a burst of changes.

        Ends when the process does.
        """
        queue: asyncio.Queue[frozenset[str] | None] = asyncio.Queue()
        self._listening.add(queue)
        try:
            while (changed := await queue.get()) is not None:
                yield changed
        finally:
            self._listening.discard(queue)

    async def _order(self, **order: Any) -> None:
        """Have it do something; returns when it has."""
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            return
        done = asyncio.get_running_loop().create_future()
        self._orders.append(done)
        with contextlib.suppress(OSError):  # it has just ended, which is told otherwise
            process.stdin.write(json.dumps(order).encode() + b"\n")
            await process.stdin.drain()
            await done

    async def _follow(self, process: asyncio.subprocess.Process, log: asyncio.Task[None]) -> None:
        assert process.stdout is not None
        async for text in process.stdout:
            line = json.loads(text)
            if "url" in line:
                self.url, self.seeded = line["url"], line["seeded"]
                self.dns = (line["dns"][0], line["dns"][1])
                if not self._ready.done():
                    self._ready.set_result(None)
            elif "obeyed" in line:
                _settle(self._orders.popleft())
            elif "changed" in line:
                for queue in self._listening:
                    queue.put_nowait(frozenset(line["changed"]))
        status = await process.wait()
        await asyncio.wait([log])
        while self._orders:
            _settle(self._orders.popleft())
        for queue in self._listening:
            queue.put_nowait(None)
        if not self._ready.done():
            said = "\n".join(self._said) or "it said nothing"
            self._ready.set_exception(AwsProcessError(f"the emulated AWS ended with status {status}: {said}"))
        elif not self._stopping:
            _log.error("the emulated AWS ended", status=status, said=list(self._said))
            if self._on_exit:
                self._on_exit(status)

    async def _follow_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for text in process.stderr:
            line = text.decode(errors="replace").rstrip()
            self._said.append(line)
            try:
                entry = json.loads(line)
                level, event = entry.pop("level"), entry.pop("event")
            except (ValueError, AttributeError, KeyError, TypeError):
                _log.debug("the emulated AWS says", text=line)
                continue
            say = {"warning": _log.warning, "error": _log.error, "critical": _log.error, "info": _log.info}
            say.get(level, _log.debug)(event, **{key: value for key, value in entry.items() if key != "event"})
            if level == "warning" and self._on_remark:
                self._on_remark(_remark(event, entry))


def _settle(order: asyncio.Future[None]) -> None:
    if not order.done():  # whoever waited may have been cancelled
        order.set_result(None)


def _remark(event: str, entry: dict[str, Any]) -> str:
    """A log entry as a sentence."""
    details = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in ("timestamp", "logger"))
    return f"{event} ({details})" if details else event


def _surroundings() -> dict[str, str]:
    """Our environment without what AWS clients or moto would read: the child never talks to the real AWS."""
    return surroundings(
        os.environ,
        {
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "PYTHONUNBUFFERED": "1",
        },
    )
