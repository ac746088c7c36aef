"""The load balancer itself, without its listeners and target groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from gatewright.aws.configuration.settings import ListenerSettings, LoadBalancerSettings
from gatewright.aws.gateways.inbound import Door, guards
from gatewright.aws.gateways.names import LOAD_BALANCER, MOST_TAGS, Tags, load_balancer_name, reserved
from gatewright.aws.gateways.subnets import Standing, choose
from gatewright.aws.network import Network, Subnet
from gatewright.aws.stack.desired import DesiredLoadBalancer, DesiredSecurityGroup, StackKey
from gatewright.model.meta import Key

_OF_GATEWAYS: Final = {"routing.http.preserve_host_header.enabled": "true"}
"""Attributes that make an ALB do what the Gateway API says, unless others are asked for: backends get the Host that the
client sent, with its port or without (AWS: "Host header preservation")."""


class Owner(Struct, frozen=True):
    """What a load balancer is made for, in as far as it matters here.

    `problem` says why nothing may be made for it now. `addresses` are the static ones that it asks for.
    """

    uid: str = ""
    problem: str = ""
    addresses: tuple[str, ...] = ()


class Frame(Struct, frozen=True):
    """A load balancer, its subnets and the security group that is made for it; or the problems that prevent it."""

    load_balancer: DesiredLoadBalancer | None = None
    security_group: DesiredSecurityGroup | None = None
    subnets: tuple[Subnet, ...] = ()
    reaches_targets: bool = False
    open: bool = False
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def frame(
    stack: StackKey,
    key: Key,
    owner: Owner,
    settings: LoadBalancerSettings | None,
    network: Network | None,
    doors: Sequence[tuple[Door, ListenerSettings]],
    standing: Standing | None,
    defaults: Mapping[str, str],
) -> Frame:
    """The frame of one stack. `doors` are the ports at which it listens; `defaults` are tags that all stacks have."""
    if owner.problem or settings is None:
        return Frame(problems=(owner.problem or "its settings can't be used",))
    if settings.problems:
        return Frame(problems=settings.problems, remarks=settings.remarks)
    if network is None:
        return Frame(problems=("the network of AWS isn't known yet",))
    if not doors:
        return Frame(problems=("no listener can carry traffic",), remarks=settings.remarks)
    alb = stack.kind != "nlb"
    tags = Tags(stack, settings.tags, defaults)
    places = choose(
        network, settings, alb=alb, cluster=stack.cluster, addresses=() if alb else owner.addresses, standing=standing
    )
    guarding = guards(stack, key, owner.uid, network, settings, doors, tags, alb=alb)
    problems = (*places.problems, *(() if network.problem else guarding.problems))
    remarks = settings.remarks
    if tags.too_many:
        told = f"tags: found {len(settings.tags)}, of which {', '.join(tags.too_many[:3])}"
        told += " and others" if len(tags.too_many) > 3 else ""
        remarks += (f"{told} are left out; AWS takes {MOST_TAGS} on a thing, some of them ours; ask for fewer",)
    if own := reserved(settings.tags):
        remarks += (f"tags: found {', '.join(own)}; they are the controller's or AWS's own; leave them out",)
    if problems:
        return Frame(problems=problems, remarks=remarks)
    load_balancer = DesiredLoadBalancer(
        name=settings.name or _name(stack, key, owner, settings, standing),
        type="application" if alb else "network",
        scheme=settings.scheme,
        ip_address_type=settings.ip_address_type,
        subnets=places.mappings,
        vpc=network.vpc,
        security_groups=guarding.groups,
        attributes=dict(sorted({**(_OF_GATEWAYS if stack.kind == "alb" else {}), **settings.attributes}.items())),
        tags=tags.of(LOAD_BALANCER),
        web_acl=settings.web_acl if alb else None,
        shield=settings.shield,
        capacity_units=settings.capacity_units,
        customer_owned_pool=settings.customer_owned_pool if alb else "",
        ipam_pool=settings.ipam_pool if alb else "",
        private_link_inbound_rules="" if alb else settings.private_link_inbound_rules,
    )
    return Frame(
        load_balancer,
        guarding.managed,
        places.subnets,
        reaches_targets=guarding.reaches_targets,
        open=guarding.open,
        remarks=remarks,
    )


def _name(stack: StackKey, key: Key, owner: Owner, settings: LoadBalancerSettings, standing: Standing | None) -> str:
    """A name that nobody asked for stays: another one would be another load balancer, at another DNS name.

    It would change with the owner's UID, where a cluster is restored from a backup.
    """
    kept = standing.name if standing and standing.scheme == settings.scheme else ""
    return kept or load_balancer_name(stack, key, owner.uid, settings.scheme)
