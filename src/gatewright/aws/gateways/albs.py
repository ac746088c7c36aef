"""From the rules of one port to a listener of an ALB (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from gatewright.aws.configuration.settings import ListenerSettings, RuleSettings
from gatewright.aws.gateways.clientcertificates import Clients
from gatewright.aws.gateways.names import Tags
from gatewright.aws.gateways.ports import Port, Told, Translation, tell, tls_remark
from gatewright.aws.gateways.servercertificates import Shown
from gatewright.aws.gateways.targetgroups import Group, Groups
from gatewright.aws.ingress.rules import DEFAULT_RULE
from gatewright.aws.rules import NOT_FOUND, ListenerRules, RuleContext, in_order, listener_rules
from gatewright.aws.stack.desired import (
    Action,
    DesiredListener,
    DesiredRule,
    RuleCondition,
)
from gatewright.flow import Collection, Context
from gatewright.model.meta import Key
from gatewright.topology import BackendKey, Extension, HostKey, Listener, Rule, RuleKey

SSL_POLICY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
"""What AWS recommends (ALB user guide, "Security policies"): TLS 1.2 and 1.3."""

_ANY_PATH = RuleCondition("path-pattern", ("/*",))


class Ruled(Struct, frozen=True):
    """The rules of a port, the target groups that they need, and what is to be said of routes."""

    rules: tuple[DesiredRule, ...]
    default: tuple[Action, ...]
    groups: tuple[Group, ...]
    told: tuple[Told, ...]


class Rules:
    """Translates the rules of ports."""

    def __init__(self, groups: Groups, rule_settings: Collection[Key, RuleSettings]) -> None:
        self.groups = groups
        self.settings = rule_settings

    def of_gateway(
        self, ctx: Context, port: Port, listener: Listener, hosts: Sequence[tuple[HostKey, Sequence[Rule]]]
    ) -> Ruled:
        """The rules of virtual hosts: the most specific host of a request, and there the first rule that matches."""
        work = _Work(ctx, self, port, listener)
        by_name = [(host.hostname, [work.usable(rule) for rule in rules]) for host, rules in hosts]
        found = listener_rules(by_name, work.context())
        return work.done(found, (NOT_FOUND,))

    def of_ingress(
        self, ctx: Context, port: Port, listener: Listener, hosts: Sequence[tuple[HostKey, Sequence[Rule]]]
    ) -> Ruled:
        """The rules in the order of their precedence; the last one of all is what the listener does by default."""
        work = _Work(ctx, self, port, listener)
        names: dict[RuleKey, tuple[str, ...]] = {}
        rules: dict[RuleKey, Rule] = {}
        for host, members in hosts:
            for rule in members:
                names[rule.key] = (*names.get(rule.key, ()), host.hostname)
                rules.setdefault(rule.key, work.usable(rule))
        ordered = sorted(rules.values(), key=lambda rule: (rule.precedence, rule.key))
        last = next((rule for rule in ordered if rule.key.rule == DEFAULT_RULE), None)
        context = work.context()
        found = in_order([(names[rule.key], rule) for rule in ordered if rule is not last], context)
        default: tuple[Action, ...] = (NOT_FOUND,)
        if last:
            caught = in_order([(("*",), last)], context)
            found = structs.replace(found, refusals=(*found.refusals, *caught.refusals))
            if len(caught.rules) == 1 and _takes_all(caught.rules[0]):
                default = caught.rules[0].actions
            else:
                found = structs.replace(found, rules=(*found.rules, *caught.rules))
        return work.done(found, default)


def _takes_all(rule: DesiredRule) -> bool:
    """Whether a rule could be a listener's default; the condition that each rule must have says nothing then."""
    return all(each == _ANY_PATH for each in rule.conditions) and not rule.transforms


class _Work:
    """One translation: remembers the target groups that it asked for."""

    def __init__(self, ctx: Context, rules: Rules, port: Port, listener: Listener) -> None:
        self._ctx = ctx
        self._rules = rules
        self._port = port
        self._listener = listener
        self._needed: dict[str, Group] = {}
        self._usable: dict[RuleKey, Rule] = {}
        self._told: list[Told] = []

    def usable(self, rule: Rule) -> Rule:
        """The rule, with no backend where one must not be spoken to."""
        shares = []
        for share in rule.backends:
            found = self._rules.groups.usable(self._ctx, share.backend)
            if found and found.tls:
                message = tls_remark(found.key.address, found.tls.origin)
                self._told.append(tell(rule.key, rule.origin, self._port.owner, message))
            shares.append(share if found else structs.replace(share, backend=None))
        rule = structs.replace(rule, backends=tuple(shares))
        self._usable[rule.key] = rule
        return rule

    def context(self) -> RuleContext:
        """What the rules are translated in."""
        named = {item.key for rule in self._usable.values() for item in rule.filters if isinstance(item, Extension)}
        found = {key: self._ctx.get(self._rules.settings, key) for key in sorted(named)}
        settings = {key: value for key, value in found.items() if value is not None}
        return RuleContext(
            protocol="HTTPS" if self._listener.protocol == "HTTPS" else "HTTP",
            port=self._port.number,
            settings=settings,
            target_group=self._target_group,
        )

    def _target_group(self, backend: BackendKey, rule: RuleKey) -> str:
        session = self._usable[rule].session
        found = self._rules.groups.of_requests(
            self._ctx, self._port.owner, self._listener.protocol, backend, rule, session
        )
        self._needed[found.key.resource] = found
        return found.key.resource

    def done(self, found: ListenerRules, default: tuple[Action, ...]) -> Ruled:
        owner = self._port.owner
        told = [tell(each.rule, each.origin, owner, each.message, dropped=each.dropped) for each in found.refusals]
        well = [tell(rule.key, rule.origin, owner) for rule in self._usable.values()]
        return Ruled(
            found.rules,
            default,
            tuple(self._needed[name] for name in sorted(self._needed)),
            tuple(dict.fromkeys([*told, *self._told, *well])),
        )


def listener(
    port: Port,
    listeners: Sequence[Listener],
    ruled: Ruled,
    shown: Shown,
    let_in: Clients,
    settings: ListenerSettings,
    tags: Tags,
) -> Translation:
    """The listener of a port: its rules, and for HTTPS what it shows and whom it lets in."""
    said = Translation(told=ruled.told, groups=ruled.groups)
    https = listeners[0].protocol == "HTTPS"
    if https and (unknown := shown.unknown or let_in.unknown):
        return structs.replace(said, unknown=unknown)
    problem = settings.problem or let_in.problem or (shown.problem if https else "")
    if problem:
        return structs.replace(said, problem=problem)
    made = DesiredListener(
        protocol="HTTPS" if https else "HTTP",
        port=port.number,
        default=ruled.default,
        rules=tuple(structs.replace(rule, tags=tags.plain(rule.tags)) for rule in ruled.rules),
        certificates=shown.references if https else (),
        ssl_policy=(settings.ssl_policy or SSL_POLICY) if https else "",
        mutual_authentication=let_in.mutual,
        attributes=dict(sorted(settings.attributes.items())),
        tags=tags.of(str(port.number)),
    )
    imported = tuple(structs.replace(each, tags=tags.of(each.resource)) for each in shown.imported) if https else ()
    remarks = (*let_in.remarks, *shown.remarks) if https else ()
    return structs.replace(said, listener=made, imported=imported, trust_store=let_in.trust_store, remarks=remarks)
