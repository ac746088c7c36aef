"""Distinct listeners: who has a port and a hostname where several ask for it (Gateway API, GatewaySpec.listeners).

Among the listeners of one object none wins; among objects the one with the higher precedence does, whether or not its
listener can be served, since otherwise its mistake would hand the place to somebody else. No function here reads all
listeners of a Gateway, except to see which one comes first.
"""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from msgspec import Struct

from gatewright.flow import Collection, Context, Index
from gatewright.resolve import hostnames
from gatewright.resolve.conditions import Reason
from gatewright.resolve.entries import Entry, Family, Precedence, Seat
from gatewright.resolve.inputs import Inputs, ObjectId
from gatewright.topology import ListenerKey, PortKey

_NAMED = 5  # how many others a message names


class PortClaim(Struct, frozen=True):
    """Who decides what a port speaks. `family` is None where `holder`'s own listeners don't agree."""

    family: Family | None
    holder: ObjectId
    protocols: tuple[str, ...]


class SeatClaim(Struct, frozen=True):
    """Who has a seat. `winner` is None where several listeners of `holder` ask for it; `names` are theirs."""

    winner: ListenerKey | None
    holder: ObjectId
    names: tuple[str, ...]
    terminates: bool
    precedence: Precedence


class Claims(NamedTuple):
    """Who has what on each port."""

    ports: Collection[PortKey, PortClaim]
    seats: Collection[Seat, SeatClaim]
    below: Index[Seat, Seat, SeatClaim]
    """The claims to seats whose hostnames a seat's covers, its own left out."""


def claims(inputs: Inputs, entries: Collection[ListenerKey, Entry]) -> Claims:
    """Decide every port and seat."""
    flow = inputs.flow

    by_port = entries.index(lambda _, e: [e.seat.port] if e.seat else [], order=lambda _, e: e.precedence)
    by_seat = entries.index(lambda _, e: [e.seat] if e.seat else [], order=lambda _, e: e.precedence)

    def port_claim(ctx: Context, port: PortKey, _: PortKey) -> PortClaim:
        first = _first(ctx.lookup(by_port, port))
        families = {entry.family for entry in first}
        return PortClaim(
            family=first[0].family if len(families) == 1 else None,
            holder=first[0].parent,
            protocols=tuple(sorted({entry.spec.protocol for entry in first})),
        )

    def seat_claim(ctx: Context, key: Seat, _: Seat) -> SeatClaim:
        first = _first(ctx.lookup(by_seat, key))
        return SeatClaim(
            winner=first[0].key if len(first) == 1 else None,
            holder=first[0].parent,
            names=tuple(entry.spec.name for entry in first),
            terminates=any(entry.terminates for entry in first),
            precedence=first[0].precedence,
        )

    seats = flow.derive("seat claims", flow.distinct("seats", by_seat), seat_claim)
    return Claims(
        ports=flow.derive("port claims", flow.distinct("claimed ports", by_port), port_claim),
        seats=seats,
        below=seats.index(lambda key, _: key.above(), order=lambda _, claim: claim.precedence),
    )


def _first(entries: tuple[Entry, ...]) -> list[Entry]:
    """The listeners of the object that comes first."""
    return list(takewhile(lambda entry: entry.parent == entries[0].parent, entries))


def conflict(ctx: Context, claims: Claims, entry: Entry) -> Reason | None:
    """Why a listener is not distinct, or None."""
    own = entry.seat
    if own is None:
        return None
    port, place = ctx.get(claims.ports, own.port), ctx.get(claims.seats, own)
    number = own.port.port
    if port and port.family is None:
        whose = "" if port.holder == entry.parent else f" of {_described(entry, port.holder)}"
        return "ProtocolConflict", f"listeners{whose} on port {number} differ: {', '.join(port.protocols)}"
    if port and port.family != own.family:
        taken = f"{', '.join(port.protocols)} for {_described(entry, port.holder)}"
        return "ProtocolConflict", f"port {number} speaks {taken}; found protocol {entry.spec.protocol}"
    if place is None or place.winner == entry.key:
        return None
    host = f" with hostname {own.hostname}" if own.hostname != hostnames.ANY else " with no hostname"
    if own.family in ("TCP", "UDP"):
        # These have nothing but the port to tell one listener's traffic from another's.
        reason, what = "ProtocolConflict", f"port {number} of protocol {entry.spec.protocol}"
    else:
        reason, what = "HostnameConflict", f"port {number}{host}"
    if place.holder == entry.parent:
        return reason, f"{what} is also listener {', '.join(name for name in place.names if name != entry.spec.name)}"
    return reason, f"{what} is taken by {_listener(entry, place)}"


def overlap(ctx: Context, claims: Claims, entry: Entry) -> Reason | None:
    """Which terminating listeners of the port share host names with this one.

    A client may reuse a connection for a name that another listener terminates (ListenerConditionOverlappingTLSConfig).
    """
    own = entry.seat
    if own is None or not entry.terminates:
        return None
    found = [claim for above in own.above() if (claim := ctx.get(claims.seats, above)) and claim.terminates]
    for claim in ctx.lookup(claims.below, own):
        if claim.terminates:
            found.append(claim)
        if len(found) > 2 * _NAMED:
            break
    if not found:
        return None
    found.sort(key=lambda claim: claim.precedence)
    names = ", ".join(_listener(entry, claim) for claim in found[:_NAMED])
    more = " and others" if len(found) > _NAMED else ""
    return "OverlappingHostnames", f"hostname {own.hostname} overlaps with that of {names}{more}"


def _listener(entry: Entry, claim: SeatClaim) -> str:
    names = f"listener {', '.join(claim.names)}"
    if claim.holder == entry.parent:
        return names
    if "Gateway" in (claim.holder[0], entry.parent[0]):
        return f"{names} of {_described(entry, claim.holder)}"
    return _described(entry, claim.holder)


def _described(entry: Entry, holder: ObjectId) -> str:
    """Names another object to an owner of listeners: sets of one Gateway may not know of each other (GEP-1713)."""
    kind, key = holder
    return f"{kind} {key}" if kind == "Gateway" or entry.parent[0] == "Gateway" else "another ListenerSet"
