"""What the statuses of the configuration kinds say."""

from __future__ import annotations

from tests.aws_configuration.configured_world import World, configuration, of_class, of_gateway

from gatewright.model.meta import Key

BALANCER, GROUP, RULE = "LoadBalancerConfiguration", "TargetGroupConfiguration", "ListenerRuleConfiguration"
GATEWAY, CLASS = "observedGatewayConfigurationGeneration", "observedGatewayClassConfigurationGeneration"


def test_a_configuration_is_seen_where_it_is_named() -> None:
    world = World(of_class(), of_gateway(), configuration(BALANCER, "unused", {}))
    assert world.statuses[BALANCER, Key("infra", "all")] == {CLASS: 1}
    assert world.statuses[BALANCER, Key("shop", "web")] == {GATEWAY: 1}
    assert (BALANCER, Key("shop", "unused")) not in world.statuses
    world.apply(configuration(BALANCER, "web", {"scheme": "internal"}).replace("generation: 1", "generation: 2"))
    assert world.statuses[BALANCER, Key("shop", "web")] == {GATEWAY: 2}


def test_defaults_are_seen_with_the_configurations_that_name_them() -> None:
    world = World(
        of_class(defaultTargetGroupConfiguration={"name": "general"}),
        of_gateway(defaultTargetGroupConfiguration={"name": "own"}),
        configuration(GROUP, "general", {}, "infra"),
        configuration(GROUP, "own", {}),
        configuration(GROUP, "unused", {}),
        configuration(GROUP, "app", {"targetReference": {"name": "app"}}),
    )
    assert world.statuses[GROUP, Key("infra", "general")] == {CLASS: 1}
    assert world.statuses[GROUP, Key("shop", "own")] == {GATEWAY: 1}
    assert (GROUP, Key("shop", "unused")) not in world.statuses
    assert (GROUP, Key("shop", "app")) not in world.statuses
    world.apply("apiVersion: v1\nkind: Service\nmetadata: {name: app, namespace: shop}\nspec: {ports: [{port: 80}]}\n")
    assert world.statuses[GROUP, Key("shop", "app")] == {GATEWAY: 1}


def test_a_rule_says_what_it_is_without() -> None:
    world = World(configuration(RULE, "rule", {"tags": {"aws:a": "b", "c": "d"}}))
    assert world.statuses[RULE, Key("shop", "rule")] == {
        "accepted": True,
        "message": "the configuration can be used; left out: spec.tags[aws:a]: found b; tags that begin with aws: are "
        "AWS's own; use another name",
        "observedGeneration": 1,
    }


def test_an_object_that_goes_takes_its_verdict_and_status_along() -> None:
    world = World(of_class(), of_gateway(), configuration(RULE, "rule", {}))
    assert len(world.verdicts) == len(world.statuses) == 3
    for source in world.configurations.by_type.values():
        source.replace({})
    assert len(world.verdicts) == len(world.statuses) == 0
