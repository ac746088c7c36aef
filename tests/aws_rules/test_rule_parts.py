"""Parts of the translation: patterns, weights, quotas, rules as they come (Ingress)."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from gatewright.aws.configuration.settings import RuleSettings
from gatewright.aws.rules import EMPTY_GROUP, ListenerRules, RuleContext, in_order, listener_rules
from gatewright.aws.rules.actions import scale
from gatewright.aws.rules.conditions import Dimension, Option
from gatewright.aws.rules.fitting import spread
from gatewright.aws.rules.patterns import anchored, escaped, host_regex, is_regex, query_value, wildcards
from gatewright.aws.stack.desired import (
    Forward,
    RedirectTo,
    Respond,
    RuleCondition,
    Share,
    Transform,
    ValidateJwt,
)
from gatewright.model.meta import Key
from gatewright.topology import (
    BackendKey,
    Extension,
    Filter,
    Match,
    Origin,
    PathMatch,
    Rule,
    RuleKey,
    WeightedBackend,
)

KEY = Key("apps", "shop/0/0")
EVERYTHING = PathMatch("PathPrefix", "/")


def rule(
    number: int = 0,
    *,
    path: PathMatch = EVERYTHING,
    filters: tuple[Filter, ...] = (),
    backends: tuple[str, ...] = ("one",),
    kind: str = "HTTPRoute",
) -> Rule:
    origin = Origin(kind, Key("apps", "shop"), "1", f"spec.rules[{number}].matches[0]")
    shares = tuple(WeightedBackend(BackendKey("apps", name, 80), 1) for name in backends)
    key = RuleKey(kind, origin.key, number, 0)
    return Rule(key, (number,), Match(path), filters, shares, origin)


def context(
    settings: RuleSettings | None = None, protocol: Literal["HTTP", "HTTPS"] = "HTTP", port: int = 80
) -> RuleContext:
    found = {KEY: settings} if settings else {}
    return RuleContext(protocol, port, found, lambda backend, _: "" if backend.service == "bad" else backend.service)


def as_ingress(settings: RuleSettings, **given: Any) -> ListenerRules:
    asked = rule(kind="Ingress", filters=(Extension("Ingress", KEY),))
    return in_order([(("a.example.com",), asked)], context(settings, **given))


# --- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("/a", "^/a$"),
        ("^/a$", "^/a$"),
        (r"/a\$", r"^/a\$$"),
        (r"/a\\$", r"^/a\\$"),
        ("/a|/b", "^(?:/a|/b)$"),
        ("^/a|/b$", "^(?:^/a|/b$)$"),
        ("", "^$"),
    ],
)
def test_an_expression_has_to_match_all(pattern: str, expected: str) -> None:
    assert anchored(pattern) == expected


@given(st.from_regex(r"\A[\^]?[ab/.|$()\[\]\\^*+?]{0,8}[$]?\Z"), st.text("ab/.$^", max_size=5))
def test_an_anchored_expression_finds_what_the_whole_one_matches(pattern: str, text: str) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        whole = re2.compile(pattern, options)
    except re2.error:
        return
    assert bool(re2.compile(anchored(pattern), options).search(text)) == bool(whole.fullmatch(text))


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), st.text(max_size=20))
def test_an_escaped_text_matches_just_itself(text: str, other: str) -> None:
    assert re2.fullmatch(escaped(text), text)
    assert bool(re2.fullmatch(escaped(text), other)) == (text == other)


def test_a_host_is_found_in_any_case_and_with_any_port() -> None:
    assert re.search(host_regex("a.example.com"), "A.Example.com:8080")
    assert not re.search(host_regex("a.example.com"), "xa.example.com")
    assert re.search(host_regex("*.example.com"), "a.b.example.com")
    assert not re.search(host_regex("*.example.com"), "example.com")


@pytest.mark.parametrize(("pattern", "expected"), [(r"\pL", False), (r"\\pL", True), ("é", False), ("a" * 129, False)])
def test_what_an_alb_takes_as_an_expression(pattern: str, expected: bool) -> None:
    assert is_regex(pattern) == expected


def test_wildcards_of_a_query_parameter_are_escaped() -> None:
    assert query_value("a*b?c\\") == "a\\*b\\?c\\\\"
    assert wildcards(query_value("a*b?")) == 0
    assert wildcards("a*b?") == 2


# --- weights ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=5).filter(any))
def test_weights_fit_and_keep_their_order(weights: list[int]) -> None:
    scaled, is_exact = scale(weights)
    assert max(scaled) <= 999
    assert [weight > 0 for weight in scaled] == [weight > 0 for weight in weights]
    pairs = sorted(zip(weights, scaled, strict=True))
    assert [weight for _, weight in pairs] == sorted(scaled)
    if is_exact:
        for weight, share in zip(weights, scaled, strict=True):
            assert abs(weight / sum(weights) - share / sum(scaled)) < 0.01


def test_a_backend_that_nothing_may_be_sent_to_leads_nowhere() -> None:
    found = listener_rules([("*", [rule(backends=("one", "bad"))])], context())
    assert found.rules[0].actions == (Forward((Share("one"), Share(EMPTY_GROUP))),)
    assert [each.dropped for each in found.refusals] == [False]
    assert listener_rules([("*", [rule(backends=("bad",))])], context()).rules[0].actions == (Respond("500"),)


# --- quotas ----------------------------------------------------------------------------------------------------------

_options = st.builds(
    lambda number, values, has_regex: Option(
        plain=tuple(f"/{number}/{value}" for value in range(values)), regex=f"^{number}$" if has_regex else ""
    ),
    st.integers(0, 99),
    st.integers(1, 2),
    st.booleans(),
)
_dimensions = st.lists(
    st.lists(_options, min_size=1, max_size=7, unique_by=lambda option: option.plain[0]), min_size=1, max_size=5
)


@given(_dimensions)
def test_spread_conditions_fit_and_say_the_same(drawn: list[list[Option]]) -> None:
    dimensions = tuple(Dimension("http-header", tuple(options), f"x-{number}") for number, options in enumerate(drawn))
    rules = spread(dimensions)
    if rules is None:
        assert sum(max(len(each.plain) for each in options) for options in drawn) > 5
        return
    for conditions in rules:
        assert sum(condition.size for condition in conditions) <= 5
        assert [condition.name for condition in conditions] == [dimension.name for dimension in dimensions]
    combinations = sum(_combinations(conditions, drawn) for conditions in rules)
    expected = 1
    for options in drawn:
        expected *= len(options)
    assert combinations == expected


def _combinations(conditions: tuple[RuleCondition, ...], drawn: list[list[Option]]) -> int:
    count = 1
    for condition, options in zip(conditions, drawn, strict=True):
        count *= sum(
            option.regex in condition.regex_values
            if condition.regex_values
            else set(option.plain) <= set(condition.values)
            for option in options
        )
    return count


# --- hostnames -------------------------------------------------------------------------------------------------------


def test_a_hostname_with_the_rules_of_the_wider_one_needs_none_of_its_own() -> None:
    rules = [rule(path=PathMatch("PathPrefix", "/a"))]
    found = listener_rules([("*.example.com", rules), ("a.example.com", rules)], context())
    assert [each.conditions[0].values for each in found.rules] == [("*.example.com",)]


def test_rules_that_none_can_reach_are_left_out() -> None:
    found = listener_rules([("a.example.com", [rule(0), rule(1, backends=("two",))])], context())
    assert len(found.rules) == 1


def test_a_hostname_without_rules_hides_wider_ones() -> None:
    found = listener_rules([("*", [rule()]), ("a.example.com", [])], context())
    assert [(each.conditions[0].values, type(each.actions[0])) for each in found.rules] == [
        (("a.example.com",), Respond),
        (("/*",), Forward),
    ]


# --- rules as they come (Ingress) ------------------------------------------------------------------------------------


def test_rules_in_order_keep_it() -> None:
    rules = [(("*",), rule(0)), (("a.example.com",), rule(1, path=PathMatch("Exact", "/a"), backends=("two",)))]
    found = in_order(rules, context())
    assert [each.conditions[0].field for each in found.rules] == ["path-pattern", "host-header"]


def test_all_conditions_go_instead_of_host_and_match_and_are_split() -> None:
    paths = RuleCondition("path-pattern", values=tuple(f"/{number}" for number in range(6)))
    hosts = RuleCondition("host-header", values=("a.example.com", "b.example.com"))
    found = as_ingress(RuleSettings(all_conditions=(hosts, paths)))
    assert [each.conditions[1].values for each in found.rules] == [("/0", "/1", "/2"), ("/3", "/4", "/5")]
    assert as_ingress(RuleSettings(all_conditions=())).rules[0].conditions == (RuleCondition("path-pattern", ("/*",)),)


def test_a_redirect_goes_instead_of_forwarding() -> None:
    elsewhere = RedirectTo("HTTP_301", protocol="HTTPS", port="443")
    assert as_ingress(RuleSettings(redirect=elsewhere)).rules[0].actions == (elsewhere,)
    loop = as_ingress(RuleSettings(redirect=elsewhere), protocol="HTTPS", port=443)
    assert loop.rules[0].actions == (Respond("503"),)
    assert loop.refusals[0].dropped


def test_existing_target_groups_get_their_share_and_transforms_are_kept() -> None:
    transform = Transform("url-rewrite", "^/a", "/b")
    found = as_ingress(RuleSettings(shares=(Share("arn:group", 3),), transforms=(transform,), stickiness=60))
    assert found.rules[0].actions == (Forward((Share("one", 1), Share("arn:group", 3)), 60),)
    assert found.rules[0].transforms == (transform,)


def test_authentication_goes_first_and_fails_closed_without_tls() -> None:
    jwt = ValidateJwt("https://issuer.example.com", "https://issuer.example.com/keys")
    secure = as_ingress(RuleSettings(authentication=jwt), protocol="HTTPS", port=443)
    assert [type(each) for each in secure.rules[0].actions] == [ValidateJwt, Forward]
    plain = as_ingress(RuleSettings(authentication=jwt))
    assert plain.rules[0].actions == (Respond("503"),)
    assert "HTTPS listeners only" in plain.refusals[0].message


def test_a_configuration_that_is_not_there_closes_the_rule() -> None:
    asked = rule(filters=(Extension("ListenerRuleConfiguration", KEY, "spec.rules[0].filters[0]"),))
    found = listener_rules([("*", [asked])], context())
    assert found.rules[0].actions == (Respond("500"),)
    assert found.refusals[0].message.startswith("spec.rules[0].filters[0].extensionRef: found ")
