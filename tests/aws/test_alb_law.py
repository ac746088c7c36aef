"""After any sequence of edits, what Envoy gets of ALBs is what it would get if it all were there from the start."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.aws.alb_world import AlbCloud, says, to, when

from gatewright.envoy.resources import Resource
from gatewright.local.aws import alb, tls
from gatewright.local.aws.sockets import Sockets
from gatewright.local.aws.state import Action, Redirect
from gatewright.local.aws.targets import Targets

SEED = AlbCloud()
CERTIFICATES = [SEED.certificate(name) for name in ("a.test", "b.test")]
BALANCER = SEED.alb(nodes=2)
GROUPS = [SEED.http_group(name) for name in ("a", "b")]
LISTENERS = [SEED.http(BALANCER), SEED.https(BALANCER, says("x"), *CERTIFICATES), SEED.https(BALANCER, port=8443)]
ACTIONS: list[Action] = [says("x"), Redirect(301, protocol="HTTPS", port="443"), to(*GROUPS, sticky=5), to(GROUPS[1])]

START: list[Any] = [
    ("balancer", "true"),
    *[("group", number, "HTTP1") for number in range(2)],
    *[("certificate", number, True) for number in range(2)],
    *[("listener", number, True) for number in range(3)],
    *[("rule", number, None, number, True) for number in range(3)],
]

edits = st.one_of(
    st.tuples(
        st.just("rule"),
        st.sampled_from(range(3)),
        st.sampled_from([None, 1, 2]),
        st.sampled_from(range(4)),
        st.booleans(),
    ),
    st.tuples(st.just("listener"), st.sampled_from(range(3)), st.booleans()),
    st.tuples(st.just("group"), st.sampled_from(range(2)), st.sampled_from(["HTTP1", "GRPC", None])),
    st.tuples(st.just("certificate"), st.sampled_from(range(2)), st.booleans()),
    st.tuples(st.just("balancer"), st.sampled_from(["true", "false", None])),
)


def apply(cloud: AlbCloud, edit: Any) -> None:
    state = cloud.state
    match edit:
        case ("rule", listener, priority, action, True):
            cloud.rule(LISTENERS[listener], priority, ACTIONS[action], *[when("path-pattern", "/*")] * bool(priority))
        case ("rule", listener, priority, _, False):
            made = SEED.rule(LISTENERS[listener], priority, ACTIONS[0])
            state.rules.delete(made.arn)
        case ("listener", number, True):
            state.listeners.set(LISTENERS[number].arn, LISTENERS[number])
        case ("listener", number, False):
            state.listeners.delete(LISTENERS[number].arn)
        case ("group", number, None):
            state.target_groups.delete(GROUPS[number].arn)
        case ("group", number, version):
            state.target_groups.set(GROUPS[number].arn, replace(GROUPS[number], protocol_version=version))
        case ("certificate", number, True):
            arn = CERTIFICATES[number]
            state.certificates.set(arn, SEED.state.certificates[arn])
        case ("certificate", number, False):
            state.certificates.delete(CERTIFICATES[number])
        case ("balancer", None):
            state.load_balancers.delete(BALANCER.arn)
        case ("balancer", value):
            attributes = {"routing.http.preserve_host_header.enabled": value}
            state.load_balancers.set(BALANCER.arn, replace(BALANCER, attributes=attributes))


def resources(cloud: AlbCloud) -> list[Any]:
    made = alb.translate(cloud.state, Targets(cloud.state))
    return [made.listeners, made.route_configurations, tls.secrets(cloud.state, made.listeners)]


def picture(collections: list[Any]) -> list[dict[str, Resource]]:
    return [dict(collection.items()) for collection in collections]


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, max_size=12))
def test_incremental_is_as_from_nothing(some: list[Any]) -> None:
    cloud = AlbCloud()
    Sockets(cloud.state)
    made = resources(cloud)
    for edit in [*START, *some]:
        apply(cloud, edit)
    fresh = AlbCloud()
    for name in ("load_balancers", "listeners", "rules", "target_groups", "certificates", "sockets"):
        getattr(fresh.state, name).replace(dict(getattr(cloud.state, name).items()))
    assert picture(made) == picture(resources(fresh))
