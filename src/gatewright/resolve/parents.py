"""What routes attach to: a Gateway's own listeners, or those of one ListenerSet.

It leaves out all that routes don't look at, so that a new certificate or a new generation doesn't run the routes again.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway.listeners import RouteNamespaces
from gatewright.model.meta import Key
from gatewright.resolve import hostnames
from gatewright.resolve.entries import Seat
from gatewright.resolve.gateways import ResolvedGateway, ResolvedListenerSet
from gatewright.resolve.inputs import Inputs, ObjectId
from gatewright.resolve.listeners import ResolvedListener
from gatewright.topology import ListenerKey


class ParentListener(Struct, frozen=True):
    """A listener as routes see it. `seat` is None where it can't carry traffic."""

    key: ListenerKey
    port: int
    hostname: str
    kinds: tuple[str, ...]
    namespaces: RouteNamespaces
    seat: Seat | None

    @property
    def name(self) -> str:
        """Its name in the object that has it."""
        return self.key.name


class ResolvedParent(Struct, frozen=True):
    """A Gateway of ours, or a ListenerSet of one. `problem` says why it takes no routes at all."""

    kind: str
    key: Key
    controller: str
    listeners: tuple[ParentListener, ...]
    problem: str = ""


class Served(NamedTuple):
    """A listener that is served, and its protocol."""

    listener: ListenerKey
    protocol: str


class Parents(NamedTuple):
    """All parents by kind ("Gateway", "ListenerSet") and key, and the seats of the listeners that are served.

    `defaults` are the Gateways of ours that routes with useDefaultGateways attach to (GEP-3793).
    """

    resolved: Collection[ObjectId, ResolvedParent]
    defaults: Collection[Key, Key]
    seats: Collection[Seat, Served]

    def shadowed(self, ctx: Context, name: str, seat: Seat) -> bool:
        """Whether a more specific listener of the port takes all of `name` from the one at `seat`."""
        takers = (seat._replace(hostname=taker) for taker in hostnames.takers(name, seat.hostname))
        return any(ctx.get(self.seats, taker) is not None for taker in takers)


def resolve_parents(
    inputs: Inputs,
    gateways: Collection[Key, ResolvedGateway],
    listener_sets: Collection[Key, ResolvedListenerSet],
    listeners: Collection[ListenerKey, ResolvedListener],
) -> Parents:
    """What routes can attach to."""
    flow = inputs.flow

    def of_gateway(_: Context, key: Key, gateway: ResolvedGateway) -> dict[ObjectId, ResolvedParent]:
        return {("Gateway", key): ResolvedParent("Gateway", key, gateway.controller, _views(gateway.listeners))}

    def of_set(_: Context, key: Key, found: ResolvedListenerSet) -> dict[ObjectId, ResolvedParent]:
        problem = found.problem[1] if found.problem else ""
        parent = ResolvedParent("ListenerSet", key, found.controller, _views(found.listeners), problem)
        return {("ListenerSet", key): parent}

    def seats(_: Context, key: ListenerKey, listener: ResolvedListener) -> dict[Seat, Served]:
        return {listener.seat: Served(key, listener.entry.spec.protocol)} if listener.seat else {}

    return Parents(
        flow.merge(
            "parents",
            flow.derive_many("gateway parents", gateways, of_gateway),
            flow.derive_many("set parents", listener_sets, of_set),
        ),
        flow.distinct("default gateways", gateways.index(lambda key, gateway: [key] if gateway.default else [])),
        flow.derive_many("served seats", listeners, seats),
    )


def _views(listeners: tuple[ResolvedListener, ...]) -> tuple[ParentListener, ...]:
    return tuple(
        ParentListener(
            key=listener.key,
            port=listener.entry.spec.port,
            hostname=listener.entry.hostname,
            kinds=tuple(kind.kind for kind in listener.kinds),
            namespaces=listener.entry.spec.allowed_routes.namespaces,
            seat=listener.seat,
        )
        for listener in listeners
    )
