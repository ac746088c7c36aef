"""What one Ingress asks of its load balancer and of the ports there, by annotations and the parameters of its class."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final, Literal, cast

from msgspec import Struct

from gatewright.aws.configuration.objections import tags as usable_tags
from gatewright.aws.configuration.settings import IpAddressType, MutualAuthentication, Scheme
from gatewright.aws.ingress.annotations import Annotations, field, is_number, shown
from gatewright.aws.ingress.documents import Malformed, MutualAuthenticationDocument, plain
from gatewright.aws.ingress.membership import Member
from gatewright.aws.ingress.support import PREFIX
from gatewright.model.ingressclassparams import IngressClassParamsSpec
from gatewright.model.meta import Key

PortProtocol = Literal["HTTP", "HTTPS"]

_NAME: Final = re.compile(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_SCHEMES: Final = ("internal", "internet-facing")
_ADDRESS_TYPES: Final = ("ipv4", "dualstack", "dualstack-without-public-ipv4")
_LISTENER: Final = re.compile(r"(HTTP|HTTPS)-([0-9]{1,5})")
_CAPACITY: Final = "CapacityUnits"
_LAST_PORT: Final = 65535

GUARDS: Final = frozenset(
    {
        "scheme",
        "security-groups",
        "inbound-cidrs",
        "security-group-prefix-lists",
        "ssl-policy",
        "ssl-redirect",
        "mutual-authentication",
        "wafv2-acl-arn",
        "wafv2-acl-name",
    }
)
"""Annotations that keep somebody out: where one can't be read, a load balancer is rather left as it is."""


class WebAcl(Struct, frozen=True):
    """A web ACL by ARN or name; neither: none at all."""

    arn: str = ""
    name: str = ""


class SubnetTags(Struct, frozen=True):
    """Subnets by tags."""

    tags: dict[str, tuple[str, ...]]


class Wishes(Struct, frozen=True):
    """What is said of the load balancer as a whole, where only one of a group's Ingresses can have its way.

    None: nothing. `subnets` are IDs or names, or tags.
    """

    scheme: Scheme | None = None
    ip_address_type: IpAddressType | None = None
    name: str | None = None
    subnets: tuple[str, ...] | SubnetTags | None = None
    security_groups: tuple[str, ...] | None = None
    manage_backend_rules: bool | None = None
    customer_owned_pool: str | None = None
    ipam_pool: str | None = None
    web_acl: WebAcl | None = None
    shield: bool | None = None
    capacity_units: int | None = None
    ssl_redirect: int | None = None


class PortWishes(Struct, frozen=True):
    """What is said of one port; None: nothing. `certificates` are ARNs; None of them: `secrets` and `discover` count.

    Of `attributes`, those of `class_attributes` go over all others.
    """

    protocol: PortProtocol
    source_ranges: tuple[str, ...] | None = None
    prefix_lists: tuple[str, ...] | None = None
    ssl_policy: str | None = None
    mutual_authentication: MutualAuthentication | None = None
    certificates: tuple[str, ...] = ()
    attributes: dict[str, str] = {}
    class_attributes: dict[str, str] = {}


class Asked(Struct, frozen=True):
    """All that one Ingress asks for.

    `by_class` names the wishes that its class makes, which go over those of Ingresses. `unreadable` are the guards that
    can't be read. `ports` are by number; empty where they can't be read. `attributes` and `tags` are merged by key with
    those of others; those of the class go over all others.
    """

    key: Key
    group: Key
    seniority: tuple[str, str]
    place: tuple[int, str]
    wishes: Wishes = Wishes()
    by_class: frozenset[str] = frozenset()
    ports: dict[int, PortWishes] = {}
    attributes: dict[str, str] = {}
    class_attributes: dict[str, str] = {}
    tags: dict[str, str] = {}
    class_tags: dict[str, str] = {}
    unreadable: frozenset[str] = frozenset()
    secrets: tuple[Key, ...] = ()
    discover: tuple[str, ...] | None = None
    problems: tuple[str, ...] = ()

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags of what is made for this Ingress alone."""
        return self.tags | self.class_tags


class TlsFound(Struct, frozen=True):
    """The Secrets of an Ingress's spec.tls that can be used, the hosts that none of them is for, and what was wrong."""

    secrets: tuple[Key, ...] = ()
    uncovered: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def ask(member: Member, group: Key, tls: TlsFound) -> Asked:
    """What a member of `group` asks for."""
    reader = member.annotations()
    params = member.params
    wishes, by_class = _wishes(reader, params)
    ports = _ports(reader, params, tls)
    explicit = params.certificate_arn or reader.items("certificate-arn", _is_arn, "ARNs of certificates") or ()
    importing = not explicit and any(port.protocol == "HTTPS" for port in ports.values())
    requested = reader.boolean("create-acm-cert")
    class_attributes = {each.key: each.value for each in params.load_balancer_attributes}
    given, objections = usable_tags(field("tags"), reader.mapping("tags") or {})
    problems = [*_overruled(reader, params), *(tls.problems if importing else ()), *map(str, objections)]
    return Asked(
        key=member.key,
        group=group,
        seniority=member.seniority,
        place=member.place,
        wishes=wishes,
        by_class=by_class,
        ports=ports,
        attributes=reader.mapping("load-balancer-attributes") or {},
        class_attributes=class_attributes,
        tags=given,
        class_tags={each.key: each.value for each in params.tags},
        secrets=tls.secrets if importing else (),
        discover=tls.uncovered if importing else (),
        unreadable=frozenset(reader.refused & GUARDS),
        problems=(*problems, *reader.problems, *_unlistened(reader, ports, requested=bool(requested))),
    )


def _wishes(reader: Annotations, params: IngressClassParamsSpec) -> tuple[Wishes, frozenset[str]]:
    subnets: tuple[str, ...] | SubnetTags | None = None
    if params.subnets:
        subnets = params.subnets.ids or SubnetTags(params.subnets.tags)
    capacity = params.minimum_load_balancer_capacity
    redirect = params.ssl_redirect_port or ""
    of_class: dict[str, Any] = {
        "scheme": params.scheme,
        "ip_address_type": params.ip_address_type,
        "name": params.load_balancer_name or None,
        "subnets": subnets,
        "ipam_pool": params.ipam_configuration.ipv4_ipam_pool_id if params.ipam_configuration else None,
        "web_acl": _web_acl(params.wafv2_acl_arn, params.wafv2_acl_name),
        "capacity_units": capacity.capacity_units if capacity else None,
        "ssl_redirect": int(redirect) if is_number(redirect, 1, _LAST_PORT) else None,
    }
    own: dict[str, Any] = {
        "scheme": cast("Scheme | None", reader.choice("scheme", _SCHEMES)),
        "ip_address_type": cast("IpAddressType | None", reader.choice("ip-address-type", _ADDRESS_TYPES)),
        "name": reader.text(
            "load-balancer-name",
            lambda value: bool(_NAME.fullmatch(value)),
            "at most 32 letters, digits and hyphens, not beginning with internal-",
        ),
        "subnets": reader.items("subnets"),
        "security_groups": reader.items("security-groups"),
        "manage_backend_rules": reader.boolean("manage-backend-security-group-rules"),
        "customer_owned_pool": reader.text("customer-owned-ipv4-pool"),
        "ipam_pool": reader.text("ipam-ipv4-pool-id"),
        "web_acl": _web_acl(
            reader.text("wafv2-acl-arn", lambda value: value in ("", "none") or _is_arn(value), "an ARN or none"),
            reader.text("wafv2-acl-name", lambda _: True),
        ),
        "shield": reader.boolean("shield-advanced-protection"),
        "capacity_units": _capacity(reader),
        "ssl_redirect": reader.number("ssl-redirect", 1, _LAST_PORT),
    }
    chosen = {name: value for name, value in of_class.items() if value is not None}
    return Wishes(**(own | chosen)), frozenset(chosen)


def _web_acl(arn: str | None, name: str | None) -> WebAcl | None:
    """What the two say; a name goes first, and an empty text says nothing."""
    if name:
        return WebAcl() if name == "none" else WebAcl(name=name)
    if arn:
        return WebAcl() if arn == "none" else WebAcl(arn=arn)
    return None


def _capacity(reader: Annotations) -> int | None:
    found = reader.mapping("minimum-load-balancer-capacity")
    if found is None:
        return None
    units = found.get(_CAPACITY, "")
    if set(found) != {_CAPACITY} or not is_number(units, 0, 2**31 - 1):
        reader.refuse("minimum-load-balancer-capacity", found, f"{_CAPACITY}=N")
        return None
    return int(units)


def _ports(reader: Annotations, params: IngressClassParamsSpec, tls: TlsFound) -> dict[int, PortWishes]:
    explicit = params.certificate_arn or reader.items("certificate-arn", _is_arn, "ARNs of certificates") or ()
    protocols = _listen_ports(reader, explicit=bool(explicit), secrets=bool(tls.secrets))
    ranges = params.inbound_cidrs or reader.items("inbound-cidrs", is_network, "CIDRs, separated by commas")
    bad = [cidr for cidr in params.inbound_cidrs if not is_network(cidr)]
    if bad:
        reader.refused.add("inbound-cidrs")
        reader.problems.append(f"IngressClassParams: spec.inboundCIDRs: found {shown(', '.join(bad))}; expected CIDRs")
    prefix_lists = (
        params.prefix_lists_ids
        or params.prefix_lists_ids_legacy
        or reader.items("security-group-prefix-lists", lambda value: value.startswith("pl-"), "prefix lists (pl-...)")
    )
    policy = params.ssl_policy or reader.text("ssl-policy")
    mutual = _mutual_authentication(reader)
    attributes = _listener_attributes(reader)
    of_class = {
        (each.protocol or "", each.port or 0): {item.key: item.value for item in each.listener_attributes}
        for each in params.listeners
    }
    return {
        port: PortWishes(
            protocol=protocol,
            source_ranges=tuple(ranges) if ranges else None,
            prefix_lists=tuple(prefix_lists) if prefix_lists else None,
            ssl_policy=policy if protocol == "HTTPS" else None,
            mutual_authentication=mutual.get(port) if protocol == "HTTPS" else None,
            certificates=tuple(explicit) if protocol == "HTTPS" else (),
            attributes=attributes.get((protocol, port), {}),
            class_attributes=of_class.get((protocol, port), {}),
        )
        for port, protocol in sorted(protocols.items())
    }


def _listen_ports(reader: Annotations, *, explicit: bool, secrets: bool) -> dict[int, PortProtocol]:
    text = reader.raw("listen-ports")
    if text is None:
        if explicit:
            return {443: "HTTPS"}
        return {80: "HTTP", 443: "HTTPS"} if secrets else {80: "HTTP"}
    expected = """a list as [{"HTTP": 80}, {"HTTPS": 443}]"""
    try:
        entries = plain(text)
    except Malformed as error:
        reader.refuse("listen-ports", text, f"{expected}, which is {error}")
        return {}
    found: dict[int, PortProtocol] = {}
    for entry in entries if isinstance(entries, list) else []:
        for protocol, port in entry.items() if isinstance(entry, dict) else [("", None)]:
            if protocol not in ("HTTP", "HTTPS") or type(port) is not int or not 0 < port <= _LAST_PORT:
                reader.refuse("listen-ports", text, f"{expected}, with ports from 1 to {_LAST_PORT}")
                return {}
            if found.setdefault(port, cast("PortProtocol", protocol)) != protocol:
                reader.refuse("listen-ports", text, f"one protocol for port {port}")
                return {}
    if not found:
        reader.refuse("listen-ports", text, expected)
    return found


def _listener_attributes(reader: Annotations) -> dict[tuple[str, int], dict[str, str]]:
    found = {}
    for name in reader.names("listener-attributes."):
        match = _LISTENER.fullmatch(name.removeprefix("listener-attributes."))
        if match is None:
            reader.refuse(name, name, "listener-attributes.PROTOCOL-PORT, as listener-attributes.HTTPS-443")
        else:
            found[match[1], int(match[2])] = reader.mapping(name) or {}
    return found


def _mutual_authentication(reader: Annotations) -> dict[int, MutualAuthentication]:
    name = "mutual-authentication"
    found = {}
    for entry in reader.documents(name, MutualAuthenticationDocument) or ():
        store = entry.trust_store or ""
        if entry.mode not in ("off", "passthrough", "verify"):
            reader.refuse(name, f"mode {entry.mode!r}", "mode off, passthrough or verify")
        elif entry.mode == "verify" and not store:
            reader.refuse(
                name, f"no trustStore for port {entry.port}", "the trust store's ARN or name, with mode verify"
            )
        elif entry.mode != "verify" and (
            store or entry.ignore_client_certificate_expiry is not None or entry.advertise_trust_store_ca_names
        ):
            reader.refuse(name, f"settings of a trust store with mode {entry.mode}", "them with mode verify only")
        elif entry.advertise_trust_store_ca_names not in (None, "on", "off"):
            reader.refuse(name, f"advertiseTrustStoreCaNames {entry.advertise_trust_store_ca_names!r}", "on or off")
        else:
            found[entry.port] = MutualAuthentication(
                mode=cast("Literal['off', 'passthrough', 'verify']", entry.mode),
                trust_store=store,
                ignore_expiry=bool(entry.ignore_client_certificate_expiry),
                advertise_ca_names=entry.advertise_trust_store_ca_names == "on",
            )
    return found


def _overruled(reader: Annotations, params: IngressClassParamsSpec) -> list[str]:
    """Annotations that have no effect, since the class says otherwise."""
    overruling = {
        "group.name": params.group,
        "scheme": params.scheme,
        "ip-address-type": params.ip_address_type,
        "load-balancer-name": params.load_balancer_name,
        "subnets": params.subnets,
        "inbound-cidrs": params.inbound_cidrs,
        "security-group-prefix-lists": params.prefix_lists_ids or params.prefix_lists_ids_legacy,
        "certificate-arn": params.certificate_arn,
        "ssl-policy": params.ssl_policy,
        "ssl-redirect": params.ssl_redirect_port,
        "target-type": params.target_type,
        "minimum-load-balancer-capacity": params.minimum_load_balancer_capacity,
        "ipam-ipv4-pool-id": params.ipam_configuration,
        "wafv2-acl-arn": params.wafv2_acl_arn or params.wafv2_acl_name,
        "wafv2-acl-name": params.wafv2_acl_name or params.wafv2_acl_arn,
    }
    return [
        f"{field(name)}: found {shown(reader.raw(name))}; the IngressClassParams of the class say otherwise, and they "
        "count; drop the annotation"
        for name, value in overruling.items()
        if value and reader.has(name)
    ]


def _unlistened(reader: Annotations, ports: dict[int, PortWishes], *, requested: bool) -> list[str]:
    """Settings of HTTPS without a port of HTTPS, and of listeners that there aren't."""
    remedy = f"list the port in {PREFIX}listen-ports"
    listed = {f"listener-attributes.{port.protocol}-{number}" for number, port in ports.items()}
    told = [
        f"{field(name)}: found settings of a listener that the Ingress doesn't have; {remedy}"
        for name in reader.names("listener-attributes.")
        if ports and name not in listed and name not in reader.refused
    ]
    if ports and not any(port.protocol == "HTTPS" for port in ports.values()):
        told += [
            f"{field(name)}: found {shown(reader.raw(name))}; the Ingress has no HTTPS port; {remedy}"
            for name in ("certificate-arn", "ssl-policy", "mutual-authentication", *(["create-acm-cert"] * requested))
            if reader.has(name) and name not in reader.refused
        ]
    return told


def _is_arn(text: str) -> bool:
    return text.startswith("arn:") and text.count(":") > 4


def is_network(text: str) -> bool:
    """Whether a text is a CIDR of IPv4 or IPv6."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text
