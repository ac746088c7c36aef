"""Leader election: of several replicas one acts, by a Lease (coordination.k8s.io/v1), as client-go elects leaders.

The replicas' clocks needn't agree: whether a lease has run out is judged by when this replica saw it change last.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from gatewright.cluster import AlreadyExists, Client, ClusterError, Conflict, NotFound, end
from gatewright.model.coordination import Lease, LeaseSpec
from gatewright.model.meta import Key

_JITTER = 1.2
"""Those who want the lease ask up to this much less often, so that they don't ask in step."""
_RELEASED = 1
"""Seconds that a lease is said to last when nobody holds it."""

_log = structlog.get_logger(__name__)


class Terms(Struct, frozen=True):
    """How long what lasts, in seconds; the defaults are client-go's.

    A lease that wasn't renewed for `duration` is anybody's. Who holds it renews it every `retry`, and gives up when
    that hasn't succeeded for `deadline`.
    """

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.retry * _JITTER < self.deadline < self.duration:
            found = f"found {self.duration}, {self.deadline} and {self.retry} s"
            raise ValueError(f"lease duration, renew deadline and retry period: {found}, expected each below the other")
        if self.duration < 1:
            raise ValueError(f"lease duration: found {self.duration} s, expected 1 s at the least")


class Leadership:
    """Wants a lease while it runs (`async with`), and gives it back at the end.

    `identity` names this replica and no other one. `client` is best one of its own: a renewal mustn't wait for other
    requests. `clock` tells seconds that only go forward.
    """

    def __init__(
        self,
        client: Client,
        lease: Key,
        identity: str,
        terms: Terms = Terms(),  # noqa: B008 - immutable
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._lease = lease
        self._identity = identity
        self._terms = terms
        self._clock = clock
        self._now = now
        self._seen: Lease | None = None
        self._seen_at = 0.0
        self._renewed_at = 0.0  # when the last renewal that succeeded was sent
        self._holding = False
        self._acquired = asyncio.Event()
        self._lost = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def holder(self) -> str:
        """Who holds the lease, as far as is known; empty: nobody."""
        return (self._seen and self._seen.spec.holder_identity) or ""

    @property
    def holding(self) -> bool:
        """Whether this replica may act now. Safe to be asked from any thread.

        Judged by the clock, so that one that was stopped for a while doesn't act before it has found out.
        """
        return self._holding and self._clock() - self._renewed_at < self._terms.deadline

    async def acquired(self) -> None:
        """Return when this replica holds the lease."""
        await self._acquired.wait()

    async def lost(self) -> None:
        """Return when this replica held the lease and doesn't any more. It doesn't try to get it again."""
        await self._lost.wait()

    async def __aenter__(self) -> Leadership:
        self._task = asyncio.create_task(self._run(), name="leader election")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            await end(self._task)
        if self._holding:
            self._holding = False
            await self._release()

    async def _run(self) -> None:
        while not await self._attempt():  # noqa: ASYNC110 - somebody else's clock decides
            await asyncio.sleep(self._terms.retry * random.uniform(1.0, _JITTER))  # noqa: S311
        self._holding = True
        self._acquired.set()
        _log.info("this replica leads", lease=str(self._lease), identity=self._identity)
        # Until it is lost: renewed, or tried to be.
        while self.holding:
            await asyncio.sleep(self._terms.retry)
            await self._attempt()
        self._holding = False
        _log.error("this replica no longer leads", lease=str(self._lease), identity=self._identity, holder=self.holder)
        self._lost.set()

    async def _attempt(self) -> bool:
        """Take or renew the lease. Whether this replica has it now."""
        sent = self._clock()
        left = self._terms.deadline - (sent - self._renewed_at if self._holding else 0.0)
        try:
            async with asyncio.timeout(max(0.0, left)):
                taken = await self._take_or_renew()
        except (AlreadyExists, Conflict):
            _log.info("the lease was changed by somebody else", lease=str(self._lease))
            return False
        except (ClusterError, TimeoutError, msgspec.DecodeError) as error:
            _log.warning(
                "the lease could not be had" if not self._holding else "the lease could not be renewed",
                lease=str(self._lease),
                error=str(error) or "no answer in time",
            )
            return False
        if taken:
            self._renewed_at = sent
        elif self._holding:
            self._renewed_at = sent - self._terms.deadline  # it is somebody else's for certain
        return taken

    async def _take_or_renew(self) -> bool:
        if self._holding and self._seen:
            try:  # most often nobody else has touched it
                await self._write(self._seen, self._spec(self._seen.spec))
            except (Conflict, NotFound):
                pass
            else:
                return True
        try:
            found = await self._client.get(Lease, self._lease)
        except NotFound:
            content = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": self._lease.namespace, "name": self._lease.name},
                "spec": self._spec(None),
            }
            self._see(msgspec.json.decode(await self._client.create(content), type=Lease))
            return True
        self._see(found)
        spec = found.spec
        lasts = spec.lease_duration_seconds or 0
        if spec.holder_identity and spec.holder_identity != self._identity and self._clock() < self._seen_at + lasts:
            return False
        await self._write(found, self._spec(spec))
        return True

    def _see(self, lease: Lease) -> None:
        """Remember a lease, and since when it has been like that."""
        if self._seen is None or self._seen.spec != lease.spec:
            if self.holder != (lease.spec.holder_identity or ""):
                _log.info(
                    "the lease has a holder", lease=str(self._lease), holder=lease.spec.holder_identity or "nobody"
                )
            self._seen_at = self._clock()
        self._seen = lease

    def _spec(self, before: LeaseSpec | None) -> dict[str, Any]:
        now = _micro_time(self._now())
        ours = before is not None and before.holder_identity == self._identity
        transitions = (before.lease_transitions or 0) if before else 0
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(self._terms.duration),
            "acquireTime": (before.acquire_time if before and ours else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions if before is None or ours else transitions + 1,
        }

    async def _write(self, found: Lease, spec: dict[str, Any]) -> None:
        """Write it if it is still what was found."""
        patch = {"metadata": {"resourceVersion": found.metadata.resource_version}, "spec": spec}
        self._see(msgspec.json.decode(await self._client.patch(Lease, self._lease, patch), type=Lease))

    async def _release(self) -> None:
        """Let the next one have it at once."""
        now = _micro_time(self._now())
        try:
            async with asyncio.timeout(self._terms.deadline):
                found = await self._client.get(Lease, self._lease)
                if found.spec.holder_identity != self._identity:
                    return
                await self._write(
                    found,
                    {
                        "holderIdentity": "",
                        "leaseDurationSeconds": _RELEASED,
                        "acquireTime": now,
                        "renewTime": now,
                        "leaseTransitions": found.spec.lease_transitions or 0,
                    },
                )
        except (ClusterError, TimeoutError, msgspec.DecodeError) as error:
            # It runs out by itself.
            _log.warning("the lease could not be released", lease=str(self._lease), error=str(error) or "no answer")


def _micro_time(moment: datetime) -> str:
    """A moment in UTC as metav1.MicroTime writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
