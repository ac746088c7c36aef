"""All rules of one listener, in order: hostnames, precedence, and what keeps requests from less specific hostnames.

A request belongs to the most specific hostname of its port, and there to the match that goes before all others; where
none takes it the answer is 404. An ALB knows no such hosts: its rules are one list. So the rules of more specific
hostnames come first; and where a less specific hostname could get what is left, a rule guards it with a 404.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, structs

from gatewright.aws.rules.actions import RuleContext
from gatewright.aws.rules.conditions import Dimension, hosts_dimension
from gatewright.aws.rules.drafts import Draft, RuleRefusal, draft, joined, rules_of
from gatewright.aws.rules.refused import Refused
from gatewright.aws.stack.desired import DesiredRule, Respond
from gatewright.model.meta import Key
from gatewright.resolve.hostnames import ancestors, specificity
from gatewright.topology import Rule, RuleKey

NOT_FOUND = Respond("404")
"""What requests get that no rule takes; the listener's default action is to be the same."""

_GUARD = RuleKey("", Key("", ""), 0, 0)


class ListenerRules(Struct, frozen=True):
    """The rules of a listener in order of precedence, and what an ALB can't do of those that were asked for."""

    rules: tuple[DesiredRule, ...]
    refusals: tuple[RuleRefusal, ...] = ()


def listener_rules(hosts: Iterable[tuple[str, Sequence[Rule]]], context: RuleContext) -> ListenerRules:
    """The rules of one port. `hosts` are its hostnames ("*", "*.example.com" or exact), with the rules of each.

    The same for the same hosts and rules, in whatever order they come.
    """
    by_host: dict[str, dict[RuleKey, Rule]] = {}
    for hostname, rules in hosts:
        by_host.setdefault(hostname, {}).update({rule.key: rule for rule in rules})
    by_host = {name: rules for name, rules in by_host.items() if not _is_repeated(name, by_host)}
    refusals: list[RuleRefusal] = []
    levels = [_level(hosts, by_host, context, refusals) for hosts in _levels(by_host)]
    served = {host for drafts, _ in levels for each in drafts for host in each.hosts}
    found: list[DesiredRule] = []
    for drafts, left in levels:
        found += rules_of(drafts)
        found += rules_of(_guards([host for host in left if not served.isdisjoint(ancestors(host))], context))
    return ListenerRules(tuple(found), _told(refusals))


def in_order(rules: Iterable[tuple[tuple[str, ...], Rule]], context: RuleContext) -> ListenerRules:
    """The rules of one port just as they come, each for its hostnames: without guards, no hostname before another."""
    drafts: list[Draft] = []
    refusals: list[RuleRefusal] = []
    for hosts, rule in rules:
        found = draft(rule, hosts, context)
        drafts += found.drafts
        refusals += found.refusals
    return ListenerRules(tuple(rules_of(joined(drafts))), _told(refusals))


# --- one level of hostnames ------------------------------------------------------------------------------------------


def _is_repeated(hostname: str, by_host: Mapping[str, Mapping[RuleKey, Rule]]) -> bool:
    """Whether the next less specific hostname has just the same rules: then that one alone will do."""
    wide = next((name for name in ancestors(hostname) if name in by_host), None)
    return wide is not None and bool(by_host[wide]) and by_host[wide].keys() == by_host[hostname].keys()


def _levels(hosts: Iterable[str]) -> list[list[str]]:
    """The hostnames in groups, the most specific first; no two of a group have a name in common."""
    found: dict[tuple[bool, int], list[str]] = {}
    for hostname in sorted(hosts):
        exact, labels = specificity(hostname)
        found.setdefault((exact, 0 if exact else labels), []).append(hostname)
    return [found[level] for level in sorted(found, reverse=True)]


def _level(
    hosts: Sequence[str],
    by_host: Mapping[str, Mapping[RuleKey, Rule]],
    context: RuleContext,
    refusals: list[RuleRefusal],
) -> tuple[list[Draft], list[str]]:
    """The drafts of one group of hostnames, and the hostnames that have no rule for all requests."""
    drafts: list[Draft] = []
    closed: set[str] = set()
    for together in _components(hosts, by_host):
        placed: dict[RuleKey, tuple[Rule, list[str]]] = {}
        for hostname in together:
            for key, rule in by_host[hostname].items():
                placed.setdefault(key, (rule, []))[1].append(hostname)
        found: list[Draft] = []
        for rule, names in sorted(placed.values(), key=lambda each: (each[0].precedence, each[0].key)):
            left = _comparable([name for name in names if name not in closed], rule, context, refusals)
            drafted = draft(rule, left or names, context)
            refusals += drafted.refusals
            if left:  # else other rules take all requests
                found += drafted.drafts
                closed.update(name for each in drafted.drafts if each.takes_all for name in each.hosts)
        drafts += joined(found)
    return drafts, [hostname for hostname in hosts if hostname not in closed]


def _comparable(hosts: Sequence[str], rule: Rule, context: RuleContext, refusals: list[RuleRefusal]) -> list[str]:
    """The hostnames that an ALB can compare; the others are refused."""
    found = []
    for hostname in hosts:
        try:
            hosts_dimension((hostname,), context.port)
            found.append(hostname)
        except Refused as refused:
            refusals.append(RuleRefusal(rule.key, rule.origin, str(refused)))
    return found


def _components(hosts: Sequence[str], by_host: Mapping[str, Mapping[RuleKey, Rule]]) -> Iterator[list[str]]:
    """The hostnames in groups that share rules, sorted: one group's rules don't depend on another's."""
    leader = {hostname: hostname for hostname in hosts}

    def find(hostname: str) -> str:
        while leader[hostname] != hostname:
            leader[hostname] = hostname = leader[leader[hostname]]
        return hostname

    first: dict[RuleKey, str] = {}
    for hostname in hosts:
        for key in by_host[hostname]:
            one, other = sorted((find(first.setdefault(key, hostname)), find(hostname)))
            leader[other] = one
    found: dict[str, list[str]] = {}
    for hostname in hosts:
        found.setdefault(find(hostname), []).append(hostname)
    yield from found.values()


# --- guards ----------------------------------------------------------------------------------------------------------


def _guards(hosts: Sequence[str], context: RuleContext) -> Iterator[Draft]:
    """What answers 404 to all requests for these hostnames."""
    by_form: dict[tuple[bool, bool], list[Dimension]] = {}
    for hostname in hosts:
        try:
            dimension = hosts_dimension((hostname,), context.port)
        except Refused:
            continue  # what can't be compared can't be guarded; its rules say so
        if dimension:
            option = dimension.options[0]
            by_form.setdefault((not option.plain, not option.regex), []).append(dimension)
    for form in sorted(by_form):
        options = tuple(option for dimension in by_form[form] for option in dimension.options)
        dimensions = (structs.replace(by_form[form][0], options=options),)
        yield Draft(_GUARD, tuple(hosts), dimensions, (NOT_FOUND,), (), {}, ())


def _told(refusals: Iterable[RuleRefusal]) -> tuple[RuleRefusal, ...]:
    """Each refusal of a route's rule once, in order of the routes."""
    found: dict[tuple[RuleKey, str, bool], RuleRefusal] = {}
    for each in sorted(refusals, key=lambda one: (one.rule, not one.dropped, one.message)):
        found.setdefault((each.rule._replace(match=0), each.message, each.dropped), each)
    return tuple(found.values())
