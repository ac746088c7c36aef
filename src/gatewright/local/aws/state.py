"""What the emulated load balancers are made of: the ELBv2 API's state as immutable values in sources of a flow.

One part reads it out of the API (`reader`); every other part derives what it does from it: listeners, routes, clusters,
health checks. So whoever changes the API's state, by whatever client, changes the traffic.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from gatewright.flow import Flow, Source

Transport = Literal["TCP", "UDP"]


class Node(Struct, frozen=True):
    """One node of a load balancer: its network interface in one zone. It listens on `address` only."""

    zone: str
    """Name of the availability zone, as `us-east-1a`."""
    subnet: str
    address: str
    """The private IPv4 address."""


class LoadBalancer(Struct, frozen=True):
    """An ALB (`type` application) or NLB (network). `attributes` is complete: defaults are filled in."""

    arn: str
    name: str
    type: str
    scheme: str
    dns_name: str
    nodes: tuple[Node, ...]
    attributes: dict[str, str]

    @property
    def id(self) -> str:
        """`app/name/0123456789abcdef`, as access logs and ARNs of listeners have it."""
        return self.arn.partition(":loadbalancer/")[2]


class Forward(Struct, frozen=True, tag_field="action", tag="forward"):
    """ForwardConfig. `groups`: ARN of a target group and its weight (0 to 999); `sticky_seconds`: group stickiness."""

    groups: tuple[tuple[str, int], ...]
    sticky_seconds: int | None = None


class Redirect(Struct, frozen=True, tag_field="action", tag="redirect"):
    """RedirectConfig; every part may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}`, `#{query}`."""

    status: Literal[301, 302]
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


class FixedResponse(Struct, frozen=True, tag_field="action", tag="fixed-response"):
    """FixedResponseConfig."""

    status: int
    content_type: str = ""
    body: str = ""


class Refused(Struct, frozen=True, tag_field="action", tag="refused"):
    """An action that the API takes and the emulated load balancer can't do; such a request is answered 500.

    `type` is ELBv2's name of it, as `authenticate-oidc`.
    """

    type: str


Action = Forward | Redirect | FixedResponse | Refused


class Condition(Struct, frozen=True):
    """A RuleCondition: holds if any of `values` or of `regexes` matches. `name` is the header's, for `http-header`.

    `pairs` (key or "", value) are those of `query-string`. Wildcards `*` and `?` of values are as the user wrote them.
    """

    field: Literal["host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip"]
    values: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()
    name: str = ""
    pairs: tuple[tuple[str, str], ...] = ()


class Transform(Struct, frozen=True):
    """A RuleTransform with its one rewrite: `regex` is replaced by `replace`, which may refer to groups as `$1`."""

    type: Literal["url-rewrite", "host-header-rewrite"]
    regex: str
    replace: str


class Rule(Struct, frozen=True):
    """A rule of an ALB's listener. `priority` None is the default one, which has no conditions."""

    arn: str
    listener: str
    priority: int | None
    conditions: tuple[Condition, ...]
    action: Action
    transforms: tuple[Transform, ...] = ()


class Listener(Struct, frozen=True):
    """A listener. `certificates` are ARNs, the default one first. An NLB's `action` is its only rule.

    `attributes` is complete: defaults are filled in.
    """

    arn: str
    load_balancer: str
    protocol: Literal["HTTP", "HTTPS", "TCP", "TLS", "UDP", "TCP_UDP", "QUIC", "TCP_QUIC"]
    port: int
    action: Action
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""
    mutual_tls: Literal["off", "passthrough", "verify"] = "off"
    authorities: bytes = b""
    """PEM: of whom one has to have issued a client's certificate, with `verify`."""
    takes_expired: bool = False
    """Whether clients' certificates that have expired are good, too."""
    attributes: dict[str, str] = {}


class HealthCheck(Struct, frozen=True):
    """A target group's health check; times in seconds. `port` is a number or `traffic-port`.

    `matcher` is the codes as `describe-target-groups` shows them: `200,202`, `200-299`, or gRPC codes `0-99`.
    """

    enabled: bool
    protocol: str
    port: str
    path: str
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    matcher: str


class TargetGroup(Struct, frozen=True):
    """A target group. `attributes` is complete: defaults are filled in."""

    arn: str
    name: str
    target_type: Literal["instance", "ip", "lambda", "alb"]
    protocol: str
    port: int
    protocol_version: Literal["HTTP1", "HTTP2", "GRPC", ""]
    health_check: HealthCheck
    attributes: dict[str, str]


class TargetKey(NamedTuple):
    """A target as it was registered: an instance's id, an IP address, or an ALB's ARN, and a port."""

    group: str
    id: str
    port: int


class Target(Struct, frozen=True):
    """A registered target, or one that drains.

    `addresses` are where it is: its IP address, its instance's private one, or those of an ALB's nodes; empty where
    there is none (an instance that doesn't run). `zone` is empty for one outside of the VPC, which is in every zone.
    `draining_until` is in seconds of `time.monotonic()` of the process that emulates AWS; None while it is registered.
    """

    key: TargetKey
    addresses: tuple[str, ...]
    zone: str
    registered_at: float
    draining_until: float | None = None


class TargetHealth(Struct, frozen=True):
    """What DescribeTargetHealth says of a target: `reason` is AWS's code, empty for a healthy one."""

    state: Literal["initial", "healthy", "unhealthy", "unused", "draining", "unavailable"]
    reason: str = ""
    description: str = ""


class Certificate(Struct, frozen=True):
    """A certificate of ACM or IAM with its private key. `names` are its common name and alternative names."""

    arn: str
    chain: bytes
    key: bytes
    names: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Certificate({self.arn!r}, names={self.names!r})"


class Socket(NamedTuple):
    """Where a node of a load balancer listens, as the API knows it."""

    address: str
    port: int
    transport: Transport


class Bound(NamedTuple):
    """Where it listens really; differs from its `Socket` where the system doesn't let us have the port or address."""

    address: str
    port: int


class WebAclDocument(Struct, frozen=True):
    """A web ACL of WAFv2, and the sets that its rules refer to, as the API's JSON (Get* operations' answers)."""

    arn: str
    web_acl: bytes
    """JSON of `WebACL`, as GetWebACL answers it."""
    ip_sets: dict[str, tuple[str, ...]]
    """By ARN: the addresses of an IPSet, as CIDR blocks."""
    regex_sets: dict[str, tuple[str, ...]]
    """By ARN: the regular expressions of a RegexPatternSet."""


class RecordSet(Struct, frozen=True):
    """A record set of Route 53. `name` is in lower case, without escapes and without the dot at its end.

    `values` are as in a zone file; `alias` is the name that it stands for instead. One of several of a name and type
    has a `set_identifier`; by `weight` (None: another routing policy) one of them is chosen. `preferred`: it is the
    first choice, as the primary one of a failover policy; `together`: it is answered with the others (multivalue).
    """

    name: str
    type: str
    ttl: int = 0
    values: tuple[str, ...] = ()
    alias: str = ""
    set_identifier: str = ""
    weight: int | None = None
    preferred: bool = False
    together: bool = False


class HostedZone(Struct, frozen=True):
    """A hosted zone of Route 53; its `name` is as a record's."""

    id: str
    name: str
    private: bool
    records: tuple[RecordSet, ...]


class CloudState:
    """The sources. Written by: `reader` (all but the last three), the data plane and the health checks."""

    def __init__(self, flow: Flow | None = None) -> None:
        self.flow = flow or Flow()
        source = self.flow.source
        self.load_balancers: Source[str, LoadBalancer] = source("load balancers")
        self.listeners: Source[str, Listener] = source("listeners of load balancers")
        self.rules: Source[str, Rule] = source("rules of load balancers")
        self.target_groups: Source[str, TargetGroup] = source("target groups")
        self.targets: Source[TargetKey, Target] = source("targets")
        self.certificates: Source[str, Certificate] = source("certificates of ACM")
        self.web_acls: Source[str, WebAclDocument] = source("web ACLs")
        self.associations: Source[str, str] = source("web ACLs by load balancer")
        """By ARN of an ALB: the ARN of its web ACL."""
        self.hosted_zones: Source[str, HostedZone] = source("hosted zones of Route 53")
        self.health: Source[TargetKey, TargetHealth] = source("health of targets")
        """Written by the health checks; of every target."""
        self.sockets: Source[Socket, Bound] = source("sockets of load balancers")
        """Written by the data plane: where each node really listens."""
        self.served: Source[str, bool] = source("served listeners")
        """Written by the data plane: by ARN, whether Envoy serves a listener as it is; False where it was refused."""
