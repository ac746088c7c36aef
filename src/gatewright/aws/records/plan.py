"""What has to be done to hosted zones, from what is wished for and what they hold.

A name is ours if all its records that lead to an address have our markers. Where there is one without, or with another
owner's, nothing of the name is touched, and who asks for it is told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

from msgspec import Struct

from gatewright.aws.records.names import is_record_name
from gatewright.aws.records.ownership import Claim, claim_text, marker_name, marker_names, read_claim
from gatewright.aws.records.records import ADDRESS_TYPES, VALIDATIONS, DnsOptions, Record, Wish, Zone
from gatewright.aws.records.zones import in_reach, is_ours_to_write, zones_of
from gatewright.resolve.inputs import ObjectId

_MARKER_TTL: Final = 300
_MOST_CHANGES: Final = 1_000
_MOST_CHARACTERS: Final = 32_000
_BATCH: Final = (_MOST_CHANGES, _MOST_CHARACTERS)


class Change(Struct, frozen=True):
    """One change of a change batch (Route 53 API, Change). `before` is what an UPSERT replaces."""

    action: Literal["CREATE", "UPSERT", "DELETE"]
    record: Record
    before: Record | None = None


class Step(Struct, frozen=True):
    """Changes that belong together: a name's records in a zone and their markers. Either all are made or none."""

    zone: Zone
    name: str
    changes: tuple[Change, ...]

    @property
    def verb(self) -> Literal["create", "change", "delete"]:
        """What becomes of the name."""
        actions = {change.action for change in self.changes}
        if actions == {"DELETE"}:
            return "delete"
        return (
            "create" if {each.action for each in self.changes if each.record.type != "TXT"} == {"CREATE"} else "change"
        )

    @property
    def weight(self) -> tuple[int, int]:
        """How many records and characters it counts as; those of an UPSERT count twice (Route 53 quotas)."""
        records = characters = 0
        for change in self.changes:
            times = 2 if change.action == "UPSERT" else 1
            records += times * max(1, len(change.record.values))
            characters += times * change.record.size
        return records, characters


class Problem(Struct, frozen=True):
    """Why a name doesn't get its records. `about` are the objects that ask for it."""

    name: str
    about: tuple[ObjectId, ...]
    reason: str
    message: str


class RecordPlan(Struct, frozen=True):
    """Steps sorted by zone and name, and the names that can't be had."""

    steps: tuple[Step, ...]
    problems: tuple[Problem, ...] = ()
    kept: tuple[Wish, ...] = ()
    """Wishes that others of the same name came before, and that have the name already."""


class ZoneRecords:
    """The records of one zone, by name."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.by_name: dict[str, list[Record]] = {}
        for record in records:
            self.by_name.setdefault(record.name, []).append(record)

    def at(self, name: str) -> Sequence[Record]:
        """All records of a name."""
        return self.by_name.get(name, ())

    def take(self, step: Step) -> None:
        """A step has been carried out."""
        for change in step.changes:
            record = change.record
            place = (record.type, record.set_identifier)
            left = [each for each in self.at(record.name) if (each.type, each.set_identifier) != place]
            if change.action != "DELETE":
                left.append(record)
            if left:
                self.by_name[record.name] = left
            else:
                self.by_name.pop(record.name, None)

    def marker(self, name: str) -> tuple[Record, Claim | None] | None:
        """The TXT record of a name, with what it claims."""
        for record in self.at(name):
            if record.type == "TXT":
                claims = (read_claim(value) for value in record.values)
                return record, next((claim for claim in claims if claim), None)
        return None


def plan(
    wishes: Iterable[Wish],
    zones: Iterable[Zone],
    actual: Mapping[str, ZoneRecords],
    options: DnsOptions,
    only: Iterable[str] | None = None,
) -> RecordPlan:
    """The way from `actual`, by zone ID, to the wishes. Zones that are missing in it are left alone.

    With `only` it is about these names, whose wishes are given, and as much work.
    """
    reached = in_reach(zones, options)
    steps: list[Step] = []
    problems: list[Problem] = []
    wanted: dict[str, set[str]] = defaultdict(set)  # names by zone
    kept: list[Wish] = []
    for first in sorted(wishes, key=lambda wish: wish.name):
        if not is_ours_to_write(first.name, options):
            continue
        wish = _holder(first, reached, actual, options)
        if wish is not first:
            kept.append(wish)
        chosen = zones_of(wish.name, wish.visibility, reached)
        problem = _unusable(wish, chosen)
        if problem:
            problems.append(problem)
        for zone in chosen:
            wanted[zone.id].add(wish.name)
            if not problem and wish.records and zone.id in actual:
                found = _Name(wish.name, zone, actual[zone.id], options).step_to(wish)
                if isinstance(found, Problem):
                    problems.append(found)
                elif found:
                    steps.append(found)
    if options.policy == "sync":
        for zone in reached:
            if zone.id in actual:
                records, names = actual[zone.id], wanted[zone.id]
                steps += _removals(zone, records, records.by_name if only is None else only, names, options)
                if only is None:
                    steps += _orphans(zone, records, names, options)
    return RecordPlan(
        tuple(sorted(steps, key=lambda step: (step.zone.name, step.zone.id, step.name))),
        tuple(dict.fromkeys(problems)),
        tuple(kept),
    )


def _holder(wish: Wish, zones: Sequence[Zone], actual: Mapping[str, ZoneRecords], options: DnsOptions) -> Wish:
    """Of all that wish for the name the one whose marker it has; the first one if there is none."""
    if not wish.others:
        return wish
    candidates = [each for each in (wish, *wish.others) if each.records]
    held = {
        each.claim.resource
        for candidate in candidates
        for zone in zones_of(candidate.name, candidate.visibility, zones)
        if zone.id in actual
        for each in _Name(wish.name, zone, actual[zone.id], options).standing
        if each.claim and each.claim.owner == options.owner
    }
    return next((each for each in candidates if held & {*each.resources}), wish)


def batches(steps: Iterable[Step], most: tuple[int, int] = _BATCH) -> list[tuple[Step, ...]]:
    """Steps as change batches of one zone each: at most 1,000 records and 32,000 characters, UPSERTs counted twice."""
    found: list[list[Step]] = []
    full = (0, 0)
    for step in steps:
        weight = step.weight
        total = (full[0] + weight[0], full[1] + weight[1])
        if not found or found[-1][0].zone != step.zone or total[0] > most[0] or total[1] > most[1]:
            found.append([])
            total = weight
        found[-1].append(step)
        full = total
    return [tuple(batch) for batch in found]


def _unusable(wish: Wish, zones: Sequence[Zone]) -> Problem | None:
    if not is_record_name(wish.name):
        return Problem(
            wish.name,
            wish.asked_by,
            "InvalidHostname",
            f"hostname: found {wish.name!r}; no record can have that name; use a name of letters, digits and hyphens",
        )
    if not zones:
        return Problem(
            wish.name,
            wish.asked_by,
            "NoHostedZone",
            f"hostname: found {wish.name}; no hosted zone that may be written holds such names; create one in "
            "Route 53, or leave the name out by the domain filter",
        )
    return None


class _Standing(NamedTuple):
    """A record that leads to an address, and what its marker claims."""

    record: Record
    claim: Claim | None
    markers: tuple[Record, ...]
    """The TXT records that are its markers alone."""


class _Name:
    """One name in one zone."""

    def __init__(self, name: str, zone: Zone, records: ZoneRecords, options: DnsOptions) -> None:
        self._name = name
        self._zone = zone
        self._records = records
        self._options = options
        there = sorted(records.at(name), key=lambda record: (record.type, record.set_identifier))
        self.standing = [self._stand(record) for record in there if record.type in ADDRESS_TYPES]

    def _stand(self, record: Record) -> _Standing:
        claim: Claim | None = None
        markers: list[Record] = []
        names = marker_names(
            self._name, record.type, self._options.affix, self._zone.name, alias=record.alias is not None
        )
        for name in names:
            found = self._records.marker(name)
            if found and found[1]:
                claim = claim or found[1]
                if found[1].owner == self._options.owner and len(found[0].values) == 1:
                    markers.append(found[0])
        return _Standing(record, claim, tuple(markers))

    @property
    def is_ours(self) -> bool:
        """Whether all that is there is ours."""
        return all(self._owns(each) for each in self.standing)

    def _owns(self, each: _Standing) -> bool:
        return each.claim is not None and each.claim.owner == self._options.owner and not each.record.set_identifier

    def step_to(self, wish: Wish) -> Step | Problem | None:
        """The step that gives the name its records; None where it has them."""
        there = {each.record.type: each.record for each in self.standing}
        if wish.shared and all(_same(there.get(record.type), record) for record in wish.records):
            return None
        problem = self._obstacle(wish)
        if problem:
            return Problem(wish.name, wish.asked_by, *problem)
        changes: list[Change] = []
        wanted = {record.type: record for record in wish.records}
        clash = "CNAME" in {*wanted} ^ {*there} and bool(wanted) and bool(there)  # it stands alone (RFC 1034, 3.6.2)
        for each in self.standing:
            if each.record.type not in wanted and (clash or self._options.policy == "sync"):
                changes += self._removal(each, keep=wanted)
        for type_, record in wanted.items():
            before = there.get(type_)
            if before is None:
                changes.append(Change("CREATE", record))
            elif not _same(before, record):
                changes.append(Change("UPSERT", record, before))
            changes += self._marking(wish, type_)
        return Step(self._zone, self._name, tuple(dict.fromkeys(changes))) if changes else None

    def removal(self) -> Step:
        """The step that takes away all of it."""
        changes = [change for each in self.standing for change in self._removal(each, keep=())]
        return Step(self._zone, self._name, tuple(dict.fromkeys(changes)))

    def _removal(self, each: _Standing, keep: Iterable[str]) -> list[Change]:
        kept = {marker_name(self._name, type_, self._options.affix, self._zone.name) for type_ in keep}
        markers = (marker for marker in each.markers if marker.name not in kept)
        return [Change("DELETE", each.record), *(Change("DELETE", marker) for marker in markers)]

    def _marking(self, wish: Wish, type_: str) -> list[Change]:
        claim = Claim(self._options.owner, wish.resources[0])
        name = marker_name(self._name, type_, self._options.affix, self._zone.name)
        marker = Record(name, "TXT", (claim_text(claim),), _MARKER_TTL)
        found = self._records.marker(name)
        if found is None:
            return [Change("CREATE", marker)]
        if found[1] and found[1].resource in wish.resources:
            return []  # one of those that ask for it will do
        return [Change("UPSERT", marker, found[0])]

    def _obstacle(self, wish: Wish) -> tuple[str, str] | None:
        """Why the name isn't ours to write, as reason and message."""
        where = f"in hosted zone {self._zone.name} ({self._zone.id})"
        for each in self.standing:
            if self._owns(each):
                continue
            found = f"hostname {self._name}: found a record of type {each.record.type} {where}"
            if each.claim and each.claim.owner != self._options.owner:
                whose = f"that belongs to owner {each.claim.owner!r} by its TXT record"
                return "ForeignRecord", f"{found} {whose}; it stays as it is; remove it there, or use another name"
            if each.record.set_identifier:
                return (
                    "ForeignRecord",
                    f"{found} with a routing policy (set identifier {each.record.set_identifier!r}), and a simple "
                    "record can't be beside it; it stays as it is; remove it, or use another name",
                )
            return (
                "ForeignRecord",
                f"{found} that isn't marked as ours; it stays as it is; remove it, or use another name",
            )
        types = {record.type for record in wish.records}
        if "CNAME" in types:
            others = sorted({record.type for record in self._records.at(self._name)} - {*ADDRESS_TYPES})
            if self._name == self._zone.name or others:
                beside = ", ".join(others) or "SOA, NS"
                return (
                    "InvalidHostname",
                    f"hostname {self._name}: a CNAME record can't be beside those of type {beside} {where}; let it "
                    "lead to a load balancer of this account or to IP addresses, or use another name",
                )
        for type_ in sorted(types):
            marker = marker_name(self._name, type_, self._options.affix, self._zone.name)
            found_marker = self._records.marker(marker)
            if found_marker and (found_marker[1] is None or found_marker[1].owner != self._options.owner):
                whose = f"of owner {found_marker[1].owner!r}" if found_marker[1] else "that is no marker"
                return (
                    "ForeignRecord",
                    f"hostname {self._name}: found a TXT record {marker} {whose} {where}, where ours would say whose "
                    "the name is; remove it, or use another name",
                )
        return None


def _validates(record: Record) -> bool:
    return record.type == "CNAME" and any(value.rstrip(".").endswith(VALIDATIONS) for value in record.values)


def _same(there: Record | None, wanted: Record) -> bool:
    if there is None or there.set_identifier:
        return False
    if wanted.alias or there.alias:
        return there.alias == wanted.alias
    return there.ttl == wanted.ttl and sorted(there.values) == sorted(wanted.values)


def _removals(
    zone: Zone, records: ZoneRecords, names: Iterable[str], wanted: set[str], options: DnsOptions
) -> list[Step]:
    """What is ours of `names`, and nobody asks for."""
    steps: list[Step] = []
    for name in names:
        found = records.at(name)
        if name in wanted or not is_ours_to_write(name, options):
            continue
        if any(record.type in ADDRESS_TYPES for record in found):
            standing = _Name(name, zone, records, options)
            if standing.is_ours and not (options.keep_validations and any(map(_validates, found))):
                steps.append(standing.removal())
    return steps


def _orphans(zone: Zone, records: ZoneRecords, wanted: set[str], options: DnsOptions) -> list[Step]:
    """Our markers that have no record."""
    markers: dict[str, Record] = {}
    for name in records.by_name:
        marker = records.marker(name)
        if marker and marker[1] and marker[1].owner == options.owner and len(marker[0].values) == 1:
            markers[name] = marker[0]
    used: set[str] = set()
    for name, found in records.by_name.items():
        for record in found:
            if record.type != "TXT" or name not in markers:
                used.update(marker_names(name, record.type, options.affix, zone.name, alias=record.alias is not None))
    for name in wanted:
        for type_ in ADDRESS_TYPES:
            used.update(marker_names(name, type_, options.affix, zone.name))
    left = (name for name in sorted(markers.keys() - used) if is_ours_to_write(name, options))
    return [Step(zone, name, (Change("DELETE", markers[name]),)) for name in left]
