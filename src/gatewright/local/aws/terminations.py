"""Connections that a load balancer ends by itself, mostly because of their target.

- An NLB resets those of a target that becomes unhealthy, unless it fails open, or the target group's
  `target_health_state.unhealthy.connection_termination.enabled` is false ("Target health state").
- When the deregistration delay is over, an ALB closes what a target still has open, and so does an NLB if the group's
  `deregistration_delay.connection_termination.enabled` is true ("Deregistration delay").

And those of a listener or load balancer that is deleted end soon after it. (Where a listener only changes, open
connections go on: Envoy ends them when its drain time is over.)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

import structlog

from gatewright.envoy.ads import AdsServer
from gatewright.envoy.process import EnvoyProcess
from gatewright.flow import Change
from gatewright.local.aws.pools import Pool
from gatewright.local.aws.resets import Choice, ResetError, reset_connections
from gatewright.local.aws.state import Bound, CloudState, Socket, Target, TargetGroup, TargetHealth, TargetKey
from gatewright.local.aws.targets import Targets

_log = structlog.get_logger(__name__)

_PATIENCE = 5.0
"""Seconds for Envoy to learn first that the target isn't to be used, so that nobody reconnects to it."""

_GRACE = 10.0


class Terminations:
    """Ends connections as the health and the deregistration of targets ask for it, until `close`."""

    def __init__(self, state: CloudState, targets: Targets, server: AdsServer, process: EnvoyProcess) -> None:
        self._state = state
        self._targets = targets
        self._server = server
        self._process = process
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
        state.health.subscribe(self._health_changed)
        state.targets.subscribe(self._targets_changed)
        state.sockets.subscribe(self._sockets_changed)

    async def close(self) -> None:
        """Leave what is still open."""
        self._is_open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _health_changed(self, changes: list[Change[TargetKey, TargetHealth]]) -> None:
        for change in changes:
            if change.new is None or change.new.state != "unhealthy":
                continue
            target, group = self._state.targets.get(change.key), self._state.target_groups.get(change.key.group)
            if target and group and ends_when_unhealthy(group):
                self._end(target, [pool for pool in self._targets.pools_of(group.arn) if not pool.settings.http])

    def _targets_changed(self, changes: list[Change[TargetKey, Target]]) -> None:
        for change in changes:
            group = self._state.target_groups.get(change.key.group)
            if change.new is None and change.old and group:
                pools = self._targets.pools_of(group.arn)
                self._end(change.old, [pool for pool in pools if pool.settings.http or ends_when_gone(group)])

    def _sockets_changed(self, changes: list[Change[Socket, Bound]]) -> None:
        left = {change.old for change in changes if change.old and change.key.transport == "TCP"}
        if left:
            self._start(self._leave(left))

    def _end(self, target: Target, pools: list[Pool]) -> None:
        pools = [pool for pool in pools if pool.key.transport == "TCP"]
        if pools:
            self._start(self._end_soon(target, pools))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        if not self._is_open:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_soon(self, target: Target, pools: list[Pool]) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.settled(), _PATIENCE)
        places = self._targets.places(target)
        unused: dict[str, frozenset[Bound]] = {}
        for bind in {pool.settings.bind for pool in pools}:
            # It may be healthy again, or all have failed, or another group of the load balancer has it as well.
            alike = [pool for pool in self._targets.pools.values() if pool.settings.bind == bind]
            unused[bind] = places.difference(*map(self._targets.used, alike))

        def is_meant(local: Bound, remote: Bound) -> bool:
            return remote in unused.get(local.address, ()) or remote in unused.get("", ())

        self._reset(is_meant, f"target {target.key.id}:{target.key.port}")

    async def _leave(self, left: set[Bound]) -> None:
        await grace()
        left.difference_update(self._state.sockets.values())  # whose connections those are can't be told any more
        self._reset(lambda local, _: local in left, "listeners that are gone")

    def _reset(self, is_meant: Choice, whose: str) -> None:
        pid = self._process.pid
        if pid is None:
            return
        try:
            ended = reset_connections(pid, is_meant)
        except (ResetError, OSError) as error:
            _log.warning("connections can't be ended", of=whose, reason=str(error))
            return
        if ended:
            _log.info("ended connections", of=whose, connections=ended)


async def grace() -> None:
    """Wait for as long as connections of a listener go on that is gone."""
    await asyncio.sleep(_GRACE)


def ends_when_unhealthy(group: TargetGroup) -> bool:
    """Whether connections to a target of an NLB end when it becomes unhealthy; of TCP and TLS groups only."""
    attribute = group.attributes.get("target_health_state.unhealthy.connection_termination.enabled", "true")
    return group.protocol in ("TCP", "TLS") and attribute == "true"


def ends_when_gone(group: TargetGroup) -> bool:
    """Whether connections to a target of an NLB end with the deregistration delay."""
    return group.attributes.get("deregistration_delay.connection_termination.enabled") == "true"
