"""Services of type LoadBalancer become Network Load Balancers, and go with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import structlog

from gatewright.aws import Aws, AwsError, views
from gatewright.cluster import Client, ClusterError, Reconciler, Reflector, Reflectors, end
from gatewright.edge.events import Events
from gatewright.edge.finalizers import add_finalizer, remove_finalizer
from gatewright.edge.nlb.actual import Actual, ActualLoadBalancer
from gatewright.edge.nlb.annotations import Problem, is_ours, read
from gatewright.edge.nlb.apply import apply
from gatewright.edge.nlb.desired import desired_load_balancer, stack_of
from gatewright.edge.nlb.operations import Operation
from gatewright.edge.nlb.plan import DELETION_PROTECTION, plan, removal
from gatewright.edge.nlb.stacks import Stacks
from gatewright.flow import Change, Collection, Flow, Source
from gatewright.model.core import Node, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.edgebinding import FINALIZER as EDGE_BINDING
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key
from gatewright.resolve import Inputs

FINALIZER = "service.k8s.aws/resources"
"""On a Service while AWS holds something of it; the AWS controller's own."""

_LONGEST_PAUSE = 60.0  # seconds
_NETWORK_AGE = 1.0  # seconds for which the network is taken to be as it was, by who waits for it to be another one
_LONGEST_REST = 5.0  # seconds for which what AWS refuses isn't tried again, however often its Service is edited
_PROBLEMS = 20  # of a Service that are told one by one
_SUSPICION = 2.0  # seconds between two looks at AWS since targets of EdgeBindings fail

_log = structlog.get_logger(__name__)


class ServiceLoadBalancers:
    """Gives every Service that is the AWS controller's a Network Load Balancer, while it runs (`async with`).

    What AWS holds is read once at the start, then every `resync` seconds, and after a call that failed; in between it
    is known from what was done, so a change costs the calls that it needs and no others. It is read at once, too, when
    targets of an EdgeBinding fail, since they may be those of a load balancer that somebody deleted. All that is tagged
    as `cluster`'s and belongs to no Service is removed; nothing else is ever touched.

    A Service in deletion keeps its load balancer while an EdgeBinding's finalizer says that its addresses are in use.
    One that had to be replaced stays while an EdgeBinding's status lists its addresses, or else for `linger` seconds,
    in which clients learn the new name. The new one is published when it is active and its targets were checked, which
    is asked for every `poll` seconds, for `patience` seconds at most.
    """

    def __init__(
        self,
        client: Client,
        aws: Aws,
        inputs: Inputs | None = None,
        *,
        cluster: str,
        resync: float = 60.0,
        linger: float = 60.0,
        patience: float = 60.0,
        poll: float = 1.0,
    ) -> None:
        """`inputs` that hold the cluster's Services and EndpointSlices already save watching them once more."""
        self._client = client
        self._aws = aws
        self._cluster = cluster
        self._resync = resync
        self._linger = linger
        self._patience = patience
        self._poll = poll
        self._stacks = Stacks(aws, cluster)
        self._events = Events(client, "gatewright")
        flow = inputs.flow if inputs else Flow()
        self._nodes: Source[Key, Node] = flow.source("nodes of load balancers")
        self._bindings: Source[Key, EdgeBinding] = flow.source("bindings of load balancers")
        watched: list[Reflector[Any]] = [
            Reflector(client, Node, self._nodes),
            Reflector(client, EdgeBinding, self._bindings),
        ]
        self._services: Collection[Key, Service]
        slices: Collection[Key, EndpointSlice]
        if inputs:
            self._services, slices = inputs.services, inputs.endpoint_slices
        else:
            own_services: Source[Key, Service] = flow.source("services")
            own_slices: Source[Key, EndpointSlice] = flow.source("endpoint slices")
            watched += [Reflector(client, Service, own_services), Reflector(client, EndpointSlice, own_slices)]
            self._services, slices = own_services, own_slices
        self._reflectors = Reflectors(*watched)
        self._slices = slices.index(lambda key, each: [Key(key.namespace, each.service_name)], name="slices by service")
        self._work: Reconciler[Key] = Reconciler(
            "load balancer of a Service", self._reconcile, settle=0.05, longest=0.5, transient=(ClusterError, AwsError)
        )
        self._switched: dict[str, float] = {}  # load balancers that were replaced -> since when, in the loop's time
        self._addresses: dict[str, set[str]] = {}  # those of load balancers that were replaced
        self._waited_for: dict[str, float] = {}  # load balancers that are to take over -> since when
        self._suspected = -_SUSPICION  # when AWS was last read anew since targets failed
        self._refused: dict[Key, int] = {}  # how often in a row AWS refused something for a Service
        self._unplaced: dict[Key, int] = {}  # how often in a row AWS had no place for a Service's load balancer
        self._rests: dict[Key, float] = {}  # until when, in the loop's time, it isn't tried again
        self._running = False
        self._stack = AsyncExitStack()
        self._services.subscribe(self._services_changed)
        slices.subscribe(self._slices_changed)
        self._nodes.subscribe(self._nodes_changed)
        self._bindings.subscribe(self._bindings_changed)

    async def __aenter__(self) -> ServiceLoadBalancers:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reflectors)
            self._running = True
            await stack.enter_async_context(self._work)
            self._enqueue_all()
            task = asyncio.create_task(self._look_again(), name="load balancers as AWS has them")
            stack.push_async_callback(end, task)
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _stop(self) -> None:
        self._running = False

    async def idle(self) -> None:
        """Return when every load balancer is as its Service asks for, or as near as it can be for now."""
        await self._work.idle()

    @property
    def settled(self) -> bool:
        """Whether there is nothing to do now, and nothing that waits for its time."""
        return not self._work.busy and not self._work.waiting

    async def caught_up(self) -> None:
        """Return once what the cluster holds at the time of the call is known here."""
        await self._reflectors.caught_up()

    def look_again(self) -> None:
        """Take nothing of AWS for granted: read it anew, and put right what somebody changed."""
        self._stacks.doubt_all()
        self._enqueue_all()

    # --- when there is something to do -------------------------------------------------------------------------------

    def _enqueue(self, key: Key) -> None:
        if self._running:
            self._work.enqueue(key)

    def _enqueue_all(self) -> None:
        for key, service in list(self._services.items()):
            if is_ours(service) or FINALIZER in service.metadata.finalizers:
                self._enqueue(key)
        for stack in self._stacks.names():
            self._enqueue(_key(stack))

    def _services_changed(self, changes: Iterable[Change[Key, Service]]) -> None:
        for key, old, new in changes:
            if any(each and (is_ours(each) or FINALIZER in each.metadata.finalizers) for each in (old, new)):
                self._enqueue(key)

    def _slices_changed(self, changes: Iterable[Change[Key, EndpointSlice]]) -> None:
        for _, old, new in changes:
            each = new or old
            key = Key(each.namespace, each.service_name) if each else None
            service = self._services.get(key) if key else None
            if key and service and is_ours(service):
                self._enqueue(key)

    def _nodes_changed(self, changes: Iterable[Change[Key, Node]]) -> None:
        """A node tells every few seconds that it is alive, which is nothing new."""
        if any(_standing(old) != _standing(new) for _, old, new in changes):
            self._enqueue_all()

    def _bindings_changed(self, changes: Iterable[Change[Key, EdgeBinding]]) -> None:
        """What waits for addresses to be free may go on; and where targets fail, perhaps a load balancer is gone."""
        for _, old, new in changes:
            if old and new and _healthy(old) - _healthy(new):
                now = asyncio.get_running_loop().time()
                if now - self._suspected >= _SUSPICION:
                    self._suspected = now
                    self.look_again()
        for stack in self._stacks.names():
            if len(self._stacks.known(stack).load_balancers) > 1:
                self._enqueue(_key(stack))

    async def _look_again(self) -> None:
        while True:
            self._stacks.with_listener_attributes = {
                stack_of(each)
                for each in self._services.values()
                if any("-listener-attributes." in name for name in each.metadata.annotations)
            }
            try:
                await self._stacks.look()
            except AwsError as error:
                _log.warning("AWS could not be read", error=str(error))
            else:
                self._enqueue_all()
            await asyncio.sleep(self._resync)

    # --- what there is to do -----------------------------------------------------------------------------------------

    async def _reconcile(self, key: Key) -> None:
        service = self._services.get(key)
        rest = self._rests.get(key, 0.0) - asyncio.get_running_loop().time()
        if rest > 0.0:
            self._work.enqueue_later(key, rest)
            return
        try:
            if service is None:
                self._unplaced.pop(key, None)
                await self._remove(str(key))
            elif is_ours(service) and not service.deleting:
                await self._provide(service)
            elif EDGE_BINDING not in service.metadata.finalizers:
                await self._withdraw(service)
        except AwsError as error:
            self._stacks.doubt(str(key))
            if service is not None:
                await self._events.tell(service, "aws", {("FailedDeployModel", str(error))})
            if error.retryable:
                raise
            # Trying again is of use only if somebody changes something at AWS; a change of the Service comes by itself.
            # Each attempt reads AWS anew, which must not be had as often as somebody edits a Service.
            self._refused[key] = min(10, self._refused.get(key, 0) + 1)
            pause = min(_LONGEST_PAUSE, 2.0 ** self._refused[key])
            self._rests[key] = asyncio.get_running_loop().time() + min(pause, _LONGEST_REST)
            _log.warning("AWS refuses", service=str(key), error=str(error), pause=pause)
            self._work.enqueue_later(key, pause)
        else:
            self._refused.pop(key, None)
            self._rests.pop(key, None)
            if service is not None:
                await self._events.tell(service, "aws", set())

    async def _provide(self, service: Service) -> None:
        stack = stack_of(service)
        actual = await self._stacks.actual(stack)
        waited = self._unplaced.get(service.key, 0)
        if waited:
            await self._stacks.look_at_network(_NETWORK_AGE)
        slices, nodes = self._slices.lookup(service.key), list(self._nodes.values())
        desired, problems = desired_load_balancer(service, slices, nodes, self._stacks.network, self._cluster)
        await self._tell(service, problems)
        if any(problem.fatal and problem.in_aws for problem in problems):
            # Who tags a subnet doesn't want to wait for the next look at everything.
            self._unplaced[service.key] = min(10, waited + 1)
            self._work.enqueue_later(service.key, min(_LONGEST_PAUSE, 2.0 ** self._unplaced[service.key]))
        else:
            self._unplaced.pop(service.key, None)
        if desired is None:
            return
        if FINALIZER not in service.metadata.finalizers:
            await add_finalizer(self._client, service, FINALIZER)
        wanted = plan(desired, actual)
        actual = await self._carry_out(stack, actual, wanted.operations)
        serving = actual.load_balancer(wanted.name)
        if not wanted.retirement:
            await self._publish(service, serving.load_balancer)
            return
        old = [each for each in actual.load_balancers.values() if each is not serving]
        published = {entry.hostname for entry in service.status.load_balancer.ingress}
        if serving.load_balancer.dns_name not in published:
            if published & {each.load_balancer.dns_name for each in old} and not await self._is_ready(serving, actual):
                self._work.enqueue_later(service.key, self._poll)
                return
            await self._publish(service, serving.load_balancer)
        if await self._can_go(old):
            await self._carry_out(stack, actual, wanted.retirement)
        else:
            self._work.enqueue_later(service.key, self._poll)

    async def _is_ready(self, serving: ActualLoadBalancer, actual: Actual) -> bool:
        """Whether a new load balancer can take over: active, and its targets have been checked.

        Checks that lead nowhere must not keep the old one in place for ever.
        """
        arn = serving.load_balancer.arn
        now = asyncio.get_running_loop().time()
        if now - self._waited_for.setdefault(arn, now) > self._patience:
            return True
        found = await views.load_balancers(self._aws, arns=[arn])
        if any(each.state == "provisioning" for each in found):
            return False
        for group in actual.target_groups.values():
            if arn in group.group.load_balancers:
                states = {each.state for each in await views.target_health(self._aws, group.group.arn)}
                if "initial" in states and "healthy" not in states:
                    return False
        return True

    async def _can_go(self, old: Iterable[ActualLoadBalancer]) -> bool:
        """Whether nobody needs load balancers any more that were replaced and are no longer published."""
        now = asyncio.get_running_loop().time()
        used = {
            target.address
            for binding in self._bindings.values()
            for target in binding.status.targets
            if target.registered
        }
        for each in old:
            arn = each.load_balancer.arn
            if used and arn not in self._addresses:
                interfaces = await views.network_interfaces(self._aws, each.load_balancer)
                self._addresses[arn] = {interface.address for interface in interfaces}
            if used & ({arn} | self._addresses.get(arn, set())):
                return False
        since = [self._switched.setdefault(each.load_balancer.arn, now) for each in old]
        return all(now - each >= self._linger for each in since)

    async def _withdraw(self, service: Service) -> None:
        """The Service goes, or is no longer ours: what it had goes, and then our finalizer."""
        self._unplaced.pop(service.key, None)
        if FINALIZER not in service.metadata.finalizers:
            return
        settings, _ = read(service)
        if settings.attributes.get(DELETION_PROTECTION) == "true":
            annotation = "service.beta.kubernetes.io/aws-load-balancer-attributes"
            expected = f"{DELETION_PROTECTION}=false; then the load balancer is deleted, and the Service goes"
            problem = Problem(
                f"metadata.annotations[{annotation}]", f"{DELETION_PROTECTION}=true", expected, "change it"
            )
            await self._tell(service, (problem,))
            return
        await self._remove(stack_of(service))
        if not service.deleting and service.status.load_balancer.ingress:
            await self._client.patch(Service, service.key, {"status": {"loadBalancer": None}}, subresource="status")
        await remove_finalizer(self._client, service, FINALIZER)
        self._events.forget(service)

    async def _remove(self, stack: str) -> None:
        actual = await self._stacks.actual(stack)
        if actual:
            await self._carry_out(stack, actual, removal(actual))
        self._stacks.forget(stack)

    async def _carry_out(self, stack: str, actual: Actual, operations: Iterable[Operation]) -> Actual:
        for operation in operations:
            _log.info("load balancer of a Service", service=stack, operation=type(operation).__name__)
            with self._stacks.changing(stack) as change:
                actual = change.result = await apply(self._aws, actual, operation)
        return actual

    # --- what is said ------------------------------------------------------------------------------------------------

    async def _tell(self, service: Service, problems: Iterable[Problem]) -> None:
        found = sorted(problems, key=lambda problem: not problem.fatal)
        shown, left = found[:_PROBLEMS], len(found) - _PROBLEMS
        told = {("FailedBuildModel" if problem.fatal else "IgnoredSetting", str(problem)) for problem in shown}
        if left > 0:
            told.add(("IgnoredSetting", f"{left} more annotations or fields are wrong; put these right first"))
        await self._events.tell(service, "settings", told)

    async def _publish(self, service: Service, load_balancer: views.LoadBalancer) -> None:
        hostname = load_balancer.dns_name
        if [(each.hostname, each.ip) for each in service.status.load_balancer.ingress] != [(hostname, "")]:
            status = {"loadBalancer": {"ingress": [{"hostname": hostname}]}}
            await self._client.patch(Service, service.key, {"status": status}, subresource="status")
            told = f"load balancer {load_balancer.name}: {hostname}"
            await self._events.tell(service, "address", {("SuccessfullyReconciled", told)}, "Normal")


def _standing(node: Node | None) -> object:
    """What decides whether a node is a target."""
    if node is None:
        return None
    ready = [condition.status for condition in node.status.conditions if condition.type == "Ready"]
    return node.metadata.labels, node.spec.provider_id, node.deleting, ready


def _healthy(binding: EdgeBinding) -> set[str]:
    return {target.address for target in binding.status.targets if target.registered and target.health == "healthy"}


def _key(stack: str) -> Key:
    namespace, _, name = stack.rpartition("/")
    return Key(namespace, name)
