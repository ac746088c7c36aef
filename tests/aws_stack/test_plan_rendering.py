"""Plans as users read them."""

from __future__ import annotations

import json

from tests.aws_stack.stack_world import Account, imported, listener, rule, with_targets

from gatewright.aws.stack.plan import plan
from gatewright.aws.stack.rendering import document, summary, text


async def test_a_new_stack(account: Account) -> None:
    desired = account.stack(
        listener(rule("/metrics"), rule("/*", "shop/web:80"), port=443, protocol="HTTPS", certificates=("shop/tls",)),
        certificates=(imported("shop/tls"),),
        balancer={"attributes": {"idle_timeout.timeout_seconds": "30"}},
    )
    shown = text([plan(desired, await account.read())])
    assert shown.splitlines()[0] == "# Gateway shop/edge (alb, cluster prod)"
    for line in (
        "  + load balancer k8s-shop-edge-0123456789",
        '      + scheme: "internal"',
        '      + attributes: idle_timeout.timeout_seconds: "30"',
        "  + certificate shop/tls",
        "  + target group k8s-shop-web-80",
        '      + targets: "10.0.1.1:8080"',
        "  + listener HTTPS:443",
        '      + certificates: "shop/tls"',
        "  + rule 443, priority 100",
        '      + conditions: "path-pattern is /metrics"',
    ):
        assert line in shown.splitlines(), line
    assert shown.splitlines()[-1] == "Plan: 8 to create, 0 to change, 0 to replace, 0 to delete."
    assert "PRIVATE KEY" not in shown


async def test_changes_replacements_and_deletions(account: Account) -> None:
    before = account.stack(
        listener(rule("/a", "shop/web:80"), rule("/b")), balancer={"attributes": {"idle_timeout.timeout_seconds": "30"}}
    )
    _, actual = await account.become(before)
    after = account.stack(
        listener(rule("/new", "shop/web:80")),
        target_groups=(account.group("shop/web:80", ("10.0.1.2",), protocol="HTTPS"),),
        balancer={"attributes": {"idle_timeout.timeout_seconds": "40"}, "tags": {"team": "a"}},
    )
    shown = text([plan(after, actual)]).splitlines()
    for line in (
        "  ~ load balancer k8s-shop-edge-0123456789",
        '      ~ attributes: idle_timeout.timeout_seconds: "30" -> "40"',
        '      + tags: team: "a"',
        "  ~ rule 80, priority 100",
        '      - conditions: "path-pattern is /a"',
        '      + conditions: "path-pattern is /new"',
        "  - rule 80, priority 200",
        "Plan: 0 to create, 2 to change, 1 to replace, 1 to delete.",
    ):
        assert line in shown, line
    assert any(line.startswith("-/+ target group k8s-shop-web-80-") for line in shown)


async def test_targets_are_told_one_by_one(account: Account) -> None:
    desired = account.stack(listener(rule("/*", "shop/web:80")))
    _, actual = await account.become(desired)
    shown = text([plan(with_targets(desired, "shop/web:80", "10.0.1.2"), actual)])
    assert '      - targets: "10.0.1.1:8080"\n      + targets: "10.0.1.2:8080"' in shown
    assert shown.count("targets") == 2


async def test_nothing_to_do_and_what_cannot_be_done(account: Account) -> None:
    desired = account.stack(listener())
    _, actual = await account.become(desired)
    assert text([plan(desired, actual)]) == "No changes. What AWS has is what is asked for."
    blocked = plan(None, actual, protected=False)
    assert summary([blocked])["delete"] == 3
    await account.become(None)
    await account.aws.call(
        "elbv2", "create_load_balancer", Name=desired.load_balancer.name, Subnets=account.seeded.private
    )
    shown = text([plan(desired, await account.read())])
    assert "  ! a load balancer named k8s-shop-edge-0123456789 exists" in shown


async def test_colours_only_when_asked_for(account: Account) -> None:
    todo = plan(account.stack(listener()), await account.read())
    assert "\x1b" not in text([todo])
    coloured = text([todo], colours=True)
    assert "\x1b[32m  + listener HTTP:80\x1b[0m" in coloured.splitlines()


async def test_json(account: Account) -> None:
    desired = account.stack(listener(rule("/*", "shop/web:80")))
    told = json.loads(json.dumps(document([plan(desired, await account.read())])))
    assert told["format_version"] == "1.0"
    assert told["empty"] is False
    assert told["summary"] == {"create": 5, "change": 0, "replace": 0, "delete": 0} | {
        "create": len(told["stacks"][0]["changes"])
    }
    (stack,) = told["stacks"]
    assert (stack["cluster"], stack["kind"], stack["id"], stack["conflicts"]) == ("prod", "alb", "shop/edge", [])
    balancer = stack["changes"][0]
    assert (balancer["action"], balancer["thing"]) == ("create", "load balancer")
    assert {"name": "scheme", "old": None, "new": "internal"} in balancer["attributes"]
