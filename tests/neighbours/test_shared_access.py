"""What targets let in is shared by all load balancers of a cluster: one that can't be reached must not stop others."""

from __future__ import annotations

from typing import Any

from tests.edge_gateways.gateway_world import GATEWAY, World, app, gateway, route, until

from gatewright.aws import Aws, views
from gatewright.aws.errors import AccessDenied
from gatewright.model.meta import Key


class Guarded(Aws):
    """AWS that refuses to change one security group, as IAM does where it isn't tagged for the cluster."""

    def __init__(self, aws: Aws) -> None:
        self.calls = aws.calls
        self.aws = aws
        self.forbidden = ""

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "authorize_security_group_ingress" and parameters["GroupId"] == self.forbidden:
            raise AccessDenied("UnauthorizedOperation", "you are not authorized", f"{service}:{operation}")
        return await self.aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self.aws.pages(service, operation, items, **parameters)


async def interface(world: World) -> tuple[str, str]:
    """A network interface of somebody else's; its address and its security group."""
    (subnet, *_) = await world.aws.pages("ec2", "describe_subnets", "Subnets")
    group = await world.aws.call(
        "ec2", "create_security_group", GroupName="database", Description="database", VpcId=subnet["VpcId"]
    )
    made = await world.aws.call(
        "ec2", "create_network_interface", SubnetId=subnet["SubnetId"], Groups=[group["GroupId"]]
    )
    return made["NetworkInterface"]["PrivateIpAddress"], group["GroupId"]


async def test_a_target_whose_group_refuses_keeps_nobody_else_from_anything(world: World) -> None:
    """IAM lets the controller change groups that are tagged for the cluster; an EndpointSlice may name any address."""
    address, group = await interface(world)
    guarded = Guarded(world.aws)
    guarded.forbidden = group
    await world.apply(gateway(), route("evil"), *app(address, name="evil"))
    await world.pod("evil", address)
    async with world.controller(aws=guarded) as controller:
        await world.settled(controller)
        await until(lambda: _told(world, group))
        await world.apply(gateway(name="other"), route("web", parentRefs=[{"name": "other"}]), *app())
        await world.settled(controller)
        assert (await world.conditions(Key("infra", "other")))["Programmed"].status == "True"
        assert group not in (await world.conditions(Key("infra", "other")))["Programmed"].message
        assert len(await views.load_balancers(world.aws)) == 2
        assert "you are not authorized" in (await world.conditions(GATEWAY))["Programmed"].message


async def _told(world: World, group: str) -> bool:
    return any(group in each for each in await world.events())


async def test_a_security_group_that_is_no_pods_is_not_opened(world: World) -> None:
    address, group = await interface(world)
    await world.apply(gateway(), route("evil"), *app(address, name="evil"))
    async with world.controller() as controller:
        await world.settled(controller)
        assert "which no pod has" in (await world.conditions())["Accepted"].message
        found = await world.aws.call("ec2", "describe_security_groups", GroupIds=[group])
        assert not found["SecurityGroups"][0]["IpPermissions"]
        await world.pod("evil", address)
        await world.settled(controller)
        found = await world.aws.call("ec2", "describe_security_groups", GroupIds=[group])
        assert len(found["SecurityGroups"][0]["IpPermissions"]) == 1
