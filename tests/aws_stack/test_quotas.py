"""What goes over AWS's quotas is told by name before anything is changed."""

from __future__ import annotations

import pytest
from tests.aws_stack.stack_world import Account, listener, rule

from gatewright.aws.stack.desired import (
    DesiredRule,
    DesiredSecurityGroup,
    Forward,
    RuleCondition,
    SecurityRule,
    Share,
    Stack,
)
from gatewright.aws.stack.quotas import DEFAULTS, Quotas, check, counted, read_quotas, wildcards
from gatewright.local.aws.elbv2.quotas import LIMITS
from gatewright.model.meta import Key
from gatewright.topology import Origin


def from_route(name: str, number: int, *conditions: RuleCondition, namespace: str = "shop") -> DesiredRule:
    origin = Origin("HTTPRoute", Key(namespace, name), "1", f"spec.rules[{number}].matches[0]")
    made = rule(f"/{name}/{number}")
    return DesiredRule(conditions or made.conditions, made.actions, origins=(origin,))


def test_the_defaults_are_those_that_aws_tells() -> None:
    assert all(LIMITS[name] == most for name, most in DEFAULTS.items() if name in LIMITS)


async def test_raised_quotas_are_read(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await read_quotas(account.aws)).raised == {}
    monkeypatch.setitem(LIMITS, "rules-per-application-load-balancer", 200)
    quotas = await read_quotas(account.aws)
    assert quotas.rules == 200
    assert quotas["listeners-per-application-load-balancer"] == 50


def test_a_stack_within_the_quotas_has_no_problem(account: Account) -> None:
    assert check(account.stack(listener(*(rule(f"/{number}") for number in range(100))))) == ()


def test_the_rules_that_go_over_are_named_with_their_routes(account: Account) -> None:
    first = [from_route("a", number) for number in range(99)]
    last = [from_route("b", number) for number in range(3)]
    (problem,) = check(account.stack(listener(*first, *last)))
    assert (problem.quota, problem.found, problem.allowed) == ("rules-per-application-load-balancer", 102, 100)
    assert problem.rules == tuple(last[1:])
    assert [origin.field for origin in problem.origins] == ["spec.rules[1].matches[0]", "spec.rules[2].matches[0]"]
    assert "HTTPRoute shop/b spec.rules[1].matches[0], HTTPRoute shop/b spec.rules[2].matches[0]" in problem.message
    assert "ask AWS for a higher quota" in problem.message
    assert check(account.stack(listener(*first, *last)), Quotas({problem.quota: 102})) == ()


def test_rules_are_shared_out_by_namespaces_and_guards_stay(account: Account) -> None:
    greedy = [from_route("many", number, namespace="greedy") for number in range(300)]
    modest = [from_route("few", number, namespace="modest") for number in range(30)]
    guards = [rule(f"/guard/{number}") for number in range(5)]
    (problem,) = check(account.stack(listener(*greedy, *modest, *guards)))
    assert (problem.found, problem.allowed) == (335, 100)
    assert problem.rules == tuple(greedy[65:])  # 100, without 5 guards and the 30 that others need


def test_each_listener_keeps_its_first_rules(account: Account) -> None:
    many = [from_route("many", number) for number in range(150)]
    few = [from_route("few", number) for number in range(10)]
    (problem,) = check(account.stack(listener(*many), listener(*few, port=81)))
    assert {origin.key.name for origin in problem.origins} == {"many"}
    assert len(problem.rules) == 60


def test_a_rule_that_says_too_much_is_named(account: Account) -> None:
    paths = RuleCondition("path-pattern", tuple(f"/{number}" for number in range(6)))
    stars = RuleCondition("path-pattern", ("/*/*/*/*/*/*",))
    groups = tuple(Share(f"group-{number}") for number in range(6))
    shared = DesiredRule((RuleCondition("path-pattern", ("/",)),), (Forward(groups),))
    problems = check(account.stack(listener(from_route("a", 0, paths), from_route("b", 0, stars), shared)))
    assert [(problem.quota, problem.found, problem.allowed) for problem in problems] == [
        ("condition-values-per-alb-rule", 6, 5),
        ("condition-wildcards-per-alb-rule", 6, 5),
        ("target-groups-per-action-on-application-load-balancer", 6, 5),
    ]
    assert "rule of HTTPRoute shop/a spec.rules[0].matches[0] on port 80" in problems[0].message


def test_everything_else_that_is_counted(account: Account) -> None:
    group = account.group("shop/web:80", tuple(f"10.0.{number // 250}.{number % 250}" for number in range(1001)))
    wide = DesiredSecurityGroup(
        "sg", "sg", "", "vpc", tuple(SecurityRule("tcp", 80, 80, cidr=f"10.{n}.0.0/16") for n in range(61))
    )
    names = tuple(f"arn:{number}" for number in range(27))
    desired = account.stack(
        listener(rule("/*", "shop/web:80"), port=443, protocol="HTTPS", certificates=names),
        target_groups=(group,),
        security_groups=(wide,),
    )
    assert [problem.quota for problem in check(desired)] == [
        "certificates-per-application-load-balancer",
        "targets-per-target-group",
        "targets-per-application-load-balancer",
        "rules-per-security-group",
    ]
    many = account.stack(*(listener(port=port) for port in range(1, 52)), security_groups=())
    assert [problem.quota for problem in check(many)] == ["listeners-per-application-load-balancer"]
    full = {"application-load-balancers": 50, "target-groups": 2999}
    two = account.stack(listener(rule("/a", "a"), rule("/b", "b")))
    assert [problem.quota for problem in check(two, account=full)] == ["application-load-balancers", "target-groups"]


async def test_what_the_account_has_is_counted_without_the_stack_itself(account: Account) -> None:
    desired: Stack = account.stack(listener(rule("/*", "shop/web:80")))
    _, actual = await account.become(desired)
    assert counted([actual]) == {"application-load-balancers": 1, "target-groups": 1}
    assert counted([actual], desired) == {}


def test_wildcards_are_counted_as_aws_does() -> None:
    assert wildcards(RuleCondition("path-pattern", ("/a*", "/?/*"))) == 3
    assert wildcards(RuleCondition("path-pattern", (r"/\*",))) == 0
    assert wildcards(RuleCondition("query-string", pairs=(("a*", "b?"),))) == 2
    assert wildcards(RuleCondition("path-pattern", regex_values=(".*",))) == 0
