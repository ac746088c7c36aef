"""The emulated AWS put together: the API, what it holds at the start, and what its state drives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import IPv4Network
from threading import Lock
from typing import TYPE_CHECKING, Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

from gatewright.local.aws import acm, elbv2, iam, network, route53, wafv2
from gatewright.local.aws.backends import LOCK, backend, forget
from gatewright.local.aws.dns import DnsServer
from gatewright.local.aws.dns.names import Names
from gatewright.local.aws.endpoint import Clients, environment
from gatewright.local.aws.reader import Reader
from gatewright.local.aws.seed import NOTHING, seed
from gatewright.local.aws.server import ApiServer
from gatewright.local.aws.state import CloudState
from gatewright.local.aws.waf.journal import Journal
from gatewright.local.certificates import Authority

if TYPE_CHECKING:
    from gatewright.local.aws.dataplane import DataPlane

_running = Lock()


class EmulatedAws:
    """An emulated AWS in this process; an async context manager. One at a time: moto keeps its state in globals.

    `network` is the VPC's CIDR block, a /16: one of 127.0.0.0/8, whose addresses answer here, or any other; then what
    the API says is open at an address of its own is really open at 127.0.0.1. The emulated clocks run `pace` times
    faster. `endpoint` is the URL of the Kubernetes API of the EKS cluster. Without `seed` the account holds nothing at
    the start: no VPC and no cluster. Without `traffic` there is the API alone: nothing listens, and nothing is checked.
    `signer` issues what is requested of ACM.
    """

    def __init__(
        self,
        network: str | IPv4Network = "127.250.0.0/16",
        *,
        pace: float = 1.0,
        cluster: str = "gatewright",
        endpoint: str = "",
        port: int = 0,
        seed: bool = True,
        traffic: bool = True,
        on_exit: Callable[[int, float], None] | None = None,
        signer: Authority | None = None,
    ) -> None:
        self.network = IPv4Network(network)
        self.pace = pace
        self.state = CloudState()
        self.seeded = NOTHING
        """Ids of what the account holds at the start."""
        self.plane: DataPlane | None = None
        """What carries the traffic, while there is any."""
        self._cluster = cluster
        self._endpoint = endpoint
        self._port = port
        self._seed = seed
        self._traffic = traffic
        self._on_exit = on_exit
        self._signer = signer
        self._reader = Reader(self.state)
        self.journal = Journal()
        """What web ACLs do."""
        self.server = ApiServer(
            self._reader.mark, pages={"sockets": self._sockets, "waf": self.journal.page, "dns": self._dns}
        )
        names = Names(self.state, shared=not self.network.is_loopback)
        self.resolver = DnsServer(names, self.network)
        """The VPC's resolver; `resolver.address` is its host and port, for UDP and TCP."""
        self._clients: Clients
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> EmulatedAws:
        if not _running.acquire(blocking=False):
            raise RuntimeError("an emulated AWS runs in this process already; start the next one as a process")
        async with AsyncExitStack() as stack:
            stack.callback(_running.release)
            stack.callback(forget)
            with LOCK:
                forget()
                network.install()
                acm.install(self.pace, self._signer)
                elbv2.install(self.state, pace=self.pace, carries_traffic=self._traffic)
                wafv2.install(self.journal)
                route53.install()
                iam.install()
                if self._seed:
                    self.seeded = seed(self.network, self._cluster, self._endpoint)
            if self._traffic:
                await self._carry_traffic(stack)
            await stack.enter_async_context(self.resolver)
            self._reader.start()
            stack.push_async_callback(self._reader.stop)
            self.server.start(port=self._port)
            stack.push_async_callback(asyncio.to_thread, self.server.stop)
            self._clients = Clients(self.url)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _carry_traffic(self, stack: AsyncExitStack) -> None:
        from gatewright.local.aws.accesslogs import buckets
        from gatewright.local.aws.dataplane import DataPlane
        from gatewright.local.aws.health import HealthChecks

        shared = not self.network.is_loopback
        self.plane = await stack.enter_async_context(
            DataPlane(
                self.state,
                pace=self.pace,
                shared=shared,
                network=self.network,
                put=buckets.put,
                flush=False,
                journal=self.journal,
                on_exit=self._on_exit,
            )
        )
        await stack.enter_async_context(HealthChecks(self.state, pace=self.pace, network=self.network))

    def _sockets(self) -> list[dict[str, object]]:
        """Where load balancers really listen: for clients on this machine, who can't know."""
        found = list(self.state.sockets.items())
        return [{**socket._asdict(), "bound": bound._asdict()} for socket, bound in found]

    def _dns(self) -> dict[str, object]:
        host, port = self.resolver.address
        return {"address": host, "port": port}

    def sign_with(self, signer: Authority) -> None:
        """Have what is requested of ACM from now on signed by another authority."""
        with LOCK:
            acm.sign_with(signer)

    def offer_cluster(self, url: str, certificate_authority: bytes) -> None:
        """Have EKS clusters that are made from now on be the Kubernetes API at `url`, signed by an authority (PEM)."""
        with LOCK:
            backend("eks").offer(url, certificate_authority)

    @property
    def url(self) -> str:
        """What clients know as `AWS_ENDPOINT_URL`."""
        return self.server.url

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables with which any AWS client finds it; the credentials are for show."""
        return environment(self.url)

    async def settled(self) -> None:
        """Return when all calls that were answered before this one are in `state`, and what it says is served."""
        await self._reader.settled()
        if self.plane:
            await self.plane.settled()

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client of it."""
        return self._clients.client(service, **options)

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """Make one call, by boto3's names, without holding up the loop; returns when it has `settled`."""
        method: Callable[..., Any] = getattr(self.client(service), operation)
        answer = await asyncio.to_thread(method, **parameters)
        await self.settled()
        return answer
