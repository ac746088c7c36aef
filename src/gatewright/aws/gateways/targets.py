"""What target groups forward to: pods by their EndpointSlices, or nodes (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from msgspec import Struct, field, structs

from gatewright.aws.views import Target
from gatewright.model.core import Node, Pod, Service, ServicePort
from gatewright.model.discovery import Endpoint, EndpointSlice
from gatewright.model.meta import Key, LabelSelector
from gatewright.topology import BackendKey

READINESS_GATE = "target-health.elbv2.k8s.aws/"
"""The prefix of the condition type that a pod waits for until its load balancer finds it healthy."""

MOST = 1000  # targets a target group (ALB and NLB quotas, by default)

_EXCLUDED = (
    "node.kubernetes.io/exclude-from-external-load-balancers",
    "alpha.service-controller.kubernetes.io/exclude-balancer",
    "node-role.kubernetes.io/master",
)
_COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
_LAST_PORT = 65535
_NAMED = 3  # addresses that a remark names


class Instance(Struct, frozen=True):
    """A node that may take a load balancer's traffic: its EC2 instance, its labels and its internal addresses."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()


class Targets(Struct, frozen=True):
    """What is registered. `addresses` are those whose security groups have to let the load balancer in."""

    targets: frozenset[Target] = frozenset()
    addresses: frozenset[str] = frozenset()
    remark: str = ""


def instance(node: Node) -> Instance | None:
    """What a node is to load balancers, or None where it takes none of their traffic.

    Its provider ID is `aws:///zone/i-...`. The exclusions are the AWS Load Balancer Controller's.
    """
    labels = node.metadata.labels
    if node.deleting or labels.get(_COMPUTE_TYPE) == "fargate" or any(label in labels for label in _EXCLUDED):
        return None
    if not any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions):
        return None
    found = node.spec.provider_id.rpartition("/")[2]
    if not (node.spec.provider_id.startswith("aws://") and found.startswith("i-")):
        return None
    addresses = tuple(each.address for each in node.status.addresses if each.type == "InternalIP")
    return Instance(found, dict(labels), addresses)


def service_port(service: Service, backend: BackendKey) -> ServicePort | None:
    """The port of a Service that a backend is."""
    ports = (port for port in service.spec.ports if port.port == backend.port and port.protocol == backend.transport)
    return next(ports, None)


def pod_targets(
    port: ServicePort,
    slices: Iterable[EndpointSlice],
    ranges: Iterable[str],
    family: str,
    pod: Callable[[Key], Pod | None],
) -> Targets:
    """The endpoints of a port that are ready, or would be if the load balancer said so (`waits_for_us`).

    A terminating endpoint is left out, whether it still answers or not: AWS lets its connections end while it drains.
    What is outside of the VPC's `ranges` is registered for all zones (ELBv2 API, TargetDescription); public addresses
    there are not, since AWS refuses a registration with one of them as a whole.
    """
    networks = [ip_network(cidr) for cidr in ranges]
    found: set[Target] = set()
    refused: set[str] = set()
    for each in slices:
        if each.address_type != family:
            continue
        numbers = {
            number
            for one in each.ports
            if (one.name, one.protocol) == (port.name, port.protocol) and (number := _number(port, one.port))
        }
        for endpoint in each.endpoints if numbers else ():
            if not _takes_traffic(endpoint, each.namespace, pod):
                continue
            address = endpoint.addresses[0]
            zone = _zone(networks, address)
            if zone is None:
                refused.add(address)
            else:
                found |= {Target(address, number, zone) for number in numbers}
    counted = _counted(found, frozenset(target.id for target in found), f"{len(found)} endpoints")
    if not refused:
        return counted
    some = ", ".join(sorted(refused)[:_NAMED]) + (" and others" if len(refused) > _NAMED else "")
    remark = f"endpoints: found {some}; AWS registers addresses of the VPC and private ones only; it is left out"
    return structs.replace(counted, remark="; ".join(filter(None, (remark, counted.remark))))


def node_targets(port: ServicePort, nodes: Iterable[Instance], selector: LabelSelector | None) -> Targets:
    """The nodes of a selector, with the port's node port."""
    if not port.node_port:
        told = f"targetType: found instance, and no node port at port {port.port}"
        return Targets(remark=f"{told}; expected a Service of type NodePort or LoadBalancer; or use targetType ip")
    chosen = [node for node in nodes if selector is None or selector.matches(node.labels)]
    if not chosen:
        told = "targetType: found instance, and no ready node that is an EC2 instance and selected"
        return Targets(remark=f"{told}; nothing is registered; use targetType ip, which registers pods")
    found = {Target(node.id, port.node_port) for node in chosen}
    return _counted(found, frozenset(a for node in chosen for a in node.addresses), f"{len(found)} nodes")


def both_transports(tcp: Targets, udp: Targets) -> Targets:
    """The targets of a group for TCP and UDP, which have one port for both."""
    both = tcp.targets & udp.targets
    if both == tcp.targets | udp.targets:
        return tcp
    told = "found targets whose ports for TCP and UDP differ; behind an NLB's TCP_UDP listener they have one for both"
    remark = f"{told}; these are not registered; give the Service's ports the same targetPort (instances: nodePort)"
    return Targets(both, tcp.addresses, remark)


def waits_for_us(pod: Pod) -> bool:
    """Whether all that a pod lacks to be ready is that its load balancer finds it healthy."""
    gates = {gate.condition_type for gate in pod.spec.readiness_gates}
    states = {condition.type: condition.status for condition in pod.status.conditions}
    ours = {gate for gate in gates if gate.startswith(READINESS_GATE)}
    others = gates - ours
    return (
        bool(ours)
        and not pod.deleting
        and states.get("ContainersReady") == "True"
        and all(states.get(gate) == "True" for gate in others)
    )


def _takes_traffic(endpoint: Endpoint, namespace: str, pod: Callable[[Key], Pod | None]) -> bool:
    if not endpoint.addresses or endpoint.conditions.terminating:
        return False
    if endpoint.conditions.ready is not False:
        return True
    ref = endpoint.target_ref
    if ref is None or ref.kind != "Pod":
        return False
    found = pod(Key(ref.namespace or namespace, ref.name))
    return found is not None and waits_for_us(found)


def _zone(networks: Iterable[IPv4Network | IPv6Network], address: str) -> str | None:
    """Empty for an address of the VPC, `all` for a private one elsewhere, None for one that can't be registered."""
    try:
        ip = ip_address(address)
    except ValueError:
        return None
    if any(ip in network for network in networks):  # those of another family hold none
        return ""
    return None if ip.version != 4 or ip.is_global else "all"


def _number(port: ServicePort, number: int | None) -> int:
    """The number of a slice's port; one that somebody wrote by hand may leave it out (discovery/v1)."""
    own = port.target_port if isinstance(port.target_port, int) else port.port
    wanted = own if number is None else number
    return wanted if 0 < wanted <= _LAST_PORT else 0


def _counted(found: set[Target], addresses: frozenset[str], told: str) -> Targets:
    if len(found) <= MOST:
        return Targets(frozenset(found), addresses)
    remark = (
        f"found {told}; a target group has at most {MOST} targets; the first ones are registered; run fewer, or ask"
    )
    return Targets(frozenset(sorted(found)[:MOST]), addresses, f"{remark} AWS for a higher quota")
