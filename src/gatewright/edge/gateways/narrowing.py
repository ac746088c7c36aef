"""What of a stack AWS refused, and the stack without it: one bad rule costs no other. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec import structs

from gatewright.aws.stack.desired import (
    DesiredListener,
    DesiredRule,
    DesiredTargetGroup,
    DesiredTrustStore,
    Forward,
    Respond,
    SecurityRule,
    Stack,
)
from gatewright.aws.stack.quotas import VERIFYING_LISTENERS, Quotas, check
from gatewright.edge.gateways.outcomes import LeftOut

_USUAL = (80, 443)
_CLOSED = (Respond("500"),)


def rule_id(port: int, rule: DesiredRule) -> str:
    """Tells a rule of a listener from all others, for as long as it stays what it is."""
    return _digest("rule", port, structs.replace(rule, origins=(), tags={}))


def group_id(group: DesiredTargetGroup) -> str:
    """Tells a target group's settings from others; its targets may change."""
    return _digest("target group", structs.replace(group, targets=frozenset()))


def listener_id(listener: DesiredListener) -> str:
    """Tells a listener's own settings from others; its rules may change."""
    return _digest("listener", structs.replace(listener, rules=()))


def store_id(store: DesiredTrustStore) -> str:
    """Tells a trust store with its authorities from others."""
    return _digest("trust store", structs.replace(store, tags={}))


def over_quota(
    stack: Stack, quotas: Quotas, account: Mapping[str, int], standing: Collection[int] = ()
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What of a stack AWS's quotas don't allow: rules and listeners by ID, with the reason, and what is wrong besides.

    `account` is what the account has without it. The ports at which AWS listens already, `standing`, stay.
    """
    refused = _ports_over_quota(stack, quotas, standing)
    others: list[str] = []
    for problem in check(stack, quotas, account=account, standing=standing):
        if problem.quota == VERIFYING_LISTENERS:
            over_it = [each for each in stack.listeners if str(each.port) == problem.resource]
            refused |= {listener_id(each): problem.message for each in over_it}
            continue
        if not problem.rules:
            others.append(problem.message)
            continue
        over = {id(rule) for rule in problem.rules}
        why = (
            f"found {problem.found}, AWS allows {problem.allowed} (quota {problem.quota}), and this is what goes over; "
            "ask AWS for a higher quota, or spread what there is over more Gateways"
        )
        for listener in stack.listeners:
            refused |= {rule_id(listener.port, rule): why for rule in listener.rules if id(rule) in over}
    return refused, tuple(others)


def _ports_over_quota(stack: Stack, quotas: Quotas, standing: Collection[int]) -> dict[str, str]:
    """The listeners for which there is no room on the load balancer, or in the security group that is made for it.

    AWS takes either all permissions of a call or none: one port too many would let nobody in anywhere.
    """
    listeners = f"listeners-per-{stack.load_balancer.type}-load-balancer"
    permissions = "rules-per-security-group"
    every = [rule for group in stack.security_groups for rule in group.ingress]
    asked = {listeners: len(stack.listeners), permissions: max(_families(every))}
    used = {listeners: 0, permissions: 0}
    families = _families(rule for rule in every if not _is_port(rule))
    refused: dict[str, str] = {}
    order = sorted(stack.listeners, key=lambda each: (each.port not in standing, each.port not in _USUAL, each.port))
    for listener in order:
        more = _families(rule for rule in every if _is_port(rule) and rule.from_port == listener.port)
        with_it = (families[0] + more[0], families[1] + more[1])
        needed = {listeners: used[listeners] + 1, permissions: max(with_it)}
        over = next((quota for quota, found in needed.items() if found > quotas[quota]), "")
        if over and listener.port not in standing:
            told = f"found {asked[over]} in all, AWS allows {quotas[over]} (quota {over}); this port is one too many"
            refused[listener_id(listener)] = f"{told}; ask AWS for a higher quota, or use fewer ports or source ranges"
        else:
            families, used = with_it, needed
    return refused


def _families(rules: Iterable[SecurityRule]) -> tuple[int, int]:
    """How many permissions count for IPv4 and for IPv6; one of a group or a prefix list counts for both."""
    found = list(rules)
    return sum(not rule.cidr_ipv6 for rule in found), sum(not rule.cidr for rule in found)


def _is_port(rule: SecurityRule) -> bool:
    return rule.protocol in ("tcp", "udp")


def _digest(*parts: object) -> str:
    return hashlib.sha256(
        msgspec.json.encode([msgspec.to_builtins(part) for part in parts], order="sorted")
    ).hexdigest()


def without(
    stack: Stack, over: Mapping[str, str], refused: Mapping[str, str]
) -> tuple[Stack, tuple[LeftOut, ...], dict[int, str]]:
    """A stack without what goes `over` a quota and what AWS `refused`, which are messages by ID: the rest, what routes
    have to be told, and ports too.

    A rule that is refused, or that forwards to a target group that can't be made, keeps its place and answers 500:
    otherwise a less specific rule, without what keeps its door closed, would have its requests. One over a quota goes,
    as all less specific ones of its namespace do. A listener goes whose default can't be carried out, and one whose
    clients can't be told by a trust store that can't be made: it would let in anybody.
    """
    if not over and not refused:
        return stack, (), {}
    places = over
    refused = {**over, **refused}
    groups = {group.resource: message for group in stack.target_groups if (message := refused.get(group_id(group)))}
    stores = {store.resource: message for store in stack.trust_stores if (message := refused.get(store_id(store)))}
    used: set[str] = set()
    left_out: list[LeftOut] = []
    ports: dict[int, str] = {}
    listeners: list[DesiredListener] = []
    for listener in stack.listeners:
        mutual = listener.mutual_authentication
        problem = refused.get(listener_id(listener)) or _reaches(listener.default, groups)
        problem = problem or stores.get(mutual.trust_store if mutual else "", "")
        if problem:
            ports[listener.port] = problem
            continue
        used.add(mutual.trust_store if mutual else "")
        rules = []
        for rule in listener.rules:
            why = refused.get(rule_id(listener.port, rule)) or _reaches(rule.actions, groups)
            if not why:
                rules.append(rule)
                continue
            left_out += [LeftOut(origin, _number(origin.field), why) for origin in rule.origins]
            closed = structs.replace(rule, actions=_CLOSED, transforms=())
            if rule_id(listener.port, rule) not in places and rule_id(listener.port, closed) not in refused:
                rules.append(closed)
        listeners.append(structs.replace(listener, rules=tuple(rules)))
    kept = tuple(group for group in stack.target_groups if group.resource not in groups)
    trusted = tuple(store for store in stack.trust_stores if store.resource in used)
    doors = tuple(
        structs.replace(
            each, ingress=tuple(rule for rule in each.ingress if not (_is_port(rule) and rule.from_port in ports))
        )
        for each in stack.security_groups
    )
    rest = structs.replace(
        stack, listeners=tuple(listeners), target_groups=kept, trust_stores=trusted, security_groups=doors
    )
    return rest, tuple(left_out), ports


def _reaches(actions: tuple[object, ...], groups: Mapping[str, str]) -> str:
    """Why actions can't be carried out, if they forward to one of `groups`."""
    for action in actions:
        if isinstance(action, Forward):
            for share in action.shares:
                if share.target_group in groups:
                    return groups[share.target_group]
    return ""


def _number(field: str) -> int:
    """The number of a route's rule in a field such as `spec.rules[3].matches[0]`."""
    digits = field.partition("rules[")[2].partition("]")[0]
    return int(digits) if digits.isdigit() else 0
