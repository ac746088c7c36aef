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


NO_SET = Key("", "")
"""Stands for the ListenerSet of a Gateway's own listeners."""


class ListenerKey(NamedTuple):
    """One listener that a Gateway serves: its own, or one that a ListenerSet adds."""

    gateway: Key
    name: str
    listener_set: Key = NO_SET


Transport: TypeAlias = Literal["TCP", "UDP"]


class PortKey(NamedTuple):
    """One port of one Gateway; all its listeners on that port share a socket."""

    gateway: Key
    port: int
    transport: Transport = "TCP"


Protocol: TypeAlias = Literal["HTTP", "HTTPS", "TLS", "TCP", "UDP"]


class ClientValidation(Struct, frozen=True):
    """Whose certificates clients have to show (GEP-91). `authorities` are PEM certificates, one after the other.

    `required` is False for AllowInsecureFallback: a client without a certificate, or with a bad one, gets in as well.
    `field` says where it is written, `port` for which port alone it is (0: for all that have no setting of their own).
    """

    authorities: bytes
    required: bool
    field: str = "spec.tls.frontend"
    port: int = 0


class Listener(Struct, frozen=True):
    """A valid listener: its port, the hostname that it is limited to, and how it treats TLS.

    `hostname` is "*" for any host, "*.example.com" for any subdomain (at any depth), or an exact name; lower case. It
    is compared with the Host on HTTP, with the server name of the TLS handshake on HTTPS and TLS; "*" on TCP and UDP.
    `certificates` are the Secrets to terminate TLS with, in the order of the listener: none on HTTP, TCP and UDP. A TLS
    listener without any passes the connection through as it is.
    """

    key: ListenerKey
    port: int
    protocol: Protocol
    hostname: str
    certificates: tuple[Key, ...]
    origin: Origin
    client_validation: ClientValidation | None = None
    terminates: bool = False
    """Whether TLS ends here, with `certificates` or such as are not the cluster's."""

    @property
    def port_key(self) -> PortKey:
        """The socket that the listener shares with others of its Gateway."""
        return PortKey(self.key.gateway, self.port, "UDP" if self.protocol == "UDP" else "TCP")


class Certificate(Struct, frozen=True):
    """A checked key pair: PEM, leaf first; the private key belongs to the leaf.

    Both are empty for who serves no TLS (`Inputs.reads_secrets`).
    """

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


CONNECTION_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""What is between two neighbours on a connection (RFC 9110 section 7.6.1), and what says how long a message is.

Nobody but the proxy may write them: they could say that a message ends where it doesn't, in the middle of what others
get on the same connection.
"""


class HeaderModifier(Struct, frozen=True, tag=True):
    """Set, add and remove headers of the request or of the response; (name, value) pairs in the order to apply.

    None of them is one of `CONNECTION_HEADERS`.
    """

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


Use: TypeAlias = Literal["http", "grpc", "stream", "passthrough"]
"""What is sent to a backend, which decides how to speak to it: requests; gRPC calls (HTTP/2 where the Service doesn't
say); bytes, within TLS where a BackendTLSPolicy says so; bytes as they are."""


class BackendKey(NamedTuple):
    """One port of one Service, and what it is used for: each use has connections of its own."""

    namespace: str
    service: str
    port: int
    transport: Transport = "TCP"
    use: Use = "http"

    def __str__(self) -> str:
        use = "udp" if self.transport == "UDP" else self.use
        return self.address + (f"/{use}" if use != "http" else "")

    @property
    def address(self) -> str:
        """The Service and its port: `namespace/service:port`."""
        return f"{self.namespace}/{self.service}:{self.port}"


class Mirror(Struct, frozen=True, tag=True):
    """Send a copy of `numerator` in `denominator` requests to a backend, and ignore its answers.

    `backend` is None where the reference is refused or leads nowhere: nothing is sent.
    """

    backend: BackendKey | None
    numerator: int = 1
    denominator: int = 1


class Cors(Struct, frozen=True, tag=True):
    """Answer preflight requests and mark answers for cross-origin use (Gateway API, HTTPCORSFilter).

    An origin is "*", `scheme://host[:port]`, or has a leftmost "*" that stands for any labels; "*" among methods and
    headers stands for all. `max_age` is in seconds.
    """

    allow_origins: tuple[str, ...]
    allow_methods: tuple[str, ...]
    allow_headers: tuple[str, ...]
    expose_headers: tuple[str, ...]
    allow_credentials: bool
    max_age: int


class ExternalAuth(Struct, frozen=True, tag=True):
    """Ask a service whether a request may pass (GEP-1494); where it can't be asked, the request doesn't.

    `path` goes before the request's path (HTTP only). `allowed_headers` (lower case) are the request headers that the
    service gets besides those that it always gets; empty is all with GRPC, none with HTTP. `allowed_response_headers`
    are those of its answer that go on to the backend; empty is all. `max_body` is the size in bytes up to which the
    service gets the body; 0 is not at all.
    """

    protocol: Literal["HTTP", "GRPC"]
    backend: BackendKey
    path: str = ""
    allowed_headers: tuple[str, ...] = ()
    allowed_response_headers: tuple[str, ...] = ()
    max_body: int = 0


class Extension(Struct, frozen=True, tag=True):
    """A filter of a kind that only one implementation knows (HTTPRouteFilter.extensionRef), which its target looks up.

    `field` is where the route names it.
    """

    kind: str
    key: Key
    field: str = ""


Filter: TypeAlias = HeaderModifier | Redirect | Rewrite | Mirror | Cors | ExternalAuth | Extension


class Retry(Struct, frozen=True):
    """Try again when a backend can't be reached, or answers one of `codes` (GEP-1731).

    `attempts` are the tries after the first; `backoff` is the least pause between two, in seconds; None is the target's
    default.
    """

    codes: tuple[int, ...]
    attempts: int | None = None
    backoff: float | None = None


class Session(Struct, frozen=True):
    """Keep a client on the endpoint that answered it first (GEP-1619).

    `name` is the cookie's or header's. `lifetime` is that of a cookie in seconds; None is the browser's session.
    `path` limits a cookie to what the rule matches.
    """

    type: Literal["Cookie", "Header"]
    name: str
    lifetime: float | None = None
    path: str = "/"


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
    retry: Retry | None = None
    session: Session | None = None
    name: str = ""
    """The rule's own name in its route, if it has one."""

    @property
    def targets(self) -> set[BackendKey]:
        """Every backend that requests, copies of them or questions about them go to."""
        shares = {share.backend for share in self.backends if share.backend}
        filters = [*self.filters, *(item for share in self.backends for item in share.filters)]
        return shares | {item.backend for item in filters if isinstance(item, Mirror | ExternalAuth) and item.backend}


class Stream(Struct, frozen=True):
    """What happens to the connections (UDP: sessions) that a TLSRoute, TCPRoute or UDPRoute gets.

    `precedence` sorts the streams of one host: the smallest gets all of them. With no backend, a weight sum of 0 or a
    share without a backend, that share of the connections is closed.
    """

    key: RuleKey
    precedence: tuple[int | str, ...]
    backends: tuple[WeightedBackend, ...]
    origin: Origin

    @property
    def targets(self) -> set[BackendKey]:
        """Every backend that connections go to."""
        return {share.backend for share in self.backends if share.backend}


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


class StreamPlacement(Struct, frozen=True):
    """A stream's place: a listener of protocol TLS and the server name there, or one of TCP or UDP and "*"."""

    host: HostKey
    stream: Stream


# --- backends --------------------------------------------------------------------------------------------------------


class SubjectName(NamedTuple):
    """A subject alternative name. A host name may begin with the wildcard label "*"."""

    type: Literal["Hostname", "URI"]
    value: str


class BackendTLS(Struct, frozen=True):
    """How to speak TLS to a backend (Gateway API, BackendTLSPolicy).

    `server_name` goes into the handshake. The certificate must come from one of `authorities` (PEM, one after the
    other; None: those that the system trusts) and have one of `names`. `origin` is the policy; its version holds those
    of the ConfigMaps, too.
    """

    server_name: str
    names: tuple[SubjectName, ...]
    authorities: bytes | None
    origin: Origin


class Backend(Struct, frozen=True):
    """What rules and streams forward to. `app_protocol` is how to speak to it, within TLS where `tls` says so; "tcp" is
    bytes (on UDP: datagrams), where TLS offers no ALPN. `unverified_tls`: within TLS, though nobody says whom to trust.

    `problem` says why it must not be spoken to at all: requests to it get 500, connections are closed.
    """

    key: BackendKey
    app_protocol: Literal["http", "h2c", "ws", "tcp"]
    tls: BackendTLS | None = None
    problem: str = ""
    unverified_tls: bool = False


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


class Verdict(Struct, frozen=True):
    """What an implementation says of an object of its own kind that Gateways or routes name: it can be used, unless
    there is a `problem`.
    """

    problem: str = ""


class Refusal(Struct, frozen=True):
    """Why a target leaves the rule number `rule` of a route out, on one Gateway; of no rule (None) what it is served
    without, as a remark. The message names the field, what was found, the reason and what to use instead.

    Like a rejection it is in force while the route has this `version`.
    """

    version: str
    rule: int | None
    message: str
    reason: str = "UnsupportedValue"


class RefusalKey(NamedTuple):
    """A route on a Gateway."""

    kind: str
    route: Key
    gateway: Key


class PortState(Struct, frozen=True):
    """Whether a Gateway's port is served: `message` says why not, or why it isn't served as it should be."""

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
    misdirected: Collection[HostKey, HostKey]
    """Hosts of HTTPS listeners that belong to another listener of the port: requests for them, on a connection whose
    server name chose this one, get 421 (RFC 9110 section 15.5.20)."""
    placements: Collection[tuple[HostKey, RuleKey], Placement]
    placements_by_host: Index[HostKey, tuple[HostKey, RuleKey], Placement]
    """In order of precedence."""
    streams: Collection[tuple[HostKey, RuleKey], StreamPlacement]
    streams_by_host: Index[HostKey, tuple[HostKey, RuleKey], StreamPlacement]
    """In order of precedence."""
    client_certificates: Collection[Key, Key]
    """By Gateway: the Secret of the certificate that it shows to backends that it speaks TLS with."""
    backends: Collection[BackendKey, Backend]
    """Each backend that a placed rule refers to and that exists."""
    endpoints: Collection[BackendKey, Endpoints]
    """For each backend, its endpoints; changes when pods come and go while `backends` stays."""
