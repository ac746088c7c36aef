"""What somebody changes in AWS by hand."""

from __future__ import annotations

from collections import Counter

from tests.edge_gateways.gateway_world import World, app, gateway, route

from gatewright.aws import views


async def test_what_somebody_changed_is_mended(world: World) -> None:
    await world.apply(gateway(), route("web", "/a", "/b"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        there = await world.paths()
        rule = (await world.rules())[0]
        await world.cloud.call("elbv2", "delete_rule", RuleArn=rule["RuleArn"])
        (group,) = await views.target_groups(world.aws)
        stranger = [{"Id": f"{world.network.rpartition('.')[0].rpartition('.')[0]}.200.99"}]
        await world.cloud.call("elbv2", "register_targets", TargetGroupArn=group.arn, Targets=stranger)
        await controller.look_again()
        await world.settled(controller)
        assert await world.paths() == there
        assert [each for each, state in (await world.targets()).items() if state != "draining"] == ["10.9.9.9:8080"]


async def test_it_is_told_and_left_where_the_gateway_says_so(world: World) -> None:
    annotated = gateway(metadata={"annotations": {"gatewright.dev/drift": "report"}})
    await world.apply(annotated, route("web", "/a", "/b"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        rule = (await world.rules())[0]
        await world.cloud.call("elbv2", "delete_rule", RuleArn=rule["RuleArn"])
        before = Counter(world.aws.calls)
        await controller.look_again()
        await world.settled(controller)
        assert world.writes(before) == {}
        assert await world.paths() == [("/b", "/b/*")]
        assert any(event.startswith("Drift: ") and "rule" in event for event in await world.events())
        await world.apply(gateway())
        await world.settled(controller)
        assert len(await world.paths()) == 2


async def test_nothing_to_do_writes_nothing(world: World) -> None:
    await world.apply(gateway(), route("web", "/a", "/b"), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        before = Counter(world.aws.calls)
        await controller.look_again()
        await world.settled(controller)
        assert world.writes(before) == {}
