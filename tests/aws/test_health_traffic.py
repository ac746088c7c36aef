"""Health and traffic together: real checks decide, through a real Envoy, where requests go, and what a client gets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace
from tests.aws.health_world import expired_certificate
from tests.aws.nlb_world import Cloud, Connection, connect

from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.health import HealthChecks
from gatewright.local.aws.state import FixedResponse, HealthCheck, LoadBalancer, Rule, Target, TargetGroup, TargetKey

PACE = 50.0
CHECK = HealthCheck(True, "HTTP", "traffic-port", "/healthz", 5, 60, 2, 2, "200")
"""Every 0.1 s at the pace of these tests; none of them waits for a check that gets no answer."""
KINDS = ("application", "network")


class Pod:
    """A target over HTTP that tells its name; what it does can be changed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.healthy = True
        self.silent = False
        self.closes = False
        self.address = ("", 0)
        self.requests = 0
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        self.address = self._server.sockets[0].getsockname()[:2]

    def die(self) -> None:
        """Stop listening, and end every connection."""
        if self._server:
            self._server.close()
            self._server = None
        for connection in self._connections:
            connection.transport.abort()

    async def revive(self) -> None:
        await self.start(*self.address)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    if head.startswith(b"GET /healthz"):
                        status = "200 OK" if self.healthy else "503 Service Unavailable"
                    else:
                        self.requests += 1
                        if self.silent:
                            await reader.read()
                        if self.silent or self.closes:
                            return
                        status = "200 OK"
                    body = self.name.encode()
                    writer.write(b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body))
                    if b"connection: close" in head.lower():
                        return
        finally:
            self._connections.discard(writer)
            writer.close()


class Load:
    """What clients that ask for ever were answered, and when they had asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, str]] = []
        self._heard = asyncio.Event()

    def hear(self, asked: float, answer: str) -> None:
        self.answers.append((asked, answer))
        self._heard.set()

    def between(self, start: float = 0, end: float = float("inf")) -> set[str]:
        """The answers to what was asked in a span of time."""
        return {answer for at, answer in self.answers if start < at < end}

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds():
                self._heard.clear()
                await self._heard.wait()

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        wanted = len(self.answers) + count
        await self.until(lambda: len(self.answers) >= wanted)

    async def only(self, *answers: str) -> float:
        """Wait until there are no others any more: none among 40 to what is asked from now on. Returns since when.

        Envoy tells its threads a moment after it has acknowledged.
        """
        began = time.monotonic()

        def calm() -> bool:
            last = [(at, answer) for at, answer in self.answers[-40:] if at > began]
            return len(last) == 40 and {answer for _, answer in last} <= {*answers}

        await self.until(calm)
        return time.monotonic()

    async def goes_on(self, seconds: float) -> None:
        """Let the clients ask for a while."""
        end = time.monotonic() + seconds
        await self.until(lambda: self.answers[-1][0] > end)


class World:
    """Load balancers whose targets are `Pod`s, checked and served for real."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.cloud = Cloud()
        self.state = self.cloud.state
        self._stack = stack
        self.plane: DataPlane

    async def start(self) -> None:
        self.plane = await self._stack.enter_async_context(DataPlane(self.state, pace=PACE, concurrency=1))
        await self._stack.enter_async_context(HealthChecks(self.state, PACE))
        self.client = await self._stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0))
        )

    def serve(
        self, kind: str, *, protocol: str = "HTTP", name: str = "", **attributes: str
    ) -> tuple[LoadBalancer, TargetGroup]:
        """A load balancer of one zone, listening on port 80, and its group.

        `protocol` is that of an ALB's targets; `attributes` are the group's.
        """
        application = kind == "application"
        balancer = self.cloud.load_balancer(name or kind, kind, zones=("us-east-1a",))
        group = self.cloud.group(
            name or kind,
            protocol if application else "TCP",
            version="HTTP1" if application else "",
            port=80,
            **attributes,
        )
        self.check(group, replace(CHECK, protocol=protocol))
        listener = self.cloud.listener(balancer, group, protocol="HTTP" if application else "TCP")
        if application:
            self.state.rules.set(f"{listener.arn}/default", Rule("default", listener.arn, None, (), listener.action))
        return balancer, group

    def check(self, group: TargetGroup, check: HealthCheck) -> None:
        """Change a group's health check."""
        self.state.target_groups.set(group.arn, replace(group, health_check=check))

    async def pod(self, name: str, tls: ssl.SSLContext | None = None) -> Pod:
        pod = Pod(name)
        await pod.start(self.cloud.address(), tls=tls)
        self._stack.callback(pod.die)
        return pod

    def register(self, group: TargetGroup, at: tuple[str, int]) -> TargetKey:
        key = TargetKey(group.arn, *at)
        self.state.targets.set(key, Target(key, (at[0],), "us-east-1a", time.monotonic()))
        return key

    async def until(self, *keys: TargetKey, state: str = "healthy") -> None:
        """Wait until targets are in a state, and Envoy knows."""
        changed = asyncio.Event()
        self.state.health.subscribe(lambda _changes: changed.set())
        async with asyncio.timeout(60):
            while not all(self.state.health[key].state == state for key in keys):
                changed.clear()
                await changed.wait()
            await self.plane.settled()

    async def ask(self, balancer: LoadBalancer, path: str = "/") -> str:
        """The body of a 200, or the status, or "broken" for a connection that ends without an answer."""
        at = self.cloud.where(balancer)
        try:
            async with asyncio.timeout(60), self.client.get(f"http://{at.address}:{at.port}{path}") as answer:
                return await answer.text() if answer.status == 200 else str(answer.status)
        except aiohttp.ClientError:
            return "broken"

    async def answers(self, balancer: LoadBalancer, count: int = 40) -> Counter[str]:
        return Counter([await self.ask(balancer) for _ in range(count)])

    @contextlib.asynccontextmanager
    async def load(self, balancer: LoadBalancer) -> AsyncIterator[Load]:
        """Four clients that ask for ever."""
        load = Load()

        async def client() -> None:
            while True:
                asked = time.monotonic()
                load.hear(asked, await self.ask(balancer))

        clients = [asyncio.create_task(client()) for _ in range(4)]
        try:
            yield load
        finally:
            for each in clients:
                each.cancel()
            await asyncio.gather(*clients, return_exceptions=True)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(stack)
        await world.start()
        yield world


@pytest.mark.parametrize("kind", KINDS)
async def test_only_healthy_targets_get_requests(world: World, kind: str) -> None:
    balancer, group = world.serve(kind)
    one, two = await world.pod("one"), await world.pod("two")
    two.healthy = False
    keys = [world.register(group, pod.address) for pod in (one, two)]
    await world.until(keys[0])
    await world.until(keys[1], state="unhealthy")
    assert set(await world.answers(balancer)) == {"one"}
    two.healthy = True
    await world.until(keys[1])
    assert set(await world.answers(balancer)) == {"one", "two"}


@pytest.mark.parametrize("kind", KINDS)
async def test_it_fails_open_when_all_are_unhealthy(world: World, kind: str) -> None:
    balancer, group = world.serve(kind)
    one, two = await world.pod("one"), await world.pod("two")
    keys = [world.register(group, pod.address) for pod in (one, two)]
    await world.until(*keys)
    one.healthy = two.healthy = False
    await world.until(*keys, state="unhealthy")
    assert set(await world.answers(balancer)) == {"one", "two"}
    two.healthy = True
    await world.until(keys[1])
    assert set(await world.answers(balancer)) == {"two"}


@pytest.mark.parametrize(("kind", "answer"), [("application", "503"), ("network", "broken")])
async def test_without_targets(world: World, kind: str, answer: str) -> None:
    balancer, group = world.serve(kind)
    await world.plane.settled()
    assert await world.ask(balancer) == answer
    pod = await world.pod("one")
    key = world.register(group, pod.address)
    await world.until(key)
    assert await world.ask(balancer) == "one"
    world.cloud.drain(key)
    await world.plane.settled()
    assert await world.ask(balancer) == answer


@pytest.mark.parametrize(("kind", "failure"), [("application", "502"), ("network", "broken")])
async def test_a_target_that_dies_under_load_costs_requests_until_the_checks_notice(
    world: World, kind: str, failure: str
) -> None:
    balancer, group = world.serve(kind)
    one, two = await world.pod("one"), await world.pod("two")
    keys = [world.register(group, pod.address) for pod in (one, two)]
    await world.until(*keys)
    async with world.load(balancer) as load:
        await load.until(lambda: load.between() == {"one", "two"})
        two.die()
        died = time.monotonic()
        await world.until(keys[1], state="unhealthy")
        noticed = await load.only("one")
        await load.goes_on(0.3)
        await two.revive()
        await world.until(keys[1])
        revived = time.monotonic()
        await load.until(lambda: "two" in load.between(revived))
    assert {"one", "two"} <= load.between(end=died) <= {"one", "two", failure}
    assert load.between() <= {"one", "two", failure}
    assert failure not in load.between(noticed)


async def test_a_target_that_is_drained_under_load_costs_no_request(world: World) -> None:
    balancer, group = world.serve("application")
    one, two = await world.pod("one"), await world.pod("two")
    keys = [world.register(group, pod.address) for pod in (one, two)]
    await world.until(*keys)
    async with world.load(balancer) as load:
        await load.until(lambda: load.between() == {"one", "two"})
        world.cloud.drain(keys[1])
        await world.plane.settled()
        drained = await load.only("one")
        two.die()
        await load.goes_on(0.2)
    assert load.between() == {"one", "two"}
    assert load.between(drained) == {"one"}


async def test_an_nlb_resets_what_is_connected_to_a_target_that_turns_unhealthy(world: World) -> None:
    balancer, group = world.serve("network")
    one, two = await world.pod("one"), await world.pod("two")
    keys = [world.register(group, pod.address) for pod in (one, two)]
    await world.until(*keys)
    connected: list[tuple[str, Connection]] = []
    while len({name for name, _ in connected}) < 2:
        connection = await connect(world.cloud.where(balancer))
        connection.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await connection.reader.readuntil(b"\r\n\r\n")
        connected.append(((await connection.reader.readexactly(3)).decode(), connection))
    two.healthy = False
    await world.until(keys[1], state="unhealthy")
    for name, connection in connected:
        assert await connection.end(60 if name == "two" else 0.2) == ("reset" if name == "two" else "open")
        connection.close()


async def test_a_target_that_closes_without_an_answer_is_502(world: World) -> None:
    balancer, group = world.serve("application")
    pod = await world.pod("one")
    key = world.register(group, pod.address)
    await world.until(key)
    pod.closes = True
    assert await world.ask(balancer) == "502"
    assert pod.requests == 1  # an ALB doesn't try again
    assert world.state.health[key].state == "healthy"


async def test_a_target_that_refuses_is_502_even_when_it_fails_open(world: World) -> None:
    balancer, group = world.serve("application")
    pod = await world.pod("one")
    key = world.register(group, pod.address)
    await world.until(key)
    pod.die()
    await world.until(key, state="unhealthy")
    assert await world.ask(balancer) == "502"


async def test_a_silent_target_is_504_after_the_idle_timeout(world: World) -> None:
    balancer, group = world.serve("application")
    attributes = {**balancer.attributes, "idle_timeout.timeout_seconds": "1"}
    world.state.load_balancers.set(balancer.arn, replace(balancer, attributes=attributes))
    pod = await world.pod("one")
    key = world.register(group, pod.address)
    await world.until(key)
    pod.silent = True
    began = time.monotonic()
    assert await world.ask(balancer) == "504"
    assert 0.8 < time.monotonic() - began < 50  # the usual one would be a minute
    assert world.state.health[key].state == "healthy"


async def test_an_https_group_whose_targets_speak_http(world: World) -> None:
    gateway, _ = world.serve("application", name="gateway")
    (rule,) = world.state.rules.items()
    world.state.rules.set(rule[0], replace(rule[1], action=FixedResponse(200)))
    balancer, group = world.serve("application", protocol="HTTPS")
    key = world.register(group, (gateway.nodes[0].address, 80))
    await world.until(key, state="unhealthy")
    assert world.state.health[key].reason == "Target.FailedHealthChecks"
    assert await world.ask(balancer) == "502"
    world.cloud.group("application", "HTTP", version="HTTP1")
    world.check(world.state.target_groups[group.arn], CHECK)
    await world.until(key)
    assert await world.ask(balancer) == ""


async def test_an_http_group_whose_targets_speak_https(world: World, tmp_path: Path) -> None:
    balancer, group = world.serve("application")
    pod = await world.pod("secure", expired_certificate(tmp_path))
    key = world.register(group, pod.address)
    await world.until(key, state="unhealthy")
    assert world.state.health[key].reason == "Target.FailedHealthChecks"
    assert await world.ask(balancer) == "502"
    world.cloud.group("application", "HTTPS", version="HTTP1")
    world.check(world.state.target_groups[group.arn], replace(CHECK, protocol="HTTPS"))
    await world.until(key)
    assert await world.ask(balancer) == "secure"


async def test_slow_start_gives_a_new_target_its_share_little_by_little(world: World) -> None:
    balancer, group = world.serve("application", slow_start__duration_seconds="180")  # 3.6 s at this pace
    old = await world.pod("old")
    await world.until(world.register(group, old.address))
    await asyncio.sleep(3.7)  # the first one's own slow start goes by
    async with world.load(balancer) as load:

        def share() -> float:
            """How many of the last 60 answers aren't the old one's."""
            return 1 - [answer for _, answer in load.answers[-60:]].count("old") / 60

        for attempt in range(20):
            new = await world.pod(str(attempt))
            registered = time.monotonic()
            key = world.register(group, new.address)
            await world.until(key)
            await load.more(60)
            early, took = share(), time.monotonic() - registered
            if took < 1.3:  # else this machine was too slow to see the beginning
                break
            world.cloud.drain(key)
            await world.plane.settled()
        assert took < 1.3
        assert 0 < early < 0.35
        await load.until(lambda: 0.4 < share() < 0.6)
    assert world.state.health[key].state == "healthy"


async def test_the_chain_heals_when_the_inner_load_balancer_gets_its_target(world: World) -> None:
    outer, outer_group = world.serve("application")
    inner, inner_group = world.serve("network")
    outer_target = world.register(outer_group, (inner.nodes[0].address, 80))
    await world.until(outer_target, state="unhealthy")
    assert world.state.health[outer_target].reason == "Target.FailedHealthChecks"
    pod = await world.pod("gateway")
    key = world.register(inner_group, pod.address)
    await world.until(key, outer_target)
    assert await world.ask(outer) == "gateway"
