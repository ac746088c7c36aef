"""What becomes of each field of the configuration kinds: their part of the support table (`aws.support`).

What is refused on one type of load balancer is refused in the words of these rows.
"""

from __future__ import annotations

from typing import Final, Literal

from gatewright.aws.configuration.objections import Objection
from gatewright.aws.support import documents as aws
from gatewright.aws.support.row import Row

LoadBalancers = tuple[Literal["ALB", "NLB"], ...]

_BOTH: Final[LoadBalancers] = ("ALB", "NLB")
_ALB: Final[LoadBalancers] = ("ALB",)
_NLB: Final[LoadBalancers] = ("NLB",)


def refused(row: Row, found: str, within: str = "") -> Objection:
    """What is said against a value in the words of its row; `within` is the object around it, with its index."""
    field = f"{within}.{row.field.rpartition('].')[2]}" if within else row.field
    return Objection(field, found, f"{row.note}; {row.instead}")


# --- LoadBalancerConfiguration ---------------------------------------------------------------------------------------


def _balancer(
    field: str, note: str, *, on: LoadBalancers = _BOTH, document: str = "", instead: str = "", case: str = ""
) -> Row:
    support: Literal["yes", "partly"] = "partly" if instead else "yes"
    return Row("LoadBalancerConfiguration", f"spec.{field}", support, note, instead, document, on, case)


def _no_balancer(field: str, note: str, instead: str, *, on: LoadBalancers, document: str = "", case: str = "") -> Row:
    return Row("LoadBalancerConfiguration", f"spec.{field}", "no", note, instead, document, on, case)


_LISTENER: Final = "listenerConfigurations[]"
_SUBNET: Final = "loadBalancerSubnets[]"
_SUBNETS: Final = f"{aws.LOAD_BALANCERS}#subnets-load-balancer"

NO_SECURITY_GROUP: Final = _no_balancer(
    "disableSecurityGroup", "an ALB always has security groups", "name one in securityGroups", on=_ALB
)
NO_ICMP: Final = _no_balancer("enableICMP", "an ALB answers no ICMP", "leave it out, or use an NLB", on=_ALB)
NO_PRIVATE_LINK: Final = _no_balancer(
    "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
    "AWS PrivateLink reaches NLBs only",
    "leave it out, or use an NLB",
    on=_ALB,
)
NO_CUSTOMER_POOL: Final = _no_balancer(
    "customerOwnedIpv4Pool", "only ALBs take addresses of a customer-owned pool", "use an ALB", on=_NLB
)
NO_IPAM_POOL: Final = _no_balancer(
    "ipv4IPAMPoolId", "only ALBs take addresses of an IPAM pool", "use eipAllocation with an NLB", on=_NLB
)
NO_WAF: Final = _no_balancer(
    "wafV2.webACL", "AWS WAF looks at requests, of which an NLB knows nothing", "use an ALB", on=_NLB
)
NO_SHIELD: Final = _no_balancer(
    "shieldConfiguration.enabled", "Shield Advanced protects an NLB by its Elastic IPs", "protect those", on=_NLB
)
NO_HIDDEN_IPV4: Final = _no_balancer(
    "ipAddressType",
    "an NLB has public IPv4 addresses or none",
    "use dualstack, or scheme internal",
    on=_NLB,
    case="dualstack-without-public-ipv4",
)
NO_HIDDEN_IPV4_INSIDE: Final = _no_balancer(
    "ipAddressType",
    "an internal ALB has no public addresses to be without",
    "use dualstack",
    on=_ALB,
    document=aws.LOAD_BALANCERS,
    case="dualstack-without-public-ipv4 with scheme internal",
)
PLAIN: Final = tuple(
    _no_balancer(
        f"{_LISTENER}.{name}",
        "listeners of other protocols than HTTPS and TLS end no TLS",
        "configure an HTTPS or TLS listener",
        on=_BOTH,
        case="another protocol than HTTPS and TLS",
    )
    for name in ("defaultCertificate", "certificates", "sslPolicy")
)
NO_ALPN: Final = _no_balancer(
    f"{_LISTENER}.alpnPolicy",
    "only TLS listeners of an NLB have one",
    "an ALB speaks HTTP/2 by its attribute routing.http2.enabled",
    on=_ALB,
    document=aws.LISTENERS,
)
NO_MUTUAL_TLS: Final = _no_balancer(
    f"{_LISTENER}.mutualAuthentication.mode",
    "only HTTPS listeners of an ALB ask for client certificates",
    "use HTTPS, or leave it out",
    on=_NLB,
    document=aws.MUTUAL_TLS,
)
NO_STICKINESS: Final = _no_balancer(
    f"{_LISTENER}.targetGroupStickiness",
    "an ALB has it a rule",
    "use forwardConfig of a ListenerRuleConfiguration",
    on=_ALB,
    document=aws.ACTIONS,
)
NO_QUIC: Final = _no_balancer(
    f"{_LISTENER}.quicEnabled",
    "QUIC listeners are not made",
    "a UDP listener passes QUIC on, without following a client that moves",
    on=_BOTH,
)
NO_ADDRESSES: Final = tuple(
    _no_balancer(f"{_SUBNET}.{name}", "an ALB's addresses are AWS's choice", "use an NLB, or leave it out", on=_ALB)
    for name in ("eipAllocation", "privateIPv4Allocation", "ipv6Allocation", "sourceNatIPv6Prefix")
)

_BALANCERS: Final = (
    _balancer("mergingMode", "of a GatewayClass's configuration; by default it goes over its Gateways'"),
    _balancer("loadBalancerName", "the name; a new one means a new load balancer"),
    _balancer("scheme", "by default internal; another one means a new load balancer"),
    _balancer("ipAddressType", "by default ipv4"),
    NO_HIDDEN_IPV4,
    NO_HIDDEN_IPV4_INSIDE,
    _balancer("enforceSecurityGroupInboundRulesOnPrivateLinkTraffic", "on or off", on=_NLB),
    NO_PRIVATE_LINK,
    _balancer("customerOwnedIpv4Pool", "the pool on Outposts", on=_ALB),
    NO_CUSTOMER_POOL,
    _balancer("ipv4IPAMPoolId", "the pool of public addresses", on=_ALB),
    NO_IPAM_POOL,
    _balancer(f"{_SUBNET}.identifier", "the ID or tag Name; without any, subnets are found by tags", document=_SUBNETS),
    _balancer(f"{_SUBNET}.eipAllocation", "an Elastic IP a subnet, internet-facing", on=_NLB),
    _balancer(f"{_SUBNET}.privateIPv4Allocation", "a private address a subnet, internal", on=_NLB),
    _balancer(f"{_SUBNET}.ipv6Allocation", "an address a subnet, dualstack", on=_NLB),
    _balancer(f"{_SUBNET}.sourceNatIPv6Prefix", "a prefix of /80 a subnet, or auto_assigned", on=_NLB),
    *NO_ADDRESSES,
    _balancer("loadBalancerSubnetsSelector", "tags, each with the values that it may have"),
    _balancer(
        f"{_LISTENER}.protocolPort",
        "the listeners at that protocol and port are meant",
        instead="give both; one alone is for no listener",
    ),
    _balancer(f"{_LISTENER}.defaultCertificate", "an ARN of ACM or IAM", document=aws.HTTPS_LISTENERS),
    _balancer(f"{_LISTENER}.certificates", "further ARNs; they go over certificateRefs and discovery"),
    _balancer(f"{_LISTENER}.sslPolicy", "AWS says which there are", document=aws.HTTPS_LISTENERS),
    *PLAIN,
    _balancer(f"{_LISTENER}.alpnPolicy", "of TLS listeners", on=_NLB, document=aws.NLB_TLS),
    NO_ALPN,
    _balancer(f"{_LISTENER}.mutualAuthentication.mode", "of HTTPS listeners", on=_ALB, document=aws.MUTUAL_TLS),
    NO_MUTUAL_TLS,
    _balancer(f"{_LISTENER}.mutualAuthentication.trustStore", "a name or an ARN", on=_ALB, document=aws.MUTUAL_TLS),
    _balancer(f"{_LISTENER}.mutualAuthentication.ignoreClientCertificateExpiry", "with verify", on=_ALB),
    _balancer(f"{_LISTENER}.mutualAuthentication.advertiseTrustStoreCaNames", "with verify", on=_ALB),
    _balancer(
        f"{_LISTENER}.listenerAttributes",
        "those that are known are checked; others are AWS's to judge",
        document=aws.HEADERS,
    ),
    _balancer(f"{_LISTENER}.targetGroupStickiness", "between weighted target groups", on=_NLB),
    NO_STICKINESS,
    NO_QUIC,
    _balancer("securityGroups", "IDs or tags Name; their own rules stay as they are"),
    _balancer("securityGroupPrefixes", "who may come in, by the managed security group"),
    _balancer("sourceRanges", "who may come in, by the managed security group; by default everybody"),
    _balancer(
        "loadBalancerAttributes",
        "those that are known are checked; others are AWS's to judge; those that aren't named stay as they are",
        document=aws.ATTRIBUTES,
    ),
    _balancer("tags", "on everything that is made; the tags of ownership can't be set"),
    _balancer("enableICMP", "lets path MTU discovery in", on=_NLB),
    NO_ICMP,
    _balancer("manageBackendSecurityGroupRules", "with securityGroups; with a managed one the rules are always made"),
    _balancer("disableSecurityGroup", "none at all: everybody may come in", on=_NLB),
    NO_SECURITY_GROUP,
    _balancer("minimumLoadBalancerCapacity.capacityUnits", "0 takes a reservation back"),
    _balancer("wafV2.webACL", "the ARN of a regional web ACL; empty takes it away", on=_ALB),
    NO_WAF,
    _balancer("shieldConfiguration.enabled", "a protection of Shield Advanced, whose subscription is needed", on=_ALB),
    NO_SHIELD,
    _balancer("defaultTargetGroupConfiguration.name", "for all Services behind the Gateways, under their own"),
)

# --- TargetGroupConfiguration ----------------------------------------------------------------------------------------

_PROPS: Final = "defaultConfiguration"
_CHECK: Final = f"{_PROPS}.healthCheckConfig"


def _group(
    field: str, note: str, *, on: LoadBalancers = _BOTH, document: str = "", instead: str = "", case: str = ""
) -> Row:
    support: Literal["yes", "partly"] = "partly" if instead else "yes"
    return Row("TargetGroupConfiguration", f"spec.{field}", support, note, instead, document, on, case)


def _no_group(field: str, note: str, instead: str, *, on: LoadBalancers, document: str = "", case: str = "") -> Row:
    return Row("TargetGroupConfiguration", f"spec.{field}", "no", note, instead, document, on, case)


NO_VERSION: Final = _no_group(
    f"{_PROPS}.protocolVersion",
    "an NLB passes bytes on and knows no versions of HTTP",
    "leave it out, or use an ALB",
    on=_NLB,
)
NO_CONTROL_PORT: Final = _no_group(
    f"{_PROPS}.targetControlPort", "only ALBs optimize by target", "leave it out", on=_NLB, document=aws.TARGET_GROUPS
)
NO_TCP_CHECK: Final = _no_group(
    f"{_CHECK}.healthCheckProtocol",
    "an ALB's checks are HTTP or HTTPS requests",
    "use one of these",
    on=_ALB,
    document=aws.HEALTH,
    case="TCP",
)
NO_GRPC_CHECK: Final = _no_group(
    f"{_CHECK}.matcher.grpcCode", "an NLB makes no gRPC checks", "use httpCode, or an ALB", on=_NLB
)
NO_GATEWAY: Final = _no_group(
    "targetReference", "only Services are backends here", "name one", on=_BOTH, case="another kind than Service"
)

_GROUPS: Final = (
    _group("targetReference.group", "empty: that of Services"),
    _group("targetReference.kind", "Service"),
    NO_GATEWAY,
    _group("targetReference.name", "a Service of the namespace; of two configurations for one, the older counts"),
    _group(f"{_PROPS}.targetGroupName", "of a Service's own configuration; it can be one target group's only"),
    _group(f"{_PROPS}.targetType", "by default ip, since instances need node ports"),
    _group(
        f"{_PROPS}.protocol",
        "HTTP and HTTPS behind an ALB; TCP, TLS, UDP and TCP_UDP behind an NLB",
        instead="another one is left out",
        document=aws.TARGET_GROUPS,
    ),
    _group(f"{_PROPS}.protocolVersion", "HTTP2 and GRPC behind HTTPS listeners", on=_ALB, document=aws.TARGET_GROUPS),
    NO_VERSION,
    _group(f"{_PROPS}.ipAddressType", "by default that of the targets"),
    _group(f"{_CHECK}.healthCheckProtocol", "HTTP or HTTPS; behind an NLB TCP as well", document=aws.HEALTH),
    NO_TCP_CHECK,
    _group(f"{_CHECK}.healthCheckPort", "traffic-port or a number"),
    _group(f"{_CHECK}.healthCheckPath", "it begins with /"),
    _group(f"{_CHECK}.healthCheckInterval", "5 to 300 seconds", document=aws.HEALTH),
    _group(f"{_CHECK}.healthCheckTimeout", "2 to 120 seconds, less than the interval", document=aws.HEALTH),
    _group(f"{_CHECK}.healthyThresholdCount", "2 to 10", document=aws.HEALTH),
    _group(f"{_CHECK}.unhealthyThresholdCount", "2 to 10", document=aws.HEALTH),
    _group(f"{_CHECK}.matcher.httpCode", "200 to 499 behind an ALB, 200 to 599 behind an NLB", document=aws.HEALTH),
    _group(f"{_CHECK}.matcher.grpcCode", "0 to 99, with protocol version GRPC", on=_ALB, document=aws.HEALTH),
    NO_GRPC_CHECK,
    _group(f"{_PROPS}.nodeSelector", "of targets of type instance"),
    _group(
        f"{_PROPS}.targetGroupAttributes",
        "those that are known are checked; others are AWS's to judge",
        document=aws.TARGET_GROUPS,
    ),
    _group(f"{_PROPS}.tags", "besides the load balancer's"),
    _group(f"{_PROPS}.enableMultiCluster", "targets that others registered stay"),
    _group(f"{_PROPS}.targetControlPort", "of targets of type ip", on=_ALB, document=aws.TARGET_GROUPS),
    NO_CONTROL_PORT,
    _group("routeConfigurations[].routeIdentifier.kind", "a kind of route"),
    _group("routeConfigurations[].routeIdentifier.namespace", "with a kind; without a namespace, any"),
    _group("routeConfigurations[].routeIdentifier.name", "with both; without a name, any"),
    _group(
        "routeConfigurations[].targetGroupProps", "as defaultConfiguration, over it; such routes get a group of own"
    ),
)

# --- ListenerRuleConfiguration ---------------------------------------------------------------------------------------

_ACTION: Final = "spec.actions[]"
_OIDC: Final = f"{_ACTION}.authenticateOIDCConfig"
_COGNITO: Final = f"{_ACTION}.authenticateCognitoConfig"
_JWT: Final = f"{_ACTION}.jwtValidationConfig"


def _rule(field: str, note: str, document: str = "") -> Row:
    return Row("ListenerRuleConfiguration", field, "yes", note, document=document)


def _authentication(within: str) -> tuple[Row, ...]:
    return (
        _rule(f"{within}.scope", "by default openid"),
        _rule(f"{within}.sessionCookieName", "by default AWSELBAuthSessionCookie"),
        _rule(f"{within}.sessionTimeout", "up to 7 days"),
        _rule(f"{within}.onUnauthenticatedRequest", "deny, allow or authenticate"),
        _rule(f"{within}.authenticationRequestExtraParams", "up to 10"),
    )


_RULES: Final = (
    _rule(f"{_ACTION}.type", "authentication on HTTPS listeners only", aws.AUTHENTICATION),
    _rule(f"{_ACTION}.forwardConfig.targetGroupStickinessConfig.enabled", "between target groups", aws.FORWARD),
    _rule(f"{_ACTION}.forwardConfig.targetGroupStickinessConfig.durationSeconds", "up to 7 days", aws.FORWARD),
    _rule(f"{_ACTION}.redirectConfig.query", "of the route's RequestRedirect", aws.REDIRECT),
    _rule(f"{_ACTION}.fixedResponseConfig.statusCode", "2XX, 4XX or 5XX", aws.ACTIONS),
    _rule(f"{_ACTION}.fixedResponseConfig.contentType", "one of five", aws.ACTIONS),
    _rule(f"{_ACTION}.fixedResponseConfig.messageBody", "up to 1,024 characters", aws.ACTIONS),
    *(
        _rule(f"{_OIDC}.{name}", "a full https URL", aws.AUTHENTICATION)
        for name in ("issuer", "authorizationEndpoint", "tokenEndpoint", "userInfoEndpoint")
    ),
    _rule(f"{_OIDC}.secret.name", "a Secret of the namespace with clientID and clientSecret"),
    _rule(f"{_OIDC}.useExistingClientSecret", "a rule that is there keeps its client secret"),
    *_authentication(_OIDC),
    _rule(f"{_COGNITO}.userPoolArn", "the ARN of a user pool", aws.AUTHENTICATION),
    _rule(f"{_COGNITO}.userPoolClientId", "the client's ID", aws.AUTHENTICATION),
    _rule(f"{_COGNITO}.userPoolDomain", "a prefix or a full domain", aws.AUTHENTICATION),
    *_authentication(_COGNITO),
    _rule(f"{_JWT}.issuer", "whose tokens are valid"),
    _rule(f"{_JWT}.jwksEndpoint", "a full https URL"),
    _rule(f"{_JWT}.additionalClaims[].name", "up to 10 claims, besides exp, iss, nbf and iat"),
    _rule(f"{_JWT}.additionalClaims[].format", "one of three"),
    _rule(f"{_JWT}.additionalClaims[].values", "up to 10; without spaces where these tell values apart"),
    _rule("spec.conditions[].field", "source-ip", aws.CONDITIONS),
    _rule("spec.conditions[].sourceIPConfig.values", "CIDRs; one such condition a match", aws.CONDITIONS),
    _rule("spec.conditions[].matchIndexes", "places of the rule's matches, from 0; none means all"),
    _rule("spec.tags", "on the rule"),
    Row(
        "ListenerRuleConfiguration",
        "spec",
        "no",
        "an NLB has no rules",
        "use an ALB",
        aws.NLB_LISTENERS,
        _NLB,
    ),
)

ROWS: Final[tuple[Row, ...]] = (*_BALANCERS, *_GROUPS, *_RULES)
