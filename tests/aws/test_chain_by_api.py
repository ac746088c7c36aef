"""What boto3 makes carries traffic: an ALB in front of an NLB in front of a server, and what becomes of changes."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.state import Socket


class Chain:
    """A server, an NLB and an ALB of an emulated AWS, made by its API."""

    def __init__(self, aws: EmulatedAws) -> None:
        self.aws = aws

    @property
    def subnets(self) -> list[dict[str, str]]:
        return [{"SubnetId": subnet} for subnet in self.aws.seeded.private]

    @property
    def pod(self) -> str:
        """An address for a server."""
        network = self.aws.network
        return str(network.network_address + 0x8001) if network.is_loopback else "127.0.0.1"

    async def elb(self, operation: str, **parameters: Any) -> Any:
        return await self.aws.call("elbv2", operation, **parameters)

    async def balancer(self, name: str, kind: str, subnets: list[dict[str, str]]) -> Any:
        made = await self.elb("create_load_balancer", Name=name, Type=kind, Scheme="internal", SubnetMappings=subnets)
        return made["LoadBalancers"][0]

    async def group(self, name: str, protocol: str, port: int, **more: Any) -> str:
        made = await self.elb(
            "create_target_group",
            Name=name,
            Protocol=protocol,
            Port=port,
            VpcId=self.aws.seeded.vpc,
            TargetType="ip",
            **more,
        )
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    async def listener(self, balancer: Any, protocol: str, port: int, group: str) -> str:
        made = await self.elb(
            "create_listener",
            LoadBalancerArn=balancer["LoadBalancerArn"],
            Protocol=protocol,
            Port=port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )
        return str(made["Listeners"][0]["ListenerArn"])

    async def register(self, group: str, *targets: tuple[str, int]) -> None:
        await self.elb(
            "register_targets",
            TargetGroupArn=group,
            Targets=[{"Id": address, "Port": port} for address, port in targets],
        )

    async def deregister(self, group: str, *targets: tuple[str, int]) -> None:
        await self.elb(
            "deregister_targets",
            TargetGroupArn=group,
            Targets=[{"Id": address, "Port": port} for address, port in targets],
        )

    async def inner(self, name: str, group: str) -> Any:
        """An NLB with a listener on port 443, and cross-zone balancing."""
        made = await self.balancer(name, "network", self.subnets)
        await self.listener(made, "TCP", 443, group)
        await self.elb(
            "modify_load_balancer_attributes",
            LoadBalancerArn=made["LoadBalancerArn"],
            Attributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}],
        )
        return made

    async def until(self, group: str, state: str) -> None:
        """Wait until all targets of a group that `describe-target-health` shows are in this state."""
        heard = asyncio.Event()
        self.aws.state.health.subscribe(lambda _: heard.set())
        async with asyncio.timeout(60):
            while True:
                found = await self.elb("describe_target_health", TargetGroupArn=group)
                states = {each["TargetHealth"]["State"] for each in found["TargetHealthDescriptions"]} - {"draining"}
                if states == {state}:
                    await self.aws.settled()
                    return
                await heard.wait()
                heard.clear()

    def nodes(self, balancer: Any) -> list[str]:
        return [node.address for node in self.aws.state.load_balancers[balancer["LoadBalancerArn"]].nodes]

    async def get(self, balancer: Any, port: int) -> tuple[int, str]:
        at = self.aws.state.sockets[Socket(self.nodes(balancer)[0], port, "TCP")]
        async with ClientSession() as session, session.get(f"http://{at.address}:{at.port}/") as response:
            return response.status, await response.text()


async def server(stack: AsyncExitStack, address: str, *, keeps: bool = True) -> tuple[str, int]:
    """`keeps`: whether connections are kept for further requests."""

    async def answer(request: web.Request) -> web.Response:
        response = web.Response(text=f"from {request.remote}")
        if not keeps:
            response.force_close()
        return response

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, address, 0).start()
    host, port = runner.addresses[0]
    return host, port


class Load:
    """Requests one after the other from several clients, while the context lasts; `answers` counts their statuses."""

    def __init__(self, chain: Chain, balancer: Any, port: int, clients: int = 4) -> None:
        self.answers: Counter[int | str] = Counter()
        self._at = chain.aws.state.sockets[Socket(chain.nodes(balancer)[0], port, "TCP")]
        self._clients = clients
        self._goes_on = True
        self._answered = asyncio.Event()

    async def __aenter__(self) -> Load:
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._goes_on = False
        await asyncio.gather(*self._tasks)

    async def _ask(self) -> None:
        async with ClientSession() as session:
            while self._goes_on:
                try:
                    async with session.get(f"http://{self._at.address}:{self._at.port}/") as response:
                        await response.read()
                        self.answers[response.status] += 1
                except ClientError as error:
                    self.answers[type(error).__name__] += 1
                self._answered.set()

    async def goes_on(self, requests: int = 50) -> None:
        """Wait until so many more requests have been answered."""
        until = self.answers.total() + requests
        async with asyncio.timeout(60):
            while self.answers.total() < until:
                self._answered.clear()
                await self._answered.wait()


@pytest.fixture
def chain(busy_aws: EmulatedAws) -> Chain:
    return Chain(busy_aws)


async def test_alb_nlb_and_server(chain: Chain) -> None:
    async with AsyncExitStack() as stack:
        pods = await chain.group("pods", "TCP", 80)
        # A connection that is kept outlives the deletion of the NLB that it goes through, for a while.
        await chain.register(pods, await server(stack, chain.pod, keeps=False))
        inner = await chain.inner("inner", pods)
        outer = await chain.balancer("outer", "application", chain.subnets)
        entrances = await chain.group("entrances", "HTTP", 443)
        await chain.listener(outer, "HTTP", 80, entrances)
        assert (await chain.get(outer, 80))[0] == 503
        await chain.register(entrances, *((address, 443) for address in chain.nodes(inner)))
        await chain.until(entrances, "healthy")
        status, text = await chain.get(outer, 80)
        assert status == 200
        if chain.aws.network.is_loopback:
            assert text.removeprefix("from ") in chain.nodes(inner)

        # The NLB goes: its addresses are targets that nobody answers at.
        former = chain.nodes(inner)
        await chain.elb("delete_load_balancer", LoadBalancerArn=inner["LoadBalancerArn"])
        await chain.until(entrances, "unhealthy")
        assert (await chain.get(outer, 80))[0] == 502

        # It is made anew, and found where the API says.
        again = await chain.inner("again", pods)
        await chain.register(entrances, *((address, 443) for address in chain.nodes(again)))
        gone = [(address, 443) for address in former if address not in chain.nodes(again)]
        if gone:
            await chain.deregister(entrances, *gone)
        await chain.until(entrances, "healthy")
        assert (await chain.get(outer, 80))[0] == 200


async def test_an_nlb_that_is_replaced_in_good_order_costs_no_request(chain: Chain) -> None:
    async with AsyncExitStack() as stack:
        place = await server(stack, chain.pod)
        pods = [await chain.group(name, "TCP", 80) for name in ("pods-old", "pods-new")]  # each has one balancer
        for group in pods:
            await chain.register(group, place)
        old = await chain.inner("old", pods[0])
        outer = await chain.balancer("outer", "application", chain.subnets)
        entrances = await chain.group("entrances", "HTTP", 443)
        await chain.listener(outer, "HTTP", 80, entrances)
        before = [(address, 443) for address in chain.nodes(old)]
        await chain.register(entrances, *before)
        await chain.until(entrances, "healthy")
        async with Load(chain, outer, 80) as load:
            await load.goes_on()
            new = await chain.inner("new", pods[1])
            await chain.register(entrances, *((address, 443) for address in chain.nodes(new)))
            await chain.until(entrances, "healthy")
            await chain.deregister(entrances, *before)
            await load.goes_on()
            await chain.elb("delete_load_balancer", LoadBalancerArn=old["LoadBalancerArn"])
            await load.goes_on()
        assert set(load.answers) == {200}
