"""Decoding and encoding: what the API server accepts we accept; what is wrong is named."""

from __future__ import annotations

import datetime
import json
from typing import Any

import msgspec
import pytest

from gatewright.model import apps, codec, coordination, core, discovery, gateway, kinds
from gatewright.model.codec import InvalidObject, decode, encode, to_builtins
from gatewright.model.meta import Condition, Key, LabelSelector, LabelSelectorRequirement, Object

ROUTE: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "app1", "namespace": "tenant1", "creationTimestamp": None, "resourceVersion": "7"},
    "spec": {
        "parentRefs": [{"name": "gateway", "namespace": "istio-ingress", "sectionName": "http"}],
        "rules": [{"matches": [{"path": {"value": "/app1"}}], "backendRefs": [{"name": "app1", "port": 80}]}],
    },
}


def both(type_: type[Object], data: dict[str, Any]) -> Any:
    """Decoded from plain data and from JSON, which must agree."""
    obj = decode(type_, data)
    assert decode(type_, json.dumps(data).encode()) == obj
    return obj


def test_a_route_has_its_defaults() -> None:
    route = both(gateway.HTTPRoute, ROUTE)
    assert str(route.key) == "tenant1/app1"
    assert route.spec.parent_refs[0].kind == "Gateway"
    assert route.spec.rules[0].matches[0].path == gateway.HTTPPathMatch(type="PathPrefix", value="/app1")
    assert route.spec.rules[0].backend_refs[0].weight == 1
    assert route.status.parents == ()


def test_what_is_left_out_of_a_manifest_is_what_the_api_fills_in() -> None:
    bare = both(gateway.HTTPRoute, {"spec": {}})
    assert bare.spec.rules == (gateway.HTTPRouteRule(matches=(gateway.HTTPRouteMatch(),)),)
    listener = {"name": "a", "port": 80, "protocol": "HTTP"}
    gw = both(gateway.Gateway, {"spec": {"gatewayClassName": "c", "listeners": [listener]}})
    assert gw.spec.listeners[0].allowed_routes.namespaces.from_ == "Same"
    assert [condition.type for condition in gw.status.conditions] == ["Accepted", "Programmed"]


@pytest.mark.parametrize("kind", [kind for kind in kinds.KINDS if kind.type is not None], ids=str)
def test_an_encoded_object_names_its_kind(kind: kinds.Kind) -> None:
    assert kind.type is not None
    assert kinds.kind_of(kind.type) is kind
    assert kinds.find(kind.api_version, kind.kind) is kind
    try:
        obj = msgspec.convert({"addressType": "IPv4"}, kind.type)
    except msgspec.ValidationError:
        return  # It has required fields; the Gateway API kinds are encoded in the tests of their rules.
    data = json.loads(encode(obj))
    assert (data["apiVersion"], data["kind"]) == (kind.api_version, kind.kind)


def test_encoding_leaves_out_defaults_but_not_what_the_api_requires() -> None:
    route = decode(gateway.HTTPRoute, ROUTE)
    assert to_builtins(route)["spec"] == ROUTE["spec"]
    assert decode(gateway.HTTPRoute, encode(route)) == route
    status = gateway.RouteStatus()
    assert to_builtins(status) == {"parents": []}
    condition = Condition(type="Accepted", status="True", reason="Accepted")
    assert to_builtins(condition)["message"] == ""


def test_unknown_fields_and_nulls_are_no_error() -> None:
    data = {**ROUTE, "future": {"a": 1}, "spec": {**ROUTE["spec"], "hostnames": None, "new": [1]}}
    assert both(gateway.HTTPRoute, data).spec.hostnames == ()


def test_spellings_that_the_api_server_accepts() -> None:
    data = json.loads(json.dumps(ROUTE))
    data["spec"]["rules"][0]["backendRefs"][0]["port"] = 80.0
    assert both(gateway.HTTPRoute, data).spec.rules[0].backend_refs[0].port == 80
    data["metadata"]["creationTimestamp"] = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    assert decode(gateway.HTTPRoute, data).metadata.creation_timestamp == "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("where", "value", "field", "found", "expected"),
    [
        (("port",), "80", "spec.rules[0].backendRefs[0].port", '"80"', "int"),
        (("port",), 70000, "spec.rules[0].backendRefs[0].port", "70000", "`int` <= 65535"),
        (("name",), "", "spec.rules[0].backendRefs[0].name", '""', "`str` of length >= 1"),
        (("name",), ..., "spec.rules[0].backendRefs[0].name", "nothing", "a value (required)"),
        (("filters",), {}, "spec.rules[0].backendRefs[0].filters", "object", "array"),
        (
            ("filters",),
            [{"type": "X"}],
            "spec.rules[0].backendRefs[0].filters[0].type",
            '"X"',
            "one of the values that the API defines",
        ),
    ],
)
def test_an_error_names_field_found_and_expected(
    where: tuple[str], value: Any, field: str, found: str, expected: str
) -> None:
    data = json.loads(json.dumps(ROUTE))
    backend = data["spec"]["rules"][0]["backendRefs"][0]
    if value is ...:
        del backend[where[0]]
    else:
        backend[where[0]] = value
    for given in (data, json.dumps(data).encode()):
        with pytest.raises(InvalidObject) as raised:
            decode(gateway.HTTPRoute, given)
        error = raised.value
        assert (error.field, error.found, error.expected) == (field, found, expected)
        assert str(error) == f"HTTPRoute tenant1/app1: {field}: found {found}, expected {expected}"


def test_a_pattern_is_shown_as_the_api_spells_it() -> None:
    data = {**ROUTE, "spec": {"hostnames": ["a\n"]}}
    with pytest.raises(InvalidObject) as raised:
        decode(gateway.HTTPRoute, data)
    assert raised.value.field == "spec.hostnames[0]"
    assert raised.value.expected.endswith("*$'")
    assert "\\Z" not in raised.value.expected


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"[1", b"3", b'{"spec": 3}', b"\xff", b"[" * 99999])
def test_what_is_no_object_at_all(data: bytes) -> None:
    with pytest.raises(InvalidObject):
        decode(gateway.HTTPRoute, data)


def test_a_secret_never_shows_its_values() -> None:
    secret = both(core.Secret, {"metadata": {"name": "s"}, "data": {"tls.key": "aHVzaA=="}})
    assert secret.value("tls.key") == b"hush"
    assert secret.value("other") is None
    assert "hush" not in repr(secret)
    with pytest.raises(InvalidObject) as raised:
        decode(core.Secret, {"metadata": {"name": "s"}, "data": {"tls.key": "hush!"}})
    assert "hush" not in str(raised.value)


def test_the_kinds_that_controllers_read() -> None:
    service = both(core.Service, {"spec": {"clusterIP": "None", "ports": [{"port": 80, "targetPort": "web"}]}})
    assert (service.spec.cluster_ip, service.spec.ports[0].target_port, service.spec.ports[0].protocol) == (
        "None",
        "web",
        "TCP",
    )
    pod = both(core.Pod, {"status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "hostIP": "10.0.0.2"}})
    assert (pod.status.pod_ip, pod.status.pod_ips[0].ip) == ("10.0.0.1", "10.0.0.1")
    deployment = both(apps.Deployment, {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})
    assert (deployment.spec.replicas, deployment.spec.template.metadata.labels) == (1, {"a": "b"})
    slice_ = {
        "addressType": "IPv4",
        "metadata": {"labels": {discovery.SERVICE_NAME_LABEL: "s"}},
        "endpoints": [{"addresses": ["::"]}],
    }
    assert both(discovery.EndpointSlice, slice_).service_name == "s"
    assert both(coordination.Lease, {"spec": {"holderIdentity": "me"}}).spec.holder_identity == "me"


def test_keys() -> None:
    assert str(Key("", "istio")) == "istio"
    assert Key("a", "b") == ("a", "b")


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ("b",), [True, False, False]),
        ("NotIn", ("b",), [False, True, True]),
        ("Exists", (), [True, True, False]),
        ("DoesNotExist", (), [False, False, True]),
        ("Like", (), [False, False, False]),
    ],
)
def test_label_selectors(operator: str, values: tuple[str, ...], expected: list[bool]) -> None:
    selector = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator=operator, values=values),))
    assert [selector.matches(labels) for labels in ({"a": "b"}, {"a": "c"}, {})] == expected
    assert LabelSelector().matches({})
    assert not LabelSelector(match_labels={"x": "y"}).matches({"x": "z"})


def test_codec_is_the_public_way_in() -> None:
    assert codec.decode is decode
