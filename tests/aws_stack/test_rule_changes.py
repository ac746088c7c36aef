"""How rules change: the result is right, and so is every moment on the way."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from gatewright.aws.stack.desired import DesiredRule, Forward, Respond, RuleCondition, Share
from gatewright.aws.stack.holdings import ActualRule
from gatewright.aws.stack.operations import CreateRule, DeleteRule, ModifyRule, SetRulePriorities, SetTags
from gatewright.aws.stack.overlaps import may_overlap
from gatewright.aws.stack.rule_changes import add_steps, rule_changes
from gatewright.aws.stack.rule_documents import canonical_conditions
from gatewright.aws.stack.steps import Draft, Step

Table = dict[str, ActualRule]


def path(*values: str) -> RuleCondition:
    return RuleCondition("path-pattern", values)


def host(*values: str) -> RuleCondition:
    return RuleCondition("host-header", values)


def to(group: str, *conditions: RuleCondition) -> DesiredRule:
    return DesiredRule(conditions, (Forward((Share(group),)),))


def steps_between(found: Iterable[ActualRule], wanted: Sequence[DesiredRule], *, tight: bool = False) -> list[Step]:
    draft = Draft()
    changes = rule_changes(wanted, found, tight=tight)
    add_steps(
        draft,
        changes,
        listener="listener",
        port=80,
        tags=lambda rule: rule.tags,
        ready=lambda rule: (),
        deletions_first=tight,
    )
    return draft.steps


def after(table: Table, step: Step, numbers: Iterable[int] = itertools.count()) -> Table:
    """The listener after one step, as AWS would do it."""
    match step.operation:
        case SetRulePriorities(_, _, priorities):
            moved = {
                arn: structs.replace(rule, priority=priorities.get(arn, rule.priority)) for arn, rule in table.items()
            }
            assert len({rule.priority for rule in moved.values()}) == len(moved)
            return moved
        case CreateRule(_, _, priority, rule, tags):
            assert priority not in {each.priority for each in table.values()}
            arn = f"new-{priority}-{len(table)}-{next(iter(numbers))}"
            return {**table, arn: ActualRule(arn, priority, rule.conditions, rule.actions, rule.transforms, tags)}
        case ModifyRule(arn, _, rule):
            changed = structs.replace(
                table[arn], conditions=rule.conditions, actions=rule.actions, transforms=rule.transforms
            )
            return {**table, arn: changed}
        case SetTags(thing, add, remove):
            tags = {key: value for key, value in table[thing].tags.items() if key not in remove} | add
            return {**table, thing: structs.replace(table[thing], tags=tags)}
        case DeleteRule(arn):
            return {key: rule for key, rule in table.items() if key != arn}
    raise AssertionError(step)


def made(rules: Sequence[DesiredRule]) -> Table:
    table: Table = {}
    for step in steps_between((), rules):
        table = after(table, step)
    return table


def contents(rules: Table | Iterable[DesiredRule]) -> list[tuple[object, object, object]]:
    ordered = sorted(rules.values(), key=lambda rule: rule.priority) if isinstance(rules, dict) else rules
    return [(canonical_conditions(rule.conditions), rule.actions, rule.tags) for rule in ordered]


_PATHS = ["/a", "/a/b", "/a/*", "/b", "/*", "/b/*", "/?"]
_HOSTS = ["x.example.com", "y.example.com", "*.example.com"]
_conditions = st.tuples(
    st.lists(st.sampled_from(_PATHS), max_size=2, unique=True),
    st.lists(st.sampled_from(_HOSTS), max_size=2, unique=True),
).map(lambda both: tuple(([path(*both[0])] if both[0] else []) + ([host(*both[1])] if both[1] else [])))
_rules = st.lists(
    st.builds(
        DesiredRule,
        _conditions,
        st.sampled_from(
            [(Respond("200"),), (Respond("403"),), (Forward((Share("web"),)),), (Forward((Share("api"),)),)]
        ),
        tags=st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), max_size=1),
    ),
    max_size=7,
)


@given(_rules, _rules, st.booleans())
@settings(max_examples=150)
def test_any_listener_becomes_any_other_and_then_stays(
    before: list[DesiredRule], wanted: list[DesiredRule], tight: bool
) -> None:
    table = made(before)
    assert contents(table) == contents(before)
    for step in steps_between(table.values(), wanted, tight=tight):
        table = after(table, step)
    assert contents(table) == contents(wanted)
    assert steps_between(table.values(), wanted) == []


@given(_rules)
def test_the_same_rules_get_the_same_priorities(rules: list[DesiredRule]) -> None:
    assert [rule.priority for rule in made(rules).values()] == [rule.priority for rule in made(rules).values()]


# --- what a request gets ---

_REQUESTS = list(itertools.product(["/a", "/a/b", "/b", "/b/c", "/z"], ["x.example.com", "y.example.com", "other.org"]))


def answer(rules: Iterable[ActualRule | DesiredRule], request: tuple[str, str]) -> object:
    """What the first rule that takes it does: ELBv2's semantics, small."""
    import fnmatch

    for rule in rules:
        fits = {
            "path-pattern": lambda value: fnmatch.fnmatchcase(request[0], value),
            "host-header": lambda value: fnmatch.fnmatchcase(request[1], value),
        }
        if all(any(fits[each.field](value) for value in each.values) for each in rule.conditions):
            return rule.actions
    return None


def by_priority(table: Table) -> list[ActualRule]:
    return sorted(table.values(), key=lambda rule: rule.priority)


@given(_rules, _rules)
@settings(max_examples=150)
def test_on_the_way_a_request_gets_the_old_answer_or_the_new_one(
    before: list[DesiredRule], wanted: list[DesiredRule]
) -> None:
    """Where no rule had to move, which AWS does for all of them at once, but not together with anything else."""
    table = made(before)
    old = {request: answer(by_priority(table), request) for request in _REQUESTS}
    new = {request: answer(wanted, request) for request in _REQUESTS}
    steps = steps_between(table.values(), wanted)
    if any(isinstance(step.operation, SetRulePriorities) for step in steps):
        return
    for step in steps:
        table = after(table, step)
        for request in _REQUESTS:
            assert answer(by_priority(table), request) in (old[request], new[request]), request


@given(_rules, _rules, st.randoms())
@settings(max_examples=120)
def test_so_it_is_in_every_order_that_the_dependencies_allow(
    before: list[DesiredRule], wanted: list[DesiredRule], random: object
) -> None:
    import random as module

    assert isinstance(random, module.Random)
    table = made(before)
    old = {request: answer(by_priority(table), request) for request in _REQUESTS}
    new = {request: answer(wanted, request) for request in _REQUESTS}
    steps = steps_between(table.values(), wanted)
    if any(isinstance(step.operation, SetRulePriorities) for step in steps):
        return
    done: set[int] = set()
    while len(done) < len(steps):
        ready = [place for place, step in enumerate(steps) if place not in done and {*step.after} <= done]
        chosen = random.choice(ready)
        table = after(table, steps[chosen])
        done.add(chosen)
        for request in _REQUESTS:
            assert answer(by_priority(table), request) in (old[request], new[request]), request
    assert contents(table) == contents(wanted)


# --- what a change costs ---


def hundred() -> list[DesiredRule]:
    return [to(f"group-{number}", path(f"/service-{number}/*")) for number in range(100)]


def test_one_change_among_a_hundred_rules_is_one_call() -> None:
    table = made(hundred())
    other_action = hundred()
    other_action[50] = to("elsewhere", path("/service-50/*"))
    assert [type(step.operation) for step in steps_between(table.values(), other_action)] == [ModifyRule]
    other_path = hundred()
    other_path[50] = to("group-50", path("/moved/*"))
    assert [type(step.operation) for step in steps_between(table.values(), other_path)] == [ModifyRule]
    one_more = [*hundred()[:50], to("new", path("/new/*")), *hundred()[50:]]
    assert [type(step.operation) for step in steps_between(table.values(), one_more)] == [CreateRule]
    one_less = [*hundred()[:50], *hundred()[51:]]
    assert [type(step.operation) for step in steps_between(table.values(), one_less)] == [DeleteRule]
    last_first = [hundred()[-1], *hundred()[:-1]]
    (step,) = steps_between(table.values(), last_first)
    assert isinstance(step.operation, SetRulePriorities)
    assert len(step.operation.priorities) == 1
    backwards = [*reversed(hundred())]
    (step,) = steps_between(table.values(), backwards)
    assert isinstance(step.operation, SetRulePriorities)


def test_a_guard_is_there_before_the_rule_that_it_guards() -> None:
    steps = steps_between((), [DesiredRule((path("/metrics"),), (Respond("403"),)), to("web", path("/*"))])
    assert [step.after for step in steps] == [(), (0,)]
    table = made([DesiredRule((path("/metrics"),), (Respond("403"),)), to("web", path("/*"))])
    steps = steps_between(table.values(), [])
    first, second = (step.operation for step in steps)
    assert isinstance(first, DeleteRule)
    assert isinstance(second, DeleteRule)
    assert table[first.arn].conditions == (path("/*"),)
    assert steps[1].after == (0,)


def test_rules_that_take_different_requests_are_made_at_the_same_time() -> None:
    steps = steps_between((), [to("a", host("a.example.com")), to("b", host("b.example.com")), to("c", path("/c"))])
    assert [step.after for step in steps] == [(), (), (0, 1)]


def test_where_there_is_no_room_old_rules_become_new_ones() -> None:
    table = made([to("a", path("/a/*")), to("b", path("/*"))])
    wanted = [to("c", path("/a/c/*")), to("d", path("/d/*")), to("e", path("/*"))]
    kinds = [type(step.operation) for step in steps_between(table.values(), wanted, tight=True)]
    assert kinds.count(CreateRule) == 1
    assert DeleteRule not in kinds


@given(_conditions, _conditions)
def test_rules_that_both_take_a_request_overlap(
    one: tuple[RuleCondition, ...], other: tuple[RuleCondition, ...]
) -> None:
    for request in _REQUESTS:
        both = all(answer([DesiredRule(each, (Respond("200"),))], request) for each in (one, other))
        assert not both or may_overlap(one, other)


def test_what_cannot_overlap_is_known() -> None:
    for one, other, overlap in (
        (path("/a"), path("/b"), False),
        (path("/a"), path("/A"), False),
        (path("/a/*"), path("/b/*"), False),
        (path("/a/*"), path("/a/b/*"), True),
        (path("*.php"), path("*.html"), False),
        (path("/a*"), path("*z"), True),
        (host("A.example.com"), host("a.example.com"), True),
        (host("*.example.com"), host("*.example.org"), False),
        (host("*.example.com"), host("a.b.example.com"), True),
        (RuleCondition("http-request-method", ("GET",)), RuleCondition("http-request-method", ("PUT",)), False),
        (RuleCondition("http-header", ("1",), name="V"), RuleCondition("http-header", ("2",), name="v"), False),
        (RuleCondition("http-header", ("1",), name="V"), RuleCondition("http-header", ("2",), name="w"), True),
        (RuleCondition("path-pattern", regex_values=("^/a$",)), path("/b"), True),
        (path("/a\\*"), path("/a"), True),
        (RuleCondition("source-ip", ("10.0.0.0/8",)), RuleCondition("source-ip", ("11.0.0.0/8",)), True),
        (path("/a"), host("a.example.com"), True),
    ):
        assert may_overlap((one,), (other,)) == overlap
        assert may_overlap((other,), (one,)) == overlap
