"""What an EdgeBinding does about its targets, as a decision: examples, and laws over all that can happen."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.aws.views import Target, TargetHealth
from gatewright.edge.binding.targets import Peers, Plan, TargetKey, Wanted, plan

A, B = "front", "second"
KEYS = [TargetKey(group, address, 80) for group in (A, B) for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3")]
STATES = ("initial", "healthy", "unhealthy", "unused", "draining", "unavailable")
ONE, TWO, THREE, *_ = KEYS
MOVED = KEYS[3]


def known(**states: str) -> dict[str, Mapping[TargetKey, TargetHealth] | None]:
    """States by the names ONE, TWO, THREE and MOVED."""
    names = {"ONE": ONE, "TWO": TWO, "THREE": THREE, "MOVED": MOVED}
    return health({names[name]: state for name, state in states.items()})


def health(states: Mapping[TargetKey, str]) -> dict[str, Mapping[TargetKey, TargetHealth] | None]:
    found: dict[str, dict[TargetKey, TargetHealth]] = {A: {}, B: {}}
    for key, state in states.items():
        found[key.group][key] = TargetHealth(Target(key.id, key.port), state)
    return dict(found)


def want(*keys: TargetKey, final: bool = False) -> Wanted:
    return Wanted(keys, final=final)


def test_what_is_to_be_registered_is_recorded_first() -> None:
    assert plan(want(ONE, TWO), set(), known()) == Plan(frozenset({ONE, TWO}), (ONE, TWO))


def test_an_old_target_waits_for_a_new_one_to_be_healthy() -> None:
    seen = known(ONE="healthy", TWO="initial")
    assert plan(want(TWO), {ONE, TWO}, seen) == Plan(frozenset({ONE, TWO}), (), (), (ONE,))
    assert plan(want(TWO), {ONE, TWO}, known(ONE="healthy", TWO="healthy")).deregister == (ONE,)


def test_two_healthy_ones_wait_for_two_unless_it_takes_too_long() -> None:
    seen = known(ONE="healthy", TWO="healthy", THREE="healthy")
    assert plan(want(THREE), {ONE, TWO, THREE}, seen).waiting == (ONE, TWO)
    assert plan(want(THREE), {ONE, TWO, THREE}, seen, overdue=True).deregister == (ONE, TWO)


@pytest.mark.parametrize("state", ["unhealthy", "unused"])
def test_a_dead_target_waits_for_nobody(state: str) -> None:
    assert plan(want(TWO), {ONE, TWO}, known(ONE=state, TWO="initial")).deregister == (ONE,)


def test_where_nothing_else_will_come_all_go() -> None:
    assert plan(want(final=True), {ONE, TWO}, known(ONE="healthy", TWO="healthy")).deregister == (ONE, TWO)


def test_a_target_is_ours_until_it_has_drained() -> None:
    assert plan(want(final=True), {ONE}, known(ONE="draining")) == Plan(frozenset({ONE}))
    assert plan(want(final=True), {ONE}, known()) == Plan(frozenset())


def test_a_draining_target_that_is_wanted_again_is_registered() -> None:
    assert plan(want(ONE), {ONE}, known(ONE="draining")).register == (ONE,)


def test_nothing_is_done_in_a_group_that_is_not_known_or_gone() -> None:
    assert plan(want(ONE), {MOVED}, {}) == Plan(frozenset({MOVED}))
    assert plan(want(ONE), {ONE, MOVED}, {A: None, B: None}) == Plan(frozenset({ONE}))


def test_what_another_binding_wants_keeps_nothing_waiting() -> None:
    seen = known(ONE="healthy", TWO="healthy", THREE="healthy")
    for peers in (Peers(want={ONE}), Peers(want={ONE}, own={ONE})):
        assert plan(want(TWO), {ONE, TWO, THREE}, seen, peers=peers).deregister == (THREE,)


def test_a_target_that_another_binding_wants_is_handed_over() -> None:
    seen = known(ONE="healthy")
    peers = Peers(want={ONE}, own={ONE})
    assert plan(want(final=True), {ONE}, seen, peers=peers) == Plan(frozenset())
    assert plan(want(final=True), {ONE}, seen, peers=Peers(want={ONE})) == Plan(frozenset({ONE}))
    assert plan(want(ONE), set(), seen, peers=Peers(own={ONE})) == Plan(frozenset({ONE}))


keys = st.frozensets(st.sampled_from(KEYS), max_size=4)
wants = st.builds(lambda found, final: Wanted(tuple(sorted(found)), final=final), keys, st.booleans())
states = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(STATES))


@given(wants, keys, states, keys, keys, st.booleans())
def test_laws(
    wanted: Wanted,
    ours: frozenset[TargetKey],
    seen: dict[TargetKey, str],
    peers_want: frozenset[TargetKey],
    peers_own: frozenset[TargetKey],
    overdue: bool,
) -> None:
    peers = Peers(peers_want, peers_own)
    found = plan(wanted, ours, health(seen), peers=peers, overdue=overdue)
    registered = {key for key, state in seen.items() if state != "draining"}
    # Never touches what isn't ours, or what is wanted by anybody.
    assert set(found.deregister) <= ours & registered - set(wanted.targets) - peers_want
    # Whatever is registered is recorded before.
    assert set(found.register) <= found.record
    assert set(found.register) == set(wanted.targets) - registered
    # What is ours and still there stays ours, or somebody else has it.
    assert (ours & seen.keys()) - found.record <= peers_own & peers_want
    # Recording is enough to go on from: the same plan follows from what was recorded.
    again = plan(wanted, found.record, health(seen), peers=peers, overdue=overdue)
    assert (again.record, again.register, again.deregister) == (found.record, found.register, found.deregister)


@given(wants, keys, states)
def test_it_comes_to_rest_at_what_is_wanted(
    wanted: Wanted, ours: frozenset[TargetKey], seen: dict[TargetKey, str]
) -> None:
    """With an AWS in which every target becomes healthy and drains, all of ours that isn't wanted goes."""
    foreign = {key for key, state in seen.items() if key not in ours}
    for _ in range(10):
        todo = plan(wanted, ours, health(seen))
        ours = todo.record
        drained = {key for key, state in seen.items() if state == "draining"}
        seen = {key: "healthy" for key in seen if key not in drained}
        seen |= dict.fromkeys(todo.register, "initial") | dict.fromkeys(todo.deregister, "draining")
    assert set(wanted.targets) <= seen.keys()
    mine = seen.keys() - foreign
    if len(wanted.targets) >= len(KEYS) // 2 or wanted.final:
        assert mine <= set(wanted.targets)
    assert ours <= seen.keys()
