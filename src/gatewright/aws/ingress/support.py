"""What becomes of each annotation of an Ingress of class alb: part of the support table (`aws.support`)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from gatewright.aws.support.row import Row

PREFIX: Final = "alb.ingress.kubernetes.io/"

_RULES: Final = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-rules.html"
_CONDITIONS: Final = "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/rule-condition-types.html"
_FRONT: Final = (
    "for fixed addresses or PrivateLink put an NLB in front with its own tools, and this ALB into a target group of "
    "type alb there"
)

Where: TypeAlias = Literal["ingress", "service", "both"]


class Annotation(Struct, frozen=True):
    """One annotation by its name after the prefix, the object that may have it, and its row of the support table.

    One whose name ends with a dot is a family: the rest of the name is the user's.
    """

    name: str
    row: Row
    where: Where = "ingress"


def _row(name: str, support: Literal["yes", "partly", "no"], note: str, instead: str = "", document: str = "") -> Row:
    field = f"metadata.annotations[{PREFIX}{name}{'*' if name.endswith('.') else ''}]"
    return Row("Ingress", field, support, note, instead, document)


def _yes(name: str, note: str, *, where: Where = "ingress", document: str = "") -> Annotation:
    return Annotation(name, _row(name, "yes", note, document=document), where)


def _partly(name: str, note: str, instead: str = "", *, where: Where = "ingress", document: str = "") -> Annotation:
    return Annotation(name, _row(name, "partly", note, instead, document), where)


def _no(name: str, note: str, instead: str, *, document: str = "") -> Annotation:
    return Annotation(name, _row(name, "no", note, instead, document))


_FRONT_NLB: Final = (
    "enable-frontend-nlb",
    "frontend-nlb-scheme",
    "frontend-nlb-subnets",
    "frontend-nlb-security-groups",
    "frontend-nlb-listener-port-mapping",
    "frontend-nlb-eip-allocations",
    "frontend-nlb-healthcheck-port",
    "frontend-nlb-healthcheck-protocol",
    "frontend-nlb-healthcheck-path",
    "frontend-nlb-healthcheck-interval-seconds",
    "frontend-nlb-healthcheck-timeout-seconds",
    "frontend-nlb-healthcheck-healthy-threshold-count",
    "frontend-nlb-healthcheck-unhealthy-threshold-count",
    "frontend-nlb-healthcheck-success-codes",
    "frontend-nlb-attributes",
    "frontend-nlb-tags",
)

_ANNOTATIONS: Final[tuple[Annotation, ...]] = (
    _yes("group.name", "Ingresses of one group share a load balancer; the class's spec.group goes over it"),
    _yes("group.order", "-1000 to 1000, the smallest first, then by namespace/name"),
    _yes("load-balancer-name", "the load balancer's name; changing it replaces the load balancer"),
    _yes("tags", "tags of all that is made; a Service's go over its Ingress's on its target groups", where="both"),
    _yes("ip-address-type", "ipv4, dualstack or dualstack-without-public-ipv4"),
    _yes("scheme", "internal or internet-facing; changing it replaces the load balancer"),
    _yes("subnets", "subnets by ID or by their tag Name"),
    _yes("security-groups", "security groups by ID or by their tag Name, instead of a managed one"),
    _yes("manage-backend-security-group-rules", "with security groups of one's own: whether targets let the ALB in"),
    _yes("customer-owned-ipv4-pool", "the pool of addresses on an Outpost"),
    _yes("ipam-ipv4-pool-id", "the pool that public addresses come from"),
    _yes("load-balancer-attributes", "attributes as AWS names them; those that aren't named stay as they are"),
    _yes("listener-attributes.", "attributes of the listener at PROTOCOL-PORT, as HTTPS-443"),
    _yes("minimum-load-balancer-capacity", "CapacityUnits=N; 0 gives the reservation back"),
    _yes("wafv2-acl-arn", "the web ACL; none takes it away, without the annotation it stays as it is"),
    _yes("wafv2-acl-name", "the web ACL by its name in the region; none takes it away"),
    _no(
        "waf-acl-id",
        "AWS WAF Classic has come to its end of life",
        f"use a WAFv2 web ACL and name it in {PREFIX}wafv2-acl-arn",
        document="https://docs.aws.amazon.com/waf/latest/developerguide/classic-waf-chapter.html",
    ),
    _no(
        "web-acl-id",
        "AWS WAF Classic has come to its end of life",
        f"use a WAFv2 web ACL and name it in {PREFIX}wafv2-acl-arn",
        document="https://docs.aws.amazon.com/waf/latest/developerguide/classic-waf-chapter.html",
    ),
    _yes("shield-advanced-protection", "whether Shield Advanced protects the load balancer"),
    _yes(
        "listen-ports",
        "the ports; without it 443 where certificate-arn is set, else 80, and 443 too where a Secret of spec.tls has a "
        "certificate",
    ),
    _yes("ssl-redirect", "every HTTP port redirects to this HTTPS port, and serves nothing else"),
    _yes("inbound-cidrs", "who may come in at the Ingress's ports; has no effect beside security-groups"),
    _yes("security-group-prefix-lists", "as inbound-cidrs, by managed prefix lists"),
    _yes("certificate-arn", "certificates in ACM or IAM, the first is the default one"),
    _yes("ssl-policy", "the security policy of the Ingress's HTTPS ports"),
    _yes("mutual-authentication", "client certificates at HTTPS ports; a trust store by ARN or name"),
    _partly(
        "create-acm-cert",
        "a certificate is requested with all hosts of the Ingress, and used once it is issued",
        "run the controller with requests for certificates switched on",
    ),
    _no(
        "acm-pca-arn",
        "certificates are requested from Amazon only",
        "have the private CA issue a certificate and name it in " + f"{PREFIX}certificate-arn",
    ),
    _yes("target-type", "instance (the default) or ip", where="both"),
    _yes("target-node-labels", "the nodes that are targets, with target type instance", where="both"),
    _yes("backend-protocol", "HTTP or HTTPS; AWS doesn't verify the targets' certificates", where="both"),
    _yes("backend-protocol-version", "HTTP1, HTTP2 or GRPC", where="both"),
    _yes("target-group-attributes", "attributes as AWS names them", where="both"),
    _yes("healthcheck-port", "a number, traffic-port, or the name of a port of the Service", where="both"),
    _yes("healthcheck-protocol", "HTTP or HTTPS", where="both"),
    _yes("healthcheck-path", "the path, with gRPC the method", where="both"),
    _yes("healthcheck-interval-seconds", "5 to 300", where="both"),
    _yes("healthcheck-timeout-seconds", "2 to 120", where="both"),
    _yes("healthy-threshold-count", "2 to 10", where="both"),
    _yes("unhealthy-threshold-count", "2 to 10", where="both"),
    _yes("success-codes", "codes of HTTP or gRPC: 200, 200,202 or 200-299", where="both"),
    _yes("multi-cluster-target-group", "targets that others registered stay", where="both"),
    _yes("target-control-port.", "the port of the target optimizer's agent, at SERVICE.PORT; target type ip only"),
    _partly(
        "auth-type",
        "authentication works on HTTPS listeners only: on an HTTP listener the rule is left out, where the AWS Load "
        "Balancer Controller serves it without",
        f"redirect with {PREFIX}ssl-redirect",
        where="both",
        document="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html",
    ),
    _yes("auth-idp-cognito", "the user pool, its client and domain", where="both"),
    _yes("auth-idp-oidc", "the provider's endpoints, and the Secret with clientID and clientSecret", where="both"),
    _yes("auth-on-unauthenticated-request", "authenticate, allow or deny", where="both"),
    _yes("auth-scope", "the claims to ask for", where="both"),
    _yes("auth-session-cookie", "the name of the session's cookie", where="both"),
    _yes("auth-session-timeout", "the session's length in seconds", where="both"),
    _partly(
        "jwt-validation",
        "works on HTTPS listeners only: on an HTTP listener the rule is left out",
        f"redirect with {PREFIX}ssl-redirect",
        document="https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-verify-jwt.html",
    ),
    _yes(
        "actions.",
        "what a backend with the port use-annotation does: fixed-response, redirect or forward, to Services of the "
        "Ingress's namespace and to target groups by ARN or name",
        document=_RULES,
    ),
    _yes("conditions.", "conditions besides host and path", document=_CONDITIONS),
    _yes("transforms.", "rewrites of URL and host, one of each", document=_RULES),
    _yes("use-regex-path-match", "paths of type ImplementationSpecific are regular expressions after their first /"),
    *(_no(name, "no NLB is made in front of the ALB of an Ingress", _FRONT) for name in _FRONT_NLB),
)

ANNOTATIONS: Final[dict[str, Annotation]] = {annotation.name: annotation for annotation in _ANNOTATIONS}
"""Every annotation of the AWS Load Balancer Controller's (its documentation, "Ingress annotations") by its name."""

OUTPUTS: Final = frozenset({"dry-run-plan"})
"""What the AWS Load Balancer Controller writes itself."""

_OTHER_ROWS: Final[tuple[Row, ...]] = (
    Row("Ingress", "spec.ingressClassName", "yes", "an IngressClass of controller ingress.k8s.aws/alb"),
    Row("Ingress", "metadata.annotations[kubernetes.io/ingress.class]", "yes", "alb; goes over spec.ingressClassName"),
    Row("Ingress", "spec.defaultBackend", "yes", "the default action of the Ingress's listeners"),
    Row("Ingress", "spec.rules[].host", "yes", "a condition on the host"),
    Row(
        "Ingress",
        "spec.rules[].http.paths[].pathType",
        "yes",
        "Exact goes before Prefix, the longest first, and that before ImplementationSpecific, whose * and ? are "
        "wildcards; the order of rules and Ingresses counts before the length of a path",
    ),
    Row("Ingress", "spec.rules[].http.paths[].backend.service", "yes", "a target group; by port number or name"),
    Row(
        "Ingress",
        "spec.rules[].http.paths[].backend.resource",
        "no",
        "a load balancer forwards to the endpoints of a Service",
        "name a Service, or an action with the port use-annotation",
    ),
    Row(
        "Ingress",
        "spec.tls[].hosts",
        "yes",
        "certificates in ACM are found by these hosts and those of the rules, where no ARN is named",
    ),
    Row(
        "Ingress",
        "spec.tls[].secretName",
        "yes",
        "the certificate is imported into ACM, where no ARN is named; the AWS Load Balancer Controller passes it over",
    ),
)

ROWS: Final[tuple[Row, ...]] = (*_OTHER_ROWS, *(annotation.row for annotation in _ANNOTATIONS))
"""All of an Ingress."""


def find(name: str) -> Annotation | None:
    """The annotation with this name after the prefix, or the family that it is of."""
    found = ANNOTATIONS.get(name)
    if found is not None:
        return found
    family, dot, rest = name.partition(".")
    return ANNOTATIONS.get(family + dot) if rest else None
