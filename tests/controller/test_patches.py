"""What is laid over a status: ours beside what others wrote, as far as there is room."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gatewright.controller.patches import (
    Overlay,
    gateway_status,
    listener_set_status,
    patch,
    policy_status,
    route_status,
)
from gatewright.model.codec import decode
from gatewright.model.gateway import BackendTLSPolicy, Gateway, HTTPRoute, ListenerSet
from gatewright.model.gateway.shared import ParentReference, PolicyAncestorStatus, RouteParentStatus
from gatewright.model.meta import Condition
from gatewright.resolve.statuses import ResolvedGatewayStatus, ResolvedListenerSetStatus

OURS, THEIRS = "example.com/ours", "example.com/theirs"
OLD, NOW = "2024-01-01T00:00:00Z", "2024-02-02T00:00:00Z"
OVERLAY = Overlay({OURS}, NOW)


def condition(type_: str = "Accepted", status: Any = "True", time: str = "") -> Condition:
    return Condition(type=type_, status=status, reason="Because", last_transition_time=time)


def entry(parent: str, controller: str = OURS, time: str = "") -> RouteParentStatus:
    conditions = (condition(time=time),)
    return RouteParentStatus(parent_ref=ParentReference(name=parent), controller_name=controller, conditions=conditions)


class Desired(msgspec.Struct):
    parents: tuple[RouteParentStatus, ...] = ()
    ancestors: tuple[PolicyAncestorStatus, ...] = ()


def route(*parents: RouteParentStatus) -> HTTPRoute:
    plain = {"metadata": {"name": "r", "namespace": "a", "resourceVersion": "7"}, "spec": {}}
    return decode(HTTPRoute, plain | {"status": {"parents": msgspec.to_builtins(parents)}})


names = st.lists(st.sampled_from([f"g{n}" for n in range(40)]), unique=True)


@given(names.filter(lambda found: len(found) <= 32), names)
def test_others_keep_their_place_and_ours_get_what_is_left(theirs: list[str], ours: list[str]) -> None:
    before = tuple(entry(name, THEIRS, OLD) for name in theirs)
    wanted = route_status(OVERLAY, route(*before), Desired(tuple(map(entry, ours))))
    assert wanted is not None
    parents = wanted.status.parents
    assert parents[: len(before)] == before
    assert len(parents) == min(32, len(theirs) + len(ours))
    assert wanted.left_out == len(theirs) + len(ours) - len(parents)
    # What was written and came back is left alone: there is no loop.
    after = route(*parents)
    again = route_status(OVERLAY._replace(now="2025-01-01T00:00:00Z"), after, Desired(tuple(map(entry, ours))))
    assert again is not None
    assert patch(after, again.status) is None


def test_what_we_said_goes_with_the_reason_for_it() -> None:
    found = route_status(OVERLAY, route(entry("g"), entry("g", THEIRS, OLD)), None)
    assert found is not None
    assert found.status.parents == (entry("g", THEIRS, OLD),)


def test_a_patch_holds_what_differs_and_the_version_that_it_is_for() -> None:
    before = route()
    wanted = route_status(OVERLAY, before, Desired((entry("g"),)))
    assert wanted is not None
    found = patch(before, wanted.status)
    assert found is not None
    assert found["metadata"] == {"resourceVersion": "7"}
    (parent,) = found["status"]["parents"]
    assert parent["conditions"][0]["lastTransitionTime"] == NOW


def gateway(*conditions: Condition) -> Gateway:
    plain: dict[str, Any] = {"metadata": {"name": "g", "namespace": "a"}}
    plain["spec"] = {"gatewayClassName": "c", "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]}
    return decode(Gateway, plain | {"status": {"conditions": msgspec.to_builtins(conditions)}})


def desired_gateway(*conditions: Condition) -> ResolvedGatewayStatus:
    return ResolvedGatewayStatus(OURS, (), conditions, (), attached_listener_sets=3)


def test_conditions_keep_their_time_while_they_keep_their_status() -> None:
    before = gateway(condition("Accepted", "True", OLD), condition("Programmed", "False", OLD))
    wanted = gateway_status(OVERLAY, before, desired_gateway(condition("Accepted"), condition("Programmed")))
    assert wanted is not None
    times = {found.type: found.last_transition_time for found in wanted.status.conditions}
    assert times == {"Accepted": OLD, "Programmed": NOW}
    assert (patch(before, wanted.status) or {})["status"]["attachedListenerSets"] == 3


def test_a_condition_that_is_only_there_while_it_holds_goes() -> None:
    audited = condition("example.com/Audited", time=OLD)
    before = gateway(condition(time=OLD), condition("InsecureFrontendValidationMode", time=OLD), audited)
    wanted = gateway_status(OVERLAY, before, desired_gateway(condition("Accepted")))
    assert wanted is not None
    assert [found.type for found in wanted.status.conditions] == ["Accepted", "example.com/Audited"]


def test_conditions_of_others_leave_room_for_eight_at_most() -> None:
    others = [condition(f"example.com/C{n}", time=OLD) for n in range(7)]
    wanted = gateway_status(OVERLAY, gateway(*others), desired_gateway(condition("Accepted"), condition("Programmed")))
    assert wanted is not None
    assert [found.type for found in wanted.status.conditions][:1] == ["Accepted"]
    assert len(wanted.status.conditions) == 8


def test_a_listener_set_that_is_not_ours_is_left_alone() -> None:
    plain: dict[str, Any] = {"metadata": {"name": "s", "namespace": "a"}}
    plain["spec"] = {"parentRef": {"name": "g"}, "listeners": [{"name": "l", "port": 80, "protocol": "HTTP"}]}
    found = decode(ListenerSet, plain)
    assert listener_set_status(OVERLAY, found, None) is None
    wanted = listener_set_status(OVERLAY, found, ResolvedListenerSetStatus(OURS, (condition(),), ()))
    assert wanted is not None
    assert (patch(found, wanted.status) or {})["status"]["conditions"][0]["type"] == "Accepted"


def test_a_policy_has_room_for_sixteen_ancestors() -> None:
    spec = {"targetRefs": [{"group": "", "kind": "Service", "name": "s"}], "validation": {"hostname": "a.example.com"}}
    policy = decode(BackendTLSPolicy, {"metadata": {"name": "p", "namespace": "a"}, "spec": spec})
    ancestors = tuple(
        PolicyAncestorStatus(
            ancestor_ref=ParentReference(name=f"g{n}"), controller_name=OURS, conditions=(condition(),)
        )
        for n in range(20)
    )
    wanted = policy_status(OVERLAY, policy, Desired(ancestors=ancestors))
    assert wanted is not None
    assert len(wanted.status.ancestors) == 16
    assert wanted.left_out == 4
