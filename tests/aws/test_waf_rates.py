"""Rate-based rules, by a real Envoy with two workers (AWS WAF developer guide, "Rate-based rule statement")."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from tests.aws.waf_world import Front, acl, byte_match, rule
from tests.aws.waf_world import serving as serving_at

PATH: dict[str, Any] = {"UriPath": {}}
FROZEN = 0.001
"""At this pace no request is let through because some time has passed: Envoy fills a bucket little by little."""

serving = partial(serving_at, pace=FROZEN)


def rate(limit: int, by: str = "IP", scope: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    inner = {"Limit": limit, "EvaluationWindowSec": 300, "AggregateKeyType": by, **more}
    return {"RateBasedStatement": {**inner, **({"ScopeDownStatement": scope} if scope else {})}}


def on(path: str) -> dict[str, Any]:
    return byte_match(PATH, "STARTS_WITH", path)


async def statuses(front: Front, count: int, target: str = "/", **headers: str) -> list[int]:
    return [(await front.get(target, **headers)).status for _ in range(count)]


async def test_requests_beyond_the_limit_are_blocked() -> None:
    async with serving(acl(rule("often", rate(10)))) as front:
        answers = await asyncio.gather(*(front.get() for _ in range(30)))  # over several connections and both workers
    assert sorted(answer.status for answer in answers) == [200] * 10 + [403] * 20


async def test_the_window_passes_in_time() -> None:
    async with serving_at(acl(rule("often", rate(10))), pace=100) as front, asyncio.timeout(60):  # 300 s in 3 s
        while 403 not in {answer.status for answer in await asyncio.gather(*(front.get() for _ in range(40)))}:
            pass
        while await statuses(front, 1) != [200]:
            pass


async def test_only_what_the_scope_down_statement_matches_is_counted() -> None:
    document = acl(rule("login", rate(10, scope=on("/login"))), rule("count", on("/"), "Count"))
    async with serving(document) as front:
        assert await statuses(front, 15) == [200] * 15
        assert await statuses(front, 12, "/login") == [200] * 10 + [403] * 2
        assert await statuses(front, 2) == [200] * 2
        assert (await front.get("/")).outcome["counted"] == "count"


async def test_a_request_that_was_decided_before_is_not_counted() -> None:
    async with serving(acl(rule("open", on("/open"), "Allow"), rule("often", rate(10)))) as front:
        assert await statuses(front, 15, "/open") == [200] * 15
        assert await statuses(front, 11) == [200] * 10 + [403]
        assert await statuses(front, 1, "/open") == [200]


async def test_by_a_forwarded_address() -> None:
    config = {"HeaderName": "X-Forwarded-For", "FallbackBehavior": "MATCH"}
    async with serving(acl(rule("often", rate(10, "FORWARDED_IP", ForwardedIPConfig=config)))) as front:
        assert await statuses(front, 11, X_Forwarded_For="1.1.1.1") == [200] * 10 + [403]
        assert await statuses(front, 2, X_Forwarded_For="1.1.1.2, 1.1.1.1") == [200] * 2
        assert await statuses(front, 12) == [200] * 12  # without the header the rule doesn't apply
        assert await statuses(front, 1, X_Forwarded_For="nonsense") == [403]


async def test_by_a_constant_and_by_custom_keys() -> None:
    keys = [
        {"Header": {"Name": "X-Tenant", "TextTransformations": [{"Priority": 0, "Type": "LOWERCASE"}]}},
        {"HTTPMethod": {}},
    ]
    document = acl(
        rule("tenant", rate(10, "CUSTOM_KEYS", CustomKeys=keys)),
        rule("all", rate(12, "CONSTANT", scope=on("/all"))),
    )
    async with serving(document) as front:
        assert await statuses(front, 11, X_Tenant="a") == [200] * 10 + [403]
        assert await statuses(front, 1, X_Tenant="A") == [403]
        assert await statuses(front, 1, X_Tenant="b") == [200]
        assert await statuses(front, 1, method="POST", X_Tenant="a") == [200]
        assert await statuses(front, 13, "/all") == [200] * 12 + [403]


async def test_several_rate_based_rules_and_labels_between_them() -> None:
    document = acl(
        rule("soft", rate(10), "Count", RuleLabels=[{"Name": "busy"}]),
        rule("busy", {"LabelMatchStatement": {"Scope": "LABEL", "Key": "busy"}}, {"Count": {
            "CustomRequestHandling": {"InsertHeaders": [{"Name": "a", "Value": "busy"}]}}}),
        rule("hard", rate(20)),
    )  # fmt: skip
    async with serving(document) as front:
        answers = [await front.get(X_Gatewright_Waf_Limited="1") for _ in range(22)]  # nobody can limit himself
    assert [answer.status for answer in answers] == [200] * 20 + [403] * 2
    assert [answer.outcome.get("counted") for answer in answers[:20]] == [None] * 10 + ["soft busy"] * 10
    assert answers[10].headers["got-a"] == "busy"
