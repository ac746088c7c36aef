"""The parts of a stack, each by itself: names, tags, certificates by hostname, what targets let in, pods that wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatewright.aws.certificates import AcmCertificate, discover
from gatewright.aws.configuration.settings import HealthCheckSettings, TargetGroupSettings
from gatewright.aws.gateways.access import MARKER, AccessPiece, shared_access
from gatewright.aws.gateways.health import health_check
from gatewright.aws.gateways.names import (
    Tags,
    load_balancer_name,
    resource_id,
    security_group_name,
    target_group_name,
)
from gatewright.aws.gateways.ports import Told, refusals
from gatewright.aws.gateways.servercertificates import Importable, out_of_date
from gatewright.aws.gateways.targets import Targets, both_transports, pod_targets, waits_for_us
from gatewright.aws.stack.desired import BACKEND_GROUP, SecurityRule, StackKey
from gatewright.aws.views import Target
from gatewright.model.codec import decode
from gatewright.model.core import Pod, Service, ServicePort
from gatewright.model.discovery import EndpointSlice
from gatewright.model.meta import Key
from gatewright.topology import Certificate, Origin, RefusalKey

EDGE = Key("infra", "edge-of-the-world")
ALB = StackKey("prod", "alb", str(EDGE))


# --- names and tags --------------------------------------------------------------------------------------------------


def test_names_are_the_aws_controller_s() -> None:
    # printf 'produid-1internal' | sha256sum, and so on
    assert load_balancer_name(ALB, EDGE, "uid-1", "internal") == "k8s-infra-edgeofth-08a1ef1b79"
    assert security_group_name(ALB, EDGE, "uid-1") == "k8s-infra-edgeofth-6657457537"


def test_an_ingress_group_has_a_name_without_namespace() -> None:
    group = Key("", "my.very-long-group-name")
    name = load_balancer_name(StackKey("prod", "ingress", str(group)), group, "", "internal")
    assert name.startswith("k8s-myverylonggroupna-")
    assert len(name) == 32


def test_a_target_group_that_can_t_be_changed_into_another_has_another_name() -> None:
    names = {
        target_group_name(ALB, Key("shop", "web"), ("infra/edge:shop/web:80", *parts))
        for parts in (("ip", "HTTP"), ("ip", "HTTPS"), ("instance", "HTTP"))
    }
    assert len(names) == 3
    assert all(name.startswith("k8s-shop-web-") for name in names)


def test_a_long_resource_id_fits_into_a_tag_and_stays_told_apart() -> None:
    long = [resource_id("n" * 200, "s" * 63, str(port)) for port in (1, 2)]
    assert len({*long}) == 2
    assert all(len(each) == 256 for each in long)
    assert resource_id("a/b", "c/d", "80") == "a/b:c/d:80"


def test_nobody_takes_the_tags_of_ownership_away() -> None:
    theirs = {"team": "shop", "elbv2.k8s.aws/cluster": "mine", "aws:x": "y", "gateway.k8s.aws.alb/stack": "z"}
    tags = Tags(ALB, theirs, {"team": "edge", "env": "prod"})
    assert tags.of("443", {"cost": "1"}) == {
        "cost": "1",
        "elbv2.k8s.aws/cluster": "prod",
        "env": "prod",
        "gateway.k8s.aws.alb/resource": "443",
        "gateway.k8s.aws.alb/stack": str(EDGE),
        "team": "edge",
    }


# --- certificates by hostname ----------------------------------------------------------------------------------------


def certificate(name: str, *domains: str, status: str = "ISSUED", until: int = 2030) -> AcmCertificate:
    return AcmCertificate(name, domains, status, datetime(until, 1, 1, tzinfo=UTC))


CERTIFICATES = [
    certificate("wild", "*.example.com", until=2039),
    certificate("exact", "www.example.com", until=2031),
    certificate("older", "www.example.com", until=2029),
    certificate("pending", "www.example.com", status="PENDING_VALIDATION", until=2040),
]


@pytest.mark.parametrize(
    ("hostname", "arn"),
    [
        ("www.example.com", "exact"),
        ("api.example.com", "wild"),
        ("*.example.com", "wild"),
        ("example.com", None),
        ("a.b.example.com", None),
        ("*.b.example.com", None),
    ],
)
def test_a_certificate_is_found_by_hostname(hostname: str, arn: str | None) -> None:
    for order in (CERTIFICATES, CERTIFICATES[::-1]):
        found = discover(order, [hostname])[hostname]
        assert (found.arn if found else None) == arn


# --- what targets let in ---------------------------------------------------------------------------------------------


def rule(protocol: str, port: int, **source: str) -> SecurityRule:
    return SecurityRule(protocol, port, port, **source)


def test_access_of_all_load_balancers_is_one_permission_for_each_protocol_and_source() -> None:
    shared = {"security_group": BACKEND_GROUP}
    pieces = [
        AccessPiece("vpc-1", True, {"sg-1": frozenset({rule("tcp", 8080, **shared), rule("tcp", 9090, **shared)})}),
        AccessPiece("vpc-1", True, {"sg-1": frozenset({rule("tcp", 80, **shared), rule("udp", 53, **shared)})}),
        AccessPiece("vpc-1", False, {"sg-2": frozenset({rule("tcp", 80, cidr="10.0.0.0/8")})}),
    ]
    access = shared_access("prod", pieces)
    assert access == shared_access("prod", pieces[::-1])
    assert access.backend_group
    assert access.backend_group.tags == {"elbv2.k8s.aws/cluster": "prod", "elbv2.k8s.aws/resource": "backend-sg"}
    assert access.ingress == {
        "sg-1": (
            SecurityRule("tcp", 80, 9090, security_group=BACKEND_GROUP, description=MARKER),
            SecurityRule("udp", 53, 53, security_group=BACKEND_GROUP, description=MARKER),
        ),
        "sg-2": (SecurityRule("tcp", 80, 80, cidr="10.0.0.0/8", description=MARKER),),
    }


def test_while_a_load_balancer_is_blocked_nothing_is_taken_away() -> None:
    known = AccessPiece("vpc-1", True, {"sg-1": frozenset({rule("tcp", 80, security_group=BACKEND_GROUP)})})
    access = shared_access("prod", [AccessPiece("", complete=False), known])
    assert (access.vpc, access.complete) == ("vpc-1", False)
    assert shared_access("prod", [known]).complete


def test_without_load_balancers_the_shared_group_can_go() -> None:
    assert shared_access("prod", []).backend_group is None


# --- targets ---------------------------------------------------------------------------------------------------------

GATE = "target-health.elbv2.k8s.aws/web"


@pytest.mark.parametrize(
    ("gates", "conditions", "deleting", "waits"),
    [
        ([GATE], {"ContainersReady": "True"}, False, True),
        ([GATE], {"ContainersReady": "True"}, True, False),
        ([GATE], {"ContainersReady": "False"}, False, False),
        ([GATE], {}, False, False),
        ([], {"ContainersReady": "True"}, False, False),
        ([GATE, "example.com/warm"], {"ContainersReady": "True"}, False, False),
        ([GATE, "example.com/warm"], {"ContainersReady": "True", "example.com/warm": "True"}, False, True),
    ],
)
def test_a_pod_waits_for_its_load_balancer_alone(
    gates: list[str], conditions: dict[str, str], deleting: bool, waits: bool
) -> None:
    metadata = {"namespace": "shop", "name": "web"} | (
        {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    )
    pod = {
        "metadata": metadata,
        "spec": {"readinessGates": [{"conditionType": gate} for gate in gates]},
        "status": {"conditions": [{"type": type_, "status": status} for type_, status in conditions.items()]},
    }
    assert waits_for_us(decode(Pod, pod)) is waits


def test_a_target_group_takes_a_thousand_targets_the_same_ones_every_time() -> None:
    endpoints = [{"addresses": [f"10.0.{number // 250}.{number % 250}"]} for number in range(1100)]
    fields = {"addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints}
    slice_ = decode(EndpointSlice, {"metadata": {"namespace": "shop", "name": "web-a"}, **fields})
    found = pod_targets(ServicePort(port=80), [slice_], ["10.0.0.0/16"], "IPv4", lambda _: None)
    assert found.targets == frozenset(sorted(Target(each["addresses"][0], 8080) for each in endpoints)[:1000])
    assert "found 1100 endpoints; a target group has at most 1000 targets" in found.remark


def test_only_addresses_that_aws_takes_are_registered() -> None:
    addresses = ["10.0.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "203.0.113.256"]
    fields = {
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": [address]} for address in addresses],
    }
    slice_ = decode(EndpointSlice, {"metadata": {"namespace": "shop", "name": "web-a"}, **fields})
    found = pod_targets(ServicePort(port=80), [slice_], ["10.0.0.0/16", "2001:db8::/56"], "IPv4", lambda _: None)
    assert found.targets == {
        Target("10.0.0.1", 8080),
        Target("192.168.1.1", 8080, "all"),
        Target("100.64.0.1", 8080, "all"),
    }
    assert "found 203.0.113.256, 8.8.8.8; AWS registers" in found.remark


def test_targets_for_tcp_and_udp_have_one_port_for_both() -> None:
    tcp = Targets(frozenset({Target("10.0.0.1", 53), Target("10.0.0.2", 53)}))
    udp = Targets(frozenset({Target("10.0.0.1", 53), Target("10.0.0.2", 5353)}))
    assert both_transports(tcp, tcp) == tcp
    both = both_transports(tcp, udp)
    assert both.targets == {Target("10.0.0.1", 53)}
    assert "differ" in both.remark


# --- health checks ---------------------------------------------------------------------------------------------------

SERVICE = decode(
    Service,
    {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {
            "ports": [
                {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080},
                {"name": "status", "port": 81, "targetPort": "status"},
            ]
        },
    },
)


def test_the_timeout_is_shorter_than_the_interval_whichever_is_given() -> None:
    for asked in (HealthCheckSettings(interval=5), HealthCheckSettings(timeout=30), HealthCheckSettings()):
        settings = TargetGroupSettings(health_check=asked)
        check, _ = health_check(settings, SERVICE, kind="alb", protocol="HTTP", version="HTTP1")
        assert check.timeout < check.interval
        assert asked.interval in (None, check.interval)
        assert asked.timeout in (None, check.timeout)


@pytest.mark.parametrize(
    ("port", "target_type", "expected", "told"),
    [
        ("9090", "ip", "9090", ""),
        ("http", "ip", "8080", ""),
        ("http", "instance", "30080", ""),
        ("status", "ip", "traffic-port", "is no number"),
        ("lost", "ip", "traffic-port", "is no port of Service shop/web"),
    ],
)
def test_health_is_asked_at_a_port_by_number_or_name(port: str, target_type: str, expected: str, told: str) -> None:
    asked = HealthCheckSettings(port=port)
    settings = TargetGroupSettings(health_check=asked, target_type="instance" if target_type == "instance" else "ip")
    check, remarks = health_check(settings, SERVICE, kind="alb", protocol="HTTP", version="HTTP1")
    assert check.port == expected
    assert told in " ".join(remarks)


def test_grpc_is_asked_by_grpc() -> None:
    check, _ = health_check(TargetGroupSettings(), SERVICE, kind="alb", protocol="HTTP", version="GRPC")
    assert (check.protocol, check.path, check.matcher) == ("HTTP", "/AWS.ALB/healthcheck", "12")


# --- what is said of routes ------------------------------------------------------------------------------------------

ROUTE = RefusalKey("HTTPRoute", Key("shop", "web"), EDGE)


def test_a_rule_that_one_port_leaves_out_and_another_serves_is_served_without_that_port() -> None:
    dropped, served = Told(ROUTE, "1", 0, True, "needs HTTPS"), Told(ROUTE, "1", 0)
    assert [each.rule for each in refusals([(dropped,)])] == [0]
    assert [each.rule for each in refusals([(dropped,), (dropped,)])] == [0]
    assert [(each.rule, each.message) for each in refusals([(dropped,), (served,)])] == [(None, "needs HTTPS")]


def test_a_rule_of_which_a_match_is_left_out_is_refused() -> None:
    told = (Told(ROUTE, "1", 1, True, "no"), Told(ROUTE, "1", 1), Told(ROUTE, "1", 0))
    assert [each.rule for each in refusals([told])] == [1]


# --- certificates by date --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(-60, ""), (0.9, ""), (10, "the certificate is not valid before 2026-01-01T00:10:00Z")],
)
def test_a_certificate_of_this_very_minute_is_valid(minutes: float, told: str) -> None:
    """The clock tells whole minutes, once a minute: one that was issued a moment ago is ahead of it."""
    now, certificate = datetime(2026, 1, 1, tzinfo=UTC), Certificate(EDGE, b"", b"", Origin("Secret", EDGE, "1"))
    found = Importable(certificate, valid=(now + timedelta(minutes=minutes), now + timedelta(days=1)))
    assert out_of_date(found, now).startswith(told)
    assert bool(out_of_date(found, now)) == bool(told)
