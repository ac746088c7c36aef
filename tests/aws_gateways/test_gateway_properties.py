"""What holds for any set of objects: stacks don't depend on the order in which things arrived, and make sense."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from structlog.testing import capture_logs
from tests.aws_gateways.gateway_world import World, key_pair, picture
from tests.resolve import any_cluster

from gatewright.aws.dialects import ALB_CONTROLLER, NLB_CONTROLLER
from gatewright.aws.gateways import LoadBalancers
from gatewright.aws.stack.desired import Forward, Stack
from gatewright.flow import Collection
from gatewright.model.gateway import GatewayClass

GOLDEN = Path(__file__).parents[1] / "golden" / "alb"
CASES = sorted(path.name for path in GOLDEN.glob("*.in.yaml"))


@pytest.fixture(autouse=True, scope="module")
def _key_pairs() -> Iterator[None]:
    any_cluster.key_pair(0), any_cluster.key_pair(1)
    for kind in ("generate", "expired", "ed25519", "authority"):
        key_pair(kind)
    with capture_logs():
        yield


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_arrival_makes_no_difference(name: str) -> None:
    texts = [(GOLDEN / each).read_text() for each in ("base.yaml", name)]
    documents = [each for text in texts for each in yaml.safe_load_all(text) if each]
    at_once, one_by_one = World(), World()
    for text in texts:
        at_once.load(text)
    random.Random(name).shuffle(documents)
    for document in documents:
        one_by_one.add(document)
        one_by_one.judge()
    assert content(one_by_one) == content(at_once)
    assert picture(one_by_one) == picture(at_once)


def of_aws(subject: Any) -> Any:
    """The classes of `any_cluster` become ours."""
    if not isinstance(subject, GatewayClass) or subject.spec.controller_name != any_cluster.CONTROLLER:
        return subject
    controller = ALB_CONTROLLER if subject.name == "c0" else NLB_CONTROLLER
    return structs.replace(subject, spec=structs.replace(subject.spec, controller_name=controller))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(any_cluster.edits, max_size=20))
def test_edits_one_by_one_come_to_the_same_as_all_at_once(edits: list[Any]) -> None:
    world = World()
    with world.flow.batch():
        for each in any_cluster.BASE:
            subject = of_aws(any_cluster.typed(each))
            world.sources[type(subject)].set(subject.key, subject)
    for what, subject, value in edits:
        changed = of_aws(subject)
        if what == "set":
            world.sources[type(changed)].set(changed.key, changed)
        elif what == "delete":
            world.sources[type(changed)].delete(changed.key)
        elif value is None:
            getattr(world.inputs, what).delete(subject)
        else:
            getattr(world.inputs, what).set(subject, value)
    fresh = World()
    with fresh.flow.batch():
        for type_, source in world.sources.items():
            fresh.sources[type_].replace(dict(source.items()))
        for name in ("clock", "rejections"):
            getattr(fresh.inputs, name).replace(dict(getattr(world.inputs, name).items()))
    assert content(world) == content(fresh)
    assert not world.errors()
    for balancers in (world.albs, world.nlbs):
        for stack in balancers.stacks.values():
            makes_sense(stack)
        assert not balancers.stacks.keys() & balancers.blocked.keys()


def content(world: World) -> dict[str, Any]:
    """Everything that comes of a world."""
    found = {}
    for name, balancers in (("alb", world.albs), ("nlb", world.nlbs)):
        for field in dataclasses.fields(LoadBalancers):
            collection: Collection[Any, Any] = getattr(balancers, field.name)
            found[f"{name} {field.name}"] = dict(collection.items())
    return found


def makes_sense(stack: Stack) -> None:
    """What AWS would refuse, whatever was asked for."""
    groups = {group.resource: group for group in stack.target_groups}
    assert len({group.name for group in stack.target_groups}) == len(groups) == len(stack.target_groups)
    assert all(len(name) <= 32 for name in (stack.load_balancer.name, *(group.name for group in groups.values())))
    imported = {each.resource for each in stack.certificates}
    used = set()
    ports = [listener.port for listener in stack.listeners]
    assert len(set(ports)) == len(ports)
    for listener in stack.listeners:
        assert bool(listener.certificates) == (listener.protocol in ("HTTPS", "TLS"))
        assert all(each in imported or each.startswith("arn:") for each in listener.certificates)
        for actions in (listener.default, *(rule.actions for rule in listener.rules)):
            for action in actions:
                if isinstance(action, Forward):
                    shares = [share.target_group for share in action.shares]
                    assert len(set(shares)) == len(shares) <= 5
                    assert all(0 <= share.weight <= 999 for share in action.shares)
                    used |= set(shares)
                    behind = {groups[share].protocol for share in shares}
                    versions = {groups[share].protocol_version for share in shares}
                    if stack.kind == "alb":
                        assert behind <= {"HTTP", "HTTPS"}
                        assert listener.protocol == "HTTPS" or versions == {"HTTP1"}
                    else:
                        assert behind <= {"TCP": {"TCP"}, "TLS": {"TCP", "TLS"}}.get(
                            listener.protocol, {listener.protocol}
                        )
    assert used == groups.keys()
    assert len({mapping.subnet for mapping in stack.load_balancer.subnets}) == 2
