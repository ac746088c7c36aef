"""Delta xDS as a state machine: whatever happens in whatever order, Envoy ends with what is wanted, and is never
without something that it needs."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewright.envoy.delivery import Delivery, Observer
from gatewright.envoy.resources import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    PUSHED,
    ROUTES,
    SCOPE,
    TYPES,
    VIRTUAL_HOST,
    Ref,
    Resource,
    collection_of,
    resource,
)
from gatewright.flow import Flow, Source

BAD = b"bad"


class FakeEnvoy:
    """Takes responses as Envoy does: atomically, and with subscriptions that follow from what it has."""

    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.has: dict[str, dict[str, bytes]] = {url: {} for url in TYPES}
        self.noted: dict[str, bytes] = {}  # scopes that it takes for known
        self.inbox: list[discovery_pb2.DeltaDiscoveryResponse] = []
        self.sent: list[tuple[str, list[str], list[str]]] = []
        self.connect()

    def connect(self) -> None:
        """Begin a stream; it says what it has, except of collections."""
        self.inbox.clear()
        self.delivery.connect()
        names = {ENDPOINTS: self.has[CLUSTER], ROUTES: self.has[LISTENER]}
        for url in TYPES:
            versions = {name: resource(name, body).version for name, body in self.has[url].items()}
            if url in PUSHED:
                self.say(url, initial_resource_versions=versions)
            elif names.get(url):
                self.say(url, resource_names_subscribe=sorted(names[url]), initial_resource_versions=versions)
            elif url == SCOPE and self.has[LISTENER]:
                self.say(url, resource_names_subscribe=[f"{name}/*" for name in self.has[LISTENER]])
            self.receive()  # the server doesn't wait for what else is said

    def say(self, url: str, **fields: Any) -> None:
        self.delivery.request(discovery_pb2.DeltaDiscoveryRequest(type_url=url, **fields))

    def receive(self) -> None:
        for response in self.delivery.responses():
            removed = list(response.removed_resources)
            self.sent.append((response.type_url, [each.name for each in response.resources], removed))
            self.inbox.append(response)

    def work(self) -> bool:
        """Take in the oldest response; False if there is none."""
        self.receive()
        if not self.inbox:
            return False
        response = self.inbox.pop(0)
        url, has = response.type_url, self.has[response.type_url]
        bad = [each.resource.value.startswith(BAD) for each in response.resources]
        if any(bad):
            if url == SCOPE:  # what comes before the bad one is noted without being used; removals are done
                self.noted.update({each.name: each.resource.value for each in response.resources[: bad.index(True)]})
                for name in response.removed_resources:
                    self.noted.pop(name, None)
                    has.pop(name, None)
            refusal = {"code": 3, "message": "it is bad"}
            self.say(url, response_nonce=response.nonce, error_detail=refusal)
            return True
        asks: list[Ref] = []
        for each in response.resources:
            outer = {ENDPOINTS: CLUSTER, ROUTES: LISTENER, SCOPE: LISTENER, VIRTUAL_HOST: ROUTES}.get(url)
            if outer and (each.name.rpartition("/")[0] or each.name) not in self.has[outer]:
                continue  # lost, since what it was for is gone
            if url == SCOPE and self.noted.get(each.name) == each.resource.value:
                continue
            is_new = each.name not in has
            if url == SCOPE:
                self.noted[each.name] = each.resource.value
            has[each.name] = each.resource.value
            if is_new and url in (CLUSTER, LISTENER):
                asks.append(Ref(ENDPOINTS if url == CLUSTER else ROUTES, each.name))
            if is_new and url == LISTENER:
                asks.append(Ref(SCOPE, f"{each.name}/*"))
        for name in response.removed_resources:
            has.pop(name, None)
            if url == SCOPE:
                self.noted.pop(name, None)
            if url == LISTENER:
                self.say(SCOPE, resource_names_unsubscribe=[f"{name}/*"])
                for lost in [each for each in self.has[SCOPE].keys() | self.noted if each.startswith(f"{name}/")]:
                    self.has[SCOPE].pop(lost, None)
                    self.noted.pop(lost, None)
            for outer, inner in ((CLUSTER, ENDPOINTS), (LISTENER, ROUTES)):
                if url == outer:
                    self.has[inner].pop(name, None)
                    self.say(inner, resource_names_unsubscribe=[name])
                    if inner == ROUTES:
                        for host in [each for each in self.has[VIRTUAL_HOST] if each.startswith(f"{name}/")]:
                            del self.has[VIRTUAL_HOST][host]
        self.check()
        self.say(url, response_nonce=response.nonce)
        self.receive()  # an acknowledgement may arrive before the questions that follow from it
        for ask in asks:
            self.say(ask.type, resource_names_subscribe=[ask.name])
        return True

    def check(self) -> None:
        for name, body in [*self.has[VIRTUAL_HOST].items(), *self.has[SCOPE].items()]:
            for cluster in body.partition(b"#")[0].decode().split():
                assert cluster in self.has[CLUSTER], f"{name} leads to {cluster}, which isn't there"
                assert cluster in self.has[ENDPOINTS], f"{name} leads to {cluster}, which isn't warm"


class Plan:
    """What is wanted: listeners with a routing table each, virtual hosts in them, clusters that those need."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.sources: dict[str, Source[str, Resource]] = {url: self.flow.source(url) for url in TYPES}
        self.delivery = Delivery(self.sources, Observer())
        for url, source in self.sources.items():
            source.subscribe(
                lambda changes, url=url: self.delivery.edited(url, [change.key for change in changes])  # type: ignore[misc]
            )

    def cluster(self, name: str, endpoints: str = "1") -> None:
        with self.flow.batch():
            self.sources[CLUSTER].set(name, resource(name, b"cluster"))
            within = (Ref(CLUSTER, name),)
            self.sources[ENDPOINTS].set(name, resource(name, endpoints.encode(), within=within))

    def listener(self, name: str, body: bytes = b"listener") -> None:
        with self.flow.batch():
            self.sources[LISTENER].set(name, resource(name, body))
            self.sources[ROUTES].set(name, resource(name, b"table", within=(Ref(LISTENER, name),)))

    def host(self, name: str, *clusters: str, bad: bool = False) -> None:
        body = (b"bad " if bad else b"") + " ".join(sorted(clusters)).encode()
        needs = {Ref(CLUSTER, cluster) for cluster in clusters}
        within = (Ref(ROUTES, name.rpartition("/")[0]),)
        self.sources[VIRTUAL_HOST].set(name, resource(name, body, needs=needs, within=within))

    def scope(self, name: str, *clusters: str, bad: bool = False) -> None:
        body = (b"bad " if bad else b"") + " ".join(sorted(clusters)).encode()
        needs = {Ref(CLUSTER, cluster) for cluster in clusters}
        within = (Ref(LISTENER, name.rpartition("/")[0]),)
        made = resource(name, body, needs=needs, within=within, variant=lambda body, number: body + b"#%d" % number)
        self.sources[SCOPE].set(name, made)


def run(envoy: FakeEnvoy) -> None:
    for _ in range(1000):
        if not envoy.work():
            return
    pytest.fail("it never comes to rest")


def test_a_virtual_host_waits_for_its_clusters_endpoints() -> None:
    plan = Plan()
    plan.listener("l")
    plan.cluster("a")
    plan.host("l/h", "a")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    assert [url for url, names, _ in envoy.sent if names] == [CLUSTER, LISTENER, ENDPOINTS, ROUTES, VIRTUAL_HOST]
    assert plan.delivery.settled()


def test_a_rule_that_moves_to_a_new_cluster_never_leads_nowhere() -> None:
    plan = Plan()
    plan.listener("l")
    plan.cluster("a")
    plan.host("l/h", "a")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    envoy.sent.clear()
    with plan.flow.batch():
        plan.cluster("b")
        plan.host("l/h", "b")
        plan.sources[CLUSTER].delete("a")
        plan.sources[ENDPOINTS].delete("a")
    run(envoy)
    assert [(url, names, removed) for url, names, removed in envoy.sent] == [
        (CLUSTER, ["b"], []),
        (ENDPOINTS, ["b"], []),
        (VIRTUAL_HOST, ["l/h"], []),
        (CLUSTER, [], ["a"]),
    ]


def test_a_cluster_that_is_wanted_again_while_it_is_being_removed_is_waited_for() -> None:
    plan = Plan()
    plan.listener("l")
    plan.cluster("a")
    plan.host("l/h", "a")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    with plan.flow.batch():
        for url, name in ((VIRTUAL_HOST, "l/h"), (CLUSTER, "a"), (ENDPOINTS, "a")):
            plan.sources[url].delete(name)
    while (CLUSTER, [], ["a"]) not in envoy.sent:
        envoy.receive() if not envoy.inbox else envoy.work()
    assert "a" in envoy.has[CLUSTER]
    with plan.flow.batch():
        plan.cluster("a")
        plan.host("l/h", "a")
    run(envoy)
    assert envoy.has[VIRTUAL_HOST]["l/h"] == b"a"
    assert plan.delivery.settled()


def test_a_first_response_comes_even_if_there_is_nothing_to_send() -> None:
    envoy = FakeEnvoy(Plan().delivery)
    envoy.receive()
    assert sorted(envoy.sent) == [(CLUSTER, [], []), (LISTENER, [], [])]


def test_a_slow_envoy_gets_one_response_for_many_edits() -> None:
    plan = Plan()
    plan.listener("l")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    envoy.sent.clear()
    for number in range(5):
        plan.host(f"l/{number}")
        envoy.receive()
    run(envoy)
    assert envoy.sent == [(VIRTUAL_HOST, ["l/0"], []), (VIRTUAL_HOST, [f"l/{number}" for number in range(1, 5)], [])]


def test_a_refused_resource_is_isolated_and_sent_once() -> None:
    plan = Plan()
    plan.listener("l")
    for number in range(16):
        plan.host(f"l/{number}", bad=number == 11)
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    assert len(envoy.has[VIRTUAL_HOST]) == 15
    assert plan.delivery.settled()
    assert plan.delivery.refusal(Ref(VIRTUAL_HOST, "l/11")) is not None
    assert sum(names == ["l/11"] for _, names, _ in envoy.sent) == 1
    plan.host("l/11")
    run(envoy)
    assert len(envoy.has[VIRTUAL_HOST]) == 16


def test_what_a_refusal_left_half_taken_is_sent_in_other_words() -> None:
    plan = Plan()
    plan.listener("l")
    plan.cluster("a")
    plan.scope("l/a")
    plan.scope("l/c", "a")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    with plan.flow.batch():  # b is refused, while a is noted and c's removal waits
        plan.scope("l/a", "a")
        plan.scope("l/b", bad=True)
        plan.sources[SCOPE].delete("l/c")
    run(envoy)
    assert envoy.has[SCOPE].keys() == {"l/a"}
    assert envoy.has[SCOPE]["l/a"].startswith(b"a#")
    plan.scope("l/b", "a")
    run(envoy)
    assert envoy.has[SCOPE]["l/b"].startswith(b"a")
    plan.scope("l/a")
    run(envoy)
    assert envoy.has[SCOPE]["l/a"] == b""
    assert plan.delivery.settled()


def test_a_change_that_is_taken_back_while_it_was_refused_can_come_again() -> None:
    plan = Plan()
    plan.listener("l")
    plan.cluster("x")
    plan.scope("l/a")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    with plan.flow.batch():
        plan.scope("l/a", "x")
        plan.scope("l/b", bad=True)
    envoy.receive()
    plan.scope("l/a")
    run(envoy)
    assert envoy.has[SCOPE]["l/a"] == b""
    plan.scope("l/a", "x")
    run(envoy)
    assert envoy.has[SCOPE]["l/a"].startswith(b"x")


def test_a_collection_is_sent_to_who_asks_and_forgotten_by_who_does_not() -> None:
    plan = Plan()
    plan.listener("l")
    plan.listener("m")
    for name in ("l/1", "l/2", "m/1"):
        plan.scope(name)
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    assert envoy.has[SCOPE].keys() == {"l/1", "l/2", "m/1"}
    plan.sources[SCOPE].delete("l/2")
    plan.delivery.disconnect()
    plan.delivery.connect()
    envoy.sent.clear()
    envoy.say(LISTENER, initial_resource_versions={"l": plan.sources[LISTENER]["l"].version})
    envoy.say(SCOPE, resource_names_subscribe=["l/*"])
    run(envoy)
    assert [each for each in envoy.sent if each[0] == SCOPE] == [(SCOPE, ["l/1"], []), (SCOPE, [], ["l/2"])]
    assert plan.delivery.held(Ref(SCOPE, "l/1")) is not None
    assert plan.delivery.held(Ref(SCOPE, "m/1")) is None


def test_what_hangs_on_a_refused_listener_does_not_unsettle() -> None:
    plan = Plan()
    plan.listener("l", BAD)
    plan.host("l/h")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    assert plan.delivery.settled()
    plan.delivery.retry(Ref(LISTENER, "l"))
    assert not plan.delivery.settled()


def test_a_reconnecting_envoy_is_believed_about_what_it_has() -> None:
    plan = Plan()
    plan.cluster("a")
    plan.cluster("b")
    envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    versions = {name: plan.sources[CLUSTER][name].version for name in ("a", "b")}
    plan.sources[CLUSTER].delete("b")
    plan.sources[ENDPOINTS].delete("b")
    plan.delivery.disconnect()
    plan.delivery.connect()
    envoy.sent.clear()
    envoy.say(CLUSTER, initial_resource_versions=versions)
    endpoints = {"a": plan.sources[ENDPOINTS]["a"].version}
    envoy.say(ENDPOINTS, resource_names_subscribe=["a"], initial_resource_versions=endpoints)
    run(envoy)
    assert [each for each in envoy.sent if each[0] == CLUSTER] == [(CLUSTER, [], []), (CLUSTER, [], ["b"])]
    assert plan.delivery.settled()


_names = st.sampled_from("abcd")
_hosts = st.sampled_from(["l/x", "l/y", "m/x", "m/z"])
_steps = st.one_of(
    st.tuples(st.just("host"), _hosts, st.sets(_names), st.booleans()),
    st.tuples(st.just("scope"), _hosts, st.sets(_names), st.booleans()),
    st.tuples(st.just("no scope"), _hosts),
    st.tuples(st.just("no host"), _hosts),
    st.tuples(st.just("listener"), st.sampled_from("lm"), st.sampled_from([b"1", b"2", BAD])),
    st.tuples(st.just("no listener"), st.sampled_from("lm")),
    st.tuples(st.just("endpoints"), _names, st.sampled_from("123")),
    st.tuples(st.just("work"), st.integers(1, 12)),
    st.tuples(st.just("rest")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("reconnect")),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(_steps, max_size=40))
# A stream that ends while something was being taken out, or put in.
@example([("host", "l/x", set(), False), ("work", 4), ("reconnect",), ("no host", "l/x")])
@example([("host", "l/x", {"a"}, False), ("work", 5), ("no host", "l/x"), ("reconnect",)])
@example([("scope", "l/y", {"a"}, False), ("work", 5), ("reconnect",), ("no scope", "l/y")])
@example(
    [
        *(("scope", "l/x", {"a"}, False), ("work", 3), ("no scope", "l/x")),
        *(("restart",), ("work", 1), ("scope", "l/x", {"a"}, False)),
    ]
)
# A server that acts before Envoy has said all that it has; a response that comes after what it was for has gone.
@example([("host", "l/x", {"a"}, False), ("rest",), ("no host", "l/x"), ("reconnect",)])
@example([("work", 1), ("no listener", "l"), ("scope", "l/y", set(), False), ("work", 3), ("reconnect",)])
def test_envoy_ends_with_what_is_wanted_and_is_never_without_what_it_needs(steps: list[Any]) -> None:
    plan = Plan()
    plan.listener("l")
    envoy = FakeEnvoy(plan.delivery)
    clusters_of: dict[str, set[str]] = {}
    for step, *values in steps:
        # As in a Topology, one edit brings a rule with its backends, and takes both.
        with plan.flow.batch():
            if step == "host":
                name, clusters, bad = values
                clusters_of[name] = clusters
                plan.host(name, *clusters, bad=bad)
            elif step == "no host":
                clusters_of.pop(values[0], None)
                plan.sources[VIRTUAL_HOST].delete(values[0])
            elif step == "scope":
                name, clusters, bad = values
                clusters_of[f"scope {name}"] = clusters
                plan.scope(name, *clusters, bad=bad)
            elif step == "no scope":
                clusters_of.pop(f"scope {values[0]}", None)
                plan.sources[SCOPE].delete(values[0])
            elif step == "listener":
                plan.listener(*values)
            elif step == "no listener":
                plan.sources[LISTENER].delete(values[0])
                plan.sources[ROUTES].delete(values[0])
            used = set[str]().union(*clusters_of.values())
            for cluster in "abcd":
                if cluster not in used:
                    plan.sources[CLUSTER].delete(cluster)
                    plan.sources[ENDPOINTS].delete(cluster)
                elif cluster not in plan.sources[CLUSTER] or (step == "endpoints" and values[0] == cluster):
                    plan.cluster(cluster, values[1] if step == "endpoints" else "1")
        if step == "work":
            for _ in range(values[0]):
                envoy.work()
        elif step == "rest":
            run(envoy)
        elif step == "reconnect":
            plan.delivery.disconnect()
            envoy.connect()
        elif step == "restart":
            plan.delivery.disconnect()
            envoy = FakeEnvoy(plan.delivery)
    run(envoy)
    assert plan.delivery.settled()
    wanted = {url: {name: each.body for name, each in source.items()} for url, source in plan.sources.items()}
    served = {name for name in envoy.has[LISTENER] if name in wanted[ROUTES]}
    assert envoy.has[CLUSTER].keys() >= wanted[CLUSTER].keys()
    assert envoy.has[ENDPOINTS].items() >= wanted[ENDPOINTS].items()
    for name, body in wanted[LISTENER].items():
        assert body == BAD or envoy.has[LISTENER][name] == body
    for name, body in wanted[VIRTUAL_HOST].items():
        if name.rpartition("/")[0] in served and not body.startswith(BAD):
            assert envoy.has[VIRTUAL_HOST][name] == body
    for name, body in wanted[SCOPE].items():
        if collection_of(name).removesuffix("/*") in served and not body.startswith(BAD):
            assert envoy.has[SCOPE][name].partition(b"#")[0] == body
    assert all(name in wanted[SCOPE] for name in envoy.has[SCOPE])
    # What is too much is what a refusal keeps in force.
    assert all(name in wanted[VIRTUAL_HOST] for name in envoy.has[VIRTUAL_HOST])
    assert all(name in wanted[LISTENER] for name in envoy.has[LISTENER])
    if not any(body.startswith(BAD) for url in (VIRTUAL_HOST, SCOPE) for body in wanted[url].values()):
        assert envoy.has[CLUSTER].keys() == wanted[CLUSTER].keys()
