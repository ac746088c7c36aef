"""Which targets an EdgeBinding wants, of the Gateway's addresses and Services as they are."""

from __future__ import annotations

from typing import Any

import pytest
from tests.edge.binding_world import binding, endpoints, gateway, gateway_service

from gatewright.aws.views import HealthCheck, TargetGroup
from gatewright.edge.binding.targets import Balancer, TargetKey, Wanted, by_endpoints, by_load_balancer, open_ports
from gatewright.model.codec import decode
from gatewright.model.core import Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import Gateway

NLB = Balancer("arn:nlb", "network", ("10.0.0.1", "10.0.0.2"))
OLD = Balancer("arn:old", "network", ("10.0.0.8",))
ALB = Balancer("arn:alb", "application", ("10.0.0.3",))
BALANCERS = {"nlb.aws": NLB, "old.aws": OLD, "alb.aws": ALB, "new.aws": Balancer("arn:new", "network", ())}


def group(target_type: str = "ip", family: str = "ipv4") -> TargetGroup:
    check = HealthCheck("HTTP", "traffic-port")
    return TargetGroup("front", "front", target_type, "HTTP", 80, "vpc", check, ip_address_type=family)


def at(*addresses: str) -> Gateway:
    values = [
        {"type": "Hostname" if any(map(str.isalpha, one)) and ":" not in one else "IPAddress", "value": one}
        for one in addresses
    ]
    return decode(Gateway, {**gateway(), "status": {"addresses": values}})


def service(kind: str = "LoadBalancer", *, going: str = "", hostname: str = "") -> Service:
    data: dict[str, Any] = gateway_service(kind)
    if going:
        data["metadata"]["deletionTimestamp"] = going
    return decode(Service, {**data, "status": {"loadBalancer": {"ingress": [{"hostname": hostname}]}}})


def ids(wanted: Wanted) -> list[str]:
    return [target.id for target in wanted.targets]


def by_balancer(gateway_: Gateway, group_: TargetGroup, *services: Service) -> Wanted:
    return by_load_balancer(decode(EdgeBinding, binding()), group_, gateway_, services, BALANCERS)


@pytest.mark.parametrize(
    ("addresses", "target_group", "wanted", "reason"),
    [
        (["nlb.aws"], group(), ["10.0.0.1", "10.0.0.2"], ""),
        (["10.1.1.1", "nlb.aws"], group(), ["10.0.0.1", "10.0.0.2", "10.1.1.1"], ""),
        (["alb.aws"], group("alb"), ["arn:alb"], ""),
        (["nlb.aws"], group("alb"), [], "AddressNotFound"),
        (["new.aws"], group(), [], "AddressNotFound"),
        (["elsewhere.example.com", "10.1.1.1"], group(), ["10.1.1.1"], "AddressNotFound"),
        (["fd00::1", "10.1.1.1"], group(), ["10.1.1.1"], ""),
        (["fd00::1", "10.1.1.1"], group(family="ipv6"), ["fd00::1"], ""),
        (["fd00::1"], group(), [], "NoAddress"),
        ([], group(), [], "NoAddress"),
    ],
)
def test_addresses_of_the_load_balancer(
    addresses: list[str], target_group: TargetGroup, wanted: list[str], reason: str
) -> None:
    found = by_balancer(at(*addresses), target_group)
    assert (ids(found), found.reason, found.final) == (wanted, reason, False)


def test_a_load_balancer_that_goes_with_its_service_is_wanted_no_more() -> None:
    going = service(going="2024-01-01T00:00:00Z", hostname="old.aws")
    assert by_balancer(at("old.aws"), group(), going).final
    both = by_balancer(at("old.aws", "nlb.aws"), group(), going)
    assert (ids(both), both.final) == (["10.0.0.1", "10.0.0.2"], False)


def by_pods(target_group: TargetGroup, port: int, services: list[Service], *slices: dict[str, Any]) -> Wanted:
    typed = [decode(EndpointSlice, each) for each in slices]
    bound = decode(EdgeBinding, binding(port=port))
    return by_endpoints(bound, target_group, services, lambda _: typed)


def test_ready_endpoints_at_the_ports_of_their_slices() -> None:
    found = by_pods(
        group(),
        80,
        [service("ClusterIP")],
        endpoints("shared-istio", {"10.0.0.1": True, "10.0.0.2": False}, {"http": 8080, "status": 15021}),
        endpoints("shared-istio", {"10.0.0.3": True}, {"http": 9090}, "2"),
    )
    assert found == Wanted((TargetKey("front", "10.0.0.1", 8080), TargetKey("front", "10.0.0.3", 9090)))


@pytest.mark.parametrize(
    ("target_group", "port", "services", "reason", "words"),
    [
        (group("alb"), 80, [service()], "WrongTargetType", "use a target group of type ip"),
        (group(), 80, [], "NoService", "no Service has the label gateway.networking.k8s.io/gateway-name: shared"),
        (group(), 81, [service()], "NoSuchPort", "port 81 is none of Service infra/shared-istio, which has 80"),
        (group(), 80, [service()], "NoEndpoints", "has no ready endpoint for port 80"),
    ],
)
def test_why_there_are_no_endpoints(
    target_group: TargetGroup, port: int, services: list[Service], reason: str, words: str
) -> None:
    found = by_pods(target_group, port, services, endpoints("shared-istio", {"10.0.0.1": False}, {"http": 8080}))
    assert (found.targets, found.reason) == ((), reason)
    assert words in found.message


def test_open_ports_lead_to_the_services() -> None:
    slice_ = decode(EndpointSlice, endpoints("shared-istio", {}, {"http": 8080, "other": 1}))
    assert open_ports([service()], lambda _: [slice_]) == {8080: 80}
