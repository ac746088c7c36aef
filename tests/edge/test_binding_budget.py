"""What many EdgeBindings of a tenant cost: AWS a few calls, however many they are, and nobody's bindings their time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.binding_world import (
    BindingWorld,
    backend,
    binding,
    binding_world,
    endpoints,
    gateway,
    gateway_service,
    route,
    until,
)
from tests.edge.service_world import spent

from gatewright.edge.binding.claims import Claims
from gatewright.edge.binding.groups import Pace
from gatewright.edge.binding.status import Observed, edge_binding_status
from gatewright.edge.binding.targets import Plan, TargetKey, Wanted
from gatewright.local.block import Block
from gatewright.model.edgebinding import AwsFront, EdgeBinding, EdgeBindingSpec, GatewayReference, TargetGroupReference
from gatewright.model.meta import Key


@pytest.fixture(scope="module")
def block() -> Iterator[Block]:
    block = Block()
    yield block
    block.close()


@pytest.fixture
async def world(block: Block) -> AsyncIterator[BindingWorld]:
    async with binding_world(block) as world:
        await world.apply(gateway(), *backend(), route())
        yield world


@pytest.mark.parametrize("kind", ["name", "arn", "tags"])
async def test_references_that_lead_nowhere_share_one_look_at_aws(world: BindingWorld, kind: str) -> None:
    group = await world.target_group()
    proxy = await world.proxy()
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port}),
        binding(via="Endpoints"),
    )
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/none/"
    references: dict[str, Any] = {
        "name": lambda number: {"name": f"none-{number}"},
        "arn": lambda number: {"arn": f"{arn}{number}"},
        "tags": lambda number: {"tags": {"none": str(number)}},
    }
    async with world.controller(pace=Pace(interval=600.0, fast=600.0, resync=600.0)) as controller:
        await world.until_registered(group, {(proxy.address, proxy.port)})
        await controller.idle()
        before = world.aws.calls.copy()
        for number in range(40):
            reference = references[kind](number)
            await world.apply(binding(f"x{number}", via="Endpoints", aws={"targetGroup": reference}))
        await world.condition("Bound", "False", "TargetGroupNotFound", name="x39")
        await controller.idle()
        calls = spent(before, world.aws.calls)
        assert sum(calls.values()) <= 4, calls


async def test_a_target_that_aws_refuses_keeps_no_others_out_and_few_are_tried(world: BindingWorld) -> None:
    """Slices may name anything: what isn't in the VPC, nor private, is refused."""
    group = await world.target_group()
    proxy = await world.proxy()
    bad = {f"8.8.{number // 200}.{number % 200}": True for number in range(300)}
    await world.apply(
        gateway_service("ClusterIP"),
        endpoints("shared-istio", {proxy.address: True}, {"http": proxy.port}),
        {**endpoints("shared-istio", bad, {"http": proxy.port}, slice_="2")},
        binding(via="Endpoints"),
    )
    before = world.aws.calls.copy()
    async with world.controller(pace=Pace(interval=600.0, fast=600.0, resync=600.0)):

        async def registered() -> bool:
            return (proxy.address, proxy.port) in await world.registered(group)

        await until(registered)
        assert spent(before, world.aws.calls)["register_targets"] < 300


def test_a_message_fits_into_a_condition() -> None:
    """The API takes no more than 32768 characters, and an object that can't be written would be looked at for ever."""
    front = AwsFront(target_group=TargetGroupReference(name="t"))
    spec = EdgeBindingSpec(gateway_ref=GatewayReference(name="g"), port=80, aws=front)
    wanted = Wanted(reason="TargetGroupAmbiguous", message="x" * 100_000)
    status = edge_binding_status(EdgeBinding(spec=spec), Observed(wanted, Plan(frozenset())), "")
    assert {len(condition.message) <= 4096 for condition in status.conditions} == {True}
    assert status.conditions[0].message.endswith(" ...")


KEYS = st.sampled_from([Key("a", "1"), Key("a", "2"), Key("b", "1")])
TARGETS = st.frozensets(st.sampled_from([TargetKey("g", f"10.0.0.{number}", 80) for number in range(4)]))


@given(st.lists(st.tuples(KEYS, TARGETS, TARGETS, st.booleans())), KEYS, TARGETS)
def test_claims_are_what_all_other_bindings_say(
    edits: list[tuple[Key, frozenset[TargetKey], frozenset[TargetKey], bool]], key: Key, asked: frozenset[TargetKey]
) -> None:
    claims = Claims()
    said: dict[Key, tuple[frozenset[TargetKey], frozenset[TargetKey]]] = {}
    for binding_key, own, want, dropped in edits:
        if dropped:
            claims.drop(binding_key)
            said.pop(binding_key, None)
        else:
            claims.set(binding_key, own, want)
            said[binding_key] = own, want
    others = [claim for other, claim in said.items() if other != key]
    peers = claims.peers(key, asked)
    assert peers.own == asked & frozenset[TargetKey]().union(*(own for own, _ in others))
    assert peers.want == asked & frozenset[TargetKey]().union(*(want for _, want in others))
    assert claims.own(key) == said.get(key, (frozenset(), frozenset()))[0]
