"""Keeps what load balancers depend on besides the topology up to date: the network, certificates, nodes and pods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack

import structlog

from gatewright.aws import Aws, AwsError
from gatewright.aws.certificates import read_certificates
from gatewright.aws.gateways import CERTIFICATES, NETWORK, TRUST_STORES, Surroundings
from gatewright.aws.network import read_interfaces, read_network
from gatewright.cluster import Client, Reflector, end
from gatewright.model.core import Node, Pod

_SOON = 2.0  # seconds between two looks while something is missing that may come
_LATEST = 60.0  # seconds; the longest pause between two such looks

_log = structlog.get_logger(__name__)


class SurroundingsWatch:
    """Writes `surroundings` while it runs (`async with`): as the cluster's watches tell, and AWS each `resync` seconds.

    AWS is read as well, with growing pauses, while `missing` says that something which is there might be of help: a
    subnet, a certificate, a trust store, or the network interface of a target.
    """

    def __init__(
        self,
        client: Client,
        aws: Aws,
        surroundings: Surroundings,
        *,
        cluster: str,
        vpc: str = "",
        resync: float = 300.0,
        missing: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        """`vpc` is the ID of the cluster's; without, it is found by tags."""
        self._aws = aws
        self._surroundings = surroundings
        self._cluster = cluster
        self._vpc = vpc
        self._resync = resync
        self._missing = missing
        self._reflectors: tuple[Reflector[Node], Reflector[Pod]] = (
            Reflector(client, Node, surroundings.nodes),
            Reflector(client, Pod, surroundings.pods),
        )
        self._stirred = asyncio.Event()
        self._certificates_due = False
        self._known: set[str] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> SurroundingsWatch:
        async with AsyncExitStack() as stack:
            nodes, pods = self._reflectors
            await stack.enter_async_context(nodes)
            await stack.enter_async_context(pods)
            await asyncio.gather(nodes.synced(), pods.synced(), self._look())
            task = asyncio.create_task(self._run(), name="surroundings of load balancers")
            stack.push_async_callback(end, task)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def caught_up(self) -> None:
        """Return once the nodes and pods are known as the cluster holds them at the time of the call."""
        nodes, pods = self._reflectors
        await asyncio.gather(nodes.caught_up(), pods.caught_up())

    def stir(self) -> None:
        """Something may be missing now that wasn't before."""
        self._stirred.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        looked, pause, known = loop.time(), _SOON, frozenset[str]()
        while True:
            missing = frozenset(self._missing())
            if missing - known:
                pause = _SOON
            known = missing
            due = looked + (min(pause, self._resync) if missing else self._resync)
            try:
                async with asyncio.timeout_at(due):
                    await self._stirred.wait()
                self._stirred.clear()
                if self._certificates_due:
                    self._certificates_due = False
                    await self._read(CERTIFICATES, self._certificates)
                if loop.time() < due and not frozenset(self._missing()) - known:
                    continue
                if loop.time() - looked < _SOON:
                    continue
            except TimeoutError:
                pass
            await self._look()
            looked, pause = loop.time(), min(_LATEST, pause * 2)

    def look_for_certificates(self) -> None:
        """Read the certificates of ACM now: somebody knows of a new one."""
        self._certificates_due = True
        self._stirred.set()

    async def _look(self) -> None:
        await asyncio.gather(
            self._read(NETWORK, self._network),
            self._read(CERTIFICATES, self._certificates),
            self._read(TRUST_STORES, self._trust_stores),
        )

    async def _read(self, what: str, look: Callable[[], Awaitable[None]]) -> None:
        """What can't be read stays as it was known; if it never was, that is told."""
        try:
            await look()
        except AwsError as error:
            _log.warning("the surroundings of load balancers could not be read", what=what, error=str(error))
            if what not in self._known and what != NETWORK:
                self._surroundings.unread.set(what, str(error))
        else:
            self._known.add(what)
            self._surroundings.unread.delete(what)

    async def _network(self) -> None:
        network = await read_network(self._aws, self._vpc, self._cluster)
        self._surroundings.network.set(NETWORK, network)
        if network.vpc:
            self._surroundings.interfaces.replace(await read_interfaces(self._aws, network.vpc))

    async def _certificates(self) -> None:
        self._surroundings.certificates.replace(await read_certificates(self._aws))

    async def _trust_stores(self) -> None:
        found = await self._aws.pages("elbv2", "describe_trust_stores", "TrustStores")
        self._surroundings.trust_stores.replace({raw["Name"]: raw["TrustStoreArn"] for raw in found})
