"""Plans: from anything that AWS may hold to what a Service asks for, in an order in which AWS permits it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.edge.nlb_cases import a_service, desired, desired_load_balancers, done

from gatewright.edge.nlb import operations as operations
from gatewright.edge.nlb.actual import Actual
from gatewright.edge.nlb.desired import DesiredLoadBalancer
from gatewright.edge.nlb.plan import plan, removal


def names(wanted: tuple[operations.Operation, ...]) -> list[str]:
    return [type(operation).__name__ for operation in wanted]


@given(st.lists(desired_load_balancers(), min_size=1, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_a_plan_arrives_and_then_there_is_nothing_to_do(steps: list[DesiredLoadBalancer], data: st.DataObject) -> None:
    actual = Actual()
    for step in steps:
        wanted = plan(step, actual)
        # Whoever is stopped at any point finds the way from there.
        stop = data.draw(st.integers(0, len(wanted.operations)))
        actual = done(actual, wanted.operations[:stop])
        wanted = plan(step, actual)
        actual = done(actual, wanted.operations)
        again = plan(step, actual)
        assert (again.name, again.operations, again.retirement) == (wanted.name, (), wanted.retirement)
        retire = data.draw(st.booleans())
        if retire:
            actual = done(actual, wanted.retirement)
            assert len(actual.load_balancers) == 1
            assert len(actual.target_groups) == len(step.target_groups)
            assert plan(step, actual).operations == plan(step, actual).retirement == ()
        serving = actual.load_balancer(wanted.name)
        assert {*serving.listeners} == {listener.port for listener in step.listeners}
        for listener in step.listeners:
            [arn] = serving.listeners[listener.port].listener.target_groups
            group = next(each for each in step.target_groups if each.resource == listener.target_group)
            found = actual.target_groups[arn].targets
            assert {(target.id, target.port) for target in found} == {(each.id, each.port) for each in group.targets}
    assert not done(actual, removal(actual))


def test_a_new_scheme_is_a_new_load_balancer_beside_the_old_one() -> None:
    before = done(Actual(), plan(desired(a_service()), Actual()).operations)
    wanted = plan(desired(a_service({"scheme": "internet-facing"})), before)
    assert names(wanted.operations) == [
        "CreateLoadBalancer",
        "CreateTargetGroup",
        "RegisterTargets",
        "CreateListener",
    ]
    assert names(wanted.retirement) == ["DeleteLoadBalancer", "DeleteTargetGroup"]


def test_the_old_one_goes_first_only_where_both_need_the_same_address() -> None:
    fixed = {"private-ipv4-addresses": "10.0.1.200, 10.0.130.7"}
    before = done(Actual(), plan(desired(a_service(fixed)), Actual()).operations)
    other = {"private-ipv4-addresses": "10.0.1.201, 10.0.130.8"}
    assert names(plan(desired(a_service(other)), before).operations)[0] == "CreateLoadBalancer"
    one_kept = {"private-ipv4-addresses": "10.0.1.201, 10.0.130.7"}
    assert names(plan(desired(a_service(one_kept)), before).operations)[:2] == [
        "DeleteLoadBalancer",
        "CreateLoadBalancer",
    ]


def test_addresses_come_before_others_go() -> None:
    before = done(Actual(), plan(desired(a_service(), ["10.0.1.1", "10.0.1.2"]), Actual()).operations)
    wanted = plan(desired(a_service(), ["10.0.1.2", "10.0.1.3"]), before)
    assert names(wanted.operations) == ["RegisterTargets", "DeregisterTargets"]


def test_what_is_only_named_differently_stays() -> None:
    """AWS controller: the annotation of the name has no effect on a load balancer that is there."""
    before = done(Actual(), plan(desired(a_service()), Actual()).operations)
    assert plan(desired(a_service({"name": "mine"})), before).operations == ()
