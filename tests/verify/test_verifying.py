"""How checks are carried out and told: at once, each within its time, in the same order, whatever breaks."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec
import pytest
from tests.verify.verified_cluster import EDGE, Told, outcomes

from gatewright.aws.errors import AccessDenied
from gatewright.cluster import Client
from gatewright.platform.report import Check, Outcome, Report
from gatewright.platform.targets import Settings, Target
from gatewright.platform.verify import IDS, Surroundings, advice, inspections, render, running, verify
from gatewright.platform.verify.advice import TABLE, advise, has_advice
from gatewright.platform.verify.inspections import INSPECTIONS, Inspection
from gatewright.platform.verify.view import View

ROOM = Path(inspections.__file__).parent


async def test_a_check_that_breaks_fails_alone(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(_: View) -> list[Check]:
        raise ValueError("what nobody thought of")

    await told.write(EDGE)
    broken = Inspection(("broken",), "something", "is fine", breaks)
    monkeypatch.setattr(running, "INSPECTIONS", (broken, *INSPECTIONS))
    report = await told.verify("broken", "placement")
    assert [(check.id, check.outcome.value) for check in report.checks] == [
        ("broken", "failed"),
        ("placement", "skipped"),
    ]
    assert report.checks[0].found == "the check itself broke: ValueError: what nobody thought of"
    assert "a fault of gatewright" in report.checks[0].advice


async def test_what_somebody_may_not_look_at_is_skipped(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    async def denied(_: View) -> list[Check]:
        raise AccessDenied("AccessDeniedException", "not authorized", "wafv2:get_web_acl_for_resource")

    monkeypatch.setattr(running, "INSPECTIONS", (Inspection(("web-acl",), "the ALB", "has a web ACL", denied),))
    [check] = (await told.verify("web-acl")).checks
    assert check.outcome.value == "skipped"
    assert check.found.startswith("not permitted to look: wafv2:get_web_acl_for_resource")


async def test_a_check_that_hangs_ends(told: Told) -> None:
    async def hangs(_: View) -> list[Check]:
        await asyncio.Event().wait()
        return []

    slow = Inspection(("slow",), "something", "is fine", hangs)
    view = View(Surroundings(settings=Settings(target=Target.AWS), client=told.client))
    (check,) = await running._carry_out(slow, view, 0.05)
    assert check.id == "slow"
    assert check.outcome is Outcome.FAILED
    assert "within 0.05 s" in check.found


async def test_a_cluster_that_does_not_answer_is_told_once(told: Told) -> None:
    async with Client.with_token("https://127.0.0.1:9", "token", _authority()) as client:
        surroundings = Surroundings(settings=Settings(target=Target.AWS), client=client)
        report = await verify(surroundings, timeout=120.0)
    failed = [check for check in report.checks if check.outcome is Outcome.FAILED]
    assert [check.id for check in failed] == ["cluster"]
    assert "kubectl get --raw /readyz" in failed[0].advice
    assert {check.found for check in report.checks[1:]} == {"not looked at, since the cluster can't be asked"}
    assert not report.ok


def _authority() -> bytes:
    from gatewright.local.certificates import Authority

    return Authority.create().pem


async def test_the_order_is_the_same_each_time(told: Told) -> None:
    await told.write(EDGE)
    reports = [await told.verify() for _ in range(3)]
    orders = [[(check.id, check.subject) for check in report.checks] for report in reports]
    assert orders[0] == orders[1] == orders[2]
    ids = list(dict.fromkeys(id_ for id_, _ in orders[0]))
    assert ids == [id_ for id_ in IDS if id_ in ids]


async def test_nothing_is_changed(told: Told) -> None:
    await told.write(EDGE)
    asked = []

    def permit(method: str, path: str) -> None:
        asked.append((method, path))

    told.client._permit = permit
    await told.verify()
    assert {method for method, _ in asked} == {"GET"}


async def test_a_platform_that_is_not_there_is_not_verified(told: Told) -> None:
    report = await told.verify(outputs=None)
    assert Outcome.FAILED not in {check.outcome for check in report.checks if check.id == "application"}
    assert outcomes(report, ids=("status",)) == {}


# --- the table of advice ----------------------------------------------------------------------------------------------


def _calls() -> list[tuple[str, str]]:
    """Topic and reason of each call of `advise` that names both."""
    texts = [path.read_text() for path in ROOM.glob("*.py")]
    return [pair for text in texts for pair in re.findall(r'advise\(\s*"([^"]+)",\s*"([^"]*)"', text)]


def test_each_reason_that_is_named_has_advice() -> None:
    found = _calls()
    assert len(found) > 50
    assert [pair for pair in found if not has_advice(*pair)] == []


def test_advice_says_something_concrete() -> None:
    """A command, an object or a check to look at."""
    for (topic, reason), text in TABLE.items():
        assert text.endswith((".", "`", ")")), (topic, reason)
        assert len(text) > 40, (topic, reason)


def test_the_texts_of_a_topic_speak_of_the_same_names() -> None:
    """So that whoever asks for advice on a topic can be given any of its texts."""
    permitted = {
        "reach": set(),
        "dns": {"name", "door"},
        "endpoint": {"door", "url", "host", "route", "namespace", "gateway", "gateway_namespace", "gateway_name"},
        "redirect": {"door"},
        "certificate": {"name", "door", "secret", "gateway"},
        "tls-version": {"door"},
        "acm": {"arn"},
        "load-balancer": {"gateway", "namespace", "service", "name"},
        "target": {"group", "target", "check", "matcher", "protocol"},
        "access-logs": {"door"},
        "web-acl": {"door"},
        "status": {"kind", "object", "namespace", "name"},
        "finalizer": {"object", "namespace", "finalizers"},
        "application": {"name", "namespace"},
        "argocd": {"name", "namespace"},
        "controller": {"name", "namespace"},
        "node": {"node", "group"},
        "pod": {"namespace", "pod", "taint", "label", "node"},
        "isolation": {"namespace", "name"},
        "mesh": {"namespace"},
        "network-policy": {"namespace"},
        "azure": {"group", "name", "address"},
    }
    assert {topic for topic, _ in TABLE} == permitted.keys()
    for (topic, reason), text in TABLE.items():
        names = {name for _, name, _, _ in Formatter().parse(text) if name}
        assert names <= permitted[topic], (topic, reason)
        advise(topic, reason, **dict.fromkeys(permitted[topic], "x"))


def test_the_tables_do_not_overlap() -> None:
    tables = (advice.front.TABLE, advice.objects.TABLE, advice.places.TABLE)
    assert sum(map(len, tables)) == len(TABLE)


# --- the report as text -----------------------------------------------------------------------------------------------


def _check(id_: str, subject: str, outcome: Outcome, found: str = "it is", **more: Any) -> Check:
    return Check(id=id_, subject=subject, outcome=outcome, expected="as it should be", found=found, **more)


def test_text_tells_what_failed_in_full_and_the_rest_in_short() -> None:
    report = Report(
        target="local",
        architecture="chained",
        at="2026-11-22T00:00:00Z",
        checks=(
            *(_check("endpoint", f"https://a/{number}", Outcome.PASSED) for number in range(5)),
            _check("endpoint", "https://a/x", Outcome.FAILED, "404", advice="Look at the route."),
            _check("dns", "a", Outcome.SKIPPED, "no zone"),
            _check("dns", "b", Outcome.SKIPPED, "no zone"),
        ),
    )
    assert (
        "\n".join(render(report))
        == """\
endpoint  ok       https://a/0, https://a/1, https://a/2 and 2 more: as it should be
endpoint  FAILED   https://a/x
      expected: as it should be
      found:    404
      next:     Look at the route.
dns       skipped  a, b: no zone
not verified: 5 passed, 1 failed, 2 skipped (local, chained)"""
    )


def test_the_report_is_json_and_back() -> None:
    report = Report(
        target="aws", architecture="direct", at="2026-11-22T00:00:00Z", checks=(_check("dns", "a", Outcome.PASSED),)
    )
    encoded = msgspec.json.encode(report)
    assert msgspec.json.decode(encoded, type=Report) == report
    assert b'"outcome":"passed"' in encoded
    assert report.ok
