"""GatewayClass, Gateway, ListenerSet, the routes of connections, and BackendTLSPolicy on ALBs and NLBs."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import structs

from gatewright.aws.support import documents as aws
from gatewright.aws.support.row import Row, Support

LoadBalancers = tuple[Literal["ALB", "NLB"], ...]

_BOTH: Final[LoadBalancers] = ("ALB", "NLB")
_NLB: Final[LoadBalancers] = ("NLB",)


def _row(
    kind: str,
    field: str,
    support: Support,
    note: str,
    instead: str = "",
    document: str = "",
    on: LoadBalancers = _BOTH,
    case: str = "",
) -> Row:
    return Row(kind, field, support, note, instead, document, on, case)


# --- GatewayClass and Gateway ----------------------------------------------------------------------------------------

GATEWAY_CLASS: Final = (
    _row("GatewayClass", "spec.controllerName", "yes", "gateway.k8s.aws/alb or gateway.k8s.aws/nlb"),
    _row("GatewayClass", "spec.parametersRef", "yes", "a LoadBalancerConfiguration, for all Gateways of the class"),
    _row("GatewayClass", "spec.description", "yes", "for people"),
)

_LISTENER: Final = (
    _row("Gateway", "spec.listeners[].name", "yes", "for parentRefs[].sectionName and the status"),
    _row(
        "Gateway",
        "spec.listeners[].port",
        "yes",
        "one listener of the load balancer a port; up to 50 of them",
        document=aws.LISTENERS,
    ),
    _row(
        "Gateway",
        "spec.listeners[].protocol",
        "yes",
        "HTTP and HTTPS",
        "use a Gateway of the class gateway.k8s.aws/nlb for the others",
        aws.LISTENERS,
        ("ALB",),
    ),
    _row(
        "Gateway",
        "spec.listeners[].protocol",
        "yes",
        "TCP, UDP and TLS; TCP and UDP on one port only where both go to the same backends",
        "use a Gateway of the class gateway.k8s.aws/alb for HTTP and HTTPS",
        aws.NLB_LISTENERS,
        _NLB,
    ),
    _row(
        "Gateway",
        "spec.listeners[].hostname",
        "yes",
        "limits the hostnames of routes; certificates are found by it where none is named",
        on=("ALB",),
    ),
    _row(
        "Gateway",
        "spec.listeners[].hostname",
        "partly",
        "certificates are found by it, but an NLB doesn't look at server names: all connections of a port are taken",
        "give each name a port or a load balancer of its own",
        aws.NLB_TLS,
        _NLB,
    ),
    _row("Gateway", "spec.listeners[].tls.mode", "yes", "Terminate", document=aws.HTTPS_LISTENERS, on=("ALB",)),
    _row(
        "Gateway",
        "spec.listeners[].tls.mode",
        "yes",
        "Terminate is a TLS listener, Passthrough one for TCP",
        document=aws.NLB_TLS,
        on=_NLB,
    ),
    _row(
        "Gateway",
        "spec.listeners[].tls.certificateRefs",
        "yes",
        "Secrets are imported into ACM and renewed with them; a ReferenceGrant may be needed. Without any they are "
        "found in ACM by hostname. Those of a LoadBalancerConfiguration go first",
        document=aws.HTTPS_LISTENERS,
    ),
    _row(
        "Gateway",
        "spec.listeners[].tls.certificateRefs",
        "no",
        "ACM imports no such keys",
        "use RSA of 1,024 to 4,096 bits, or ECDSA on P-256, P-384 or P-521",
        "https://docs.aws.amazon.com/acm/latest/userguide/import-certificate-prerequisites.html",
        case="keys of another kind, such as Ed25519",
    ),
    _row("Gateway", "spec.listeners[].tls.options", "no", "none is known", "use a LoadBalancerConfiguration"),
    _row("Gateway", "spec.listeners[].allowedRoutes", "yes", "namespaces and kinds"),
)

GATEWAY: Final = (
    _row("Gateway", "spec.gatewayClassName", "yes", "a class with one of the two controller names"),
    *_LISTENER,
    _row(
        "Gateway",
        "spec.addresses",
        "no",
        "AWS chooses an ALB's addresses",
        "use its DNS name (status.addresses), or an NLB",
        aws.LOAD_BALANCERS,
        ("ALB",),
    ),
    _row(
        "Gateway",
        "spec.addresses",
        "yes",
        "IPAddress: a private address of one of the subnets, of an internal NLB",
        "use loadBalancerSubnets[].eipAllocation (LoadBalancerConfiguration) for public ones",
        aws.NLB_ADDRESSES,
        _NLB,
    ),
    _row("Gateway", "spec.infrastructure.labels", "yes", "tags of all that is made, under those of configurations"),
    _row("Gateway", "spec.infrastructure.annotations", "no", "AWS has nothing like them", "use labels, which are tags"),
    _row("Gateway", "spec.infrastructure.parametersRef", "yes", "a LoadBalancerConfiguration of the namespace"),
    _row("Gateway", "spec.allowedListeners", "yes", "for ListenerSets"),
    _row(
        "Gateway",
        "spec.tls.frontend",
        "yes",
        "AllowValidOnly: mutual TLS `verify` with a trust store that is made of the authorities, by way of the bucket "
        "of --trust-store-bucket, without which the port isn't served; 2 such ports a load balancer. "
        "AllowInsecureFallback: `passthrough`. Unless a configuration has mutualAuthentication",
        "",
        aws.MUTUAL_TLS,
        ("ALB",),
    ),
    _row(
        "Gateway",
        "spec.tls.frontend",
        "no",
        "it is about HTTPS listeners, of which an NLB has none",
        "use an ALB, or pass TLS through",
        aws.NLB_TLS,
        _NLB,
    ),
    _row(
        "Gateway",
        "spec.tls.backend",
        "no",
        "load balancers show no client certificate to targets",
        "let the load balancer's security group be the proof (manageBackendSecurityGroupRules)",
        aws.TARGET_GROUPS,
    ),
    _row("Gateway", "spec.defaultScope", "yes", "for routes with useDefaultGateways"),
)

LISTENER_SET: Final = (
    _row("ListenerSet", "spec.parentRef", "yes", "a Gateway whose allowedListeners admits it"),
    *(structs.replace(row, kind="ListenerSet") for row in _LISTENER),
)

# --- routes of connections -------------------------------------------------------------------------------------------


def _connections(kind: str) -> tuple[Row, ...]:
    return (
        _row(kind, "spec.parentRefs", "yes", "by name, sectionName and port", on=_NLB),
        _row(kind, "spec.useDefaultGateways", "yes", "as the Gateway's defaultScope says", on=_NLB),
        _row(kind, "spec.rules[].name", "yes", "for messages", on=_NLB),
        _row(
            kind,
            "spec.rules[].backendRefs",
            "yes",
            "up to 5 target groups by weight; a share that leads nowhere goes to an empty one, whose connections end",
            document=aws.NLB_LISTENERS,
            on=_NLB,
        ),
        _row(
            kind,
            "spec.rules",
            "partly",
            "a port has one place to go to: of several routes the oldest gets all connections, the others say so",
            "give each a port of its own",
            aws.NLB_LISTENERS,
            _NLB,
            case="several on one port",
        ),
        _row(
            kind,
            "spec",
            "no",
            "an ALB passes on HTTP only",
            "use the class gateway.k8s.aws/nlb",
            aws.LISTENERS,
            ("ALB",),
        ),
    )


TLS_ROUTE: Final = (
    _row(
        "TLSRoute",
        "spec.hostnames",
        "partly",
        "an NLB doesn't look at server names: connections of the port for other names come, too",
        "give each name a port or a load balancer of its own, or let a proxy behind the NLB tell them apart",
        aws.NLB_TLS,
        _NLB,
    ),
    *_connections("TLSRoute"),
)
TCP_ROUTE: Final = _connections("TCPRoute")
UDP_ROUTE: Final = _connections("UDPRoute")

# --- backends --------------------------------------------------------------------------------------------------------

BACKEND_TLS_POLICY: Final = (
    _row("BackendTLSPolicy", "spec.targetRefs", "yes", "Services: their target groups speak TLS to the targets"),
    _row(
        "BackendTLSPolicy",
        "spec.validation",
        "partly",
        "load balancers encrypt to targets, but check neither name nor issuer of their certificates",
        "let a proxy in the cluster verify them where that matters; routes say what they are served without",
        aws.TARGET_GROUPS,
    ),
    _row("BackendTLSPolicy", "spec.options", "no", "none is known"),
)

SERVICE: Final = (
    _row(
        "Service",
        "spec.ports[].appProtocol",
        "partly",
        "kubernetes.io/h2c is protocol version HTTP2, which needs an HTTPS listener; https is TLS to the targets, "
        "unverified",
        document=aws.TARGET_GROUPS,
    ),
)

ROWS: Final[tuple[Row, ...]] = (
    *GATEWAY_CLASS,
    *GATEWAY,
    *LISTENER_SET,
    *TLS_ROUTE,
    *TCP_ROUTE,
    *UDP_ROUTE,
    *BACKEND_TLS_POLICY,
    *SERVICE,
)
