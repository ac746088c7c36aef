"""WAFv2's API against boto3: what users meet, refused as AWS does (AWS WAF API reference)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws import wafv2
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.waf.journal import Journal, Sample

VISIBLE = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": "front"}
NONE = [{"Priority": 0, "Type": "NONE"}]
PATH: dict[str, Any] = {
    "ByteMatchStatement": {
        "SearchString": b"/admin",
        "FieldToMatch": {"UriPath": {}},
        "PositionalConstraint": "STARTS_WITH",
        "TextTransformations": NONE,
    }
}
REGIONAL: dict[str, Any] = {"Scope": "REGIONAL"}


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def api(aws: EmulatedAws, journal: Journal) -> Any:
    wafv2.install(journal)
    return aws.client("wafv2")


@pytest.fixture
def balancer(aws: EmulatedAws, api: Any) -> str:
    made = aws.client("elbv2").create_load_balancer(Name="front", Subnets=aws.seeded.public)
    arn: str = made["LoadBalancers"][0]["LoadBalancerArn"]
    return arn


def rule(name: str, statement: dict[str, Any], priority: int = 0, **more: Any) -> dict[str, Any]:
    action: dict[str, Any] = {} if "OverrideAction" in more else {"Action": {"Block": {}}}
    return {
        "Name": name,
        "Priority": priority,
        "Statement": statement,
        "VisibilityConfig": {**VISIBLE, "MetricName": name},
        **action,
        **more,
    }


def create(api: Any, *rules: dict[str, Any], name: str = "front", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.create_web_acl(
        Name=name,
        **REGIONAL,
        **{"DefaultAction": {"Allow": {}}, "VisibilityConfig": VISIBLE, "Rules": list(rules), **more},
    )["Summary"]
    return made


def named(summary: dict[str, Any]) -> dict[str, Any]:
    return {"Name": summary["Name"], "Id": summary["Id"], **REGIONAL}


def refused(call: Any, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def ip_set(api: Any, *addresses: str, name: str = "home") -> dict[str, Any]:
    made: dict[str, Any] = api.create_ip_set(Name=name, **REGIONAL, IPAddressVersion="IPV4", Addresses=list(addresses))[
        "Summary"
    ]
    return made


def test_a_load_balancer_has_one_web_acl(api: Any, balancer: str) -> None:
    first, second = create(api), create(api, name="second")
    assert "WebACL" not in api.get_web_acl_for_resource(ResourceArn=balancer)
    api.associate_web_acl(WebACLArn=first["ARN"], ResourceArn=balancer)
    assert api.get_web_acl_for_resource(ResourceArn=balancer)["WebACL"]["Name"] == "front"
    api.associate_web_acl(WebACLArn=second["ARN"], ResourceArn=balancer)
    assert api.list_resources_for_web_acl(WebACLArn=first["ARN"])["ResourceArns"] == []
    assert api.list_resources_for_web_acl(WebACLArn=second["ARN"])["ResourceArns"] == [balancer]
    assert wafv2.associations() == {balancer: second["ARN"]}
    code, _ = refused(api.delete_web_acl, **named(second), LockToken=second["LockToken"])
    assert code == "WAFAssociatedItemException"
    api.disassociate_web_acl(ResourceArn=balancer)
    api.delete_web_acl(**named(second), LockToken=second["LockToken"])
    assert wafv2.associations() == {}


def test_what_cannot_be_associated(api: Any, balancer: str) -> None:
    acl = create(api)["ARN"]
    network = balancer.replace("/app/", "/net/")
    code, message = refused(api.associate_web_acl, WebACLArn=acl, ResourceArn=network)
    assert code == "WAFInvalidParameterException"
    assert message.startswith("Error reason: The ARN isn't valid.")
    assert message.endswith(f"field: RESOURCE_ARN, parameter: {network}")
    for pair in (
        {"WebACLArn": acl, "ResourceArn": balancer[:-4] + "0000"},
        {"WebACLArn": acl + "0", "ResourceArn": balancer},
    ):
        code, message = refused(api.associate_web_acl, **pair)
        assert code == "WAFNonexistentItemException"
        assert message.startswith("AWS WAF couldn")
        assert message.endswith("t exist.")


def test_a_load_balancer_that_is_gone_has_no_web_acl(aws: EmulatedAws, api: Any, balancer: str) -> None:
    acl = create(api)
    api.associate_web_acl(WebACLArn=acl["ARN"], ResourceArn=balancer)
    aws.client("elbv2").delete_load_balancer(LoadBalancerArn=balancer)
    assert wafv2.associations() == {}
    api.delete_web_acl(**named(acl), LockToken=acl["LockToken"])


def test_locks(api: Any) -> None:
    acl = create(api, rule("a", PATH))
    update = {**named(acl), "DefaultAction": {"Block": {}}, "VisibilityConfig": VISIBLE}
    token = api.update_web_acl(**update, LockToken=acl["LockToken"])["NextLockToken"]
    code, _ = refused(api.update_web_acl, **update, LockToken=acl["LockToken"])
    assert code == "WAFOptimisticLockException"
    found = api.get_web_acl(**named(acl))
    assert found["LockToken"] == token
    assert found["WebACL"]["DefaultAction"] == {"Block": {}}
    assert found["WebACL"]["Rules"] == []  # what isn't given is gone
    home = ip_set(api, "10.0.0.0/8")
    assert re.fullmatch("[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", home["LockToken"])
    api.update_ip_set(**named(home), Addresses=["10.1.0.0/16"], LockToken=home["LockToken"])
    code, _ = refused(api.update_ip_set, **named(home), Addresses=[], LockToken=home["LockToken"])
    assert code == "WAFOptimisticLockException"


def test_what_is_referred_to_stays(api: Any) -> None:
    home = ip_set(api, "10.0.0.0/8")
    words = api.create_regex_pattern_set(Name="words", **REGIONAL, RegularExpressionList=[{"RegexString": "^a"}])[
        "Summary"
    ]
    nested = {
        "NotStatement": {
            "Statement": {
                "RegexPatternSetReferenceStatement": {
                    "ARN": words["ARN"], "FieldToMatch": {"Method": {}}, "TextTransformations": NONE,
                }
            }
        }
    }  # fmt: skip
    group = api.create_rule_group(
        Name="own", **REGIONAL, Capacity=50, VisibilityConfig=VISIBLE, Rules=[rule("words", nested)]
    )["Summary"]
    acl = create(
        api,
        rule("home", {"IPSetReferenceStatement": {"ARN": home["ARN"]}}),
        rule("own", {"RuleGroupReferenceStatement": {"ARN": group["ARN"]}}, 1, OverrideAction={"None": {}}),
    )
    for call, what in (
        (api.delete_ip_set, home),
        (api.delete_regex_pattern_set, words),
        (api.delete_rule_group, group),
    ):
        assert refused(call, **named(what), LockToken=what["LockToken"])[0] == "WAFAssociatedItemException"
    document = wafv2.documents()[acl["ARN"]]
    assert document.ip_sets == {home["ARN"]: ("10.0.0.0/8",)}
    assert document.regex_sets == {words["ARN"]: ("^a",)}
    assert list(document.rule_groups) == [group["ARN"]]
    api.delete_web_acl(**named(acl), LockToken=acl["LockToken"])
    api.delete_rule_group(**named(group), LockToken=group["LockToken"])
    api.delete_ip_set(**named(home), LockToken=home["LockToken"])


def test_duplicates_and_what_is_not_there(api: Any) -> None:
    create(api)
    home = ip_set(api, "10.0.0.0/8")
    assert refused(create, api=api)[0] == "WAFDuplicateItemException"
    assert refused(ip_set, api=api)[0] == "WAFDuplicateItemException"
    gone = {"IPSetReferenceStatement": {"ARN": home["ARN"] + "0"}}
    assert refused(create_named, api=api, rules=[rule("x", gone)])[0] == "WAFNonexistentItemException"
    wrong = {"IPSetReferenceStatement": {"ARN": "arn:aws:s3:::bucket/something"}}
    assert refused(create_named, api=api, rules=[rule("x", wrong)]) == (
        "WAFInvalidParameterException",
        "Error reason: A reference in your rule statement is not valid., field: RULE, parameter: Statement",
    )


def create_named(api: Any, rules: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return create(api, *rules, name="other", **more)


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([rule("a", PATH), rule("a", PATH, 1)], "RULE"),
        ([rule("a", PATH), rule("b", PATH)], "RULE"),
        ([rule("a", {**PATH, "GeoMatchStatement": {"CountryCodes": ["DE"]}})], "STATEMENT"),
        ([rule("a", {"OrStatement": {"Statements": [PATH]}})], "OR_STATEMENT"),
        ([rule("a", {"NotStatement": {"Statement": {"RateBasedStatement": {"Limit": 100, "AggregateKeyType": "IP"}}}})],
         "STATEMENT"),
        ([rule("a", {"RateBasedStatement": {"Limit": 100, "EvaluationWindowSec": 90, "AggregateKeyType": "IP"}})],
         "RATE_BASED_STATEMENT"),
        ([rule("a", {"RateBasedStatement": {"Limit": 100, "AggregateKeyType": "CONSTANT"}})], "SCOPE_DOWN"),
        ([rule("a", {"RateBasedStatement": {"Limit": 100, "AggregateKeyType": "FORWARDED_IP"}})],
         "FORWARDED_IP_CONFIG"),
        ([rule("a", {"RegexMatchStatement": {"RegexString": "(?=a)", "FieldToMatch": {"UriPath": {}},
                                             "TextTransformations": NONE}})], "REGEX_PATTERN_SET"),
        ([rule("a", PATH, Action={"Block": {"CustomResponse": {"ResponseCode": 403,
                                                               "CustomResponseBodyKey": "none"}}})], "CUSTOM_RESPONSE"),
        ([rule("a", {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}})],
         "RULE"),
    ],
)  # fmt: skip
def test_rules_that_are_not_valid(api: Any, rules: list[dict[str, Any]], field: str) -> None:
    code, message = refused(create_named, api=api, rules=rules)
    assert code == "WAFInvalidParameterException"
    assert f", field: {field}, parameter: " in message


@pytest.mark.parametrize("address", ["10.0.0.1", "0.0.0.0/0", "10.0.0.0/33", "::1/128", "here"])
def test_addresses_that_are_not_valid(api: Any, address: str) -> None:
    with pytest.raises(ClientError, match=f"field: IP_ADDRESS, parameter: {re.escape(address)}"):
        ip_set(api, address)


def test_capacity(api: Any) -> None:
    lowered = {"ByteMatchStatement": {**PATH["ByteMatchStatement"], "PositionalConstraint": "CONTAINS",
                                      "TextTransformations": [{"Priority": 0, "Type": "LOWERCASE"}]}}  # fmt: skip
    limit = {"RateBasedStatement": {"Limit": 100, "AggregateKeyType": "IP", "ScopeDownStatement": PATH}}
    rules = [rule("a", PATH), rule("b", lowered, 1), rule("c", {"AndStatement": {"Statements": [PATH, PATH]}}, 2),
             rule("d", limit, 3)]  # fmt: skip
    assert api.check_capacity(**REGIONAL, Rules=rules)["Capacity"] == 2 + 20 + 4 + 4
    acl = create(api, *rules)
    assert api.get_web_acl(**named(acl))["WebACL"]["Capacity"] == 30
    assert refused(
        api.create_rule_group, Name="small", **REGIONAL, Capacity=29, VisibilityConfig=VISIBLE, Rules=rules
    )[0] == "WAFLimitsExceededException"  # fmt: skip
    many = [rule(f"r{i}", lowered, i) for i in range(251)]
    assert refused(create_named, api=api, rules=many)[0] == "WAFLimitsExceededException"


def test_sampled_requests(api: Any, journal: Journal) -> None:
    acl = create(api, rule("admin", PATH))["ARN"]
    now = datetime.now(UTC)
    sample = Sample(now, "ALLOW", "10.0.0.1", "GET", "/admin", "HTTP/1.1", (("Host", "x"),), (), 403)
    journal.take(acl, {"action": "BLOCK", "rule": "admin", "labels": "a:b c:d"}, sample)
    journal.take(acl, {"action": "ALLOW", "rule": "Default_Action", "counted": "admin"}, sample)
    asked = {
        "WebAclArn": acl,
        **REGIONAL,
        "TimeWindow": {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1)},
        "MaxItems": 10,
    }
    answer = api.get_sampled_requests(**asked, RuleMetricName="admin")
    assert answer["PopulationSize"] == 2
    blocked, counted = answer["SampledRequests"]
    assert blocked["Action"] == "BLOCK"
    assert blocked["ResponseCodeSent"] == 403
    assert [label["Name"] for label in blocked["Labels"]] == ["a:b", "c:d"]
    assert blocked["Request"]["ClientIP"] == "10.0.0.1"
    assert counted["Action"] == "COUNT"
    assert len(api.get_sampled_requests(**asked, RuleMetricName="front")["SampledRequests"]) == 1
    assert refused(api.get_sampled_requests, **asked, RuleMetricName="nobody")[0] == "WAFInvalidParameterException"
