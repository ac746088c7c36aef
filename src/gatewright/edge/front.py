"""What stands in front as AWS's API tells it: load balancers, what they listen on, where they send, how that fares."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from gatewright.aws.client import Aws
from gatewright.aws.errors import AwsError, NotFound
from gatewright.aws.stack.desired import TAG_PREFIXES
from gatewright.aws.views import (
    Listener,
    LoadBalancer,
    TargetGroup,
    TargetHealth,
    load_balancers,
    read_listener,
    read_network_interface,
    tags_of,
    target_groups,
    target_health,
)
from gatewright.edge.nlb.desired import STACK_TAG

_TRIES = 3
_GATEWAY_TAGS = tuple(f"{TAG_PREFIXES[kind]}/stack" for kind in ("alb", "nlb"))


class FrontBalancer(Struct, frozen=True):
    """A load balancer with all that belongs to it.

    `addresses` are those of its network interfaces, by zone. `web_acl` is the name of an ALB's web ACL, empty where
    there is none. `service` is `namespace/name` of the Service that it was made for, and `gateway` of the
    Gateway that it is, by its tags.
    """

    balancer: LoadBalancer
    addresses: tuple[str, ...]
    listeners: tuple[FrontListener, ...]
    web_acl: str = ""
    service: str = ""
    gateway: str = ""


class FrontListener(Struct, frozen=True):
    """A listener; `rules` are how many it has beside the default one, `groups` where any of them sends to.

    `answer` says what the default action is where it forwards nothing: `redirect to https://...`, `answers 404`.
    """

    listener: Listener
    rules: int
    groups: tuple[str, ...]
    answer: str = ""


class Front(Struct, frozen=True):
    """Everything in front. `health` is by target group's ARN; `problem` says why there is nothing to see."""

    balancers: tuple[FrontBalancer, ...] = ()
    groups: dict[str, TargetGroup] = {}
    health: dict[str, tuple[TargetHealth, ...]] = {}
    problem: str = ""


async def read_front(aws: Aws) -> Front:
    """Read it: a few calls, and a few more a load balancer and target group. An error becomes the `problem`.

    What goes between the call that lists it and those that ask for more of it makes it read anew.
    """
    tries = _TRIES
    while True:
        try:
            return await _read(aws)
        except AwsError as error:
            tries -= 1
            if not tries or not isinstance(error, NotFound):
                return Front(problem=str(error))


async def _read(aws: Aws) -> Front:
    found, groups, interfaces = await asyncio.gather(
        load_balancers(aws),
        target_groups(aws),
        aws.pages(
            "ec2",
            "describe_network_interfaces",
            "NetworkInterfaces",
            Filters=[{"Name": "description", "Values": ["ELB *"]}],
        ),
    )
    addresses: dict[str, list[tuple[str, str]]] = {}
    for raw in interfaces:
        interface = read_network_interface(raw)
        addresses.setdefault(interface.description.removeprefix("ELB "), []).append((interface.zone, interface.address))
    tags = await tags_of(aws, [balancer.arn for balancer in found])
    balancers, health = await asyncio.gather(
        asyncio.gather(
            *(
                _balancer(aws, balancer, sorted(addresses.get(balancer.id, ())), tags.get(balancer.arn, {}))
                for balancer in found
            )
        ),
        asyncio.gather(*(target_health(aws, group.arn) for group in groups)),
    )
    return Front(
        tuple(sorted(balancers, key=lambda each: each.balancer.name)),
        {group.arn: group for group in groups},
        {group.arn: tuple(sorted(each, key=lambda h: h.target)) for group, each in zip(groups, health, strict=True)},
    )


async def _balancer(
    aws: Aws, balancer: LoadBalancer, addresses: Iterable[tuple[str, str]], tags: Mapping[str, str]
) -> FrontBalancer:
    raw = await aws.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=balancer.arn)
    application = balancer.type == "application"
    listeners = await asyncio.gather(*(_listener(aws, each, application) for each in raw))
    web_acl = ""
    if application:
        found = await aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=balancer.arn)
        web_acl = (found.get("WebACL") or {}).get("Name", "")
    return FrontBalancer(
        balancer,
        tuple(address for _, address in addresses),
        tuple(sorted(listeners, key=lambda each: each.listener.port)),
        web_acl,
        tags.get(STACK_TAG, ""),
        next((tags[tag] for tag in _GATEWAY_TAGS if tag in tags), ""),
    )


async def _listener(aws: Aws, raw: Mapping[str, Any], application: bool) -> FrontListener:
    listener = read_listener(raw)
    groups = list(listener.target_groups)
    rules = 0
    if application:
        for rule in await aws.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener.arn):
            rules += not rule.get("IsDefault")
            groups += read_listener({**raw, "DefaultActions": rule.get("Actions") or ()}).target_groups
    last: Mapping[str, Any] = next(iter(reversed(raw.get("DefaultActions") or ())), {})
    return FrontListener(listener, rules, tuple(dict.fromkeys(groups)), _answer(last))


def _answer(action: Mapping[str, Any]) -> str:
    if action.get("Type") == "redirect":
        config = action["RedirectConfig"]
        scheme, port = config.get("Protocol", "#{protocol}").lower(), config.get("Port", "#{port}")
        where = f"{scheme}, port {port}" if "#" not in scheme else "another place"
        return f"redirects to {where} ({config.get('StatusCode', '').removeprefix('HTTP_')})"
    if action.get("Type") == "fixed-response":
        return f"answers {action['FixedResponseConfig'].get('StatusCode', '')}"
    return ""
