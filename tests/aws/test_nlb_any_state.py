"""Any sequence of changes: after each, every node of every NLB sends to the targets that it should, and no others."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest
from tests.aws.nlb_world import ZONES, Cloud, LineTargets, said

from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.state import Listener, LoadBalancer, TargetKey

_STEPS = 30
_PROBES = 6


class Changes:
    """Random changes of a cloud, and what follows from it by the words of the documentation."""

    def __init__(self, cloud: Cloud, servers: dict[tuple[str, int], str], seed: int) -> None:
        self._cloud = cloud
        self._state = cloud.state
        self._servers = servers
        self._random = random.Random(seed)
        self._groups = [cloud.group(f"group{number}") for number in range(3)]

    def step(self) -> None:
        """One change, of the kinds that the API has."""
        self._random.choice(
            [
                self._create_balancer,
                self._delete_balancer,
                self._put_listener,
                self._put_listener,
                self._delete_listener,
                self._register,
                self._register,
                self._change_health,
                self._change_health,
                self._leave,
            ]
        )()

    def _one(self, of: Any) -> Any:
        found = sorted(of, key=str)
        return self._random.choice(found) if found else None

    def _create_balancer(self) -> None:
        crosses = self._random.choice(["true", "false"])
        self._cloud.load_balancer(f"balancer{self._random.randrange(3)}", load_balancing__cross_zone__enabled=crosses)

    def _delete_balancer(self) -> None:
        arn = self._one(self._state.load_balancers)
        if arn and self._random.random() < 0.3:
            with self._state.flow.batch():
                self._state.load_balancers.delete(arn)
                for listener in list(self._state.listeners.values()):
                    if listener.load_balancer == arn:
                        self._state.listeners.delete(listener.arn)

    def _put_listener(self) -> None:
        balancer = self._one(self._state.load_balancers)
        if balancer:
            port = self._random.choice([80, 81, 8443])
            self._cloud.listener(self._state.load_balancers[balancer], self._random.choice(self._groups), port=port)

    def _delete_listener(self) -> None:
        arn = self._one(self._state.listeners)
        if arn and self._random.random() < 0.3:
            self._state.listeners.delete(arn)

    def _register(self) -> None:
        place = self._one(self._servers)
        zone, health = self._random.choice([*ZONES, ""]), self._random.choice(["healthy", "initial"])
        self._cloud.target(self._random.choice(self._groups), place, zone, health)

    def _change_health(self) -> None:
        key = self._one(self._state.targets)
        if key and self._state.targets[key].draining_until is None:
            self._cloud.health(key, self._random.choice(["healthy", "healthy", "unhealthy"]))

    def _leave(self) -> None:
        key = self._one(self._state.targets)
        if key is None:
            return
        if self._state.targets[key].draining_until is None:
            self._cloud.drain(key)
        else:
            self._cloud.deregistered(key)

    def expected(self, listener: Listener, balancer: LoadBalancer, node: int) -> set[str]:
        """The names of the servers that a node's connections may go to."""
        group = listener.action.groups[0][0]  # type: ignore[union-attr]
        zone = balancer.nodes[node].zone
        crosses = balancer.attributes["load_balancing.cross_zone.enabled"] == "true"
        here: dict[TargetKey, str] = {
            key: self._state.health[key].state
            for key, target in self._state.targets.items()
            if key.group == group and target.draining_until is None and (crosses or target.zone in ("", zone))
        }
        healthy = [key for key, state in here.items() if state == "healthy"]
        return {self._servers[key.id, key.port] for key in healthy or here}

    def probes(self) -> list[tuple[Listener, LoadBalancer, int]]:
        found = []
        for arn in sorted(self._state.listeners):
            listener = self._state.listeners[arn]
            balancer = self._state.load_balancers[listener.load_balancer]
            found += [(listener, balancer, node) for node in range(len(balancer.nodes))]
        return self._random.sample(found, min(_PROBES, len(found)))


@pytest.mark.parametrize("seed", range(4))
async def test_traffic_follows_any_sequence_of_changes(seed: int) -> None:
    cloud = Cloud()
    async with AsyncExitStack() as stack:
        targets = LineTargets(stack, cloud)
        servers = {await targets.tcp(f"server{number}"): f"server{number}" for number in range(5)}
        plane = await stack.enter_async_context(DataPlane(cloud.state, concurrency=1))
        changes = Changes(cloud, servers, seed)
        for _ in range(_STEPS):
            changes.step()
            await asyncio.wait_for(plane.settled(), 60)
            for listener, balancer, node in changes.probes():
                assert cloud.state.served[listener.arn]
                expected = changes.expected(listener, balancer, node)
                answer = (await said(cloud.where(balancer, node, listener.port))).split()[0]
                assert answer in (expected or {"reset"})
        assert set(cloud.state.served) == set(cloud.state.listeners)
