"""Load balancers whose targets are load balancers: a circle stops nobody's traffic."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import contextlib

from tests.edge.service_world import until

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.state import Socket

PORT = 18080


class Nlb:
    """An NLB on `PORT` with a target group."""

    def __init__(self, aws: EmulatedAws, name: str) -> None:
        self.aws = aws
        self.name = name
        self.group = ""
        self.addresses: list[str] = []

    async def make(self) -> Nlb:
        call, seeded = self.aws.call, self.aws.seeded
        made = await call(
            "elbv2", "create_target_group", Name=self.name, Protocol="TCP", Port=PORT, VpcId=seeded.vpc, TargetType="ip"
        )
        self.group = made["TargetGroups"][0]["TargetGroupArn"]
        made = await call(
            "elbv2", "create_load_balancer", Name=self.name, Type="network", Scheme="internal", Subnets=seeded.private
        )
        arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        await call(
            "elbv2",
            "create_listener",
            LoadBalancerArn=arn,
            Protocol="TCP",
            Port=PORT,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )
        self.addresses = [node.address for node in self.aws.state.load_balancers[arn].nodes]
        return self

    async def register(self, *places: tuple[str, int]) -> None:
        targets = [{"Id": address, "Port": port} for address, port in places]
        await self.aws.call("elbv2", "register_targets", TargetGroupArn=self.group, Targets=targets)

    async def reasons(self) -> set[str]:
        found = await self.aws.call("elbv2", "describe_target_health", TargetGroupArn=self.group)
        return {each["TargetHealth"].get("Reason", "") for each in found["TargetHealthDescriptions"]}

    async def ask(self) -> bytes:
        """What a client hears who says something and waits."""
        for address in self.addresses:
            bound = self.aws.state.sockets.get(Socket(address, PORT, "TCP"))
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(*(bound or (address, PORT)))
                writer.write(b"?")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        if answer := await reader.read(100):
                            return answer
                writer.close()
        return b""


async def test_nlbs_in_a_circle_stop_nobody_elses_traffic(busy_aws: EmulatedAws) -> None:
    """Two tenants, or one, name the addresses of load balancers as their Services' endpoints."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            writer.write(b"well")
        writer.close()

    first, second, other = [await Nlb(busy_aws, name).make() for name in ("first", "second", "other")]
    assert busy_aws.plane
    envoy = busy_aws.plane.process.pid
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        await other.register(("127.0.0.1", server.sockets[0].getsockname()[1]))
        await first.register(*((address, PORT) for address in second.addresses))
        await second.register(*((address, PORT) for address in first.addresses))
        await asyncio.gather(*(first.ask() for _ in range(10)))

        async def others_traffic_goes_on() -> bool:
            return await other.ask() == b"well"

        async def told() -> bool:
            return await first.reasons() | await second.reasons() == {"Target.IpUnusable"}

        await until(others_traffic_goes_on)
        await until(told)
        assert await first.ask() == b""
    assert busy_aws.plane.process.pid == envoy


async def test_an_nlb_may_have_another_one_as_its_target(busy_aws: EmulatedAws) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1):
            writer.write(b"well")
        writer.close()

    first, second = [await Nlb(busy_aws, name).make() for name in ("first", "second")]
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        await second.register(("127.0.0.1", server.sockets[0].getsockname()[1]))
        await first.register(*((address, PORT) for address in second.addresses))

        async def through() -> bool:
            return await first.ask() == b"well"

        await until(through)
