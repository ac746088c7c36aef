"""The Network Load Balancer that a Service of type LoadBalancer asks for, as a value (pure).

Names, tags and defaults are the AWS Load Balancer Controller's, so that either finds what the other made.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct, field, structs

from gatewright.aws.stack.desired import OWNERSHIP
from gatewright.aws.views import HealthCheck, Target
from gatewright.edge.nlb.annotations import PREFIX, Problem, Settings, is_number, read
from gatewright.edge.nlb.subnets import Network, Subnet, choose_security_groups, choose_subnets
from gatewright.edge.nlb.targets import endpoint_targets, health_check, health_port, instance_targets
from gatewright.model.core import Node, Service, ServicePort
from gatewright.model.discovery import EndpointSlice

_NO_INSTANCE = Problem(
    f"metadata.annotations[{PREFIX}aws-load-balancer-nlb-target-type]",
    "instance, and no ready node that is an EC2 instance",
    "nodes with a spec.providerID of aws:///zone/i-...",
    "use target type ip, which registers pods; until then nothing is registered",
    fatal=False,
)

CLUSTER_TAG = "elbv2.k8s.aws/cluster"
STACK_TAG = "service.k8s.aws/stack"
RESOURCE_TAG = "service.k8s.aws/resource"
LOAD_BALANCER_RESOURCE = "LoadBalancer"

_MAX_TARGETS = 1000

Protocol = Literal["TCP", "UDP", "TCP_UDP", "TLS"]


class SubnetMapping(Struct, frozen=True):
    """One subnet of a load balancer, with the address that it is to have there, if any."""

    subnet: str
    private_address: str = ""
    allocation: str = ""


class DesiredTargetGroup(Struct, frozen=True):
    """A target group by its resource ID (`namespace/name:port`). Attributes that aren't named stay as they are."""

    resource: str
    name: str
    protocol: Protocol
    port: int
    target_type: Literal["ip", "instance"]
    health_check: HealthCheck
    attributes: dict[str, str]
    tags: dict[str, str]
    targets: frozenset[Target]


class DesiredListener(Struct, frozen=True):
    """A listener that forwards to the target group of a resource ID. Of `certificates` the first is the default one."""

    port: int
    protocol: Protocol
    target_group: str
    tags: dict[str, str]
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


class DesiredLoadBalancer(Struct, frozen=True):
    """A Network Load Balancer with all that belongs to it. Attributes that aren't named stay as they are."""

    name: str
    scheme: str
    vpc: str
    ip_address_type: str
    subnets: tuple[SubnetMapping, ...]
    security_groups: tuple[str, ...]
    attributes: dict[str, str]
    tags: dict[str, str]
    listeners: tuple[DesiredListener, ...]
    target_groups: tuple[DesiredTargetGroup, ...]


def stack_of(service: Service) -> str:
    """What the stack's tag says of a Service."""
    return str(service.key)


def resource_name(service: Service, *parts: str) -> str:
    """A name as the AWS controller makes it, of at most 32 characters; `parts` tell apart what is one Service's."""
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()
    namespace, name = (re.sub("[^A-Za-z0-9]", "", text)[:8] for text in (service.namespace, service.name))
    return f"k8s-{namespace}-{name}-{digest[:10]}"


def desired_load_balancer(
    service: Service, slices: Iterable[EndpointSlice], nodes: Iterable[Node], network: Network, cluster: str
) -> tuple[DesiredLoadBalancer | None, tuple[Problem, ...]]:
    """What a Service asks for, or None with the problem that keeps it from being made; further problems are remarks."""
    settings, problems = read(service)
    subnets, misplaced = choose_subnets(network, settings, cluster)
    groups, unknown = choose_security_groups(network, settings, subnets[0].vpc) if subnets else ((), ())
    ports = tuple(_Port(service, settings, port, each) for each, port in enumerate(_merged(service, settings)))
    problems = (
        *problems,
        *(structs.replace(problem, in_aws=True) for problem in (*misplaced, *unknown)),
        *_port_problems(settings, ports),
        *_refused(service, settings),
    )
    if any(problem.fatal for problem in problems):
        return None, problems
    build = _Builder(service, settings, cluster, subnets)
    slices, nodes, vpc = tuple(slices), tuple(nodes), subnets[0].vpc
    targets = [
        instance_targets(port.first, nodes, settings)
        if settings.target_type == "instance"
        else endpoint_targets(port.first, slices, network, vpc)
        for port in ports
    ]
    crowded = tuple(
        Problem(
            f"spec.ports[{port.index}]",
            f"{len(found)} endpoints",
            f"at most {_MAX_TARGETS} targets a target group",
            "the first ones are registered; ask AWS for a higher quota, or run fewer",
            fatal=False,
        )
        for port, found in zip(ports, targets, strict=True)
        if len(found) > _MAX_TARGETS
    )
    nowhere = settings.target_type == "instance" and not any(targets)
    load_balancer = DesiredLoadBalancer(
        name=settings.name or resource_name(service, cluster, service.metadata.uid, settings.scheme),
        scheme=settings.scheme,
        vpc=vpc,
        ip_address_type=settings.ip_address_type,
        subnets=build.mappings(),
        security_groups=groups,
        attributes=settings.attributes,
        tags=build.tags(LOAD_BALANCER_RESOURCE),
        listeners=tuple(build.listener(port) for port in ports),
        target_groups=tuple(
            build.target_group(port, frozenset(sorted(found)[:_MAX_TARGETS]))
            for port, found in zip(ports, targets, strict=True)
        ),
    )
    return load_balancer, (*problems, *crowded, *([_NO_INSTANCE] if nowhere else []))


def _merged(service: Service, settings: Settings) -> list[tuple[ServicePort, ...]]:
    """The ports that become a listener each; TCP and UDP of one number are one listener where that is asked for."""
    if not settings.tcp_udp:
        return [(port,) for port in service.spec.ports]
    by_number: dict[int, tuple[ServicePort, ...]] = {}
    for port in service.spec.ports:
        by_number[port.port] = (*by_number.get(port.port, ()), port)
    return list(by_number.values())


class _Port:
    """A listener to be: one port of a Service, or its TCP and UDP of one number."""

    def __init__(self, service: Service, settings: Settings, ports: tuple[ServicePort, ...], index: int) -> None:
        self.first = ports[0]
        self.index = index
        self.number = self.first.port
        self.ports = ports
        protocol = self.first.protocol if len(ports) == 1 else "TCP_UDP"
        named = {self.first.name, str(self.number)} - {""}
        tls = protocol == "TCP" and settings.certificates and (not settings.tls_ports or named & {*settings.tls_ports})
        self.listener: Protocol = "TLS" if tls else _PROTOCOLS.get(protocol, "TCP")
        self.backend: Protocol = (
            "TCP" if tls and not settings.backend_tls else "TLS" if tls else _PROTOCOLS.get(protocol, "TCP")
        )
        self.resource = f"{service.key}:{self.number}"

    def group_port(self, settings: Settings) -> int:
        """The target group's own port; targets are registered with ports of theirs, so it is for the eye only."""
        if settings.target_type == "instance":
            return self.first.node_port
        target = self.first.target_port if self.first.target_port is not None else self.number
        return target if isinstance(target, int) else 1


_PROTOCOLS: dict[str, Protocol] = {"TCP": "TCP", "UDP": "UDP", "TCP_UDP": "TCP_UDP"}


def _port_problems(settings: Settings, ports: Sequence[_Port]) -> list[Problem]:
    problems = []
    numbers = [port.number for port in ports]
    for port in ports:
        where = f"spec.ports[{port.index}]"
        if numbers.count(port.number) > 1 and numbers.index(port.number) != port.index:
            annotation = "service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener"
            told, expected = f"port {port.number} twice", "one listener a port"
            problems.append(Problem(where, told, expected, f"set {annotation}: true for TCP and UDP at one port"))
        if port.first.protocol not in _PROTOCOLS:
            problems.append(Problem(f"{where}.protocol", port.first.protocol, "TCP or UDP", "remove the port"))
        if settings.target_type == "instance" and not port.first.node_port:
            remedy = "set spec.allocateLoadBalancerNodePorts to true, or use target type ip"
            problems.append(Problem(f"{where}.nodePort", "none", "a node port for instance targets", remedy))
    names = {name for port in ports for each in port.ports for name in (each.name, str(each.port))}
    for annotation, values in (
        ("ssl-ports", settings.tls_ports),
        ("proxy-protocol-per-target-group", settings.proxy_protocol_ports),
    ):
        unknown = [value for value in values if value not in names]
        if unknown:
            problems.append(
                Problem(
                    f"metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-{annotation}]",
                    ", ".join(unknown),
                    f"names or numbers of the Service's ports ({', '.join(sorted(names - {''}))})",
                    "correct the list",
                    fatal=False,
                )
            )
    listeners = {f"{port.listener}-{port.number}" for port in ports}
    problems += [
        Problem(
            f"metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-listener-attributes.{name}]",
            name,
            f"one of the listeners {', '.join(sorted(listeners))}",
            "correct the annotation's name",
            fatal=False,
        )
        for name in settings.listener_attributes.keys() - listeners
    ]
    return problems


def _refused(service: Service, settings: Settings) -> list[Problem]:
    problems = []
    open_to_all = {"0.0.0.0/0", "::/0"} & {*settings.source_ranges}
    if settings.source_ranges and settings.security_groups:
        problems.append(
            Problem(
                "spec.loadBalancerSourceRanges",
                ", ".join(settings.source_ranges),
                "none with service.beta.kubernetes.io/aws-load-balancer-security-groups",
                "it has no effect, since the security groups decide who is admitted",
                fatal=False,
            )
        )
    if settings.source_ranges and not open_to_all and not settings.security_groups:
        # Served to everybody it would be the opposite of what was asked for.
        problems.append(
            Problem(
                "spec.loadBalancerSourceRanges",
                ", ".join(settings.source_ranges),
                "none without service.beta.kubernetes.io/aws-load-balancer-security-groups",
                "name security groups that admit these ranges, since a load balancer without any admits everybody",
            )
        )
    check = health_check(service, settings)
    if check.timeout > check.interval:
        problems.append(
            Problem(
                "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout]",
                f"{check.timeout} s",
                f"at most the interval, which is {check.interval} s",
                "shorten it, or set service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval",
            )
        )
    port = health_port(service, settings, settings.health.port or "traffic-port")
    if port != "traffic-port" and not (is_number(port, 1, 65535)):
        problems.append(
            Problem(
                "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-healthcheck-port]",
                port,
                "traffic-port, a number, or the name of a port of the Service whose target port is a number",
                "correct the value",
            )
        )
    reserved = sorted(tag for tag in settings.tags if tag.startswith(OWNERSHIP) or tag.lower().startswith("aws:"))
    if reserved:
        problems.append(
            Problem(
                "metadata.annotations[service.beta.kubernetes.io/aws-load-balancer-additional-resource-tags]",
                ", ".join(reserved),
                "tags that are not the controller's own and don't begin with aws:",
                "they are left out",
                fatal=False,
            )
        )
    if "IPv6" in service.spec.ip_families:
        problems.append(
            Problem("spec.ipFamilies", "IPv6", "IPv4", "IPv6 targets are not supported; use IPv4", fatal=False)
        )
    return problems


class _Builder:
    """Puts the parts together, with what all of them share."""

    def __init__(self, service: Service, settings: Settings, cluster: str, subnets: tuple[Subnet, ...]) -> None:
        self.service = service
        self.settings = settings
        self.cluster = cluster
        self.subnets = subnets

    def tags(self, resource: str) -> dict[str, str]:
        own = {CLUSTER_TAG: self.cluster, STACK_TAG: stack_of(self.service), RESOURCE_TAG: resource}
        given = {key: value for key, value in self.settings.tags.items() if not key.lower().startswith("aws:")}
        return {**given, **own}

    def mappings(self) -> tuple[SubnetMapping, ...]:
        fixed, allocated = self.settings.private_addresses, self.settings.allocations
        return tuple(
            SubnetMapping(
                subnet.id,
                fixed[place] if fixed else "",
                allocated[place] if allocated else "",
            )
            for place, subnet in enumerate(self.subnets)
        )

    def listener(self, port: _Port) -> DesiredListener:
        settings, tls = self.settings, port.listener == "TLS"
        return DesiredListener(
            port=port.number,
            protocol=port.listener,
            target_group=port.resource,
            tags=self.tags(str(port.number)),
            certificates=settings.certificates if tls else (),
            ssl_policy=settings.ssl_policy if tls else "",
            alpn_policy=settings.alpn_policy if tls and port.backend == "TLS" else "",
            attributes=settings.listener_attributes.get(f"{port.listener}-{port.number}", {}),
        )

    def target_group(self, port: _Port, targets: frozenset[Target]) -> DesiredTargetGroup:
        settings, service = self.settings, self.service
        check = health_check(service, settings)
        number = port.group_port(settings)
        attributes = {"proxy_protocol_v2.enabled": "false", **settings.target_group_attributes}
        if {port.first.name, str(port.number)} & {*settings.proxy_protocol_ports}:
            attributes["proxy_protocol_v2.enabled"] = "true"
        told_apart = (str(number), str(port.number), settings.target_type, port.backend, check.protocol)
        return DesiredTargetGroup(
            resource=port.resource,
            name=resource_name(service, self.cluster, service.metadata.uid, *told_apart, str(check.interval)),
            protocol=port.backend,
            port=number,
            target_type=settings.target_type,
            health_check=check,
            attributes=attributes,
            tags=self.tags(port.resource),
            targets=targets,
        )
