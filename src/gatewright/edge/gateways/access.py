"""What the targets' security groups let in, for all load balancers of a cluster together, while there are any."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from msgspec import structs

from gatewright.aws import Aws, AwsError
from gatewright.aws.errors import InUse
from gatewright.aws.gateways.access import AccessPiece, SharedAccess, shared_access
from gatewright.aws.stack.access import AccessPlan, ActualAccess, apply_access, plan_access, read_access
from gatewright.aws.stack.operations import (
    AuthorizeIngress,
    CreateSecurityGroup,
    DeleteSecurityGroup,
    Operation,
    RevokeIngress,
)
from gatewright.cluster import Reconciler
from gatewright.flow import Change, Collection
from gatewright.model.meta import Key

_ONLY = "access"
_LONGEST_PAUSE = 60.0  # seconds

_log = structlog.get_logger(__name__)


class BackendAccess:
    """Keeps the shared security group, and the permissions that let it in, as `pieces` ask for (`async with`).

    Load balancers that have the group call `ensure` before they are made. While AWS has one that has no piece, since it
    is to stay as it is, nothing is taken away: `complete` says whether all have.
    """

    def __init__(
        self,
        aws: Aws,
        cluster: str,
        pieces: Iterable[Collection[Key, AccessPiece]],
        complete: Callable[[], bool] = lambda: True,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """`told` is called when there are other refusals than before."""
        self._complete = complete
        self._aws = aws
        self._cluster = cluster
        self._pieces = tuple(pieces)
        self._applied: SharedAccess | None = None
        self._group = ""
        self._failed: list[AwsError] = []  # the last time
        self._failures = 0  # how often in a row
        self.refused: dict[str, str] = {}
        """By security group of targets why it lets in less than it should, in words."""
        self._told = told
        self._lock = asyncio.Lock()
        self._work: Reconciler[str] = Reconciler(
            "access to targets", self._reconcile, settle=0.1, longest=1.0, transient=(AwsError,)
        )
        self._running = False
        for collection in self._pieces:
            collection.subscribe(self._changed)

    async def __aenter__(self) -> BackendAccess:
        self._running = True
        self.enqueue()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._work.__aexit__()

    async def idle(self) -> None:
        """Return when nothing is left to do."""
        await self._work.idle()

    def enqueue(self) -> None:
        """Look again whether it is as it should be."""
        if self._running:
            self._work.enqueue(_ONLY)

    def look_again(self) -> None:
        """Take nothing of AWS for granted."""
        self._applied = None
        self.enqueue()

    def _changed(self, _: list[Change[Key, Any]]) -> None:
        self.enqueue()

    async def ensure(self) -> str:
        """The ID of the group that the load balancers share, made if need be. Raises `AwsError`.

        What it is to be let in by follows: a security group that can't be changed must not keep any load balancer.
        """
        if self._group:
            self.enqueue()
            return self._group
        async with self._lock:
            if not self._group:
                await self._bring_about(self._wanted())
            return self._group

    def refusals(self, piece: AccessPiece | None) -> tuple[str, ...]:
        """What of a load balancer's needs AWS refuses, in words."""
        return tuple(self.refused[group] for group in (piece.ingress if piece else ()) if group in self.refused)

    def _wanted(self) -> SharedAccess:
        wanted = shared_access(self._cluster, (piece for each in self._pieces for piece in each.values()))
        return structs.replace(wanted, complete=wanted.complete and self._complete())

    async def _reconcile(self, _: str) -> None:
        async with self._lock:
            wanted = self._wanted()
            if self._applied != wanted:
                await self._bring_about(wanted)
        if not self._failed:
            self._failures = 0
            return
        self._applied = None
        for error in self._failed:
            if error.retryable or isinstance(error, InUse):
                raise error
        # Trying again is of use only if somebody changes something in AWS.
        self._failures = min(10, self._failures + 1)
        self._work.enqueue_later(_ONLY, min(_LONGEST_PAUSE, 2.0**self._failures))

    async def _bring_about(self, wanted: SharedAccess) -> None:
        """Raises `AwsError` where the shared group can't be made; `_failed` are what else went wrong."""
        self._applied = None
        actual = await read_access(self._aws, self._cluster)
        todo = plan_access(wanted, actual)
        made = tuple(each for each in todo.operations if isinstance(each, CreateSecurityGroup))
        if not todo.empty:
            _log.info("access to targets", operations=[type(each).__name__ for each in todo.operations])
        if made:
            actual = await apply_access(self._aws, actual, AccessPlan(made))
            todo = plan_access(wanted, actual)
        kept = "" if wanted.complete and wanted.backend_group is None else actual.backend_group
        self._group = kept
        removal = tuple(each for each in todo.operations if isinstance(each, DeleteSecurityGroup))
        rest = _by_group(each for each in todo.operations if each not in removal)
        outcomes = [*await asyncio.gather(*(self._carry_out(actual, each) for each in rest))]
        if not any(outcomes):  # the shared group can't go as long as another one lets it in
            outcomes.append(await self._carry_out(actual, removal))
        failed = [pair for outcome in outcomes for pair in outcome]
        self._applied, self._failed = wanted, [error for _, error in failed]
        refused = {group: f"security group {group} of targets: {error}" for group, error in failed}
        if refused != self.refused:
            self.refused = refused
            for text in refused.values():
                _log.warning("targets don't let the load balancers in", error=text)
            self._told()

    async def _carry_out(self, actual: ActualAccess, operations: tuple[Operation, ...]) -> list[tuple[str, AwsError]]:
        """Do what there is to do with one group, in order; with which group what went wrong."""
        for operation in operations:
            try:
                await apply_access(self._aws, actual, AccessPlan((operation,)))
            except AwsError as error:
                return [(_group_of(operation), error)]
        return []


def _group_of(operation: Operation) -> str:
    if isinstance(operation, AuthorizeIngress | RevokeIngress | DeleteSecurityGroup):
        return operation.security_group
    return ""


def _by_group(operations: Iterable[Operation]) -> list[tuple[Operation, ...]]:
    """The operations by group: what is done with one doesn't wait for others."""
    found: dict[str, list[Operation]] = {}
    for each in operations:
        found.setdefault(_group_of(each), []).append(each)
    return [tuple(each) for each in found.values()]
