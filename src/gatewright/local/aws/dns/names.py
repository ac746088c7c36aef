"""Answers to questions, from hosted zones as a VPC's resolver sees them.

The most specific private zone of a name has it, and nobody else then, even where it holds no such record; otherwise the
most specific public one (Route 53 Developer Guide, "Considerations when working with a private hosted zone").
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from gatewright.flow import Context
from gatewright.local.aws.dns.balancers import BalancerNames
from gatewright.local.aws.state import CloudState, HostedZone, RecordSet

_OF_BALANCERS = 60
"""Seconds that a load balancer's addresses may be kept (Elastic Load Balancing user guide, "Request routing")."""
_TOGETHER = 8
"""Records of a multivalue policy in one answer."""
_LONGEST_CHAIN = 8


class Rrset(NamedTuple):
    """Records of one name and type; `values` as in a zone file."""

    name: str
    type: str
    ttl: int
    values: tuple[str, ...]


class Found(NamedTuple):
    """What a question is answered with; `soa` (the zone's) where there is nothing of the type."""

    code: Literal["NOERROR", "NXDOMAIN", "REFUSED"]
    answer: tuple[Rrset, ...] = ()
    soa: Rrset | None = None


class _Table(Struct, frozen=True):
    """A zone's records by name, and every name that is there, if only because others are below it."""

    zone: HostedZone
    records: dict[str, tuple[RecordSet, ...]]
    names: frozenset[str]

    @property
    def soa(self) -> Rrset | None:
        """The zone's start of authority."""
        for record in self.records.get(self.zone.name, ()):
            if record.type == "SOA":
                return Rrset(record.name, "SOA", record.ttl, record.values)
        return None

    def at(self, name: str) -> Sequence[RecordSet] | None:
        """The records of a name, or of the wildcard that stands for it (RFC 4592); None where there is no such name."""
        if name in self.names:
            return self.records.get(name, ())
        while name != self.zone.name:
            name = name.partition(".")[2]
            if name in self.names:
                return self.records.get(f"*.{name}")
        return None


class Names:
    """Answers as the state is when it is asked. `pick` is the random number from 0 to 1 for weights."""

    def __init__(self, state: CloudState, *, shared: bool = False, pick: random.Random | None = None) -> None:
        self._balancers = BalancerNames(state, shared=shared)
        self._tables = state.flow.derive("tables of hosted zones", state.hosted_zones, _table)
        self._by_name = self._tables.index(lambda _, table: [table.zone.name], name="zones by name")
        self._random = pick or random.Random()  # noqa: S311 - shares of traffic, no secret

    def answer(self, name: str, type_: str) -> Found:
        """What there is of `name`, in lower case and without the dot at its end; CNAMEs are followed."""
        told: list[Rrset] = []
        for _ in range(_LONGEST_CHAIN):
            found, onwards = self._look_up(name, type_)
            told += found.answer
            if not onwards:
                code = "NOERROR" if told and found.code == "REFUSED" else found.code
                return Found(code, tuple(told), found.soa)
            name = onwards
        return Found("NOERROR", tuple(told))

    def _look_up(self, name: str, type_: str, depth: int = 0) -> tuple[Found, str]:
        """What there is of one name, and the name to go on with."""
        addresses = self._balancers.addresses(name)
        if addresses is not None:
            values = addresses if type_ == "A" else ()
            return Found("NOERROR", (Rrset(name, "A", _OF_BALANCERS, values),) if values else ()), ""
        table = self._table_of(name)
        if table is None:
            return Found("NXDOMAIN" if name.endswith(".elb.amazonaws.com") else "REFUSED"), ""
        there = table.at(name)
        if there is None:
            return Found("NXDOMAIN", soa=table.soa), ""
        for wanted in dict.fromkeys((type_, "CNAME")):
            chosen = self._choose([record for record in there if record.type == wanted])
            if not chosen:
                continue
            if chosen[0].alias:
                return self._stand_in(name, chosen[0].alias, type_, table, depth), ""
            values = tuple(dict.fromkeys(value for record in chosen for value in record.values))
            onwards = values[0].lower().rstrip(".") if wanted == "CNAME" and type_ != "CNAME" else ""
            return Found("NOERROR", (Rrset(name, wanted, chosen[0].ttl, values),)), onwards
        return Found("NOERROR", soa=table.soa), ""

    def _stand_in(self, name: str, target: str, type_: str, table: _Table, depth: int) -> Found:
        """An alias is answered with what its target has, under its own name."""
        if depth >= _LONGEST_CHAIN:
            return Found("NOERROR", soa=table.soa)
        found, _ = self._look_up(target, type_, depth + 1)
        answer = tuple(rrset._replace(name=name) for rrset in found.answer if rrset.type == type_)
        return Found("NOERROR", answer, None if answer else table.soa)

    def _table_of(self, name: str) -> _Table | None:
        suffixes = [name]
        while "." in suffixes[-1]:
            suffixes.append(suffixes[-1].partition(".")[2])
        for private in (True, False):
            for suffix in suffixes:
                for table in self._by_name.lookup(suffix):
                    if table.zone.private == private:
                        return table
        return None

    def _choose(self, records: Sequence[RecordSet]) -> Sequence[RecordSet]:
        """Those of several records of a name and type that a routing policy answers with."""
        if len(records) < 2:
            return records
        if any(record.together for record in records):
            return self._random.sample(records, min(_TOGETHER, len(records)))
        weights = [record.weight or 0 for record in records]
        if any(weights):
            return self._random.choices(records, weights)
        return sorted(records, key=lambda record: (not record.preferred, record.set_identifier))[:1]


def _table(_: Context, __: str, zone: HostedZone) -> _Table:
    records: dict[str, list[RecordSet]] = {}
    for record in zone.records:
        records.setdefault(record.name, []).append(record)
    return _Table(zone, {name: tuple(of) for name, of in records.items()}, frozenset(_all_names(records, zone.name)))


def _all_names(names: Iterable[str], apex: str) -> Iterable[str]:
    yield apex
    for name in names:
        while name != apex and name.endswith(f".{apex}"):
            yield name
            name = name.partition(".")[2]
