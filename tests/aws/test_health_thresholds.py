"""What passed and failed checks make of a target (ALB user guide, "Health checks for … target groups")."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.aws.health.thresholds import (
    FAILED,
    PASSED,
    TIMED_OUT,
    Progress,
    Verdict,
    after,
    begun,
    mismatch,
    reset,
)
from gatewright.local.aws.reasons import CHECKING, HEALTHY, REGISTERING

verdicts = st.lists(st.sampled_from([PASSED, PASSED, FAILED, TIMED_OUT, mismatch(404), mismatch(503)]), max_size=40)
thresholds = st.integers(2, 10)


def run(checks: list[Verdict], healthy: int, unhealthy: int, start: Progress | None = None) -> list[Progress]:
    steps = [start or begun(Progress())]
    for verdict in checks:
        steps.append(after(steps[-1], verdict, healthy, unhealthy))
    return steps


def test_a_new_target_is_being_registered_then_checked() -> None:
    assert Progress().health == REGISTERING
    assert begun(Progress()).health == CHECKING
    assert begun(Progress(HEALTHY)).health == HEALTHY


def test_one_passed_check_makes_a_new_target_healthy() -> None:
    assert run([PASSED], 5, 2)[-1].health == HEALTHY


def test_one_failure_before_it_doesnt_count() -> None:
    assert [step.state for step in run([FAILED, PASSED], 5, 2)] == ["initial", "initial", "healthy"]


def test_a_target_that_fails_from_the_start_is_unhealthy_at_the_threshold() -> None:
    steps = run([FAILED, mismatch(404)], 5, 2)
    assert [step.state for step in steps] == ["initial", "initial", "unhealthy"]
    assert steps[1].health == CHECKING
    assert steps[2].health.reason == "Target.ResponseCodeMismatch"
    assert steps[2].health.description == "Health checks failed with these codes: [404]"


def test_an_unhealthy_target_needs_the_healthy_threshold_in_a_row() -> None:
    steps = run([FAILED, FAILED, PASSED, PASSED, FAILED, PASSED, PASSED, PASSED], 3, 2)
    assert [step.state for step in steps[2:]] == ["unhealthy"] * 6 + ["healthy"]


def test_the_reason_is_that_of_the_last_failure() -> None:
    assert run([FAILED, FAILED, TIMED_OUT], 3, 2)[-1].health.description == "Request timed out"


@given(verdicts, thresholds, thresholds)
def test_a_state_turns_exactly_at_its_threshold(checks: list[Verdict], healthy: int, unhealthy: int) -> None:
    steps = run(checks, healthy, unhealthy)
    since = 0  # the check that brought the present state
    for number, (old, new) in enumerate(pairwise(steps), start=1):
        wanted, size = {
            "initial": (False, unhealthy),
            "healthy": (False, unhealthy),
            "unhealthy": (True, healthy),
        }[old.state]
        run_of = checks[max(since, number - size) : number]
        turns = len(run_of) == size and all(verdict.passed is wanted for verdict in run_of)
        if old.state == "initial" and checks[number - 1].passed:
            turns = True
        assert (new.state != old.state) is turns
        if turns:
            assert new.state == ("healthy" if checks[number - 1].passed else "unhealthy")
            since = number


@given(verdicts, thresholds, thresholds)
def test_no_target_is_initial_twice_and_only_healthy_ones_have_no_reason(
    checks: list[Verdict], healthy: int, unhealthy: int
) -> None:
    states = [step.state for step in run(checks, healthy, unhealthy)]
    assert "initial" not in states[states.count("initial") :]
    for step in run(checks, healthy, unhealthy):
        assert bool(step.health.reason) is (step.state != "healthy") is bool(step.health.description)
        assert not (step.passed and step.failed)


@given(verdicts, verdicts, thresholds, thresholds)
def test_a_changed_check_keeps_the_state_and_counts_anew(
    before: list[Verdict], checks: list[Verdict], healthy: int, unhealthy: int
) -> None:
    old = run(before, healthy, unhealthy)[-1]
    fresh = reset(old)
    assert fresh.health == old.health
    assert fresh.passed == fresh.failed == 0
    assert reset(fresh) == fresh
