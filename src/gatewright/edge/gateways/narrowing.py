"""What of a stack AWS refused, and the stack without it: one bad rule costs no other. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec import structs

from gatewright.aws.stack.desired import (
    DesiredListener,
    DesiredRule,
    DesiredTargetGroup,
    DesiredTrustStore,
    Forward,
    Stack,
)
from gatewright.aws.stack.quotas import VERIFYING_LISTENERS, Quotas, check
from gatewright.edge.gateways.outcomes import LeftOut


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


def over_quota(stack: Stack, quotas: Quotas, account: Mapping[str, int]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What of a stack AWS's quotas don't allow: rules and listeners by ID, with the reason in words, and what is wrong
    besides."""
    refused: dict[str, str] = {}
    others: list[str] = []
    for problem in check(stack, quotas, account=account):
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


def _digest(*parts: object) -> str:
    return hashlib.sha256(
        msgspec.json.encode([msgspec.to_builtins(part) for part in parts], order="sorted")
    ).hexdigest()


def without(stack: Stack, refused: Mapping[str, str]) -> tuple[Stack, tuple[LeftOut, ...], dict[int, str]]:
    """A stack without what was `refused` (messages by ID): the rest, what routes have to be told, and ports too.

    A rule that forwards to a target group that can't be made goes with it; so does a listener whose default does, and
    one whose clients can't be told by a trust store that can't be made: it would let in anybody.
    """
    if not refused:
        return stack, (), {}
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
            if why:
                left_out += [LeftOut(origin, _number(origin.field), why) for origin in rule.origins]
            else:
                rules.append(rule)
        listeners.append(structs.replace(listener, rules=tuple(rules)))
    kept = tuple(group for group in stack.target_groups if group.resource not in groups)
    trusted = tuple(store for store in stack.trust_stores if store.resource in used)
    rest = structs.replace(stack, listeners=tuple(listeners), target_groups=kept, trust_stores=trusted)
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
