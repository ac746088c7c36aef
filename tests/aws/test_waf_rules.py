"""In which order rules of a web ACL act and what they do to a request, by a real Envoy (AWS WAF developer guide)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from tests.aws.waf_world import ACCOUNT, acl, byte_match, ordered, regex_match, rule, serving

from gatewright.local.aws.waf import Unsupported, filters, translate

PATH: dict[str, Any] = {"UriPath": {}}
ANY = byte_match(PATH, "STARTS_WITH", "/")
OWN_GROUP = "arn:aws:wafv2:us-east-1:123456789012:regional/rulegroup/own/1"


def on(path: str) -> dict[str, Any]:
    return byte_match(PATH, "STARTS_WITH", path)


async def test_a_blocked_request_is_answered_as_an_alb_does() -> None:
    async with serving(acl(rule("closed", ANY))) as front:
        answer = await front.get()
    assert answer.status == 403
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["content-length"] == "118"
    assert "<center><h1>403 Forbidden</h1></center>" in answer.body


async def test_the_first_rule_that_allows_or_blocks_decides() -> None:
    rules = [
        {"Priority": 20, **rule("later", on("/a"), "Block")},
        {"Priority": 10, **rule("earlier", on("/a/open"), "Allow")},
    ]
    async with serving(acl(Rules=rules)) as front:
        assert (await front.get("/a")).status == 403
        answer = await front.get("/a/open")
        assert answer.status == 200
        assert answer.outcome["rule"] == "earlier"
        assert (await front.get("/b")).outcome == {"action": "ALLOW", "rule": "Default_Action", "asked": False}


async def test_the_default_action_may_block() -> None:
    async with serving(acl(rule("open", on("/open"), "Allow"), default="Block")) as front:
        assert (await front.get("/open")).status == 200
        assert (await front.get("/")).status == 403


async def test_counting_goes_on_with_the_next_rule() -> None:
    document = acl(
        rule("one", on("/a"), "Count"), rule("two", on("/a/b"), "Count"), rule("three", on("/a/b/c"), "Block")
    )
    async with serving(document) as front:
        assert (await front.get("/")).outcome.get("counted") is None
        assert (await front.get("/a")).outcome["counted"] == "one"
        assert (await front.get("/a/b")).outcome["counted"] == "one two"
        assert (await front.get("/a/b/c")).status == 403


async def test_custom_responses() -> None:
    response = {
        "ResponseCode": 429,
        "CustomResponseBodyKey": "wait",
        "ResponseHeaders": [{"Name": "Retry-After", "Value": "30"}, {"Name": "X-Why", "Value": 'a "b" \\ ü'}],
    }
    document = acl(
        rule("busy", on("/busy"), {"Block": {"CustomResponse": response}}),
        rule("moved", on("/moved"), {"Block": {"CustomResponse": {
            "ResponseCode": 302, "ResponseHeaders": [{"Name": "Location", "Value": "https://example.com/"}]}}}),
        default={"Block": {"CustomResponse": {"ResponseCode": 404}}},
        CustomResponseBodies={"wait": {"ContentType": "APPLICATION_JSON", "Content": '{"wait": "30 s"}\n'}},
    )  # fmt: skip
    async with serving(document) as front:
        answer = await front.get("/busy")
        assert (answer.status, answer.body) == (429, '{"wait": "30 s"}\n')
        assert answer.headers["retry-after"] == "30"
        assert answer.headers["content-type"] == "application/json"
        moved = await front.get("/moved")
        assert (moved.status, moved.headers["location"], moved.body) == (302, "https://example.com/", "")
        assert (await front.get("/")).status == 404


async def test_inserted_headers() -> None:
    def inserting(**headers: str) -> dict[str, Any]:
        return {
            "CustomRequestHandling": {
                "InsertHeaders": [{"Name": name, "Value": text} for name, text in headers.items()]
            }
        }

    document = acl(
        rule("count", on("/a"), {"Count": inserting(a="counted")}),
        rule("allow", on("/a/b"), {"Allow": inserting(b="allowed")}),
        default={"Allow": inserting(b="default")},
    )
    async with serving(document) as front:
        assert _got(await front.get("/a/b")) == ("counted", "allowed")
        assert _got(await front.get("/a")) == ("counted", "default")
        answer = await front.get("/a", x_amzn_waf_a="the client's")  # is overwritten, not added to
        assert _got(answer) == ("counted", "default")


def _got(answer: Any) -> tuple[str | None, str | None]:
    return answer.headers.get("got-a"), answer.headers.get("got-b")


async def test_labels() -> None:
    def labelled(scope: str, key: str) -> dict[str, Any]:
        return {"LabelMatchStatement": {"Scope": scope, "Key": key}}

    document = acl(
        rule("early", labelled("LABEL", "area:admin")),  # labels are seen by later rules only
        rule("mark", on("/admin"), "Count", RuleLabels=[{"Name": "area:admin"}]),
        rule("mark too", on("/x"), "Count", RuleLabels=[{"Name": "kind:x"}]),
        rule("label", labelled("LABEL", "area:admin")),
        rule("namespace", labelled("NAMESPACE", f"{ACCOUNT}kind:")),
    )
    async with serving(document) as front:
        assert (await front.get("/admin")).status == 403
        assert (await front.get("/x")).status == 403
        assert (await front.get("/y")).status == 200


@pytest.mark.parametrize("override", ["None", "Count"])
async def test_own_rule_groups(override: str) -> None:
    namespace = "awswaf:123456789012:rulegroup:own:"
    group = {
        "Name": "own",
        "LabelNamespace": namespace,
        "CustomResponseBodies": {"no": {"ContentType": "TEXT_PLAIN", "Content": "no"}},
        "Rules": ordered(
            rule("mark", on("/a"), "Count", RuleLabels=[{"Name": "a"}]),
            rule("close", on("/a/closed"), {"Block": {"CustomResponse": {
                "ResponseCode": 418, "CustomResponseBodyKey": "no"}}}),
            rule("softened", on("/soft"), "Block"),
            rule("last", on("/a/closed"), "Count"),
        ),
    }  # fmt: skip
    reference = {
        "Name": "ours",
        "Statement": {
            "RuleGroupReferenceStatement": {
                "ARN": OWN_GROUP,
                "RuleActionOverrides": [{"Name": "softened", "ActionToUse": {"Count": {}}}],
            }
        },
        "OverrideAction": {override: {}},
    }
    document = acl(
        reference,
        rule("after", {"LabelMatchStatement": {"Scope": "LABEL", "Key": f"{namespace}a"}}, "Count"),
        groups={OWN_GROUP: group},
    )
    async with serving(document) as front:
        assert (await front.get("/soft")).outcome["counted"] == "ours/softened"
        assert (await front.get("/a")).outcome["counted"] == "ours/mark after"
        closed = await front.get("/a/closed")
        if override == "None":
            assert (closed.status, closed.body) == (418, "no")
        else:
            assert closed.outcome["counted"] == "ours/mark ours/close after"  # and not `last`


async def test_what_cannot_be_evaluated_is_told_of_and_passed() -> None:
    geo = {"GeoMatchStatement": {"CountryCodes": ["KP"]}}
    managed = {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}}
    document = acl(
        rule("geo", {"OrStatement": {"Statements": [on("/"), geo]}}),
        {"Name": "common", "Statement": managed, "OverrideAction": {"None": {}}},
        rule("body", byte_match({"Body": {}}, "CONTAINS", "x")),
        rule("md5", byte_match(PATH, "CONTAINS", "x", "MD5")),
        rule("lookahead", regex_match(PATH, "(?=x)")),
        rule("gone", {"IPSetReferenceStatement": {"ARN": "arn:gone"}}),
        rule("puzzle", on("/"), "Captcha"),
        rule("real", on("/closed")),
    )
    told = translate(document).unsupported
    assert [each.rule for each in told] == ["geo", "common", "body", "md5", "lookahead", "gone", "puzzle"]
    assert told[0] == Unsupported("geo", "GeoMatchStatement", "where an address is can't be told here")
    async with serving(document) as front:
        answer = await front.get("/")
        assert answer.status == 200
        assert answer.outcome["skipped"] == "geo common body md5 lookahead gone puzzle"
        assert (await front.get("/closed")).status == 403


@pytest.mark.parametrize(
    "broken",
    [
        {"Name": "x", "Statement": {}},
        {"Name": "x", "Statement": None},
        {"Name": "x"},
        {"Name": "x", "Statement": {"ByteMatchStatement": {}}},
        {"Name": "x", "Statement": {"What": {}}},
        {"Name": "x", "Statement": {"AndStatement": {"Statements": [[]]}}},
        {"Name": "x", "Statement": ANY, "Action": {"Block": {"CustomResponse": {"ResponseHeaders": []}}}},
        {"Name": "x", "Statement": ANY, "Action": {"Explode": {}}},
        {"Name": "x", "Statement": {"IPSetReferenceStatement": {"ARN": "odd"}}},
        {"Name": "x", "Statement": {"RateBasedStatement": {"AggregateKeyType": "CUSTOM_KEYS", "CustomKeys": [{}]}}},
        {"Name": "x", "Statement": {"RuleGroupReferenceStatement": {"ARN": "gone"}}},
    ],
)
async def test_a_rule_that_makes_no_sense_costs_itself_only(broken: dict[str, Any]) -> None:
    document = acl(broken, rule("closed", on("/closed")), ip_sets={"odd": ["no address"]})
    assert [each.rule for each in translate(document).unsupported] == ["x"]
    async with serving(document) as front:
        assert (await front.get("/")).outcome["skipped"] == "x"
        assert (await front.get("/closed")).status == 403


@pytest.mark.parametrize("body", [{"Rules": [{}]}, {"Rules": 7}, {"DefaultAction": 7}])
async def test_a_web_acl_that_makes_no_sense_lets_nothing_pass(body: dict[str, Any]) -> None:
    document = acl(**body)
    assert [each.statement for each in translate(document).unsupported] == ["WebACL"]
    async with serving(document) as front:
        assert (await front.get("/")).status == 500


async def test_no_web_acl_is_too_large_for_envoy() -> None:
    """What can't be served costs its own rule, never the listener."""
    deep: dict[str, Any] = on("/x")
    for _ in range(300):
        deep = {"NotStatement": {"Statement": deep}}
    wide = {"OrStatement": {"Statements": [on(f"/wide/{i}/") for i in range(1000)]}}
    document = acl(
        rule("deep", deep),
        rule("wide", wide),
        rule("regex", regex_match(PATH, "(?:a{999}|b{999}){99}")),
        rule("many", {"IPSetReferenceStatement": {"ARN": "arn:many"}}),
        *(rule(f"r{i}", on(f"/r/{i}/")) for i in range(1500)),
        ip_sets={"arn:many": [f"10.{i // 250}.{i % 250}.0/25" for i in range(10_000)]},
    )
    assert [each.rule for each in translate(document).unsupported] == ["deep", "regex"]
    async with serving(document) as front:
        assert (await front.get("/wide/999/")).status == 403
        assert (await front.get("/r/1499/")).outcome == {}
        assert (await front.get("/r/1500/")).status == 200


async def test_headers_that_http_has_no_form_for_are_left_out() -> None:
    response = {"ResponseCode": 403, "ResponseHeaders": [{"Name": "X-A", "Value": "a\r\nx-b: c"}]}
    inserted = {"InsertHeaders": [{"Name": "a", "Value": "x\ny"}, {"Name": "b", "Value": "fine"}]}
    document = acl(
        rule("out", on("/out"), {"Block": {"CustomResponse": response}}),
        default={"Allow": {"CustomRequestHandling": inserted}},
    )
    assert [(each.rule, each.statement) for each in translate(document).unsupported] == [
        ("out", "CustomHTTPHeader"),
        ("Default_Action", "CustomHTTPHeader"),
    ]
    async with serving(document) as front:
        assert {"x-a", "x-b"}.isdisjoint((await front.get("/out")).headers)
        assert _got(await front.get("/")) == (None, "fine")


@pytest.mark.parametrize(("fail_open", "status"), [(False, 500), (True, 200)])
async def test_an_evaluation_that_fails(fail_open: bool, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "_content", lambda _: "RULES = {{}}")  # a rule without all that a rule has
    async with serving(acl(), fail_open=fail_open) as front:
        answer = await front.get()
    assert answer.status == status
    assert not fail_open or answer.outcome["failed"]
