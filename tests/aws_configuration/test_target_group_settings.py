"""TargetGroupConfigurations: the Service's over the Gateway's and its class's, the most specific entry of each."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.aws_configuration.configured_world import MAIL, WEB, World, configuration, of_class, of_gateway

from gatewright.aws.configuration.settings import HealthCheckSettings, TargetGroupSettings
from gatewright.model.awsgateway import TargetGroupProps
from gatewright.model.meta import Key, LabelSelector

GROUP = "TargetGroupConfiguration"
DELAY = "deregistration_delay.timeout_seconds"


def of_service(name: str = "app", config: str = "", entries: Any = (), **props: Any) -> str:
    spec = {"targetReference": {"name": name}, "defaultConfiguration": props, "routeConfigurations": list(entries)}
    return configuration(GROUP, config or name, spec)


def as_default(name: str, namespace: str = "shop", entries: Any = (), **props: Any) -> str:
    return configuration(GROUP, name, {"defaultConfiguration": props, "routeConfigurations": list(entries)}, namespace)


def entry(identifier: str, **props: Any) -> dict[str, Any]:
    names = dict(zip(("kind", "namespace", "name"), identifier.split("/"), strict=False))
    return {"routeIdentifier": {key: value for key, value in names.items() if value}, "targetGroupProps": props}


ALGORITHM = "load_balancing.algorithm.type"
DRAINING = "target_health_state.unhealthy.draining_interval_seconds"
ANOMALIES = "load_balancing.algorithm.anomaly_mitigation"


def pairs(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


def delays(*seconds: int) -> list[dict[str, str]]:
    return [{"key": DELAY, "value": str(number)} for number in seconds]


def test_without_a_configuration_pods_are_the_targets() -> None:
    assert World().target_group("shop/app") == TargetGroupSettings(target_type="ip")


def test_every_property_comes_through() -> None:
    world = World(
        of_service(
            targetGroupName="app-1",
            targetType="instance",
            protocol="HTTPS",
            protocolVersion="HTTP2",
            ipAddressType="ipv6",
            nodeSelector={"matchLabels": {"role": "web"}},
            enableMultiCluster=True,
            tags={"a": "b"},
            targetGroupAttributes=delays(5),
            healthCheckConfig={
                "healthCheckProtocol": "HTTPS",
                "healthCheckPort": "8443",
                "healthCheckPath": "/healthz",
                "healthCheckInterval": 10,
                "healthCheckTimeout": 4,
                "healthyThresholdCount": 3,
                "unhealthyThresholdCount": 4,
                "matcher": {"httpCode": "200,301-399", "grpcCode": "0-12"},
            },
        )
    )
    assert world.target_group("shop/app") == TargetGroupSettings(
        name="app-1",
        target_type="instance",
        protocol="HTTPS",
        protocol_version="HTTP2",
        ip_address_type="ipv6",
        node_selector=LabelSelector(match_labels={"role": "web"}),
        multi_cluster=True,
        tags={"a": "b"},
        attributes={DELAY: "5"},
        health_check=HealthCheckSettings("HTTPS", "8443", "/healthz", 10, 4, 3, 4, "200,301-399", "0-12"),
    )
    assert world.problem(GROUP, "app") == ""
    assert World(of_service(targetControlPort=9000)).target_group("shop/app").control_port == 9000


def test_it_is_for_its_own_namespace_and_service_only() -> None:
    world = World(of_service(targetType="instance"))
    assert world.target_group("shop/app").target_type == "instance"
    assert world.target_group("shop/other").target_type == "ip"
    assert world.target_group("infra/app").target_type == "ip"


def test_the_most_specific_entry_counts_over_the_default() -> None:
    entries = [
        entry("HTTPRoute", targetGroupAttributes=delays(1)),
        entry("HTTPRoute/shop", targetGroupAttributes=delays(2)),
        entry("HTTPRoute/shop/web", targetGroupAttributes=delays(3), tags={"of": "route"}),
        entry("HTTPRoute//web", targetGroupAttributes=delays(4)),
    ]
    world = World(of_service(entries=entries, targetType="instance", tags={"of": "all", "b": "all"}))

    def told(route: str) -> tuple[str | None, Any]:
        found = world.target_group("shop/app", route)
        assert found.target_type == "instance"
        return found.attributes.get(DELAY), found.own

    assert told("HTTPRoute/shop/web") == ("3", ("HTTPRoute", Key("shop", "web")))
    assert told("HTTPRoute/shop/other") == ("2", ("HTTPRoute", Key("shop", "")))
    assert told("HTTPRoute/infra/web") == ("1", ("HTTPRoute", Key("", "")))
    assert told("GRPCRoute/shop/web") == (None, None)
    assert world.target_group("shop/app").tags == {"of": "route", "b": "all"}


def test_the_service_goes_over_the_gateways_defaults_field_by_field() -> None:
    world = World(
        of_class(),
        of_gateway(defaultTargetGroupConfiguration={"name": "defaults"}),
        as_default(
            "defaults",
            targetType="instance",
            protocolVersion="HTTP2",
            healthCheckConfig={"healthCheckPath": "/default", "healthCheckInterval": 15},
            targetGroupAttributes=[*delays(30), {"key": "slow_start.duration_seconds", "value": "60"}],
            tags={"a": "default", "b": "default"},
        ),
        of_service(
            healthCheckConfig={"healthCheckPath": "/app"}, targetGroupAttributes=delays(10), tags={"a": "service"}
        ),
    )
    found = world.target_group("shop/app")
    assert (found.target_type, found.protocol_version) == ("instance", "HTTP2")
    assert found.health_check == HealthCheckSettings(path="/app"), "a health check is taken as a whole"
    assert found.attributes == {DELAY: "10", "slow_start.duration_seconds": "60"}
    assert found.tags == {"a": "service", "b": "default"}
    assert world.target_group("shop/other").health_check == HealthCheckSettings(path="/default", interval=15)


@pytest.mark.parametrize(("mode", "kind", "delay"), [(None, "instance", "1"), ("prefer-gateway", "ip", "2")])
def test_the_defaults_of_class_and_gateway_are_merged_as_their_configurations(
    mode: str | None, kind: str, delay: str
) -> None:
    of_mode = {"mergingMode": mode} if mode else {}
    world = World(
        of_class(defaultTargetGroupConfiguration={"name": "general"}, **of_mode),
        of_gateway(defaultTargetGroupConfiguration={"name": "own"}),
        as_default(
            "general",
            "infra",
            [entry("HTTPRoute", targetGroupAttributes=delays(1))],
            targetType="instance",
            tags={"x": "c"},
        ),
        as_default(
            "own",
            "shop",
            [entry("HTTPRoute", targetGroupAttributes=delays(2))],
            targetType="ip",
            protocolVersion="HTTP2",
        ),
    )
    found = world.target_group("shop/app")
    assert (found.target_type, found.protocol_version, found.tags) == (kind, "HTTP2", {"x": "c"})
    assert found.attributes == {DELAY: delay}, "the entries of one of the two"


def test_of_two_for_one_service_the_older_counts_and_the_newer_says_so() -> None:
    spec = {"targetReference": {"name": "app"}, "defaultConfiguration": {"targetType": "instance"}}
    older = configuration(GROUP, "older", spec, creationTimestamp="2026-01-01T00:00:00Z")
    spec = {"targetReference": {"name": "app"}, "defaultConfiguration": {"targetType": "ip"}}
    newer = configuration(GROUP, "newer", spec, creationTimestamp="2026-02-01T00:00:00Z")
    world = World(newer, older)
    assert world.target_group("shop/app").target_type == "instance"
    assert world.problem(GROUP, "older") == ""
    assert world.problem(GROUP, "newer") == (
        "spec.targetReference.name: found app; TargetGroupConfiguration shop/older is older and counts for Service "
        "shop/app; make them one"
    )
    world.configurations.target_groups.delete(Key("shop", "older"))
    assert world.target_group("shop/app").target_type == "ip"
    assert world.problem(GROUP, "newer") == ""


@pytest.mark.parametrize(
    ("props", "remark"),
    [
        ({"targetGroupName": "a_b"}, "targetGroupName of TargetGroupConfiguration shop/app: found a_b"),
        ({"protocol": "TCP"}, "target groups behind an ALB are HTTP, HTTPS"),
        ({"targetControlPort": 0}, "expected a port, 1 to 65535"),
        ({"targetType": "instance", "targetControlPort": 80}, "only targets of type ip have one"),
        ({"nodeSelector": {"matchLabels": {"a": "b"}}}, "set targetType to instance"),
        ({"tags": {"aws:a": "b"}}, "tags that begin with aws:"),
        ({"targetGroupAttributes": delays(3601)}, "expected 0 to 3600"),
        ({"targetGroupAttributes": delays(1, 2)}, "it is given twice; this value counts, not 1"),
        ({"targetGroupAttributes": [{"key": "proxy_protocol_v2.enabled", "value": "true"}]}, "is for NLB"),
        ({"targetGroupAttributes": [{"key": "stickiness.type", "value": "source_ip"}]}, "lb_cookie or app_cookie"),
        (
            {"targetGroupAttributes": pairs({"stickiness.enabled": "true", "stickiness.type": "app_cookie"})},
            "cookie_name",
        ),
        ({"targetGroupAttributes": pairs({ANOMALIES: "on"})}, "set load_balancing.algorithm.type to weighted_random"),
        (
            {"targetGroupAttributes": pairs({ALGORITHM: "weighted_random", "slow_start.duration_seconds": "30"})},
            "has no slow start; use round_robin",
        ),
        ({"healthCheckConfig": {"healthCheckProtocol": "TCP"}}, "an ALB's checks are HTTP or HTTPS"),
        ({"healthCheckConfig": {"healthCheckPort": "http"}}, "expected traffic-port or a port"),
        ({"healthCheckConfig": {"healthCheckPort": "9" * 5000}}, "expected traffic-port or a port"),
        (
            {"healthCheckConfig": {"healthCheckPath": "healthz"}},
            "a path of at most 1,024 characters that begins with /",
        ),
        ({"healthCheckConfig": {"healthCheckInterval": 4}}, "healthCheckInterval of TargetGroupConfiguration shop/app"),
        ({"healthCheckConfig": {"healthCheckTimeout": 121}}, "found 121; expected 2 to 120"),
        ({"healthCheckConfig": {"healthyThresholdCount": 1}}, "found 1; expected 2 to 10"),
        ({"healthCheckConfig": {"unhealthyThresholdCount": 11}}, "found 11; expected 2 to 10"),
        ({"healthCheckConfig": {"healthCheckInterval": 10, "healthCheckTimeout": 10}}, "less than healthCheckInterval"),
        ({"healthCheckConfig": {"matcher": {"httpCode": "200-500"}}}, "between 200 and 499"),
        ({"healthCheckConfig": {"matcher": {"httpCode": "200;201"}}}, "httpCode of TargetGroupConfiguration"),
        ({"healthCheckConfig": {"matcher": {"grpcCode": "100"}}}, "between 0 and 99"),
    ],
)
def test_what_a_target_group_of_an_alb_is_made_without(props: dict[str, Any], remark: str) -> None:
    found = World(of_class(), of_gateway(), of_service(**props)).target_group("shop/app")
    assert len(found.remarks) == 1
    assert remark in found.remarks[0]


@pytest.mark.parametrize(
    ("props", "remark"),
    [
        ({"protocol": "HTTP"}, "target groups behind an NLB are TCP, TLS, UDP, TCP_UDP"),
        ({"protocolVersion": "HTTP2"}, "an NLB passes bytes on"),
        ({"targetControlPort": 9000}, "only ALBs optimize"),
        ({"targetGroupAttributes": [{"key": "slow_start.duration_seconds", "value": "30"}]}, "is for ALB"),
        (
            {"targetGroupAttributes": [{"key": "stickiness.type", "value": "lb_cookie"}]},
            "behind an NLB it is source_ip",
        ),
        ({"targetGroupAttributes": pairs({DRAINING: "5"})}, "are cut at once"),
        ({"healthCheckConfig": {"matcher": {"grpcCode": "0"}}}, "an NLB makes no gRPC checks"),
        ({"healthCheckConfig": {"matcher": {"httpCode": "600"}}}, "between 200 and 599"),
    ],
)
def test_what_a_target_group_of_an_nlb_is_made_without(props: dict[str, Any], remark: str) -> None:
    found = World(of_gateway(), of_service(**props)).target_group("shop/app", "TCPRoute/shop/mail", MAIL)
    assert len(found.remarks) == 1
    assert remark in found.remarks[0]


def test_one_service_on_both_types_gets_what_fits_each() -> None:
    pairs = [
        {"key": "proxy_protocol_v2.enabled", "value": "true"},
        {"key": "slow_start.duration_seconds", "value": "30"},
    ]
    world = World(of_class(), of_gateway(), of_service(targetGroupAttributes=pairs))
    assert world.target_group("shop/app", gateway=WEB).attributes == {"slow_start.duration_seconds": "30"}
    assert world.target_group("shop/app", gateway=MAIL).attributes == {"proxy_protocol_v2.enabled": "true"}
    assert world.problem(GROUP, "app") == "", "each is of use somewhere"


def test_a_default_names_no_target_group() -> None:
    world = World(
        of_class(),
        of_gateway(defaultTargetGroupConfiguration={"name": "defaults"}),
        as_default("defaults", targetGroupName="everything"),
    )
    found = world.target_group("shop/app")
    assert found.name == ""
    assert "that of every target group of the Gateway" in found.remarks[0]


def test_a_default_with_a_reference_is_none() -> None:
    world = World(of_class(), of_gateway(defaultTargetGroupConfiguration={"name": "app"}), of_service())
    assert "has a targetReference, so it is no default" in world.problem("LoadBalancerConfiguration", "web")


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"targetReference": {"name": "web", "kind": "Gateway"}}, "found Gateway.core; only Services are backends"),
        ({"routeConfigurations": [entry("")]}, "routeIdentifier: found nothing; an entry is for a kind"),
        ({"routeConfigurations": [entry("HTTPRoute//web")]}, "routeIdentifier: found kind, name"),
        ({"routeConfigurations": [entry("HttpRoute")]}, "kind: found HttpRoute; expected one of HTTPRoute"),
        (
            {"defaultConfiguration": {"healthCheckConfig": {"healthCheckPath": "healthz"}}},
            "spec.defaultConfiguration.healthCheckConfig.healthCheckPath: found healthz",
        ),
    ],
)
def test_what_nothing_comes_of(spec: dict[str, Any], problem: str) -> None:
    assert problem in World(configuration(GROUP, "app", spec)).problem(GROUP, "app")


def test_a_change_elsewhere_asks_nothing_anew() -> None:
    world = World(of_class(), of_gateway(), of_service())
    world.target_group("shop/app")
    runs = world.runs
    world.apply(of_service("other", targetType="instance"), of_gateway(scheme="internet-facing"))
    assert world.runs == runs
    world.apply(of_service(targetType="instance"))
    assert world.target_group("shop/app").target_type == "instance"


SAMPLES: dict[str, Any] = {
    "targetGroupName": "app",
    "targetType": "instance",
    "protocol": "HTTPS",
    "protocolVersion": "HTTP2",
    "ipAddressType": "ipv6",
    "healthCheckConfig": {"healthCheckPath": "/x"},
    "nodeSelector": {"matchLabels": {"a": "b"}},
    "targetGroupAttributes": delays(1),
    "tags": {"a": "b"},
    "enableMultiCluster": True,
    "targetControlPort": 9000,
}


@pytest.mark.parametrize("field", [field.encode_name for field in msgspec.structs.fields(TargetGroupProps)])
@pytest.mark.parametrize("gateway", [WEB, MAIL], ids=str)
def test_every_field_is_honoured_or_refused_by_name(gateway: Key, field: str) -> None:
    found = World(of_class(), of_gateway(), of_service(**{field: SAMPLES[field]})).target_group(
        "shop/app", gateway=gateway
    )
    assert found != TargetGroupSettings()
    assert all(field in text for text in found.remarks)
