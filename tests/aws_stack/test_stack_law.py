"""The law: whatever a stack was, apply makes of it what it is to be, and then there is nothing to do."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.aws_stack.any_stack import NLB_KEY, albs, nlbs, picture, wanted_picture
from tests.aws_stack.stack_world import KEY, Account, listener, rule

from gatewright.aws.stack.desired import StackKey
from gatewright.aws.stack.plan import plan

_EXAMPLES = settings(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


async def _law(account: Account, data: st.DataObject, any_stack: Any, key: StackKey) -> None:
    account.reset()
    foreign = account.stack(
        listener(rule("/*", "a:80")), key=StackKey("other", key.kind, key.id), balancer={"name": "b"}
    )
    if key.kind == "alb":
        await account.become(foreign)
        before = set(account.everything())
    else:
        before = set()
    for _ in range(3):
        desired = data.draw(any_stack(account))
        _, applied = await account.become(desired, key)
        found = await account.read(key, desired=desired)
        assert picture(found, desired) == wanted_picture(desired)
        for known in (found, applied):
            again = plan(desired, known)
            assert again.operations == ()
            assert again.changes == ()
    _, left = await account.become(None, key)
    assert not left
    assert set(account.everything()) - {left.backend_group} == before
    if key.kind == "alb":
        there = await account.read(foreign.key)
        assert plan(foreign, there).operations == ()


@given(st.data())
@_EXAMPLES
async def test_any_alb_becomes_any_other_and_goes_without_a_trace(account: Account, data: st.DataObject) -> None:
    await _law(account, data, albs, KEY)


@given(st.data())
@_EXAMPLES
async def test_any_nlb_becomes_any_other_and_goes_without_a_trace(account: Account, data: st.DataObject) -> None:
    await _law(account, data, nlbs, NLB_KEY)
