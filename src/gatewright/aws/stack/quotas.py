"""What AWS's quotas allow, and what of a stack goes over them, by name, before anything is changed.

"Quotas for your Application Load Balancers", "Quotas for your Network Load Balancers", "Amazon VPC quotas".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from gatewright.aws.client import Aws
from gatewright.aws.stack.desired import (
    DesiredListener,
    DesiredMutualAuthentication,
    DesiredRule,
    Forward,
    RuleCondition,
    Stack,
)
from gatewright.aws.stack.holdings import ActualStack
from gatewright.aws.stack.patience import Patient
from gatewright.topology import Origin

VERIFYING_LISTENERS: Final = "mutual-tls-verify-listeners-per-application-load-balancer"
"""The quota of listeners that verify client certificates. It can't be raised."""

DEFAULTS: Final[dict[str, int]] = {
    "application-load-balancers": 50,
    "network-load-balancers": 50,
    "target-groups": 3000,
    "listeners-per-application-load-balancer": 50,
    "listeners-per-network-load-balancer": 50,
    "rules-per-application-load-balancer": 100,
    "certificates-per-application-load-balancer": 25,
    "certificates-per-network-load-balancer": 25,
    "target-groups-per-application-load-balancer": 100,
    "target-groups-per-network-load-balancer": 50,
    "target-groups-per-action-on-application-load-balancer": 5,
    "target-groups-per-action-on-network-load-balancer": 5,
    "condition-values-per-alb-rule": 5,
    "condition-wildcards-per-alb-rule": 5,
    "targets-per-target-group": 1000,
    "targets-per-application-load-balancer": 1000,
    "targets-per-network-load-balancer": 3000,
    "rules-per-security-group": 60,
    "trust-stores": 20,
    VERIFYING_LISTENERS: 2,
}
"""AWS's defaults by the names of DescribeAccountLimits; those that it doesn't tell have names alike."""


_OFF = DesiredMutualAuthentication("off")


class Quotas(Struct, frozen=True):
    """What one account has in one region: what differs from `DEFAULTS`."""

    raised: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.raised.get(name, DEFAULTS[name])

    @property
    def rules(self) -> int:
        """Rules that an Application Load Balancer may have, default ones not counted."""
        return self["rules-per-application-load-balancer"]


class QuotaProblem(Struct, frozen=True):
    """A quota that would be exceeded. `origins` are what goes over: the routes' matches of the rules that don't fit.

    `resource`: the target group or the port (`443`) that it is about, if it is about one of them.
    """

    quota: str
    found: int
    allowed: int
    message: str
    origins: tuple[Origin, ...] = ()
    resource: str = ""
    rules: tuple[DesiredRule, ...] = ()
    """The rules that don't fit: without them the others do."""


async def read_quotas(aws: Aws) -> Quotas:
    """The account's quotas. Raises `AwsError`. elbv2:DescribeAccountLimits."""
    limits = await Patient(aws).pages("elbv2", "describe_account_limits", "Limits")
    found = {str(each["Name"]): int(each["Max"]) for each in limits if each.get("Name") and each.get("Max")}
    return Quotas({name: most for name, most in found.items() if name in DEFAULTS and DEFAULTS[name] != most})


def check(
    stack: Stack,
    quotas: Quotas | None = None,
    *,
    account: Mapping[str, int] | None = None,
    standing: Collection[int] = (),
) -> tuple[QuotaProblem, ...]:
    """What of a stack goes over. `account` is how much the account has of what it counts, without this stack's own.

    See `counted`. Of ports that are too many those at which AWS listens already, `standing`, stay.
    """
    return (*_problems(stack, quotas or Quotas(), account or {}), *_verifying(stack, quotas or Quotas(), standing))


def counted(stacks: Iterable[ActualStack], but: Stack | None = None) -> dict[str, int]:
    """How much there is of what AWS counts in an account, by quota; without a stack's own."""
    total: dict[str, int] = {}
    for stack in stacks:
        if but is not None and stack.key == but.key:
            continue
        for each in stack.load_balancers.values():
            name = f"{each.load_balancer.type}-load-balancers"
            total[name] = total.get(name, 0) + 1
        total["target-groups"] = total.get("target-groups", 0) + len(stack.target_groups)
        if stack.trust_stores:
            total["trust-stores"] = total.get("trust-stores", 0) + len(stack.trust_stores)
    return total


def _problems(stack: Stack, quotas: Quotas, account: Mapping[str, int]) -> Iterator[QuotaProblem]:
    kind = stack.load_balancer.type
    load_balancer = f"load balancer {stack.load_balancer.name}"

    def over(quota: str, found: int, what: str, instead: str, **more: object) -> Iterator[QuotaProblem]:
        allowed = quotas[quota]
        if found > allowed:
            message = f"{what}: found {found}, AWS allows {allowed} (quota {quota}); {instead}"
            yield QuotaProblem(quota, found, allowed, message, **more)  # type: ignore[arg-type]

    raise_it = "ask AWS for a higher quota, or spread what there is over more Gateways"
    yield from over(
        f"{kind}-load-balancers",
        account.get(f"{kind}-load-balancers", 0) + 1,
        f"{load_balancer}: load balancers of type {kind} in this account and region",
        "ask AWS for a higher quota, or merge Gateways",
    )
    yield from over(
        "target-groups",
        account.get("target-groups", 0) + len(stack.target_groups),
        f"{load_balancer}: target groups in this account and region",
        "ask AWS for a higher quota",
    )
    per = f"per-{kind}-load-balancer"
    yield from over(f"listeners-{per}", len(stack.listeners), f"{load_balancer}: ports with listeners", raise_it)
    yield from _rules(stack, quotas, load_balancer)
    certificates = {each for listener in stack.listeners for each in listener.certificates[1:]}
    yield from over(
        f"certificates-{per}",
        len(certificates),
        f"{load_balancer}: certificates besides the default one of each listener",
        "use certificates with more names (SANs or wildcards), or ask AWS for a higher quota",
    )
    used = {share for listener in stack.listeners for share in _groups(listener)}
    yield from over(f"target-groups-{per}", len(used), f"{load_balancer}: target groups", raise_it)
    for group in stack.target_groups:
        yield from over(
            "targets-per-target-group",
            len(group.targets),
            f"target group {group.name} ({group.resource}): targets",
            "target nodes instead of pods (targetType: instance), or ask AWS for a higher quota",
            resource=group.resource,
        )
    yield from over(
        f"targets-{per}",
        sum(len(group.targets) for group in stack.target_groups if group.resource in used),
        f"{load_balancer}: targets of all its target groups",
        "ask AWS for a higher quota, or spread what there is over more Gateways",
    )
    yield from over(
        "trust-stores",
        account.get("trust-stores", 0) + len(stack.trust_stores) if stack.trust_stores else 0,
        f"{load_balancer}: trust stores in this account and region",
        "ask AWS for a higher quota, or share one by LoadBalancerConfigurations (mutualAuthentication.trustStore)",
    )
    for security in stack.security_groups:
        yield from over(
            "rules-per-security-group",
            max(_entries(security.ingress, six=six) for six in (False, True)),
            f"security group {security.name}: permissions",
            "allow fewer or wider ranges (sourceRanges), or use a prefix list",
        )


def _verifying(stack: Stack, quotas: Quotas, standing: Collection[int]) -> Iterator[QuotaProblem]:
    """One for each port that can't verify client certificates beside the others that do."""
    ports = [each.port for each in stack.listeners if (each.mutual_authentication or _OFF).mode == "verify"]
    allowed = quotas[VERIFYING_LISTENERS]
    for port in sorted(ports, key=lambda each: (each not in standing, each))[allowed:]:
        message = (
            f"load balancer {stack.load_balancer.name}: ports that verify client certificates: found {len(ports)}, AWS "
            f"allows {allowed} (quota {VERIFYING_LISTENERS}), and {port} is one too many; use another Gateway for it"
        )
        yield QuotaProblem(VERIFYING_LISTENERS, len(ports), allowed, message, resource=str(port))


def _entries(rules: Iterable[object], *, six: bool) -> int:
    """IPv4 and IPv6 rules count apart; one of a group or a prefix list counts for both."""
    other = "cidr" if six else "cidr_ipv6"
    return sum(not getattr(rule, other) for rule in rules)


def _rules(stack: Stack, quotas: Quotas, load_balancer: str) -> Iterator[QuotaProblem]:
    """Which rules don't fit, and which of them say too much. The first rules in precedence come first."""
    rules = [(listener, rule) for listener in stack.listeners for rule in listener.rules]
    allowed = quotas.rules
    if len(rules) > allowed:
        left_out = _fairly(stack.listeners, allowed)
        quota = "rules-per-application-load-balancer"
        message = (
            f"{load_balancer}: found {len(rules)} rules, AWS allows {allowed} (quota {quota}); these go over: "
            f"{_named(left_out)}; ask AWS for a higher quota, or spread the routes over more Gateways"
        )
        yield QuotaProblem(quota, len(rules), allowed, message, _origins(left_out), "", tuple(left_out))
    for listener, rule in rules:
        for quota, found in _of_rule(rule):
            if found > quotas[quota]:
                message = (
                    f"rule of {_named([rule])} on port {listener.port}: found {found}, AWS allows {quotas[quota]} "
                    f"(quota {quota}); match fewer values, or use several rules"
                )
                yield QuotaProblem(quota, found, quotas[quota], message, rule.origins, str(listener.port), (rule,))


def _fairly(listeners: Iterable[DesiredListener], allowed: int) -> list[DesiredRule]:
    """The rules that have to be left out, so that no namespace's routes push out those of others.

    Each namespace has an equal part of what is allowed, and what one doesn't need is there for the others. Of its rules
    each listener's first ones count before any listener's second, and so on. Rules of no route, which keep requests
    from others, count before all.
    """
    by_namespace: dict[str, list[tuple[int, int, DesiredRule]]] = {}
    for listener in listeners:
        for place, rule in enumerate(listener.rules):
            namespace = rule.origins[0].key.namespace if rule.origins else ""
            by_namespace.setdefault(namespace, []).append((place, listener.port, rule))
    left = allowed - len(by_namespace.pop("", ()))
    over: list[DesiredRule] = []
    for number, (_, found) in enumerate(sorted(by_namespace.items(), key=lambda each: (len(each[1]), each[0]))):
        part = max(0, min(len(found), left // (len(by_namespace) - number)))
        left -= part
        over += [rule for *_, rule in sorted(found, key=lambda each: each[:2])[part:]]
    return over


def _of_rule(rule: DesiredRule) -> Iterator[tuple[str, int]]:
    yield "condition-values-per-alb-rule", sum(condition.size for condition in rule.conditions)
    yield "condition-wildcards-per-alb-rule", sum(map(wildcards, rule.conditions))
    for action in rule.actions:
        if isinstance(action, Forward):
            yield "target-groups-per-action-on-application-load-balancer", len(action.shares)


def wildcards(condition: RuleCondition) -> int:
    """How many wildcards a condition has; of regular expressions none count, nor do escaped ones."""
    texts = [*condition.values, *(text for pair in condition.pairs for text in pair)]
    plain = (text.replace("\\*", "").replace("\\?", "") for text in texts)
    return sum(text.count("*") + text.count("?") for text in plain)


def _groups(listener: DesiredListener) -> Iterator[str]:
    for actions in (listener.default, *(rule.actions for rule in listener.rules)):
        for action in actions:
            if isinstance(action, Forward):
                for share in action.shares:
                    yield share.target_group


def _origins(rules: Iterable[DesiredRule]) -> tuple[Origin, ...]:
    return tuple(dict.fromkeys(origin for rule in rules for origin in rule.origins))


def _named(rules: Iterable[DesiredRule]) -> str:
    """The routes that rules come from, with the fields, a few of them by name."""
    told = list(dict.fromkeys(f"{origin} {origin.field}".rstrip() for origin in _origins(rules)))
    if not told:
        return "rules without a route"
    return ", ".join(told[:5]) + (f" and {len(told) - 5} more" if len(told) > 5 else "")
