"""The data plane as a whole: ALBs and NLBs in one Envoy, what it serves, what it refuses, and its restart."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest
from aiohttp import ClientSession, web
from msgspec.structs import replace
from tests.aws.nlb_world import (
    ZONES,
    Cloud,
    LineTargets,
    cloud,
    needs_resets,
    said,
    settled,
    targets,
)

from gatewright.envoy.resources import ENDPOINTS
from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.state import Bound, Forward, Rule

__all__ = ["cloud", "targets"]


async def until_served(cloud: Cloud, arn: str, served: bool = True) -> None:
    heard = asyncio.Event()
    cloud.state.served.subscribe(lambda _: heard.set())
    async with asyncio.timeout(60):
        while cloud.state.served.get(arn) is not served:
            await heard.wait()
            heard.clear()


async def http_target(
    stack: AsyncExitStack,
    cloud: Cloud,
    name: str,
    asked: asyncio.Event | None = None,
    answered: asyncio.Event | None = None,
) -> tuple[str, int]:
    """Answers with its name and the client's address; sets `asked` and waits for `answered` before that."""

    async def answer(request: web.Request) -> web.Response:
        if asked:
            asked.set()
        if answered:
            await answered.wait()
        return web.Response(text=f"{name} {request.remote}")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, cloud.address(), 0)
    await site.start()
    host, port = runner.addresses[0]
    return host, port


async def got(at: Bound, path: str = "/") -> tuple[int, str]:
    async with ClientSession() as session, session.get(f"http://{at.address}:{at.port}{path}") as response:
        return response.status, await response.text()


def alb_listener(cloud: Cloud, balancer: Any, group: Any, **more: Any) -> Any:
    """An ALB's HTTP listener with its default rule."""
    listener = cloud.listener(balancer, group, protocol="HTTP", **more)
    rule = Rule(f"{listener.arn}/default", listener.arn, None, (), Forward(((group.arn, 1),)))
    cloud.state.rules.set(rule.arn, rule)
    return listener


async def test_the_chain_of_an_alb_and_an_nlb(cloud: Cloud) -> None:
    """Client, ALB, NLB (whose addresses are the ALB's targets), server; each sees the one before it."""
    async with DataPlane(cloud.state, concurrency=1) as plane, AsyncExitStack() as stack:
        inner = cloud.load_balancer("inner", load_balancing__cross_zone__enabled="true")
        servers = cloud.group("servers")
        cloud.listener(inner, servers)
        server = await http_target(stack, cloud, "server")
        cloud.target(servers, server)
        outer = cloud.load_balancer("outer", "application")
        entrances = cloud.group("entrances", "HTTP", version="HTTP1")
        listener = alb_listener(cloud, outer, entrances)
        for node in inner.nodes:
            cloud.target(entrances, (node.address, 80), node.zone)
        await settled(plane)
        assert cloud.state.served[listener.arn]
        answers = {await got(cloud.where(outer)) for _ in range(8)}
        assert answers == {(200, f"server {node.address}") for node in inner.nodes}
        preserving = cloud.group("preserving", preserve_client_ip__enabled="true")
        cloud.listener(inner, preserving, port=81)
        cloud.target(preserving, server)
        seen_through = cloud.group("seen", "HTTP", version="HTTP1")
        alb_listener(cloud, outer, seen_through, port=81)
        cloud.target(seen_through, (inner.nodes[0].address, 81))
        await settled(plane)
        assert await got(cloud.where(outer, port=81)) == (200, f"server {outer.nodes[0].address}")


async def test_an_alb_fails_open_and_answers_503_without_targets(cloud: Cloud) -> None:
    async with DataPlane(cloud.state, concurrency=1) as plane, AsyncExitStack() as stack:
        balancer, group = cloud.load_balancer("one", "application"), cloud.group("servers", "HTTP", version="HTTP1")
        alb_listener(cloud, balancer, group)
        await settled(plane)
        assert (await got(cloud.where(balancer)))[0] == 503
        key = cloud.target(group, await http_target(stack, cloud, "server"), health="unhealthy")
        await settled(plane)
        assert (await got(cloud.where(balancer, 1)))[0] == 200
        cloud.drain(key)
        await settled(plane)
        assert (await got(cloud.where(balancer)))[0] == 503


@needs_resets
async def test_a_request_that_outlasts_the_deregistration_delay_is_answered_502(cloud: Cloud) -> None:
    async with DataPlane(cloud.state, concurrency=1) as plane, AsyncExitStack() as stack:
        balancer, group = cloud.load_balancer("one", "application"), cloud.group("servers", "HTTP", version="HTTP1")
        alb_listener(cloud, balancer, group)
        asked, answered = asyncio.Event(), asyncio.Event()
        key = cloud.target(group, await http_target(stack, cloud, "server", asked, answered))
        await settled(plane)
        requests = []
        for _ in range(2):
            asked.clear()
            requests.append(asyncio.create_task(got(cloud.where(balancer))))
            await asyncio.wait_for(asked.wait(), 60)
        cloud.drain(key)
        await settled(plane)
        assert (await got(cloud.where(balancer)))[0] == 503
        assert not any(request.done() for request in requests)
        cloud.deregistered(key)
        assert [status for status, _ in await asyncio.wait_for(asyncio.gather(*requests), 60)] == [502, 502]
        answered.set()


async def test_a_targets_health_changes_one_resource_of_each_balancer(cloud: Cloud, targets: LineTargets) -> None:
    async with DataPlane(cloud.state, concurrency=1) as plane:
        balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
        other = cloud.group("others")
        cloud.listener(balancer, group)
        cloud.listener(balancer, other, port=81)
        key = cloud.target(group, await targets.tcp("one"))
        cloud.target(group, await targets.tcp("two"))
        cloud.target(other, await targets.tcp("three"))
        await settled(plane)
        changed: list[tuple[str, int]] = []

        def note(url: str, changes: list[Any]) -> None:
            changed.append((url, len(changes)))

        for url, resources in plane.resources.items():
            resources.subscribe(partial(note, url))
        cloud.health(key, "unhealthy")
        assert changed == [(ENDPOINTS, 1)]
        await settled(plane)
        assert (await said(cloud.where(balancer))).startswith("two ")


@pytest.mark.parametrize("stays", [False, True])
async def test_a_port_that_someone_takes_first_costs_nobody_else(
    cloud: Cloud, targets: LineTargets, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """Between our finding a port free and Envoy's opening it: it is tried again, and then another one is."""
    monkeypatch.setattr("gatewright.local.aws.served._RETRY", 0.2)
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    cloud.target(group, await targets.tcp("one"))
    async with DataPlane(cloud.state, concurrency=1) as plane:
        first = cloud.listener(balancer, group, port=8100)
        thief = await asyncio.start_server(lambda *_: None, balancer.nodes[0].address, 8100)
        second = cloud.listener(balancer, group, port=8200)
        await settled(plane)
        await until_served(cloud, first.arn, False)
        assert cloud.state.served[second.arn]
        assert (await said(cloud.where(balancer, port=8200))).startswith("one ")
        if not stays:
            thief.close()
        await until_served(cloud, first.arn)
        assert (await said(cloud.where(balancer, port=8100))).startswith("one ")
        assert (cloud.where(balancer, port=8100).port == 8100) is not stays
        thief.close()


async def test_listeners_that_cant_be_emulated_are_not_served(cloud: Cloud) -> None:
    async with DataPlane(cloud.state, concurrency=1) as plane:
        balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
        quic = cloud.listener(balancer, group, port=443, protocol="QUIC")
        bare = cloud.listener(balancer, group, port=444, protocol="TLS", certificates=("arn:gone",))
        await settled(plane)
        assert not cloud.state.served[quic.arn]
        assert not cloud.state.served[bare.arn]
        cloud.state.listeners.delete(quic.arn)
        assert quic.arn not in cloud.state.served


async def test_odd_states_cost_only_themselves(cloud: Cloud, targets: LineTargets) -> None:
    """What no API should accept: nothing of it may stop the others, now or later."""
    async with DataPlane(cloud.state, concurrency=1) as plane:
        balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
        cloud.target(group, await targets.tcp("one"))
        odd = [
            cloud.group("words", slow_start__duration_seconds="soon", preserve_client_ip__enabled="perhaps"),
            cloud.group("nan", "HTTP", version="HTTP1", slow_start__duration_seconds="nan"),
            cloud.group("names"),
            cloud.group("far", "TLS"),
            cloud.group("lambda", "", "lambda", port=0),
        ]
        for number, each in enumerate(odd):
            cloud.listener(balancer, each, port=100 + number, attributes={"tcp.idle_timeout.seconds": "-1"})
        cloud.target(odd[2], ("not-an-address", 80))
        cloud.target(odd[3], ("2001:db8::1", 65535))
        cloud.listener(balancer, (group, 0), port=200)
        cloud.listener(balancer, port=201)
        cloud.state.listeners.set("orphan", replace(cloud.listener(balancer, group, port=202), load_balancer="gone"))
        cloud.state.target_groups.delete(odd[0].arn)
        listener = cloud.listener(balancer, group)
        await settled(plane)
        assert cloud.state.served[listener.arn]
        assert (await said(cloud.where(balancer))).startswith("one ")
        assert await said(cloud.where(balancer, port=200)) in ("reset", "closed")
        assert await said(cloud.where(balancer, port=201)) in ("reset", "closed")
        assert not [each.name for each in cloud.state.flow._collections if each.errors]


async def test_envoys_death_is_survived(cloud: Cloud, targets: LineTargets) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    listener = cloud.listener(balancer, group)
    cloud.target(group, await targets.tcp("one"))
    async with DataPlane(cloud.state, concurrency=1) as plane:
        await settled(plane)
        assert plane.process.pid
        os.kill(plane.process.pid, signal.SIGKILL)
        await until_served(cloud, listener.arn, False)
        await until_served(cloud, listener.arn)
        await settled(plane)
        assert (await said(cloud.where(balancer))).startswith("one ")


async def test_an_envoy_that_lost_its_stream_serves_on(cloud: Cloud, targets: LineTargets) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    listener = cloud.listener(balancer, group)
    cloud.target(group, await targets.tcp("one"))
    async with DataPlane(cloud.state, concurrency=1) as plane:
        await settled(plane)
        assert plane.server._outbox
        plane.server._outbox.put_nowait(None)  # the end of the stream
        await until_served(cloud, listener.arn, False)
        assert (await said(cloud.where(balancer))).startswith("one ")
        await until_served(cloud, listener.arn)


async def test_where_all_share_one_address(cloud: Cloud, targets: LineTargets) -> None:
    """The API's addresses don't exist here; two listeners of one port have a real port each."""
    async with DataPlane(cloud.state, shared=True, concurrency=1) as plane:
        inner, outer = cloud.load_balancer("inner"), cloud.load_balancer("outer")
        for balancer in (inner, outer):
            nodes = tuple(replace(node, address=f"10.{node.address.partition('.')[2]}") for node in balancer.nodes)
            cloud.state.load_balancers.set(balancer.arn, replace(balancer, nodes=nodes))
        inner, outer = (cloud.state.load_balancers[each.arn] for each in (inner, outer))
        servers, entrances = cloud.group("servers"), cloud.group("entrances")
        cloud.listener(inner, servers)
        cloud.listener(outer, entrances)
        cloud.target(servers, await targets.tcp("one"), "")
        for node in inner.nodes:
            cloud.target(entrances, (node.address, 80), node.zone)
        await settled(plane)
        places = {cloud.where(balancer, number) for balancer in (inner, outer) for number in (0, 1)}
        assert len(places) == 4
        assert {place.address for place in places} == {"127.0.0.1"}
        assert await said(cloud.where(outer)) == "one 127.0.0.1 hello"
