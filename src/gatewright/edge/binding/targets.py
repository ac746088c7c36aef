"""Which targets an EdgeBinding wants, and what has to be done about those that are there. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from msgspec import Struct

from gatewright.aws.views import TargetGroup, TargetHealth
from gatewright.model.core import Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import Gateway
from gatewright.model.gateway.shared import GATEWAY_NAME
from gatewright.model.meta import Key

STATUS_PORT = "status-port"
"""The name of the Service port on which the proxy says whether it is ready (Istio)."""

_GOOD = ("healthy", "unavailable")  # unavailable: its health is not checked
_DEAD = ("unhealthy", "unused")


class TargetKey(NamedTuple):
    """A target of a target group (its ARN): an IP address or an ALB's ARN, and a port."""

    group: str
    id: str
    port: int


class Balancer(Struct, frozen=True):
    """A load balancer that a Gateway's hostname leads to, with the addresses of its network interfaces."""

    arn: str
    type: str
    addresses: tuple[str, ...]


class Wanted(Struct, frozen=True):
    """What should be registered. `reason` and `message` say why it is not all that it should be.

    `final` says that nothing else will come before the others have gone, so they needn't wait for it.
    """

    targets: tuple[TargetKey, ...] = ()
    reason: str = ""
    message: str = ""
    final: bool = False


def gateway_of(binding: EdgeBinding) -> Key:
    """The Gateway that a binding refers to."""
    reference = binding.spec.gateway_ref
    return Key(reference.namespace or binding.namespace, reference.name)


def hostnames(gateway: Gateway) -> list[str]:
    """The names among a Gateway's addresses: those of load balancers."""
    return [address.value for address in gateway.status.addresses if address.type == "Hostname" and address.value]


def addresses_of(service: Service, balancers: Mapping[str, Balancer | None]) -> set[str]:
    """The addresses of a Service's load balancer, and its ARN; `balancers` are by hostname."""
    found: set[str] = set()
    for entry in service.status.load_balancer.ingress:
        if entry.ip:
            found.add(entry.ip)
        balancer = balancers.get(entry.hostname or "")
        if balancer:
            found.update((balancer.arn, *balancer.addresses))
    return found


def by_load_balancer(
    binding: EdgeBinding,
    group: TargetGroup,
    gateway: Gateway,
    services: Iterable[Service],
    balancers: Mapping[str, Balancer | None],
) -> Wanted:
    """The Gateway's load balancer addresses. What belongs to a Service that is being deleted isn't wanted any more."""
    going: set[str] = set()
    for service in services:
        if service.deleting:
            going |= addresses_of(service, balancers)
    ids: list[str] = []
    problems: list[str] = []
    for address in gateway.status.addresses:
        if address.type != "Hostname":
            ids.append(address.value or "")
            continue
        balancer = balancers.get(address.value or "")
        if balancer is None:
            why = f"no load balancer of this account and region has the DNS name {address.value}"
            problems.append(f"{why}; use one that has, or spec.via Endpoints")
        elif group.target_type == "alb" and balancer.type != "application":
            problems.append(f"the targets of target group {group.name} are ALBs, and {address.value} is none")
        elif group.target_type != "alb" and not balancer.addresses:
            problems.append(f"the load balancer {address.value} has no addresses yet")
        else:
            ids += [balancer.arn] if group.target_type == "alb" else balancer.addresses
    where = f"Gateway {gateway.key}"
    usable = [one for one in dict.fromkeys(ids) if one not in going and _fits(one, group)]
    targets = tuple(sorted(TargetKey(group.arn, one, binding.spec.port) for one in usable))
    if problems:
        return Wanted(targets, "AddressNotFound", "; ".join(problems))
    if usable:
        return Wanted(targets)
    if going:
        return Wanted(reason="Replaced", message=f"the load balancer of {where} is being deleted", final=True)
    if ids:
        message = (
            f"no address of {where} ({', '.join(ids)}) fits target group {group.name}, which takes {_takes(group)}"
        )
        return Wanted(reason="NoAddress", message=message)
    return Wanted(reason="NoAddress", message=f"{where} has no address in its status yet")


def by_endpoints(
    binding: EdgeBinding,
    group: TargetGroup,
    services: Iterable[Service],
    slices_of: Callable[[Key], Iterable[EndpointSlice]],
) -> Wanted:
    """The ready endpoints of the Gateway's Services, at the ports that their slices have for `spec.port`."""
    if group.target_type != "ip":
        message = f"the targets of target group {group.name} are {group.target_type}s, and endpoints are IP addresses"
        return Wanted(reason="WrongTargetType", message=f"{message}; use a target group of type ip")
    found: set[TargetKey] = set()
    port, members = binding.spec.port, list(services)
    names = {
        service.key: {
            entry.name or "" for entry in service.spec.ports if entry.port == port and entry.protocol == "TCP"
        }
        for service in members
    }
    for service in members:
        for slice_ in slices_of(service.key):
            numbers = [each.port for each in slice_.ports if each.name in names[service.key] and each.port]
            for endpoint in slice_.endpoints:
                if endpoint.conditions.ready is not False and not endpoint.conditions.terminating:
                    address = endpoint.addresses[0]
                    found |= {TargetKey(group.arn, address, number) for number in numbers if _fits(address, group)}
    if found:
        return Wanted(tuple(sorted(found)))
    gateway = binding.spec.gateway_ref.name
    if not members:
        message = f"no Service has the label {GATEWAY_NAME}: {gateway}"
        return Wanted(reason="NoService", message=f"{message}; use spec.via LoadBalancer where the Gateway has none")
    shown = ", ".join(str(service.key) for service in members)
    if not any(names.values()):
        ports = sorted({entry.port for service in members for entry in service.spec.ports})
        message = f"port {port} is none of Service {shown}, which has {', '.join(map(str, ports)) or 'none'}"
        return Wanted(reason="NoSuchPort", message=f"{message}; set spec.port to a listener's")
    return Wanted(reason="NoEndpoints", message=f"Service {shown} has no ready endpoint for port {port}")


def open_ports(services: Iterable[Service], slices_of: Callable[[Key], Iterable[EndpointSlice]]) -> dict[int, int]:
    """By each port that is open on the endpoints of Services: the Services' port."""
    found: dict[int, int] = {}
    for service in services:
        numbers = {entry.name or "": entry.port for entry in service.spec.ports if entry.protocol == "TCP"}
        for slice_ in slices_of(service.key):
            for port in slice_.ports:
                if port.port and port.name in numbers:
                    found[port.port] = numbers[port.name]
    return found


def _fits(id_: str, group: TargetGroup) -> bool:
    if group.target_type == "alb":
        return id_.startswith("arn:")
    if group.target_type != "ip":
        return False
    try:
        version = ipaddress.ip_address(id_).version
    except ValueError:
        return False
    return version == (6 if group.ip_address_type == "ipv6" else 4)


def _takes(group: TargetGroup) -> str:
    kinds = {"ip": f"{group.ip_address_type} addresses", "alb": "ALBs"}
    return kinds.get(group.target_type, f"targets of type {group.target_type}")


class Peers(NamedTuple):
    """What other EdgeBindings want, and what they have registered or taken over."""

    want: AbstractSet[TargetKey] = frozenset()
    own: AbstractSet[TargetKey] = frozenset()


class Plan(NamedTuple):
    """What to do. `record` is what the status has to name as ours before anything is called.

    `waiting` are those that are to go, once the wanted ones are healthy.
    """

    record: frozenset[TargetKey]
    register: tuple[TargetKey, ...] = ()
    deregister: tuple[TargetKey, ...] = ()
    waiting: tuple[TargetKey, ...] = ()


def plan(
    wanted: Wanted,
    ours: AbstractSet[TargetKey],
    health: Mapping[str, Mapping[TargetKey, TargetHealth] | None],
    *,
    peers: Peers = Peers(),  # noqa: B008 - immutable
    overdue: bool = False,
) -> Plan:
    """What brings AWS to what is wanted, without ever touching what isn't ours.

    `health` is of all targets by target group; None for a group that doesn't exist, and no entry for one that isn't
    known. New targets are seen healthy before old ones go, one for each that is healthy, unless the old ones are dead;
    when it is `overdue`, a single healthy one is enough. A target that another binding has registered is shared: it is
    of both, and the last one that wants it deregisters it.
    """
    want = frozenset(wanted.targets)
    record: set[TargetKey] = set()
    register: list[TargetKey] = []
    for key in wanted.targets:
        listed = health.get(key.group)
        if listed is None:
            record |= {key} & ours
            continue
        found = listed.get(key)
        if found is None or found.state == "draining":
            register.append(key)
            record.add(key)
        elif key in ours or key in peers.own:
            record.add(key)

    def state(key: TargetKey) -> str:
        found = (health.get(key.group) or {}).get(key)
        return found.state if found else ""

    retired = sorted(ours - want)
    good = sum(state(key) in _GOOD for key in want)
    # What another binding wants stays in place, so nothing has to come for it.
    needed = 1 if overdue else max(1, sum(state(key) in _GOOD for key in retired if key not in peers.want))
    deregister: list[TargetKey] = []
    waiting: list[TargetKey] = []
    for key in retired:
        if key.group in health and not state(key):
            continue  # it is gone, or its target group is
        if key in peers.own and key in peers.want:
            continue  # theirs now
        record.add(key)
        if key.group not in health or state(key) == "draining" or key in peers.want:
            continue
        if wanted.final or state(key) in _DEAD or good >= needed:
            deregister.append(key)
        else:
            waiting.append(key)
    return Plan(frozenset(record), tuple(register), tuple(deregister), tuple(waiting))
