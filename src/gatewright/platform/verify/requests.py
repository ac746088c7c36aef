"""The requests that show whether routes answer: one for each match of each HTTPRoute. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote

from msgspec import Struct, structs

from gatewright.model.meta import Key
from gatewright.resolve import Resolution
from gatewright.resolve.hostnames import covers
from gatewright.topology import ExternalAuth, HostKey, Match, Redirect, Rule, RuleKey

SAFE = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing (RFC 9110 section 9.2.1), and are sent therefore."""

LABEL = "any"
"""Stands where a name has a wildcard."""


class Request(Struct, frozen=True):
    """What is sent to one match of a route, at one name. `why_not` says why nothing is; else it is empty.

    `target` is path and query. `redirected` says that the route answers with a redirect, `guarded` that it asks who the
    client is, so that a refusal is right. `protocols` are those of the Gateway's listeners that have it.
    """

    gateway: Key
    rule: RuleKey
    host: str
    target: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    protocols: frozenset[str] = frozenset()
    redirected: bool = False
    guarded: bool = False
    why_not: str = ""

    @property
    def route(self) -> str:
        """The route and the place of the match in it."""
        return f"{self.rule.kind} {self.rule.route} rule {self.rule.rule + 1} match {self.rule.match + 1}"


def requests(resolution: Resolution, names: Sequence[str]) -> list[Request]:
    """One for each match at each name, in the order of the routes. `names` are those that clients use, the first one
    where a route takes any.
    """
    topology = resolution.topology
    found: dict[tuple[Key, str, RuleKey], Request] = {}
    for host in sorted(topology.hosts):
        listener = topology.listeners.get(host.listener)
        if listener is None or listener.protocol not in ("HTTP", "HTTPS"):
            continue
        for placement in topology.placements_by_host.lookup(host):
            rule = placement.rule
            if rule.key.kind not in ("HTTPRoute", "Ingress"):
                continue
            key = (host.listener.gateway, host.hostname, rule.key)
            known = found.get(key) or _request(host, rule, names)
            found[key] = _with_protocol(known, listener.protocol)
    return sorted(found.values(), key=lambda each: (each.gateway, each.rule, each.host))


def _with_protocol(request: Request, protocol: str) -> Request:
    return structs.replace(request, protocols=request.protocols | {protocol})


def _request(host: HostKey, rule: Rule, names: Sequence[str]) -> Request:
    match = rule.match
    query = "&".join(f"{quote(each.name)}={quote(each.value)}" for each in match.query_params)
    path = quote(match.path.value, safe="/%:@!$&'()*+,;=~-._")
    return Request(
        gateway=host.listener.gateway,
        rule=rule.key,
        host=name_for(host.hostname, names),
        target=path + (f"?{query}" if query else ""),
        method=match.method or "GET",
        headers=tuple((header.name, header.value) for header in match.headers),
        redirected=any(isinstance(each, Redirect) for each in rule.filters),
        guarded=any(isinstance(each, ExternalAuth) for each in rule.filters),
        why_not="; ".join(_obstacles(match)),
    )


def _obstacles(match: Match) -> Iterator[str]:
    if match.method not in (None, *SAFE):
        yield f"{match.method} might change something"
    if match.path.type == "RegularExpression":
        yield f"no request follows from the regular expression {match.path.value!r}"
    for part in (*match.headers, *match.query_params):
        if part.type == "RegularExpression":
            yield f"no request follows from the regular expression {part.value!r} of {part.name}"


def name_for(hostname: str, names: Iterable[str]) -> str:
    """A name that clients use and that a hostname of a route covers; empty where it takes any and none is known."""
    for name in names:
        concrete = concrete_name(name)
        if covers(hostname, concrete):
            return concrete
    return "" if hostname == "*" else concrete_name(hostname)


def concrete_name(name: str) -> str:
    """A name with a label in the place of its wildcard."""
    return f"{LABEL}.{name.removeprefix('*.')}" if name.startswith("*.") else name
