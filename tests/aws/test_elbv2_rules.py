from __future__ import annotations

from typing import Any

import pytest
from tests.aws.elbv2_world import World, api, fixed_response, forward, host, path, redirect, refusal, world

__all__ = ["api", "world"]


@pytest.fixture
def listener(world: World) -> str:
    """An HTTP listener of an ALB, on port 80."""
    return world.listener(world.load_balancer())


@pytest.fixture
def secure(world: World) -> str:
    """An HTTPS listener of an ALB, on port 443."""
    certificates = [{"CertificateArn": world.certificate()}]
    return world.listener(world.load_balancer("secure"), port=443, protocol="HTTPS", Certificates=certificates)


def _described(world: World, arn: str) -> dict[str, Any]:
    return dict(world.elb.describe_rules(RuleArns=[arn])["Rules"][0])


def _refused(world: World, listener: str, **settings: Any) -> tuple[str, str]:
    settings = {"Priority": 1, "Conditions": [path("/a")], "Actions": [fixed_response(200)], **settings}
    return refusal(world.elb.create_rule, ListenerArn=listener, **settings)


def header(name: str, *values: str) -> dict[str, Any]:
    return {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": name, "Values": list(values)}}


def query(*pairs: tuple[str, str]) -> dict[str, Any]:
    values = [{"Key": key, "Value": value} if key else {"Value": value} for key, value in pairs]
    return {"Field": "query-string", "QueryStringConfig": {"Values": values}}


def test_a_rule_is_described_as_aws_does(world: World, listener: str) -> None:
    arn = world.rule(listener, 10, [path("/api/*")])
    assert arn.startswith(listener.replace(":listener/", ":listener-rule/"))
    assert _described(world, arn) == {
        "RuleArn": arn,
        "Priority": "10",
        "IsDefault": False,
        "Conditions": [{"Field": "path-pattern", "Values": ["/api/*"], "PathPatternConfig": {"Values": ["/api/*"]}}],
        "Actions": [{"Type": "fixed-response", "Order": 1, "FixedResponseConfig": {"StatusCode": "200"}}],
        "Transforms": [],
    }


def test_rules_are_described_by_priority_the_default_one_last(world: World, listener: str) -> None:
    for priority in (30, 2, 100):
        world.rule(listener, priority, [path(f"/{priority}")])
    found = world.elb.describe_rules(ListenerArn=listener)["Rules"]
    assert [rule["Priority"] for rule in found] == ["2", "30", "100", "default"]
    assert found[-1]["IsDefault"]
    pages = world.elb.get_paginator("describe_rules").paginate(ListenerArn=listener, PaginationConfig={"PageSize": 3})
    assert [len(page["Rules"]) for page in pages] == [3, 1]


@pytest.mark.parametrize(
    "condition",
    [
        host("*.example.com", "example.com"),
        path("/a/*", "/b"),
        header("X-Canary", "always", "some*"),
        {"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET", "CUSTOM-ONE"]}},
        query(("version", "v1"), ("", "*example*")),
        {"Field": "source-ip", "SourceIpConfig": {"Values": ["192.0.2.0/24", "2001:db8::/32"]}},
        {"Field": "host-header", "HostHeaderConfig": {"RegexValues": ["^(.+)\\.example\\.com$"]}},
        {"Field": "path-pattern", "RegexValues": ["^/v[0-9]+/"]},
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "User-Agent", "RegexValues": ["curl/.*"]}},
    ],
    ids=lambda condition: condition["Field"] + (" by regex" if "Regex" in str(condition) else ""),
)
def test_every_kind_of_condition(world: World, listener: str, condition: dict[str, Any]) -> None:
    arn = world.rule(listener, 1, [condition])
    found = _described(world, arn)["Conditions"][0]
    config = next(value for key, value in found.items() if key.endswith("Config"))
    asked = next((value for key, value in condition.items() if key.endswith("Config")), None)
    assert config == asked or config == {"RegexValues": condition["RegexValues"]}
    if "RegexValues" in config:
        assert found["RegexValues"] == config["RegexValues"]


def test_one_value_may_be_given_without_a_config(world: World, listener: str) -> None:
    arn = world.rule(listener, 1, [{"Field": "host-header", "Values": ["example.com"]}])
    found = _described(world, arn)["Conditions"]
    assert found == [
        {"Field": "host-header", "Values": ["example.com"], "HostHeaderConfig": {"Values": ["example.com"]}}
    ]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([], "A rule must have at least one condition"),
        ([path(*"abcdef")], "A rule can only have '5' condition values"),
        ([path("/a", "/b", "/c"), host("a.com", "b.com", "c.com")], "A rule can only have '5' condition values"),
        ([path("*/*/*/*/*/*")], "A rule can only have '5' condition wildcards"),
        ([path("/a"), path("/b")], "A rule can only have one 'path-pattern' condition"),
        ([path()], "A condition value must be specified"),
        ([path("/a b")], "Condition value '/a b' contains a character that is not valid"),
        ([path("/" + "a" * 128)], "The 'path-pattern' value is too long; the limit is '128'"),
        ([host("exa_mple.com")], "Condition value 'exa_mple.com' contains a character that is not valid"),
        (
            [host("localhost")],
            "Condition value 'localhost' must include at least one '.' character, and only alphabetical characters "
            "after the final '.' character",
        ),
        ([header("X" * 41, "a")], "The 'HttpHeaderName' value is too long; the limit is '40'"),
        (
            [header("Host", "a")],
            "You cannot use an 'http-header' condition to specify the host header; use 'host-header'",
        ),
        (
            [{"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["get"]}}],
            "The 'http-request-method' value is invalid; the allowed characters are A-Z, hyphen and underscore",
        ),
        ([{"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.1"]}}], "CIDR block '10.0.0.1' is not valid"),
        ([query(("a", "b" * 129))], "The 'Value' value is too long; the limit is '128'"),
        (
            [{"Field": "cookie", "Values": ["a"]}],
            "Condition field 'cookie' must be one of '[host-header,path-pattern,http-header,query-string,"
            "http-request-method,source-ip]'",
        ),
        (
            [{"Field": "path-pattern", "Values": ["/a"], "PathPatternConfig": {"Values": ["/b"]}}],
            "You cannot provide both Values and 'PathPatternConfig' for a condition of type 'path-pattern'",
        ),
        (
            [{"Field": "path-pattern", "Values": ["/a", "/b"]}],
            "The 'path-pattern' field contains too many values; the limit is '1'",
        ),
        (
            [{"Field": "source-ip", "Values": ["10.0.0.0/8"]}],
            "The 'Values' field is not compatible with 'source-ip'",
        ),
        (
            [{"Field": "http-header", "RegexValues": ["a"]}],
            "A 'HttpHeaderConfig' must be specified with 'http-header'",
        ),
        (
            [{"Field": "path-pattern", "RegexValues": ["(?=a)b"]}],
            "The regular expression '(?=a)b' is not valid",
        ),
        ([{"Field": "path-pattern", "RegexValues": ["\\p{L}"]}], "The regular expression '\\p{L}' is not valid"),
        (
            [{"Field": "path-pattern", "RegexValues": ["a" * 129]}],
            f"The regular expression '{'a' * 129}' is too long; the limit is '128'",
        ),
    ],
)
def test_conditions_are_refused(world: World, listener: str, conditions: list[Any], message: str) -> None:
    assert _refused(world, listener, Conditions=conditions) == ("ValidationError", message)


def test_several_conditions_on_headers_and_queries(world: World, listener: str) -> None:
    world.rule(listener, 1, [header("A", "1"), header("B", "2"), query(("a", "1")), query(("b", "2"))])


def test_priorities(world: World, listener: str) -> None:
    world.rule(listener, 50000, [path("/last")])
    assert _refused(world, listener, Priority=50000) == ("PriorityInUse", "Priority '50000' is currently in use")
    assert _refused(world, listener, Priority=50001) == (
        "ValidationError",
        "1 validation error detected: Value '50001' at 'priority' failed to satisfy constraint: "
        "Member must have value less than or equal to 50000",
    )


def test_priorities_are_set_together(world: World, listener: str) -> None:
    first, second = (world.rule(listener, number, [path(f"/{number}")]) for number in (1, 2))
    change = world.elb.set_rule_priorities
    swapped = [{"RuleArn": first, "Priority": 2}, {"RuleArn": second, "Priority": 1}]
    answer = change(RulePriorities=swapped)["Rules"]
    assert {rule["RuleArn"]: rule["Priority"] for rule in answer} == {first: "2", second: "1"}
    assert refusal(change, RulePriorities=[{"RuleArn": first, "Priority": 1}]) == (
        "PriorityInUse",
        "Priority '1' is currently in use",
    )
    twice = [{"RuleArn": first, "Priority": 7}, {"RuleArn": second, "Priority": 7}]
    assert refusal(change, RulePriorities=twice) == ("ValidationError", "Priority '7' was provided multiple times")
    assert [rule["Priority"] for rule in world.elb.describe_rules(ListenerArn=listener)["Rules"]] == [
        "1",
        "2",
        "default",
    ]
    default = world.elb.describe_rules(ListenerArn=listener)["Rules"][-1]["RuleArn"]
    found = refusal(change, RulePriorities=[{"RuleArn": default, "Priority": 7}])
    assert found[0] == "OperationNotPermitted"


def test_the_default_rule_stays(world: World, listener: str) -> None:
    default = world.elb.describe_rules(ListenerArn=listener)["Rules"][0]["RuleArn"]
    assert refusal(world.elb.delete_rule, RuleArn=default) == (
        "OperationNotPermitted",
        f"Default rule '{default}' cannot be deleted",
    )
    assert refusal(world.elb.modify_rule, RuleArn=default, Actions=[fixed_response(200)]) == (
        "OperationNotPermitted",
        f"Default rule '{default}' cannot be modified",
    )


def test_rules_are_modified_and_deleted(world: World, listener: str) -> None:
    arn = world.rule(listener, 1, [path("/a")])
    world.elb.modify_rule(RuleArn=arn, Conditions=[path("/b")])
    world.elb.modify_rule(RuleArn=arn, Actions=[fixed_response(503)])
    found = _described(world, arn)
    assert found["Conditions"][0]["Values"] == ["/b"]
    assert found["Actions"][0]["FixedResponseConfig"] == {"StatusCode": "503"}
    assert refusal(world.elb.modify_rule, RuleArn=arn) == (
        "ValidationError",
        "Either conditions or actions must be specified",
    )
    world.elb.delete_rule(RuleArn=arn)
    gone = ("RuleNotFound", "One or more rules not found")
    assert refusal(world.elb.delete_rule, RuleArn=arn) == gone
    assert refusal(world.elb.describe_rules, RuleArns=[arn]) == gone


def test_there_are_at_most_100_of_a_load_balancer(world: World) -> None:
    load_balancer = world.load_balancer()
    listeners = [world.listener(load_balancer, port=port) for port in (80, 81)]
    for number in range(100):
        world.rule(listeners[number % 2], number + 1, [path(f"/{number}")])
    assert _refused(world, listeners[0], Priority=500) == (
        "TooManyRules",
        f"The maximum number of rules on load balancer {load_balancer} has been reached",
    )


def test_weighted_groups(world: World, listener: str) -> None:
    blue, green = world.group("blue"), world.group("green")
    config = {
        "TargetGroups": [{"TargetGroupArn": blue, "Weight": 0}, {"TargetGroupArn": green, "Weight": 999}],
        "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 604800},
    }
    arn = world.rule(listener, 1, [path("/a")], [{"Type": "forward", "ForwardConfig": config}])
    assert _described(world, arn)["Actions"] == [{"Type": "forward", "Order": 1, "ForwardConfig": config}]


def test_forwards_are_refused(world: World, listener: str) -> None:
    groups = [world.group(f"group-{number}") for number in range(6)]

    def refused(**config: Any) -> tuple[str, str]:
        return _refused(world, listener, Actions=[{"Type": "forward", "ForwardConfig": config}])

    assert _refused(world, listener, Actions=[forward(*groups)])[0] == "TooManyTargetGroups"
    assert refused(TargetGroups=[{"TargetGroupArn": groups[0], "Weight": 1000}]) == (
        "ValidationError",
        "Target group weight '1000' must be between '0-999' inclusive",
    )
    assert refused(TargetGroups=[{"TargetGroupArn": groups[0]}] * 2)[0] == "InvalidLoadBalancerAction"
    one = {"TargetGroups": [{"TargetGroupArn": groups[0]}]}
    assert refused(**one, TargetGroupStickinessConfig={"Enabled": True})[0] == "InvalidLoadBalancerAction"
    too_long = {"Enabled": True, "DurationSeconds": 604801}
    assert refused(**one, TargetGroupStickinessConfig=too_long)[0] == "ValidationError"
    assert _refused(world, listener, Actions=[{"Type": "forward"}])[0] == "InvalidLoadBalancerAction"
    both = {"Type": "forward", "TargetGroupArn": groups[1], "ForwardConfig": one}
    assert _refused(world, listener, Actions=[both])[0] == "InvalidLoadBalancerAction"


def test_an_alb_has_at_most_100_groups(world: World, listener: str) -> None:
    groups = [world.group(f"group-{number}") for number in range(101)]
    arns = [
        world.rule(listener, number + 1, [path(f"/{number}")], [forward(*groups[5 * number : 5 * number + 5])])
        for number in range(20)
    ]
    assert _refused(world, listener, Priority=500, Actions=[forward(groups[100])]) == (
        "TooManyUniqueTargetGroupsPerLoadBalancer",
        "You have reached the maximum number of unique target groups that you can associate with a load balancer of "
        "type 'application': [100]",
    )
    world.elb.modify_rule(RuleArn=arns[0], Actions=[forward(groups[100])])


def test_a_redirect_is_complete(world: World, listener: str) -> None:
    arn = world.rule(listener, 1, [path("/a")], [redirect(Protocol="HTTPS", Port="443")])
    assert _described(world, arn)["Actions"][0]["RedirectConfig"] == {
        "StatusCode": "HTTP_301",
        "Protocol": "HTTPS",
        "Port": "443",
        "Host": "#{host}",
        "Path": "/#{path}",
        "Query": "#{query}",
    }


LOOP = "The redirect configuration is not valid because it creates a loop."


@pytest.mark.parametrize(
    "settings",
    [{}, {"Query": "a=b"}, {"Protocol": "HTTPS", "Port": "443"}, {"Host": "#{host}", "Path": "/#{path}"}],
)
def test_redirects_onto_themselves_are_refused(world: World, secure: str, settings: dict[str, str]) -> None:
    assert _refused(world, secure, Actions=[redirect(**settings)]) == ("InvalidLoadBalancerAction", LOOP)


def test_the_default_action_may_not_loop_either(world: World) -> None:
    settings = {"LoadBalancerArn": world.load_balancer(), "Port": 80, "Protocol": "HTTP"}
    found = refusal(world.elb.create_listener, **settings, DefaultActions=[redirect(Port="80")])
    assert found == ("InvalidLoadBalancerAction", LOOP)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"Port": "http"}, "The Port parameter"),
        ({"Port": "65536"}, "The Port parameter"),
        (
            {"Path": "a"},
            "The Path parameter must be a valid path, should start with a '/', and may contain up to one of each of "
            "these placeholders: '#{host}', '#{path}', '#{port}'.",
        ),
        ({"Path": "/#{query}"}, "The Path parameter"),
        ({"Path": "/#{path}/#{path}"}, "The Path parameter"),
        ({"Host": "#{path}.example.com"}, "The Host parameter"),
        ({"Host": "a b"}, "The Host parameter"),
        ({"Port": "8443", "Query": "#{nothing}"}, "The Query parameter"),
    ],
)
def test_redirects_are_refused(world: World, listener: str, settings: dict[str, str], words: str) -> None:
    code, message = _refused(world, listener, Actions=[redirect(**settings)])
    assert code == "InvalidLoadBalancerAction"
    assert message.startswith(words)


def test_redirects_that_the_model_does_not_have(world: World, secure: str) -> None:
    code, message = _refused(world, secure, Actions=[redirect(Protocol="FTP", StatusCode="HTTP_308")])
    assert code == "ValidationError"
    assert message.startswith("2 validation errors detected: Value 'FTP' at 'actions.1.member.redirectConfig.protocol'")
    found = _refused(world, secure, Actions=[redirect(Protocol="HTTP", Port="80")])
    assert found[0] == "InvalidLoadBalancerAction"


@pytest.mark.parametrize("status", ["200", "404", "599"])
def test_fixed_responses(world: World, listener: str, status: str) -> None:
    config = {"StatusCode": status, "ContentType": "application/json", "MessageBody": "x" * 1024}
    arn = world.rule(listener, 1, [path("/a")], [{"Type": "fixed-response", "FixedResponseConfig": config}])
    assert _described(world, arn)["Actions"][0]["FixedResponseConfig"] == config


@pytest.mark.parametrize(
    ("config", "code", "words"),
    [
        ({"StatusCode": "302"}, "ValidationError", "1 validation error detected: Value '302' at "),
        ({"StatusCode": "200", "MessageBody": "x" * 1025}, "ValidationError", "1 validation error detected"),
        (
            {"StatusCode": "200", "ContentType": "image/png"},
            "InvalidLoadBalancerAction",
            "The ContentType must be one of:'text/html', 'application/json', 'application/javascript', 'text/css', "
            "'text/plain'",
        ),
    ],
)
def test_fixed_responses_are_refused(
    world: World, listener: str, config: dict[str, str], code: str, words: str
) -> None:
    found = _refused(world, listener, Actions=[{"Type": "fixed-response", "FixedResponseConfig": config}])
    assert found[0] == code
    assert found[1].startswith(words)


OIDC = {
    "Type": "authenticate-oidc",
    "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://id.example.com",
        "AuthorizationEndpoint": "https://id.example.com/auth",
        "TokenEndpoint": "https://id.example.com/token",
        "UserInfoEndpoint": "https://id.example.com/user",
        "ClientId": "edge",
        "ClientSecret": "hidden",
        "AuthenticationRequestExtraParams": {"display": "page", "prompt": "login"},
    },
}
JWT = {
    "Type": "jwt-validation",
    "Order": 1,
    "JwtValidationConfig": {"Issuer": "https://id.example.com", "JwksEndpoint": "https://id.example.com/jwks"},
}


@pytest.mark.parametrize("first", [OIDC, JWT], ids=lambda action: action["Type"])
def test_authentication_needs_https(world: World, listener: str, secure: str, first: dict[str, Any]) -> None:
    actions = [first, {**fixed_response(200), "Order": 2}]
    assert _refused(world, listener, Actions=actions) == (
        "InvalidLoadBalancerAction",
        f"Actions of type '{first['Type']}' are supported only on HTTPS listeners",
    )
    arn = world.rule(secure, 1, [path("/a")], actions)
    found = _described(world, arn)["Actions"]
    assert [action["Type"] for action in found] == [first["Type"], "fixed-response"]
    config = next(key for key in first if key.endswith("Config"))
    assert found[0][config] == {key: value for key, value in first[config].items() if key != "ClientSecret"}
    assert "hidden" not in str(found)


def test_the_order_of_actions(world: World, secure: str) -> None:
    last = {**fixed_response(200), "Order": 5}
    arn = world.rule(secure, 1, [path("/a")], [last, {**OIDC, "Order": 2}])
    assert [(one["Type"], one["Order"]) for one in _described(world, arn)["Actions"]] == [
        ("authenticate-oidc", 2),
        ("fixed-response", 5),
    ]
    for wrong in (
        [fixed_response(200), OIDC],
        [{**fixed_response(200), "Order": 1}, OIDC],
        [{**fixed_response(200), "Order": 1}, {**OIDC, "Order": 2}],
        [OIDC],
        [{**fixed_response(200), "Order": 1}, {**redirect(Port="1"), "Order": 2}],
    ):
        assert _refused(world, secure, Priority=2, Actions=wrong)[0] == "InvalidLoadBalancerAction"


def test_actions_need_their_own_config(world: World, listener: str) -> None:
    assert _refused(world, listener, Actions=[{"Type": "redirect"}]) == (
        "InvalidLoadBalancerAction",
        "For actions of type 'redirect', you must specify the following fields: 'RedirectConfig'",
    )
    both = {**fixed_response(200), **redirect(Port="1"), "Type": "redirect"}
    assert _refused(world, listener, Actions=[both])[0] == "InvalidLoadBalancerAction"
    assert _refused(world, listener, Actions=[{"Type": "teapot"}]) == (
        "ValidationError",
        "1 validation error detected: Value 'teapot' at 'actions.1.member.type' failed to satisfy constraint: Member "
        "must satisfy enum value set: [forward, authenticate-oidc, authenticate-cognito, redirect, fixed-response, "
        "jwt-validation]",
    )


def rewrite(kind: str, regex: str, replacement: str) -> dict[str, Any]:
    config = {"url-rewrite": "UrlRewriteConfig", "host-header-rewrite": "HostHeaderRewriteConfig"}[kind]
    return {"Type": kind, config: {"Rewrites": [{"Regex": regex, "Replace": replacement}]}}


URL = rewrite("url-rewrite", "^/api/(.+)$", "/$1")
HOST = rewrite("host-header-rewrite", "^mywebsite-(.+).com$", "internal.dev.$1.myweb.com")


def test_transforms(world: World, listener: str) -> None:
    arn = world.rule(listener, 1, [path("/api/*")], Transforms=[URL, HOST])
    assert _described(world, arn)["Transforms"] == [URL, HOST]
    world.elb.modify_rule(RuleArn=arn, Conditions=[path("/v2/*")])
    assert _described(world, arn)["Transforms"] == [URL, HOST]
    world.elb.modify_rule(RuleArn=arn, Transforms=[HOST])
    assert _described(world, arn)["Transforms"] == [HOST]
    assert refusal(world.elb.modify_rule, RuleArn=arn, Transforms=[URL], ResetTransforms=True) == (
        "ValidationError",
        "You cannot specify both Transforms and ResetTransforms",
    )
    world.elb.modify_rule(RuleArn=arn, ResetTransforms=True)
    assert _described(world, arn)["Transforms"] == []


@pytest.mark.parametrize(
    ("transforms", "message"),
    [
        ([URL, URL], "A rule can only have one transform of type 'url-rewrite'"),
        ([rewrite("url-rewrite", "(a", "b")], "The regular expression '(a' is not valid"),
        ([rewrite("url-rewrite", r"(a)\1", "b")], r"The regular expression '(a)\1' is not valid"),
        (
            [rewrite("url-rewrite", "(a)", "$2")],
            "The replacement '$2' refers to a group that does not exist: '$2'",
        ),
        ([{**URL, **HOST}], "A 'HostHeaderRewriteConfig' must be specified with 'host-header-rewrite', and no other"),
        (
            [{"Type": "url-rewrite", "UrlRewriteConfig": {"Rewrites": URL["UrlRewriteConfig"]["Rewrites"] * 2}}],
            "A 'UrlRewriteConfig' must have exactly one rewrite",
        ),
        (
            [rewrite("url-rewrite", "a", "b" * 1025)],
            "The replacement of a rewrite is too long; the limit is '1024'",
        ),
    ],
)
def test_transforms_are_refused(world: World, listener: str, transforms: list[Any], message: str) -> None:
    assert _refused(world, listener, Transforms=transforms) == ("ValidationError", message)


def test_an_nlb_has_no_rules(world: World) -> None:
    listener = world.listener(world.load_balancer("nlb", "network"), world.group(protocol="TCP"), 80, "TCP")
    assert _refused(world, listener) == ("ValidationError", "Rules are unsupported for Network Load Balancer listeners")


def test_what_describe_rules_needs(world: World, listener: str) -> None:
    describe = world.elb.describe_rules
    assert refusal(describe)[1] == "You must specify either listener rule ARNs or a listener ARN"
    arns = [f"{listener.replace(':listener/', ':listener-rule/')}/{number:016x}" for number in range(21)]
    assert refusal(describe, RuleArns=arns) == (
        "ValidationError",
        "You cannot describe more than '20' listener rules at a time",
    )
    assert refusal(describe, RuleArns=["rule"]) == ("ValidationError", "'rule' is not a valid listener rule ARN")
