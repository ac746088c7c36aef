"""How the rules of a listener become what they are to be (pure).

As many rules as possible stay: equal ones first, then those whose conditions are equal, then those in whose place
another one comes. While it is done, a request is answered by the rule that takes it before or by the one that takes it
after: new rules are made from the first to the last, and old ones go from the last to the first, when the new ones are
there. A rule's conditions are exchanged in place only where no other change concerns the same requests.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import TypeAlias

from msgspec import Struct, field

from gatewright.aws.stack import priorities, rule_documents
from gatewright.aws.stack.desired import DesiredRule, RuleCondition
from gatewright.aws.stack.holdings import CLIENT_SECRET_TAG, ActualRule
from gatewright.aws.stack.operations import CreateRule, DeleteRule, ModifyRule, SetRulePriorities, SetTags
from gatewright.aws.stack.overlaps import may_overlap
from gatewright.aws.stack.steps import Draft
from gatewright.aws.stack.tags import tag_changes

Conditions: TypeAlias = tuple[RuleCondition, ...]


class RuleChanges(Struct, frozen=True):
    """What has to be done: `kept` are the rules that are there already, by position in what is wanted.

    `same` are the positions of those of them that say what they are to say.
    """

    wanted: tuple[DesiredRule, ...]
    kept: dict[int, ActualRule] = field(default_factory=dict)
    same: frozenset[int] = frozenset()
    numbers: tuple[int, ...] = ()
    gone: tuple[ActualRule, ...] = ()

    @property
    def new(self) -> list[int]:
        """Positions of the rules that have to be made."""
        return [position for position in range(len(self.wanted)) if position not in self.kept]


def rule_changes(wanted: Sequence[DesiredRule], found: Iterable[ActualRule], *, tight: bool = False) -> RuleChanges:
    """Compare. Target groups of `wanted` are ARNs where they exist.

    `tight`: there is no room for more rules, so that as many as possible are changed in place.
    """
    left = sorted(found, key=lambda rule: rule.priority)
    kept: dict[int, ActualRule] = {}
    left = _pair(wanted, left, kept, _content)
    same = frozenset(kept)
    left = _pair(wanted, left, kept, _conditions) if left else left
    positions = sorted(kept)
    rise = priorities.longest_rise([kept[position].priority for position in positions])
    anchors = {positions[each]: kept[positions[each]].priority for each in rise}
    kept, left = _in_place(wanted, left, kept, same, anchors, tight=tight)
    fixed = [anchors.get(position) for position in range(len(wanted))]
    numbers = priorities.number(fixed, frozenset(rule.priority for rule in left))
    return RuleChanges(tuple(wanted), kept, same, tuple(numbers), tuple(left))


def _content(rule: DesiredRule | ActualRule) -> object:
    transforms = rule_documents.canonical_transforms(rule.transforms)
    return _conditions(rule), rule_documents.canonical_actions(rule.actions), transforms


def _conditions(rule: DesiredRule | ActualRule) -> Conditions:
    return rule_documents.canonical_conditions(rule.conditions)


def _pair(
    wanted: Sequence[DesiredRule],
    found: Iterable[ActualRule],
    kept: dict[int, ActualRule],
    same: Callable[[DesiredRule | ActualRule], object],
) -> list[ActualRule]:
    """Keep the first of `found` that is the same as each wanted rule, in order; the answer is what is left."""
    by_sameness: dict[str, deque[ActualRule]] = defaultdict(deque)
    for rule in found:
        by_sameness[repr(same(rule))].append(rule)
    for position, each in enumerate(wanted):
        if position not in kept and by_sameness.get(told := repr(same(each))):
            kept[position] = by_sameness[told].popleft()
    return sorted((rule for rules in by_sameness.values() for rule in rules), key=lambda rule: rule.priority)


def _in_place(
    wanted: Sequence[DesiredRule],
    left: Sequence[ActualRule],
    kept: Mapping[int, ActualRule],
    same: Set[int],
    anchors: dict[int, int],
    *,
    tight: bool,
) -> tuple[dict[int, ActualRule], list[ActualRule]]:
    """Rules that become others where they stand; they are added to `anchors`."""
    new = [position for position in range(len(wanted)) if position not in kept]
    if not new or not left:
        return dict(kept), list(left)
    places: dict[int, list[ActualRule]] = defaultdict(list)
    for rule, place in zip(left, priorities.slots(anchors.values(), [rule.priority for rule in left]), strict=True):
        places[place].append(rule)
    changed: list[Conditions] = [rule.conditions for rule in left]
    changed += [wanted[position].conditions for position in new]
    changed += [rule.conditions for position, rule in kept.items() if position not in anchors or position not in same]
    chosen = dict(kept)
    for position, place in zip(new, priorities.slots([*anchors], new), strict=True):
        if not places[place]:
            continue
        old = places[place][0]
        both = (old.conditions, wanted[position].conditions)
        touched = sum(may_overlap(conditions, each) for conditions in both for each in changed)
        # Each of the two overlaps with itself, and perhaps with the other one.
        alone = 2 + 2 * may_overlap(*both)
        if tight or touched == alone:
            places[place].pop(0)
            chosen[position] = old
            anchors[position] = old.priority
    taken = {rule.arn for rule in chosen.values()}
    return chosen, [rule for rule in left if rule.arn not in taken]


def add_steps(
    draft: Draft,
    changes: RuleChanges,
    *,
    listener: str,
    port: int,
    tags: Callable[[DesiredRule], dict[str, str]],
    ready: Callable[[DesiredRule], Iterable[int]],
    after: Iterable[int] = (),
    ordered: bool = True,
    deletions_first: bool = False,
    default: Callable[[Iterable[int]], int] | None = None,
) -> list[int]:
    """Write down what has to be done; the answer is the positions of these steps.

    `tags` are all that a rule is to have; `ready` are the steps after which its target groups can be used. Without
    `ordered` there is no traffic yet, so that rules may be made in any order. With `deletions_first` there is no room
    for new rules before old ones go. `default` writes down a change of what is done with all other requests, which
    comes after the given steps.
    """
    first = [*after]
    moves = {
        rule.arn: changes.numbers[position]
        for position, rule in changes.kept.items()
        if rule.priority != changes.numbers[position]
    }
    steps: list[int] = []
    if moves:
        first = [draft.add(SetRulePriorities(listener, port, moves), first)]
        steps += first
    early = _delete(draft, changes.gone, port, first, ()) if deletions_first else []
    steps += early
    made: list[tuple[int, Conditions]] = []

    def before(conditions: Iterable[Conditions]) -> list[int]:
        concerned = [step for step, other in made if any(may_overlap(each, other) for each in conditions)]
        return concerned if ordered else []

    for position, rule in enumerate(changes.wanted):
        old = changes.kept.get(position)
        wanted_tags = tags(rule)
        needed = [*first, *early, *ready(rule)]
        if old is None:
            operation = CreateRule(listener, port, changes.numbers[position], rule, wanted_tags)
            step = draft.add(operation, [*needed, *before([rule.conditions])])
            made.append((step, rule.conditions))
            steps.append(step)
            continue
        new_secret = old.tags.get(CLIENT_SECRET_TAG) != wanted_tags.get(CLIENT_SECRET_TAG)
        if new_secret or position not in changes.same:
            concerned = before([rule.conditions, old.conditions])
            step = draft.add(ModifyRule(old.arn, port, rule, tell_secret=new_secret), [*needed, *concerned])
            made += [(step, rule.conditions), (step, old.conditions)]
            steps.append(step)
            needed = [step]
        add, remove = tag_changes(wanted_tags, old.tags)
        if add or remove:
            steps.append(draft.add(SetTags(old.arn, add, remove), needed))
    if default is not None:
        made.append((default([*first, *(step for step, _ in made)]), ()))
        steps.append(made[-1][0])
    if not deletions_first:
        steps += _delete(draft, changes.gone, port, first, made)
    return steps


def _delete(
    draft: Draft,
    gone: Sequence[ActualRule],
    port: int,
    after: Sequence[int],
    made: Sequence[tuple[int, Conditions]],
) -> list[int]:
    deleted: list[tuple[int, Conditions]] = []
    for rule in reversed(gone):
        concerned = [step for step, other in (*made, *deleted) if may_overlap(rule.conditions, other)]
        deleted.append((draft.add(DeleteRule(rule.arn, port), [*after, *concerned]), rule.conditions))
    return [step for step, _ in deleted]
