"""A stack, put together from its parts; and what its targets have to let in (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, structs

from gatewright.aws.gateways.access import AccessPiece
from gatewright.aws.gateways.frames import Frame
from gatewright.aws.gateways.names import Tags, target_group_name
from gatewright.aws.gateways.nlbs import empty_protocol
from gatewright.aws.gateways.ports import Translation
from gatewright.aws.gateways.targetgroups import Built, GroupProtocol
from gatewright.aws.gateways.targets import Targets
from gatewright.aws.network import Network
from gatewright.aws.stack.desired import (
    BACKEND_GROUP,
    DesiredCertificate,
    DesiredListener,
    DesiredTargetGroup,
    Forward,
    SecurityRule,
    Stack,
    StackKey,
)
from gatewright.aws.views import HealthCheck
from gatewright.model.meta import Key

_TOLD = 10  # remarks of target groups; a condition has room for so many
_CLIENT_IP = "preserve_client_ip.enabled"
_EVERYBODY = ("0.0.0.0/0", "::/0")


class Parts(Struct, frozen=True):
    """What a stack is made of. `groups` and `targets` are by the resource IDs of target groups."""

    stack: StackKey
    owner: Key
    frame: Frame
    ports: tuple[Translation, ...]
    groups: dict[str, Built]
    targets: dict[str, Targets]


class Assembled(Struct, frozen=True):
    """A stack and what is to be said of its owner."""

    stack: Stack
    remarks: tuple[str, ...] = ()


def assemble(parts: Parts, tags: Tags) -> Assembled:
    """The stack of a frame that has a load balancer."""
    load_balancer = parts.frame.load_balancer
    assert load_balancer is not None
    listeners = tuple(port.listener for port in parts.ports if port.listener)
    groups, remarks = _groups(parts, listeners, load_balancer.vpc, tags)
    certificates: dict[str, DesiredCertificate] = {
        each.resource: each for port in parts.ports for each in port.imported
    }
    stores = {port.trust_store.resource: port.trust_store for port in parts.ports if port.trust_store}
    stack = Stack(
        id=parts.stack.id,
        cluster=parts.stack.cluster,
        kind=parts.stack.kind,
        load_balancer=load_balancer,
        listeners=listeners,
        target_groups=groups,
        security_groups=(parts.frame.security_group,) if parts.frame.security_group else (),
        certificates=tuple(certificates[resource] for resource in sorted(certificates)),
        trust_stores=tuple(stores[resource] for resource in sorted(stores)),
    )
    own = [remark for port in parts.ports for remark in port.remarks]
    return Assembled(stack, (*own, *_some(remarks)))


def needed_access(
    parts: Parts,
    network: Network,
    groups_of: Callable[[str], tuple[str, ...]],
    is_pod: Callable[[str], bool] = lambda _: True,
) -> tuple[AccessPiece, tuple[str, ...]]:
    """What the security groups of the targets have to let in, and what to say of addresses whose group can't be told.

    A network interface with several groups has the one in use tagged `kubernetes.io/cluster/<cluster>`, as the AWS Load
    Balancer Controller wants it. Addresses without an interface (outside of the VPC) need nothing. Groups without the
    tag are opened for pods and nodes only: an EndpointSlice may name any address, a database's as well.
    """
    frame = parts.frame
    tagged = {
        each.id for each in network.security_groups if f"kubernetes.io/cluster/{parts.stack.cluster}" in each.tags
    }
    ingress: dict[str, set[SecurityRule]] = {}
    puzzling: set[str] = set()
    strange: set[str] = set()
    for resource, built in parts.groups.items():
        targets = parts.targets.get(resource, Targets())
        nodes = built.group.target_type == "instance"
        rules = tuple(_permissions(frame, built.group, {target.port for target in targets.targets}))
        for address in targets.addresses if rules else ():
            found = groups_of(address)
            candidates = tuple(group for group in found if group in tagged)
            if len(found) == 1 and not candidates and not (nodes or is_pod(address)):
                strange.add(address)
            elif len(found) == 1 or len(candidates) == 1:
                candidates = candidates or found
                ingress.setdefault(candidates[0], set()).update(rules)
            elif found:
                puzzling.add(address)
    remarks: tuple[str, ...] = ()
    if puzzling:
        some = ", ".join(sorted(puzzling)[:3]) + (" and others" if len(puzzling) > 3 else "")
        told = f"securityGroups of targets: found several at {some}; expected one tagged kubernetes.io/cluster/"
        remarks = (f"{told}{parts.stack.cluster}; nothing is let in there for the load balancer; tag one of them",)
    if strange:
        some = ", ".join(sorted(strange)[:3]) + (" and others" if len(strange) > 3 else "")
        told = f"endpoints: found {some}, which no pod has, behind security groups that aren't tagged"
        told += f" kubernetes.io/cluster/{parts.stack.cluster}"
        remarks += (f"{told}; nothing is let in there for the load balancer; let it in yourself, or tag the group",)
    piece = AccessPiece(
        network.vpc, frame.reaches_targets, {group: frozenset(rules) for group, rules in sorted(ingress.items())}
    )
    return piece, remarks


def _groups(
    parts: Parts, listeners: Iterable[DesiredListener], vpc: str, tags: Tags
) -> tuple[tuple[DesiredTargetGroup, ...], list[str]]:
    """The target groups that listeners forward to, with their targets; a name that is given counts once."""
    made: list[DesiredTargetGroup] = []
    remarks: list[str] = []
    names: set[str] = set()
    for resource in sorted(set(_forwarded(listeners))):
        built, targets = parts.groups.get(resource), parts.targets.get(resource, Targets())
        if built is None:
            made.append(_empty(parts, resource, vpc, tags))
            continue
        remarks += [*built.remarks, *([f"{resource}: {targets.remark}"] if targets.remark else [])]
        group = built.group
        if group.name in names:
            told = f"targetGroupName: found {group.name} for several target groups, the second one {resource}"
            remarks.append(f"{told}; names are unique in AWS; it gets another name; name one of them only")
            parted = (resource, group.protocol, group.protocol_version, group.target_type, group.ip_address_type)
            group = structs.replace(group, name=target_group_name(parts.stack, parts.owner, parted))
        names.add(group.name)
        made.append(structs.replace(group, targets=targets.targets))
    return tuple(made), remarks


def _forwarded(listeners: Iterable[DesiredListener]) -> Iterable[str]:
    for listener in listeners:
        for actions in (listener.default, *(rule.actions for rule in listener.rules)):
            for action in actions:
                if isinstance(action, Forward):
                    yield from (s.target_group for s in action.shares if not s.target_group.startswith("arn:"))


def _empty(parts: Parts, resource: str, vpc: str, tags: Tags) -> DesiredTargetGroup:
    """A target group without targets: an ALB answers 503 for it, an NLB refuses connections."""
    alb = parts.stack.kind != "nlb"
    protocol: GroupProtocol = "HTTP" if alb else empty_protocol(resource)
    return DesiredTargetGroup(
        resource=resource,
        name=target_group_name(parts.stack, parts.owner, (resource, protocol, vpc)),
        protocol=protocol,
        port=80,
        vpc=vpc,
        target_type="ip",
        health_check=HealthCheck(
            protocol="HTTP" if alb else "TCP",
            port="traffic-port",
            path="/" if alb else "",
            interval=15,
            timeout=5,
            healthy_threshold=3,
            unhealthy_threshold=3,
            matcher="200-399" if alb else "",
        ),
        protocol_version="HTTP1" if alb else "",
        tags=tags.of(resource),
    )


def _permissions(frame: Frame, group: DesiredTargetGroup, ports: Iterable[int]) -> Iterable[SecurityRule]:
    """What a target group's targets have to let in."""
    udp = group.protocol in ("UDP", "TCP_UDP")
    traffic = {("udp", port) for port in ports} if udp else set()
    if group.protocol != "UDP":
        traffic |= {("tcp", port) for port in ports}
    asked = group.health_check.port
    checks = {("tcp", int(asked))} if asked.isdecimal() else {("tcp", port) for port in ports}
    if group.control_port:
        checks.add(("tcp", group.control_port))
    if frame.reaches_targets:
        for protocol, port in sorted(traffic | checks):
            yield SecurityRule(protocol, port, port, security_group=BACKEND_GROUP)
    elif frame.open:
        nodes = [cidr for subnet in frame.subnets for cidr in (subnet.cidr, subnet.cidr_ipv6) if cidr]
        for protocol, port in sorted(traffic):
            for cidr in _EVERYBODY if _shows_clients(group) else nodes:
                yield _from_addresses(protocol, port, cidr)
        for protocol, port in sorted(checks):
            for cidr in nodes:
                yield _from_addresses(protocol, port, cidr)


def _shows_clients(group: DesiredTargetGroup) -> bool:
    """Whether targets see clients' addresses (NLB user guide, "Client IP preservation")."""
    if group.protocol in ("UDP", "TCP_UDP"):
        return True
    asked: Mapping[str, str] = group.attributes
    return asked.get(_CLIENT_IP, "true" if group.target_type == "instance" else "false") == "true"


def _from_addresses(protocol: str, port: int, cidr: str) -> SecurityRule:
    if ":" in cidr:
        return SecurityRule(protocol, port, port, cidr_ipv6=cidr)
    return SecurityRule(protocol, port, port, cidr=cidr)


def _some(remarks: Iterable[str]) -> list[str]:
    every = sorted(set(remarks))
    if len(every) <= _TOLD:
        return every
    return [*every[:_TOLD], f"and {len(every) - _TOLD} more remarks of target groups"]
