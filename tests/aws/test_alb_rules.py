"""Rules of an ALB: by priority, with every condition ("Listener rules", "Condition types for listener rules")."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from tests.aws.alb_world import (
    AlbCloud,
    Front,
    HttpTargets,
    cloud,
    front,
    says,
    stack,
    targets,
    to,
    when,
)

from gatewright.local.aws.state import Condition, Listener

__all__ = ["cloud", "front", "stack", "targets"]


@pytest.fixture
def listener(cloud: AlbCloud) -> Listener:
    return cloud.http(cloud.alb())


async def test_the_first_rule_by_priority_counts_and_the_default_one_comes_last(
    cloud: AlbCloud, front: Front, listener: Listener
) -> None:
    assert (await front.ask("/a")).body == "no rule"
    cloud.rule(listener, 20, says("second"), when("path-pattern", "/*"))
    cloud.rule(listener, 10, says("first"), when("path-pattern", "/a*"))
    assert (await front.ask("/a")).body == "first"
    assert (await front.ask("/b")).body == "second"


async def test_a_rule_forwards_to_its_target_group(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.rule(listener, 1, to(group), when("path-pattern", "/app*"))
    answer = await front.ask("/app?x=1")
    assert (answer.status, answer.echo["name"], answer.path) == (200, "pod", "/app?x=1")


def header(name: str, *values: str, **more: Any) -> Condition:
    return when("http-header", *values, name=name, **more)


def query(*pairs: tuple[str, str]) -> Condition:
    return when("query-string", pairs=pairs)


@pytest.mark.parametrize(
    ("condition", "matching", "others"),
    [
        (
            when("host-header", "*.example.com"),
            [{"host": "a.example.com"}, {"host": "A.b.EXAMPLE.com"}, {"host": "a.example.com:8080"}],
            [{"host": "example.com"}, {"host": "a.example.org"}],
        ),
        (when("host-header", "app?.test", "b"), [{"host": "app1.test"}, {"host": "b"}], [{"host": "app.test"}]),
        (
            when("host-header", regexes=("^[a-z]+-v[0-9]+\\.test$",)),
            [{"host": "app-v1.test"}],
            [{"host": "app-vx.test"}],
        ),
        (
            when("path-pattern", "/img/*.jp?g"),
            [{"path": "/img/a/b.jpeg"}, {"path": "/img/.jpeg?x=/y"}],
            [{"path": "/img/a.jpg"}, {"path": "/IMG/a.jpeg"}, {"path": "/x?/img/a.jpeg"}],
        ),
        (
            when("path-pattern", regexes=("^/api/v[12]/.*\\.json$",)),
            [{"path": "/api/v1/a.json"}, {"path": "/api/v2/a/b.json?q=1"}],
            [{"path": "/api/v3/a.json"}, {"path": "/api/v1/a?x=.json"}],
        ),
        (when("path-pattern", "/a.b$c"), [{"path": "/a.b$c"}], [{"path": "/axb$c"}]),
        (
            header("X-Kind", "*chrome*", "exact"),
            [{"headers": {"x-kind": "Some CHROME thing"}}, {"headers": {"x-KIND": "Exact"}}],
            [{}, {"headers": {"x-kind": "exactly"}}],
        ),
        (header("x-kind", "b"), [{"headers": [("x-kind", "a"), ("x-kind", "b")]}], [{"headers": {"x-kind": "ab"}}]),
        (header("x-kind", regexes=("^v[0-9]$",)), [{"headers": {"x-kind": "v1"}}], [{"headers": {"x-kind": "v10"}}]),
        (when("http-request-method", "PUT", "PATCH"), [{"method": "PUT"}, {"method": "PATCH"}], [{"method": "put"}]),
        (
            query(("version", "v1"), ("", "*example*")),
            [{"path": "/?version=v1"}, {"path": "/?a=1&VERSION=V1&b"}, {"path": "/?what=an-example-it-is"}],
            [{"path": "/?version=v12"}, {"path": "/version=v1"}, {"path": "/?xversion=v1"}, {"path": "/?a=b&c=d"}],
        ),
        (query(("a", "\\*")), [{"path": "/?a=*"}], [{"path": "/?a=b"}]),
        (query(("a?", "x*")), [{"path": "/?ab=x"}, {"path": "/?ac=xyz"}], [{"path": "/?a=x"}, {"path": "/?ab=y&c=x"}]),
        (when("source-ip", "127.0.0.0/8"), [{}], []),
        (when("source-ip", "10.0.0.0/8", "192.0.2.1/32"), [], [{"headers": {"x-forwarded-for": "10.0.0.1"}}]),
    ],
    ids=lambda value: f"{value.field}" if isinstance(value, Condition) else "",
)
async def test_a_condition(
    cloud: AlbCloud,
    front: Front,
    listener: Listener,
    condition: Condition,
    matching: list[dict[str, Any]],
    others: list[dict[str, Any]],
) -> None:
    cloud.rule(listener, 1, says("match"), condition)
    for how in matching:
        assert (await front.ask(**how)).body == "match", how
    for how in others:
        assert (await front.ask(**how)).body == "no rule", how


async def test_all_conditions_must_hold(cloud: AlbCloud, front: Front, listener: Listener) -> None:
    both = (when("path-pattern", "/a"), header("x-a", "1"), header("x-b", "1"))
    cloud.rule(listener, 1, says("match"), *both)
    assert (await front.ask("/a", headers={"x-a": "1", "x-b": "1"})).body == "match"
    assert (await front.ask("/a", headers={"x-a": "1"})).body == "no rule"
    assert (await front.ask("/b", headers={"x-a": "1", "x-b": "1"})).body == "no rule"


async def test_a_regular_expression_that_re2_does_not_know_matches_nothing(
    cloud: AlbCloud, front: Front, listener: Listener
) -> None:
    cloud.rule(listener, 1, says("bad"), when("path-pattern", regexes=("(?=a)",)))
    cloud.rule(listener, 2, says("good"), when("path-pattern", "/*"))
    assert (await front.ask("/a")).body == "good"


async def test_a_changed_rule_is_one_route_configuration(cloud: AlbCloud, front: Front, listener: Listener) -> None:
    other = cloud.http(cloud.alb("other"))
    await front.ask(listener=other)
    changed: list[str] = []
    for collection in front.resources.values():
        collection.subscribe(lambda changes: changed.extend(change.key for change in changes))
    cloud.rule(listener, 1, says("new"), when("path-pattern", "/*"))
    assert (await front.ask()).body == "new"
    assert changed == [listener.arn.partition(":listener/")[2]]


async def test_every_node_serves_the_rules(cloud: AlbCloud, front: Front) -> None:
    listener = cloud.http(cloud.alb("wide", nodes=2), says("here"))
    assert [(await front.ask(listener=listener, node=node)).body for node in (0, 1)] == ["here", "here"]
    assert cloud.state.served[listener.arn]
