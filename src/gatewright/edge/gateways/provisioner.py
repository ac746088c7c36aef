"""Keeps the load balancers of one kind as they are asked for: reads, plans, applies, and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any, Literal

import structlog
from msgspec import structs

from gatewright.aws import Aws, AwsError, views
from gatewright.aws.gateways import LoadBalancers, Standing
from gatewright.aws.gateways.targetgroups import GroupKey
from gatewright.aws.stack.apply import ApplyError, apply
from gatewright.aws.stack.balancer_changes import DELETION_PROTECTION, choose
from gatewright.aws.stack.desired import BACKEND_GROUP, Stack, StackKey
from gatewright.aws.stack.group_changes import refilling
from gatewright.aws.stack.holdings import ActualLoadBalancer, ActualStack
from gatewright.aws.stack.plan import Plan, plan
from gatewright.aws.stack.quotas import Quotas
from gatewright.cluster import ClusterError, Reconciler
from gatewright.edge.gateways.access import BackendAccess
from gatewright.edge.gateways.failures import Failures, failures_of
from gatewright.edge.gateways.knowledge import Knowledge
from gatewright.edge.gateways.narrowing import over_quota, without
from gatewright.edge.gateways.outcomes import LeftOut, provisioned
from gatewright.edge.gateways.owners import Owners
from gatewright.flow import Change, Source
from gatewright.model.meta import Key

_LONGEST_PAUSE = 60.0  # seconds
_NAMED = 20  # changes of AWS that are told one by one

_log = structlog.get_logger(__name__)


class Provisioner:
    """Gives every owner the load balancer that `balancers.stacks` has for it, while it runs (`async with`).

    What AWS holds is known from what was done, and read again when a call failed, or by `look_again`. A change costs
    the calls that it needs and no others. What AWS refuses of a stack is left out of it, told, and tried again when it
    changes, or after a while. What has the tags of this cluster and kind and belongs to nobody is removed.
    """

    def __init__(
        self,
        aws: Aws,
        knowledge: Knowledge,
        access: BackendAccess,
        balancers: LoadBalancers,
        owners: Owners,
        standing: Source[StackKey, Standing],
        *,
        cluster: str,
        kind: Literal["alb", "nlb", "ingress"],
        poll: float = 2.0,
        linger: float = 60.0,
    ) -> None:
        """`standing` is told where load balancers stand. `poll`: seconds between two looks at one that AWS is still
        setting up. `linger`: seconds for which one that is replaced stays, after the new one's name was published.
        """
        self._aws = aws
        self._knowledge = knowledge
        self._access = access
        self._balancers = balancers
        self._owners = owners
        self._cluster = cluster
        self._kind = kind
        self._poll = poll
        self._linger = linger
        self._where = standing
        self._switched: dict[str, float] = {}  # by ARN, when a load balancer was found to be replaced
        self._work: Reconciler[Key] = Reconciler(
            f"load balancers of kind {kind}",
            self._reconcile,
            settle=0.02,
            longest=0.3,
            transient=(ClusterError, AwsError),
        )
        self._refused: dict[Key, dict[str, str]] = {}
        """By owner what AWS refused of its stack, by ID (see `narrowing`), with its reason in words."""
        self._applied: dict[Key, Stack] = {}
        """The stack that AWS was brought to last, all of it."""
        self._measured: dict[Key, tuple[Any, tuple[dict[str, str], tuple[str, ...]]]] = {}
        self.quotas = Quotas()
        """What the account has."""
        self._failed: dict[Key, int] = {}  # how often in a row AWS refused the stack as a whole
        self._states: dict[str, str] = {}  # of load balancers, by ARN
        self._running = False
        self._stack = AsyncExitStack()
        balancers.stacks.subscribe(self._changed)
        balancers.blocked.subscribe(self._changed)
        self._groups = balancers.target_groups.index(lambda key, _: [key.owner])
        balancers.target_groups.subscribe(self._groups_changed)

    async def __aenter__(self) -> Provisioner:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._work)
            for key in self._knowledge.stacks():
                known = self._knowledge.known(key)
                if key.kind == self._kind and known:
                    self._stands(known)
            self._running = True
            stack.callback(self._stop)
            self._stack = stack.pop_all()
        self.enqueue_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _stop(self) -> None:
        self._running = False

    async def idle(self) -> None:
        """Return when every load balancer is as it is asked for, or as near as it can be for now."""
        await self._work.idle()

    @property
    def busy(self) -> bool:
        """Whether there is anything to do now."""
        return self._work.busy

    @property
    def waiting(self) -> bool:
        """Whether anything is to be looked at again by itself."""
        return self._work.waiting

    def enqueue(self, key: Key) -> None:
        """Something about an owner changed that isn't part of its stack."""
        if self._running:
            self._work.enqueue(key)

    def enqueue_all(self) -> None:
        """Look at every owner, and at everything in AWS that may belong to one."""
        known = {_owner(key) for key in self._knowledge.stacks() if key.kind == self._kind}
        for key in known | {*self._balancers.stacks, *self._balancers.blocked, *self._owners.all()}:
            self.enqueue(key)

    def look_again(self) -> None:
        """AWS was read anew: put right what isn't as it should be, and try again what was refused."""
        self._refused.clear()
        self._failed.clear()
        self.enqueue_all()

    def _changed(self, changes: Iterable[Change[Key, Any]]) -> None:
        for change in changes:
            self.enqueue(change.key)

    def _groups_changed(self, changes: Iterable[Change[GroupKey, Any]]) -> None:
        """Of those that have a stack the stack changes as well."""
        for owner in {change.key.owner for change in changes if change.key.owner in self._balancers.blocked}:
            self.enqueue(owner)

    def actual(self, key: Key) -> ActualStack | None:
        """What AWS is known to hold of an owner's stack."""
        return self._knowledge.known(self._key(key))

    def _key(self, key: Key) -> StackKey:
        return StackKey(self._cluster, self._kind, str(key))

    # --- one load balancer --------------------------------------------------------------------------------------------

    async def _reconcile(self, key: Key) -> None:
        standing = self._owners.standing(key)
        if standing == "gone":
            await self._remove(key)
        elif standing == "kept" or key not in self._balancers.stacks:
            await self._keep(key)
        else:
            await self._provide(key, self._balancers.stacks[key])

    async def _keep(self, key: Key) -> None:
        """There can't be what is asked for, or nobody can tell: what there is stays, with the pods of today."""
        actual = await self._knowledge.actual(self._key(key))
        self._stands(actual)
        todo = Plan(actual, tuple(refilling(actual, self._groups.lookup(key)).steps))
        failures = Failures()
        if not todo.empty:
            actual, failures = await self._carry_out(key, todo, actual, None)
        serving = next(iter(actual.load_balancers.values()), None)
        self._owners.publish(key, provisioned(key, actual, serving, problem="; ".join(failures.texts)))
        if failures.problems:
            self._try_later(key, failures)

    async def _provide(self, key: Key, stack: Stack) -> None:
        await self._owners.hold(key)
        shared = await self._access.ensure() if BACKEND_GROUP in stack.load_balancer.security_groups else ""
        actual = await self._knowledge.actual(stack.key, stack)
        self._stands(actual)
        if self._balancers.stacks.get(key) != stack:
            return  # it is to be another one now, which is enqueued
        while True:
            if shared and not actual.backend_group:
                actual = structs.replace(actual, backend_group=shared)
            over, told = self._over_quota(key, stack, actual)
            wanted, left_out, ports = without(stack, over, self._refused.get(key, {}))
            todo = plan(wanted, actual, keep=self._kept(actual), most_rules=self.quotas.rules)
            if not todo.empty and self._applied.get(key) == stack and self._owners.reports_drift(key):
                await self._tell_drift(key, todo)
                return
            failures = Failures(conflicts=todo.conflicts)
            if not todo.empty:
                actual, failures = await self._carry_out(key, todo, actual, wanted)
            unreached = self._access.refusals(self._balancers.access.get(key))
            failures = structs.replace(failures, remarks=told, told=(*failures.told, *unreached))
            known = self._refused.setdefault(key, {})
            more = failures.refused.keys() - known.keys()
            known |= failures.refused
            if not more or self._balancers.stacks.get(key) != stack:  # then it is enqueued
                break
        serving = choose(wanted.load_balancer, actual).current
        await self._look_at(key, serving)
        ready = self._retire(key, todo, serving)
        self._publish(key, actual, serving if ready else self._retained(actual, todo), left_out, ports, failures)
        await self._told(key, left_out, failures)
        self._settle(key, stack, failures)

    def _over_quota(self, key: Key, stack: Stack, actual: ActualStack) -> tuple[dict[str, str], tuple[str, ...]]:
        """See `over_quota`. Looked for again only where something has changed that it depends on."""
        counts = [len(group.targets) for group in stack.target_groups]
        current = choose(stack.load_balancer, actual).current
        ports = frozenset(each.port for each in current.listeners.values()) if current else frozenset()
        account = self._knowledge.others(stack)
        asked = (stack.listeners, stack.security_groups, counts, ports, account, self.quotas)
        known = self._measured.get(key)
        if known and known[0] == asked:
            return known[1]
        found = over_quota(stack, self.quotas, account, ports)
        self._measured[key] = (asked, found)
        return found

    def _settle(self, key: Key, stack: Stack, failures: Failures) -> None:
        """What is to be done later, if anything is."""
        if not failures.problems and not failures.conflicts:
            self._failed.pop(key, None)
            self._applied[key] = stack
            return
        self._applied.pop(key, None)
        if failures.problems:
            self._try_later(key, failures)

    def _try_later(self, key: Key, failures: Failures) -> None:
        """Raises an error that is worth trying again soon, for the others there is a slow try."""
        self._knowledge.doubt(self._key(key))
        for error in failures.problems:
            if error.retryable:
                raise error
        # Trying again is of use only if somebody changes something in AWS; a change of the objects comes by itself.
        self._failed[key] = min(10, self._failed.get(key, 0) + 1)
        self._work.enqueue_later(key, min(_LONGEST_PAUSE, 2.0 ** self._failed[key]))

    def _kept(self, actual: ActualStack) -> list[str]:
        """The load balancers that serve for a while yet, though they are replaced: clients know their names."""
        now = asyncio.get_running_loop().time()
        return [
            arn
            for arn in actual.load_balancers
            if arn not in self._switched or now - self._switched[arn] < self._linger
        ]

    def _retire(self, key: Key, todo: Plan, serving: ActualLoadBalancer | None) -> bool:
        """Whether the new load balancer serves, where one was replaced; then the old one may go after a while."""
        if not todo.replaced:
            return True
        if serving is None or self._states.get(serving.load_balancer.arn) == "provisioning":
            return False
        now = asyncio.get_running_loop().time()
        for arn in todo.replaced:
            since = self._switched.setdefault(arn, now)
            self._work.enqueue_later(key, max(0.0, since + self._linger - now) + 0.01)
        return True

    def _retained(self, actual: ActualStack, todo: Plan) -> ActualLoadBalancer | None:
        """One that was replaced, and serves until the new one does."""
        return next((actual.load_balancers[arn] for arn in todo.replaced if arn in actual.load_balancers), None)

    async def _look_at(self, key: Key, serving: ActualLoadBalancer | None) -> None:
        """Ask AWS for the state of a load balancer that it is still setting up, and again after a while."""
        if serving is None:
            return
        view = serving.load_balancer
        state = self._states.get(view.arn) or view.state
        if state == "provisioning":
            with contextlib.suppress(AwsError):
                for each in await views.load_balancers(self._aws, arns=[view.arn]):
                    state = each.state
            if state == "provisioning":
                self._work.enqueue_later(key, self._poll)
        self._states[view.arn] = state

    async def _carry_out(
        self, key: Key, todo: Plan, actual: ActualStack, stack: Stack | None
    ) -> tuple[ActualStack, Failures]:
        stack_key, failures = self._key(key), Failures(conflicts=todo.conflicts)
        _log.info("load balancer", owner=str(key), operations=[type(each).__name__ for each in todo.operations])
        with self._knowledge.changing(stack_key):
            try:
                actual = await apply(self._aws, actual, todo)
            except ApplyError as error:
                failures = structs.replace(failures_of(error, stack), conflicts=todo.conflicts)
                actual = error.actual
            except BaseException:
                self._knowledge.doubt(stack_key)
                raise
            self._knowledge.learn(stack_key, actual)
        if failures.doubtful:
            self._knowledge.doubt(stack_key)
            with contextlib.suppress(AwsError):
                actual = await self._knowledge.actual(stack_key, stack)
        self._stands(actual)
        return actual, failures

    async def _remove(self, key: Key) -> None:
        """The owner goes, or is no longer ours: what was made for it goes, and then our finalizer."""
        stack_key = self._key(key)
        actual = await self._knowledge.actual(stack_key)
        todo = plan(None, actual, protected=self._asks_for_protection(key))
        failures = Failures(conflicts=todo.conflicts)
        if not todo.empty:
            _, failures = await self._carry_out(key, todo, actual, None)
        await self._told(key, (), failures)
        if failures.problems:
            self._try_later(key, failures)
        if failures.problems or failures.conflicts:
            return
        self._knowledge.forget(stack_key)
        for of in (self._refused, self._applied, self._failed, self._measured):
            of.pop(key, None)
        self._where.delete(stack_key)
        self._owners.publish(key, None)
        await self._owners.release(key)
        self._access.enqueue()

    def _asks_for_protection(self, key: Key) -> bool:
        """Whether a configuration asks that the load balancer is protected from being deleted.

        One that went with its Gateway asks for nothing any more: nobody could take back what it asked for.
        """
        settings, applied = self._balancers.settings.get(key), self._applied.get(key)
        attributes = settings.attributes if settings else applied.load_balancer.attributes if applied else {}
        return attributes.get(DELETION_PROTECTION) == "true"

    def _stands(self, actual: ActualStack) -> None:
        """Tell where the load balancer stands, so that it stays there."""
        views_ = [each.load_balancer for each in actual.load_balancers.values()]
        if not views_:
            self._where.delete(actual.key)
            return
        view = min(views_, key=lambda each: (each.arn in self._switched, each.arn))
        self._where.set(actual.key, Standing(view.scheme, tuple(sorted(zone.subnet for zone in view.zones)), view.name))

    # --- what is said -------------------------------------------------------------------------------------------------

    def _publish(
        self,
        key: Key,
        actual: ActualStack,
        serving: ActualLoadBalancer | None,
        left_out: tuple[LeftOut, ...],
        ports: dict[int, str],
        failures: Failures,
    ) -> None:
        state = self._states.get(serving.load_balancer.arn, "") if serving else ""
        problem = "; ".join((*failures.texts, *(failures.remarks if failures.texts else ())))
        found = provisioned(key, actual, serving, state=state, problem=problem, ports=ports, left_out=left_out)
        self._owners.publish(key, found)

    async def _told(self, key: Key, left_out: Iterable[LeftOut], failures: Failures) -> None:
        told = {("FailedDeployModel", text) for text in failures.texts}
        told |= {("QuotaExceeded", text) for text in failures.remarks}
        told |= {("RuleLeftOut", f"{each.origin}: {each.message}") for each in list(left_out)[:_NAMED]}
        await self._owners.tell(key, "aws", told)

    async def _tell_drift(self, key: Key, todo: Plan) -> None:
        told = [f"{change.action} {change.thing} {change.name}" for change in todo.changes]
        text = "AWS differs from what is asked for, and is left so; mending it would"
        await self._owners.tell(key, "drift", {("Drift", f"{text} {each}") for each in told[:_NAMED]})


def _owner(key: StackKey) -> Key:
    namespace, _, name = key.id.rpartition("/")
    return Key(namespace, name)
