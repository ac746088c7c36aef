"""Hostnames: "*" (any), "*.example.com" (one or more labels under example.com), or an exact name; all lower case.

Gateway API, Listener.hostname and HTTPRouteSpec.hostnames.
"""

from __future__ import annotations

from collections.abc import Iterable

ANY = "*"


def is_address(hostname: str) -> bool:
    """Whether it stands for IP addresses, which a hostname must not (Gateway API, Hostname).

    That is so where the last label is a number, as it is for URLs: a route for 10.0.0.1 or *.0.0.1 would take every
    request that names no host.
    """
    return hostname.rpartition(".")[2].isdigit()


def covers(wide: str, narrow: str) -> bool:
    """Whether every name that `narrow` stands for is also one of `wide`'s."""
    if wide in (ANY, narrow):
        return True
    # The wildcard takes any number of labels, but not none: "*.example.com" leaves out "example.com".
    return wide.startswith("*.") and narrow.endswith(wide[1:]) and narrow != wide[2:]


def ancestors(hostname: str) -> list[str]:
    """The other hostnames that cover it, from the most to the least specific; the last is "*"."""
    found = []
    rest = hostname.removeprefix("*.")
    while hostname != ANY:
        _, dot, rest = rest.partition(".")
        found.append(f"*.{rest}" if dot else ANY)
        if not dot:
            break
    return found


def intersection(one: str, other: str) -> str | None:
    """The hostname that stands for the names of both, or None where they have none in common."""
    if covers(one, other):
        return other
    return one if covers(other, one) else None


def intersections(listener: str, hostnames: Iterable[str]) -> tuple[str, ...]:
    """What a route limited to `hostnames` (none: unlimited) serves on a listener, in the route's order, each once.

    Those that are no names but IP addresses are left out.
    """
    names = tuple(hostnames) or (ANY,)
    found = (intersection(listener, name) for name in names if not is_address(name))
    return tuple(dict.fromkeys(name for name in found if name is not None))


def specificity(hostname: str) -> tuple[bool, int]:
    """Sorts from the least to the most specific: any, wildcards by their number of labels, exact names."""
    if hostname == ANY:
        return (False, 0)
    return (not hostname.startswith("*."), hostname.count("."))


def takers(hostname: str, listener: str) -> list[str]:
    """The hostnames of listeners that would take all of `hostname` from a less specific `listener`.

    This is listener isolation: a request belongs to the listener with the most specific matching hostname alone
    (Gateway API, GatewaySpec.listeners).
    """
    own = specificity(listener)
    return [name for name in (hostname, *ancestors(hostname)) if specificity(name) > own]
