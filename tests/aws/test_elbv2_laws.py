"""What holds of the pure parts of the emulated ELBv2, whatever the request."""

from __future__ import annotations

import contextlib
from itertools import product
from typing import Any

import botocore.parsers
import botocore.serialize
import pytest
from botocore.model import Shape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.core.utils import get_service_model

from gatewright.local.aws.elbv2 import actions, attributes, conditions, health_checks, transforms, wire
from gatewright.local.aws.elbv2.errors import Refusal

PLACES = st.builds(
    actions.Place,
    st.just("application"),
    st.sampled_from(["HTTP", "HTTPS"]),
    st.integers(1, 65535),
)
GROUP = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/pods/{:016x}"
SLOPPY = st.text(max_size=8)


def _mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, SLOPPY)


REDIRECTS = st.fixed_dictionaries(
    {"StatusCode": st.sampled_from(["HTTP_301", "HTTP_302"])},
    optional={
        "Protocol": st.sampled_from(["HTTP", "HTTPS", "#{protocol}"]),
        "Port": _mostly(st.one_of(st.just("#{port}"), st.integers(0, 70000).map(str))),
        "Host": _mostly(st.sampled_from(["#{host}", "example.com", "www.#{host}"])),
        "Path": _mostly(st.sampled_from(["/#{path}", "/", "/new/#{path}", "#{path}"])),
        "Query": _mostly(st.sampled_from(["", "#{query}", "a=#{port}"])),
    },
)
FORWARDS = st.lists(
    st.fixed_dictionaries(
        {"TargetGroupArn": st.integers(0, 6).map(GROUP.format)}, optional={"Weight": st.integers(-1, 1000)}
    ),
    max_size=6,
).map(lambda groups: {"TargetGroups": groups})
ACTIONS = st.one_of(
    REDIRECTS.map(lambda config: {"Type": "redirect", "RedirectConfig": config}),
    FORWARDS.map(lambda config: {"Type": "forward", "ForwardConfig": config}),
    st.integers(0, 6).map(lambda number: {"Type": "forward", "TargetGroupArn": GROUP.format(number)}),
)


@settings(deadline=None)
@given(ACTIONS, PLACES)
def test_what_describe_rules_shows_may_be_sent_again(action: dict[str, Any], place: actions.Place) -> None:
    try:
        shown = actions.checked([action], place)
    except Refusal:
        return
    assert actions.checked(shown, place) == shown


@settings(deadline=None)
@given(REDIRECTS, PLACES, st.sampled_from(["a.example", "b.example"]), st.sampled_from(["", "x", "y/z"]))
def test_a_redirect_that_is_taken_leads_elsewhere(
    config: dict[str, Any], place: actions.Place, host: str, path: str
) -> None:
    try:
        [shown] = actions.checked([{"Type": "redirect", "RedirectConfig": config}], place)
    except Refusal:
        return
    to = shown["RedirectConfig"]
    source = {"protocol": place.protocol, "host": host, "port": str(place.port), "path": path}

    def filled(template: str) -> str:
        for name, value in source.items():
            template = template.replace("#{" + name + "}", value)
        return template

    literal = to["Path"] in ("/", "/x", "/y/z") or to["Host"] in ("a.example", "b.example")
    there = tuple(filled(to[name]) for name in ("Protocol", "Host", "Port", "Path"))
    assert there != (place.protocol, host, str(place.port), f"/{path}") or literal


FIELDS = ("host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip", "cookie")
VALUES = st.one_of(
    st.sampled_from(["*.example.com", "/a/*", "GET", "10.0.0.0/8", "a"]), st.text(max_size=140), st.just("*" * 6)
)


@st.composite
def a_condition(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(FIELDS))
    name = "".join(part.capitalize() for part in field.split("-")) + "Config"
    values: Any = draw(st.lists(VALUES, max_size=4))
    if field == "query-string":
        values = [{"Key": "k", "Value": value} for value in values]
    config: dict[str, Any] = {"Values": values}
    if field == "http-header":
        config["HttpHeaderName"] = draw(st.sampled_from(["X-A", "host", ""]))
    if draw(st.booleans()):
        config["RegexValues"] = draw(st.lists(st.sampled_from(["^a(.*)$", "(?=a)", "["]), max_size=2))
    return {"Field": field, name: config}


@settings(deadline=None)
@given(st.lists(a_condition(), max_size=4))
def test_conditions_are_refused_or_complete(asked: list[dict[str, Any]]) -> None:
    try:
        shown = conditions.checked(asked)
    except Refusal:
        return
    configs = [value for one in shown for key, value in one.items() if key.endswith("Config")]
    assert len(configs) == len(asked)
    assert all(config.get("Values") or config.get("RegexValues") for config in configs)
    assert sum(len(config.get("Values", [])) + len(config.get("RegexValues", [])) for config in configs) <= 5


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_transform_is_refused_or_kept(regex: str, replacement: str) -> None:
    asked = [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": [{"Regex": regex, "Replace": replacement}]}}]
    with contextlib.suppress(Refusal):
        assert transforms.checked(asked) == asked


@pytest.mark.parametrize(("kind", "scheme"), [*product(("application", "network"), ("internal", "internet-facing"))])
def test_defaults_of_load_balancers_may_be_set(kind: str, scheme: str) -> None:
    values = attributes.defaults(attributes.of_load_balancer(kind, scheme))
    attributes.check_load_balancer(kind, scheme, values, values)


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS", "TCP", "UDP", "TLS", "TCP_UDP"])
def test_defaults_of_listeners_may_be_set(protocol: str) -> None:
    attributes.check_listener(protocol, attributes.defaults(attributes.of_listener(protocol)))


GROUPS = [
    *product(("HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP"), ("ip", "instance")),
    ("TCP", "alb"),
    ("", "lambda"),
]


@pytest.mark.parametrize(("protocol", "target_type"), GROUPS)
def test_defaults_of_target_groups_may_be_set(protocol: str, target_type: str) -> None:
    values = attributes.defaults(attributes.of_target_group(protocol, target_type))
    attributes.check_target_group(protocol, target_type, values, values)


@settings(deadline=None)
@given(
    st.sampled_from(GROUPS),
    st.fixed_dictionaries(
        {},
        optional={
            "HealthCheckProtocol": st.sampled_from(["HTTP", "HTTPS", "TCP"]),
            "HealthCheckPort": st.sampled_from(["traffic-port", "80", "0", "x"]),
            "HealthCheckPath": st.sampled_from(["/", "/a?b", "a", "/a b"]),
            "HealthCheckIntervalSeconds": st.integers(5, 20),
            "HealthCheckTimeoutSeconds": st.integers(2, 20),
            "Matcher": st.sampled_from([{"HttpCode": "200"}, {"HttpCode": "200-500"}, {"GrpcCode": "0"}, {}]),
        },
    ),
)
def test_a_modified_health_check_is_one_that_could_be_created(group: tuple[str, str], asked: dict[str, Any]) -> None:
    protocol, target_type = group
    created = health_checks.checked(protocol, target_type, "", {})
    try:
        modified = health_checks.checked(protocol, target_type, "", asked, created)
    except Refusal:
        return
    assert health_checks.checked(protocol, target_type, "", modified) == modified
    assert health_checks.checked(protocol, target_type, "", {}, modified) == modified


MODEL: Any = get_service_model("elbv2")
NAMES = ["AddTags", "CreateListener", "CreateRule", "ModifyTargetGroup", "RegisterTargets", "SetRulePriorities"]
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=6
)


def _of(shape: Shape, depth: int = 0) -> st.SearchStrategy[Any]:
    """Anything that has this shape. Without what XML and forms can't tell apart: empty structures and lists."""
    anything: Any = shape
    match shape.type_name:
        case "structure":
            some = {name: _of(member, depth + 1) for name, member in anything.members.items()}
            return st.fixed_dictionaries({}, optional=some).filter(bool) if some else st.nothing()
        case "list":
            return st.lists(_of(anything.member, depth + 1), min_size=1, max_size=3 if depth < 2 else 1)
        case "map":
            return st.dictionaries(TEXT.filter(bool), TEXT, min_size=1, max_size=2)
        case "integer" | "long":
            return st.integers(0, 10**6)
        case "boolean":
            return st.booleans()
        case "double":
            return st.floats(0, 100)
        case "timestamp":
            return st.nothing()
    return TEXT


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_requests_are_read_as_botocore_writes_them(name: str, data: st.DataObject) -> None:
    operation = MODEL.operation_model(name)
    request = data.draw(_of(operation.input_shape))
    serializer = botocore.serialize.create_serializer("query", include_validation=False)
    form = serializer.serialize_to_request(request, operation)["body"]
    assert wire.request(operation, [(key, str(value)) for key, value in form.items()]) == request


@pytest.mark.parametrize(
    "name", ["DescribeRules", "DescribeTargetHealth", "DescribeListeners", "DescribeLoadBalancers"]
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_answers_are_read_by_botocore_as_they_were_written(name: str, data: st.DataObject) -> None:
    operation = MODEL.operation_model(name)
    document = data.draw(_of(operation.output_shape))
    body = wire.answer(operation, document).encode()
    answer: Any = {"body": body, "headers": {}, "status_code": 200}
    parsed = botocore.parsers.create_parser("query").parse(answer, operation.output_shape)
    del parsed["ResponseMetadata"]
    assert parsed == document
