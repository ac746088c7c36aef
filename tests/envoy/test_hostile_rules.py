"""Rules of arbitrary text: Envoy lives on, and so do the others' rules."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.envoy.edge_world import backend_key
from tests.envoy.test_grpc import add, grpc_key

from gatewright.envoy.clusters import Reach
from gatewright.envoy.filters import Entry
from gatewright.envoy.pools import Pool
from gatewright.envoy.resources import CLUSTER, Ref
from gatewright.envoy.routes import Destination, PooledDestination, route
from gatewright.model.meta import Key
from gatewright.topology import (
    Cors,
    ExternalAuth,
    HeaderModifier,
    HostKey,
    ListenerKey,
    Match,
    Mirror,
    Origin,
    PathMatch,
    PathModifier,
    Placement,
    Redirect,
    Retry,
    Rewrite,
    Rule,
    RuleKey,
    Session,
    ValueMatch,
    WeightedBackend,
)

text = st.text(st.sampled_from("ab-/%(){}[]*\\|^$+?.:;=,\"'`~#@! \t\n\r\x00\x7fäß€Ω_0"), max_size=12)
words = st.one_of(text, st.sampled_from(["*", "host", ":path", "cookie", "%REQ(a)%", "te", "connection", "x-a"]))
some = st.lists(words, max_size=2).map(tuple)
number = st.integers(0, 2**31 - 1)
seconds = st.none() | st.floats(0, 1e9)
backend = st.sampled_from([None, *map(backend_key, ("one", "two", "empty", "missing"))])
path_modifier = st.builds(PathModifier, st.sampled_from(["ReplaceFullPath", "ReplacePrefixMatch"]), words)
pairs = st.lists(st.tuples(words, words), max_size=2).map(tuple)
headers = st.builds(HeaderModifier, st.sampled_from(["request", "response"]), pairs, pairs, some)
mirror = st.builds(Mirror, backend, st.integers(0, 5), st.integers(5, 9))
redirect = st.builds(
    Redirect,
    st.sampled_from([301, 302, 303, 307, 308, 0]),
    st.none() | st.sampled_from(["http", "https"]) | words,
    st.none() | words,
    st.none() | st.integers(1, 65535),
    st.none() | path_modifier,
)
cors = st.builds(Cors, some, some, some, some, st.booleans(), number)
authorization = st.one_of(
    st.builds(ExternalAuth, st.just("HTTP"), st.just(backend_key("one")), words, some, some, number),
    st.builds(ExternalAuth, st.just("GRPC"), st.just(grpc_key("auth")), words, some, some, number),
)
filters: Any = st.lists(
    st.one_of(headers, mirror, redirect, st.builds(Rewrite, st.none() | words, st.none() | path_modifier)), max_size=2
).flatmap(lambda plain: st.tuples(st.just(plain), st.lists(st.one_of(cors, authorization), max_size=1)))
filter_tuples: Any = filters.map(lambda both: (*both[0], *both[1]))
shares = st.lists(st.builds(WeightedBackend, backend, st.integers(0, 3), st.just(()) | filter_tuples), max_size=3).map(
    tuple
)
kinds = st.sampled_from(["Exact", "RegularExpression"])
matches = st.builds(
    Match,
    st.builds(PathMatch, st.sampled_from(["Exact", "PathPrefix", "RegularExpression"]), words),
    st.none() | st.sampled_from(["GET", "OPTIONS"]),
    st.lists(st.builds(ValueMatch, words, kinds, words), max_size=1).map(tuple),
    st.lists(st.builds(ValueMatch, words, kinds, words), max_size=1).map(tuple),
)
retries = st.builds(Retry, st.lists(st.integers(0, 999), max_size=2).map(tuple), st.none() | number, seconds)
sessions = st.builds(Session, st.sampled_from(["Cookie", "Header"]), words, seconds, words)


def rules(name: int) -> Any:
    where = Key("infra", f"r{name}")
    return st.builds(
        Rule,
        key=st.just(RuleKey("HTTPRoute", where, 0, 0)),
        precedence=st.just((name,)),
        match=matches,
        filters=filter_tuples,
        backends=shares,
        origin=st.just(Origin("HTTPRoute", where, "1", "spec.rules[0]")),
        request_timeout=seconds,
        backend_request_timeout=seconds,
        retry=st.none() | retries,
        session=st.none() | sessions,
    )


@given(rules(1))
@settings(max_examples=150)
def test_translation_never_fails(rule: Rule) -> None:
    host = HostKey(ListenerKey(Key("infra", "shared"), "http"), "*")
    made = route(
        host,
        rule,
        Entry("http", 80, "*", lambda port, _: port),
        lambda key: Destination(Ref(CLUSTER, str(key)), (), Reach(key, None)) if key.service != "missing" else None,
        lambda of: PooledDestination(Ref(CLUSTER, "pool"), (), Pool(of)),
    )
    assert made.record


async def test_envoy_survives_and_serves_the_others(world: Any, echo: Any, edge: Any, get: Any) -> None:
    world.listener()
    for name in ("one", "two"):
        world.backend(name, await echo(name))
    world.backend("empty")
    add(world, "auth")
    world.rule("good", "/good", "one", precedence=0)
    for batch in await asyncio.to_thread(_batches):
        host = world.host("hostile.test" if len(world.hosts) == 1 else "*.hostile.test")
        with world.flow.batch():
            for kind, key in tuple(world.rejections.keys()):
                world.rejections.delete((kind, key))
            for rule in batch:
                world.all_placements.set((host, rule.key), Placement(host, rule))
        assert (await get("/good")).status == 200
        for rejection in world.rejections.values():
            assert rejection.message.isprintable()
            assert len(rejection.message) < 300


def _batches() -> list[tuple[Rule, ...]]:
    found: list[tuple[Rule, ...]] = []

    @settings(
        max_examples=12, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.tuples(*[rules(name) for name in range(8)]))
    def collect(batch: tuple[Rule, ...]) -> None:
        found.append(batch)

    collect()
    return found
