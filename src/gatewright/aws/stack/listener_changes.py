"""How listeners, with their certificates and rules, become what they are to be (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct, structs

from gatewright.aws.stack import rule_documents
from gatewright.aws.stack.desired import (
    Action,
    DesiredListener,
    DesiredMutualAuthentication,
    Respond,
    Stack,
)
from gatewright.aws.stack.holdings import CLIENT_SECRET_TAG, ActualListener, ActualLoadBalancer
from gatewright.aws.stack.operations import (
    LOAD_BALANCER,
    AddListenerCertificates,
    CreateListener,
    DeleteListener,
    ModifyListener,
    RemoveListenerCertificates,
    SetListenerAttributes,
    SetTags,
    listener_reference,
)
from gatewright.aws.stack.rule_changes import RuleChanges, add_steps, rule_changes
from gatewright.aws.stack.security_changes import Prepared
from gatewright.aws.stack.steps import Draft
from gatewright.aws.stack.tags import secret_tag, tag_changes

_SECURE = ("HTTPS", "TLS")
_OFF = DesiredMutualAuthentication("off")
_NOT_YET = (Respond("503"),)
"""What a new listener does until its rules are there."""
_CERTIFICATES_AT_ONCE = 25
_CHANGEABLE = ({"HTTP", "HTTPS"}, {"TCP", "TLS"})
"""Protocols that a listener goes from and to without being made anew."""


class Surroundings(Struct, frozen=True):
    """What listeners refer to; `before` are the steps before any listener is made."""

    groups: Prepared
    certificates: Prepared
    trust_stores: Prepared
    before: tuple[int, ...] = ()


def listener_steps(
    draft: Draft, desired: Stack, current: ActualLoadBalancer | None, around: Surroundings, most_rules: int
) -> list[int]:
    """What has to be done; the answer is the steps after which nothing refers to what isn't wanted any more.

    `most_rules` is how many rules a load balancer can have: where new ones don't fit beside old ones, the old go first.
    """
    found = {each.port: each for each in current.listeners.values()} if current else {}
    arn = current.load_balancer.arn if current else LOAD_BALANCER
    wanted = {each.port: _referring(each, around) for each in desired.listeners}
    steps: list[int] = []
    gone: dict[int, int] = {}
    for port, old in sorted(found.items()):
        if port not in wanted or not _can_become(old, wanted[port]):
            gone[port] = draft.add(DeleteListener(old.arn))
            steps.append(gone[port])
    kept = {port: each for port, each in found.items() if port not in gone}
    changes = _rule_changes(wanted, kept, most_rules)
    tight = _count(kept) + sum(len(each.new) for each in changes.values()) > most_rules
    if tight:
        changes = _rule_changes(wanted, kept, most_rules, tight=True)
    for port, listener in sorted(wanted.items()):
        before = [*around.before, *([gone[port]] if port in gone else ())]
        work = (
            _changes(draft, desired, listener, kept[port], around)
            if port in kept
            else _creation(draft, desired, listener, arn, around, before, live=current is not None)
        )
        steps += work.steps
        steps += add_steps(
            draft,
            changes[port],
            listener=kept[port].arn if port in kept else listener_reference(port),
            port=port,
            tags=lambda rule: {**rule.tags, **desired.key.tags, **secret_tag(rule.actions)},
            ready=lambda rule: around.groups.ready(rule_documents.target_groups_of(rule.actions)),
            after=work.before_rules,
            ordered=current is not None,
            deletions_first=tight,
            default=_default(draft, work.after_rules, _needed(listener, around)),
        )
    return steps


class _Work(Struct, frozen=True):
    """What was written down of a listener, and what is to be when its rules are right."""

    steps: tuple[int, ...]
    before_rules: tuple[int, ...] = ()
    after_rules: ModifyListener | None = None


def _default(
    draft: Draft, operation: ModifyListener | None, needed: Iterable[int]
) -> Callable[[Iterable[int]], int] | None:
    if operation is None:
        return None
    before = [*needed]
    return lambda after: draft.add(operation, [*before, *after])


def _count(listeners: Mapping[int, ActualListener]) -> int:
    return sum(len(each.rules) for each in listeners.values())


def _rule_changes(
    wanted: Mapping[int, DesiredListener],
    kept: Mapping[int, ActualListener],
    most_rules: int,
    *,
    tight: bool = False,
) -> dict[int, RuleChanges]:
    return {
        port: rule_changes(each.rules, kept[port].rules.values() if port in kept else (), tight=tight)
        for port, each in wanted.items()
    }


def _can_become(found: ActualListener, wanted: DesiredListener) -> bool:
    if found.protocol == wanted.protocol:
        return True
    if not any({found.protocol, wanted.protocol} <= each for each in _CHANGEABLE):
        return False
    # What only HTTPS can do would have to go before its listener speaks HTTP.
    return not (found.protocol == "HTTPS" and any(len(rule.actions) > 1 for rule in found.rules.values()))


def _referring(wanted: DesiredListener, around: Surroundings) -> DesiredListener:
    """With ARNs of the target groups, certificates and trust stores that are there."""

    def refer(actions: Iterable[Action]) -> tuple[Action, ...]:
        return rule_documents.refer(actions, around.groups.reference)

    mutual = wanted.mutual_authentication
    if mutual and mutual.trust_store:
        mutual = structs.replace(mutual, trust_store=around.trust_stores.reference(mutual.trust_store))
    return structs.replace(
        wanted,
        mutual_authentication=mutual,
        default=refer(wanted.default),
        rules=tuple(structs.replace(rule, actions=refer(rule.actions)) for rule in wanted.rules),
        certificates=tuple(dict.fromkeys(map(around.certificates.reference, wanted.certificates))),
    )


def _needed(listener: DesiredListener, around: Surroundings) -> list[int]:
    groups = around.groups.ready(rule_documents.target_groups_of(listener.default))
    return [*groups, *_secured(listener, around)]


def _secured(listener: DesiredListener, around: Surroundings) -> list[int]:
    """The steps after which a listener has what its handshakes need."""
    mutual = listener.mutual_authentication
    stores = around.trust_stores.ready([mutual.trust_store]) if mutual and mutual.trust_store else []
    return [*around.certificates.ready(listener.certificates[:1]), *stores]


def _tags(desired: Stack, listener: DesiredListener) -> dict[str, str]:
    own = {desired.key.resource_tag: str(listener.port), **secret_tag(listener.default)}
    return {**listener.tags, **desired.key.tags, **own}


def _creation(
    draft: Draft,
    desired: Stack,
    wanted: DesiredListener,
    arn: str,
    around: Surroundings,
    before: Iterable[int],
    *,
    live: bool,
) -> _Work:
    """On a load balancer that has traffic, requests that a rule will take don't get to the default actions first."""
    alone, after_rules = structs.replace(wanted, rules=()), None
    reference, needed = listener_reference(wanted.port), _needed(wanted, around)
    if live and wanted.rules and not isinstance(wanted.default[-1], Respond):
        after_rules = ModifyListener(reference, alone)
        alone = structs.replace(alone, default=_NOT_YET)
        needed = _secured(wanted, around)
    made = draft.add(CreateListener(arn, alone, _tags(desired, wanted)), [*before, *needed])
    steps = [made, *_more_certificates(draft, reference, wanted.certificates[1:], around, [made])]
    if wanted.attributes:
        steps.append(draft.add(SetListenerAttributes(reference, wanted.attributes), [made]))
    return _Work(tuple(steps), (made,), after_rules)


def _more_certificates(
    draft: Draft, listener: str, add: tuple[str, ...], around: Surroundings, after: Iterable[int]
) -> list[int]:
    before = [*after]
    return [
        draft.add(AddListenerCertificates(listener, some), [*before, *around.certificates.ready(some)])
        for some in (add[start : start + _CERTIFICATES_AT_ONCE] for start in range(0, len(add), _CERTIFICATES_AT_ONCE))
    ]


def _changes(
    draft: Draft, desired: Stack, wanted: DesiredListener, found: ActualListener, around: Surroundings
) -> _Work:
    steps: list[int] = []
    tags = _tags(desired, wanted)
    new_secret = found.tags.get(CLIENT_SECRET_TAG) != tags.get(CLIENT_SECRET_TAG)
    modified: list[int] = []
    after_rules = None
    if new_secret or _differs(wanted, found):
        operation = ModifyListener(found.arn, structs.replace(wanted, rules=()), tell_secret=new_secret)
        if _only_default_differs(wanted, found) and not new_secret:
            after_rules = operation
        else:
            modified = [draft.add(operation, _needed(wanted, around))]
            steps += modified
    add, remove = tag_changes(tags, found.tags)
    if add or remove:
        steps.append(draft.add(SetTags(found.arn, add, remove), modified))
    attached = {*found.certificates[1:]} if found.protocol in _SECURE else set()
    more = tuple(each for each in wanted.certificates[1:] if each not in attached)
    less = tuple(sorted(attached - {*wanted.certificates}))
    added = _more_certificates(draft, found.arn, more, around, modified)
    steps += added
    if less and wanted.protocol in _SECURE:
        steps.append(draft.add(RemoveListenerCertificates(found.arn, less), [*modified, *added]))
    if changes := {key: value for key, value in wanted.attributes.items() if found.attributes.get(key) != value}:
        steps.append(draft.add(SetListenerAttributes(found.arn, changes), modified))
    return _Work(tuple(steps), tuple(modified), after_rules)


def _only_default_differs(wanted: DesiredListener, found: ActualListener) -> bool:
    return not _differs(wanted, structs.replace(found, default=wanted.default))


def _differs(wanted: DesiredListener, found: ActualListener) -> bool:
    canonical = rule_documents.canonical_actions
    if wanted.protocol != found.protocol or canonical(wanted.default) != canonical(found.default):
        return True
    if wanted.protocol in _SECURE and (
        wanted.certificates[:1] != found.certificates[:1]
        or (wanted.ssl_policy and wanted.ssl_policy != found.ssl_policy)
    ):
        return True
    if wanted.protocol == "TLS" and (wanted.alpn_policy or "None") != (found.alpn_policy or "None"):
        return True
    return wanted.protocol == "HTTPS" and (wanted.mutual_authentication or _OFF) != found.mutual_authentication
