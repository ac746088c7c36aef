"""What a change batch may do to a zone: all of it, or nothing and a message for each change that can't be.

Route 53 API, ChangeResourceRecordSets.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias, cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from moto.route53.exceptions import Route53ClientError
from moto.route53.models import RecordSet

from gatewright.local.aws.backends import backend
from gatewright.local.aws.route53.names import plain, stored

Document: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[str, str, str]
"""A record's name, type and set identifier."""

_MOST_RECORDS: Final = 1000
_MOST_CHARACTERS: Final = 32_000
_ROUTING: Final = (
    "Weight",
    "Region",
    "Failover",
    "GeoLocation",
    "MultiValueAnswer",
    "GeoProximityLocation",
    "CidrRoutingConfig",
)


class InvalidChangeBatch(Route53ClientError):
    """A batch with the reasons why it can't be carried out."""

    def __init__(self, messages: Iterable[str]) -> None:
        super().__init__("InvalidChangeBatch", f"[{', '.join(messages)}]")


def carry_out(zone: Any, changes: list[Document]) -> None:
    """Make all changes in moto's zone, or raise without having made any."""
    _check_size(changes)
    records: dict[Place, RecordSet] = {_place(record): record for record in zone.rrsets}
    messages: list[str] = []
    seen: set[tuple[str, Place]] = set()
    for change in changes:
        action, wanted = change["Action"], _normal(change)
        place = (wanted["Name"], wanted["Type"], wanted.get("SetIdentifier") or "")
        problem = _outside(zone, wanted) or _duplicate(seen, action, place)
        if not problem and action != "DELETE":  # an alias may go after what it led to
            problem = _flaw(wanted)
        if not problem and action == "DELETE":
            problem = _delete(records, place, wanted)
        elif not problem:
            problem = _put(records, place, wanted, fresh=action == "CREATE")
        if problem:
            messages.append(problem)
    messages += _conflicts(zone, records, {place for _, place in seen}) if not messages else []
    if messages:
        raise InvalidChangeBatch(dict.fromkeys(messages))
    zone.rrsets = list(records.values())


def _place(record: Any) -> Place:
    return record.name, record.type, record.set_identifier or ""


def _check_size(changes: list[Document]) -> None:
    if not changes:
        raise InvalidChangeBatch(["The ChangeBatch must contain at least one change"])
    count = characters = 0
    for change in changes:
        times = 2 if change.get("Action") == "UPSERT" else 1
        values = [each["Value"] for each in change["ResourceRecordSet"].get("ResourceRecords") or ()]
        count += times * max(1, len(values))
        characters += times * sum(map(len, values))
    if count > _MOST_RECORDS:
        raise InvalidChangeBatch([f"Number of records limit of {_MOST_RECORDS} exceeded."])
    if characters > _MOST_CHARACTERS:
        raise InvalidChangeBatch([f"Number of characters limit of {_MOST_CHARACTERS} exceeded."])


def _normal(change: Document) -> Document:
    """The record set of a change, complete in itself. Raises for one that says nothing, or two things."""
    raw = dict(change["ResourceRecordSet"])
    raw["Name"] = stored(raw["Name"])
    says = {
        "AliasTarget": bool(raw.get("AliasTarget")),
        "all of [TTL, and ResourceRecords]": raw.get("TTL") is not None and bool(raw.get("ResourceRecords")),
        "TrafficPolicyInstanceId": bool(raw.get("TrafficPolicyInstanceId")),
    }
    if sum(says.values()) != 1:
        found = "more than one" if sum(says.values()) else "none"
        raise Route53ClientError(
            "InvalidInput",
            f"Invalid request: Expected exactly one of [{', '.join(says)}], but found {found} in Change with "
            f"[Action={change['Action']}, Name={raw['Name']}, Type={raw['Type']}, "
            f"SetIdentifier={raw.get('SetIdentifier') or 'null'}]",
        )
    if raw.get("ResourceRecords"):
        raw["ResourceRecords"] = [each["Value"] for each in raw["ResourceRecords"]]
    if raw.get("AliasTarget"):
        raw["AliasTarget"] = {**raw["AliasTarget"], "DNSName": stored(raw["AliasTarget"]["DNSName"])}
    return raw


def _outside(zone: Any, wanted: Document) -> str:
    name, apex = plain(wanted["Name"]), plain(zone.name)
    if name == apex or name.endswith(f".{apex}"):
        return ""
    return f"RRSet with DNS name {wanted['Name']} is not permitted in zone {zone.name}"


def _duplicate(seen: set[tuple[str, Place]], action: str, place: Place) -> str:
    kind = "DELETE" if action == "DELETE" else "CREATE"
    if (kind, place) in seen:
        return f"The request contains an invalid set of changes for a resource record set '{place[1]} {place[0]}'"
    seen.add((kind, place))
    return ""


def _flaw(wanted: Document) -> str:
    """What is wrong with a record set in itself."""
    routed = [each for each in _ROUTING if wanted.get(each) is not None]
    if bool(routed) != bool(wanted.get("SetIdentifier")):
        missing = "a SetIdentifier" if routed else f"one of [{', '.join(_ROUTING)}]"
        return f"Invalid request: Missing field {missing} in Change with [Name={wanted['Name']}, Type={wanted['Type']}]"
    alias = wanted.get("AliasTarget")
    if alias:
        return _bad_alias(wanted, alias)
    for value in wanted["ResourceRecords"]:
        problem = _bad_value(wanted["Type"], value)
        if problem:
            return f"Invalid Resource Record: 'FATAL problem: {problem} encountered with '{value}''"
    return ""


def _bad_value(type_: str, value: str) -> str:
    if type_ in ("TXT", "SPF") and not (len(value) > 1 and value.startswith('"') and value.endswith('"')):
        return "InvalidCharacterString (Value should be enclosed in quotation marks)"
    try:
        dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(type_), value, origin=dns.name.root)
    except (dns.exception.DNSException, ValueError):
        return {
            "A": "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)",
            "AAAA": "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)",
        }.get(type_, f"{type_}RRDATANotValid (Value is not valid for type {type_})")
    return ""


def _bad_alias(wanted: Document, alias: Document) -> str:
    """An alias leads to a load balancer, by the zone of such names, or to a record of its own zone."""
    target, kind, of = alias["DNSName"], wanted["Type"], alias["HostedZoneId"]
    told = f"Tried to create an alias that targets {target}, type {kind} in zone {of}"
    name = plain(target).removeprefix("dualstack.")
    zone = backend("route53").zones.get(of)
    if zone is not None:
        if not (name == plain(zone.name) or name.endswith(f".{plain(zone.name)}")):
            return f"{told}, but the alias target name does not lie within the target zone"
        return ""
    balancers = {each.dns_name.lower(): each.canonical_hosted_zone_id for each in _load_balancers()}
    if name in balancers and balancers[name] != of:
        return f"{told}, but the alias target name does not lie within the target zone"
    if name.endswith(".amazonaws.com") and ".elb." in name and name not in balancers:
        return f"{told}, but that target was not found"
    return ""


def _load_balancers() -> Iterable[Any]:
    return backend("elbv2").load_balancers.values()  # type: ignore[no-any-return]


def _delete(records: dict[Place, RecordSet], place: Place, wanted: Document) -> str:
    told = f"Tried to delete resource record set [name='{place[0]}', type='{place[1]}'"
    told += f", set identifier='{place[2]}']" if place[2] else "]"
    found = records.get(place)
    if found is None:
        return f"{told} but it was not found"
    if not _equal(found, wanted):
        return f"{told} but the values provided do not match the current values"
    del records[place]
    return ""


def _equal(found: RecordSet, wanted: Document) -> bool:
    alias, asked = found.alias_target, wanted.get("AliasTarget")
    if alias or asked:
        if not alias or not asked:
            return False
        return (alias["DNSName"], alias["HostedZoneId"], _flag(alias)) == (
            asked["DNSName"],
            asked["HostedZoneId"],
            _flag(asked),
        )
    return int(found.ttl or 0) == int(wanted["TTL"]) and sorted(found.records) == sorted(wanted["ResourceRecords"])


def _flag(alias: Document) -> bool:
    return str(alias.get("EvaluateTargetHealth", False)).lower() == "true"


def _put(records: dict[Place, RecordSet], place: Place, wanted: Document, *, fresh: bool) -> str:
    if fresh and place in records:
        return f"Tried to create resource record set [name='{place[0]}', type='{place[1]}'] but it already exists"
    others = [key for key in records if key[:2] == place[:2] and key != place]
    if any(bool(other[2]) != bool(place[2]) for other in others):
        return (
            f"RRSet with DNS name {place[0]}, type {place[1]}, SetIdentifier {place[2] or 'null'} cannot be created as "
            "other RRSets exist with the same name and type"
        )
    make = cast("Any", RecordSet)  # moto leaves methods for CloudFormation abstract
    records[place] = make(wanted)
    return ""


def _conflicts(zone: Any, records: dict[Place, RecordSet], touched: set[Place]) -> list[str]:
    """What the zone would hold that no zone may (RFC 1034, 3.6.2), as far as the batch is to blame."""
    apex = stored(zone.name)
    types: dict[str, set[str]] = {}
    for name, type_, _ in records:
        types.setdefault(name, set()).add(type_)
    messages = []
    for name in sorted({place[0] for place in touched}):
        if "CNAME" not in types.get(name, ()):
            continue
        if name == apex:
            messages.append(f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone.name}")
        elif len(types[name]) > 1:
            blamed = next((place[1] for place in sorted(touched) if place[0] == name and place in records), "CNAME")
            messages.append(
                f"RRSet of type {blamed} with DNS name {name} is not permitted as it conflicts with other records with "
                f"the same DNS name in zone {zone.name}"
            )
    if {"SOA", "NS"} - types.get(apex, set()):
        messages.append(
            "A HostedZone must contain at least one NS record for the zone itself, and exactly one SOA record."
        )
    return messages
