"""What AWS refuses, and what goes over a quota, is told where it is written; everything else is served."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.edge_gateways.gateway_world import World, app, gateway, route
from tests.edge_gateways.objecting import Objecting

from gatewright.aws.errors import AccessDenied, Invalid


def _about(path: str, parameters: Mapping[str, Any]) -> bool:
    return path in str(parameters.get("Conditions", ""))


async def test_a_rule_that_aws_refuses_costs_no_other(world: World) -> None:
    def objection(call: str, parameters: Mapping[str, Any]) -> Exception | None:
        if call == "elbv2:create_rule" and _about("/bad", parameters):
            return Invalid("ValidationError", "The path is too strange", call)
        return None

    await world.apply(gateway(), route("web", "/a", "/bad", "/c"), *app())
    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        await world.settled(controller)
        assert await world.paths() == [("/a", "/a/*"), ("/c", "/c/*")]
        conditions = await world.route_conditions()
        assert conditions["Accepted"].status == "True"
        assert conditions["PartiallyInvalid"].status == "True"
        assert "The path is too strange" in conditions["PartiallyInvalid"].message
        assert (await world.conditions())["Programmed"].status == "True"
        assert any("The path is too strange" in event for event in await world.events())


async def test_a_rule_that_was_refused_is_tried_again_when_it_changes(world: World) -> None:
    refused = True

    def objection(call: str, parameters: Mapping[str, Any]) -> Exception | None:
        if refused and call == "elbv2:create_rule" and _about("/bad", parameters):
            return Invalid("ValidationError", "no", call)
        return None

    await world.apply(gateway(), route("web", "/bad"), *app())
    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        await world.settled(controller)
        accepted = (await world.route_conditions())["Accepted"]
        assert (accepted.status, accepted.reason) == ("False", "UnsupportedValue")
        refused = False
        await world.apply(route("web", "/bad/2"))
        await world.settled(controller)
        assert await world.paths() == [("/bad/2", "/bad/2/*")]
        assert (await world.route_conditions())["Accepted"].status == "True"


async def test_a_rule_whose_action_aws_refuses_keeps_its_place_and_answers_500(world: World) -> None:
    def objection(call: str, parameters: Mapping[str, Any]) -> Exception | None:
        forwards = any(action["Type"] == "forward" for action in parameters.get("Actions", ()))
        if call == "elbv2:create_rule" and forwards and _about("/bad", parameters):
            return Invalid("ValidationError", "The action is too strange", call)
        return None

    await world.apply(gateway(), route("web", "/bad", "/"), *app())
    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        await world.settled(controller)
        assert (await world.paths())[0] == ("/bad", "/bad/*")
        (action,) = (await world.rules())[0]["Actions"]
        assert action["FixedResponseConfig"]["StatusCode"] == "500"
        assert "The action is too strange" in (await world.route_conditions())["PartiallyInvalid"].message


async def test_a_target_group_that_aws_refuses_costs_its_rules_only(world: World) -> None:
    def objection(call: str, parameters: Mapping[str, Any]) -> Exception | None:
        if call == "elbv2:create_target_group" and "more" in parameters["Name"]:
            return Invalid("ValidationError", "Health check path is odd", call)
        return None

    await world.apply(gateway(), route("web", "/a"), route("more", "/b"), *app(), *app(name="more"))
    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        await world.settled(controller)
        actions = {
            path: each["Actions"][0]["Type"]
            for (path, _), each in zip(await world.paths(), await world.rules(), strict=True)
        }
        assert actions == {"/a": "forward", "/b": "fixed-response"}
        assert "Health check path is odd" in (await world.route_conditions("more"))["Accepted"].message
        assert (await world.route_conditions())["Accepted"].status == "True"


async def test_what_is_not_permitted_is_said_in_plain_words(world: World) -> None:
    def objection(call: str, _: Mapping[str, Any]) -> Exception | None:
        denied = call == "elbv2:create_load_balancer"
        return AccessDenied("AccessDenied", "User is not authorized", call) if denied else None

    await world.apply(gateway(), route(), *app())
    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        await world.settled(controller)
        programmed = (await world.conditions())["Programmed"]
        assert programmed.status == "False"
        assert "elbv2:create_load_balancer" in programmed.message
        assert "IAM policy" in programmed.message
        assert any("FailedDeployModel" in event for event in await world.events())


async def test_one_tenants_trouble_is_not_anothers(world: World) -> None:
    def objection(call: str, parameters: Mapping[str, Any]) -> Exception | None:
        broken = call == "elbv2:create_load_balancer" and "broken" in parameters["Name"]
        return Invalid("ValidationError", "no", call) if broken else None

    await world.apply(gateway(name="broken"), gateway(), route(), *app())
    async with world.controller(aws=Objecting(world.aws, objection)) as controller:
        await world.settled(controller)
        assert (await world.conditions())["Programmed"].status == "True"


async def test_rules_over_the_quota_are_refused_by_name_before_anything_is_made(world: World) -> None:
    many = [f"/p{number}" for number in range(8)]
    routes = [route(f"web{letter}", *(f"/{letter}{path}" for path in many)) for letter in "abcdefghijklm"]
    services = [each for letter in "abcdefghijklm" for each in app(name=f"web{letter}")]
    await world.apply(gateway(), *services, *routes)
    async with world.controller() as controller:
        await world.settled(controller)
        assert len(await world.rules()) == 100
        told = [await world.route_conditions(f"web{letter}") for letter in "abcdefghijklm"]
        over = [each["PartiallyInvalid"].message for each in told if "PartiallyInvalid" in each]
        assert over
        assert all("found 104, AWS allows 100 (quota rules-per-application-load-balancer)" in text for text in over)
        assert not any(call.operation == "create_rule" and call.result != "ok" for call in world.aws.calls)
