"""What comes of one request, and why: listener, virtual host, rule, backend, read off a Topology.

    outcome = answer(topology, Key("infra", "shared"), 443, Request("shop.example.com", "/cart", scheme="https"))
    print(outcome, *outcome.near_misses)

It says what a proxy that serves the Topology answers (tests/explain holds it against Envoy). A backend's own answer,
and whether the backend can be reached at all, it can't know.
"""

from __future__ import annotations

from collections.abc import Callable

from gatewright.explain.hosts import Place, accept, virtual_host
from gatewright.explain.matching import takes
from gatewright.explain.nearmisses import near_misses
from gatewright.explain.outcome import (
    Answered,
    Closed,
    NearMiss,
    Outcome,
    PassedOn,
    Redirected,
    Refused,
    Result,
    Sent,
    Split,
    describe,
)
from gatewright.explain.request import Request
from gatewright.explain.rules import asked, result_of
from gatewright.model.meta import Key
from gatewright.topology import HostKey, Listener, PortKey, Topology

__all__ = [
    "Answered",
    "Closed",
    "NearMiss",
    "Outcome",
    "PassedOn",
    "Redirected",
    "Refused",
    "Request",
    "Result",
    "Sent",
    "Split",
    "answer",
    "describe",
]


def answer(
    topology: Topology,
    gateway: Key,
    port: int,
    request: Request,
    *,
    opened: Callable[[int], int] = lambda port: port,
) -> Outcome:
    """What comes of `request` at a TCP port of a Gateway. `opened` gives the port that is really open for a port of it.

    Pure, and cheap where a rule takes the request: no other rules than those of its virtual host are looked at.
    """
    place = accept(topology, PortKey(gateway, port), request)
    if not isinstance(place, Place):
        return Outcome(place)
    listener = place.listeners[0]
    if listener.protocol in ("TLS", "TCP"):
        return _connection(topology, listener, place.host or HostKey(listener.key, listener.hostname))
    if (not request.path.startswith("/") and request.path != "*") or "#" in request.path:
        return Outcome(Answered(400, f"found {request.path!r}, expected a path that begins with / and has no #"))
    found = virtual_host(topology, place.listeners, request)
    if found is None:
        why = f"no route of the port takes Host {request.host}"
        misses = near_misses(topology, place.listeners, None, request)
        return Outcome(Answered(404, why), listener if len(place.listeners) == 1 else None, near_misses=misses)
    listener, host, misdirected = found
    if misdirected:
        why = f"Host {request.host} belongs to another listener than the server name chose, {listener.key.name}"
        return Outcome(Answered(421, why), listener, host)
    rules = (placement.rule for placement in topology.placements_by_host.lookup(host))
    rule = (
        None
        if request.method == "CONNECT" or request.path == "*"
        else next((rule for rule in rules if takes(rule, request)), None)
    )
    if rule is None:
        why = f"no rule for hostname {host.hostname} on listener {listener.key.name} matches {request.method} "
        misses = near_misses(topology, place.listeners, host, request)
        return Outcome(Answered(404, why + request.target), listener, host, near_misses=misses)

    def leads_to(number: int, hostname: str | None) -> int:
        return opened(number) if hostname is None or _serves(topology, gateway, hostname) else number

    result = result_of(topology, rule, request, listener, host, leads_to)
    return Outcome(result, listener, host, rule, asks=asked(topology, rule))


def _connection(topology: Topology, listener: Listener, host: HostKey) -> Outcome:
    """What comes of a connection that is passed on as it is, or after TLS."""
    placed = topology.streams_by_host.lookup(host)
    if not placed:
        why = f"no route is attached for {host.hostname} on listener {listener.key.name}"
        return Outcome(Closed(why), listener, host)
    stream = placed[0].stream
    shares = []
    for share in stream.backends:
        backend = topology.backends.get(share.backend) if share.backend else None
        members = topology.endpoints.get(share.backend) if share.backend else None
        usable = backend is not None and not backend.problem and members is not None and members.endpoints
        if share.weight > 0:
            shares.append((share.weight, share.backend if usable else None))
    if not any(backend for _, backend in shares):
        return Outcome(Closed(f"{describe(stream)} has no backend with a ready endpoint"), listener, host, None, stream)
    return Outcome(PassedOn(tuple(shares)), listener, host, None, stream)


def _serves(topology: Topology, gateway: Key, hostname: str) -> bool:
    """Whether a URL with this hostname leads back to the Gateway."""
    labels = hostname.split(".")[1:]
    names = {hostname, *("*." + ".".join(labels[at:]) for at in range(len(labels)))}
    return any(host.listener.gateway == gateway and host.hostname in names for host in topology.hosts)
