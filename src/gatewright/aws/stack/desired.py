"""What a load balancer is to be, with everything that is made for it (pure values).

Things refer to each other by resource IDs: texts that are unique in a stack and the same on every run, which a tag
carries in AWS, so that what was made is found again. A value that starts with `arn:` is one that exists already.
"""

from __future__ import annotations

import hashlib
from typing import Literal, TypeAlias

from msgspec import Struct, field

from gatewright.aws.views import HealthCheck, Target
from gatewright.model.meta import Key
from gatewright.topology import Origin

# --- rules -----------------------------------------------------------------------------------------------------------

ConditionField: TypeAlias = Literal[
    "host-header", "path-pattern", "http-header", "http-request-method", "query-string", "source-ip"
]


class RuleCondition(Struct, frozen=True):
    """One condition of a rule; any of its values will do (ELBv2 API, RuleCondition).

    `name` is the header's on http-header. `values` may have the wildcards * and ?; `regex_values` go instead of them
    (host-header, path-pattern and http-header only). `pairs` are the (key, value) of query-string; an empty key is any.
    """

    field: ConditionField
    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()
    name: str = ""
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """How many values it counts towards the quota of condition values a rule."""
        return len(self.values) + len(self.regex_values) + len(self.pairs)


class Share(Struct, frozen=True):
    """A target group, by resource ID or ARN, and its weight from 0 to 999."""

    target_group: str
    weight: int = 1


class Forward(Struct, frozen=True, tag="forward"):
    """Forward to target groups by weight. `stickiness` is how long a client stays with one of them, in seconds."""

    shares: tuple[Share, ...]
    stickiness: int | None = None


class RedirectTo(Struct, frozen=True, tag="redirect"):
    """Redirect. Parts may use #{protocol}, #{host}, #{port}, #{path} and #{query} (ELBv2 API, RedirectActionConfig)."""

    status_code: Literal["HTTP_301", "HTTP_302"]
    protocol: str = "#{protocol}"
    host: str = "#{host}"
    port: str = "#{port}"
    path: str = "/#{path}"
    query: str = "#{query}"


class Respond(Struct, frozen=True, tag="fixed-response"):
    """Answer at once: a status of 2XX, 4XX or 5XX, and a body of at most 1,024 characters."""

    status_code: str
    content_type: str = "text/plain"
    body: str = ""


class ClientSecret(Struct, frozen=True):
    """The OIDC client's ID and secret, read from a Secret. `digest` tells of a change; `value` reaches no log."""

    secret: Key
    client_id: str
    digest: str
    value: str = ""

    @classmethod
    def of(cls, secret: Key, client_id: str, value: str) -> ClientSecret:
        """With the digest of these."""
        return cls(secret, client_id, hashlib.sha256(f"{client_id}\0{value}".encode()).hexdigest(), value)

    def __repr__(self) -> str:
        return f"ClientSecret({self.secret})"


class AuthenticateOidc(Struct, frozen=True, tag="authenticate-oidc"):
    """Let in who an OpenID provider knows (ELBv2 API, AuthenticateOidcActionConfig); HTTPS only."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client: ClientSecret
    scope: str = "openid"
    session_cookie: str = "AWSELBAuthSessionCookie"
    session_timeout: int = 604800
    on_unauthenticated: Literal["deny", "allow", "authenticate"] = "authenticate"
    extra_parameters: dict[str, str] = field(default_factory=dict)
    keep_client_secret: bool = False


class AuthenticateCognito(Struct, frozen=True, tag="authenticate-cognito"):
    """Let in who a Cognito user pool knows (ELBv2 API, AuthenticateCognitoActionConfig); HTTPS only."""

    user_pool: str
    client_id: str
    domain: str
    scope: str = "openid"
    session_cookie: str = "AWSELBAuthSessionCookie"
    session_timeout: int = 604800
    on_unauthenticated: Literal["deny", "allow", "authenticate"] = "authenticate"
    extra_parameters: dict[str, str] = field(default_factory=dict)


class Claim(Struct, frozen=True):
    """A claim that a token has to have."""

    name: str
    format: Literal["single-string", "string-array", "space-separated-values"]
    values: tuple[str, ...]


class ValidateJwt(Struct, frozen=True, tag="jwt-validation"):
    """Let in requests with a token that an issuer signed (ELBv2 API, JwtValidationActionConfig); HTTPS only."""

    issuer: str
    jwks_endpoint: str
    claims: tuple[Claim, ...] = ()


Authentication: TypeAlias = AuthenticateOidc | AuthenticateCognito | ValidateJwt
Action: TypeAlias = Authentication | Forward | RedirectTo | Respond


class Transform(Struct, frozen=True):
    """Rewrite what is forwarded: `regex` is searched in the host, or in path and query (ELBv2 API, RuleTransform)."""

    type: Literal["host-header-rewrite", "url-rewrite"]
    regex: str
    replace: str


class DesiredRule(Struct, frozen=True):
    """A rule of a listener. Its place in the listener's `rules` is its precedence; priorities are the planner's.

    `origins` are the routes' matches that it comes from: they decide nothing about what AWS gets.
    """

    conditions: tuple[RuleCondition, ...]
    actions: tuple[Action, ...]
    transforms: tuple[Transform, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    origins: tuple[Origin, ...] = ()


# --- the rest of a load balancer -------------------------------------------------------------------------------------


class SubnetMapping(Struct, frozen=True):
    """One subnet of a load balancer, with the addresses that it is to have there, if any."""

    subnet: str
    private_address: str = ""
    allocation: str = ""
    ipv6_address: str = ""
    source_nat_prefix: str = ""


class SecurityRule(Struct, frozen=True, order=True):
    """One permission of a security group. Exactly one of the sources is set. Ports are 0 and 65535 for all of them.

    `protocol` is `tcp`, `udp`, `icmp`, `icmpv6` or `-1`.
    """

    protocol: str
    from_port: int
    to_port: int
    cidr: str = ""
    cidr_ipv6: str = ""
    prefix_list: str = ""
    security_group: str = ""
    description: str = ""


class DesiredSecurityGroup(Struct, frozen=True):
    """A security group that is made for the load balancer, with exactly these permissions to come in."""

    resource: str
    name: str
    description: str
    vpc: str
    ingress: tuple[SecurityRule, ...]
    tags: dict[str, str] = field(default_factory=dict)


class DesiredCertificate(Struct, frozen=True):
    """A certificate to import into ACM from a Secret. `fingerprint`: SHA-256 of the chain, hex, by which it is known.

    `chain` is PEM, leaf first. The private key reaches no log, no tag and no plan.
    """

    resource: str
    secret: Key
    fingerprint: str
    chain: bytes
    private_key: bytes
    tags: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"DesiredCertificate({self.secret}, {self.fingerprint})"


class DesiredTrustStore(Struct, frozen=True):
    """Whose certificates clients have to show. AWS reads them from S3: `bundle`, PEM, is put at `key` of `bucket`.

    `fingerprint`: SHA-256 of the certificates, hex, by which a change is seen.
    """

    resource: str
    name: str
    fingerprint: str
    bundle: bytes
    bucket: str
    key: str
    tags: dict[str, str] = field(default_factory=dict)


class DesiredMutualAuthentication(Struct, frozen=True):
    """ELBv2 API, MutualAuthenticationAttributes. `trust_store` is a resource ID or an ARN."""

    mode: Literal["off", "passthrough", "verify"]
    trust_store: str = ""
    ignore_expiry: bool = False
    advertise_ca_names: bool = False


class DesiredListener(Struct, frozen=True):
    """A listener. Of `certificates`, resource IDs or ARNs, the first is the default one. `default` are its default
    actions: an authentication if there is one, and what is done then.

    NLB listeners have no rules. Attributes that aren't named stay as they are.
    """

    protocol: Literal["HTTP", "HTTPS", "TCP", "UDP", "TCP_UDP", "TLS"]
    port: int
    default: tuple[Action, ...]
    rules: tuple[DesiredRule, ...] = ()
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""
    mutual_authentication: DesiredMutualAuthentication | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class DesiredTargetGroup(Struct, frozen=True):
    """A target group by its resource ID. Attributes that aren't named stay as they are.

    `keep_others`: targets of other clusters are registered there, too (TargetGroupConfiguration.enableMultiCluster).
    """

    resource: str
    name: str
    protocol: Literal["HTTP", "HTTPS", "TCP", "UDP", "TCP_UDP", "TLS"]
    port: int
    vpc: str
    target_type: Literal["ip", "instance"]
    health_check: HealthCheck
    protocol_version: str = ""
    """HTTP1, HTTP2 or GRPC; empty behind an NLB."""
    ip_address_type: Literal["ipv4", "ipv6"] = "ipv4"
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    targets: frozenset[Target] = frozenset()
    keep_others: bool = False
    control_port: int | None = None


class DesiredLoadBalancer(Struct, frozen=True):
    """The load balancer itself. Attributes that aren't named stay as they are.

    `security_groups` are resource IDs of `Stack.security_groups`, `BACKEND_GROUP`, or IDs (`sg-...`). `web_acl` is an
    ARN, "" for none at all, None for as it is; so are `shield` and `capacity_units` (None: as it is).
    """

    name: str
    type: Literal["application", "network"]
    scheme: Literal["internal", "internet-facing"]
    ip_address_type: str
    subnets: tuple[SubnetMapping, ...]
    vpc: str
    security_groups: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    web_acl: str | None = None
    shield: bool | None = None
    capacity_units: int | None = None
    customer_owned_pool: str = ""
    ipam_pool: str = ""
    private_link_inbound_rules: str = ""
    """`on`, `off`, or empty for as it is."""


BACKEND_GROUP = "backend"
"""Stands for the security group that all load balancers of a cluster share, which targets let in."""


class Stack(Struct, frozen=True):
    """A load balancer and everything that is made for it.

    `id` is what the tag `stack_tag` says of all of it: `namespace/name` of a Gateway, the name of an Ingress group.
    What has the tag `cluster_tag` of another cluster is never touched.
    """

    id: str
    cluster: str
    kind: Literal["alb", "nlb", "ingress"]
    load_balancer: DesiredLoadBalancer
    listeners: tuple[DesiredListener, ...] = ()
    target_groups: tuple[DesiredTargetGroup, ...] = ()
    security_groups: tuple[DesiredSecurityGroup, ...] = ()
    certificates: tuple[DesiredCertificate, ...] = ()
    trust_stores: tuple[DesiredTrustStore, ...] = ()

    @property
    def key(self) -> StackKey:
        """What tells it from all others in an account."""
        return StackKey(self.cluster, self.kind, self.id)


class StackKey(Struct, frozen=True, order=True):
    """A stack in an account: its cluster, its kind and its ID. The tags are the AWS Load Balancer Controller's."""

    cluster: str
    kind: Literal["alb", "nlb", "ingress"]
    id: str

    @property
    def tags(self) -> dict[str, str]:
        """The tags that everything of the stack has."""
        return {CLUSTER_TAG: self.cluster, f"{TAG_PREFIXES[self.kind]}/stack": self.id}

    @property
    def resource_tag(self) -> str:
        """The tag that says which part of the stack a thing is."""
        return f"{TAG_PREFIXES[self.kind]}/resource"

    @property
    def folder(self) -> str:
        """Where objects of the stack are in a bucket of S3; they can't be told apart by tags when they are listed."""
        return f"{bucket_folder(self.cluster)}{self.kind}/{self.id}/"


def bucket_folder(cluster: str) -> str:
    """Where objects of a cluster are in a bucket of S3."""
    return f"gatewright/{cluster}/"


def bundle_key(stack: StackKey, resource: str) -> str:
    """The key in S3 of the bundle of a trust store."""
    return f"{stack.folder}{resource.replace(':', '-')}.pem"


CLUSTER_TAG = "elbv2.k8s.aws/cluster"
TAG_PREFIXES = {"alb": "gateway.k8s.aws.alb", "nlb": "gateway.k8s.aws.nlb", "ingress": "ingress.k8s.aws"}
OWNERSHIP = ("elbv2.k8s.aws/", "gateway.k8s.aws", "ingress.k8s.aws/", "service.k8s.aws/", "gatewright.dev/")
"""How the tags begin that say whose a thing is, or what is in it: users may set none of them on anything."""
