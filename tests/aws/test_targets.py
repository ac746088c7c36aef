"""Which targets get traffic, and what their clusters depend on."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.transport_sockets.tls.v3 import tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.aws.nlb_world import ZONES, Cloud

from gatewright.local.aws.state import Bound, Socket, Target, TargetKey
from gatewright.local.aws.targets import Member, Targets, usable

_COUNT = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"
_SHARE = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage"

members = st.lists(
    st.builds(
        Member,
        target=st.just("t"),
        address=st.ip_addresses(v=4).map(str),
        port=st.integers(1, 65535),
        zone=st.sampled_from(["", *ZONES]),
        healthy=st.booleans(),
    ),
    unique_by=lambda member: (member.address, member.port),
)


@given(members, st.sampled_from(["", *ZONES]))
def test_only_healthy_targets_get_traffic_as_long_as_there_is_one(found: list[Member], zone: str) -> None:
    chosen = usable(found, {}, zone)
    here = [member for member in found if not zone or member.zone in ("", zone)]
    assert set(chosen) <= set(here)
    if any(member.healthy for member in here):
        assert all(member.healthy for member in chosen)
    assert len(chosen) == (sum(member.healthy for member in here) or len(here))


@given(members, st.integers(1, 5), st.integers(0, 100))
def test_all_get_traffic_where_fewer_are_healthy_than_asked_for(found: list[Member], count: int, share: int) -> None:
    attributes = {_COUNT: str(count), _SHARE: str(share) if share else "off"}
    healthy = [member for member in found if member.healthy]
    enough = len(healthy) >= count and len(healthy) * 100 >= share * len(found)
    assert list(usable(found, attributes)) == (healthy if enough else found)


class Read:
    """The clusters of a cloud's target groups, as Envoy reads them."""

    def __init__(self, cloud: Cloud, **how: Any) -> None:
        self.targets = Targets(cloud.state, **how)

    def cluster(self) -> Any:
        (resource,) = self.targets.clusters.values()
        return cluster_pb2.Cluster.FromString(resource.body)

    def addresses(self) -> list[tuple[str, int]]:
        (resource,) = self.targets.endpoints.values()
        message = endpoint_pb2.ClusterLoadAssignment.FromString(resource.body)
        sockets = [each.endpoint.address.socket_address for part in message.endpoints for each in part.lb_endpoints]
        return [(each.address, each.port_value) for each in sockets]


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.mark.parametrize(
    ("attributes", "policy"),
    [
        ({}, cluster_pb2.Cluster.ROUND_ROBIN),
        ({"load_balancing__algorithm__type": "round_robin"}, cluster_pb2.Cluster.ROUND_ROBIN),
        ({"load_balancing__algorithm__type": "least_outstanding_requests"}, cluster_pb2.Cluster.LEAST_REQUEST),
        ({"load_balancing__algorithm__type": "weighted_random"}, cluster_pb2.Cluster.RANDOM),
    ],
)
def test_an_albs_algorithm_is_the_groups(cloud: Cloud, attributes: dict[str, Any], policy: int) -> None:
    read = Read(cloud)
    cloud.listener(cloud.load_balancer("one", "application"), cloud.group("web", "HTTP", version="HTTP1", **attributes))
    assert read.cluster().lb_policy == policy
    assert read.cluster().connect_timeout.seconds == 10


def test_slow_start_goes_at_the_clouds_pace(cloud: Cloud) -> None:
    read = Read(cloud, pace=10)
    group = cloud.group("web", "HTTP", version="HTTP1", slow_start__duration_seconds="30")
    cloud.listener(cloud.load_balancer("one", "application"), group)
    assert read.cluster().round_robin_lb_config.slow_start_config.slow_start_window.seconds == 3


@pytest.mark.parametrize(("version", "http2"), [("HTTP1", False), ("HTTP2", True), ("GRPC", True)])
def test_a_groups_protocol_version_is_spoken_to_its_targets(cloud: Cloud, version: str, http2: bool) -> None:
    read = Read(cloud)
    cloud.listener(cloud.load_balancer("one", "application"), cloud.group("web", "HTTPS", version=version))
    cluster = read.cluster()
    packed = cluster.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    options = http_protocol_options_pb2.HttpProtocolOptions()
    packed.Unpack(options)
    assert options.explicit_http_config.HasField("http2_protocol_options") == http2
    context = tls_pb2.UpstreamTlsContext()
    cluster.transport_socket.typed_config.Unpack(context)
    assert not context.sni
    assert not context.common_tls_context.HasField("validation_context")
    assert list(context.common_tls_context.alpn_protocols) == (["h2"] if http2 else [])


def test_targets_are_offered_tls_1_3_where_a_listener_is(cloud: Cloud) -> None:
    read = Read(cloud)
    balancer, group = cloud.load_balancer("one", "application"), cloud.group("web", "HTTPS", version="HTTP1")

    def highest() -> Any:
        context = tls_pb2.UpstreamTlsContext()
        read.cluster().transport_socket.typed_config.Unpack(context)
        return context.common_tls_context.tls_params.tls_maximum_protocol_version

    cloud.listener(balancer, group, ssl_policy="ELBSecurityPolicy-2016-08")
    older = highest()
    cloud.listener(balancer, group, port=443, ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06")
    assert highest() == older + 1


def test_a_group_that_nobody_forwards_to_has_no_cluster(cloud: Cloud) -> None:
    targets = Targets(cloud.state)
    balancer, group = cloud.load_balancer("one", "application"), cloud.group("web", "HTTP", version="HTTP1")
    assert not len(targets.clusters)
    listener = cloud.listener(balancer, group)
    assert len(targets.clusters) == len(targets.endpoints) == 1
    cloud.state.target_groups.delete(group.arn)
    assert not len(targets.clusters)
    cloud.group("web", "HTTP", version="HTTP1")
    cloud.state.listeners.delete(listener.arn)
    assert not len(targets.endpoints)


def test_a_cluster_never_changes_under_its_name(cloud: Cloud) -> None:
    targets = Targets(cloud.state)
    balancer, group = cloud.load_balancer("one", "application"), cloud.group("web", "HTTP", version="HTTP1")
    cloud.listener(balancer, group)
    seen: dict[str, str] = {}
    for version in ("HTTP1", "HTTP2", "GRPC"):
        for algorithm in ("round_robin", "least_outstanding_requests"):
            for slow in ("0", "30"):
                cloud.group(
                    "web",
                    "HTTP",
                    version=version,
                    load_balancing__algorithm__type=algorithm,
                    slow_start__duration_seconds=slow,
                )
                for name, resource in targets.clusters.items():
                    assert seen.setdefault(name, resource.version) == resource.version
    assert len(seen) == 8  # HTTP2 and GRPC are spoken alike


def test_a_target_that_is_a_node_of_ours_is_where_that_really_listens(cloud: Cloud) -> None:
    read = Read(cloud)
    balancer, inner = cloud.load_balancer("one", "application"), cloud.load_balancer("inner", zones=ZONES[:1])
    group = cloud.group("web", "HTTP", version="HTTP1")
    cloud.listener(balancer, group)
    cloud.target(group, (inner.nodes[0].address, 443))
    assert read.addresses() == [(inner.nodes[0].address, 443)]
    cloud.state.sockets.set(Socket(inner.nodes[0].address, 443, "TCP"), Bound("127.0.0.1", 8443))
    assert read.addresses() == [("127.0.0.1", 8443)]


def test_a_target_without_an_address_gets_nothing(cloud: Cloud) -> None:
    read = Read(cloud)
    group = cloud.group("web", "HTTP", "instance", version="HTTP1")
    cloud.listener(cloud.load_balancer("one", "application"), group)
    key = TargetKey(group.arn, "i-0123456789abcdef0", 80)
    cloud.state.targets.set(key, Target(key, (), ZONES[0], 0.0))
    cloud.health(key, "unused")
    assert read.addresses() == []
    cloud.state.targets.set(key, Target(key, ("127.1.2.3",), ZONES[0], 0.0))
    cloud.health(key, "initial")
    assert read.addresses() == [("127.1.2.3", 80)]


def test_targets_off_loopback_are_not_connected_to_from_it(cloud: Cloud) -> None:
    read = Read(cloud)
    balancer, group = cloud.load_balancer("one", "application"), cloud.group("web", "HTTP", version="HTTP1")
    cloud.listener(balancer, group)
    cloud.target(group, ("127.1.2.3", 80))
    assert read.cluster().upstream_bind_config.source_address.address == balancer.nodes[0].address
    cloud.target(group, ("192.0.2.1", 80))
    assert not read.cluster().HasField("upstream_bind_config")
    nodes = tuple(replace(node, address=f"10.0.0.{number}") for number, node in enumerate(balancer.nodes))
    cloud.deregistered(TargetKey(group.arn, "192.0.2.1", 80))
    cloud.state.load_balancers.set(balancer.arn, replace(balancer, nodes=nodes))
    assert not read.cluster().HasField("upstream_bind_config")
