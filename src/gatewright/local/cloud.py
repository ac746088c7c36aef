"""The cloud around a local cluster: the emulated AWS, what the edge description makes in it, and our controllers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

from msgspec import structs

from gatewright.aws.client import Aws
from gatewright.aws.views import Listener
from gatewright.cluster import Client
from gatewright.edge.bindings import EdgeBindings
from gatewright.edge.chain import chain
from gatewright.edge.front import Front, read_front
from gatewright.edge.groups import Pace
from gatewright.edge.services import ServiceLoadBalancers
from gatewright.flow import Collection
from gatewright.local.addresses import Block
from gatewright.local.aws.process import AwsProcess
from gatewright.local.certificates import Authority
from gatewright.local.front.provision import FrontProvisioner
from gatewright.local.manifests import Front as FrontManifest
from gatewright.local.manifests import Manifests, Problem
from gatewright.local.state import AwsState, EdgeState
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution

CLUSTER = "gatewright"
REGION = "us-east-1"
_ELSEWHERE = "10.0.0.0/16"
"""The VPC's addresses where the system has no loopback addresses to spare."""
_RESYNC = 60.0
"""Seconds between two looks at whether somebody changed what our controllers made."""
_SHORTEST = 0.1
"""Seconds between two questions about the same, however fast the clocks run."""
_ON_ITS_WAY = ("Pending", "Registering", "NoAddress", "NoEndpoints", "NoService", "TargetGroupNotFound", "Replaced")
"""Reasons of Bound for which waiting is of use."""
_CREDENTIALS = ("test", "test")
_ANNOTATIONS = "service.beta.kubernetes.io/aws-load-balancer-"
_CLASSES = "service.k8s.aws/"


def asks_for_aws(manifests: Manifests) -> bool:
    """Whether anything in the manifests is for AWS: an edge description, an EdgeBinding, a load balancer of AWS's."""
    return manifests.front is not None or any(
        manifest.kind == "EdgeBinding" or _annotated(manifest.content) for manifest in manifests.objects
    )


def _annotated(content: dict[str, object]) -> bool:
    spec = content.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    infrastructure = spec.get("infrastructure")
    places = [content.get("metadata"), infrastructure]
    marks = [place.get("annotations") for place in places if isinstance(place, dict)]
    names = [str(name) for found in marks if isinstance(found, dict) for name in found]
    return any(name.startswith(_ANNOTATIONS) for name in names) or str(spec.get("loadBalancerClass", "")).startswith(
        _CLASSES
    )


class LocalCloud:
    """The emulated AWS with our controllers as its clients, while it runs (`async with`).

    It takes longest of all parts to start, so it does so by itself; `attach` waits for it.
    """

    def __init__(
        self,
        block: Block,
        authority: Authority,
        *,
        pace: float,
        on_exit: Callable[[int], None],
    ) -> None:
        self.front = Front()
        """What stands in front, when it was last looked at."""
        network = _ELSEWHERE if block.shared else block.network
        self._sockets: dict[tuple[str, int], tuple[str, int]] = {}
        self._process = AwsProcess(network, pace=pace, cluster=CLUSTER, on_exit=on_exit)
        self._authority = authority
        self._pace = pace
        self._stack = AsyncExitStack()
        self._starting: asyncio.Task[AwsProcess] | None = None

    async def __aenter__(self) -> LocalCloud:
        self._starting = asyncio.create_task(self._stack.enter_async_context(self._process))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._starting and not self._starting.done():
            self._starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._starting
        await self._stack.aclose()

    @contextlib.asynccontextmanager
    async def controllers(self, client: Client, inputs: Inputs, resolution: Resolution) -> AsyncIterator[None]:
        """Wait for the emulated AWS, and run the controllers as its clients."""
        assert self._starting
        await self._starting
        pace = Pace(*(max(_SHORTEST, seconds / self._pace) for seconds in Pace()))
        async with (
            Aws(region=REGION, endpoint_url=self._process.url, credentials=_CREDENTIALS) as self.aws,
            ServiceLoadBalancers(
                client, self.aws, inputs, cluster=CLUSTER, resync=_RESYNC / self._pace
            ) as self._services,
            EdgeBindings(client, self.aws, inputs, resolution, pace=pace) as self._edge_bindings,
        ):
            self._provisioner = FrontProvisioner(self.aws, self._authority.issue, self._authority.pem)
            yield

    async def update(self, front: FrontManifest | None) -> tuple[list[Problem], list[str]]:
        """Make what the edge description says; see `FrontProvisioner.update`."""
        return await self._provisioner.update(front)

    async def look(self) -> None:
        """Look again at what stands in front."""
        self.front, self._sockets = await asyncio.gather(read_front(self.aws), self._process.sockets())

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which any AWS client finds it."""
        return self._process.environment

    def around(self, state: EdgeState, inputs: Inputs, resolution: Resolution) -> EdgeState:
        """The state of an edge with what is in front of it."""
        url, https_url = self._entry()
        return structs.replace(
            state,
            url=url or state.url,
            https_url=https_url or state.https_url,
            chain=chain(self.front, inputs, resolution),
            aws=AwsState(self._process.url, REGION, self.environment),
        )

    @property
    def bindings(self) -> Collection[Key, EdgeBinding]:
        """The cluster's EdgeBindings."""
        return self._edge_bindings.bindings

    def pending(self) -> list[str]:
        """What is still on its way, in words."""
        waiting = []
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
        await self._services.caught_up()
        await self._services.idle()
        await self._edge_bindings.caught_up()
        await self._edge_bindings.idle()

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
