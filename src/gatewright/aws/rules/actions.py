"""What a rule does as actions and transforms of an ALB's rule (Action types for listener rules)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import gcd
from typing import Final, Literal

from msgspec import Struct

from gatewright.aws.configuration.settings import RuleSettings
from gatewright.aws.rules import limits
from gatewright.aws.rules.refused import Refused, rule_field
from gatewright.aws.rules.rewrites import (
    Entrance,
    Redirecting,
    host_transform,
    leads_elsewhere,
    redirects,
    rewrite_transforms,
)
from gatewright.aws.stack.desired import Action, Forward, Respond, Share, Transform
from gatewright.aws.support import routes as rows
from gatewright.model.meta import Key
from gatewright.topology import (
    BackendKey,
    Cors,
    Extension,
    ExternalAuth,
    Filter,
    HeaderModifier,
    Mirror,
    Redirect,
    Rewrite,
    Rule,
    RuleKey,
    Session,
    WeightedBackend,
)

EMPTY_GROUP: Final = "nowhere"
"""The resource ID of a target group without targets, for the share of traffic whose backendRef leads nowhere."""

_DAY: Final = 86400
_OWN_COOKIE: Final = "gatewright-session-"
"""How names of sessions begin that no route asked for (`resolve.sessions`)."""


class RuleContext(Struct, frozen=True):
    """What rules are translated for: the port of a listener, and what its rules refer to.

    `settings` are by the key of an Extension filter. `target_group` gives the resource ID of a backend's target group
    for a rule; empty where nothing may be sent to the backend.
    """

    protocol: Literal["HTTP", "HTTPS"]
    port: int
    settings: Mapping[Key, RuleSettings]
    target_group: Callable[[BackendKey, RuleKey], str]


class Doing(Struct, frozen=True):
    """What is done with all that a rule's match takes, or with a part of it (see `Redirecting`)."""

    actions: tuple[Action, ...]
    transforms: tuple[Transform, ...] = ()
    part: Literal["all", "exactly", "below"] = "all"
    hosts: tuple[str, ...] | None = None


class Deeds(Struct, frozen=True):
    """What a rule does, part by part, and what it is served without."""

    doings: tuple[Doing, ...]
    remarks: tuple[str, ...] = ()


NO_SETTINGS: Final = RuleSettings()


def instead(rule: Rule) -> Respond:
    """What answers a rule's requests where it can't be served: as Envoy does for a rule that has no backend.

    Left to a less specific rule, a request could get where it was to be stopped.
    """
    return Respond("503" if rule.key.kind in ("GRPCRoute", "Ingress") else "500")


def settings_of(rule: Rule, context: RuleContext) -> RuleSettings:
    """What the rule's Extension filter says. Raises `Refused` for several, or one that isn't there."""
    named = [item for item in rule.filters if isinstance(item, Extension)]
    if len(named) > 1:
        found = f"{len(named)} of them"
        raise Refused(rows.EXTENSION_SEVERAL, f"{named[1].field}.extensionRef".removeprefix("."), found)
    if not named:
        return NO_SETTINGS
    settings = context.settings.get(named[0].key)
    if settings is None:
        raise Refused(rows.EXTENSION_MISSING, _extension_field(named[0]), f"{named[0].kind} {named[0].key}")
    return settings


def deeds(rule: Rule, settings: RuleSettings, hosts: Sequence[str], context: RuleContext) -> Deeds:
    """What a rule does for `hosts`. Raises `Refused` for what an ALB can't do."""
    filters = _filters(rule)
    _check_filters(filters)
    _check_times(rule)
    before = _authentication(rule, settings, context)
    transforms = _transforms(rule, filters) + settings.transforms
    redirect = next(((item, at) for item, at in filters if isinstance(item, Redirect)), None)
    if settings.fixed_response:
        if redirect:
            found = f"fixed-response beside {redirect[1]}"
            raise Refused(rows.EXTENSION_CONFLICT, _extension_field(_extension(rule)), found)
        fixed = settings.fixed_response
        return Deeds((Doing((*before, Respond(fixed.status_code, fixed.content_type, fixed.body))),))
    entrance = Entrance(context.protocol, context.port, hosts)
    if settings.redirect:
        if not leads_elsewhere(settings.redirect, entrance):
            raise Refused(rows.REDIRECT_LOOP, rule_field(rule.origin), "a redirect that changes nothing")
        return Deeds((Doing((*before, settings.redirect), transforms),))
    if redirect:
        item, at = redirect
        found_redirects = redirects(item, rule.match.path, entrance, settings.redirect_query, f"{at}.requestRedirect")
        return Deeds(tuple(_redirecting(one, before) for one in found_redirects))
    final, remarks = _forward(rule, settings, context)
    if isinstance(final, Respond):
        return Deeds((Doing((*before, final)),), tuple(remarks))
    return Deeds((Doing((*before, final), transforms),), (*remarks, *_session_remarks(rule)))


def _redirecting(found: Redirecting, before: tuple[Action, ...]) -> Doing:
    return Doing((*before, found.action), found.transforms, found.part, found.hosts)


# --- filters ---------------------------------------------------------------------------------------------------------


def _filters(rule: Rule) -> list[tuple[Filter, str]]:
    """The filters of all the rule's requests, each with its field. Those of backendRefs have to be the same."""
    field = rule_field(rule.origin)
    found = [(item, f"{field}.filters[{index}]") for index, item in enumerate(rule.filters)]
    shares = [(index, share) for index, share in enumerate(rule.backends) if share.weight > 0]
    own = [(index, share.filters) for index, share in shares if share.filters]
    if not own:
        return found
    index, filters = own[0]
    at = f"{field}.backendRefs[{index}].filters"
    if any(share.filters != filters for _, share in shares):
        raise Refused(rows.BACKEND_FILTERS, at, "filters that not all backendRefs of the rule have")
    return found + [(item, f"{at}[{number}]") for number, item in enumerate(filters)]


def _check_filters(filters: Iterable[tuple[Filter, str]]) -> None:
    for item, at in filters:
        match item:
            case HeaderModifier(on="request") if not _is_host(item) and _changes(item):
                raise Refused(rows.REQUEST_HEADERS, f"{at}.requestHeaderModifier", _changes(item))
            case HeaderModifier(on="response") if _changes(item):
                raise Refused(rows.RESPONSE_HEADERS, f"{at}.responseHeaderModifier", _changes(item))
            case Mirror(backend=BackendKey(), numerator=numerator) if numerator:
                raise Refused(rows.MIRROR, f"{at}.requestMirror", f"copies to Service {_address(item)}")
            case Cors():
                found = f"origins {', '.join(item.allow_origins) or 'of none'}"
                raise Refused(rows.CORS, f"{at}.cors", found)
            case ExternalAuth():
                raise Refused(rows.EXTERNAL_AUTH, f"{at}.externalAuth", f"Service {item.backend.address}")
            case _:
                pass


def _address(mirror: Mirror) -> str:
    return mirror.backend.address if mirror.backend else ""


def _changes(modifier: HeaderModifier) -> str:
    """What a modifier does to headers, in words; empty if nothing."""
    names = {
        "set": [name for name, _ in modifier.set],
        "add": [name for name, _ in modifier.add],
        "remove": list(modifier.remove),
    }
    return ", ".join(f"{verb} {' and '.join(each)}" for verb, each in names.items() if each)


def _is_host(modifier: HeaderModifier) -> bool:
    """Whether it sets the Host and does nothing else."""
    names = [name.lower() for name, _ in modifier.set]
    return names == ["host"] and not modifier.add and not modifier.remove


def _transforms(rule: Rule, filters: Iterable[tuple[Filter, str]]) -> tuple[Transform, ...]:
    """The transforms of a rule; of two that set the Host a URLRewrite counts, as with Envoy."""
    found: dict[str, Transform] = {}
    for item, at in filters:
        if isinstance(item, HeaderModifier) and _is_host(item):
            transform = host_transform(item.set[0][1], f"{at}.requestHeaderModifier.set[0].value")
            found.setdefault(transform.type, transform)
        elif isinstance(item, Rewrite):
            found |= {one.type: one for one in rewrite_transforms(item, rule.match.path, f"{at}.urlRewrite")}
    return tuple(found[type_] for type_ in sorted(found))


def _extension(rule: Rule) -> Extension:
    return next(item for item in rule.filters if isinstance(item, Extension))


def _extension_field(extension: Extension) -> str:
    return f"{extension.field}.extensionRef" if extension.field else extension.kind


# --- what an ALB does for all requests alike -------------------------------------------------------------------------


def _check_times(rule: Rule) -> None:
    field = rule_field(rule.origin)
    if rule.request_timeout:
        raise Refused(rows.REQUEST_TIMEOUT, f"{field}.timeouts.request", f"{rule.request_timeout:g}s")
    if rule.backend_request_timeout:
        raise Refused(rows.BACKEND_TIMEOUT, f"{field}.timeouts.backendRequest", f"{rule.backend_request_timeout:g}s")
    if rule.retry and rule.retry.attempts != 0:
        codes = ", ".join(map(str, rule.retry.codes))
        raise Refused(rows.RETRY, f"{field}.retry", f"retries on {codes or 'failed connections'}")
    if rule.session and rule.session.type == "Header":
        raise Refused(rows.SESSION_HEADER, f"{field}.sessionPersistence.type", "Header")


def _session_remarks(rule: Rule) -> list[str]:
    session, field = rule.session, f"{rule_field(rule.origin)}.sessionPersistence"
    found = []
    if session and not session.name.startswith(_OWN_COOKIE):
        found.append(rows.SESSION_NAME.message(f"{field}.sessionName", session.name))
    if session and (session.lifetime or 0) > limits.STICKINESS:
        found.append(rows.SESSION_LIFETIME.message(f"{field}.absoluteTimeout", f"{session.lifetime:g}s"))
    return found


def session_seconds(session: Session) -> int:
    """How long an ALB's cookie for a session lasts: 1 second to 7 days; a day where the route says nothing."""
    return min(max(1, int(session.lifetime or _DAY)), limits.STICKINESS)


def _authentication(rule: Rule, settings: RuleSettings, context: RuleContext) -> tuple[Action, ...]:
    if settings.authentication is None:
        return ()
    at = _extension_field(_extension(rule))
    kind = name_of(settings.authentication)
    if context.protocol != "HTTPS":
        raise Refused(rows.EXTENSION_HTTPS, at, f"{kind} on the HTTP listener at port {context.port}")
    if rule.key.kind == "GRPCRoute":
        raise Refused(rows.EXTENSION_GRPC, at, kind)
    return (settings.authentication,)


def name_of(action: Struct) -> str:
    """ELBv2's name of an action."""
    return str(action.__struct_config__.tag)


# --- backends --------------------------------------------------------------------------------------------------------


def _forward(rule: Rule, settings: RuleSettings, context: RuleContext) -> tuple[Forward | Respond, list[str]]:
    """The final action of a rule that forwards, and remarks."""
    field = f"{rule_field(rule.origin)}.backendRefs"
    weights = _weights(rule, settings, context)
    if not any(weight for group, weight in weights.items() if group != EMPTY_GROUP):
        return instead(rule), []
    if rule.key.kind == "GRPCRoute" and context.protocol != "HTTPS":
        found = f"gRPC backends behind the HTTP listener at port {context.port}"
        raise Refused(rows.GRPC_NEEDS_HTTPS, field, found)
    remarks = []
    if weights.get(EMPTY_GROUP) and rule.key.kind != "GRPCRoute":
        lost = [str(index) for index, share in enumerate(rule.backends) if _leads_nowhere(share, rule, context)]
        remarks.append(rows.EMPTY_SHARE.message(field, f"nothing behind backendRefs[{'], ['.join(lost)}]"))
    if len(weights) > limits.TARGET_GROUPS:
        # Groups without a share are there to be warm before they get one.
        weights = {group: weight for group, weight in weights.items() if weight}
    if len(weights) > limits.TARGET_GROUPS:
        raise Refused(rows.TOO_MANY_GROUPS, field, f"{len(weights)} target groups")
    scaled, is_exact = scale(list(weights.values()))
    if not is_exact:
        least = min(weight for weight in weights.values() if weight)
        remarks.append(rows.WEIGHT_SCALED.message(f"{field}[].weight", f"{least} of {sum(weights.values())}"))
    shares = tuple(Share(group, weight) for group, weight in zip(weights, scaled, strict=True))
    sticky = settings.stickiness
    if sticky is None and rule.session and len(shares) > 1:
        sticky = session_seconds(rule.session)
    return Forward(shares, sticky), remarks


def _weights(rule: Rule, settings: RuleSettings, context: RuleContext) -> dict[str, int]:
    """Weights by target group: AWS takes each group once in an action."""
    found: dict[str, int] = {}
    for share in rule.backends:
        group = (share.backend and context.target_group(share.backend, rule.key)) or EMPTY_GROUP
        if group == EMPTY_GROUP and not share.weight:
            continue
        found[group] = found.get(group, 0) + share.weight
    for extra in settings.shares:
        found[extra.target_group] = found.get(extra.target_group, 0) + extra.weight
    return found


def _leads_nowhere(share: WeightedBackend, rule: Rule, context: RuleContext) -> bool:
    if not share.weight:
        return False
    return share.backend is None or context.target_group(share.backend, rule.key) in ("", EMPTY_GROUP)


def scale(weights: Sequence[int]) -> tuple[list[int], bool]:
    """Weights of at most 999 with the same ratios, and whether no share is far from its own.

    A share stays a share: it is 1 at the least.
    """
    if max(weights, default=0) <= limits.WEIGHT:
        return list(weights), True
    divisor = gcd(*weights)
    reduced = [weight // divisor for weight in weights]
    most = max(reduced)
    if most <= limits.WEIGHT:
        return reduced, True
    exact = [weight * limits.WEIGHT / most for weight in reduced]
    scaled = [max(1, round(weight)) if weight else 0 for weight in exact]
    return scaled, all(not weight or weight >= 0.5 for weight in exact)
