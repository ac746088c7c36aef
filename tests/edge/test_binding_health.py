"""HealthCheckRoutable: given these manifests, would this target group's health check get the answer that it expects?"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.fuzz.manifests import key_pair, typed

from gatewright.aws.views import HealthCheck, TargetGroup
from gatewright.edge.binding.health import Verdict, health_check_routable, matches
from gatewright.flow import Flow
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, resolve

CONTROLLER = "example.com/ours"
GATEWAY = Key("infra", "shared")
CHECK = HealthCheck("HTTPS", "traffic-port", "/healthz/ready", matcher="200")
FRONT = TargetGroup("arn", "front", "ip", "HTTPS", 443, "vpc", CHECK, "HTTP1")
PLAIN = {"health_check": replace(CHECK, protocol="HTTP")}
PATH = {"path": {"type": "Exact", "value": "/healthz/ready"}}


def obj(api: str, kind: str, name: str, namespace: str = "infra", **body: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **body}


def listener(name: str = "https", port: int = 443, **more: Any) -> dict[str, Any]:
    found = {"name": name, "port": port, "protocol": "HTTP", **more}
    if port == 443:
        found = {**found, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "certificate"}]}}
    return found


def rule(*filters: dict[str, Any], backend: str | None = "health", **match: Any) -> dict[str, Any]:
    found = {"matches": [{**PATH, **match}], "filters": list(filters)}
    return {**found, "backendRefs": [{"name": backend, "port": 80}]} if backend else found


def route(*rules: dict[str, Any], name: str = "health", **spec: Any) -> dict[str, Any]:
    return obj(
        f"{GROUP}/v1", "HTTPRoute", name, spec={"parentRefs": [{"name": "shared"}], "rules": list(rules), **spec}
    )


REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}
AUTH = {
    "type": "ExternalAuth",
    "externalAuth": {"protocol": "HTTP", "backendRef": {"name": "health", "port": 80}},
}
HTTP, HTTPS = listener("http", 80), listener()
SHOP = {**listener("shop"), "hostname": "shop.example.com"}


def judge(
    *routes: dict[str, Any],
    listeners: tuple[dict[str, Any], ...] = (HTTP, HTTPS),
    port: int = 443,
    ports: dict[int, int] | None = None,
    status_port: int | None = None,
    **group: Any,
) -> Verdict:
    inputs = Inputs(Flow())
    chain, private_key = key_pair(0)
    slice_ = obj("discovery.k8s.io/v1", "EndpointSlice", "health", addressType="IPv4")
    slice_["metadata"]["labels"] = {"kubernetes.io/service-name": "health"}
    slice_ |= {"ports": [{"name": "", "port": 8080}], "endpoints": [{"addresses": ["10.0.1.1"]}]}
    manifests = [
        obj(f"{GROUP}/v1", "GatewayClass", "ours", "", spec={"controllerName": CONTROLLER}),
        obj(f"{GROUP}/v1", "Gateway", "shared", spec={"gatewayClassName": "ours", "listeners": list(listeners)}),
        obj("v1", "Secret", "certificate", stringData={"tls.crt": chain, "tls.key": private_key}),
        obj("v1", "Service", "health", spec={"ports": [{"port": 80}]}),
        obj("v1", "Service", "empty", spec={"ports": [{"port": 80}]}),
        slice_,
        *routes,
    ]
    with inputs.flow.batch():
        for manifest in manifests:
            found = typed(manifest)
            inputs.by_type[type(found)].set(found.key, found)
    topology = resolve(inputs, {CONTROLLER}).topology
    return health_check_routable(
        topology,
        GATEWAY,
        port,
        replace(FRONT, **group),
        address="10.0.0.5",
        traffic_port=next((open_ for open_, of in (ports or {}).items() if of == port), port),
        ports=ports,
        status_port=status_port,
    )


def checked(**changes: Any) -> dict[str, Any]:
    return {"health_check": replace(CHECK, **changes)}


@pytest.mark.parametrize(
    ("verdict", "status", "reason", "words"),
    [
        (lambda: judge(route(rule())), "True", "Routable", ["goes to Service infra/health:80", "expects 200"]),
        (
            lambda: judge(),
            "False",
            "RouteMissing",
            ["no HTTPRoute on listener https matches GET /healthz/ready; target group front expects 200"],
        ),
        (
            lambda: judge(route(rule(), hostnames=["app.example.com"])),
            "False",
            "RouteMissing",
            [
                "HTTPRoute infra/health, rule 0 matches the path but is limited to hostnames app.example.com",
                "the health check sends Host 10.0.0.5:443",
            ],
        ),
        (
            lambda: judge(route(rule(method="POST"))),
            "False",
            "RouteMissing",
            ["HTTPRoute infra/health, rule 0 matches the path but wants method POST, found GET"],
        ),
        (
            lambda: judge(route(rule(headers=[{"name": "x-probe", "value": "1"}]))),
            "False",
            "RouteMissing",
            ["wants header x-probe, which is not there"],
        ),
        (
            lambda: judge(route(rule(REDIRECT, backend=None))),
            "False",
            "UnexpectedAnswer",
            ["is answered by HTTPRoute infra/health, rule 0: 301, a redirect to https://10.0.0.5:443/healthz/ready"],
        ),
        (
            lambda: judge(route(rule(REDIRECT, backend=None)), **checked(matcher="200-399")),
            "True",
            "Routable",
            ["301"],
        ),
        (lambda: judge(**checked(matcher="200,404")), "True", "Routable", ["404"]),
        (
            lambda: judge(route(rule(backend="empty"))),
            "False",
            "UnexpectedAnswer",
            ["503: HTTPRoute infra/health, rule 0: Service infra/empty:80 has no ready endpoint"],
        ),
        (lambda: judge(route(rule(backend="lost"))), "False", "UnexpectedAnswer", ["500", "ResolvedRefs"]),
        (
            lambda: judge(
                route({**rule(), "backendRefs": [{"name": "health", "port": 80}, {"name": "lost", "port": 80}]})
            ),
            "False",
            "UnexpectedAnswer",
            ["for a part of the checks", "500"],
        ),
        (lambda: judge(route(rule(AUTH))), "Unknown", "Authorization", ["asks Service infra/health:80 for leave"]),
        (
            lambda: judge(route(rule()), listeners=(SHOP,)),
            "False",
            "HostnameLimited",
            ["names no server", "shop (shop.example.com)", "without a hostname on port 443"],
        ),
        (
            lambda: judge(route(rule()), port=80),
            "False",
            "ProtocolMismatch",
            ["target group front checks by HTTPS, and listener http on port 80 speaks plain HTTP", "to HTTP"],
        ),
        (
            lambda: judge(route(rule()), **checked(protocol="HTTP")),
            "False",
            "ProtocolMismatch",
            ["checks by HTTP, and listener https on port 443 speaks TLS", "to HTTPS"],
        ),
        (
            lambda: judge(route(rule()), port=8443),
            "False",
            "NoListener",
            ["Gateway infra/shared serves no listener on port 8443; served ports: 80, 443"],
        ),
        (
            lambda: judge(route(rule()), ports={80: 80, 443: 443, 15021: 15021}, **checked(port="15021")),
            "Unknown",
            "NotAListener",
            ["port 15021, which belongs to no listener"],
        ),
        (
            lambda: judge(ports={443: 443, 15021: 15021}, status_port=15021, **checked(port="15021", protocol="HTTP")),
            "True",
            "StatusPort",
            ["GET /healthz/ready on port 15021 is answered by the proxy itself"],
        ),
        (
            lambda: judge(route(rule()), ports={80: 80}),
            "False",
            "NoListener",
            ["are on port 443, which the Gateway's Services don't open; set spec.port to one of 80"],
        ),
        (
            lambda: judge(route(rule()), ports={443: 443, 15021: 15021}, **checked(port="15020")),
            "False",
            "NoListener",
            ["goes to port 15020, which is open on no target"],
        ),
        (
            lambda: judge(route(rule()), ports={30080: 80, 30443: 443}, **checked(port="30080", protocol="HTTP")),
            "True",
            "Routable",
            ["GET /healthz/ready goes to"],
        ),
        (lambda: judge(protocol="TCP", **checked(protocol="TCP")), "True", "ConnectionOnly", ["connecting only"]),
        (lambda: judge(port=9, protocol="TCP", **checked(protocol="TCP")), "False", "NoListener", ["port 9"]),
        (lambda: judge(target_type="alb"), "Unknown", "LoadBalancerInBetween", []),
        # An ALB's gRPC checks expect UNIMPLEMENTED, which is what 404 is to a gRPC client.
        (lambda: judge(protocol_version="GRPC", **checked(matcher="12")), "True", "Routable", ["404"]),
        (lambda: judge(protocol_version="GRPC", **checked(matcher="0")), "False", "RouteMissing", ["POST"]),
    ],
)
def test_verdict(verdict: Any, status: str, reason: str, words: list[str]) -> None:
    found = verdict()
    assert (found.status, found.reason) == (status, reason), found
    for word in words:
        assert word in found.message


def test_a_listener_without_a_certificate_refuses() -> None:
    broken = {**HTTPS, "tls": {"certificateRefs": [{"name": "lost"}]}}
    assert judge(route(rule()), listeners=(HTTP, broken)).reason == "NoListener"


@pytest.mark.parametrize(
    ("matcher", "code", "expected"),
    [("200", 200, True), ("200", 201, False), ("200,202", 202, True), ("200-299", 299, True), ("0-99", 12, True)],
)
def test_matchers(matcher: str, code: int, expected: bool) -> None:
    assert matches(matcher, code) is expected
