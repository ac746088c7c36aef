"""Of several replicas one leads: as the Lease says, whatever happens to the replicas, the API and the clocks."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.simulated import simulated

from gatewright.cluster import AlreadyExists, Client, Conflict, NotFound, Unreachable
from gatewright.controller.leases import Leadership, Terms
from gatewright.local.apiserver import ApiServer, Store
from gatewright.model.coordination import Lease
from gatewright.model.meta import Key

LEASE = Key("default", "gatewright")
QUICK = Terms(duration=600.0, deadline=300.0, retry=0.02)
SECONDS = 60.0


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        yield client


async def soon(waited: Awaitable[None]) -> None:
    await asyncio.wait_for(waited, SECONDS)


def still() -> float:
    """A clock of a replica that nothing runs out for."""
    return 0.0


async def knows(replica: Leadership, holder: str) -> None:
    """Wait until a replica has seen who holds the lease."""
    async with asyncio.timeout(SECONDS):
        while replica.holder != holder:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


class Test_one_replica:
    async def test_takes_a_lease_that_nobody_has(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK, clock=still) as one:
            await soon(one.acquired())
            assert one.holding
            spec = (await client.get(Lease, LEASE)).spec
            assert (spec.holder_identity, spec.lease_duration_seconds, spec.lease_transitions) == ("one", 600, 0)
            for moment in (spec.acquire_time, spec.renew_time):  # metav1.MicroTime
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", moment or "")

    async def test_renews_it(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK, clock=still) as one:
            await soon(one.acquired())
            first = (await client.get(Lease, LEASE)).spec
            renewed = first
            async with asyncio.timeout(SECONDS):
                while renewed.renew_time == first.renew_time:
                    await asyncio.sleep(0.01)
                    renewed = (await client.get(Lease, LEASE)).spec
            assert renewed.acquire_time == first.acquire_time
            assert renewed.lease_transitions == first.lease_transitions

    async def test_gives_it_back_at_the_end(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK) as one:
            await soon(one.acquired())
        spec = (await client.get(Lease, LEASE)).spec
        assert (spec.holder_identity or "", spec.lease_duration_seconds) == ("", 1)
        assert not one.holding

    async def test_gives_nothing_back_that_it_does_not_have(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK, clock=still) as one:
            await soon(one.acquired())
            async with Leadership(client, LEASE, "two", QUICK, clock=still) as two:
                await knows(two, "one")
            spec = (await client.get(Lease, LEASE)).spec
            assert (spec.holder_identity, spec.lease_transitions) == ("one", 0)

    async def test_takes_it_again_where_somebody_deleted_it(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK, clock=still) as one:
            await soon(one.acquired())
            await client.delete(Lease, LEASE)
            async with asyncio.timeout(SECONDS):
                while True:
                    try:
                        assert (await client.get(Lease, LEASE)).spec.holder_identity == "one"
                        break
                    except NotFound:
                        await asyncio.sleep(0.01)
            assert one.holding

    async def test_does_not_act_after_it_was_stopped_for_a_while(self, client: Client) -> None:
        now = 0.0
        async with Leadership(client, LEASE, "one", QUICK, clock=lambda: now) as one:
            await soon(one.acquired())
            assert one.holding
            now = QUICK.deadline + 1.0
            assert not one.holding


class Test_two_replicas:
    async def test_the_second_waits_and_follows_at_once_when_the_first_ends(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK, clock=still) as one, AsyncExitStack() as stack:
            await soon(one.acquired())
            two = await stack.enter_async_context(Leadership(client, LEASE, "two", QUICK, clock=still))
            await knows(two, "one")
            assert (one.holding, two.holding) == (True, False)
            rest = stack.pop_all()
        async with rest:
            await soon(two.acquired())
            assert (await client.get(Lease, LEASE)).spec.lease_transitions == 1

    async def test_the_second_follows_one_that_died_when_its_lease_has_run_out(self, client: Client) -> None:
        # As client-go writes it; the times are of a clock that goes wrong, and count for nothing.
        wrong = (datetime.now(UTC) + timedelta(days=400)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        held = {"holderIdentity": "dead", "leaseDurationSeconds": 2, "renewTime": wrong, "leaseTransitions": 4}
        await client.create(
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": LEASE.namespace, "name": LEASE.name},
                "spec": {**held, "acquireTime": wrong},
            }
        )
        clock = 100.0
        async with Leadership(client, LEASE, "two", QUICK, clock=lambda: clock) as two:
            await knows(two, "dead")
            assert not two.holding
            clock += 2.1
            await soon(two.acquired())
            assert (await client.get(Lease, LEASE)).spec.lease_transitions == 5

    async def test_who_sees_another_one_hold_it_has_lost_it(self, client: Client) -> None:
        async with Leadership(client, LEASE, "one", QUICK) as one:
            await soon(one.acquired())
            spec = {"holderIdentity": "two", "leaseDurationSeconds": 15}
            await client.patch(Lease, LEASE, {"spec": spec})
            await soon(one.lost())
            assert not one.holding
        assert (await client.get(Lease, LEASE)).spec.holder_identity == "two"


async def test_who_cannot_renew_it_has_lost_it_before_anybody_else_may_take_it() -> None:
    now = 0.0
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(ApiServer(Store.memory()))
        client = await stack.enter_async_context(Client.with_token(server.url, server.token, server.ca_certificate))
        one = await stack.enter_async_context(Leadership(client, LEASE, "one", QUICK, clock=lambda: now))
        await soon(one.acquired())
        await server.stop()
        now = QUICK.deadline
        assert not one.holding
        await soon(one.lost())


@pytest.mark.parametrize("terms", [(10, 15, 2), (15, 10, 10), (0.5, 0.4, 0.1), (15, 10, 0)])
def test_terms_that_contradict_each_other_are_refused(terms: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="lease duration"):
        Terms(*terms)


# --- whatever happens ------------------------------------------------------------------------------------------------


class Api:
    """A Lease in memory, by which requests fail, take long, or succeed without an answer."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._spec: dict[str, Any] | None = None
        self._version = 0

    async def _happen(self) -> None:
        await asyncio.sleep(self._chance.choice((0.01, 0.1, 0.5, 3.0, 14.0)))
        if self._chance.random() < 0.3:
            raise Unreachable("no answer")

    def _stored(self) -> bytes:
        metadata = {"namespace": "default", "name": "gatewright", "resourceVersion": str(self._version)}
        return json.dumps({"metadata": metadata, "spec": self._spec}).encode()

    async def get(self, type_: type[Lease], _: Key) -> Lease:
        await self._happen()
        if self._spec is None:
            raise NotFound(404, "NotFound", "")
        answer = msgspec.json.decode(self._stored(), type=type_)
        await self._happen()
        return answer

    async def create(self, content: Mapping[str, Any]) -> bytes:
        await self._happen()
        if self._spec is not None:
            raise AlreadyExists(409, "AlreadyExists", "")
        self._spec, self._version = content["spec"], 1
        answer = self._stored()
        await self._happen()
        return answer

    async def patch(self, _: type[Lease], __: Key, patch: Mapping[str, Any]) -> bytes:
        await self._happen()
        if patch["metadata"]["resourceVersion"] != str(self._version):
            raise Conflict(409, "Conflict", "")
        self._spec, self._version = patch["spec"], self._version + 1
        answer = self._stored()
        await self._happen()
        return answer


class Slow(random.Random):
    """Chance that lets every request succeed, after a while."""

    def random(self) -> float:
        return 1.0

    def choice(self, seq: Any) -> Any:
        return 1.5


@simulated
async def test_to_give_a_lease_back_may_take_as_long_as_to_renew_it() -> None:
    api = Api(Slow())
    async with Leadership(cast("Client", api), LEASE, "one", clock=asyncio.get_running_loop().time) as one:
        await one.acquired()
    assert api._spec
    assert api._spec["holderIdentity"] == ""


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32))
@simulated
async def test_never_do_two_lead_at_a_time(seed: int) -> None:
    chance = random.Random(seed)
    led: set[str] = set()

    async def replica(name: str, api: Api, clock: Callable[[], float], all_: dict[str, Leadership]) -> None:
        for life in range(4):
            identity = f"{name}{life}"
            async with Leadership(cast("Client", api), LEASE, identity, clock=clock) as leadership:
                all_[name] = leadership
                try:
                    async with asyncio.timeout(chance.uniform(1, 120)):
                        await leadership.acquired()
                        led.add(identity)
                        await leadership.lost()
                except TimeoutError:
                    pass
                if chance.random() < 0.3:
                    leadership._holding = False  # it dies without giving it back
            await asyncio.sleep(chance.uniform(0, 5))

    loop = asyncio.get_running_loop()
    api, all_ = Api(chance), dict[str, Leadership]()
    lives = [asyncio.create_task(replica(name, api, loop.time, all_)) for name in "abc"]
    while not all(life.done() for life in lives):
        assert sum(each.holding for each in all_.values()) <= 1
        await asyncio.sleep(0.05)
    await asyncio.gather(*lives)
