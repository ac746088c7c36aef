"""What the API's state is, as the values of `CloudState`. Pure, but for that it reads moto's backends.

`backends.LOCK` is held meanwhile; nothing that it returns is shared with moto.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from moto.acm.models import AWS_ROOT_CA

from gatewright.local.aws import network, wafv2
from gatewright.local.aws.backends import backend
from gatewright.local.aws.route53.names import plain
from gatewright.local.aws.state import (
    Action,
    Certificate,
    Condition,
    FixedResponse,
    Forward,
    HealthCheck,
    HostedZone,
    Listener,
    LoadBalancer,
    Node,
    RecordSet,
    Redirect,
    Refused,
    Rule,
    Target,
    TargetGroup,
    TargetKey,
    Transform,
    WebAclDocument,
)

Document = Mapping[str, Any]
_FAR = 1e9


class Balancing(NamedTuple):
    """What ELBv2 says; `drained_at` is when the next draining target is gone, of `time.monotonic()`."""

    load_balancers: dict[str, LoadBalancer]
    listeners: dict[str, Listener]
    rules: dict[str, Rule]
    target_groups: dict[str, TargetGroup]
    targets: dict[TargetKey, Target]
    drained_at: float | None


class Certificates(NamedTuple):
    """What ACM and IAM say; `issued_at` is when the next one that is pending is issued, of `time.monotonic()`."""

    certificates: dict[str, Certificate]
    issued_at: float | None


class Firewalls(NamedTuple):
    """What WAFv2 says."""

    web_acls: dict[str, WebAclDocument]
    associations: dict[str, str]


def balancing(now: float) -> Balancing:
    """Read ELBv2; targets that have drained by `now` are left out."""
    elbv2 = backend("elbv2")
    nodes = network.all_interfaces()
    load_balancers = {
        arn: _load_balancer(one, nodes.get(arn.partition(":loadbalancer/")[2], ()))
        for arn, one in elbv2.load_balancers.items()
    }
    listeners: dict[str, Listener] = {}
    rules: dict[str, Rule] = {}
    for load_balancer in elbv2.load_balancers.values():
        for arn, listener in load_balancer.listeners.items():
            listeners[arn] = _listener(listener, elbv2.trust_stores)
            for rule in listener.rules.values():
                rules[rule.arn] = _rule(rule, arn)
    groups = {arn: _target_group(group) for arn, group in elbv2.target_groups.items()}
    targets: dict[TargetKey, Target] = {}
    drained_at: float | None = None
    addresses = _Addresses(load_balancers)
    for arn, group in elbv2.target_groups.items():
        for registration in group.targets.values():
            target = addresses.target(arn, group.target_type, registration)
            targets[target.key] = target
        for draining in group.draining.values():
            if draining.until <= now:
                continue
            target = addresses.target(arn, group.target_type, draining.registration, draining.until)
            targets.setdefault(target.key, target)
            drained_at = draining.until if drained_at is None else min(drained_at, draining.until)
    return Balancing(load_balancers, listeners, rules, groups, targets, drained_at)


def certificates(now: float) -> Certificates:
    """Read the certificates of ACM that have been issued, expired ones too, and IAM's server certificates."""
    found: dict[str, Certificate] = {}
    issued_at: float | None = None
    for arn, bundle in backend("acm")._certificates.items():
        bundle.check()
        if bundle.status == "PENDING_VALIDATION":
            left = bundle.left  # None: it waits for records
            if left is not None:
                issued_at = min(issued_at or now + _FAR, now + max(0.0, left))
        if bundle.status not in ("ISSUED", "EXPIRED"):
            continue
        chain = bundle.cert.strip() + b"\n" + bundle.chain.replace(AWS_ROOT_CA, b"").strip()
        names = tuple(dict.fromkeys(name for name in (bundle.common_name, *bundle.sans) if name))
        found[arn] = Certificate(arn, chain.strip() + b"\n", bundle.key, names)
    for one in backend("iam").certificates.values():
        chain = f"{one.cert_body}\n{one.cert_chain or ''}".strip().encode() + b"\n"
        found[one.arn] = Certificate(one.arn, chain, one.private_key.encode(), _names(chain))
    return Certificates(found, issued_at)


def firewalls() -> Firewalls:
    """Read the web ACLs and what they are associated with."""
    return Firewalls(dict(wafv2.documents()), wafv2.associations())


def hosted_zones() -> dict[str, HostedZone]:
    """Read the zones of Route 53 with their records."""
    return {
        zone.resource_id: HostedZone(
            zone.resource_id, plain(zone.name), bool(zone.private_zone), tuple(map(_record_set, zone.rrsets))
        )
        for zone in backend("route53").zones.values()
    }


def _record_set(one: Any) -> RecordSet:
    alias = one.alias_target or {}
    return RecordSet(
        name=plain(one.name),
        type=one.type,
        ttl=int(one.ttl or 0),
        values=tuple(one.records or ()),
        alias=plain(alias["DNSName"]) if alias else "",
        set_identifier=one.set_identifier or "",
        weight=None if one.weight is None else int(one.weight),
        preferred=one.failover == "PRIMARY",
        together=_flag(one.multi_value_answer),
    )


def _load_balancer(one: Any, nodes: Iterable[network.Interface]) -> LoadBalancer:
    return LoadBalancer(
        arn=one.arn,
        name=one.name,
        type=one.type,
        scheme=one.scheme,
        dns_name=one.dns_name,
        nodes=tuple(Node(node.zone, node.subnet, node.address) for node in nodes),
        attributes=_strings(one.attrs),
    )


def _listener(one: Any, trust_stores: Mapping[str, Any]) -> Listener:
    alpn = one.alpn_policy or ()
    mutual = one.mutual_authentication or {}
    store = trust_stores.get(mutual.get("TrustStoreArn", ""))
    return Listener(
        arn=one.arn,
        load_balancer=one.load_balancer_arn,
        protocol=one.protocol,
        port=int(one.port),
        action=action(one.default_rule.actions),
        certificates=tuple(one.certificates),
        ssl_policy=one.ssl_policy or "",
        alpn_policy=alpn if isinstance(alpn, str) else next(iter(alpn), ""),
        mutual_tls=mutual.get("Mode", "off"),
        authorities=store.bundle if store else b"",
        takes_expired=mutual.get("IgnoreClientCertificateExpiry", False),
        attributes=_strings(one.attributes),
    )


def _rule(one: Any, listener: str) -> Rule:
    default = one.priority == "default"
    return Rule(
        arn=one.arn,
        listener=listener,
        priority=None if default else int(one.priority),
        conditions=() if default else tuple(map(condition, one.conditions)),
        action=action(one.actions),
        transforms=tuple(transform for document in one.transforms or () for transform in transforms(document)),
    )


def _target_group(one: Any) -> TargetGroup:
    check = one.health_check
    matcher = check.get("Matcher") or {}
    return TargetGroup(
        arn=one.arn,
        name=one.name,
        target_type=one.target_type,
        protocol=one.protocol or "",
        port=int(one.port or 0),
        protocol_version=one.protocol_version or "",
        health_check=HealthCheck(
            enabled=_flag(check.get("HealthCheckEnabled", True)),
            protocol=check.get("HealthCheckProtocol") or "",
            port=str(check.get("HealthCheckPort") or "traffic-port"),
            path=check.get("HealthCheckPath") or "",
            interval=float(check.get("HealthCheckIntervalSeconds") or 30),
            timeout=float(check.get("HealthCheckTimeoutSeconds") or 5),
            healthy_threshold=int(check.get("HealthyThresholdCount") or 5),
            unhealthy_threshold=int(check.get("UnhealthyThresholdCount") or 2),
            matcher=matcher.get("GrpcCode") or matcher.get("HttpCode") or "",
        ),
        attributes=_strings(one.attributes),
    )


class _Addresses:
    """Where targets are."""

    def __init__(self, load_balancers: Mapping[str, LoadBalancer]) -> None:
        self._load_balancers = load_balancers
        self._instances: dict[str, Any] | None = None

    def target(self, group: str, kind: str, one: Any, draining_until: float | None = None) -> Target:
        addresses: tuple[str, ...] = (one.id,)
        zone = one.zone
        if kind == "instance":
            instance = self._instance(one.id)
            running = instance is not None and instance.state == "running" and instance.private_ip
            addresses = (instance.private_ip,) if instance is not None and running else ()
            if instance is not None and instance.nics:
                zone = zone or instance.nics[0].subnet.availability_zone
        elif kind == "alb":
            load_balancer = self._load_balancers.get(one.id)
            addresses = tuple(node.address for node in load_balancer.nodes) if load_balancer else ()
        elif kind == "lambda":
            addresses = ()
        zone = "" if zone == "all" else zone
        return Target(TargetKey(group, one.id, one.port), addresses, zone, one.at, draining_until)

    def _instance(self, instance_id: str) -> Any:
        if self._instances is None:
            self._instances = {
                instance.id: instance
                for reservation in backend("ec2").reservations.values()
                for instance in reservation.instances
            }
        return self._instances.get(instance_id)


def action(documents: Iterable[Document]) -> Action:
    """What the actions of a rule come to, in the API's form: the routing one, or the first that can't be done."""
    routing: Action = FixedResponse(503)
    for document in documents:
        match document["Type"]:
            case "forward":
                routing = _forward(document)
            case "redirect":
                routing = _redirect(document["RedirectConfig"])
            case "fixed-response":
                config = document["FixedResponseConfig"]
                body = config.get("MessageBody") or ""
                routing = FixedResponse(int(config["StatusCode"]), config.get("ContentType") or "", body)
            case other:
                return Refused(other)
    return routing


def _forward(document: Document) -> Forward:
    config = document.get("ForwardConfig") or {}
    groups = config.get("TargetGroups")
    if not groups:
        return Forward(((document["TargetGroupArn"], 1),))
    sticky = config.get("TargetGroupStickinessConfig") or {}
    seconds = int(sticky["DurationSeconds"]) if _flag(sticky.get("Enabled")) and sticky.get("DurationSeconds") else None
    return Forward(tuple((one["TargetGroupArn"], int(one.get("Weight", 1))) for one in groups), seconds)


def _redirect(config: Document) -> Redirect:
    return Redirect(
        301 if config["StatusCode"] == "HTTP_301" else 302,
        protocol=config.get("Protocol") or "#{protocol}",
        host=config.get("Host") or "#{host}",
        port=str(config.get("Port") or "#{port}"),
        path=config.get("Path") or "/#{path}",
        query=config.get("Query", "#{query}"),
    )


_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


def condition(document: Document) -> Condition:
    """A RuleCondition in the API's form."""
    field = document["Field"]
    config = document.get(_CONFIGS[field]) or {}
    values = config.get("Values") or document.get("Values") or ()
    regexes = tuple(config.get("RegexValues") or document.get("RegexValues") or ())
    if field == "query-string":
        return Condition(field, pairs=tuple((pair.get("Key") or "", pair["Value"]) for pair in values))
    return Condition(field, tuple(values), regexes, config.get("HttpHeaderName") or "")


def transforms(document: Document) -> list[Transform]:
    """The rewrites of a RuleTransform in the API's form."""
    kind = document["Type"]
    config = document.get("UrlRewriteConfig" if kind == "url-rewrite" else "HostHeaderRewriteConfig") or {}
    return [Transform(kind, one["Regex"], one["Replace"]) for one in config.get("Rewrites") or ()]


def _names(chain: bytes) -> tuple[str, ...]:
    from cryptography import x509
    from cryptography.x509.oid import ExtensionOID, NameOID

    certificate = x509.load_pem_x509_certificate(chain)
    names = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return tuple(names)
    alternative: Any = extension.value
    return tuple(dict.fromkeys([*names, *(str(one.value) for one in alternative)]))


def _strings(attributes: Mapping[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else str(value).lower() for key, value in attributes.items()}


def _flag(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
