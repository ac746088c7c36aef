"""Which hosted zones a name belongs in."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.aws.records.names import is_below, matches
from gatewright.aws.records.records import DnsOptions, Visibility, Zone


def in_reach(zones: Iterable[Zone], options: DnsOptions) -> list[Zone]:
    """The zones that the options leave to us: by ID, by type, and those that may hold a name of the domains."""
    return [
        zone
        for zone in zones
        if (not options.zones or zone.id in {each.removeprefix("/hostedzone/") for each in options.zones})
        and (not options.zone_type or zone.private == (options.zone_type == "private"))
        and _may_hold(zone, options.domains)
    ]


def _may_hold(zone: Zone, domains: tuple[str, ...]) -> bool:
    return matches(zone.name, domains) or any(is_below(each.strip(".").lower(), zone.name) for each in domains)


def is_ours_to_write(name: str, options: DnsOptions) -> bool:
    """Whether the domain filters leave a name to us."""
    if options.excluded_domains and matches(name, options.excluded_domains):
        return False
    return matches(name, options.domains)


def zones_of(name: str, visibility: Visibility, zones: Iterable[Zone]) -> list[Zone]:
    """The zones that are to hold a name: the most specific ones, sorted by ID.

    A private zone hides all public names below its own from its VPCs, so what is for everybody goes into both. What is
    private goes into a public zone only where no private one may hold it: a name for addresses that lead nowhere from
    outside is still better than none inside.
    """
    holding = [zone for zone in zones if is_below(name.removeprefix("*."), zone.name)]
    public = _most_specific(zone for zone in holding if not zone.private)
    private = _most_specific(zone for zone in holding if zone.private)
    if visibility == "everywhere":
        return sorted([*public, *private])
    return sorted(public if visibility == "public" else private or public)


def _most_specific(zones: Iterable[Zone]) -> list[Zone]:
    found = list(zones)
    longest = max((len(zone.name) for zone in found), default=0)
    return [zone for zone in found if len(zone.name) == longest]
