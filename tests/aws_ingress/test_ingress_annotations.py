"""Each annotation of an Ingress, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.aws_ingress.ingress_world import World, backend, ingress, manifests, service

from gatewright.aws.ingress.support import ANNOTATIONS, PREFIX, ROWS

ARN = "arn:aws:acm:eu-west-1:1:certificate/a"
WEB_ACL = "arn:aws:wafv2:eu-west-1:1:regional/webacl/a/1"
POLICY = "ELBSecurityPolicy-FS-1-2-2019-08"
HTTPS = {"listen-ports": '[{"HTTPS": 443}]', "certificate-arn": ARN}


@pytest.mark.parametrize(
    ("annotations", "field", "value"),
    [
        ({"scheme": "internet-facing"}, "scheme", "internet-facing"),
        ({"ip-address-type": "dualstack"}, "ip_address_type", "dualstack"),
        ({"load-balancer-name": "shop"}, "name", "shop"),
        ({"security-groups": "sg-1, web"}, "security_groups", ("sg-1", "web")),
        ({"security-groups": "sg-1", "manage-backend-security-group-rules": "true"}, "manage_backend_rules", True),
        ({"customer-owned-ipv4-pool": "ipv4pool-coip-1"}, "customer_owned_pool", "ipv4pool-coip-1"),
        ({"ipam-ipv4-pool-id": "ipam-pool-1"}, "ipam_pool", "ipam-pool-1"),
        ({"load-balancer-attributes": "a=b,c=d"}, "attributes", {"a": "b", "c": "d"}),
        ({"tags": "team=shop"}, "tags", {"team": "shop"}),
        ({"wafv2-acl-arn": WEB_ACL}, "web_acl", WEB_ACL),
        ({"wafv2-acl-arn": "none"}, "web_acl", ""),
        ({"wafv2-acl-name": "none"}, "web_acl", ""),
        ({}, "web_acl", None),
        ({"shield-advanced-protection": "false"}, "shield", False),
        ({"minimum-load-balancer-capacity": "CapacityUnits=1000"}, "capacity_units", 1000),
    ],
)
def test_what_is_said_of_the_load_balancer(annotations: dict[str, str], field: str, value: Any) -> None:
    world = World(manifests(ingress(annotations), service()))
    assert getattr(world.settings("shop/web"), field) == value
    assert world.problems("shop/web") == ()


def test_subnets_are_named() -> None:
    world = World(manifests(ingress({"subnets": "subnet-1, public-b"}), service()))
    assert [subnet.identifier for subnet in world.settings("shop/web").subnets] == ["subnet-1", "public-b"]


@pytest.mark.parametrize(
    ("annotations", "listener", "field", "value"),
    [
        (HTTPS, ("HTTPS", 443), "certificates", (ARN,)),
        ({"certificate-arn": ARN}, ("HTTPS", 443), "default_certificate", ARN),
        (HTTPS | {"ssl-policy": POLICY}, ("HTTPS", 443), "ssl_policy", POLICY),
        (HTTPS | {"listener-attributes.HTTPS-443": "a=b"}, ("HTTPS", 443), "attributes", {"a": "b"}),
        ({"inbound-cidrs": "10.0.0.0/8"}, ("HTTP", 80), "source_ranges", ("10.0.0.0/8",)),
        ({"security-group-prefix-lists": "pl-1"}, ("HTTP", 80), "prefix_lists", ("pl-1",)),
        ({"security-group-prefix-lists": "pl-1"}, ("HTTP", 80), "source_ranges", ()),
        ({}, ("HTTP", 80), "source_ranges", None),
    ],
)
def test_what_is_said_of_a_listener(
    annotations: dict[str, str], listener: tuple[str, int], field: str, value: Any
) -> None:
    world = World(manifests(ingress(annotations), service()))
    assert getattr(world.settings("shop/web").listeners[listener], field) == value
    assert world.problems("shop/web") == ()


@pytest.mark.parametrize(
    ("annotations", "field", "value"),
    [
        ({}, "target_type", "instance"),
        ({"target-type": "ip"}, "target_type", "ip"),
        ({"backend-protocol": "HTTPS"}, "protocol", "HTTPS"),
        ({"backend-protocol-version": "HTTP2"}, "protocol_version", "HTTP2"),
        ({"target-group-attributes": "a=b"}, "attributes", {"a": "b"}),
        ({"multi-cluster-target-group": "true"}, "multi_cluster", True),
        ({"target-type": "ip", "target-control-port.app.80": "3000"}, "control_port", 3000),
        ({"tags": "a=b"}, "tags", {"a": "b"}),
    ],
)
def test_what_is_said_of_a_target_group(annotations: dict[str, str], field: str, value: Any) -> None:
    world = World(manifests(ingress(annotations), service()))
    assert getattr(world.target_group("shop/web", "app"), field) == value
    if "target-control-port.app.80" not in annotations:
        of_service = World(manifests(ingress(), service(annotations)))
        assert getattr(of_service.target_group("shop/web", "app"), field) == value
        assert of_service.problems("shop/web") == ()
    assert world.problems("shop/web") == ()


@pytest.mark.parametrize(
    ("annotations", "field", "value"),
    [
        ({"healthcheck-protocol": "HTTPS"}, "protocol", "HTTPS"),
        ({"backend-protocol": "HTTPS"}, "protocol", "HTTPS"),
        ({"healthcheck-port": "8081"}, "port", "8081"),
        ({"healthcheck-port": "traffic-port"}, "port", "traffic-port"),
        ({"healthcheck-port": "http"}, "port", "30080"),
        ({"healthcheck-port": "http", "target-type": "ip"}, "port", "8080"),
        ({"healthcheck-path": "/ping"}, "path", "/ping"),
        ({"healthcheck-interval-seconds": "10"}, "interval", 10),
        ({"healthcheck-timeout-seconds": "8"}, "timeout", 8),
        ({"healthy-threshold-count": "3"}, "healthy_threshold", 3),
        ({"unhealthy-threshold-count": "4"}, "unhealthy_threshold", 4),
        ({"success-codes": "200-299"}, "http_codes", "200-299"),
        ({"success-codes": "0", "backend-protocol-version": "GRPC"}, "grpc_codes", "0"),
    ],
)
def test_what_is_said_of_a_health_check(annotations: dict[str, str], field: str, value: Any) -> None:
    world = World(manifests(ingress(annotations), service()))
    assert getattr(world.target_group("shop/web", "app").health_check, field) == value
    assert world.problems("shop/web") == ()


@pytest.mark.parametrize(
    ("annotation", "value", "told"),
    [
        ("scheme", "public", "internal or internet-facing"),
        ("healthcheck-port", "nowhere", "a port of the Service (http)"),
        ("healthcheck-path", "ping", "begins with /"),
        ("success-codes", "all", "200-299"),
        ("group.order", "1001", "from -1000 to 1000"),
        ("listen-ports", "80", '[{"HTTP": 80}'),
        ("mutual-authentication", '[{"port": 443, "mode": "verify"}]', "trust store"),
        ("mutual-authentication", '[{"port": 443, "mode": "on"}]', "off, passthrough or verify"),
        ("minimum-load-balancer-capacity", "1000", "key=value"),
        ("tags", "team", "key=value"),
        ("listener-attributes.TCP-80", "a=b", "PROTOCOL-PORT"),
        ("certificate-arn", "a", "ARNs"),
        ("shield-advanced-protection", "on", "true or false"),
        ("target-control-port.app.80", "3000", "target type ip"),
    ],
)
def test_a_value_that_cannot_be_read_is_told_with_what_was_expected(annotation: str, value: str, told: str) -> None:
    problems = World(manifests(ingress({annotation: value}), service())).problems("shop/web")
    assert any(f"[{PREFIX}{annotation}]" in each and told in each for each in problems), problems


@pytest.mark.parametrize("name", [name for name, each in ANNOTATIONS.items() if each.row.support == "no"])
def test_what_is_not_served_is_told_with_the_alternative(name: str) -> None:
    (problem,) = World(manifests(ingress({name: "something"}), service())).problems("shop/web")
    row = ANNOTATIONS[name].row
    assert name in problem
    assert row.note in problem
    assert row.instead in problem


def test_every_annotation_has_a_row() -> None:
    fields = [row.field for row in ROWS]
    assert len(fields) == len(set(fields))
    assert all(row.instead for row in ROWS if row.support == "no")


def test_an_old_class_annotation_goes_over_the_class() -> None:
    old = {"namespace": "shop", "name": "old", "annotations": {"kubernetes.io/ingress.class": "alb"}}
    other = {"namespace": "shop", "name": "other", "annotations": {"kubernetes.io/ingress.class": "nginx"}}
    world = World(
        manifests(ingress(metadata=old, ingressClassName=None), ingress(metadata=other), ingress(name="web"), service())
    )
    assert sorted(key.name for key in world.ingresses.members) == ["old", "web"]


def test_an_ingress_in_deletion_has_no_rules() -> None:
    world = World(manifests(ingress(), service()))
    deleting = {"namespace": "shop", "name": "web", "deletionTimestamp": "2026-01-02T00:00:00Z", "finalizers": ["x"]}
    world.apply(ingress(metadata=deleting))
    assert not world.ingresses.groups
    assert not world.ingresses.topology.placements


def test_services_and_secrets_of_other_namespaces_are_out_of_reach() -> None:
    action = {"type": "forward", "forwardConfig": {"targetGroups": [{"serviceName": "other/app", "servicePort": 80}]}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend("to", "use-annotation")}
    elsewhere = service().replace("namespace: shop", "namespace: other")
    world = World(
        manifests(ingress({"actions.to": json.dumps(action)}, rules=[{"http": {"paths": [path]}}]), elsewhere)
    )
    ((_, settings, placement),) = world.rules("shop/web", "http-80")
    assert settings.fixed_response is not None
    assert settings.fixed_response.status_code == "503"
    assert not placement.rule.targets


def test_an_oidc_secret_never_shows() -> None:
    secret = "kind: Secret\nmetadata: {namespace: shop, name: client}\nstringData: {clientID: me, clientSecret: hush}"
    idp = dict.fromkeys(("issuer", "authorizationEndpoint", "tokenEndpoint", "userInfoEndpoint"), "https://idp")
    oidc = {"auth-type": "oidc", "auth-idp-oidc": json.dumps(idp | {"secretName": "client"})}
    world = World(manifests(ingress(HTTPS | oidc), service(), secret))
    ((_, settings, _),) = world.rules("shop/web", "https-443")
    assert settings.authentication is not None
    assert "hush" not in repr(settings)
    assert settings.authentication.client.value == "hush"  # type: ignore[union-attr]


def test_the_oldest_that_says_something_unreadable_about_who_may_come_in_blocks_its_group() -> None:
    first = ingress({"group.name": "g", "inbound-cidrs": "anybody"}, name="a")
    second = ingress({"group.name": "g", "inbound-cidrs": "10.0.0.0/8"}, name="b")
    world = World(manifests(first, second, service()))
    assert not world.ingresses.settings
    assert len(world.ingresses.blocked) == 1
    world.apply(ingress({"group.name": "g", "inbound-cidrs": "10.0.0.0/8"}, name="a"))
    assert world.settings("g").listeners["HTTP", 80].source_ranges == ("10.0.0.0/8",)


def test_a_younger_ingress_cannot_block_a_group() -> None:
    first = ingress({"group.name": "g", "inbound-cidrs": "10.0.0.0/8"}, name="a")
    second = ingress({"group.name": "g", "inbound-cidrs": "anybody"}, name="b")
    world = World(manifests(first, second, service()))
    assert world.settings("g").listeners["HTTP", 80].source_ranges == ("10.0.0.0/8",)
    assert "anybody" in world.problems("shop/b")[0]


def test_a_web_acl_by_name_waits_until_it_is_looked_up() -> None:
    world = World(manifests(ingress({"wafv2-acl-name": "edge"}), service()))
    assert list(world.ingresses.web_acl_names) == ["edge"]
    assert not world.ingresses.settings
    world.apply("names: {webACLs: {edge: arn}}")
    assert world.settings("shop/web").web_acl == "arn"
    world.apply('names: {webACLs: {edge: ""}}')
    assert "no regional web ACL" in next(iter(world.ingresses.blocked.values()))[0]


def test_one_action_redirects_on_the_http_port_alone_and_hides_what_comes_after_it() -> None:
    redirect = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}}
    annotations = {
        "actions.ssl-redirect": json.dumps(redirect),
        "listen-ports": '[{"HTTP": 80}, {"HTTPS": 443}]',
        "certificate-arn": ARN,
    }
    paths = [
        {"path": "/*", "pathType": "ImplementationSpecific", "backend": backend("ssl-redirect", "use-annotation")},
        {"path": "/api", "pathType": "ImplementationSpecific", "backend": backend("app")},
    ]
    world = World(manifests(ingress(annotations, rules=[{"http": {"paths": paths}}]), service()))
    assert [bool(settings.redirect) for _, settings, _ in world.rules("shop/web", "http-80")] == [True]
    assert [bool(settings.redirect) for _, settings, _ in world.rules("shop/web", "https-443")] == [False]
