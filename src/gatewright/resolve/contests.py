"""HTTPRoutes and GRPCRoutes that claim the same hostnames of a listener: one kind gets them (Gateway API, GRPCRoute).

A route attaches to a listener unless an older attached route of the other kind has a hostname in common with it there.
"Attached" makes that a chain: a route that lost keeps nobody out. So the standing of a GRPCRoute is found by following
the chain down through older and older routes, as far as it matters; HTTPRoutes then look at the GRPCRoutes that stand.
Each looks only where a hostname in common can be, so a route that comes or goes runs its possible rivals alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import chain, repeat, takewhile
from typing import Literal, TypeAlias

from msgspec import Struct, structs

from gatewright.flow import Collection, Context, Index
from gatewright.model.meta import Key
from gatewright.resolve import hostnames
from gatewright.resolve.attachment import Attachment
from gatewright.resolve.inputs import Inputs
from gatewright.topology import HostKey, ListenerKey

_LONGEST_CHAIN = 64
"""How many claims are looked at to decide one: tenants write the chains, and everybody waits for the answer."""

Kind: TypeAlias = Literal["HTTPRoute", "GRPCRoute"]


class Claim(Struct, frozen=True):
    """What a route would be attached to, were it alone. `seniority` sorts routes, the oldest first."""

    kind: Kind
    key: Key
    seniority: tuple[str, str]
    attachments: tuple[Attachment, ...]
    hosts: tuple[HostKey, ...]

    @property
    def rank(self) -> tuple[tuple[str, str], bool]:
        """Sorts claims of both kinds, no two alike: of routes with one name and time, the HTTPRoute goes first."""
        return self.seniority, self.kind == "GRPCRoute"


Place: TypeAlias = tuple[Literal["at", "under"], HostKey]
"""A group of claims: those of a hostname itself, or those of hostnames that a wildcard covers."""


Claims: TypeAlias = Collection[Key, Claim]


class Contest:
    """Both kinds' claims, indexed so that each finds those that it has a hostname in common with."""

    def __init__(self, inputs: Inputs, http: Claims, grpc: Claims) -> None:
        flow = inputs.flow
        self._places: dict[Kind, Index[Place, Key, Claim]] = {
            "HTTPRoute": http.index(_places, order=_by_rank),
            "GRPCRoute": grpc.index(_places, order=_by_rank),
        }
        self._losses = flow.derive("contested grpc routes", grpc, self._grpc_losses)
        standing = flow.derive("standing grpc routes", grpc, self._standing)
        self._standing_places = standing.index(_places, order=_by_rank)

    def losses(self, ctx: Context, claim: Claim) -> dict[ListenerKey, Claim]:
        """The listeners that a claim doesn't get, each with the claim that keeps it out."""
        if claim.kind == "GRPCRoute":
            return ctx.get(self._losses, claim.key) or {}
        found: dict[ListenerKey, Claim] = {}
        for rival, host in _older(ctx, self._standing_places, claim, claim.hosts):
            found.setdefault(host.listener, rival)
        return found

    def _grpc_losses(self, ctx: Context, _: Key, claim: Claim) -> dict[ListenerKey, Claim] | None:
        listeners = {host.listener for host in claim.hosts}
        return {listener: rival for listener in listeners if (rival := self._winner(ctx, claim, listener))} or None

    def _standing(self, ctx: Context, key: Key, claim: Claim) -> Claim | None:
        lost = ctx.get(self._losses, key) or {}
        hosts = tuple(host for host in claim.hosts if host.listener not in lost)
        return structs.replace(claim, hosts=hosts) if hosts else None

    def _winner(self, ctx: Context, claim: Claim, listener: ListenerKey) -> Claim | None:
        """The claim that keeps `claim` out of a listener: the oldest of those that stand there themselves.

        Where finding out would take too many claims, `claim` gets nothing. That keeps both kinds apart all the same:
        whoever follows the chain through a claim looks at no less than that claim does itself.
        """
        winners: dict[tuple[Kind, Key], Claim | None] = {}
        stack = [(claim, self._rivals(ctx, claim, listener))]
        while stack:
            current, rivals = stack[-1]
            for rival in rivals:
                if (rival.kind, rival.key) not in winners:
                    if len(winners) + len(stack) == _LONGEST_CHAIN:
                        return rival
                    stack[-1] = (current, chain((rival,), rivals))  # to be looked at again
                    stack.append((rival, self._rivals(ctx, rival, listener)))
                    break
                if winners[rival.kind, rival.key] is None:
                    winners[current.kind, current.key] = rival
                    stack.pop()
                    break
            else:
                winners[current.kind, current.key] = None
                stack.pop()
        return winners[claim.kind, claim.key]

    def _rivals(self, ctx: Context, claim: Claim, listener: ListenerKey) -> Iterator[Claim]:
        hosts = [host for host in claim.hosts if host.listener == listener]
        return (rival for rival, _ in _older(ctx, self._places[_other(claim.kind)], claim, hosts))


def shrink(attachments: Iterable[Attachment], losses: dict[ListenerKey, Claim]) -> tuple[Attachment, ...]:
    """The attachments without the listeners that other routes have."""
    return tuple(_shrink(attachment, losses) for attachment in attachments)


def _shrink(attachment: Attachment, losses: dict[ListenerKey, Claim]) -> Attachment:
    lost = [listener for listener in attachment.listeners if listener in losses]
    if not lost:
        return attachment
    kept = tuple(listener for listener in attachment.listeners if listener not in losses)
    said = "; ".join(
        f"the older {losses[listener].kind} {losses[listener].key} has a hostname of it on listener {listener.name}, "
        "and no listener serves both kinds at one hostname"
        for listener in lost
    )
    return structs.replace(
        attachment,
        reason=attachment.reason if kept else "HostnameConflict",
        message=f"{attachment.message}, but not all: {said}" if kept else said,
        listeners=kept,
        hosts=tuple(host for host in attachment.hosts if host.listener not in losses),
    )


def _other(kind: Kind) -> Kind:
    return "GRPCRoute" if kind == "HTTPRoute" else "HTTPRoute"


def _by_rank(_: Key, claim: Claim) -> tuple[tuple[str, str], bool]:
    return claim.rank


def _places(_: Key, claim: Claim) -> list[Place]:
    found: list[Place] = [("at", host) for host in claim.hosts]
    found += [
        ("under", HostKey(host.listener, name)) for host in claim.hosts for name in hostnames.ancestors(host.hostname)
    ]
    return found


def _older(
    ctx: Context, places: Index[Place, Key, Claim], claim: Claim, hosts: Iterable[HostKey]
) -> Iterator[tuple[Claim, HostKey]]:
    """The claims that are older than `claim`, each with one of `hosts` that it shares, the oldest first."""
    groups = []
    for host in hosts:
        same = (host.hostname, *hostnames.ancestors(host.hostname))
        groups += [(ctx.lookup(places, ("at", HostKey(host.listener, name))), host) for name in same]
        if host.hostname.startswith("*"):
            groups.append((ctx.lookup(places, ("under", host)), host))
    pairs = merge(*(zip(group, repeat(host)) for group, host in groups if group), key=lambda pair: pair[0].rank)
    return takewhile(lambda pair: pair[0].rank < claim.rank, pairs)
