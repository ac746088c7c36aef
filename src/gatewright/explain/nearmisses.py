"""The rules that nearly took a request that none took: what a person would look for first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatewright.explain.matching import mismatches, path_matches
from gatewright.explain.outcome import NearMiss
from gatewright.explain.request import Request
from gatewright.topology import HostKey, Listener, Placement, RuleKey, Topology

_MOST = 10


def near_misses(
    topology: Topology, listeners: Iterable[Listener], host: HostKey | None, request: Request
) -> tuple[NearMiss, ...]:
    """Rules on the listeners of the port whose path matches, the nearest first: those that lack one thing only."""
    members = {listener.key for listener in listeners}
    hostnames: dict[RuleKey, set[str]] = {}
    found: dict[RuleKey, tuple[int, Placement, list[str]]] = {}
    for placement in topology.placements.values():
        rule = placement.rule
        if placement.host.listener not in members or not path_matches(rule.match.path, request):
            continue
        hostnames.setdefault(rule.key, set()).add(placement.host.hostname)
        reasons = list(mismatches(rule.match, request))
        elsewhere = placement.host != host
        distance = len(reasons) + elsewhere
        if rule.key not in found or distance < found[rule.key][0]:
            found[rule.key] = (distance, placement, reasons)
    nearest = sorted(found.values(), key=lambda each: (each[0], each[1].rule.precedence, each[1].rule.key))[:_MOST]
    return tuple(_miss(each, hostnames[each[1].rule.key], host) for each in nearest)


def _miss(found: tuple[int, Placement, list[str]], hostnames: set[str], host: HostKey | None) -> NearMiss:
    _, placement, reasons = found
    return NearMiss(placement.rule, placement.host, "; ".join(_reasons(placement, reasons, hostnames, host)))


def _reasons(placement: Placement, reasons: list[str], hostnames: set[str], host: HostKey | None) -> Iterator[str]:
    if placement.host != host:
        yield f"matches the path but is limited to hostnames {', '.join(sorted(hostnames))}"
        yield from reasons
        return
    yield "matches the path but " + " and ".join(reasons)
