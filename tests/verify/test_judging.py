"""What is decided without a platform: which requests are sent and how, what answers and certificates are worth."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from tests.verify.verified_cluster import EDGE, OUTPUTS, Told, pod

from gatewright.cluster import ApiError, Client, NotFound
from gatewright.edge.front import Front
from gatewright.local.certificates import Authority
from gatewright.model.meta import Key
from gatewright.platform.errors import PlatformError
from gatewright.platform.report import Outcome
from gatewright.platform.targets import Target
from gatewright.platform.verify.certificates import problem_of
from gatewright.platform.verify.doors import Door, doors
from gatewright.platform.verify.endpoints import answered_by, leads_to_https, ways_of, wrong_with
from gatewright.platform.verify.isolation import _tried
from gatewright.platform.verify.knocking import Answer, speaks_old_tls
from gatewright.platform.verify.requests import Request, concrete_name, name_for, requests
from gatewright.platform.verify.webacl import blocked_targets
from gatewright.topology import RuleKey

NAMES = ("platform.example.com", "*.platform.example.com")
GATEWAY = Key("edge", "shared-gateway")


def request(*protocols: str, **more: Any) -> Request:
    rule = RuleKey("HTTPRoute", Key("tenant-a", "app1"), 0, 0)
    return Request(GATEWAY, rule, "a.example.com", "/app1", protocols=frozenset(protocols), **more)


# --- requests ---------------------------------------------------------------------------------------------------------

ROUTES = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 80, protocol: HTTP}, {name: other, port: 81, protocol: HTTP, hostname: "*.b.org"}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: default}
spec:
  parentRefs: [{name: gw}]
  rules:
    - matches:
        - path: {value: /a%20b}
        - {path: {type: Exact, value: /exact}, method: POST}
        - {path: {type: RegularExpression, value: "/x.*"}}
        - path: {value: /q}
          headers: [{name: X-Tenant, value: one}]
          queryParams: [{name: page, value: a&b}]
    - matches: [{path: {value: /moved}}]
      filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]
"""


async def test_each_match_of_a_route_is_a_request_at_each_name(told: Told) -> None:
    from gatewright.edge.snapshot import read_cluster

    await told.write(ROUTES)
    snapshot = await read_cluster(told.client)
    found = requests(snapshot.resolution, NAMES)
    assert {each.host for each in found} == {"platform.example.com", "any.b.org"}
    here = {each.target: each for each in found if each.host == "platform.example.com"}
    assert here.keys() == {"/a%20b", "/exact", "/x.*", "/q?page=a%26b", "/moved"}
    assert here["/q?page=a%26b"].headers == (("x-tenant", "one"),)
    assert here["/exact"].why_not == "POST might change something"
    assert "regular expression" in here["/x.*"].why_not
    assert here["/moved"].redirected
    assert not here["/a%20b"].why_not
    assert here["/a%20b"].route == "HTTPRoute default/app rule 1 match 1"


def test_names_are_those_that_clients_use() -> None:
    assert name_for("*", NAMES) == "platform.example.com"
    assert name_for("*.platform.example.com", NAMES) == "any.platform.example.com"
    assert name_for("*.example.org", NAMES) == "any.example.org"
    assert name_for("a.example.org", NAMES) == "a.example.org"
    assert name_for("*", ()) == ""
    assert concrete_name("a.example.org") == "a.example.org"


BOTH = ((80, "HTTP"), (443, "HTTPS"))


@pytest.mark.parametrize(
    ("door", "protocols", "deployed", "ways"),
    [
        pytest.param(
            Door("ALB", "x", BOTH, redirects=frozenset({80}), behind="HTTPS"),
            ("HTTP", "HTTPS"),
            True,
            {"https", "redirect"},
            id="chained",
        ),
        pytest.param(Door("ALB", "x", BOTH, behind="HTTP"), ("HTTP",), False, {"https", "http"}, id="plain behind"),
        pytest.param(Door("ALB", "x", BOTH, behind="HTTPS"), ("HTTP", "HTTPS"), True, {"https", "redirect"}, id="ours"),
        pytest.param(Door("ALB", "x", BOTH), ("HTTPS",), True, {"https", "redirect"}, id="direct"),
        pytest.param(Door("ALB", "x", BOTH[:1], behind="HTTP"), ("HTTP",), True, {"http"}, id="without TLS"),
        pytest.param(Door("ALB", "x", BOTH, behind="HTTPS"), ("HTTP",), False, {"http"}, id="served in the clear"),
    ],
)
def test_the_ways_of_a_request(door: Door, protocols: tuple[str, ...], deployed: bool, ways: set[str]) -> None:
    assert ways_of(request(*protocols), door, deployed=deployed) == ways


def test_a_route_that_redirects_is_asked_in_the_clear_alone() -> None:
    assert ways_of(request("HTTP", redirected=True), Door("ALB", "x", BOTH), deployed=True) == {"http"}


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "who", "wrong"),
    [
        (200, {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}, "application", ""),
        (404, {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}, "application", ""),
        (500, {"server": "istio-envoy", "x-envoy-upstream-service-time": "1"}, "application", "application"),
        (404, {"server": "istio-envoy"}, "gateway", "gateway-404"),
        (503, {"server": "envoy"}, "gateway", "gateway-503"),
        (429, {"server": "envoy"}, "gateway", "gateway"),
        (502, {"server": "awselb/2.0"}, "front", "front-502"),
        (403, {"server": "Microsoft-Azure-Application-Gateway/v2"}, "front", "front-403"),
        (405, {"server": "awselb/2.0"}, "front", "front"),
        (401, {}, "application", ""),
    ],
)
def test_who_answers_and_what_is_wrong(status: int, headers: dict[str, str], who: str, wrong: str) -> None:
    answer = Answer(status, headers)
    assert answered_by(answer) == who
    assert wrong_with(request("HTTPS"), answer) == wrong


def test_a_refusal_is_right_where_somebody_asks_who_the_client_is() -> None:
    assert wrong_with(request("HTTPS", guarded=True), Answer(401, {"server": "envoy"})) == ""
    assert wrong_with(request("HTTPS", guarded=True), Answer(503, {"server": "envoy"})) == "gateway-503"
    assert wrong_with(request("HTTP", redirected=True), Answer(301, {"server": "envoy"})) == ""
    assert wrong_with(request("HTTP", redirected=True), Answer(200, {})) == "redirect"


PATHS = st.text(st.characters(codec="ascii", categories=("L", "N")), max_size=8).map("/".__add__)


@given(path=PATHS, port=st.sampled_from(["", ":443", ":8443"]))
def test_a_redirect_leads_to_the_same_place(path: str, port: str) -> None:
    assert leads_to_https(f"https://a.example.com{port}{path}", "a.example.com", path, {443, 8443})
    assert not leads_to_https(f"http://a.example.com{port}{path}", "a.example.com", path, {443, 8443})
    assert not leads_to_https(f"https://b.example.com{port}{path}", "a.example.com", path, {443, 8443})
    assert not leads_to_https(f"https://a.example.com{port}{path}/x", "a.example.com", path, {443, 8443})
    assert not leads_to_https(f"https://a.example.com:444{path}", "a.example.com", path, {443, 8443})


@given(location=st.text(max_size=30))
def test_any_location_can_be_judged(location: str) -> None:
    leads_to_https(location, "a.example.com", "/", {443})


# --- certificates -----------------------------------------------------------------------------------------------------

AUTHORITY = Authority.create()
NOW = datetime.now(UTC)


def _certificate(*names: str) -> x509.Certificate:
    return x509.load_pem_x509_certificates(AUTHORITY.issue(names, days=100).chain)[0]


@pytest.mark.parametrize(
    ("names", "name", "later", "reason"),
    [
        (["a.example.com"], "a.example.com", 1, ""),
        (["*.example.com"], "a.example.com", 1, ""),
        (["*.example.com"], "A.example.com", 1, ""),
        (["*.example.com"], "a.b.example.com", 1, "name"),
        (["*.example.com"], "example.com", 1, "name"),
        (["a.example.com"], "", 1, ""),
        (["a.example.com"], "a.example.com", 90, "soon"),
        (["a.example.com"], "a.example.com", 101, "expired"),
        (["a.example.com"], "a.example.com", -3, "early"),
    ],
)
def test_what_is_wrong_with_a_certificate(names: list[str], name: str, later: int, reason: str) -> None:
    assert problem_of(_certificate(*names), name, NOW + timedelta(days=later))[1] == reason


async def test_a_server_that_takes_old_versions_of_tls(tmp_path: Any) -> None:
    import asyncio
    import ssl
    import warnings

    pair = AUTHORITY.issue(["localhost"])
    (tmp_path / "crt").write_bytes(pair.chain)
    (tmp_path / "key").write_bytes(pair.private_key)

    async def tried(lowest: ssl.TLSVersion) -> bool:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = lowest
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        async with server:
            return await speaks_old_tls(server.sockets[0].getsockname(), "localhost")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = ssl.TLSVersion.TLSv1
    assert await tried(old)
    assert not await tried(ssl.TLSVersion.TLSv1_2)


# --- isolation --------------------------------------------------------------------------------------------------------


class Answering(Client):
    """A cluster that gives one answer."""

    def __init__(self, answer: bytes | Exception) -> None:
        self._answer = answer

    async def request(self, *_: Any, **__: Any) -> bytes:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"Hello", Outcome.FAILED),
        (NotFound(404, "", "no such page"), Outcome.FAILED),  # the application's own answer
        (ApiError(503, "ServiceUnavailable", "error trying to reach service: reset by peer"), Outcome.PASSED),
        (ApiError(500, "InternalError", "error trying to reach service: EOF"), Outcome.PASSED),
        (ApiError(403, "Forbidden", 'pods "app1" is forbidden'), Outcome.SKIPPED),
        (NotFound(404, "NotFound", 'pods "app1" not found'), Outcome.SKIPPED),
    ],
)
async def test_what_an_answer_by_the_api_server_shows(answer: bytes | Exception, outcome: Outcome) -> None:
    check = await _tried(Answering(answer), pod("tenant-a", "app1"), 8080)
    assert check.outcome is outcome
    assert bool(check.advice) == (outcome is Outcome.FAILED)


async def test_a_pod_that_drops_what_the_api_server_sends_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Answering):
        async def request(self, *_: Any, **__: Any) -> bytes:
            await asyncio.Event().wait()
            return b""

    monkeypatch.setattr("gatewright.platform.verify.isolation._SECONDS", 0.01)
    check = await _tried(Silent(b""), pod("tenant-a", "app1"), 8080)
    assert check.outcome is Outcome.PASSED


# --- web ACLs and Azure -----------------------------------------------------------------------------------------------


def _managed(name: str, override: str = "None", **more: Any) -> dict[str, Any]:
    statement = {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": name, **more}}
    return {"Name": name, "OverrideAction": {override: {}}, "Statement": statement}


def test_requests_that_a_web_acl_blocks() -> None:
    common = "AWSManagedRulesCommonRuleSet"
    assert [rule for _, rule in blocked_targets({"Rules": [_managed(common)]})] == [common]
    assert list(blocked_targets({"Rules": [_managed(common)]}, managed=False)) == []
    assert list(blocked_targets({"Rules": [_managed(common, "Count")]})) == []
    assert list(blocked_targets({"Rules": [_managed(common, ScopeDownStatement={"x": 1})]})) == []
    assert list(blocked_targets({"Rules": [_managed("AWSManagedRulesAmazonIpReputationList")]})) == []
    words = {"SearchString": b"/.", "FieldToMatch": {"UriPath": {}}, "PositionalConstraint": "CONTAINS"}
    rule = {"Name": "dots", "Action": {"Block": {}}, "Statement": {"ByteMatchStatement": words}}
    assert list(blocked_targets({"Rules": [rule]})) == [("/.", "dots")]
    assert list(blocked_targets({"Rules": [{**rule, "Action": {"Count": {}}}]})) == []


async def test_an_application_gateway_whose_probe_fails(told: Told) -> None:
    from msgspec.structs import replace

    outputs = replace(OUTPUTS, application_gateway="platform", resource_group="platform", gateway_address="10.0.2.250")
    words = "The root certificate of the server certificate used by the backend does not match"
    server = {"address": "10.0.2.250", "health": "Unhealthy", "healthProbeLog": words}
    pools = {"backendAddressPools": [{"backendHttpSettingsCollection": [{"servers": [server]}]}]}
    shown = {"operationalState": "Running", "provisioningState": "Succeeded", "firewallPolicy": {"id": "/x/waf"}}

    async def az(*arguments: str) -> Any:
        return pools if "show-backend-health" in arguments else shown

    ids = ("application-gateway", "target-health")
    report = await told.verify(*ids, outputs=outputs, target=Target.AZURE, azure=az)
    assert [(check.id, check.outcome.value) for check in report.checks] == [
        ("application-gateway", "passed"),
        ("application-gateway", "passed"),
        ("target-health", "failed"),
    ]
    assert words in report.checks[2].found
    assert "show-backend-health -g platform -n platform" in report.checks[2].advice

    async def nobody(*_: str) -> Any:
        raise PlatformError("az is not installed")

    report = await told.verify(*ids, outputs=outputs, target=Target.AZURE, azure=nobody)
    assert [check.found for check in report.checks] == ["Azure can't be asked: az is not installed"]


async def test_on_azure_the_shared_gateway_is_the_one_that_has_the_fixed_address_and_the_door(told: Told) -> None:
    from msgspec.structs import replace

    outputs = replace(OUTPUTS, application_gateway="platform", entry="203.0.113.1", gateway_address="10.0.2.250")
    inner = EDGE.split("---")[3].replace("shared-gateway", "of-a-tenant")
    await told.write(EDGE, inner)
    report = await told.verify("load-balancer", outputs=outputs, target=Target.AZURE)
    assert [(check.subject, check.found) for check in report.checks] == [("Gateway edge/shared-gateway", "has none")]
    keys = (Key("edge", "shared-gateway"), Key("edge", "of-a-tenant"))
    assert list(doors(Front(), (), keys, outputs)) == [keys[0]]
