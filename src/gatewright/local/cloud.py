"""The cloud around a local cluster: the emulated AWS, what the edge description makes in it, and our controllers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from msgspec import structs

from gatewright.aws.client import Aws
from gatewright.aws.records.records import DnsOptions
from gatewright.aws.views import Listener
from gatewright.cluster import Client
from gatewright.edge.binding.bindings import EdgeBindings
from gatewright.edge.binding.groups import Pace
from gatewright.edge.chain import chain
from gatewright.edge.front import Front, FrontBalancer, read_front
from gatewright.edge.gateways import GatewayLoadBalancers
from gatewright.edge.nlb.services import ServiceLoadBalancers
from gatewright.edge.records import CertificateRequests, DnsRecords
from gatewright.envoy.listeners import Binding
from gatewright.flow import Collection
from gatewright.local.ahead import CLUSTER
from gatewright.local.aws.endpoint import CREDENTIALS, REGION
from gatewright.local.aws.process import AwsProcess
from gatewright.local.certificates import Authority
from gatewright.local.front.provision import FrontProvisioner
from gatewright.local.manifests import FrontManifest, Problem
from gatewright.local.state import AwsState, EdgeState, gateway_states
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution

_NOT_KNOWN_YET = "http://127.0.0.1"
_SERVICES = ("elbv2", "ec2", "acm", "wafv2", "s3")
_PACE = Pace(interval=2.0, fast=0.1, resync=60.0)
"""Seconds between questions about targets: more often than a real AWS lets you, so that what breaks shows at once."""
_RESYNC = 60.0
"""Seconds between two looks at whether somebody changed what our controllers made."""
_LINGER = 60.0
"""Seconds for which a load balancer that is replaced stays."""
_AGAIN = 2.0
"""Seconds between two looks at names and certificates that wait for something."""
_SHORTEST = 0.1
"""Seconds between two questions about the same, however fast the clocks run."""
_BUCKET = "gatewright-trust-stores"
"""Of the emulated AWS, for the authorities of client certificates."""
_ON_ITS_WAY = ("Pending", "Registering", "NoAddress", "NoEndpoints", "NoService", "TargetGroupNotFound", "Replaced")
"""Reasons of Bound for which waiting is of use."""


class LocalCloud:
    """Our controllers as clients of an emulated AWS, while it runs (`async with`); they start when it is ready."""

    def __init__(
        self,
        process: AwsProcess,
        authority: Authority,
        client: Client,
        inputs: Inputs,
        resolution: Resolution,
        *,
        pace: float,
    ) -> None:
        """`process` is started, and may not be ready yet; it belongs to the caller."""
        self.front = Front()
        """What stands in front, when it was last looked at."""
        self._process = process
        self._client = client
        self._inputs = inputs
        self._resolution = resolution
        self._pace = pace
        self._sockets: dict[tuple[str, int], tuple[str, int]] = {}
        self.aws = Aws(region=REGION, endpoint_url=_NOT_KNOWN_YET, credentials=CREDENTIALS)
        polls = Pace(*(max(_SHORTEST, seconds / pace) for seconds in _PACE))
        self._services = ServiceLoadBalancers(client, self.aws, inputs, cluster=CLUSTER, resync=_RESYNC / pace)
        self._edge_bindings = EdgeBindings(client, self.aws, inputs, resolution, pace=polls)
        self.gateways = GatewayLoadBalancers(
            client,
            self.aws,
            inputs,
            cluster=CLUSTER,
            resync=_RESYNC / pace,
            pace=polls,
            linger=_LINGER / pace,
            trust_store_bucket=_BUCKET,
        )
        """Gateways that are load balancers themselves; brought about once the edge description is."""
        self._records = DnsRecords(
            client,
            self.aws,
            inputs,
            self.resolutions,
            options=DnsOptions(owner=CLUSTER, policy="sync"),
            fronted=[resolution],
            bindings=self._edge_bindings.bindings,
            resync=_RESYNC / pace,
            again=max(_SHORTEST, _AGAIN / pace),
        )
        self._certificates = CertificateRequests(
            client,
            self.aws,
            inputs,
            self.resolutions,
            self._records,
            cluster=CLUSTER,
            poll=max(_SHORTEST, _AGAIN / pace),
            again=max(_SHORTEST, _AGAIN / pace),
            issued=self.gateways.look_for_certificates,
        )
        self._authority = authority
        self._described = asyncio.Event()
        self._wanted = asyncio.Event()
        for each in self.resolutions:
            each.gateways.subscribe(lambda _: self.want())
        self._provisioner = FrontProvisioner(self.aws, authority.issue, authority.pem)
        self._started: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self._gateways_stack = AsyncExitStack()

    async def __aenter__(self) -> LocalCloud:
        self._started = asyncio.create_task(self._start(), name="cloud")
        self._following = asyncio.create_task(self._follow_description(), name="load balancers of Gateways")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._started
        for task in (self._following, self._started):
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # `started` and `idle` raise it
        await self._gateways_stack.aclose()
        await self._stack.aclose()

    async def _follow_description(self) -> None:
        """What Gateways ask for names what the description makes: certificates, web ACLs, buckets."""
        await self.started()
        await self._described.wait()
        await self._wanted.wait()
        await self.aws.call("s3", "create_bucket", Bucket=_BUCKET)
        for controller in (self.gateways, self._records, self._certificates):
            await self._gateways_stack.enter_async_context(controller)

    async def started(self) -> None:
        """Return when the emulated AWS answers, and the controllers are its clients. Raises AwsProcessError."""
        assert self._started
        await asyncio.shield(self._started)

    async def _start(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.aws)
            await asyncio.gather(self._process.ready(), self.aws.prepare(*_SERVICES))
            self.aws.move(self._process.url)
            await self._process.sign_with(self._authority.pem, self._authority.private_key)
            await stack.enter_async_context(self._services)
            await stack.enter_async_context(self._edge_bindings)
            self._stack = stack.pop_all()

    def want(self) -> None:
        """Start the controllers of Gateways and Ingresses that are load balancers, and of DNS records."""
        self._wanted.set()

    async def update(self, front: FrontManifest | None) -> tuple[list[Problem], list[str]]:
        """Make what the edge description says; see `FrontProvisioner.update`."""
        if front and front.description.hosted_zones:
            self.want()
        await self.started()
        try:
            return await self._provisioner.update(front)
        finally:
            self._described.set()
            self._records.look_again()

    async def look(self) -> None:
        """Look again at what stands in front."""
        await self.started()
        self.front, self._sockets = await asyncio.gather(read_front(self.aws), self._process.sockets())

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The Gateways that are load balancers."""
        return tuple(side.resolution for side in self.gateways.sides)

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which any AWS client finds it."""
        return self._process.environment

    def around(self, state: EdgeState) -> EdgeState:
        """The state of an edge with what is in front of it."""
        url, https_url = self._entry()
        open_at = {f"{host}:{port}": ":".join(map(str, real)) for (host, port), real in sorted(self._sockets.items())}
        bound = self._bindings()
        states = (gateway_states(self._inputs, resolution, bound) for resolution in self.resolutions)
        return structs.replace(
            state,
            gateways=(*state.gateways, *(gateway for each in states for gateway in each)),
            url=url or state.url,
            https_url=https_url or state.https_url,
            chain=chain(self.front, self._inputs, self._resolution, self.resolutions),
            aws=AwsState(
                self._process.url, REGION, self.environment, open_at, dns=":".join(map(str, self._process.dns))
            ),
        )

    def _bindings(self) -> dict[Key, Binding]:
        """Where the load balancers that are Gateways are really open."""
        found: dict[Key, Binding] = {}
        for each in self.front.balancers:
            namespace, _, name = each.gateway.partition("/")
            nodes = [self._node(address, each) for address in each.addresses]
            if name and nodes:
                found[Key(namespace, name)] = structs.replace(nodes[0], others=tuple(nodes[1:]))
        return found

    def _node(self, address: str, balancer: FrontBalancer) -> Binding:
        ports = [listener.listener.port for listener in balancer.listeners]
        real = {port: self._sockets.get((address, port), (address, port)) for port in ports}
        host = next((host for host, _ in real.values()), address)
        return Binding(host, {port: bound for port, (_, bound) in real.items()})

    @property
    def bindings(self) -> Collection[Key, EdgeBinding]:
        """The cluster's EdgeBindings."""
        return self._edge_bindings.bindings

    def pending(self) -> list[str]:
        """What is still on its way, in words."""
        waiting = [*self.gateways.pending(), *self._certificates.pending()]
        for key, binding in self.bindings.items():
            conditions = {condition.type: condition for condition in binding.status.conditions}
            health = {target.health for target in binding.status.targets}
            bound = conditions.get("Bound")
            if bound is None or bound.reason in _ON_ITS_WAY:
                waiting.append(f"EdgeBinding {key}: {bound.message if bound else 'not seen yet'}")
            elif health & {"initial", ""}:
                waiting.append(f"EdgeBinding {key}: the first health checks of its targets are under way")
        return waiting

    async def idle(self) -> None:
        """Return when the controllers have nothing left to do."""
        await self.started()
        await self._services.caught_up()
        await self._services.idle()
        await self._edge_bindings.caught_up()
        await self._edge_bindings.idle()
        if self._described.is_set() and self._wanted.is_set():
            await asyncio.shield(self._following)
            await self.gateways.caught_up()
            await self.gateways.idle()
            await self._certificates.idle()
            await self._records.idle()

    def _entry(self) -> tuple[str, str]:
        """Where clients get in: the first ALB's listeners, internet-facing ones before internal ones."""
        balancers = [each for each in self.front.balancers if each.balancer.type == "application" and each.addresses]
        for each in sorted(balancers, key=lambda each: each.balancer.scheme != "internet-facing"):
            found = {
                listener.listener.protocol: self._url(each.addresses[0], listener.listener)
                for listener in reversed(each.listeners)
            }
            if found:
                return found.get("HTTP", ""), found.get("HTTPS", "")
        return "", ""

    def _url(self, address: str, listener: Listener) -> str:
        host, port = self._sockets.get((address, listener.port), (address, listener.port))
        scheme, usual = ("https", 443) if listener.protocol == "HTTPS" else ("http", 80)
        return f"{scheme}://{host}" + ("" if port == usual else f":{port}")
