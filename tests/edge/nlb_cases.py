"""Any Service, any endpoints, and an AWS that does at once what operations say: for properties of plans."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st

from gatewright.aws import views
from gatewright.edge.nlb import operations as operations
from gatewright.edge.nlb.actual import Actual, Made, after
from gatewright.edge.nlb.desired import DesiredLoadBalancer, desired_load_balancer
from gatewright.edge.nlb.operations import Operation
from gatewright.edge.nlb.subnets import Network, SecurityGroup, Subnet
from gatewright.model.codec import decode
from gatewright.model.core import Node, Service
from gatewright.model.discovery import EndpointSlice

ANNOTATION = "service.beta.kubernetes.io/aws-load-balancer-"
PRIVATE = {"kubernetes.io/role/internal-elb": "1", "kubernetes.io/cluster/prod": "shared"}
PUBLIC = {"kubernetes.io/role/elb": "1", "kubernetes.io/cluster/prod": "shared"}
NETWORK = Network(
    subnets=(
        Subnet("subnet-pra", "vpc-1", "us-east-1a", "10.0.0.0/18", 16000, {**PRIVATE, "Name": "private-a"}),
        Subnet("subnet-prb", "vpc-1", "us-east-1b", "10.0.128.0/17", 16000, {**PRIVATE, "Name": "private-b"}),
        Subnet("subnet-pua", "vpc-1", "us-east-1a", "10.0.64.0/20", 4000, {**PUBLIC, "Name": "public-a"}),
        Subnet("subnet-pub", "vpc-1", "us-east-1b", "10.0.80.0/20", 4000, {**PUBLIC, "Name": "public-b"}),
    ),
    ranges={"vpc-1": ("10.0.0.0/16",)},
    security_groups=(SecurityGroup("sg-1", "vpc-1", "front"), SecurityGroup("sg-2", "vpc-1", "office")),
)
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012"


def a_service(annotations: dict[str, str] | None = None, ports: Iterable[dict[str, Any]] = (), **spec: Any) -> Service:
    """A Service; `annotations` are named by what comes after the common prefix."""
    given = {"type": "external", "nlb-target-type": "ip", **(annotations or {})}
    named = {key if "/" in key else f"{ANNOTATION}{key}": value for key, value in given.items()}
    metadata = {"namespace": "shop", "name": "web", "uid": "6f1c", "annotations": named}
    listed = [*ports] or [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080}]
    return decode(Service, {"metadata": metadata, "spec": {"type": "LoadBalancer", "ports": listed, **spec}})


def slices(*addresses: str, port: int = 8080, name: str = "http") -> list[EndpointSlice]:
    """Ready endpoints on one port."""
    endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
    labels = {"kubernetes.io/service-name": "web"}
    metadata = {"namespace": "shop", "name": "web-1", "labels": labels}
    ports = [{"name": name, "port": port, "protocol": "TCP"}]
    body = {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints, "ports": ports}
    return [decode(EndpointSlice, body)]


def a_node(name: str, instance: str, *, ready: bool = True, **labels: str) -> Node:
    """A node of EC2's."""
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    spec = {"providerID": f"aws:///us-east-1a/{instance}"}
    body = {"metadata": {"name": name, "labels": labels}, "spec": spec, "status": {"conditions": conditions}}
    return decode(Node, body)


def desired(
    service: Service, addresses: Iterable[str] = ("10.0.1.1",), nodes: Iterable[Node] = ()
) -> DesiredLoadBalancer:
    """What a sound Service asks for."""
    found, problems = desired_load_balancer(service, slices(*addresses), nodes, NETWORK, "prod")
    assert found, problems
    return found


_numbers = itertools.count(1)


def done(actual: Actual, wanted: Iterable[Operation]) -> Actual:
    """What AWS holds after operations."""
    for operation in wanted:
        actual = after(actual, operation, made(actual, operation))
    return actual


def made(actual: Actual, operation: Operation) -> Made | None:
    """What AWS answers to an operation that makes something. A name that is taken, or what is in use, is refused."""
    match operation:
        case operations.CreateLoadBalancer():
            assert operation.name not in {each.load_balancer.name for each in actual.load_balancers.values()}
            held = {
                zone.private_address for each in actual.load_balancers.values() for zone in each.load_balancer.zones
            }
            assert not held & {each.private_address for each in operation.subnets if each.private_address}
            name = operation.name
            return views.LoadBalancer(
                f"{ARN}:loadbalancer/net/{name}/{next(_numbers):016x}",
                name,
                f"{name}.elb.us-east-1.amazonaws.com",
                "network",
                operation.scheme,
                "active",
                "vpc-1",
                tuple(views.Zone("", each.subnet) for each in operation.subnets),
                operation.ip_address_type,
                operation.security_groups,
            )
        case operations.CreateTargetGroup():
            assert operation.name not in {each.group.name for each in actual.target_groups.values()}
            return views.TargetGroup(
                f"{ARN}:targetgroup/{operation.name}/{next(_numbers):016x}",
                operation.name,
                operation.target_type,
                operation.protocol,
                operation.port,
                operation.vpc,
                operation.health_check,
            )
        case operations.CreateListener() | operations.ModifyListener():
            owner = actual.load_balancer(operation.load_balancer).load_balancer
            group = actual.target_group(operation.target_group).group
            assert {*group.load_balancers} <= {owner.arn}, "a target group belongs to one load balancer"
            known = actual.load_balancer(operation.load_balancer).listeners.get(operation.port)
            assert (known is None) == isinstance(operation, operations.CreateListener)
            new = f"{owner.arn.replace(':loadbalancer/', ':listener/')}/{next(_numbers):016x}"
            return views.Listener(
                known.listener.arn if known else new,
                owner.arn,
                operation.port,
                operation.protocol,
                (group.arn,),
                (operation.certificate,) if operation.certificate else (),
                operation.ssl_policy or ("ELBSecurityPolicy-2016-08" if operation.protocol == "TLS" else ""),
                operation.alpn_policy,
            )
        case operations.DeleteTargetGroup(name):
            assert not actual.target_group(name).group.load_balancers, "it is in use"
    return None


def _annotation(name: str, *values: str) -> st.SearchStrategy[tuple[str, str] | None]:
    return st.sampled_from([None, *((name, value) for value in values)])


_ANNOTATIONS = st.tuples(
    _annotation("nlb-target-type", "ip", "instance"),
    _annotation("scheme", "internal", "internet-facing"),
    _annotation("subnets", "private-a", "private-a, private-b", "subnet-pua,subnet-pub"),
    _annotation("private-ipv4-addresses", "10.0.1.200", "10.0.1.200, 10.0.130.7", "10.0.1.201, 10.0.130.7"),
    _annotation("security-groups", "sg-1", "front,office"),
    _annotation("attributes", "deletion_protection.enabled=true", "load_balancing.cross_zone.enabled=true"),
    _annotation("target-group-attributes", "preserve_client_ip.enabled=true"),
    _annotation("healthcheck-protocol", "http", "tcp"),
    _annotation("healthcheck-interval", "5", "30"),
    _annotation("ssl-cert", f"{ARN}:certificate/1", f"{ARN}:certificate/1,{ARN}:certificate/2"),
    _annotation("backend-protocol", "ssl"),
    _annotation("alpn-policy", "HTTP2Preferred"),
    _annotation("additional-resource-tags", "team=a", "team=b,stage=test"),
    _annotation("proxy-protocol", "*"),
    _annotation("name", "mine"),
    _annotation("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=400"),
)
_PORTS = st.lists(
    st.sampled_from(
        [
            {"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080},
            {"name": "http", "port": 80, "targetPort": 9090, "nodePort": 30080},
            {"name": "https", "port": 443, "targetPort": "tls", "nodePort": 30443},
            {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053},
        ]
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda port: str(port["port"]),
)


@st.composite
def desired_load_balancers(draw: st.DrawFn) -> DesiredLoadBalancer:
    """What any sound Service of one name asks for."""
    annotations = dict(each for each in draw(_ANNOTATIONS) if each)
    addresses = draw(st.sets(st.sampled_from(["10.0.1.1", "10.0.1.2", "10.0.130.1", "192.168.0.9"])))
    nodes = [a_node(name, f"i-{name}") for name in draw(st.sets(st.sampled_from("abc")))]
    service = a_service({"nlb-target-type": "ip", **annotations}, draw(_PORTS))
    found, _ = desired_load_balancer(service, slices(*addresses), nodes, NETWORK, "prod")
    if found is None:  # its annotations contradict each other
        service = a_service({"nlb-target-type": annotations.get("nlb-target-type", "ip")}, service_ports(service))
        found, problems = desired_load_balancer(service, slices(*addresses), nodes, NETWORK, "prod")
        assert found, problems
    return found


def service_ports(service: Service) -> list[dict[str, Any]]:
    """A Service's ports as a manifest has them."""
    return [
        {
            "name": port.name,
            "port": port.port,
            "protocol": port.protocol,
            "targetPort": port.target_port or port.port,
            "nodePort": port.node_port,
        }
        for port in service.spec.ports
    ]
