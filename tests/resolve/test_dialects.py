"""What differs where Gateways are load balancers of AWS instead of a proxy's."""

from __future__ import annotations

from typing import Any

import pytest

from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.core import Namespace, Service
from gatewright.model.gateway import BackendTLSPolicy, Gateway, GatewayClass, HTTPRoute, TCPRoute
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key
from gatewright.resolve import PROXY, Addresses, Inputs, Resolution, resolve
from gatewright.topology import BackendKey, PortKey, PortState, Refusal, RefusalKey, Rejection, Verdict

GATEWAY = Key("infra", "gw")
CONTROLLERS = {"proxy": "example.com/proxy", "alb": ALB_CONTROLLER, "nlb": NLB_CONTROLLER}
TLS_PORT = {"name": "https", "port": 443, "appProtocol": "https"}


class World:
    """One Gateway of each class, resolved in its dialect, from the same inputs."""

    def __init__(self) -> None:
        self.inputs = Inputs(Flow())
        self.put(Namespace, "", "infra")
        for name, controller in CONTROLLERS.items():
            self.put(GatewayClass, "", name, spec={"controllerName": controller})
        self.put(Service, "infra", "web", spec={"ports": [{"port": 80}]})
        dialects = {"proxy": PROXY, "alb": ALB, "nlb": NLB}
        self.of = {name: resolve(self.inputs, {CONTROLLERS[name]}, dialect) for name, dialect in dialects.items()}

    def put(self, type_: Any, namespace: str, name: str, **body: Any) -> None:
        api = "v1" if type_ in (Namespace, Service) else "gateway.networking.k8s.io/v1"
        metadata = {"name": name, "generation": 1, **({"namespace": namespace} if namespace else {})}
        obj = decode(type_, {"apiVersion": api, "kind": type_.__name__, "metadata": metadata, **body})
        self.inputs.by_type[type_].set(obj.key, obj)

    def gateway(self, class_name: str, *listeners: dict[str, Any], **spec: Any) -> Resolution:
        given = listeners or ({"name": "http", "port": 80, "protocol": "HTTP"},)
        self.put(Gateway, "infra", "gw", spec={"gatewayClassName": class_name, "listeners": list(given), **spec})
        return self.of[class_name]

    def route(self, *rules: dict[str, Any], type_: Any = HTTPRoute) -> None:
        given = rules or ({"backendRefs": [{"name": "web", "port": 80}]},)
        self.put(type_, "infra", "r", spec={"parentRefs": [{"name": "gw"}], "rules": list(given)})

    def conditions(self, class_name: str) -> dict[str, tuple[str, str, str]]:
        """Of the Gateway: status, reason and message by type."""
        status = self.of[class_name].gateway_statuses[GATEWAY]
        return {c.type: (c.status, c.reason, c.message) for c in status.conditions}

    def of_route(self, class_name: str) -> dict[str, tuple[str, str, str]]:
        (parent,) = self.of[class_name].http_routes[Key("infra", "r")].parents
        return {c.type: (c.status, c.reason, c.message) for c in parent.conditions}


@pytest.fixture
def world() -> World:
    return World()


def test_a_service_may_ask_for_tls_by_itself_where_nobody_verifies_it(world: World) -> None:
    world.put(Service, "infra", "web", spec={"ports": [TLS_PORT]})
    world.route({"backendRefs": [{"name": "web", "port": 443}]})
    world.gateway("proxy")
    assert world.of_route("proxy")["ResolvedRefs"][:2] == ("False", "UnsupportedProtocol")
    topology = world.gateway("alb").topology
    assert world.of_route("alb")["ResolvedRefs"][0] == "True"
    backend = topology.backends[BackendKey("infra", "web", 443)]
    assert (backend.unverified_tls, backend.tls) == (True, None)


def test_a_policy_says_that_it_is_not_verified(world: World) -> None:
    world.put(Service, "infra", "web", spec={"ports": [TLS_PORT]})
    world.route({"backendRefs": [{"name": "web", "port": 443}]})
    validation = {"hostname": "web.example.com", "wellKnownCACertificates": "System"}
    target = {"group": "", "kind": "Service", "name": "web"}
    world.put(BackendTLSPolicy, "infra", "p", spec={"targetRefs": [target], "validation": validation})
    resolution = world.gateway("alb")
    (ancestor,) = resolution.backend_tls_policies[Key("infra", "p")].ancestors
    accepted = ancestor.conditions[0]
    assert (accepted.status, accepted.reason) == ("False", "NotVerified")
    assert "verifies neither" in accepted.message
    assert resolution.topology.backends[BackendKey("infra", "web", 443)].tls is not None


def test_what_a_proxy_refuses_is_no_business_of_a_load_balancers(world: World) -> None:
    world.route()
    world.inputs.rejections.set(("HTTPRoute", Key("infra", "r")), Rejection("1", "bad"))
    world.gateway("proxy")
    assert world.of_route("proxy")["Accepted"][0] == "False"
    world.gateway("alb")
    assert world.of_route("alb")["Accepted"][0] == "True"


@pytest.mark.parametrize(
    ("class_name", "protocol", "served"),
    [("alb", "HTTPS", True), ("alb", "TCP", False), ("nlb", "TCP", True), ("nlb", "HTTP", False), ("nlb", "UDP", True)],
)
def test_listeners_have_the_protocols_of_their_load_balancer(
    world: World, class_name: str, protocol: str, served: bool
) -> None:
    resolution = world.gateway(class_name, {"name": "one", "port": 443, "protocol": protocol})
    (listener,) = resolution.gateway_statuses[GATEWAY].listeners
    reasons = {c.type: c.reason for c in listener.conditions}
    assert reasons["Accepted"] == ("Accepted" if served else "UnsupportedProtocol")


def test_a_tcp_route_does_not_attach_to_an_alb(world: World) -> None:
    world.route(type_=TCPRoute)
    world.gateway("alb")
    (parent,) = world.of["alb"].tcp_routes[Key("infra", "r")].parents
    assert parent.conditions[0].status == "False"


def test_parameters_are_what_their_implementation_says_of_them(world: World) -> None:
    ref = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "lb"}
    world.gateway("alb", infrastructure={"parametersRef": ref})
    assert world.conditions("alb")["Accepted"][:2] == ("False", "InvalidParameters")
    world.inputs.verdicts.set(("LoadBalancerConfiguration", Key("infra", "lb")), Verdict())
    assert world.conditions("alb")["Accepted"][0] == "True"
    world.inputs.verdicts.set(("LoadBalancerConfiguration", Key("infra", "lb")), Verdict("spec.scheme: no"))
    assert "spec.scheme: no" in world.conditions("alb")["Accepted"][2]


def test_a_rule_that_is_refused_leaves_the_others(world: World) -> None:
    world.route({"matches": [{"path": {"value": "/a"}}]}, {"matches": [{"path": {"value": "/b"}}]})
    world.gateway("alb")
    told = RefusalKey("HTTPRoute", Key("infra", "r"), GATEWAY)
    world.inputs.refusals.set(told, (Refusal("1", 1, "spec.rules[1]: AWS can't"),))
    found = world.of_route("alb")
    assert found["Accepted"][0] == "True"
    assert found["PartiallyInvalid"] == ("True", "UnsupportedValue", "Dropped Rule: spec.rules[1]: AWS can't")
    world.inputs.refusals.set(told, (Refusal("another", 1, "of before"),))
    assert "PartiallyInvalid" not in world.of_route("alb")


def test_a_gateway_says_which_load_balancer_it_is_and_what_it_is_served_without(world: World) -> None:
    world.gateway("alb")
    address = GatewayStatusAddress(type="Hostname", value="lb.example.com")
    world.inputs.addresses.set(GATEWAY, Addresses((address,), of="load balancer lb (arn:lb)", remarks=("without x",)))
    world.inputs.ports.set(PortKey(GATEWAY, 80), PortState(True))
    found = world.conditions("alb")
    assert found["Programmed"] == ("True", "Programmed", "load balancer lb (arn:lb) serves the Gateway")
    assert found["Accepted"][2] == "the Gateway is valid; without x"
    world.inputs.ports.set(PortKey(GATEWAY, 80), PortState(True, "AWS: throttled"))
    assert world.conditions("alb")["Programmed"][2].endswith("; port 80: AWS: throttled")


def test_ports_that_are_not_served_are_told_before_an_address_is_waited_for(world: World) -> None:
    two = ({"name": "a", "port": 80, "protocol": "HTTP"}, {"name": "b", "port": 81, "protocol": "HTTP"})
    world.gateway("alb", *two)
    assert world.conditions("alb")["Programmed"][1] == "AddressNotAssigned"
    for port in (80, 81):
        world.inputs.ports.set(PortKey(GATEWAY, port), PortState(False, "no subnet"))
    assert world.conditions("alb")["Programmed"] == ("False", "Invalid", "ports 80, 81: no subnet")
