"""Which EndpointSlices follow from a Service and its pods."""

from typing import Any

from gatewright.local.workloads.slices import MANAGER, Backend, Override, endpoint_slices
from gatewright.model import core
from gatewright.model.discovery import EndpointPort, EndpointSlice
from gatewright.model.meta import ObjectMeta


def service(*ports: core.ServicePort, **spec: Any) -> core.Service:
    spec.setdefault("selector", {"app": "web"})
    return core.Service(
        metadata=ObjectMeta(name="web", namespace="ns", uid="u", labels={"team": "a"}),
        spec=core.ServiceSpec(ports=ports or (core.ServicePort(port=80, target_port=8080, name="http"),), **spec),
    )


def pod(
    name: str, ip: str, *, ready: bool = True, deleting: bool = False, ports: dict[str, int] | None = None
) -> core.Pod:
    container_ports = tuple(core.ContainerPort(name=n, container_port=p) for n, p in (ports or {}).items())
    return core.Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="ns",
            uid=f"uid-{name}",
            deletion_timestamp="2026-01-01T00:00:00Z" if deleting else None,
        ),
        spec=core.PodSpec(containers=(core.Container(name="c", ports=container_ports),), node_name="gatewright"),
        status=core.PodStatus(
            phase="Running",
            pod_ip=ip,
            conditions=(core.PlainCondition(type="Ready", status="True" if ready else "False"),),
        ),
    )


def own(_: core.Pod, port: int, transport: str) -> int | None:
    return port


def one(slices: list[EndpointSlice]) -> EndpointSlice:
    assert len(slices) == 1
    return slices[0]


def test_pods_become_endpoints_with_their_conditions() -> None:
    pods = [pod("b", "10.0.0.2", ready=False), pod("a", "10.0.0.1"), pod("c", "10.0.0.3", deleting=True)]
    found = one(endpoint_slices(service(), pods, own, {}))
    assert found.metadata.labels == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": MANAGER,
    }
    assert found.ports == (EndpointPort(name="http", port=8080),)
    states = [
        (e.addresses[0], e.conditions.ready, e.conditions.serving, e.conditions.terminating) for e in found.endpoints
    ]
    assert states == [
        ("10.0.0.1", True, True, False),
        ("10.0.0.2", False, False, False),
        ("10.0.0.3", False, True, True),
    ]
    reference = found.endpoints[0].target_ref
    assert reference is not None
    assert (reference.kind, reference.name, reference.uid) == ("Pod", "a", "uid-a")


def test_unready_pods_are_published_as_ready_where_the_service_wants_it() -> None:
    found = one(
        endpoint_slices(service(publish_not_ready_addresses=True), [pod("a", "10.0.0.1", ready=False)], own, {})
    )
    assert (found.endpoints[0].conditions.ready, found.endpoints[0].conditions.serving) == (True, False)


def test_a_named_target_port_is_resolved_in_each_pod_and_pods_that_differ_get_slices_of_their_own() -> None:
    of = service(core.ServicePort(port=80, target_port="web", name="http"))
    pods = [pod("a", "10.0.0.1", ports={"web": 8080}), pod("b", "10.0.0.2", ports={"web": 9090}), pod("c", "10.0.0.3")]
    slices = endpoint_slices(of, pods, own, {})
    assert sorted((s.ports[0].port, s.endpoints[0].addresses[0]) for s in slices) == [
        (8080, "10.0.0.1"),
        (9090, "10.0.0.2"),
    ]
    assert len({s.name for s in slices}) == 2


def test_a_port_without_target_is_its_own_target() -> None:
    found = one(endpoint_slices(service(core.ServicePort(port=81)), [pod("a", "10.0.0.1")], own, {}))
    assert found.ports == (EndpointPort(port=81),)


def test_the_port_that_really_listens_is_named_and_a_port_that_none_listens_on_is_not() -> None:
    pods = [pod("a", "127.0.0.1"), pod("b", "127.0.0.1")]
    slices = endpoint_slices(service(), pods, lambda p, port, _: 40001 if p.name == "a" else None, {})
    assert [(s.ports[0].port, len(s.endpoints)) for s in slices] == [(40001, 1)]


def test_without_pods_there_is_one_empty_slice_of_the_same_name() -> None:
    empty = one(endpoint_slices(service(), [], own, {}))
    assert (empty.endpoints, empty.ports) == ((), ())
    assert empty.name == one(endpoint_slices(service(), [pod("a", "10.0.0.1")], own, {})).name


def test_pods_that_have_ended_or_have_no_address_yet_are_left_out() -> None:
    pending = pod("a", "")
    assert one(endpoint_slices(service(), [pending], own, {})).endpoints == ()


def test_a_headless_service_says_so() -> None:
    assert (
        "service.kubernetes.io/headless"
        in one(endpoint_slices(service(cluster_ip="None"), [], own, {})).metadata.labels
    )


def test_a_backend_takes_the_port_it_names_and_leaves_the_others_to_the_pods() -> None:
    of = service(
        core.ServicePort(port=80, target_port=8080, name="http"),
        core.ServicePort(port=81, target_port=8081, name="admin"),
    )
    backend = Backend("ns", "web", "http", "localhost", 9000)
    overrides = {port.port: Override("IPv4", "127.0.0.1", 9000) for port in of.spec.ports if backend.takes(port)}
    slices = endpoint_slices(of, [pod("a", "10.0.0.1")], own, overrides)
    assert sorted((s.endpoints[0].addresses[0], [(p.name, p.port) for p in s.ports]) for s in slices) == [
        ("10.0.0.1", [("admin", 8081)]),
        ("127.0.0.1", [("http", 9000)]),
    ]


def test_a_large_service_is_split() -> None:
    pods = [pod(f"p{n}", f"10.0.{n // 250}.{n % 250}") for n in range(1500)]
    slices = endpoint_slices(service(), pods, own, {})
    assert [len(s.endpoints) for s in slices] == [1000, 500]
    assert len({s.name for s in slices}) == 2
