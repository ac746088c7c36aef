"""Ingresses of class alb as a topology, with the settings of the load balancers that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from gatewright.aws.configuration.settings import LoadBalancerSettings, RuleSettings, TargetGroupSettings
from gatewright.aws.ingress.actions import loops
from gatewright.aws.ingress.annotations import strays
from gatewright.aws.ingress.asked import Asked, ask
from gatewright.aws.ingress.conditions import EVERY_PATH
from gatewright.aws.ingress.membership import IngressGroup, Member, groups, members
from gatewright.aws.ingress.merging import Merged, merge
from gatewright.aws.ingress.rules import (
    DEFAULT_RULE,
    EXTENSION,
    IngressRuleFound,
    Lookups,
    RulesFound,
    find_rules,
    settings_key,
)
from gatewright.aws.ingress.secrets import find_tls, hosts, read_secrets
from gatewright.aws.ingress.sources import IngressSources
from gatewright.aws.ingress.targets import TargetsFound, target_group
from gatewright.aws.stack.desired import RedirectTo, RuleCondition
from gatewright.flow import Collection, Context
from gatewright.model.core import Service
from gatewright.model.meta import Key
from gatewright.resolve.backends import resolve_endpoints
from gatewright.resolve.certificates import KeyPair
from gatewright.resolve.inputs import Inputs
from gatewright.topology import (
    Backend,
    BackendKey,
    Certificate,
    Extension,
    HostKey,
    Listener,
    ListenerKey,
    Match,
    Origin,
    PathMatch,
    Placement,
    Rule,
    RuleKey,
    StreamPlacement,
    Topology,
)


class CertificateWish(Struct, frozen=True):
    """A certificate that an Ingress wants to be requested for its hosts (`create-acm-cert`)."""

    hosts: tuple[str, ...]


class TargetGroupsOfIngresses:
    """What is said of the target group of a backend behind an Ingress group."""

    def __init__(self, found: Collection[tuple[Key, BackendKey], TargetsFound]) -> None:
        self._found = found

    def __call__(self, ctx: Context, gateway: Key, backend: BackendKey, route: RuleKey) -> TargetGroupSettings:
        """The settings for the rule of an Ingress; `gateway` is its group."""
        found = ctx.get(self._found, (route.route, backend))
        return found.settings if found else TargetGroupSettings(target_type="instance", own=("Ingress", route.route))


@dataclass(frozen=True)
class Ingresses:
    """Everything that is derived from Ingresses of class alb. Groups stand where Gateways do."""

    topology: Topology
    members: Collection[Key, Member]
    """The Ingresses that are ours."""
    groups: Collection[Key, IngressGroup]
    settings: Collection[Key, LoadBalancerSettings]
    """By group; none for a group that is blocked."""
    blocked: Collection[Key, tuple[str, ...]]
    """By group: why its load balancer stays as it is."""
    target_groups: TargetGroupsOfIngresses
    rule_settings: Collection[Key, RuleSettings]
    problems: Collection[Key, tuple[str, ...]]
    """By Ingress, those of its group not among them."""
    certificate_wishes: Collection[Key, CertificateWish]
    """By Ingress."""
    web_acl_names: Collection[str, str]
    """Names of web ACLs whose ARNs `IngressSources.web_acls` has to have."""
    target_group_names: Collection[str, str]
    """Names and ARNs of target groups that `IngressSources.target_groups` and `target_group_tags` have to have."""


def resolve_ingresses(inputs: Inputs, sources: IngressSources) -> Ingresses:
    """Derive the topology of the Ingresses that are ours."""
    flow = inputs.flow
    ours = members(inputs, sources)
    key_pairs = read_secrets(inputs, ours)
    grouped = groups(inputs, ours)

    def asked_of(ctx: Context, _: Key, member: Member) -> Asked | None:
        return ask(member, member.group, find_tls(ctx, key_pairs, member)) if member.group else None

    asked = flow.derive("what ingresses ask for", ours, asked_of)

    def merged_of(ctx: Context, _: Key, group: IngressGroup) -> Merged:
        found = [each for key in group.members if (each := ctx.get(asked, key))]
        return merge(found, lambda name: ctx.get(sources.web_acls, name))

    merged = flow.derive("merged ingress groups", grouped, merged_of)

    def rules_of(ctx: Context, _: Key, member: Member) -> RulesFound | None:
        if member.group is None:
            return None
        services = inputs.written(inputs.services)
        return find_rules(
            member,
            Lookups(
                service=lambda key: ctx.get(services, key),
                secret=lambda key: ctx.get(inputs.secrets, key),
                target_group_arn=lambda name: ctx.get(sources.target_groups, name),
                target_group_tags=lambda name: ctx.get(sources.target_group_tags, name),
            ),
        )

    inputs.written(inputs.services)  # made before what reads it
    rules = flow.derive("rules of ingresses", ours, rules_of)
    targets = _target_groups(inputs, ours, rules)
    listeners = flow.derive_many("listeners of ingress groups", merged, _listeners)
    placements = flow.merge(
        "placements of ingresses",
        flow.derive_many("placed ingress rules", rules, _Placing(ours, merged)),
        flow.derive_many("placed ssl redirects", merged, _redirects),
    )
    by_host = placements.index(lambda key, _: [key[0]], order=lambda _, placement: placement.rule.precedence)

    def certificate(ctx: Context, key: Key, _: Key) -> Certificate | None:
        pair: KeyPair | None = ctx.get(key_pairs, key)
        return pair.certificate if pair else None

    served = flow.distinct("secrets of ingress groups", listeners.index(lambda _, listener: listener.certificates))
    backends = _backends(inputs, flow.distinct("backends of ingresses", placements.index(_targets)))
    topology = Topology(
        listeners=listeners,
        certificates=flow.derive("certificates of ingresses", served, certificate),
        hosts=flow.distinct("hosts of ingresses", by_host),
        misdirected=flow.source("misdirected hosts of ingresses"),
        placements=placements,
        placements_by_host=by_host,
        streams=(streams := flow.source("streams of ingresses")),
        streams_by_host=streams.index(lambda key, _: [key[0]], order=_precedence),
        client_certificates=flow.source("client certificates of ingresses"),
        backends=backends,
        endpoints=resolve_endpoints(inputs, backends),
    )
    return Ingresses(
        topology=topology,
        members=ours,
        groups=grouped,
        settings=flow.derive("settings of ingress groups", merged, lambda _, __, found: found.settings),
        blocked=flow.derive("blocked ingress groups", merged, lambda _, __, found: found.blocked or None),
        target_groups=TargetGroupsOfIngresses(targets),
        rule_settings=flow.merge(
            "settings of ingress rules",
            flow.derive_many("settings of rules of ingresses", rules, _settings),
            flow.derive_many("settings of ssl redirects", merged, _redirect_settings),
        ),
        problems=_problems(inputs, ours, asked, merged, rules, targets),
        certificate_wishes=flow.derive("certificates that ingresses want", asked, _CertificateWishes(ours)),
        web_acl_names=flow.distinct("names of web ACLs", asked.index(lambda _, each: _web_acl_names(each))),
        target_group_names=flow.distinct("names of target groups", rules.index(lambda _, each: each.names)),
    )


def listener_key(group: Key, protocol: str, port: int) -> ListenerKey:
    """The key of the listener of a group at a port."""
    return ListenerKey(group, f"{protocol.lower()}-{port}")


def _listeners(_: Context, group: Key, merged: Merged) -> dict[ListenerKey, Listener]:
    return {
        (key := listener_key(group, port.protocol, number)): Listener(
            key=key,
            port=number,
            protocol=port.protocol,
            hostname="*",
            certificates=port.secrets,
            origin=Origin("IngressGroup", group, ""),
            terminates=port.protocol == "HTTPS",
        )
        for number, port in merged.ports.items()
    }


class _Placing:
    """Puts the rules of an Ingress onto the listeners of its group that it has."""

    def __init__(self, members: Collection[Key, Member], merged: Collection[Key, Merged]) -> None:
        self._members = members
        self._merged = merged

    def __call__(self, ctx: Context, key: Key, found: RulesFound) -> dict[tuple[HostKey, RuleKey], Placement]:
        member = ctx.get(self._members, key)
        group = member.group if member else None
        merged = ctx.get(self._merged, group) if group else None
        if merged is None or group is None:
            return {}
        placed = {}
        for number, port in merged.ports.items():
            if key not in port.members or (port.protocol == "HTTP" and merged.ssl_redirect is not None):
                continue
            for rule in _reachable(found.rules, port.protocol, number):
                host = HostKey(listener_key(group, port.protocol, number), rule.host)
                placed[host, rule.rule.key] = Placement(host, rule.rule)
        return placed


def _reachable(rules: tuple[IngressRuleFound, ...], protocol: str, port: int) -> list[IngressRuleFound]:
    """The rules without redirects that lead to themselves, and without those that a redirect before them takes all of.

    As the AWS Load Balancer Controller has it: so one action that redirects to HTTPS does for both ports.
    """
    kept: list[IngressRuleFound] = []
    redirecting: list[tuple[frozenset[str], frozenset[str]]] = []
    for each in rules:
        conditions = each.settings.all_conditions or ()
        of_host, of_path = _values(conditions, "host-header"), _values(conditions, "path-pattern")
        regexes = any(condition.regex_values for condition in conditions if condition.field == "path-pattern")
        redirect = each.settings.redirect
        if redirect and not regexes and loops(redirect, protocol, port, of_host, of_path):
            continue
        if any(
            (not before_host or (of_host and of_host <= before_host))
            and (not before_path or EVERY_PATH in before_path or (of_path and of_path <= before_path))
            for before_host, before_path in redirecting
        ):
            continue
        kept.append(each)
        if redirect and all(condition.field in ("host-header", "path-pattern") for condition in conditions):
            redirecting.append((of_host, of_path))
    return kept


def _values(conditions: tuple[RuleCondition, ...], field: str) -> frozenset[str]:
    found = [condition for condition in conditions if condition.field == field]
    return frozenset(value for condition in found for value in (*condition.values, *condition.regex_values))


def _redirect_key(group: Key) -> RuleKey:
    return RuleKey("Ingress", Key(group.namespace, f"{group.name}/ssl-redirect"), DEFAULT_RULE, 0)


def _redirects(_: Context, group: Key, merged: Merged) -> dict[tuple[HostKey, RuleKey], Placement]:
    """Every HTTP port's only rule, where the group redirects to HTTPS."""
    if merged.ssl_redirect is None:
        return {}
    placed = {}
    key = _redirect_key(group)
    for number, port in merged.ports.items():
        if port.protocol == "HTTP":
            host = HostKey(listener_key(group, port.protocol, number), "*")
            placed[host, key] = Placement(
                host,
                Rule(
                    key=key,
                    precedence=(0,),
                    match=Match(PathMatch("PathPrefix", "/")),
                    filters=(Extension(EXTENSION, settings_key(key), "ssl-redirect"),),
                    backends=(),
                    origin=Origin("IngressGroup", group, ""),
                ),
            )
    return placed


def _redirect_settings(_: Context, group: Key, merged: Merged) -> dict[Key, RuleSettings]:
    if merged.ssl_redirect is None:
        return {}
    redirect = RedirectTo("HTTP_301", protocol="HTTPS", port=str(merged.ssl_redirect))
    return {settings_key(_redirect_key(group)): RuleSettings(redirect=redirect)}


def _settings(_: Context, __: Key, found: RulesFound) -> dict[Key, RuleSettings]:
    return {each.key: each.settings for each in found.rules}


def _targets(_: tuple[HostKey, RuleKey], placement: Placement) -> set[BackendKey]:
    return placement.rule.targets


def _precedence(_: tuple[HostKey, RuleKey], placement: StreamPlacement) -> tuple[int | str, ...]:
    return placement.stream.precedence


def _backends(inputs: Inputs, wanted: Collection[BackendKey, BackendKey]) -> Collection[BackendKey, Backend]:
    """How Services are spoken to is said by annotations, whatever their appProtocol."""
    return inputs.flow.derive("backends of ingress rules", wanted, lambda _, key, __: Backend(key, "http"))


def _target_groups(
    inputs: Inputs, members: Collection[Key, Member], rules: Collection[Key, RulesFound]
) -> Collection[tuple[Key, BackendKey], TargetsFound]:
    """By Ingress and backend: each Ingress has target groups of its own."""
    services = inputs.written(inputs.services)

    def resolve(ctx: Context, key: Key, found: RulesFound) -> dict[tuple[Key, BackendKey], TargetsFound]:
        member = ctx.get(members, key)
        names: dict[BackendKey, list[str]] = {}
        for each in found.rules:
            for backend, name in each.ports:
                names.setdefault(backend, []).append(name)
        made = {}
        for backend, called in names.items():
            service: Service | None = ctx.get(services, Key(backend.namespace, backend.service))
            ports = service.spec.ports if service else ()
            port = next((each for each in ports if (each.port, each.protocol) == (backend.port, "TCP")), None)
            if member and service and port:
                made[key, backend] = target_group(member, service, port, tuple(dict.fromkeys(called)))
        return made

    return inputs.flow.derive_many("target groups of ingresses", rules, resolve)


def _problems(
    inputs: Inputs,
    members: Collection[Key, Member],
    asked: Collection[Key, Asked],
    merged: Collection[Key, Merged],
    rules: Collection[Key, RulesFound],
    targets: Collection[tuple[Key, BackendKey], TargetsFound],
) -> Collection[Key, tuple[str, ...]]:
    by_ingress = targets.index(lambda key, _: [key[0]])
    services = inputs.written(inputs.services)

    def resolve(ctx: Context, key: Key, member: Member) -> tuple[str, ...] | None:
        told = list(member.problems)
        own = ctx.get(asked, key)
        told += own.problems if own else ()
        group = ctx.get(merged, member.group) if member.group else None
        told += group.problems.get(key, ()) if group else ()
        found = ctx.get(rules, key)
        told += found.problems if found else ()
        for each in ctx.lookup(by_ingress, key):
            told += each.problems
        for service in sorted({backend for each in found.rules for backend, _ in each.ports} if found else ()):
            where = Key(service.namespace, service.service)
            read = ctx.get(services, where)
            told += [
                f"Service {where}: {text}" for text in strays(read.metadata.annotations if read else {}, service=True)
            ]
        return tuple(dict.fromkeys(told)) or None

    return inputs.flow.derive("problems of ingresses", members, resolve)


def _web_acl_names(asked: Asked) -> list[str]:
    return [asked.wishes.web_acl.name] if asked.wishes.web_acl and asked.wishes.web_acl.name else []


class _CertificateWishes:
    def __init__(self, members: Collection[Key, Member]) -> None:
        self._members = members

    def __call__(self, ctx: Context, key: Key, asked: Asked) -> CertificateWish | None:
        """Where no ARN is named, as the AWS Load Balancer Controller has it."""
        member = ctx.get(self._members, key)
        https = [port for port in asked.ports.values() if port.protocol == "HTTPS"]
        if member is None or not https or any(port.certificates for port in https):
            return None
        names = hosts(member)
        return CertificateWish(names) if names and member.annotations().boolean("create-acm-cert") else None
