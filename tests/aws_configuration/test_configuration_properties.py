"""Laws of merging and of the checks, over random configurations."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.aws_configuration.configured_world import MAIL, WEB, World, configuration, of_class, of_gateway

from gatewright.aws.configuration.examination import faults, listener_fault, usable
from gatewright.aws.configuration.merging import merge_load_balancers, merge_target_groups
from gatewright.aws.configuration.properties import usable_properties
from gatewright.model.awsgateway import (
    Attribute,
    HealthCheckConfiguration,
    HealthCheckMatcher,
    ListenerConfiguration,
    LoadBalancerConfigurationSpec,
    MinimumLoadBalancerCapacity,
    MutualAuthenticationAttributes,
    ShieldConfiguration,
    SubnetConfiguration,
    TargetGroupConfigurationReference,
    TargetGroupProps,
    WAFv2Configuration,
)
from gatewright.model.meta import LabelSelector

WORDS = st.one_of(
    st.text(max_size=8), st.sampled_from(["10.0.0.0/8", "pl-1", "true", "auto_assigned", "200-299", "/x"])
)
NUMBERS = st.integers(-(2**31), 2**31 - 1)
KEYS = st.sampled_from(
    ["idle_timeout.timeout_seconds", "access_logs.s3.enabled", "stickiness.type", "tcp.idle_timeout.seconds", "a", "b"]
)
TAGS = st.dictionaries(st.sampled_from(["a", "b", "aws:c", "elbv2.k8s.aws/cluster"]), WORDS, max_size=3)
ATTRIBUTES = st.lists(st.builds(Attribute, key=KEYS, value=WORDS), max_size=3).map(tuple)
MAYBE = st.none()
SWITCH = st.none() | st.booleans()


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Specifications have many fields to draw, which takes its time on a busy machine."""


def words(most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(WORDS, max_size=most).map(tuple)


LISTENERS = st.builds(
    ListenerConfiguration,
    protocol_port=st.sampled_from(["HTTP:80", "HTTPS:443", "TLS:443", "UDP:53", "TCP_UDP:53", ":443", "TCP:", ":"]),
    default_certificate=MAYBE | WORDS,
    certificates=words(),
    ssl_policy=MAYBE | WORDS,
    alpn_policy=st.sampled_from(["None", "HTTP2Only"]),
    mutual_authentication=MAYBE
    | st.builds(
        MutualAuthenticationAttributes,
        mode=st.sampled_from(["off", "passthrough", "verify"]),
        trust_store=MAYBE | WORDS,
    ),
    listener_attributes=ATTRIBUTES,
    target_group_stickiness=SWITCH,
    quic_enabled=SWITCH,
)
SPECS = st.builds(
    LoadBalancerConfigurationSpec,
    merging_mode=st.sampled_from([None, "prefer-gateway", "prefer-gateway-class"]),
    load_balancer_name=MAYBE | st.text(min_size=1, max_size=32),
    scheme=st.sampled_from([None, "internal", "internet-facing"]),
    ip_address_type=st.sampled_from([None, "ipv4", "dualstack", "dualstack-without-public-ipv4"]),
    enforce_security_group_inbound_rules_on_private_link_traffic=MAYBE | WORDS,
    customer_owned_ipv4_pool=MAYBE | WORDS,
    ipv4_ipam_pool_id=MAYBE | WORDS,
    load_balancer_subnets=st.lists(
        st.builds(
            SubnetConfiguration,
            identifier=MAYBE | WORDS,
            private_ipv4_allocation=MAYBE | WORDS,
            ipv6_allocation=MAYBE | WORDS,
            source_nat_ipv6_prefix=MAYBE | WORDS,
        ),
        max_size=2,
    ).map(tuple),
    load_balancer_subnets_selector=st.dictionaries(WORDS, words(), max_size=2),
    listener_configurations=st.lists(LISTENERS, max_size=3).map(tuple),
    security_groups=words(),
    security_group_prefixes=words(),
    source_ranges=words(),
    load_balancer_attributes=ATTRIBUTES,
    tags=TAGS,
    enable_icmp=SWITCH,
    manage_backend_security_group_rules=SWITCH,
    disable_security_group=SWITCH,
    minimum_load_balancer_capacity=MAYBE | st.builds(MinimumLoadBalancerCapacity, capacity_units=NUMBERS),
    waf_v2=MAYBE | st.builds(WAFv2Configuration, web_acl=WORDS),
    shield_configuration=MAYBE | st.builds(ShieldConfiguration, enabled=SWITCH),
    default_target_group_configuration=MAYBE | st.builds(TargetGroupConfigurationReference, name=WORDS),
)
PROPS = st.builds(
    TargetGroupProps,
    target_group_name=MAYBE | WORDS,
    target_type=st.sampled_from([None, "instance", "ip"]),
    protocol=st.sampled_from([None, "HTTP", "TCP"]),
    protocol_version=st.sampled_from([None, "HTTP1", "GRPC"]),
    health_check_config=MAYBE
    | st.builds(
        HealthCheckConfiguration,
        health_check_port=MAYBE | WORDS,
        health_check_path=MAYBE | WORDS,
        health_check_interval=MAYBE | NUMBERS,
        health_check_timeout=MAYBE | NUMBERS,
        matcher=MAYBE | st.builds(HealthCheckMatcher, http_code=MAYBE | WORDS, grpc_code=MAYBE | WORDS),
    ),
    node_selector=MAYBE | st.just(LabelSelector(match_labels={"a": "b"})),
    target_group_attributes=ATTRIBUTES,
    tags=TAGS,
    enable_multi_cluster=SWITCH,
    target_control_port=MAYBE | NUMBERS,
)
MERGED_BY_KEY = ("tags", "load_balancer_attributes", "listener_configurations", "target_group_attributes")


def said(value: Any) -> bool:
    return value not in (None, (), {})


@QUICK
@given(SPECS, SPECS)
def test_the_first_goes_over_the_second_field_by_field(high: Any, low: Any) -> None:
    merged = merge_load_balancers(high, low)
    for field in msgspec.structs.fields(merged):
        if field.name not in MERGED_BY_KEY:
            first, second = getattr(high, field.name), getattr(low, field.name)
            assert getattr(merged, field.name) == (first if said(first) else second), field.name
    assert merged.tags == low.tags | high.tags
    assert {pair.key: pair.value for pair in merged.load_balancer_attributes} == {
        pair.key: pair.value for pair in (*low.load_balancer_attributes, *high.load_balancer_attributes)
    }


@QUICK
@given(SPECS, SPECS, SPECS)
def test_load_balancers_merge_in_any_grouping_and_twice_as_once(one: Any, two: Any, three: Any) -> None:
    merged = merge_load_balancers(one, two)
    assert merge_load_balancers(merged, merged) == merge_load_balancers(merged, two) == merged
    assert merge_load_balancers(merged, three) == merge_load_balancers(one, merge_load_balancers(two, three))


@QUICK
@given(PROPS, PROPS, PROPS)
def test_target_groups_merge_in_any_grouping_and_twice_as_once(one: Any, two: Any, three: Any) -> None:
    merged = merge_target_groups(one, two)
    assert merge_target_groups(merged, merged) == merge_target_groups(merged, two) == merged
    assert merge_target_groups(merged, three) == merge_target_groups(one, merge_target_groups(two, three))


@QUICK
@given(SPECS, st.sampled_from(["ALB", "NLB"]))
def test_what_is_left_of_a_load_balancer_has_nothing_against_it(spec: Any, of: Any) -> None:
    faults(spec)
    left, objections = usable(spec, of)
    assert all(str(objection).startswith("spec.") for objection in objections)
    again, more = usable(left, of)
    assert again == left
    assert {objection.field for objection in more} <= {"spec.listenerConfigurations[].protocolPort"} | {
        objection.field for objection in objections if "given twice" in objection.why
    }
    for listener in left.listener_configurations:
        listener_fault(listener)


@QUICK
@given(PROPS, st.sampled_from(["ALB", "NLB"]))
def test_what_is_left_of_a_target_group_has_nothing_against_it(props: Any, of: Any) -> None:
    left, objections = usable_properties(props, of, "spec")
    again, more = usable_properties(left, of, "spec")
    assert again == left
    assert {objection.field for objection in more} <= {objection.field for objection in objections}


def manifest(spec: Any) -> dict[str, Any]:
    return dict(msgspec.json.decode(msgspec.json.encode(spec)))


@QUICK
@given(SPECS, SPECS, PROPS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(general: Any, own: Any, props: Any, random: Any) -> None:
    texts = [
        of_class(**manifest(general)),
        of_gateway(**manifest(own)),
        configuration("TargetGroupConfiguration", "app", {"defaultConfiguration": manifest(props)}),
    ]
    first = World(*texts)
    random.shuffle(texts)
    second = World()
    for text in texts:
        second.apply(text)
    for gateway in (WEB, MAIL):
        assert first.of(gateway) == second.of(gateway)
        assert first.target_group("shop/app", gateway=gateway) == second.target_group("shop/app", gateway=gateway)
    assert dict(first.verdicts.items()) == dict(second.verdicts.items())
