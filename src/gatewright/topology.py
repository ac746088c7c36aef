"""The provider-neutral picture of an edge: what every target translates and every explanation reads.

`resolve` computes it from Kubernetes objects; after that no code asks a Gateway API question again. It is a bundle of
derived collections, so a target that derives from them is incremental too. Values are immutable; each carries the
object and field that it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from gatewright.flow import Collection, Index
from gatewright.model.meta import Key


class Origin(Struct, frozen=True):
    """The object that something was computed from, and the field in it.

    `version` changes whenever the object's content does: its generation, or its resourceVersion where the API server
    counts no generations (Secrets).
    """

    kind: str
    key: Key
    version: str
    field: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


# --- listeners -------------------------------------------------------------------------------------------------------


class ListenerKey(NamedTuple):
    """One listener of one Gateway."""

    gateway: Key
    name: str


class PortKey(NamedTuple):
    """One port of one Gateway; all its listeners on that port share a socket."""

    gateway: Key
    port: int


Protocol: TypeAlias = Literal["HTTP", "HTTPS"]


class Listener(Struct, frozen=True):
    """A valid listener: its port, the hostname that it is limited to, and how it terminates TLS.

    `hostname` is "*" for any host, "*.example.com" for any subdomain (at any depth), or an exact name; lower case.
    `certificates` are the Secrets to serve, in the order of the Gateway; empty unless the protocol is HTTPS.
    """

    key: ListenerKey
    port: int
    protocol: Protocol
    hostname: str
    certificates: tuple[Key, ...]
    origin: Origin

    @property
    def port_key(self) -> PortKey:
        """The socket that the listener shares with others of its Gateway."""
        return PortKey(self.key.gateway, self.port)


class Certificate(Struct, frozen=True):
    """A checked key pair: PEM, leaf first; the private key belongs to the leaf."""

    key: Key
    chain: bytes
    private_key: bytes
    origin: Origin

    def __repr__(self) -> str:
        return f"Certificate({self.key})"  # the private key must not reach a log


# --- rules -----------------------------------------------------------------------------------------------------------


class PathMatch(Struct, frozen=True):
    """`PathPrefix` values match whole path elements; a trailing slash is ignored unless the value is "/"."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"]
    value: str


class ValueMatch(Struct, frozen=True):
    """A header's (name in lower case) or query parameter's value, compared exactly or by RE2 full match."""

    name: str
    type: Literal["Exact", "RegularExpression"]
    value: str


class Match(Struct, frozen=True):
    """All parts must hold. `method` is None for any."""

    path: PathMatch
    method: str | None = None
    headers: tuple[ValueMatch, ...] = ()
    query_params: tuple[ValueMatch, ...] = ()


class HeaderModifier(Struct, frozen=True, tag=True):
    """Set, add and remove headers of the request or of the response; (name, value) pairs in the order to apply."""

    on: Literal["request", "response"]
    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class PathModifier(Struct, frozen=True):
    """`ReplacePrefixMatch` replaces the prefix that the rule's PathPrefix match matched."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    value: str


class Redirect(Struct, frozen=True, tag=True):
    """Answer with a redirect. What is None stays as in the request.

    A None `port` means the listener's own, which the target knows; a route that names only a scheme has got that
    scheme's well-known port here.
    """

    status_code: int
    scheme: str | None = None
    hostname: str | None = None
    port: int | None = None
    path: PathModifier | None = None


class Rewrite(Struct, frozen=True, tag=True):
    """Change the Host header or the path before forwarding."""

    hostname: str | None = None
    path: PathModifier | None = None


Filter: TypeAlias = HeaderModifier | Redirect | Rewrite


class BackendKey(NamedTuple):
    """One port of one Service."""

    namespace: str
    service: str
    port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service}:{self.port}"


class WeightedBackend(Struct, frozen=True):
    """A share of a rule's traffic. `backend` is None where the reference is refused or leads nowhere: answer 500."""

    backend: BackendKey | None
    weight: int
    filters: tuple[Filter, ...] = ()


class RuleKey(NamedTuple):
    """One match of one rule of one route, by their positions."""

    kind: str
    route: Key
    rule: int
    match: int


class Rule(Struct, frozen=True):
    """One match and what happens to a request that it wins.

    `precedence` sorts rules of one virtual host: the smallest matching one wins (Gateway API, HTTPRouteRule.matches).
    Without a redirect, and with no backend or a weight sum of 0, the answer is 500. Timeouts are in seconds; None is
    the target's default, 0 is none at all.
    """

    key: RuleKey
    precedence: tuple[int | str, ...]
    match: Match
    filters: tuple[Filter, ...]
    backends: tuple[WeightedBackend, ...]
    origin: Origin
    request_timeout: float | None = None
    backend_request_timeout: float | None = None


class HostKey(NamedTuple):
    """A virtual host: a hostname ("*", "*.example.com" or exact) on one listener.

    On one port no hostname belongs to two listeners that share a routing table (all HTTP ones; each HTTPS listener has
    its own): a request goes to the listener with the most specific hostname, and only to the rules attached there.
    """

    listener: ListenerKey
    hostname: str


class Placement(Struct, frozen=True):
    """A rule's place in a virtual host."""

    host: HostKey
    rule: Rule


# --- backends --------------------------------------------------------------------------------------------------------


class Backend(Struct, frozen=True):
    """What rules forward to. `app_protocol` is how to speak to it."""

    key: BackendKey
    app_protocol: Literal["http", "h2c", "ws"]


class Endpoint(Struct, frozen=True, order=True):
    """One address that serves a backend. A draining one gets nothing new unless no other is left."""

    address: str
    port: int
    draining: bool = False


class Endpoints(Struct, frozen=True):
    """A backend's endpoints, sorted."""

    key: BackendKey
    endpoints: tuple[Endpoint, ...]


# --- feedback from the data plane ------------------------------------------------------------------------------------


class Rejection(Struct, frozen=True):
    """A target's refusal of what an object asks for: stays in force while the object has this `version`."""

    version: str
    message: str


class PortState(Struct, frozen=True):
    """Whether a Gateway's port is served: `message` says why not."""

    serving: bool
    message: str = ""


@dataclass(frozen=True)
class Topology:
    """The edge, as derived collections."""

    listeners: Collection[ListenerKey, Listener]
    certificates: Collection[Key, Certificate]
    """The key pairs that listeners refer to, and may."""
    hosts: Collection[HostKey, HostKey]
    """Every virtual host; one without placements answers 404 and shadows less specific ones."""
    placements: Collection[tuple[HostKey, RuleKey], Placement]
    placements_by_host: Index[HostKey, tuple[HostKey, RuleKey], Placement]
    """In order of precedence."""
    backends: Collection[BackendKey, Backend]
    """Each backend that a placed rule refers to and that exists."""
    endpoints: Collection[BackendKey, Endpoints]
    """For each backend, its endpoints; changes when pods come and go while `backends` stays."""
