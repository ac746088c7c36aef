"""Which targets are checked, and how."""

from ipaddress import IPv4Network

import pytest
from msgspec.structs import replace
from tests.aws.health_world import ALB, CHECK, GROUP, LISTENER, NLB, NODE_A, NODE_B, Cloud, listener, target

from gatewright.flow import Collection
from gatewright.local.aws.health.plan import Check, plan, success_codes
from gatewright.local.aws.state import (
    Bound,
    FixedResponse,
    Forward,
    Rule,
    Socket,
    TargetHealth,
    TargetKey,
)


def only(planned: Collection[TargetKey, Check | TargetHealth]) -> Check | TargetHealth:
    (value,) = planned.values()
    return value


def check_of(cloud: Cloud) -> Check:
    found = only(plan(cloud.state))
    assert isinstance(found, Check)
    return found


def test_an_alb_asks_for_the_targets_own_address_and_the_health_checks_port() -> None:
    cloud = Cloud(replace(CHECK, port="15021", path="/healthz/ready"))
    cloud.register(8443, address="127.0.128.7")
    check = check_of(cloud)
    assert check.to == Bound("127.0.128.7", 15021)
    assert check.authority == "127.0.128.7:15021"
    assert check.path == "/healthz/ready"
    assert check.source == NODE_A


def test_an_nlb_asks_for_its_nodes_address_and_the_listeners_port() -> None:
    cloud = Cloud(replace(CHECK, matcher="200-399"), protocol="TCP", arn=NLB)
    cloud.register(8443)
    check = check_of(cloud)
    assert check.authority == f"{NODE_A}:443"
    assert not check.explains


def test_the_node_of_the_targets_zone_checks() -> None:
    cloud = Cloud()
    made = replace(target(80), zone="us-east-1b")
    cloud.state.targets.set(made.key, made)
    assert check_of(cloud).source == NODE_B


def test_a_target_in_a_zone_without_a_node_is_unused() -> None:
    cloud = Cloud()
    made = replace(target(80), zone="us-east-1c")
    cloud.state.targets.set(made.key, made)
    health = only(plan(cloud.state))
    assert isinstance(health, TargetHealth)
    assert (health.state, health.reason) == ("unused", "Target.NotInUse")
    assert health.description == "Target is in an Availability Zone that is not enabled for the load balancer"


def test_a_group_is_in_use_by_a_rule_or_by_a_default_action() -> None:
    cloud = Cloud()
    key = cloud.register(80)
    planned = plan(cloud.state)
    assert isinstance(planned[key], Check)
    cloud.state.listeners.set(LISTENER, replace(listener(), action=FixedResponse(404)))
    health = planned[key]
    assert isinstance(health, TargetHealth)
    assert health.description == "Target group is not configured to receive traffic from the load balancer"
    cloud.state.rules.set("rule", Rule("rule", LISTENER, 1, (), Forward(((GROUP, 0),))))
    assert isinstance(planned[key], Check)


def test_a_draining_target_isnt_checked_even_where_nothing_else_is_right() -> None:
    cloud = Cloud()
    made = replace(target(80), zone="nowhere", draining_until=1.0)
    cloud.state.targets.set(made.key, made)
    assert only(plan(cloud.state)) == TargetHealth(
        "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
    )


def test_an_instance_that_doesnt_run_is_unused() -> None:
    cloud = Cloud()
    made = replace(target(80), addresses=())
    cloud.state.targets.set(made.key, made)
    health = only(plan(cloud.state))
    assert isinstance(health, TargetHealth)
    assert (health.state, health.reason) == ("unused", "Target.InvalidState")


@pytest.mark.parametrize(
    ("fields", "reason"), [({"enabled": False}, "Target.HealthCheckDisabled"), ({}, "Elb.InternalError")]
)
def test_lambda_functions_are_unavailable(fields: dict[str, bool], reason: str) -> None:
    cloud = Cloud()
    old = cloud.state.target_groups[GROUP]
    check = replace(old.health_check, **fields)
    cloud.state.target_groups.set(GROUP, replace(old, target_type="lambda", health_check=check))
    cloud.register(80)
    health = only(plan(cloud.state))
    assert isinstance(health, TargetHealth)
    assert (health.state, health.reason) == ("unavailable", reason)


def test_an_address_of_another_load_balancer_is_where_the_data_plane_opened_it() -> None:
    cloud = Cloud()
    inner = cloud.state.load_balancers[ALB]
    node = replace(inner.nodes[0], address="127.0.0.9")
    cloud.state.load_balancers.set(NLB, replace(inner, arn=NLB, type="network", nodes=(node,)))
    key = cloud.register(443, address="127.0.0.9")
    planned = plan(cloud.state)
    check = planned[key]
    assert isinstance(check, Check)
    assert check.to is None
    cloud.state.sockets.set(Socket("127.0.0.9", 443, "TCP"), Bound("127.0.0.9", 8443))
    check = planned[key]
    assert isinstance(check, Check)
    assert check.to == Bound("127.0.0.9", 8443)
    assert check.authority == "127.0.0.9:443"
    # When it is served by its proxy is when a check is of use, so that changes the plan.
    assert not check.opened
    cloud.state.listeners.set("inner", listener("inner", NLB, 443, groups=()))
    cloud.state.served.set("inner", True)
    check = planned[key]
    assert isinstance(check, Check)
    assert check.opened


def test_nobody_asks_the_real_network_for_addresses_of_the_emulated_one() -> None:
    cloud = Cloud()
    gone, pod = cloud.register(443, address="10.0.0.9"), cloud.register(8080)
    planned = plan(cloud.state, IPv4Network("10.0.0.0/16"))
    for key, to in ((gone, None), (pod, Bound("127.0.0.1", 8080))):
        check = planned[key]
        assert isinstance(check, Check)
        assert check.to == to


def test_a_load_balancer_is_no_target_of_itself() -> None:
    cloud = Cloud()
    cloud.register(443, address=NODE_B)
    health = only(plan(cloud.state))
    assert isinstance(health, TargetHealth)
    assert (health.state, health.reason) == ("unused", "Target.IpUnusable")


@pytest.mark.parametrize(
    ("policy", "tls13"),
    [("ELBSecurityPolicy-2016-08", False), ("ELBSecurityPolicy-TLS13-1-2-2021-06", True)],
)
def test_tls_1_3_is_spoken_to_targets_if_a_listener_speaks_it(policy: str, tls13: bool) -> None:
    cloud = Cloud(replace(CHECK, protocol="HTTPS"), protocol="HTTPS")
    cloud.state.listeners.set("other", listener("other", port=8443, groups=(), policy=policy))
    cloud.register(443)
    assert check_of(cloud).tls13 is tls13


def test_grpc_has_defaults_of_its_own() -> None:
    cloud = Cloud(replace(CHECK, path="", matcher=""))
    cloud.state.target_groups.set(GROUP, replace(cloud.state.target_groups[GROUP], protocol_version="GRPC"))
    cloud.register(80)
    check = check_of(cloud)
    assert check.path == "/AWS.ALB/healthcheck"
    assert check.matcher == ((12, 12),)


@pytest.mark.parametrize(
    ("matcher", "ranges"),
    [("200", ((200, 200),)), ("200,202", ((200, 200), (202, 202))), ("200-299, 404", ((200, 299), (404, 404)))],
)
def test_success_codes(matcher: str, ranges: tuple[tuple[int, int], ...]) -> None:
    assert success_codes(matcher) == ranges
