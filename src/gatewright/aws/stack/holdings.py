"""What AWS holds of a stack, as values."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field, structs

from gatewright.aws import views
from gatewright.aws.stack.desired import (
    CLUSTER_TAG,
    TAG_PREFIXES,
    Action,
    DesiredMutualAuthentication,
    RuleCondition,
    SecurityRule,
    Stack,
    StackKey,
    Transform,
    bucket_folder,
)
from gatewright.aws.views import Target

FINGERPRINT_TAG = "gatewright.dev/fingerprint"
"""On a certificate that was imported: SHA-256 of its chain, hex, by which a change of the Secret is seen. On a trust
store: that of its certificates."""

BUCKET_TAG = "gatewright.dev/bucket"
"""On a trust store: the bucket of S3 from which it was made."""

CLIENT_SECRET_TAG = "gatewright.dev/client-secret"  # noqa: S105 - the name of a tag
"""On a rule or listener with OIDC: tells one client secret from another, since AWS never shows what it has."""

BACKEND_GROUP_TAG = ("elbv2.k8s.aws/resource", "backend-sg")
"""What the security group that all load balancers of a cluster share is known by, besides the cluster's tag."""

PROTECTION_NAME = "managed by aws-load-balancer-controller"
"""Protections of Shield Advanced with another name are somebody else's. The name is the AWS controller's own."""


class ActualRule(Struct, frozen=True):
    """A rule as it is, besides its listener's default one. Target groups are ARNs."""

    arn: str
    priority: int
    conditions: tuple[RuleCondition, ...]
    actions: tuple[Action, ...]
    transforms: tuple[Transform, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)


class ActualListener(Struct, frozen=True):
    """A listener as it is. `certificates` are ARNs, the default one first; `rules` are by ARN."""

    arn: str
    load_balancer: str
    protocol: str
    port: int
    default: tuple[Action, ...]
    certificates: tuple[str, ...] = ()
    ssl_policy: str = ""
    alpn_policy: str = ""
    mutual_authentication: DesiredMutualAuthentication = DesiredMutualAuthentication("off")
    attributes: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    rules: dict[str, ActualRule] = field(default_factory=dict)


class ActualLoadBalancer(Struct, frozen=True):
    """A load balancer as it is, with its listeners by ARN.

    None of `web_acl` (an ARN, "" without), `protection` (an ID of Shield Advanced's, "" without) and `capacity_units`:
    it wasn't asked for.
    """

    load_balancer: views.LoadBalancer
    tags: dict[str, str]
    attributes: dict[str, str] = field(default_factory=dict)
    listeners: dict[str, ActualListener] = field(default_factory=dict)
    web_acl: str | None = None
    protection: str | None = None
    capacity_units: int | None = None

    def at(self, port: int) -> ActualListener | None:
        """The listener of a port."""
        return next((each for each in self.listeners.values() if each.port == port), None)


class ActualTargetGroup(Struct, frozen=True):
    """A target group as it is. `targets` are those that are registered, without those that are draining.

    `ours` are IDs and ports of those that this process is known to have registered; it matters where others register
    targets, too. None of `targets`: they weren't read.
    """

    group: views.TargetGroup
    tags: dict[str, str]
    attributes: dict[str, str] = field(default_factory=dict)
    targets: frozenset[Target] | None = frozenset()
    ours: frozenset[tuple[str, int]] = frozenset()


class ActualSecurityGroup(Struct, frozen=True):
    """A security group as it is, and what may come in."""

    id: str
    name: str
    vpc: str
    ingress: frozenset[SecurityRule]
    tags: dict[str, str] = field(default_factory=dict)


class ActualCertificate(Struct, frozen=True):
    """A certificate of ACM that was imported for a stack."""

    arn: str
    tags: dict[str, str]


class ActualTrustStore(Struct, frozen=True):
    """A trust store that was made for a stack."""

    arn: str
    tags: dict[str, str]


class Bundle(Struct, frozen=True, order=True):
    """An object in S3 from which a trust store was made."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


class ActualStack(Struct, frozen=True):
    """All that AWS holds of a stack: everything by ARN, security groups by ID.

    There may be more than one of what there should be one of, after a crash. `taken_...` are the names that others
    have. `backend_group` is the ID of the security group that the cluster's load balancers share, if there is one.
    """

    key: StackKey
    load_balancers: dict[str, ActualLoadBalancer] = field(default_factory=dict)
    target_groups: dict[str, ActualTargetGroup] = field(default_factory=dict)
    security_groups: dict[str, ActualSecurityGroup] = field(default_factory=dict)
    certificates: dict[str, ActualCertificate] = field(default_factory=dict)
    backend_group: str = ""
    taken_load_balancers: frozenset[str] = frozenset()
    taken_target_groups: frozenset[str] = frozenset()
    foreign_certificates: frozenset[str] = frozenset()
    """ARNs of imported certificates that were found not to be of this stack; they aren't asked for tags again."""
    trust_stores: dict[str, ActualTrustStore] = field(default_factory=dict)
    bundles: frozenset[Bundle] = frozenset()
    """What is in S3 for trust stores that are there, and what a crash left."""

    def __bool__(self) -> bool:
        made = self.load_balancers or self.target_groups or self.security_groups or self.certificates
        return bool(made or self.trust_stores or self.bundles)


def claimed(actual: ActualStack, desired: Stack) -> ActualStack:
    """With the targets that are registered and asked for as `ours`: they may be taken out when that changes.

    For target groups in which other clusters register targets, and for what is read after a restart.
    """
    groups = dict(actual.target_groups)
    for wanted in desired.target_groups:
        for arn, each in actual.target_groups.items():
            if wanted.keep_others and each.tags.get(actual.key.resource_tag) == wanted.resource:
                there = {(target.id, target.port) for target in each.targets or ()}
                asked = {(target.id, target.port) for target in wanted.targets}
                groups[arn] = structs.replace(each, ours=each.ours | (there & asked))
    return structs.replace(actual, target_groups=groups)


def stack_of_bundle(cluster: str, key: str) -> StackKey | None:
    """Whose an object in S3 is."""
    kind, _, rest = key.removeprefix(bucket_folder(cluster)).partition("/")
    stack, slash, _ = rest.rpartition("/")
    if not key.startswith(bucket_folder(cluster)) or kind not in TAG_PREFIXES or not slash:
        return None
    return StackKey(cluster, kind, stack)  # type: ignore[arg-type]


def stack_of(tags: Mapping[str, str]) -> StackKey | None:
    """Whose something with these tags is."""
    cluster = tags.get(CLUSTER_TAG)
    for kind, prefix in TAG_PREFIXES.items():
        if cluster is not None and f"{prefix}/stack" in tags:
            return StackKey(cluster, kind, tags[f"{prefix}/stack"])  # type: ignore[arg-type]
    return None
