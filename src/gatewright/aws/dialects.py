"""What Gateways that *are* load balancers of AWS take of the Gateway API (`resolve.dialects`)."""

from __future__ import annotations

from typing import Final

from gatewright.resolve.dialects import Dialect

GROUP: Final = "gateway.k8s.aws"
"""The API group of the configuration kinds, which are the AWS Load Balancer Controller's."""

ALB_CONTROLLER: Final = "gateway.k8s.aws/alb"
NLB_CONTROLLER: Final = "gateway.k8s.aws/nlb"

_PARAMETERS: Final = ((GROUP, "LoadBalancerConfiguration"),)

ALB: Final = Dialect(
    features=(
        "Gateway",
        "GatewayAddressEmpty",
        "GatewayFrontendClientCertificateValidation",
        "GatewayFrontendClientCertificateValidationInsecureFallback",
        "GatewayHTTPListenerIsolation",
        "GatewayPort8080",
        "HTTPRoute",
        "HTTPRouteBackendProtocolWebSocket",
        "HTTPRouteDestinationPortMatching",
        "HTTPRouteHostRewrite",
        "HTTPRouteMethodMatching",
        "HTTPRouteNamedRouteRule",
        "HTTPRouteParentRefPort",
        "HTTPRoutePathRedirect",
        "HTTPRoutePathRewrite",
        "HTTPRoutePortRedirect",
        "HTTPRouteSchemeRedirect",
        "ListenerSet",
        "ReferenceGrant",
    ),
    protocols=("HTTP", "HTTPS"),
    class_parameters=_PARAMETERS,
    gateway_parameters=_PARAMETERS,
    extensions=((GROUP, "ListenerRuleConfiguration"),),
    addresses=(),
    certificates_elsewhere=True,
    verifies_backends=False,
    heeds_rejections=False,
    noun="load balancer",
)

NLB: Final = Dialect(
    features=(
        "Gateway",
        "ReferenceGrant",
        "TCPRoute",
        "TLSRoute",
        "TLSRouteModeTerminate",
        "UDPRoute",
    ),
    protocols=("TLS", "TCP", "UDP"),
    class_parameters=_PARAMETERS,
    gateway_parameters=_PARAMETERS,
    addresses=("IPAddress",),
    certificates_elsewhere=True,
    verifies_backends=False,
    heeds_rejections=False,
    noun="load balancer",
)
