"""Valid stacks of all sorts, and what is to be seen of one at AWS."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec import structs
from tests.aws_stack.stack_world import CHECK, Account, imported, trusted

from gatewright.aws.stack import rule_documents
from gatewright.aws.stack.actual import ActualStack
from gatewright.aws.stack.desired import (
    BACKEND_GROUP,
    Action,
    DesiredListener,
    DesiredMutualAuthentication,
    DesiredRule,
    DesiredTargetGroup,
    Forward,
    RedirectTo,
    Respond,
    RuleCondition,
    Share,
    Stack,
    StackKey,
    Transform,
)
from gatewright.aws.stack.holdings import FINGERPRINT_TAG, Bundle
from gatewright.aws.views import HealthCheck

NLB_KEY = StackKey("prod", "nlb", "shop/edge")

_PATHS = ["/a", "/a/*", "/b", "/b/*", "/c/?", "/*"]
_HOSTS = ["x.example.com", "y.example.com", "*.example.com"]
_GROUPS = ["shop/web:80", "shop/api:80", "shop/admin:8080"]
_TAGS = st.dictionaries(st.sampled_from(["team", "cost"]), st.sampled_from(["a", "b"]), max_size=1)

_conditions = st.lists(
    st.one_of(
        st.lists(st.sampled_from(_PATHS), min_size=1, max_size=2, unique=True).map(
            lambda paths: RuleCondition("path-pattern", tuple(paths))
        ),
        st.lists(st.sampled_from(_HOSTS), min_size=1, max_size=2, unique=True).map(
            lambda hosts: RuleCondition("host-header", tuple(hosts))
        ),
        st.just(RuleCondition("http-request-method", ("GET", "HEAD"))),
        st.just(RuleCondition("http-header", ("on",), name="X-Beta")),
        st.just(RuleCondition("query-string", pairs=(("v", "1"), ("", "beta")))),
        st.just(RuleCondition("source-ip", ("10.0.0.0/8",))),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda condition: condition.field,
).map(tuple)

_forward = st.builds(
    Forward,
    st.lists(
        st.builds(Share, st.sampled_from(_GROUPS), st.integers(0, 3)),
        min_size=1,
        max_size=2,
        unique_by=lambda share: share.target_group,
    ).map(tuple),
    st.sampled_from([None, None, 60]),
)
_final: st.SearchStrategy[Action] = st.one_of(
    _forward,
    st.just(RedirectTo("HTTP_301", host="other.example.com")),
    st.just(Respond("403", body="no")),
)
_transforms = st.sampled_from([(), (), (Transform("url-rewrite", "^/a/(.*)$", "/$1"),)])


_MUTUAL = st.sampled_from(
    [
        None,
        DesiredMutualAuthentication("passthrough"),
        DesiredMutualAuthentication("verify", "frontend"),
        DesiredMutualAuthentication("verify", "frontend:8443", ignore_expiry=True),
    ]
)


@st.composite
def _rule(draw: st.DrawFn) -> DesiredRule:
    action = draw(_final)
    transforms = draw(_transforms) if isinstance(action, Forward) else ()
    return DesiredRule(draw(_conditions), (action,), transforms, draw(_TAGS))


def _health_check(draw: st.DrawFn) -> HealthCheck:
    return structs.replace(
        CHECK, path=draw(st.sampled_from(["/", "/healthz"])), interval=draw(st.sampled_from([15, 30]))
    )


def _group(draw: st.DrawFn, account: Account, resource: str, **settings: Any) -> DesiredTargetGroup:
    hosts = draw(st.sets(st.integers(1, 4), max_size=3))
    attributes = draw(st.sampled_from([{}, {"deregistration_delay.timeout_seconds": "30"}]))
    return account.group(
        resource,
        tuple(f"10.0.1.{host}" for host in sorted(hosts)),
        attributes=attributes,
        tags=draw(_TAGS),
        **settings,
    )


@st.composite
def albs(draw: st.DrawFn, account: Account) -> Stack:
    """An Application Load Balancer."""
    listeners = []
    for port, protocol in ((80, "HTTP"), (443, "HTTPS"), (8443, "HTTPS")):
        if not draw(st.booleans()):
            continue
        if port == 8443:
            protocol = draw(st.sampled_from(["HTTP", "HTTPS"]))
        names = draw(st.lists(st.sampled_from(["shop/tls", "shop/more"]), min_size=1, max_size=2, unique=True))
        listeners.append(
            DesiredListener(
                protocol,  # type: ignore[arg-type]
                port,
                (draw(_final),) if draw(st.booleans()) else (Respond("404"),),
                tuple(draw(st.lists(_rule(), max_size=5))),
                tuple(names) if protocol == "HTTPS" else (),
                "ELBSecurityPolicy-TLS13-1-2-2021-06" if protocol == "HTTPS" else "",
                mutual_authentication=draw(_MUTUAL) if protocol == "HTTPS" else None,
                attributes=draw(st.sampled_from([{}, {"routing.http.response.server.enabled": "false"}])),
                tags=draw(_TAGS),
            )
        )
    # A redirect onto itself is none, whatever the port is.
    groups = tuple(
        _group(
            draw,
            account,
            resource,
            protocol=draw(st.sampled_from(["HTTP", "HTTPS"])),
            health_check=_health_check(draw),
        )
        for resource in _GROUPS
    )
    named = {name for listener in listeners for name in listener.certificates}
    certificates = tuple(imported(name, version=draw(st.integers(0, 1))) for name in sorted(named))
    stores = {each.mutual_authentication.trust_store for each in listeners if each.mutual_authentication} - {""}
    trust_stores = tuple(trusted(name, draw(st.integers(0, 1))) for name in sorted(stores))
    scheme = draw(st.sampled_from(["internal", "internal", "internet-facing"]))
    subnets = account.seeded.private if scheme == "internal" else account.seeded.public
    balancer = account.balancer(
        scheme=scheme,
        subnets=tuple(map(_mapping, subnets[: draw(st.sampled_from([2, 2, len(subnets)]))])),
        attributes=draw(st.sampled_from([{}, {"idle_timeout.timeout_seconds": "30"}])),
        tags=draw(_TAGS),
        security_groups=draw(st.sampled_from([("ManagedLBSecurityGroup", BACKEND_GROUP), ("ManagedLBSecurityGroup",)])),
    )
    return account.stack(
        *listeners,
        load_balancer=balancer,
        target_groups=groups,
        certificates=certificates,
        trust_stores=trust_stores,
    )


@st.composite
def nlbs(draw: st.DrawFn, account: Account) -> Stack:
    """A Network Load Balancer."""
    resources = ["shop/one:1", "shop/two:2"]
    protocols = {resource: draw(st.sampled_from(["TCP", "TLS"])) for resource in resources}
    listeners = []
    for port in (80, 443):
        if draw(st.booleans()):
            resource = draw(st.sampled_from(resources))
            protocol: Any = "TLS" if protocols[resource] == "TLS" else draw(st.sampled_from(["TCP", "TLS"]))
            listeners.append(
                DesiredListener(
                    protocol,
                    port,
                    (Forward((Share(resource),)),),
                    certificates=("shop/tls",) if protocol == "TLS" else (),
                    alpn_policy=draw(st.sampled_from(["", "HTTP2Preferred"])) if protocol == "TLS" else "",
                    tags=draw(_TAGS),
                )
            )
    check = HealthCheck("TCP", "traffic-port", interval=10, timeout=10, healthy_threshold=3, unhealthy_threshold=3)
    groups = tuple(
        _group(draw, account, resource, protocol=protocols[resource], protocol_version="", health_check=check)
        for resource in resources
    )
    named = {name for listener in listeners for name in listener.certificates}
    balancer = account.balancer(
        type="network",
        attributes=draw(st.sampled_from([{}, {"load_balancing.cross_zone.enabled": "true"}])),
        tags=draw(_TAGS),
        subnets=tuple(map(_mapping, account.seeded.private[: draw(st.sampled_from([1, 2]))])),
        security_groups=draw(st.sampled_from([("ManagedLBSecurityGroup",), ()])),
    )
    certificates = tuple(map(imported, sorted(named)))
    return account.stack(
        *listeners, key=NLB_KEY, load_balancer=balancer, target_groups=groups, certificates=certificates
    )


def _mapping(subnet: str) -> Any:
    from gatewright.aws.stack.desired import SubnetMapping

    return SubnetMapping(subnet)


# --- what is to be seen ---

Picture = dict[str, Any]


def wanted_picture(stack: Stack) -> Picture:
    """What AWS is to hold of a stack, told by resource IDs."""
    security = {each.resource for each in stack.security_groups}
    return {
        "type": stack.load_balancer.type,
        "scheme": stack.load_balancer.scheme,
        "subnets": {mapping.subnet for mapping in stack.load_balancer.subnets},
        "groups of the load balancer": {
            each if each in security else "shared" for each in stack.load_balancer.security_groups
        },
        "attributes": stack.load_balancer.attributes,
        "tags": stack.load_balancer.tags,
        "listeners": {
            listener.port: {
                "protocol": listener.protocol,
                "default": rule_documents.canonical_actions(listener.default),
                "certificates": listener.certificates,
                "clients": listener.mutual_authentication or DesiredMutualAuthentication("off"),
                "attributes": listener.attributes,
                "tags": listener.tags,
                "rules": [_rule_picture(rule) for rule in listener.rules],
            }
            for listener in stack.listeners
        },
        "target groups": {
            group.resource: (
                group.protocol,
                group.port,
                group.health_check,
                group.attributes,
                group.tags,
                {(target.id, target.port) for target in group.targets},
            )
            for group in stack.target_groups
        },
        "security groups": {group.resource: {*group.ingress} for group in stack.security_groups},
        "certificates": {each.resource for each in stack.certificates},
        "trust stores": {each.resource: each.fingerprint for each in stack.trust_stores},
        "bundles": {Bundle(each.bucket, each.key) for each in stack.trust_stores},
    }


def _rule_picture(rule: Any) -> Any:
    return (
        rule_documents.canonical_conditions(rule.conditions),
        rule_documents.canonical_actions(rule.actions),
        rule.transforms,
        {key: value for key, value in rule.tags.items() if key in ("team", "cost")},
    )


def picture(actual: ActualStack, wanted: Stack) -> Picture:
    """What AWS holds, told the same way; attributes are those that the stack names."""
    tag = actual.key.resource_tag
    (balancer,) = actual.load_balancers.values()
    groups = {arn: each.tags[tag] for arn, each in actual.target_groups.items()}
    security = {each.id: each.tags[tag] for each in actual.security_groups.values()}
    certificates = {arn: each.tags[tag] for arn, each in actual.certificates.items()}
    stores = {arn: each.tags[tag] for arn, each in actual.trust_stores.items()}
    asked = {listener.port: listener.attributes for listener in wanted.listeners}
    asked_groups = {group.resource: group.attributes for group in wanted.target_groups}

    def own(tags: dict[str, str]) -> dict[str, str]:
        return {key: value for key, value in tags.items() if key in ("team", "cost")}

    def named(rule: Any) -> Any:
        return structs.replace(rule, actions=rule_documents.refer(rule.actions, groups.__getitem__))

    view = balancer.load_balancer
    return {
        "type": view.type,
        "scheme": view.scheme,
        "subnets": {zone.subnet for zone in view.zones},
        "groups of the load balancer": {
            "shared" if each == actual.backend_group else security[each] for each in view.security_groups
        },
        "attributes": {key: balancer.attributes[key] for key in wanted.load_balancer.attributes},
        "tags": own(balancer.tags),
        "listeners": {
            each.port: {
                "protocol": each.protocol,
                "default": rule_documents.canonical_actions(rule_documents.refer(each.default, groups.__getitem__)),
                "certificates": tuple(certificates[arn] for arn in each.certificates),
                "clients": structs.replace(
                    each.mutual_authentication, trust_store=stores.get(each.mutual_authentication.trust_store, "")
                ),
                "attributes": {key: each.attributes[key] for key in asked[each.port]},
                "tags": own(each.tags),
                "rules": [
                    _rule_picture(named(rule)) for rule in sorted(each.rules.values(), key=lambda rule: rule.priority)
                ],
            }
            for each in balancer.listeners.values()
        },
        "target groups": {
            groups[arn]: (
                each.group.protocol,
                each.group.port,
                each.group.health_check,
                {key: each.attributes[key] for key in asked_groups[groups[arn]]},
                own(each.tags),
                {(target.id, target.port) for target in each.targets or ()},
            )
            for arn, each in actual.target_groups.items()
        },
        "security groups": {security[each.id]: {*each.ingress} for each in actual.security_groups.values()},
        "certificates": {*certificates.values()},
        "trust stores": {stores[arn]: each.tags[FINGERPRINT_TAG] for arn, each in actual.trust_stores.items()},
        "bundles": {*actual.bundles},
    }
