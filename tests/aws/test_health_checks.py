"""Targets are checked as long as they are registered and in use, and the API's state says how they are."""

import asyncio
import time

from msgspec.structs import replace
from tests.aws.health_world import (
    CHECK,
    GROUP,
    LISTENER,
    NLB,
    NODE_A,
    Cloud,
    backend,
    closed_port,
    group,
    listener,
    ok,
)

from gatewright.local.aws.health import HealthChecks
from gatewright.local.aws.health.checks import AT_ONCE
from gatewright.local.aws.state import Bound, Socket

FAST = 3000.0  # an interval of 300 s takes 0.1 s


async def test_a_registered_target_is_healthy_after_one_check_at_once() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state):  # at pace 1 the second check is minutes away
        key = cloud.register(server.port)
        assert cloud.health(key) == (
            "initial",
            "Elb.RegistrationInProgress",
            "Target registration is in progress",
        )
        await cloud.until(key, "healthy")
        assert cloud.health(key) == ("healthy", "", "")
    assert len(server.heard) == 1


async def test_targets_that_were_there_before_are_checked_too() -> None:
    cloud = Cloud()
    async with backend() as server:
        key = cloud.register(server.port)
        async with HealthChecks(cloud.state):
            await cloud.until(key, "healthy")


async def test_a_target_without_the_health_route_is_unhealthy_until_it_has_it() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state, FAST):
        server.answer = ok("404 Not Found")
        key = cloud.register(server.port)
        await cloud.until(key, "unhealthy")
        assert cloud.health(key) == (
            "unhealthy",
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [404]",
        )
        server.answer = ok()
        before = len(server.heard)
        await cloud.until(key, "healthy")
        assert len(server.heard) - before >= CHECK.healthy_threshold


async def test_a_target_that_dies_and_comes_back() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state, FAST):
        key = cloud.register(server.port)
        await cloud.until(key, "healthy")
        server.answer = b""
        await cloud.until(key, "unhealthy")
        assert cloud.health(key) == ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
        server.answer = ok()
        await cloud.until(key, "healthy")


async def test_one_that_answers_too_late_timed_out() -> None:
    cloud = Cloud(replace(CHECK, timeout=0.1))
    async with backend() as server, HealthChecks(cloud.state, FAST):
        server.answer = None
        key = cloud.register(server.port)
        await cloud.until(key, "unhealthy")
        assert cloud.health(key) == ("unhealthy", "Target.Timeout", "Request timed out")


async def test_one_that_takes_its_time_is_healthy_however_fast_the_clocks_run() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state, 1e6):
        server.takes = 0.5
        key = cloud.register(server.port)
        health = await cloud.when(key, lambda health: health is not None and health.state != "initial")
        assert health.state == "healthy"


async def test_the_reason_follows_the_failures() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state, FAST):
        server.answer = ok("503 Service Unavailable")
        key = cloud.register(server.port)
        await cloud.until(key, "unhealthy")
        server.answer = ok("500 Internal Server Error")
        await cloud.when(key, lambda health: health is not None and "[500]" in health.description)
        assert cloud.state.health[key].state == "unhealthy"


async def test_attaching_the_group_starts_its_checks_and_detaching_ends_them() -> None:
    cloud = Cloud()
    cloud.state.listeners.delete(LISTENER)
    async with backend() as server, HealthChecks(cloud.state, FAST):
        key = cloud.register(server.port)
        assert cloud.state.health[key].reason == "Target.NotInUse"
        cloud.state.listeners.set(LISTENER, listener())
        assert cloud.state.health[key].reason == "Elb.RegistrationInProgress"
        await cloud.until(key, "healthy")
        cloud.state.listeners.delete(LISTENER)
        assert cloud.state.health[key].reason == "Target.NotInUse"
        asked = len(server.heard)
        await asyncio.sleep(0.3)  # three intervals in which nothing may come
        assert len(server.heard) <= asked + 1


async def test_a_deregistered_target_drains_and_one_that_is_gone_has_no_health() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state):
        key = cloud.register(server.port)
        await cloud.until(key, "healthy")
        cloud.state.targets.set(key, replace(cloud.state.targets[key], draining_until=time.monotonic() + 300))
        assert cloud.health(key) == (
            "draining",
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        )
        cloud.state.targets.delete(key)
        assert cloud.health(key) is None


async def test_registering_again_starts_anew() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state):
        key = cloud.register(server.port)
        await cloud.until(key, "healthy")
        cloud.register(server.port, registered_at=1.0)
        assert cloud.state.health[key].state == "initial"
        await cloud.until(key, "healthy")


async def test_a_changed_check_is_tried_at_once_and_keeps_the_state_till_then() -> None:
    cloud = Cloud()
    async with backend() as server, HealthChecks(cloud.state):
        key = cloud.register(server.port)
        await cloud.until(key, "healthy")
        server.asked.clear()
        cloud.change(path="/healthz/ready")
        assert cloud.state.health[key].state == "healthy"
        async with asyncio.timeout(60):
            await server.asked.wait()
    assert server.heard[-1].startswith(b"GET /healthz/ready ")


async def test_an_unhealthy_target_is_rechecked_when_its_load_balancer_begins_to_listen() -> None:
    cloud = Cloud()
    outer = cloud.state.load_balancers.get(next(iter(cloud.state.load_balancers)))
    assert outer
    node = replace(outer.nodes[0], address="127.0.0.9")
    cloud.state.load_balancers.set(NLB, replace(outer, arn=NLB, type="network", nodes=(node,)))
    async with backend() as server, HealthChecks(cloud.state):  # at pace 1 nobody would wait for the interval
        key = cloud.register(443, address="127.0.0.9")
        await cloud.when(key, lambda health: health is not None and health.reason == "Elb.InitialHealthChecking")
        cloud.state.sockets.set(Socket("127.0.0.9", 443, "TCP"), Bound("127.0.0.1", server.port))
        await cloud.until(key, "healthy")
        assert b"Host: 127.0.0.9:443\r\n" in server.heard[0]


async def test_an_nlb_checks_with_a_connection_and_tells_no_codes() -> None:
    check = replace(CHECK, protocol="TCP", matcher="")
    cloud = Cloud(check, protocol="TCP", arn=NLB)
    async with backend() as server, HealthChecks(cloud.state, FAST):
        with closed_port() as port:
            alive, dead = cloud.register(server.port), cloud.register(port)
            await cloud.until(alive, "healthy")
            await cloud.until(dead, "unhealthy")
        assert cloud.health(dead) == ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
    assert server.heard == []


async def test_an_nlb_over_http_names_its_node() -> None:
    cloud = Cloud(replace(CHECK, matcher="200-399"), protocol="TCP", arn=NLB)
    async with backend() as server, HealthChecks(cloud.state):
        key = cloud.register(server.port)
        await cloud.until(key, "healthy")
    assert f"Host: {NODE_A}:443\r\n".encode() in server.heard[0]


async def test_a_thousand_targets() -> None:
    groups = tuple(f"{GROUP}{number}" for number in range(1000))
    cloud = Cloud()
    cloud.state.listeners.set(LISTENER, listener(groups=groups))
    commits = 0
    done = asyncio.Event()
    async with backend() as server, HealthChecks(cloud.state):

        def told(_changes: object) -> None:
            nonlocal commits
            commits += 1
            if all(health.state == "healthy" for health in cloud.state.health.values()):
                done.set()

        cloud.state.health.subscribe(told)
        with cloud.state.flow.batch():
            for arn in groups:
                cloud.state.target_groups.set(arn, group(arn=arn))
                cloud.register(server.port, group=arn)
        async with asyncio.timeout(60):
            await done.wait()
    assert len(cloud.state.health) == len(server.heard) == 1000
    assert server.most_at_once <= AT_ONCE
    assert commits < 500  # verdicts that come together are told together


async def test_nothing_goes_on_after_it() -> None:
    cloud = Cloud()
    async with backend() as server:
        async with HealthChecks(cloud.state, FAST):
            key = cloud.register(server.port)
            await cloud.until(key, "healthy")
        await asyncio.sleep(0.1)  # the server hears the end of a check that was under way
        asked = len(server.heard)
        cloud.state.targets.delete(key)
        cloud.register(server.port, registered_at=9.0)
        await asyncio.sleep(0.2)  # two intervals in which nothing may come
        assert len(server.heard) == asked
