"""The network interfaces of load balancers: one in each subnet, at an address of it.

All functions expect `backends.LOCK` to be held, as it is while a request is worked on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from moto.ec2.exceptions import EC2ClientError

from gatewright.local.aws import nat
from gatewright.local.aws.backends import backend
from gatewright.local.aws.ec2 import AddressUnavailable, Ec2, LoadBalancerInterface
from gatewright.local.aws.ec2 import install as install_ec2

__all__ = [
    "AddressUnavailable",
    "Interface",
    "all_interfaces",
    "attach",
    "detach",
    "install",
    "interfaces",
    "regroup",
]


class Interface(NamedTuple):
    """A load balancer's network interface in one subnet."""

    id: str
    subnet: str
    zone: str
    address: str
    """The private IPv4 address."""


def install() -> None:
    """Have moto use our network interfaces, subnets and NAT gateways from now on."""
    install_ec2()
    nat.install()


def attach(
    load_balancer_arn: str, subnets: Mapping[str, str | None], security_groups: Sequence[str] = ()
) -> tuple[Interface, ...]:
    """Give a load balancer a network interface in each of `subnets` (by id: the address that it shall have, or None).

    What it has in one of them already stays; those in other subnets go. Also for a load balancer that has some.
    Raises `AddressUnavailable`; then nothing has changed.
    """
    ec2 = backend("ec2")
    before = {interface.subnet.id: interface for interface in _of(load_balancer_arn)}
    fresh: list[LoadBalancerInterface] = []
    gone = [interface for subnet, interface in before.items() if subnet not in subnets]
    try:
        for subnet, wanted in subnets.items():
            old = before.get(subnet)
            if old and wanted in (None, old.private_ip_address):
                continue
            if old:
                gone.append(old)
            fresh.append(_made(ec2, load_balancer_arn, subnet, wanted, security_groups))
    except EC2ClientError:
        for interface in fresh:
            ec2.remove(interface)
        raise
    for interface in gone:
        ec2.remove(interface)
    return interfaces(load_balancer_arn)


def detach(load_balancer_arn: str) -> None:
    """Remove a load balancer's network interfaces; their addresses are free then."""
    ec2 = backend("ec2")
    for interface in _of(load_balancer_arn):
        ec2.remove(interface)


def regroup(load_balancer_arn: str, security_groups: Sequence[str]) -> None:
    """Set the security groups of a load balancer's network interfaces."""
    ec2 = backend("ec2")
    for interface in _of(load_balancer_arn):
        interface._group_set = [ec2.get_security_group_from_id(group) for group in security_groups]


def interfaces(load_balancer_arn: str) -> tuple[Interface, ...]:
    """A load balancer's network interfaces, by zone and subnet."""
    return tuple(sorted(map(_interface, _of(load_balancer_arn)), key=_place))


def all_interfaces() -> dict[str, list[Interface]]:
    """The network interfaces of all load balancers, by the ends of their ARNs (`net/name/0123456789abcdef`)."""
    found: dict[str, list[Interface]] = {}
    for one in backend("ec2").enis.values():
        if isinstance(one, LoadBalancerInterface):
            found.setdefault(one.load_balancer, []).append(_interface(one))
    for members in found.values():
        members.sort(key=_place)
    return found


def _interface(one: LoadBalancerInterface) -> Interface:
    return Interface(one.id, one.subnet.id, one.subnet.availability_zone, str(one.private_ip_address))


def _place(interface: Interface) -> tuple[str, str]:
    return interface.zone, interface.subnet


def _of(load_balancer_arn: str) -> list[LoadBalancerInterface]:
    name = _path(load_balancer_arn)
    return [
        interface
        for interface in backend("ec2").enis.values()
        if isinstance(interface, LoadBalancerInterface) and interface.load_balancer == name
    ]


def _made(
    ec2: Ec2, load_balancer_arn: str, subnet_id: str, wanted: str | None, security_groups: Sequence[str]
) -> LoadBalancerInterface:
    subnet: Any = ec2.get_subnet(subnet_id)
    path = _path(load_balancer_arn)
    address = wanted or subnet.get_available_subnet_ip(None)
    if wanted:
        subnet.request_ip(wanted, None)
    make = cast("Any", LoadBalancerInterface)  # moto leaves methods for CloudFormation abstract
    interface: LoadBalancerInterface = make(
        ec2, subnet, address, group_ids=list(security_groups), description=f"ELB {path}"
    )
    if not security_groups:
        interface._group_set = []
    interface.occupy(path)
    ec2.enis[interface.id] = interface
    return interface


def _path(load_balancer_arn: str) -> str:
    return load_balancer_arn.partition(":loadbalancer/")[2]
