"""What the controller would do to AWS for Gateways and Ingresses, told in the log instead of done."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import structlog

from gatewright.aws import Aws, AwsError
from gatewright.aws.gateways import LoadBalancers
from gatewright.aws.stack import rendering
from gatewright.aws.stack.actual import read_all
from gatewright.aws.stack.desired import StackKey
from gatewright.aws.stack.quotas import read_quotas
from gatewright.cluster import Client, Reconciler, Reflector, Reflectors, end
from gatewright.edge.gateways.ingresses import NameLookups
from gatewright.edge.gateways.pipeline import Pipeline
from gatewright.edge.gateways.surroundings import SurroundingsWatch
from gatewright.edge.preview import Kind, StackPlan, preview, standing

_ALL = "plan"
_SETTLE = 1.0  # seconds without news, after which a plan is made

_log = structlog.get_logger(__name__)


class Rehearsal:
    """Logs the plan of each load balancer when it is another one than before, while it runs (`async with`).

    Plans are made anew when objects change, and every `resync` seconds, in which somebody may have changed AWS. Nothing
    is written. The sources of the `pipeline` are kept by this; its inputs by somebody else.
    """

    def __init__(self, client: Client, aws: Aws, pipeline: Pipeline, *, vpc: str = "", resync: float = 300.0) -> None:
        self._aws = aws
        self._pipeline = pipeline
        self._resync = resync
        ingress = pipeline.ingress
        self._sides: dict[Kind, LoadBalancers] = {side.kind: side.balancers for side in pipeline.sides}
        if ingress:
            self._sides[ingress.kind] = ingress.balancers
        self._names = NameLookups(aws, ingress) if ingress else None
        watched: Mapping[Any, Any] = pipeline.configurations.by_type | (ingress.sources.by_type if ingress else {})
        self._reflectors = Reflectors(*(Reflector(client, type_, source) for type_, source in watched.items()))
        self._surroundings = SurroundingsWatch(
            client, aws, pipeline.surroundings, cluster=pipeline.cluster, vpc=vpc, resync=resync
        )
        self._work: Reconciler[str] = Reconciler(
            "rehearsal", self._rehearse, settle=_SETTLE, longest=10 * _SETTLE, transient=(AwsError,)
        )
        self._told: dict[StackKey, object] = {}
        self._stack = AsyncExitStack()
        for side in self._sides.values():
            for collection in (side.stacks, side.blocked, side.access):
                collection.subscribe(self._changed)

    async def __aenter__(self) -> Rehearsal:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._reflectors)
            await stack.enter_async_context(self._surroundings)
            if self._names:
                await stack.enter_async_context(self._names)
            await stack.enter_async_context(self._work)
            stack.push_async_callback(end, asyncio.create_task(self._again(), name="rehearsal"))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def _changed(self, _: object) -> None:
        self._work.enqueue(_ALL)

    async def _again(self) -> None:
        while True:
            self._work.enqueue(_ALL)
            await asyncio.sleep(self._resync)

    async def _rehearse(self, _: str) -> None:
        cluster, bucket = self._pipeline.cluster, self._pipeline.trust_store_bucket
        held, quotas = await asyncio.gather(read_all(self._aws, cluster, bucket=bucket), read_quotas(self._aws))
        where = {key: found for key, each in held.items() if (found := standing(each))}
        self._pipeline.surroundings.standing.replace(where)
        plans = await preview(self._aws, self._sides, held, quotas, cluster=cluster, bucket=bucket)
        for key in self._told.keys() - {plan.key for plan in plans}:
            del self._told[key]
        for plan in plans:
            told = (plan.plan.changes if plan.plan else None, plan.held, plan.over)
            if self._told.get(plan.key) != told:
                self._told[plan.key] = told
                _tell(plan)


def _tell(plan: StackPlan) -> None:
    stack = {"kind": plan.key.kind, "stack": plan.key.id}
    if plan.held:
        _log.warning("nothing would be done", **stack, reasons=plan.held)
    if plan.over:
        _log.warning("over quota", **stack, problems=[problem.message for problem in plan.over])
    if plan.plan is None:
        return
    if plan.plan.empty and not plan.plan.conflicts:
        _log.info("nothing to change", **stack)
        return
    changes = [f"{change.action} {change.thing} {change.name}" for change in plan.plan.changes]
    counts = rendering.summary([plan.plan])
    _log.info("would change", **stack, **counts, changes=changes, conflicts=plan.plan.conflicts)
