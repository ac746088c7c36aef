"""What a Service's target groups forward to, and how they ask whether it is well (pure)."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.aws.views import HealthCheck, Target
from gatewright.edge.nlb.annotations import Settings
from gatewright.edge.nlb.subnets import Network
from gatewright.model.core import Node, Service, ServicePort
from gatewright.model.discovery import Endpoint, EndpointSlice

_EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"


def health_check(service: Service, settings: Settings) -> HealthCheck:
    """The target groups' health check: the annotations, and the AWS controller's defaults where they say nothing.

    Instance targets of a Service with externalTrafficPolicy Local are asked where kube-proxy tells whether the node has
    an endpoint (healthCheckNodePort).
    """
    asked = settings.health
    local = settings.target_type == "instance" and service.spec.external_traffic_policy == "Local"
    port = str(service.spec.health_check_node_port) if local and service.spec.health_check_node_port else "traffic-port"
    protocol = asked.protocol or ("HTTP" if local else "TCP")
    times = (10, 6, 2, 2) if local else (10, 10, 3, 3)
    return HealthCheck(
        protocol=protocol,
        port=health_port(service, settings, asked.port or port),
        path="" if protocol == "TCP" else asked.path or ("/healthz" if local else "/"),
        interval=asked.interval or times[0],
        # AWS refuses a timeout that is longer than the interval; who shortens the one rarely thinks of the other.
        timeout=asked.timeout or min(times[1], asked.interval or times[0]),
        healthy_threshold=asked.healthy_threshold or times[2],
        unhealthy_threshold=asked.unhealthy_threshold or times[3],
        matcher="" if protocol == "TCP" else asked.matcher or "200-399",
    )


def health_port(service: Service, settings: Settings, port: str) -> str:
    """The port to ask at; it may be given by the name of a port of the Service."""
    for each in service.spec.ports:
        if each.name == port:
            target = each.target_port if each.target_port is not None else each.port
            return str(each.node_port if settings.target_type == "instance" else target)
    return port


def instance_targets(port: ServicePort, nodes: Iterable[Node], settings: Settings) -> set[Target]:
    """The nodes that may take a load balancer's traffic, with the node port."""
    return {Target(instance, port.node_port) for node in nodes if (instance := _instance(node, settings))}


def endpoint_targets(port: ServicePort, slices: Iterable[EndpointSlice], network: Network, vpc: str) -> set[Target]:
    """The ready endpoints of a port, with the ports that their slices name."""
    found = set()
    for each in slices:
        if each.address_type != "IPv4":
            continue
        for one in each.ports:
            if one.port is not None and (one.name, one.protocol) == (port.name, port.protocol):
                ready = (endpoint for endpoint in each.endpoints if _takes_traffic(endpoint))
                found |= {_target(endpoint, one.port, network, vpc) for endpoint in ready}
    return found


def _target(endpoint: Endpoint, port: int, network: Network, vpc: str) -> Target:
    """ELBv2 API reference, TargetDescription: what is outside of the VPC is registered for all zones."""
    address = endpoint.addresses[0]
    return Target(address, port, "" if network.holds(vpc, address) else "all")


def _takes_traffic(endpoint: Endpoint) -> bool:
    return endpoint.conditions.ready is not False and bool(endpoint.addresses)


def _instance(node: Node, settings: Settings) -> str:
    """The instance of a node that may take a load balancer's traffic (its provider ID is `aws:///zone/i-...`)."""
    labels = node.metadata.labels
    if _EXCLUDED in labels or labels.get(_COMPUTE_TYPE) == "fargate" or node.deleting:
        return ""
    if any(labels.get(key) != value for key, value in settings.node_labels.items()):
        return ""
    if not any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions):
        return ""
    instance = node.spec.provider_id.rpartition("/")[2]
    return instance if node.spec.provider_id.startswith("aws://") and instance.startswith("i-") else ""
