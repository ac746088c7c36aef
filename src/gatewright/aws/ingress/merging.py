"""The Ingresses of a group as one load balancer: whose word counts where they contradict each other.

The AWS Load Balancer Controller leaves the whole group as it is then. Here the older Ingress counts, both are told, and
the group is served. What a class says goes over what Ingresses say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, structs

from gatewright.aws.configuration.settings import (
    ListenerSettings,
    LoadBalancerSettings,
    SubnetChoice,
)
from gatewright.aws.ingress.annotations import field, shown
from gatewright.aws.ingress.asked import Asked, PortProtocol, PortWishes, SubnetTags, WebAcl, Wishes
from gatewright.model.meta import Key

_ANNOTATIONS: Final = {
    "scheme": "scheme",
    "ip_address_type": "ip-address-type",
    "name": "load-balancer-name",
    "subnets": "subnets",
    "security_groups": "security-groups",
    "manage_backend_rules": "manage-backend-security-group-rules",
    "customer_owned_pool": "customer-owned-ipv4-pool",
    "ipam_pool": "ipam-ipv4-pool-id",
    "web_acl": "wafv2-acl-arn",
    "shield": "shield-advanced-protection",
    "capacity_units": "minimum-load-balancer-capacity",
    "ssl_redirect": "ssl-redirect",
    "protocol": "listen-ports",
    "source_ranges": "inbound-cidrs",
    "prefix_lists": "security-group-prefix-lists",
    "ssl_policy": "ssl-policy",
    "mutual_authentication": "mutual-authentication",
}
"""The annotation of each wish."""


class MergedPort(Struct, frozen=True):
    """A port of a group, and the Ingresses that are served there, in the order of their rules."""

    protocol: PortProtocol
    members: tuple[Key, ...]
    secrets: tuple[Key, ...] = ()


class Merged(Struct, frozen=True):
    """A group as one load balancer. `settings` is None where it is `blocked`: it stays as it is.

    `problems` are by Ingress.
    """

    settings: LoadBalancerSettings | None
    ports: dict[int, MergedPort]
    ssl_redirect: int | None = None
    blocked: tuple[str, ...] = ()
    problems: dict[Key, tuple[str, ...]] = {}


def merge(asked: Sequence[Asked], web_acl_arn: Callable[[str], str | None]) -> Merged:
    """The group that these Ingresses make.

    `web_acl_arn` gives the ARN of a web ACL by its name, "" where there is none, None where that isn't known yet.

    An Ingress that joins others must not stop them: where the group would be blocked by what it says, the group goes on
    without it. Only what the oldest one says blocks all.
    """
    told = _Told()
    found = _merged(asked, web_acl_arn, told)
    oldest = min(asked, key=lambda each: each.seniority, default=None)
    spoiling = {each.key: why for each, why in told.spoiling if each is not oldest}
    if not spoiling:
        return found
    rest = merge([each for each in asked if each.key not in spoiling], web_acl_arn)
    remedy = "it isn't served until that is put right, and the other Ingresses of the group are"
    return structs.replace(rest, problems=rest.problems | {key: (f"{why}; {remedy}",) for key, why in spoiling.items()})


def _merged(asked: Sequence[Asked], web_acl_arn: Callable[[str], str | None], told: _Told) -> Merged:
    chosen = {name: _choose(asked, name, told) for name in Wishes.__struct_fields__}
    protocols = _protocols(asked, told)
    ports = {
        port: MergedPort(protocol, _served(asked, port, protocol), _secrets(asked, port) if protocol == "HTTPS" else ())
        for port, protocol in protocols.items()
    }
    listeners: dict[tuple[str, int], ListenerSettings] = {
        (protocol, port): _listener(
            [each for each in asked if port in each.ports and each.ports[port].protocol == protocol], port, told
        )
        for port, protocol in protocols.items()
    }
    blocked = list(told.blocked)
    web_acl: str | None = None
    if isinstance(chosen["web_acl"], WebAcl):
        web_acl, problem = _web_acl(chosen["web_acl"], web_acl_arn)
        blocked += [problem] if problem else []
        if problem and web_acl_arn(chosen["web_acl"].name) == "":
            told.spoils(asked, "web_acl", chosen["web_acl"], problem)
    redirect = chosen["ssl_redirect"]
    if redirect is not None and protocols.get(redirect) != "HTTPS":
        problem = f"{field('ssl-redirect')}: found {redirect}; expected an HTTPS port of {field('listen-ports')}"
        blocked.append(problem)
        told.spoils(asked, "ssl_redirect", redirect, problem)
    if not ports:
        blocked.append(f"{field('listen-ports')}: found no port at all; nothing is listened at")
    for each in asked if chosen["security_groups"] else ():
        for name, wish in (("inbound-cidrs", "source_ranges"), ("security-group-prefix-lists", "prefix_lists")):
            if any(getattr(port, wish) for port in each.ports.values()):
                told.say(each.key, f"{field(name)}: has no effect beside {field('security-groups')}; set it there")
    return Merged(
        settings=None if blocked else _settings(asked, chosen, web_acl, listeners, told),
        ports=ports,
        ssl_redirect=None if blocked else redirect,
        blocked=tuple(blocked),
        problems={key: tuple(dict.fromkeys(problems)) for key, problems in told.problems.items()},
    )


class _Told:
    """What is said of the Ingresses while they are merged."""

    def __init__(self) -> None:
        self.problems: dict[Key, list[str]] = defaultdict(list)
        self.blocked: list[str] = []
        self.spoiling: list[tuple[Asked, str]] = []
        """Whose word blocks the group, and why."""

    def spoils(self, asked: Iterable[Asked], name: str, value: object, why: str) -> None:
        """The group is blocked by a wish of this name."""
        self.spoiling += [(each, why) for each in asked if getattr(each.wishes, name) == value]

    def say(self, key: Key, problem: str) -> None:
        self.problems[key].append(problem)

    def conflict(
        self, where: str, winner: Asked, value: object, loser: Asked, other: object, *, by_class: bool
    ) -> None:
        why = "its class says so" if by_class else "it is older"
        remedy = "give both the same, or take one out of the group"
        self.say(
            loser.key,
            f"{where}: found {shown(other)}; Ingress {winner.key} of the same group says {shown(value)}, and that "
            f"counts, since {why}; {remedy}",
        )
        self.say(
            winner.key,
            f"{where}: found {shown(value)}; Ingress {loser.key} of the same group says {shown(other)}, which doesn't "
            f"count; {remedy}",
        )


def _ranked(asked: Iterable[Asked], by_class: Callable[[Asked], bool]) -> list[Asked]:
    return sorted(asked, key=lambda each: (not by_class(each), each.seniority))


def _choose(asked: Sequence[Asked], name: str, told: _Told) -> Any:
    """Whose wish of this name counts. One that keeps somebody out and can't be read blocks the group."""
    guards = {_ANNOTATIONS[name], "wafv2-acl-name"} if name == "web_acl" else {_ANNOTATIONS[name]}
    return _contest(
        _ranked(asked, lambda each: name in each.by_class),
        lambda each: getattr(each.wishes, name),
        field(_ANNOTATIONS[name]),
        guards,
        told,
        lambda each: name in each.by_class,
    )


def _contest(
    ranked: Sequence[Asked],
    value_of: Callable[[Asked], Any],
    where: str,
    guards: set[str],
    told: _Told,
    by_class: Callable[[Asked], bool],
) -> Any:
    winner: Asked | None = None
    chosen: Any = None
    for each in ranked:
        value = value_of(each)
        if winner is None:
            if value is not None:
                winner, chosen = each, value
            elif each.unreadable & guards:
                problem = f"{where}: what Ingress {each.key} says can't be read; since it keeps requests out"
                told.blocked.append(f"{problem}, the load balancer stays as it is until that is put right")
                told.spoiling.append((each, problem))
                return None
        elif value is not None and _comparable(value) != _comparable(chosen):
            told.conflict(where, winner, _shown(chosen), each, _shown(value), by_class=by_class(winner))
    return chosen


def _comparable(value: Any) -> Any:
    return frozenset(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return (value.arn or value.name or "none") if isinstance(value, WebAcl) else str(value)


def _protocols(asked: Sequence[Asked], told: _Told) -> dict[int, PortProtocol]:
    found: dict[int, PortProtocol] = {}
    for port in sorted({port for each in asked for port in each.ports}):
        found[port] = _contest(
            _ranked((each for each in asked if port in each.ports), lambda _: False),
            lambda each, port=port: each.ports[port].protocol,  # type: ignore[misc]
            f"{field('listen-ports')}, port {port}",
            set(),
            told,
            lambda _: False,
        )
    return found


def _served(asked: Sequence[Asked], port: int, protocol: PortProtocol) -> tuple[Key, ...]:
    taking = [each for each in asked if port in each.ports and each.ports[port].protocol == protocol]
    return tuple(each.key for each in sorted(taking, key=lambda each: each.place))


def _secrets(asked: Sequence[Asked], port: int) -> tuple[Key, ...]:
    """In the order of the rules: the first one is for clients that name no server."""
    found = [
        secret
        for each in sorted(asked, key=lambda each: each.place)
        if port in each.ports and each.ports[port].protocol == "HTTPS"
        for secret in each.secrets
    ]
    return tuple(dict.fromkeys(found))


def _listener(asked: Sequence[Asked], port: int, told: _Told) -> ListenerSettings:
    def choose(name: str) -> Any:
        return _contest(
            _ranked(asked, lambda _: False),
            lambda each: getattr(each.ports[port], name),
            f"{field(_ANNOTATIONS[name])}, port {port}",
            {_ANNOTATIONS[name]},
            told,
            lambda _: False,
        )

    in_order: list[tuple[Asked, PortWishes]] = [
        (each, each.ports[port]) for each in sorted(asked, key=lambda each: each.place)
    ]
    source_ranges, prefix_lists = choose("source_ranges"), choose("prefix_lists")
    given = source_ranges is not None or prefix_lists is not None
    https = any(wishes.protocol == "HTTPS" for _, wishes in in_order)
    discover = [host for each, wishes in in_order if not wishes.certificates for host in each.discover or ()]
    certificates = [arn for _, wishes in in_order for arn in wishes.certificates]
    return ListenerSettings(
        default_certificate=certificates[0] if certificates else "",
        certificates=tuple(dict.fromkeys(certificates)),
        ssl_policy=choose("ssl_policy") or "",
        mutual_authentication=choose("mutual_authentication"),
        attributes=_mapped(
            asked,
            lambda each: each.ports[port].attributes,
            lambda each: each.ports[port].class_attributes,
            "listener-attributes",
            told,
        ),
        source_ranges=(source_ranges or ()) if given else None,
        prefix_lists=(prefix_lists or ()) if given else None,
        discover=tuple(dict.fromkeys(discover)) if https else None,
    )


def _mapped(
    asked: Sequence[Asked],
    of: Callable[[Asked], Mapping[str, str]],
    of_class: Callable[[Asked], Mapping[str, str]],
    name: str,
    told: _Told,
) -> dict[str, str]:
    """Attributes or tags of all, by key; the older counts, and what classes say goes over it."""
    decided: dict[str, tuple[Asked, str, bool]] = {}
    for values, by_class in ((of_class, True), (of, False)):
        for each in _ranked(asked, lambda _: False):
            for key, value in values(each).items():
                winner, chosen, of_its_class = decided.setdefault(key, (each, value, by_class))
                if value != chosen and winner is not each:
                    told.conflict(f"{field(name)}, {key}", winner, chosen, each, value, by_class=of_its_class)
    return {key: value for key, (_, value, _) in sorted(decided.items())}


def _web_acl(wish: WebAcl, arn_of: Callable[[str], str | None]) -> tuple[str, str]:
    """The web ACL's ARN, "" for none at all, and why it isn't known."""
    if not wish.name:
        return wish.arn, ""
    arn = arn_of(wish.name)
    where = field("wafv2-acl-name")
    if arn is None:
        return "", f"{where}: web ACL {shown(wish.name)} is being looked up"
    if not arn:
        return "", f"{where}: found {shown(wish.name)}; there is no regional web ACL of this name; create it"
    return arn, ""


def _settings(
    asked: Sequence[Asked],
    chosen: Mapping[str, Any],
    web_acl: str | None,
    listeners: dict[tuple[str, int], ListenerSettings],
    told: _Told,
) -> LoadBalancerSettings:
    subnets = chosen["subnets"]
    manages = chosen["manage_backend_rules"]
    if manages is not None and not chosen["security_groups"]:
        for each in asked:
            if each.wishes.manage_backend_rules is not None:
                where = field(_ANNOTATIONS["manage_backend_rules"])
                told.say(each.key, f"{where}: has an effect beside {field('security-groups')} only; drop it")
        manages = None
    return LoadBalancerSettings(
        scheme=chosen["scheme"] or "internal",
        ip_address_type=chosen["ip_address_type"] or "ipv4",
        name=chosen["name"] or "",
        subnets=tuple(SubnetChoice(each) for each in subnets) if isinstance(subnets, tuple) else (),
        subnet_tags=subnets.tags if isinstance(subnets, SubnetTags) else None,
        security_groups=chosen["security_groups"] or (),
        manage_backend_rules=manages,
        listeners=listeners,
        attributes=_mapped(
            asked,
            lambda each: each.attributes,
            lambda each: each.class_attributes,
            "load-balancer-attributes",
            told,
        ),
        tags=_mapped(asked, lambda each: each.tags, lambda each: each.class_tags, "tags", told),
        web_acl=web_acl,
        shield=chosen["shield"],
        capacity_units=chosen["capacity_units"],
        customer_owned_pool=chosen["customer_owned_pool"] or "",
        ipam_pool=chosen["ipam_pool"] or "",
    )
