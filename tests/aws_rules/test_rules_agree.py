"""The law of the translation: what an ALB does by its rules is what `explain` says of the topology, unless refused."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.aws_rules import alb_routes
from tests.aws_rules.alb_evaluation import (
    Answer,
    Forwarded,
    Found,
    action_documents,
    condition_document,
    evaluate,
    transform_documents,
)
from tests.explain.edges import BACKENDS, edges, requests, services
from tests.fuzz.manifests import CONTROLLER, Json

from gatewright.aws.rules import EMPTY_GROUP, ListenerRules, RuleContext, listener_rules
from gatewright.aws.rules.actions import scale
from gatewright.explain import Answered, Redirected, Request, Result, Sent, Split, answer
from gatewright.flow import Flow
from gatewright.local.aws.elbv2 import actions, conditions, transforms
from gatewright.model.codec import decode
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, resolve
from gatewright.topology import BackendKey, Rule, RuleKey, Topology

GATEWAY = Key("a", "gw")
PROFILE = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # To shrink manifests takes minutes, and the assertion names the request that matters.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
TYPES = {type_.__name__: type_ for type_ in Inputs(Flow()).by_type}


def topology_of(manifests: list[Json]) -> Topology:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    with inputs.flow.batch():
        for document in manifests:
            document = {**document, "metadata": {"generation": 1, "resourceVersion": "1"} | document["metadata"]}
            obj: Any = decode(TYPES[document["kind"]], document)
            inputs.by_type[type(obj)].set(obj.key, obj)
    return resolution.topology


def hosts_of(topology: Topology, port: int) -> list[tuple[str, list[Rule]]]:
    listeners = {key for key, listener in topology.listeners.items() if listener.port == port}
    return [
        (host.hostname, [placement.rule for placement in topology.placements_by_host.lookup(host)])
        for host in topology.hosts
        if host.listener in listeners
    ]


def rules_of(topology: Topology, port: int) -> ListenerRules:
    def target_group(backend: BackendKey, _: RuleKey) -> str:
        found = topology.backends.get(backend)
        return "" if found is None or found.problem else backend.service

    context = RuleContext("HTTPS" if port == 443 else "HTTP", port, {}, target_group)
    return listener_rules(hosts_of(topology, port), context)


def agrees(found: Answer, said: Result, rule: Rule | None) -> bool:
    """Whether an ALB's answer is what Envoy's is: an empty share of a group answers 503 instead of 500."""
    match found:
        case Forwarded():
            shares = [share for share in found.shares if share[1]]
            results = said.shares if isinstance(said, Split) else ((sum(weight for _, weight in shares), said),)
            named: dict[str, int] = {}
            for weight, each in results:
                name = EMPTY_GROUP
                if isinstance(each, Sent):
                    name = each.backend.service
                    if (each.host, each.path) != (found.host, found.path):
                        return False
                elif isinstance(each, Answered) and each.status == 503:
                    name = "empty"
                elif not (isinstance(each, Answered) and each.status == 500):
                    return False
                named[name] = named.get(name, 0) + weight
            return dict(zip(named, scale(list(named.values()))[0], strict=True)) == dict(shares)
        case Found():
            return isinstance(said, Redirected) and (found.status, _url(found.location)) == (
                said.status,
                _url(said.location),
            )
    return isinstance(said, Answered) and said.status == found


def _url(location: str) -> tuple[Any, ...]:
    parts = urlsplit(location)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme], parts.path, parts.query


def is_comparable(request: Request, port: int) -> bool:
    """Where the load balancer's semantics are the Gateway API's; the support table lists where they are not."""
    names = [part.partition("=")[0].lower() for part in request.path.partition("?")[2].split("&") if part]
    is_secret_host = request.scheme == "https" and request.sni != request.hostname
    named_port = request.host.partition(":")[2]
    return len(set(names)) == len(names) and not is_secret_host and named_port in ("", str(port))


def agree(manifests: list[Json], sent: list[tuple[int, Request]]) -> None:
    """Hold what an ALB does with each request against what is said of the topology."""
    topology = topology_of(manifests)
    by_port = {port: rules_of(topology, port) for port in (80, 81, 443)}
    for port, request in sent:
        if port not in by_port or (port == 443) != (request.scheme == "https") or not is_comparable(request, port):
            continue
        outcome = answer(topology, GATEWAY, port, request)
        if not isinstance(outcome.result, Sent | Redirected | Answered | Split) or 421 in outcome.statuses:
            continue
        translated = by_port[port]
        dropped = {each.rule._replace(match=0) for each in translated.refusals if each.dropped}
        if outcome.rule and outcome.rule.key._replace(match=0) in dropped:
            continue
        if outcome.rule is None and outcome.host is None and not hosts_of(topology, port):
            continue
        if ":" in request.host and isinstance(outcome.result, Redirected):
            continue
        found, taken = evaluate(translated.rules, request, port)
        why = f"{request} {request.headers} at {port}: {found} by {taken}, said {outcome.result!r} by {outcome.rule}"
        assert agrees(found, outcome.result, outcome.rule), why


@settings(PROFILE, max_examples=40)
@given(manifests=edges, sent=st.lists(requests(), min_size=10, max_size=25))
def test_an_alb_does_what_envoy_does_unless_a_rule_is_refused(
    manifests: list[Json], sent: list[tuple[int, Request]]
) -> None:
    agree([*manifests, *services(dict.fromkeys(BACKENDS, 8080))], sent)


@settings(PROFILE, max_examples=40)
@given(manifests=alb_routes.edges(), sent=st.lists(alb_routes.requests(), min_size=20, max_size=40))
def test_rules_that_are_joined_and_split_do_the_same(manifests: list[Json], sent: list[tuple[int, Request]]) -> None:
    agree([*manifests, *services(dict.fromkeys(BACKENDS, 8080))], sent)


@settings(PROFILE, max_examples=20)
@given(manifests=edges | alb_routes.edges())
def test_the_api_takes_every_rule(manifests: list[Json]) -> None:
    topology = topology_of([*manifests, *services(dict.fromkeys(BACKENDS, 8080))])
    for port in (80, 81, 443):
        place = actions.Place("application", "HTTPS" if port == 443 else "HTTP", port)
        for rule in rules_of(topology, port).rules:
            conditions.checked([condition_document(each) for each in rule.conditions])
            actions.checked(action_documents(rule), place)
            transforms.checked(transform_documents(rule))


@settings(PROFILE, max_examples=15)
@given(manifests=edges | alb_routes.edges(), seed=st.integers())
def test_the_same_rules_come_in_whatever_order_things_arrive(manifests: list[Json], seed: int) -> None:
    topology = topology_of([*manifests, *services(dict.fromkeys(BACKENDS, 8080))])
    shuffled = list(manifests)
    random.Random(seed).shuffle(shuffled)
    other = topology_of([*services(dict.fromkeys(BACKENDS, 8080)), *shuffled])
    for port in (80, 443):
        hosts = hosts_of(other, port)
        random.Random(seed).shuffle(hosts)
        assume(hosts)
        assert rules_of(topology, port) == rules_of(other, port)
