"""A load balancer's security groups: who may come in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from gatewright.aws.configuration.settings import ListenerSettings, LoadBalancerSettings
from gatewright.aws.gateways.names import SECURITY_GROUP, Tags, security_group_name
from gatewright.aws.network import Network
from gatewright.aws.stack.desired import BACKEND_GROUP, DesiredSecurityGroup, SecurityRule, StackKey
from gatewright.model.meta import Key

_EVERYBODY, _EVERYBODY_IPV6 = "0.0.0.0/0", "::/0"
_PATH_MTU = {"icmp": (3, 4), "icmpv6": (2, 0)}  # type and code of "too big" messages (RFC 792, RFC 4443)


class Door(Struct, frozen=True, order=True):
    """A port at which a load balancer listens; `protocol` is `tcp` or `udp`."""

    protocol: str
    port: int


class Guards(Struct, frozen=True):
    """The groups of a load balancer, by ID or resource ID, and the one that is made for it.

    `reaches_targets`: it has `BACKEND_GROUP`, which the targets' groups let in. `open`: it has no group at all.
    """

    groups: tuple[str, ...] = ()
    managed: DesiredSecurityGroup | None = None
    reaches_targets: bool = False
    open: bool = False
    problems: tuple[str, ...] = ()


def guards(
    stack: StackKey,
    owner: Key,
    uid: str,
    network: Network,
    settings: LoadBalancerSettings,
    doors: Sequence[tuple[Door, ListenerSettings]],
    tags: Tags,
    *,
    alb: bool,
) -> Guards:
    """The groups that were given, or one that is made, which admits the source ranges at every port.

    Everybody may come in where nothing else is said. Prefix lists without ranges admit those lists only; the AWS Load
    Balancer Controller lets everybody in beside them.
    """
    if settings.no_security_group and not alb:
        return Guards(open=True)
    if settings.security_groups:
        given, problems = _given(network, settings.security_groups)
        shared = settings.manage_backend_rules is True
        return Guards(
            groups=(*given, *([BACKEND_GROUP] if shared else [])),
            reaches_targets=shared,
            problems=tuple(problems),
        )
    managed = DesiredSecurityGroup(
        resource=SECURITY_GROUP,
        name=security_group_name(stack, owner, uid),
        description="[k8s] Managed SecurityGroup for LoadBalancer",
        vpc=network.vpc,
        ingress=tuple(sorted({rule for door, of in doors for rule in _permissions(settings, of, door)})),
        tags=tags.of(SECURITY_GROUP),
    )
    return Guards(groups=(SECURITY_GROUP, BACKEND_GROUP), managed=managed, reaches_targets=True)


def _given(network: Network, names: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    chosen, problems = [], []
    for name in names:
        found = [group.id for group in network.security_groups if name in (group.id, group.name)]
        if len(found) == 1:
            chosen += found
        else:
            told = f"securityGroups: found {name}, which is the ID or tag Name of {len(found) or 'no'} security groups"
            problems.append(f"{told} of {network.vpc}; expected one; name another, or leave the field out")
    return tuple(dict.fromkeys(chosen)), problems


def _permissions(settings: LoadBalancerSettings, listener: ListenerSettings, door: Door) -> Iterable[SecurityRule]:
    own = listener.source_ranges is not None or listener.prefix_lists is not None
    ranges = (listener.source_ranges or ()) if own else settings.source_ranges
    lists = (listener.prefix_lists or ()) if own else settings.prefix_lists
    for cidr in ranges or (() if lists else (_EVERYBODY, _EVERYBODY_IPV6)):
        if ":" not in cidr:
            yield SecurityRule(door.protocol, door.port, door.port, cidr=cidr)
            if settings.icmp:
                yield SecurityRule("icmp", *_PATH_MTU["icmp"], cidr=cidr)
        elif settings.ip_address_type != "ipv4":
            yield SecurityRule(door.protocol, door.port, door.port, cidr_ipv6=cidr)
            if settings.icmp:
                yield SecurityRule("icmpv6", *_PATH_MTU["icmpv6"], cidr_ipv6=cidr)
    for prefix_list in lists:
        yield SecurityRule(door.protocol, door.port, door.port, prefix_list=prefix_list)
